//! When a run went well, and when it did not.

use std::time::Duration;

use super::*;
use crate::demo::customers::records::Records;
use crate::demo::figures::Window;
use crate::demo::plant::Report;
use crate::demo::script::Script;
use crate::demo::tests::Line;

/// A run in which each product finished this much.
fn run(finished_percent: [f64; 3]) -> Run {
    let window = Window { from: Duration::ZERO, to: Duration::from_secs(45) };
    let script = Script::saturday();
    let empty = |product| Figures::of(&Records::default(), &script, product, window);
    let mut products: Vec<Figures> = script.products().map(empty).collect();
    for (figures, percent) in products.iter_mut().zip(finished_percent) {
        figures.finished_percent = percent;
        figures.answered = 1;
        figures.bets_per_s = percent;
    }
    Run { products, while_closed: None, heard: 0, plant: Report::default(), peak_connections: 0, lag_ms: 3 }
}

fn summary(without: Run, with: Run) -> Summary {
    summary_of(&["demo"], without, with)
}

fn summary_of(line: &[&str], without: Run, with: Run) -> Summary {
    let Line { args } = clap::Parser::parse_from(line);
    let yardstick = Yardstick { journeys_per_s: 80.0, concurrency: 8, levels: Vec::new() };
    Summary::new(&args, yardstick, Some(without), Some(with), Vec::new())
}

#[test]
fn a_fair_run_is_ok_whoever_did_better() {
    let summary = summary(run([1.0, 3.0, 3.0]), run([60.0, 20.0, 20.0]));
    assert!(summary.ok, "{:?}", summary.problems);
    assert_eq!(summary.horse_percent_of_yardstick.with, Some(75.0));
    let table = summary.table();
    assert!(table.contains("75.0 %") && table.contains("horse-racing"), "{table}");
}

#[test]
fn while_cold_less_is_possible_and_that_is_said() {
    // Half for fifteen seconds of forty-five: five sixths.
    let summary = summary_of(&["demo", "--cold"], run([1.0, 3.0, 3.0]), run([50.0, 20.0, 20.0]));
    assert_eq!(summary.horse_percent_of_yardstick.with, Some(62.5));
    assert!(summary.table().contains("75.0 %"), "{}", summary.table());
    assert!(summary.remarks().contains("83 % of the yardstick is possible"), "{}", summary.remarks());
    assert!(summary.remarks().contains("this plant can do 3000 journeys"), "{}", summary.remarks());
}

#[test]
fn a_demo_that_is_too_easy_says_so() {
    let summary = summary(run([1.0, 50.0, 3.0]), run([60.0, 99.0, 99.0]));
    assert!(!summary.ok);
    assert!(summary.problems[0].contains("too easy") && summary.problems[0].contains("sport"));
}

#[test]
fn an_attempt_sent_twice_is_told_in_either_run() {
    let mut twice = run([60.0, 99.0, 99.0]);
    twice.plant.duplicates = 1;
    assert_eq!(summary(run([1.0, 3.0, 3.0]), twice).problems.len(), 1);
    let mut lost_count = run([1.0, 3.0, 3.0]);
    lost_count.plant.full = true;
    assert!(!summary(lost_count, run([60.0, 99.0, 99.0])).ok);
}

#[test]
fn a_bet_let_through_while_closed_and_a_run_that_measured_nothing_are_problems() {
    let mut through = run([60.0, 99.0, 99.0]);
    through.while_closed = Some(Closed {
        bets_on_it: 10,
        of_these_refused: 9,
        of_these_answered: 1,
        bets_on_others_answered: 5,
        sport_and_casino_percent: 100.0,
    });
    assert!(!summary(run([1.0, 3.0, 3.0]), through).ok);
    let mut late = run([60.0, 99.0, 99.0]);
    late.lag_ms = 20_000;
    assert!(summary(run([1.0, 3.0, 3.0]), late).problems[0].contains("20000 ms"));
    let mut silent = run([60.0, 99.0, 99.0]);
    silent.products[2].answered = 0;
    assert!(summary(run([1.0, 3.0, 3.0]), silent).problems[0].contains("casino"));
}
