//! What reached the plant, kept as an auditor would: every attempt once, every bet by its key.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The most pages a ledger keeps of attempts, and of keys: 512 numbers each where they are dense, as a simulator counts
/// them, and as little as one where they lie far apart. Beyond that bound it says so itself ([`Ledger::full`]) instead
/// of vouching for what it no longer knows.
pub const PAGES: usize = 1 << 20;

/// Counts of one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests whose work was done, whether or not anybody was still there to hear it.
    pub done: u64,
    /// Bets carried out: one for each idempotency key, however many attempts it took.
    pub placed: u64,
    /// Bets that came again under a key already carried out, and got the same receipt.
    pub repeated: u64,
}

/// Everything that reached the plant.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: Vec<Counts>,
    attempts: Seen,
    placed: Seen,
    duplicates: u64,
}

impl Ledger {
    pub(super) fn new(routes: usize) -> Ledger {
        Ledger { counts: vec![Counts::default(); routes], ..Ledger::default() }
    }

    /// Counts of one route, by its place in the settings.
    pub fn counts(&self, route: usize) -> Counts {
        self.counts[route]
    }

    /// Counts of all routes.
    pub fn total(&self) -> Counts {
        self.counts.iter().fold(Counts::default(), |sum, counts| Counts {
            arrived: sum.arrived + counts.arrived,
            done: sum.done + counts.done,
            placed: sum.placed + counts.placed,
            repeated: sum.repeated + counts.repeated,
        })
    }

    /// Attempts that arrived although the same attempt had arrived before. Anything but 0 is a violation: somebody
    /// between customer and plant sent a request twice.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// True once more came than can be remembered: from here on the ledger proves nothing.
    pub fn full(&self) -> bool {
        self.attempts.full || self.placed.full
    }

    pub(super) fn arrive(&mut self, route: usize, attempt: u64) {
        self.counts[route].arrived += 1;
        self.duplicates += u64::from(!self.attempts.insert(attempt));
    }

    /// Whether a bet under this key has been carried out.
    pub(super) fn is_placed(&self, key: Option<u64>) -> bool {
        key.is_some_and(|key| self.placed.contains(key))
    }

    pub(super) fn done(&mut self, route: usize, key: Option<u64>) {
        let counts = &mut self.counts[route];
        counts.done += 1;
        if let Some(key) = key {
            let is_new = self.placed.insert(key);
            counts.placed += u64::from(is_new);
            counts.repeated += u64::from(!is_new);
        }
    }
}

/// A set of numbers, as pages of bits.
#[derive(Debug, Default)]
struct Seen {
    pages: HashMap<u64, [u64; 8], BuildHasherDefault<Scatter>>,
    full: bool,
}

impl Seen {
    /// True when the number is new, as far as is known.
    fn insert(&mut self, number: u64) -> bool {
        let (page, word, bit) = place(number);
        if self.pages.len() >= PAGES && !self.pages.contains_key(&page) {
            self.full = true;
            return true;
        }
        let word = &mut self.pages.entry(page).or_default()[word];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, number: u64) -> bool {
        let (page, word, bit) = place(number);
        self.pages.get(&page).is_some_and(|page| page[word] & bit != 0)
    }
}

/// Page, word in the page, bit in the word.
fn place(number: u64) -> (u64, usize, u64) {
    (number / 512, (number / 64 % 8) as usize, 1 << (number % 64))
}

/// Spreads page numbers over a table. They come from ourselves: nobody tries to make them collide.
#[derive(Default)]
struct Scatter(u64);

impl Hasher for Scatter {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_arrives_twice_is_a_violation() {
        let mut ledger = Ledger::new(2);
        for attempt in [0, 1, 511, 512, u64::MAX] {
            ledger.arrive(0, attempt);
        }
        assert_eq!(ledger.duplicates(), 0);
        ledger.arrive(1, 512);
        assert_eq!((ledger.duplicates(), ledger.total().arrived), (1, 6));
    }

    #[test]
    fn a_bet_counts_once_for_each_key() {
        let mut ledger = Ledger::new(1);
        for key in [Some(1), Some(2), Some(1), None] {
            ledger.done(0, key);
        }
        assert_eq!(ledger.counts(0), Counts { arrived: 0, done: 4, placed: 2, repeated: 1 });
        assert!(ledger.is_placed(Some(2)) && !ledger.is_placed(Some(3)) && !ledger.is_placed(None));
    }

    #[test]
    fn a_ledger_that_is_full_says_so_and_accuses_nobody() {
        let mut ledger = Ledger::new(1);
        for page in 0..=PAGES as u64 {
            assert!(!ledger.full());
            ledger.arrive(0, page * 512);
        }
        assert!(ledger.full());
        ledger.arrive(0, PAGES as u64 * 512);
        assert_eq!(ledger.duplicates(), 0);
        ledger.arrive(0, 0);
        assert_eq!(ledger.duplicates(), 1, "what it knows it still knows");
    }
}
