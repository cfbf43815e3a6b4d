use super::*;
use crate::sim::rehearsal::handmade::rehearsal;

fn line(cells: &[String]) -> String {
    cells.join(" | ")
}

#[test]
fn a_row_a_law_and_product_with_the_mean_over_the_seeds() {
    let table = laws(&rehearsal());
    let lines: Vec<String> = std::iter::once(&table.head).chain(&table.rows).map(|row| line(row)).collect();
    assert_eq!(
        lines,
        [
            "product | law | goodput /s | of capacity % | served % | steps served % | attempts/step | p50 ms | p99 ms | limit",
            "horse-racing | sluss | 43.5 | 87 | 72.5 | 72.5 | 1.38 | – | – | 48",
            "horse-racing | none | 3 | 6 | 0.75 | 0.75 | 133.3 | – | – | –",
            "horse-racing | vegas | 25.5 | 51 | 25.5 | 25.5 | 3.92 | – | – | 100",
            "sport | sluss | 10 | 20 | 100 | 100 | 1 | 20.0 | 20.0 | 10",
            "sport | none | 10 | 20 | 100 | 100 | 1 | 20.0 | 20.0 | 10",
            "sport | vegas | 10 | 20 | 100 | 100 | 1 | 20.0 | 20.0 | 10",
        ]
    );
}

#[test]
fn every_expectation_tells_what_was_found_and_whether_it_held() {
    let lines: Vec<String> = expectations(&rehearsal()).rows.iter().map(|row| line(row)).collect();
    assert_eq!(
        lines,
        [
            "sluss | served per second | at least 30/s | 53/s at worst (mean 53.5, 53 to 54) | held",
            "vegas | attempts served | 25 ± 1 % (overload.md EXP1) | 32.3 % (31.8 to 32.7) | NOT HELD",
            "sluss | attempts per step served, fans | at most 1.05 | 1 | held",
        ]
    );
}

#[test]
fn every_failure_comes_with_the_command_that_replays_it() {
    let failures = failures(&rehearsal());
    let commands: Vec<&str> = failures.iter().map(|(_, command)| command.as_str()).collect();
    let replay = |rest: &str| format!("sluss simulate 'scenarios/false signal.toml' --seed {rest}");
    assert_eq!(commands, [replay("2 --against vegas"), replay("1 --against none"), replay("2 --against none")]);
    assert_eq!(failures[1].0, "none, seed 1: none with 1: 3 above the limit");
}

#[test]
fn a_document_gets_the_same_table() {
    let table = Table {
        head: vec!["law".into(), "p50 ms".into()],
        numbers_from: 1,
        rows: vec![vec!["a|b".into(), "1".into()]],
    };
    assert_eq!(table.markdown(), "| law | p50 ms |\n| --- | ---: |\n| a\\|b | 1 |\n");
}
