//! What all threads of the proxy share under one configuration.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::access_log::AccessLog;
use super::admit::Gate;
use super::answer::Pages;
use super::classify::{self, Hashes};
use super::clock::Clock;
use super::hints::Hints;
use super::identity::Identity;
use super::keys::Keys;
use super::ledger::Ledger;
use super::neighbours::Neighbours;
use super::once::Bets;
use super::reads::Memory;
use super::settings::{PoolSettings, Settings};
use super::standing::Standing;
use super::tls::Tls;
use crate::telemetry::export::Registry;
use crate::telemetry::record::{OnceMetrics, ProxyMetrics, UpstreamMetrics};

/// What all workers share under one configuration. Of what others say, connections, sessions, bets and answers, what was
/// known under the one before is known.
pub struct Shared {
    /// What steers them.
    pub settings: Arc<Settings>,
    /// One per domain, in the order of the settings.
    pub gates: Vec<Arc<Gate>>,
    /// Time since the start.
    pub clock: Clock,
    /// Turns names into numbers.
    pub hashes: Hashes,
    pub(crate) identity: Identity,
    /// One per pool.
    pub(crate) standings: Vec<Arc<Standing>>,
    /// One per pool.
    pub(super) hints: Vec<Arc<Hints>>,
    pub(crate) open: Arc<AtomicUsize>,
    /// Where any class is answered from memory.
    pub(crate) memory: Option<Arc<Memory>>,
    /// Where clients are spoken to in secret.
    pub tls: Option<Arc<Tls>>,
    pub(super) access_log: Option<Arc<AccessLog>>,
    pub(crate) neighbours: Option<Arc<Neighbours>>,
    pub(super) ledger: Arc<Ledger>,
    pub(crate) bets: Option<Arc<Bets>>,
    pub(super) metrics: Arc<ProxyMetrics>,
    pub(super) pages: Arc<Pages>,
}

/// What goes on from one configuration to the next.
struct Lasting {
    clock: Clock,
    hashes: Hashes,
    /// From the process before this one.
    inherited: Keys,
    ledger: Arc<Ledger>,
    open: Arc<AtomicUsize>,
    standings: Vec<Arc<Standing>>,
}

/// More turns than are promised while two processes take requests.
const PROMISED_MEANWHILE: u64 = 1 << 16;

impl Shared {
    /// What the workers of a proxy with these settings share, with keys from the process before it, if there is one.
    pub fn new(
        settings: Settings,
        gates: Vec<Arc<Gate>>,
        clock: Clock,
        inherited: Keys,
        access_log: Option<Arc<AccessLog>>,
        registry: &Registry,
    ) -> Shared {
        let standings = settings.pools.iter().map(|pool| standing(pool, &gates, clock, registry)).collect();
        let ledger = Ledger::new(settings.listen.workers.get() as usize, settings.listen.memory);
        gates.iter().for_each(|gate| gate.with(|domain, _| domain.turns_begin_at(inherited.turns)));
        let hashes = inherited.names.map_or_else(Hashes::default, Hashes::by);
        let lasting = Lasting { clock, hashes, inherited, ledger, open: Arc::default(), standings };
        Shared::made(settings, gates, lasting, access_log, registry, None)
    }

    /// The same under other settings, which [follow](Settings::following) these, with a gate for each of their domains. To
    /// be called on the runtime that looks after the backends: pools that have left are looked after no more, and nothing
    /// of the others is lost.
    pub(crate) fn succeeded_by(
        &self,
        settings: Settings,
        gates: Vec<Arc<Gate>>,
        access_log: Option<Arc<AccessLog>>,
        registry: &Registry,
    ) -> Shared {
        let same = |pool: &PoolSettings, known: &Standing| {
            (pool.domain, pool.resource) == (known.settings.domain, known.settings.resource)
        };
        let succeed = |pool: &PoolSettings| match self.standings.iter().find(|known| same(pool, known)) {
            Some(known) => known.succeeded_by(pool),
            None => standing(pool, &gates, self.clock, registry),
        };
        let standings = settings.pools.iter().map(succeed).collect();
        // Those that have no heir by now have left.
        self.standings.iter().for_each(|known| known.retire(Weak::new()));
        self.ledger.bound_by(settings.listen.memory);
        let (hashes, ledger, open) = (self.hashes.clone(), self.ledger.clone(), self.open.clone());
        let lasting = Lasting { clock: self.clock, hashes, inherited: Keys::default(), ledger, open, standings };
        Shared::made(settings, gates, lasting, access_log, registry, Some(self))
    }

    fn made(
        mut settings: Settings,
        gates: Vec<Arc<Gate>>,
        Lasting { clock, hashes, inherited, ledger, open, standings }: Lasting,
        access_log: Option<Arc<AccessLog>>,
        registry: &Registry,
        before: Option<&Shared>,
    ) -> Shared {
        classify::settle_paths(&mut settings);
        let bets = before.and_then(|shared| shared.bets.as_deref());
        let tls = before.and_then(|shared| shared.tls.as_deref());
        Shared {
            hints: hints(&settings, &gates, registry),
            identity: Identity::new(&settings, hashes.clone(), clock, before.map(|shared| &shared.identity), registry),
            neighbours: Neighbours::new(&settings, hashes.clone(), before.and_then(|it| it.neighbours.as_deref())),
            bets: Bets::new(&settings.once, clock, &hashes, bets, OnceMetrics::new(registry, names(&settings))),
            memory: Memory::new(&settings, clock, before.and_then(|shared| shared.memory.as_ref())),
            tls: Tls::new(&settings.listen, tls, inherited.tickets.as_ref(), registry),
            metrics: Arc::new(ProxyMetrics::new(registry, names(&settings), settings.listen.workers.get())),
            pages: Arc::new(Pages::new(&settings.pages)),
            settings: Arc::new(settings),
            gates,
            clock,
            hashes,
            ledger,
            open,
            standings,
            access_log,
        }
    }

    /// What the process that follows needs to know again whom this one knows.
    pub fn keys(&self) -> Keys {
        let next_turn = self.gates.iter().map(|gate| gate.with(|domain, _| domain.next_number())).max();
        Keys {
            names: Some(self.hashes.key()),
            tickets: self.tls.as_ref().map(|tls| tls.ticket_keys()),
            turns: next_turn.unwrap_or(0).saturating_add(PROMISED_MEANWHILE),
        }
    }

    pub(crate) fn access_log(&self) -> Option<Arc<AccessLog>> {
        self.access_log.clone()
    }

    /// Client connections open now.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Bytes held for others, as they are accounted for.
    pub fn memory_held(&self) -> usize {
        self.ledger.held()
    }

    /// Bytes of answers in memory, and the most there may be: none where no class keeps any.
    pub fn answers_held(&self) -> (u64, u64) {
        self.memory.as_ref().map_or((0, 0), |memory| (memory.bytes(), self.settings.cache.memory))
    }

    /// Look after the backends of all pools, for ever, from the runtime this is called on.
    pub fn look_after_backends(&self) {
        self.standings.iter().for_each(Standing::look_after);
    }
}

fn names(settings: &Settings) -> impl Iterator<Item = &str> {
    settings.products.iter().map(|product| product.name.as_str())
}

fn standing(pool: &PoolSettings, gates: &[Arc<Gate>], clock: Clock, registry: &Registry) -> Arc<Standing> {
    let metrics = Arc::new(UpstreamMetrics::new(registry, &pool.name));
    Standing::new(pool, gates[pool.domain].clone(), clock, metrics)
}

fn hints(settings: &Settings, gates: &[Arc<Gate>], registry: &Registry) -> Vec<Arc<Hints>> {
    settings.pools.iter().map(|pool| Hints::new(pool, gates[pool.domain].clone(), registry)).collect()
}
