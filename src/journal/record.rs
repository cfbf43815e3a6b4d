//! What stands in a line of the journal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, as RFC 3339.
    pub at: jiff::Timestamp,
    /// What.
    #[serde(flatten)]
    pub record: Record,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A product reached a state.
    State {
        /// Which.
        product: String,
        /// `open`, `draining`, `parked` or `ramping`.
        state: String,
        /// `parked` or `closed`, when it is shut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An event was opened, parked or closed.
    Event {
        /// Which.
        event: String,
        /// `open`, `parked` or `closed`.
        state: String,
        /// Its betting stop then: an id may be used again for another day's race.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<jiff::Timestamp>,
    },
    /// Somebody said over the API what the schedule is to say of an event.
    Scheduled {
        /// Which.
        event: String,
        /// What counts since; nothing when it was taken out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<Entry>,
        /// The stop that the schedule file had for it then: as long as the file says the same, it has said nothing since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<jiff::Timestamp>,
    },
    /// The schedule file has spoken since, or what was said has become old: from now on the file counts.
    FileCounts {
        /// For which event.
        event: String,
    },
    /// Somebody gave an order, or a signal came.
    Order {
        /// What they said.
        order: String,
        /// About what.
        scope: String,
        /// Who.
        who: String,
        /// Why.
        reason: String,
    },
    /// A limit's level.
    Knee {
        /// Of which pool or budget.
        resource: String,
        /// Seats.
        seats: f64,
    },
    /// Somebody gave an order about a backend, and this is what counts of it since.
    Backend {
        /// Its name.
        backend: String,
        /// What counts.
        #[serde(flatten)]
        word: BackendWord,
    },
    /// What share a site has from now on.
    Share {
        /// Of which product.
        product: String,
        /// Its name.
        site: String,
        /// What counts.
        #[serde(flatten)]
        word: ShareWord,
    },
    /// A share is on its way from one site to another, or no more.
    Shift {
        /// Which product's.
        product: String,
        /// Whether it is.
        under_way: bool,
    },
    /// Everything but plain proxying was switched off, or on again.
    Bypass {
        /// Whether it is off now.
        on: bool,
    },
    /// From now on nothing is refused, or what is decided counts again.
    ObserveOnly {
        /// Whether nothing is refused.
        on: bool,
        /// What the configuration said then: who changes it afterwards means it.
        configured: bool,
    },
}

/// What was ordered of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendWord {
    /// Its pool.
    pub pool: String,
    /// Where it is.
    pub address: std::net::SocketAddr,
    /// Whether it belongs to the pool.
    pub member: bool,
    /// Whether it is out of use.
    pub drained: bool,
    /// Its share beside others.
    pub weight: u32,
    /// Its level: 0 serves first.
    #[serde(default)]
    pub priority: u32,
    /// The weight that the configuration gave it then, if it was there: who changes it afterwards means it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<u32>,
}

/// What a site has of what its product lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareWord {
    /// In per cent.
    pub share: u32,
    /// Whether that is the most it may have as well.
    pub bounded: bool,
    /// What the configuration gave it then: who changes it afterwards means it.
    pub configured: u32,
}

/// What the schedule says of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its product, by name.
    pub product: String,
    /// When betting on it stops.
    pub stop: jiff::Timestamp,
    /// How long before its stop a close signal is believed.
    pub believed_before_stop: Duration,
    /// How long before its stop the last bet is let through.
    pub margin: Duration,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
