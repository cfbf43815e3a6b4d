//! Everything at once: processor sharing, with contention beyond a knee.
//!
//! All that is in progress goes at one rate, so one number counts for all: the work each of them has received since
//! the station was last empty (`received`, the virtual time of Parekh and Gallager). A request is done when that has
//! grown by its own work, whatever the rate did meanwhile: a change of the rate costs nothing, however many are inside.

use super::agenda::Agenda;
use super::jobs::Jobs;

/// How fast a station with [`Engine::Sharing`](super::Engine::Sharing) is just now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) knee: f64,
    pub(super) contention: f64,
    /// How many times as long everything takes.
    pub(super) stretch: f64,
}

impl Pace {
    /// The rate of each of so many.
    fn of_each(&self, inside: usize) -> f64 {
        let inside = inside as f64;
        if inside <= self.knee {
            return 1.0 / self.stretch;
        }
        if self.knee <= 0.0 {
            return 0.0;
        }
        let together = self.knee / (1.0 + self.contention * (inside / self.knee - 1.0));
        together / inside / self.stretch
    }
}

/// Work in progress. Times are nanoseconds of the station's own clock.
#[derive(Debug)]
pub(super) struct Sharing {
    pace: Pace,
    inside: usize,
    rate: f64,
    received: f64,
    counted_to: u64,
    /// By the amount of `received` at which they are done: a float that is never negative, so its bits are in order.
    agenda: Agenda,
}

impl Sharing {
    pub(super) fn new(pace: Pace) -> Sharing {
        Sharing { pace, inside: 0, rate: 0.0, received: 0.0, counted_to: 0, agenda: Agenda::default() }
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    pub(super) fn set_pace(&mut self, pace: Pace, now: u64) {
        self.count_to(now);
        self.pace = pace;
        self.rate = pace.of_each(self.inside);
    }

    /// Begins so many nanoseconds of work.
    pub(super) fn add(&mut self, slot: u32, work: f64, now: u64, jobs: &Jobs) {
        self.count_to(now);
        self.agenda.push((self.received + work).to_bits(), slot, jobs);
        self.hold(self.inside + 1);
    }

    /// When the next will be done as things stand.
    pub(super) fn next(&self) -> Option<u64> {
        let first = f64::from_bits(self.agenda.first()?);
        let left = ((first - self.received) / self.rate).max(0.0);
        // At a rate of 0 that is infinite or, with nothing left to do, not a number.
        (self.rate > 0.0).then(|| self.counted_to.saturating_add(left.ceil() as u64))
    }

    /// Takes out the one that is done now.
    pub(super) fn pop(&mut self, now: u64, jobs: &mut Jobs) -> Option<u32> {
        self.count_to(now);
        let slot = self.agenda.pop(jobs)?;
        self.hold(self.inside - 1);
        Some(slot)
    }

    /// Takes out one that is not done.
    pub(super) fn remove(&mut self, slot: u32, now: u64, jobs: &mut Jobs) {
        self.count_to(now);
        self.agenda.take_back(slot, jobs);
        self.hold(self.inside - 1);
    }

    fn hold(&mut self, inside: usize) {
        self.inside = inside;
        self.rate = self.pace.of_each(inside);
        if inside == 0 {
            // Begins again from nothing, so that the float keeps its digits however long the run.
            self.received = 0.0;
        }
    }

    fn count_to(&mut self, now: u64) {
        debug_assert!(now >= self.counted_to, "time never runs backwards");
        self.received += self.rate * (now - self.counted_to) as f64;
        self.counted_to = now;
    }
}
