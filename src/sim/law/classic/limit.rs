//! How many at once: what all limiters are told, and what most of them keep.

use std::time::Duration;

use crate::admission::{Outcome, Timestamp};

/// One request that the plant has finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// When it was finished.
    pub(super) now: Timestamp,
    /// How long it was at the plant.
    pub(super) took: Duration,
    /// How many were at the plant right after it had passed, itself among them.
    pub(super) in_flight: u32,
    /// Whether the limit was used up until it was finished.
    pub(super) full: bool,
    /// How it ended.
    pub(super) outcome: Outcome,
}

/// A law of how many may be at the plant at once.
pub(super) trait Limiter {
    /// The limit now. Its whole part counts, and one may always pass; infinite where nothing is limited.
    fn limit(&self) -> f64;

    /// The plant has finished a request.
    fn finished(&mut self, sample: &Sample);
}

/// The limit that the operator wrote, or none.
pub(super) struct Fixed(pub(super) f64);

impl Limiter for Fixed {
    fn limit(&self) -> f64 {
        self.0
    }

    fn finished(&mut self, _sample: &Sample) {}
}

/// Samples since the last decision.
#[derive(Debug, Default)]
pub(super) struct Window {
    began: Timestamp,
    took: Vec<f64>,
    most_in_flight: u32,
}

impl Window {
    /// A sample that says how long requests take.
    pub(super) fn note(&mut self, sample: &Sample) {
        self.most_in_flight = self.most_in_flight.max(sample.in_flight);
        self.took.push(sample.took.as_secs_f64());
    }

    /// A sample that only says how many were there.
    pub(super) fn note_in_flight(&mut self, sample: &Sample) {
        self.most_in_flight = self.most_in_flight.max(sample.in_flight);
    }

    /// Whether the window is that old and has that many samples.
    pub(super) fn is_due(&self, now: Timestamp, age: Duration, samples: usize) -> bool {
        self.took.len() >= samples && self.age(now) >= age
    }

    /// How old it is.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.began)
    }

    /// How many samples it has.
    pub(super) fn samples(&self) -> usize {
        self.took.len()
    }

    /// The most that were at the plant.
    pub(super) fn most_in_flight(&self) -> f64 {
        f64::from(self.most_in_flight)
    }

    /// The mean of its samples, in seconds.
    pub(super) fn mean(&self) -> f64 {
        self.took.iter().sum::<f64>() / self.took.len() as f64
    }

    /// The sample below which `percent` of a hundred lie, in seconds. Changes their order.
    pub(super) fn percentile(&mut self, percent: usize) -> f64 {
        percentile(&mut self.took, percent)
    }

    /// Begins anew, in the same memory.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.took.clear();
        (self.began, self.most_in_flight) = (now, 0);
    }
}

/// The value below which `percent` of a hundred lie; 0 of none. Changes their order.
pub(super) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let place = (values.len() - 1) * percent / 100;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

/// The logarithm to base ten without its fraction, at least one: by how much Netflix's laws step.
///
/// By comparing, as the last digit of a logarithm may differ between two machines.
pub(super) fn magnitude(limit: f64) -> f64 {
    [100.0, 1_000.0].iter().fold(1.0, |steps, &bound| if limit >= bound { steps + 1.0 } else { steps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_sample_at_its_place() {
        let mut values: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 90), 89.0);
        assert_eq!(percentile(&mut values, 50), 49.0);
        assert_eq!(percentile(&mut [7.0], 95), 7.0);
        assert_eq!(percentile(&mut [], 95), 0.0);
    }

    #[test]
    fn steps_grow_with_the_digits_of_the_limit() {
        let steps: Vec<f64> = [1.0, 99.9, 100.0, 999.0, 1_000.0].into_iter().map(magnitude).collect();
        assert_eq!(steps, [1.0, 1.0, 2.0, 2.0, 3.0]);
    }
}
