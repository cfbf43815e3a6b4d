//! Bad files as data: `tests/scenarios/bad/*.txt` has the file and, below it, exactly what is said.
//!
//! After a change of words, `SLUSS_UPDATE=1 cargo test --test scenarios` writes down what is said now; read the
//! difference aloud before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use super::{STORY, in_repository, parse};

/// One case: a title, a text, and what is said.
struct Case<'a> {
    title: &'a str,
    text: &'a str,
    says: &'a str,
}

const TITLE: &str = "#### ";
const SAYS: &str = "---- says\n";

/// Stand for the parts of a story that nothing is wrong with, so that cases can be short.
fn filled(text: &str) -> String {
    let (top, rest) = STORY.split_once("[[station]]").expect("the story has a station");
    let (station, rest) = rest.split_once("[[product]]").expect("the story has a product");
    let (product, rest) = rest.split_once("[[event]]").expect("the story has an event");
    let (event, crowd) = rest.split_once("[[crowd]]").expect("the story has a crowd");
    let parts = [
        ("%story\n", STORY.to_owned()),
        ("%top\n", top.to_owned()),
        ("%station\n", format!("[[station]]{station}")),
        ("%product\n", format!("[[product]]{product}")),
        ("%event\n", format!("[[event]]{event}")),
        ("%crowd\n", format!("[[crowd]]{crowd}")),
    ];
    parts.iter().fold(text.to_owned(), |text, (name, part)| text.replace(name, part))
}

fn case(case: &str) -> Case<'_> {
    let (title, rest) = case.split_once('\n').expect("a case has a title line");
    let (text, says) = rest.split_once(SAYS).unwrap_or((rest, ""));
    Case { title, text, says: says.trim_end() }
}

fn said(case: &Case<'_>) -> String {
    match parse(&filled(case.text)) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn run(path: &Path) -> Vec<String> {
    let file = std::fs::read_to_string(path).expect("a file of cases can be read");
    let mut failed = Vec::new();
    let mut now = file.split(TITLE).next().unwrap_or_default().to_owned();
    for case in file.split(TITLE).skip(1).map(case) {
        let said = said(&case);
        if said != case.says {
            let title = case.title;
            failed.push(format!("{}: {title}\n--- expected\n{}\n--- said\n{said}", path.display(), case.says));
        }
        write!(now, "{TITLE}{}\n{}{SAYS}{said}\n\n", case.title, case.text).unwrap();
    }
    if std::env::var_os("SLUSS_UPDATE").is_some() {
        std::fs::write(path, now.trim_end().to_owned() + "\n").expect("a file of cases can be written");
        return Vec::new();
    }
    failed
}

#[test]
fn a_bad_file_is_told_what_is_wrong_and_what_to_write() {
    let folder = std::fs::read_dir(in_repository("tests/scenarios/bad")).expect("there is a folder of cases");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("its entries can be read").path()).collect();
    paths.sort();
    let failed: Vec<String> = paths.iter().flat_map(|path| run(path)).collect();
    assert!(paths.len() > 2, "files of cases are missing");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn no_damage_to_a_file_makes_the_check_panic() {
    let full = super::text_of("tests/scenarios/full.toml");
    let places: Vec<usize> = full.char_indices().map(|(at, _)| at).step_by(11).collect();
    for at in places {
        let (before, after) = full.split_at(at);
        for middle in ["", "\"", "]", "å", "0", "\n", "-"] {
            let _ = parse(&format!("{before}{middle}{}", &after[1..])).map_err(|error| error.to_string());
        }
        let _ = parse(before).map_err(|error| error.to_string());
    }
}
