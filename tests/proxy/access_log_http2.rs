//! The access log where several requests share a connection, and where it is secret: a line each, as over HTTP/1.1.

use serde_json::Value;

use super::access_log::Log;
use super::backend::{Backend, Door, OK};
use super::certificates::Authority;
use super::client::get;
use super::grpc::call;
use super::http2_client::Http2;

const ONE_AT_A_TIME: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";

#[track_caller]
fn of<'a>(lines: &'a [Value], path: &str) -> &'a Value {
    lines.iter().find(|line| line["path"] == path).unwrap_or_else(|| panic!("no line for {path} in {lines:#?}"))
}

fn words<'a>(line: &'a Value, keys: &[&str]) -> Vec<&'a str> {
    keys.iter().map(|key| line[key].as_str().unwrap_or("-")).collect()
}

#[test]
fn a_line_says_what_was_spoken_and_whether_in_secret() {
    let (log, backend, authority) = (Log::new(), Backend::answering(OK), Authority::new());
    let proxy = log.setup("").listen(&authority.listen(&["bet.example"])).horse(&backend, "").start();
    let mut http2 = Http2::secure(&authority.client(&["h2"]), proxy.address(), "bet.example");
    assert_eq!(http2.get("/horse/odds").answer().status(), 200);
    assert_eq!(http2.post("/horse/bets", "a bet").answer().status(), 200);
    let mut http1 = authority.client(&[]).connect(proxy.address(), "bet.example").expect("a handshake");
    assert_eq!(http1.get("/horse/form").status(), 200);
    let lines = log.after(proxy);
    assert_eq!(lines.len(), 3);
    for (path, protocol, bytes) in
        [("/horse/odds", "HTTP/2", 0), ("/horse/bets", "HTTP/2", 5), ("/horse/form", "HTTP/1.1", 0)]
    {
        let line = of(&lines, path);
        assert_eq!(words(line, &["protocol", "ended", "verdict"]), [protocol, "answered", "proceed"], "{line}");
        assert_eq!((&line["tls"], &line["status"]), (&true.into(), &200.into()), "{line}");
        assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&bytes.into(), &2.into()), "{line}");
    }
}

#[test]
fn a_call_of_grpc_that_is_refused_is_refused_though_http_says_200() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("").horse(&backend, "").start();
    let mut client = Http2::to(proxy.address());
    assert_eq!(call(&mut client, "/nowhere").answer().status(), 200);
    proxy.order("park", "horse-racing");
    assert_eq!(call(&mut client, "/horse/bets").answer().header("grpc-status"), Some("14"));
    let lines = log.after(proxy);
    let said = |path| words(of(&lines, path), &["ended", "verdict", "refusal", "fault"]);
    assert_eq!(said("/horse/bets"), ["refused", "refuse", "parked", "-"]);
    assert_eq!(said("/nowhere"), ["fault", "-", "-", "no_product"]);
    assert!(lines.iter().all(|line| line["status"] == 200 && line["protocol"] == "HTTP/2"), "{lines:#?}");
}

#[test]
fn each_of_those_that_share_a_connection_ends_in_its_own_way() {
    let (log, door) = (Log::new(), Door::default());
    let behind = door.clone();
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            if request.start().contains("film") {
                connection.say("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n")?;
                connection.say(vec![7; 10_000_000])?;
            } else if request.start().contains("half") {
                connection.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
                return Ok(());
            } else {
                behind.pass();
                connection.say(OK)?;
            }
        }
        Ok(())
    });
    let proxy = log.setup("").listen("send_timeout = \"700ms\"").horse(&backend, ONE_AT_A_TIME).start();
    let mut client = Http2::with_window(proxy.address(), 65_535);
    let film = client.get("/horse/film").head();
    proxy.until_in_flight(1);
    let left = client.get("/horse/left");
    proxy.until_waiting(1);
    left.take_back();
    proxy.until_waiting(0);
    // Nobody takes the film, so its seat is free in the end.
    proxy.until_in_flight(0);
    assert!(client.get("/horse/half").try_answer().is_err(), "half an answer looks whole");
    let asked = client.get("/horse/odds");
    proxy.until_in_flight(1);
    door.open();
    assert_eq!(asked.answer().status(), 200);
    assert_eq!(proxy.client().ask(get("/horse/form")).status(), 200);
    drop(film);
    let lines = log.after(proxy);
    for (path, ended, protocol) in [
        ("/horse/film", "client_slow", "HTTP/2"),
        ("/horse/left", "client_gone", "HTTP/2"),
        ("/horse/half", "short_body", "HTTP/2"),
        ("/horse/odds", "answered", "HTTP/2"),
        ("/horse/form", "answered", "HTTP/1.1"),
    ] {
        assert_eq!(words(of(&lines, path), &["ended", "protocol"]), [ended, protocol], "{path}");
    }
    let film = of(&lines, "/horse/film");
    assert!(film["bytes_out"].as_u64().is_some_and(|bytes| (65_535..200_000).contains(&bytes)), "{film}");
    assert_eq!(of(&lines, "/horse/left").get("status"), None);
}

#[test]
fn who_takes_nothing_of_an_answer_is_slow_however_little_it_is() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("").listen("send_timeout = \"500ms\"").horse(&backend, "").start();
    let mut client = Http2::with_window(proxy.address(), 0);
    assert!(client.get("/horse/odds").try_answer().is_err(), "an answer that nobody took looks whole");
    assert_eq!(words(&log.only(proxy), &["ended"]), ["client_slow"]);
}
