//! What stands behind the proxy: stations of work, told the time.

mod settings;

pub use settings::{Bend, Cold, Eases, Engine, Fault, Leg, Route, Settings, Spread, Station};

/// A request in the plant, numbered by the plant.
pub type JobId = u64;

/// How a request ended in the plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Turned away or failed: an error came back.
    Failed,
}
