//! Capacity that products share, a backend pool or a budget, and who holds how much of it: arithmetic only.
//!
//! Sharing is max-min by weight, decided at each dispatch: the product that holds least of what it is
//! owed goes first, so one below its guarantee always goes before one that borrows, and what is lent is
//! taken back by not refilling, within one service time. Re-dividing by period is what lets a product
//! starve for ten seconds (`docs/flow-control.md`).

use super::Timestamp;
use super::limit::{Limit, Sample};

/// Seats under one limit.
#[derive(Debug)]
pub struct Resource {
    limit: Box<dyn Limit>,
    budget: bool,
    in_use: u32,
    by_product: Vec<u32>,
    guarantees: Vec<u32>,
    sharers: u32,
}

impl Resource {
    /// Capacity that nobody holds yet. `guarantees` are per cent by product; 0 for those that never use it.
    pub fn new(limit: Box<dyn Limit>, budget: bool, guarantees: Vec<u32>) -> Resource {
        let sharers = guarantees.iter().filter(|share| **share > 0).count() as u32;
        Resource { limit, budget, in_use: 0, by_product: vec![0; guarantees.len()], guarantees, sharers }
    }

    /// How many seats there are now.
    pub fn limit(&self) -> u32 {
        self.limit.seats()
    }

    /// How many are taken. Above [`limit`](Self::limit) only after the limit shrank, or in bypass.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How many `product` holds.
    pub fn in_use_by(&self, product: usize) -> u32 {
        self.by_product[product]
    }

    /// Whether this is a budget on something behind the backends.
    pub fn is_budget(&self) -> bool {
        self.budget
    }

    /// The best level found so far, to be carried across a closure; `None` when it was never found.
    pub fn knee(&self) -> Option<f64> {
        self.limit.knee()
    }

    /// Start from a level found earlier.
    pub(crate) fn recall(&mut self, knee: f64) {
        self.limit.recall(knee);
    }

    pub(crate) fn is_free(&self) -> bool {
        self.in_use < self.limit.seats()
    }

    pub(crate) fn take(&mut self, product: usize) {
        self.in_use += 1;
        self.by_product[product] += 1;
    }

    /// One seat comes back, with what its use showed.
    pub(crate) fn give_back(&mut self, product: usize) {
        debug_assert!(self.by_product[product] > 0, "a seat came back that nobody had taken");
        self.in_use -= 1;
        self.by_product[product] -= 1;
    }

    pub(crate) fn observe(&mut self, sample: &Sample, now: Timestamp) {
        self.limit.observe(sample, now);
    }

    /// How much of its due `product` would hold with one more seat, in parts of 2³² hundredths: least goes first, and
    /// can be compared between resources of different sizes. Zero where there is nobody to share with.
    pub(crate) fn claim(&self, product: usize) -> u64 {
        if self.sharers < 2 {
            return 0;
        }
        let held = u64::from(self.by_product[product]) + 1;
        let due = u64::from(self.guarantees[product].max(1)) * u64::from(self.limit.seats().max(1));
        (held << 32) / due
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::Fixed;
    use super::*;

    fn shared(limit: u32, guarantees: &[u32]) -> Resource {
        Resource::new(Box::new(Fixed::new(limit)), false, guarantees.to_vec())
    }

    /// The textbook's progressive filling: everybody's share grows evenly by weight until each has
    /// what it asked for or all is given. Written apart from `claim`, to check it against.
    fn max_min(limit: u32, weights: &[u32], asked: &[u32]) -> Vec<f64> {
        let mut given = vec![0.0; weights.len()];
        let mut open: Vec<usize> = (0..weights.len()).collect();
        let mut left = f64::from(limit);
        while !open.is_empty() && left > 1e-9 {
            let total: f64 = open.iter().map(|p| f64::from(weights[*p])).sum();
            let step = open
                .iter()
                .map(|p| (f64::from(asked[*p]) - given[*p]) / f64::from(weights[*p]))
                .fold(left / total, f64::min);
            for p in &open {
                given[*p] += step * f64::from(weights[*p]);
                left -= step * f64::from(weights[*p]);
            }
            open.retain(|p| f64::from(asked[*p]) - given[*p] > 1e-9);
        }
        given
    }

    #[test]
    fn least_claim_first_is_max_min_fair_within_a_seat() {
        for (limit, weights, asked) in [
            (20, [50, 30, 20], [100, 5, 3]),
            (20, [50, 30, 20], [100, 100, 100]),
            (20, [50, 30, 20], [2, 100, 1]),
            (7, [60, 20, 20], [100, 1, 100]),
            (100, [1, 1, 98], [100, 100, 10]),
        ] {
            let mut resource = shared(limit, &weights);
            while resource.is_free() {
                let hungry = (0..3).filter(|p| resource.in_use_by(*p) < asked[*p]);
                let Some(next) = hungry.min_by_key(|p| resource.claim(*p)) else { break };
                resource.take(next);
            }
            for (p, expected) in max_min(limit, &weights, &asked).into_iter().enumerate() {
                let got = f64::from(resource.in_use_by(p));
                assert!(
                    (got - expected).abs() <= 1.0,
                    "{limit} {weights:?} {asked:?}: {p} holds {got}, {expected} is fair"
                );
            }
        }
    }

    #[test]
    fn whoever_shares_with_nobody_claims_nothing() {
        let mut alone = shared(4, &[0, 100, 0]);
        alone.take(1);
        assert_eq!(alone.claim(1), 0);
    }

    #[test]
    fn a_seat_given_back_is_free_again() {
        let mut resource = shared(1, &[50, 50]);
        resource.take(0);
        assert!(!resource.is_free());
        resource.give_back(0);
        assert!(resource.is_free());
        assert_eq!((resource.in_use(), resource.in_use_by(0)), (0, 0));
    }
}
