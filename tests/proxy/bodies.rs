//! Bodies on their way: byte for byte, and piece by piece as they come.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::backend::{Backend, Door, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};
use super::until;

/// Several megabytes in which every piece is different, so that none can be lost or moved unseen.
fn plenty() -> Vec<u8> {
    (0..1_250_000u32).flat_map(u32::to_be_bytes).collect()
}

/// Answers what it was sent.
fn echo() -> Backend {
    Backend::new(|connection| {
        while let Some(request) = connection.request()? {
            connection.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len()))?;
            connection.say(&request.body)?;
        }
        Ok(())
    })
}

const ROOM: &str = "body_bytes = \"16MiB\"";

#[test]
fn millions_of_bytes_go_both_ways_unchanged() {
    let backend = echo();
    let proxy = Setup::new().listen(ROOM).horse(&backend, "").start();
    let body = plenty();
    let mut client = proxy.client();
    for _ in 0..2 {
        client.say(format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len()));
        client.say(&body);
        assert!(client.answer().body == body);
    }
    let request = &backend.requests()[0];
    assert_eq!(request.header("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
}

#[test]
fn millions_of_bytes_in_chunks_go_both_ways_unchanged() {
    let body = plenty();
    let chunked = |bytes: &[u8]| -> Vec<u8> {
        let chunks = bytes.chunks(70_001).flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat());
        chunks.chain(*b"0\r\n\r\n").collect()
    };
    let answer = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), chunked(&body)].concat();
    let backend = Backend::answering(&answer);
    let proxy = Setup::new().listen(ROOM).horse(&backend, "").start();
    let mut client = proxy.client();
    client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
    client.say(chunked(&body));
    assert!(client.answer().body == body);
    let request = backend.request();
    assert!(request.body == body);
    assert_eq!((request.header("transfer-encoding"), request.header("content-length")), (Some("chunked"), None));
}

#[test]
fn the_first_piece_of_an_upload_arrives_before_the_last_is_sent() {
    let door = Door::default();
    let arrived = door.clone();
    let backend = Backend::new(move |connection| {
        connection.head()?;
        assert_eq!(connection.wire().exactly(5)?, b"first");
        arrived.let_one();
        assert_eq!(connection.wire().exactly(4)?, b"last");
        connection.say(OK)
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nfirst");
    door.pass();
    assert_eq!(client.ask("last").status(), 200);
}

#[test]
fn the_first_piece_of_an_answer_arrives_before_the_last_is_sent() {
    let door = Door::default();
    let held = door.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        held.pass();
        connection.say("4\r\nlast\r\n0\r\n\r\n")
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    let wire = client.wire();
    assert_eq!(wire.head().unwrap().unwrap().status(), 200);
    assert_eq!(wire.chunk().unwrap(), b"first");
    door.open();
    assert_eq!(wire.chunk().unwrap(), b"last");
    assert_eq!(wire.chunk().unwrap(), b"");
}

#[test]
fn an_upload_that_nobody_reads_is_held_up_and_not_piled_up_in_memory() {
    let door = Door::default();
    let held = door.clone();
    let backend = Backend::new(move |connection| {
        connection.head()?;
        held.pass();
        Ok(())
    });
    let proxy = Setup::new().listen("body_bytes = \"1GiB\"").horse(&backend, "").start();
    let mut client = proxy.client();
    let (mut twin, sent) = (client.wire().twin(), Arc::new(AtomicUsize::new(0)));
    let counted = sent.clone();
    client.say("POST /horse/upload HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000000\r\n\r\n");
    let sender = std::thread::spawn(move || {
        while counted.load(SeqCst) < 256 << 20 && twin.say(&[7; 1 << 20]).is_ok() {
            counted.fetch_add(1 << 20, SeqCst);
        }
    });
    until("nothing more goes through", || {
        let before = sent.load(SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        sent.load(SeqCst) == before
    });
    // What the kernel holds on both sides is a few megabytes.
    assert!(sent.load(SeqCst) < 64 << 20, "{} MiB went in", sent.load(SeqCst) >> 20);
    door.open();
    assert_eq!(client.answer().status(), 502);
    drop(client);
    sender.join().unwrap();
}

const ANNOUNCED: &str = "POST /horse/bets HTTP/1.1\r\nhost: h\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
                         3\r\nbet\r\n0\r\nx-sum: 7\r\n\r\n";

#[test]
fn announced_trailers_pass_with_a_request() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    assert_eq!(proxy.client().ask(ANNOUNCED).status(), 200);
    let request = backend.request();
    assert_eq!((request.text().as_str(), request.trailers.as_slice()), ("bet", &["x-sum: 7".to_owned()][..]));
}

#[test]
fn announced_trailers_pass_with_a_request_that_had_to_wait() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, "limit = 1\nqueue = { longest_wait = \"30s\" }").start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.say(get("/horse/odds"));
    proxy.until_in_flight(1);
    second.say(ANNOUNCED);
    proxy.until_waiting(1);
    door.open();
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
    let request = &backend.requests()[1];
    assert_eq!((request.text().as_str(), request.trailers.as_slice()), ("bet", &["x-sum: 7".to_owned()][..]));
}

#[test]
fn announced_trailers_pass_with_an_answer_to_those_who_want_them() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbet\r\n0\r\nx-sum: 7\r\n\r\n",
    );
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let answer =
        client.ask("GET /horse/odds HTTP/1.1\r\nhost: h\r\nte: trailers;q=0.5, trailers\r\nconnection: te\r\n\r\n");
    assert_eq!((answer.text().as_str(), answer.trailers.as_slice()), ("bet", &["x-sum: 7".to_owned()][..]));
    assert_eq!(backend.request().header("te"), Some("trailers"));
    let answer = client.get("/horse/odds");
    assert_eq!((answer.text().as_str(), answer.trailers.len()), ("bet", 0));
}

#[test]
fn a_get_may_have_a_body_whatever_its_framing() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.ask("GET /horse/search HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc");
    client.ask("GET /horse/search HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let bodies: Vec<String> = backend.requests().iter().map(|request| request.text()).collect();
    assert_eq!(bodies, ["abc", "abc"]);
}

#[test]
fn a_client_that_asks_whether_to_go_on_is_told_so_when_its_turn_has_come() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(client.wire().head().unwrap().unwrap().status(), 100);
        assert_eq!(client.ask("bet").status(), 200);
    }
    until("both bets are there", || backend.requests().len() == 2);
    assert!(backend.requests().iter().all(|request| request.text() == "bet" && request.header("expect").is_none()));
}

#[test]
fn a_client_that_asks_whether_to_go_on_and_is_refused_need_not_send_its_body() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.order("park", "horse-racing");
    let mut client = proxy.client();
    let answer =
        client.ask("POST /horse/bets HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5000\r\n\r\n");
    assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("parked")));
    client.is_closed();
}
