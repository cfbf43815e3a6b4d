//! Bad files as data: `tests/config/bad/*.txt` has the file and, below it, exactly what is said.
//!
//! After a change of words, `SLUSS_UPDATE=1 cargo test --test config` writes down what is said now; read
//! the difference aloud before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use super::{MadeUp, in_repository, parse};

/// One case: a title, a text, perhaps other files, and what is said.
struct Case<'a> {
    title: &'a str,
    text: &'a str,
    files: Vec<(&'a str, &'a str)>,
    says: &'a str,
}

const TITLE: &str = "#### ";
const FILE: &str = "---- ";
const SAYS: &str = "says";

/// Stands for a product that nothing is wrong with, so that cases can be short.
const PRODUCT: (&str, &str) = (
    "%product\n",
    "[[product]]\nname = \"horse-racing\"\nmatch = [{ path = \"/horse/\" }]\nbackends = [\"http://127.0.0.1:9101\"]\n",
);

fn cases(file: &str) -> Vec<Case<'_>> {
    file.split(TITLE).skip(1).map(case).collect()
}

fn case(case: &str) -> Case<'_> {
    let (title, rest) = case.split_once('\n').expect("a case has a title line");
    let mut parts = rest.split(FILE);
    let mut case = Case { title, text: parts.next().unwrap_or_default(), files: Vec::new(), says: "" };
    for part in parts {
        let (name, text) = part.split_once('\n').expect("a part has a name line");
        match name {
            SAYS => case.says = text.trim_end(),
            name => case.files.push((name, text)),
        }
    }
    case
}

fn said(case: &Case<'_>) -> String {
    let around = case.files.iter().fold(MadeUp::default(), |around, (name, text)| around.with(name, text));
    match parse(&case.text.replace(PRODUCT.0, PRODUCT.1), &around) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn run(path: &Path) -> Vec<String> {
    let file = std::fs::read_to_string(path).expect("a file of cases can be read");
    let mut failed = Vec::new();
    let mut now = file.split(TITLE).next().unwrap_or_default().to_owned();
    for case in cases(&file) {
        let said = said(&case);
        if said != case.says {
            let title = case.title;
            failed.push(format!("{}: {title}\n--- expected\n{}\n--- said\n{said}", path.display(), case.says));
        }
        write!(now, "{TITLE}{}\n{}", case.title, case.text).unwrap();
        for (name, text) in &case.files {
            write!(now, "{FILE}{name}\n{text}").unwrap();
        }
        write!(now, "{FILE}{SAYS}\n{said}\n\n").unwrap();
    }
    if std::env::var_os("SLUSS_UPDATE").is_some() {
        std::fs::write(path, now.trim_end().to_owned() + "\n").expect("a file of cases can be written");
        return Vec::new();
    }
    failed
}

#[test]
fn no_damage_to_a_file_makes_the_check_panic() {
    let full = super::text_of("tests/config/full.toml");
    let around = MadeUp::default().with("schedule.toml", &full).with("admin.token", &full);
    for (at, lost) in full.char_indices().step_by(5) {
        let (before, after) = full.split_at(at);
        for middle in ["", "\"", "]", "å", "0", "\n"] {
            let _ = parse(&format!("{before}{middle}{}", &after[lost.len_utf8()..]), &around)
                .map_err(|error| error.to_string());
        }
        let _ = parse(before, &around).map_err(|error| error.to_string());
    }
}

#[test]
fn a_bad_file_is_told_what_is_wrong_and_what_to_write() {
    let folder = std::fs::read_dir(in_repository("tests/config/bad")).expect("there is a folder of cases");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("its entries can be read").path()).collect();
    paths.sort();
    let failed: Vec<String> = paths.iter().flat_map(|path| run(path)).collect();
    assert!(paths.len() > 3, "files of cases are missing");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
