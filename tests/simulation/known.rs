//! The simulator is trusted as far as it reproduces what others measured. All of it, twenty seeds, is `make known-rows`;
//! here a few rows with two seeds, so that nobody can change the world without noticing.

use std::num::NonZeroUsize;
use std::path::Path;

use sluss::sim::rehearsal::{Manner, Story, rehearse};
use sluss::sim::{judge, scenario, world};

/// Holds the laws named against every figure the file knows of them.
fn reproduce(file: &str, laws: &[&str]) {
    let mut story = scenario::load(Path::new(file)).expect("the story is sound");
    story.expected.retain(|expected| laws.contains(&expected.law.as_str()));
    assert!(story.expected.len() >= laws.len(), "{file}: every law has a row");
    let laws: Vec<String> = laws.iter().map(|law| (*law).to_owned()).collect();
    let manner = Manner { threads: NonZeroUsize::new(2).expect("two"), show: false };
    let stories = vec![Story::new(file.to_owned(), story, &laws)];
    let played = rehearse(stories, &[1, 2], manner, &world::play, &|_| {}).expect("these laws exist");
    let verdicts = played[0].verdicts();
    let off: Vec<_> = verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(!verdicts.is_empty() && off.is_empty(), "{file}: {off:#?}");
    let broken: Vec<&judge::Measured> = played[0].measured.iter().filter(|run| !run.violations.is_empty()).collect();
    assert!(broken.is_empty(), "{file}: {broken:#?}");
}

#[test]
fn an_open_loop_at_twelve_tenths_of_capacity_is_as_it_was_measured() {
    reproduce("scenarios/known/exp1-1.2x.toml", &["fixed:20", "fixed:20/codel", "fixed:20/adaptive-lifo", "vegas"]);
}

#[test]
fn three_products_on_one_pool_are_as_they_were_measured() {
    reproduce("scenarios/known/exp6.toml", &["fixed:20/hard-partition", "fixed:20/guaranteed-lifo"]);
}
