//! Wiring: from a configuration to a running proxy, and down again.

pub mod ending;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::admin::control::Control;
use crate::admin::reload::{self, Kept, Reloading, Source};
use crate::admin::wall::Wall;
use crate::admin::{door, server};
use crate::config::Config;
use crate::handover::{self, Inherited, NoOrders, Predecessor, Sockets};
use crate::journal::{Journal, Memory};
use crate::notify;
use crate::proxy::access_log::{AccessLog, Writing};
use crate::proxy::clock::Clock;
use crate::proxy::listener;
use crate::proxy::once::Expecting;
use crate::proxy::settings::{Settings, Target};
use crate::proxy::shared::Shared;
use crate::proxy::workers::{Published, Workers};
use crate::telemetry::export::Registry;

mod notes;

pub(crate) use notes::Gates;
use notes::{Sentence, write_log};

/// A running proxy.
pub struct Running {
    /// Where clients come in.
    pub address: SocketAddr,
    /// Where operators come in.
    pub admin: SocketAddr,
    /// What operators reach.
    pub control: Arc<Control>,
    /// Which of the sockets that were handed to it are used.
    pub shares: Shares,
    /// Nothing is ordered until it can be passed on to the process that this one follows.
    no_orders: Option<NoOrders>,
    workers: Workers,
    sockets: Sockets,
    office: JoinHandle<()>,
    journal: Option<JoinHandle<()>>,
    writing: Option<Writing>,
    door: watch::Sender<bool>,
    stop: watch::Sender<bool>,
}

/// Which of the sockets that were handed to it a process uses.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// The clients'.
    pub clients: bool,
    /// The operators'.
    pub admin: bool,
}

/// Why a proxy did not start: a sentence that says what to do.
#[derive(Debug)]
pub struct StartError(String);

/// How often the clock on the wall and the schedule file are looked at: a second late is what an operator may notice.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often histograms are folded, and how often levels are written down.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How long who has asked may take to take the answer when all is over.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
const KNEES_EVERY: Duration = Duration::from_secs(60);

/// Start a proxy. It takes requests when this returns.
///
/// # Errors
/// When an address is in use or may not be had, or the journal cannot be opened.
pub fn start(config: Config) -> Result<Running, StartError> {
    start_by(Wall::machine(), config, None)
}

/// Start a proxy that can read its configuration again.
///
/// # Errors
/// As for [`start`].
pub fn start_from(config: Config, again: Source) -> Result<Running, StartError> {
    start_by(Wall::machine(), config, Some(again))
}

/// Start a proxy whose betting stops follow this clock, and which reads its configuration again `again`, if it can.
///
/// # Errors
/// As for [`start`].
pub fn start_by(wall: Wall, config: Config, again: Option<Source>) -> Result<Running, StartError> {
    start_with(wall, config, again, &mut Inherited::default())
}

/// Start a proxy with sockets that were opened for it. Where it follows another process, that one has its journal until all
/// is well here.
///
/// # Errors
/// As for [`start`], and when a socket was handed over that is not configured.
pub fn start_with(
    wall: Wall,
    config: Config,
    again: Option<Source>,
    inherited: &mut Inherited,
) -> Result<Running, StartError> {
    let kept = Kept::of(&config);
    let Config { proxy: settings, admin, events, schedule, journal, .. } = config;
    // Addresses first: a second proxy started by mistake must not get as far as the first one's journal.
    let given = inherited.sort(settings.listen.address, admin.address).map_err(StartError)?;
    let shares = Shares { clients: !given.clients.is_empty(), admin: given.admin.is_some() };
    let sockets = listener::sockets(&settings.listen, given.clients)
        .map_err(|error| StartError::address("[listen] address", settings.listen.address, &error))?;
    let office_socket = given.admin.map_or_else(|| StdListener::bind(admin.address), Ok);
    let office_socket = office_socket
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .map_err(|error| StartError::address("[admin] address", admin.address, &error))?;
    let held = Sockets::of(&sockets, &office_socket).map_err(|error| StartError::thread(&error))?;
    let keys = inherited.predecessor().map(Predecessor::sound).unwrap_or_default();
    let (journal, memory, journal_thread) = open_journal(journal.as_deref())?;
    let registry = Registry::new();
    let clock = Clock::start();
    let (log, to_log) = mpsc::unbounded_channel();
    let gates = Gates::new(clock, journal.clone(), log, registry.clone());
    let of_domains = gates.of(&settings.domains, &[]);
    let (access_log, writing) =
        AccessLog::open(&settings, &registry).map_err(|e| StartError::access_log(&settings, &e))?.unzip();
    let admin_address = office_socket.local_addr().unwrap_or(admin.address);
    let shared = Arc::new(Shared::new(settings, of_domains, clock, keys, access_log, &registry));
    let (taken_up, hears) = mpsc::unbounded_channel();
    let (publish, published) = watch::channel(Published { shared: shared.clone(), taken_up });
    let reloading = Reloading::new(again, gates, (publish, hears), kept, &registry);
    let control = Control::new(shared, registry, journal, wall, (schedule, &events), &memory, reloading);
    let no_orders = inherited.predecessor().and_then(|_| control.handover.no_orders_yet());
    // Before the first request: what is known of it may be on its way.
    let expecting =
        inherited.take_known().map(|stream| (stream, control.shared().bets.as_ref().map(|bets| bets.expect())));
    let workers = Workers::start(&published, sockets).map_err(|error| StartError::thread(&error))?;
    let ((stop, stopped), (door, shut)) = (watch::channel(false), watch::channel(false));
    control.asks_for(admin.token);
    let office = office(control.clone(), (office_socket, shut), to_log, (expecting, stopped))
        .map_err(|e| StartError::thread(&e))?;
    control.set_ready(true);
    Ok(Running {
        address: workers.address,
        admin: admin_address,
        control,
        shares,
        no_orders,
        workers,
        sockets: held,
        office,
        journal: journal_thread,
        writing,
        door,
        stop,
    })
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
    (socket, shut): (StdListener, watch::Receiver<bool>),
    to_log: mpsc::UnboundedReceiver<Sentence>,
    (expecting, mut stopped): (Option<(UnixStream, Option<Expecting>)>, watch::Receiver<bool>),
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("office".into()).spawn(move || {
        runtime.block_on(async move {
            control.has_its_office_here();
            for gate in &control.shared().gates {
                tokio::spawn(gate.clone().keep_awake());
            }
            control.shared().look_after_backends();
            if let Some((known, expecting)) = expecting {
                tokio::spawn(handover::take_over(known, Arc::downgrade(&control), expecting));
            }
            tokio::spawn(write_log(to_log, control.clone()));
            tokio::spawn(every(UPKEEP_EVERY, control.clone(), |control| control.registry.upkeep()));
            tokio::spawn(every(LOOK_EVERY, control.clone(), Control::follow_the_wall_clock));
            tokio::spawn(watch_schedule(control.clone()));
            tokio::spawn(every(LOOK_EVERY, control.clone(), Control::watch_certificates));
            if let Some(within) = notify::watched() {
                tokio::spawn(every(within / 2, control.clone(), |_| notify::alive()));
            }
            tokio::spawn(reload::keep_reloading(control.clone()));
            tokio::spawn(every(KNEES_EVERY, control.clone(), Control::journal_knees));
            let listener = tokio::net::TcpListener::from_std(socket).expect("a listening socket of our own making");
            let answers = tokio::spawn(door::serve(listener, server::router(control), shut, stopped.clone()));
            let _ = stopped.wait_for(|stop| *stop).await;
            let _ = timeout(LAST_ANSWERS, answers).await;
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
