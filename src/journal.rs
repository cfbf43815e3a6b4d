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
    /// Its level: 0 serves first.
    #[serde(default)]
    pub priority: u32,
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
    errands: Option<mpsc::Sender<Errand>>,
}

/// What the thread is to do.
enum Errand {
    Write(Line, Option<Told>),
    GiveAway(Told),
    TakeBack(Option<Told>),
    /// It stays with the other process, who writes down what is ordered.
    Leave,
}

type Told = tokio::sync::oneshot::Sender<io::Result<()>>;

impl Journal {
    /// A journal that keeps nothing.
    pub fn off() -> Journal {
        Journal { errands: None }
    }

    /// Read what `path` remembers, write that back in short, and go on from there.
    ///
    /// # Errors
    /// When the file can be neither read nor written.
    pub fn open(path: &Path) -> io::Result<(Journal, Memory, JoinHandle<()>)> {
        let (book, memory) = Book::open(path)?;
        let (errands, incoming) = mpsc::channel();
        let desk = Desk { path: path.to_owned(), book: Some(book), held: Vec::new(), left: false };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || desk.work(&incoming))?;
        Ok((Journal { errands: Some(errands) }, memory, thread))
    }

    /// Write without waiting; a failure is logged.
    pub fn note(&self, record: Record) {
        self.send(Errand::Write(Line { at: jiff::Timestamp::now(), record }, None));
    }

    /// Write, and come back when it is on the disk.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn keep(&self, record: Record) -> io::Result<()> {
        let line = Line { at: jiff::Timestamp::now(), record };
        self.done(|told| Errand::Write(line, Some(told))).await
    }

    /// Let another process have the file, with everything in it that was written so far. What is written from now on is
    /// held back, until the file is [taken back](Self::take_back) or [left](Self::leave).
    ///
    /// # Errors
    /// When the journal's thread has ended.
    pub async fn give_away(&self) -> io::Result<()> {
        self.done(Errand::GiveAway).await
    }

    /// Go on writing, first what was held back.
    ///
    /// # Errors
    /// When the file can be neither read nor written, or another process has it.
    pub async fn take_back(&self) -> io::Result<()> {
        self.done(|told| Errand::TakeBack(Some(told))).await
    }

    /// The other process keeps the file. What is held back and what comes is its business.
    pub fn leave(&self) {
        self.send(Errand::Leave);
    }

    /// As [`take_back`](Self::take_back), for whoever has no time to wait for it: what comes afterwards is written.
    pub fn take_back_unseen(&self) {
        self.send(Errand::TakeBack(None));
    }

    async fn done(&self, errand: impl FnOnce(Told) -> Errand) -> io::Result<()> {
        if self.errands.is_none() {
            return Ok(());
        }
        let (told, done) = tokio::sync::oneshot::channel();
        self.send(errand(told));
        done.await.unwrap_or_else(|_| Err(io::Error::other("the journal's thread has ended")))
    }

    fn send(&self, errand: Errand) {
        if let Some(errands) = &self.errands {
            // Fails only when the thread has ended, and then whoever waits for it is told by being dropped.
            let _ = errands.send(errand);
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

/// The file, and the lock that makes it ours.
struct Book {
    file: File,
    _lock: File,
}

impl Book {
    fn open(path: &Path) -> io::Result<(Book, Memory)> {
        let lock = lock(path)?;
        let memory = match fs::read(path) {
            Ok(bytes) => Memory::read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(error),
        };
        Ok((Book { file: rewrite(path, &memory)?, _lock: lock }, memory))
    }
}

/// Where the journal's thread works.
struct Desk {
    path: PathBuf,
    /// Not here while another process has it.
    book: Option<Book>,
    /// What is to be written when it comes back. Only what a proxy does by itself: it takes no orders meanwhile.
    held: Vec<(Line, Option<Told>)>,
    /// It will not come back.
    left: bool,
}

impl Desk {
    fn work(mut self, incoming: &mpsc::Receiver<Errand>) {
        for errand in incoming {
            match errand {
                Errand::Write(line, told) => self.write(line, told),
                Errand::GiveAway(told) => {
                    self.book = None;
                    let _ = told.send(Ok(()));
                }
                Errand::Leave => {
                    self.left = true;
                    self.held.drain(..).for_each(|(_, told)| done(told));
                }
                Errand::TakeBack(told) => {
                    let taken = self.take_back();
                    if let Err(error) = &taken {
                        tracing::error!(%error, "cannot take the journal back: a restart will not know what happens from now on");
                    }
                    told.map(|told| told.send(taken));
                }
            }
        }
    }

    fn write(&mut self, line: Line, told: Option<Told>) {
        if self.left {
            return done(told);
        }
        let Some(book) = &mut self.book else { return self.held.push((line, told)) };
        let written = append(&mut book.file, &line).and_then(|()| book.file.sync_data());
        if let Err(error) = &written {
            tracing::error!(%error, "cannot write to the journal: a restart will not know about this");
        }
        if let Some(told) = told {
            let _ = told.send(written);
        }
    }

    fn take_back(&mut self) -> io::Result<()> {
        if self.book.is_none() {
            // What stands in it is ours, and known.
            self.book = Some(Book::open(&self.path)?.0);
        }
        for (line, told) in std::mem::take(&mut self.held) {
            self.write(line, told);
        }
        Ok(())
    }
}

fn done(told: Option<Told>) {
    if let Some(told) = told {
        let _ = told.send(Ok(()));
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
    fn what_was_given_away_has_the_last_word_and_what_is_taken_back_misses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sluss.journal");
        let (journal, _, thread) = Journal::open(&path).expect("a new journal");
        journal.note(parked());
        assert!(Journal::open(&path).is_err(), "it is ours");
        wait(journal.give_away()).expect("it is there");
        journal.note(Record::Bypass { on: true });
        let (other, memory, others) = Journal::open(&path).expect("it is anybody's");
        assert_eq!((memory.states.len(), memory.bypass), (1, false));
        assert!(wait(journal.take_back()).is_err(), "somebody has it");
        drop(other);
        others.join().expect("an end");
        wait(journal.take_back()).expect("nobody has it");
        wait(journal.give_away()).expect("it is there");
        journal.note(Record::Bypass { on: false });
        journal.leave();
        wait(journal.keep(Record::Bypass { on: false })).expect("it is another's to write down");
        drop(journal);
        thread.join().expect("an end");
        let (_, memory, _) = Journal::open(&path).expect("the same journal");
        assert_eq!((memory.states.len(), memory.bypass), (1, true));
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
