//! What a stretch under one limit showed.

use std::time::Duration;

use super::super::{Sample, Timestamp};
use crate::admission::Outcome;

/// What came back since the limit last moved, while work waited for it.
///
/// The time from one answer to the next counts when somebody took the seat that the first one left: that is known at its
/// beginning. To count only stretches that turned out to be busy to their end would choose those in which answers
/// were slow to come, and find every backend that keeps up a little too small.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Answers still to come of those let through under the limit before: they say nothing of this one.
    skip: u32,
    /// The answer from which time counts; never while nobody waits.
    since: Timestamp,
    busy: Duration,
    done: u32,
    answered: u32,
    slow: u32,
    failed: u32,
    /// Answers that it needs.
    fewest: u32,
    /// What it had shown when it had half of them: good answers, and how long work had waited.
    half: (u32, Duration),
}

/// The shortest: below this, scheduling is measured and not the backend.
const SHORTEST: Duration = Duration::from_millis(100);
/// Two halves differ when their paces do by so many standard deviations.
const UNEVEN: f64 = 4.0;

impl Window {
    /// A window that begins when `skip` answers have come, and needs `fewest`.
    pub(super) fn after(skip: u32, fewest: u32) -> Window {
        let (since, busy) = (Timestamp::NEVER, Duration::ZERO);
        Window { skip, since, busy, done: 0, answered: 0, slow: 0, failed: 0, fewest, half: (0, busy) }
    }

    /// Whether it has shown enough to say anything.
    pub(super) fn is_full(&self) -> bool {
        self.done >= self.fewest && self.busy >= SHORTEST
    }

    /// Whether answers came at another pace at its end than at its beginning.
    pub(super) fn is_uneven(&self) -> bool {
        let parts = [self.half, (self.answered - self.half.0, self.busy - self.half.1)];
        let [first, second] = parts.map(|(good, busy)| (f64::from(good).max(0.5), busy.as_secs_f64().max(1e-6)));
        let away = (first.0 / first.1 / (second.0 / second.1)).ln().abs();
        away > UNEVEN * (1.0 / first.0 + 1.0 / second.0).sqrt()
    }

    pub(super) fn count(&mut self, sample: &Sample, now: Timestamp) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.since != Timestamp::NEVER {
            self.busy += now.since(self.since);
            self.done += 1;
            self.answered += u32::from(sample.outcome == Outcome::Answered);
            self.failed += u32::from(sample.outcome == Outcome::Failed);
            self.slow += u32::from(sample.slow && sample.outcome != Outcome::Abandoned);
            if self.done == self.fewest / 2 {
                self.half = (self.answered, self.busy);
            }
        }
        self.since = if sample.saturated { now } else { Timestamp::NEVER };
    }

    /// How many seats came back.
    pub(super) fn done(&self) -> u32 {
        self.done
    }

    /// How long work has waited in it.
    pub(super) fn seconds(&self) -> f64 {
        self.busy.as_secs_f64().max(1e-6)
    }

    /// Good answers.
    pub(super) fn good(&self) -> f64 {
        f64::from(self.answered)
    }

    /// The part that missed the latency objective.
    pub(super) fn slow(&self) -> f64 {
        f64::from(self.slow) / f64::from(self.done.max(1))
    }

    /// The part that were failures.
    pub(super) fn failed(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.done.max(1))
    }
}
