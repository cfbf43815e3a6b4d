//! Values as scenarios have them: times from the beginning, numbers in a range, shares, names.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use crate::config::check::{Check, Span};
use crate::config::error::{Wrong, shown};
use crate::config::file::{List, Opt};
use crate::config::{names, nearest, units};

/// A time since the beginning; unlike a duration it may be none at all.
pub(super) fn moment(check: &mut Check<'_>, key: &str, written: &Opt<String>) -> Option<Duration> {
    let text = written.as_ref()?;
    if ["0s", "0ms", "0m", "0h"].contains(&text.get_ref().as_str()) {
        return Some(Duration::ZERO);
    }
    check.told(key, text.span(), since_beginning(text.get_ref()))
}

fn since_beginning(text: &str) -> Result<Duration, Wrong> {
    match text.strip_prefix('-') {
        Some(_) => Err(Wrong::new(
            format!("{} lies before the beginning", shown(text)),
            "write a time since the beginning, such as \"0s\" or \"90s\"",
        )),
        None => units::duration(text),
    }
}

/// A time since the beginning that lies within the run.
pub(super) fn within_run(check: &mut Check<'_>, key: &str, written: &Opt<String>, lasts: Duration) -> Option<Duration> {
    let moment = moment(check, key, written)?;
    if moment <= lasts {
        return Some(moment);
    }
    if let Some(text) = written {
        let what = format!("{key}: {} is after the end: the run lasts {}", text.get_ref(), told(lasts));
        check.wrong(text.span(), what, format!("write at most \"{}\", or let the run last longer", told(lasts)));
    }
    None
}

/// How long work takes alone: a duration, or microseconds.
pub(super) fn work(check: &mut Check<'_>, key: &str, written: &Opt<String>) -> Option<Duration> {
    let text = written.as_ref()?;
    let micros = text.get_ref().strip_suffix("us").and_then(|number| number.parse::<u64>().ok());
    match micros {
        Some(micros) if micros > 0 && micros <= MOST_MICROS => Some(Duration::from_micros(micros)),
        _ => check.told(key, text.span(), units::duration(text.get_ref())),
    }
}

/// Two times, the shorter first.
pub(super) fn between(check: &mut Check<'_>, key: &str, written: &List<String>) -> Option<(Duration, Duration)> {
    let list = written.as_ref()?;
    let help = format!("write the shortest and the longest: {key} = [\"2s\", \"5s\"]");
    let [least, most] = list.get_ref().as_slice() else {
        check.wrong(list.span(), format!("{key}: two times are wanted"), help);
        return None;
    };
    let least = moment(check, key, &Some(least.clone()));
    let (least, most) = (least?, check.given_duration(key, &Some(most.clone()))?);
    if least > most {
        check.wrong(list.span(), format!("{key}: the shortest is longer than the longest"), help);
        return None;
    }
    Some((least, most))
}

/// A number within a range.
pub(super) fn real(check: &mut Check<'_>, key: &str, written: &Opt<f64>, range: RangeInclusive<f64>) -> Option<f64> {
    let number = written.as_ref()?;
    if range.contains(number.get_ref()) {
        return Some(*number.get_ref());
    }
    let what = format!("{key}: {} is out of range", number.get_ref());
    check.wrong(number.span(), what, format!("write a number from {} to {}", range.start(), range.end()));
    None
}

/// A whole number within a range.
pub(super) fn whole(check: &mut Check<'_>, key: &str, written: &Opt<i64>, range: RangeInclusive<u32>) -> Option<u32> {
    let number = written.as_ref()?;
    let fits = u32::try_from(*number.get_ref()).ok().filter(|number| range.contains(number));
    if fits.is_none() {
        let what = format!("{key}: {} is out of range", number.get_ref());
        check.wrong(number.span(), what, format!("write a number from {} to {}", range.start(), range.end()));
    }
    fits
}

/// So many of a hundred; none when nothing is written.
pub(super) fn per_cent(check: &mut Check<'_>, key: &str, written: &Opt<i64>) -> u32 {
    whole(check, key, written, 0..=100).unwrap_or(0)
}

/// Shares of a whole must make a whole. One alone may be left out.
pub(super) fn shares(check: &mut Check<'_>, key: &str, at: Span, written: &[&Opt<i64>]) -> Option<Vec<u32>> {
    if let [None] = written {
        return Some(vec![100]);
    }
    let mut shares = Vec::new();
    for share in written {
        if share.is_none() {
            check.wrong(at.clone(), format!("{key}: one of these has no `share`"), SHARES);
            return None;
        }
        shares.push(whole(check, "share", share, 1..=100)?);
    }
    let sum: u32 = shares.iter().sum();
    if sum != 100 {
        check.wrong(at, format!("{key}: the shares add up to {sum}"), SHARES);
        return None;
    }
    Some(shares)
}

/// A name for tables: any text on one line.
pub(super) fn name(check: &mut Check<'_>, what: &str, at: &Span, path: &str, written: &Opt<String>) -> String {
    let Some(name) = written else {
        check.missing(at.clone(), what, path);
        return String::new();
    };
    let text = name.get_ref();
    if text.trim().is_empty() || text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
        let help = format!("write 1 to {LONGEST_NAME} characters on one line");
        check.wrong(name.span(), format!("{} cannot be a name", shown(text)), help);
    }
    text.clone()
}

/// A name that two things have.
pub(super) fn unique<'w>(check: &mut Check<'_>, what: &str, names: impl IntoIterator<Item = &'w Opt<String>>) {
    let mut seen: Vec<&Spanned<String>> = Vec::new();
    for name in names.into_iter().flatten() {
        match seen.iter().find(|first| first.get_ref() == name.get_ref()) {
            Some(first) => {
                let line = check.line(&first.span());
                let said = format!("the name `{}` is taken: the {what} on line {line} has it", name.get_ref());
                check.wrong(name.span(), said, "give one of them another name");
            }
            None => seen.push(name),
        }
    }
}

/// The index of what is named.
pub(super) fn index(check: &mut Check<'_>, what: &str, written: &Spanned<String>, known: &[&str]) -> Option<usize> {
    let name = written.get_ref();
    let found = known.iter().position(|known| known == name);
    if found.is_none() {
        let known: Vec<&str> = known.iter().copied().filter(|known| !known.is_empty()).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("there is none in this scenario: write a [[{what}]]"),
            None => format!("in this scenario: {}", names::list(&known)),
        };
        check.wrong(written.span(), format!("no {what} is called {}", shown(name)), help);
    }
    found
}

/// A time as it would be written.
pub(super) fn told(time: Duration) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

const SHARES: &str = "give each a share of a hundred, so that they add up to 100";
const LONGEST_NAME: usize = 64;
/// A minute, in microseconds: longer work is written in another unit.
const MOST_MICROS: u64 = 60_000_000;
