//! What must survive a restart: states, orders, events, knees.
//!
//! One JSON object a line, appended and synced by a thread of its own, so that no request waits for a disk;
//! an order is answered only when it is on the disk. A restart while parked comes up parked. A line that a
//! crash cut short is passed over; so is any other that cannot be read, with an alarm in the log, because a
//! proxy that does not start is worse than one that forgot a knee.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, as RFC 3339.
    pub at: jiff::Timestamp,
    /// What.
    #[serde(flatten)]
    pub record: Record,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A product reached a state.
    State {
        /// Which.
        product: String,
        /// `open`, `draining`, `parked` or `ramping`.
        state: String,
        /// `parked` or `closed`, when it is shut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An event was opened, parked or closed.
    Event {
        /// Which.
        event: String,
        /// `open`, `parked` or `closed`.
        state: String,
        /// Its betting stop then: an id may be used again for another day's race.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<jiff::Timestamp>,
    },
    /// Somebody said over the API what the schedule is to say of an event.
    Scheduled {
        /// Which.
        event: String,
        /// What counts since; nothing when it was taken out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<Entry>,
        /// The stop that the schedule file had for it then: as long as the file says the same, it has said nothing since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<jiff::Timestamp>,
    },
    /// The schedule file has spoken since, or what was said has become old: from now on the file counts.
    FileCounts {
        /// For which event.
        event: String,
    },
    /// Somebody gave an order, or a signal came.
    Order {
        /// What they said.
        order: String,
        /// About what.
        scope: String,
        /// Who.
        who: String,
        /// Why.
        reason: String,
    },
    /// A limit's level.
    Knee {
        /// Of which pool or budget.
        resource: String,
        /// Seats.
        seats: f64,
    },
    /// Somebody gave an order about a backend, and this is what counts of it since.
    Backend {
        /// Its name.
        backend: String,
        /// What counts.
        #[serde(flatten)]
        word: BackendWord,
    },
    /// What share a site has from now on.
    Share {
        /// Of which product.
        product: String,
        /// Its name.
        site: String,
        /// What counts.
        #[serde(flatten)]
        word: ShareWord,
    },
    /// A share is on its way from one site to another, or no more.
    Shift {
        /// Which product's.
        product: String,
        /// Whether it is.
        under_way: bool,
    },
    /// Everything but plain proxying was switched off, or on again.
    Bypass {
        /// Whether it is off now.
        on: bool,
    },
    /// From now on nothing is refused, or what is decided counts again.
    ObserveOnly {
        /// Whether nothing is refused.
        on: bool,
        /// What the configuration said then: who changes it afterwards means it.
        configured: bool,
    },
}

/// What was ordered of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendWord {
    /// Its pool.
    pub pool: String,
    /// Where it is.
    pub address: std::net::SocketAddr,
    /// Whether it belongs to the pool.
    pub member: bool,
    /// Whether it is out of use.
    pub drained: bool,
    /// Its share beside others.
    pub weight: u32,
    /// The weight that the configuration gave it then, if it was there: who changes it afterwards means it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<u32>,
}

/// What a site has of what its product lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareWord {
    /// In per cent.
    pub share: u32,
    /// Whether that is the most it may have as well.
    pub bounded: bool,
    /// What the configuration gave it then: who changes it afterwards means it.
    pub configured: u32,
}

/// What the schedule says of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its product, by name.
    pub product: String,
    /// When betting on it stops.
    pub stop: jiff::Timestamp,
    /// How long before its stop a close signal is believed.
    pub believed_before_stop: Duration,
    /// How long before its stop the last bet is let through.
    pub margin: Duration,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the journal knew when the proxy started: the last word on each thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// State and reason by product.
    pub states: BTreeMap<String, (String, Option<String>)>,
    /// State by event, and the betting stop it had.
    pub events: BTreeMap<String, (String, Option<jiff::Timestamp>)>,
    /// What was said over the API, by event, and the stop that the schedule file had for it then.
    pub schedule: BTreeMap<String, (Option<Entry>, Option<jiff::Timestamp>)>,
    /// Seats by pool or budget.
    pub knees: BTreeMap<String, f64>,
    /// What was ordered, by backend.
    pub backends: BTreeMap<String, BackendWord>,
    /// What was shifted, by product and site.
    pub shares: BTreeMap<String, BTreeMap<String, ShareWord>>,
    /// Products of which a share was on its way.
    pub shifts: BTreeSet<String>,
    /// Whether everything but plain proxying was off.
    pub bypass: bool,
    /// Whether nothing was refused, and what the configuration said then; `None` when nobody gave an order.
    pub observe_only: Option<(bool, bool)>,
    /// Lines that could not be read.
    pub unreadable: usize,
}

/// Writes lines. Clones write to the same file.
#[derive(Clone)]
pub struct Journal {
    lines: Option<mpsc::Sender<(Line, Option<Told>)>>,
}

type Told = tokio::sync::oneshot::Sender<io::Result<()>>;

impl Journal {
    /// A journal that keeps nothing.
    pub fn off() -> Journal {
        Journal { lines: None }
    }

    /// Read what `path` remembers, write that back in short, and go on from there.
    ///
    /// # Errors
    /// When the file can be neither read nor written.
    pub fn open(path: &Path) -> io::Result<(Journal, Memory, JoinHandle<()>)> {
        let lock = lock(path)?;
        let memory = match fs::read(path) {
            Ok(bytes) => Memory::read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(error),
        };
        let file = rewrite(path, &memory)?;
        let (lines, incoming) = mpsc::channel();
        let write = move || {
            write_all(file, &incoming);
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(write)?;
        Ok((Journal { lines: Some(lines) }, memory, thread))
    }

    /// Write without waiting; a failure is logged.
    pub fn note(&self, record: Record) {
        self.send(record, None);
    }

    /// Write, and come back when it is on the disk.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn keep(&self, record: Record) -> io::Result<()> {
        let (told, kept) = tokio::sync::oneshot::channel();
        if self.lines.is_none() {
            return Ok(());
        }
        self.send(record, Some(told));
        kept.await.unwrap_or_else(|_| Err(io::Error::other("the journal's thread has ended")))
    }

    fn send(&self, record: Record, told: Option<Told>) {
        if let Some(lines) = &self.lines {
            // Fails only when the thread has ended, and then `told` is dropped, which says so.
            let _ = lines.send((Line { at: jiff::Timestamp::now(), record }, told));
        }
    }
}

impl Memory {
    fn read(bytes: &[u8]) -> Memory {
        let mut memory = Memory::default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => memory.learn(line.record),
                Err(_) => memory.unreadable += 1,
            }
        }
        memory
    }

    fn learn(&mut self, record: Record) {
        match record {
            Record::State { product, state, reason } => drop(self.states.insert(product, (state, reason))),
            Record::Event { event, state, stop } => drop(self.events.insert(event, (state, stop))),
            Record::Scheduled { event, entry, instead_of } => drop(self.schedule.insert(event, (entry, instead_of))),
            Record::FileCounts { event } => drop(self.schedule.remove(&event)),
            Record::Knee { resource, seats } if seats.is_finite() => drop(self.knees.insert(resource, seats)),
            Record::Backend { backend, word } if !word.member && word.configured.is_none() => {
                drop(self.backends.remove(&backend));
            }
            Record::Backend { backend, word } => drop(self.backends.insert(backend, word)),
            Record::Share { product, site, word } => {
                self.shares.entry(product).or_default().insert(site, word);
            }
            Record::Shift { product, under_way: true } => drop(self.shifts.insert(product)),
            Record::Shift { product, under_way: false } => drop(self.shifts.remove(&product)),
            Record::Bypass { on } => self.bypass = on,
            Record::ObserveOnly { on, configured } => self.observe_only = Some((on, configured)),
            Record::Knee { .. } | Record::Order { .. } => {}
        }
    }

    fn records(&self) -> Vec<Record> {
        let states = self.states.iter().map(|(product, (state, reason))| Record::State {
            product: product.clone(),
            state: state.clone(),
            reason: reason.clone(),
        });
        let events = self.events.iter().map(|(event, (state, stop))| Record::Event {
            event: event.clone(),
            state: state.clone(),
            stop: *stop,
        });
        let schedule = self.schedule.iter().map(|(event, (entry, instead_of))| Record::Scheduled {
            event: event.clone(),
            entry: entry.clone(),
            instead_of: *instead_of,
        });
        let knees =
            self.knees.iter().map(|(resource, seats)| Record::Knee { resource: resource.clone(), seats: *seats });
        let backends = self.backends.iter();
        let backends = backends.map(|(backend, word)| Record::Backend { backend: backend.clone(), word: word.clone() });
        let of_product = |(product, sites): (&String, &BTreeMap<String, ShareWord>)| -> Vec<Record> {
            let one = |(site, word): (&String, &ShareWord)| Record::Share {
                product: product.clone(),
                site: site.clone(),
                word: *word,
            };
            sites.iter().map(one).collect()
        };
        let shares = self.shares.iter().flat_map(of_product);
        let shifts = self.shifts.iter().map(|product| Record::Shift { product: product.clone(), under_way: true });
        let observe_only = self.observe_only.map(|(on, configured)| Record::ObserveOnly { on, configured });
        states
            .chain(events)
            .chain(schedule)
            .chain(knees)
            .chain(backends)
            .chain(shares)
            .chain(shifts)
            .chain([Record::Bypass { on: self.bypass }])
            .chain(observe_only)
            .collect()
    }
}

/// The last word on each thing in a fresh file that takes the old one's place whole; the old one, with who
/// ordered what and why, is kept beside it.
fn rewrite(path: &Path, memory: &Memory) -> io::Result<File> {
    let (fresh, old) = (beside(path, ".new"), beside(path, ".old"));
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
    for record in memory.records() {
        append(&mut file, &Line { at: jiff::Timestamp::now(), record })?;
    }
    file.sync_data()?;
    if path.exists() {
        fs::copy(path, &old)?;
    }
    fs::rename(&fresh, path)?;
    // The new name must survive a power cut as well as what is in the file.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// Held as long as the journal is written: a second proxy would take the file away from under the first.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"))?;
    file.try_lock().map_err(|_| io::Error::other("another Sluss is writing it"))?;
    Ok(file)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn write_all(mut file: File, incoming: &mpsc::Receiver<(Line, Option<Told>)>) {
    for (line, told) in incoming {
        let written = append(&mut file, &line).and_then(|()| file.sync_data());
        if let Err(error) = &written {
            tracing::error!(%error, "cannot write to the journal: a restart will not know about this");
        }
        if let Some(told) = told {
            let _ = told.send(written);
        }
    }
}

fn append(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked() -> Record {
        let (product, state, reason) = ("horse-racing".into(), "parked".into(), Some("parked".into()));
        Record::State { product, state, reason }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn what_is_kept_is_remembered_and_the_last_word_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sluss.journal");
        let (journal, memory, thread) = Journal::open(&path).expect("a new journal");
        assert_eq!(memory, Memory::default());
        let open = Record::State { product: "horse-racing".into(), state: "open".into(), reason: None };
        let knee = Record::Knee { resource: "wallet".into(), seats: 11.5 };
        let observe_only = Record::ObserveOnly { on: false, configured: true };
        for record in [open, knee, parked(), Record::Bypass { on: true }, observe_only] {
            wait(journal.keep(record)).expect("a disk");
        }
        drop(journal);
        thread.join().expect("an end");
        for _ in 0..2 {
            let (journal, memory, thread) = Journal::open(&path).expect("the same journal");
            assert_eq!(memory.states["horse-racing"], ("parked".into(), Some("parked".into())));
            assert_eq!(memory.knees["wallet"], 11.5);
            assert!(memory.bypass);
            assert_eq!(memory.observe_only, Some((false, true)));
            drop(journal);
            thread.join().expect("an end");
        }
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_passed_over_and_nonsense_is_counted() {
        let line = serde_json::to_string(&Line { at: jiff::Timestamp::UNIX_EPOCH, record: parked() }).expect("json");
        let text = format!("not json\n{line}\n{{\"at\":\"2024-08-24T16:06:00Z\",\"kind\":\"sta");
        let memory = Memory::read(text.as_bytes());
        assert_eq!(memory.unreadable, 1);
        assert_eq!(memory.states.len(), 1);
    }
}
