//! Uphill on power: what comes through, divided by a power of how long it takes; no baseline to be wrong about.
//!
//! Power is Kleinrock's measure ("Power and deterministic rules of thumb for probabilistic problems in computer
//! communications", ICC 1979). The way of climbing is our own, a candidate before Sluss's limit was written.

use std::time::Duration;

use super::limit::{Limiter, Sample, Window};
use crate::admission::Timestamp;

/// Steps on while power grows, turns round when it falls, brakes when the objective is missed by far.
pub(super) struct Power {
    limit: f64,
    window: Window,
    exponent: f64,
    ceiling: f64,
    full: u32,
    /// The power of the last window in which it climbed; `None` when it must find out anew.
    last: Option<f64>,
    upwards: bool,
}

impl Power {
    /// At its initial limit. A larger exponent asks for shorter times, at the price of fewer coming through.
    pub(super) fn new(exponent: f64, objective: Duration) -> Power {
        Power {
            limit: 8.0,
            window: Window::default(),
            exponent,
            ceiling: CEILING * objective.as_secs_f64(),
            full: 0,
            last: None,
            upwards: true,
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let age = self.window.age(now);
        age >= SHORTEST && (self.window.samples() >= SAMPLES || age >= LONGEST)
    }

    fn decide(&mut self, now: Timestamp) {
        let samples = self.window.samples() as f64;
        let power = samples / self.window.age(now).as_secs_f64() / self.window.mean().powf(self.exponent);
        let saturated = f64::from(self.full) / samples > 0.5;
        if self.window.percentile(95) > self.ceiling {
            self.limit = (self.limit * BRAKE).max(LEAST);
            (self.last, self.upwards) = (None, true);
        } else if saturated {
            self.climb(power);
        } else {
            self.last = None;
        }
    }

    fn climb(&mut self, power: f64) {
        self.upwards = self.last.is_none_or(|last| self.upwards == (power >= last));
        self.last = Some(power);
        let step = (STEP * self.limit).max(1.0);
        let aim = if self.upwards { self.limit + step } else { self.limit - step };
        self.limit = aim.clamp(LEAST, MOST);
    }
}

impl Limiter for Power {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn finished(&mut self, sample: &Sample) {
        self.window.note(sample);
        self.full += u32::from(sample.full);
        if self.is_due(sample.now) {
            self.decide(sample.now);
            self.window.restart(sample.now);
            self.full = 0;
        }
    }
}

const LEAST: f64 = 2.0;
const MOST: f64 = 2_000.0;
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);
const SAMPLES: usize = 100;
const STEP: f64 = 0.08;
const BRAKE: f64 = 0.7;
/// Times the objective that the 95th percentile may take.
const CEILING: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::{millis, sample};

    fn power() -> Power {
        Power::new(1.0, millis(200))
    }

    fn window(power: &mut Power, nth: u64, took: u64, full: bool) {
        (0..100).for_each(|_| power.finished(&Sample { full, ..sample(nth * 500, took, 8) }));
    }

    #[test]
    fn it_climbs_while_power_grows_and_turns_round_when_it_falls() {
        let mut power = power();
        let limits: Vec<f64> = [(1, 20), (2, 19), (3, 21), (4, 20), (5, 22)]
            .into_iter()
            .map(|(nth, took)| {
                window(&mut power, nth, took, true);
                power.limit()
            })
            .collect();
        assert_eq!(limits, [9.0, 10.0, 9.0, 8.0, 9.0]);
    }

    #[test]
    fn it_does_not_move_while_it_is_not_used_up_and_then_begins_upwards() {
        let mut power = power();
        window(&mut power, 1, 20, true);
        window(&mut power, 2, 10, false);
        assert_eq!(power.limit(), 9.0);
        window(&mut power, 3, 40, true);
        assert_eq!(power.limit(), 10.0, "nothing to compare with");
    }

    #[test]
    fn at_twice_its_objective_it_brakes() {
        let mut power = power();
        power.limit = 100.0;
        window(&mut power, 1, 401, true);
        assert_eq!(power.limit(), 70.0);
    }

    #[test]
    fn few_samples_make_it_wait_five_seconds() {
        let mut power = power();
        power.finished(&Sample { full: true, ..sample(4_999, 20, 8) });
        assert_eq!(power.limit(), 8.0);
        power.finished(&Sample { full: true, ..sample(5_000, 20, 8) });
        assert_eq!(power.limit(), 9.0);
    }
}
