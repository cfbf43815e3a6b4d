//! A connection that rests gives its memory back, and nobody notices anything else.

use super::backend::{Backend, Door, OK};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::until;

const DORMANT: &str = "sluss_proxy_connections_dormant";

/// Wait until so many connections are dormant.
#[track_caller]
fn until_dormant(proxy: &Proxy, many: f64) {
    until(&format!("{many} dormant"), || proxy.metric(DORMANT) == many);
}

/// One that is dormant after its first answer.
fn dormant(proxy: &Proxy) -> Client {
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    until_dormant(proxy, 1.0);
    client
}

fn settings(listen: &str) -> Setup {
    // The timer looks four times in the shortest of them.
    Setup::new().listen(&format!("header_timeout = \"2s\"\n{listen}"))
}

#[test]
fn a_connection_that_was_dormant_goes_on_as_if_nothing_had_been() {
    let backend = Backend::answering(OK);
    let proxy = settings("").horse(&backend, "").start();
    let mut client = dormant(&proxy);
    for _ in 0..2 {
        assert_eq!(client.post("/horse/bets", "a bet").status(), 200);
        assert_eq!(client.get("/horse/odds").status(), 200);
        until_dormant(&proxy, 1.0);
    }
    // Everything that is sent at once is answered, and in its order.
    client.say([get("/horse/1"), post("/horse/2", "two"), get("/horse/3")].concat());
    for _ in 0..3 {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(backend.requests().len(), 8);
}

#[test]
fn half_a_head_that_came_too_soon_is_not_lost() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("header_timeout = \"20s\"\nidle_timeout = \"2s\"").horse(&backend, "").start();
    let mut client = proxy.client();
    let next = get("/horse/next");
    let (half, rest) = next.split_at(20);
    assert_eq!(client.ask(format!("{}{half}", post("/horse/bets", "a bet"))).status(), 200);
    // Longer than a connection takes to be dormant, and than it may rest: this one does not rest, it asks.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(client.ask(rest).status(), 200);
    assert!(backend.requests()[1].start().starts_with("GET /horse/next "));
}

#[test]
fn a_dormant_connection_may_rest_as_long_as_any_and_no_longer() {
    let backend = Backend::answering(OK);
    let proxy = settings("idle_timeout = \"3s\"").horse(&backend, "").start();
    let mut client = dormant(&proxy);
    client.is_closed();
    proxy.until_alone();
    until_dormant(&proxy, 0.0);
    assert_eq!(proxy.metric("sluss_proxy_connections_closed_total{reason=\"too_slow\"}"), 1.0);
}

#[test]
fn a_head_on_a_connection_that_was_dormant_is_given_as_long_as_any() {
    let backend = Backend::answering(OK);
    let proxy = settings("idle_timeout = \"10m\"").horse(&backend, "").start();
    let mut client = dormant(&proxy);
    client.say("GET /horse/od");
    client.is_closed();
    proxy.until_alone();
}

#[test]
fn a_client_that_leaves_while_dormant_is_seen_to_leave() {
    let backend = Backend::answering(OK);
    let proxy = settings("idle_timeout = \"10m\"").horse(&backend, "").start();
    drop(dormant(&proxy));
    proxy.until_alone();
    until_dormant(&proxy, 0.0);
}

#[test]
fn dormant_connections_are_closed_in_peace_when_the_proxy_goes_down() {
    let backend = Backend::answering(OK);
    let proxy = settings("").horse(&backend, "").start();
    let mut client = dormant(&proxy);
    let began = std::time::Instant::now();
    proxy.stop();
    // Not by the end of the time for draining.
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    client.is_closed();
}

#[test]
fn who_sleeps_makes_room_for_who_comes() {
    let backend = Backend::answering(OK);
    let proxy = settings("connections = 1").horse(&backend, "").start();
    let mut first = dormant(&proxy);
    // The room is made while somebody is at the door, and is there for who comes next.
    until("there is room", || {
        let mut next = proxy.client();
        next.try_to_say(get("/horse/odds"));
        next.wire().answer(false).ok().flatten().is_some_and(|answer| answer.status() == 200)
    });
    first.is_closed();
}

#[test]
fn an_upload_that_goes_on_after_its_answer_is_not_broken_by_rest() {
    let backend = Backend::new(|connection| {
        while connection.head()?.is_some() {
            connection.say(OK)?;
            connection.wire().exactly(6)?;
        }
        Ok(())
    });
    let proxy = settings("waiting_body_bytes = \"1B\"").horse(&backend, "").start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let head = "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabc";
        assert_eq!(client.ask(head).status(), 200);
        std::thread::sleep(std::time::Duration::from_secs(3));
        client.say("def");
    }
}

#[test]
fn a_request_that_waits_for_long_is_not_at_rest() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = settings("").horse(&backend, "").start();
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(proxy.metric(DORMANT), 0.0);
    door.open();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn a_body_that_was_read_late_is_not_taken_for_the_one_behind_it() {
    let backend = Backend::answering(OK);
    let proxy = settings("").horse(&backend, "").start();
    let mut client = proxy.client();
    let head = |length: usize| format!("POST /nowhere HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
    assert_eq!(client.ask(head(5)).status(), 404);
    std::thread::sleep(std::time::Duration::from_millis(200));
    // The rest of one body and the head of another request, in one piece.
    assert_eq!(client.ask(format!("hello{}", head(500))).status(), 404);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // Whatever this looks like, it is a part of the second body.
    let smuggled = get("/horse/smuggled");
    client.say(format!("{smuggled}{}", "x".repeat(500 - smuggled.len())));
    assert_eq!(client.ask(get("/horse/odds")).status(), 200);
    assert!(backend.request().start().starts_with("GET /horse/odds "));
}
