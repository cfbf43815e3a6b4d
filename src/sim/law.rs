//! What may stand between customers and plant: Sluss's own admission, or a law that others use.
//!
//! A law is asked once for each request, as a proxy would ask it, and told when the request ends. All laws meet the
//! same customers and the same plant, drawn from the same seed, so what differs between two runs is the law.

mod ours;
mod candidates;
mod observing;
pub mod classic;
mod build;

use std::time::Duration;

pub use build::{OURS, build, is_ours};
pub use observing::Observing;
pub use ours::Ours;

use crate::admission::schedule::{Entry, EventState};
use crate::admission::shift::Plan;
use crate::admission::{Arrival, EventKey, Order, Outcome, Refusal, Timestamp};

/// A request that is alive in the simulated world. Small and dense, so that a law may keep what it knows of a request
/// in a vector; given to another request once this one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

impl RequestId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A request at the door.
#[derive(Clone, Copy, Debug)]
pub struct Knock {
    /// Which.
    pub request: RequestId,
    /// Who asks, and for what.
    pub arrival: Arrival,
}

/// What a law says to a knock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// Go on to the plant. [`Law::finish`] follows, once.
    Pass,
    /// Wait: [`Law::poll`] will say more, unless [`Law::leave`] comes first.
    Wait,
    /// No.
    Refuse(No),
}

/// A no.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct No {
    /// Why, where the law has a name for it.
    pub why: Option<Refusal>,
    /// When to come back, if the law says so.
    pub retry_after: Option<Duration>,
    /// Said at a gate that admits customers and not requests: the customer has not begun, polls again when told, and
    /// its attempt does not count as one.
    pub at_the_gate: bool,
}

impl No {
    /// A bare no, without a word about when to come back.
    pub const BARE: No = No { why: None, retry_after: None, at_the_gate: false };
}

/// What a law has decided about a request that waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// It may pass.
    Pass(RequestId),
    /// It is told no.
    Refuse(RequestId, No),
}

/// What is told to a law that tells a race from a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Notice {
    /// An event is on the schedule.
    Schedule(EventKey, Entry),
    /// An outside source says that betting on an event has stopped.
    Signal(EventKey),
    /// A person decides about an event.
    EventOrder(EventKey, EventState),
    /// Betting on an event stops at another time.
    MoveStop(EventKey, Timestamp),
    /// Everything but plain proxying goes off, or on again.
    Bypass(bool),
    /// What is decided no longer counts, or counts again. Heard by [`Observing`], which tells the law as well.
    Observe(bool),
    /// A backend says how many requests a budget takes.
    Hint {
        /// The budget: an index into the resources of the admission settings.
        resource: usize,
        /// Requests it takes now.
        seats: u32,
    },
    /// A share of a product, by its place in the scenario, is moved from one of its sites to another.
    Shift(usize, Plan),
    /// So many of the nodes behind a pool accept connections, `of` so many that there are.
    Backends {
        /// The pool: an index into the resources of the admission settings.
        pool: usize,
        /// Nodes that are there.
        healthy: u32,
        /// Nodes there are when all is well.
        of: u32,
    },
}

/// What a product looks like from outside, for the curves of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// Seats that may be in use at once at the product's pool; `None` where there is no limit.
    pub limit: Option<f64>,
    /// The product's requests at the plant, as the law counts them.
    pub in_flight: u32,
    /// The product's requests that wait.
    pub waiting: u32,
    /// The name of the product's state.
    pub state: &'static str,
    /// The ramp's ceiling, while there is one.
    pub ramp: Option<u32>,
}

/// Something between customers and plant. See the [module](self).
pub trait Law {
    /// A request asks to pass.
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word;

    /// A request that passed has ended, as far as the proxy is concerned.
    fn finish(&mut self, request: RequestId, outcome: Outcome, now: Timestamp);

    /// A request that passed has ended, and its client had hung up long before: it was carried to its end because it
    /// may have changed something. A law that counts what clients see takes it as abandoned.
    fn finish_unheard(&mut self, request: RequestId, _outcome: Outcome, now: Timestamp) {
        self.finish(request, Outcome::Abandoned, now);
    }

    /// The client of a request that waits has hung up.
    fn leave(&mut self, request: RequestId, now: Timestamp);

    /// What was decided since the last call about those who wait. Taken until `None` after every call.
    fn poll(&mut self) -> Option<Said>;

    /// When to call [`wake`](Self::wake) at the latest.
    fn next_wake(&self) -> Option<Timestamp> {
        None
    }

    /// Do what has become due.
    fn wake(&mut self, _now: Timestamp) {}

    /// An operator's order for one product, by its place in the scenario. Laws without states shut the door and open it.
    fn order(&mut self, product: usize, order: Order, now: Timestamp);

    /// What a product looks like now.
    fn look(&self, product: usize) -> Look;

    /// Where a request that passed is served, by the place among its product's sites; `None` when the law knows none.
    fn site(&self, _request: RequestId) -> Option<usize> {
        None
    }

    /// The share of a product's last site, in per cent; `None` when the law knows none.
    fn share(&self, _product: usize) -> Option<u32> {
        None
    }

    /// What somebody who watches the law has found wrong so far; empty while all its promises hold.
    fn violations(&self) -> &[String] {
        &[]
    }

    /// After [`arrive`](Self::arrive), or while it waits: this request goes on, whatever was said to it. Its seat or place
    /// is given back as ever, and [`is_over`](Self::is_over) follows.
    fn goes_on(&mut self, _knock: Knock, _now: Timestamp) {}

    /// A request that went on has ended.
    fn is_over(&mut self, _request: RequestId, _outcome: Outcome, _now: Timestamp) {}

    /// Something that only a law with events understands. False when this one does not.
    fn notice(&mut self, _notice: Notice, _now: Timestamp) -> bool {
        false
    }
}
