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
//! - **Search**: double the seats while a doubling is worth it (`e ≥ ½`): a handful of windows to the knee.
//! - **Track**: hold the limit a fifth below and a fifth above the level, in the order low, high, high, low
//!   (which cancels a steady drift), and move the level by `GAIN · (e − e*)`: stochastic approximation
//!   (Kiefer, Wolfowitz 1952), which averages the noise of counting by itself.
//!
//! The latency objective is the brake: while more than a tenth of the answers miss it, a seat must be worth
//! much more (`e*` rises), and where piling up is the reason the level falls at once. A backend that is slow
//! by nature keeps `e` near 1 and is not starved for it. The limit moves only on windows in which it was
//! what held work up.

use std::time::Duration;

use super::super::Outcome;
use super::super::settings::ClimbSettings;
use super::{Limit, Sample, Timestamp};

/// See the module.
#[derive(Debug)]
pub struct Climb {
    settings: ClimbSettings,
    level: f64,
    mode: Mode,
    seats: u32,
    window: Window,
    found: bool,
}

#[derive(Debug)]
enum Mode {
    /// Doubling, with the last window's seats and rate to compare with.
    Search { before: Option<(f64, f64)> },
    /// Around the level: which of the four windows this is, and what the earlier ones showed.
    Track { step: usize, seen: Comparison },
}

/// Sums over the windows of one comparison.
#[derive(Clone, Copy, Debug, Default)]
struct Comparison {
    low: f64,
    high: f64,
    slow: u32,
    failed: u32,
    done: u32,
}

/// What came back since the limit last moved.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Answers still to come of those let through under the previous limit: they say nothing of this one.
    skip: u32,
    since: Timestamp,
    done: u32,
    answered: u32,
    slow: u32,
    failed: u32,
    saturated: u32,
}

/// The fewest answers in a window: 50 give the logarithm of a rate within ±0.14.
const FEWEST: u32 = 50;
/// The shortest window: below this, scheduling is measured and not the backend.
const SHORTEST: Duration = Duration::from_millis(50);
/// Seats in the four windows of a comparison, as parts of the level.
const AROUND: [f64; 4] = [0.8, 1.2, 1.2, 0.8];
/// A doubling in search must be worth this much to try the next.
const WORTH_DOUBLING: f64 = 0.5;
/// In search, below this the last doubling brought nothing.
const WORTH_NOTHING: f64 = 0.15;
/// The elasticity to settle at: a little short of the top, where latency is still near its floor.
const SETTLE: f64 = 0.2;
/// The elasticity to settle at while the latency objective is missed.
const SETTLE_SLOW: f64 = 0.6;
/// How far one comparison moves the level.
const GAIN: f64 = 0.15;
/// The most one comparison moves it, in logarithms.
const MOST_STEP: f64 = 0.15;

impl Climb {
    /// A limit that knows nothing yet.
    pub fn new(settings: ClimbSettings) -> Climb {
        let level = f64::from(settings.initial.get());
        let mut climb = Climb {
            settings,
            level,
            mode: Mode::Search { before: None },
            seats: 0,
            window: Window::after(0),
            found: false,
        };
        climb.hold(level);
        climb
    }

    /// Take `seats` as the limit and measure from where its effect is seen.
    fn hold(&mut self, seats: f64) {
        let (least, most) = (self.settings.least.get(), self.settings.most.get());
        self.seats = (seats.round() as u32).clamp(least, most);
        self.window = Window::after(self.seats);
    }

    fn settle(&mut self, level: f64) {
        let (least, most) = (self.settings.least.get(), self.settings.most.get());
        self.level = level.clamp(f64::from(least), f64::from(most));
        self.found = true;
        self.compare(0, Comparison::default());
    }

    /// Begin the window `step` of a comparison.
    fn compare(&mut self, step: usize, seen: Comparison) {
        self.mode = Mode::Track { step, seen };
        let low = (self.level * AROUND[0]).round().max(1.0);
        // At a few seats a fifth is less than one; the two must differ to be compared.
        let high = (self.level * AROUND[1]).round().max(low + 1.0);
        let least = self.settings.least.get();
        let seats = if AROUND[step] < 1.0 { low } else { high };
        self.seats = (seats as u32).clamp(least.min(low as u32).max(1), self.settings.most.get());
        self.window = Window::after(self.seats);
    }

    fn close(&mut self, window: Window, now: Timestamp) {
        if window.saturated * 2 < window.done {
            return self.stay();
        }
        let rate = window.rate(now);
        match self.mode {
            Mode::Search { before } => self.search(before, &window, rate),
            Mode::Track { step, seen } => {
                let seen = seen.with(AROUND[step], rate, &window);
                if step + 1 < AROUND.len() {
                    self.compare(step + 1, seen);
                } else {
                    self.track(seen);
                }
            }
        }
    }

    /// Nobody needed more seats than there are: nothing was learned about the limit.
    fn stay(&mut self) {
        match self.mode {
            Mode::Search { .. } => {
                self.mode = Mode::Search { before: None };
                self.window = Window::after(0);
            }
            Mode::Track { .. } => self.compare(0, Comparison::default()),
        }
    }

    fn search(&mut self, before: Option<(f64, f64)>, window: &Window, rate: f64) {
        let seats = f64::from(self.seats);
        if window.failed * 20 > window.done {
            return self.settle(before.map_or(seats * 0.7, |(seats, _)| seats));
        }
        if let Some((seats_before, rate_before)) = before {
            let worth = (rate / rate_before).ln() / (seats / seats_before).ln();
            if worth < WORTH_NOTHING {
                return self.settle(seats_before);
            } else if worth < WORTH_DOUBLING {
                return self.settle((seats_before * seats).sqrt());
            }
        }
        if self.seats >= self.settings.most.get() {
            return self.settle(seats);
        }
        self.mode = Mode::Search { before: Some((seats, rate)) };
        self.level = seats * 2.0;
        self.hold(self.level);
    }

    fn track(&mut self, seen: Comparison) {
        let low = (self.level * AROUND[0]).round().max(1.0);
        let high = (self.level * AROUND[1]).round().max(low + 1.0);
        let worth = (seen.high - seen.low) / 2.0 / (high / low).ln();
        let slow = seen.slow * 10 > seen.done;
        let settle_at = if slow { SETTLE_SLOW } else { SETTLE };
        let mut step = (GAIN * (worth - settle_at)).clamp(-MOST_STEP, MOST_STEP);
        let swamped = seen.slow * 2 > seen.done && worth < WORTH_DOUBLING;
        if swamped {
            step = step.min(-MOST_STEP * 2.0);
        } else if seen.failed * 20 > seen.done {
            step = step.min(-MOST_STEP);
        }
        self.settle(self.level * step.exp());
    }
}

impl Limit for Climb {
    fn seats(&self) -> u32 {
        self.seats
    }

    fn observe(&mut self, sample: &Sample, now: Timestamp) {
        let window = &mut self.window;
        if window.skip > 0 {
            window.skip -= 1;
            return;
        }
        if window.since == Timestamp::NEVER {
            window.since = now;
            return;
        }
        window.done += 1;
        window.saturated += u32::from(sample.saturated);
        window.answered += u32::from(sample.outcome == Outcome::Answered);
        window.failed += u32::from(sample.outcome == Outcome::Failed);
        window.slow += u32::from(sample.slow && sample.outcome != Outcome::Abandoned);
        let enough = window.done >= FEWEST.max(3 * self.seats);
        if enough && now.since(window.since) >= SHORTEST {
            let window = *window;
            self.close(window, now);
        }
    }

    fn knee(&self) -> Option<f64> {
        self.found.then_some(self.level)
    }

    fn recall(&mut self, knee: f64) {
        self.settle(knee);
    }
}

impl Window {
    fn after(seats: u32) -> Window {
        Window { skip: seats, since: Timestamp::NEVER, done: 0, answered: 0, slow: 0, failed: 0, saturated: 0 }
    }

    /// Good answers per second; never zero, for its logarithm is asked.
    fn rate(&self, now: Timestamp) -> f64 {
        (f64::from(self.answered) + 0.5) / now.since(self.since).as_secs_f64().max(1e-6)
    }
}

impl Comparison {
    fn with(mut self, around: f64, rate: f64, window: &Window) -> Comparison {
        if around < 1.0 {
            self.low += rate.ln();
        } else {
            self.high += rate.ln();
        }
        self.slow += window.slow;
        self.failed += window.failed;
        self.done += window.done;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::super::random::Random;
    use super::*;

    /// A backend of `knee` seats, 20 ms each, that loses a tenth of its pace for every knee's worth of
    /// work above it; exponential service, always more work waiting. Returns the level over time.
    fn saturate(climb: &mut Climb, knee: f64, from_ms: u64, seconds: u64, random: &mut Random) -> Vec<f64> {
        let mut now = Timestamp::after(Duration::from_millis(from_ms));
        let end = now + Duration::from_secs(seconds);
        let mut in_flight = f64::from(climb.seats());
        let mut levels = Vec::new();
        while now < end {
            let over = (in_flight / knee - 1.0).max(0.0);
            let rate = in_flight.min(knee) / 0.020 / (1.0 + 0.1 * over);
            let uniform = (random.below(1 << 30) as f64 + 1.0) / f64::from(1 << 30);
            now += Duration::from_secs_f64(-uniform.ln() / rate);
            let slow = in_flight / rate > 0.250;
            climb.observe(&Sample { outcome: Outcome::Answered, slow, saturated: true }, now);
            in_flight = (in_flight - 1.0).max(f64::from(climb.seats()));
            levels.push(climb.level);
        }
        levels
    }

    fn mean_of_last(levels: &[f64], n: usize) -> f64 {
        let last = &levels[levels.len().saturating_sub(n)..];
        last.iter().sum::<f64>() / last.len() as f64
    }

    #[test]
    fn the_knee_is_found_from_nothing_and_kept_without_a_ratchet() {
        for knee in [4.0, 20.0, 200.0] {
            for seed in 0..4 {
                let mut climb = Climb::new(ClimbSettings::default());
                let mut random = Random::new(seed);
                let early = saturate(&mut climb, knee, 0, 30, &mut random);
                let late = saturate(&mut climb, knee, 30_000, 300, &mut random);
                for levels in [early, late] {
                    let level = mean_of_last(&levels, 5000);
                    assert!((0.75 * knee..1.6 * knee).contains(&level), "knee {knee}, seed {seed}: {level}");
                }
            }
        }
    }

    #[test]
    fn a_knee_that_moves_is_followed_both_ways() {
        let mut climb = Climb::new(ClimbSettings::default());
        let mut random = Random::new(1);
        saturate(&mut climb, 20.0, 0, 20, &mut random);
        let shrunk = mean_of_last(&saturate(&mut climb, 7.0, 20_000, 60, &mut random), 2000);
        assert!((5.0..12.0).contains(&shrunk), "{shrunk}");
        let grown = mean_of_last(&saturate(&mut climb, 20.0, 80_000, 60, &mut random), 5000);
        assert!((14.0..32.0).contains(&grown), "{grown}");
    }

    #[test]
    fn a_quiet_hour_teaches_nothing() {
        let mut climb = Climb::new(ClimbSettings::default());
        let before = climb.seats();
        for ms in 0..100_000 {
            let sample = Sample { outcome: Outcome::Answered, slow: false, saturated: false };
            climb.observe(&sample, Timestamp::after(Duration::from_millis(ms)));
        }
        assert_eq!(climb.seats(), before);
        assert_eq!(climb.knee(), None);
    }

    #[test]
    fn the_limit_stays_within_its_bounds() {
        let most = NonZeroU32::new(16).expect("not zero");
        let mut climb = Climb::new(ClimbSettings { most, ..ClimbSettings::default() });
        saturate(&mut climb, 500.0, 0, 20, &mut Random::new(1));
        assert!(climb.seats() <= 16 && climb.level <= 16.0);
        // Nothing but failures: down to the least, and no further.
        for ms in 0..200_000 {
            let sample = Sample { outcome: Outcome::Failed, slow: false, saturated: true };
            climb.observe(&sample, Timestamp::after(Duration::from_millis(ms)));
        }
        assert!((1..=3).contains(&climb.seats()), "{}", climb.seats());
    }
}
