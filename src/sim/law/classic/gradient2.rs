//! Slower than of late, so fewer: `Gradient2Limit` of Netflix concurrency-limits, averaged over windows.
//!
//! <https://github.com/Netflix/concurrency-limits>. Its maximum is [`MOST`] here; as there, its least is its initial
//! limit of 20.

use std::time::Duration;

use super::limit::{Limiter, Sample, Window};

/// Follows the ratio of a long average to the last window.
pub(super) struct Gradient2 {
    limit: f64,
    window: Window,
    long: f64,
    windows: f64,
}

impl Gradient2 {
    /// At its initial limit.
    pub(super) fn new() -> Gradient2 {
        Gradient2 { limit: LEAST, window: Window::default(), long: 0.0, windows: 0.0 }
    }

    fn average(&mut self, took: f64) {
        self.windows += 1.0;
        if self.windows < WARM_UP {
            self.long = (self.long * (self.windows - 1.0) + took) / self.windows;
        } else {
            self.long = self.long * (1.0 - WEIGHT) + took * WEIGHT;
        }
        // Back from a bad time, the long average comes down faster than it went up.
        if self.long / took > 2.0 {
            self.long *= 0.95;
        }
    }
}

impl Limiter for Gradient2 {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn finished(&mut self, sample: &Sample) {
        self.window.note(sample);
        if !self.window.is_due(sample.now, WINDOW, SAMPLES) {
            return;
        }
        let (took, in_flight) = (self.window.mean(), self.window.most_in_flight());
        self.window.restart(sample.now);
        self.average(took);
        if in_flight >= self.limit / 2.0 {
            let gradient = (TOLERANCE * self.long / took).clamp(0.5, 1.0);
            let aim = self.limit * gradient + QUEUE;
            self.limit = (self.limit * (1.0 - SMOOTHING) + aim * SMOOTHING).clamp(LEAST, MOST);
        }
    }
}

const LEAST: f64 = 20.0;
const MOST: f64 = 1_000.0;
const WINDOW: Duration = Duration::from_secs(1);
const SAMPLES: usize = 10;
/// Windows that are averaged evenly before the long average begins to forget.
const WARM_UP: f64 = 10.0;
/// Of the last window in an exponential average over 600.
const WEIGHT: f64 = 2.0 / 601.0;
const TOLERANCE: f64 = 1.5;
const QUEUE: f64 = 4.0;
const SMOOTHING: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::window;

    #[test]
    fn while_the_plant_is_as_fast_as_ever_it_grows_by_a_fifth_of_its_queue() {
        let mut gradient = Gradient2::new();
        for second in 1..=5 {
            window(&mut gradient, second, 20, 1_000);
        }
        assert!((gradient.limit() - 24.0).abs() < 1e-9, "{}", gradient.limit());
    }

    #[test]
    fn it_stays_while_less_than_half_is_used() {
        let mut gradient = Gradient2::new();
        window(&mut gradient, 1, 20, 9);
        assert_eq!(gradient.limit(), 20.0);
    }

    #[test]
    fn slower_than_tolerated_it_shrinks_at_most_by_a_tenth_and_never_below_its_least() {
        let mut gradient = Gradient2::new();
        (1..=9).for_each(|second| window(&mut gradient, second, 20, 9));
        gradient.limit = 100.0;
        window(&mut gradient, 10, 2_000, 100);
        // 100 x 0.8 + (100 x 0.5 + 4) x 0.2
        assert!((gradient.limit() - 90.8).abs() < 1e-9, "{}", gradient.limit());
        (11..=40).for_each(|second| window(&mut gradient, second, 20_000, 100));
        assert_eq!(gradient.limit(), 20.0);
    }

    #[test]
    fn the_long_average_comes_down_fast_after_a_bad_time() {
        let mut gradient = Gradient2::new();
        (1..=3).for_each(|second| window(&mut gradient, second, 200, 9));
        window(&mut gradient, 4, 20, 9);
        // The mean of four, 155 ms, is more than twice 20 ms.
        assert!((gradient.long - 0.155 * 0.95).abs() < 1e-9, "{}", gradient.long);
    }
}
