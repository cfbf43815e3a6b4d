//! What flow control promises (`make flow-control`) can be had: who knows the capacity keeps the promises of the short stories.

use std::num::NonZeroUsize;
use std::path::Path;

use sluss::sim::rehearsal::{Manner, Story, rehearse};
use sluss::sim::scenario::Coming;
use sluss::sim::{scenario, world};

/// Holds a law that was told the capacity against all that is promised of ours.
fn can_be_had(file: &str, law: &str) {
    let mut story = scenario::load(Path::new(file)).expect("the story is sound");
    story.expected.retain(|expected| expected.law == "sluss");
    story.expected.iter_mut().for_each(|expected| expected.law = law.to_owned());
    let manner = Manner { threads: NonZeroUsize::new(2).expect("two"), show: false };
    let stories = vec![Story::new(file.to_owned(), story, &[law.to_owned()])];
    let played = rehearse(stories, &[1], manner, &world::play, &|_| {}).expect("this law exists");
    let verdicts = played[0].verdicts();
    let off: Vec<_> = verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(!verdicts.is_empty() && off.is_empty(), "{file}: {off:#?}");
}

#[test]
fn the_capacity_of_a_backend_under_twice_of_it() {
    can_be_had("scenarios/flow/cells.toml", "fixed:8/adaptive-lifo");
}

#[test]
fn a_step_in_the_load_without_a_dent() {
    can_be_had("scenarios/flow/step.toml", "fixed:20/adaptive-lifo");
}

#[test]
fn everybody_served_after_a_crash_with_retries() {
    can_be_had("scenarios/flow/metastable-retry.toml", "fixed:10/adaptive-lifo");
}

#[test]
fn everybody_served_after_a_slow_spell() {
    can_be_had("scenarios/flow/metastable-collapse.toml", "fixed:10/fifo");
}

#[test]
fn readers_cost_the_backend_one_request_for_each_object_and_second() {
    let mut story = scenario::load(Path::new("scenarios/flow/odds-readers.toml")).expect("the story is sound");
    for crowd in story.crowds.iter_mut().filter(|crowd| crowd.name != "bettors") {
        match &mut crowd.coming {
            Coming::Rate { points, .. } => points.iter_mut().for_each(|(_, per_s)| *per_s /= 50.0),
            Coming::Count { count, .. } | Coming::Spread { count, .. } => *count /= 50,
        }
    }
    let manner = Manner { threads: NonZeroUsize::new(1).expect("one"), show: false };
    let played = rehearse(vec![Story::new(String::new(), story, &[])], &[1], manner, &world::play, &|_| {});
    let played = played.expect("ours exists");
    let verdicts = played[0].verdicts();
    let off: Vec<_> = verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(!verdicts.is_empty() && off.is_empty(), "{off:#?}");
}
