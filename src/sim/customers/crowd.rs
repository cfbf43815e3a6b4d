//! The crowd: who arrives when. A steady base for each product, and the burst that waited for the reopening.

use std::time::Duration;

use super::{Event, Kind, Traits};
use crate::sim::Product;
use crate::sim::random::Random;

/// How a crowd is drawn. The defaults are the Saturday of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Everything is drawn from this.
    pub seed: u64,
    /// Customers a second who come anyway, by product.
    pub base_per_s: [u32; 3],
    /// Horse bettors who waited for the reopening.
    pub waiting: u32,
    /// They come back spread exponentially with this mean: most at once, the last after a minute.
    pub spread: Duration,
}

impl Crowd {
    /// The Saturday of the demo: 40 + 30 + 30 customers a second, and 7,000 waiting.
    pub fn saturday(seed: u64) -> Self {
        Self { seed, base_per_s: [40, 30, 30], waiting: 7_000, spread: Duration::from_secs(6) }
    }
}

/// Customer numbers are handed out in blocks, so that no two crowds of one run share an attempt id.
const BLOCK: u64 = 1 << 32;

/// How evenly the base arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steady {
    /// Independent of each other, as people are.
    Poisson,
    /// At even distances: for measuring what the plant can do, where a lucky second would raise the yardstick.
    Even,
}

/// The steady base of one product over `length`, by time of arrival. Half of the horse bettors bet on another event
/// than the jackpot.
pub fn steady(crowd: &Crowd, product: Product, length: Duration, how: Steady) -> Vec<Traits> {
    let block = product.index() as u64 + 1;
    let mut random = Random::nth(crowd.seed, block);
    let Some(gap) = Duration::from_secs(1).checked_div(crowd.base_per_s[product.index()]) else {
        return Vec::new();
    };
    let mut arrives = Duration::ZERO;
    let mut all = Vec::new();
    loop {
        arrives += match how {
            Steady::Poisson => random.exponential(gap),
            Steady::Even => gap,
        };
        if arrives >= length {
            return all;
        }
        let jackpot = product == Product::HorseRacing && random.chance(50);
        let event = if jackpot { Event::Jackpot } else { Event::Another };
        let id = block * BLOCK + all.len() as u64;
        all.push(drawn(id, product, event, arrives, &mut random));
    }
}

/// The horse bettors who waited, by time of arrival after the reopening. All want the jackpot.
pub fn burst(crowd: &Crowd) -> Vec<Traits> {
    let mut random = Random::nth(crowd.seed, 0);
    let mut all: Vec<Traits> = (0..u64::from(crowd.waiting))
        .map(|id| {
            let arrives = random.exponential(crowd.spread);
            drawn(id, Product::HorseRacing, Event::Jackpot, arrives, &mut random)
        })
        .collect();
    all.sort_by_key(|traits| traits.arrives);
    all
}

fn drawn(id: u64, product: Product, event: Event, arrives: Duration, random: &mut Random) -> Traits {
    let kind = match random.below(10) {
        0..7 => Kind::Person,
        7..9 => Kind::App,
        _ => Kind::Hammerer,
    };
    let patience = random.between(Duration::from_secs(40), Duration::from_secs(80));
    let think = (Duration::from_millis(500), Duration::from_secs(1));
    Traits { id, product, event, kind, arrives, patience, think }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ids(all: &[Traits]) -> Vec<(u64, Duration, Kind)> {
        all.iter().map(|t| (t.id, t.arrives, t.kind)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_customers() {
        let crowd = |seed| burst(&Crowd::saturday(seed));
        assert_eq!(ids(&crowd(1)), ids(&crowd(1)));
        assert_ne!(ids(&crowd(1)), ids(&crowd(2)));
    }

    #[test]
    fn arrivals_come_at_the_stated_rate_in_order_and_with_numbers_of_their_own() {
        let crowd = Crowd::saturday(1);
        let mut seen = HashSet::new();
        for product in Product::ALL {
            let expected = f64::from(crowd.base_per_s[product.index()] * 60);
            for how in [Steady::Poisson, Steady::Even] {
                let base = steady(&crowd, product, MINUTE, how);
                assert!((base.len() as f64 / expected - 1.0).abs() < 0.08, "{}", base.len());
                assert!(base.windows(2).all(|two| two[0].arrives <= two[1].arrives));
            }
            let base = steady(&crowd, product, MINUTE, Steady::Poisson);
            assert!(base.iter().all(|traits| seen.insert(traits.id)));
        }
        assert!(burst(&crowd).iter().all(|traits| seen.insert(traits.id)));
    }

    #[test]
    fn the_burst_is_seven_thousand_and_two_thirds_come_within_the_spread() {
        let all = burst(&Crowd::saturday(3));
        let early = all.iter().filter(|t| t.arrives < Duration::from_secs(6)).count();
        assert_eq!(all.len(), 7_000);
        assert!((4_300..4_550).contains(&early), "1 - 1/e of them: {early}");
    }

    #[test]
    fn manners_and_patience_are_as_stated() {
        let all = burst(&Crowd::saturday(4));
        let share = |kind| all.iter().filter(|t| t.kind == kind).count() * 100 / all.len();
        assert!((68..=72).contains(&share(Kind::Person)));
        assert!((18..=22).contains(&share(Kind::App)));
        assert!((8..=12).contains(&share(Kind::Hammerer)));
        let (low, high) = (Duration::from_secs(40), Duration::from_secs(80));
        assert!(all.iter().all(|t| (low..=high).contains(&t.patience)));
    }
}
