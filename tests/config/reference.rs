//! `docs/configuration.md` tells all there is, and the truth about it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sluss::config::keys::{self, Key, Kind};

use super::{MadeUp, good, parse, text_of};

/// A row of the reference: a key, and its default as it would be written, if it has one that can be.
struct Row {
    section: String,
    name: String,
    default: Option<String>,
}

/// The rows below headings that name sections in `code`; `schedule` for those of the schedule file.
fn rows(schedule: bool) -> Vec<Row> {
    let text = text_of("docs/configuration.md");
    let mut rows = Vec::new();
    for chapter in text.split("\n## ").skip(1) {
        let (heading, body) = chapter.split_once('\n').expect("a chapter has a heading");
        if heading.contains("schedule file") != schedule {
            continue;
        }
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

fn paths(keys: &[Key]) -> BTreeSet<String> {
    let sections = [Kind::Section, Kind::Sections];
    keys.iter().filter(|key| !sections.contains(&key.kind)).map(|key| key.path.to_owned()).collect()
}

fn listed(schedule: bool) -> BTreeSet<String> {
    let path = |row: Row| if row.section == "top" { row.name } else { format!("{}.{}", row.section, row.name) };
    rows(schedule).into_iter().map(path).collect()
}

#[test]
fn the_reference_lists_every_key_and_no_other() {
    assert_eq!(listed(false), paths(keys::CONFIG));
    assert_eq!(listed(true), paths(keys::SCHEDULE));
}

/// Lines for a section from what `value` gives for its keys.
fn section(header: &str, name: &str, value: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let mut text = format!("{header}\n");
    for key in keys::CONFIG.iter().filter(|key| key.section() == name) {
        if let Some(value) = value(name, key.name()) {
            writeln!(text, "{} = {value}", key.name()).unwrap();
        }
    }
    text
}

/// A configuration with one product, and values for whatever `value` has something for.
fn configuration(value: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let one = |section: &str, name: &str| value(section, name).or_else(|| least(section, name));
    let parts = [
        section("", "", &one),
        section("[listen]", "listen", &one),
        section("[admin]", "admin", &one),
        section("[access_log]", "access_log", &one),
        section("[trace]", "trace", &one),
        section("[cache]", "cache", &one),
        section("[customer]", "customer", &one),
        section("[event]", "event", &one),
        section("[cors]", "cors", &one),
        section("[pages]", "pages", &one),
        section("[once]", "once", &one),
        section("[[product]]", "product", &one),
        section("[product.queue]", "product.queue", &one),
        // Written down, it is asked for: then its path must be, too.
        section("[product.health]", "product.health", &|section, name| {
            one(section, name).or_else(|| (name == "path").then(|| "\"/\"".to_owned()))
        }),
        section("[product.outliers]", "product.outliers", &one),
    ];
    parts.concat()
}

fn least(section: &str, name: &str) -> Option<String> {
    let value = match (section, name) {
        ("access_log", "to") => "\"access.log\"",
        ("cors", "origins") => "[\"https://www.example.com\"]",
        ("product", "name") => "\"horse-racing\"",
        ("product", "match") => "[{ path = \"/horse/\" }]",
        ("product", "backends") => "[\"http://127.0.0.1:9101\"]",
        _ => return None,
    };
    Some(value.to_owned())
}

#[test]
fn the_defaults_in_the_reference_are_those_in_the_code() {
    let rows = rows(false);
    let written = |section: &str, name: &str| {
        let section = if section.is_empty() { "top" } else { section };
        let row = rows.iter().find(|row| row.section == section && row.name == name);
        row.and_then(|row| row.default.clone())
    };
    let text = configuration(&written);
    assert!(text.lines().count() > 35, "defaults were not found:\n{text}");
    let (told, silent) = (good(&text), good(&configuration(&|_, _| None)));
    assert_eq!(format!("{told:#?}"), format!("{silent:#?}"));
}

#[test]
fn every_example_of_a_key_is_good() {
    let example = |section: &str, name: &str| {
        let key = keys::CONFIG.iter().find(|key| key.section() == section && key.name() == name)?;
        let apart = matches!(key.kind, Kind::Section | Kind::Sections) || name == "token_file";
        (!apart).then(|| key.example.to_owned())
    };
    // A check is a page or a call; that a call is good is seen in the full file.
    let mut text = configuration(&|section, name| example(section, name).filter(|_| name != "grpc"));
    // Only reads have it.
    let bets = |section: &str, name: &str| example(section, name).filter(|_| name != "cache");
    text += &section("[[product.class]]", "product.class", &bets);
    let reads = |section: &str, name: &str| match name {
        "class" => Some("\"read\"".to_owned()),
        "match" => Some("[{ path = \"/horse/odds\" }]".to_owned()),
        name => example(section, name),
    };
    text += &section("[[product.class]]", "product.class", &reads);
    // A number leaves nothing to hint at.
    let hinted = |section: &str, name: &str| example(section, name).filter(|_| name != "limit");
    text += &section("[[budget]]", "budget", &hinted);
    let given = |section: &str, name: &str| match name {
        "name" => Some("\"login\"".to_owned()),
        name => example(section, name).filter(|_| !name.contains("hint")),
    };
    text += &section("[[budget]]", "budget", &given);
    let without_token = |section: &str, name: &str| example(section, name).filter(|_| !name.contains("token"));
    text += &section("[[machine]]", "machine", &without_token);
    text += &section("[listen.tls]", "listen.tls", &example);
    text += &section("[schedule]", "schedule", &example);
    let schedule = keys::SCHEDULE.iter().filter(|key| key.section() == "event");
    let schedule: String = schedule.map(|key| format!("{} = {}\n", key.name(), key.example)).collect();
    let around = MadeUp::default()
        .with("schedule.toml", format!("[[event]]\n{schedule}"))
        .with("bet.example.pem", text_of("tests/keys/server.pem"))
        .with("bet.example.key", text_of("tests/keys/server.key"))
        .with("clients.pem", text_of("tests/keys/server.pem"));
    parse(&text, &around).unwrap_or_else(|error| panic!("{error}\n\nin\n{text}"));
}

#[test]
fn a_full_file_has_every_key_and_is_good() {
    let text = text_of("tests/config/full.toml");
    let around = MadeUp::default()
        .with("schedule.toml", text_of("examples/schedule.toml"))
        .with("admin.token", "0123456789abcdef0123456789abcdef")
        .with("provider-x.token", "fedcba9876543210")
        .with("jwt.pem", text_of("tests/keys/ed25519.pem"))
        .with("bet.example.pem", text_of("tests/keys/server.pem"))
        .with("bet.example.key", text_of("tests/keys/server.key"))
        .with("clients.pem", text_of("tests/keys/server.pem"));
    let config = parse(&text, &around).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.proxy.products[0].classes.len(), 6);
    let mut written = BTreeSet::from(["admin.token".to_owned()]); // there is a token_file
    collect(&text.parse::<toml::Table>().unwrap(), "", &mut written);
    let missing: Vec<String> = paths(keys::CONFIG).difference(&written).cloned().collect();
    assert_eq!(missing, [""; 0], "keys that tests/config/full.toml does not have");
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
