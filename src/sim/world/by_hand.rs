//! Shares of a product's sites under laws that know of no sites: weights at a balancer, which somebody sets by hand.
//!
//! A customer stays at a site as long as its weight lets them, and goes there whatever its state: that is what a
//! balancer does that is told nothing but weights.

use crate::admission::shift::Plan;
use crate::sim::scenario::Product;

/// The weights of one product's sites, in per cent; none where it has one place.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    shares: Vec<u32>,
}

impl Hand {
    pub(super) fn new(product: &Product) -> Hand {
        Hand { shares: product.sites.iter().map(|site| site.share).collect() }
    }

    /// All of it at once.
    pub(super) fn shift(&mut self, plan: &Plan) {
        let (from, to) = (usize::from(plan.from), usize::from(plan.to));
        let both = self.shares[from] + self.shares[to];
        self.shares[to] = plan.share;
        self.shares[from] = both - plan.share;
    }

    /// Where this customer is sent.
    pub(super) fn site(&self, customer: u64) -> usize {
        let point = (customer.wrapping_mul(SPREAD) >> 32) % u64::from(self.shares.iter().sum::<u32>().max(1));
        let mut end = 0;
        let within = |share: &u32| {
            end += u64::from(*share);
            point < end
        };
        self.shares.iter().position(within).unwrap_or(0)
    }

    /// The share of the last site.
    pub(super) fn share(&self) -> Option<u32> {
        self.shares.last().copied()
    }
}

/// The golden ratio in 64 bits: neighbours are sent far apart.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_sent_as_the_weights_stand_and_those_who_stay_stay() {
        let mut hand = Hand { shares: vec![80, 20] };
        let sent = |hand: &Hand| -> Vec<usize> { (0..10_000).map(|customer| hand.site(customer)).collect() };
        let before = sent(&hand);
        assert!((1900..2100).contains(&before.iter().sum::<usize>()));
        let every = std::time::Duration::from_secs(30);
        hand.shift(&Plan { from: 0, to: 1, share: 50, step: 5, every, now: false });
        let after = sent(&hand);
        assert!((4900..5100).contains(&after.iter().sum::<usize>()));
        assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "nobody went the other way");
    }
}
