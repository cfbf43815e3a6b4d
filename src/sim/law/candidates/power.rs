//! Uphill on power, goodput divided by a power of how long it takes: the limit of the research before this project, put
//! into our own domain.
//!
//! While a limit of `n` seats holds work up, all of them are in use, and by Little's law an answer takes `n / X` where `X` is
//! answers per second. So with good answers `G` per second
//!
//! ```text
//! power = G / (n / X)^a
//! ```
//!
//! needs no clock on a request and no baseline. Where all answers are good it is highest where one part more seats is
//! worth `a / (1 + a)` parts more answers: a third for `a = ½`. The way of climbing is that of
//! [`classic::power`](crate::sim::law::classic): on while power grows, round when it falls, each step from one window alone.

use std::time::Duration;

use super::bounds;
use super::window::Window;
use crate::admission::Timestamp;
use crate::admission::limit::{Limit, Sample};
use crate::admission::settings::Range;

/// See the module.
#[derive(Debug)]
pub(super) struct Power {
    least: f64,
    most: f64,
    level: f64,
    window: Window,
    /// The power of the last window in which it climbed; `None` when it must find out anew.
    last: Option<f64>,
    upwards: bool,
    /// Whether it has ever turned, so that there is a level to tell of.
    found: bool,
}

/// What latency counts for.
const EXPONENT: f64 = 0.5;
const SHORTEST: Duration = Duration::from_millis(500);
/// So long at most, however few have come.
const LONGEST: Duration = Duration::from_secs(5);
const FEWEST: u32 = 100;
/// A step, as a part of the level; one seat at least.
const STEP: f64 = 0.08;
/// What is left of the level where most answers are late or fail and fewer seats did not show it earlier.
const BRAKE: f64 = 0.7;

impl Power {
    /// A limit that knows nothing yet.
    pub(super) fn new(range: &Range) -> Power {
        let [least, seats, most] = bounds(range);
        Power {
            least: f64::from(least),
            most: f64::from(most),
            level: f64::from(seats),
            window: Window::after(seats),
            last: None,
            upwards: true,
            found: false,
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let (window, age) = (&self.window, self.window.age(now));
        window.done > 0 && age >= SHORTEST && (window.done >= FEWEST || age >= LONGEST)
    }

    fn decide(&mut self, now: Timestamp) {
        if self.window.is_swamped() {
            (self.last, self.upwards) = (None, true);
            return self.hold(self.level * BRAKE);
        }
        let seconds = self.window.age(now).as_secs_f64();
        let takes = f64::from(self.seats()) * seconds / f64::from(self.window.done);
        self.climb(self.window.rate(now) / takes.powf(EXPONENT));
    }

    fn climb(&mut self, power: f64) {
        let on = self.last.is_none_or(|last| power >= last);
        self.found |= !on;
        self.upwards = self.upwards == on;
        self.last = Some(power);
        let step = (STEP * self.level).max(1.0);
        self.hold(if self.upwards { self.level + step } else { self.level - step });
    }

    fn hold(&mut self, level: f64) {
        self.level = level.clamp(self.least, self.most);
        self.window = Window::after(self.seats());
    }
}

impl Limit for Power {
    fn seats(&self) -> u32 {
        self.level.round() as u32
    }

    fn observe(&mut self, sample: &Sample, now: Timestamp) {
        self.window.count(sample, now);
        if !sample.saturated {
            // What was measured before was measured under another load.
            self.last = None;
        } else if self.is_due(now) {
            self.decide(now);
        }
    }

    fn knee(&self) -> Option<f64> {
        self.found.then_some(self.level)
    }

    fn recall(&mut self, knee: f64) {
        // A journal may hold anything.
        if knee.is_finite() {
            (self.found, self.last) = (true, None);
            self.hold(knee);
        }
    }

    fn rescale(&mut self, by: f64) {
        self.last = None;
        self.hold(self.level * by);
    }

    fn range(&self) -> Option<(u32, u32)> {
        Some((self.least as u32, self.most as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{GOOD, bring, from, settled};
    use super::*;

    #[test]
    fn it_goes_on_while_power_grows_and_turns_when_it_falls() {
        let mut law = Power::new(&from(8));
        let now = bring(&mut law, Timestamp::ZERO, 400.0);
        assert_eq!(law.seats(), 9, "nothing to compare with: upwards");
        let now = bring(&mut law, now, 450.0);
        assert_eq!((law.seats(), law.knee()), (10, None));
        let now = bring(&mut law, now, 450.0);
        assert_eq!(law.seats(), 9, "the tenth seat brought nothing but time");
        bring(&mut law, now, 450.0);
        assert_eq!((law.seats(), law.knee()), (8, Some(8.0)), "downwards was better, so on");
    }

    #[test]
    fn a_free_seat_leaves_it_nothing_to_compare_with() {
        let mut law = Power::new(&from(8));
        let now = bring(&mut law, Timestamp::ZERO, 400.0);
        (0..20).for_each(|_| law.observe(&Sample { saturated: false, ..GOOD }, now));
        bring(&mut law, now, 100.0);
        assert_eq!(law.seats(), 10, "a quarter of the answers, and still upwards");
    }

    #[test]
    fn it_stays_around_the_knee() {
        let level = settled(&mut Power::new(&from(8)), 20.0, 0, 240);
        assert!((12.0..30.0).contains(&level), "{level}");
    }
}
