//! What the client gets of what the backend answered.

use super::backend::{Backend, OK};
use super::proxy::Proxy;

fn answered(raw: &str) -> (Backend, Proxy) {
    let backend = Backend::answering(raw);
    let proxy = Proxy::before(&backend);
    (backend, proxy)
}

#[test]
fn an_answer_arrives_as_it_was_given_but_for_what_belongs_to_one_hop() {
    let (_backend, proxy) = answered(
        "HTTP/1.1 201 Laid\r\nServer: tote\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nCache-Control: max-age=5\r\n\
         Connection: x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
         Date: Sat, 24 Aug 2024 14:06:00 GMT\r\nContent-Length: 4\r\n\r\nlaid",
    );
    let answer = proxy.client().get("/horse/odds");
    assert_eq!(answer.start(), "HTTP/1.1 201 Laid");
    assert_eq!(answer.text(), "laid");
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.all("server"), ["tote"]);
    assert_eq!(answer.all("cache-control"), ["max-age=5"]);
    assert_eq!(answer.all("date"), ["Sat, 24 Aug 2024 14:06:00 GMT"]);
    assert_eq!(answer.all("content-length"), ["4"]);
    assert_eq!(answer.all("via"), ["1.1 sluss"]);
    for gone in ["connection", "x-private", "keep-alive", "proxy-authenticate", "server-timing", "transfer-encoding"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
}

#[test]
fn a_head_answer_tells_the_length_and_carries_nothing() {
    let (backend, proxy) = answered("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\netag: \"a\"\r\n\r\n");
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.head("/horse/odds");
        assert_eq!((answer.header("content-length"), answer.header("etag")), (Some("5000"), Some("\"a\"")));
    }
    assert_eq!(backend.requests()[0].start(), "HEAD /horse/odds HTTP/1.1");
    assert_eq!(backend.connections(), 1, "the connection is used again");
}

#[test]
fn a_head_answer_without_a_length_is_given_none() {
    let (_backend, proxy) = answered("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut client = proxy.client();
    assert_eq!(client.head("/horse/odds").header("content-length"), None);
    assert_eq!(client.head("/horse/odds").status(), 200);
}

#[test]
fn answers_that_have_no_body_have_none_here_either() {
    for (raw, status) in [
        ("HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 5000\r\n\r\n", 304),
        ("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", 304),
    ] {
        let (backend, proxy) = answered(raw);
        let mut client = proxy.client();
        for _ in 0..2 {
            let answer = client.get("/horse/odds");
            assert_eq!(answer.status(), status);
            let length = answer.header("content-length");
            assert!(raw.contains(length.unwrap_or_default()) && length != Some("0"), "{length:?} for {raw}");
            assert_eq!(answer.header("transfer-encoding"), None);
        }
        assert_eq!(backend.connections(), 1);
    }
}

#[test]
fn an_empty_answer_stays_empty_and_keeps_its_length() {
    let (_backend, proxy) = answered("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.get("/horse/odds").header("content-length"), Some("0"));
    }
}

#[test]
fn a_chunked_answer_arrives_chunked() {
    let (backend, proxy) =
        answered("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/horse/odds");
        assert_eq!(answer.all("transfer-encoding"), ["chunked"]);
        assert_eq!(answer.text(), "abcde");
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.0 200 OK\r\n\r\nto the end")
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.text().as_str(), answer.header("via")), ("to the end", Some("1.0 sluss")));
    }
}

#[test]
fn a_chunked_answer_reaches_a_client_of_http_1_0_without_chunks() {
    let (_backend, proxy) =
        answered("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let mut client = proxy.client();
    let answer = client.ask("GET /horse/odds HTTP/1.0\r\nhost: bet.example\r\nconnection: keep-alive\r\n\r\n");
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.text(), "abcde");
}

#[test]
fn informational_answers_are_passed_over() {
    let (_backend, proxy) = answered(&format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{OK}"
    ));
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.get("/horse/odds").status(), 200);
    }
}
