//! What only an attacker sends over HTTP/2: the connection is ended with a word, and nothing grows meanwhile.

use std::time::Duration;

use super::backend::{Backend, Door, OK};
use super::http2_client::{self as raw, Http2};
use super::proxy::{Proxy, Setup};

const FLOODS: &str = "sluss_proxy_connections_closed_total{reason=\"flood\"}";
const ENHANCE_YOUR_CALM: u32 = 11;
const WHOLE: u8 = raw::END_HEADERS | raw::END_STREAM;

/// Send pieces until the proxy has had enough, while what it says is read; the code of its farewell.
fn flood(proxy: &Proxy, pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Option<u32> {
    let mut client = proxy.client();
    client.say(raw::hello());
    let mut twin = client.wire().twin();
    let flooding = std::thread::spawn(move || {
        for piece in pieces {
            if twin.say(&piece).is_err() {
                return;
            }
        }
    });
    let said = raw::frames(&mut client);
    flooding.join().unwrap();
    raw::farewell(&said)
}

/// Everybody has left, nothing is held for anybody, and others are served.
fn all_is_well(proxy: &Proxy, backend: &Backend) {
    proxy.until_alone();
    proxy.until_in_flight(0);
    super::until("nothing is held", || proxy.metric("sluss_proxy_memory_bytes") < 200_000.0);
    assert_eq!(Http2::to(proxy.address()).get("/horse/odds").answer().status(), 200);
    assert!(backend.requests().iter().all(|request| request.start().contains("/horse/odds")));
}

#[test]
fn requests_taken_back_as_they_are_made_end_the_connection() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let pieces = (0..50_000).map(|index| {
        let stream = 2 * index + 1;
        let asked = raw::frame(raw::HEADERS, WHOLE, stream, &raw::lines("/horse/odds"));
        [asked, raw::frame(raw::RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    });
    assert!(flood(&proxy, pieces).is_some());
    all_is_well(&proxy, &backend);
}

#[test]
fn requests_taken_back_when_they_wait_end_the_connection() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new()
        .listen("http2_streams = 10")
        .horse(&backend, "limit = 1\nfirst_byte_timeout = \"30s\"\nqueue = { longest_wait = \"30s\" }")
        .start();
    let mut first = proxy.client();
    first.say(super::client::get("/horse/odds"));
    proxy.until_in_flight(1);
    // Each has been seen and has a place before it is taken back.
    let pieces = (0..2000).map(|index| {
        std::thread::sleep(Duration::from_millis(2));
        let stream = 2 * (index / 2) + 1;
        match index % 2 {
            0 => raw::frame(raw::HEADERS, WHOLE, stream, &raw::lines("/horse/odds")),
            _ => raw::frame(raw::RST_STREAM, 0, stream, &8u32.to_be_bytes()),
        }
    });
    assert_eq!(flood(&proxy, pieces), Some(0));
    assert_eq!(proxy.metric(FLOODS), 1.0);
    proxy.until_waiting(0);
    door.open();
    assert_eq!(first.answer().status(), 200);
    drop(first);
    all_is_well(&proxy, &backend);
}

#[test]
fn a_head_that_never_ends_ends_the_connection() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    for size in [0, 1, 1000] {
        let line: Vec<u8> = (0..size / 5).flat_map(|_| *b"\x00\x01x\x01y").collect();
        let begun = raw::frame(raw::HEADERS, raw::END_STREAM, 1, &raw::lines("/horse/odds"));
        let more = std::iter::repeat_with(move || raw::frame(raw::CONTINUATION, 0, 1, &line)).take(1_000_000);
        assert_eq!(flood(&proxy, std::iter::once(begun).chain(more)), Some(ENHANCE_YOUR_CALM), "{size}");
    }
    all_is_well(&proxy, &backend);
}

#[test]
fn pings_and_settings_without_end_end_the_connection() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("http2_streams = 10").horse(&backend, "").start();
    for (round, (piece, answer)) in
        [(raw::frame(raw::PING, 0, 0, &[7; 8]), 17), (raw::frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]), 9)]
            .into_iter()
            .enumerate()
    {
        let mut client = proxy.client();
        client.say(raw::hello());
        let mut said = Vec::new();
        // In step with what is answered: to who does not read fast enough the last word cannot be said.
        for _ in 0..10_000 {
            let Ok(()) = client.wire().say(&piece.repeat(100)) else { break };
            let Ok(answers) = client.wire().exactly(100 * answer) else { break };
            said.extend(answers);
        }
        said.extend(client.wire().all().expect("the connection is closed"));
        assert_eq!(raw::farewell(&raw::frames_of(&said)), Some(0));
        assert_eq!(proxy.metric(FLOODS), (round + 1) as f64);
    }
    all_is_well(&proxy, &backend);
}

#[test]
fn a_flood_whose_answers_nobody_reads_is_not_read_either() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("send_timeout = \"700ms\"").horse(&backend, "").start();
    let mut client = proxy.client();
    client.say(raw::hello());
    let many = raw::frame(raw::PING, 0, 0, &[7; 8]).repeat(1000);
    let mut sent = 0;
    while client.wire().say(&many).is_ok() {
        sent += many.len();
        assert!(sent < 1 << 30, "all of it was read");
    }
    all_is_well(&proxy, &backend);
}

#[test]
fn streams_beyond_the_bound_are_refused_and_those_within_go_on() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().listen("http2_streams = 5").horse(&backend, "").start();
    let mut client = proxy.client();
    client.say(raw::hello());
    for index in 0..8 {
        client.say(raw::frame(raw::HEADERS, WHOLE, 2 * index + 1, &raw::lines("/horse/odds")));
    }
    backend.until_asked(5);
    door.open();
    client.say(raw::frame(raw::GOAWAY, 0, 0, &[0; 8]));
    let said = raw::frames(&mut client);
    let of = |wanted: u8| said.iter().filter(|(kind, ..)| *kind == wanted).map(|frame| frame.2).collect::<Vec<_>>();
    let (mut answered, refused) = (of(raw::HEADERS), of(raw::RST_STREAM));
    answered.sort_unstable();
    assert_eq!((&answered[..], &refused[..]), (&[1, 3, 5, 7, 9][..], &[11, 13, 15][..]));
    all_is_well(&proxy, &backend);
}
