//! The proxy's own overload: it refuses early, in the order that is promised, and recovers by itself.

use super::backend::{Backend, Door, OK};
use super::client::{Client, get, post};
use super::http2_client as raw;
use super::proxy::{Proxy, Setup};
use super::until;

const MEMORY: &str = "sluss_proxy_memory_bytes";

/// A proxy with as little memory as may be, and so many who are connected.
fn small(backend: &Backend, connected: usize) -> (Proxy, Vec<Client>) {
    let listen =
        "memory = \"16MiB\"\nworkers = 1\nbody_timeout = \"30s\"\nsend_timeout = \"30s\"\nheader_timeout = \"60s\"";
    let proxy = Setup::new().listen(listen).horse(backend, "default_class = \"read\"").start();
    let mut clients: Vec<_> = (0..connected).map(|_| proxy.client()).collect();
    // Who has asked once is in, and not in the backlog.
    assert!(clients.iter_mut().all(|client| client.get("/horse/odds").status() == 200));
    (proxy, clients)
}

/// Most of a body that never ends.
fn drip(client: &mut Client, path: &str) {
    let head = format!("POST {path} HTTP/1.1\r\nhost: bet.example\r\ncontent-length: 64000\r\n\r\n");
    client.say(format!("{head}{}", "b".repeat(60_000)));
}

fn refusal(client: &mut Client, request: String) -> Option<String> {
    let answer = client.ask(request);
    (answer.status() != 200).then(|| answer.json()["refusal"].as_str().unwrap_or_default().to_owned())
}

fn overloaded() -> Option<String> {
    Some("proxy_overloaded".into())
}

#[test]
fn bodies_of_low_classes_go_first_then_everything_but_what_must_go_on_and_then_all_is_well_again() {
    let backend = Backend::answering(OK);
    let (proxy, mut clients) = small(&backend, 260);
    let mut known: Vec<Client> = clients.drain(..4).collect();
    let held = || proxy.metric(MEMORY) / f64::from(16 << 20);

    // Bets fill it up to four fifths.
    let mut sent = 0;
    while held() < 0.81 {
        drip(&mut clients[sent], "/horse/bets");
        sent += 1;
        until("it is held", || proxy.metric(MEMORY) > 8e6 + 90_000.0 * sent as f64);
    }
    assert!(held() < 0.9, "{}", held());
    let mut ask = |request: String| refusal(&mut known[0], request);
    assert_eq!(ask(post("/horse/odds", "a search")), overloaded());
    assert_eq!(ask(get("/horse/odds")), None, "the connection is kept, and what needs no memory goes on");
    assert_eq!(ask(post("/horse/bets", "a bet")), None);

    // More bets, until some of them are refused in the middle.
    for client in &mut clients[sent..] {
        drip(client, "/horse/bets");
    }
    until("it is full", || held() >= 0.99);
    let mut last = clients.pop().expect("there are many");
    let answer = last.answer();
    assert_eq!((answer.status(), answer.json()["bet"].as_str()), (503, Some("not_placed")));
    until("somebody is refused", || refusal(&mut known[1], get("/horse/odds")) == overloaded() || held() < 1.0);
    assert_eq!(refusal(&mut known[2], post("/horse/logout", "good bye")), None);
    assert!(held() < 1.05, "{}", held());
    let mut late = proxy.client();
    assert_eq!(late.answer().json()["refusal"], "proxy_overloaded", "nobody new is let in");

    drop((clients, last, late));
    until("it is all given back", || held() < 0.1);
    for client in &mut known {
        assert_eq!(refusal(client, post("/horse/odds", "a search")), None);
    }
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
}

#[test]
fn a_body_that_waits_is_given_back_when_it_has_been_sent_on() {
    let (door, memory) = (Door::default(), |proxy: &Proxy| proxy.metric(MEMORY));
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, "limit = 1\nqueue = { longest_wait = \"30s\" }").start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.say(post("/horse/bets", "a bet"));
    proxy.until_in_flight(1);
    second.say(post("/horse/bets", &"b".repeat(50_000)));
    proxy.until_waiting(1);
    let waiting = memory(&proxy);
    assert!(waiting > 50_000.0 + 2.0 * 32768.0, "{waiting}");
    door.open();
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
    until("it is given back", || memory(&proxy) <= waiting - 50_000.0);
    drop((first, second));
    proxy.until_alone();
}

#[test]
fn connections_that_nobody_uses_leave_for_those_who_want_something() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().listen("connections = 4\nworkers = 1").horse(&backend, "").start();
    let mut busy = proxy.client();
    busy.say(get("/horse/odds"));
    backend.until_asked(1);
    let silent: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    until("all are in", || proxy.status().connections == 4);
    let mut newcomer = None;
    until("one of the silent left for a newcomer", || {
        let mut client = proxy.client();
        client.try_to_say(get("/horse/odds"));
        std::thread::sleep(std::time::Duration::from_millis(50));
        if backend.requests().len() == 2 {
            newcomer = Some(client);
        }
        newcomer.is_some()
    });
    door.open();
    assert_eq!(busy.answer().status(), 200, "who is served stays");
    assert_eq!(newcomer.expect("just seen").answer().status(), 200);
    assert!(proxy.metric("sluss_proxy_connections_closed_total{reason=\"for_room\"}") >= 1.0);
    drop(silent);
}

#[test]
fn how_late_each_worker_is_can_be_seen() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("workers = 2").horse(&backend, "").start();
    for worker in ["0", "1"] {
        until("it has looked", || proxy.metric(&format!("sluss_proxy_lag_seconds_count{{worker=\"{worker}\"}}")) > 0.0);
    }
}

#[test]
fn answers_that_nobody_takes_over_http_2_are_accounted_for_until_they_are_taken() {
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 60000\r\n\r\n{}", "a".repeat(60_000));
    let backend = Backend::answering(answer);
    let keys = "limit = 50\nqueue = { longest_wait = \"30s\" }";
    let proxy = Setup::new().listen("http2_streams = 250\nworkers = 1").horse(&backend, keys).start();
    let mut client = proxy.client();
    client.wire().takes_little();
    client.say(raw::hello());
    // Room for all of it, by the protocol.
    client.say(raw::frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 16, 0, 0]));
    client.say(raw::frame(raw::WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()));
    for stream in (1..500).step_by(2) {
        let lines = raw::lines("/horse/odds");
        client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, stream, &lines));
    }
    backend.until_asked(250);
    proxy.until_in_flight(0);
    // The kernel has some of it; the streams are over, and the connections to the backend closed.
    let held = proxy.metric(MEMORY);
    assert!(held > 4e6, "{held} of 15 million are known");
    let mut taken = 0;
    while taken < 250 * 60_000 {
        taken += client.wire().exactly(60_000).unwrap().len();
    }
    until("it is given back", || proxy.metric(MEMORY) < 200_000.0);
}
