//! A client's connection: what may follow what, and how it ends.

use super::backend::{Backend, Door, OK};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};

#[test]
fn requests_on_one_connection_are_answered_one_after_the_other() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("/horse/odds").status(), 200);
        assert_eq!(client.post("/horse/bets", "a bet").status(), 200);
    }
    assert_eq!(backend.requests().len(), 40);
    assert_eq!(backend.connections(), 1, "and the backend's connection is used again");
}

#[test]
fn requests_sent_without_waiting_are_answered_in_their_order() {
    let backend = Backend::new(|connection| {
        while let Some(request) = connection.request()? {
            let said = format!("{} {}", request.start(), request.text());
            connection.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len()))?;
        }
        Ok(())
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say([get("/horse/1"), post("/horse/2", "two"), get("/horse/3"), get("/horse/4")].concat());
    for said in
        ["GET /horse/1 HTTP/1.1 ", "POST /horse/2 HTTP/1.1 two", "GET /horse/3 HTTP/1.1 ", "GET /horse/4 HTTP/1.1 "]
    {
        assert_eq!(client.answer().text(), said);
    }
}

#[test]
fn an_answer_is_not_held_back_by_half_of_the_next_request() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let next = get("/horse/next");
    let (half, rest) = next.split_at(20);
    assert_eq!(client.ask(format!("{}{half}", post("/horse/bets", "a bet"))).status(), 200);
    assert_eq!(client.ask(rest).status(), 200);
    // Some clients end a body with an empty line that belongs to nothing.
    assert_eq!(client.ask(format!("{}\r\n", post("/horse/bets", "a bet"))).status(), 200);
    assert_eq!(client.get("/horse/odds").status(), 200);
}

#[test]
fn a_client_that_wants_to_close_is_closed_after_its_answer() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let answer = client.ask("GET /horse/odds HTTP/1.1\r\nhost: h\r\nConnection: Close\r\n\r\nGET /never HTTP/1.1\r\n");
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    client.is_closed();
    assert_eq!(client_of_1_0(&proxy, "Connection: keep-alive\r\n").0, 2);
    assert_eq!(client_of_1_0(&proxy, "").0, 1);
}

/// How many of two requests a client of HTTP/1.0 gets answered on one connection.
fn client_of_1_0(proxy: &Proxy, header: &str) -> (usize,) {
    let mut client = proxy.client();
    let request = format!("GET /horse/odds HTTP/1.0\r\nhost: h\r\n{header}\r\n");
    assert_eq!(client.ask(&request).status(), 200);
    client.try_to_say(&request);
    (1 + usize::from(client.wire().answer(false).ok().flatten().is_some()),)
}

#[test]
fn a_backend_that_closes_after_each_answer_is_not_the_clients_business() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..5 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.status(), answer.header("connection")), (200, None));
    }
    assert_eq!(backend.connections(), 5);
}

#[test]
fn an_answer_that_comes_before_the_upload_ended_is_passed_on_at_once() {
    let backend = Backend::new(|connection| {
        while connection.head()?.is_some() {
            connection.say(OK)?;
            connection.wire().exactly(6)?;
        }
        Ok(())
    });
    let proxy = Setup::new().listen("waiting_body_bytes = \"1B\"").horse(&backend, "").start();
    let mut client = proxy.client();
    for _ in 0..3 {
        let head = "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabc";
        assert_eq!(client.ask(head).status(), 200);
        client.say("def");
    }
    assert_eq!(backend.requests().len(), 3);
    proxy.until_in_flight(0);
}

#[test]
fn an_upload_that_the_backend_does_not_want_ends_with_its_answer() {
    let backend = Backend::new(|connection| {
        connection.head()?;
        connection.say("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
    });
    let proxy = Setup::new().listen("body_bytes = \"64MiB\"").horse(&backend, "").start();
    for _ in 0..5 {
        let mut client = proxy.client();
        // A client that listens only when it has sent everything.
        client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 8388608\r\n\r\n");
        client.say(vec![7; 8 << 20]);
        assert_eq!(client.answer().status(), 403);
    }
    proxy.until_in_flight(0);
}

#[test]
fn a_tunnel_to_anywhere_is_refused_in_words_that_say_so() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let answer = proxy.client().ask("CONNECT bet.example:443 HTTP/1.1\r\nhost: bet.example:443\r\n\r\n");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (501, Some("upgrade_not_supported")));
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn an_offer_of_h2c_is_ignored_as_it_may_be() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.ask(
            "GET /horse/odds HTTP/1.1\r\nhost: h\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
             http2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
        );
        assert_eq!(answer.status(), 200);
    }
    for gone in ["upgrade", "connection", "http2-settings"] {
        assert_eq!(backend.requests()[0].header(gone), None, "{gone}");
    }
}

#[test]
fn options_are_the_backends_unless_they_are_about_no_path() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\nallow: GET\r\n\r\n");
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let answer = client.ask("OPTIONS /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!((answer.status(), answer.header("allow")), (204, Some("GET")));
    let answer = client.ask("OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (400, Some("bad_target")));
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_no_leaves_the_connection_open_although_a_small_body_comes_late() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    proxy.order("park", "horse-racing");
    for path in ["/horse/bets", "/greyhounds/bets", "/horse/bets"] {
        let answer = client.ask(format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n"));
        assert!(matches!(answer.status(), 404 | 503));
        client.say("a bet");
    }
    proxy.order("open", "horse-racing");
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_no_leaves_no_connection_open_on_which_a_large_body_comes() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.order("park", "horse-racing");
    for length in ["content-length: 900000", "transfer-encoding: chunked"] {
        let mut client = proxy.client();
        let answer = client.ask(format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\n{length}\r\n\r\n"));
        assert_eq!(answer.status(), 503);
        client.say("dbba0\r\n");
        client.say(vec![7; 900_000]);
        client.is_closed();
    }
}

#[test]
fn a_client_that_has_said_all_it_will_ever_say_has_left() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    proxy.until_in_flight(1);
    // Half a connection cannot be told from none; waiting for the difference would keep seats from others.
    client.wire().finish().unwrap();
    proxy.until_in_flight(0);
    client.is_closed();
    door.open();
}

#[test]
fn who_sends_a_body_that_nobody_will_read_is_told_that_this_is_the_end() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let head = |length: usize| format!("POST /nowhere HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
    let mut client = proxy.client();
    let answer = client.ask(format!("{}hello", head(5)));
    assert_eq!((answer.status(), answer.header("connection")), (404, None));
    let answer = client.ask(head(100_000));
    assert_eq!((answer.status(), answer.header("connection")), (404, Some("close")));
    client.is_closed();
}
