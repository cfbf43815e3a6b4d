//! What stands behind the proxy: stations of work, told the time.
//!
//! ```text
//!  request ──▶ thread ──▶ own work ──▶ thread ──▶ work of a second station ──▶ answer
//!              held to the end         of the second, held while it works
//! ```
//!
//! - A request takes its route leg by leg. The first station holds it to the end: its thread is given back with the
//!   answer. Later stations hold it while they work on it. There are no bulkheads: whoever has most requests waiting
//!   at a shared station has most of it.
//! - Where a station outlives its callers, work goes on when they have hung up. It is never told.
//! - A bet whose key has been carried out needs no second station: its receipt is on file.
//! - How a station works ([`Engine`]), slows ([`Bend`], contention) and warms up ([`Cold`]) is in its settings; what
//!   happens to it is a [`Fault`]. Whoever finds the first station cold finds it so all the way: it is that station's
//!   requests that take longer, there and further on.
//!
//! The plant is told the time and never asks. What is due between two calls happens at the moment it was due, so a
//! driver that comes late takes nothing from what the plant can do, and looking more often changes no digit.

use std::collections::VecDeque;
use std::time::Duration;

use super::random::Random;
use crate::admission::Timestamp;

mod settings;
mod jobs;
mod agenda;
mod sharing;
mod seats;
mod station;
mod way;
mod fault;
mod ledger;

use jobs::{Jobs, Place};
pub use ledger::{Counts, Ledger, PAGES};
pub use seats::SLOWEST;
pub use settings::{Bend, Cold, Eases, Engine, Fault, Leg, Route, Settings, Spread, Station};
use station::NEVER;

/// A request in the plant, numbered by the plant: small numbers without gaps, so that a driver may keep what it knows
/// in a vector. A number is given out again once its answer was taken, or its request dropped by [`Plant::hang_up`].
pub type JobId = u64;

/// A request as it reaches the plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What it asks for: an index into [`Settings::routes`].
    pub route: usize,
    /// The customer's attempt; the same may never arrive twice.
    pub attempt: u64,
    /// Idempotency key of a bet: the same over all attempts at it.
    pub key: Option<u64>,
}

/// How a request ended in the plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Turned away or failed: an error came back.
    Failed,
}

/// A plant. See the [module](self) for what it promises.
#[derive(Debug)]
pub struct Plant {
    routes: Vec<Route>,
    stations: Vec<station::Station>,
    /// When something happens next at each station, in nanoseconds since the start.
    due: Vec<u64>,
    jobs: Jobs,
    answers: VecDeque<(u32, Answer)>,
    ledger: Ledger,
    random: Random,
}

impl Plant {
    /// An empty plant, at the start of time. Its routes must name stations that there are.
    pub fn new(settings: Settings, seed: u64) -> Plant {
        let stations: Vec<_> = settings.stations.into_iter().map(station::Station::new).collect();
        Plant {
            ledger: Ledger::new(settings.routes.len()),
            routes: settings.routes,
            due: stations.iter().map(station::Station::next).collect(),
            stations,
            jobs: Jobs::default(),
            answers: VecDeque::new(),
            random: Random::new(seed),
        }
    }

    /// A request arrives. Its answer comes from [`Plant::poll_answer`] under the number returned, perhaps at once.
    pub fn ask(&mut self, ask: Ask, now: Timestamp) -> JobId {
        self.wake(now);
        self.ledger.arrive(ask.route, ask.attempt);
        let slot = self.jobs.insert(ask.route, ask.key);
        self.enter(slot, nanos(now));
        JobId::from(slot)
    }

    /// The caller of a request whose answer was not taken yet is gone. Nothing happens where the first station outlives
    /// its callers; otherwise the work is dropped wherever it is, no answer comes, and the number is free.
    pub fn hang_up(&mut self, job: JobId, now: Timestamp) {
        self.wake(now);
        let Some(slot) = self.jobs.slot(job) else {
            return;
        };
        let (home, _) = self.jobs.stations(slot, &self.routes);
        if self.stations[home].settings.outlives_caller {
            return;
        }
        if matches!(self.jobs[slot].place, Place::Answered | Place::Unwanted) {
            self.jobs[slot].place = Place::Unwanted;
            return;
        }
        self.withdraw(slot, nanos(now));
        self.jobs.remove(slot);
    }

    /// When to call [`Plant::wake`] at the latest.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let at = self.due.iter().copied().min().unwrap_or(NEVER);
        (at != NEVER).then(|| Timestamp::after(Duration::from_nanos(at)))
    }

    /// Lets everything happen that was due up to now, each at its own time.
    pub fn wake(&mut self, now: Timestamp) {
        let now = nanos(now);
        while let Some((at, station)) = self.first_due().filter(|&(at, _)| at <= now && at != NEVER) {
            self.happen(station, at);
        }
    }

    /// The next answer, if any is ready. Call until it returns nothing.
    pub fn poll_answer(&mut self) -> Option<(JobId, Answer)> {
        while let Some((slot, answer)) = self.answers.pop_front() {
            let is_wanted = self.jobs[slot].place == Place::Answered;
            self.jobs.remove(slot);
            if is_wanted {
                return Some((JobId::from(slot), answer));
            }
        }
        None
    }

    /// What reached the plant so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Requests at once beyond which more bring nothing, as the station is now: its knee, or its seats.
    pub fn knee(&self, station: usize) -> f64 {
        self.stations[station].knee()
    }

    /// Requests the station holds: those with one of its threads, wherever they are just now.
    pub fn held(&self, station: usize) -> usize {
        self.stations[station].held
    }

    /// Requests that wait for one of the station's threads.
    pub fn waiting(&self, station: usize) -> usize {
        self.stations[station].backlog.len()
    }

    /// Requests that have a thread and wait for one of the station's seats.
    pub fn in_line(&self, station: usize) -> usize {
        self.stations[station].in_line()
    }

    /// By how much the station is slowed by what is piled up there, in thousandths; 1,000 where nothing bends.
    pub fn bend_permille(&self, station: usize) -> u64 {
        let station = &self.stations[station];
        match station.settings.engine {
            Engine::Seats { bend, .. } => bend.permille(station.pile()),
            Engine::Sharing { .. } => 1_000,
        }
    }

    fn first_due(&self) -> Option<(u64, usize)> {
        self.due.iter().copied().zip(0..).min()
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.since_start().as_nanos()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests;
