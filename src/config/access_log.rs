//! Where a line for each request goes, and which.

use std::num::NonZeroU32;
use std::path::Path;

use toml::Spanned;

use crate::proxy::settings::{AccessLogSettings, OneIn, Target};

use super::check::Check;
use super::file::{self, Opt};

/// `journal` is where orders are written down.
pub(super) fn check(
    check: &mut Check<'_>,
    written: &Spanned<file::AccessLog>,
    journal: Option<&Path>,
) -> Option<AccessLogSettings> {
    let log = written.get_ref();
    let one_in = one_in(check, &log.one_in);
    let memory = check.size("memory", &log.memory, LEAST_MEMORY..=MOST_MEMORY).unwrap_or(MEMORY);
    let Some(to) = &log.to else {
        check.missing(written.span(), "this section", "access_log.to");
        return None;
    };
    Some(AccessLogSettings {
        target: target(check, to, journal)?,
        one_in,
        query: log.query.as_ref().is_some_and(|on| *on.get_ref()),
        memory: memory as usize,
    })
}

fn target(check: &mut Check<'_>, to: &Spanned<String>, journal: Option<&Path>) -> Option<Target> {
    let path = match to.get_ref().as_str() {
        "stdout" => return Some(Target::Stdout),
        "" => {
            check.wrong(to.span(), "`to` is empty", "write a path, or \"stdout\": to = \"access.log\"");
            return None;
        }
        path => check.beside(path),
    };
    let taken = match path.as_path() {
        path if path == check.source.path => Some("this file"),
        path if Some(path) == journal => Some("the journal"),
        _ => None,
    };
    if let Some(taken) = taken {
        let what = format!("the access log would be written into {taken}");
        check.wrong(to.span(), what, "write another path: to = \"access.log\"");
        return None;
    }
    Some(Target::File(path))
}

fn one_in(check: &mut Check<'_>, written: &Opt<file::OneIn>) -> OneIn {
    let written = written.as_ref().map(Spanned::get_ref);
    let mut count = |key, number: fn(&file::OneIn) -> &Opt<i64>| {
        written.map_or(ALL, |written| check.count(key, number(written), MOST_ONE_IN, ALL))
    };
    OneIn {
        answered: count("answered", |written| &written.answered),
        refused: count("refused", |written| &written.refused),
        failed: count("failed", |written| &written.failed),
    }
}

const ALL: NonZeroU32 = NonZeroU32::MIN;
const MOST_ONE_IN: u32 = 1_000_000;
const MEMORY: u64 = 4 << 20;
const LEAST_MEMORY: u64 = 256 << 10;
const MOST_MEMORY: u64 = 1 << 30;
