//! From a law's written name to the law.

use super::classic::{self, Surroundings};
use super::{Law, Ours};
use crate::sim::scenario::Scenario;

/// How Sluss's own admission is written among the laws.
pub const OURS: &str = "sluss";

/// The law that `written` names, for one run of `scenario`; else a sentence on what may be written.
pub fn build(written: &str, scenario: &Scenario, seed: u64) -> Result<Box<dyn Law>, String> {
    if written == OURS {
        return Ok(Box::new(Ours::new(scenario.admission.clone(), scenario.pools(), seed)));
    }
    let settings = &scenario.admission.products;
    let around = Surroundings {
        products: scenario.products.len(),
        pools: scenario.pools(),
        guarantees: settings.iter().map(|product| product.guarantee).collect(),
        objective: settings.iter().map(|product| product.latency_objective).collect(),
    };
    classic::build(written, &around, seed)
}
