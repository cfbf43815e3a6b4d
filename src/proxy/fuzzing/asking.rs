//! Heads of requests: what they are, who asks, what they carry on, and who reads the answer.

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::Full;
use ring::hmac;

use super::super::access_log::Trail;
use super::super::classify::as_served;
use super::super::fault::{BadRequest, Fault};
use super::super::headers::{self, Peer, Seen};
use super::super::settings::ProductSettings;
use super::super::upgrade::Offer;
use super::super::upload::RequestBody;
use super::super::{Worker, identity, receive, trace as tracing_of};
use super::{has_no_hop, head, line, lines, peer, with};
use crate::admission::Customer;
use crate::fuzzing::SECRET;

/// A request's head, from what it must be to what a backend gets. The first byte says who sends it.
pub fn request(data: &[u8]) {
    let Some((who, said)) = data.split_first() else { return };
    let Some((mut parts, said)) = head(said) else { return };
    let peer = peer(*who);
    with(|worker| {
        let id = worker.name(&mut parts.headers, &Trail::none());
        assert!(id.is_some_and(|id| tracing_of::is_id(id.as_bytes())), "an id that is none");
        let limits = &worker.settings.listen.limits;
        let body = Full::new(Bytes::copy_from_slice(said));
        let Ok(seen) = receive::check(&mut parts, &body, limits, &peer) else { return };
        assert!(parts.uri.path().starts_with('/') && parts.uri.scheme().is_none(), "{}", parts.uri);
        assert!(parts.headers.get_all(HOST).iter().count() <= 1, "two hosts");
        assert!(parts.version == Version::HTTP_10 || parts.headers.contains_key(HOST), "no host");
        let reader = worker.answers().reader(&seen.wishes, &parts);
        if let Ok(what) = worker.classify(&parts, seen, reader, &peer) {
            let served = as_served(parts.uri.path()).expect("it was classified by it");
            assert!(!served.contains("//") && !served.split('/').any(|one| one == "." || one == ".."), "{served}");
            assert!(!goes_back_up(parts.uri.path()), "{}", parts.uri);
            let known = matches!(what.customer, Customer::Account(_));
            assert!(!known || peer.trusted || parts.headers.contains_key("authorization"), "a stranger is known");
            let product = &worker.settings.products[what.product];
            if let Some(keyed) = worker.bets().and_then(|bets| bets.keyed(&what, product, &parts)) {
                lookup(product, keyed.name());
            }
        }
        let host = HeaderValue::from_static("bet.example");
        let offer = Offer::of(&parts, &RequestBody::none(), &[HeaderValue::from_static("websocket")]);
        let mut sent = receive::to_backend(parts, seen, RequestBody::none(), &peer, &worker.identities, &host);
        sound(sent.headers(), &peer);
        if let Some(offer) = offer {
            offer.put_on(&mut sent);
            let mut offered = sent.headers()["upgrade"].as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            assert!(offered.all(|one| one.eq_ignore_ascii_case(b"websocket")), "{:?}", sent.headers());
            assert_eq!(sent.headers().get_all("upgrade").iter().count(), 1, "{:?}", sent.headers());
        }
    });
}

/// Whether a path has dot segments for anybody, read in another way than in the proxy.
fn goes_back_up(path: &str) -> bool {
    let spellings = [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/"), ("%3b", ";")];
    let path = spellings.iter().fold(path.to_ascii_lowercase(), |path, (spelt, meant)| path.replace(spelt, meant));
    path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

/// The address where a bet is looked up can be written into a header and a page.
fn lookup(product: &ProductSettings, key: &HeaderValue) {
    let Some(lookup) = &product.lookup else { return };
    let address = lookup.address(Some(key.as_bytes())).unwrap_or_default();
    assert!(address.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte)), "{address}");
}

/// What a backend may believe of it.
fn sound(headers: &HeaderMap, peer: &Peer) {
    has_no_hop(headers);
    assert!(headers.contains_key(HOST), "no host");
    assert!(headers.get("connection").is_none_or(|value| value == "te"), "a connection's word was passed on");
    let whole = headers.get_all("x-forwarded-for").iter().count();
    assert_eq!(whole, 1, "for whom it is forwarded stands there once");
    if !peer.trusted {
        assert_eq!(headers["x-forwarded-for"].as_bytes(), peer.address.to_string().as_bytes());
        assert_eq!(headers.get_all("forwarded").iter().count(), 1, "a stranger's word was passed on");
        let claims = ["x-customer", "x-real-ip", "true-client-ip", "x-forwarded-port"];
        let claim = |name: &HeaderName| claims.contains(&name.as_str().replace('_', "-").as_str());
        assert!(!headers.keys().any(claim), "a stranger's word was passed on");
        // Only trailers that are announced go on.
        let announced = headers.get_all("trailer").iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let mut announced = announced.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        assert!(!announced.any(|name| claim(&name)), "a stranger's word would be passed on behind the body");
    }
}

/// A token in `Authorization`. After `s` a head and claims of JSON, a line each, which are signed as they should be; after
/// anything else a token as it stands, which nobody has signed.
pub fn token(data: &[u8]) {
    let Some((kind, said)) = data.split_first() else { return };
    let signed = *kind == b's';
    let token = if signed { sign(said) } else { said.to_vec() };
    let Some(request) = asking(&Method::GET, &[("authorization", &token)]) else { return };
    let customer = of(&request, &peer(2));
    assert!(signed || !matches!(customer, Customer::Account(_)), "who was never signed for is known");
    // What is remembered of it says the same.
    assert_eq!(customer, of(&request, &peer(2)));
}

fn sign(said: &[u8]) -> Vec<u8> {
    let (head, claims) = line(said);
    let text = [base64(head), base64(claims)].join(&b'.');
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), &text);
    [text, base64(tag.as_ref())].join(&b'.')
}

/// As tokens have it (RFC 4648, section 5), without padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let three = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..=three.len()).map(move |at| DIGITS[(bits >> (18 - 6 * at)) as usize & 63]).collect::<Vec<u8>>()
    };
    bytes.chunks(3).flat_map(three).collect()
}

/// A login and what follows it: the first line is what the client sends as cookies, the second the value that the login's
/// answer gives the session, the rest other cookies that it sets.
pub fn cookie(data: &[u8]) {
    let (sent, rest) = line(data);
    let (value, others) = line(rest);
    let Some(login) = asking(&Method::POST, &[("cookie", sent)]) else { return };
    let value: Vec<u8> =
        value.iter().copied().filter(|byte| byte.is_ascii_graphic() && !b";,".contains(byte)).collect();
    let set = [b"session=".as_slice(), &value].concat();
    let mut headers = HeaderMap::new();
    headers.insert("x-account", HeaderValue::from_static("anna"));
    let lines = others.split(|byte| *byte == b'\n').chain([set.as_slice()]);
    for value in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("set-cookie", value);
    }
    with(|worker| {
        let Some(what) = classified(worker, &login, &peer(2)) else { return };
        identity::hear(worker, &what, StatusCode::OK, &mut headers);
        assert!(!headers.contains_key("x-account"), "a client sees what it must not");
    });
    let anna = asking(&Method::GET, &[("x-customer", b"anna")]).map(|request| of(&request, &peer(0)));
    let back = asking(&Method::GET, &[("cookie", &set)]).map(|request| of(&request, &peer(2)));
    assert!(value.is_empty() || back == anna, "who has logged in is not known: {:?}", String::from_utf8_lossy(&set));
}

/// Lines of `X-Forwarded-For`, the first of them a host.
pub fn forwarded(data: &[u8]) {
    let (host, said) = line(data);
    let mut headers = HeaderMap::new();
    let all = said.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    for value in all {
        headers.append("x-forwarded-for", value);
    }
    let Ok(host) = HeaderValue::from_bytes(host) else { return };
    headers.insert(HOST, host);
    with(|worker| {
        for who in 0..4 {
            let (peer, mut headers) = (peer(who), headers.clone());
            let client = headers::client_address(&peer, &headers, &worker.settings.listen.trusted);
            assert!(peer.trusted || client == peer.address, "a stranger says who it is");
            let seen = Seen::look(&headers);
            headers::to_backend(&mut headers, seen, Version::HTTP_11, &peer, &worker.identities);
            sound(&headers, &peer);
            let last = headers["x-forwarded-for"].as_bytes().rsplit(|byte| *byte == b',').next();
            assert_eq!(last.map(<[u8]>::trim_ascii), Some(peer.address.to_string().as_bytes()));
            let element = headers.get_all("forwarded").iter().next_back().expect("ours");
            assert_eq!(element.as_bytes().iter().filter(|byte| **byte == b'"').count() % 2, 0, "{element:?}");
        }
    });
}

/// Names of a request: the first line is an id, the others lines of `traceparent`.
pub fn trace(data: &[u8]) {
    let (id, said) = line(data);
    let mut headers = HeaderMap::new();
    for value in said.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("traceparent", value);
    }
    if let Ok(id) = HeaderValue::from_bytes(id) {
        headers.append("x-request-id", id);
    }
    let given = headers.clone();
    with(|worker| worker.name(&mut headers, &Trail::none()));
    assert!(tracing_of::is_id(headers["x-request-id"].as_bytes()), "{headers:?}");
    assert_eq!(headers.get_all("traceparent").iter().count(), 1, "{headers:?}");
    assert!(tracing_of::trace_id(headers["traceparent"].as_bytes()).is_some(), "{headers:?}");
    let mut given = given.get_all("traceparent").iter();
    if let (Some(only), None) = (given.next(), given.next()) {
        assert_eq!(is_parent(only.as_bytes()), *only == headers["traceparent"], "{only:?}");
    }
}

/// Whether it is a `traceparent`, read in another way than in the proxy: by its dashes.
fn is_parent(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.split(|byte| *byte == b'-').collect();
    let [version, trace, from, flags, rest @ ..] = &parts[..] else { return false };
    let hex = |text: &[u8], length| text.len() == length && text.iter().all(|byte| b"0123456789abcdef".contains(byte));
    let name = |text: &[u8], length| hex(text, length) && text.iter().any(|byte| *byte != b'0');
    let version_is_whole = match *version {
        b"00" => rest.is_empty(),
        version => hex(version, 2) && version != b"ff",
    };
    version_is_whole && name(trace, 32) && name(from, 16) && hex(flags, 2)
}

/// Headers that say who reads an answer: a method, and then as they are written in HTTP/1.
pub fn reader(data: &[u8]) {
    let (method, said) = line(data);
    let (Ok(method), (headers, _)) = (Method::from_bytes(method), lines(said)) else { return };
    let Some(mut request) = asking(&method, &[]) else { return };
    request.headers.extend(headers);
    let seen = Seen::look(&request.headers);
    with(|worker| {
        let reader = worker.answers().reader(&seen.wishes, &request);
        worker.preflight(&request, &seen, reader);
        for fault in [Fault::NoProduct, Fault::Unreachable, Fault::BadRequest(BadRequest::Target)] {
            let answer = worker.fault(fault, None, reader);
            let calls = answer.headers().contains_key("grpc-status");
            assert_eq!(answer.status() == StatusCode::OK, calls, "{:?}", answer.headers());
            assert!(calls || answer.status() == fault.status());
            let open = answer.headers().get("access-control-allow-origin");
            assert!(open.is_none() || open == request.headers.get("origin"), "open to {open:?}");
            assert!(open.is_none_or(|origin| origin == "https://www.bet.example"), "open to {open:?}");
        }
    });
}

/// A request for the login with these headers; nothing where one cannot be written.
fn asking(method: &Method, headers: &[(&'static str, &[u8])]) -> Option<Parts> {
    let request = Request::builder().method(method).uri("/horse/login").header(HOST, "bet.example");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Some(request.body(()).ok()?.into_parts().0)
}

fn classified(worker: &Worker, request: &Parts, peer: &Peer) -> Option<super::super::classify::Classified> {
    let seen = Seen::look(&request.headers);
    let reader = worker.answers().reader(&seen.wishes, request);
    worker.classify(request, seen, reader, peer).ok()
}

fn of(request: &Parts, peer: &Peer) -> Customer {
    with(|worker| classified(worker, request, peer).expect("a product has it").customer)
}
