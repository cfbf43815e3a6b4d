//! Backends that are not there, or do not answer in time.

use std::net::SocketAddr;
use std::time::Duration;

use super::backend::{Backend, Door, OK, Refusing, Silent};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};

const HURRIED: &str = "first_byte_timeout = \"1s\"\nlatency_objective = \"100ms\"";

fn before(address: SocketAddr, keys: &str) -> Proxy {
    Setup::new().product("horse-racing", "/horse/", &[address], keys).start()
}

#[test]
fn a_backend_that_refuses_connections_is_set_aside_and_used_again_when_it_returns() {
    let away = Refusing::somewhere();
    let proxy = before(away.address(), "");
    let mut client = proxy.client();
    for (request, bet) in [(get("/horse/odds"), None), (post("/horse/bets", "a bet"), Some("not_placed"))] {
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
        assert!(answer.header("proxy-status").is_some_and(|status| status.contains("destination_unavailable")));
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.json()["bet"].as_str(), bet, "it was never sent, so nothing about it is unknown");
    }
    assert!(proxy.status().backends[0].set_aside);
    assert_eq!(proxy.metric("sluss_upstream_connect_failures_total{pool=\"horse-racing\"}"), 2.0);
    let back = away.accept(|connection| {
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    });
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert!(!proxy.status().backends[0].set_aside);
    assert_eq!(back.requests().len(), 1);
}

#[test]
fn a_backend_that_does_not_accept_in_time_is_unreachable() {
    let silent = Silent::somewhere();
    let proxy = before(silent.address(), "connect_timeout = \"200ms\"");
    let answer = proxy.client().get("/horse/odds");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
    proxy.until_in_flight(0);
}

#[test]
fn a_backend_that_hangs_is_given_up_and_its_seat_freed() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = before(backend.address, &format!("limit = 1\n{HURRIED}"));
    let mut client = proxy.client();
    let answer = client.get("/horse/odds");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (504, Some("backend_timeout")));
    proxy.until_in_flight(0);
    let answer = client.post("/horse/bets", "a bet");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (504, Some("outcome_unknown")));
    assert_eq!(answer.json()["bet"], "unknown");
    proxy.until_in_flight(0);
    assert_eq!(backend.requests().len(), 2, "neither was sent twice");
    assert_eq!(proxy.metric("sluss_upstream_timeouts_total{pool=\"horse-racing\"}"), 2.0);
    door.open();
    assert_eq!(client.get("/horse/odds").status(), 200);
}

#[test]
fn an_answer_that_stalls_or_drips_is_cut_and_its_seat_freed() {
    for (drips, keys) in [
        (false, "idle_timeout = \"500ms\""),
        (true, "total_timeout = \"2s\"\nfirst_byte_timeout = \"1500ms\"\nlatency_objective = \"100ms\""),
    ] {
        let backend = Backend::new(move |connection| {
            connection.request()?;
            connection.say("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun")?;
            if !drips {
                return connection.request().map(drop);
            }
            loop {
                connection.say(".")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let proxy = before(backend.address, &format!("limit = 1\n{keys}"));
        let mut client = proxy.client();
        client.say(get("/horse/film"));
        let said = String::from_utf8(client.rest()).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("begun"), "{said}");
        proxy.until_in_flight(0);
    }
}

#[test]
fn a_backend_that_closes_what_it_accepts_is_tried_a_few_times_and_no_more() {
    let backend = Backend::new(|_| Ok(()));
    let proxy = before(backend.address, "");
    let mut client = proxy.client();
    for round in 1..=50 {
        let before = backend.connections();
        let answer = client.ask(post("/horse/bets", "a bet"));
        assert_eq!(answer.status(), 502, "round {round}");
        assert!(backend.connections() <= before + 3, "{} connections for one bet", backend.connections() - before);
    }
    proxy.until_in_flight(0);
}

#[test]
fn what_a_backend_says_of_its_own_trouble_is_passed_on() {
    for status in ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let backend =
            Backend::answering(format!("HTTP/1.1 {status}\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nsick"));
        let proxy = before(backend.address, "");
        let answer = proxy.client().post("/horse/bets", "a bet");
        assert_eq!((answer.text().as_str(), answer.header("retry-after")), ("sick", Some("7")));
        assert!(answer.start().ends_with(status));
    }
}
