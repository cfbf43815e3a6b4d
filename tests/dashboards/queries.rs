//! Does every query say something?

use serde_json::Value;

use super::board::{Board, Query};
use super::processes::{GUARD, Prometheus};

/// Panels that may say zero throughout, and why.
const MAY_BE_ZERO: &[(&str, &str)] =
    &[("Processor", "it counts whole seconds, and in an optimised build the test may take less than one")];

/// Wait until every query has data that are not zero throughout; the load goes on meanwhile.
pub(crate) fn until_all_have_data(prometheus: &Prometheus, boards: &[Board]) {
    let mut waiting: Vec<Query> = boards.iter().flat_map(Board::queries).collect();
    let end = std::time::Instant::now() + GUARD;
    loop {
        let mut wrong = Vec::new();
        waiting.retain(|query| match look(prometheus, query) {
            Ok(()) => false,
            Err(what) => {
                wrong.push(format!("{}: {what}\n    {}", query.place, query.expression));
                true
            }
        });
        if waiting.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < end, "\n{}", wrong.join("\n"));
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

fn look(prometheus: &Prometheus, query: &Query) -> Result<(), String> {
    let mut expression = query.expression.replace("$__rate_interval", "5s");
    for variable in ["$job", "$instance", "$product"] {
        expression = expression.replace(variable, ".+");
    }
    if expression.contains('$') {
        return Err(format!("a variable that is not known in {expression}"));
    }
    let series = prometheus.query_range(&expression)?;
    let numbers = || series.iter().flat_map(values).filter(|value| value.is_finite());
    if numbers().next().is_none() {
        return Err(format!("no data in {} series", series.len()));
    }
    let may_be_zero = MAY_BE_ZERO.iter().any(|(title, _)| query.place.contains(&format!("{title:?}")));
    if !may_be_zero && numbers().all(|value| value == 0.0) {
        return Err("zero throughout".to_owned());
    }
    let labels = query.legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    for label in labels {
        if series.iter().any(|series| series["metric"][label].as_str().is_none()) {
            return Err(format!("the legend names {label}, which the series do not have"));
        }
    }
    Ok(())
}

fn values(series: &Value) -> Vec<f64> {
    let points = series["values"].as_array().map_or(&[][..], Vec::as_slice);
    points.iter().filter_map(|point| point[1].as_str()?.parse().ok()).collect()
}
