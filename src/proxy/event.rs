//! Which events a bet is for, and what its body says it costs.
//!
//! A bet is for every event that it names, in its path, in a header, in its body; all of them must allow it. So neither a
//! header beside a path nor a second name in a body takes a bet out of a closed race. What cannot be read names nothing,
//! and then the backend judges: nobody is refused for a body that is not understood here.

pub mod pointer;

use std::num::NonZeroU8;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;

use super::Worker;
use super::classify::{Classified, Hashes};
use super::settings::{EventSource, Seats, SeatsFrom, SeatsSource};
use super::upload::RequestBody;
use crate::admission::{Class, EventKey};
use pointer::{Found, Pointer};

/// The events that a bet is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Events {
    /// None that is known here.
    #[default]
    None,
    /// This one, which admission has been told.
    One(EventKey),
    /// These, of which admission has been told one.
    Several(Box<[EventKey]>),
}

/// Why a body told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It does not say that it is JSON, or is compressed.
    OtherType,
    /// It is larger than `json_bytes`, or there was no memory to keep it.
    TooLarge,
    /// It says that it is JSON, and is not.
    NotJson,
    /// There is nothing at the place.
    Missing,
    /// What stands there is no name, or no number.
    Unusable,
    /// It names more events than are looked at.
    TooMany,
}

impl Unread {
    /// Every reason.
    pub const ALL: [Unread; 6] =
        [Unread::OtherType, Unread::TooLarge, Unread::NotJson, Unread::Missing, Unread::Unusable, Unread::TooMany];

    /// The word in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Unread::OtherType => "other_type",
            Unread::TooLarge => "too_large",
            Unread::NotJson => "not_json",
            Unread::Missing => "missing",
            Unread::Unusable => "unusable",
            Unread::TooMany => "too_many",
        }
    }
}

/// What a body was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The events that a bet is for.
    Event,
    /// What a request costs.
    Seats,
}

impl Wanted {
    /// Both.
    pub const ALL: [Wanted; 2] = [Wanted::Event, Wanted::Seats];

    /// The word in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Wanted::Event => "event",
            Wanted::Seats => "seats",
        }
    }
}

/// A bet on more races is looked at no further: no coupon has so many.
const MOST_EVENTS: usize = 32;

impl Events {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Events::None)
    }

    /// The events that must be asked about once more before the bet is sent. Admission was told the only one, so nothing
    /// can have changed unless something was waited for.
    pub(super) fn to_ask_again(&self, waited: bool) -> Option<&[EventKey]> {
        match self {
            Events::One(event) if waited => Some(std::slice::from_ref(event)),
            Events::Several(events) => Some(events),
            Events::One(_) | Events::None => None,
        }
    }
}

/// The events of a request, and in `what` that of them which admission should know, and what the request costs: with
/// what only its body says. For requests whose body has been read as far as it will be before they are let through.
pub(crate) fn told(worker: &Worker, what: &mut Classified, request: &Parts, body: &RequestBody) -> Events {
    let wants_event = what.class == Class::Commit && worker.settings.event.iter().any(EventSource::is_in_body);
    if !wants_event && what.cost_in_body.is_none() && what.also.is_none() {
        return what.event.map_or(Events::None, Events::One);
    }
    let mut events: Vec<EventKey> = what.event.into_iter().chain(what.also).collect();
    if wants_event || what.cost_in_body.is_some() {
        look_into(request, body, worker.settings.json_bytes, |text| {
            cost(worker, what, text);
            if wants_event {
                named_in_body(worker, what, text, &mut events);
            }
        });
    }
    match events.as_slice() {
        [] => Events::None,
        [one] => {
            what.event = Some(*one);
            Events::One(*one)
        }
        several => {
            what.event = worker.gate(what.product).0.first_to_stop(several);
            Events::Several(events.into())
        }
    }
}

/// What the request costs, if its body says so.
fn cost(worker: &Worker, what: &mut Classified, text: Result<&[u8], Unread>) {
    let Some(rules) = what.cost_in_body else { return };
    let Some(from) = worker.settings.products[what.product].classes[rules].seats.pointer() else { return };
    match text.and_then(|text| seats(from, text)) {
        Ok(seats) => what.seats = seats,
        Err(why) => worker.metrics.products[what.product].unread(Wanted::Seats, why),
    }
}

/// Put the events that the body names to the others.
fn named_in_body(worker: &Worker, what: &Classified, text: Result<&[u8], Unread>, events: &mut Vec<EventKey>) {
    let pointers = worker.settings.event.iter().filter_map(EventSource::pointer);
    let Err(why) = text.and_then(|text| named(pointers, &worker.shared.hashes, text, events)) else { return };
    // A bet that has named its event elsewhere need not do so here.
    if events.is_empty() || why == Unread::TooMany {
        worker.metrics.products[what.product].unread(Wanted::Event, why);
    }
}

/// Tell `look` the whole body, if it is JSON that may be read.
fn look_into(request: &Parts, body: &RequestBody, most: usize, mut look: impl FnMut(Result<&[u8], Unread>)) {
    if !is_json(&request.headers) {
        return look(Err(Unread::OtherType));
    }
    let there = body.whole(|text| look(if text.len() > most { Err(Unread::TooLarge) } else { Ok(text) }));
    if there.is_none() {
        look(Err(Unread::TooLarge));
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let ends_in = |suffix: &str| {
        kind.len()
            .checked_sub(suffix.len())
            .and_then(|at| kind.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    (kind.eq_ignore_ascii_case("application/json") || ends_in("+json")) && !headers.contains_key(CONTENT_ENCODING)
}

/// Put what stands at `pointers` to the other `events`, each once.
pub(super) fn named<'p>(
    pointers: impl Iterator<Item = &'p Pointer>,
    hashes: &Hashes,
    body: &[u8],
    events: &mut Vec<EventKey>,
) -> Result<(), Unread> {
    let (mut well_formed, mut there, mut unusable, mut many) = (true, false, false, false);
    for pointer in pointers {
        well_formed &= pointer.find(body, &mut |found| {
            there = true;
            let event = match found {
                Found::Text(text) | Found::TextInList(text) if !text.is_empty() => hashes.event(text.as_bytes()),
                Found::Number(number) | Found::NumberInList(number) => hashes.event(number.to_string().as_bytes()),
                Found::List(1..) => return,
                Found::Text(_) | Found::TextInList(_) | Found::List(0) | Found::Other => {
                    unusable = true;
                    return;
                }
            };
            if !events.contains(&event) {
                if events.len() < MOST_EVENTS { events.push(event) } else { many = true }
            }
        });
    }
    match (well_formed, there, unusable, many) {
        (_, _, _, true) => Err(Unread::TooMany),
        (false, ..) => Err(Unread::NotJson),
        (_, false, ..) => Err(Unread::Missing),
        (_, _, true, _) => Err(Unread::Unusable),
        _ => Ok(()),
    }
}

/// What the body says the request costs; where it says so more than once, the most.
pub(super) fn seats(from: (&SeatsFrom, &Pointer), body: &[u8]) -> Result<NonZeroU8, Unread> {
    let (from, pointer) = from;
    let (mut most, mut there) = (None, false);
    let well_formed = pointer.find(body, &mut |found| {
        there = true;
        let many = match found {
            Found::Number(number) | Found::List(number) => Some(number),
            Found::Text(text) => text.trim().parse().ok(),
            Found::TextInList(_) | Found::NumberInList(_) | Found::Other => None,
        };
        most = most.max(many);
    });
    match most {
        Some(many) => Ok(from.seats(many)),
        None if !well_formed => Err(Unread::NotJson),
        None if there => Err(Unread::Unusable),
        None => Err(Unread::Missing),
    }
}

impl EventSource {
    fn is_in_body(&self) -> bool {
        matches!(self, EventSource::Json(_))
    }

    fn pointer(&self) -> Option<&Pointer> {
        match self {
            EventSource::Json(pointer) => Some(pointer),
            EventSource::Header(_) | EventSource::PathAfter(_) => None,
        }
    }
}

impl Seats {
    /// What a request with this head costs, as far as that is known from it; one seat where only its body says.
    pub(super) fn of_head(&self, request: &Parts) -> NonZeroU8 {
        match self {
            Seats::Always(seats) => *seats,
            Seats::From(from) => match &from.source {
                SeatsSource::Json(_) => NonZeroU8::MIN,
                SeatsSource::Header(name) => {
                    let value = request.headers.get(name).and_then(|value| value.to_str().ok());
                    let many = value.and_then(|value| value.trim().parse().ok());
                    many.map_or(NonZeroU8::MIN, |many| from.seats(many))
                }
            },
        }
    }

    /// Where in a body the cost stands, if it stands in one.
    pub(super) fn pointer(&self) -> Option<(&SeatsFrom, &Pointer)> {
        match self {
            Seats::From(from) => match &from.source {
                SeatsSource::Json(pointer) => Some((from, pointer)),
                SeatsSource::Header(_) => None,
            },
            Seats::Always(_) => None,
        }
    }
}

impl SeatsFrom {
    /// So many systems, or whatever is counted, cost so many seats.
    fn seats(&self, many: u64) -> NonZeroU8 {
        let seats = many.div_ceil(u64::from(self.per.get())).clamp(1, u64::from(self.most.get()));
        u8::try_from(seats).ok().and_then(NonZeroU8::new).unwrap_or(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        lines.iter().map(pair).collect()
    }

    #[test]
    fn only_what_says_that_it_is_json_is_read() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.bet+json"] {
            assert!(is_json(&headers(&[("content-type", kind)])), "{kind}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "json", "", "application/jsonp"] {
            assert!(!is_json(&headers(&[("content-type", kind)])), "{kind}");
        }
        assert!(!is_json(&headers(&[("content-type", "application/json"), ("content-encoding", "gzip")])));
        assert!(!is_json(&headers(&[])));
    }

    fn events(pointers: &[&str], body: &str) -> (usize, Result<(), Unread>) {
        let pointers: Vec<Pointer> = pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
        let mut events = Vec::new();
        let read = named(pointers.iter(), &Hashes::default(), body.as_bytes(), &mut events);
        (events.len(), read)
    }

    #[test]
    fn a_bet_is_for_every_event_that_its_body_names() {
        assert_eq!(events(&["/race"], r#"{"race": "v75-1"}"#), (1, Ok(())));
        assert_eq!(events(&["/race"], r#"{"race": "v75-1", "race": "v75-2"}"#), (2, Ok(())));
        assert_eq!(events(&["/races"], r#"{"races": ["a", "b", "a"]}"#), (2, Ok(())));
        assert_eq!(events(&["/race", "/legs/*/race"], r#"{"race": 7, "legs": [{"race": 8}]}"#), (2, Ok(())));
        let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let many = format!("{{\"races\": [{}]}}", many.join(","));
        assert_eq!(events(&["/races"], &many), (MOST_EVENTS, Err(Unread::TooMany)));
    }

    #[test]
    fn what_names_no_event_says_why() {
        assert_eq!(events(&["/race"], "{}"), (0, Err(Unread::Missing)));
        assert_eq!(events(&["/race"], "race=1"), (0, Err(Unread::NotJson)));
        for nothing in ["\"\"", "[]", "1.5", "null", "{}", "[{}]"] {
            assert_eq!(
                events(&["/race"], &format!("{{\"race\": {nothing}}}")),
                (0, Err(Unread::Unusable)),
                "{nothing}"
            );
        }
        // A reader that is less strict may find it, so it counts.
        assert_eq!(events(&["/race"], r#"{"race": "v75-1",}"#), (1, Err(Unread::NotJson)));
    }

    #[test]
    fn a_number_that_names_an_event_is_its_digits() {
        let hashes = Hashes::default();
        let (pointer, mut events) = (Pointer::parse("/race").unwrap(), Vec::new());
        named([&pointer].into_iter(), &hashes, br#"{"race": 75}"#, &mut events).unwrap();
        assert_eq!(events, [hashes.event(b"75")]);
    }

    #[test]
    fn a_cost_is_a_number_or_the_length_of_a_list_divided_and_bounded() {
        let pointer = Pointer::parse("/systems").unwrap();
        let (per, most) = (NonZeroU32::new(100).unwrap(), NonZeroU8::new(16).unwrap());
        let from = SeatsFrom { source: SeatsSource::Json(pointer.clone()), per, most };
        let cost = |body: &str| seats((&from, &pointer), body.as_bytes()).map(NonZeroU8::get);
        for (systems, seats) in [("0", 1), ("1", 1), ("100", 1), ("101", 2), ("1600", 16), ("18446744073709551615", 16)]
        {
            assert_eq!(cost(&format!("{{\"systems\": {systems}}}")), Ok(seats), "{systems}");
        }
        assert_eq!(cost(r#"{"systems": "250"}"#), Ok(3));
        assert_eq!(cost(&format!("{{\"systems\": [{}1]}}", "1,".repeat(200))), Ok(3));
        assert_eq!(cost(r#"{"systems": 900, "systems": 1}"#), Ok(9), "the dearer one counts");
        assert_eq!(cost(r#"{"systems": -5}"#), Err(Unread::Unusable));
        assert_eq!(cost("{}"), Err(Unread::Missing));
        assert_eq!(cost("systems"), Err(Unread::NotJson));
    }
}
