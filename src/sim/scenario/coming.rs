//! When a crowd comes: at a rate, or so many within a time.

use std::time::Duration;

use toml::Spanned;

use super::crowds::MOST_CUSTOMERS;
use super::file::{self, RealOr};
use super::values;
use crate::config::check::{Check, Span, items};
use crate::config::file::{List, Opt};
use crate::sim::scenario::Coming;

pub(super) fn check(check: &mut Check<'_>, spanned: &Spanned<file::Crowd>, lasts: Duration) -> Option<Coming> {
    let written = spanned.get_ref();
    match (&written.rate, &written.count) {
        (Some(written_rate), None) => {
            let strays = [
                ("from", span_of(&written.from)),
                ("within", span_of(&written.within)),
                ("spread", span_of(&written.spread)),
            ];
            for (key, at) in strays {
                if let Some(at) = at {
                    let what = format!("`{key}` belongs to `count`; this crowd comes at a rate");
                    check.wrong(at, what, "write when the rate changes: rate = [{ at = \"30s\", per_s = 40 }]");
                }
            }
            rate(check, written_rate, &written.linear, lasts)
        }
        (None, Some(count)) => {
            if let Some(linear) = &written.linear {
                check.wrong(linear.span(), "`linear` belongs to `rate`; this crowd is counted", "take it out");
            }
            counted(check, spanned, count.span(), lasts)
        }
        (Some(_), Some(count)) => {
            check.wrong(count.span(), "a crowd has a rate or a count: with both, nobody knows how many come", COMING);
            None
        }
        (None, None) => {
            let at = written.name.as_ref().map_or(spanned.span(), Spanned::span);
            check.wrong(at, "it is not said how many come and when", COMING);
            None
        }
    }
}

fn span_of<T>(written: &Opt<T>) -> Option<Span> {
    written.as_ref().map(Spanned::span)
}

fn rate(
    check: &mut Check<'_>,
    written: &Spanned<RealOr<file::RatePoint>>,
    linear: &Opt<bool>,
    lasts: Duration,
) -> Option<Coming> {
    let points = match written.get_ref() {
        RealOr::Real(per_s) => {
            let per_s = Some(Spanned::new(written.span(), *per_s));
            vec![(Duration::ZERO, values::real(check, "rate", &per_s, 0.0..=MOST_PER_S)?)]
        }
        RealOr::List(points) => self::points(check, points, lasts)?,
    };
    if points.iter().all(|(_, per_s)| *per_s == 0.0) {
        check.wrong(written.span(), "rate: nobody comes", "write a rate above 0, or take the crowd out");
        return None;
    }
    Some(Coming::Rate { points, linear: linear.as_ref().is_some_and(|linear| *linear.get_ref()) })
}

fn points(
    check: &mut Check<'_>,
    written: &[Spanned<file::RatePoint>],
    lasts: Duration,
) -> Option<Vec<(Duration, f64)>> {
    let mut points: Vec<Option<(Duration, f64)>> = Vec::new();
    let mut before = None;
    for spanned in written {
        let point = spanned.get_ref();
        if point.at.is_none() || point.per_s.is_none() {
            check.wrong(spanned.span(), "a point has a time and a rate", POINTS);
        }
        let at = values::within_run(check, "at", &point.at, lasts);
        let per_s = values::real(check, "per_s", &point.per_s, 0.0..=MOST_PER_S);
        if at.is_some() && at <= before {
            check.wrong(spanned.span(), "rate: this point is not later than the one before", "put them in order");
        }
        before = at.or(before);
        points.push(at.zip(per_s));
    }
    points.into_iter().collect()
}

fn counted(check: &mut Check<'_>, spanned: &Spanned<file::Crowd>, at: Span, lasts: Duration) -> Option<Coming> {
    let written = spanned.get_ref();
    let count = check.given_count("count", &written.count, MOST_CUSTOMERS as u32);
    let from = match &written.from {
        Some(_) => values::within_run(check, "from", &written.from, lasts),
        None => Some(Duration::ZERO),
    };
    match (&written.within, &written.spread) {
        (Some(within), None) => {
            let within = within_parts(check, &written.within, within.span(), from, lasts);
            Some(Coming::Count { count: count?.get(), from: from?, within: within? })
        }
        (None, Some(spread)) => {
            let mean = mean(check, spread, from, lasts);
            Some(Coming::Spread { count: count?.get(), from: from?, mean: mean? })
        }
        (Some(_), Some(spread)) => {
            check.wrong(spread.span(), "they come within parts or spread: with both, nobody knows when", SPREAD);
            None
        }
        (None, None) => {
            check.wrong(at, "it is not said over which time they come", SPREAD);
            None
        }
    }
}

/// Shares, and over which time each of them comes.
fn within_parts(
    check: &mut Check<'_>,
    written: &List<file::Part>,
    at: Span,
    from: Option<Duration>,
    lasts: Duration,
) -> Option<Vec<(u32, Duration)>> {
    let parts = check.list("crowd.within", written);
    let shares: Vec<&Opt<i64>> = parts.iter().map(|part| &part.get_ref().share).collect();
    let shares = values::shares(check, "within", at.clone(), &shares);
    let mut over = Vec::new();
    for part in items(written) {
        if part.get_ref().over.is_none() {
            check.missing(part.span(), "this part", "crowd.within.over");
        }
        over.push(check.given_duration("over", &part.get_ref().over));
    }
    let over: Vec<Duration> = over.into_iter().collect::<Option<_>>()?;
    let from = from?;
    if over.iter().any(|over| from + *over > lasts) {
        let what = format!("within: some come after the end: the run lasts {}", values::told(lasts));
        check.wrong(at, what, "let them come earlier, or let the run last longer");
    }
    Some(shares?.into_iter().zip(over).collect())
}

fn mean(
    check: &mut Check<'_>,
    spread: &Spanned<file::Spread>,
    from: Option<Duration>,
    lasts: Duration,
) -> Option<Duration> {
    if spread.get_ref().mean.is_none() {
        check.missing(spread.span(), "this spread", "crowd.spread.mean");
    }
    let mean = check.given_duration("mean", &spread.get_ref().mean)?;
    if from? + mean > lasts {
        let what = format!("spread: many come after the end: the run lasts {}", values::told(lasts));
        check.wrong(spread.span(), what, "let them come earlier, or let the run last longer");
    }
    Some(mean)
}

const COMING: &str = "write rate = 40 for customers per second, or count = 20000 and within = [{ over = \"60s\" }]";
const SPREAD: &str =
    "write within = [{ over = \"60s\" }] for parts that come evenly, or spread = { mean = \"6s\" } for most at once";
const POINTS: &str = "write rate = [{ at = \"0s\", per_s = 600 }, { at = \"30s\", per_s = 2000 }]";
const MOST_PER_S: f64 = 1_000_000.0;
