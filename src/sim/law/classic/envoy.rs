//! The gradient of Envoy's `adaptive_concurrency` filter: now and then three at a time, to see how fast the plant is.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter>, with the
//! values of its example: the 90th percentile of 100 ms against that of 50 requests at concurrency 3, taken anew every
//! minute.

use std::time::Duration;

use super::limit::{Limiter, Sample, Window};
use super::unit;
use crate::admission::Timestamp;
use crate::sim::random::Random;

/// Follows the ratio of the fastest to the last, and probes for the fastest.
pub(super) struct Envoy {
    limit: f64,
    window: Window,
    /// Requests that passed since then tell how fast the plant is; `None` while not probing.
    probing_since: Option<Timestamp>,
    next_probe: Timestamp,
    before_probe: f64,
    fastest: f64,
    windows_at_least: u32,
    as_first_shipped: bool,
    random: Random,
}

impl Envoy {
    /// Probing, as it starts. `as_first_shipped` takes requests into a probe that had passed before it began
    /// (envoy#11579: under load each probe finds a slower plant) and leaves the limit at three after it.
    pub(super) fn new(as_first_shipped: bool, random: Random) -> Envoy {
        Envoy {
            limit: LEAST,
            window: Window::default(),
            probing_since: Some(Timestamp::ZERO),
            next_probe: Timestamp::NEVER,
            before_probe: LEAST,
            fastest: 0.0,
            windows_at_least: 0,
            as_first_shipped,
            random,
        }
    }

    fn probe(&mut self, since: Timestamp, sample: &Sample) {
        if !self.as_first_shipped && sample.now - sample.took < since {
            return;
        }
        self.window.note(sample);
        if self.window.samples() < PROBES {
            return;
        }
        self.fastest = self.window.percentile(PERCENT);
        self.window.restart(sample.now);
        self.probing_since = None;
        self.windows_at_least = 0;
        self.next_probe = sample.now + PROBE_EVERY + PROBE_EVERY.mul_f64(0.1 * unit(&mut self.random));
        if !self.as_first_shipped {
            self.limit = self.before_probe;
        }
    }

    fn begin_probe(&mut self, now: Timestamp) {
        self.probing_since = Some(now);
        self.before_probe = self.limit;
        self.limit = LEAST;
        self.window.restart(now);
    }

    fn decide(&mut self, now: Timestamp) {
        let took = self.window.percentile(PERCENT);
        self.window.restart(now);
        let gradient = (self.fastest * (1.0 + BUFFER) / took).clamp(0.5, 2.0);
        let shrunk = self.limit * gradient;
        self.limit = (shrunk + shrunk.sqrt()).clamp(LEAST, MOST);
        self.windows_at_least = if self.limit <= LEAST { self.windows_at_least + 1 } else { 0 };
        if self.windows_at_least >= STUCK {
            self.next_probe = now;
        }
    }
}

impl Limiter for Envoy {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn finished(&mut self, sample: &Sample) {
        if let Some(since) = self.probing_since {
            self.probe(since, sample);
        } else if sample.now >= self.next_probe {
            self.begin_probe(sample.now);
        } else {
            self.window.note(sample);
            if self.window.is_due(sample.now, WINDOW, SAMPLES) {
                self.decide(sample.now);
            }
        }
    }
}

const LEAST: f64 = 3.0;
const MOST: f64 = 1_000.0;
const PERCENT: usize = 90;
const WINDOW: Duration = Duration::from_millis(100);
const SAMPLES: usize = 5;
const PROBES: usize = 50;
const PROBE_EVERY: Duration = Duration::from_secs(60);
/// How much slower than the fastest is still as it should be.
const BUFFER: f64 = 0.25;
/// Windows at the least limit after which it looks anew how fast the plant is.
const STUCK: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::sample;

    /// Past its first probe, which it ended at second one.
    fn envoy(as_first_shipped: bool) -> Envoy {
        let mut envoy = Envoy::new(as_first_shipped, Random::new(1));
        (0..49).for_each(|_| envoy.finished(&sample(900, 20, 3)));
        assert!(envoy.probing_since.is_some());
        envoy.finished(&sample(1_000, 20, 3));
        assert_eq!((envoy.limit(), envoy.probing_since, envoy.fastest), (3.0, None, 0.020));
        envoy
    }

    fn windows(envoy: &mut Envoy, count: u64, from: u64, took: u64) {
        for window in 1..=count {
            (0..5).for_each(|_| envoy.finished(&sample(from + 100 * window, took, 50)));
        }
    }

    #[test]
    fn it_grows_by_its_root_and_the_buffer_while_the_plant_is_fast() {
        let mut envoy = envoy(false);
        windows(&mut envoy, 1, 1_000, 20);
        let shrunk: f64 = 3.0 * 1.25;
        assert_eq!(envoy.limit(), shrunk + shrunk.sqrt());
    }

    #[test]
    fn after_a_minute_it_lets_three_at_a_time_pass_and_then_as_many_as_before() {
        let mut envoy = envoy(false);
        windows(&mut envoy, 10, 1_000, 20);
        let before = envoy.limit();
        envoy.finished(&sample(67_001, 20, 50));
        assert_eq!(envoy.limit(), 3.0);
        (0..60).for_each(|_| envoy.finished(&sample(67_500, 600, 50)));
        assert_eq!(envoy.limit(), 3.0, "they passed before the probe began, and tell nothing");
        (0..50).for_each(|_| envoy.finished(&sample(67_900, 30, 3)));
        assert_eq!((envoy.limit(), envoy.fastest), (before, 0.030));
    }

    #[test]
    fn as_first_shipped_it_believes_the_crowd_that_was_there_before_the_probe() {
        let mut envoy = envoy(true);
        windows(&mut envoy, 10, 1_000, 20);
        envoy.finished(&sample(67_001, 20, 50));
        (0..50).for_each(|_| envoy.finished(&sample(67_500, 600, 50)));
        assert_eq!((envoy.limit(), envoy.fastest, envoy.probing_since), (3.0, 0.600, None));
    }

    #[test]
    fn five_windows_at_its_least_make_it_probe_again() {
        let mut envoy = envoy(false);
        // At three, half of it and its root are less than three.
        windows(&mut envoy, 5, 1_000, 900);
        assert!(envoy.probing_since.is_none());
        envoy.finished(&sample(1_600, 900, 3));
        assert!(envoy.probing_since.is_some());
    }
}
