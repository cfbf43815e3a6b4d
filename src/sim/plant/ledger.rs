//! What reached the plant, kept as an auditor would: every attempt once, every bet by its key.

use std::collections::HashSet;

use crate::sim::{Product, Step};

/// The most attempts and keys a ledger remembers. A demo sees 0.3 million; beyond the bound it says so itself
/// ([`Ledger::full`]) instead of vouching for what it no longer knows.
pub const REMEMBERED: usize = 8_000_000;

/// Counts of one product, by step of the journey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that arrived.
    pub arrived: [u64; 3],
    /// Requests whose work was done, whether or not anybody was still there to hear it.
    pub done: [u64; 3],
    /// Bets carried out: one for each idempotency key, however many attempts it took.
    pub placed: u64,
    /// Bets that came again under a key already carried out, and got the same receipt.
    pub repeated: u64,
}

/// Everything that reached the plant.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: [Counts; 3],
    attempts: HashSet<u64>,
    placed: HashSet<u64>,
    duplicates: u64,
    full: bool,
}

impl Ledger {
    /// Counts of one product.
    pub fn counts(&self, product: Product) -> Counts {
        self.counts[product.index()]
    }

    /// Attempts that arrived although the same attempt had arrived before. Anything but 0 is a violation: somebody
    /// between customer and plant sent a request twice.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// True once more came than can be remembered: from here on the ledger proves nothing.
    pub fn full(&self) -> bool {
        self.full
    }

    pub(super) fn arrive(&mut self, product: Product, step: Step, attempt: Option<u64>) {
        self.counts[product.index()].arrived[step.index()] += 1;
        if let Some(attempt) = attempt {
            self.full |= self.attempts.len() >= REMEMBERED;
            if !self.full && !self.attempts.insert(attempt) {
                self.duplicates += 1;
            }
        }
    }

    /// Whether a bet under this key has been carried out.
    pub(super) fn is_placed(&self, key: Option<u64>) -> bool {
        key.is_some_and(|key| self.placed.contains(&key))
    }

    pub(super) fn done(&mut self, product: Product, step: Step, key: Option<u64>) {
        let counts = &mut self.counts[product.index()];
        counts.done[step.index()] += 1;
        if step != Step::Bet {
            return;
        }
        self.full |= self.placed.len() >= REMEMBERED;
        // A bet without a key cannot be recognised again: each one counts, as it would in money.
        if key.is_none_or(|key| self.full || self.placed.insert(key)) {
            counts.placed += 1;
        } else {
            counts.repeated += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_arrives_twice_is_a_violation() {
        let mut ledger = Ledger::default();
        ledger.arrive(Product::Sport, Step::Bet, Some(1));
        ledger.arrive(Product::Sport, Step::Bet, Some(2));
        assert_eq!(ledger.duplicates(), 0);
        ledger.arrive(Product::Casino, Step::Odds, Some(1));
        assert_eq!(ledger.duplicates(), 1);
        ledger.arrive(Product::Casino, Step::Odds, None);
        ledger.arrive(Product::Casino, Step::Odds, None);
        assert_eq!(ledger.duplicates(), 1, "a request without an attempt id proves nothing either way");
    }

    #[test]
    fn a_bet_counts_once_for_each_key() {
        let mut ledger = Ledger::default();
        for key in [Some(1), Some(2), Some(1), None, None] {
            ledger.done(Product::HorseRacing, Step::Bet, key);
        }
        let counts = ledger.counts(Product::HorseRacing);
        assert_eq!((counts.done[Step::Bet.index()], counts.placed, counts.repeated), (5, 4, 1));
    }
}
