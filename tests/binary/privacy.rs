//! No customer is known by the log, the metrics or the status.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::process::{Sluss, sluss};

/// What customers and machines are known by in this test. None of it is a word that a proxy might say by itself.
const NAMES: [&str; 8] = [
    "anna-of-the-header",
    "anna-of-the-login",
    "annas-session-cookie",
    "a-made-up-cookie",
    "bm90LWEtdG9rZW4.c2lnbmVk.YnktYW55Ym9keQ",
    "a-secret-of-the-feed",
    "203.0.113.77",
    "2001:db8:77",
];

/// Logins bind a session; `/horse/gone` is hung up on.
fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..n]);
        if seen.windows(4).any(|window| window == b"\r\n\r\n") {
            if seen.starts_with(b"GET /horse/gone") {
                return;
            }
            seen.clear();
            thread::sleep(Duration::from_millis(5));
            let says = "HTTP/1.1 200 OK\r\nx-account: anna-of-the-login\r\nset-cookie: session=annas-session-cookie\r\n\
                        content-length: 5\r\n\r\nwhole";
            let _ = stream.write_all(says.as_bytes());
        }
    }
}

fn config(folder: &Path) -> PathBuf {
    std::fs::write(folder.join("feed.token"), "a-secret-of-the-feed").expect("a disk");
    std::fs::write(folder.join("jwt.secret"), "0123456789abcdef0123456789abcdef").expect("a disk");
    let backend = backend();
    let text = format!(
        r#"log = "json"
[listen]
address = "127.0.0.1:0"
trusted = ["127.0.0.0/8"]
[admin]
address = "127.0.0.1:0"
[customer]
from = [
    {{ header = "x-customer" }},
    {{ jwt = {{ header = "authorization", keys = [{{ file = "jwt.secret", algorithm = "HS256" }}] }} }},
    {{ cookie = "session", bound_by = {{ header = "x-account" }} }},
]
at_once = 1
at_once_per_address = 2
[[machine]]
name = "feed"
token_header = "x-feed"
token_file = "feed.token"
at_once = 1
[[product]]
name = "horse-racing"
match = [{{ path = "/" }}]
backends = ["http://{backend}"]
limit = 2
queue = {{ longest_wait = "20ms", length = 4 }}
[[product.class]]
class = "start"
match = [{{ path = "/horse/login" }}]
"#
    );
    let path = folder.join("sluss.toml");
    std::fs::write(&path, text).expect("a disk");
    path
}

fn ask(address: &str, path: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bet.example\r\nconnection: close\r\n{lines}\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn no_customer_is_in_the_log_the_metrics_or_the_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Sluss::start_talkative(&config(folder.path()));
    let everybody = [
        "x-customer: anna-of-the-header\r\nx-forwarded-for: 203.0.113.77",
        "cookie: session=a-made-up-cookie\r\nx-forwarded-for: 203.0.113.77",
        "cookie: session=annas-session-cookie\r\nx-forwarded-for: 2001:db8:77::1",
        "authorization: Bearer bm90LWEtdG9rZW4.c2lnbmVk.YnktYW55Ym9keQ\r\nx-forwarded-for: 203.0.113.77",
        "x-feed: a-secret-of-the-feed\r\nx-forwarded-for: 203.0.113.77",
    ];
    let clients: Vec<_> = (0..10)
        .map(|n| {
            let address = running.address.clone();
            thread::spawn(move || {
                for lines in everybody.iter().cycle().skip(n).take(20) {
                    for path in ["/horse/login", "/horse/odds", "/horse/gone", "/horse/../up"] {
                        assert!(ask(&address, path, lines).starts_with("HTTP/1.1 "), "{path}");
                    }
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("no client fails"));
    let metrics = ask(&running.admin, "/metrics", "accept: */*");
    for moved in [
        "tokens_total{verdict=\"malformed\"}",
        "sessions_bound_total",
        "machine_refusals_total{machine=\"feed\",refusal=\"over_customer_share\"}",
        "faults_total{fault=\"backend_broken_answer\"}",
    ] {
        let line = metrics.lines().find_map(|line| line.strip_prefix("sluss_proxy_")?.strip_prefix(moved));
        let count: f64 =
            line.and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("no {moved}\n{metrics}"));
        assert!(count > 0.0, "it was no busy run: {moved}");
    }
    let status = ask(&running.admin, "/api/v1/status", "accept: */*");
    sluss(&["park", "horse-racing", "--reason", "a test", "--admin", &running.admin]);
    while !running.log().contains("state changed") {
        thread::sleep(Duration::from_millis(10));
    }
    let journal = std::fs::read_to_string(folder.path().join("sluss.journal")).expect("it keeps a journal");
    for (place, text) in [("log", running.log()), ("metrics", metrics), ("status", status), ("journal", journal)] {
        for name in NAMES {
            assert!(!text.contains(name), "{name} stands in the {place}:\n{text}");
        }
    }
}
