//! What is decided: who may pass, who waits, who is told no and when to come back.
//!
//! This core is *told*. It has no clock, no sockets, no tasks, no metrics and no global state: the
//! time comes in with every call and the seed at birth, so two runs with equal inputs are equal to the
//! last digit, and the simulator judges the very code that serves.
//!
//! A [`Domain`] holds the products that share something (a pool of backends, a budget on a wallet) and
//! is meant to sit behind one short lock. A driver calls
//!
//! - [`Domain::arrive`] once per request and acts on the [`Verdict`];
//! - [`Domain::finish`] once per [`Seat`], when the answer has gone out or can no longer;
//! - [`Domain::leave`] when a waiter's client has hung up;
//! - [`Domain::name`] for who waits, and [`Domain::take_over`] before a request of somebody who waits already is refused;
//! - [`Domain::order`] for operators and signals;
//! - [`Domain::backends`] when backends of a pool went or came back;
//! - [`Domain::shift`] when an operator moves a product's share from one of its sites to another;
//! - [`Domain::hint`] when a backend says how much a budget takes;
//! - [`Domain::reform`] when the settings have changed;
//! - [`Domain::wake`] no later than [`Domain::next_wake`];
//! - in observe-only, [`Domain::goes_on`] after every arrival, and [`Domain::is_over`] when that request ends;
//!
//! and after every call takes what [`Domain::poll_output`] has for it.
//!
//! What it promises: seats in use never exceed a limit (bypass and reserve apart, both counted); a seat
//! is given back exactly once, for it can neither be copied nor made up; nobody waits longer than the
//! product's longest wait; every call does bounded work; a product below its guarantee goes before one
//! above it; no customer fills a reserve alone.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod time;
pub mod random;
pub mod settings;
pub mod lifecycle;
pub mod schedule;
pub mod reads;
pub mod customers;
pub(crate) mod rank;
pub mod passes;
pub(crate) mod answer_time;
pub(crate) mod reserve;
pub mod queue;
pub mod limit;
pub mod resource;
pub mod rate;
pub mod shift;
pub(crate) mod sites;
pub mod retry_after;
pub mod ramp;
pub(crate) mod floor;
pub mod product;
pub mod domain;
pub mod once;
pub mod retry_budget;
pub mod event;

use std::num::NonZeroU8;
use std::time::Duration;

pub use domain::Domain;
pub use event::Event;
pub use lifecycle::{ParkReason, State};
pub use product::Product;
pub use queue::Place;
pub use settings::Settings;
pub use shift::Shift;
pub use time::Timestamp;

/// How a request ranks. Earlier goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Self-exclusion, lowering a limit, logout, withdrawal, receipts: served in every state from a
    /// reserve of its own.
    Protected,
    /// Money already in motion: the end of a casino round, a payment's return. Served in every state.
    Settle,
    /// Place a bet.
    Commit,
    /// The next step of a journey: price a coupon, deposit.
    Continue,
    /// Login, a new session: each brings more work behind it.
    Start,
    /// Odds, start lists.
    Read,
    /// Images, marketing, unknown scripts: the first to go.
    Background,
}

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = 7;
    /// Every class, first rank first.
    pub const ALL: [Class; Class::COUNT] =
        [Class::Protected, Class::Settle, Class::Commit, Class::Continue, Class::Start, Class::Read, Class::Background];

    /// The place in [`Class::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word in config, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Protected => "protected",
            Class::Settle => "settle",
            Class::Commit => "commit",
            Class::Continue => "continue",
            Class::Start => "start",
            Class::Read => "read",
            Class::Background => "background",
        }
    }

    /// Whether a line of this class that stands is served from its newest end. Work in the middle of a journey never is.
    pub const fn newest_first_once_behind(self) -> bool {
        matches!(self, Class::Read | Class::Background)
    }

    /// Whether this is one of the lowest classes, which are owed a floor.
    pub const fn has_floor(self) -> bool {
        matches!(self, Class::Read | Class::Background)
    }

    /// Whether this is a step of a journey, which takes a pass.
    pub const fn is_of_a_journey(self) -> bool {
        matches!(self, Class::Commit | Class::Continue | Class::Start)
    }

    /// Whether this class is served whatever state its product is in.
    pub const fn passes_in_every_state(self) -> bool {
        matches!(self, Class::Protected | Class::Settle)
    }
}

/// A product's place in its domain's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProductId(pub u16);

impl ProductId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Who is asking, as a number the driver made (a keyed hash): admission never sees a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Customer {
    /// Known by an identity that one customer has.
    Account(u64),
    /// Known only by a network address, which many may share.
    Address(u64),
    /// A machine that the operator has named, by its place in [`Settings::machines`].
    Machine(u16),
}

impl Customer {
    /// A number like any other: what the driver made may be small.
    pub(crate) fn spread(self) -> u64 {
        match self {
            Customer::Account(key) | Customer::Address(key) => random::mix(key),
            Customer::Machine(number) => random::mix(!u64::from(number)),
        }
    }
}

/// A race or match, as a number the driver made from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u64);

/// A request asks to pass.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// What it is for.
    pub product: ProductId,
    /// How it ranks.
    pub class: Class,
    /// Who asks.
    pub customer: Customer,
    /// The event it names, if it does.
    pub event: Option<EventKey>,
    /// How many seats it costs of everything it needs: work that weighs as much as several others. Where a limit has
    /// fewer, it costs all of them.
    pub seats: NonZeroU8,
}

/// What a request costs unless somebody says otherwise.
pub const ONE_SEAT: NonZeroU8 = NonZeroU8::MIN;

/// What admission says to an arrival.
#[derive(Debug)]
#[must_use = "a seat that is dropped is leaked: give it back with Domain::finish"]
pub enum Verdict {
    /// Pass now. Give the seat back with [`Domain::finish`].
    Proceed(Seat),
    /// Wait. An [`Output`] will follow for this place, unless the driver says [`Domain::leave`].
    Wait(Place),
    /// No.
    Refuse(Refused),
}

/// A named no, with the time to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// When to try again; drawn so that those sent away do not return all at once.
    pub retry_after: Duration,
}

/// Why somebody was turned away. Each is the label of a counter, a word in the log, a row in
/// `docs/refusals.md` and an answer in `proxy::answer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The product was closed by order.
    Closed,
    /// The product is paused while somebody finds out; it will reopen.
    Parked,
    /// None of the product's backends is there.
    NoBackend,
    /// The event was closed.
    EventClosed,
    /// The event is paused while somebody finds out.
    EventParked,
    /// The event's betting stop has passed.
    PastBettingStop,
    /// The event's betting stop is so near that the bet would not be answered before it.
    StopTooNear,
    /// So many wait already that this one would have waited too long.
    QueueFull,
    /// Others are before this customer, whose turn is kept until the time told.
    NotYourTurn,
    /// Waited as long as anybody may.
    WaitedTooLong,
    /// This customer has as many requests running and waiting as one may have while others wait.
    OverCustomerShare,
    /// The same customer has asked the same again, and the newer request has this one's place.
    TakenOver,
    /// The proxy is going down; another one, or the next, will answer.
    ShuttingDown,
    /// The proxy itself has no memory or no time left. Said by the driver, never by admission.
    ProxyOverloaded,
}

impl Refusal {
    /// How many refusals there are.
    pub const COUNT: usize = 14;
    /// Every refusal.
    pub const ALL: [Refusal; Refusal::COUNT] = [
        Refusal::Closed,
        Refusal::Parked,
        Refusal::NoBackend,
        Refusal::EventClosed,
        Refusal::EventParked,
        Refusal::PastBettingStop,
        Refusal::StopTooNear,
        Refusal::QueueFull,
        Refusal::NotYourTurn,
        Refusal::WaitedTooLong,
        Refusal::OverCustomerShare,
        Refusal::TakenOver,
        Refusal::ShuttingDown,
        Refusal::ProxyOverloaded,
    ];

    /// The place in [`Refusal::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word in answers, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Closed => "closed",
            Refusal::Parked => "parked",
            Refusal::NoBackend => "no_backend",
            Refusal::EventClosed => "event_closed",
            Refusal::EventParked => "event_parked",
            Refusal::PastBettingStop => "past_betting_stop",
            Refusal::StopTooNear => "stop_too_near",
            Refusal::QueueFull => "queue_full",
            Refusal::NotYourTurn => "not_your_turn",
            Refusal::WaitedTooLong => "waited_too_long",
            Refusal::OverCustomerShare => "over_customer_share",
            Refusal::TakenOver => "taken_over",
            Refusal::ShuttingDown => "shutting_down",
            Refusal::ProxyOverloaded => "proxy_overloaded",
        }
    }
}

/// Leave to use the seats that a request needs. It can be neither copied nor made up outside this
/// module, so it is given back at most once; dropping it instead of giving it back leaks the seats.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "give it back with Domain::finish"]
pub struct Seat {
    pub(crate) product: ProductId,
    pub(crate) class: Class,
    pub(crate) customer: Customer,
    pub(crate) reserved: bool,
    /// The pool of the site where it is served, where its product has several.
    pub(crate) pool: Option<u8>,
    /// How many were taken of everything it needs: what they cost was counted when they were taken.
    pub(crate) seats: u32,
    /// What they were taken of; nothing when they are of the reserve. What is needed may be another by the end.
    pub(crate) needs: settings::Needs,
    pub(crate) started: Timestamp,
}

impl Seat {
    /// When the request was let through.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Where the request is to be served: the pool of one of its product's [sites](settings::ProductSettings::sites), among
    /// the domain's resources, which keep their numbers where sites do not; `None` where there is nothing to choose.
    pub fn pool(&self) -> Option<usize> {
        self.pool.map(usize::from)
    }
}

/// A request that goes on whatever was said to it: observe-only. Dropping it instead of giving it to
/// [`Domain::is_over`] makes the domain believe that the request never ends.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "give it back with Domain::is_over"]
pub struct Underway {
    pub(crate) needs: settings::Needs,
    pub(crate) pool: Option<u8>,
}

impl Underway {
    /// As [`Seat::pool`]: where it would be served.
    pub fn pool(&self) -> Option<usize> {
        self.pool.map(usize::from)
    }
}

/// How an admitted request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered, and not with a sign of overload.
    Answered,
    /// The backend failed, timed out, or answered with 502, 503 or 504.
    Failed,
    /// The client went away before the end; says nothing about the backend.
    Abandoned,
    /// The backend answered, and goes on answering for as long as it pleases: how fast it is was seen after so long, when its
    /// answer began, and not when the seat came back.
    Streams(Duration),
}

impl Outcome {
    /// What it says of the backend, and after how long that was known, of a request that had its seat since `started`.
    pub(crate) fn told(self, started: Timestamp, now: Timestamp) -> (Outcome, Duration) {
        match self {
            Outcome::Streams(began) => (Outcome::Answered, began),
            outcome => (outcome, now.since(started)),
        }
    }
}

/// What an operator, or a signal, tells us about one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop new work; let what is in flight finish; tell customers the truth.
    Park(ParkReason),
    /// Let customers back in through the ramp.
    Reopen,
    /// Open at once, without the ramp.
    Open,
}

/// What the driver must act on.
#[derive(Debug)]
pub enum Output {
    /// The waiter at this place may pass.
    Admit(Place, Seat),
    /// The waiter at this place is told no.
    Refuse(Place, Refused),
    /// Something to tell operators.
    Note(Event),
}
