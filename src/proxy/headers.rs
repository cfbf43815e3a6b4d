//! What a request and an answer carry from one side to the other, and what they do not.
//!
//! Hop-by-hop headers end here (RFC 9110, section 7.6.1). Forwarding and identity headers count only from
//! trusted networks; from anybody else they are taken off, so that no backend believes a stranger. `Trailer`
//! passes, for hyper sends only the trailers that it announces, unless a stranger announces one of those.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderValue, Response, StatusCode, Version};
use ipnet::IpNet;

use super::answer::Wishes;
use super::settings::Prefix;
use crate::admission::Customer;

const CLOSE: HeaderValue = HeaderValue::from_static("close");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Headers by which a proxy tells who the client was; a stranger's are taken off.
pub(super) static FORWARDING: [HeaderName; 4] = [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
const VIA_11: HeaderValue = HeaderValue::from_static("1.1 sluss");
const VIA_10: HeaderValue = HeaderValue::from_static("1.0 sluss");
const VIA_20: HeaderValue = HeaderValue::from_static("2.0 sluss");
const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// A client connection's part in the forwarding headers, written once.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// Whether its identity and forwarding headers count.
    pub(crate) trusted: bool,
    /// Whether it came through TLS.
    pub(crate) secure: bool,
    forwarded_for: HeaderValue,
    /// Our element of `Forwarded`, for the host asked for last: a connection seldom asks for another.
    element: RefCell<Option<(Option<HeaderValue>, HeaderValue)>>,
    /// Who its address is, as far as that much of it counts: the same for as long as nobody says otherwise.
    customer: Cell<Option<(Prefix, Customer)>>,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: bool, secure: bool) -> Peer {
        let forwarded_for = HeaderValue::from_str(&address.to_string()).expect("an address is plain ASCII");
        Peer { address, trusted, secure, forwarded_for, element: RefCell::default(), customer: Cell::default() }
    }

    /// Who its address is, looked up `by` somebody once.
    pub(crate) fn customer(&self, prefix: Prefix, by: impl FnOnce(IpAddr) -> Customer) -> Customer {
        if let Some((_, customer)) = self.customer.get().filter(|(known, _)| *known == prefix) {
            return customer;
        }
        let customer = by(self.address);
        self.customer.set(Some((prefix, customer)));
        customer
    }

    fn element(&self, host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut known = self.element.borrow_mut();
        if let Some((_, element)) = known.as_ref().filter(|(for_host, _)| for_host.as_ref() == host) {
            return Some(element.clone());
        }
        let element = forwarded_element(self.address, self.secure, host)?;
        // Copied: a part of what was read would keep all of it.
        let copy = |host: &HeaderValue| HeaderValue::from_bytes(host.as_bytes()).expect("it was one before");
        *known = Some((host.map(copy), element.clone()));
        Some(element)
    }
}

/// Make a client's headers, in which `seen` was found, into those the backend gets. `identities` are the
/// configured identity headers.
pub(crate) fn to_backend(
    headers: &mut HeaderMap,
    mut seen: Seen,
    version: Version,
    peer: &Peer,
    identities: &[HeaderName],
) {
    let wants_trailers = seen.te && headers.get(TE).is_some_and(|te| says_trailers(te.as_bytes()));
    end_hop(headers, &seen);
    if wants_trailers {
        headers.insert(TE, TRAILERS);
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if !peer.trusted {
        if seen.forwarding {
            remove_claims(headers, identities);
            seen.forwarding = false;
        }
        for name in identities {
            headers.remove(name);
        }
        // hyper sends only the trailers that are announced.
        if seen.trailer && announces(headers, identities) {
            headers.remove(TRAILER);
        }
    }
    forward(headers, peer, &seen);
    via(headers, version);
}

/// Who asks, as far as can be believed: the peer itself, or, when the peer is a trusted proxy, the last in
/// `X-Forwarded-For` that is none.
pub(crate) fn client_address(peer: &Peer, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !peer.trusted {
        return peer.address;
    }
    let mut client = peer.address;
    // A line that is no text is as one that is no address: what stands before it is not to be believed either.
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev().map(|line| line.to_str().unwrap_or_default());
    for hop in lines.flat_map(|line| line.rsplit(',')) {
        // What is no address was not written by a proxy; whoever stands behind it is unknown.
        let Some(address) = hop_address(hop.trim()) else { break };
        client = address.to_canonical();
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
    }
    client
}

/// An address, as some proxies write it with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip())).ok()
}

/// Make a backend's headers into those the client gets.
/// In them `seen` was found.
pub(crate) fn to_client(headers: &mut HeaderMap, seen: &Seen, version: Version) {
    end_hop(headers, seen);
    via(headers, version);
}

/// The last answer on its connection, unless that becomes another one.
pub(crate) fn part<B>(answer: &mut Response<B>) {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, CLOSE);
    }
}

/// Whether an answer can be relayed: not one that switches to a protocol nobody asked for, nor one in a
/// transfer coding that we never offered to take and would pass on without its name.
pub(crate) fn is_relayable(status: StatusCode, headers: &HeaderMap, seen: &Seen) -> bool {
    let coded = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let is_chunked = || headers.get_all(TRANSFER_ENCODING).iter().all(coded);
    status != StatusCode::SWITCHING_PROTOCOLS && (!seen.transfer_encoding || is_chunked())
}

/// Whether an answer carries both lengths. hyper's client reads it as chunked but keeps the wrong
/// `Content-Length` and would use the connection again (hyper#4181).
pub(crate) fn has_two_lengths(headers: &HeaderMap, seen: &Seen) -> bool {
    seen.transfer_encoding && headers.contains_key(CONTENT_LENGTH)
}

/// What one walk over the headers found: most messages carry none of it, and a walk costs less than a single
/// look-up by hash for each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    connection: bool,
    /// `Connection` says more than what becomes of the connection.
    names_others: bool,
    transfer_encoding: bool,
    te: bool,
    trailer: bool,
    other_hop: bool,
    /// Somebody says for whom they ask.
    pub(crate) forwarding: bool,
    /// There are cookies.
    pub(crate) cookie: bool,
    /// Another protocol is offered, or taken.
    pub(crate) upgrade: bool,
    /// What is said of whoever reads the answer.
    pub(crate) wishes: Wishes,
}

impl Seen {
    /// Take note of one header of a request.
    pub(crate) fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        match name.as_str() {
            name if self.note_hop(name, value) => {}
            // With an underscore: applications behind CGI or WSGI take `x_customer` for `x-customer`.
            name if is_claim(name) || name.contains('_') => self.forwarding = true,
            "cookie" => self.cookie = true,
            name => self.wishes.note(name, value),
        }
    }

    /// Take note of a header if it ends here.
    fn note_hop(&mut self, name: &str, value: &HeaderValue) -> bool {
        match name {
            "connection" => {
                self.connection = true;
                self.names_others |= !is_fate(value.as_bytes());
            }
            "transfer-encoding" => self.transfer_encoding = true,
            "te" => self.te = true,
            "trailer" => self.trailer = true,
            "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" => self.other_hop = true,
            "upgrade" => (self.other_hop, self.upgrade) = (true, true),
            _ => return false,
        }
        true
    }

    /// What ends here of an answer.
    pub(crate) fn in_answer(headers: &HeaderMap) -> Seen {
        let mut seen = Seen::default();
        for (name, value) in headers {
            seen.note_hop(name.as_str(), value);
        }
        seen
    }

    pub(crate) fn look(headers: &HeaderMap) -> Seen {
        let mut seen = Seen::default();
        for (name, value) in headers {
            seen.note(name, value);
        }
        seen
    }
}

/// What becomes of a connection, which is no header's name.
fn is_fate(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close")
}

/// Whether a header of this name tells who the client is or how it came.
fn is_claim(name: &str) -> bool {
    matches!(name, "forwarded" | "x-real-ip" | "true-client-ip") || name.starts_with("x-forwarded-")
}

/// Whether a stranger claims something about itself by a header of this name, with underscores too.
fn claims(name: &HeaderName, identities: &[HeaderName]) -> bool {
    let dashed = name.as_str().replace('_', "-");
    is_claim(&dashed) || identities.iter().any(|identity| identity.as_str() == dashed)
}

/// Take off all that a stranger claims about itself.
fn remove_claims(headers: &mut HeaderMap, identities: &[HeaderName]) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| claims(name, identities)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn end_hop(headers: &mut HeaderMap, seen: &Seen) {
    if seen.names_others {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|token| !is_fate(token))
            .filter_map(|token| HeaderName::from_bytes(token).ok())
            // A client must not be able to take off what we or the backend rely on.
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH && !FORWARDING.contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    if seen.connection {
        headers.remove(CONNECTION);
    }
    if seen.te {
        headers.remove(TE);
    }
    if seen.other_hop {
        for name in [KEEP_ALIVE, PROXY_CONNECTION, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION] {
            headers.remove(name);
        }
    }
    if seen.transfer_encoding {
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
}

fn forward(headers: &mut HeaderMap, peer: &Peer, seen: &Seen) {
    // Room for ours and `Via` at once, rather than growing on the way.
    headers.reserve(5);
    let host = headers.get(HOST).cloned();
    let mut forwarded_for = peer.forwarded_for.clone();
    let (mut says_proto, mut says_host) = (false, false);
    if seen.forwarding {
        let before = headers.get_all(&X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        let joined = before.chain([forwarded_for.as_bytes()]).collect::<Vec<_>>().join(&b", "[..]);
        if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
            forwarded_for = joined;
        }
        // What a trusted proxy in front of us said about scheme and host is closer to the client than we are.
        says_proto = headers.contains_key(&X_FORWARDED_PROTO);
        says_host = headers.contains_key(&X_FORWARDED_HOST);
    }
    headers.insert(X_FORWARDED_FOR, forwarded_for);
    if let Some(element) = peer.element(host.as_ref()) {
        headers.append(FORWARDED, element);
    }
    if !says_proto {
        headers.insert(X_FORWARDED_PROTO, if peer.secure { HTTPS } else { HTTP });
    }
    if let Some(host) = host.filter(|_| !says_host) {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// Our element of `Forwarded` (RFC 7239): an IPv6 address and a host with a port must be quoted.
fn forwarded_element(address: IpAddr, secure: bool, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let mut text = BytesMut::with_capacity(96);
    let proto = if secure { "https" } else { "http" };
    match address {
        IpAddr::V4(v4) => write!(text, "for={v4};proto={proto}"),
        IpAddr::V6(v6) => write!(text, "for=\"[{v6}]\";proto={proto}"),
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
    let ours = match version {
        Version::HTTP_10 => VIA_10,
        Version::HTTP_2 => VIA_20,
        _ => VIA_11,
    };
    headers.append(VIA, ours);
}

/// Whether a trailer is announced that would say what a stranger's header may not.
fn announces(headers: &HeaderMap, identities: &[HeaderName]) -> bool {
    let lines = headers.get_all(TRAILER).into_iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.any(|name| claims(&name, identities))
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
        Peer::new(IpAddr::from([192, 0, 2, 7]), trusted, false)
    }

    fn send(headers: &mut HeaderMap, peer: &Peer, identities: &[HeaderName]) {
        let seen = Seen::look(headers);
        to_backend(headers, seen, Version::HTTP_11, peer, identities);
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
        send(&mut headers, &peer(true), &IDENTITY);
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
        let mut headers = map(&[
            ("host", "h"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-port", "443"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-customer", "anna"),
            ("x_customer", "anna"),
            ("x_other", "kept"),
        ]);
        send(&mut headers, &peer(false), &IDENTITY);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["forwarded"], "for=192.0.2.7;proto=http;host=\"h\"");
        for gone in ["x-customer", "x_customer", "x-forwarded-port", "x_forwarded_for", "x-real-ip"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers["x_other"], "kept");
    }

    #[test]
    fn strangers_cannot_say_so_behind_their_bodies_either() {
        let announced = |names: &'static str| {
            let mut headers = map(&[("host", "h"), ("trailer", names)]);
            send(&mut headers, &peer(false), &IDENTITY);
            headers.contains_key("trailer")
        };
        assert!(announced("x-checksum, grpc-status"));
        for claim in
            ["X-Customer", "x-checksum, x_customer", "x-real-ip", "x-forwarded-port", "x_forwarded_for", "forwarded"]
        {
            assert!(!announced(claim), "{claim}");
        }
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
        send(&mut headers, &peer(true), &IDENTITY);
        assert_eq!(headers["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-customer"], "anna");
        assert_eq!(headers.get_all("forwarded").iter().count(), 2);
    }

    #[test]
    fn the_client_is_the_last_hop_that_no_trusted_proxy_is() {
        let trusted: [IpNet; 1] = ["10.0.0.0/8".parse().expect("a network")];
        let ask = |peer: &Peer, line: &'static str| client_address(peer, &map(&[("x-forwarded-for", line)]), &trusted);
        let load_balancer = Peer::new(IpAddr::from([10, 0, 0, 1]), true, false);
        assert_eq!(ask(&load_balancer, "6.6.6.6, 203.0.113.9, 10.0.0.2"), IpAddr::from([203, 0, 113, 9]));
        assert_eq!(ask(&load_balancer, "10.1.1.1, 10.0.0.2"), IpAddr::from([10, 1, 1, 1]));
        assert_eq!(ask(&load_balancer, "nonsense"), IpAddr::from([10, 0, 0, 1]));
        // A line of ours behind one of theirs that is no text: theirs does not count for it.
        let mut headers = map(&[("x-forwarded-for", "6.6.6.6")]);
        headers.append("x-forwarded-for", HeaderValue::from_bytes(b"\xe4, 10.0.0.2").expect("a value"));
        assert_eq!(client_address(&load_balancer, &headers, &trusted), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(ask(&peer(false), "203.0.113.9"), IpAddr::from([192, 0, 2, 7]));
    }

    #[test]
    fn an_ipv6_client_is_quoted_as_the_rfc_wants() {
        let address: IpAddr = "2001:db8::1".parse().expect("an address");
        let element = forwarded_element(address, false, None).expect("plain ASCII");
        assert_eq!(element, "for=\"[2001:db8::1]\";proto=http");
    }

    #[test]
    fn of_two_lengths_neither_is_passed_on() {
        let mut headers = map(&[("transfer-encoding", "chunked"), ("content-length", "5")]);
        let seen = Seen::in_answer(&headers);
        assert!(has_two_lengths(&headers, &seen));
        to_client(&mut headers, &seen, Version::HTTP_11);
        assert!(!headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
    }
}
