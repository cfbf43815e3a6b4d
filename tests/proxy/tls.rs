//! TLS towards clients: who they speak with, what comes of sessions, and of files that change.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use super::backend::{Backend, OK};
use super::certificates::{Authority, Tls};
use super::client::Client;
use super::proxy::{Proxy, Setup};
use super::until;

const NAME: &str = "bet.example";
const TOO_SLOW: &str = "sluss_proxy_connections_closed_total{reason=\"too_slow\"}";

fn handshakes(proxy: &Proxy, outcome: &str) -> f64 {
    proxy.metric(&format!("sluss_proxy_tls_handshakes_total{{outcome=\"{outcome}\"}}"))
}

fn start(backend: &Backend, listen: &str) -> Proxy {
    Setup::new().listen(listen).horse(backend, "").start()
}

/// The names in the certificate that this client was shown.
fn shown(client: &mut Client) -> Vec<u8> {
    client.wire().tls().peer_certificates().expect("a server shows one")[0].to_vec()
}

fn is_for(client: &mut Client, name: &str) -> bool {
    shown(client).windows(name.len()).any(|part| part == name.as_bytes())
}

#[test]
fn requests_go_through_tls_of_both_versions_and_the_backend_hears_of_it() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &authority.listen(&[NAME]));
    for (versions, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let tls = authority.client_with(&["http/1.1"], &[versions], false);
        let mut client = tls.connect(proxy.address(), NAME).unwrap();
        assert_eq!(client.wire().tls().protocol_version(), Some(spoken));
        for _ in 0..3 {
            assert_eq!(client.get("/horse/odds").status(), 200);
            assert_eq!(client.post("/horse/bets", &"a bet".repeat(9000)).status(), 200);
        }
    }
    let request = &backend.requests()[0];
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("forwarded"), Some("for=127.0.0.1;proto=https;host=\"bet.example\""));
    let whole = authority
        .client(&[])
        .connect(proxy.address(), NAME)
        .unwrap()
        .ask("GET https://other.example/horse/odds HTTP/1.1\r\nhost: bet.example\r\n\r\n");
    assert_eq!((whole.status(), backend.requests()[12].header("host")), (200, Some("other.example")));
}

#[test]
fn an_answer_larger_than_all_buffers_comes_whole() {
    let body = "y".repeat(3_000_000);
    let backend = Backend::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    let authority = Authority::new();
    let proxy = start(&backend, &authority.listen(&[NAME]));
    let mut client = authority.client(&[]).connect(proxy.address(), NAME).unwrap();
    for _ in 0..3 {
        assert!(client.get("/horse/film").body == body.as_bytes());
    }
}

#[test]
fn a_name_gets_its_certificate_and_every_other_the_first() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let first = authority.pair("first", &["first.example", "203.0.113.9"]);
    let second = authority.pair("second", &["second.example", "*.wild.example"]);
    let proxy = start(&backend, &format!("[listen.tls]\ncertificates = [{first}, {second}]"));
    let tls = authority.client(&[]);
    let of = |name: &str| tls.connect(proxy.address(), name);
    assert!(is_for(&mut of("first.example").unwrap(), "first.example"));
    for name in ["second.example", "SECOND.example", "a.wild.example"] {
        assert!(is_for(&mut of(name).unwrap(), "second.example"), "{name}");
    }
    // An address is no name to choose by; the first certificate happens to be for it.
    assert!(is_for(&mut of("203.0.113.9").unwrap(), "first.example"));
    // Their clients do not like what they are shown.
    for name in ["wild.example", "a.b.wild.example", "third.example"] {
        assert!(of(name).is_err(), "{name}");
    }
}

#[test]
fn a_ticket_from_one_worker_resumes_on_all() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &format!("workers = 4\n{}", authority.listen(&[NAME])));
    for versions in [&TLS12, &TLS13] {
        let tls = authority.client_with(&[], &[versions], false);
        let kinds: Vec<_> = (0..9)
            .map(|_| {
                let mut client = tls.connect(proxy.address(), NAME).unwrap();
                assert_eq!(client.get("/horse/odds").status(), 200);
                client.wire().tls().handshake_kind().unwrap()
            })
            .collect();
        assert_eq!(kinds[0], HandshakeKind::Full);
        assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?}");
    }
    assert_eq!((handshakes(&proxy, "full"), handshakes(&proxy, "resumed")), (2.0, 16.0));
}

#[test]
fn a_version_that_is_too_old_is_not_spoken() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &format!("{}minimum = \"1.3\"", authority.listen(&[NAME])));
    assert!(authority.client_with(&[], &[&TLS12], false).connect(proxy.address(), NAME).is_err());
    assert!(authority.client_with(&[], &[&TLS13], false).connect(proxy.address(), NAME).is_ok());
    until("it is counted", || handshakes(&proxy, "failed") == 1.0);
}

#[test]
fn who_must_show_a_certificate_and_has_none_or_anothers_does_not_come_in() {
    let (backend, authority, stranger) = (Backend::answering(OK), Authority::new(), Authority::new());
    let both = &[&TLS13, &TLS12][..];
    let asks = |tls: &Tls, proxy: &Proxy| {
        // In 1.3 a client hears only after its handshake that it was turned away.
        let mut client = tls.connect(proxy.address(), NAME).ok()?;
        client.wire().say(b"GET /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n").ok()?;
        client.wire().answer(false).ok()?.map(|answer| answer.status())
    };
    let (known, nobody) = (authority.client_with(&[], both, true), authority.client(&[]));
    let listen = format!("{}{}", authority.listen(&[NAME]), authority.client_ca());
    let required = start(&backend, &listen);
    assert_eq!((asks(&known, &required), asks(&nobody, &required)), (Some(200), None));
    let optional = start(&backend, &format!("{listen}client_certificates = \"optional\""));
    assert_eq!((asks(&known, &optional), asks(&nobody, &optional)), (Some(200), Some(200)));
    // Vouched for by somebody else, who trusts our server all the same.
    let listen = format!("{}{}", authority.listen(&[NAME]), stranger.client_ca());
    let required = start(&backend, &listen);
    assert_eq!(asks(&known, &required), None);
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn a_handshake_that_does_not_come_or_does_not_end_is_given_up() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &format!("header_timeout = \"300ms\"\n{}", authority.listen(&[NAME])));
    proxy.client().is_closed();
    let mut half = proxy.client();
    // The beginning of a record that never ends.
    half.say([22, 3, 1, 1, 0, 1, 0]);
    half.is_closed();
    // One that is made, and nothing after it.
    authority.client(&[]).connect(proxy.address(), NAME).unwrap().is_closed();
    assert_eq!(proxy.metric(TOO_SLOW), 3.0);
    proxy.until_alone();
}

#[test]
fn a_client_that_speaks_in_the_clear_is_closed_and_counted() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &authority.listen(&[NAME]));
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    client.write_all(b"GET /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = client.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "a word in the clear on a port that is for secrets");
    until("it is counted", || handshakes(&proxy, "failed") == 1.0);
    proxy.until_alone();
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_client_that_does_not_read_its_answer_through_tls_is_closed() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")?;
        connection.say(vec![7; 100_000_000])
    });
    let authority = Authority::new();
    let proxy = start(&backend, &format!("send_timeout = \"500ms\"\n{}", authority.listen(&[NAME])));
    let mut client = authority.client(&[]).connect(proxy.address(), NAME).unwrap();
    client.say(super::client::get("/horse/film"));
    backend.until_asked(1);
    proxy.until_alone();
    proxy.until_in_flight(0);
    assert_eq!(proxy.metric(TOO_SLOW), 1.0);
}

#[test]
fn a_changed_certificate_counts_for_new_connections_and_a_broken_one_for_none() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &authority.listen(&[NAME]));
    let fresh = || authority.client(&[]).connect(proxy.address(), NAME).unwrap();
    let changes = |change: &str| proxy.metric(&format!("sluss_proxy_certificate_changes_total{{change={change:?}}}"));
    let tickets = authority.client(&[]);
    let mut open = tickets.connect(proxy.address(), NAME).unwrap();
    assert_eq!(open.get("/horse/odds").status(), 200);
    let before = shown(&mut open);

    std::fs::write(authority.path("bet.example.key"), "no key").unwrap();
    until("the change is seen", || changes("rejected") == 1.0);
    assert_eq!(shown(&mut fresh()), before);
    let alarms = proxy.admin().get("/api/v1/status").text();
    assert!(alarms.contains("bet.example.key: there is no private key in this file"), "{alarms}");

    authority.pair(NAME, &[NAME]);
    until("the change is taken", || changes("reloaded") == 1.0);
    let mut new = fresh();
    assert_ne!(shown(&mut new), before);
    assert_eq!(new.get("/horse/odds").status(), 200);
    assert_eq!(open.get("/horse/odds").status(), 200);
    // Tickets from before are still good.
    let mut again = tickets.connect(proxy.address(), NAME).unwrap();
    assert_eq!(again.get("/horse/odds").status(), 200);
    assert_eq!(again.wire().tls().handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(!proxy.admin().get("/api/v1/status").text().contains("bet.example.key"), "the alarm is settled");
    assert_eq!((changes("rejected"), changes("reloaded")), (1.0, 1.0));
}

#[test]
fn going_down_ends_connections_through_tls_too() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &authority.listen(&[NAME]));
    let mut client = authority.client(&[]).connect(proxy.address(), NAME).unwrap();
    assert_eq!(client.get("/horse/odds").status(), 200);
    proxy.stop();
    client.is_closed();
}

#[test]
fn who_finds_no_room_hears_nothing_in_the_clear() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = start(&backend, &format!("connections = 1\n{}", authority.listen(&[NAME])));
    let mut first = authority.client(&[]).connect(proxy.address(), NAME).unwrap();
    assert_eq!(first.get("/horse/odds").status(), 200);
    proxy.client().is_closed();
    assert_eq!(first.get("/horse/odds").status(), 200);
}
