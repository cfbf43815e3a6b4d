//! HTTP/2 to backends: many requests on one connection, in the clear and through TLS, with all that passes over HTTP/1.1.

use std::net::SocketAddr;
use std::time::Duration;

use h2::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri};
use tokio::time::sleep;

use super::backend::{Backend, Door, OK};
use super::certificates::Authority;
use super::client::{get, post};
use super::http2_backend::{How, Http2Backend, send};
use super::http2_client::{self, Http2};
use super::proxy::{Proxy, Setup};
use super::until;

const HTTP2: &str = "protocol = \"http2\"";

fn setup(address: SocketAddr, keys: &str) -> Setup {
    Setup::new().listen("workers = 1").product("horse-racing", "/horse/", &[address], &format!("{HTTP2}\n{keys}"))
}

fn before(backend: &Http2Backend) -> Proxy {
    setup(backend.address, "").start()
}

/// A product with one backend that is spoken to through TLS.
fn secure(address: SocketAddr, authority: &Authority, protocol: &str) -> Setup {
    Setup::new().listen("workers = 1").with(&format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/horse/\" }}]\nbackends = [\"https://{address}\"]\n\
         protocol = {protocol:?}\n[product.tls]\nca = {:?}\n",
        authority.ca()
    ))
}

/// A backend behind a door.
fn behind(door: &Door, how: How) -> Http2Backend {
    let door = door.clone();
    Http2Backend::with(how, move |mut call| {
        let door = door.clone();
        async move {
            call.read().await;
            tokio::task::spawn_blocking(move || door.pass()).await.expect("a door does not panic");
            call.tell("ok").await;
        }
    })
}

#[test]
fn requests_share_a_connection_and_say_nothing_of_the_hop_before() {
    let backend = Http2Backend::answering();
    let proxy = before(&backend);
    let mut client = proxy.client();
    let lines = "host: bet.example:81\r\nconnection: x-private, te, keep-alive\r\nx-private: 1\r\nkeep-alive: timeout=5\r\n\
                 te: trailers, gzip\r\ncookie: a=1; b=2\r\nupgrade: h2c\r\naccept: */*";
    for _ in 0..3 {
        let answer = client.ask(format!("GET /horse/odds?race=1 HTTP/1.1\r\n{lines}\r\n\r\n"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.all("via"), ["2.0 sluss"]);
    }
    assert_eq!((backend.connections(), backend.requests()), (1, 3));
    let (head, ()) = backend.request(2);
    assert_eq!(head.uri, "http://bet.example:81/horse/odds?race=1");
    for gone in ["host", "connection", "x-private", "keep-alive", "upgrade", "transfer-encoding"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
    for (name, value) in [("te", "trailers"), ("cookie", "a=1; b=2"), ("via", "1.1 sluss"), ("accept", "*/*")] {
        assert_eq!(head.headers[name], value);
    }
    assert_eq!(head.headers["x-forwarded-host"], "bet.example:81");
}

#[test]
fn bodies_pass_whole_both_ways_whatever_their_size() {
    let backend = Http2Backend::new(|mut call| async move {
        let (body, _) = call.read().await;
        let text = String::from_utf8(body).expect("text");
        call.tell(&text).await;
    });
    let proxy = before(&backend);
    let (mut old, mut new) = (proxy.client(), Http2::to(proxy.address()));
    for size in [1, 16 << 10, 70 << 10, 1 << 20] {
        let text: String = (0..size).map(|place| char::from(b'a' + (place % 23) as u8)).collect();
        assert!(old.post("/horse/odds", &text).text() == text, "{size} bytes over HTTP/1.1");
        assert!(new.post("/horse/odds", &text).answer().text() == text, "{size} bytes over HTTP/2");
    }
    assert_eq!(old.post("/horse/odds", "").text(), "");
    assert_eq!(
        old.ask("POST /horse/odds HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
            .text(),
        "hi"
    );
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_answer_keeps_its_length_and_one_to_head_has_no_body() {
    let backend = Http2Backend::new(|call| async move {
        let head = Response::builder().header("content-length", "4").body(()).unwrap();
        let is_head = call.request.method() == "HEAD";
        call.answer(head, if is_head { "" } else { "odds" }, None).await;
    });
    let proxy = before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.header("content-length"), answer.text().as_str()), (Some("4"), "odds"));
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(client.head("/horse/odds").header("content-length"), Some("4"));
    }
}

#[test]
fn trailers_pass_both_ways() {
    let backend = Http2Backend::new(|mut call| async move {
        let (_, said) = call.read().await;
        let head = Response::builder().header("trailer", "x-sum, x-heard").body(()).unwrap();
        let heard = said.get("x-sum").cloned().unwrap_or(HeaderValue::from_static("nothing"));
        let unannounced = HeaderValue::from(said.len());
        let lines = [("x-sum", HeaderValue::from_static("7")), ("x-heard", heard), ("x-count", unannounced)];
        let trailers = lines.map(|(name, value)| (HeaderName::from_static(name), value)).into_iter().collect();
        call.answer(head, "hello", Some(trailers)).await;
    });
    let proxy = before(&backend);
    let chunked = "POST /horse/odds HTTP/1.1\r\nhost: h\r\nte: trailers\r\ntransfer-encoding: chunked\r\n";
    let answer = proxy
        .client()
        .ask(format!("{chunked}trailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 3\r\nx-customer: anna\r\n\r\n"));
    assert_eq!(
        (answer.text().as_str(), &answer.trailers[..]),
        ("hello", &["x-sum: 7".to_owned(), "x-heard: 3".to_owned()][..])
    );
    let mut client = Http2::to(proxy.address());
    let request = http::Request::post("http://bet.example/horse/odds").header("trailer", "x-sum").body(()).unwrap();
    let mut asked = client.send(request, true);
    asked.say("hi", false);
    let said = [("x-sum", "4"), ("x-customer", "anna")];
    asked.trailers(
        said.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect(),
    );
    let answer = asked.answer();
    assert_eq!(answer.trailers, ["x-sum: 7", "x-heard: 4", "x-count: 1"], "what is not announced is not passed on");
}

#[test]
fn a_rush_shares_one_connection_and_one_that_takes_few_streams_gets_no_more() {
    let door = Door::default();
    let wide = behind(&door, How::default());
    let proxy = setup(wide.address, "limit = 40").start();
    let mut client = Http2::to(proxy.address());
    let asked: Vec<_> = (0..20).map(|_| client.get("/horse/odds")).collect();
    wide.until_asked(20);
    door.open();
    asked.into_iter().for_each(|asked| assert_eq!(asked.answer().status(), 200));
    assert_eq!((wide.connections(), wide.most_at_once()), (1, 20));
    let door = Door::default();
    let narrow = behind(&door, How { streams: Some(4), ..How::default() });
    let proxy = setup(narrow.address, "limit = 40").start();
    let mut client = Http2::to(proxy.address());
    let asked: Vec<_> = (0..20).map(|_| client.get("/horse/odds")).collect();
    narrow.until_asked(20);
    assert_eq!(narrow.connections(), 5, "twenty requests, four on each");
    door.open();
    asked.into_iter().for_each(|asked| assert_eq!(asked.answer().status(), 200));
}

#[test]
fn what_may_be_taken_back_and_what_is_carried_share_no_connection() {
    let backend = Http2Backend::answering();
    let proxy = before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.get("/horse/odds").status(), 200);
        assert_eq!(client.post("/horse/bets", "a bet").status(), 200);
    }
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_client_that_hangs_up_takes_back_a_read_and_not_a_bet() {
    let backend = Http2Backend::new(|mut call| async move {
        call.read().await;
        if call.request.method() == "POST" {
            sleep(Duration::from_millis(300)).await;
            return call.tell("placed").await;
        }
        call.until_taken_back().await;
    });
    let proxy = setup(backend.address, "limit = 2").start();
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    backend.until_asked(1);
    drop(client);
    until("it is taken back", || backend.taken_back() == [Reason::CANCEL]);
    proxy.until_in_flight(0);
    let mut client = proxy.client();
    client.say(post("/horse/bets", "a bet"));
    backend.until_asked(2);
    drop(client);
    proxy.until_in_flight(0);
    assert_eq!(backend.taken_back().len(), 1, "the bet was carried to its end");
    assert_eq!(proxy.client().post("/horse/bets", "a bet").text(), "placed");
    assert_eq!(backend.connections(), 2, "one for reads and one for bets: neither was closed");
}

#[test]
fn an_answer_may_come_before_the_request_is_there() {
    let backend = Http2Backend::with(How { window: Some(1 << 10), ..How::default() }, |mut call| async move {
        let full = Response::builder().status(413).body(()).unwrap();
        let Some(mut stream) = call.head(full, false) else { return };
        send(&mut stream, "too much".into(), true).await;
        // Nothing of the body is taken, and it is not refused either.
        sleep(Duration::from_secs(20)).await;
    });
    let proxy = before(&backend);
    let mut client = proxy.client();
    client.try_to_say(post("/horse/film", &"x".repeat(1 << 20)));
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "too much"));
    proxy.until_in_flight(0);
    drop(client);
    proxy.until_alone();
}

#[test]
fn a_talk_goes_back_and_forth_and_gives_its_seat_back() {
    let backend = Http2Backend::new(|mut call| async move {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let Some(mut stream) = call.head(head, false) else { return };
        while let Some(Ok(piece)) = call.body.data().await {
            let _ = call.body.flow_control().release_capacity(piece.len());
            send(&mut stream, piece, false).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let _ = stream.send_trailers(trailers);
    });
    let streams = "limit = 1\n[product.streams]\nseat = \"50ms\"\ntypes = [\"application/grpc\"]";
    let proxy = setup(backend.address, streams).start();
    let mut client = Http2::to(proxy.address());
    let request = http::Request::post("http://bet.example/horse/talk").header("content-type", "application/grpc");
    let mut asked = client.send(request.header("te", "trailers").body(()).unwrap(), true);
    asked.say("\0\0\0\0\x02hi", false);
    let mut talk = asked.talk();
    assert_eq!(talk.hear(), "\0\0\0\0\x02hi");
    proxy.until_in_flight(0);
    for word in ["\0\0\0\0\x01a", "\0\0\0\0\x01b"] {
        talk.say(word, false);
        assert_eq!(talk.hear(), word);
    }
    talk.say("", true);
    assert_eq!(talk.end(), ["grpc-status: 0"]);
}

#[test]
fn a_backend_that_goes_away_gets_nothing_more_and_nothing_is_lost() {
    let door = Door::default();
    let backend = behind(&door, How::default());
    let proxy = setup(backend.address, "limit = 10").start();
    let mut client = Http2::to(proxy.address());
    let early = client.get("/horse/odds");
    backend.until_asked(1);
    backend.say_farewell();
    // It is on its way.
    std::thread::sleep(Duration::from_millis(100));
    let late = client.get("/horse/odds");
    backend.until_asked(2);
    assert_eq!(backend.connections(), 2);
    door.open();
    assert_eq!((early.answer().status(), late.answer().status()), (200, 200));
}

#[test]
fn an_unused_connection_is_closed() {
    let backend = Http2Backend::answering();
    let proxy = setup(backend.address, "keep = \"100ms\"").start();
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    until("it is closed", || backend.ended() == 1);
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn through_tls_a_backend_is_spoken_to_in_what_it_chooses() {
    let authority = Authority::new();
    let both = Http2Backend::with(
        How { tls: Some(authority.server(&["127.0.0.1"], false, false)), ..How::default() },
        |call| async move { call.tell("in HTTP/2").await },
    );
    for protocol in ["http2", "auto"] {
        let proxy = secure(both.address, &authority, protocol).start();
        let mut client = proxy.client();
        assert_eq!((client.get("/horse/odds").text().as_str(), client.get("/horse/odds").status()), ("in HTTP/2", 200));
        assert_eq!(both.request(0).0.uri, Uri::from_static("https://bet.example/horse/odds"));
    }
    assert_eq!(both.connections(), 2);
    let mut old = (*authority.server(&["127.0.0.1"], false, false)).clone();
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    let old = old_backend(old);
    let proxy = secure(old.address, &authority, "auto").start();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("/horse/odds").text(), "ok");
    }
    assert_eq!(old.connections(), 1, "idle connections of HTTP/1.1 are used again");
    let proxy = secure(old.address, &authority, "http2").start();
    let answer = proxy.client().get("/horse/odds");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
    let failed = "sluss_upstream_tls_failures_total{pool=\"horse-racing\",reason=\"no_http2\"}";
    assert!(proxy.metric(failed) >= 1.0);
}

/// One that speaks HTTP/1.1 through TLS.
fn old_backend(config: rustls::ServerConfig) -> Backend {
    let config = std::sync::Arc::new(config);
    Backend::new(move |connection| {
        let tls = rustls::ServerConnection::new(config.clone()).expect("a sound configuration");
        connection.wire().serve_secure(tls)?;
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    })
}

#[test]
fn an_upgrade_goes_over_http1_where_the_backend_chooses_and_is_not_offered_where_it_cannot() {
    let authority = Authority::new();
    let config = authority.server(&["127.0.0.1"], false, false);
    let backend = old_backend((*config).clone());
    let proxy = secure(backend.address, &authority, "auto").start();
    let offer = "GET /horse/odds HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(proxy.client().ask(offer).text(), "ok");
    assert_eq!(backend.request().header("upgrade"), Some("websocket"));
    let only = Http2Backend::answering();
    let proxy = before(&only);
    assert_eq!(proxy.client().ask(offer).text(), "ok");
    assert!(!only.request(0).0.headers.contains_key("upgrade"));
}

#[test]
fn a_check_speaks_what_requests_speak() {
    let backend = Http2Backend::answering();
    let keys = "[product.health]\npath = \"/health?deep\"\nhost = \"inside\"\ninterval = \"50ms\"";
    let proxy = setup(backend.address, keys).start();
    until("checks pass", || {
        proxy.metric("sluss_upstream_checks_total{pool=\"horse-racing\",verdict=\"passed\"}") > 1.0
    });
    let (head, ()) = backend.request(0);
    assert_eq!(
        (head.uri.to_string().as_str(), &head.headers["user-agent"]),
        ("http://inside/health?deep", &HeaderValue::from_static("sluss-check"))
    );
}

#[test]
fn a_check_may_be_a_call_of_grpc_and_its_answer_counts() {
    let serving = std::sync::Arc::new(std::sync::atomic::AtomicU8::new(1));
    let told = serving.clone();
    let backend = Http2Backend::new(move |mut call| {
        let told = told.clone();
        async move {
            let (said, _) = call.read().await;
            assert_eq!(said, b"\0\0\0\0\x06\x0a\x04bets");
            let status = char::from(told.load(std::sync::atomic::Ordering::SeqCst));
            let trailers =
                [(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))].into_iter().collect();
            call.answer(Response::new(()), &format!("\0\0\0\0\x02\x08{status}"), Some(trailers)).await;
        }
    });
    let keys = "[product.health]\ngrpc = \"bets\"\ninterval = \"50ms\"\nfall = 1\nrise = 1";
    let proxy = setup(backend.address, keys).start();
    backend.until_asked(3);
    assert_eq!(proxy.status().backends[0].state, "serving");
    let (head, ()) = backend.request(0);
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/grpc.health.v1.Health/Check"));
    assert_eq!(
        (&head.headers["te"], &head.headers["content-type"]),
        (&"trailers".parse().unwrap(), &"application/grpc".parse().unwrap())
    );
    serving.store(2, std::sync::atomic::Ordering::SeqCst);
    until("it is set aside", || proxy.status().backends[0].state == "failing_checks");
    serving.store(1, std::sync::atomic::Ordering::SeqCst);
    until("it is back", || proxy.status().backends[0].state == "serving");
}

#[test]
fn what_a_request_may_leave_with_us_counts_as_memory() {
    let door = Door::default();
    let backend = behind(&door, How::default());
    let proxy = setup(backend.address, "limit = 40").start();
    let mut client = Http2::to(proxy.address());
    let held = || proxy.metric("sluss_proxy_memory_bytes");
    let asked: Vec<_> = (0..20).map(|_| client.get("/horse/odds")).collect();
    backend.until_asked(20);
    assert!(held() >= 20.0 * f64::from(128 << 10), "{}", held());
    door.open();
    asked.into_iter().for_each(|asked| drop(asked.answer()));
    until("it is given back", || held() < 1e6);
}

#[test]
fn a_reload_switches_the_protocol_and_loses_nothing() {
    let old = Backend::answering(OK);
    let product = |address: SocketAddr, keys: &str| Setup::new().product("horse-racing", "/horse/", &[address], keys);
    let proxy = product(old.address, "").start();
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    let new = Http2Backend::new(|call| async move { call.tell("in HTTP/2").await });
    proxy.goes_on_by(product(new.address, HTTP2));
    assert_eq!(client.get("/horse/odds").text(), "in HTTP/2");
    proxy.goes_on_by(product(old.address, ""));
    assert_eq!(client.get("/horse/odds").text(), "ok");
    // The same address, in another protocol: no connection from before is used on.
    proxy.goes_on_by(product(new.address, HTTP2));
    assert_eq!(client.get("/horse/odds").text(), "in HTTP/2");
    let answer = {
        proxy.goes_on_by(product(new.address, ""));
        client.get("/horse/odds")
    };
    assert_eq!(answer.status(), 502, "it does not speak HTTP/1.1");
}

#[test]
fn a_backend_that_leaves_is_let_go_of_though_clients_from_before_a_reload_are_still_there() {
    let (stays, leaves) = (Http2Backend::answering(), Http2Backend::answering());
    let setup = |more: &str| {
        let keys = format!("{HTTP2}\nkeep = \"10m\"\n{more}");
        Setup::new().listen("workers = 1").product("horse-racing", "/horse/", &[stays.address, leaves.address], &keys)
    };
    let proxy = setup("").start();
    let mut from_before = proxy.client();
    let mut ask = || (0..50).for_each(|_| assert_eq!(from_before.get("/horse/odds").status(), 200));
    ask();
    proxy.goes_on_by(setup("total_timeout = \"50s\""));
    ask();
    assert_eq!([leaves.connections(), leaves.ended()], [1, 0], "used on across the reload");
    let remove = serde_json::json!({"order": "remove", "backend": leaves.address.to_string(), "reason": "a test", "who": "anna"});
    assert_eq!(proxy.post("/api/v1/backends", &remove).status(), 200);
    until("nobody holds on to it", || leaves.ended() == leaves.connections());
    ask();
    assert_eq!([stays.connections(), stays.ended()], [1, 0]);
}

#[test]
fn early_hints_and_a_storm_of_them_are_passed_over() {
    let backend = super::backend::Backend::new(|connection| {
        let mut frames = super::http2_backend::Frames::hello(connection, &[])?;
        let stream = frames.until(http2_client::HEADERS)?;
        let hint = [&[8, 3][..], b"103"].concat();
        for _ in 0..5000 {
            frames.say(http2_client::HEADERS, http2_client::END_HEADERS, stream, &hint)?;
        }
        let flags = http2_client::END_HEADERS | http2_client::END_STREAM;
        frames.say(http2_client::HEADERS, flags, stream, &[super::http2_backend::STATUS_200])?;
        frames.next().map(drop)
    });
    let proxy = setup(backend.address, "").start();
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
}
