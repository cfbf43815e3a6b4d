//! What every board keeps to, whatever it shows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluss::telemetry::names::{self, Kind, Metric};

use super::board::{Board, items};

const UNITS: [&str; 7] = ["none", "short", "s", "bytes", "percentunit", "reqps", "cps"];
/// The width of Grafana's grid.
const COLUMNS: u64 = 24;

/// Everything that is wrong with a board.
pub(crate) fn broken(board: &Board) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{}: {what}", board.file));
        }
    };
    let json = &board.json;
    let name = board.file.trim_end_matches(".json");
    check(json["uid"] == format!("sluss-{name}"), "the uid is sluss- and the file's name".into());
    check(items(&json["tags"]).contains(&json!("sluss")), "a tag is sluss".into());
    check(json["editable"] == false, "editable is false: the file is the truth".into());
    check(json["refresh"] == "10s", "refresh is 10s".into());
    check(json["graphTooltip"] == 1, "graphTooltip is 1, a shared crosshair".into());
    check(!items(&json["links"]).is_empty(), "it links to the other boards".into());
    variables(json, &mut check);
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in board.panels() {
        let title = panel["title"].as_str().unwrap_or_default();
        let mut check = |holds: bool, what: &str| check(holds, format!("panel {title:?}: {what}"));
        check(!title.is_empty(), "has a title");
        check(panel["id"].as_u64().is_some_and(|id| ids.insert(id)), "has an id of its own");
        check(is_apart(&panel["gridPos"], &mut taken), "lies in the grid and on no other panel");
        if panel["type"] == "row" {
            check(title.ends_with('?'), "a row asks a question");
            continue;
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        check(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "has a description, in sentences");
        check(defaults["unit"].as_str().is_some_and(|unit| UNITS.contains(&unit)), "has a unit that we use");
        check(!items(&defaults["thresholds"]["steps"]).is_empty(), "says its thresholds");
        check(!items(&panel["targets"]).is_empty(), "asks something");
        check(uses_variable(panel), "asks ${datasource}");
        check(items(&panel["targets"]).iter().all(uses_variable), "asks ${datasource} in every query");
    }
    for query in board.queries() {
        for what in broken_in(&query.expression) {
            wrong.push(format!("{}: {what}\n    {}", query.place, query.expression));
        }
    }
    wrong
}

/// Everything that is wrong with a query.
pub(crate) fn broken_in(query: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let found = occurrences(query);
    if found.is_empty() {
        wrong.push("asks for no metric of ours".to_owned());
    }
    for (at, name) in found {
        let Some(metric) = metric(name) else {
            wrong.push(format!("{name} is not in telemetry::names"));
            continue;
        };
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{name}: {what}"));
            }
        };
        let behind = &query[at + name.len()..];
        let (selector, behind) = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')).unwrap_or_default();
        check(selector.contains(r#"job=~"$job""#), r#"selects job=~"$job""#);
        check(selector.contains(r#"instance=~"$instance""#), r#"selects instance=~"$instance""#);
        let by_product = metric.labels.contains(&"product");
        check(by_product == selector.contains(r#"product=~"$product""#), "selects the product if it has one");
        let ranged = behind.starts_with('[');
        check(!ranged || behind.starts_with("[$__rate_interval]"), "its range is $__rate_interval");
        let grows = metric.kind != Kind::Gauge;
        let before = &query[..at];
        check((grows || before.ends_with("changes(")) == ranged, "has a range if it only grows, or for its changes");
        check(
            !grows || before.ends_with("rate(") || before.ends_with("increase("),
            "what only grows is inside rate or increase",
        );
        check((metric.kind == Kind::Histogram) == (metric.name != name), "a histogram has _bucket, _sum or _count");
    }
    wrong
}

/// The metrics that a query asks for, as in the table.
pub(crate) fn metrics_of(query: &str) -> Vec<&'static str> {
    occurrences(query).into_iter().filter_map(|(_, name)| Some(metric(name)?.name)).collect()
}

fn metric(series: &str) -> Option<&'static Metric> {
    let is_it = |metric: &&Metric| match series.strip_prefix(metric.name) {
        Some("") => true,
        Some("_bucket" | "_sum" | "_count") => metric.kind == Kind::Histogram,
        _ => false,
    };
    names::ALL.iter().find(is_it)
}

fn occurrences(query: &str) -> Vec<(usize, &str)> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = query[at..].find(is_part).map(|start| at + start) {
        let end = query[start..].find(|letter| !is_part(letter)).map_or(query.len(), |length| start + length);
        let word = &query[start..end];
        if word.starts_with("sluss_") || word.starts_with("process_") {
            found.push((start, word));
        }
        at = end;
    }
    found
}

fn variables(json: &Value, check: &mut impl FnMut(bool, String)) {
    let variables = items(&json["templating"]["list"]);
    let names: Vec<&str> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    check(names == ["datasource", "job", "instance", "product"], format!("variables are {names:?}"));
    for variable in variables {
        let name = &variable["name"];
        if name == "datasource" {
            check(variable["type"] == "datasource" && variable["query"] == "prometheus", "datasource is one".into());
            continue;
        }
        check(variable["multi"] == true && variable["includeAll"] == true, format!("{name} may be several, or all"));
        check(variable["allValue"] == ".+", format!("{name}: all is .+"));
        check(variable["refresh"] == 2, format!("{name} is looked up again when the time changes"));
        check(uses_variable(variable), format!("{name} asks ${{datasource}}"));
        let asks = variable["query"]["query"].as_str().unwrap_or_default();
        check(!metrics_of(asks).is_empty(), format!("{name} asks a metric of ours"));
    }
}

fn uses_variable(value: &Value) -> bool {
    value["datasource"] == json!({"type": "prometheus", "uid": "${datasource}"})
}

fn is_apart(place: &Value, taken: &mut BTreeSet<(u64, u64)>) -> bool {
    let number = |key: &str| place[key].as_u64();
    let (Some(x), Some(y), Some(w), Some(h)) = (number("x"), number("y"), number("w"), number("h")) else {
        return false;
    };
    let mut cells = (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line)));
    w > 0 && h > 0 && x + w <= COLUMNS && cells.all(|cell| taken.insert(cell))
}
