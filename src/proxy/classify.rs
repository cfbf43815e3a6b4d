//! Which product, class, customer and event a request belongs to.
//!
//! A linear walk over a few rules is as fast as anything at this size and keeps the order of the file.
//! Paths are compared in the form a backend would serve them: `/horse/%62ets` and `/horse//bets` are
//! `/horse/bets`, so that nobody slips out of a class by spelling.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use http::header::{COOKIE, HOST};
use http::request::Parts;

use super::headers::{self, Peer, Seen};
use super::settings::{CustomerSource, EventSource, ProductSettings, Rule, Settings};
use crate::admission::{Class, Customer, EventKey};

/// What a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classified {
    pub(crate) product: usize,
    pub(crate) class: Class,
    pub(crate) customer: Customer,
    pub(crate) event: Option<EventKey>,
    /// What was seen in its headers.
    pub(crate) seen: Seen,
}

/// Turns names that customers and events go by into numbers nobody can turn back.
#[derive(Clone, Debug, Default)]
pub struct Hashes(RandomState);

impl Hashes {
    /// The number of an event.
    pub fn event(&self, name: &[u8]) -> EventKey {
        EventKey(self.0.hash_one(("event", name)))
    }

    fn account(&self, source: usize, name: &[u8]) -> Customer {
        Customer::Account(self.0.hash_one((source, name)))
    }

    fn address(&self, address: IpAddr) -> Customer {
        // One household or phone has a /64 of IPv6 to itself.
        let bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
        };
        Customer::Address(self.0.hash_one(bits))
    }
}

/// What the request is; `None` when no product serves it.
pub(crate) fn classify(
    settings: &Settings,
    hashes: &Hashes,
    request: &Parts,
    seen: Seen,
    peer: &Peer,
) -> Option<Classified> {
    let path = as_served(request.uri.path());
    let (product, found) =
        settings.products.iter().enumerate().find(|(_, product)| matches_any(&product.rules, request, &path))?;
    let class = class_of(found, request, &path);
    let customer = customer(settings, hashes, request, seen, peer);
    let event = if class == Class::Commit { event(settings, hashes, request, &path) } else { None };
    Some(Classified { product, class, customer, event, seen })
}

fn class_of(product: &ProductSettings, request: &Parts, path: &str) -> Class {
    let matched = product.classes.iter().find(|(_, rules)| matches_any(rules, request, path));
    matched.map_or(product.default_class, |(class, _)| *class)
}

fn matches_any(rules: &[Rule], request: &Parts, path: &str) -> bool {
    rules.iter().any(|rule| matches(rule, request, path))
}

fn matches(rule: &Rule, request: &Parts, path: &str) -> bool {
    rule.path.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
        && rule.method.as_ref().is_none_or(|method| request.method == *method)
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

fn customer(settings: &Settings, hashes: &Hashes, request: &Parts, seen: Seen, peer: &Peer) -> Customer {
    for (index, source) in settings.customer.iter().enumerate() {
        let name = match source {
            CustomerSource::Header(name) if peer.trusted => request.headers.get(name).map(|value| value.as_bytes()),
            CustomerSource::Header(_) => None,
            CustomerSource::Cookie(_) if !seen.cookie => None,
            CustomerSource::Cookie(name) => cookie(request, name),
            CustomerSource::Address => break,
        };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            return hashes.account(index, name);
        }
    }
    if !seen.forwarding {
        return hashes.address(peer.address);
    }
    hashes.address(headers::client_address(peer, &request.headers, &settings.listen.trusted))
}

fn cookie<'a>(request: &'a Parts, name: &str) -> Option<&'a [u8]> {
    let lines = request.headers.get_all(COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn event(settings: &Settings, hashes: &Hashes, request: &Parts, path: &str) -> Option<EventKey> {
    let name = settings.event.iter().find_map(|source| match source {
        EventSource::Header(name) => request.headers.get(name).map(|value| value.as_bytes()),
        EventSource::PathAfter(prefix) => {
            let rest = path.strip_prefix(prefix.as_str())?;
            rest.split('/').next().filter(|segment| !segment.is_empty()).map(str::as_bytes)
        }
    });
    name.map(|name| hashes.event(name))
}

/// The path as a backend would serve it: percent-decoded, without empty and dot segments.
fn as_served(path: &str) -> Cow<'_, str> {
    if is_plain(path) { Cow::Borrowed(path) } else { Cow::Owned(normalised(path)) }
}

/// Whether a path is in its plainest form already: no `%`, `//` or `/.`.
fn is_plain(path: &str) -> bool {
    let mut after_slash = false;
    path.bytes().all(|byte| {
        let plain = byte != b'%' && !(after_slash && matches!(byte, b'/' | b'.'));
        after_slash = byte == b'/';
        plain
    })
}

fn normalised(path: &str) -> String {
    let decoded = decoded(path.as_bytes());
    let decoded = String::from_utf8_lossy(&decoded);
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut served = String::with_capacity(path.len());
    for segment in &segments {
        served.push('/');
        served.push_str(segment);
    }
    if served.is_empty() || decoded.ends_with('/') || decoded.ends_with("/.") || decoded.ends_with("/..") {
        served.push('/');
    }
    served
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
        for spelling in [
            "/horse/bets",
            "/horse//bets",
            "/horse/./bets",
            "/horse/odds/../bets",
            "/horse/%62ets",
            "/%68orse/bets",
            "//horse/bets",
            "/casino/%2e%2e/horse/bets",
        ] {
            assert_eq!(as_served(spelling), "/horse/bets", "{spelling}");
        }
        assert_eq!(as_served("/horse/"), "/horse/");
        assert_eq!(as_served("/../.."), "/");
        assert_eq!(as_served("/a/%zz"), "/a/%zz");
        assert_eq!(as_served("/a%2Fb/"), "/a/b/");
    }

    fn parts(lines: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/horse/bets/v75-1");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a plain request").into_parts().0
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let request = parts(&[("cookie", "xsession=1; session=abc; session2=z")]);
        assert_eq!(cookie(&request, "session"), Some(&b"abc"[..]));
        assert_eq!(cookie(&request, "sess"), None);
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
