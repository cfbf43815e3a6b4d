//! A whole proxy in this process.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sluss::admin::status::{ProductStatus, Status};
use sluss::admin::wall::Wall;
use sluss::config::{self, Config, Resolver, Surroundings, ThisMachine};
use sluss::run::{self, Running, StartError};

use super::backend::Backend;
use super::client::Client;
use super::until;
use super::wire::Message;

/// What a proxy is told, in the words of its configuration.
#[derive(Clone, Default)]
pub struct Setup {
    top: String,
    listen: String,
    admin: String,
    rest: String,
    names: Option<Resolver>,
}

/// This machine, but for how it finds hosts.
struct Here(Resolver);

/// A running proxy; it goes down when it is dropped.
pub struct Proxy {
    running: Option<Running>,
    /// What it finds when it reads its configuration again.
    written: Arc<Mutex<Setup>>,
}

impl Setup {
    pub fn new() -> Setup {
        Setup { top: "journal = \"off\"\n".into(), ..Setup::default() }
    }

    /// Keep a journal in this file.
    pub fn journal(mut self, path: &Path) -> Setup {
        self.top = format!("journal = {:?}\n", path.display().to_string());
        self
    }

    /// Lines for the top of the file.
    pub fn top(mut self, lines: &str) -> Setup {
        writeln!(self.top, "{lines}").expect("a string takes any text");
        self
    }

    /// Lines for `[listen]`.
    pub fn listen(mut self, lines: &str) -> Setup {
        writeln!(self.listen, "{lines}").expect("a string takes any text");
        self
    }

    /// Find hosts by this.
    pub fn names(mut self, resolver: Resolver) -> Setup {
        self.names = Some(resolver);
        self
    }

    /// Lines for `[admin]`.
    pub fn admin(mut self, lines: &str) -> Setup {
        writeln!(self.admin, "{lines}").expect("a string takes any text");
        self
    }

    /// Whole tables, in front of products that are added later.
    pub fn with(mut self, tables: &str) -> Setup {
        writeln!(self.rest, "{tables}").expect("a string takes any text");
        self
    }

    /// A product with this path: its bets are posted to `bets`, and `logout` is protected.
    pub fn product(self, name: &str, path: &str, backends: &[SocketAddr], keys: &str) -> Setup {
        let backends: Vec<String> = backends.iter().map(|address| format!("http://{address}")).collect();
        self.with(&format!(
            "[[product]]\nname = {name:?}\nmatch = [{{ path = {path:?} }}]\nbackends = {backends:?}\n{keys}\n\
             [[product.class]]\nclass = \"protected\"\nmatch = [{{ path = \"{path}logout\" }}]\n\
             [[product.class]]\nclass = \"commit\"\nmatch = [{{ method = \"POST\", path = \"{path}bets\" }}]"
        ))
    }

    /// The usual product in front of one backend, with these keys.
    pub fn horse(self, backend: &Backend, keys: &str) -> Setup {
        self.product("horse-racing", "/horse/", &[backend.address], keys)
    }

    #[track_caller]
    pub fn start(&self) -> Proxy {
        self.start_by(Wall::machine())
    }

    /// Start with this clock on the wall.
    #[track_caller]
    pub fn start_by(&self, wall: Wall) -> Proxy {
        let written = Arc::new(Mutex::new(self.clone()));
        let found = written.clone();
        let again = move || found.lock().expect("nobody panics with it").read();
        let running = run::start_by(wall, self.config(), Some(Arc::new(again)));
        Proxy { running: Some(running.unwrap_or_else(|error| panic!("{error}"))), written }
    }

    #[track_caller]
    pub fn try_to_start(&self) -> Result<Running, StartError> {
        run::start(self.config())
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.read().unwrap_or_else(|error| panic!("{error}"))
    }

    fn read(&self) -> Result<Config, String> {
        let address = "address = \"127.0.0.1:0\"";
        let Setup { top, listen, admin, rest, names } = self;
        // A test that fails with a request in flight should not take half a minute to say so.
        let drain = if listen.contains("drain") { "" } else { "drain = \"5s\"" };
        let spread = if listen.contains("spread") { "" } else { "spread = \"1ms\"" };
        let text = format!("{top}[listen]\n{address}\n{drain}\n{spread}\n{listen}[admin]\n{address}\n{admin}{rest}");
        let around = Here(names.clone().unwrap_or_else(Resolver::of_this_machine));
        let config = config::parse(&text, Path::new("test.toml"), &around);
        config.map_err(|error| format!("{error}\n\nin\n{text}"))
    }
}

impl Surroundings for Here {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        ThisMachine.read(path)
    }

    fn resolver(&self) -> Resolver {
        self.0.clone()
    }

    fn state_directory(&self) -> Option<PathBuf> {
        ThisMachine.state_directory()
    }

    fn cores(&self) -> NonZeroU32 {
        ThisMachine.cores()
    }

    fn memory(&self) -> u64 {
        ThisMachine.memory()
    }

    fn time_zone(&self, name: &str) -> Option<TimeZone> {
        ThisMachine.time_zone(name)
    }
}

impl Proxy {
    /// One product, horse racing, with everything as it is by default.
    #[track_caller]
    pub fn before(backend: &Backend) -> Proxy {
        Setup::new().horse(backend, "").start()
    }

    /// This is what it finds when it reads its configuration again.
    pub fn writes(&self, setup: Setup) {
        *self.written.lock().expect("nobody panics with it") = setup;
    }

    /// Have it read its configuration again, and find this.
    #[track_caller]
    pub fn reload(&self, setup: Setup) -> Message {
        self.writes(setup);
        self.post("/api/v1/reload", &json!({"who": "anna"}))
    }

    /// The same, and it counts from then on.
    #[track_caller]
    pub fn goes_on_by(&self, setup: Setup) {
        let answer = self.reload(setup);
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// A client's connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::to(self.address())
    }

    /// An operator's connection.
    #[track_caller]
    pub fn admin(&self) -> Client {
        Client::to(self.running().admin)
    }

    pub fn status(&self) -> Status {
        self.running().control.status()
    }

    #[track_caller]
    pub fn product(&self, name: &str) -> ProductStatus {
        let found = self.status().products.into_iter().find(|product| product.name == name);
        found.unwrap_or_else(|| panic!("no product {name}"))
    }

    /// Wait until so many requests of all products are in flight.
    #[track_caller]
    pub fn until_in_flight(&self, seats: u32) {
        let held = || self.status().products.iter().map(|product| product.in_flight).sum::<u32>();
        until(&format!("{seats} in flight"), || held() == seats);
    }

    /// Wait until so many requests of all products wait.
    #[track_caller]
    pub fn until_waiting(&self, many: u32) {
        let waiting = || self.status().products.iter().map(|product| product.waiting).sum::<u32>();
        until(&format!("{many} waiting"), || waiting() == many);
    }

    /// Wait until no client is connected.
    #[track_caller]
    pub fn until_alone(&self) {
        until("nobody is connected", || self.status().connections == 0);
    }

    /// An order about one product.
    #[track_caller]
    pub fn order(&self, order: &str, product: &str) -> Message {
        self.post("/api/v1/orders", &json!({"order": order, "product": product, "reason": "a test", "who": "anna"}))
    }

    /// An order about one event.
    #[track_caller]
    pub fn order_event(&self, order: &str, event: &str) -> Message {
        self.post("/api/v1/orders", &json!({"order": order, "event": event, "reason": "a test", "who": "anna"}))
    }

    /// A close signal for one event.
    #[track_caller]
    pub fn signal(&self, event: &str) -> Message {
        self.post("/api/v1/signals", &json!({"signal": "close", "event": event, "source": "the tote"}))
    }

    /// A document for the admin API.
    #[track_caller]
    pub fn post(&self, path: &str, document: &Value) -> Message {
        self.send("POST", path, document)
    }

    /// The same by another method.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, document: &Value) -> Message {
        let body = document.to_string();
        self.admin().ask(format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// The value of a metric; `series` is its name with its labels. Nothing counts as zero.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.admin().get("/metrics").text();
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or(0.0)
    }

    /// Go down, and come back when down.
    pub fn stop(mut self) {
        self.running.take().expect("it goes down once").stop();
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}
