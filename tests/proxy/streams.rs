//! Answers without an end in sight: they give their seats back and go on, and no other timeout cuts them.

use std::time::{Duration, Instant};

use super::backend::{Backend, Door, OK};
use super::client::{Client, get, post};
use super::http2_client::Http2;
use super::proxy::Setup;
use super::until;
use super::upgrades::{self, switch};

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    transfer-encoding: chunked\r\n\r\n";
const SEATLESS: &str = "sluss_upstream_streams_without_seat{pool=\"horse-racing\"}";
const KEPT: &str = "sluss_upstream_stream_seats_kept_total{pool=\"horse-racing\"}";

/// Gives an event each time the door lets one through, and everything else an answer.
fn events(door: &Door) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            if !request.start().contains("/live") {
                connection.say(OK)?;
                continue;
            }
            connection.say(EVENTS)?;
            loop {
                door.pass();
                connection.say("9\r\ndata: 1\n\n\r\n")?;
            }
        }
        Ok(())
    })
}

fn listen(client: &mut Client, request: String) {
    client.say(request);
    assert_eq!(client.wire().head().unwrap().unwrap().status(), 200);
}

fn hears_one(client: &mut Client, door: &Door) {
    door.let_one();
    assert_eq!(client.wire().chunk().unwrap(), b"data: 1\n\n");
}

#[test]
fn events_come_at_once_for_as_long_as_they_please() {
    let door = Door::default();
    let backend = events(&door);
    let keys = "idle_timeout = \"200ms\"\ntotal_timeout = \"600ms\"\nlatency_objective = \"50ms\"";
    let proxy = Setup::new().horse(&backend, keys).start();
    let mut client = proxy.client();
    listen(&mut client, get("/horse/live"));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(300));
        hears_one(&mut client, &door);
    }
}

#[test]
fn an_ordinary_answer_keeps_its_timeouts_and_its_seat() {
    let door = Door::default();
    let through = door.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        connection.say(EVENTS.replace("text/event-stream", "text/plain"))?;
        connection.say("2\r\nok\r\n")?;
        through.pass();
        connection.say("0\r\n\r\n")
    });
    let keys = "limit = 1\nstreams = { seat = \"50ms\" }\ntotal_timeout = \"1s\"";
    let proxy = Setup::new().horse(&backend, keys).start();
    let mut client = proxy.client();
    listen(&mut client, get("/horse/odds"));
    std::thread::sleep(Duration::from_millis(300));
    proxy.until_in_flight(1);
    client.wire().chunk().unwrap();
    assert!(client.wire().chunk().is_err(), "it is cut after its total timeout");
    door.open();
}

#[test]
fn a_stream_gives_its_seat_back_and_goes_on() {
    let door = Door::default();
    let backend = events(&door);
    let proxy = Setup::new().horse(&backend, "limit = 1\nstreams = { seat = \"300ms\" }").start();
    let mut streams: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut streams {
        // Each waits until the one before has given its seat back.
        listen(client, get("/horse/live"));
    }
    proxy.until_in_flight(0);
    assert_eq!(proxy.metric(SEATLESS), 3.0);
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    for client in &mut streams {
        hears_one(client, &door);
    }
    drop(streams);
    until("nobody listens", || {
        door.let_one();
        proxy.metric(SEATLESS) == 0.0
    });
    proxy.until_in_flight(0);
}

#[test]
fn no_more_go_on_without_a_seat_than_may() {
    let door = Door::default();
    let backend = events(&door);
    let keys = "limit = 2\nstreams = { seat = \"100ms\", most = 1 }\nqueue = { longest_wait = \"100ms\" }";
    let proxy = Setup::new().horse(&backend, keys).start();
    let mut streams: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut streams {
        listen(client, get("/horse/live"));
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!((proxy.metric(SEATLESS), proxy.status().products[0].in_flight), (1.0, 2));
    assert!(proxy.metric(KEPT) > 0.0);
    assert_eq!(proxy.client().get("/horse/odds").status(), 503);
    // A place that comes free is taken by another.
    streams.remove(0);
    until("the first has gone", || {
        door.let_one();
        proxy.status().products[0].in_flight == 1
    });
    assert_eq!(proxy.metric(SEATLESS), 1.0);
}

#[test]
fn a_tunnel_gives_its_seat_back_too() {
    let backend = upgrades::then(|connection| {
        let heard = connection.wire().exactly(4)?;
        connection.say(heard)
    });
    let proxy = Setup::new().horse(&backend, "limit = 1\nstreams = { seat = \"200ms\" }").start();
    let mut tunnels: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    tunnels.iter_mut().for_each(switch);
    proxy.until_in_flight(0);
    assert_eq!(proxy.metric(SEATLESS), 3.0);
    for client in &mut tunnels {
        client.say("ping");
        assert_eq!(client.rest(), b"ping");
    }
    until("no tunnel is left", || proxy.metric(SEATLESS) == 0.0);
}

#[test]
fn nobody_carries_a_stream_any_further_whose_client_has_gone() {
    let door = Door::default();
    let backend = events(&door);
    let keys = "total_timeout = \"60s\"\nstreams = { seat = \"200ms\" }";
    let proxy = Setup::new().listen("drain = \"30s\"").horse(&backend, keys).start();
    let mut client = proxy.client();
    // What may change something would be carried to its end, which this has not.
    listen(&mut client, post("/horse/live", "a question"));
    until("it has given its seat back", || proxy.metric(SEATLESS) == 1.0);
    drop(client);
    until("nobody listens", || {
        door.let_one();
        proxy.metric(SEATLESS) == 0.0
    });
    let begun = Instant::now();
    proxy.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_stream_that_is_silent_for_too_long_or_lasts_too_long_is_cut() {
    for keys in ["idle_timeout = \"500ms\"", "seat = \"100ms\", longest = \"500ms\""] {
        let door = Door::default();
        let backend = events(&door);
        let proxy = Setup::new().horse(&backend, &format!("streams = {{ {keys} }}")).start();
        let mut client = proxy.client();
        listen(&mut client, get("/horse/live"));
        hears_one(&mut client, &door);
        assert!(client.wire().chunk().is_err());
    }
}

/// A message of gRPC.
const HI: &str = "\0\0\0\0\u{2}hi";

#[test]
fn a_call_goes_both_ways_for_as_long_as_both_please() {
    let backend = Backend::new(|connection| {
        connection.head()?;
        connection.say(EVENTS.replace("text/event-stream", "application/grpc"))?;
        loop {
            let heard = connection.wire().chunk()?;
            if heard.is_empty() {
                return connection.say("0\r\ngrpc-status: 0\r\n\r\n");
            }
            connection.say(format!("{:x}\r\n{}\r\n", heard.len(), String::from_utf8_lossy(&heard)))?;
        }
    });
    let keys = "limit = 1\nidle_timeout = \"200ms\"\nstreams = { types = [\"application/grpc\"], seat = \"100ms\" }";
    let proxy = Setup::new().listen("body_timeout = \"300ms\"").horse(&backend, keys).start();
    let mut client = Http2::to(proxy.address());
    let request = http::Request::post("http://bet.example/horse/live")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let mut call = client.send(request.body(()).unwrap(), true);
    // Its client hears something before it says more, in its own time.
    call.say(HI, false);
    let mut call = call.talk();
    for _ in 0..3 {
        assert_eq!(call.hear(), HI);
        std::thread::sleep(Duration::from_millis(700));
        call.say(HI, false);
    }
    proxy.until_in_flight(0);
    assert_eq!(call.hear(), HI);
    call.say("", true);
    assert_eq!(call.end(), ["grpc-status: 0"]);
    until("it has ended", || proxy.metric(SEATLESS) == 0.0);
}

#[test]
fn a_call_begins_with_its_first_message_and_a_bet_is_waited_for_whole() {
    let backend = Backend::new(|connection| {
        connection.head()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n")
    });
    let proxy = Setup::new().listen("body_timeout = \"300ms\"").horse(&backend, "").start();
    // Refusals and faults are told with 200 too.
    let is_asked = |path: &str, pieces: &[&str]| {
        let request = http::Request::post(format!("http://bet.example/horse/{path}"));
        let request = request.header("content-type", "application/grpc").body(()).unwrap();
        let mut call = Http2::to(proxy.address()).send(request, true);
        pieces.iter().for_each(|piece| call.say(piece, false));
        let before = backend.requests().len();
        assert_eq!(call.answer().status(), 200);
        backend.requests().len() > before
    };
    assert!(is_asked("live", &["\0\0\0", "\0\u{2}h", "i"]));
    assert!(!is_asked("live", &["\0\0\0\0\u{2}h"]), "half a message");
    assert!(!is_asked("bets", &[HI]), "it has not ended");
}

#[test]
fn a_listener_who_hangs_up_gives_the_seat_back_long_before_its_time() {
    let door = Door::default();
    let keys = "limit = 1\nstreams = { seat = \"60s\" }\nqueue = { longest_wait = \"30s\" }";
    let backend = events(&door);
    let proxy = Setup::new().horse(&backend, keys).start();
    let mut listener = proxy.client();
    listen(&mut listener, get("/horse/live"));
    let mut next = proxy.client();
    next.say(get("/horse/odds"));
    proxy.until_waiting(1);
    drop(listener);
    assert_eq!(next.answer().status(), 200, "the seat has come back");
    proxy.until_in_flight(0);
}

#[test]
fn a_tunnel_whose_either_end_hangs_up_gives_the_seat_back_long_before_its_time() {
    let backend = Backend::new(|connection| {
        while let Some(request) = connection.head()? {
            if request.header("upgrade").is_none() {
                connection.say(OK)?;
                continue;
            }
            connection.say(upgrades::SWITCHES)?;
            if connection.wire().exactly(1)? == b"x" {
                return Ok(());
            }
        }
        Ok(())
    });
    let keys = "limit = 1\nstreams = { seat = \"60s\" }\nqueue = { longest_wait = \"30s\" }";
    let proxy = Setup::new().horse(&backend, keys).start();
    for client_hangs_up in [true, false] {
        let mut tunnel = proxy.client();
        switch(&mut tunnel);
        let mut next = proxy.client();
        next.say(get("/horse/odds"));
        proxy.until_waiting(1);
        if client_hangs_up {
            drop(tunnel);
        } else {
            tunnel.say("x");
        }
        assert_eq!(next.answer().status(), 200, "the seat has come back");
        proxy.until_in_flight(0);
    }
}

#[test]
fn of_tunnels_too_no_more_go_on_without_a_seat_than_may_and_a_reload_loses_none() {
    let backend = upgrades::then(|connection| connection.wire().exactly(1).map(drop));
    let keys = "limit = 2\nstreams = { seat = \"100ms\", most = 1 }\nqueue = { longest_wait = \"100ms\" }";
    let proxy = Setup::new().horse(&backend, keys).start();
    let mut open: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    open.iter_mut().for_each(switch);
    until("one has asked in vain", || proxy.metric(KEPT) > 0.0);
    assert_eq!((proxy.metric(SEATLESS), proxy.status().products[0].in_flight), (1.0, 1));
    proxy.goes_on_by(Setup::new().horse(&backend, &format!("{keys}\nretry_budget = 7")));
    assert_eq!((proxy.metric(SEATLESS), proxy.status().products[0].in_flight), (1.0, 1));
    drop(open);
    until("no tunnel is left", || proxy.metric(SEATLESS) == 0.0);
    proxy.until_in_flight(0);
}
