//! Backends that break HTTP, break off, or say more or less than they promised.

use super::backend::{Backend, Door, OK};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};

/// Says this to the first request of each connection, and closes.
fn says(raw: &'static str) -> Backend {
    Backend::new(move |connection| {
        connection.request()?;
        connection.say(raw)
    })
}

/// What cannot be understood as an answer, or not by everybody in the same way.
const NONSENSE: [&str; 16] = [
    "",
    "HTTP/1.1 200",
    "HTTP/1.1 200 OK\r\ncontent-le",
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1 banana OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/3.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "HTTP/1.1 200 OK\r\nx-a: 1\r\n folded: 2\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nx-a: nul\0\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
];

#[test]
fn nonsense_is_told_as_a_fault_of_the_backend_and_frees_the_seat() {
    for raw in NONSENSE {
        let backend = says(raw);
        let proxy = Proxy::before(&backend);
        let mut client = proxy.client();
        let answer = client.get("/horse/odds");
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_broken_answer")), "{raw:?}");
        assert_eq!(answer.header("proxy-status").map(|status| status.contains("http_response_incomplete")), Some(true));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        proxy.until_in_flight(0);
        assert_eq!(client.get("/horse/odds").status(), 502, "the client's connection is kept: {raw:?}");
        assert_eq!(proxy.metric("sluss_upstream_broken_total{pool=\"horse-racing\"}"), 2.0);
    }
}

#[test]
fn a_bet_whose_answer_was_lost_is_unknown_and_never_called_failed() {
    for raw in ["", "HTTP/1.1 200", "HTTP/1.1 banana OK\r\n\r\n"] {
        let backend = says(raw);
        let proxy = Proxy::before(&backend);
        let answer = proxy.client().post("/horse/bets", "a bet");
        let problem = answer.json();
        assert_eq!(answer.status(), 502);
        assert_eq!((problem["fault"].as_str(), problem["bet"].as_str()), (Some("outcome_unknown"), Some("unknown")));
        assert_eq!(backend.requests().len(), 1, "and it is not sent twice");
    }
}

#[test]
fn a_backend_that_switches_protocols_unasked_has_broken_its_answer() {
    let backend = says("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n");
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_broken_answer")));
    }
    proxy.until_in_flight(0);
}

#[test]
fn a_head_without_end_is_given_up_and_not_kept() {
    for piece in ["x-more: and more and more and more\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"] {
        let backend = Backend::new(move |connection| {
            connection.request()?;
            if piece.starts_with("x-") {
                connection.say("HTTP/1.1 200 OK\r\n")?;
            }
            let many = piece.repeat(200);
            loop {
                connection.say(&many)?;
            }
        });
        let proxy = Setup::new().horse(&backend, "first_byte_timeout = \"1s\"\nlatency_objective = \"100ms\"").start();
        assert!(matches!(proxy.client().get("/horse/odds").status(), 502 | 504));
        proxy.until_in_flight(0);
    }
}

#[test]
fn an_answer_cut_short_cuts_the_clients_short_so_that_it_can_tell() {
    for raw in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\nzz\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n20\r\nand half",
    ] {
        let backend = says(raw);
        let proxy = Proxy::before(&backend);
        let mut client = proxy.client();
        client.say(get("/horse/odds"));
        let said = String::from_utf8(client.rest()).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("only this"), "{said}");
        assert!(!said.contains("\r\n0\r\n\r\n"), "it looks whole: {said}");
        proxy.until_in_flight(0);
        assert_eq!(proxy.metric("sluss_upstream_broken_total{pool=\"horse-racing\"}"), 1.0);
    }
}

#[test]
fn of_two_lengths_only_the_chunks_count_and_the_connection_is_not_used_again() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n",
    );
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for round in 1..=5 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.all("content-length").len(), answer.all("transfer-encoding")), (0, vec!["chunked"]));
        assert_eq!(answer.text(), "all of it");
        assert_eq!(backend.connections(), round);
    }
}

#[test]
fn bytes_behind_an_answer_are_never_the_answer_to_the_next_request() {
    for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.1 204 No Content\r\n\r\n"] {
        // Later bytes, when the next request is on its way, are its answer for all that anybody can tell.
        let backend = Backend::answering(format!("{answer}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"));
        let proxy = Proxy::before(&backend);
        let mut client = proxy.client();
        for round in 1..=50 {
            assert_ne!(client.get("/horse/odds").text(), "forged", "round {round}");
            assert_eq!(backend.connections(), round);
        }
    }
}

#[test]
fn an_unasked_answer_on_an_idle_connection_closes_it() {
    let closed = Door::default();
    let seen = closed.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        connection.say(OK)?;
        connection.say("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")?;
        assert!(connection.request()?.is_none());
        seen.let_one();
        Ok(())
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.ask(post("/horse/coupon", "a coupon")).status(), 200);
        closed.pass();
    }
    assert_eq!(backend.connections(), 20);
}
