//! As many as the objective allows while more bring more: a ceiling on the 95th percentile with a test of the gain.
//!
//! Our own, a candidate before Sluss's limit was written. It knows no knee: far below its objective it always grows.

use std::time::Duration;

use super::limit::{Limiter, Sample, Window};
use crate::admission::{Outcome, Timestamp};

/// Grows while fast or while it pays, shrinks when it costs, and by the ratio when the objective is missed.
pub(super) struct Ceiling {
    limit: f64,
    window: Window,
    objective: f64,
    useful: u32,
    throughput: f64,
    settling: u32,
}

impl Ceiling {
    /// At its initial limit.
    pub(super) fn new(objective: Duration) -> Ceiling {
        Ceiling {
            limit: 8.0,
            window: Window::default(),
            objective: objective.as_secs_f64(),
            useful: 0,
            throughput: 0.0,
            settling: 0,
        }
    }

    fn decide(&mut self, full: bool, now: Timestamp) {
        let took = self.window.percentile(95);
        let throughput = f64::from(self.useful) / self.window.age(now).as_secs_f64();
        if took > self.objective {
            self.limit = (self.limit * (self.objective / took).max(0.5)).max(LEAST);
            (self.throughput, self.settling) = (throughput, SETTLE);
        } else if self.settling > 0 {
            self.settling -= 1;
            self.throughput = 0.5 * self.throughput + 0.5 * throughput;
        } else if full || self.window.most_in_flight() >= self.limit * USED {
            self.test_gain(took, throughput);
        }
    }

    fn test_gain(&mut self, took: f64, throughput: f64) {
        let gain = (throughput - self.throughput) / self.throughput.max(1.0);
        self.throughput = 0.6 * self.throughput + 0.4 * throughput;
        let aim = if took < 0.5 * self.objective || gain > GAIN {
            self.limit + self.limit.sqrt().max(1.0)
        } else if gain < -GAIN {
            self.limit * 0.95
        } else {
            self.limit
        };
        self.limit = aim.clamp(LEAST, MOST);
    }
}

impl Limiter for Ceiling {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn finished(&mut self, sample: &Sample) {
        self.window.note(sample);
        let useful = sample.outcome != Outcome::Failed && sample.took.as_secs_f64() <= self.objective;
        self.useful += u32::from(useful);
        if self.window.is_due(sample.now, EPOCH, SAMPLES) {
            self.decide(sample.full, sample.now);
            self.window.restart(sample.now);
            self.useful = 0;
        }
    }
}

const LEAST: f64 = 2.0;
const MOST: f64 = 2_000.0;
const EPOCH: Duration = Duration::from_millis(500);
const SAMPLES: usize = 8;
/// Epochs after a cut in which it only watches.
const SETTLE: u32 = 2;
/// The part of the limit that must be in use for a test to say something.
const USED: f64 = 0.7;
/// The change in what comes through that counts as one.
const GAIN: f64 = 0.03;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::{millis, sample};

    fn ceiling(limit: f64) -> Ceiling {
        Ceiling { limit, ..Ceiling::new(millis(200)) }
    }

    fn epoch(ceiling: &mut Ceiling, nth: u64, count: u32, took: u64) {
        (1..count).for_each(|_| ceiling.finished(&Sample { full: true, ..sample(nth * 500 - 1, took, 9) }));
        ceiling.finished(&Sample { full: true, ..sample(nth * 500, took, 9) });
    }

    #[test]
    fn far_below_its_objective_it_grows_by_its_root() {
        let mut ceiling = ceiling(9.0);
        epoch(&mut ceiling, 1, 10, 20);
        assert_eq!(ceiling.limit(), 12.0);
    }

    #[test]
    fn near_its_objective_it_grows_only_while_that_pays() {
        let mut ceiling = ceiling(100.0);
        epoch(&mut ceiling, 1, 20, 150);
        assert_eq!(ceiling.limit(), 110.0, "from nothing to something is a gain");
        let mut grown = 0;
        for nth in 2..40 {
            let before = ceiling.limit();
            epoch(&mut ceiling, nth, 20, 150);
            grown += u32::from(ceiling.limit() > before);
        }
        assert!(grown < 10, "{grown}: the same throughput is no gain");
        let before = ceiling.limit();
        epoch(&mut ceiling, 40, 10, 150);
        assert_eq!(ceiling.limit(), before * 0.95);
    }

    #[test]
    fn above_its_objective_it_shrinks_by_the_ratio_at_most_by_half_and_then_watches() {
        let mut ceiling = ceiling(100.0);
        epoch(&mut ceiling, 1, 20, 250);
        assert_eq!(ceiling.limit(), 80.0);
        epoch(&mut ceiling, 2, 20, 20);
        epoch(&mut ceiling, 3, 20, 20);
        assert_eq!(ceiling.limit(), 80.0);
        epoch(&mut ceiling, 4, 20, 20);
        assert!(ceiling.limit() > 80.0);
        ceiling.limit = 80.0;
        epoch(&mut ceiling, 5, 20, 4_000);
        assert_eq!(ceiling.limit(), 40.0);
    }

    #[test]
    fn it_does_not_grow_when_it_is_not_used() {
        let mut ceiling = ceiling(100.0);
        (0..20).for_each(|_| ceiling.finished(&sample(500, 20, 9)));
        assert_eq!(ceiling.limit(), 100.0);
    }
}
