//! HTTP/2 from clients: several requests at once, each on the same way as over HTTP/1.1.

use std::time::Duration;

use http::{HeaderMap, Request};

use super::backend::{Backend, Door, OK};
use super::certificates::Authority;
use super::http2_client::{self as raw, Http2};
use super::proxy::{Proxy, Setup};
use super::until;

const ONE_AT_A_TIME: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";
const CLOSED: &str = "sluss_proxy_connections_closed_total";

#[test]
fn requests_through_tls_and_in_the_clear_are_the_backends_as_over_http_1() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let secure = Setup::new().listen(&authority.listen(&["bet.example"])).horse(&backend, "").start();
    let clear = Proxy::before(&backend);
    let tls = authority.client(&["h2", "http/1.1"]);
    for (mut client, scheme) in
        [(Http2::secure(&tls, secure.address(), "bet.example"), "https"), (Http2::to(clear.address()), "http")]
    {
        let request = Request::get(format!("{scheme}://bet.example/horse/odds?a=b"))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .header("accept", "text/plain");
        let answer = client.send(request.body(()).unwrap(), false).answer();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        let request = backend.requests().pop().unwrap();
        assert_eq!(request.start(), "GET /horse/odds?a=b HTTP/1.1");
        assert_eq!(request.all("cookie"), ["a=1; b=2"]);
        for (name, value) in [
            ("host", "bet.example"),
            ("via", "2.0 sluss"),
            ("x-forwarded-proto", scheme),
            ("te", "trailers"),
            ("connection", "te"),
            ("accept", "text/plain"),
        ] {
            assert_eq!(request.header(name), Some(value), "{name}");
        }
        let answer = client.post("/horse/bets", &"a bet".repeat(50_000)).answer();
        assert_eq!(answer.status(), 200);
        assert_eq!(backend.requests().pop().unwrap().text(), "a bet".repeat(50_000));
    }
    // Whoever does not choose it is spoken to as before.
    let mut client = authority.client(&["http/1.1"]).connect(secure.address(), "bet.example").unwrap();
    assert_eq!(client.get("/horse/odds").start(), "HTTP/1.1 200 OK");
    assert_eq!(clear.client().get("/horse/odds").start(), "HTTP/1.1 200 OK");
}

#[test]
fn where_it_is_off_nobody_is_offered_it() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let listen = format!("http2 = false\n{}", authority.listen(&["bet.example"]));
    let secure = Setup::new().listen(&listen).horse(&backend, "").start();
    let mut client = authority.client(&["h2", "http/1.1"]).connect(secure.address(), "bet.example").unwrap();
    assert_eq!(client.wire().tls().alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(client.get("/horse/odds").status(), 200);
    let clear = Setup::new().listen("http2 = false").horse(&backend, "").start();
    let mut client = clear.client();
    client.say(raw::hello());
    assert!(!client.rest().starts_with(&[0, 0]), "no frame of HTTP/2 comes back");
}

#[test]
fn a_preface_that_comes_byte_by_byte_is_understood() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for byte in raw::hello() {
        client.say([byte]);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(client.wire().exactly(9).unwrap()[3], raw::SETTINGS);
    // And so is a method that begins as the preface does.
    let mut client = proxy.client();
    client.say("P");
    std::thread::sleep(Duration::from_millis(20));
    client.say("R");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(client.ask("OPFIND /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n").status(), 200);
    assert_eq!(backend.requests()[0].start(), "PROPFIND /horse/odds HTTP/1.1");
}

#[test]
fn a_request_that_waits_holds_up_none_beside_it() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().listen("http2_streams = 6").horse(&backend, ONE_AT_A_TIME).start();
    let mut client = Http2::to(proxy.address());
    let first = client.get("/horse/odds");
    proxy.until_in_flight(1);
    let second = client.post("/horse/bets", "a bet");
    proxy.until_waiting(1);
    // Large bodies that nobody reads yet take no room from others.
    let large: Vec<_> = (0..3).map(|_| client.post("/horse/bets", &"y".repeat(500_000))).collect();
    proxy.until_waiting(4);
    let answer = client.post("/nowhere", &"y".repeat(30_000)).answer();
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (404, Some("no_product")));
    door.open();
    for asked in [first, second].into_iter().chain(large) {
        assert_eq!(asked.answer().status(), 200);
    }
    proxy.until_in_flight(0);
}

#[test]
fn a_request_that_is_taken_back_frees_its_place_and_its_seat() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, ONE_AT_A_TIME).start();
    let mut client = Http2::to(proxy.address());
    let first = client.get("/horse/odds");
    proxy.until_in_flight(1);
    let second = client.post("/horse/bets", "a bet");
    proxy.until_waiting(1);
    second.take_back();
    proxy.until_waiting(0);
    let third = client.get("/horse/odds");
    proxy.until_waiting(1);
    first.take_back();
    proxy.until_waiting(0);
    proxy.until_in_flight(1);
    drop(client);
    third.take_back();
    proxy.until_in_flight(0);
    proxy.until_alone();
    door.open();
    assert!(backend.requests().iter().all(|request| request.start().starts_with("GET")), "the bet was never sent");
}

#[test]
fn a_client_that_is_gone_frees_all_its_places_and_a_bet_is_carried_to_its_end() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, ONE_AT_A_TIME).start();
    let mut client = proxy.client();
    client.say(raw::hello());
    let post = [&[0x83, 0x86][..], &raw::lines("/horse/bets")[2..]].concat();
    client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 1, &post));
    proxy.until_in_flight(1);
    for stream in [3, 5, 7] {
        let lines = raw::lines("/horse/odds");
        client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, stream, &lines));
    }
    proxy.until_waiting(3);
    drop(client);
    proxy.until_waiting(0);
    proxy.until_alone();
    assert_eq!(proxy.product("horse-racing").in_flight, 1, "the backend goes on with the bet");
    door.open();
    proxy.until_in_flight(0);
}

#[test]
fn refusals_are_the_same_and_say_nothing_of_connections() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.order("park", "horse-racing");
    let mut client = Http2::to(proxy.address());
    let answer = client.post("/horse/bets", "a bet").answer();
    assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("parked")));
    assert!(answer.header("retry-after").is_some());
    let long = format!("/horse/{}", "y".repeat(9000));
    let connect = Request::connect("bet.example:443").body(()).unwrap();
    for (request, status, fault) in [
        (raw::get(&long), 414, "uri_too_long"),
        (connect, 501, "upgrade_not_supported"),
        (Request::get("http://anna:secret@bet.example/horse/odds").body(()).unwrap(), 400, "bad_target"),
    ] {
        let answer = client.send(request, false).answer();
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (status, Some(fault)));
        assert_eq!(answer.header("connection"), None);
    }
    proxy.order("open", "horse-racing");
    assert_eq!(client.get("/horse/odds").answer().status(), 200, "and the connection goes on");
}

#[test]
fn bounds_on_heads_and_bodies_hold() {
    let backend = Backend::answering(OK);
    let listen = "headers = 20\nhttp2_streams = 7\nbody_bytes = \"100KiB\"";
    let proxy = Setup::new().listen(listen).horse(&backend, "").start();
    let mut client = Http2::to(proxy.address());
    let with = |lines: usize, bytes: usize| {
        let request = (0..lines).fold(Request::get("http://bet.example/horse/odds"), |request, line| {
            request.header(format!("x-{line}"), "y".repeat(bytes))
        });
        request.body(()).unwrap()
    };
    assert_eq!(client.send(with(18, 1), false).answer().status(), 200);
    let answer = client.send(with(30, 1), false).answer();
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (431, Some("too_many_headers")));
    assert_eq!(client.send(with(10, 2000), false).answer().status(), 431);
    let answer = client.post("/horse/bets", &"y".repeat(200_000)).answer();
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (413, Some("body_too_large")));
    assert_eq!(client.get("/horse/odds").answer().status(), 200);
    assert_eq!(client.streams(), 7);
    assert_eq!(backend.requests().iter().filter(|request| request.start().starts_with("GET")).count(), 2);
}

#[test]
fn trailers_pass_in_both_directions() {
    let backend = Backend::new(|connection| {
        while connection.request()?.is_some() {
            connection.say(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
            )?;
        }
        Ok(())
    });
    let proxy = Proxy::before(&backend);
    let mut client = Http2::to(proxy.address());
    let request = Request::post("http://bet.example/horse/bets").header("trailer", "x-checked").body(()).unwrap();
    let mut asked = client.send(request, true);
    asked.say("a bet", false);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checked", "yes".parse().unwrap());
    asked.trailers(trailers);
    let answer = asked.answer();
    assert_eq!((answer.text().as_str(), &answer.trailers[..]), ("ok", &["x-sum: 7".to_owned()][..]));
    assert_eq!(backend.requests()[0].trailers, ["x-checked: yes"]);
}

#[test]
fn a_head_that_breaks_the_protocol_ends_its_stream_alone() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say(raw::hello());
    let broken = [("connection", "close"), ("transfer-encoding", "chunked"), ("te", "gzip"), ("upgrade", "h2c")];
    for (stream, (name, value)) in (1..).step_by(2).zip(broken) {
        let lines = [raw::lines("/horse/odds"), raw::line(name, value)].concat();
        client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, stream, &lines));
    }
    client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 9, &raw::lines("/horse/odds")));
    backend.until_asked(1);
    client.say(raw::frame(raw::GOAWAY, 0, 0, &[0; 8]));
    let said = raw::frames(&mut client);
    let of = |wanted: u8| said.iter().filter(|(kind, ..)| *kind == wanted).map(|frame| frame.2).collect::<Vec<_>>();
    assert_eq!((of(raw::RST_STREAM), of(raw::HEADERS)), (vec![1, 3, 5, 7], vec![9]), "{said:?}");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn going_down_it_says_so_and_what_is_in_flight_gets_its_answer() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, ONE_AT_A_TIME).start();
    let (mut busy, mut resting) = (Http2::to(proxy.address()), Http2::to(proxy.address()));
    door.let_one();
    assert_eq!(resting.get("/horse/odds").answer().status(), 200);
    let asked = busy.post("/horse/bets", "a bet");
    proxy.until_in_flight(1);
    let waiting = busy.post("/horse/bets", "another");
    proxy.until_waiting(1);
    let stopping = std::thread::spawn(move || proxy.stop());
    resting.is_closed();
    let refused = waiting.answer();
    assert_eq!((refused.status(), refused.json()["refusal"].as_str()), (503, Some("shutting_down")));
    assert_eq!(refused.header("connection"), None);
    door.open();
    assert_eq!(asked.answer().status(), 200);
    busy.is_closed();
    stopping.join().unwrap();
}

#[test]
fn a_connection_that_rests_too_long_is_told_before_it_is_closed() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("idle_timeout = \"400ms\"").horse(&backend, "").start();
    let mut client = Http2::to(proxy.address());
    assert_eq!(client.get("/horse/odds").answer().status(), 200);
    client.is_closed();
    assert_eq!(proxy.metric(&format!("{CLOSED}{{reason=\"too_slow\"}}")), 1.0);
}

#[test]
fn an_answer_that_nobody_takes_is_given_up_and_those_beside_it_go_on() {
    let backend = Backend::new(|connection| {
        while let Some(request) = connection.request()? {
            let length = if request.start().contains("film") { 10_000_000 } else { 2 };
            connection.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"))?;
            connection.say(vec![7; length])?;
        }
        Ok(())
    });
    let proxy = Setup::new().listen("send_timeout = \"700ms\"").horse(&backend, "").start();
    for window in [0, 65_535] {
        let mut client = Http2::with_window(proxy.address(), window);
        let film = client.get("/horse/film").head();
        assert_eq!(film.0, 200);
        proxy.until_in_flight(1);
        // It takes no more of it, and goes on asking.
        until("the film is given up", || {
            if window > 0 {
                assert_eq!(client.get("/horse/odds").answer().status(), 200);
            }
            proxy.product("horse-racing").in_flight == 0
        });
        let (_, mut film, handle) = film;
        let told = handle.block_on(async {
            loop {
                match film.data().await {
                    Some(Ok(_)) => {}
                    other => break other.map(|piece| piece.map(|bytes| bytes.len())),
                }
            }
        });
        assert!(matches!(told, Some(Err(_))), "a film that was cut looks whole: {told:?}");
    }
    assert_eq!(proxy.metric(&format!("{CLOSED}{{reason=\"too_slow\"}}")), 2.0);
}

#[test]
fn a_client_that_is_gone_without_a_word_is_found_while_it_waits() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let listen = "idle_timeout = \"800ms\"\nheader_timeout = \"500ms\"";
    let proxy = Setup::new().listen(listen).horse(&backend, ONE_AT_A_TIME).start();
    let mut alive = Http2::to(proxy.address());
    let asked = alive.get("/horse/odds");
    proxy.until_in_flight(1);
    // This one never answers a ping.
    let mut gone = proxy.client();
    gone.say(raw::hello());
    gone.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 1, &raw::lines("/horse/odds")));
    proxy.until_waiting(1);
    proxy.until_waiting(0);
    let said = raw::frames(&mut gone);
    assert!(said.iter().any(|(kind, flags, ..)| *kind == raw::PING && *flags == 0), "{said:?}");
    assert_eq!(proxy.product("horse-racing").in_flight, 1, "who answers stays");
    door.open();
    assert_eq!(asked.answer().status(), 200);
}

#[test]
fn a_client_that_begins_and_asks_nothing_is_closed() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("header_timeout = \"300ms\"").horse(&backend, "").start();
    let mut silent = proxy.client();
    silent.say(raw::hello());
    let said = raw::frames(&mut silent);
    assert_eq!(raw::farewell(&said), Some(0), "{said:?}");
    // Half of the preface, and half of a head.
    let mut half = proxy.client();
    half.say("PRI * HTT");
    raw::frames(&mut half);
    let mut half = proxy.client();
    half.say(raw::hello());
    half.say(raw::frame(raw::HEADERS, 0, 1, &raw::lines("/horse/odds")));
    raw::frames(&mut half);
    proxy.until_alone();
    assert_eq!(proxy.metric(&format!("{CLOSED}{{reason=\"too_slow\"}}")), 3.0);
}

#[test]
fn a_bet_that_is_taken_back_half_way_is_not_sent_on_as_a_whole_one() {
    let backend = Backend::answering(OK);
    for listen in ["", "waiting_body_bytes = \"1B\""] {
        let proxy = Setup::new().listen(listen).horse(&backend, "").start();
        let before = backend.requests().len();
        let mut client = proxy.client();
        client.say(raw::hello());
        let lengths = [vec![], raw::line("content-length", "100")];
        for (stream, length) in (1..).step_by(2).zip(lengths) {
            let lines = [raw::post("/horse/bets"), length].concat();
            // NO_ERROR, which a body may be taken for that ends as it should.
            client.say(
                [
                    raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &lines),
                    raw::frame(raw::DATA, 0, stream, b"horse=7&stake=10"),
                    raw::frame(raw::RST_STREAM, 0, stream, &[0; 4]),
                ]
                .concat(),
            );
        }
        client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 9, &raw::lines("/horse/odds")));
        backend.until_asked(before + 1);
        let begun = std::time::Instant::now();
        proxy.until_in_flight(0);
        assert!(begun.elapsed() < Duration::from_secs(5), "a seat was held for half a bet: {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(200));
        let asked: Vec<_> = backend.requests()[before..].iter().map(|request| request.start().to_owned()).collect();
        assert_eq!(asked, ["GET /horse/odds HTTP/1.1"]);
    }
}

#[test]
fn who_leaves_to_make_room_is_told_how_far_it_was_listened_to() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("connections = 1\nheader_timeout = \"60s\"").horse(&backend, "").start();
    let mut silent = proxy.client();
    silent.say(raw::hello());
    let settings = silent.wire().exactly(9).unwrap();
    assert_eq!(settings[3], raw::SETTINGS);
    silent.wire().exactly(usize::from(settings[2])).unwrap();
    let said = std::thread::spawn(move || raw::frames(&mut silent));
    until("there is room", || {
        let mut next = proxy.client();
        next.try_to_say(super::client::get("/horse/odds"));
        next.wire().answer(false).ok().flatten().is_some_and(|answer| answer.status() == 200)
    });
    let kinds: Vec<u8> = said.join().unwrap().iter().map(|frame| frame.0).collect();
    assert!(kinds.contains(&raw::GOAWAY), "it was cut: {kinds:?}");
}
