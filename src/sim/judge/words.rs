//! Figures in words: their titles, their units, and how their values are written.

use crate::sim::scenario::{Figure, Known};

/// What a figure is called in a table.
pub const fn title(figure: Figure) -> &'static str {
    match figure {
        Figure::GoodputPerS => "served per second",
        Figure::Goodput => "goodput, of capacity",
        Figure::Lost => "capacity lost",
        Figure::Served => "attempts served",
        Figure::Unserved => "attempts not served",
        Figure::StepsServed => "steps served",
        Figure::Journeys => "journeys finished",
        Figure::JourneysShare => "journeys finished, of customers",
        Figure::GaveUp => "customers who gave up",
        Figure::Attempts => "attempts",
        Figure::Reached => "attempts at the plant",
        Figure::AttemptsPerStep => "attempts per step served",
        Figure::ReachedPerStep => "requests at the plant per step served",
        Figure::Wasted => "work done for nobody",
        Figure::LatencyP50 => "answer, median",
        Figure::LatencyP99 => "answer, 99th percentile",
        Figure::PlantP99 => "at the plant, 99th percentile",
        Figure::WaitP95 => "waited, 95th percentile",
        Figure::WaitP99 => "waited, 99th percentile",
        Figure::JourneyP50 => "journey, median",
        Figure::JourneyP95 => "journey, 95th percentile",
        Figure::LastJourney => "last journey finished",
        Figure::LimitAtEnd => "limit at the end",
        Figure::LimitMean => "limit, mean",
        Figure::LimitP5 => "limit, 5th percentile",
        Figure::LimitP95 => "limit, 95th percentile",
        Figure::LimitDrift => "drift of the limit",
        Figure::MostInFlight => "most in flight",
        Figure::ShareAtEnd => "share of the last site at the end",
        Figure::ShareMost => "share of the last site, at most",
        Figure::FirstServed => "first served after",
        Figure::Duplicates => "bets sent twice",
    }
}

/// What it is called at the head of a narrow column.
pub const fn head(figure: Figure) -> &'static str {
    match figure {
        Figure::GoodputPerS => "goodput",
        Figure::Goodput => "of capacity",
        Figure::Served => "served",
        Figure::StepsServed => "steps served",
        Figure::Journeys => "journeys",
        Figure::GaveUp => "gave up",
        Figure::AttemptsPerStep => "attempts/step",
        Figure::Wasted => "wasted",
        Figure::LatencyP50 => "p50",
        Figure::LatencyP99 => "p99",
        Figure::WaitP99 => "wait p99",
        Figure::LimitAtEnd => "limit",
        other => title(other),
    }
}

/// Its unit; empty for counts and ratios.
pub const fn unit(figure: Figure) -> &'static str {
    match figure {
        Figure::GoodputPerS => "/s",
        Figure::Goodput | Figure::Served | Figure::StepsServed | Figure::JourneysShare | Figure::Wasted => "%",
        Figure::Unserved | Figure::LimitDrift | Figure::ShareAtEnd | Figure::ShareMost => "%",
        Figure::LatencyP50
        | Figure::LatencyP99
        | Figure::PlantP99
        | Figure::WaitP95
        | Figure::WaitP99
        | Figure::FirstServed => "ms",
        Figure::Lost | Figure::JourneyP50 | Figure::JourneyP95 | Figure::LastJourney => "s",
        Figure::Journeys
        | Figure::GaveUp
        | Figure::Attempts
        | Figure::Reached
        | Figure::AttemptsPerStep
        | Figure::ReachedPerStep
        | Figure::LimitAtEnd
        | Figure::LimitMean
        | Figure::LimitP5
        | Figure::LimitP95
        | Figure::MostInFlight
        | Figure::Duplicates => "",
    }
}

/// A value with its unit, as exact as a reader can use.
pub fn value(figure: Figure, value: f64) -> String {
    number(value) + &after_number(figure)
}

/// The unit as it stands after a number.
fn after_number(figure: Figure) -> String {
    match unit(figure) {
        unit @ ("" | "/s") => unit.into(),
        unit => format!(" {unit}"),
    }
}

/// A number with three or four figures that count, thousands set apart by spaces.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value > 0.0 { "∞".into() } else { "−∞".into() };
    }
    let size = value.abs();
    let decimals = match size {
        // What would be written as 0.00 is nothing.
        _ if size < 0.005 || (size == size.round() && size < 1e15) => 0,
        _ if size >= 1_000.0 => 0,
        _ if size >= 10.0 => 1,
        _ => 2,
    };
    let written = format!("{size:.decimals$}");
    let (whole, rest) =
        written.split_once('.').map_or((written.as_str(), String::new()), |(whole, part)| (whole, format!(".{part}")));
    let sign = if value <= -0.005 { "−" } else { "" };
    format!("{sign}{}{rest}", grouped(whole))
}

/// `12345` as `12 345`.
fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len() - place;
        if place > 0 && left.is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A range in words: `at least`, `at most`, or both ends. No figure is below zero, so an end there says nothing.
pub fn range(figure: Figure, (least, most): (f64, f64)) -> String {
    match (least > 0.0 || least == most, most.is_finite()) {
        (true, true) if least == most => format!("exactly {}", value(figure, least)),
        (true, true) => format!("{} to {}", number(least), value(figure, most)),
        (true, false) => format!("at least {}", value(figure, least)),
        (false, true) => format!("at most {}", value(figure, most)),
        (false, false) => "anything".into(),
    }
}

/// The goal beyond a range, as it stands behind it.
pub fn goal(figure: Figure, goal: Option<f64>) -> String {
    goal.map_or_else(String::new, |goal| format!(", goal {}", value(figure, goal)))
}

/// What somebody else measured, how far from it one may be, and where it is from.
pub fn known(figure: Figure, known: &Known, (least, most): (f64, f64)) -> String {
    let within = match (most - least) / 2.0 {
        none if none <= 0.0 => String::new(),
        within => format!(" ± {}", number(within)),
    };
    format!("{}{within}{} ({})", number(known.value), after_number(figure), known.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_exact_as_a_reader_can_use() {
        let written = [0.0, -0.001, 1.0, 1.234, 47.87, 100.0, 1_234.5, 12_345_678.0, -3.5, f64::INFINITY].map(number);
        assert_eq!(written, ["0", "0", "1", "1.23", "47.9", "100", "1 234", "12 345 678", "−3.50", "∞"]);
    }

    #[test]
    fn values_carry_their_unit_and_ranges_say_which_end_counts() {
        assert_eq!(value(Figure::GoodputPerS, 47.86), "47.9/s");
        assert_eq!(value(Figure::LatencyP99, 1_499.6), "1 500 ms");
        assert_eq!(value(Figure::AttemptsPerStep, 3.456), "3.46");
        assert_eq!(range(Figure::Served, (90.0, f64::INFINITY)), "at least 90 %");
        assert_eq!(range(Figure::Wasted, (f64::NEG_INFINITY, 5.0)), "at most 5 %");
        assert_eq!(range(Figure::Wasted, (0.0, 5.0)), "at most 5 %");
        assert_eq!(range(Figure::Duplicates, (0.0, 0.0)), "exactly 0");
        assert_eq!(range(Figure::LatencyP50, (10.0, 20.0)), "10 to 20 ms");
        let theirs = Known { value: 87.4, source: "EXP1".into() };
        assert_eq!(known(Figure::Goodput, &theirs, (85.4, 89.4)), "87.4 ± 2 % (EXP1)");
        assert_eq!(known(Figure::GoodputPerS, &theirs, (87.4, 87.4)), "87.4/s (EXP1)");
    }
}
