//! The end of the story: was it a fair one, a table for people, a document for machines.

mod manners;

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::figures::{Closed, Figures, Spread, rounded};
use super::story::Run;
use super::yardstick::Yardstick;
use crate::sim::saturday;

/// Without Sluss, sport and casino must finish less than this, or the demo proves nothing.
const COLLAPSED_BELOW_PERCENT: f64 = 50.0;

/// Customers may be so late at worst.
const MOST_LAG_MS: u64 = 1_000;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) seed: u64,
    pub(super) window_s: u64,
    pub(super) cold: bool,
    pub(super) yardstick: Yardstick,
    pub(super) without: Option<Run>,
    pub(super) with: Option<Run>,
    /// Horse bets a second in percent of the yardstick.
    pub(super) horse_percent_of_yardstick: Shares,
    /// True when the run itself went well; it says nothing about who did better.
    pub(super) ok: bool,
    /// What went wrong, a sentence each.
    pub(super) problems: Vec<String>,
}

/// The same figure for both runs.
#[derive(Debug, Serialize)]
pub(super) struct Shares {
    pub(super) without: Option<f64>,
    pub(super) with: Option<f64>,
}

impl Summary {
    /// Judges the runs. `problems` are those already met on the way.
    pub(super) fn new(
        args: &super::DemoArgs,
        yardstick: Yardstick,
        without: Option<Run>,
        with: Option<Run>,
        mut problems: Vec<String>,
    ) -> Self {
        problems.extend(without.iter().flat_map(too_easy));
        problems.extend(without.iter().chain(&with).flat_map(stood_still));
        problems.extend(with.iter().flat_map(unmeasured));
        problems.extend(with.iter().flat_map(not_closed));
        problems.extend(without.iter().chain(&with).flat_map(sent_twice));
        let share = |run: &Option<Run>| {
            run.as_ref().map(|run| rounded(100.0 * run.products[0].bets_per_s / yardstick.journeys_per_s))
        };
        let horse_percent_of_yardstick = Shares { without: share(&without), with: share(&with) };
        Self {
            seed: args.seed,
            window_s: args.window,
            cold: args.cold,
            yardstick,
            without,
            with,
            horse_percent_of_yardstick,
            ok: problems.is_empty(),
            problems,
        }
    }

    /// The table and what to make of it.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header([
            "",
            "Sluss",
            "bets/s",
            "first 10 s",
            "of the possible",
            "finished",
            "answers p50, p99",
            "journey p50, p99",
            "attempts/step",
        ]);
        let runs = [
            ("without", &self.without, self.horse_percent_of_yardstick.without),
            ("with", &self.with, self.horse_percent_of_yardstick.with),
        ];
        let products = self.without.iter().chain(&self.with).next().map_or(0, |run| run.products.len());
        for product in 0..products {
            let mut first = true;
            for (name, run, share) in &runs {
                if let Some(run) = run {
                    let figures = &run.products[product];
                    // Horse racing is held against what the plant can do, the bystanders against what was asked of them.
                    let share = share.filter(|_| product == 0).map(|share| share / self.possible_part());
                    let possible = share.unwrap_or(figures.finished_percent);
                    let title = if std::mem::take(&mut first) { figures.product.as_str() } else { "" };
                    table.add_row(row(title, name, figures, possible));
                }
            }
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }

    /// The table in sentences.
    pub(super) fn remarks(&self) -> String {
        let mut lines = vec![format!(
            "\"Of the possible\": horse bets against the yardstick of {:.1} journeys/s measured on this plant just before;\n\
             sport and casino against what was asked. Window: {} s from the reopening.",
            self.yardstick.journeys_per_s, self.window_s
        )];
        lines.extend(self.cold.then(|| {
            let part = 100.0 * self.possible_part();
            format!("While horse racing is cold all it asks for takes longer: in this window {part:.0} % of the yardstick is possible.")
        }));
        lines.extend(self.without.iter().chain(&self.with).next().map(|run| self.room_for(run)));
        lines.extend(self.without.iter().map(|run| format!("Without: {}", reached(run))));
        lines.extend(self.with.iter().map(|run| format!("With:    {}", reached(run))));
        lines.extend(self.with.iter().filter_map(|run| run.while_closed.as_ref()).map(while_closed));
        lines.join("\n")
    }

    /// The part of the yardstick that can be done in the window.
    fn possible_part(&self) -> f64 {
        if self.cold { saturday::possible_when_cold(Duration::from_secs(self.window_s)) } else { 1.0 }
    }

    /// How many of those who came could be served at all: "finished" of horse racing is to be read against it.
    fn room_for(&self, run: &Run) -> String {
        let came = run.products[0].customers;
        let possible = self.yardstick.journeys_per_s * self.possible_part() * self.window_s as f64;
        let most = (100.0 * possible / came.max(1) as f64).min(100.0);
        format!(
            "{came} horse bettors came in time to be counted; this plant can do {possible:.0} journeys in the window, \
             so at most {most:.0} %\nof them can have finished by then. The others are still trying, or have left."
        )
    }
}

fn row(title: &str, name: &str, figures: &Figures, possible: f64) -> Vec<Cell> {
    vec![
        Cell::new(title),
        Cell::new(name),
        Cell::new(format!("{:.1}", figures.bets_per_s)),
        Cell::new(format!("{:.1}/s", figures.bets_per_s_first_10_s)),
        Cell::new(format!("{possible:.1} %")),
        Cell::new(format!("{:.1} %", figures.finished_percent)),
        Cell::new(spread(figures.answer_ms)),
        Cell::new(spread(figures.journey_ms)),
        Cell::new(figures.attempts_per_step.map_or_else(|| "-".into(), |n| format!("{n:.1}"))),
    ]
}

fn spread(spread: Spread) -> String {
    let time = |ms: Option<f64>| match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1_000.0),
    };
    format!("{}, {}", time(spread.p50), time(spread.p99))
}

fn reached(run: &Run) -> String {
    let placed: u64 = run.plant.placed.iter().sum();
    format!(
        "{} requests reached the backends, {} of them twice; of {placed} bets carried out, {} were never heard of.",
        run.plant.arrived.iter().sum::<u64>(),
        run.plant.duplicates,
        placed.saturating_sub(run.heard),
    )
}

fn while_closed(closed: &Closed) -> String {
    format!(
        "While the race was closed, {} of {} bets on it were refused, {} horse bets on others were placed, and\n\
         sport and casino were answered {} % of the time.",
        closed.of_these_refused, closed.bets_on_it, closed.bets_on_others_answered, closed.sport_and_casino_percent
    )
}

fn too_easy(run: &Run) -> Vec<String> {
    let easy = run.products[1..].iter().filter(|figures| figures.finished_percent >= COLLAPSED_BELOW_PERCENT);
    easy.map(|figures| {
        format!(
            "The demo was too easy: without Sluss {} still finished {:.1} %, it should fall below {COLLAPSED_BELOW_PERCENT} %.",
            figures.product, figures.finished_percent
        )
    })
    .collect()
}

/// With something in front, every product must have been served at all: a run in which nothing got through measures
/// nothing.
fn unmeasured(run: &Run) -> Vec<String> {
    let silent = run.products.iter().filter(|figures| figures.answered == 0);
    silent
        .map(|figures| format!("Nothing was measured for {}: not one attempt was answered.", figures.product))
        .collect()
}

/// Customers who come late are not the open-loop crowd that was promised.
fn stood_still(run: &Run) -> Option<String> {
    let lag = run.lag_ms;
    (lag > MOST_LAG_MS).then(|| {
        format!("This machine left the customers no time for {lag} ms, so the figures say nothing; play it again when it has.")
    })
}

fn not_closed(run: &Run) -> Option<String> {
    let let_through = run.while_closed.as_ref()?.of_these_answered;
    (let_through > 0).then(|| format!("{let_through} bets on the closed race were let through while it was closed."))
}

fn sent_twice(run: &Run) -> Option<String> {
    if run.plant.full {
        return Some("The plant lost count of its attempts, so nobody can say whether one came twice.".into());
    }
    let twice = run.plant.duplicates;
    (twice > 0).then(|| format!("{twice} attempts reached the plant twice; no attempt ever may."))
}

#[cfg(test)]
mod tests;
