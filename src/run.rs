//! Wiring: from a configuration to a running proxy, and down again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use metrics::Counter;
use tokio::sync::{mpsc, watch};

use crate::admin::control::Control;
use crate::admin::shift::ShiftNotes;
use crate::admin::wall::Wall;
use crate::admin::{door, server};
use crate::admission::{Domain, Event, ProductId, State};
use crate::config::Config;
use crate::journal::{Journal, Memory, Record};
use crate::proxy::access_log::{AccessLog, Writing};
use crate::proxy::admit::Gate;
use crate::proxy::classify::Hashes;
use crate::proxy::clock::Clock;
use crate::proxy::listener;
use crate::proxy::settings::{DomainSettings, Settings, Target};
use crate::proxy::worker::{Shared, Workers};
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// A running proxy.
pub struct Running {
    /// Where clients come in.
    pub address: SocketAddr,
    /// Where operators come in.
    pub admin: SocketAddr,
    /// What operators reach.
    pub control: Arc<Control>,
    workers: Workers,
    office: JoinHandle<()>,
    journal: Option<JoinHandle<()>>,
    writing: Option<Writing>,
    stop: watch::Sender<bool>,
}

/// Why a proxy did not start: a sentence that says what to do.
#[derive(Debug)]
pub struct StartError(String);

/// How often the clock on the wall and the schedule file are looked at: a second late is what an operator may notice.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often histograms are folded, and how often levels are written down.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
const KNEES_EVERY: Duration = Duration::from_secs(60);

/// Start a proxy. It takes requests when this returns.
///
/// # Errors
/// When an address is in use or may not be had, or the journal cannot be opened.
pub fn start(config: Config) -> Result<Running, StartError> {
    start_by(Wall::machine(), config)
}

/// Start a proxy whose betting stops follow this clock.
///
/// # Errors
/// As for [`start`].
pub fn start_by(wall: Wall, config: Config) -> Result<Running, StartError> {
    let Config { proxy: settings, admin, events, schedule, journal, .. } = config;
    // Addresses first: a second proxy started by mistake must not get as far as the first one's journal.
    let sockets = listener::bind(&settings.listen)
        .map_err(|error| StartError::address("[listen] address", settings.listen.address, &error))?;
    let office_socket = StdListener::bind(admin.address)
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .map_err(|error| StartError::address("[admin] address", admin.address, &error))?;
    let (journal, memory, journal_thread) = open_journal(journal.as_deref())?;
    let registry = Registry::new();
    let clock = Clock::start();
    let (log, to_log) = mpsc::unbounded_channel();
    let product_names: Vec<String> = settings.products.iter().map(|product| product.name.clone()).collect();
    let gate = |domain: &DomainSettings| {
        let names = domain.products.iter().map(|index| product_names[*index].clone()).collect();
        let shifts = ShiftNotes::new(&settings.products, &registry);
        let notes = Notes::new(names, shifts, journal.clone(), log.clone(), &registry);
        let seed = RandomState::new().hash_one("seed");
        let decide = Domain::new(domain.admission.clone(), seed, clock.now());
        Gate::new(decide, clock, Box::new(move |event, _| notes.take(event)))
    };
    let gates = settings.domains.iter().map(gate).collect();
    drop(log);
    let (access_log, writing) =
        AccessLog::open(&settings, &registry).map_err(|e| StartError::access_log(&settings, &e))?.unzip();
    let admin_address = office_socket.local_addr().unwrap_or(admin.address);
    let shared = Arc::new(Shared::new(settings, gates, clock, Hashes::default(), access_log, &registry));
    let control = Control::new(shared.clone(), registry, journal, wall, (schedule, &events), &memory);
    let workers = Workers::start(&shared, sockets).map_err(|error| StartError::thread(&error))?;
    let (stop, stopped) = watch::channel(false);
    let office =
        office(control.clone(), office_socket, admin.token, to_log, stopped).map_err(|e| StartError::thread(&e))?;
    control.set_ready(true);
    Ok(Running {
        address: workers.address,
        admin: admin_address,
        control,
        workers,
        office,
        journal: journal_thread,
        writing,
        stop,
    })
}

impl Running {
    /// Go down: not ready any more, those who wait are told, what is in flight finishes within `[listen] drain`.
    pub fn stop(self) {
        self.control.set_ready(false);
        for gate in &self.control.shared.gates {
            gate.with(|domain, now| domain.shut_down(now));
        }
        self.workers.stop();
        self.control.journal_knees();
        let _ = self.stop.send(true);
        let _ = self.office.join();
        // Gates and the control hold the journal; its thread ends with the last of them.
        drop(self.control);
        if let Some(journal) = self.journal {
            let _ = journal.join();
        }
        if let Some(writing) = self.writing {
            writing.wait();
        }
    }
}

fn open_journal(path: Option<&Path>) -> Result<(Journal, Memory, Option<JoinHandle<()>>), StartError> {
    let Some(path) = path else {
        tracing::warn!("journal = \"off\": a restart will not know what was parked");
        return Ok((Journal::off(), Memory::default(), None));
    };
    let (journal, memory, thread) = Journal::open(path).map_err(|error| StartError::journal(path, &error))?;
    if memory.unreadable > 0 {
        tracing::error!(
            path = %path.display(),
            lines = memory.unreadable,
            "ALARM: the journal has lines that cannot be read: check that what was parked is parked (sluss status)"
        );
    }
    Ok((journal, memory, Some(thread)))
}

/// The thread on which everything runs that must not be in the way of a request.
fn office(
    control: Arc<Control>,
    socket: StdListener,
    token: Option<String>,
    to_log: mpsc::UnboundedReceiver<Sentence>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("office".into()).spawn(move || {
        runtime.block_on(async move {
            for gate in &control.shared.gates {
                tokio::spawn(gate.clone().keep_awake());
            }
            control.shared.look_after_backends();
            tokio::spawn(write_log(to_log, control.clone()));
            tokio::spawn(every(UPKEEP_EVERY, control.clone(), |control| control.registry.upkeep()));
            tokio::spawn(every(LOOK_EVERY, control.clone(), Control::follow_the_wall_clock));
            tokio::spawn(watch_schedule(control.clone()));
            tokio::spawn(every(LOOK_EVERY, control.clone(), Control::watch_certificates));
            tokio::spawn(every(KNEES_EVERY, control.clone(), Control::journal_knees));
            let listener = tokio::net::TcpListener::from_std(socket).expect("a listening socket of our own making");
            tokio::select! {
                () = door::serve(listener, server::router(control, token)) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        // A lookup that hangs must not hold up the end.
        runtime.shutdown_background();
    })
}

async fn every(period: Duration, control: Arc<Control>, act: fn(&Control)) {
    loop {
        tokio::time::sleep(period).await;
        act(&control);
    }
}

async fn watch_schedule(control: Arc<Control>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        control.watch_schedule().await;
    }
}

/// What becomes of the events of one domain: a count, a line in the journal, a sentence in the log. It is told
/// under the domain's lock, so that the journal's last word is the last state, and waits for nothing: the log
/// may block, and is written by the office.
struct Notes {
    products: Vec<String>,
    shifts: ShiftNotes,
    journal: Journal,
    log: mpsc::UnboundedSender<Sentence>,
    transitions: Vec<[Counter; State::COUNT]>,
}

impl Notes {
    fn new(
        products: Vec<String>,
        shifts: ShiftNotes,
        journal: Journal,
        log: mpsc::UnboundedSender<Sentence>,
        registry: &Registry,
    ) -> Notes {
        let transitions = |name: &String| State::NAMES.map(|to| registry.counter(names::TRANSITIONS, &[name, to]));
        Notes { transitions: products.iter().map(transitions).collect(), products, shifts, journal, log }
    }

    fn take(&self, event: Event) {
        match event {
            Event::StateChanged { product, from, to } => self.state_changed(product, from, to),
            Event::RampMoved { product, from, to } => {
                let product = self.products[usize::from(product.0)].clone();
                self.say(Sentence::RampMoved { product, from, to });
            }
            Event::RampFroze { product, seats } => {
                let product = self.products[usize::from(product.0)].clone();
                self.say(Sentence::RampFroze { product, seats });
            }
            Event::RampThawed { product } => {
                let product = self.products[usize::from(product.0)].clone();
                self.say(Sentence::RampThawed { product });
            }
            Event::ShareMoved { product, .. } | Event::ShiftEnded { product, .. } => {
                let product = self.products[usize::from(product.0)].clone();
                self.shifts.note(&product, event, &self.journal);
                self.say(Sentence::Shift { product, event });
            }
            // Whoever caused it knows its name and has written it down.
            Event::EventChanged { .. } => {}
        }
    }

    fn state_changed(&self, product: ProductId, from: State, to: State) {
        let index = usize::from(product.0);
        let name = &self.products[index];
        self.say(Sentence::StateChanged { product: name.clone(), from, to });
        self.transitions[index][to.index()].increment(1);
        let reason = to.shut().map(|reason| reason.name().to_owned());
        self.journal.note(Record::State { product: name.clone(), state: to.name().into(), reason });
    }

    fn say(&self, sentence: Sentence) {
        // Fails only when the office has closed, and then nobody reads the log either.
        let _ = self.log.send(sentence);
    }
}

/// Something for the log.
enum Sentence {
    StateChanged { product: String, from: State, to: State },
    RampMoved { product: String, from: u32, to: u32 },
    RampFroze { product: String, seats: u32 },
    RampThawed { product: String },
    Shift { product: String, event: Event },
}

async fn write_log(mut sentences: mpsc::UnboundedReceiver<Sentence>, control: Arc<Control>) {
    while let Some(sentence) = sentences.recv().await {
        match sentence {
            Sentence::StateChanged { product, from, to } => tell_state(&control, &product, from, to),
            Sentence::RampMoved { product, from, to } => tracing::info!(product, from, to, "the ramp moved"),
            Sentence::RampFroze { product, seats } => tell_frozen(&control, &product, seats),
            Sentence::RampThawed { product } => {
                tracing::info!(product, "the ramp goes on");
                control.settle(&matter(&product));
            }
            Sentence::Shift { product, event } => control.tell_shift(&product, event),
        }
    }
}

fn tell_state(control: &Control, product: &str, from: State, to: State) {
    let (was, is) = (from.name(), to.name());
    match (from, to) {
        (_, State::Down) => {
            let text = format!("no backend of {product} is there (`sluss status` says why): it is down until one is");
            tracing::error!("ALARM: {text}");
            return control.raise(&matter(product), text);
        }
        (State::Down, State::Ramping) => {
            tracing::warn!(product, from = was, to = is, "backends are back: a reopening that was found, not ordered");
        }
        _ => tracing::info!(product, from = was, to = is, "state changed"),
    }
    control.settle(&matter(product));
}

fn tell_frozen(control: &Control, product: &str, seats: u32) {
    let text = format!(
        "{product} stepped back three times within a minute of its ramp and serves on with {seats} seats: look at its \
         backends, then let it go on (`sluss reopen {product}`) or open it (`sluss open {product}`)"
    );
    tracing::error!("ALARM: {text}");
    control.raise(&matter(product), text);
}

/// What an alarm about a product is filed under; events have names of their own.
fn matter(product: &str) -> String {
    format!("product {product}")
}

impl StartError {
    fn address(key: &str, address: SocketAddr, error: &io::Error) -> StartError {
        let what_to_do = match error.kind() {
            io::ErrorKind::AddrInUse => "something else listens there: stop it, or choose another port",
            io::ErrorKind::PermissionDenied => "ports below 1024 need the capability CAP_NET_BIND_SERVICE",
            io::ErrorKind::AddrNotAvailable => "this machine has no such address: use one it has, or 0.0.0.0 for all",
            _ => "choose an address that this machine can listen on",
        };
        StartError(format!("cannot listen on {key} = \"{address}\": {error}; {what_to_do}"))
    }

    fn journal(path: &Path, error: &io::Error) -> StartError {
        StartError(format!(
            "cannot open the journal {}: {error}; make its folder writable for this user, name another file with \
             journal = \"…\", or write journal = \"off\" and lose what is parked at every restart",
            path.display()
        ))
    }

    fn access_log(settings: &Settings, error: &io::Error) -> StartError {
        let place = match settings.access_log.as_ref().map(|log| &log.target) {
            Some(Target::File(path)) => path.display().to_string(),
            Some(Target::Stdout) | None => "the standard output".to_owned(),
        };
        StartError(format!(
            "cannot open the access log, {place}: {error}; make its folder writable for this user, or name another file with \
             to = \"…\" under [access_log]"
        ))
    }

    fn thread(error: &io::Error) -> StartError {
        StartError(format!("cannot start a thread: {error}; check the limits on processes and descriptors (ulimit -a)"))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
