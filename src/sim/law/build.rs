//! From a law's written name to the law.

use super::candidates;
use super::classic::{self, Surroundings};
use super::{Law, Observing, Ours};
use crate::admission::Settings;
use crate::sim::checks::{Watched, WatchedSites};
use crate::sim::scenario::Scenario;

/// How Sluss's own admission is written among the laws.
pub const OURS: &str = "sluss";

/// Whether `written` names ours, with whatever limit: then reads are answered from memory where the story says so.
pub fn is_ours(written: &str) -> bool {
    written == OURS || written.strip_prefix(OURS).is_some_and(|rest| rest.starts_with(':'))
}

/// The law that `written` names, for one run of `scenario`; else a sentence on what may be written.
pub fn build(written: &str, scenario: &Scenario, seed: u64) -> Result<Box<dyn Law>, String> {
    if written == OURS {
        return Ok(watched(scenario, scenario.admission.clone(), seed));
    }
    if let Some(candidate) = written.strip_prefix(OURS).and_then(|rest| rest.strip_prefix(':')) {
        let settings = candidates::instead(&scenario.admission, candidate);
        return settings.map(|settings| watched(scenario, settings, seed));
    }
    let built = classic::build(written, &surroundings(scenario), seed);
    built.map_err(|wrong| {
        format!("there is no law `{written}`: {wrong}; ours is `{OURS}`, or `{OURS}:NAME` with another limit")
    })
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

/// Ours with these settings, every step checked.
fn watched(scenario: &Scenario, settings: Settings, seed: u64) -> Box<dyn Law> {
    let mut ours = Ours::new(settings.clone(), scenario.pools(), seed);
    scenario.carried.iter().for_each(|(resource, knee)| ours.recall(*resource, *knee));
    match settings.products.iter().any(|product| !product.sites.is_empty()) {
        true => Box::new(Observing::new(WatchedSites::new(ours, settings))),
        false => Box::new(Observing::new(Watched::new(ours, settings))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sim::scenario;

    #[test]
    fn a_candidate_finds_what_ours_would_find_and_no_other_name_is_one() {
        let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/flow/cells.toml");
        let story = scenario::load(&story).expect("the story is sound");
        assert!(build("sluss:climb", &story, 1).is_ok());
        let told = build("sluss:best", &story, 1).err().expect("there is none of that name");
        assert!(told.contains("no candidate is named `best`") && told.contains("`sluss:climb`"), "{told}");
        assert!(build("slusser", &story, 1).is_err());
    }
}
