//! Where clients and operators come in.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use crate::proxy::settings::{ClientTimeouts, Http2Settings, Limits, ListenSettings, UpgradeSettings};

use super::check::{Check, Span, items};
use super::file::{Admin, File, List, Listen, Upgrade};
use super::settings::AdminSettings;
use super::tls;

pub(super) fn check(check: &mut Check<'_>, file: &File) -> (ListenSettings, AdminSettings) {
    let listen = listen(check, &file.listen, &file.upgrade);
    let admin = admin(check, &file.admin);
    if clash(listen.address, admin.address) {
        let written = file.admin.address.as_ref().or(file.listen.address.as_ref());
        let what = format!("clients ({}) and operators ({}) cannot share a port", listen.address, admin.address);
        let free = if listen.address.port() == OPERATORS.port() { 9901 } else { OPERATORS.port() };
        let at = written.map_or(0..0, Spanned::span);
        check.wrong(at, what, format!("give [admin] a port of its own, such as \"127.0.0.1:{free}\""));
    }
    (listen, admin)
}

fn listen(check: &mut Check<'_>, file: &Listen, next: &Upgrade) -> ListenSettings {
    let cores = check.around.cores();
    let upgrade = upgrade(check, next);
    let (drain, spread) = leaving(check, file, upgrade.drain);
    ListenSettings {
        address: check.address("address", &file.address, CLIENTS),
        trusted: networks(check, "trusted", &file.trusted),
        proxy_protocol: networks(check, "proxy_protocol", &file.proxy_protocol),
        workers: check.count("workers", &file.workers, MOST_WORKERS, cores),
        connections: check.count("connections", &file.connections, MOST_CONNECTIONS, CONNECTIONS),
        connections_per_address: check.given_count(
            "connections_per_address",
            &file.connections_per_address,
            MOST_CONNECTIONS,
        ),
        memory: memory(check, file),
        limits: limits(check, file),
        timeouts: timeouts(check, file),
        notice: check.duration("notice", &file.notice, Duration::ZERO),
        spread,
        drain,
        upgrade,
        tls: file.tls.as_ref().and_then(|written| tls::check(check, written)),
        http2: http2(check, file),
    }
}

/// How long those who are connected have: until they are cut, and until they are told. In an upgrade, `next` until they are
/// cut.
fn leaving(check: &mut Check<'_>, file: &Listen, next: Duration) -> (Duration, Duration) {
    let drain = check.duration("drain", &file.drain, Duration::from_secs(30));
    let spread = check.duration("spread", &file.spread, SPREAD.min(drain / 2).min(next / 2));
    for (key, end) in [("drain", drain), ("[upgrade] drain", next)] {
        let Some(written) = file.spread.as_ref().filter(|_| spread >= end) else { continue };
        let what =
            format!("spread: the last would be told to leave after {}, when all are cut already", written.get_ref());
        check.wrong(written.span(), what, format!("make it shorter than `{key}`"));
    }
    (drain, spread)
}

fn http2(check: &mut Check<'_>, file: &Listen) -> Option<Http2Settings> {
    let streams = check.count("http2_streams", &file.http2_streams, MOST_STREAMS, STREAMS);
    let on = file.http2.as_ref().is_none_or(|on| *on.get_ref());
    if let Some(written) = file.http2_streams.as_ref().filter(|_| !on) {
        check.wrong(
            written.span(),
            "`http2_streams` means nothing with http2 = false",
            "take it out, or write http2 = true",
        );
    }
    on.then_some(Http2Settings { streams })
}

fn networks(check: &mut Check<'_>, key: &str, written: &List<String>) -> Vec<IpNet> {
    items(written).iter().filter_map(|text| check.network(key, text)).collect()
}

/// Half of what the machine has: the other half is for the kernel's own buffers, and for whatever else runs here.
fn memory(check: &mut Check<'_>, file: &Listen) -> usize {
    let half = (check.around.memory() / 2).max(LEAST_MEMORY);
    check.size("memory", &file.memory, LEAST_MEMORY..=1 << 40).unwrap_or(half) as usize
}

fn limits(check: &mut Check<'_>, file: &Listen) -> Limits {
    // The parser's buffer is not smaller than this, so neither is the bound.
    let header_bytes = check.size("header_bytes", &file.header_bytes, 8 << 10..=1 << 20).unwrap_or(16 << 10);
    // A target is part of the head, and a piece of a body is part of it.
    let uri_bytes = check.size("uri_bytes", &file.uri_bytes, 64..=header_bytes).unwrap_or(8 << 10);
    let body_bytes = check.size("body_bytes", &file.body_bytes, 1..=1 << 40).unwrap_or(1 << 20);
    let most = body_bytes.min(16 << 20);
    let waiting = check.size("waiting_body_bytes", &file.waiting_body_bytes, 1..=most).unwrap_or(most.min(64 << 10));
    Limits {
        header_bytes: header_bytes as usize,
        headers: check.count("headers", &file.headers, 1000, HEADERS).get() as usize,
        uri_bytes: uri_bytes as usize,
        body_bytes,
        waiting_body_bytes: waiting as usize,
    }
}

fn timeouts(check: &mut Check<'_>, file: &Listen) -> ClientTimeouts {
    let least_rate = check.size("least_rate", &file.least_rate, 1..=1 << 30).unwrap_or(LEAST_RATE);
    let mut duration = |key, written, seconds| check.duration(key, written, Duration::from_secs(seconds));
    ClientTimeouts {
        header: duration("header_timeout", &file.header_timeout, 10),
        idle: duration("idle_timeout", &file.idle_timeout, 60),
        body: duration("body_timeout", &file.body_timeout, 10),
        send: duration("send_timeout", &file.send_timeout, 30),
        least_rate,
    }
}

fn upgrade(check: &mut Check<'_>, file: &Upgrade) -> UpgradeSettings {
    UpgradeSettings {
        ready_within: check.duration("ready_within", &file.ready_within, Duration::from_secs(30)),
        drain: check.duration("drain", &file.drain, Duration::from_secs(600)),
    }
}

fn admin(check: &mut Check<'_>, file: &Admin) -> AdminSettings {
    let address = check.address("address", &file.address, OPERATORS);
    let token = token(check, file);
    match &file.address {
        Some(written) if !address.ip().is_loopback() && file.token.is_none() && file.token_file.is_none() => check
            .wrong(
                written.span(),
                format!("anybody who reaches {address} could park your products: there is no token"),
                "write token = \"...\" or token_file = \"...\", or listen on \"127.0.0.1:9900\"",
            ),
        _ => {}
    }
    AdminSettings { address, token }
}

fn token(check: &mut Check<'_>, file: &Admin) -> Option<String> {
    match (&file.token, &file.token_file) {
        (Some(_), Some(token_file)) => {
            check.wrong(token_file.span(), "`token` and `token_file` are both here", "keep one of them");
            None
        }
        (Some(token), None) => Some(secret(check, token.get_ref().clone(), token.span())),
        (None, Some(named)) => token_in(check, named),
        (None, None) => None,
    }
}

/// The token in a file.
pub(super) fn token_in(check: &mut Check<'_>, named: &Spanned<String>) -> Option<String> {
    let (_, text) = check.text_of(named)?;
    Some(secret(check, text.trim_end_matches(['\n', '\r']).to_owned(), named.span()))
}

fn secret(check: &mut Check<'_>, token: String, at: Span) -> String {
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        check.wrong(
            at,
            "the token has characters that a header cannot carry",
            format!("write letters and digits: {MAKE}"),
        );
    } else if token.len() < SHORTEST_TOKEN {
        let what = format!("the token has {} characters, which can be guessed", token.len());
        check.wrong(at, what, format!("write at least {SHORTEST_TOKEN}: {MAKE}"));
    }
    token
}

/// Whether two listening sockets would get in each other's way. Port 0 is any free one.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |a: SocketAddr, b: SocketAddr| a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}

const CLIENTS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const OPERATORS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
const SPREAD: Duration = Duration::from_secs(5);
const HEADERS: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// A few hundred connections.
const LEAST_MEMORY: u64 = 16 << 20;
/// As browsers expect, and as RFC 9113 recommends at least.
const STREAMS: NonZeroU32 = NonZeroU32::new(100).unwrap();
const MOST_STREAMS: u32 = 1000;
const MOST_WORKERS: u32 = 1024;
const LEAST_RATE: u64 = 512;
const MOST_CONNECTIONS: u32 = 1_000_000;
const SHORTEST_TOKEN: usize = 16;
const MAKE: &str = "`openssl rand -hex 24` makes one";
