//! From a law's written name to the law.

use super::classic::{self, Surroundings};
use super::{Law, Observing, Ours};
use crate::sim::checks::Watched;
use crate::sim::scenario::Scenario;

/// How Sluss's own admission is written among the laws.
pub const OURS: &str = "sluss";

/// The law that `written` names, for one run of `scenario`; else a sentence on what may be written.
pub fn build(written: &str, scenario: &Scenario, seed: u64) -> Result<Box<dyn Law>, String> {
    if written == OURS {
        return Ok(Box::new(Observing::new(watched(scenario, seed))));
    }
    let built = classic::build(written, &surroundings(scenario), seed);
    built.map_err(|wrong| format!("there is no law `{written}`: {wrong}; ours is `{OURS}`"))
}

/// What the others need to know of a story.
fn surroundings(scenario: &Scenario) -> Surroundings {
    let products = &scenario.admission.products;
    Surroundings {
        products: products.len(),
        pools: scenario.pools(),
        guarantees: products.iter().map(|product| product.guarantee).collect(),
        objective: products.iter().map(|product| product.latency_objective).collect(),
    }
}

/// Ours, with every step checked.
fn watched(scenario: &Scenario, seed: u64) -> Watched {
    let settings = scenario.admission.clone();
    let mut ours = Ours::new(settings.clone(), scenario.pools(), seed);
    scenario.carried.iter().for_each(|(resource, knee)| ours.recall(*resource, *knee));
    Watched::new(ours, settings)
}
