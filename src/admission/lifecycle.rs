//! A product's life: open, draining, parked, ramping, open.
//!
//! ```text
//!  OPEN ──park──▶ DRAINING ──nothing in flight──▶ PARKED ──reopen──▶ RAMPING ──knee reached──▶ OPEN
//!    └───no backend is there───▶ DOWN ───one is there again──────────────▲
//! ```
//!
//! Closing takes effect at once; reopening always goes through the ramp unless an operator says `open`. That no backend
//! is there is a closure that was found and not ordered, and their return a reopening: it opens nothing that a person
//! has shut.

use super::Refusal;

/// Why a product does not take bets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParkReason {
    /// Paused: customers hear that betting will go on.
    Parked,
    /// Closed for good, as far as customers are told.
    Closed,
}

impl ParkReason {
    /// The word in the API and the journal.
    pub const fn name(self) -> &'static str {
        match self {
            ParkReason::Parked => "parked",
            ParkReason::Closed => "closed",
        }
    }
}

/// Where a product is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Serving as the limits allow.
    Open,
    /// Nothing new; what is in flight finishes.
    Draining(ParkReason),
    /// Nothing in flight but `protected` and `settle`.
    Parked(ParkReason),
    /// Serving under a ceiling that grows while the backends stay healthy.
    Ramping,
    /// None of its backends is there: who comes is told so instead of being sent into the void.
    Down,
}

impl State {
    /// How many states have a name.
    pub const COUNT: usize = 5;
    /// Every name, in the order of a product's life.
    pub const NAMES: [&'static str; State::COUNT] = ["open", "draining", "parked", "ramping", "down"];

    /// The word in metrics, status and logs.
    pub const fn name(self) -> &'static str {
        State::NAMES[self.index()]
    }

    /// The place in [`State::NAMES`].
    pub const fn index(self) -> usize {
        match self {
            State::Open => 0,
            State::Draining(_) => 1,
            State::Parked(_) => 2,
            State::Ramping => 3,
            State::Down => 4,
        }
    }

    /// Why a person has shut it, if one has.
    pub const fn shut(self) -> Option<ParkReason> {
        match self {
            State::Open | State::Ramping | State::Down => None,
            State::Draining(reason) | State::Parked(reason) => Some(reason),
        }
    }

    /// The no that new work hears, if it does.
    pub const fn refuses(self) -> Option<Refusal> {
        match (self, self.shut()) {
            (State::Down, _) => Some(Refusal::NoBackend),
            (_, Some(ParkReason::Parked)) => Some(Refusal::Parked),
            (_, Some(ParkReason::Closed)) => Some(Refusal::Closed),
            (_, None) => None,
        }
    }
}
