//! The stories of this repository.

use std::path::{Path, PathBuf};

use sluss::sim::scenario;

use super::in_repository;

/// Every scenario below a folder, in order.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("its entries can be read").path()).collect();
    paths.sort();
    let each = paths.into_iter().flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] });
    each.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn every_story_can_be_told_and_says_what_must_come_of_it() {
    let paths = below(&in_repository("scenarios"));
    assert!(paths.len() > 7, "stories are missing: {paths:?}");
    for path in paths {
        let story = scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!story.about.is_empty(), "{}: what it tells is not said", path.display());
        assert!(story.expected.iter().any(|one| one.law == "sluss"), "{}: nothing is expected of us", path.display());
    }
}

#[test]
fn every_law_that_a_story_names_is_known() {
    for path in below(&in_repository("scenarios")) {
        let story = scenario::load(&path).unwrap();
        for law in story.against.iter().chain(story.expected.iter().map(|expected| &expected.law)) {
            let built = sluss::sim::law::build(law, &story, 1);
            assert!(built.is_ok(), "{}: {:?}", path.display(), built.err());
        }
    }
}

#[test]
fn no_story_is_told_twice_under_one_name() {
    let stories = below(&in_repository("scenarios"));
    let mut names: Vec<String> = stories.iter().map(|path| scenario::load(path).unwrap().name).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn what_is_expected_is_expected_once() {
    for path in below(&in_repository("scenarios")) {
        let expected = scenario::load(&path).unwrap().expected;
        for (index, one) in expected.iter().enumerate() {
            let same = |other: &&scenario::Expected| other.subject() == one.subject();
            let earlier = expected[..index].iter().find(same);
            assert_eq!(earlier, None, "{}: twice", path.display());
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_told_as_that() {
    let error = scenario::load(Path::new("no/such.toml")).unwrap_err().to_string();
    assert_eq!(error, "no/such.toml: there is no such file\n  help: check the path: `ls -l no/such.toml`");
}
