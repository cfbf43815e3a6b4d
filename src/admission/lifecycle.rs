//! A product's life: open, draining, parked, ramping, open.
//!
//! ```text
//!  OPEN ──park──▶ DRAINING ──nothing in flight──▶ PARKED ──reopen──▶ RAMPING ──knee reached──▶ OPEN
//! ```
//!
//! Closing takes effect at once; reopening always goes through the ramp unless an operator says `open`.

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
}

impl State {
    /// How many states have a name.
    pub const COUNT: usize = 4;
    /// Every name, in the order of a product's life.
    pub const NAMES: [&'static str; State::COUNT] = ["open", "draining", "parked", "ramping"];

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
        }
    }

    /// Why new work is refused, if it is.
    pub const fn shut(self) -> Option<ParkReason> {
        match self {
            State::Open | State::Ramping => None,
            State::Draining(reason) | State::Parked(reason) => Some(reason),
        }
    }
}
