//! Who asks, and about which event.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderName;
use toml::Spanned;

use crate::proxy::event::pointer::Pointer;
use crate::proxy::settings::{BoundBy, CustomerSource, EventSource, Prefix, SessionSettings};

use super::check::{Check, Span, items};
use super::error::shown;
use super::file::{self, Opt, TextOr};
use super::tokens;

/// How many requests of one customer, and of one address, run or wait at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtOnce {
    pub(crate) customer: NonZeroU32,
    pub(crate) address: NonZeroU32,
}

pub(super) fn customers(check: &mut Check<'_>, file: &file::File) -> (Vec<CustomerSource>, Prefix, AtOnce) {
    let customer = &file.customer;
    let mut sources = Vec::new();
    for written in check.list("customer.from", &customer.from) {
        let Some(source) = source(check, written) else { continue };
        if sources.contains(&CustomerSource::Address) {
            let what = "this is never looked at: every customer has an address";
            check.wrong(written.span(), what, "put \"address\" last");
        } else if let Some((what, help)) = is_in_vain(&source, &sources, file) {
            check.wrong(written.span(), what, help);
        }
        sources.push(source);
    }
    if !sources.contains(&CustomerSource::Address) {
        sources.push(CustomerSource::Address);
    }
    let at_once = at_once(check, &customer.at_once, &customer.at_once_per_address);
    (sources, prefix(check, customer), at_once)
}

/// Why a place would never name anybody.
fn is_in_vain(
    source: &CustomerSource,
    before: &[CustomerSource],
    file: &file::File,
) -> Option<(&'static str, &'static str)> {
    match source {
        CustomerSource::Header(_) if items(&file.listen.trusted).is_empty() => Some((
            "this header never counts: no network is trusted to set it",
            "name the networks of your load balancers under [listen]: trusted = [\"10.0.0.0/8\"]",
        )),
        CustomerSource::Session(_) if before.iter().any(|other| matches!(other, CustomerSource::Session(_))) => {
            Some(("there is a session's cookie already", "keep the one that your login sets"))
        }
        CustomerSource::Session(_) if !has_logins(file) => Some((
            "this cookie is never bound: no request of any product is of class start",
            "say which request is the login: under [[product.class]], class = \"start\" and \
             match = [{ method = \"POST\", path = \"/login\" }]",
        )),
        _ => None,
    }
}

/// Whether any request is of the class whose answers bind sessions.
fn has_logins(file: &file::File) -> bool {
    let is_start = |word: &Opt<String>| word.as_ref().is_some_and(|word| word.get_ref() == "start");
    file.product.iter().map(Spanned::get_ref).any(|product| {
        is_start(&product.default_class) || product.class.iter().any(|class| is_start(&class.get_ref().class))
    })
}

pub(crate) fn at_once(check: &mut Check<'_>, customer: &Opt<i64>, address: &Opt<i64>) -> AtOnce {
    let customer = check.count("at_once", customer, MOST_AT_ONCE, AT_ONCE);
    let address = check.count("at_once_per_address", address, MOST_AT_ONCE, AT_ONCE_PER_ADDRESS);
    AtOnce { customer, address }
}

fn prefix(check: &mut Check<'_>, file: &file::Customer) -> Prefix {
    let mut length = |key, written, most| check.given_count(key, written, most).map(|bits| bits.get() as u8);
    let v4 = length("ipv4_prefix", &file.ipv4_prefix, 32).unwrap_or(WHOLE_ADDRESS);
    let v6 = length("ipv6_prefix", &file.ipv6_prefix, 128).unwrap_or(HOUSEHOLD);
    Prefix { v4, v6 }
}

fn source(check: &mut Check<'_>, written: &Spanned<TextOr<file::CustomerSource>>) -> Option<CustomerSource> {
    let table = match written.get_ref() {
        TextOr::Text(word) if word == "address" => return Some(CustomerSource::Address),
        TextOr::Text(word) => {
            let what = format!("{} is not a place where a customer's identity stands", shown(word));
            check.wrong(written.span(), what, PLACES);
            return None;
        }
        TextOr::Table(table) => table,
    };
    if table.cookie.is_none() {
        let sessions = [
            ("bound_by", table.bound_by.as_ref().map(Spanned::span)),
            ("most", table.most.as_ref().map(Spanned::span)),
            ("idle", table.idle.as_ref().map(Spanned::span)),
        ];
        for (key, at) in sessions.into_iter().filter_map(|(key, at)| Some((key, at?))) {
            check.wrong(at, format!("`{key}` is about a session's cookie, and there is none here"), PLACES);
        }
    }
    match (&table.header, &table.cookie, &table.jwt) {
        (Some(name), None, None) => header_name(check, name).map(CustomerSource::Header),
        (None, Some(name), None) => session(check, name, table, written.span()).map(CustomerSource::Session),
        (None, None, Some(token)) => tokens::check(check, token).map(CustomerSource::Token),
        _ => {
            check.wrong(written.span(), "each place where a customer's identity stands has one name", PLACES);
            None
        }
    }
}

fn session(
    check: &mut Check<'_>,
    name: &Spanned<String>,
    table: &file::CustomerSource,
    at: Span,
) -> Option<SessionSettings> {
    let cookie = cookie_name(check, name);
    let most = check.count("most", &table.most, MOST_SESSIONS, SESSIONS);
    let idle = check.duration("idle", &table.idle, IDLE);
    if idle < Duration::from_secs(1) {
        let at = table.idle.as_ref().map_or(0..0, Spanned::span);
        check.wrong(at, "idle: a session cannot be told from a new one so soon", "write at least \"1s\"");
    }
    let Some(bound_by) = &table.bound_by else {
        let name = name.get_ref();
        let what = "a cookie by itself is whatever the client says: a thousand new ones would be a thousand customers";
        let help = format!(
            "say what of a login's answer makes it count. When your login sets it:\n\
             {{ cookie = \"{name}\", bound_by = \"set-cookie\" }}\nWhen your login names the account in a header:\n\
             {{ cookie = \"{name}\", bound_by = {{ header = \"x-customer\" }} }}"
        );
        check.wrong(at, what, help);
        return None;
    };
    let bound_by = self::bound_by(check, bound_by);
    Some(SessionSettings { cookie: cookie?, bound_by: bound_by?, most, idle })
}

fn bound_by(check: &mut Check<'_>, written: &Spanned<TextOr<file::BoundBy>>) -> Option<BoundBy> {
    match written.get_ref() {
        TextOr::Text(word) if word == "set-cookie" => Some(BoundBy::SetCookie),
        TextOr::Text(word) => {
            check.wrong(written.span(), format!("{} binds no session", shown(word)), BINDINGS);
            None
        }
        TextOr::Table(file::BoundBy { header: Some(name), pass }) => {
            let pass = pass.as_ref().is_some_and(|pass| *pass.get_ref());
            header_name(check, name).map(|name| BoundBy::Header { name, pass })
        }
        TextOr::Table(_) => {
            check.wrong(written.span(), "this does not say which header", BINDINGS);
            None
        }
    }
}

pub(super) fn cookie_name(check: &mut Check<'_>, written: &Spanned<String>) -> Option<String> {
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

const PLACES: &str = "write { header = \"x-customer\" }, { jwt = ... }, \
                      { cookie = \"session\", bound_by = \"set-cookie\" } or \"address\"";
const BINDINGS: &str = "write bound_by = \"set-cookie\", or bound_by = { header = \"x-customer\" }";
/// An address of IPv4 is all that many a household has.
const WHOLE_ADDRESS: u8 = 32;
/// One household or phone has a /64 of IPv6 to itself.
const HOUSEHOLD: u8 = 64;
const SESSIONS: NonZeroU32 = NonZeroU32::new(200_000).unwrap();
const MOST_SESSIONS: u32 = 10_000_000;
const IDLE: Duration = Duration::from_secs(30 * 60);
const AT_ONCE: NonZeroU32 = NonZeroU32::new(8).unwrap();
const AT_ONCE_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(256).unwrap();
const MOST_AT_ONCE: u32 = 65_535;
/// Every bet is looked through for each of them.
const MOST_SOURCES: usize = 8;
/// A coupon of a few rows; a file of bets says its event in a header.
const JSON: usize = 16 << 10;
const MOST_JSON: u64 = 1 << 20;
