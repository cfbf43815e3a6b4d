//! TLS towards backends: who they are is looked at, always, and nothing is asked of one that is another.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::backend::{Backend, Connection, OK, Silent};
use super::certificates::Authority;
use super::proxy::{Proxy, Setup};
use super::until;
use super::upgrades::{SWITCHES, switch};

/// A backend that speaks TLS and then follows this script.
fn secure(
    config: &Arc<ServerConfig>,
    script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
) -> Backend {
    let config = config.clone();
    Backend::new(move |connection| {
        connection.wire().serve_secure(ServerConnection::new(config.clone()).expect("a sound configuration"))?;
        script(connection)
    })
}

fn answers(connection: &mut Connection) -> io::Result<()> {
    while connection.request()?.is_some() {
        connection.say(OK)?;
    }
    Ok(())
}

/// A product with one backend that is spoken to through TLS.
fn before(address: SocketAddr, tls: &str, keys: &str) -> Setup {
    Setup::new().with(&format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/horse/\" }}]\nbackends = [\"https://{address}\"]\n{keys}\n\
         [[product.class]]\nclass = \"commit\"\nmatch = [{{ method = \"POST\" }}]\n[product.tls]\n{tls}"
    ))
}

fn trusts(authority: &Authority) -> String {
    format!("ca = {:?}\n", authority.ca())
}

fn failures(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metric(&format!("sluss_upstream_tls_failures_total{{pool=\"horse-racing\",reason=\"{reason}\"}}"))
}

/// Nothing is asked, and it is said why.
#[track_caller]
fn is_not_asked(proxy: &Proxy, reason: &str) {
    let answer = proxy.client().get("/horse/odds");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")), "{reason}");
    assert!(failures(proxy, reason) >= 1.0, "{reason}: {}", proxy.admin().get("/metrics").text());
}

#[test]
fn requests_go_through_tls_to_a_backend_that_is_who_it_should_be() {
    let authority = Authority::new();
    let backend = secure(&authority.server(&["127.0.0.1"], false, false), answers);
    let proxy = before(backend.address, &trusts(&authority), "").start();
    let mut client = proxy.client();
    let long = "a bet".repeat(100_000);
    for _ in 0..3 {
        assert_eq!(client.get("/horse/odds").status(), 200);
        assert_eq!(client.post("/horse/bets", &long).status(), 200);
    }
    assert_eq!(backend.connections(), 1, "it is used again");
    assert!(backend.requests()[1].text() == long);
}

#[test]
fn a_backend_that_is_another_is_asked_nothing_and_the_reason_has_a_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.server(&["127.0.0.1"], false, false);
    let named = authority.server(&["horse.internal"], false, false);
    let over = authority.server(&["127.0.0.1"], true, false);
    for (config, trusted, reason) in
        [(&good, &other, "unknown_issuer"), (&named, &authority, "wrong_name"), (&over, &authority, "expired")]
    {
        let backend = secure(config, answers);
        let proxy = before(backend.address, &trusts(trusted), "").start();
        is_not_asked(&proxy, reason);
        let bet = proxy.client().post("/horse/bets", "a bet");
        assert!(matches!(bet.status(), 502 | 503) && bet.json()["bet"] == "not_placed", "{}", bet.text());
        assert_eq!(backend.requests().len(), 0);
    }
    let backend = secure(&named, answers);
    let proxy = before(backend.address, &format!("{}server_name = \"horse.internal\"", trusts(&authority)), "").start();
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
}

#[test]
fn who_speaks_no_tls_or_does_not_finish_has_not_accepted() {
    let authority = Authority::new();
    let clear = Backend::new(|connection| connection.say("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
    is_not_asked(&before(clear.address, &trusts(&authority), "").start(), "no_tls");
    let closes = Backend::new(|_| Ok(()));
    is_not_asked(&before(closes.address, &trusts(&authority), "").start(), "broke_off");
    let hangs = Backend::new(|connection| connection.wire().rest().map(drop));
    let proxy = before(hangs.address, &trusts(&authority), "connect_timeout = \"300ms\"").start();
    is_not_asked(&proxy, "broke_off");
    let silent = Silent::somewhere();
    let proxy = before(silent.address(), &trusts(&authority), "connect_timeout = \"300ms\"").start();
    assert_eq!(proxy.client().get("/horse/odds").status(), 502);
    assert_eq!(failures(&proxy, "broke_off"), 0.0, "no handshake was begun");
}

#[test]
fn a_backend_that_asks_who_we_are_is_shown_our_certificate() {
    let authority = Authority::new();
    let backend = secure(&authority.server(&["127.0.0.1"], false, true), answers);
    let pair = authority.pair("sluss", &["sluss.internal"]);
    let tls = format!("{}certificate = {pair}", trusts(&authority));
    let proxy = before(backend.address, &tls, "").start();
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    let proxy = before(backend.address, &trusts(&authority), "").start();
    assert_eq!(proxy.client().get("/horse/odds").status(), 502);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    let config = authority.server(&["127.0.0.1"], false, false);
    let kinds: Arc<Mutex<Vec<HandshakeKind>>> = Arc::default();
    let seen = kinds.clone();
    let backend = Backend::new(move |connection| {
        connection.wire().serve_secure(ServerConnection::new(config.clone()).expect("a sound configuration"))?;
        connection.request()?;
        seen.lock().unwrap().extend(connection.wire().handshake());
        connection.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    });
    let proxy = before(backend.address, &trusts(&authority), "").start();
    for _ in 0..4 {
        assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    }
    let kinds = kinds.lock().unwrap().clone();
    assert_eq!(kinds[0], HandshakeKind::Full);
    assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?}");
}

#[test]
fn files_that_change_count_for_connections_made_from_then_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = secure(&other.server(&["127.0.0.1"], false, false), |connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    });
    let proxy = before(backend.address, &trusts(&authority), "").start();
    is_not_asked(&proxy, "unknown_issuer");
    // The office has looked at the file once when it says how it is.
    std::thread::sleep(Duration::from_millis(1500));
    std::fs::write(authority.path("authority.pem"), std::fs::read(other.ca()).unwrap()).unwrap();
    let answers = || proxy.client().get("/horse/odds").status() == 200;
    until("the backend is trusted", answers);
    std::fs::write(authority.path("authority.pem"), "nonsense").unwrap();
    until("somebody is told", || proxy.status().alarms.iter().any(|alarm| alarm.contains("horse-racing")));
    assert!(answers(), "those from before stay");
}

#[test]
fn checks_go_through_tls_too() {
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = secure(&authority.server(&["127.0.0.1"], false, false), answers);
    let health = "health = { path = \"/health\", interval = \"500ms\", fall = 1, rise = 1 }";
    let good = before(backend.address, &trusts(&authority), health).start();
    let passed = |proxy: &Proxy, verdict: &str| {
        proxy.metric(&format!("sluss_upstream_checks_total{{pool=\"horse-racing\",verdict=\"{verdict}\"}}"))
    };
    until("checks have passed", || passed(&good, "passed") >= 2.0);
    assert_eq!(passed(&good, "failed"), 0.0);
    let bad = before(backend.address, &trusts(&other), health).start();
    until("checks have failed", || passed(&bad, "failed") >= 2.0);
    assert_eq!(passed(&bad, "passed"), 0.0);
    until("its product is down", || bad.client().get("/horse/odds").status() == 503);
}

#[test]
fn a_tunnel_goes_through_tls_on_both_sides() {
    let authority = Authority::new();
    let backend = secure(&authority.server(&["127.0.0.1"], false, false), |connection| {
        connection.head()?;
        connection.say(SWITCHES)?;
        let heard = connection.wire().exactly(70_000)?;
        connection.say(heard)
    });
    let proxy = before(backend.address, &trusts(&authority), "").listen(&authority.listen(&["bet.example"])).start();
    let mut client = authority.client(&[]).connect(proxy.address(), "bet.example").unwrap();
    switch(&mut client);
    let said: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
    client.say(&said);
    assert_eq!(client.wire().exactly(70_000).unwrap(), said);
    assert!(client.rest().is_empty());
}

#[test]
fn an_answer_that_is_cut_within_tls_is_not_taken_for_a_whole_one() {
    let authority = Authority::new();
    // Without a length the end of the connection is the end of the answer: through TLS only if it is said.
    let backend = secure(&authority.server(&["127.0.0.1"], false, false), |connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\n\r\nhalf of it")
    });
    let proxy = before(backend.address, &trusts(&authority), "").start();
    let mut client = proxy.client();
    client.say(super::client::get("/horse/odds"));
    let begun = Instant::now();
    assert!(client.wire().answer(false).is_err(), "it breaks off for the client too");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_connection_to_somebody_who_is_believed_no_more_is_not_used_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = secure(&authority.server(&["127.0.0.1"], false, false), answers);
    let proxy = before(backend.address, &trusts(&authority), "").start();
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    proxy.goes_on_by(before(backend.address, &trusts(&authority), "guarantee = 50"));
    assert_eq!(client.get("/horse/odds").status(), 200);
    proxy.goes_on_by(before(backend.address, &trusts(&other), ""));
    assert_eq!(client.get("/horse/odds").status(), 502);
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn a_backend_that_is_added_is_spoken_to_as_the_others_are() {
    let authority = Authority::new();
    let config = authority.server(&["127.0.0.1"], false, false);
    let (first, second) = (secure(&config, answers), secure(&config, answers));
    let proxy = before(first.address, &trusts(&authority), "").start();
    let add = |backend: String| {
        let order = serde_json::json!({
            "order": "add", "backend": backend, "product": "horse-racing", "reason": "a test", "who": "anna"
        });
        proxy.post("/api/v1/backends", &order)
    };
    let refused = add(format!("http://{}", second.address));
    assert!(refused.status() == 422 && refused.text().contains("all https://"), "{}", refused.text());
    let added = add(second.address.to_string());
    assert_eq!(added.status(), 200, "{}", added.text());
    let mut client = proxy.client();
    until("the second is asked", || {
        assert_eq!(client.get("/horse/odds").status(), 200);
        !second.requests().is_empty()
    });
}
