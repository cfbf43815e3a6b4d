//! The access log: one line for each request, whatever becomes of it, and nobody waits for it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::backend::{Backend, Door, OK, Refusing};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};
use super::until;

/// Where lines go in a test.
pub struct Log(TempDir);

impl Log {
    pub fn new() -> Log {
        Log(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    /// A proxy that writes here, with more keys for the log.
    pub fn setup(&self, keys: &str) -> Setup {
        to(&self.path(), keys)
    }

    /// Take the proxy down and read what it wrote.
    #[track_caller]
    pub fn after(&self, proxy: Proxy) -> Vec<Value> {
        proxy.stop();
        lines(&self.path())
    }

    /// The only line.
    #[track_caller]
    pub fn only(&self, proxy: Proxy) -> Value {
        let lines = self.after(proxy);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.into_iter().next().expect("just counted")
    }
}

fn to(path: &Path, keys: &str) -> Setup {
    Setup::new().listen("workers = 1").with(&format!("[access_log]\nto = {:?}\n{keys}", path.display().to_string()))
}

#[track_caller]
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the log is there");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is not whole: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Says this to the first request of each connection, and closes.
fn says(raw: &'static str) -> Backend {
    Backend::new(move |connection| {
        connection.request()?;
        connection.say(raw)
    })
}

fn fates(proxy: &Proxy, fate: &str) -> f64 {
    proxy.metric(&format!("sluss_proxy_access_log_lines_total{{fate=\"{fate}\"}}"))
}

const ONE_AT_A_TIME: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";

#[test]
fn a_line_says_what_a_request_was_and_what_became_of_it() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("").horse(&backend, "").start();
    assert_eq!(proxy.client().post("/horse/bets", "a bet").status(), 200);
    let line = log.only(proxy);
    for (key, value) in [
        ("protocol", "HTTP/1.1"),
        ("method", "POST"),
        ("path", "/horse/bets"),
        ("product", "horse-racing"),
        ("class", "commit"),
        ("verdict", "proceed"),
        ("ended", "answered"),
        ("backend", &backend.address.to_string()),
    ] {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    for (key, value) in [("status", 200), ("attempts", 1), ("bytes_in", 5), ("bytes_out", 2)] {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    assert_eq!(line["tls"], false);
    let micros = |key: &str| line[key].as_u64().unwrap_or_else(|| panic!("no {key} in {line}"));
    assert_eq!(micros("queue_us"), 0);
    assert!(micros("first_byte_us") <= micros("upstream_us") && micros("upstream_us") <= micros("total_us"), "{line}");
    let time: jiff::Timestamp = line["time"].as_str().and_then(|time| time.parse().ok()).expect("a time");
    let ago = jiff::Timestamp::now().duration_since(time);
    assert!(ago.unsigned_abs() < Duration::from_secs(60), "{time} is not now");
    assert!(line.get("refusal").is_none() && line.get("fault").is_none() && line.get("weight").is_none(), "{line}");
}

#[test]
fn nothing_in_a_line_tells_who_somebody_is() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let customers = "[customer]\nfrom = [{ header = \"x-customer\" }, \"address\"]";
    let proxy = log.setup("").listen("trusted = [\"127.0.0.0/8\"]").with(customers).horse(&backend, "").start();
    let mut client = proxy.client();
    for path in ["/horse/odds", "/horse/start", "/casino/"] {
        client.ask(format!(
            "GET {path}?name=anna HTTP/1.1\r\nhost: h\r\nx-customer: anna\r\ncookie: session=anna\r\nauthorization: anna\r\nx-forwarded-for: 203.0.113.9\r\n\r\n"
        ));
    }
    assert_eq!(client.get("/horse/odds").status(), 200);
    let lines = log.after(proxy);
    let text = fs::read_to_string(log.path()).expect("the log is there");
    for secret in ["anna", "203.0.113", "session", "127.0.0.1\""] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let customer = |at: usize| lines[at]["customer"].as_str().unwrap_or_default().to_owned();
    assert!(customer(0).starts_with("account-") && customer(0) == customer(1), "{text}");
    assert!(customer(3).starts_with("address-"), "{text}");
    // Nobody was found whose it is.
    assert_eq!((&lines[2]["fault"], lines[2].get("customer")), (&"no_product".into(), None));
}

#[test]
fn a_query_is_written_where_it_is_asked_for_and_a_long_path_is_cut() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("query = true").horse(&backend, "").start();
    proxy.client().get("/horse/odds?race=7");
    proxy.client().get(&format!("/horse/{}", "a".repeat(4000)));
    let lines = log.after(proxy);
    assert_eq!(lines[0]["path"], "/horse/odds?race=7");
    assert_eq!(lines[1]["path"].as_str().map(str::len), Some(1024));
}

#[test]
fn a_refusal_has_its_name_and_who_waited_the_time() {
    let (log, door) = (Log::new(), Door::default());
    let backend = Backend::behind(&door);
    let proxy = log.setup("").horse(&backend, ONE_AT_A_TIME).start();
    let (mut first, mut second, mut third) = (proxy.client(), proxy.client(), proxy.client());
    first.say(get("/horse/first"));
    proxy.until_in_flight(1);
    second.say(get("/horse/second"));
    proxy.until_waiting(1);
    std::thread::sleep(Duration::from_millis(20));
    door.let_one();
    assert_eq!(first.answer().status(), 200);
    proxy.until_waiting(0);
    third.say(get("/horse/third"));
    proxy.until_waiting(1);
    proxy.order("park", "horse-racing");
    assert_eq!(third.answer().status(), 503);
    assert_eq!(third.head("/horse/fourth").status(), 503);
    door.open();
    assert_eq!(second.answer().status(), 200);
    let lines = log.after(proxy);
    let of = |path: &str| {
        let line = lines.iter().find(|line| line["path"] == path).unwrap_or_else(|| panic!("no line for {path}"));
        let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        (word("verdict"), word("ended"), word("refusal"), line["queue_us"].as_u64().is_some_and(|us| us >= 20_000))
    };
    let says = |verdict: &str, ended: &str, refusal: &str, waited| {
        (verdict.to_owned(), ended.to_owned(), refusal.to_owned(), waited)
    };
    assert_eq!(of("/horse/second"), says("wait", "answered", "-", true));
    assert_eq!(of("/horse/fourth"), says("refuse", "refused", "parked", false));
    let (verdict, ended, refusal, _) = of("/horse/third");
    assert_eq!((verdict.as_str(), ended.as_str(), refusal.as_str()), ("wait", "refused", "parked"));
}

#[test]
fn a_fault_has_its_name() {
    let (log, refusing) = (Log::new(), Refusing::somewhere());
    let nonsense = says("SSH-2.0-OpenSSH_9.2\r\n");
    let hanging = Backend::new(|connection| {
        connection.request()?;
        connection.request().map(|_| ())
    });
    let proxy = log
        .setup("")
        .product("gone", "/gone/", &[refusing.address()], "")
        .product("nonsense", "/nonsense/", &[nonsense.address], "")
        .product("hanging", "/hanging/", &[hanging.address], "first_byte_timeout = \"200ms\"")
        .start();
    for path in ["/gone/", "/nonsense/", "/hanging/"] {
        assert!(proxy.client().get(path).status() >= 502, "{path}");
    }
    assert_eq!(proxy.client().ask("GET / HTTP/1.1\r\n\r\n").status(), 400);
    let lines = log.after(proxy);
    let said: Vec<_> = lines.iter().map(|line| (line["ended"].as_str(), line["fault"].as_str())).collect();
    let fault = |name| (Some("fault"), Some(name));
    assert_eq!(
        said,
        [fault("backend_unreachable"), fault("backend_broken_answer"), fault("backend_timeout"), fault("bad_host")]
    );
    assert_eq!((&lines[1]["attempts"], lines[0].get("attempts")), (&1.into(), None));
}

#[test]
fn an_answer_that_breaks_off_says_how() {
    let (log, door) = (Log::new(), Door::default());
    let short = says("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    let behind = door.clone();
    let reset = Backend::new(move |connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
        // What has not been read when the connection is reset is lost.
        behind.pass();
        connection.reset()
    });
    let silent = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
        connection.request().map(|_| ())
    });
    let proxy = log
        .setup("")
        .product("short", "/short/", &[short.address], "")
        .product("reset", "/reset/", &[reset.address], "")
        .product("silent", "/silent/", &[silent.address], "idle_timeout = \"200ms\"")
        .start();
    for path in ["/short/", "/reset/", "/silent/"] {
        let mut client = proxy.client();
        client.say(get(path));
        assert_eq!(client.wire().head().expect("a head").expect("a head").status(), 200);
        door.open();
        client.rest();
    }
    let lines = log.after(proxy);
    let said: Vec<_> = lines.iter().map(|line| (line["ended"].as_str(), line["status"].as_u64())).collect();
    assert_eq!(
        said,
        [(Some("short_body"), Some(200)), (Some("backend_reset"), Some(200)), (Some("timed_out"), Some(200))]
    );
    assert!(lines.iter().all(|line| line["bytes_out"] == 4), "{lines:#?}");
}

#[test]
fn who_hangs_up_is_gone_and_a_bet_carried_to_its_end_says_what_came_of_it() {
    let (log, door) = (Log::new(), Door::default());
    let backend = Backend::behind(&door);
    let proxy = log.setup("").horse(&backend, ONE_AT_A_TIME).start();
    let mut betting = proxy.client();
    betting.say(post("/horse/bets", "a bet"));
    backend.until_asked(1);
    let mut waiting = proxy.client();
    waiting.say(get("/horse/odds"));
    proxy.until_waiting(1);
    drop(waiting);
    proxy.until_waiting(0);
    drop(betting);
    proxy.until_alone();
    door.open();
    proxy.until_in_flight(0);
    let lines = log.after(proxy);
    let said: Vec<_> = lines.iter().map(|line| (line["path"].as_str(), line["ended"].as_str())).collect();
    let gone = Some("client_gone");
    assert_eq!(said, [(Some("/horse/odds"), gone), (Some("/horse/bets"), gone)]);
    assert_eq!((&lines[1]["backend_status"], lines[1].get("status")), (&200.into(), None));
    assert_eq!((&lines[0]["verdict"], lines[0].get("backend")), (&"wait".into(), None));
}

#[test]
fn who_does_not_read_is_slow_and_who_hangs_up_within_an_answer_is_gone() {
    let log = Log::new();
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")?;
        connection.say(vec![7; 100_000_000])
    });
    let proxy = log.setup("").listen("send_timeout = \"500ms\"").horse(&backend, "").start();
    let mut slow = proxy.client();
    slow.say(get("/horse/slow"));
    backend.until_asked(1);
    proxy.until_alone();
    let mut gone = proxy.client();
    gone.say(get("/horse/gone"));
    gone.wire().head().expect("a head");
    drop(gone);
    proxy.until_alone();
    let lines = log.after(proxy);
    let said: Vec<_> = lines.iter().map(|line| line["ended"].as_str().unwrap_or_default()).collect();
    assert_eq!(said, ["client_slow", "client_gone"]);
    assert!(lines.iter().all(|line| line["bytes_out"].as_u64().is_some_and(|bytes| bytes < 100_000_000)));
}

#[test]
fn what_is_cut_when_the_drain_time_is_over_says_so() {
    let (log, door) = (Log::new(), Door::default());
    let backend = Backend::behind(&door);
    let proxy = log.setup("").listen("drain = \"200ms\"").horse(&backend, "").start();
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    backend.until_asked(1);
    let line = log.only(proxy);
    assert_eq!((&line["ended"], line.get("status")), (&"cut_on_drain".into(), None));
    door.open();
}

#[test]
fn an_answer_without_a_body_is_answered_and_one_from_memory_says_so() {
    let (log, backend) = (Log::new(), Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    let cache = "[[product.class]]\nclass = \"read\"\ncache = { fresh = \"1m\" }\nmatch = [{ path = \"/horse/odds\" }]";
    let proxy = log.setup("").horse(&backend, "").with(cache).start();
    let mut client = proxy.client();
    client.get("/horse/odds");
    client.get("/horse/odds");
    client.head("/horse/odds");
    let lines = log.after(proxy);
    let said: Vec<_> = lines.iter().map(|line| (line["verdict"].as_str(), line["ended"].as_str())).collect();
    assert_eq!(said, [(Some("memory"), Some("answered")); 3]);
    assert!(lines.iter().all(|line| line.get("backend").is_none()), "{lines:#?}");
}

#[test]
fn in_observe_only_what_was_decided_stands_beside_what_was_answered() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("").top("observe_only = true").horse(&backend, "").start();
    proxy.order("park", "horse-racing");
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    let line = log.only(proxy);
    assert_eq!(
        (&line["verdict"], &line["refusal"], &line["ended"]),
        (&"refuse".into(), &"parked".into(), &"answered".into())
    );
}

#[test]
fn a_line_in_so_many_is_written_and_says_for_how_many_it_stands() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("one_in = { refused = 10 }").horse(&backend, "").start();
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    proxy.order("park", "horse-racing");
    for _ in 0..2000 {
        assert_eq!(client.get("/horse/odds").status(), 503);
    }
    let lines = log.after(proxy);
    assert_eq!((lines[0].get("weight"), &lines[0]["ended"]), (None, &"answered".into()));
    assert!(lines[1..].iter().all(|line| line["weight"] == 10 && line["ended"] == "refused"));
    // 200 are expected; by chance 100 or 300 are never seen.
    assert!((100..300).contains(&lines.len()), "{} lines", lines.len());
}

#[test]
fn a_file_that_is_moved_away_is_followed_by_a_new_one_and_no_line_is_lost() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("").horse(&backend, "").start();
    let (moved, mut asked) = (log.0.path().join("access.log.1"), 0);
    let mut client = proxy.client();
    client.get("/horse/odds");
    until("the first line is written", || fates(&proxy, "written") == 1.0);
    fs::rename(log.path(), &moved).expect("the log is there");
    until("a new file is there", || {
        client.get("/horse/odds");
        asked += 1;
        log.path().exists()
    });
    let later = log.after(proxy).len();
    assert!(later > 0);
    assert_eq!(lines(&moved).len() + later, asked + 1);
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let backend = Backend::answering(OK);
    let proxy = to(Path::new("/dev/full"), "").horse(&backend, "").start();
    let mut client = proxy.client();
    for _ in 0..10 {
        assert_eq!(client.get("/horse/odds").status(), 200);
    }
    until("the lines are counted as lost", || fates(&proxy, "failed") == 10.0);
    assert_eq!(fates(&proxy, "written"), 0.0);
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_no_request_and_does_not_hold_up_the_end() {
    let log = Log::new();
    let backend = Backend::answering(OK);
    let made = std::process::Command::new("mkfifo").arg(log.path()).status().expect("mkfifo is there");
    assert!(made.success());
    let mut pipe = fs::OpenOptions::new().read(true).write(true).open(log.path()).expect("a pipe");
    let proxy = log.setup("memory = \"256KiB\"").horse(&backend, "").start();
    let path = format!("/horse/{}", "a".repeat(1000));
    let mut client = proxy.client();
    for _ in 0..600 {
        assert_eq!(client.get(&path).status(), 200);
    }
    let lost = fates(&proxy, "no_room");
    assert!(lost > 100.0, "{lost} lines were dropped of some 850 KB");
    proxy.stop();
    // What was taken is whole.
    let mut bytes = vec![0; 32 << 10];
    pipe.read_exact(&mut bytes).expect("what was written");
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').expect("lines");
    let text = std::str::from_utf8(&bytes[..whole]).expect("a line is ASCII");
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn a_log_that_cannot_be_opened_is_told_at_the_start() {
    let backend = Backend::answering(OK);
    let refused = to(Path::new("/nowhere/access.log"), "").horse(&backend, "").try_to_start().err();
    let said = refused.expect("it does not start").to_string();
    assert!(said.contains("/nowhere/access.log") && said.contains("[access_log]"), "{said}");
}

#[test]
fn a_method_of_any_length_makes_no_long_line() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let proxy = log.setup("").listen("header_bytes = \"64KiB\"").horse(&backend, "").start();
    let method = "M".repeat(50_000);
    assert_eq!(proxy.client().ask(format!("{method} /horse/odds HTTP/1.1\r\nhost: h\r\n\r\n")).status(), 200);
    assert_eq!(log.only(proxy)["method"], method[..64]);
}
