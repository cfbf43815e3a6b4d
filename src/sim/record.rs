//! What a run left behind: counts by crowd and curves by product, from which every figure, table and picture is made.

mod figures;
#[cfg(test)]
pub(crate) mod handmade;

use std::time::Duration;

use hdrhistogram::Histogram;

use super::law::Look;
use crate::admission::{Refusal, Timestamp};

/// One run of one scenario under one law with one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The law, as written on the command line; `sluss` is ours.
    pub law: String,
    /// The seed everything was drawn from.
    pub seed: u64,
    /// What the customers of each crowd met, in the scenario's order.
    pub crowds: Vec<CrowdRecord>,
    /// How each product went: for each, in the scenario's order, one look every [`Run::look_every`], the first at zero.
    pub looks: Vec<Vec<Look>>,
    /// Where the plant's knee truly was, where it has one: for each product, one at each of its looks.
    pub knees: Vec<Vec<Option<f64>>>,
    /// The share of each product's last site, where it has several and the law knows of them: one at each of its looks.
    pub shares: Vec<Vec<u32>>,
    /// The most of each product's requests at the plant at once, as the law counts them, by second; and of all products.
    pub most_in_flight: Vec<Vec<u32>>,
    /// The time between two looks.
    pub look_every: Duration,
    /// Events simulated: everything that was taken from the agenda, every answer of the plant, every wake of the law.
    pub events: u64,
    /// The most requests that waited, and the most that were alive, at once.
    pub most_waiting: usize,
    /// See [`Run::most_waiting`].
    pub most_alive: usize,
    /// What the checks found, as sentences; empty when all held. At most a few are kept.
    pub violations: Vec<String>,
    /// What the plant has finished, and how much of it nobody was there to receive, by second.
    pub finished: Vec<(u32, u32)>,
    /// Attempts that reached the plant although the same attempt had reached it before.
    pub duplicates: u64,
    /// What happened that a reader of a curve wants to see, in the order of time: orders, faults, states, ramps.
    pub marks: Vec<Mark>,
}

/// Something to mark on a curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub at: Duration,
    /// The product it is about, by its place in the scenario; `None` for all.
    pub product: Option<usize>,
    /// What, in a few words.
    pub what: String,
}

/// What the customers of one crowd met.
#[derive(Clone, Debug)]
pub struct CrowdRecord {
    /// The product they come for, by its place in the scenario.
    pub product: usize,
    /// Counts by second of the run.
    pub seconds: Vec<Counts>,
    /// Times within the measured window.
    pub times: Times,
    /// Times within other windows: those that an expectation of the scenario names, from when to when.
    pub stretches: Vec<((Duration, Duration), Times)>,
    /// From arrival to the end of the journey, of those finished in the whole run; milliseconds.
    pub journey: Histogram<u64>,
    /// Refusals in the whole run, by [`Refusal::index`]; the last counts those without a name.
    pub refusals: [u64; Refusal::COUNT + 1],
    /// When the last journey was finished.
    pub last_journey: Option<Timestamp>,
    /// When something was served first in each second, since the run began.
    pub first_served: Vec<Option<Timestamp>>,
}

/// The times of one crowd within a window, in microseconds.
#[derive(Clone, Debug)]
pub struct Times {
    /// From an attempt to its answer, of those served.
    pub latency: Histogram<u64>,
    /// How long requests waited before they passed.
    pub waited: Histogram<u64>,
    /// From there to the answer, of those served: what the plant took.
    pub at_plant: Histogram<u64>,
}

/// Counts within one second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Customers who came.
    pub came: u32,
    /// Steps that were begun: first attempts.
    pub steps: u32,
    /// Attempts made.
    pub attempts: u32,
    /// Attempts that reached the plant.
    pub reached: u32,
    /// How long those had waited for it, all together; microseconds.
    pub waited_us: u64,
    /// Attempts served in time.
    pub served: u32,
    /// Attempts that were told no by the law.
    pub refused: u32,
    /// Attempts whose client hung up.
    pub timed_out: u32,
    /// Attempts that the plant failed.
    pub failed: u32,
    /// Times a customer was told at the gate to wait.
    pub polls: u32,
    /// Journeys finished.
    pub finished: u32,
    /// Customers who gave up.
    pub gave_up: u32,
}

/// Whose figures are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    All,
    /// Those of one crowd, by its place in the scenario.
    Crowd(usize),
    /// Those of all crowds of one product, by its place in the scenario.
    Product(usize),
}
