//! What the way of a request counts: handles fetched once, incremented without a lookup.

mod identity;
mod once;
mod products;
mod upstream;

use metrics::{Counter, Gauge, Histogram};

use super::export::Registry;
use super::names;
use crate::admission::Refusal;
use crate::proxy::fault::Fault;

pub use identity::{SessionMetrics, TlsMetrics, TokenMetrics};
pub use once::{Duplicate, OnceMetrics};
pub use products::{ProductMetrics, Read};
pub use upstream::{HintMetrics, LeftOut, UpstreamMetrics};

/// Everything the proxy counts, apart from backends.
pub struct ProxyMetrics {
    /// By product, in the order of the settings.
    pub products: Vec<ProductMetrics>,
    faults: [Counter; Fault::NAMES.len()],
    /// Browsers that asked what a script of another origin may do.
    pub preflights: Counter,
    /// Client connections open now.
    pub connections: Gauge,
    /// Those of them that rest and hold next to no memory.
    pub dormant: Gauge,
    /// Client connections accepted.
    pub accepted: Counter,
    /// Connections closed because there were too many.
    pub too_many: Counter,
    /// Connections closed because there were too many from their address.
    pub too_many_from_one: Counter,
    /// Connections closed because the client was too slow.
    pub too_slow: Counter,
    /// Connections closed because their clients said much of which nothing came.
    pub floods: Counter,
    /// Connections closed because they did not begin with a PROXY header, where they must.
    pub proxy_header: Counter,
    /// Connections closed because nobody used them and somebody else needed the room.
    pub for_room: Counter,
    cannot_accept: [Counter; 2],
    /// By worker.
    lag: Vec<Histogram>,
    connections_of: Vec<Gauge>,
}

/// What is counted of the access log.
#[derive(Clone)]
pub struct AccessLogMetrics {
    /// Lines that were written.
    pub written: Counter,
    /// Lines that were dropped, because what was written before has not been taken yet.
    pub no_room: Counter,
    /// Lines that were lost for an error.
    pub failed: Counter,
}

/// What is counted of one machine.
pub struct MachineMetrics {
    arrivals: Counter,
    refusals: [Counter; Refusal::COUNT],
}

impl ProxyMetrics {
    /// Handles for products of these names.
    pub fn new<'a>(registry: &Registry, products: impl Iterator<Item = &'a str>, workers: u32) -> ProxyMetrics {
        let connections_of = |worker: u32| registry.gauge(names::WORKER_CONNECTIONS, &[&worker.to_string()]);
        let lag = |worker: u32| registry.histogram(names::LAG_SECONDS, &[&worker.to_string()]);
        let closed = |reason| registry.counter(names::CONNECTIONS_CLOSED, &[reason]);
        ProxyMetrics {
            products: products.map(|name| ProductMetrics::new(registry, name)).collect(),
            faults: Fault::NAMES.map(|name| registry.counter(names::FAULTS, &[name])),
            preflights: registry.counter(names::PREFLIGHTS, &[]),
            connections: registry.gauge(names::CONNECTIONS, &[]),
            dormant: registry.gauge(names::CONNECTIONS_DORMANT, &[]),
            accepted: registry.counter(names::CONNECTIONS_ACCEPTED, &[]),
            too_many: closed("too_many"),
            too_many_from_one: closed("too_many_from_one"),
            too_slow: closed("too_slow"),
            floods: closed("flood"),
            proxy_header: closed("proxy_header"),
            for_room: closed("for_room"),
            cannot_accept: ["descriptors", "other"].map(|reason| registry.counter(names::CANNOT_ACCEPT, &[reason])),
            lag: (0..workers).map(lag).collect(),
            connections_of: (0..workers).map(connections_of).collect(),
        }
    }

    /// A connection could not be accepted, for want of descriptors or for another reason.
    pub fn cannot_accept(&self, descriptors: bool) {
        self.cannot_accept[usize::from(!descriptors)].increment(1);
    }

    /// How many connections one worker serves.
    pub fn connections_of(&self, worker: usize) -> Gauge {
        self.connections_of[worker].clone()
    }

    /// How late a worker comes to its own timer.
    pub fn lag(&self, worker: usize) -> Histogram {
        self.lag[worker].clone()
    }

    /// A request was answered with `fault`.
    pub fn fault(&self, fault: Fault) {
        self.faults[fault.index()].increment(1);
    }
}

impl AccessLogMetrics {
    /// Handles for all lines.
    pub fn new(registry: &Registry) -> AccessLogMetrics {
        let lines = |fate| registry.counter(names::ACCESS_LOG_LINES, &[fate]);
        AccessLogMetrics { written: lines("written"), no_room: lines("no_room"), failed: lines("failed") }
    }
}

impl MachineMetrics {
    /// Handles for the machine of this name.
    pub fn new(registry: &Registry, machine: &str) -> MachineMetrics {
        let refusal = |refusal: Refusal| registry.counter(names::MACHINE_REFUSALS, &[machine, refusal.name()]);
        MachineMetrics {
            arrivals: registry.counter(names::MACHINE_ARRIVALS, &[machine]),
            refusals: Refusal::ALL.map(refusal),
        }
    }

    /// It asks.
    pub fn arrived(&self) {
        self.arrivals.increment(1);
    }

    /// It was turned away.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals[refusal.index()].increment(1);
    }
}
