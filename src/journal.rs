//! What must survive a restart: states, orders, events, knees.
//!
//! One JSON object a line, appended and synced by a thread of its own, so that no request waits for a disk;
//! an order is answered only when it is on the disk. A restart while parked comes up parked. A line that a
//! crash cut short is passed over; so is any other that cannot be read, with an alarm in the log, because a
//! proxy that does not start is worse than one that forgot a knee.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

mod book;
mod memory;
mod record;

use book::{Book, Desk, Errand, Told};
pub use memory::Memory;
pub use record::{BackendWord, Entry, Line, Record, ShareWord};

/// Writes lines. Clones write to the same file.
#[derive(Clone)]
pub struct Journal {
    errands: Option<mpsc::Sender<Errand>>,
}

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
        let desk = Desk::at(path, book);
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
