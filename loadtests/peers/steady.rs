//! Requests at a constant rate over kept connections, whatever becomes of them: for latency without coordinated omission.
//!
//!     steady ADDRESS PATH RATE CONNECTIONS SECONDS
//!
//! Each request has a time at which it is due, and its latency counts from then: one that finds no free connection, or that
//! this program is late to send, has waited all the same. One thread keeps the time and sends, another reads answers. Prints
//! one line of JSON.

#![allow(clippy::print_stdout)]

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::AsyncReadExt;

/// A minute: longer counts as this.
const LONGEST_NS: u64 = 60_000_000_000;

type Failure = Box<dyn Error + Send + Sync>;

/// What the thread that sends and the one that reads share.
struct Line {
    connections: Vec<TcpStream>,
    request: Vec<u8>,
    state: Mutex<State>,
}

struct State {
    free: VecDeque<usize>,
    /// When the request on each connection was due.
    due: Vec<Instant>,
    /// Due, and no connection free.
    waiting: VecDeque<Instant>,
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let [_, address, path, rate, connections, seconds] = &words[..] else {
        return Err("steady ADDRESS PATH RATE CONNECTIONS SECONDS".into());
    };
    let (rate, seconds): (f64, f64) = (rate.parse()?, seconds.parse()?);
    let line = Arc::new(Line::open(address.parse()?, path, connections.parse()?)?);
    let asked = (rate * seconds) as u64;
    let reading = thread::spawn({
        let line = line.clone();
        move || read(line)
    });
    send(&line, rate, asked)?;
    let answered = line.finish(asked);
    drop(reading);
    let state = line.state.lock().expect("nobody panics");
    let at = |histogram: &Histogram<u64>, part| histogram.value_at_quantile(part) as f64 / 1e3;
    println!(
        r#"{{"asked":{asked},"answered":{answered},"p50_us":{},"p99_us":{},"most_us":{},"late_p50_us":{},"late_p99_us":{}}}"#,
        at(&state.latency, 0.5),
        at(&state.latency, 0.99),
        at(&state.latency, 1.0),
        at(&state.lateness, 0.5),
        at(&state.lateness, 0.99),
    );
    Ok(())
}

impl Line {
    fn open(address: SocketAddr, path: &str, connections: usize) -> Result<Line, Failure> {
        let open = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        let now = Instant::now();
        let state = State {
            free: (0..connections).collect(),
            due: vec![now; connections],
            waiting: VecDeque::new(),
            latency: Histogram::new_with_bounds(1, LONGEST_NS, 3)?,
            lateness: Histogram::new_with_bounds(1, LONGEST_NS, 3)?,
        };
        Ok(Line {
            connections: (0..connections).map(open).collect::<Result<_, std::io::Error>>()?,
            request: format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes(),
            state: Mutex::new(state),
        })
    }

    /// So small a request always finds room in a socket whose last one was answered.
    fn ask(&self, connection: usize) -> std::io::Result<()> {
        (&self.connections[connection]).write_all(&self.request)
    }

    /// The answer on a connection is there; the next request that waits goes out on it.
    fn answered(&self, connection: usize) -> std::io::Result<()> {
        let mut state = self.state.lock().expect("nobody panics");
        let took = state.due[connection].elapsed();
        state.latency.saturating_record(took.as_nanos() as u64);
        match state.waiting.pop_front() {
            None => state.free.push_back(connection),
            Some(due) => {
                state.due[connection] = due;
                drop(state);
                self.ask(connection)?;
            }
        }
        Ok(())
    }

    /// Wait for the answers that are still to come, a few seconds at most; how many came in all.
    fn finish(&self, asked: u64) -> u64 {
        for _ in 0..300 {
            if self.state.lock().expect("nobody panics").latency.len() >= asked {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.state.lock().expect("nobody panics").latency.len()
    }
}

fn send(line: &Line, rate: f64, asked: u64) -> std::io::Result<()> {
    let start = Instant::now() + Duration::from_millis(20);
    for number in 0..asked {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let late = due.elapsed();
        let mut state = line.state.lock().expect("nobody panics");
        state.lateness.saturating_record(late.as_nanos() as u64);
        let Some(connection) = state.free.pop_front() else {
            state.waiting.push_back(due);
            continue;
        };
        state.due[connection] = due;
        drop(state);
        line.ask(connection)?;
    }
    Ok(())
}

fn read(line: Arc<Line>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut readers = tokio::task::JoinSet::new();
        for connection in 0..line.connections.len() {
            let stream = tokio::net::TcpStream::from_std(line.connections[connection].try_clone()?)?;
            readers.spawn_local(answers(line.clone(), connection, stream));
        }
        while let Some(ended) = readers.join_next().await {
            ended??;
        }
        Ok(())
    })
}

async fn answers(line: Arc<Line>, connection: usize, mut stream: tokio::net::TcpStream) -> Result<(), Failure> {
    let mut seen = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut seen).await? == 0 {
            return Err("a connection was closed".into());
        }
        if let Some(length) = length(&seen)?
            && seen.len() >= length
        {
            seen.clear();
            line.answered(connection)?;
        }
    }
}

/// Of the whole answer that begins here, when its head is there. It must be a 200 whose length is told.
fn length(seen: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(head) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&seen[..head])?.to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        return Err(format!("an answer that is none: {text}").into());
    }
    let told = text.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or("no length")?;
    Ok(Some(head + 4 + told.trim().parse::<usize>()?))
}
