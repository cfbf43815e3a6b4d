//! Which product, class, customer and event a request belongs to.
//!
//! A linear walk over a few rules is as fast as anything at this size and keeps the order of the file.
//! Paths are compared in the form a backend would serve them: `/horse/%62ets`, `/horse//bets` and
//! `/horse/;a/bets` are `/horse/bets`, so that nobody slips out of a class by spelling. A path that goes back up,
//! `/horse/logout/../bets`, is read in one way here and in another there; clients resolve such paths before they
//! ask, so whoever sends one means no good, and is refused.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU8;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HOST};
use http::request::Parts;
use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher13;

use super::answer::Reader;
use super::fault::{BadRequest, Fault};
use super::headers::{Peer, Seen};
use super::identity::{Asker, Identity, SessionKey};
use super::settings::{EventSource, ProductSettings, Rule, Settings};
use crate::admission::{Arrival, Class, Customer, EventKey, ONE_SEAT, ProductId};

/// What a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classified {
    pub(crate) product: usize,
    pub(crate) class: Class,
    pub(crate) customer: Customer,
    /// The session it says it is in, for the answer may bind it.
    pub(crate) session: Option<SessionKey>,
    pub(crate) event: Option<EventKey>,
    /// Another event that a header names beside the path.
    pub(crate) also: Option<EventKey>,
    /// How many seats it costs, as far as its head says.
    pub(crate) seats: NonZeroU8,
    /// The class rules of its product by which its body says what it costs.
    pub(crate) cost_in_body: Option<usize>,
    /// The class rule that says that memory may answer it.
    pub(crate) cache: Option<u16>,
    /// What was seen in its headers.
    pub(crate) seen: Seen,
    /// Who reads the answer if it is ours.
    pub(crate) reader: Reader,
}

impl Classified {
    /// It asks to pass; `product` is its product's place in its domain.
    pub(crate) fn arrival(self, product: ProductId) -> Arrival {
        let Classified { class, customer, event, seats, .. } = self;
        Arrival { product, class, customer, event, seats }
    }
}

/// Turns names that customers, bets and events go by into numbers nobody can turn back.
#[derive(Clone)]
pub struct Hashes(SipHasher13);

impl Default for Hashes {
    /// With a key that is drawn now.
    fn default() -> Hashes {
        let mut key = [0; 16];
        SystemRandom::new().fill(&mut key).expect("the system has random numbers");
        Hashes::by(key)
    }
}

impl fmt::Debug for Hashes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hashes")
    }
}

impl Hashes {
    /// With the key of the process before this one: what it knew by a number is known by the same.
    pub(super) fn by(key: [u8; 16]) -> Hashes {
        Hashes(SipHasher13::new_with_key(&key))
    }

    pub(super) fn key(&self) -> [u8; 16] {
        self.0.key()
    }

    /// What another process makes of the same only when it turns names into the same numbers: how a name is put into a
    /// hash is the compiler's to choose, and another version of us may be made by another.
    pub(crate) fn probe(&self) -> u64 {
        self.of(("probe", &b"of all"[..], 1_u64, true, Some(2_u128), vec![&b"kinds"[..]], 'x'))
    }

    /// The number of an event.
    pub fn event(&self, name: &[u8]) -> EventKey {
        EventKey(self.of(("event", name)))
    }

    /// The number of anything; what is put in with it keeps kinds apart.
    pub(super) fn of(&self, what: impl Hash) -> u64 {
        let mut hasher = self.0;
        what.hash(&mut hasher);
        hasher.finish()
    }
}

/// What the request is.
pub(crate) fn classify(
    settings: &Settings,
    hashes: &Hashes,
    identity: &Identity,
    request: &Parts,
    seen: Seen,
    reader: Reader,
    peer: &Peer,
) -> Result<Classified, Fault> {
    let path = as_served(request.uri.path()).ok_or(Fault::BadRequest(BadRequest::Target))?;
    let preflight = seen.wishes.is_preflight(&request.method);
    let asked = if preflight { Cow::Owned(asked_leave_for(request)) } else { Cow::Borrowed(&request.method) };
    let found = settings.products.iter().enumerate();
    let mut found = found.filter(|(_, product)| matches_any(&product.rules, request, &asked, &path));
    let (product, found) = found.next().ok_or(Fault::NoProduct)?;
    let ranked = rank(found, request, &asked, &path);
    let Ranked { class, seats, cost_in_body, cache } = if preflight { ranked.of_preflight() } else { ranked };
    let Asker { customer, session } = identity.of(request, seen, peer);
    let (event, also) = if class == Class::Commit { events(settings, hashes, request, &path) } else { (None, None) };
    Ok(Classified { product, class, customer, session, event, also, seats, cost_in_body, cache, seen, reader })
}

/// The method that a browser asks leave for: its preflight belongs where the request behind it does.
fn asked_leave_for(request: &Parts) -> Method {
    let method = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD).map(|method| Method::from_bytes(method.as_bytes()));
    method.and_then(Result::ok).unwrap_or(Method::OPTIONS)
}

/// What the class rules say.
struct Ranked {
    class: Class,
    seats: NonZeroU8,
    cost_in_body: Option<usize>,
    cache: Option<u16>,
}

impl Ranked {
    /// A preflight is no step of a journey: no bet is in it, and a pass is not earned by asking whether one may ask.
    /// What is served in every state is asked leave for in every state too, or a browser could not send it.
    fn of_preflight(self) -> Ranked {
        let class = if self.class.is_of_a_journey() { Class::Read } else { self.class };
        Ranked { class, seats: ONE_SEAT, cost_in_body: None, cache: None }
    }
}

fn rank(product: &ProductSettings, request: &Parts, method: &Method, path: &str) -> Ranked {
    let matched = product.classes.iter().position(|class| matches_any(&class.rules, request, method, path));
    let Some(place) = matched else {
        return Ranked { class: product.default_class, seats: ONE_SEAT, cost_in_body: None, cache: None };
    };
    let found = &product.classes[place];
    Ranked {
        class: found.class,
        seats: found.seats.of_head(request),
        cost_in_body: found.seats.pointer().map(|_| place),
        cache: found.cache.as_ref().map(|_| place as u16),
    }
}

fn matches_any(rules: &[Rule], request: &Parts, method: &Method, path: &str) -> bool {
    rules.iter().any(|rule| matches(rule, request, method, path))
}

fn matches(rule: &Rule, request: &Parts, method: &Method, path: &str) -> bool {
    rule.path.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
        && rule.method.as_ref().is_none_or(|wanted| method == wanted)
        && rule.host.as_ref().is_none_or(|host| host_is(request, host))
        && rule.header.as_ref().is_none_or(|(name, value)| match (request.headers.get(name), value) {
            (Some(found), Some(value)) => found == value,
            (found, None) => found.is_some(),
            (None, Some(_)) => false,
        })
}

fn host_is(request: &Parts, host: &str) -> bool {
    let found = request.headers.get(HOST).map_or(&b""[..], |value| value.as_bytes());
    let name = match found.iter().rposition(|byte| *byte == b':') {
        // A colon inside brackets belongs to an IPv6 address, not to a port.
        Some(colon) if !found[colon..].contains(&b']') => &found[..colon],
        _ => found,
    };
    name.eq_ignore_ascii_case(host.as_bytes())
}

/// The events that a bet's head names: in its path, and another in a header beside it. Both count: what the backend is
/// asked for is in the path, and a header must not take a bet out of a closed race.
fn events(settings: &Settings, hashes: &Hashes, request: &Parts, path: &str) -> (Option<EventKey>, Option<EventKey>) {
    let in_path = settings.event.iter().find_map(|source| match source {
        EventSource::PathAfter(prefix) => {
            let rest = path.strip_prefix(prefix.as_str())?;
            rest.split('/').next().filter(|segment| !segment.is_empty()).map(str::as_bytes)
        }
        EventSource::Header(_) | EventSource::Json(_) => None,
    });
    let in_header = settings.event.iter().find_map(|source| match source {
        EventSource::Header(name) => request.headers.get(name).map(|value| value.as_bytes()),
        EventSource::PathAfter(_) | EventSource::Json(_) => None,
    });
    let also = in_path.and(in_header).filter(|name| Some(*name) != in_path);
    (in_path.or(in_header).map(|name| hashes.event(name)), also.map(|name| hashes.event(name)))
}

/// Rules as requests are compared with them: a path written with `%62` or `//` means the path that is served.
pub(crate) fn settle_paths(settings: &mut Settings) {
    let rules = |product: &mut ProductSettings| {
        let classes = product.classes.iter_mut().flat_map(|class| &mut class.rules);
        for path in product.rules.iter_mut().chain(classes).filter_map(|rule| rule.path.as_mut()) {
            settle(path);
        }
    };
    settings.products.iter_mut().for_each(rules);
    for source in &mut settings.event {
        if let EventSource::PathAfter(prefix) = source {
            settle(prefix);
        }
    }
}

/// A rule with dot segments matches nothing, for no request has them.
fn settle(path: &mut String) {
    if let Some(Cow::Owned(served)) = as_served(path) {
        *path = served;
    }
}

/// The path as a backend would serve it: percent-decoded, without empty segments and path parameters;
/// `None` when it has dot segments, however they are spelt.
pub(super) fn as_served(path: &str) -> Option<Cow<'_, str>> {
    let bytes = path.as_bytes();
    let plain = !bytes.iter().any(|byte| matches!(byte, b'%' | b';' | b'\\'))
        && !bytes.windows(2).any(|pair| matches!(pair, [b'/', b'/' | b'.']));
    if plain { Some(Cow::Borrowed(path)) } else { normalised(path).map(Cow::Owned) }
}

fn normalised(path: &str) -> Option<String> {
    let decoded = decoded(path.as_bytes());
    let decoded = String::from_utf8_lossy(&decoded);
    let mut served = String::with_capacity(path.len());
    let mut is_folder = true;
    // Some servers take a backslash for a slash.
    for segment in decoded.split(['/', '\\']) {
        let name = segment.split(';').next().unwrap_or_default();
        is_folder = name.is_empty();
        match name {
            "" => {}
            "." | ".." => return None,
            name => {
                served.push('/');
                served.push_str(name);
            }
        }
    }
    if is_folder {
        served.push('/');
    }
    Some(served)
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_cannot_be_escaped_by_spelling() {
        for spelling in ["/horse//bets", "/horse/%62ets", "/%68orse/bets", "//horse/bets", "/horse;a/;/bets;b=1"] {
            assert_eq!(as_served(spelling).as_deref(), Some("/horse/bets"), "{spelling}");
        }
        for (spelling, served) in
            [("/horse/", "/horse/"), ("/a/%zz", "/a/%zz"), ("/a%2Fb/", "/a/b/"), ("/a/.b", "/a/.b")]
        {
            assert_eq!(as_served(spelling).as_deref(), Some(served));
        }
    }

    #[test]
    fn a_path_that_goes_back_up_is_none() {
        for spelling in ["/horse/./bets", "/horse/odds/../bets", "/casino/%2e%2e/horse", "/a/..;b", "/a\\..\\b", "/.."]
        {
            assert_eq!(as_served(spelling), None, "{spelling}");
        }
    }

    fn parts(lines: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/horse/bets/v75-1");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a plain request").into_parts().0
    }

    #[test]
    fn a_host_is_compared_without_port_and_case() {
        for host in ["bet.example", "BET.example:8080"] {
            assert!(host_is(&parts(&[("host", host)]), "bet.example"));
        }
        assert!(host_is(&parts(&[("host", "[::1]:80")]), "[::1]"));
        assert!(host_is(&parts(&[("host", "[::1]")]), "[::1]"));
        assert!(!host_is(&parts(&[("host", "bet.example.evil")]), "bet.example"));
    }
}
