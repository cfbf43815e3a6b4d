//! What the proxy holds for others, in bytes, and how near that is to its bound.
//!
//! Entries are made where something is taken or given back: a connection, a piece of a body that is kept. What a
//! connection costs is a round number that holds at its worst; what allocators keep for later is not asked for, because
//! a heap that was full once stays large, and a proxy that went by it would go on refusing when all is calm.
//!
//! Each worker writes an entry of its own, so that nobody takes turns on the way of a request; whoever wants the sum
//! adds them up.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a client's connection: its tasks, and what of a head or an answer lies in its buffers. Measured with 800 of
/// them: 25 KiB where nothing was asked, 35 KiB where something was.
pub(crate) const CLIENT: usize = 32 << 10;
/// Bytes that TLS adds to that: keys, and the records that come and go.
pub(crate) const TLS: usize = 32 << 10;
/// Bytes of a request on a connection that many share: its task, and its head.
pub(crate) const STREAM: usize = 16 << 10;
/// Bytes that a body adds to that while it comes, beside what is kept of it: the parser reads larger pieces.
pub(crate) const UPLOAD: usize = 32 << 10;
/// Bytes of a connection to a backend: an answer that its client is slow to take fills its buffer.
pub(crate) const BACKEND: usize = 112 << 10;
/// Bytes of one that many requests share, beside what each of them has.
pub(crate) const CHANNEL: usize = 64 << 10;

/// The entries of all workers.
#[derive(Debug)]
pub(crate) struct Ledger {
    held: Box<[Entry]>,
    bound: AtomicUsize,
}

/// A worker's entry, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Entry(AtomicUsize);

/// One worker's way to write.
pub(crate) struct Account {
    ledger: Arc<Ledger>,
    worker: usize,
    fullness: Cell<Fullness>,
}

/// So many bytes are held until this is dropped.
pub(crate) struct Held {
    account: Rc<Account>,
    bytes: usize,
}

/// How near the bound is. Later is fuller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fullness {
    #[default]
    Roomy,
    /// From 80 %: no new bodies of low classes are kept.
    Tight,
    /// From 90 %: nobody new comes in, and who rests leaves.
    Crowded,
    /// From 100 %: only what must go on goes on.
    Full,
}

impl Ledger {
    pub(crate) fn new(workers: usize, bound: usize) -> Arc<Ledger> {
        Arc::new(Ledger { held: (0..workers).map(|_| Entry::default()).collect(), bound: AtomicUsize::new(bound) })
    }

    /// Another bound from now on.
    pub(crate) fn bound_by(&self, bytes: usize) {
        self.bound.store(bytes, Ordering::Relaxed);
    }

    /// Bytes held by all workers.
    pub(crate) fn held(&self) -> usize {
        self.held.iter().map(|entry| entry.0.load(Ordering::Relaxed)).sum()
    }

    fn fullness(&self) -> Fullness {
        // In tenths of a thousandth, so that a small bound has its steps too.
        match self.held() as u128 * 1000 / self.bound.load(Ordering::Relaxed).max(1) as u128 {
            1000.. => Fullness::Full,
            900.. => Fullness::Crowded,
            800.. => Fullness::Tight,
            _ => Fullness::Roomy,
        }
    }
}

impl Account {
    pub(crate) fn new(ledger: Arc<Ledger>, worker: usize) -> Rc<Account> {
        Rc::new(Account { ledger, worker, fullness: Cell::default() })
    }

    /// Hold so many bytes.
    pub(crate) fn hold(self: &Rc<Self>, bytes: usize) -> Held {
        self.write(|held| held + bytes);
        Held { account: self.clone(), bytes }
    }

    /// How full it was when somebody last looked: costs nothing.
    pub(crate) fn last_seen(&self) -> Fullness {
        self.fullness.get()
    }

    /// How full it is now.
    pub(crate) fn look(&self) -> Fullness {
        self.fullness.set(self.ledger.fullness());
        self.fullness.get()
    }

    fn write(&self, change: impl FnOnce(usize) -> usize) {
        let entry = &self.ledger.held[self.worker].0;
        // Nobody else writes here.
        entry.store(change(entry.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

impl Held {
    /// Hold so many more.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.account.write(|held| held + bytes);
    }

    /// Hold so many fewer, at most all.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.account.write(|held| held - bytes);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_held_no_more() {
        let ledger = Ledger::new(2, 1000);
        let (one, other) = (Account::new(ledger.clone(), 0), Account::new(ledger.clone(), 1));
        let mut held = one.hold(100);
        let more = other.hold(50);
        held.grow(30);
        assert_eq!((ledger.held(), held.bytes()), (180, 130));
        held.shrink(40);
        assert_eq!(ledger.held(), 140);
        drop((held, more));
        assert_eq!(ledger.held(), 0);
    }

    #[test]
    fn every_step_towards_the_bound_has_its_name() {
        let account = Account::new(Ledger::new(1, 1000), 0);
        let mut held = account.hold(799);
        assert_eq!(account.look(), Fullness::Roomy);
        for (bytes, fullness) in [(1, Fullness::Tight), (100, Fullness::Crowded), (100, Fullness::Full)] {
            held.grow(bytes);
            assert_eq!((account.look(), account.last_seen()), (fullness, fullness));
        }
        held.grow(1_000_000);
        assert_eq!(account.look(), Fullness::Full);
    }
}
