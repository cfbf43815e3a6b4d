//! A small generator made from a seed: the only chance admission knows.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): enough for jitter and tie-breaks, equal on every machine.

use std::time::Duration;

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that repeats itself for the same `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        drawn
    }

    /// A number below `bound` (0 when `bound` is 0), as good as evenly spread.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A duration in `[from, to)`; `from` when the two are equal.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = to.saturating_sub(from).as_nanos().min(u128::from(u64::MAX)) as u64;
        from + Duration::from_nanos(self.below(span))
    }
}

/// A number of which each bit depends on all of `bits`: SplitMix64's last step.
pub fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(GOLDEN);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(Random::new(7).next_u64(), Random::new(8).next_u64());
    }

    #[test]
    fn between_stays_inside() {
        let mut random = Random::new(1);
        let (from, to) = (Duration::from_millis(5), Duration::from_millis(9));
        for _ in 0..1000 {
            let drawn = random.between(from, to);
            assert!(drawn >= from && drawn < to);
        }
        assert_eq!(random.between(from, from), from);
        assert_eq!(random.below(0), 0);
    }
}
