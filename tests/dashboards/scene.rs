//! Everything that a board tells of, brought about: a proxy between clients and backends of all sorts.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::processes::{GUARD, Prometheus, Sluss, ask};

/// Fields go down in this order: the load first.
pub(crate) struct Scene {
    _load: Threads,
    pub(crate) prometheus: Prometheus,
    sluss: Sluss,
    _backends: Threads,
    _refusing: Deaf,
    _folder: TempDir,
}

/// An address that is taken and refuses connections: bound, never listening.
type Deaf = socket2::Socket;

#[derive(Default)]
struct Threads {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

/// What a backend does with a request.
#[derive(Clone, Copy)]
enum Does {
    AnswersAfter(Duration),
    Fails,
    BreaksOff,
    Hangs,
}

const CONNECTIONS: usize = 40;
const SCHEDULE: &str = "[[event]]\nid = \"final\"\nproduct = \"sport\"\nstop = 2099-05-01T18:00:00Z\n\
                        [[event]]\nid = \"semi-final\"\nproduct = \"sport\"\nstop = 2099-05-01T16:00:00Z\n";

impl Scene {
    /// Everything runs, and Prometheus has seen how it was before the load.
    pub(crate) fn start() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let mut backends = Threads::default();
        let mut backend = |does| backends.backend(does);
        let slow = backend(Does::AnswersAfter(Duration::from_millis(50)));
        let quick = backend(Does::AnswersAfter(Duration::from_millis(20)));
        let failing = backend(Does::Fails);
        let breaking = backend(Does::BreaksOff);
        let hanging = backend(Does::Hangs);
        let refusing = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        refusing.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let refuses = refusing.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket");
        let product = |name: &str, address: SocketAddr, keys: &str| {
            format!(
                "[[product]]\nname = {name:?}\nmatch = [{{ path = \"/{name}/\" }}]\nbackends = [\"http://{address}\"]\n{keys}\n"
            )
        };
        let config = [
            "journal = \"off\"\nlog = \"json\"\n".to_owned(),
            format!(
                "[listen]\naddress = \"127.0.0.1:0\"\nworkers = 1\nheader_timeout = \"500ms\"\nconnections = {CONNECTIONS}\n"
            ),
            "[admin]\naddress = \"127.0.0.1:0\"\n[event]\nfrom = [{ header = \"x-event\" }]\n".to_owned(),
            "[schedule]\nfile = \"schedule.toml\"\n[[budget]]\nname = \"wallet\"\nclasses = [\"commit\"]\n".to_owned(),
            product("horse", slow, "limit = 2\nqueue = { length = 3 }"),
            "[[product.class]]\nclass = \"protected\"\nmatch = [{ path = \"/horse/logout\" }]\n".to_owned(),
            product("sport", quick, "limit = 64"),
            "[[product.class]]\nclass = \"commit\"\nmatch = [{ method = \"POST\" }]\n".to_owned(),
            product("failing", failing, ""),
            product("breaking", breaking, ""),
            product("hanging", hanging, "first_byte_timeout = \"200ms\""),
            product("refusing", refuses, ""),
        ];
        std::fs::write(folder.path().join("schedule.toml"), SCHEDULE).expect("the folder can be written to");
        let sluss = Sluss::start(folder.path(), &config.concat());
        let prometheus = Prometheus::start(folder.path(), sluss.admin);
        prometheus.until("count_over_time(up{job=\"sluss\"}[1m]) >= 2 and up == 1");
        let load = load(sluss.address);
        Scene { _load: load, prometheus, sluss, _backends: backends, _refusing: refusing, _folder: folder }
    }

    /// What operators and feeds do, each until Prometheus has seen it.
    pub(crate) fn play(&self) {
        self.order(&json!({"order": "bypass", "on": true}));
        self.prometheus.until("sluss_admission_bypass == 1");
        self.order(&json!({"order": "bypass", "on": false}));
        self.prometheus.until("sluss_admission_bypass == 0");
        self.order(&json!({"order": "observe", "on": true}));
        self.prometheus.until("sluss_admission_observe_only == 1");
        self.prometheus.until("sum(rate(sluss_admission_would_refuse_total[5s])) > 0");
        self.order(&json!({"order": "observe", "on": false}));
        self.prometheus.until("sluss_admission_observe_only == 0");
        self.sluss.tell("/api/v1/signals", &json!({"signal": "close", "event": "final", "source": "the test"}));
        self.sluss.tell("/api/v1/events/semi-final/stop", &json!({"stop": "+15m", "reason": "a test"}));
        // A ramp is over in seconds, and whether anybody is in flight when it is looked at is chance.
        let seen = "max_over_time((sluss_admission_in_flight_seats{product=\"sport\"} and on (product) \
                    sluss_admission_ramp_seats{product=\"sport\"} > 0)[1m:1s]) > 0";
        loop {
            self.order(&json!({"order": "park", "product": "sport"}));
            self.prometheus.until("sluss_admission_state{product=\"sport\", state=\"parked\"} == 1");
            self.order(&json!({"order": "reopen", "product": "sport"}));
            self.prometheus.until("sluss_admission_ramp_seats{product=\"sport\"} > 0");
            self.prometheus.until("sluss_admission_state{product=\"sport\", state=\"open\"} == 1");
            if self.prometheus.has(seen) {
                break;
            }
        }
        self.sluss.tell("/api/v1/reload", &json!({"who": "the test"}));
        self.prometheus.until("changes(sluss_config_taken_up_time_seconds[1m]) > 0");
    }

    fn order(&self, order: &Value) {
        let mut order = order.clone();
        order["reason"] = "a test".into();
        self.sluss.tell("/api/v1/orders", &order);
    }
}

/// Customers until it is dropped; they expect nothing, for many of them are refused.
fn load(proxy: SocketAddr) -> Threads {
    let mut load = Threads::default();
    let asking = move |line: &'static str| {
        move || {
            let _ = ask(proxy, line, "", "");
        }
    };
    // Twice three seats and places in the queue: somebody always waits, and somebody is refused.
    for _ in 0..6 {
        load.again(Duration::from_millis(10), asking("GET /horse/odds"));
    }
    for _ in 0..2 {
        load.again(Duration::from_millis(5), asking("GET /horse/logout"));
        load.again(Duration::from_millis(5), asking("POST /sport/bets"));
    }
    for line in ["GET /failing/x", "GET /breaking/x", "GET /hanging/x", "GET /refusing/x", "GET /nowhere"] {
        load.again(Duration::from_millis(100), asking(line));
    }
    // Hangs up before its turn can have come.
    load.again(Duration::from_millis(10), move || {
        if let Ok(mut stream) = TcpStream::connect(proxy) {
            let _ = stream.write_all(b"GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\n\r\n");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    // More connections than there may be, that ask nothing: some are too many, the others too slow.
    load.again(Duration::from_secs(2), move || {
        let idle: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(proxy)).collect();
        for stream in idle.into_iter().flatten() {
            let _ = stream.set_read_timeout(Some(GUARD)).and_then(|()| (&stream).read(&mut [0]));
        }
    });
    load
}

impl Threads {
    /// Do this again and again, with a pause between.
    fn again(&mut self, pause: Duration, act: impl Fn() + Send + 'static) {
        let stop = self.stop.clone();
        self.running.push(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                act();
                std::thread::sleep(pause);
            }
        }));
    }

    fn backend(&mut self, does: Does) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        listener.set_nonblocking(true).expect("a socket of ours");
        self.again(Duration::from_millis(1), move || {
            while let Ok((stream, _)) = listener.accept() {
                // Ends when the proxy, which the test ends, hangs up.
                std::thread::spawn(move || does.converse(stream));
            }
        });
        address
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Does {
    fn converse(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        loop {
            // No request of the test has a body.
            while !lines.next().ok_or(io::ErrorKind::UnexpectedEof)??.is_empty() {}
            match self {
                Does::AnswersAfter(pause) => {
                    std::thread::sleep(pause);
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
                }
                Does::Fails => (&stream).write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")?,
                Does::BreaksOff => return Ok(()),
                Does::Hangs => {}
            }
        }
    }
}
