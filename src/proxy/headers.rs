//! What a request and an answer carry from one side to the other, and what they do not.
//!
//! Hop-by-hop headers end here (RFC 9110, section 7.6.1). Forwarding and identity headers count only from
//! trusted networks; from anybody else they are taken off, so that no backend believes a stranger.

use std::fmt::Write;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderValue, Version};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Headers by which a proxy tells who the client was; a stranger's are taken off.
const FORWARDING: [HeaderName; 4] = [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
const VIA_11: HeaderValue = HeaderValue::from_static("1.1 sluss");
const VIA_10: HeaderValue = HeaderValue::from_static("1.0 sluss");
const HTTP: HeaderValue = HeaderValue::from_static("http");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// A client connection's part in the forwarding headers, written once.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// Whether its identity and forwarding headers count.
    pub(crate) trusted: bool,
    forwarded_for: HeaderValue,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: bool) -> Peer {
        let forwarded_for = HeaderValue::from_str(&address.to_string()).expect("an address is plain ASCII");
        Peer { address, trusted, forwarded_for }
    }
}

/// Make a client's headers into those the backend gets. `identities` are the configured identity headers.
pub(crate) fn to_backend(headers: &mut HeaderMap, version: Version, peer: &Peer, identities: &[HeaderName]) {
    let wants_trailers = headers.get(TE).is_some_and(|te| says_trailers(te.as_bytes()));
    end_hop(headers);
    if wants_trailers {
        headers.insert(TE, TRAILERS);
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if !peer.trusted {
        for name in FORWARDING.iter().chain(identities) {
            headers.remove(name);
        }
    }
    forward(headers, peer);
    via(headers, version);
}

/// Make a backend's headers into those the client gets.
pub(crate) fn to_client(headers: &mut HeaderMap, version: Version) {
    end_hop(headers);
    via(headers, version);
}

/// Whether an answer carries both lengths. hyper's client reads it as chunked but keeps the wrong
/// `Content-Length` and would use the connection again (hyper#4181).
pub(crate) fn has_two_lengths(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
}

fn end_hop(headers: &mut HeaderMap) {
    // Nearly every request names at most `keep-alive` or `close` here, which are removed anyway.
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|token| !token.eq_ignore_ascii_case("keep-alive") && !token.eq_ignore_ascii_case("close"))
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            // A client must not be able to take off what we or the backend rely on.
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH && !FORWARDING.contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
}

fn forward(headers: &mut HeaderMap, peer: &Peer) {
    let host = headers.get(HOST).cloned();
    match headers.get(&X_FORWARDED_FOR) {
        Some(before) => {
            let joined = [before.as_bytes(), b", ", peer.forwarded_for.as_bytes()].concat();
            if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
                headers.insert(X_FORWARDED_FOR, joined);
            }
        }
        None => {
            headers.insert(X_FORWARDED_FOR, peer.forwarded_for.clone());
        }
    }
    if let Some(element) = forwarded_element(peer.address, host.as_ref()) {
        headers.append(FORWARDED, element);
    }
    // What a trusted proxy in front of us said about scheme and host is closer to the client than we are.
    if !headers.contains_key(&X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HTTP);
    }
    if let Some(host) = host.filter(|_| !headers.contains_key(&X_FORWARDED_HOST)) {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// Our element of `Forwarded` (RFC 7239): an IPv6 address and a host with a port must be quoted.
fn forwarded_element(address: IpAddr, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let mut text = BytesMut::with_capacity(96);
    match address {
        IpAddr::V4(v4) => write!(text, "for={v4};proto=http"),
        IpAddr::V6(v6) => write!(text, "for=\"[{v6}]\";proto=http"),
    }
    .ok()?;
    let quotable = |host: &&HeaderValue| !host.as_bytes().iter().any(|byte| matches!(byte, b'"' | b'\\'));
    if let Some(host) = host.filter(quotable) {
        text.extend_from_slice(b";host=\"");
        text.extend_from_slice(host.as_bytes());
        text.extend_from_slice(b"\"");
    }
    HeaderValue::from_maybe_shared(text.freeze()).ok()
}

fn via(headers: &mut HeaderMap, version: Version) {
    let ours = if version == Version::HTTP_10 { VIA_10 } else { VIA_11 };
    headers.append(VIA, ours);
}

fn says_trailers(te: &[u8]) -> bool {
    te.split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn peer(trusted: bool) -> Peer {
        Peer::new(IpAddr::from([192, 0, 2, 7]), trusted)
    }

    const IDENTITY: [HeaderName; 1] = [HeaderName::from_static("x-customer")];

    #[test]
    fn hop_by_hop_headers_end_here_with_those_that_connection_names() {
        let mut headers = map(&[
            ("host", "bet.example"),
            ("connection", "keep-alive, X-Private, host"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "h2c"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("accept", "*/*"),
        ]);
        to_backend(&mut headers, Version::HTTP_11, &peer(true), &IDENTITY);
        for gone in ["x-private", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers["te"], "trailers");
        assert_eq!(headers["connection"], "te");
        assert_eq!(headers["host"], "bet.example");
        assert_eq!(headers["accept"], "*/*");
        assert_eq!(headers["via"], "1.1 sluss");
    }

    #[test]
    fn strangers_cannot_say_who_they_are_or_whom_they_forward_for() {
        let lines =
            [("host", "h"), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1"), ("x-customer", "anna")];
        let mut headers = map(&lines);
        to_backend(&mut headers, Version::HTTP_11, &peer(false), &IDENTITY);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["forwarded"], "for=192.0.2.7;proto=http;host=\"h\"");
        assert!(!headers.contains_key("x-customer"));
    }

    #[test]
    fn what_a_trusted_proxy_says_is_kept_and_continued() {
        let mut headers = map(&[
            ("host", "h:81"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=203.0.113.9"),
            ("x-customer", "anna"),
        ]);
        to_backend(&mut headers, Version::HTTP_11, &peer(true), &IDENTITY);
        assert_eq!(headers["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-customer"], "anna");
        assert_eq!(headers.get_all("forwarded").iter().count(), 2);
    }

    #[test]
    fn an_ipv6_client_is_quoted_as_the_rfc_wants() {
        let address: IpAddr = "2001:db8::1".parse().expect("an address");
        let element = forwarded_element(address, None).expect("plain ASCII");
        assert_eq!(element, "for=\"[2001:db8::1]\";proto=http");
    }

    #[test]
    fn of_two_lengths_neither_is_passed_on() {
        let mut headers = map(&[("transfer-encoding", "chunked"), ("content-length", "5")]);
        assert!(has_two_lengths(&headers));
        to_client(&mut headers, Version::HTTP_11);
        assert!(!headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
    }
}
