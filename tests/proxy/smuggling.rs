//! Requests that two servers may read differently: each is refused and its connection closed, or passed on in
//! the one form that everybody reads alike.

use super::backend::{Backend, OK};
use super::proxy::Proxy;

/// Sends `raw`, and tells what the client heard first and what the backend was asked.
fn send(raw: &str) -> (Option<u16>, Backend) {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.try_to_say(raw);
    let heard = client.wire().answer(false).ok().flatten().map(|answer| answer.status());
    if heard.is_none_or(|status| status >= 400) {
        client.is_closed();
    }
    proxy.until_in_flight(0);
    (heard, backend)
}

#[track_caller]
fn refused(status: u16, raw: &str) {
    let (heard, backend) = send(raw);
    assert_eq!(heard, Some(status), "{raw:?}");
    assert_eq!(backend.requests().len(), 0, "{raw:?}");
}

const TARGET: &str = "POST /horse/bets HTTP/1.1\r\nhost: h\r\n";
const HIDDEN: &str = "GET /horse/hidden HTTP/1.1\r\nhost: h\r\n\r\n";

#[test]
fn lengths_that_contradict_each_other_or_are_none_are_refused() {
    for lengths in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5\r\ncontent-length: 50",
        "content-length: 5, 5",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length: 5;",
        "content-length:",
        "content-length: 99999999999999999999",
        "content-length: \u{0b}5",
    ] {
        refused(400, &format!("{TARGET}{lengths}\r\n\r\na bet{HIDDEN}"));
    }
}

#[test]
fn codings_that_not_everybody_knows_are_refused() {
    for (status, coding) in [
        (400, "transfer-encoding: identity"),
        (400, "transfer-encoding: xchunked"),
        (400, "transfer-encoding: chunked, identity"),
        (400, "transfer-encoding: chunked\r\ntransfer-encoding: cow"),
        (400, "transfer-encoding:"),
        (400, "transfer-encoding: \u{0b}chunked"),
        (400, "transfer-encoding : chunked"),
        (400, "transfer-encoding\t: chunked"),
        (400, "transfer-encoding\r\n : chunked"),
        (400, "transfer-encoding: chun\r\n ked"),
        (400, "x: y\rtransfer-encoding: chunked"),
        (501, "transfer-encoding: cow\r\ntransfer-encoding: chunked"),
        (501, "transfer-encoding: gzip, chunked"),
        (501, "transfer-encoding: chunked, chunked"),
        (501, "transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        (501, "transfer-encoding: \"chunked\", chunked"),
    ] {
        refused(status, &format!("{TARGET}content-length: 5\r\n{coding}\r\n\r\n0\r\n\r\n{HIDDEN}"));
    }
    refused(
        400,
        &format!("POST /horse/bets HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
    );
}

#[test]
fn heads_that_not_everybody_reads_alike_are_refused() {
    for head in [
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-a: 1\r\n folded: 2",
        "GET /horse/odds HTTP/1.1\r\n host: h",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-a: 1\rx-b: 2",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-a: nul\0nul",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-a\0: 1",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-a : 1",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\n: 1",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nno colon",
        "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx(a): 1",
        "GET /horse/odds HTTP/2.0\r\nhost: h",
        "GET /horse/odds HTTP/1.2\r\nhost: h",
        "GET /horse/odds http/1.1\r\nhost: h",
        "GET /horse/odds  HTTP/1.1\r\nhost: h",
        "GET /horse/o dds HTTP/1.1\r\nhost: h",
        "GET /horse/odds",
        "GE(T) /horse/odds HTTP/1.1\r\nhost: h",
        "GET /horse/\u{1}odds HTTP/1.1\r\nhost: h",
        "GET horse/odds HTTP/1.1\r\nhost: h",
    ] {
        refused(400, &format!("{head}\r\n\r\n{HIDDEN}"));
    }
}

#[test]
fn a_host_must_be_there_once_and_be_one() {
    for hosts in
        ["x-a: 1", "host: a\r\nhost: b", "host: a\r\nhost: a", "host: a, b", "host: a/b", "host: a b", "host: u@a"]
    {
        refused(400, &format!("GET /horse/odds HTTP/1.1\r\n{hosts}\r\n\r\n"));
    }
    refused(400, "GET http://h/horse/odds HTTP/1.1\r\nx-a: 1\r\n\r\n");
    refused(400, "GET http://h/horse/odds HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n");
}

#[test]
fn of_a_length_and_chunks_the_chunks_count_and_nothing_behind_them_is_read() {
    for lengths in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let (heard, backend) = send(&format!("{TARGET}{lengths}\r\n\r\n5\r\na bet\r\n0\r\n\r\n{HIDDEN}"));
        let request = backend.request();
        assert_eq!((heard, request.text().as_str()), (Some(200), "a bet"));
        // The body was there whole before it was sent on, so one length says it all: the true one.
        assert_eq!((request.header("content-length"), request.all("transfer-encoding")), (Some("5"), vec![]));
    }
}

#[test]
fn what_stands_in_a_body_stays_in_it() {
    for (framing, body) in [
        (format!("content-length: {}", HIDDEN.len()), HIDDEN.to_owned()),
        (format!("content-length: {0}\r\ncontent-length: {0}", HIDDEN.len()), HIDDEN.to_owned()),
        ("transfer-encoding: chunked".into(), format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())),
        ("transfer-encoding: Chunked\t".into(), format!("0{:X};a=\"b\"\r\n{HIDDEN}\r\n000\r\n\r\n", HIDDEN.len())),
    ] {
        let (heard, backend) = send(&format!("{TARGET}{framing}\r\n\r\n{body}"));
        let request = backend.request();
        assert_eq!((heard, request.text().as_str()), (Some(200), HIDDEN));
        assert_eq!(request.all("content-length").len() + request.all("transfer-encoding").len(), 1);
    }
}

#[test]
fn chunks_that_break_off_or_lie_are_refused_and_never_end_at_the_backend() {
    for chunks in [
        "zz\r\na bet\r\n0\r\n\r\n",
        "-5\r\na bet\r\n0\r\n\r\n",
        "0x5\r\na bet\r\n0\r\n\r\n",
        "\r\na bet\r\n0\r\n\r\n",
        "11111111111111111\r\na bet\r\n0\r\n\r\n",
        "5\r\na bet and more\r\n0\r\n\r\n",
        "5\na bet\r\n0\r\n\r\n",
        "5;a\nb\r\na bet\r\n0\r\n\r\n",
        "5\r\na bet\r\n0\r\nno colon\r\n\r\n",
        "5\r\na bet\r\n0\r\nx : y\r\n\r\n",
    ] {
        let (heard, backend) = send(&format!("{TARGET}transfer-encoding: chunked\r\n\r\n{chunks}{HIDDEN}"));
        assert_eq!(heard, Some(400), "{chunks:?}");
        assert_eq!(backend.requests().len(), 0, "{chunks:?}");
    }
}

#[test]
fn lines_that_end_without_cr_are_passed_on_with_it() {
    let (heard, backend) = send("GET /horse/odds HTTP/1.1\nhost: h\nx-a: 1\n\n");
    let request = backend.request();
    assert_eq!((heard, request.header("x-a")), (Some(200), Some("1")));
    assert!(!request.head.replace("\r\n", "").contains('\n'));
}

#[test]
fn neither_0_9_nor_tls_is_spoken_in_the_clear() {
    for raw in ["GET /horse/odds\r\n", "\x16\x03\x01\x02\0\x01\0\x01"] {
        let (heard, backend) = send(raw);
        assert!(heard.is_none_or(|status| status == 400), "{raw:?}");
        assert_eq!(backend.requests().len(), 0);
    }
}

#[test]
fn trailers_say_nothing_that_headers_may_not() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let said =
        "content-length: 5\r\nhost: other\r\ntransfer-encoding: x\r\nx-forwarded-for: 10.0.0.1\r\nforwarded: for=a\r\n";
    let names = "content-length, host, transfer-encoding, X-Forwarded-For, forwarded, x-sum";
    let answer = proxy
        .client()
        .ask(format!("{TARGET}trailer: {names}\r\ntransfer-encoding: chunked\r\n\r\n5\r\na bet\r\n0\r\n{said}\r\n"));
    assert_eq!(answer.status(), 200);
    assert_eq!(backend.request().trailers, Vec::<String>::new());
}
