//! What came of it: the runs of one scenario, under several laws and with several seeds, held against what the scenario
//! expects.
//!
//! A range must hold with every seed, so the seed that does worst is the one that speaks. A known figure was measured
//! by others with other chance, so the mean over the seeds speaks, as it does where a range says so: it must lie within the tolerance of what they
//! measured, or what they measured must lie within the spread of ours.

pub mod words;

use super::law::OURS;
use super::record::{Run, Whose};
use super::scenario::{Expected, Figure, Known, Scenario};

/// What is kept of a run when its record is thrown away: a few numbers, where the record takes megabytes.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The law.
    pub law: String,
    /// The seed.
    pub seed: u64,
    /// What was found for each of [`Scenario::expected`]; `None` also where another law but ours is meant.
    pub found: Vec<Option<f64>>,
    /// For each product, the figures of [`ROW`] in that order, over the measured window.
    pub rows: Vec<Vec<Option<f64>>>,
    /// What the checks found.
    pub violations: Vec<String>,
    /// Events simulated.
    pub events: u64,
}

/// The figures in the row of a law.
pub const ROW: [Figure; 12] = [
    Figure::GoodputPerS,
    Figure::Goodput,
    Figure::Served,
    Figure::StepsServed,
    Figure::Journeys,
    Figure::GaveUp,
    Figure::AttemptsPerStep,
    Figure::Wasted,
    Figure::LatencyP50,
    Figure::LatencyP99,
    Figure::WaitP99,
    Figure::LimitAtEnd,
];

impl Measured {
    /// Reads from a run what tables and verdicts need.
    pub fn of(scenario: &Scenario, run: &Run) -> Self {
        let expected = |expected: &Expected| {
            let window = expected.window.unwrap_or(scenario.measured);
            let figure = || run.figure_of(expected.figure, whose(expected), window, scenario.capacity_per_s);
            // What is expected of us is measured of the others too, to be put beside it.
            (expected.law == run.law || expected.law == OURS).then(figure).flatten()
        };
        let row = |product: usize| {
            // One product alone is everybody, and then what only the plant knows is known too.
            let whose = if scenario.products.len() == 1 { Whose::All } else { Whose::Product(product) };
            let figure = |figure| run.figure_of(figure, whose, scenario.measured, scenario.capacity_per_s);
            ROW.map(figure).to_vec()
        };
        Self {
            law: run.law.clone(),
            seed: run.seed,
            found: scenario.expected.iter().map(expected).collect(),
            rows: (0..scenario.products.len()).map(row).collect(),
            violations: run.violations.clone(),
            events: run.events,
        }
    }
}

fn whose(expected: &Expected) -> Whose {
    expected.crowd.map(Whose::Crowd).or(expected.product.map(Whose::Product)).unwrap_or(Whose::All)
}

/// A figure over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The mean.
    pub mean: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Over these values; `None` when there are none.
    pub fn over(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let count = values.clone().count();
        (count > 0).then(|| Self {
            least: values.clone().fold(f64::INFINITY, f64::min),
            mean: values.clone().sum::<f64>() / count as f64,
            most: values.fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// Whether an expectation held.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<'a> {
    /// What was expected.
    pub expected: &'a Expected,
    /// What was found over the seeds; `None` when with none of them there was anything to measure.
    pub found: Option<Spread>,
    /// The value that decides: the mean for a known figure and where the mean is meant, else the one farthest out of its range, or nearest to the
    /// edge of it when all are within.
    pub decisive: Option<f64>,
    /// A seed to look at when it did not hold, in doubt the one that is farthest off.
    pub failing: Option<u64>,
}

impl Verdict<'_> {
    /// Whether it held.
    pub fn held(&self) -> bool {
        self.failing.is_none()
    }

    /// Whether its goal was reached with every seed; `None` where there is none.
    pub fn reached(&self) -> Option<bool> {
        let (goal, found) = (self.expected.goal?, self.found?);
        let (least, most) = if self.expected.mean { (found.mean, found.mean) } else { (found.least, found.most) };
        Some(if goal > self.expected.range.0 && self.expected.range.1.is_infinite() {
            least >= goal
        } else {
            most <= goal
        })
    }
}

/// Holds runs against what their scenario expects, in the scenario's order. Expectations of laws that were not run are
/// left out.
pub fn judge<'a>(scenario: &'a Scenario, measured: &[Measured]) -> Vec<Verdict<'a>> {
    let all = scenario.expected.iter().enumerate();
    all.filter_map(|(index, expected)| {
        let found: Vec<(u64, Option<f64>)> =
            measured.iter().filter(|run| run.law == expected.law).map(|run| (run.seed, run.found[index])).collect();
        (!found.is_empty()).then(|| verdict(expected, &found))
    })
    .collect()
}

fn verdict<'a>(expected: &'a Expected, found: &[(u64, Option<f64>)]) -> Verdict<'a> {
    let spread = Spread::over(found.iter().filter_map(|(_, value)| *value));
    // Nothing to measure is as far off as can be: an expectation that nothing can disappoint is none.
    let off = |value: Option<f64>| value.map_or(f64::INFINITY, |value| beyond(expected.range, value));
    let (worst, value) =
        *found.iter().max_by(|a, b| off(a.1).total_cmp(&off(b.1))).expect("no verdict is asked for without runs");
    let complete = found.iter().all(|(_, value)| value.is_some());
    let (decisive, held) = match (&expected.known, spread) {
        (Some(known), Some(spread)) => (Some(spread.mean), complete && agrees(known, expected.range, spread)),
        (None, Some(spread)) if expected.mean => {
            (Some(spread.mean), complete && beyond(expected.range, spread.mean) <= 0.0)
        }
        _ => (value, off(value) <= 0.0),
    };
    Verdict { expected, found: spread, decisive, failing: (!held).then_some(worst) }
}

fn agrees(known: &Known, range: (f64, f64), found: Spread) -> bool {
    let within = |value: f64, (least, most): (f64, f64)| least <= value && value <= most;
    within(found.mean, range) || within(known.value, (found.least, found.most))
}

/// How far beyond a range; below zero within it. No figure is below zero, so none is near an end that lies there.
fn beyond((least, most): (f64, f64), value: f64) -> f64 {
    let below = if least > 0.0 { least - value } else { f64::NEG_INFINITY };
    below.max(value - most)
}

/// The command that replays one run of a scenario file, for whoever wants to look at it.
pub fn replay(file: &str, law: &str, seed: u64) -> String {
    let against = if law == OURS { String::new() } else { format!(" --against {}", quoted(law)) };
    format!("sluss simulate {} --seed {seed}{against}", quoted(file))
}

/// As a shell wants it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
