//! A straight line through the last windows: how much more comes of how many more seats.
//!
//! Each window holds a limit a tenth below or above the level, in the order low, high, high, low, and leaves a point
//! `(ln n, ln X)`. The slope of the weighted least squares through the points is what one part more seats was worth lately;
//! the level follows it, minus what a seat must be worth. The weight of a point is its answers, since the logarithm of a count
//! has a variance of one in so many, and falls with age. Where the points say little, the line is drawn towards what a
//! seat must be worth: who knows nothing moves nowhere.
//!
//! Beside `climb` it uses a dozen windows for each step and not four; beside [`Knee`](crate::admission::limit::Knee) it
//! sees nothing but a line, where there is a corner.

use std::time::Duration;

use super::bounds;
use super::window::Window;
use crate::admission::Timestamp;
use crate::admission::limit::{Limit, Sample};
use crate::admission::settings::Range;

/// See the module.
#[derive(Debug)]
pub(super) struct Slope {
    least: f64,
    most: f64,
    level: f64,
    seats: u32,
    window: Window,
    line: Line,
    /// Windows since the beginning.
    turn: usize,
    /// Whether there were windows enough to tell of a level.
    found: bool,
    /// The part of the answers that missed the objective lately.
    late: f64,
    /// Nearly nothing is answered: that tells of an outage and not of a knee.
    lost: bool,
}

/// Sums of the points, each with its weight.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

/// The fewest answers in a window; twice the seats if that is more.
const FEWEST: u32 = 40;
const SHORTEST: Duration = Duration::from_millis(100);
/// How far a window's limit lies from the level, as a part of it; one seat at least.
const DITHER: f64 = 0.1;
const SIDES: [f64; 4] = [-1.0, 1.0, 1.0, -1.0];
/// What is left of a point when the next has come: about a dozen count.
const KEEP: f64 = 0.92;
/// What one part more seats must bring in parts more answers, and the same while the objective is missed.
const PRICE: f64 = 0.2;
const PRICE_LATE: f64 = 0.5;
/// So many answers' worth of doubt, a tenth from the level, draw the line to where it is expected.
const DOUBT: f64 = 60.0 * DITHER * DITHER;
/// How far a window moves the level for a whole unit of slope, and at most; in logarithms.
const GAIN: f64 = 0.25;
const MOST_STEP: f64 = 0.2;
/// Windows after which a level is worth telling.
const ENOUGH: usize = 12;

impl Slope {
    /// A limit that knows nothing yet.
    pub(super) fn new(range: &Range) -> Slope {
        let [least, seats, most] = bounds(range);
        Slope {
            least: f64::from(least),
            most: f64::from(most),
            level: f64::from(seats),
            seats,
            window: Window::after(seats),
            line: Line::default(),
            turn: 0,
            found: false,
            late: 0.0,
            lost: false,
        }
    }

    fn close(&mut self, window: &Window, now: Timestamp) {
        self.late += (window.late_part() - self.late) * 0.3;
        let failed = window.failed_part();
        if failed > 0.5 || (self.lost && failed > 0.05) {
            (self.lost, self.line) = (true, Line::default());
            return self.follow(-MOST_STEP);
        }
        self.lost = false;
        self.line.add(f64::from(self.seats).ln(), window.rate(now).ln(), f64::from(window.done));
        let price = if self.late > 0.1 { PRICE_LATE } else { PRICE };
        self.follow((GAIN * (self.line.slope(price) - price)).clamp(-MOST_STEP, MOST_STEP));
    }

    /// Move the level by so many parts of itself, and hold a limit on the next side of it.
    fn follow(&mut self, step: f64) {
        self.level = (self.level * step.exp()).clamp(self.least, self.most);
        self.turn += 1;
        self.found |= self.turn >= ENOUGH;
        let aside = (self.level * DITHER).max(1.0) * SIDES[self.turn % SIDES.len()];
        self.hold(self.level + aside);
    }

    fn hold(&mut self, seats: f64) {
        let before = self.seats;
        self.seats = seats.round().clamp(self.least, self.most) as u32;
        self.window = Window::after(if self.seats == before { 0 } else { self.seats.max(before) });
    }
}

impl Limit for Slope {
    fn seats(&self) -> u32 {
        self.seats
    }

    fn observe(&mut self, sample: &Sample, now: Timestamp) {
        self.window.count(sample, now);
        let fewest = FEWEST.max(self.seats.saturating_mul(2));
        if self.window.is_full(fewest, SHORTEST, now) {
            let window = self.window;
            self.close(&window, now);
        }
    }

    fn knee(&self) -> Option<f64> {
        (self.found && !self.lost).then_some(self.level)
    }

    fn recall(&mut self, knee: f64) {
        // A journal may hold anything.
        if knee.is_finite() {
            self.level = knee.clamp(self.least, self.most);
            (self.line, self.lost, self.found) = (Line::default(), false, true);
            self.hold(self.level);
        }
    }

    fn rescale(&mut self, by: f64) {
        self.level = (self.level * by).clamp(self.least, self.most);
        // Points of another capacity: a new line.
        self.line = Line::default();
        self.hold(self.level);
    }

    fn range(&self) -> Option<(u32, u32)> {
        Some((self.least as u32, self.most as u32))
    }
}

impl Line {
    fn add(&mut self, x: f64, y: f64, weight: f64) {
        let Line { weight: sum, x: sx, y: sy, xx, xy } = *self;
        *self = Line {
            weight: sum * KEEP + weight,
            x: sx * KEEP + weight * x,
            y: sy * KEEP + weight * y,
            xx: xx * KEEP + weight * x * x,
            xy: xy * KEEP + weight * x * y,
        };
    }

    /// How steep it is; `expected` where the points say nothing.
    fn slope(&self, expected: f64) -> f64 {
        let (x, y) = (self.x / self.weight, self.y / self.weight);
        let (xx, xy) = (self.xx - self.x * x, self.xy - self.x * y);
        (xy + DOUBT * expected) / (xx + DOUBT)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{GOOD, from, settled};
    use super::*;
    use crate::admission::Outcome;

    #[test]
    fn a_line_is_as_steep_as_its_points_and_as_expected_where_they_say_nothing() {
        let mut line = Line::default();
        line.add(2.0, 5.0, 1e6);
        assert_eq!(line.slope(0.2), 0.2);
        line.add(2.2, 5.1, 1e6);
        assert!((line.slope(0.2) - 0.5).abs() < 1e-3, "{}", line.slope(0.2));
    }

    #[test]
    fn it_settles_near_the_knee_from_below_and_from_above() {
        for (initial, knee) in [(8, 20.0), (8, 100.0), (200, 20.0)] {
            let level = settled(&mut Slope::new(&from(initial)), knee, 0, 120);
            assert!((0.75 * knee..1.5 * knee).contains(&level), "from {initial} to {knee}: {level}");
        }
    }

    #[test]
    fn an_outage_is_not_told_as_a_level() {
        let mut law = Slope::new(&from(8));
        settled(&mut law, 20.0, 0, 30);
        assert!(law.knee().is_some());
        let failed = crate::admission::limit::Sample { outcome: Outcome::Failed, ..GOOD };
        (0..5000).for_each(|n| law.observe(&failed, Timestamp::after(Duration::from_millis(30_000 + n))));
        assert!(law.knee().is_none() && law.seats() <= 5, "{law:?}");
    }
}
