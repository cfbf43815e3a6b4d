//! A request's names on its way: an id of its own, and the trace that it is a part of.
//!
//! What the client says is passed on when it is well formed and made anew when it is not, so that backends, the access log
//! and our own answers name a request alike. A name is random and nothing else: no clock, no address, no count is in it,
//! and no lock is taken for it. Anybody may choose the names of their own requests; they say nothing about who asks, and nothing
//! is decided by them.

pub(super) mod settings;

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::access_log::Trail;
use crate::admission::random::Random;
use settings::TraceSettings;

/// One worker's way to name requests.
pub(crate) struct Tracer {
    settings: TraceSettings,
    chance: RefCell<Chance>,
}

/// Two small generators side by side: one alone has 64 bits of state, and among a fleet's thousands of millions of names two
/// workers would in time draw from the same stretch.
struct Chance([Random; 2]);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// A longer id is not passed on: it would stand in every log behind us.
const MOST_ID: usize = 128;
/// Length of `00-<trace id>-<parent id>-<flags>`.
const LENGTH: usize = 55;

impl Tracer {
    pub(crate) fn new(settings: &TraceSettings) -> Tracer {
        let seeded = || Random::new(RandomState::new().hash_one("seed"));
        Tracer { settings: settings.clone(), chance: RefCell::new(Chance([seeded(), seeded()])) }
    }

    /// Name the request with these headers, unless it has its names. Its id comes back.
    pub(crate) fn name(&self, headers: &mut HeaderMap, trail: &Trail) -> Option<HeaderValue> {
        if self.settings.traceparent {
            self.trace(headers, trail);
        }
        let header = self.settings.request_id.as_ref()?;
        let id = match only(headers, header).filter(|id| is_id(id.as_bytes())) {
            Some(id) => id.clone(),
            None => {
                let id = self.chance.borrow_mut().id();
                headers.insert(header.clone(), id.clone());
                id
            }
        };
        trail.has_id(id.as_bytes());
        Some(id)
    }

    /// The header that has the id.
    pub(crate) fn header(&self) -> Option<&HeaderName> {
        self.settings.request_id.as_ref()
    }

    fn trace(&self, headers: &mut HeaderMap, trail: &Trail) {
        if let Some(trace) = only(headers, &TRACEPARENT).and_then(|parent| trace_id(parent.as_bytes())) {
            return trail.is_of_trace(trace);
        }
        let parent = self.chance.borrow_mut().parent(self.settings.sampled_one_in.get());
        trail.is_of_trace(&parent[3..35]);
        headers.insert(TRACEPARENT, plain(&parent));
        // It belongs to the trace that could not be read.
        headers.remove(TRACESTATE);
    }
}

impl Chance {
    fn id(&mut self) -> HeaderValue {
        let mut id = [0; 32];
        self.fill(&mut id);
        plain(&id)
    }

    fn parent(&mut self, sampled_one_in: u32) -> [u8; LENGTH] {
        let mut parent = *b"00-00000000000000000000000000000000-0000000000000000-00";
        self.fill(&mut parent[3..35]);
        self.fill(&mut parent[36..52]);
        if self.0[0].below(sampled_one_in.into()) == 0 {
            parent[54] = b'1';
        }
        parent
    }

    /// Hexadecimal digits, sixteen at a time.
    fn fill(&mut self, digits: &mut [u8]) {
        for (at, sixteen) in digits.chunks_mut(16).enumerate() {
            // All zeros would be no name.
            let drawn = self.0[at % 2].next_u64().max(1);
            for (place, digit) in sixteen.iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(drawn >> (60 - 4 * place)) as usize & 15];
            }
        }
    }
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The trace that a `traceparent` names, if it is well formed (W3C Trace Context, section 3.2). Of versions to come the
/// beginning is read as it is in this one, and the rest passed on.
pub(super) fn trace_id(parent: &[u8]) -> Option<&[u8]> {
    let (known, rest) = parent.split_at_checked(LENGTH)?;
    let (version, trace, from, flags) = (&known[..2], &known[3..35], &known[36..52], &known[53..]);
    let hex = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let named = |text: &[u8]| hex(text) && text.iter().any(|byte| *byte != b'0');
    let ends = match version {
        b"00" => rest.is_empty(),
        version => version != b"ff" && hex(version) && (rest.is_empty() || rest[0] == b'-'),
    };
    let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    (ends && dashes && named(trace) && named(from) && hex(flags)).then_some(trace)
}

/// What can stand in a log, a header and a shell as it is.
pub(super) fn is_id(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(byte);
    (1..=MOST_ID).contains(&id.len()) && id.iter().all(plain)
}

fn plain(digits: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(digits).expect("digits are plain ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_has_it() {
        let trace = Some(&b"4bf92f3577b34da6a3ce929d0e0e4736"[..]);
        assert_eq!(trace_id(GOOD.as_bytes()), trace);
        assert_eq!(trace_id(GOOD.replacen("00", "cc", 1).as_bytes()), trace);
        assert_eq!(trace_id(format!("{}-what-is-to-come", GOOD.replacen("00", "01", 1)).as_bytes()), trace);
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{}.more", GOOD.replacen("00", "01", 1)),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("00", "0x", 1),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("-01", "-0g"),
        ] {
            assert_eq!(trace_id(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn an_id_that_could_spoil_a_log_is_none() {
        assert!(is_id(b"6f1c2f3e-9a1b:7/a_b.c+d=@~") && is_id(&[b'a'; 128]));
        for bad in [&b""[..], b"a b", b"a\"b", b"a\\b", b"a;b", b"a\tb", &[b'a'; 129], "å".as_bytes()] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn names_are_new_each_time_and_a_trace_in_so_many_is_sampled() {
        let mut chance = Chance([Random::new(1), Random::new(2)]);
        let parents: HashSet<[u8; LENGTH]> = (0..10_000).map(|_| chance.parent(10)).collect();
        assert_eq!(parents.len(), 10_000);
        assert!(parents.iter().all(|parent| trace_id(parent).is_some()));
        let sampled = parents.iter().filter(|parent| parent.ends_with(b"-01")).count();
        assert!((800..1200).contains(&sampled), "{sampled}");
        let ids: HashSet<HeaderValue> = (0..10_000).map(|_| chance.id()).collect();
        assert!(ids.len() == 10_000 && ids.iter().all(|id| is_id(id.as_bytes())));
    }
}
