//! Backends that fail in HTTP/2: what they have not looked at is sent again, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;

use super::backend::{Backend, Connection};
use super::client::{get, post};
use super::grpc::call;
use super::http2_backend::{DATA, Frames, Http2Backend, STATUS_200};
use super::http2_client::{END_HEADERS, END_STREAM, HEADERS, Http2, RST_STREAM};
use super::proxy::{Proxy, Setup};
use super::until;

const MAX_STREAMS: u16 = 3;
const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

fn before(addresses: &[SocketAddr], keys: &str) -> Proxy {
    let keys = format!("protocol = \"http2\"\n{keys}");
    Setup::new().listen("workers = 1").product("horse-racing", "/horse/", addresses, &keys).start()
}

/// A backend that says frames, and knows how many requests it has seen; each connection has its number.
fn backend(
    script: impl Fn(usize, &mut Frames<'_>, &AtomicUsize) -> io::Result<()> + Send + Sync + 'static,
) -> (Backend, Arc<AtomicUsize>) {
    let (asked, connections) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let seen = asked.clone();
    let backend = Backend::new(move |connection: &mut Connection| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        script(number, &mut Frames::hello(connection, &[])?, &seen)
    });
    (backend, asked)
}

/// The next request, counted: its stream.
fn next(frames: &mut Frames<'_>, asked: &AtomicUsize) -> io::Result<u32> {
    let stream = frames.until(HEADERS)?;
    asked.fetch_add(1, Ordering::SeqCst);
    Ok(stream)
}

fn reset(frames: &mut Frames<'_>, stream: u32, reason: u32) -> io::Result<()> {
    frames.say(RST_STREAM, 0, stream, &reason.to_be_bytes())
}

#[test]
fn what_a_backend_that_goes_away_has_not_looked_at_goes_elsewhere() {
    for request in [get("/horse/odds"), post("/horse/bets", "a bet")] {
        let (backend, asked) = backend(|number, frames, asked| {
            let stream = next(frames, asked)?;
            if number == 0 {
                frames.farewell(0)?
            } else {
                frames.answer(stream)?
            }
            frames.until_closed()
        });
        let proxy = before(&[backend.address], "");
        assert_eq!(proxy.client().ask(request).status(), 200);
        assert_eq!((asked.load(Ordering::SeqCst), backend.connections()), (2, 2));
        proxy.until_in_flight(0);
    }
}

#[test]
fn what_a_backend_that_goes_away_may_have_looked_at_is_never_sent_again() {
    let (backend, asked) = backend(|_, frames, asked| {
        let stream = next(frames, asked)?;
        frames.farewell(stream)
    });
    let proxy = before(&[backend.address], "");
    let answer = proxy.client().post("/horse/bets", "a bet");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("outcome_unknown")));
    assert_eq!(answer.json()["bet"], "unknown");
    assert_eq!(proxy.client().get("/horse/odds").json()["fault"], "backend_broken_answer");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "each was sent once");
    proxy.until_in_flight(0);
}

#[test]
fn a_refused_stream_is_tried_again_and_not_for_ever() {
    let (once, asked) = backend(|_, frames, asked| {
        let stream = next(frames, asked)?;
        reset(frames, stream, REFUSED_STREAM)?;
        let stream = next(frames, asked)?;
        frames.answer(stream)?;
        frames.until_closed()
    });
    let proxy = before(&[once.address], "");
    assert_eq!(proxy.client().post("/horse/bets", "a bet").status(), 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let (always, asked) = backend(|_, frames, asked| {
        loop {
            let stream = next(frames, asked)?;
            reset(frames, stream, REFUSED_STREAM)?;
        }
    });
    let proxy = before(&[always.address], "");
    let answer = proxy.client().post("/horse/bets", "a bet");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
    assert_eq!(answer.json()["bet"], "not_placed", "the backend has said so");
    assert!((2..=3).contains(&asked.load(Ordering::SeqCst)), "{asked:?}");
    proxy.until_in_flight(0);
}

#[test]
fn a_refused_request_goes_to_another_backend_as_the_budget_allows() {
    let refuses = || {
        backend(|_, frames, asked| {
            loop {
                let stream = next(frames, asked)?;
                reset(frames, stream, REFUSED_STREAM)?;
            }
        })
    };
    let ((one, asked), sound) = (refuses(), Http2Backend::answering());
    let proxy = before(&[one.address, sound.address], "retry_budget = 100");
    let mut client = proxy.client();
    for _ in 0..10 {
        assert_eq!(client.get("/horse/odds").status(), 200);
    }
    assert!(asked.load(Ordering::SeqCst) > 0 && sound.requests() == 10);
    let (alone, asked) = refuses();
    let proxy = before(&[alone.address], "retry_budget = 0");
    assert_eq!(proxy.client().get("/horse/odds").status(), 502);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "there is nothing to try it again with");
}

#[test]
fn an_upload_that_is_under_way_when_it_is_refused_is_not_placed_and_says_so() {
    let (backend, asked) = backend(|_, frames, asked| {
        let stream = next(frames, asked)?;
        frames.until(DATA)?;
        reset(frames, stream, REFUSED_STREAM)?;
        frames.until_closed()
    });
    let proxy = before(&[backend.address], "");
    let mut client = proxy.client();
    client.try_to_say(post("/horse/bets", &"x".repeat(500_000)));
    let answer = client.answer();
    assert_eq!((answer.status(), answer.json()["bet"].as_str()), (502, Some("not_placed")));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    proxy.until_in_flight(0);
}

#[test]
fn a_stream_that_is_reset_before_its_answer_is_told_and_not_sent_again() {
    let (backend, asked) = backend(|_, frames, asked| {
        loop {
            let stream = next(frames, asked)?;
            reset(frames, stream, INTERNAL_ERROR)?;
        }
    });
    let proxy = before(&[backend.address], "");
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").json()["fault"], "backend_broken_answer");
    let answer = client.post("/horse/bets", "a bet");
    assert_eq!(
        (answer.json()["fault"].as_str(), answer.json()["bet"].as_str()),
        (Some("outcome_unknown"), Some("unknown"))
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    proxy.until_in_flight(0);
}

#[test]
fn an_answer_whose_stream_is_reset_breaks_off_and_others_of_its_connection_go_on() {
    let (backend, _) = backend(|_, frames, asked| {
        let first = next(frames, asked)?;
        frames.say(HEADERS, END_HEADERS, first, &[STATUS_200])?;
        frames.say(DATA, 0, first, b"begun")?;
        let second = next(frames, asked)?;
        reset(frames, first, INTERNAL_ERROR)?;
        frames.answer(second)?;
        frames.until_closed()
    });
    let proxy = before(&[backend.address], "");
    let mut client = proxy.client();
    client.say(get("/horse/film"));
    until("it has begun", || client.wire().peek().is_ok());
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    let said = String::from_utf8(client.rest()).unwrap();
    assert!(said.contains("begun") && !said.ends_with("0\r\n\r\n"), "{said}");
    assert_eq!(backend.connections(), 1);
    proxy.until_in_flight(0);
}

#[test]
fn an_answer_of_another_length_than_it_says_breaks_off() {
    let (backend, _) = backend(|_, frames, asked| {
        let stream = next(frames, asked)?;
        // `content-length: 9`, as HPACK writes it without its table.
        let head = [&[STATUS_200, 0, 14][..], b"content-length", &[1], b"9"].concat();
        frames.say(HEADERS, END_HEADERS, stream, &head)?;
        frames.say(DATA, END_STREAM, stream, b"short")?;
        frames.until_closed()
    });
    let proxy = before(&[backend.address], "");
    let mut client = proxy.client();
    client.say(get("/horse/film"));
    let said = String::from_utf8(client.rest()).unwrap();
    assert!(!said.ends_with("0\r\n\r\n") && !said.contains("content-length: 5"), "nobody takes it for whole: {said}");
    proxy.until_in_flight(0);
}

#[test]
fn one_that_does_not_speak_http2_has_not_accepted_and_is_asked_nothing() {
    let old = Backend::new(|connection| {
        connection.wire().exactly(24)?;
        connection.say("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
        connection.wire().rest().map(drop)
    });
    let closes = Backend::new(|_| Ok(()));
    let says_nothing = Backend::new(|connection| connection.wire().rest().map(drop));
    for address in [old.address, closes.address, says_nothing.address] {
        let proxy = before(&[address], "connect_timeout = \"300ms\"");
        let answer = proxy.client().post("/horse/bets", "a bet");
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
        assert_eq!(answer.json()["bet"], "not_placed");
        assert!(proxy.status().backends[0].set_aside);
        proxy.until_in_flight(0);
    }
}

#[test]
fn one_that_takes_no_streams_is_unreachable() {
    let full = Backend::new(|connection| Frames::hello(connection, &[(MAX_STREAMS, 0)])?.until_closed());
    let proxy = before(&[full.address], "");
    let answer = proxy.client().post("/horse/bets", "a bet");
    assert_eq!((answer.status(), answer.json()["bet"].as_str()), (502, Some("not_placed")));
}

#[test]
fn a_connection_that_has_died_is_found_out_and_takes_nobody_else_along() {
    let (backend, asked) = backend(|number, frames, asked| {
        let stream = next(frames, asked)?;
        if number == 0 {
            // Nothing is read any more, and the kernel goes on to say that all is well.
            std::thread::sleep(Duration::from_secs(25));
            return Ok(());
        }
        frames.answer(stream)?;
        let stream = next(frames, asked)?;
        frames.answer(stream)?;
        frames.until_closed()
    });
    let proxy = before(&[backend.address], "first_byte_timeout = \"20s\"\nlimit = 10");
    let mut first = proxy.client();
    first.say(get("/horse/odds"));
    until("it was sent", || asked.load(Ordering::SeqCst) == 1);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(proxy.client().get("/horse/odds").status(), 200, "nobody is sent where nobody has answered for seconds");
    let answer = first.answer();
    assert_eq!(answer.json()["fault"], "backend_broken_answer", "it did not take until `first_byte_timeout`");
    proxy.until_in_flight(0);
}

#[test]
fn a_backend_that_hangs_is_given_up_and_the_others_of_its_connection_are_not() {
    let backend = Http2Backend::new(|mut call| async move {
        call.read().await;
        match call.request.uri().path() {
            "/horse/odds" => call.tell("ok").await,
            _ => call.until_taken_back().await,
        }
    });
    let keys = "first_byte_timeout = \"1s\"\nlatency_objective = \"100ms\"";
    let proxy = before(&[backend.address], keys);
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert_eq!(client.get("/horse/film").json()["fault"], "backend_timeout");
    until("it is taken back", || backend.taken_back().len() == 1);
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert_eq!(backend.connections(), 1);
    proxy.until_in_flight(0);
}

#[test]
fn calls_that_are_unavailable_count_against_their_backend_like_a_503() {
    let failing = Http2Backend::new(|mut call| async move {
        call.read().await;
        let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", "14");
        call.answer(head.body(()).unwrap(), "", None).await;
    });
    let sound = Http2Backend::new(|mut call| async move {
        call.read().await;
        let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", "5");
        call.answer(head.body(()).unwrap(), "", None).await;
    });
    let keys = "limit = 20\n[product.outliers]\nconsecutive = 3\ninterval = \"100ms\"";
    let proxy = before(&[failing.address, sound.address], keys);
    let mut client = Http2::to(proxy.address());
    until("it is left out", || {
        let answer = call(&mut client, "/horse/odds").answer();
        assert!(matches!(answer.header("grpc-status"), Some("5" | "14")), "{}", answer.head);
        proxy.status().backends[0].state == "ejected"
    });
    assert_eq!(proxy.status().backends[1].state, "serving", "\"not found\" is an answer");
}
