//! Vegas, and two correlations to tell a queue from a slow plant: the adaptive limiter of failsafe-go.
//!
//! <https://failsafe-go.dev/adaptive-limiter/>. Its maximum is [`MOST`] here.

use std::collections::VecDeque;
use std::time::Duration;

use super::limit::{Limiter, Sample, Window, magnitude, percentile};
use crate::admission::Outcome;

/// Steps by an estimated queue, and down when more in flight no longer brings more through.
pub(super) struct Failsafe {
    limit: f64,
    window: Window,
    latest: VecDeque<f64>,
    recent: f64,
    baseline: f64,
    windows: f64,
    history: VecDeque<Past>,
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
struct Past {
    in_flight: f64,
    throughput: f64,
    took: f64,
}

/// How one thing goes with another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Correlation {
    coefficient: f64,
    /// The spread of the other thing, as a part of its mean.
    variation: f64,
}

impl Failsafe {
    /// At its initial limit.
    pub(super) fn new() -> Failsafe {
        Failsafe {
            limit: 20.0,
            window: Window::default(),
            latest: VecDeque::with_capacity(MEDIAN_OF + 1),
            recent: 0.0,
            baseline: 0.0,
            windows: 0.0,
            history: VecDeque::with_capacity(HISTORY + 1),
        }
    }

    /// The average of medians of the last windows: what it takes of late.
    fn smooth(&mut self, took: f64) {
        self.latest.push_back(took);
        if self.latest.len() > MEDIAN_OF {
            self.latest.pop_front();
        }
        let mut sorted = [0.0; MEDIAN_OF];
        let filled = &mut sorted[..self.latest.len()];
        filled.iter_mut().zip(&self.latest).for_each(|(place, &took)| *place = took);
        let median = percentile(filled, 50);
        self.recent = if self.recent == 0.0 { median } else { average(self.recent, median, RECENT_WEIGHT) };
        self.windows += 1.0;
        self.baseline = if self.windows <= WARM_UP {
            (self.baseline * (self.windows - 1.0) + self.recent) / self.windows
        } else {
            average(self.baseline, self.recent, BASELINE_WEIGHT)
        };
    }

    fn remember(&mut self, in_flight: f64) {
        self.history.push_back(Past { in_flight, throughput: in_flight / self.recent, took: self.recent });
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn step(&self, full: bool) -> f64 {
        let step = magnitude(self.limit);
        let queue = (self.limit * (1.0 - self.baseline / self.recent)).ceil();
        if queue > 6.0 * step || full && self.is_overloaded() {
            -step
        } else if queue < 3.0 * step {
            step
        } else {
            0.0
        }
    }

    fn is_overloaded(&self) -> bool {
        let throughput = correlate(&self.history, |past| past.throughput);
        let slower = correlate(&self.history, |past| past.took).coefficient > 0.5;
        throughput.coefficient < 0.0 || slower && (throughput.coefficient < 0.3 || throughput.variation < 0.2)
    }
}

impl Limiter for Failsafe {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn finished(&mut self, sample: &Sample) {
        if sample.outcome == Outcome::Failed {
            self.window.note_in_flight(sample);
        } else {
            self.window.note(sample);
        }
        if !self.window.is_due(sample.now, WINDOW, SAMPLES) {
            return;
        }
        let (took, in_flight) = (self.window.percentile(PERCENT), self.window.most_in_flight());
        self.window.restart(sample.now);
        self.smooth(took);
        self.remember(in_flight);
        let aim = self.limit + self.step(sample.full);
        // A limit far above what is in use would say nothing when the crowd comes.
        let most = in_flight * MOST_UNUSED;
        let aim = if aim <= most {
            aim
        } else if self.limit > most {
            self.limit - magnitude(self.limit)
        } else {
            most
        };
        self.limit = aim.clamp(1.0, MOST);
    }
}

fn average(old: f64, new: f64, weight: f64) -> f64 {
    old * (1.0 - weight) + new * weight
}

/// How `other` goes with what is in flight; none in a short history or where nothing moves.
fn correlate(history: &VecDeque<Past>, other: impl Fn(&Past) -> f64) -> Correlation {
    let count = history.len() as f64;
    if history.len() < LEAST_HISTORY {
        return Correlation { coefficient: 0.0, variation: 1.0 };
    }
    let mean_in_flight = history.iter().map(|past| past.in_flight).sum::<f64>() / count;
    let mean = history.iter().map(&other).sum::<f64>() / count;
    let (mut both, mut in_flight_squares, mut squares) = (0.0, 0.0, 0.0);
    for past in history {
        let (across, along) = (past.in_flight - mean_in_flight, other(past) - mean);
        both += across * along;
        in_flight_squares += across * across;
        squares += along * along;
    }
    let variation = (squares / count).sqrt() / mean.max(NOTHING_MEAN);
    let moves = in_flight_squares > NOTHING && squares > NOTHING;
    let coefficient = if moves { both / (in_flight_squares * squares).sqrt() } else { 0.0 };
    Correlation { coefficient, variation }
}

const MOST: f64 = 1_000.0;
const WINDOW: Duration = Duration::from_secs(1);
const SAMPLES: usize = 50;
const PERCENT: usize = 90;
const MEDIAN_OF: usize = 5;
/// Of the last median in an exponential average over five.
const RECENT_WEIGHT: f64 = 2.0 / 6.0;
/// Windows that are averaged evenly before the baseline begins to forget.
const WARM_UP: f64 = 10.0;
/// Of the last window in an exponential average over ten.
const BASELINE_WEIGHT: f64 = 2.0 / 11.0;
const HISTORY: usize = 50;
const LEAST_HISTORY: usize = 10;
/// The most the limit may be, for each one in flight.
const MOST_UNUSED: f64 = 5.0;
/// A sum of squares below which nothing moved.
const NOTHING: f64 = 1e-12;
/// A mean below which a variation would say nothing.
const NOTHING_MEAN: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::{sample, window_of};

    fn window(failsafe: &mut Failsafe, second: u64, took: u64, in_flight: u32) {
        window_of(failsafe, 50, second, took, in_flight);
    }

    fn history(pasts: impl Iterator<Item = (f64, f64, f64)>) -> VecDeque<Past> {
        pasts.map(|(in_flight, throughput, took)| Past { in_flight, throughput, took }).collect()
    }

    #[test]
    fn without_a_queue_it_grows_by_one() {
        let mut failsafe = Failsafe::new();
        (1..=3).for_each(|second| window(&mut failsafe, second, 20, 20));
        assert_eq!(failsafe.limit(), 23.0);
    }

    #[test]
    fn with_a_long_queue_it_shrinks_by_one() {
        let mut failsafe = Failsafe::new();
        (1..=20).for_each(|second| window(&mut failsafe, second, 20, 30));
        let before = failsafe.limit();
        (21..=24).for_each(|second| window(&mut failsafe, second, 60, 30));
        assert_eq!(failsafe.limit(), before + 2.0 - 2.0, "a median of five hears of it in the third window");
    }

    #[test]
    fn full_and_slower_without_more_coming_through_it_shrinks() {
        let mut failsafe = Failsafe::new();
        failsafe.recent = 0.020;
        failsafe.baseline = 0.020;
        failsafe.history = history((1..=20).map(|n| (f64::from(n), 1_000.0, f64::from(n) / 1_000.0)));
        assert_eq!(failsafe.step(true), -1.0);
        assert_eq!(failsafe.step(false), 1.0, "it is not full");
        failsafe.history = history((1..=20).map(|n| (f64::from(n), f64::from(n) * 50.0, 0.020)));
        assert_eq!(failsafe.step(true), 1.0, "more in flight brings more through");
        failsafe.history = history((1..=20).map(|n| (f64::from(n), 1_000.0 / f64::from(n), 0.020)));
        assert_eq!(failsafe.step(true), -1.0, "more in flight brings less through");
    }

    #[test]
    fn it_stays_within_five_times_what_is_in_use() {
        let mut failsafe = Failsafe::new();
        window(&mut failsafe, 1, 20, 4);
        assert_eq!(failsafe.limit(), 20.0);
        window(&mut failsafe, 2, 20, 3);
        assert_eq!(failsafe.limit(), 19.0);
    }

    #[test]
    fn failures_do_not_tell_how_long_it_takes() {
        let mut failsafe = Failsafe::new();
        (0..80).for_each(|_| failsafe.finished(&Sample { outcome: Outcome::Failed, ..sample(2_000, 1, 20) }));
        assert_eq!(failsafe.window.samples(), 0);
    }

    #[test]
    fn correlations_are_those_of_a_textbook() {
        let line = history((0..10).map(|n| (f64::from(n), 3.0 - f64::from(n) * 2.0, 1.0)));
        assert!((correlate(&line, |past| past.throughput).coefficient + 1.0).abs() < 1e-12);
        assert_eq!(correlate(&line, |past| past.took), Correlation { coefficient: 0.0, variation: 0.0 });
        let short = history((0..9).map(|n| (f64::from(n), f64::from(n), 1.0)));
        assert_eq!(correlate(&short, |past| past.throughput), Correlation { coefficient: 0.0, variation: 1.0 });
    }
}
