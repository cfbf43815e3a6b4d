//! Load balancers that say whose a connection is before they pass it on.

use std::time::Duration;

use rustls::ClientConnection;

use super::backend::{Backend, OK};
use super::certificates::Authority;
use super::client::{Client, get};
use super::http2_client as raw;
use super::proxy::{Proxy, Setup};

const FROM_HERE: &str = "proxy_protocol = [\"127.0.0.0/8\"]";
const V1: &str = "PROXY TCP4 203.0.113.9 10.0.0.1 5 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\0\x05\0\x50";
const BROKEN: &str = "sluss_proxy_connections_closed_total{reason=\"proxy_header\"}";

fn start(backend: &Backend, listen: &str) -> Proxy {
    Setup::new().listen(listen).horse(backend, "").start()
}

/// The address that the backend heard of last.
fn heard(backend: &Backend) -> String {
    backend.requests().pop().and_then(|request| request.header("x-forwarded-for").map(str::to_owned)).unwrap()
}

#[test]
fn the_customer_is_whom_the_header_names() {
    let backend = Backend::answering(OK);
    let proxy = start(&backend, FROM_HERE);
    for header in [V1.as_bytes(), V2] {
        let mut client = proxy.client();
        client.say(header);
        for _ in 0..2 {
            assert_eq!(client.get("/horse/odds").status(), 200);
            assert_eq!(heard(&backend), "203.0.113.9");
        }
        // In one piece with the first request, and byte by byte.
        let mut client = proxy.client();
        assert_eq!(client.ask([header, get("/horse/odds").as_bytes()].concat()).status(), 200);
        assert_eq!(heard(&backend), "203.0.113.9");
        let mut client = proxy.client();
        for byte in [header, get("/horse/odds").as_bytes()].concat() {
            client.say([byte]);
        }
        assert_eq!((client.answer().status(), heard(&backend)), (200, "203.0.113.9".to_owned()));
    }
    // The balancer itself asks how we are.
    let mut client = proxy.client();
    client.say("PROXY UNKNOWN\r\n");
    assert_eq!((client.get("/horse/odds").status(), heard(&backend)), (200, "127.0.0.1".to_owned()));
    assert_eq!(proxy.metric(BROKEN), 0.0);
}

#[test]
fn each_customer_behind_a_balancer_is_a_customer() {
    let backend = Backend::answering(OK);
    let listen = format!("{FROM_HERE}\ntrusted = [\"127.0.0.0/8\"]");
    let proxy = start(&backend, &listen);
    let mut client = proxy.client();
    client.say(V1);
    // What counts from trusted networks does not count from the customer, who writes it.
    let request = "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 6.6.6.6\r\n\r\n";
    assert_eq!((client.ask(request).status(), heard(&backend)), (200, "203.0.113.9".to_owned()));
}

#[test]
fn without_a_header_or_with_a_broken_one_a_connection_is_closed_and_counted() {
    let backend = Backend::answering(OK);
    let proxy = start(&backend, FROM_HERE);
    let broken = ["PROXY TCP4 nobody 10.0.0.1 5 80\r\n", "\r\n\r\n\0\r\nQUIT\nxxxxxxxx", "PROXY UNKNOWN "];
    let long = "y".repeat(200);
    let mut count = 0.0;
    for said in broken {
        let mut client = proxy.client();
        client.say([said, &long].concat());
        client.is_closed();
        count += 1.0;
        assert_eq!(proxy.metric(BROKEN), count, "{said}");
    }
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    client.is_closed();
    assert_eq!((proxy.metric(BROKEN), backend.requests().len()), (count + 1.0, 0));
}

#[test]
fn from_networks_that_are_not_named_none_is_taken() {
    let backend = Backend::answering(OK);
    let proxy = start(&backend, "proxy_protocol = [\"10.0.0.0/8\"]");
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    assert_eq!(heard(&backend), "127.0.0.1");
    let mut client = proxy.client();
    assert_eq!(client.ask([V1, &get("/horse/odds")].concat()).status(), 400);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_header_that_does_not_come_or_does_not_end_is_given_up() {
    let backend = Backend::answering(OK);
    let proxy = start(&backend, &format!("{FROM_HERE}\nheader_timeout = \"300ms\""));
    proxy.client().is_closed();
    let mut half = proxy.client();
    half.say("PROXY TCP4 203.0.113.9");
    half.is_closed();
    // One that is whole, and nothing behind it.
    let mut whole = proxy.client();
    whole.say(V2);
    whole.is_closed();
    assert_eq!(proxy.metric("sluss_proxy_connections_closed_total{reason=\"too_slow\"}"), 3.0);
    proxy.until_alone();
}

#[test]
fn tls_and_http_2_follow_the_header() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &format!("{FROM_HERE}\n{}", authority.listen(&["bet.example"])));
    let mut wire = proxy.client().into_wire();
    wire.say(V1.as_bytes()).unwrap();
    let tls = ClientConnection::new(authority.client(&[]).config(), "bet.example".try_into().unwrap()).unwrap();
    wire.secure(tls).unwrap();
    assert_eq!((Client::over(wire).get("/horse/odds").status(), heard(&backend)), (200, "203.0.113.9".to_owned()));

    let proxy = start(&backend, FROM_HERE);
    let mut client = proxy.client();
    client.say(V1);
    std::thread::sleep(Duration::from_millis(20));
    client.say(raw::hello());
    client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 1, &raw::lines("/horse/odds")));
    backend.until_asked(2);
    assert_eq!(heard(&backend), "203.0.113.9");
}
