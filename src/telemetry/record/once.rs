//! What is counted of requests that are carried out once.

use metrics::{Counter, Gauge};

use crate::admission::once::Forgotten;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What is counted of requests that are carried out once.
pub struct OnceMetrics {
    /// By product, then by what became of them.
    duplicates: Vec<[Counter; 4]>,
    bets: Gauge,
    bytes: Gauge,
    unknown: Gauge,
    forgotten_bets: Counter,
    forgotten_answers: Counter,
}

/// What became of a request with the key of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// It waits for the answer to that.
    InFlight,
    /// It hears the answer to that.
    Answered,
    /// It hears that nobody knows.
    Unknown,
    /// It is another request.
    Reused,
}

impl OnceMetrics {
    /// Handles for products of these names.
    pub fn new<'a>(registry: &Registry, products: impl Iterator<Item = &'a str>) -> OnceMetrics {
        let verdicts = ["in_flight", "answered", "unknown", "reused"];
        let duplicates = |name| verdicts.map(|verdict| registry.counter(names::ONCE_DUPLICATES, &[name, verdict]));
        let forgotten = |what| registry.counter(names::ONCE_FORGOTTEN, &[what]);
        OnceMetrics {
            duplicates: products.map(duplicates).collect(),
            bets: registry.gauge(names::ONCE_BETS, &[]),
            bytes: registry.gauge(names::ONCE_BYTES, &[]),
            unknown: registry.gauge(names::ONCE_UNKNOWN, &[]),
            forgotten_bets: forgotten("bet"),
            forgotten_answers: forgotten("answer"),
        }
    }

    /// A request of this product has the key of an earlier one.
    pub fn duplicate(&self, product: usize, duplicate: Duplicate) {
        self.duplicates[product][duplicate as usize].increment(1);
    }

    /// So much is known now.
    pub fn holds(&self, bets: usize, bytes: usize, unknown: usize) {
        self.bets.set(bets as f64);
        self.bytes.set(bytes as f64);
        self.unknown.set(unknown as f64);
    }

    /// This made room for others.
    pub fn forgotten(&self, forgotten: Forgotten) {
        self.forgotten_bets.increment(forgotten.bets);
        self.forgotten_answers.increment(forgotten.answers);
    }
}
