//! What a stretch under one limit showed.

use std::time::Duration;

use crate::admission::limit::Sample;
use crate::admission::{Outcome, Timestamp};

/// What came back since the limit last moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Answers still to come of those let through under the previous limit: they say nothing of this one.
    skip: u32,
    since: Timestamp,
    pub(super) done: u32,
    answered: u32,
    pub(super) slow: u32,
    pub(super) failed: u32,
}

impl Window {
    /// A window after a change to `seats`.
    pub(super) fn after(seats: u32) -> Window {
        Window { skip: seats, since: Timestamp::NEVER, done: 0, answered: 0, slow: 0, failed: 0 }
    }

    pub(super) fn count(&mut self, sample: &Sample, now: Timestamp) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if !sample.saturated {
            *self = Window::after(0);
        } else if self.since == Timestamp::NEVER {
            self.since = now;
        } else {
            self.done += 1;
            self.answered += u32::from(sample.outcome == Outcome::Answered);
            self.failed += u32::from(sample.outcome == Outcome::Failed);
            self.slow += u32::from(sample.slow && sample.outcome != Outcome::Abandoned);
        }
    }

    /// Whether it has shown enough: so many answers, over so long.
    pub(super) fn is_full(&self, fewest: u32, shortest: Duration, now: Timestamp) -> bool {
        self.done >= fewest && self.age(now) >= shortest
    }

    /// How long it has lasted.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.since)
    }

    /// Good answers per second; never zero, for its logarithm is asked.
    pub(super) fn rate(&self, now: Timestamp) -> f64 {
        (f64::from(self.answered) + 0.5) / self.age(now).as_secs_f64().max(1e-6)
    }

    /// The part that missed the latency objective.
    pub(super) fn late_part(&self) -> f64 {
        f64::from(self.slow) / f64::from(self.done.max(1))
    }

    /// The part that were failures.
    pub(super) fn failed_part(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.done.max(1))
    }

    /// Whether most answers were late, or none.
    pub(super) fn is_swamped(&self) -> bool {
        self.failed * 2 > self.done || self.slow * 2 > self.done
    }
}
