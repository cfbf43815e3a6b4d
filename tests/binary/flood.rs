//! More than the proxy has room for: connections, descriptors, memory. Those who are inside are served all along, and
//! all is as before when it is over.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::process::{Sluss, config, sluss_fails};
use super::{get, slow_backend};

/// Only what hangs takes as long.
const GUARD: Duration = Duration::from_secs(30);

/// A customer who asks again and again on one connection.
struct Customer {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    asking: JoinHandle<Vec<Duration>>,
}

impl Customer {
    /// One who has been answered already. Any other answer than one of these ends it.
    fn at(address: &str, good: &'static [u16]) -> Customer {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (told, count, address) = (stop.clone(), answers.clone(), address.to_owned());
        let asking = thread::spawn(move || {
            let mut connection = Connection::to(&address);
            let mut took = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let status = connection.ask("/horse/odds");
                assert!(good.contains(&status), "{status} after {} answers", took.len());
                took.push(asked.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
            took
        });
        let customer = Customer { stop, answers, asking };
        until("it is inside", || customer.answers.load(Ordering::Relaxed) > 0);
        customer
    }

    /// It has had all its answers, and gets more. The slowest of a hundred is written down for whoever reads the log.
    #[allow(clippy::print_stderr, reason = "a figure to look at, that no test may depend on")]
    fn goes_on(self, story: &str) {
        let so_far = self.answers.load(Ordering::Relaxed);
        until("more answers", || self.asking.is_finished() || self.answers.load(Ordering::Relaxed) > so_far + 10);
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.asking.join().expect("every answer was good");
        took.sort();
        eprintln!("{story}: {} answers, p99 {:?}", took.len(), took[took.len() * 99 / 100]);
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(address: &str) -> Connection {
        let stream = TcpStream::connect(address).expect("the proxy listens");
        stream.set_read_timeout(Some(GUARD)).expect("a socket");
        Connection(BufReader::new(stream))
    }

    /// The status of the answer; 0 when there is none.
    fn ask(&mut self, path: &str) -> u16 {
        if write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nhost: bet.example\r\n\r\n").is_err() {
            return 0;
        }
        self.answer()
    }

    fn answer(&mut self) -> u16 {
        let (mut status, mut length) = (0, 0);
        for line in self.0.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        if self.0.read_exact(&mut body).is_err() { 0 } else { status }
    }
}

fn metric(sluss: &Sluss, series: &str) -> f64 {
    let text = get(&sluss.admin, "/metrics").unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or(0.0)
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + GUARD;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A proxy of two workers, with these lines for `[listen]`.
fn configured(folder: &Path, listen: &str) -> PathBuf {
    let path = config(folder, &slow_backend(Duration::from_millis(1)), "limit = 20");
    let text = fs::read_to_string(&path).expect("just written");
    fs::write(&path, text.replacen("[listen]\n", &format!("[listen]\nworkers = 2\n{listen}\n"), 1)).expect("a disk");
    path
}

/// So many who connect and say nothing.
fn crowd(address: &str, many: usize) -> Vec<TcpStream> {
    // The kernel's own queue may be full for a moment: who is not let in at once comes no second time.
    let address = address.parse().expect("an address");
    (0..many).filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()).collect()
}

#[test]
fn ten_times_as_many_connections_as_descriptors_allow_hurt_nobody_who_is_inside() {
    rlimit::increase_nofile_limit(8192).expect("descriptors for the crowd");
    let folder = tempfile::tempdir().expect("a folder");
    let running = Sluss::start_with(400, &configured(folder.path(), ""));
    let most = metric(&running, "sluss_proxy_connections_limit");
    assert_eq!(most, 128.0, "two descriptors each, of what is left of 400");
    let before = metric(&running, "process_resident_memory_bytes");
    let customer = Customer::at(&running.address, &[200]);
    let floods: Vec<Vec<TcpStream>> = (0..3).map(|_| crowd(&running.address, 10 * most as usize)).collect();
    until("many were turned away", || {
        metric(&running, "sluss_proxy_connections_closed_total{reason=\"too_many\"}") > most
    });
    assert!(metric(&running, "sluss_proxy_connections") <= most);
    until("the silent leave for others", || {
        let mut newcomer = Connection::to(&running.address);
        newcomer.ask("/horse/odds") == 200
    });
    drop(floods);
    until("they have gone", || metric(&running, "sluss_proxy_connections") < most / 2.0);
    assert!(Connection::to(&running.address).ask("/horse/odds") == 200);
    customer.goes_on("a crowd of ten times the bound");
    let after = metric(&running, "process_resident_memory_bytes");
    assert!(after - before < f64::from(64 << 20), "{before} before, {after} after");
    assert!(running.terminate().success());
}

/// Whether the other side has closed it.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    !matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn thousands_of_connections_to_the_admin_address_shut_out_neither_customers_nor_operators() {
    /// Connections that the admin address holds.
    const PLACES: usize = 32;
    rlimit::increase_nofile_limit(8192).expect("descriptors for the crowd");
    let folder = tempfile::tempdir().expect("a folder");
    let running = Sluss::start_with(400, &configured(folder.path(), ""));
    let customer = Customer::at(&running.address, &[200]);
    let mut floods: Vec<TcpStream> = (0..4).flat_map(|_| crowd(&running.admin, 500)).collect();
    assert!(floods.len() > 1000, "{} came in", floods.len());
    until("an operator is heard", || get(&running.admin, "/livez").is_ok_and(|answer| answer.ends_with("alive\n")));
    until("the silent have left", || floods.iter().filter(|one| !is_closed(one)).count() <= PLACES);
    let open = metric(&running, "process_open_fds");
    assert!(open < 150.0, "{open} descriptors in use, of which 32 are operators'");
    // Who speaks keeps their place, though three times as many come as there are places.
    let mut operator = Connection::to(&running.admin);
    for _ in 0..12 {
        assert_eq!(operator.ask("/livez"), 200);
        floods.extend(crowd(&running.admin, PLACES / 4));
    }
    assert_eq!(operator.ask("/livez"), 200);
    let mut others: Vec<_> = (0..100).map(|_| Connection::to(&running.address)).collect();
    assert!(others.iter_mut().all(|other| other.ask("/horse/odds") == 200));
    customer.goes_on("a crowd at the admin address");
    assert!(running.log().contains("the admin address is full"), "{}", running.log());
    assert!(running.terminate().success());
}

#[test]
fn without_a_descriptor_left_those_inside_are_served_and_others_as_soon_as_there_is_one() {
    rlimit::increase_nofile_limit(8192).expect("descriptors for the crowd");
    let folder = tempfile::tempdir().expect("a folder");
    let running = Sluss::start_with(400, &configured(folder.path(), ""));
    let customer = Customer::at(&running.address, &[200]);
    // Whatever eats them up: here it is the system that gives no more.
    running.may_open_files_below(10);
    // More than a worker's backlog would take from the first: at least one of these waits to be accepted.
    let mut waiting: Vec<Connection> = (0..8).map(|_| Connection::to(&running.address)).collect();
    for connection in &mut waiting {
        write!(connection.0.get_mut(), "GET /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n").expect("a socket");
    }
    thread::sleep(Duration::from_millis(300));
    running.may_open_files_below(400);
    for connection in &mut waiting {
        assert!(matches!(connection.answer(), 200 | 503), "who waited in the backlog is answered");
    }
    until("it was noticed", || metric(&running, "sluss_proxy_accept_failures_total{reason=\"descriptors\"}") >= 1.0);
    assert!(Connection::to(&running.address).ask("/horse/odds") == 200);
    customer.goes_on("no descriptor left");
    assert!(running.terminate().success());
}

#[test]
fn bodies_that_drip_in_fill_no_more_memory_than_there_is() {
    rlimit::increase_nofile_limit(8192).expect("descriptors for the crowd");
    let folder = tempfile::tempdir().expect("a folder");
    let running = Sluss::start(&configured(folder.path(), "memory = \"16MiB\"\nconnections = 2000"));
    let before = metric(&running, "process_resident_memory_bytes");
    let customer = Customer::at(&running.address, &[200, 503]);
    let mut dripping = crowd(&running.address, 700);
    let head = "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 64000\r\n\r\n".to_owned();
    for piece in std::iter::once(head).chain((0..6).map(|_| "b".repeat(10_000))) {
        for stream in &mut dripping {
            // Those that were turned away have gone; the others hold what they sent.
            let _ = stream.set_nonblocking(true);
            let _ = stream.write(piece.as_bytes());
        }
    }
    until("it is nearly full", || metric(&running, "sluss_proxy_memory_bytes") > f64::from(12 << 20));
    let most = metric(&running, "sluss_proxy_memory_bytes");
    assert!(most < f64::from(18 << 20), "{most}");
    let full = metric(&running, "process_resident_memory_bytes");
    assert!(full - before < f64::from(96 << 20), "{before} before, {full} when full");
    drop(dripping);
    until("it is given back", || metric(&running, "sluss_proxy_memory_bytes") < f64::from(2 << 20));
    until("everybody is served again", || Connection::to(&running.address).ask("/horse/odds") == 200);
    // An ordinary request may hear a no while memory is full: that is the order that is promised. Its connection stays.
    customer.goes_on(&format!("bodies that drip in, {} bytes more at the most", full - before));
    assert!(running.terminate().success());
}

#[test]
fn a_proxy_with_hardly_a_descriptor_does_not_start_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = configured(folder.path(), "connections = 100");
    let run = format!("ulimit -n 150; exec {} run --config {}", env!("CARGO_BIN_EXE_sluss"), path.display());
    let output = std::process::Command::new("sh").args(["-c", &run]).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("150 file descriptors are too few") && said.contains("LimitNOFILE"), "{said}");
    assert!(sluss_fails(&["run", "--config", "/nowhere"], 1).contains("no such file"));
}
