//! A small generator made from a seed: same seed, same Saturday, on every machine.
//!
//! Only integers are used, the exponential included, because the last digit of a logarithm may differ between two
//! maths libraries and one different digit makes a different afternoon.

use std::time::Duration;

use crate::admission;

/// Admission's generator, with what models of customers and backends draw besides. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(admission::random::Random);

impl Random {
    /// A generator; equal seeds give equal sequences.
    pub fn new(seed: u64) -> Self {
        Self(admission::random::Random::new(seed))
    }

    /// A generator of its own for the `nth` of many, so that one drawing more does not shift what the others draw.
    pub fn nth(seed: u64, nth: u64) -> Self {
        let mut mixer = Self::new(seed ^ nth.wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self::new(mixer.next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly from `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// Evenly between `low` and `high`.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        self.0.between(low, high)
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Exponentially distributed with this mean.
    ///
    /// Von Neumann's method: the length of a descending run of uniform numbers that begins with `u` is odd with
    /// probability `e^-u`; each even run adds a whole unit. Comparisons only, no logarithm.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        let mean = as_nanos(mean);
        let mut whole = 0;
        loop {
            let first = self.next_u64();
            if self.descending_run(first) % 2 == 1 {
                return nanos(whole + scale(mean, first));
            }
            whole += mean;
        }
    }

    fn descending_run(&mut self, first: u64) -> u32 {
        let mut last = first;
        let mut length = 1;
        loop {
            let next = self.next_u64();
            if next >= last {
                return length;
            }
            last = next;
            length += 1;
        }
    }
}

/// `bound * fraction / 2^64`.
fn scale(bound: u64, fraction: u64) -> u64 {
    let product = (u128::from(bound) * u128::from(fraction)) >> 64;
    u64::try_from(product).unwrap_or(u64::MAX)
}

fn as_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos(count: u64) -> Duration {
    Duration::from_nanos(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(Random::nth(7, 1).next_u64(), Random::nth(7, 2).next_u64());
    }

    #[test]
    fn uniform_numbers_stay_in_bounds_and_spread() {
        let mut random = Random::new(1);
        let mut hits = [0_u32; 10];
        for _ in 0..10_000 {
            hits[usize::try_from(random.below(10)).expect("below ten")] += 1;
        }
        assert!(hits.iter().all(|&n| (850..1150).contains(&n)), "{hits:?}");
        let low = Duration::from_millis(500);
        let high = Duration::from_secs(1);
        assert!((0..1000).map(|_| random.between(low, high)).all(|d| (low..high).contains(&d)));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn the_exponential_has_its_mean_and_its_tail() {
        let mut random = Random::new(2);
        let mean = Duration::from_millis(10);
        let drawn: Vec<Duration> = (0..40_000).map(|_| random.exponential(mean)).collect();
        let average = drawn.iter().sum::<Duration>() / 40_000;
        assert!((9_800..10_200).contains(&average.as_micros()), "{average:?}");
        // e^-3 of all are above three means: 1,991 of 40,000.
        let tail = drawn.iter().filter(|&&d| d > mean * 3).count();
        assert!((1_850..2_150).contains(&tail), "{tail}");
    }
}
