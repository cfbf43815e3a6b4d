//! Whether surprises add up to a change, and of what.

use super::{Lean, Probe};

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing is as it was; which way it went.
    World(Lean),
    /// The pace at which answers come, as it does all the time: requests of another kind, which the same knee serves.
    Pace,
}

/// Surprises so far: of all windows, and of those below and those above by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    all: Drift,
    below: Drift,
    above: Drift,
    /// Changes of late.
    changes: f64,
}

/// So many changes in so many seconds are the nature of the work.
const OFTEN: f64 = 2.5;
const OFTEN_S: f64 = 30.0;
/// Then one surprise of so many standard deviations is a change of pace.
const STARTLING: f64 = 4.0;

impl Alarm {
    /// A window of so many seconds came as a surprise of so many standard deviations. What has changed, if anything.
    pub(super) fn add(&mut self, probe: Probe, surprise: f64, seconds: f64) -> Option<Change> {
        self.changes *= (-seconds / OFTEN_S).exp();
        let startling = self.is_restless() && surprise.abs() > STARTLING;
        let lean = if startling { Lean::Either } else { self.add_up(probe, surprise)? };
        self.forget();
        self.changes += 1.0;
        Some(if self.is_restless() { Change::Pace } else { Change::World(lean) })
    }

    fn add_up(&mut self, probe: Probe, surprise: f64) -> Option<Lean> {
        let change = self.all.add(surprise);
        let apart = match probe {
            Probe::Base => None,
            Probe::Below => self.below.add(surprise),
            Probe::Above => self.above.add(surprise),
        };
        change.or(apart)
    }

    /// What was expected until now is not any more.
    pub(super) fn forget(&mut self) {
        *self = Alarm { changes: self.changes, ..Alarm::default() };
    }

    /// Whether the pace changes all the time.
    pub(super) fn is_restless(&self) -> bool {
        self.changes > OFTEN
    }

    /// Whether nothing has changed of late.
    pub(super) fn is_calm(&self) -> bool {
        self.changes < 1.0
    }
}

/// Cumulative sums of surprises, upwards and downwards (Page: "Continuous inspection schemes", 1954).
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    up: f64,
    down: f64,
}

/// A surprise of so many standard deviations is ordinary.
const ORDINARY: f64 = 0.6;
/// So much beyond it, added up, is a change. Of chance alone, once in some ten thousand windows.
const CHANGE: f64 = 6.0;

impl Drift {
    /// One more surprise, in standard deviations; which way the world has changed, if it has.
    fn add(&mut self, surprise: f64) -> Option<Lean> {
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

    #[test]
    fn a_change_now_and_then_is_of_the_world_and_one_after_another_is_of_the_pace() {
        let changed = |alarm: &mut Alarm, seconds: f64| loop {
            if let Some(change) = alarm.add(Probe::Base, 5.0, seconds) {
                return change;
            }
        };
        let mut alarm = Alarm::default();
        assert!((0..10).all(|_| changed(&mut alarm, 20.0) == Change::World(Lean::Up)), "one in forty seconds");
        let changes: Vec<Change> = (0..4).map(|_| changed(&mut alarm, 0.1)).collect();
        assert_eq!(changes[3], Change::Pace, "{changes:?}");
        assert_eq!(alarm.add(Probe::Base, 5.0, 0.1), Some(Change::Pace), "by then one such surprise is enough");
    }
}
