//! The binary is changed under TLS, HTTP/2 and WebSockets: what is open goes on where it is, and what comes finds the same
//! certificate and its session.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};
use rcgen::{CertificateParams, KeyPair};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use super::process::{Sluss, config, sluss};
use super::upgrade::until;
use super::{get, slow_backend};

const NAME: &str = "bet.example";

/// A proxy with a certificate, and what its clients trust.
struct House {
    folder: tempfile::TempDir,
    path: PathBuf,
    roots: RootCertStore,
}

impl House {
    fn in_front_of(backend: &str, keys: &str, tables: &str) -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let certificate =
            CertificateParams::new([NAME.to_owned()]).expect("a name").self_signed(&key).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("a sound certificate");
        let place = |name: &str| folder.path().join(name);
        std::fs::write(place("chain.pem"), certificate.pem()).expect("a disk");
        std::fs::write(place("key.pem"), key.serialize_pem()).expect("a disk");
        let path = config(folder.path(), backend, keys);
        let tls = "[listen.tls]\ncertificates = [{ chain = \"chain.pem\", key = \"key.pem\" }]";
        let text = std::fs::read_to_string(&path).expect("the configuration");
        let text = text.replacen("[listen]", "[listen]\nworkers = 2", 1);
        std::fs::write(&path, text.replacen("[[product]]", &format!("{tls}\n{tables}\n[[product]]"), 1))
            .expect("a disk");
        House { folder, path, roots }
    }

    fn client(&self, protocol: &str, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("a version");
        let mut config = config.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    }
}

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn connect(client: &Arc<ClientConfig>, address: &str) -> Secure {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let name = NAME.try_into().expect("a name");
    StreamOwned::new(ClientConnection::new(client.clone(), name).expect("a sound configuration"), stream)
}

/// A whole answer of the slow backend.
fn asks(stream: &mut Secure) {
    stream.write_all(b"GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\n\r\n").expect("it reads");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\nwhole") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&heard)));
        heard.push(byte[0]);
    }
}

fn upgrade(running: &Sluss) {
    sluss(&["upgrade", "--reason", "a test", "--admin", &running.admin]);
}

/// The same, while other things go on.
async fn upgrade_beside(running: &Sluss) {
    let admin = running.admin.clone();
    let order = move || sluss(&["upgrade", "--reason", "a test", "--admin", &admin]);
    tokio::task::spawn_blocking(order).await.expect("it is done");
}

/// Of the process that takes requests.
fn handshakes(running: &Sluss, outcome: &str) -> f64 {
    let metrics = get(&running.admin, "/metrics").expect("metrics");
    let name = format!("sluss_proxy_tls_handshakes_total{{outcome=\"{outcome}\"}} ");
    let found = metrics.lines().find_map(|line| line.strip_prefix(&name));
    found.map_or(0.0, |value| value.parse().expect("a number"))
}

/// A backend of WebSockets that gives back whatever it hears.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let _ = stream.write_all(SWITCHES.as_bytes());
                while stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).is_ok() {}
            });
        }
    });
    address
}

const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn websocket(client: &Arc<ClientConfig>, address: &str) -> Secure {
    let mut stream = connect(client, address);
    let request = "GET /horse/live HTTP/1.1\r\nhost: bet.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

fn says(stream: &mut Secure, word: &str) {
    stream.write_all(word.as_bytes()).expect("it is open");
    let mut heard = vec![0; word.len()];
    stream.read_exact(&mut heard).expect("it is open");
    assert_eq!(heard, word.as_bytes());
}

#[test]
fn a_websocket_goes_on_through_a_reload_and_an_upgrade_for_as_long_as_its_client_likes() {
    let house = House::in_front_of(&echo(), "upgrade = [\"websocket\"]", "");
    let mut running = Sluss::start(&house.path);
    let client = house.client("http/1.1", &[&TLS13]);
    let mut before = websocket(&client, &running.address);
    says(&mut before, "before");
    let text = std::fs::read_to_string(&house.path).expect("the configuration");
    std::fs::write(&house.path, text.replace("[[product]]", "[[product]]\nretry_budget = 7")).expect("a disk");
    sluss(&["reload", "--admin", &running.admin]);
    says(&mut before, "after a reload");
    running.signal("USR2");
    until("it has followed", || running.followers().len() == 1);
    // The old one may let somebody in until it has heard that it is followed.
    let mut after = loop {
        let all = || handshakes(&running, "full") + handshakes(&running, "resumed");
        let (before, stream) = (all(), websocket(&client, &running.address));
        if all() > before {
            break stream;
        }
    };
    for n in 0..20 {
        says(&mut before, &format!("old {n}"));
        says(&mut after, &format!("new {n}"));
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!running.has_ended());
    drop(before);
    until("the old one has nobody left", || running.has_ended());
    says(&mut after, "still there");
}

#[test]
fn a_websocket_is_cut_at_the_end_of_the_drain_and_not_before() {
    let house = House::in_front_of(&echo(), "upgrade = [\"websocket\"]", "[upgrade]\ndrain = \"3s\"");
    let mut running = Sluss::start(&house.path);
    let mut stream = websocket(&house.client("http/1.1", &[&TLS13]), &running.address);
    let begun = Instant::now();
    upgrade(&running);
    says(&mut stream, "still there");
    let end = stream.read(&mut [0; 1]);
    assert!(matches!(end, Ok(0)) || end.is_err(), "{end:?}");
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    until("the old one ends", || running.has_ended());
    assert!(running.log().contains("the drain time is over"));
}

#[test]
fn a_ticket_of_the_old_process_resumes_at_the_new_one_and_at_the_one_after_that() {
    let house = House::in_front_of(&slow_backend(Duration::ZERO), "", "");
    let mut running = Sluss::start(&house.path);
    for version in [&TLS13, &TLS12] {
        let client = house.client("http/1.1", &[version]);
        let mut first = connect(&client, &running.address);
        asks(&mut first);
        assert_eq!(first.conn.handshake_kind(), Some(HandshakeKind::Full));
        drop(first);
        let generations = running.followers().len();
        for generation in 1..=2 {
            let process = running.followers().last().copied();
            upgrade(&running);
            until("it has followed", || running.followers().len() == generations + generation);
            until("the one before has ended", || match process {
                None => running.has_ended(),
                Some(process) => !super::process::is_sluss(process),
            });
            let mut again = connect(&client, &running.address);
            asks(&mut again);
            assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?} {generation}");
            assert_eq!((handshakes(&running, "resumed"), handshakes(&running, "full")), (1.0, 0.0));
        }
    }
    drop(house.folder);
}

/// One connection of HTTP/2, and how it ends.
struct Http2 {
    requests: SendRequest<Bytes>,
    end: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

async fn http2(client: &Arc<ClientConfig>, address: &str) -> Http2 {
    let stream = tokio::net::TcpStream::connect(address).await.expect("somebody listens");
    let name = NAME.try_into().expect("a name");
    let stream = TlsConnector::from(client.clone()).connect(name, stream).await.expect("the same certificate");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    Http2 { requests, end: tokio::spawn(connection) }
}

/// A whole answer.
async fn answer(asked: h2::client::ResponseFuture) -> Result<(), h2::Error> {
    let (head, mut body) = asked.await?.into_parts();
    assert_eq!(head.status, StatusCode::OK);
    let mut heard = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        heard.extend_from_slice(&piece);
    }
    assert_eq!(heard, b"whole");
    Ok(())
}

fn odds() -> Request<()> {
    Request::get(format!("https://{NAME}/horse/odds")).body(()).expect("a request")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), work).await.expect("it does not take so long")
    })
}

#[test]
fn a_client_of_http2_hears_its_answers_to_the_end_and_is_told_to_leave() {
    let house = House::in_front_of(&slow_backend(Duration::from_secs(2)), "limit = 20", "");
    let mut running = Sluss::start(&house.path);
    let client = house.client("h2", &[&TLS13]);
    run(async {
        let Http2 { mut requests, end } = http2(&client, &running.address).await;
        let asked: Vec<_> =
            (0..10).map(|_| requests.send_request(odds(), true).expect("an open connection").0).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        upgrade_beside(&running).await;
        for one in asked {
            answer(one).await.expect("a whole answer");
        }
        end.await.expect("no panic").expect("GOAWAY without an error");
        let mut next = http2(&client, &running.address).await;
        let (asked, _) = next.requests.send_request(odds(), true).expect("an open connection");
        answer(asked).await.expect("a whole answer");
    });
    until("the old one has nobody left", || running.has_ended());
}

/// Ask three things at once, again and again, and connect anew when told to leave: how many were served.
async fn asks_on(client: Arc<ClientConfig>, address: String, over: Arc<AtomicBool>, served: Arc<AtomicUsize>) -> usize {
    let mut connections = 0;
    while !over.load(Ordering::SeqCst) {
        let Http2 { mut requests, end } = http2(&client, &address).await;
        connections += 1;
        while !over.load(Ordering::SeqCst) {
            // Told to leave: not one of these has been sent.
            let Ok(ready) = requests.clone().ready().await else { break };
            requests = ready;
            let asked = (0..3).map_while(|_| requests.send_request(odds(), true).ok()).map(|(asked, _)| asked);
            for one in asked.collect::<Vec<_>>() {
                answer(one).await.expect("every request that was sent is answered");
                served.fetch_add(1, Ordering::SeqCst);
            }
        }
        drop(requests);
        // Whether its last word still reaches somebody is nobody's concern.
        let _ = end.await.expect("no panic");
    }
    connections
}

#[test]
fn under_a_constant_load_of_http2_the_binary_is_changed_twice_and_every_request_is_answered() {
    let house = House::in_front_of(&slow_backend(Duration::from_millis(5)), "", "");
    let mut running = Sluss::start(&house.path);
    let client = house.client("h2", &[&TLS13]);
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicUsize>::default());
    let (address, ends, counts) = (running.address.clone(), over.clone(), served.clone());
    let load = thread::spawn(move || {
        run(async {
            let mut customers = tokio::task::JoinSet::new();
            for _ in 0..8 {
                customers.spawn(asks_on(client.clone(), address.clone(), ends.clone(), counts.clone()));
            }
            customers.join_all().await
        })
    });
    let serve = |more: usize| {
        let enough = served.load(Ordering::SeqCst) + more;
        until("customers are served", || served.load(Ordering::SeqCst) >= enough || load.is_finished());
        assert!(!load.is_finished(), "somebody was not served");
    };
    serve(200);
    for generation in 0..2 {
        let process = running.followers().last().copied();
        upgrade(&running);
        serve(200);
        until("it has followed", || running.followers().len() == generation + 1);
        until("the one before has ended", || match process {
            None => running.has_ended(),
            Some(process) => !super::process::is_sluss(process),
        });
    }
    serve(200);
    over.store(true, Ordering::SeqCst);
    let connections = load.join().expect("everybody is content");
    assert!(
        connections.iter().all(|connections| *connections >= 3),
        "everybody was told to leave twice: {connections:?}"
    );
}
