//! What must come of it: figures and the ranges they must fall in.

use std::time::Duration;

use toml::Spanned;

use super::{file, values};
use crate::config::check::Check;
use crate::config::file::Opt;
use crate::sim::scenario::{Expected, Figure, Known};

/// What an expectation may name, and what windows it may have.
pub(super) struct Around<'a> {
    pub(super) crowd_names: &'a [&'a str],
    pub(super) product_names: &'a [&'a str],
    pub(super) lasts: Duration,
    pub(super) measured: (Duration, Duration),
    pub(super) capacity: bool,
}

pub(super) fn check(check: &mut Check<'_>, written: &[Spanned<file::Expect>], around: &Around<'_>) -> Vec<Expected> {
    written.iter().filter_map(|written| expected(check, written, around)).collect()
}

fn expected(check: &mut Check<'_>, spanned: &Spanned<file::Expect>, around: &Around<'_>) -> Option<Expected> {
    let written = spanned.get_ref();
    if written.figure.is_none() {
        check.missing(spanned.span(), "this expectation", "expect.figure");
    }
    let figure = written.figure.as_ref().and_then(|word| self::figure(check, word, around));
    let crowd = written.crowd.as_ref().map(|crowd| values::index(check, "crowd", crowd, around.crowd_names));
    let product =
        written.product.as_ref().map(|product| values::index(check, "product", product, around.product_names));
    let window = window(check, written, around);
    fits(check, written, figure);
    let range = range(check, spanned, figure);
    let known = written.known.as_ref().zip(written.source.as_ref());
    Some(Expected {
        law: law(check, &written.law),
        figure: figure?,
        crowd: crowd.map_or(Some(None), |crowd| crowd.map(Some))?,
        product: product.map_or(Some(None), |product| product.map(Some))?,
        window: window?,
        range: range?,
        mean: written.mean.as_ref().is_some_and(|mean| *mean.get_ref()),
        goal: goal(check, written),
        known: known.map(|(value, source)| Known { value: *value.get_ref(), source: source.get_ref().clone() }),
    })
}

fn law(check: &mut Check<'_>, written: &Opt<String>) -> String {
    let Some(law) = written else { return "sluss".to_owned() };
    if law.get_ref().trim().is_empty() {
        check.wrong(law.span(), "law: this is an empty text", "leave it out for Sluss itself, or write law = \"none\"");
    }
    law.get_ref().clone()
}

fn figure(check: &mut Check<'_>, word: &Spanned<String>, around: &Around<'_>) -> Option<Figure> {
    let names = Figure::ALL.map(Figure::name);
    let figure = check.one_of("figure", word, &names).map(|index| Figure::ALL[index])?;
    if figure.needs_capacity() && !around.capacity {
        let what = "this is held against the plant's `capacity`, which this scenario does not tell";
        check.wrong(word.span(), what, "write capacity = 1000 at the top, or figure = \"goodput_per_s\"");
    }
    Some(figure)
}

/// A figure is not to be had of everything.
fn fits(check: &mut Check<'_>, written: &file::Expect, figure: Option<Figure>) {
    let Some(figure) = figure else { return };
    if let Some(at) = written.from.as_ref().or(written.to.as_ref()).filter(|_| !figure.of_any_window()) {
        let what = format!("`{}` is known for the measured window or the whole run only", figure.name());
        check.wrong(at.span(), what, "take `from` and `to` out, or set `measured` at the top");
    }
    for (key, whose) in [("crowd", &written.crowd), ("product", &written.product)] {
        if let Some(whose) = whose.as_ref().filter(|_| !figure.of_one_crowd()) {
            let what = format!("`{}` is a figure of the whole plant", figure.name());
            check.wrong(whose.span(), what, format!("take `{key}` out"));
        }
    }
    if let (Some(product), Some(_)) = (&written.product, &written.crowd) {
        let what = "this is of one crowd, or of all crowds of a product: with both, one of them means nothing";
        check.wrong(product.span(), what, "keep `crowd` or `product`");
    }
}

/// `None` when it is wrong; `Some(None)` when it is the scenario's own.
fn window(check: &mut Check<'_>, written: &file::Expect, around: &Around<'_>) -> Option<Option<(Duration, Duration)>> {
    let (from, to) = (&written.from, &written.to);
    let Some(at) = from.as_ref().or(to.as_ref()).map(Spanned::span) else { return Some(None) };
    let of = |check: &mut Check<'_>, key, written: &Opt<String>, default| match written {
        Some(_) => values::within_run(check, key, written, around.lasts),
        None => Some(default),
    };
    let from = of(check, "from", from, around.measured.0);
    let to = of(check, "to", to, around.measured.1);
    let (from, to) = (from?, to?);
    if from >= to {
        let what = format!("from {} to {} is no time at all", values::told(from), values::told(to));
        check.wrong(at, what, "write a `from` that is earlier than `to`");
        return None;
    }
    Some(Some((from, to)))
}

fn range(check: &mut Check<'_>, spanned: &Spanned<file::Expect>, figure: Option<Figure>) -> Option<(f64, f64)> {
    let written = spanned.get_ref();
    let at = written.figure.as_ref().map_or(spanned.span(), Spanned::span);
    let number = |check: &mut Check<'_>, key, number: &Opt<f64>| values::real(check, key, number, 0.0..=MOST);
    let least = number(check, "at_least", &written.at_least);
    let most = number(check, "at_most", &written.at_most);
    let known = number(check, "known", &written.known);
    let within = number(check, "within", &written.within);
    let bounds = written.at_least.as_ref().or(written.at_most.as_ref());
    match (bounds, &written.known) {
        (Some(bound), Some(_)) => {
            let what = "a figure is known, or has bounds: with both, one of them means nothing";
            check.wrong(bound.span(), what, RANGE);
            None
        }
        (None, None) => {
            check.wrong(at, "it is not said what the figure must be", RANGE);
            None
        }
        (None, Some(value)) => {
            if written.source.is_none() {
                let help = "write where the figure comes from: source = \"overload.md EXP1\"";
                check.wrong(value.span(), "who measured this is not said", help);
            }
            if let Some(mean) = &written.mean {
                let what = "`mean` belongs to bounds: a known figure is held against the mean anyway";
                check.wrong(mean.span(), what, "take `mean` out");
            }
            let (known, within) = (known?, within.unwrap_or(WITHIN));
            Some((known - within, known + within))
        }
        (Some(bound), None) => {
            for (key, at) in [
                ("within", written.within.as_ref().map(Spanned::span)),
                ("source", written.source.as_ref().map(Spanned::span)),
            ] {
                if let Some(at) = at {
                    check.wrong(at, format!("`{key}` belongs to `known`"), RANGE);
                }
            }
            let range = (least.unwrap_or(0.0), most.unwrap_or(f64::INFINITY));
            possible(check, bound, range, figure);
            Some(range)
        }
    }
}

/// What it is to become, where it is not there yet.
fn goal(check: &mut Check<'_>, written: &file::Expect) -> Option<f64> {
    let goal = values::real(check, "goal", &written.goal, 0.0..=MOST)?;
    let at = written.goal.as_ref().map(Spanned::span).unwrap_or_default();
    let (least, most) =
        (written.at_least.as_ref().map(Spanned::get_ref), written.at_most.as_ref().map(Spanned::get_ref));
    match (least, most) {
        (Some(least), None) if goal > *least => return Some(goal),
        (None, Some(most)) if goal < *most => return Some(goal),
        (Some(_), None) => {
            check.wrong(at, "this goal is reached already", "write a `goal` above `at_least`, or leave it out")
        }
        (None, Some(_)) => {
            check.wrong(at, "this goal is reached already", "write a `goal` below `at_most`, or leave it out")
        }
        _ => check.wrong(at, "a goal lies beyond one bound", "write `at_least` or `at_most` for what holds today"),
    }
    None
}

fn possible(check: &mut Check<'_>, at: &Spanned<f64>, (least, most): (f64, f64), figure: Option<Figure>) {
    if least > most {
        let what = format!("nothing is at least {least} and at most {most}");
        check.wrong(at.span(), what, format!("write at_least = {most}, at_most = {least}"));
    } else if figure.is_some_and(Figure::is_share) && least > 100.0 {
        check.wrong(at.span(), format!("a share in per cent is never {least}"), "write at most 100");
    }
}

const RANGE: &str = "write at_least = 97, at_most = 103 or both; or known = 95.8, within = 2 and source";
/// Points by which two simulators may differ.
const WITHIN: f64 = 2.0;
const MOST: f64 = 1e12;
