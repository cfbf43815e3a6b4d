//! From a law's written name to the law.

use super::{Law, Ours};
use crate::sim::scenario::Scenario;

/// How Sluss's own admission is written among the laws.
pub const OURS: &str = "sluss";

/// The law that `written` names, for one run of `scenario`; else a sentence on what may be written.
pub fn build(written: &str, scenario: &Scenario, seed: u64) -> Result<Box<dyn Law>, String> {
    match written {
        OURS => Ok(Box::new(Ours::new(scenario.admission.clone(), scenario.pools(), seed))),
        _ => Err(format!("there is no law `{written}`")),
    }
}
