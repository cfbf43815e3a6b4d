//! What the tests of the laws share.

use std::time::Duration;

use super::limit::{Limiter, Sample};
use crate::admission::{Outcome, Timestamp};

pub(super) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) fn at(since_start_millis: u64) -> Timestamp {
    Timestamp::after(millis(since_start_millis))
}

/// Answered at `now`, having taken `took` milliseconds.
pub(super) fn sample(now: u64, took: u64, in_flight: u32) -> Sample {
    Sample { now: at(now), took: millis(took), in_flight, full: false, outcome: Outcome::Answered }
}

/// Ten such at the end of a second: as many as close a window of Netflix's laws.
pub(super) fn window(limiter: &mut dyn Limiter, second: u64, took: u64, in_flight: u32) {
    window_of(limiter, 10, second, took, in_flight);
}

pub(super) fn window_of(limiter: &mut dyn Limiter, samples: u32, second: u64, took: u64, in_flight: u32) {
    (0..samples).for_each(|_| limiter.finished(&sample(second * 1_000, took, in_flight)));
}
