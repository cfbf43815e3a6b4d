//! The binary is changed under load: nobody is turned away, nothing is lost, and what does not start changes nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};

use super::process::{Sluss, config, is_sluss, lay, sluss, sluss_fails, tell};
use super::{get, slow_backend};

/// Customers who ask all the time, and what they were not content with.
struct Load {
    goes_on: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    customers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Half of them keep their connection for as long as they may, the others never do.
    fn on(address: &str, customers: usize) -> Load {
        let (goes_on, served) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
        let customer = |index: usize| {
            let (address, goes_on, served) = (address.to_owned(), goes_on.clone(), served.clone());
            thread::spawn(move || ask_on(&address, index.is_multiple_of(2), &goes_on, &served))
        };
        let customers = (0..customers).map(customer).collect();
        Load { goes_on, served, customers }
    }

    /// Wait until so many more have been served.
    fn serve(&self, more: usize) {
        let enough = self.served.load(Ordering::Relaxed) + more;
        until("customers are served", || self.served.load(Ordering::Relaxed) >= enough);
    }

    /// How many were served, and nobody was not.
    #[track_caller]
    fn all_content(self) -> usize {
        self.goes_on.store(false, Ordering::Relaxed);
        let lost: Vec<String> = self.customers.into_iter().flat_map(|one| one.join().expect("no panic")).collect();
        let served = self.served.load(Ordering::Relaxed);
        assert!(lost.is_empty(), "{} of {served}: {:?}", lost.len(), &lost[..lost.len().min(5)]);
        served
    }
}

/// Ask until told to stop: what went wrong. A connection may end after it was said so, and at no other time.
fn ask_on(address: &str, keeps: bool, goes_on: &AtomicBool, served: &AtomicUsize) -> Vec<String> {
    let (mut lost, mut kept) = (Vec::new(), None);
    while goes_on.load(Ordering::Relaxed) && lost.len() < 10 {
        let asked = match kept.take() {
            Some(connection) => Ok(connection),
            None => TcpStream::connect(address).map(BufReader::new),
        };
        match asked.and_then(|connection| ask(connection, keeps)) {
            Ok((Said { whole: true, closes, .. }, connection)) => {
                served.fetch_add(1, Ordering::Relaxed);
                kept = (keeps && !closes).then_some(connection);
            }
            Ok((said, _)) => lost.push(said.head),
            Err(error) => lost.push(format!("{error:?}")),
        }
    }
    lost
}

struct Said {
    head: String,
    whole: bool,
    closes: bool,
}

fn ask(mut connection: BufReader<TcpStream>, keeps: bool) -> std::io::Result<(Said, BufReader<TcpStream>)> {
    let close = if keeps { "" } else { "connection: close\r\n" };
    connection.get_ref().set_read_timeout(Some(Duration::from_secs(20)))?;
    connection
        .get_mut()
        .write_all(format!("GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\n{close}\r\n").as_bytes())?;
    let said = answer(&mut connection)?;
    Ok((said, connection))
}

fn answer(connection: &mut BufReader<TcpStream>) -> std::io::Result<Said> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head)? == 0 {
            return Err(std::io::Error::other(format!("the end, after {head:?}")));
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    connection.read_exact(&mut body)?;
    let closes = head.contains("connection: close");
    Ok(Said { whole: head.starts_with("HTTP/1.1 200 ") && body == b"whole", closes, head })
}

/// Wait until it holds.
#[track_caller]
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("never: {what}");
}

/// The configuration of the other tests, with these lines in addition to those of `[listen]` and in front of products.
fn configured(folder: &Path, backend: &str, listen: &str, tables: &str) -> PathBuf {
    let path = config(folder, backend, "");
    rewrite(&path, |text| {
        text.replacen("[listen]", &format!("[listen]\n{listen}"), 1).replacen(
            "[[product]]",
            &format!("{tables}\n[[product]]"),
            1,
        )
    });
    path
}

fn rewrite(path: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).expect("the configuration");
    std::fs::write(path, change(text)).expect("a disk");
}

/// What a number in the status of all products comes to.
fn products(running: &Sluss, field: &str) -> u64 {
    let status = sluss(&["status", "--json", "--admin", &running.admin]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    status["products"]
        .as_array()
        .expect("products")
        .iter()
        .map(|product| product[field].as_u64().expect("a number"))
        .sum()
}

/// A program that is not what it should be.
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("broken");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a disk");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a disk");
    path
}

fn upgrade(running: &Sluss) -> String {
    sluss(&["upgrade", "--reason", "a test", "--who", "anna", "--admin", &running.admin])
}

#[track_caller]
fn no_upgrade(running: &Sluss) -> String {
    sluss_fails(&["upgrade", "--reason", "a test", "--admin", &running.admin], 1)
}

#[test]
fn under_load_the_binary_is_changed_three_times_and_nobody_notices() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_millis(5));
    let path = configured(folder.path(), &backend, "workers = 2", "");
    let mut running = Sluss::start_from(folder.path(), &path);
    let load = Load::on(&running.address, 12);
    load.serve(100);
    // With fewer workers than sockets, and with more again.
    for (generation, workers) in [1, 3, 2].into_iter().enumerate() {
        rewrite(&path, |text| {
            let (before, after) = text.split_once("workers = ").expect("the key");
            format!("{before}workers = {workers}{}", &after[1..])
        });
        let before = running.followers().last().copied();
        let said = upgrade(&running);
        until("it has followed", || running.followers().len() == generation + 1);
        let process = running.followers()[generation];
        assert!(said.starts_with(&format!("process {process} takes requests")), "{said}");
        load.serve(100);
        until("the one before has ended", || match before {
            None => running.has_ended(),
            Some(before) => !is_sluss(before),
        });
        load.serve(100);
    }
    let served = load.all_content();
    assert!(served >= 700, "{served}");
    let last = running.followers()[2];
    tell(last, "TERM");
    until("the last goes down", || !is_sluss(last));
}

#[test]
fn who_waits_keeps_the_place_and_what_is_parked_stays_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_secs(2));
    let product = format!(
        "[[product]]\nname = \"casino\"\nmatch = [{{ path = \"/casino/\" }}]\nbackends = [\"http://{}\"]",
        slow_backend(Duration::ZERO)
    );
    let path = configured(folder.path(), &backend, "", &product);
    rewrite(&path, |text| {
        text.replace("[[product.class]]", "limit = 1\nqueue = { longest_wait = \"30s\" }\n[[product.class]]")
    });
    let mut running = Sluss::start_from(folder.path(), &path);
    sluss(&["park", "casino", "--reason", "a test", "--admin", &running.admin]);
    let customers: Vec<_> = (0..3)
        .map(|_| {
            let address = running.address.clone();
            thread::spawn(move || get(&address, "/horse/odds").expect("an answer"))
        })
        .collect();
    until("two wait", || products(&running, "waiting") == 2);
    running.signal("USR2");
    until("it is followed", || running.followers().len() == 1);
    until("the new one answers operators", || products(&running, "in_flight") == 0);
    let parked = get(&running.address, "/casino/").expect("an answer");
    assert!(parked.contains("\"refusal\":\"parked\""), "{parked}");
    assert!(!running.has_ended(), "it serves those who wait");
    for customer in customers {
        let answer = customer.join().expect("no panic");
        assert!(answer.ends_with("whole"), "{answer}");
    }
    until("it has nobody left", || running.has_ended());
}

#[test]
fn what_is_ordered_of_the_new_one_is_heard_by_those_who_wait_in_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_secs(5));
    let path = configured(folder.path(), &backend, "", "");
    let waits = "limit = 1\nqueue = { longest_wait = \"60s\" }\n[[product.class]]";
    rewrite(&path, |text| text.replace("[[product.class]]", waits));
    let mut running = Sluss::start_from(folder.path(), &path);
    let asks = |_| {
        let address = running.address.clone();
        thread::spawn(move || get(&address, "/horse/odds").expect("an answer"))
    };
    let customers: Vec<_> = (0..4).map(asks).collect();
    until("three wait", || products(&running, "waiting") == 3);
    upgrade(&running);
    sluss(&["park", "horse-racing", "--reason", "a test", "--admin", &running.admin]);
    let answers: Vec<String> = customers.into_iter().map(|customer| customer.join().expect("no panic")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.contains("\"refusal\":\"parked\"")).count(), 3, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.ends_with("whole")).count(), 1, "{answers:?}");
    until("it has nobody left", || running.has_ended());
    // And now that it has ended, orders go on, and the next upgrade may come.
    sluss(&["open", "horse-racing", "--reason", "a test", "--admin", &running.admin]);
    upgrade(&running);
    assert!(!running.log().contains("could not be told"), "{}", running.log());
}

#[test]
fn what_an_order_begins_in_the_old_one_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_secs(2));
    let path = configured(folder.path(), &backend, "", "");
    let mut running = Sluss::start_from(folder.path(), &path);
    let address = running.address.clone();
    let customer = thread::spawn(move || get(&address, "/horse/odds").expect("an answer"));
    until("it is on its way", || products(&running, "in_flight") == 1);
    upgrade(&running);
    sluss(&["reload", "--admin", &running.admin]);
    assert!(customer.join().expect("no panic").ends_with("whole"));
    until("it has nobody left", || running.has_ended());
}

#[test]
fn what_does_not_start_changes_nothing_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_millis(5));
    let path = configured(folder.path(), &backend, "workers = 2", "[upgrade]\nready_within = \"3s\"");
    let mut running = Sluss::start_from(folder.path(), &path);
    let load = Load::on(&running.address, 6);
    // The last descriptor is what the two speak by.
    let sound = "n=$((LISTEN_FDS + 2)); eval \"echo '{\\\"word\\\":\\\"sound\\\"}' >&$n; read go <&$n\"";
    let late = "was not ready within 3s";
    for (text, why) in [
        ("exit 7".to_owned(), "ended before it was ready (exit status: 7)"),
        ("exec sleep 600".to_owned(), late),
        ("kill -SEGV $$".to_owned(), "ended before it was ready (signal: 11"),
        (format!("{sound}; exit 3"), "ended before it was ready (exit status: 3)"),
        (format!("{sound}; exec sleep 600"), late),
        ("n=$((LISTEN_FDS + 2)); eval \"echo hello >&$n\"; exec sleep 600".to_owned(), "speaks another language"),
    ] {
        lay(folder.path(), &script(folder.path(), &text));
        let said = no_upgrade(&running);
        assert!(said.contains("going on as before") && said.contains(why), "{text}: {said}");
        load.serve(50);
    }
    lay(folder.path(), &folder.path().join("nothing"));
    assert!(no_upgrade(&running).contains("cannot start "));
    // A sound binary, and a configuration that is not.
    lay(folder.path(), Path::new(env!("CARGO_BIN_EXE_sluss")));
    rewrite(&path, |text| text.replace("workers = 2", "workers = 0"));
    let said = no_upgrade(&running);
    assert!(said.contains("workers: 0 is out of range") && said.contains("write a number from 1 to"), "{said}");
    rewrite(&path, |text| text.replace("workers = 0", "workers = 2"));
    let status = sluss(&["status", "--admin", &running.admin]);
    assert!(status.contains("not upgraded, and going on as before"), "{status}");
    let metrics = get(&running.admin, "/metrics").expect("metrics");
    assert!(metrics.contains("sluss_proxy_upgrades_failed_total 8"), "{metrics}");
    load.serve(50);
    load.all_content();
    // Orders are taken, and the journal has what was ordered since.
    sluss(&["park", "horse-racing", "--reason", "a test", "--admin", &running.admin]);
    assert!(!running.has_ended() && running.followers().is_empty());
    upgrade(&running);
    let answer = get(&running.address, "/horse/odds").expect("an answer");
    assert!(answer.contains("\"refusal\":\"parked\""), "{answer}");
    until("the first has ended", || running.has_ended());
}

#[test]
fn an_upgrade_during_another_is_refused_and_a_signal_to_end_ends_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = configured(folder.path(), "127.0.0.1:9", "", "");
    let running = Sluss::start_from(folder.path(), &path);
    lay(folder.path(), &script(folder.path(), "echo $$ > \"$0.process\"; exec sleep 600"));
    let admin = running.admin.clone();
    let first = thread::spawn(move || sluss_fails(&["upgrade", "--reason", "a test", "--admin", &admin], 1));
    let process = folder.path().join("sluss.process");
    until("the new one runs", || std::fs::read_to_string(&process).is_ok_and(|text| text.ends_with('\n')));
    assert!(no_upgrade(&running).contains("an upgrade is under way already"));
    assert!(running.terminate().success());
    let said = first.join().expect("no panic");
    assert!(said.contains("going down") || said.contains("no Sluss answers"), "{said}");
    let process = std::fs::read_to_string(process).expect("it ran");
    assert!(!Path::new(&format!("/proc/{}", process.trim())).exists(), "nothing is left behind");
}

#[test]
fn the_old_one_ends_when_its_time_is_over_or_when_it_is_told() {
    for told in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let backend = slow_backend(Duration::from_secs(600));
        let drain = if told { "10m" } else { "2s" };
        let tables = format!("[upgrade]\ndrain = \"{drain}\"");
        let path = configured(folder.path(), &backend, "", &tables);
        rewrite(&path, |text| text.replace("drain = \"10s\"", "drain = \"1s\""));
        let mut running = Sluss::start_from(folder.path(), &path);
        let address = running.address.clone();
        let long = thread::spawn(move || get(&address, "/horse/odds"));
        until("it is asked", || products(&running, "in_flight") == 1);
        upgrade(&running);
        let said = no_upgrade(&running);
        assert!(said.contains("the process before this one still finishes"), "{said}");
        if told {
            running.signal("TERM");
        }
        until("it has ended", || running.has_ended());
        let _ = long.join().expect("no panic");
        assert!(running.log().contains("the drain time is over"));
        assert!(get(&running.admin, "/readyz").expect("an answer").ends_with("ready\n"));
    }
}

#[test]
fn sockets_of_systemd_are_used_and_their_manager_hears_who_is_the_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_millis(5));
    let (clients, admin) =
        (TcpListener::bind("127.0.0.1:0").expect("a port"), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let (address, operators) = (clients.local_addr().expect("bound"), admin.local_addr().expect("bound"));
    let path = configured(folder.path(), &backend, "workers = 2", "");
    rewrite(&path, |text| {
        text.replacen("127.0.0.1:0", &address.to_string(), 1).replacen("127.0.0.1:0", &operators.to_string(), 1)
    });
    // Who comes before it runs waits in the socket.
    let early = TcpStream::connect(address).expect("somebody listens");
    let manager = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let hears = || {
        let mut word = [0; 1024];
        let length = manager.recv(&mut word).expect("a word");
        String::from_utf8_lossy(&word[..length]).into_owned()
    };
    lay(folder.path(), Path::new(env!("CARGO_BIN_EXE_sluss")));
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" run --config \"$1\""])
        .arg(folder.path().join("sluss"))
        .arg(&path)
        .env_remove("RUST_LOG")
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "sluss.socket:admin")
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .fd_mappings(vec![
            FdMapping { parent_fd: OwnedFd::from(clients), child_fd: 3 },
            FdMapping { parent_fd: OwnedFd::from(admin), child_fd: 4 },
        ])
        .expect("two numbers");
    let mut running = Sluss::ready(&mut command);
    drop(command);
    assert!(hears().starts_with("READY=1\n"));
    let (said, _) = ask(BufReader::new(early), true).expect("an answer");
    assert!(said.whole, "{}", said.head);
    let load = Load::on(&running.address, 6);
    load.serve(50);
    upgrade(&running);
    until("it has followed", || running.followers().len() == 1);
    let process = running.followers()[0];
    let mut words = [hears(), hears()];
    words.sort();
    assert!(words[0] == format!("MAINPID={process}\n") && words[1].starts_with("READY=1\n"), "{words:?}");
    load.serve(50);
    until("the first has ended", || running.has_ended());
    load.all_content();
    tell(process, "TERM");
    assert!(hears().starts_with("STOPPING=1\n"));
    until("the second goes down", || !is_sluss(process));
}

#[test]
fn a_socket_at_an_address_that_is_not_configured_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = configured(folder.path(), "127.0.0.1:9", "", "");
    rewrite(&path, |text| text.replacen("127.0.0.1:0", "127.0.0.1:1", 1));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluss"));
    command.args(["run", "--config"]).arg(&path).env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "clients");
    command.fd_mappings(vec![FdMapping { parent_fd: socket.into(), child_fd: 3 }]).expect("one number");
    let output = command.output().expect("the executable");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("[listen] address is \"127.0.0.1:1\"; write the same address in both"), "{said}");
}
