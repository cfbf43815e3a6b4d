//! What is shown of a rehearsal: tables, curves, a page.
//!
//! The page is one file that needs no other and no script, says the same for the same runs to the last byte, and can be
//! read on a phone, in the dark, on paper and by those who do not see it.

pub mod tables;
mod curves;
mod picture;
mod closures;
mod panels;
mod hero;
mod numbers;

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

pub use self::hero::hero;
pub use self::numbers::numbers;
use self::panels::{Key, Panels, panels};
use self::picture::PENS;
use self::tables::Table;
use super::judge::words;
use super::rehearsal::Rehearsal;

/// The report as one HTML file.
pub fn page(rehearsals: &[Rehearsal]) -> String {
    let mut templates = Environment::new();
    templates.add_template("page.html", include_str!("report/page.html")).expect("the template is tested");
    templates.add_filter("thin", |text: &str| thin(text));
    let stories: Vec<Value> = rehearsals.iter().enumerate().map(|(n, one)| Value::from(Serde(story(one, n)))).collect();
    let held = rehearsals.iter().all(Rehearsal::held);
    let title = match rehearsals {
        [one] => one.story.scenario.name.clone(),
        several => format!("{} stories", several.len()),
    };
    let page = templates.get_template("page.html").and_then(|page| {
        page.render(context! { title, held, stories, style => include_str!("report/style.css"), version => env!("CARGO_PKG_VERSION") })
    });
    page.expect("the template names only what it is given")
}

/// The tables as Markdown, for a document that is made anew by one command.
pub fn markdown(rehearsals: &[Rehearsal]) -> String {
    let one = |rehearsal: &Rehearsal| {
        let (story, scenario) = (&rehearsal.story, &rehearsal.story.scenario);
        let head = format!("### {}\n\n`{}`, scale {}; ", scenario.name, story.file, scenario.scale);
        let mut tables = vec![head + &tables::basis(rehearsal) + ".\n", tables::laws(rehearsal).markdown()];
        let expectations = tables::expectations(rehearsal);
        tables.extend((!expectations.rows.is_empty()).then(|| expectations.markdown()));
        tables.join("\n")
    };
    rehearsals.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A story as the template wants it.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    about: String,
    scale: String,
    file: String,
    length: String,
    basis: String,
    expected: usize,
    held: usize,
    sound: bool,
    laws: TableShown,
    expectations: TableShown,
    failures: Vec<(String, String)>,
    keys: Vec<Key>,
    seed: Option<u64>,
    /// Laws that are in the tables and not in the pictures.
    undrawn: usize,
    products: Vec<Panels>,
}

#[derive(Debug, Serialize)]
struct TableShown {
    head: Vec<String>,
    numbers_from: usize,
    rows: Vec<Vec<String>>,
}

impl From<Table> for TableShown {
    fn from(Table { head, numbers_from, rows }: Table) -> Self {
        Self { head, numbers_from, rows }
    }
}

fn story(rehearsal: &Rehearsal, place: usize) -> Shown {
    let (story, verdicts) = (&rehearsal.story, rehearsal.verdicts());
    let scenario = &story.scenario;
    let keys = story.laws.iter().take(story.drawn).enumerate().map(|(nth, law)| Key::new(law, PENS[nth], nth == 0));
    Shown {
        name: scenario.name.clone(),
        about: scenario.about.clone(),
        scale: scenario.scale.clone(),
        file: story.file.clone(),
        length: format!("{} s", words::number(scenario.lasts.as_secs_f64())),
        basis: tables::basis(rehearsal),
        expected: verdicts.len(),
        held: verdicts.iter().filter(|verdict| verdict.held()).count(),
        sound: rehearsal.held(),
        laws: tables::laws(rehearsal).into(),
        expectations: tables::expectations(rehearsal).into(),
        failures: tables::failures(rehearsal),
        keys: keys.collect(),
        undrawn: story.laws.len() - story.drawn,
        seed: rehearsal.shown.first().map(|run| run.seed),
        products: (0..scenario.products.len()).filter_map(|product| panels(rehearsal, place, product)).collect(),
    }
}

/// Thousands set apart by narrow spaces at which no line breaks.
fn thin(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| all.get(at)).is_some_and(char::is_ascii_digit);
    let narrow = |(at, c): (usize, &char)| {
        if *c == ' ' && digit(at.checked_sub(1)) && digit(Some(at + 1)) { '\u{202f}' } else { *c }
    };
    all.iter().enumerate().map(narrow).collect()
}

#[cfg(test)]
mod tests;
