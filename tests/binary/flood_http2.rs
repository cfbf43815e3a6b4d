//! Floods of frames over HTTP/2: each ends its connection with GOAWAY, and memory is as it was, while they last too.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::process::{Sluss, config};
use super::{get, slow_backend};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET http://h/`, in HPACK.
const ASKS: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'h'];
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ENDS_STREAM: u8 = 1;
const ENDS_HEADERS: u8 = 4;

/// What a client does again and again (CVE-2023-44487, CVE-2024-27316, CVE-2019-9512, CVE-2019-9515).
#[derive(Clone, Copy, Debug)]
enum Flood {
    RapidReset,
    Continuation,
    Ping,
    Settings,
}

impl Flood {
    /// The frames of its turn `number`.
    fn frames(self, number: u32) -> Vec<u8> {
        let stream = 2 * number + 1;
        match self {
            Flood::RapidReset => {
                let asks = frame(HEADERS, ENDS_STREAM | ENDS_HEADERS, stream, ASKS);
                [asks, frame(RESET, 0, stream, &8u32.to_be_bytes())].concat()
            }
            Flood::Continuation if number == 0 => frame(HEADERS, ENDS_STREAM, 1, ASKS),
            // A header that is never indexed: `x: yyy…`.
            Flood::Continuation => {
                frame(CONTINUATION, 0, 1, &[&[0x10, 1, b'x', 0x7f, 0x81, 0x01], &[b'y'; 256][..]].concat())
            }
            Flood::Ping => frame(PING, 0, 0, &[7; 8]),
            Flood::Settings => frame(SETTINGS, 0, 0, &[]),
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// How a flood ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By the proxy, with GOAWAY.
    Told,
    /// By the proxy. Who goes on sending may be reset, and then what was said to them is lost.
    Cut,
    /// It could have gone on.
    Not,
}

/// Flood until the proxy does not take any more, or 4 MiB are sent.
fn floods(address: &str, flood: Flood) -> End {
    let mut stream = TcpStream::connect(address).expect("the proxy listens");
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a socket");
    let mut said = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let mut heard = stream.try_clone().expect("a socket");
    // It reads what is said to it, or its own window would end the flood.
    let hears = thread::spawn(move || {
        let mut all = Vec::new();
        let result = heard.read_to_end(&mut all);
        match result {
            _ if has_goodbye(&all) => End::Told,
            Err(error) if error.kind() == ErrorKind::WouldBlock => End::Not,
            _ => End::Cut,
        }
    });
    let mut sent = 0;
    for number in 0.. {
        said.extend(flood.frames(number));
        if said.len() >= 16 << 10 {
            sent += said.len();
            if stream.write_all(&said).is_err() || sent > 4 << 20 {
                break;
            }
            said.clear();
        }
    }
    hears.join().expect("no panic")
}

/// Whether there is a GOAWAY among these frames.
fn has_goodbye(mut frames: &[u8]) -> bool {
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((_, next)) = rest.split_at_checked(length) else { return false };
        if *kind == GO_AWAY {
            return true;
        }
        frames = next;
    }
    false
}

/// Memory of a process, now and at its most since [`forget`](Memory::forget).
struct Memory(u32);

impl Memory {
    fn forget(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").expect("our own child");
    }

    fn of(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("our own child");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("a field");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "figures to look at")]
fn a_flood_of_frames_is_ended_and_takes_no_memory() {
    const ALL: [Flood; 4] = [Flood::RapidReset, Flood::Continuation, Flood::Ping, Flood::Settings];
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(folder.path(), &slow_backend(Duration::from_millis(20)), "limit = 20");
    // Of talk that brings nothing as much is taken as bodies may lie unread: the fewer streams, the less.
    let text = fs::read_to_string(&path).expect("just written");
    fs::write(&path, text.replacen("[listen]\n", "[listen]\nhttp2_streams = 4\n", 1)).expect("a disk");
    let running = Sluss::start(&path);
    let memory = Memory(running.process());
    // What one of each takes is there afterwards: stacks, and what the allocator keeps.
    for flood in ALL {
        floods(&running.address, flood);
    }
    for flood in ALL {
        memory.forget();
        let before = memory.of("VmRSS");
        let mut ends = Vec::new();
        for _ in 0..5 {
            let client = |address: String| thread::spawn(move || floods(&address, flood));
            let clients: Vec<_> = (0..8).map(|_| client(running.address.clone())).collect();
            ends.extend(clients.into_iter().map(|client| client.join().expect("no panic")));
        }
        let most = memory.of("VmHWM");
        let told = ends.iter().filter(|end| **end == End::Told).count();
        eprintln!("{flood:?}: {told} of 40 were told; {} KiB before, {} at the most", before >> 10, most >> 10);
        assert!(told > 0 && !ends.contains(&End::Not), "{flood:?}: {ends:?}");
        assert!(most < before + (24 << 20), "{flood:?}: {} KiB before, {} at the most", before >> 10, most >> 10);
    }
    assert!(get(&running.admin, "/livez").is_ok_and(|answer| answer.ends_with("alive\n")));
    assert!(running.terminate().success());
}
