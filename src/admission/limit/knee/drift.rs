//! Whether surprises add up to a change.

use super::Lean;

/// Cumulative sums of surprises, upwards and downwards (Page: "Continuous inspection schemes", 1954).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drift {
    up: f64,
    down: f64,
}

/// A surprise of so many standard deviations is ordinary.
const ORDINARY: f64 = 0.6;
/// So much beyond it, added up, is a change. Of chance alone, once in some ten thousand windows.
const CHANGE: f64 = 6.0;

impl Drift {
    /// One more surprise, in standard deviations; which way the world has changed, if it has.
    pub(super) fn add(&mut self, surprise: f64) -> Option<Lean> {
        self.up = (self.up + surprise - ORDINARY).max(0.0);
        self.down = (self.down - surprise - ORDINARY).max(0.0);
        match (self.up > CHANGE, self.down > CHANGE) {
            (true, _) => Some(Lean::Up),
            (_, true) => Some(Lean::Down),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_surprises_one_way_are_a_change_and_both_ways_are_noise() {
        let mut drift = Drift::default();
        assert_eq!((0..100).find_map(|_| drift.add(1.2)), Some(Lean::Up));
        let mut drift = Drift::default();
        assert_eq!((0..100).find_map(|_| drift.add(-3.0)), Some(Lean::Down));
        let mut drift = Drift::default();
        assert_eq!((0..1000).find_map(|n| drift.add(if n % 2 == 0 { 2.0 } else { -2.0 })), None);
    }
}
