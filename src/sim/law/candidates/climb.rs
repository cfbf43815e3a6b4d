//! A limit that finds the knee by asking what the last seats were worth.
//!
//! No latency baseline is learned, so there is none to drift: every limiter that compares latency with a
//! learned minimum ratchets under steady overload (Netflix concurrency-limits #137, Envoy #11579). What
//! is compared is *goodput at two limits, measured next to each other in time*: with `X` answers per
//! second at `n` seats, the elasticity
//!
//! ```text
//!     e = Δ ln X / Δ ln n        1: twice the seats, twice the answers      0: the seats only wait
//! ```
//!
//! is near 1 below the knee, near 0 above it, negative where piling up does harm.
//!
//! - **Search**: double the seats while a doubling is worth it (`e ≥ ½`); where it does harm from the start, halve
//!   them as long as that brings more: a handful of windows to the knee, from either side.
//! - **Track**: hold the limit a little below and above the level, in the order low, high, high, low (which
//!   cancels a steady drift), and move the level by `gain · (e − e*)`: stochastic approximation (Kiefer,
//!   Wolfowitz 1952), which averages the noise of counting by itself. The gain grows while steps agree and
//!   shrinks when they turn (Kesten 1958), so a knee that has moved is followed fast and one that rests is not
//!   left for noise. How little is little: as near as the counted answers can tell two limits apart.
//!
//! The latency objective is the brake: while more than a tenth of the answers miss it, a seat must be worth
//! much more (`e*` rises), and where piling up is the reason the level falls at once. Failures brake where
//! more seats bring more of them. A backend that is slow or fails by nature keeps `e` near 1 and is not
//! starved for it.
//!
//! A window is a stretch in which this limit held work up all the time. One free seat voids it: what follows
//! would measure the demand, or the silence of a closure, and not the backend.

use std::time::Duration;

use super::bounds;
use super::window::Window;
use crate::admission::Timestamp;
use crate::admission::limit::{Limit, Sample};
use crate::admission::settings::Range;

mod search;
mod side;

use search::{Tried, WORTH_DOUBLING, Way};
use side::Side;

/// See the module.
#[derive(Debug)]
pub(super) struct Climb {
    least: f64,
    most: f64,
    level: f64,
    /// How far apart, as a part of the level, the limits of a comparison lie on either side.
    wobble: f64,
    gain: f64,
    last_step: f64,
    found: bool,
    /// Whether the level fell because nearly nothing was answered: it tells of an outage and not of a knee.
    lost: bool,
    mode: Mode,
    seats: u32,
    window: Window,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// Doubling or halving, with the last window to compare with.
    Search { way: Way, before: Option<Tried> },
    /// Around the level: which of the four windows this is, and what the earlier ones showed.
    Track { step: usize, seen: [Side; 2] },
}

/// The fewest answers in a window: 50 give the logarithm of a rate within ±0.14.
const FEWEST: u32 = 50;
/// The shortest window, in search: below this, scheduling is measured and not the backend.
const SHORTEST: Duration = Duration::from_millis(100);
/// The same around the level, where there is time to look closer.
const SHORTEST_AROUND: Duration = Duration::from_millis(300);
/// The elasticity to settle at: a little short of the top, where latency is still near its floor.
const SETTLE: f64 = 0.15;
/// The elasticity to settle at while the latency objective is missed.
const SETTLE_SLOW: f64 = 0.6;
const LOW: usize = 0;
const HIGH: usize = 1;
/// The windows of a comparison.
const ORDER: [usize; 4] = [LOW, HIGH, HIGH, LOW];
/// Between these the wobble follows the noise of counting.
const WOBBLE: (f64, f64) = (0.05, 0.2);
/// How far a comparison moves the level for a whole unit of elasticity, at least and at most.
const GAIN: (f64, f64) = (0.15, 0.4);
/// What two steps one way make of the gain, and what a turn makes of it.
const AGREED: f64 = 1.5;
const TURNED: f64 = 0.5;
/// The most a comparison moves the level, in logarithms.
const MOST_STEP: f64 = 0.3;
/// The least it comes down by when more seats bring more failures.
const BRAKE: f64 = 0.15;

impl Climb {
    /// A limit that knows nothing yet.
    pub(super) fn new(range: &Range) -> Climb {
        let [least, seats, most] = bounds(range);
        Climb {
            least: f64::from(least),
            most: f64::from(most),
            level: f64::from(seats),
            wobble: WOBBLE.1,
            gain: GAIN.0,
            last_step: 0.0,
            found: false,
            lost: false,
            mode: Mode::Search { way: Way::Either, before: None },
            seats,
            // The first answers come while the backends still fill.
            window: Window::after(seats),
        }
    }

    /// Take `seats` as the limit and measure from where its effect is seen.
    fn hold(&mut self, seats: f64) {
        self.seats = seats.round().clamp(self.least, self.most) as u32;
        self.window = Window::after(self.seats);
    }

    fn settle(&mut self, level: f64) {
        self.level = level.clamp(self.least, self.most);
        self.found = true;
        self.compare(0, [Side::default(); 2]);
    }

    /// Begin the window `step` of a comparison.
    fn compare(&mut self, step: usize, seen: [Side; 2]) {
        self.mode = Mode::Track { step, seen };
        self.hold(self.sides()[ORDER[step]]);
    }

    /// Seats below and above the level. At a few seats a fifth is less than one, and at the ends of the range
    /// there is no room on one side: they differ all the same, unless the range is a single number.
    fn sides(&self) -> [f64; 2] {
        let low = (self.level * (1.0 - self.wobble)).round().clamp(self.least, self.most);
        let high = (self.level * (1.0 + self.wobble)).round().max(low + 1.0).min(self.most);
        [low.min((high - 1.0).max(self.least)), high]
    }

    fn close(&mut self, window: &Window, now: Timestamp) {
        let rate = window.rate(now);
        match self.mode {
            Mode::Search { way, before } => self.search(way, before, window, rate),
            Mode::Track { step, mut seen } => {
                seen[ORDER[step]].add(window, rate);
                if step + 1 < ORDER.len() {
                    self.compare(step + 1, seen);
                } else {
                    self.track(seen);
                }
            }
        }
    }

    fn track(&mut self, [below, above]: [Side; 2]) {
        let [low, high] = self.sides();
        let slow = (below.slow() + above.slow()) / 2.0;
        let settle_at = if slow > 0.1 { SETTLE_SLOW } else { SETTLE };
        // Where the range is a single number there is nothing to compare.
        let worth = if high > low { (above.ln_rate - below.ln_rate) / 2.0 / (high / low).ln() } else { settle_at };
        let mut step = (self.gain * (worth - settle_at)).clamp(-MOST_STEP, MOST_STEP);
        let failing = (below.failed() + above.failed()) / 2.0;
        if self.lost && failing < 0.05 {
            self.lost = false;
            return self.search_from(self.level, Way::Either);
        }
        if failing > 0.5 {
            self.lost = true;
            step = -MOST_STEP;
        } else if slow > 0.5 && worth < WORTH_DOUBLING {
            step = -MOST_STEP;
        } else if above.failed() > below.failed() + 0.05 {
            step = step.min(-BRAKE);
        }
        let pace = if step * self.last_step > 0.0 { AGREED } else { TURNED };
        self.gain = (self.gain * pace).clamp(GAIN.0, GAIN.1);
        self.last_step = step;
        // The more answers, the less noise, and the nearer to the level two limits can be told apart.
        let answers = f64::from(below.done + above.done) / ORDER.len() as f64;
        self.wobble = (WOBBLE.1 * (f64::from(FEWEST) / answers).sqrt()).clamp(WOBBLE.0, WOBBLE.1);
        self.settle(self.level * step.exp());
    }
}

impl Limit for Climb {
    fn seats(&self) -> u32 {
        self.seats
    }

    fn observe(&mut self, sample: &Sample, now: Timestamp) {
        self.window.count(sample, now);
        let (fewest, shortest) = match self.mode {
            Mode::Search { .. } => (FEWEST.max(self.seats), SHORTEST),
            Mode::Track { .. } => (FEWEST.max(self.seats.saturating_mul(3)), SHORTEST_AROUND),
        };
        if self.window.is_full(fewest, shortest, now) {
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
            self.found = true;
            self.search_from(knee, Way::Down);
        }
    }

    fn rescale(&mut self, by: f64) {
        let level = (self.level * by).clamp(self.least, self.most);
        match self.mode {
            Mode::Search { .. } => self.search_from(level, Way::Either),
            Mode::Track { .. } => self.settle(level),
        }
    }

    fn range(&self) -> Option<(u32, u32)> {
        Some((self.least as u32, self.most as u32))
    }
}

#[cfg(test)]
mod tests;
