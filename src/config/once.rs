//! What is carried out once, and where people look up what became of it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::admission::Class;
use crate::proxy::settings::{Lookup, OnceSettings};

use http::HeaderName;

use super::check::{Check, items};
use super::customer::header_name;
use super::error::shown;
use super::file::{Once, Opt};

pub(super) fn check(check: &mut Check<'_>, written: &Once) -> OnceSettings {
    // An empty list is meant here: no header says that two requests are the same.
    let headers = items(&written.header).iter().filter_map(|name| header_name(check, name)).collect();
    let headers = if written.header.is_some() { headers } else { vec![HEADER] };
    OnceSettings {
        headers,
        classes: classes(check, written),
        keep: check.duration("keep", &written.keep, KEEP),
        bets: check.count("bets", &written.bets, MOST_BETS, BETS).get() as usize,
        memory: check.size("memory", &written.memory, 1..=MOST_MEMORY).map_or(MEMORY, |bytes| bytes as usize),
        answer_bytes: check.size("answer_bytes", &written.answer_bytes, 1..=MOST_ANSWER).unwrap_or(ANSWER) as usize,
    }
}

fn classes(check: &mut Check<'_>, written: &Once) -> [bool; Class::COUNT] {
    let named: Vec<Class> =
        check.list("once.classes", &written.classes).iter().filter_map(|class| check.class(class)).collect();
    match written.classes {
        Some(_) => Class::ALL.map(|class| named.contains(&class)),
        None => Class::ALL.map(|class| class == Class::Commit),
    }
}

/// An address in this product or elsewhere.
pub(super) fn lookup(check: &mut Check<'_>, written: &Opt<String>) -> Option<Lookup> {
    let written = written.as_ref()?;
    let address = written.get_ref();
    let plain = address.replacen("{key}", "", 1);
    let begins = ["/", "https://", "http://"].iter().any(|start| address.starts_with(start));
    let clean = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\{}^`|".contains(&byte);
    if begins && !address.starts_with("//") && plain.bytes().all(clean) {
        return Some(Lookup::new(address));
    }
    let what = format!("lookup: {} is not an address at which a bet could be looked up", shown(address));
    let help =
        "write a path or a URL, with {key} where the idempotency key stands: lookup = \"/horse/bets/by-key/{key}\"";
    check.wrong(written.span(), what, help);
    None
}

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const KEEP: Duration = Duration::from_secs(3600);
const BETS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const MOST_BETS: u32 = 10_000_000;
const MEMORY: usize = 64 << 20;
const MOST_MEMORY: u64 = 64 << 30;
const ANSWER: u64 = 64 << 10;
const MOST_ANSWER: u64 = 16 << 20;
