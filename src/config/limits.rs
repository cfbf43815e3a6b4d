//! How many seats a pool or a budget has: a number, or a range to look in.

use std::num::NonZeroU32;

use toml::Spanned;

use crate::admission::settings::{LimitSettings, Range};

use super::check::Check;
use super::file::{Limit, LimitRange, NumberOr, Opt};

/// What was written, so that two products that share a pool can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seats {
    Fixed(NonZeroU32),
    Range { initial: NonZeroU32, least: NonZeroU32, most: NonZeroU32 },
}

pub(crate) fn check(check: &mut Check<'_>, written: &Opt<Limit>) -> Option<Seats> {
    let written = written.as_ref()?;
    match written.get_ref() {
        NumberOr::Number(number) => {
            let number = Some(Spanned::new(written.span(), *number));
            check.given_count("limit", &number, MOST_SEATS).map(Seats::Fixed)
        }
        NumberOr::Table(range) => self::range(check, written, range),
    }
}

fn range(check: &mut Check<'_>, written: &Spanned<Limit>, range: &LimitRange) -> Option<Seats> {
    let default = Range::default();
    let initial = check.given_count("initial", &range.initial, MOST_SEATS);
    // Whoever gives one end has said nothing about the others: those move out of its way.
    let least = check.given_count("least", &range.least, MOST_SEATS);
    let most = check.given_count("most", &range.most, MOST_SEATS);
    let start = initial
        .unwrap_or_else(|| default.initial.max(least.unwrap_or(NonZeroU32::MIN)).min(most.unwrap_or(NonZeroU32::MAX)));
    let (least, most) = (least.unwrap_or(default.least.min(start)), most.unwrap_or(default.most.max(start)));
    if least > start || start > most {
        let what = format!("a limit cannot start at {start} and stay between {least} and {most}");
        check.wrong(written.span(), what, "write { initial = 8, least = 2, most = 100 }, with initial between the two");
        return None;
    }
    Some(Seats::Range { initial: start, least, most })
}

/// As admission takes it; found when nothing was written.
pub(crate) fn settings(seats: Option<Seats>) -> LimitSettings {
    match seats {
        None => LimitSettings::Found(Range::default()),
        Some(Seats::Fixed(seats)) => LimitSettings::Fixed(seats),
        Some(Seats::Range { initial, least, most }) => LimitSettings::Found(Range { initial, least, most }),
    }
}

/// No single proxy keeps more requests in flight than this.
const MOST_SEATS: u32 = 65_535;
