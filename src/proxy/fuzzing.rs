//! What clients and backends send, as targets of a fuzzer: see [`crate::fuzzing`].
//!
//! All of it is read by the code that reads it in a running proxy, with a whole [`Worker`] around it: every class and
//! source is configured, nothing is refused, no backend is there, and no socket is opened.

mod answers;
mod asking;
mod conversing;
mod frames;
mod pieces;

use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};

use super::admit::Gate;
use super::clock::Clock;
use super::headers::{Peer, Seen};
use super::keys::Keys;
use super::settings::{DomainSettings, Settings};
use super::shared::Shared;
use super::{Worker, headers};
use crate::admission::Domain;
use crate::config;
use crate::fuzzing::Still;
use crate::telemetry::export::Registry;

pub use answers::answer;
pub use asking::{cookie, forwarded, reader, request, token, trace};
pub use conversing::conversation;
pub use frames::frames;
pub use pieces::{body, log_line, pointer, proxy_header};

/// A proxy with something of everything that reads what strangers send.
pub(crate) const OPEN: &str = r#"
journal = "off"

[listen]
address = "127.0.0.1:0"
trusted = ["10.0.0.0/8", "fd00::/8"]
header_bytes = "8KiB"
headers = 32
uri_bytes = "1KiB"
body_bytes = "4KiB"
waiting_body_bytes = "1KiB"
http2_streams = 4

[trace]
request_id = "x-request-id"

[customer]
from = [
    { header = "x-customer" },
    { jwt = { header = "authorization", keys = [
        { file = "a.token", algorithm = "HS256" },
        { file = "a.pub", algorithm = "EdDSA", id = "a" },
    ] } },
    { cookie = "session", bound_by = { header = "x-account" } },
    "address",
]

[[machine]]
name = "feed"
at_once = 50
from = ["10.0.0.0/16"]
header = { name = "x-partner", value = "feed" }

[[machine]]
name = "payments"
at_once = 50
token_header = "x-token"
token_file = "b.token"

[event]
from = [{ header = "x-event" }, { path = "/horse/{event}/bets" }, { json = "/legs/*/race" }, { json = "/race" }]

[once]
header = ["idempotency-key"]

[cors]
origins = ["https://www.bet.example"]
credentials = true

[[budget]]
name = "wallet"
classes = ["commit"]
limit = { initial = 10, least = 5, most = 50 }
hint = "x-wallet-seats"

[[product]]
name = "horse"
match = [{ path = "/horse/", host = "bet.example" }, { path = "/horse/" }, { header = "x-horse" }]
backends = ["http://192.0.2.1:80"]
lookup = "/horse/bets/by-key/{key}"

  [[product.class]]
  class = "protected"
  match = [{ path = "/horse/logout" }]

  [[product.class]]
  class = "start"
  match = [{ method = "POST", path = "/horse/login" }]

  [[product.class]]
  class = "commit"
  seats = { json = "/systems", per = 100, most = 8 }
  match = [{ method = "POST", path = "/horse/files" }]

  [[product.class]]
  class = "commit"
  seats = { header = "x-systems", per = 50 }
  match = [{ method = "POST", path = "/horse/" }]

  [[product.class]]
  class = "read"
  cache = { fresh = "2s", stale = "1m", headers = ["x-app"] }
  match = [{ path = "/horse/odds" }]

[[product]]
name = "sport"
match = [{ method = "GET", path = "/sport/" }]
backends = ["http://192.0.2.2:80"]
"#;

thread_local! {
    static WORKER: Rc<Worker> = worker();
}

/// What the workers of a proxy with these settings share, though nobody serves behind it and so that nobody is refused.
pub(crate) fn made(settings: Settings, registry: &Registry) -> Shared {
    let clock = Clock::start();
    let gate = |domain: &DomainSettings| {
        let domain = Domain::new(domain.admission.clone(), 1, clock.now());
        Gate::new(domain, clock, Box::new(|_, _| {}))
    };
    let gates: Vec<Arc<Gate>> = settings.domains.iter().map(gate).collect();
    let shared = Shared::new(settings, gates, clock, Keys::default(), None, registry);
    for standing in &shared.standings {
        standing.backends().iter().for_each(|backend| standing.remove(backend));
    }
    shared.gates.iter().for_each(|gate| {
        gate.observe_only(true);
    });
    shared
}

fn worker() -> Rc<Worker> {
    let config = config::parse(OPEN, Path::new("sluss.toml"), &Still).expect("it can be read");
    Worker::new(Arc::new(made(config.proxy, &Registry::new())), 0)
}

fn with<T>(act: impl FnOnce(&Rc<Worker>) -> T) -> T {
    WORKER.with(act)
}

/// Who sends it, by its first byte: a proxy that is trusted, one behind TLS, or a stranger.
fn peer(byte: u8) -> Peer {
    match byte % 4 {
        0 => Peer::new(IpAddr::from([10, 0, 0, 1]), true, false),
        1 => Peer::new(IpAddr::from([10, 1, 0, 1]), true, true),
        2 => Peer::new(IpAddr::from([203, 0, 113, 9]), false, true),
        _ => Peer::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]), false, false),
    }
}

/// A request as it is written in HTTP/1, and its body; nothing where the library would not have it.
pub(crate) fn head(data: &[u8]) -> Option<(Parts, &[u8])> {
    let (first, rest) = line(data);
    let mut words = first.split(|byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let version = match words.next()? {
        b"HTTP/1.0" => Version::HTTP_10,
        b"HTTP/2" => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    let (mut parts, ()) = Request::builder().method(method).uri(target).version(version).body(()).ok()?.into_parts();
    let (headers, body) = lines(rest);
    parts.headers = headers;
    Some((parts, body))
}

/// Headers up to an empty line, and what stands behind it.
fn lines(data: &[u8]) -> (HeaderMap, &[u8]) {
    let (mut headers, mut rest) = (HeaderMap::new(), data);
    loop {
        let (one, after) = line(rest);
        rest = after;
        if one.is_empty() {
            return (headers, rest);
        }
        let Some(colon) = one.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&one[..colon]), HeaderValue::from_bytes(one[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
}

/// The first line, and what follows it.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (first, rest) = end.map_or((data, &b""[..]), |end| (&data[..end], &data[end + 1..]));
    (first.strip_suffix(b"\r").unwrap_or(first), rest)
}

/// What must have ended with this hop has.
fn has_no_hop(headers: &HeaderMap) {
    for name in ["keep-alive", "proxy-connection", "upgrade", "proxy-authenticate", "proxy-authorization"] {
        assert!(!headers.contains_key(name), "{name} was passed on");
    }
    assert!(!headers::has_two_lengths(headers, &Seen::in_answer(headers)), "two lengths were passed on");
    assert!(headers.contains_key("via"), "it does not say which way it came");
}
