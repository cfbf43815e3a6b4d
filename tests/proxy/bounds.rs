//! More than a client may send is refused by name, at once, and is never the backend's fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::backend::{Backend, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};
use super::until;

/// A proxy with small bounds, and its backend.
fn bounded() -> (Backend, Proxy) {
    let backend = Backend::new(|connection| {
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    });
    let bounds = "header_bytes = \"8KiB\"\nheaders = 20\nuri_bytes = \"100B\"\nbody_bytes = \"1000B\"\nwaiting_body_bytes = \"100B\"";
    let proxy = Setup::new().listen(bounds).horse(&backend, "").start();
    (backend, proxy)
}

/// A head of so many bytes in all.
fn head_of(bytes: usize) -> String {
    let head = "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-long: ";
    format!("{head}{}\r\n\r\n", "a".repeat(bytes - head.len() - 4))
}

#[test]
fn a_head_up_to_the_bound_passes_and_a_longer_one_is_refused() {
    let (backend, proxy) = bounded();
    assert_eq!(proxy.client().ask(head_of(8 * 1024)).status(), 200);
    let mut client = proxy.client();
    assert_eq!(client.ask(head_of(8 * 1024 + 1)).status(), 431);
    client.is_closed();
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn headers_up_to_the_bound_pass_and_more_are_refused() {
    let (backend, proxy) = bounded();
    let headers = |many: usize| format!("GET /horse/odds HTTP/1.1\r\nhost: h\r\n{}\r\n", "a: 1\r\n".repeat(many - 1));
    assert_eq!(proxy.client().ask(headers(20)).status(), 200);
    let mut client = proxy.client();
    assert_eq!(client.ask(headers(21)).status(), 431);
    client.is_closed();
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_head_without_end_is_refused_while_it_is_still_sent() {
    let (backend, proxy) = bounded();
    for piece in ["x: y\r\n", "x", "GET /horse/odds?"] {
        let mut client = proxy.client();
        let mut twin = client.wire().twin();
        let many = piece.repeat(1000).into_bytes();
        let heard = Arc::new(AtomicBool::new(false));
        let enough = heard.clone();
        let sender = std::thread::spawn(move || {
            let mut sent = twin.say(b"GET /horse/odds HTTP/1.1\r\nhost: h\r\n");
            while sent.is_ok() && !enough.load(Ordering::SeqCst) {
                sent = twin.say(&many);
            }
        });
        let status = client.answer().status();
        assert!(matches!(status, 400 | 431), "{status}");
        heard.store(true, Ordering::SeqCst);
        drop(client);
        sender.join().unwrap();
    }
    assert_eq!(backend.requests().len(), 0);
    proxy.until_alone();
}

#[test]
fn a_target_up_to_the_bound_passes_and_a_longer_one_is_refused() {
    let (backend, proxy) = bounded();
    let target = |bytes: usize| get(&format!("/horse/{}", "a".repeat(bytes - 7)));
    assert_eq!(proxy.client().ask(target(100)).status(), 200);
    let mut client = proxy.client();
    let answer = client.ask(target(101));
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (414, Some("uri_too_long")));
    client.is_closed();
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_body_up_to_the_bound_passes_and_a_longer_one_is_refused_whatever_its_framing() {
    let (backend, proxy) = bounded();
    let declared = |bytes: usize| {
        format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: {bytes}\r\n\r\n{}", "b".repeat(bytes))
    };
    let chunked = |bytes: usize| {
        let chunks = "5\r\na bet\r\n".repeat(bytes / 5);
        format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    let mut client = proxy.client();
    assert_eq!(client.ask(declared(1000)).status(), 200);
    assert_eq!(client.ask(chunked(1000)).status(), 200);
    for request in [declared(1001), chunked(1005), declared(5_000_000), chunked(5_000_000)] {
        let mut client = proxy.client();
        // All of it before it listens, as many clients do.
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (413, Some("body_too_large")));
        assert_eq!(answer.header("connection"), Some("close"));
        client.is_closed();
    }
    assert_eq!(backend.requests().len(), 2);
    proxy.until_in_flight(0);
    for fault in ["backend_broken_answer", "backend_unreachable", "client_timeout"] {
        assert_eq!(proxy.metric(&format!("sluss_proxy_faults_total{{fault=\"{fault}\"}}")), 0.0, "{fault}");
    }
    assert_eq!(proxy.metric("sluss_proxy_faults_total{fault=\"body_too_large\"}"), 4.0);
    assert_eq!(proxy.metric("sluss_upstream_broken_total{pool=\"horse-racing\"}"), 0.0);
    assert!(!proxy.status().backends[0].set_aside);
}

#[test]
fn who_comes_when_there_is_no_room_is_told_so_and_when_to_come_back() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("connections = 3").horse(&backend, "").start();
    let mut clients: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    assert!(clients.iter_mut().all(|client| client.get("/horse/odds").status() == 200));
    let mut late = proxy.client();
    let answer = late.answer();
    assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("proxy_overloaded")));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(answer.header("retry-after").is_some_and(|seconds| (1..=5).contains(&seconds.parse().unwrap())));
    late.try_to_say(get("/horse/odds"));
    late.is_closed();
    assert!(clients.iter_mut().all(|client| client.get("/horse/odds").status() == 200));
    clients.pop();
    until("one may come in the place of one who left", || {
        let mut client = proxy.client();
        client.try_to_say(get("/horse/odds"));
        client.wire().answer(false).is_ok_and(|answer| answer.is_some_and(|answer| answer.status() == 200))
    });
    assert!(proxy.metric("sluss_proxy_connections_closed_total{reason=\"too_many\"}") >= 1.0);
}
