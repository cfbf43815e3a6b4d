//! What was found as numbers, for a program that makes a table of its own.

use serde::Serialize;

use crate::sim::judge::{Spread, words};
use crate::sim::law::OURS;
use crate::sim::rehearsal::Rehearsal;
use crate::sim::scenario::{Expected, Scenario};

/// One story.
#[derive(Debug, Serialize)]
struct Numbers<'a> {
    name: &'a str,
    file: &'a str,
    seeds: &'a [u64],
    /// What the checks found under any law.
    violations: Vec<&'a str>,
    figures: Vec<Number<'a>>,
}

/// One figure under one law. What is expected of us stands here of the others too, without a verdict.
#[derive(Debug, Serialize)]
struct Number<'a> {
    law: &'a str,
    figure: &'a str,
    unit: &'a str,
    crowd: Option<&'a str>,
    product: Option<&'a str>,
    from_s: f64,
    to_s: f64,
    at_least: Option<f64>,
    at_most: Option<f64>,
    goal: Option<f64>,
    /// Whether the bounds are for the mean.
    mean_is_meant: bool,
    least: Option<f64>,
    mean: Option<f64>,
    most: Option<f64>,
    /// Whether there was something to measure with every seed.
    complete: bool,
    held: Option<bool>,
}

/// All stories as JSON: every figure that is expected, over the seeds.
pub fn numbers(rehearsals: &[Rehearsal]) -> String {
    let stories: Vec<Numbers<'_>> = rehearsals.iter().map(story).collect();
    serde_json::to_string_pretty(&stories).expect("names and numbers can be written") + "\n"
}

fn story(rehearsal: &Rehearsal) -> Numbers<'_> {
    let scenario = &rehearsal.story.scenario;
    let verdicts = rehearsal.verdicts();
    let mut figures = Vec::new();
    for law in &rehearsal.story.laws {
        for (place, expected) in scenario.expected.iter().enumerate() {
            if expected.law != *law && expected.law != OURS {
                continue;
            }
            let runs = rehearsal.measured.iter().filter(|run| run.law == *law);
            let found = runs.clone().map(|run| run.found[place]);
            let complete = found.clone().all(|value| value.is_some());
            let verdict = verdicts.iter().find(|verdict| std::ptr::eq(verdict.expected, expected));
            let held = verdict.filter(|_| expected.law == *law).map(|verdict| verdict.held());
            let spread = Spread::over(found.flatten());
            figures.push(Number { complete, held, ..number(scenario, law, expected, spread) });
        }
    }
    Numbers {
        name: &scenario.name,
        file: &rehearsal.story.file,
        seeds: &rehearsal.seeds,
        violations: rehearsal.measured.iter().flat_map(|run| &run.violations).map(String::as_str).collect(),
        figures,
    }
}

fn number<'a>(scenario: &'a Scenario, law: &'a str, expected: &'a Expected, found: Option<Spread>) -> Number<'a> {
    let (from, to) = expected.window.unwrap_or(scenario.measured);
    let (least, most) = expected.range;
    Number {
        law,
        figure: expected.figure.name(),
        unit: words::unit(expected.figure),
        crowd: expected.crowd.map(|crowd| scenario.crowds[crowd].name.as_str()),
        product: expected.product.map(|product| scenario.products[product].name.as_str()),
        from_s: from.as_secs_f64(),
        to_s: to.as_secs_f64(),
        at_least: (least > 0.0).then_some(least),
        at_most: most.is_finite().then_some(most),
        goal: expected.goal,
        mean_is_meant: expected.mean,
        least: found.map(|found| found.least),
        mean: found.map(|found| found.mean),
        most: found.map(|found| found.most),
        complete: false,
        held: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rehearsal::handmade::rehearsal;

    #[test]
    fn what_is_expected_of_us_is_told_of_every_law_and_judged_of_ours_alone() {
        let told: serde_json::Value = serde_json::from_str(&numbers(&[rehearsal()])).expect("it is JSON");
        let figures = told[0]["figures"].as_array().expect("figures");
        let ours = |law: &str| -> Vec<&serde_json::Value> {
            figures.iter().filter(|one| one["law"] == law && one["figure"] == "attempts_per_step").collect()
        };
        assert_eq!(ours("sluss")[0]["held"], true);
        assert_eq!(ours("sluss")[0]["at_most"], 1.05);
        assert_eq!(ours("vegas").len(), ours("sluss").len());
        assert!(ours("vegas").iter().all(|one| one["held"].is_null() && !one["mean"].is_null()));
    }

    #[test]
    fn what_is_known_of_another_law_is_told_of_that_law_only() {
        let told: serde_json::Value = serde_json::from_str(&numbers(&[rehearsal()])).expect("it is JSON");
        let figures = told[0]["figures"].as_array().expect("figures");
        let judged = figures.iter().filter(|one| one["held"] == false).collect::<Vec<_>>();
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0]["law"], "vegas");
        assert!(!told[0]["violations"].as_array().expect("violations").is_empty());
    }
}
