//! Scenario files from outside: what a bad file is told, what good ones mean, and that the page about them tells the
//! truth.

use std::path::{Path, PathBuf};

use sluss::config::ConfigError;
use sluss::sim::scenario::{self, Scenario};

#[path = "scenarios/bad.rs"]
mod bad;
#[path = "scenarios/files.rs"]
mod files;
#[path = "scenarios/meaning.rs"]
mod meaning;
#[path = "scenarios/reference.rs"]
mod reference;

/// Check a text as if it were `story.toml`.
fn parse(text: &str) -> Result<Scenario, ConfigError> {
    scenario::parse(text, Path::new("story.toml"))
}

#[track_caller]
fn good(text: &str) -> Scenario {
    parse(text).unwrap_or_else(|error| panic!("{error}\n\nin\n{text}"))
}

/// A story that nothing is wrong with, so that others can be short.
const STORY: &str = r#"name = "a story"
lasts = "120s"
capacity = 1000
[[station]]
name = "backend"
knee = 20
[[product]]
name = "betting"
station = "backend"
[[event]]
name = "V75-1"
product = "betting"
stop = "60s"
[[crowd]]
name = "bettors"
product = "betting"
rate = 40
[[crowd.step]]
name = "bet"
class = "commit"
work = "20ms"
"#;

/// A file of this repository.
fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text_of(path: &str) -> String {
    let path = in_repository(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
