//! What one process knows is known to the one that follows: bets, passes, promised turns, sessions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};

use super::get;
use super::process::{Sluss, config, sluss, tell};
use super::upgrade::until;

/// A backend that gives each bet a receipt of its own, when it is let. Odds it gives at once; of `/horse/lost` it takes the
/// bet and says nothing.
struct Bookmaker {
    address: String,
    bets: Arc<AtomicUsize>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Bookmaker {
    fn new(open: bool) -> Bookmaker {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (bets, open) = (Arc::<AtomicUsize>::default(), Arc::new((Mutex::new(open), Condvar::new())));
        let (taken, door) = (bets.clone(), open.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (taken, door) = (taken.clone(), door.clone());
                thread::spawn(move || serve(stream, &taken, &door));
            }
        });
        Bookmaker { address, bets, open }
    }

    fn lets(&self) {
        *self.open.0.lock().expect("nobody panics") = true;
        self.open.1.notify_all();
    }

    fn bets(&self) -> usize {
        self.bets.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, bets: &AtomicUsize, open: &(Mutex<bool>, Condvar)) {
    let mut stream = BufReader::new(stream);
    while let Ok(head) = head_of(&mut stream) {
        let receipt = if head.starts_with("POST ") {
            let number = bets.fetch_add(1, Ordering::SeqCst);
            if head.contains("/lost") {
                return;
            }
            let door = open.0.lock().expect("nobody panics");
            drop(open.1.wait_while(door, |open| !*open).expect("nobody panics"));
            format!("receipt {number}")
        } else {
            "odds".to_owned()
        };
        let length = receipt.len();
        let answer = format!("HTTP/1.1 201 Created\r\nx-account: anna\r\ncontent-length: {length}\r\n\r\n{receipt}");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn head_of(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::Error::other("the end"));
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    std::io::copy(
        &mut stream.take(length.map_or(0, |length| length.parse().expect("a number"))),
        &mut std::io::sink(),
    )?;
    Ok(head)
}

/// A connection that its client keeps.
struct Client(BufReader<TcpStream>);

impl Client {
    fn to(address: &str) -> Client {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        Client(BufReader::new(stream))
    }

    fn say(&mut self, path: &str, key: &str) {
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: h\r\nidempotency-key: {key}\r\ncontent-length: 5\r\n\r\n10kr.");
        self.0.get_mut().write_all(request.as_bytes()).expect("it reads");
    }

    /// Status and body.
    fn hears(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).expect("an answer") > 0, "the end, after {head:?}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        self.0.read_exact(&mut body).expect("a whole answer");
        (head[9..12].parse().expect("a status"), String::from_utf8(body).expect("text"))
    }

    fn bets(&mut self, key: &str) -> (u16, String) {
        self.say("/horse/bets", key);
        self.hears()
    }
}

fn asks(address: &str, path: &'static str, key: &'static str) -> JoinHandle<(u16, String)> {
    let mut client = Client::to(address);
    client.say(path, key);
    thread::spawn(move || client.hears())
}

/// Connections are told to leave late, so that those to the old process can be used.
fn house(folder: &Path, bookmaker: &Bookmaker, keys: &str, tables: &str) -> PathBuf {
    let path = config(folder, &bookmaker.address, keys);
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let text = text
        .replace("drain = \"10s\"", "drain = \"40s\"")
        .replace("spread = \"500ms\"", "spread = \"20s\"\ntrusted = [\"127.0.0.0/8\"]");
    std::fs::write(&path, text.replacen("[[product]]", &format!("{tables}\n[[product]]"), 1)).expect("a disk");
    path
}

fn upgrade(running: &Sluss) {
    sluss(&["upgrade", "--reason", "a test", "--admin", &running.admin]);
    until("it has handed over", || running.log().contains("what the process before this one knew is known here"));
}

fn receipt(number: usize) -> (u16, String) {
    (201, format!("receipt {number}"))
}

#[test]
fn a_bet_that_was_answered_before_an_upgrade_hears_the_same_after_it_and_goes_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let running = Sluss::start(&house(folder.path(), &bookmaker, "", ""));
    assert_eq!(Client::to(&running.address).bets("one"), receipt(0));
    let lost = asks(&running.address, "/horse/bets/lost", "two").join().expect("no panic");
    assert_eq!(lost.0, 502, "{}", lost.1);
    upgrade(&running);
    assert_eq!(Client::to(&running.address).bets("one"), receipt(0));
    let unknown = asks(&running.address, "/horse/bets/lost", "two").join().expect("no panic");
    assert!(unknown.1.contains("outcome_unknown"), "{unknown:?}");
    assert_eq!(bookmaker.bets(), 2);
    assert_eq!(Client::to(&running.address).bets("three"), receipt(2), "and another bet is another");
}

#[test]
fn a_bet_under_way_during_an_upgrade_is_waited_for_and_not_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(false);
    let running = Sluss::start(&house(folder.path(), &bookmaker, "", ""));
    let first = asks(&running.address, "/horse/bets", "one");
    until("it is sent", || bookmaker.bets() == 1);
    let beside = asks(&running.address, "/horse/bets", "one");
    upgrade(&running);
    let again: Vec<_> = (0..3).map(|_| asks(&running.address, "/horse/bets", "one")).collect();
    thread::sleep(Duration::from_millis(300));
    assert!(again.iter().all(|one| !one.is_finished()), "they wait for what the first hears");
    bookmaker.lets();
    for one in again.into_iter().chain([first, beside]) {
        assert_eq!(one.join().expect("no panic"), receipt(0));
    }
    assert_eq!(Client::to(&running.address).bets("one"), receipt(0));
    assert_eq!(bookmaker.bets(), 1);
}

#[test]
fn bets_on_connections_to_the_old_process_are_decided_by_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let mut running = Sluss::start(&house(folder.path(), &bookmaker, "", ""));
    let mut old: Vec<Client> = (0..3).map(|_| Client::to(&running.address)).collect();
    assert!(old.iter_mut().enumerate().all(|(n, client)| client.bets(&format!("old {n}")) == receipt(n)));
    upgrade(&running);
    let mut new = Client::to(&running.address);
    assert_eq!(new.bets("one"), receipt(3));
    assert_eq!(old[0].bets("one"), receipt(3), "sent by the new one");
    assert_eq!(old[1].bets("two"), receipt(4), "sent by the old one");
    assert_eq!(new.bets("two"), receipt(4));
    assert_eq!(old[2].bets("old 1"), receipt(1), "sent before");
    assert!(!running.has_ended());
    // With one that is lost by the old one nobody knows what came of it.
    old[2].say("/horse/bets/lost", "three");
    assert_eq!(old[2].hears().0, 502);
    new.say("/horse/bets/lost", "three");
    assert!(new.hears().1.contains("outcome_unknown"));
    assert_eq!(bookmaker.bets(), 6);
}

#[test]
fn who_is_left_in_the_old_process_is_served_although_the_new_one_knows_bets_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let path = house(folder.path(), &bookmaker, "", "");
    let running = Sluss::start(&path);
    let mut old: Vec<Client> = (0..3).map(|_| Client::to(&running.address)).collect();
    assert!(old.iter_mut().enumerate().all(|(n, client)| client.bets(&format!("old {n}")) == receipt(n)));
    upgrade(&running);
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, text.replacen("[[product]]", "[once]\nheader = []\n[[product]]", 1)).expect("a disk");
    // An order to reload would be passed on to the old process.
    let [new] = running.followers()[..] else { panic!("one process took over") };
    tell(new, "HUP");
    until("it has read its configuration again", || {
        running.log().contains("the configuration was read again, and counts")
    });
    assert_eq!(old[0].bets("one"), receipt(3), "its first time");
    assert_eq!(old[1].bets("one"), receipt(3), "sent before, by the old process");
    assert_eq!(old[2].bets("old 1"), receipt(1), "sent before the upgrade");
    assert_eq!(bookmaker.bets(), 4);
    assert_eq!(Client::to(&running.address).bets("old 1"), receipt(4), "keys are nobody's business in the new one");
}

#[test]
fn when_either_process_dies_a_bet_of_its_own_is_unknown_to_the_other() {
    for old_dies in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let bookmaker = Bookmaker::new(false);
        let running = Sluss::start(&house(folder.path(), &bookmaker, "", ""));
        let mut kept = Client::to(&running.address);
        kept.0.get_mut().write_all(b"GET /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n").expect("it reads");
        assert_eq!(kept.hears().1, "odds");
        let at_old = asks(&running.address, "/horse/bets", "old");
        until("it is sent", || bookmaker.bets() == 1);
        upgrade(&running);
        let at_new = asks(&running.address, "/horse/bets", "new");
        until("it is sent", || bookmaker.bets() == 2);
        if old_dies {
            let waits = asks(&running.address, "/horse/bets", "old");
            running.signal("KILL");
            let heard = waits.join().expect("no panic");
            assert_eq!(heard.0, 502, "{}", heard.1);
            let heard = Client::to(&running.address).bets("old");
            assert!(heard.1.contains("outcome_unknown"), "{heard:?}");
            bookmaker.lets();
            assert_eq!(at_new.join().expect("no panic"), receipt(1));
        } else {
            tell(running.followers()[0], "KILL");
            until("the old one has seen it", || kept.bets("new").1.contains("outcome_unknown"));
            bookmaker.lets();
            assert_eq!(at_old.join().expect("no panic"), receipt(0));
        }
        assert_eq!(bookmaker.bets(), 2);
    }
}

#[test]
fn customers_who_repeat_their_bets_all_the_time_are_served_once_through_two_upgrades() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let path = house(folder.path(), &bookmaker, "", "");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, text.replace("spread = \"20s\"", "spread = \"300ms\"")).expect("a disk");
    let running = Sluss::start(&path);
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicUsize>::default());
    let customers: Vec<_> = (0..6)
        .map(|customer| {
            let (address, over, served) = (running.address.clone(), over.clone(), served.clone());
            thread::spawn(move || {
                let mut bets = 0;
                while !over.load(Ordering::SeqCst) {
                    let key: &'static str = format!("{customer} {bets}").leak();
                    // Two at the same time, and one later.
                    let both = [asks(&address, "/horse/bets", key), asks(&address, "/horse/bets", key)];
                    let first = both.map(|one| one.join().expect("no panic"));
                    assert_eq!((first[0].0, &first[0]), (201, &first[1]));
                    assert_eq!(Client::to(&address).bets(key), first[0]);
                    bets += 1;
                    served.fetch_add(1, Ordering::SeqCst);
                }
                bets
            })
        })
        .collect();
    for generation in 1..=2 {
        let enough = served.load(Ordering::SeqCst) + 60;
        until("bets are placed", || served.load(Ordering::SeqCst) >= enough);
        until("it may be followed", || {
            let arguments = ["upgrade", "--reason", "a test", "--admin", &running.admin];
            let output = Command::new(env!("CARGO_BIN_EXE_sluss")).args(arguments).output();
            output.expect("the executable").status.success()
        });
        until("it has followed", || running.followers().len() == generation);
        let enough = served.load(Ordering::SeqCst) + 60;
        until("bets are placed", || served.load(Ordering::SeqCst) >= enough);
    }
    over.store(true, Ordering::SeqCst);
    let placed: usize = customers.into_iter().map(|customer| customer.join().expect("each is content")).sum();
    assert_eq!(bookmaker.bets(), placed);
}

/// A number that the process which takes requests tells of itself; none where it has not told it yet.
fn number(running: &Sluss, name: &str) -> f64 {
    let metrics = get(&running.admin, "/metrics").expect("metrics");
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.map_or(0.0, |line| line.split(' ').next_back().expect("a value").parse().expect("a number"))
}

fn logs_in(running: &Sluss, who: &str) -> Client {
    let mut client = Client::to(&running.address);
    let head = "POST /horse/login HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n";
    let request = format!("{head}x-customer: {who}\r\ncookie: session={who}\r\n\r\n");
    client.0.get_mut().write_all(request.as_bytes()).expect("it reads");
    client
}

const LOGIN: &str = "[[product.class]]\nclass = \"start\"\nmatch = [{ path = \"/horse/login\" }]";

#[test]
fn passes_and_promised_turns_are_kept_by_the_process_that_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(false);
    let keys = format!("limit = 1\nqueue = {{ longest_wait = \"30s\", length = 2 }}\n{LOGIN}");
    let customers = "[customer]\nfrom = [{ header = \"x-customer\" }]";
    let running = Sluss::start(&house(folder.path(), &bookmaker, &keys, customers));
    let mut first = logs_in(&running, "carl");
    until("it is sent", || bookmaker.bets() == 1);
    let mut waiting = [logs_in(&running, "bert"), logs_in(&running, "dora")];
    let promised = || number(&running, "sluss_admission_promised_turns");
    until("two wait", || promised() == 2.0);
    for who in ["emil", "fred"] {
        let (status, body) = logs_in(&running, who).hears();
        assert!(status == 503 && body.contains("not_your_turn"), "{body}");
    }
    let passes = || number(&running, "sluss_admission_passes");
    until("it is told", || (passes(), promised()) == (1.0, 4.0));
    upgrade(&running);
    assert_eq!((passes(), promised()), (1.0, 4.0));
    // Whoever comes as told, comes before who has not been promised anything.
    bookmaker.lets();
    assert_eq!(first.hears().0, 201);
    assert!(waiting.iter_mut().all(|client| client.hears().0 == 201));
    until("those who were let through by the old one have a pass here", || (passes(), promised()) == (3.0, 2.0));
    assert_eq!(logs_in(&running, "emil").hears().0, 201);
    until("it has had its turn", || (passes(), promised()) == (4.0, 1.0));
}

#[test]
fn sessions_are_known_to_the_process_that_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let customers = "[customer]\nfrom = [{ cookie = \"session\", bound_by = { header = \"x-account\" } }]";
    let running = Sluss::start(&house(folder.path(), &bookmaker, LOGIN, customers));
    let sessions = || number(&running, "sluss_proxy_sessions ");
    for who in ["one", "two"] {
        assert_eq!(logs_in(&running, who).hears().0, 201);
    }
    assert_eq!(sessions(), 2.0);
    let mut old = Client::to(&running.address);
    assert_eq!(old.bets("old").0, 201);
    upgrade(&running);
    assert_eq!(sessions(), 2.0);
    // A login at the old one, too.
    let request = b"POST /horse/login HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\ncookie: session=three\r\n\r\n";
    old.0.get_mut().write_all(request).expect("it reads");
    assert_eq!(old.hears().0, 201);
    until("it is known there, too", || sessions() == 3.0);
}

/// A proxy that is told that it follows another: what that one says on the way of what it knows.
fn follows(config: &Path, says: impl FnOnce(UnixStream) + Send + 'static) -> Sluss {
    let (known, theirs) = UnixStream::pair().expect("a pair");
    let (mut words, heard) = UnixStream::pair().expect("a pair");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluss"));
    command.args(["run", "--config"]).arg(config).env_remove("RUST_LOG");
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "known:predecessor");
    let mapped = [(OwnedFd::from(theirs), 3), (OwnedFd::from(heard), 4)];
    let mapped = mapped.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mapped.into()).expect("two numbers");
    thread::spawn(move || {
        let (mut heard, mut line) = (BufReader::new(words.try_clone().expect("a socket")), String::new());
        heard.read_line(&mut line).expect("a word");
        assert!(line.contains("sound"), "{line}");
        // As one says it that has no keys to give.
        words.write_all(b"{\"word\":\"go\"}\n").expect("it listens");
        heard.read_line(&mut line).expect("a word");
        assert!(line.contains("ready"), "{line}");
        says(known);
        // As long as the other lives.
        let _ = heard.read_line(&mut line);
    });
    Sluss::ready(&mut command)
}

#[test]
fn what_cannot_be_read_of_what_was_known_is_told_and_stops_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let path = house(folder.path(), &bookmaker, "", "");
    let hello = b"{\"hello\":{\"version\":99,\"probe\":0,\"bets\":true}}";
    let strange = [&(hello.len() as u32).to_be_bytes()[..], &[0; 4], hello].concat();
    for (said, why) in [
        (&b"\0\0\0\x05\0\0\0\0hello"[..], "ALARM: what the process before this one knows"),
        (&strange, "speaks version 99 of this, and this one 1"),
        (b"", "ALARM: what the process before this one knows"),
    ] {
        let said = said.to_vec();
        let running = follows(&path, move |mut known| known.write_all(&said).expect("it listens"));
        assert_eq!(Client::to(&running.address).bets("one").0, 201);
        until("it is told", || running.log().contains(why));
        assert!(running.terminate().success());
    }
}

#[test]
fn a_bet_waits_for_what_is_known_of_it_and_not_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let bookmaker = Bookmaker::new(true);
    let (over, ends) = mpsc::channel::<()>();
    let running = follows(&house(folder.path(), &bookmaker, "", ""), move |known| {
        let _ = ends.recv();
        drop(known);
    });
    let begun = Instant::now();
    assert!(
        get(&running.address, "/horse/odds").expect("an answer").ends_with("odds"),
        "who has no key waits for nobody"
    );
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(Client::to(&running.address).bets("one").0, 201);
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(over);
}
