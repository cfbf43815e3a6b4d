//! Whether surprises add up to a change, and of what.

use super::super::Timestamp;
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    all: Drift,
    below: Drift,
    above: Drift,
    /// Changes of late, as of the latest window.
    changes: f64,
    latest: Timestamp,
}

/// So many changes in so many seconds are the nature of the work.
const OFTEN: f64 = 3.5;
const OFTEN_S: f64 = 30.0;
/// Then one surprise of so many standard deviations is a change of pace.
const STARTLING: f64 = 4.0;

impl Alarm {
    /// Nothing was a surprise yet.
    pub(super) fn new() -> Alarm {
        let quiet = Drift::default();
        Alarm { all: quiet, below: quiet, above: quiet, changes: 0.0, latest: Timestamp::ZERO }
    }

    /// A window that ended now came as a surprise of so many standard deviations. What has changed, if anything.
    pub(super) fn add(&mut self, probe: Probe, surprise: f64, now: Timestamp) -> Option<Change> {
        self.changes *= (-now.since(self.latest).as_secs_f64() / OFTEN_S).exp();
        self.latest = now;
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
        *self = Alarm { changes: self.changes, latest: self.latest, ..Alarm::new() };
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
    use std::time::Duration;

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
        let (mut alarm, mut now) = (Alarm::new(), Timestamp::ZERO);
        let mut add = |apart_ms: u64| {
            now += Duration::from_millis(apart_ms);
            alarm.add(Probe::Base, 5.0, now)
        };
        let rare: Vec<Change> = (0..20).filter_map(|_| add(10_000)).collect();
        assert_eq!(rare, [Change::World(Lean::Up); 10], "one in twenty seconds");
        let often: Vec<Change> = (0..6).filter_map(|_| add(100)).collect();
        assert_eq!(often.last(), Some(&Change::Pace), "{often:?}");
        assert_eq!(add(100), Some(Change::Pace), "by then one such surprise is enough");
    }
}
