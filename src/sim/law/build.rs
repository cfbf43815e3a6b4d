//! From a law's written name to the law.

use super::{Law, Ours};
use crate::sim::checks::Watched;
use crate::sim::scenario::Scenario;

/// How Sluss's own admission is written among the laws.
pub const OURS: &str = "sluss";

/// The law that `written` names, for one run of `scenario`; else a sentence on what may be written.
pub fn build(written: &str, scenario: &Scenario, seed: u64) -> Result<Box<dyn Law>, String> {
    match written {
        OURS => Ok(Box::new(watched(scenario, seed))),
        _ => Err(format!("there is no law `{written}`")),
    }
}

/// Ours, with every step checked.
fn watched(scenario: &Scenario, seed: u64) -> Watched {
    let settings = scenario.admission.clone();
    Watched::new(Ours::new(settings.clone(), scenario.pools(), seed), settings)
}
