//! Who asks, and about which event.

use std::num::NonZeroU32;

use http::HeaderName;
use toml::Spanned;

use crate::proxy::event::pointer::Pointer;
use crate::proxy::settings::{CustomerSource, EventSource};

use super::check::{Check, items};
use super::error::shown;
use super::file::{self, Opt, TextOr};

/// How many requests of one customer, and of one address, run or wait at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtOnce {
    pub(crate) customer: NonZeroU32,
    pub(crate) address: NonZeroU32,
}

pub(super) fn customers(
    check: &mut Check<'_>,
    file: &file::Customer,
    listen: &file::Listen,
) -> (Vec<CustomerSource>, AtOnce) {
    let mut sources = Vec::new();
    for written in check.list("customer.from", &file.from) {
        let Some(source) = source(check, written) else { continue };
        if sources.contains(&CustomerSource::Address) {
            let what = "this is never looked at: every customer has an address";
            check.wrong(written.span(), what, "put \"address\" last");
        } else if matches!(source, CustomerSource::Header(_)) && items(&listen.trusted).is_empty() {
            let what = "this header never counts: no network is trusted to set it";
            let help = "name the networks of your load balancers under [listen]: trusted = [\"10.0.0.0/8\"]";
            check.wrong(written.span(), what, help);
        }
        sources.push(source);
    }
    if !sources.contains(&CustomerSource::Address) {
        sources.push(CustomerSource::Address);
    }
    (sources, at_once(check, &file.at_once, &file.at_once_per_address))
}

pub(crate) fn at_once(check: &mut Check<'_>, customer: &Opt<i64>, address: &Opt<i64>) -> AtOnce {
    let customer = check.count("at_once", customer, MOST_AT_ONCE, AT_ONCE);
    let address = check.count("at_once_per_address", address, MOST_AT_ONCE, AT_ONCE_PER_ADDRESS);
    AtOnce { customer, address }
}

fn source(check: &mut Check<'_>, written: &Spanned<TextOr<file::CustomerSource>>) -> Option<CustomerSource> {
    let table = match written.get_ref() {
        TextOr::Text(word) if word == "address" => return Some(CustomerSource::Address),
        TextOr::Text(word) => {
            check.wrong(
                written.span(),
                format!("{} is not a place where a customer's identity stands", shown(word)),
                PLACES,
            );
            return None;
        }
        TextOr::Table(table) => table,
    };
    match (&table.header, &table.cookie) {
        (Some(name), None) => header_name(check, name).map(CustomerSource::Header),
        (None, Some(name)) => cookie_name(check, name).map(CustomerSource::Cookie),
        _ => {
            check.wrong(written.span(), "each place where a customer's identity stands has one key", PLACES);
            None
        }
    }
}

fn cookie_name(check: &mut Check<'_>, written: &Spanned<String>) -> Option<String> {
    let name = written.get_ref();
    // RFC 6265 takes cookie names from the same characters as header names, but minds their case.
    if HeaderName::from_bytes(name.as_bytes()).is_ok() {
        return Some(name.clone());
    }
    check.wrong(
        written.span(),
        format!("{} is not the name of a cookie", shown(name)),
        "write the name alone: cookie = \"session\"",
    );
    None
}

pub(super) fn header_name(check: &mut Check<'_>, written: &Spanned<String>) -> Option<HeaderName> {
    let name = written.get_ref();
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    if parsed.is_none() {
        let help = match name.split_once(['=', ':']) {
            Some((name, value)) => {
                let (name, value) = (name.trim(), value.trim());
                format!("in a rule, write {{ name = \"{name}\", value = \"{value}\" }}; elsewhere the name alone")
            }
            None => "write letters, digits and dashes: header = \"x-customer\"".to_owned(),
        };
        check.wrong(written.span(), format!("{} is not the name of a header", shown(name)), help);
    }
    parsed
}

/// Where events stand, and how large a body may be that is looked into for one.
pub(super) fn events(check: &mut Check<'_>, file: &file::Event, read: usize) -> (Vec<EventSource>, usize) {
    let written = check.list("event.from", &file.from);
    if let Some(first) = written.get(MOST_SOURCES) {
        let what = format!("there are {} places where an event stands", written.len());
        check.wrong(
            first.span(),
            what,
            format!("every bet is looked through for all of them; use at most {MOST_SOURCES}"),
        );
    }
    let sources = written.iter().filter_map(|written| event(check, written)).collect();
    (sources, json_bytes(check, file, read))
}

fn event(check: &mut Check<'_>, written: &Spanned<file::EventSource>) -> Option<EventSource> {
    let file::EventSource { header, path, json } = written.get_ref();
    match (header, path, json) {
        (Some(name), None, None) => header_name(check, name).map(EventSource::Header),
        (None, Some(path), None) => path_before_event(check, path).map(EventSource::PathAfter),
        (None, None, Some(text)) => pointer(check, text).map(EventSource::Json),
        _ => {
            let help =
                "write { header = \"x-event\" }, { path = \"/horse/bets/{event}\" } or { json = \"/coupon/race\" }";
            check.wrong(written.span(), "each place where an event stands has one key", help);
            None
        }
    }
}

/// A place in a JSON body.
pub(super) fn pointer(check: &mut Check<'_>, written: &Spanned<String>) -> Option<Pointer> {
    let parsed = Pointer::parse(written.get_ref());
    parsed
        .map_err(|(what, help)| {
            check.wrong(written.span(), format!("{} is no place in JSON: {what}", shown(written.get_ref())), help);
        })
        .ok()
}

/// Not more than is read of a body before admission is asked.
fn json_bytes(check: &mut Check<'_>, file: &file::Event, read: usize) -> usize {
    let given = check.size("json_bytes", &file.json_bytes, 1..=MOST_JSON).map(|bytes| bytes as usize);
    if let (Some(written), Some(_)) = (&file.json_bytes, given.filter(|bytes| *bytes > read)) {
        let what = format!("json_bytes: of a body that waits only {read} bytes are read");
        check.wrong(written.span(), what, "make it smaller, or `waiting_body_bytes` under [listen] larger");
    }
    given.unwrap_or(JSON.min(read))
}

/// What stands before `{event}`, which has a segment of the path to itself.
fn path_before_event(check: &mut Check<'_>, written: &Spanned<String>) -> Option<String> {
    let path = written.get_ref();
    let split = path.split_once("{event}");
    let alone = |(before, after): &(&str, &str)| {
        let whole_segment = before.ends_with('/') && (after.is_empty() || after.starts_with('/'));
        path.starts_with('/') && whole_segment && !path.contains(['?', '#', ' ', '*']) && path.matches('{').count() == 1
    };
    if let Some((before, _)) = split.filter(alone) {
        return Some(before.to_owned());
    }
    let what = match split {
        None => format!("{} does not say where the event stands", shown(path)),
        Some(_) => format!("{} is not a path with one whole segment for the event", shown(path)),
    };
    check.wrong(written.span(), what, "write {event} for the segment: path = \"/horse/bets/{event}\"");
    None
}

const PLACES: &str = "write { header = \"x-customer\" }, { cookie = \"session\" } or \"address\"";
const AT_ONCE: NonZeroU32 = NonZeroU32::new(8).unwrap();
const AT_ONCE_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(256).unwrap();
const MOST_AT_ONCE: u32 = 65_535;
/// Every bet is looked through for each of them.
const MOST_SOURCES: usize = 8;
/// A coupon of a few rows; a file of bets says its event in a header.
const JSON: usize = 16 << 10;
const MOST_JSON: u64 = 1 << 20;
