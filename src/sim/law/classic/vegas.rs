//! A queue estimated from how much slower than ever: `VegasLimit` of Netflix concurrency-limits, averaged over windows.
//!
//! <https://github.com/Netflix/concurrency-limits>, after TCP Vegas (Brakmo and Peterson 1995). Its `WindowedLimit` of
//! one second stands before it; its maximum is [`MOST`] here.

use std::time::Duration;

use super::limit::{Limiter, Sample, Window, magnitude};
use super::unit;
use crate::admission::Outcome;
use crate::sim::random::Random;

/// Holds the queue it estimates at the plant between two bounds.
pub(super) struct Vegas {
    limit: f64,
    window: Window,
    failures: u32,
    /// The mean of the fastest window since the last probe; 0 before the first.
    unloaded: f64,
    windows_since_probe: f64,
    jitter: f64,
    random: Random,
}

impl Vegas {
    /// At its initial limit.
    pub(super) fn new(random: Random) -> Vegas {
        Vegas {
            limit: 20.0,
            window: Window::default(),
            failures: 0,
            unloaded: 0.0,
            windows_since_probe: 0.0,
            jitter: 0.75,
            random,
        }
    }

    fn decide(&mut self, took: f64, in_flight: f64, failed: bool) {
        self.windows_since_probe += 1.0;
        if self.windows_since_probe >= self.jitter * PROBE_EVERY * self.limit {
            self.jitter = 0.5 + 0.5 * unit(&mut self.random);
            self.windows_since_probe = 0.0;
            self.unloaded = took;
        } else if self.unloaded == 0.0 || took < self.unloaded {
            self.unloaded = took;
        } else {
            self.limit = (self.limit + self.step(took, in_flight, failed)).clamp(1.0, MOST);
        }
    }

    fn step(&self, took: f64, in_flight: f64, failed: bool) -> f64 {
        let step = magnitude(self.limit);
        let queue = (self.limit * (1.0 - self.unloaded / took)).ceil();
        if failed {
            -step
        } else if in_flight * 2.0 < self.limit {
            0.0
        } else if queue <= step {
            6.0 * step
        } else if queue < 3.0 * step {
            step
        } else if queue > 6.0 * step {
            -step
        } else {
            0.0
        }
    }
}

impl Limiter for Vegas {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn finished(&mut self, sample: &Sample) {
        self.window.note(sample);
        self.failures += u32::from(sample.outcome == Outcome::Failed);
        if !self.window.is_due(sample.now, WINDOW, SAMPLES) {
            return;
        }
        let (took, in_flight, failed) = (self.window.mean(), self.window.most_in_flight(), self.failures > 0);
        self.window.restart(sample.now);
        self.failures = 0;
        self.decide(took, in_flight, failed);
    }
}

const MOST: f64 = 1_000.0;
const WINDOW: Duration = Duration::from_secs(1);
const SAMPLES: usize = 10;
/// Windows between two probes, for each one of the limit, before jitter.
const PROBE_EVERY: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::{sample, window};

    fn vegas() -> Vegas {
        let mut vegas = Vegas::new(Random::new(1));
        window(&mut vegas, 1, 20, 20);
        assert_eq!(vegas.limit(), 20.0, "the first window only tells how fast the plant is");
        vegas
    }

    fn in_micros(seconds: f64) -> u64 {
        (seconds * 1e6).round() as u64
    }

    #[test]
    fn without_a_queue_it_grows_by_six() {
        let mut vegas = vegas();
        window(&mut vegas, 2, 20, 20);
        assert_eq!(vegas.limit(), 26.0);
    }

    #[test]
    fn with_a_short_queue_it_grows_by_one_with_some_it_stays_and_with_a_long_one_it_shrinks() {
        // Of 20, a queue of 2, of 4 and of 10.
        for (took, limit) in [(22, 21.0), (25, 20.0), (40, 19.0)] {
            let mut vegas = vegas();
            window(&mut vegas, 2, took, 20);
            assert_eq!(vegas.limit(), limit, "{took} ms");
        }
    }

    #[test]
    fn it_stays_when_less_than_half_is_used_and_shrinks_when_the_plant_fails() {
        let mut vegas = vegas();
        window(&mut vegas, 2, 20, 9);
        assert_eq!(vegas.limit(), 20.0);
        vegas.finished(&Sample { outcome: Outcome::Failed, ..sample(2_500, 20, 9) });
        window(&mut vegas, 4, 20, 9);
        assert_eq!(vegas.limit(), 19.0);
    }

    #[test]
    fn from_time_to_time_it_forgets_how_fast_the_plant_was() {
        let mut vegas = vegas();
        // 0.75 x 30 x 20 = 450 windows, of which one is gone; a queue of 4 keeps the limit where it is.
        for second in 2..450 {
            window(&mut vegas, second, 25, 20);
        }
        assert_eq!((vegas.limit(), in_micros(vegas.unloaded)), (20.0, 20_000));
        window(&mut vegas, 450, 25, 20);
        assert_eq!((vegas.limit(), in_micros(vegas.unloaded)), (20.0, 25_000));
    }
}
