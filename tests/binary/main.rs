//! The real executable: started, told, killed; with a real nginx behind it and curl in front.

mod flood;
mod flood_http2;
mod known;
mod nginx;
mod privacy;
mod process;
mod reload;
mod signals;
mod simulate;
mod systemd;
mod upgrade;
mod upgrade_tls;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use process::{Sluss, config, sluss, sluss_fails};

/// A backend that takes so long over each answer.
fn slow_backend(takes: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer_slowly(stream, takes));
        }
    });
    address
}

fn answer_slowly(mut stream: TcpStream, takes: Duration) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..n]);
        if seen.windows(4).any(|window| window == b"\r\n\r\n") {
            seen.clear();
            thread::sleep(takes);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole");
        }
    }
}

/// One request on a connection of its own; everything that comes back.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bet.example\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn sigterm_alone_drains_and_cuts_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::from_millis(100));
    let running = Sluss::start(&config(folder.path(), &backend, "limit = 4\nqueue = { longest_wait = \"5s\" }"));
    let whole = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (address, whole) = (running.address.clone(), whole.clone());
            thread::spawn(move || {
                loop {
                    // Refused by the kernel: the sockets are closed, and that is the end.
                    let Ok(answer) = get(&address, "/horse/odds") else { return Vec::new() };
                    if answer.ends_with("\r\n\r\nwhole") {
                        whole.fetch_add(1, Ordering::Relaxed);
                    } else if answer.contains("shutting_down") && answer.starts_with("HTTP/1.1 503 ") {
                        return Vec::new();
                    } else {
                        return answer.into_bytes();
                    }
                }
            })
        })
        .collect();
    while whole.load(Ordering::Relaxed) < 20 {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(running.terminate().success());
    for client in clients {
        let cut = client.join().expect("no client panics");
        assert!(cut.is_empty(), "an answer was cut: {:?}", String::from_utf8_lossy(&cut));
    }
}

#[test]
fn a_restart_while_parked_comes_up_parked_even_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::ZERO);
    let path = config(folder.path(), &backend, "");
    let running = Sluss::start(&path);
    assert!(get(&running.address, "/horse/odds").expect("an answer").ends_with("whole"));
    let said = sluss(&["park", "horse-racing", "--reason", "a test", "--admin", &running.admin]);
    assert!(said.starts_with("horse-racing: "), "{said}");
    running.kill();
    let again = Sluss::start(&path);
    let answer = get(&again.address, "/horse/odds").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"refusal\":\"parked\""), "{answer}");
    assert!(sluss(&["status", "--admin", &again.admin]).contains("parked"));
}

#[test]
fn backends_are_weighed_drained_added_and_removed_from_the_command_line_and_a_kill_forgets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    // What is removed stands before what was added in the journal, where names are in order.
    let mut backends = [slow_backend(Duration::ZERO), slow_backend(Duration::ZERO)];
    backends.sort();
    let [one, other] = backends;
    let path = config(folder.path(), &one, "");
    let running = Sluss::start(&path);
    let admin = running.admin.clone();
    let order = |words: &[&str]| {
        sluss(&[&["backend"], words, &["--reason", "a test", "--who", "anna", "--admin", &admin]].concat())
    };
    let said = order(&["add", &format!("http://{other}"), "--product", "horse-racing", "--weight", "3"]);
    assert_eq!(said.trim(), format!("{other}: serving, weight 3"));
    assert_eq!(order(&["weight", &other, "5"]).trim(), format!("{other}: serving, weight 5"));
    assert_eq!(order(&["drain", &one]).trim(), format!("{one}: drained, weight 1"));
    assert_eq!(order(&["restore", &one]).trim(), format!("{one}: serving, weight 1"));
    assert_eq!(order(&["restore", &one]).trim(), format!("{one}: serving, weight 1 (already)"));
    assert_eq!(order(&["remove", &one]).trim(), format!("{one}: removed"));
    running.kill();
    let again = Sluss::start(&path);
    assert!(get(&again.address, "/horse/odds").expect("an answer").ends_with("whole"));
    let status = sluss(&["status", "--admin", &again.admin]);
    let line = |name: &str| status.lines().find(|line| line.contains(name)).expect("it is shown");
    assert!(line(&other).contains("serving") && line(&one).contains("removed, though configured"), "{status}");
    let said = sluss_fails(&["backend", "drain", &one, "--reason", "r", "--admin", &again.admin], 1);
    assert!(said.contains("was removed by an order"), "{said}");
    let said = sluss_fails(&["backend", "drain", "10.9.9.9:1", "--reason", "r", "--admin", &again.admin], 1);
    assert!(said.contains("there is no backend called"), "{said}");
}

#[test]
fn a_betting_stop_is_put_moved_and_removed_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let schedule = folder.path().join("schedule.toml");
    std::fs::write(&schedule, "event = []").expect("a disk");
    let backend = slow_backend(Duration::ZERO);
    let running = Sluss::start(&config(
        folder.path(),
        &backend,
        "[event]\nfrom = [{ header = \"x-event\" }]\n[schedule]\nfile = \"schedule.toml\"",
    ));
    let tell = |arguments: &[&str]| sluss(&[arguments, &["--admin", &running.admin]].concat());
    let why = ["--reason", "a test", "--who", "anna"];
    let put = [
        "event",
        "put",
        "a%b?c",
        "--product",
        "horse-racing",
        "--stop",
        "2099-08-24T16:20:00+02:00",
        "--name",
        "Gävle",
    ];
    assert_eq!(tell(&[&put[..], &why].concat()), "a%b?c: open, betting stop 2099-08-24T14:20:00Z\n");
    let moved = tell(&[&["event", "move", "a%b?c", "--stop", "-15m"][..], &why].concat());
    assert_eq!(moved, "a%b?c: open, betting stop 2099-08-24T14:05:00Z (was 2099-08-24T14:20:00Z)\n");
    let list = tell(&["event", "list"]);
    for shown in ["a%b?c", "Gävle", "2099-08-24 14:05:00Z", "open", "move stop by anna"] {
        assert!(list.contains(shown), "{shown} is not in {list}");
    }
    assert_eq!(tell(&["schedule", "reload"]), "1 event, 0 changed\n");
    std::fs::write(&schedule, "[[event]]\nid = \"race\"").expect("a disk");
    let said = sluss_fails(&["schedule", "reload", "--admin", &running.admin], 1);
    assert!(said.contains("this event has no `stop`"), "{said}");
    assert_eq!(tell(&[&["event", "remove", "a%b?c"][..], &why].concat()), "a%b?c: not in the schedule any more\n");
    assert!(running.log().contains("\"who\":\"anna\"") && running.log().contains("\"reason\":\"a test\""));
}

#[test]
fn an_outage_and_its_end_are_in_the_log_as_found_and_not_ordered() {
    let backend = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    backend.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let address = backend.local_addr().expect("it is bound").as_socket().expect("an IP address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Sluss::start(&config(folder.path(), &address, ""));
    let until_said = |what: &str, asking: bool| {
        for _ in 0..600 {
            if proxy.log().contains(what) {
                return;
            }
            if asking {
                get(&proxy.address, "/horse/odds").expect("an answer of ours");
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("never said: {what}\n{}", proxy.log());
    };
    until_said("ALARM: no backend of horse-racing is there", true);
    backend.listen(128).expect("a bound socket");
    until_said("a reopening that was found, not ordered", false);
}

#[test]
fn a_port_in_use_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Sluss::start(&config(folder.path(), "127.0.0.1:9", ""));
    let other = tempfile::tempdir().expect("a folder");
    let path = config(other.path(), "127.0.0.1:9", "");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    for taken in [&running.address, &running.admin] {
        std::fs::write(&path, text.replacen("127.0.0.1:0", taken, 1)).expect("a disk");
        let said = sluss_fails(&["run", "--config", &path.display().to_string()], 1);
        assert!(said.contains(taken.as_str()) && said.contains("choose another port"), "{said}");
    }
}

#[test]
fn what_cannot_be_done_is_said_and_told_by_the_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.toml");
    std::fs::write(&empty, "").expect("a disk");
    assert!(sluss_fails(&["check", &empty.display().to_string()], 1).contains("the file is empty"));
    let absent = folder.path().join("absent.toml").display().to_string();
    assert!(sluss_fails(&["run", "--config", &absent], 1).contains("no such file"));
    // A port that was free a moment ago: nobody answers there.
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let said = sluss_fails(&["status", "--admin", &nobody.to_string()], 1);
    assert!(said.contains("no Sluss answers at"), "{said}");
    let running = Sluss::start(&config(folder.path(), "127.0.0.1:9", ""));
    let said = sluss_fails(&["park", "horse-raicing", "--reason", "r", "--admin", &running.admin], 1);
    assert!(said.contains("Did you mean `horse-racing`"), "{said}");
    let said = sluss_fails(&["close", "--event", "nowhere-1", "--reason", "r", "--admin", &running.admin], 1);
    assert!(said.contains("nothing was changed"), "{said}");
    sluss_fails(&["park", "horse-racing", "--admin", &running.admin], 2);
}

#[test]
fn an_access_log_on_the_standard_output_has_every_line_when_it_has_gone_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::ZERO);
    let (config, output) = (config(folder.path(), &backend, ""), folder.path().join("output"));
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, text.replace("[admin]", "[access_log]\nto = \"stdout\"\n[admin]")).expect("a disk");
    let running = Sluss::start_into(&output, &config);
    for _ in 0..5 {
        get(&running.address, "/horse/odds").expect("an answer");
    }
    assert!(running.terminate().success());
    let said = std::fs::read_to_string(&output).expect("the output");
    let lines = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON"));
    assert_eq!(lines.filter(|line| line["ended"] == "answered" && line["path"] == "/horse/odds").count(), 5, "{said}");
}
