//! The configuration read again, while customers run and wait: on `SIGHUP` and by order.
//!
//! It is read and checked as a whole, off the threads that serve, and what is wrong with it changes nothing. Then all of it
//! counts from one moment on, for whatever begins: who waits keeps their place, who runs is answered by what counted when
//! they came, connections stay open. Why it is done within the process stands in `docs/decisions/0023-reload.md`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::control::{Control, Said};
use super::orders::{Mistake, somebody};
use crate::config::{Config, LogFormat};
use crate::journal::Record;
use crate::notify;
use crate::proxy::access_log::{AccessLog, Writing};
use crate::proxy::settings::Settings;
use crate::proxy::shared::Shared;
use crate::proxy::workers::Published;
use crate::run::Gates;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// Reads the configuration again and checks it; what is wrong with it as text for a person. It may take its time.
pub type Source = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// The configuration is to be read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// Who asks.
    #[serde(default = "somebody")]
    pub who: String,
}

/// What reading the configuration again came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenUp {
    /// Products there are now.
    pub products: usize,
    /// Those that are new.
    pub new: Vec<String>,
    /// Those that have left.
    pub gone: Vec<String>,
}

/// What a process has for as long as it runs.
#[derive(PartialEq)]
pub struct Kept {
    address: SocketAddr,
    workers: NonZeroU32,
    admin: SocketAddr,
    journal: Option<PathBuf>,
    log: LogFormat,
}

/// What it takes to read the configuration again.
pub struct Reloading {
    again: Option<Source>,
    kept: Kept,
    gates: Gates,
    publish: watch::Sender<Published>,
    /// Workers that have taken up what was published; held by whoever reloads, so that there is one at a time.
    taken_up: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
    ask: mpsc::UnboundedSender<String>,
    asked: Mutex<Option<mpsc::UnboundedReceiver<String>>>,
    /// Threads that write what is left of access logs that were replaced.
    replaced: Mutex<Vec<Writing>>,
    results: [Counter; 2],
    at: Gauge,
}

/// How long a worker may take to take up what was published before somebody is told.
const TAKE_UP_WITHIN: Duration = Duration::from_secs(5);
/// What an alarm about the configuration is filed under; no event has a space in its id.
const CONFIGURATION: &str = "configuration file";

impl Kept {
    /// What there is of it in a configuration.
    pub fn of(config: &Config) -> Kept {
        let Config { proxy, admin, journal, log, .. } = config;
        Kept {
            address: proxy.listen.address,
            workers: proxy.listen.workers,
            admin: admin.address,
            journal: journal.clone(),
            log: *log,
        }
    }

    /// The keys whose values differ.
    fn differences(&self, other: &Kept) -> Vec<&'static str> {
        let differs = [
            ("[listen] address", self.address != other.address),
            ("[listen] workers", self.workers != other.workers),
            ("[admin] address", self.admin != other.admin),
            ("journal", self.journal != other.journal),
            ("log", self.log != other.log),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl Reloading {
    /// For a proxy that can read its configuration `again`, or not. What is published is heard of by all workers, and they
    /// say when they have taken it up.
    pub(crate) fn new(
        again: Option<Source>,
        gates: Gates,
        (publish, taken_up): (watch::Sender<Published>, mpsc::UnboundedReceiver<()>),
        kept: Kept,
        registry: &Registry,
    ) -> Reloading {
        let (ask, asked) = mpsc::unbounded_channel();
        let at = registry.gauge(names::CONFIG_TIME, &[]);
        at.set(jiff::Timestamp::now().as_second() as f64);
        Reloading {
            again,
            kept,
            gates,
            publish,
            taken_up: tokio::sync::Mutex::new(taken_up),
            ask,
            asked: Mutex::new(Some(asked)),
            replaced: Mutex::default(),
            results: ["taken_up", "rejected"].map(|result| registry.counter(names::CONFIG_RELOADS, &[result])),
            at,
        }
    }

    /// Threads that still write what was said before their log was replaced by another.
    pub(crate) fn take_replaced(&self) -> Vec<Writing> {
        std::mem::take(&mut *self.replaced())
    }

    fn replaced(&self) -> MutexGuard<'_, Vec<Writing>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reload whenever [asked to](Control::ask_to_reload), for ever.
pub async fn keep_reloading(control: Arc<Control>) {
    let asked = control.reloading.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut asked) = asked else { return };
    while let Some(who) = asked.recv().await {
        // It has said what is wrong, in the log and as an alarm.
        let _ = control.reload(&who).await;
    }
}

impl Control {
    /// Have the configuration read again soon. What comes of it is in the log.
    pub fn ask_to_reload(&self, who: &str) {
        let _ = self.reloading.ask.send(who.to_owned());
    }

    /// Read the configuration again, and go on by it.
    ///
    /// # Errors
    /// When it cannot be used, or needs another process. Nothing was changed then.
    pub async fn reload(&self, who: &str) -> Result<TakenUp, Mistake> {
        let mut taken_up = self.reloading.taken_up.lock().await;
        // Whoever was too late the last time speaks of what is past.
        while taken_up.try_recv().is_ok() {}
        notify::reloading();
        let result = match self.read_again().await {
            Ok(config) => self.take_up(config, who),
            Err(text) => Err(text),
        };
        notify::reloaded(result.is_ok());
        match result {
            Ok(result) => {
                self.wait_for_workers(&mut taken_up).await;
                self.reloading.results[0].increment(1);
                self.reloading.at.set(jiff::Timestamp::now().as_second() as f64);
                self.settle(CONFIGURATION);
                let TakenUp { products, new, gone } = &result;
                tracing::warn!(who, products, ?new, ?gone, "the configuration was read again, and counts");
                let reason = format!("{products} products, {} new, {} gone", new.len(), gone.len());
                let said = Said {
                    order: "reload".into(),
                    who: who.into(),
                    reason: reason.clone(),
                    at: jiff::Timestamp::now(),
                };
                self.matters().last.insert("configuration".into(), said);
                let (order, scope) = ("reload".to_owned(), "configuration".to_owned());
                self.keep(Record::Order { order, scope, who: who.into(), reason }).await?;
                Ok(result)
            }
            Err(text) => {
                self.reloading.results[1].increment(1);
                let text = format!("the configuration cannot be taken up, so nothing was changed: {text}");
                tracing::error!(who, "ALARM: {text}");
                self.raise(CONFIGURATION, text.clone());
                Err(Mistake::Unclear(text))
            }
        }
    }

    async fn read_again(&self) -> Result<Config, String> {
        let Some(again) = self.reloading.again.clone() else {
            return Err("this proxy was not started from a file".into());
        };
        tokio::task::spawn_blocking(move || again()).await.unwrap_or_else(|_| Err("the check of it panicked".into()))
    }

    /// From one moment on: nothing in between is waited for.
    fn take_up(&self, config: Config, who: &str) -> Result<TakenUp, String> {
        let live = self.shared();
        let differences = self.reloading.kept.differences(&Kept::of(&config));
        if !differences.is_empty() {
            let keys = differences.join(", ");
            return Err(format!("another {keys} takes a new process (`sluss upgrade`, or a restart)"));
        }
        let Config { proxy, events, schedule, admin, .. } = config;
        let settings = proxy
            .following(&live.settings)
            .map_err(|why| format!("{why}: that takes a new process (`sluss upgrade`, or a restart)"))?;
        let access_log = self.next_access_log(&live, &settings).map_err(|error| {
            format!("cannot open the access log: {error}; name a file that this user can write under [access_log]")
        })?;
        let gates = self.reloading.gates.of(&settings.domains, &live.gates);
        for gate in &gates[live.gates.len()..] {
            tokio::spawn(gate.clone().keep_awake());
        }
        let pools: Vec<_> = live.standings.iter().map(|standing| (standing.clone(), standing.backends())).collect();
        let next = Arc::new(live.succeeded_by(settings, gates, access_log, &self.registry));
        let result = compared(&live.settings, &next.settings);
        self.counts(next.clone());
        next.look_after_backends();
        self.keep_orders();
        self.carry_over_switches(&live, &next);
        self.carry_over_states(&live, &next);
        self.renumber_events(&live.settings, &next.settings);
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner) = schedule;
        let _ = self.take_over(&events, who);
        self.asks_for(admin.token);
        self.certificates_are_read(&next);
        self.take_leave(&live.settings, &pools);
        self.reloading.publish.send_modify(|published| published.shared = next);
        Ok(result)
    }

    /// The log that there is, unless another place is named, or more memory.
    fn next_access_log(&self, live: &Shared, next: &Settings) -> std::io::Result<Option<Arc<AccessLog>>> {
        let place = |settings: &Settings| settings.access_log.as_ref().map(|log| (log.target.clone(), log.memory));
        if place(&live.settings) == place(next) {
            return Ok(live.access_log());
        }
        let (log, writing) = AccessLog::open(next, &self.registry)?.unzip();
        self.reloading.replaced().extend(writing);
        Ok(log)
    }

    async fn wait_for_workers(&self, taken_up: &mut mpsc::UnboundedReceiver<()>) {
        let all = async {
            let mut heard = 0;
            // Of a process that goes down one after the other ends.
            while heard < self.reloading.publish.receiver_count() {
                let _ = taken_up.recv().await;
                heard += 1;
            }
        };
        if tokio::time::timeout(TAKE_UP_WITHIN, all).await.is_err() {
            tracing::error!("a worker has not taken up the new configuration yet: it is too busy to, or hangs");
        }
    }
}

fn compared(live: &Settings, next: &Settings) -> TakenUp {
    let lacks = |settings: &Settings, name: &str| !settings.products.iter().any(|product| product.name == name);
    let only = |one: &Settings, other: &Settings| -> Vec<String> {
        let names = one.products.iter().map(|product| product.name.clone());
        names.filter(|name| lacks(other, name)).collect()
    };
    TakenUp { products: next.products.len(), new: only(next, live), gone: only(live, next) }
}
