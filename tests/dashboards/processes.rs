//! A proxy and a Prometheus of their own, stopped when they are dropped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// So long may a process take to start, and a thing that was caused to be seen.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

/// The proxy under test.
pub(crate) struct Sluss {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    _process: Process,
}

/// Debian's Prometheus.
pub(crate) struct Prometheus {
    address: SocketAddr,
    started: f64,
    _process: Process,
}

struct Process {
    child: Child,
    log: PathBuf,
}

impl Sluss {
    /// With this configuration, in this folder.
    pub(crate) fn start(folder: &Path, config: &str) -> Sluss {
        let file = folder.join("sluss.toml");
        fs::write(&file, config).expect("the folder can be written to");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluss"));
        let mut process = Process::start(command.arg("run").arg("--config").arg(file), folder.join("sluss.log"));
        let addresses = process.until("sluss takes requests", |log| {
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let line = lines.into_iter().find(|line| line["message"] == "sluss takes requests")?;
            let address = |key: &str| line[key].as_str().and_then(|text| text.parse().ok());
            Some((address("address")?, address("admin")?))
        });
        Sluss { address: addresses.0, admin: addresses.1, _process: process }
    }

    /// An order or a signal.
    pub(crate) fn tell(&self, path: &str, document: &Value) {
        let body = document.to_string();
        let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let answer = ask(self.admin, &format!("POST {path}"), &head, &body).expect("the admin address answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{document}: {answer}");
    }
}

impl Prometheus {
    /// Scraping `target` every second, and everything it keeps in this folder.
    pub(crate) fn start(folder: &Path, target: SocketAddr) -> Prometheus {
        let config = format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs: [{{ job_name: sluss, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("the folder can be written to");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = free.expect("a free port");
        let started = now();
        let mut command = Command::new(find("prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command, folder.join("prometheus.log"));
        process.until("Prometheus is ready", |_| {
            let answer = ask(address, "GET /-/ready", "", "").ok()?;
            answer.starts_with("HTTP/1.0 200").then_some(())
        });
        Prometheus { address, started, _process: process }
    }

    /// The result of a query from the start until now, in steps of a second; or what is wrong with it.
    pub(crate) fn query_range(&self, query: &str) -> Result<Vec<Value>, String> {
        let times = format!("start={:.3}&end={:.3}&step=1", self.started, now());
        self.query(&format!("query_range?{times}&query={}", encoded(query)))
    }

    /// Wait until the query has a result now.
    #[track_caller]
    pub(crate) fn until(&self, query: &str) {
        until(&format!("{query} in Prometheus"), || self.has(query).then_some(()));
    }

    /// Whether the query has a result now.
    pub(crate) fn has(&self, query: &str) -> bool {
        self.query(&format!("query?query={}", encoded(query))).is_ok_and(|result| !result.is_empty())
    }

    fn query(&self, path: &str) -> Result<Vec<Value>, String> {
        let answer = ask(self.address, &format!("GET /api/v1/{path}"), "", "").map_err(|error| error.to_string())?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).map_err(|error| format!("{error} in {answer}"))?;
        if body["status"] != "success" {
            return Err(body["error"].to_string());
        }
        Ok(body["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}

impl Process {
    fn start(command: &mut Command, log: PathBuf) -> Process {
        let write = File::create(&log).expect("the folder can be written to");
        let too = write.try_clone().expect("an open file");
        let child = command.stdin(Stdio::null()).stdout(write).stderr(too).spawn();
        Process { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), log }
    }

    /// Wait for what its log or anything else tells; in vain when it ends before.
    #[track_caller]
    fn until<T>(&mut self, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> T {
        until(what, || {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "it ended ({ended:?}) before: {what}\n{log}");
            found(&log)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Wait for something that happens soon; only what hangs takes long.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + GUARD;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One request on a connection of its own; the whole answer.
pub(crate) fn ask(address: SocketAddr, line: &str, head: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(GUARD))?;
    // Prometheus answers HTTP/1.0 without chunks; the proxy answers 1.1 with a length.
    let version = if line.starts_with("GET /api") || line.starts_with("GET /-/") { "1.0" } else { "1.1" };
    write!(stream, "{line} HTTP/{version}\r\nhost: {address}\r\nconnection: close\r\n{head}\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = folders.map(|folder| folder.join(program));
    files.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("{program} is not installed: this test needs Debian's package `prometheus` (apt-get install prometheus)")
    })
}

fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("it is after 1970").as_secs_f64()
}
