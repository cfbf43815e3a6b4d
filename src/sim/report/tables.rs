//! Tables as words in cells, for a terminal, a page or a document to lay out.

use crate::sim::judge::{ROW, Spread, Verdict, replay, words};
use crate::sim::rehearsal::Rehearsal;
use crate::sim::scenario::{Expected, Figure, Scenario};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What stands over each column.
    pub head: Vec<String>,
    /// The first column that holds numbers; all that follow do too.
    pub numbers_from: usize,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

/// What stands where nothing could be measured.
const NOTHING: &str = "–";

/// How each law did: a row for each product and law, the mean over the seeds. A column in which there is nothing, or
/// nothing but zeros, is left out, and so is the name of the only product.
pub fn laws(rehearsal: &Rehearsal) -> Table {
    let scenario = &rehearsal.story.scenario;
    let several = scenario.products.len() > 1;
    let mut rows: Vec<(Vec<String>, Vec<Option<f64>>)> = Vec::new();
    for (index, product) in scenario.products.iter().enumerate() {
        for law in &rehearsal.story.laws {
            let runs = rehearsal.measured.iter().filter(|run| run.law == *law);
            let mean = |column: usize| Spread::over(runs.clone().filter_map(|run| run.rows[index][column]));
            let means = (0..ROW.len()).map(|column| mean(column).map(|spread| spread.mean));
            let names = several.then(|| product.name.clone()).into_iter().chain([law.clone()]);
            rows.push((names.collect(), means.collect()));
        }
    }
    let told = |column: &usize| rows.iter().any(|row| row.1[*column].is_some_and(|value| value != 0.0));
    let columns: Vec<usize> = (0..ROW.len()).filter(told).collect();
    let names = several.then_some("product").into_iter().chain(["law"]).map(str::to_owned);
    let figures = columns.iter().map(|&column| headed(ROW[column]));
    Table {
        head: names.chain(figures).collect(),
        numbers_from: 1 + usize::from(several),
        rows: rows
            .into_iter()
            .map(|(names, means)| names.into_iter().chain(columns.iter().map(|&column| cell(means[column]))).collect())
            .collect(),
    }
}

/// What was expected and what was found.
pub fn expectations(rehearsal: &Rehearsal) -> Table {
    let scenario = &rehearsal.story.scenario;
    let rows = rehearsal.verdicts().into_iter().map(|verdict| {
        let Expected { law, figure, range, mean, known, goal, .. } = verdict.expected;
        let wanted = match known {
            Some(known) => words::known(*figure, known, *range),
            None if *mean => format!("{} on average", words::range(*figure, *range)) + &words::goal(*figure, *goal),
            None => words::range(*figure, *range) + &words::goal(*figure, *goal),
        };
        let held = match (verdict.held(), verdict.reached()) {
            (false, _) => "NOT HELD",
            (true, Some(false)) => "held, goal not reached",
            (true, _) => "held",
        };
        vec![law.clone(), subject(scenario, verdict.expected), wanted, found(&verdict), held.to_owned()]
    });
    Table {
        head: ["law", "figure", "expected", "found", "verdict"].map(str::to_owned).to_vec(),
        numbers_from: 5,
        rows: rows.collect(),
    }
}

/// What did not go as it should: a sentence and the command that replays it, for each.
pub fn failures(rehearsal: &Rehearsal) -> Vec<(String, String)> {
    let story = &rehearsal.story;
    let verdicts = rehearsal.verdicts().into_iter().filter_map(|verdict| {
        let seed = verdict.failing?;
        let Expected { law, .. } = verdict.expected;
        let what = format!("{law}: {}: found {}", subject(&story.scenario, verdict.expected), found(&verdict));
        Some((what, replay(&story.file, law, seed)))
    });
    let violations = rehearsal.measured.iter().flat_map(|run| {
        let command = replay(&story.file, &run.law, run.seed);
        run.violations.iter().map(move |what| (format!("{}, seed {}: {what}", run.law, run.seed), command.clone()))
    });
    verdicts.chain(violations).collect()
}

/// A line about how the tables came to be.
pub fn basis(rehearsal: &Rehearsal) -> String {
    let (from, to) = rehearsal.story.scenario.measured;
    let seeds = match rehearsal.seeds[..] {
        [seed] => format!("seed {seed}"),
        [first, .., last] => format!("means over {} seeds, {first} to {last}", rehearsal.seeds.len()),
        [] => "no seed".into(),
    };
    let events: u64 = rehearsal.measured.iter().map(|run| run.events).sum();
    format!(
        "{seeds}; measured from {} to {} s; {} events simulated",
        words::number(from.as_secs_f64()),
        words::number(to.as_secs_f64()),
        words::number(events as f64)
    )
}

/// What an expectation is about.
fn subject(scenario: &Scenario, expected: &Expected) -> String {
    let mut subject = words::title(expected.figure).to_owned();
    if let Some(crowd) = expected.crowd.and_then(|crowd| scenario.crowds.get(crowd)) {
        subject += &format!(", {}", crowd.name);
    }
    if let Some(product) = expected.product.and_then(|product| scenario.products.get(product)) {
        subject += &format!(", {}", product.name);
    }
    if let Some((from, to)) = expected.window {
        let [from, to] = [from, to].map(|time| words::number(time.as_secs_f64()));
        subject += &format!(", {from} to {to} s");
    }
    subject
}

fn found(verdict: &Verdict<'_>) -> String {
    let figure = verdict.expected.figure;
    let value = |value| words::value(figure, value);
    match (verdict.decisive, verdict.found) {
        (_, None) => "nothing to measure".into(),
        (None, Some(_)) => "nothing to measure with some seeds".into(),
        (Some(decisive), Some(Spread { least, most, .. })) if least == most => value(decisive),
        (Some(decisive), Some(Spread { least, most, .. }))
            if verdict.expected.known.is_some() || verdict.expected.mean =>
        {
            format!("{} ({} to {})", value(decisive), words::number(least), words::number(most))
        }
        (Some(decisive), Some(Spread { least, mean, most })) => {
            let number = words::number;
            format!("{} at worst (mean {}, {} to {})", value(decisive), number(mean), number(least), number(most))
        }
    }
}

fn headed(figure: Figure) -> String {
    match words::unit(figure) {
        "" => words::head(figure).to_owned(),
        unit => format!("{} {unit}", words::head(figure)),
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), words::number)
}

impl Table {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let aligned = |column: usize| if column < self.numbers_from { "---" } else { "---:" }.to_owned();
        let rule: Vec<String> = (0..self.head.len()).map(aligned).collect();
        let rows = self.rows.iter().map(|cells| row(cells));
        [row(&self.head), row(&rule)].into_iter().chain(rows).collect()
    }
}

#[cfg(test)]
mod tests;
