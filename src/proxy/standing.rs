//! Which backends of a pool are there, told to admission whenever it changes.
//!
//! There are four ways not to be there, and one notion of it: a backend does not accept connections, fails its
//! [checks](super::health), has answered [worse than the others](super::balance::outliers), or was taken out of use by a person. The
//! pool's limit follows whichever it is, and when none is there its products are down.
//!
//! A backend that refuses a connection is set aside; one that has refused several in a row, with none accepted between, is
//! *gone*. Whoever refuses is tried again by a plain connection, after pauses that double, so its return is found while no
//! request comes, and no customer is the one to find out.

mod answers;
mod counting;
#[cfg(test)]
mod experiment;
mod members;
mod succession;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::admit::Gate;
use super::backend::{Backend, Presence};
use super::balance::checks::Checks;
use super::clock::Clock;
use super::descriptors;
use super::health;
use super::names;
use super::settings::{BackendSettings, HealthSettings, PoolSettings, Protocol};
use super::stream::BackendIo;
use super::tls::backends::{BackendTls, TlsFailure};
use super::upstream::greeting::{Accepted, greet};
use crate::telemetry::record::UpstreamMetrics;

pub(crate) use members::MOST_BACKENDS;

/// The backends of a pool as all workers see them.
pub(crate) struct Standing {
    members: Arc<Members>,
    /// What admission and the log were told last.
    told: Mutex<Told>,
    pub(crate) tls: Option<BackendTls>,
    /// What looks after them, so that it ends when other settings count.
    tasks: Mutex<Vec<AbortHandle>>,
    /// Who speaks for the pool since other settings count; nobody when it has left.
    heir: OnceLock<Weak<Standing>>,
    /// As many as were configured for the first level: more are no reason to let more through before that has been found out.
    configured: u32,
    /// Time is asked whether it has changed something.
    compares: AtomicBool,
    pub(crate) settings: PoolSettings,
    gate: Arc<Gate>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<UpstreamMetrics>,
}

/// Who belongs to a pool: the same for those that run by its settings of before, for they are to find who is there now.
#[derive(Default)]
struct Members {
    /// Grows with every change of who belongs to the pool, and of weights.
    generation: AtomicU64,
    roll: Mutex<Arc<[Arc<Backend>]>>,
    /// Addresses that a person has taken out: a name that still has them does not bring them back.
    dismissed: Mutex<BTreeSet<SocketAddr>>,
    /// Names of those that have left, for whoever shows what is.
    departed: Mutex<Vec<String>>,
    /// Streams that go on without a seat, under whichever settings they began.
    seatless: AtomicU32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    part: (u32, u32),
    there: (u32, u32),
    pardoned: bool,
    /// The last level that serves, and what those after the first serve, in per cent of all that is served.
    failover: (u32, u32),
}

impl Standing {
    pub(crate) fn new(
        pool: &PoolSettings,
        gate: Arc<Gate>,
        clock: Clock,
        metrics: Arc<UpstreamMetrics>,
    ) -> Arc<Standing> {
        let backend =
            |backend: &BackendSettings| Arc::new(Backend::new(backend.clone(), pool.health.as_ref().map(checks)));
        let backends: Arc<[_]> = pool.backends.iter().map(backend).collect();
        let all = backends.len() as u32;
        let first = of_first(&pool.backends);
        let whole = pool.backends.iter().filter(|one| one.priority == 0).map(|one| one.weight * 4 * first).sum();
        Arc::new(Standing {
            members: Arc::new(Members { roll: Mutex::new(backends), ..Members::default() }),
            told: Mutex::new(Told { part: (whole, whole), there: (all, all), ..Told::default() }),
            tls: pool.tls.as_ref().map(|tls| BackendTls::new(tls, pool.protocol)),
            tasks: Mutex::default(),
            heir: OnceLock::new(),
            configured: first,
            compares: AtomicBool::new(false),
            settings: pool.clone(),
            gate,
            clock,
            metrics,
        })
    }

    /// Grows whenever [`backends`](Self::backends) are others, or have other weights.
    pub(super) fn generation(&self) -> u64 {
        self.members.generation.load(Ordering::Acquire)
    }

    /// Streams that go on without a seat.
    pub(super) fn seatless(&self) -> &AtomicU32 {
        &self.members.seatless
    }

    /// All that belong to the pool now.
    pub(crate) fn backends(&self) -> Arc<[Arc<Backend>]> {
        self.members.roll.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connect to a backend, in HTTP/1.1 if it must be, and draw from it whether it is there.
    ///
    /// # Errors
    /// When it does not accept, or not in time, or does not speak what it should.
    pub(crate) async fn connect(&self, backend: &Backend, http1: bool) -> io::Result<Accepted> {
        let late = || Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        let connecting = async {
            let tcp = TcpStream::connect(backend.settings.address).await?;
            let stream = match &self.tls {
                None => BackendIo::Clear(tcp),
                // Boxed: a handshake is large and soon over.
                Some(tls) => Box::pin(self.secure(tls, tcp, backend, http1)).await?,
            };
            let http2 = match self.settings.protocol {
                Protocol::Http1 => false,
                Protocol::Http2 => true,
                Protocol::Auto => stream.is_http2(),
            };
            if !http2 {
                return Ok(Accepted::Http1(stream));
            }
            Ok(Accepted::Http2(Box::new(Box::pin(greet(stream)).await?)))
        };
        let connected = timeout(self.settings.timeouts.connect, connecting).await.unwrap_or_else(|_| late());
        match &connected {
            Ok(_) => self.accepted(backend),
            Err(error) => {
                self.metrics.connect_failed.increment(1);
                if !is_ours(error) {
                    self.refused(backend, error);
                }
            }
        }
        connected
    }

    async fn secure(&self, tls: &BackendTls, tcp: TcpStream, backend: &Backend, http1: bool) -> io::Result<BackendIo> {
        // What is dropped unfinished took too long.
        let mut counted = Unfinished { standing: self, failure: Some(TlsFailure::BrokeOff) };
        let stream = tls.secure(tcp, &backend.settings, http1).await;
        counted.failure = stream.as_ref().err().map(TlsFailure::of);
        let named = |error: io::Error| {
            let (why, kind) = (TlsFailure::of(&error).name(), error.kind());
            io::Error::new(kind, format!("TLS: {why} ({error})"))
        };
        stream.map(|stream| BackendIo::Secure(Box::new(stream))).map_err(named)
    }

    /// Look after all backends, for ever, from the runtime this is called on.
    pub(crate) fn look_after(self: &Arc<Self>) {
        for backend in self.backends().iter() {
            self.look_after_one(backend);
        }
        if self.settings.outliers.is_some() || self.settings.slow_start.is_some() {
            self.compares();
        }
        let mut looked_up: Vec<&BackendSettings> = Vec::new();
        for named in self.settings.backends.iter().filter(|backend| backend.host.is_some()) {
            if !looked_up.iter().any(|known| known.is_of(named)) {
                looked_up.push(named);
                self.runs(names::keep_looking_up(self.clone(), named.clone()));
            }
        }
    }

    fn look_after_one(self: &Arc<Self>, backend: &Arc<Backend>) {
        self.runs(self.clone().keep_probing(backend.clone()));
        if backend.priority() > 0 {
            // A level that is called up gets more by and by.
            self.compares();
        }
        if let Some(settings) = self.settings.health.clone() {
            self.runs(health::keep_checking(self.clone(), backend.clone(), settings));
        }
    }

    /// Have time asked, once.
    fn compares(self: &Arc<Self>) {
        if !self.compares.swap(true, Ordering::Relaxed) {
            self.runs(self.clone().keep_comparing());
        }
    }

    fn runs(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(task).abort_handle());
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Try one backend again whenever it refuses and its pause is over, until it is removed.
    async fn keep_probing(self: Arc<Self>, backend: Arc<Backend>) {
        while !backend.is_removed() {
            match backend.paused_until() {
                None => backend.until_set_aside().await,
                Some(until) => {
                    sleep_until(Instant::from_std(self.clock.instant(until))).await;
                    // A request may have found it back meanwhile.
                    if backend.paused_until().is_some_and(|until| until <= self.clock.now()) {
                        let _ = self.connect(&backend, false).await;
                    }
                }
            }
        }
    }

    fn accepted(&self, backend: &Backend) {
        let refused = backend.accepted(self.clock.now());
        if refused > 0 {
            tracing::info!(backend = backend.settings.name, "a backend accepts connections again");
        }
        if refused >= Backend::GONE {
            self.tell();
        }
    }

    fn refused(&self, backend: &Backend, why: &io::Error) {
        let refused = backend.refused(self.clock.now());
        if refused == 1 {
            tracing::warn!(backend = backend.settings.name, %why, "a backend does not accept connections: set aside");
        }
        if refused == Backend::GONE {
            self.tell();
        }
    }

    /// A check of `backend` has passed, or failed with `why`.
    pub(super) fn checked(&self, backend: &Backend, result: Result<(), String>) {
        self.metrics.checked(result.is_ok());
        let name = &backend.settings.name;
        match (backend.checked(result.is_ok()), result) {
            (None, _) => return,
            (Some(_), Ok(())) => tracing::info!(backend = name, "a backend passes its checks again"),
            (Some(_), Err(why)) => tracing::warn!(backend = name, why, "a backend fails its checks: set aside"),
        }
        self.tell();
    }

    /// Count anew, and tell admission.
    pub(super) fn tell(&self) {
        self.gate.with(|domain, now| self.count(domain, now));
    }

    /// Take it out of use, or into use again. Whether that is a change.
    pub(crate) fn drain(&self, backend: &Backend, drained: bool) -> bool {
        let changed = backend.drain(drained);
        self.tell();
        changed
    }

    /// Give it another share. Whether that is a change.
    pub(crate) fn weigh(&self, backend: &Backend, weight: u32) -> bool {
        let changed = backend.set_weight(weight);
        // Whoever chooses by weight knows the heaviest.
        self.change(|_| {});
        changed
    }

    /// Names of those that have left.
    pub(crate) fn departed(&self) -> MutexGuard<'_, Vec<String>> {
        self.members.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so few are there that nobody is left out for their answers.
    pub(crate) fn is_pardoning(&self) -> bool {
        self.told().pardoned
    }

    /// What levels after the first serve, in per cent.
    pub(crate) fn failover(&self) -> u32 {
        self.told().failover.1
    }

    /// The name of the pool.
    pub(crate) fn pool(&self) -> &str {
        &self.settings.name
    }

    /// What a backend is now.
    pub(crate) fn presence(&self, backend: &Backend) -> Presence {
        backend.presence(self.clock.now())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handshake that counts as failed when it is dropped, if it has.
struct Unfinished<'a> {
    standing: &'a Standing,
    failure: Option<TlsFailure>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(failure) = self.failure {
            self.standing.metrics.tls_failed(failure);
        }
    }
}

fn checks(health: &HealthSettings) -> Checks {
    Checks::new(health.fall, health.rise)
}

/// How many of these belong to the first level.
fn of_first(backends: &[BackendSettings]) -> u32 {
    backends.iter().filter(|backend| backend.priority == 0).count() as u32
}

/// A connection that failed for what *we* lack, descriptors or ports, says nothing about the backend.
fn is_ours(error: &io::Error) -> bool {
    descriptors::are_used_up(error) || error.kind() == io::ErrorKind::AddrNotAvailable
}
