//! How many at once.

mod fixed;
mod knee;
#[cfg(test)]
mod plant;
#[cfg(test)]
pub(crate) mod saturate;
mod witness;

use std::fmt;

use super::settings::LimitSettings;
use super::{Outcome, Timestamp};

pub use fixed::Fixed;
pub use knee::Knee;
pub use witness::Witness;

/// A limit on seats in use. Shrinking it is an assignment: nothing in flight is cut, and nothing new
/// passes until what is in flight has come down to it.
pub trait Limit: fmt::Debug + Send {
    /// Seats that may be in use now; at least 1.
    fn seats(&self) -> u32;

    /// A seat came back. Called once for each, before it is given to the next.
    fn observe(&mut self, sample: &Sample, now: Timestamp);

    /// The level to carry across a closure or a restart, once one was found.
    fn knee(&self) -> Option<f64>;

    /// Start from a level found earlier.
    fn recall(&mut self, knee: f64);

    /// There is `by` times the capacity that there was: backends went, or came. What was learned is carried over in
    /// proportion. `by` is above 0.
    fn rescale(&mut self, by: f64);

    /// The fewest and the most seats that it may find; `None` when it does not look.
    fn range(&self) -> Option<(u32, u32)> {
        None
    }
}

/// What the use of one seat showed.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it took longer than its product's latency objective.
    pub slow: bool,
    /// Whether this limit, and no other, holds work up from here on: somebody waits for what comes back.
    pub saturated: bool,
}

/// The limit that `settings` ask for.
pub(crate) fn build(settings: &LimitSettings) -> Box<dyn Limit> {
    match settings {
        LimitSettings::Fixed(seats) => Box::new(Fixed::new(seats.get())),
        LimitSettings::Found(range) => Box::new(Knee::new(range.clone())),
        LimitSettings::Candidate(build, range) => build(range),
    }
}
