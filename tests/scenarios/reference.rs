//! `docs/scenarios.md` tells all there is, and the truth about it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sluss::config::keys::{Key, Kind};
use sluss::sim::scenario::Figure;
use sluss::sim::scenario::keys::SCENARIO;

use super::{good, text_of};

/// A row of the page: a key, and its default as it would be written, if it has one that can be.
struct Row {
    section: String,
    name: String,
    default: Option<String>,
}

/// The rows below headings that name sections in `code`.
fn rows() -> Vec<Row> {
    let text = text_of("docs/scenarios.md");
    let mut rows = Vec::new();
    for chapter in text.split("\n## ").skip(1) {
        let (heading, body) = chapter.split_once('\n').expect("a chapter has a heading");
        let lines: Vec<Vec<&str>> = body.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
        for section in code(heading) {
            let row = |line: &Vec<&str>| Row {
                section: section.trim_matches(['[', ']']).to_owned(),
                name: code(line[0]).concat(),
                default: code(line[1]).first().map(|default| (*default).to_owned()),
            };
            rows.extend(lines.iter().map(row));
        }
    }
    rows
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Keys that have a row of their own; those in braces have one in the row's own section.
fn paths() -> BTreeSet<String> {
    let sections = [Kind::Section, Kind::Sections];
    SCENARIO.iter().filter(|key| !sections.contains(&key.kind)).map(|key| key.path.to_owned()).collect()
}

#[test]
fn the_page_lists_every_key_and_no_other() {
    let path = |row: Row| if row.section == "top" { row.name } else { format!("{}.{}", row.section, row.name) };
    let listed: BTreeSet<String> = rows().into_iter().filter(|row| row.section != "figures").map(path).collect();
    assert_eq!(listed, paths());
}

#[test]
fn the_page_lists_every_figure_and_no_other() {
    let listed: BTreeSet<String> =
        rows().into_iter().filter(|row| row.section == "figures").map(|row| row.name).collect();
    let known: BTreeSet<String> = Figure::ALL.map(|figure| figure.name().to_owned()).into();
    assert_eq!(listed, known);
}

/// Lines for a section from what `value` gives for its keys.
fn section(header: &str, name: &str, value: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let mut text = format!("{header}\n");
    for key in SCENARIO.iter().filter(|key: &&Key| key.section() == name) {
        if let Some(value) = value(name, key.name()).or_else(|| least(name, key.name()).map(str::to_owned)) {
            writeln!(text, "{} = {value}", key.name()).unwrap();
        }
    }
    text
}

/// What a story must have.
fn least(section: &str, name: &str) -> Option<&'static str> {
    Some(match (section, name) {
        ("", "name") => "\"a story\"",
        ("", "lasts") => "\"120s\"",
        ("station", "name") | ("product", "station") => "\"backend\"",
        ("station", "knee") => "20",
        ("product", "name") | ("event" | "crowd", "product") => "\"betting\"",
        ("event", "name") => "\"V75-1\"",
        ("event", "stop") => "\"60s\"",
        ("crowd", "name") => "\"bettors\"",
        ("crowd", "rate") => "40",
        ("crowd.step", "name") => "\"bet\"",
        ("crowd.step", "class") => "\"commit\"",
        ("crowd.step", "work") => "\"8ms\"",
        ("expect", "figure") => "\"goodput_per_s\"",
        ("expect", "at_least") => "1",
        _ => return None,
    })
}

/// A story with values for whatever `value` has something for.
fn story(value: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let parts = [
        section("", "", value),
        section("[customer]", "customer", value),
        section("[[station]]", "station", value),
        section("[[product]]", "product", value),
        section("[product.queue]", "product.queue", value),
        section("[[event]]", "event", value),
        section("[[crowd]]", "crowd", value),
        section("[[crowd.step]]", "crowd.step", value),
        section("[[expect]]", "expect", value),
    ];
    parts.concat()
}

#[test]
fn the_defaults_on_the_page_are_those_in_the_code() {
    let rows = rows();
    let written = |section: &str, name: &str| {
        let section = if section.is_empty() { "top" } else { section };
        let row = rows.iter().find(|row| row.section == section && row.name == name);
        row.and_then(|row| row.default.clone())
    };
    let text = story(&written);
    assert!(text.lines().count() > 40, "defaults were not found:\n{text}");
    let (told, silent) = (good(&text), good(&story(&|_, _| None)));
    assert_eq!(format!("{told:#?}"), format!("{silent:#?}"));
}

#[test]
fn a_full_file_has_every_key_and_is_good() {
    let text = text_of("tests/scenarios/full.toml");
    assert_eq!(good(&text).happenings.len(), 17, "two of the fifteen end by themselves");
    let mut written = BTreeSet::new();
    collect(&text.parse::<toml::Table>().unwrap(), "", &mut written);
    let missing: Vec<String> = paths().difference(&written).cloned().collect();
    assert_eq!(missing, [""; 0], "keys that tests/scenarios/full.toml does not have");
}

/// The paths of all keys in a table.
fn collect(table: &toml::Table, section: &str, paths: &mut BTreeSet<String>) {
    for (name, value) in table {
        let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let inner = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        inner.iter().filter_map(|value| value.as_table()).for_each(|table| collect(table, &path, paths));
        paths.insert(path);
    }
}
