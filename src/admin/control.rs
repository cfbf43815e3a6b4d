//! The live tables that orders and the status page work on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use metrics::{Counter, Gauge};
use tokio::runtime::Handle;

use super::backends::Words;
use super::calendar::Calendar;
use super::certificates::Certificates;
use super::orders::state_word;
use super::reload::Reloading;
use super::wall::Wall;
use super::watched::Watched;
use crate::admission::{ParkReason, ProductId, State};
use crate::config::{ScheduleSettings, ScheduledEvent};
use crate::handover::Handover;
use crate::journal::{Journal, Memory, Record};
use crate::proxy::admit::Gate;
use crate::proxy::shared::Shared;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// Everything an operator can reach.
pub struct Control {
    /// The proxy, under what counts now.
    shared: RwLock<Arc<Shared>>,
    /// Its metrics.
    pub registry: Registry,
    pub(crate) journal: Journal,
    pub(super) wall: Wall,
    pub(super) schedule: Mutex<ScheduleSettings>,
    pub(super) calendar: Mutex<Calendar>,
    pub(super) watched: Mutex<Watched>,
    pub(super) changes: ScheduleChanges,
    pub(super) certificates: Certificates,
    pub(crate) reloading: Reloading,
    /// Where orders are carried out.
    office: OnceLock<Handle>,
    pub(crate) matters: Mutex<Matters>,
    pub(crate) signals: [Counter; 3],
    /// How another process takes over.
    pub handover: Handover,
    /// What operators show, where they must.
    token: RwLock<Option<Arc<str>>>,
    failed_upgrades: Counter,
    alarms: Gauge,
    ready: AtomicBool,
    pub(crate) started: jiff::Timestamp,
}

/// How often the schedule was changed, by how.
pub(super) struct ScheduleChanges {
    pub(super) put: Counter,
    pub(super) moved: Counter,
    pub(super) removed: Counter,
    pub(super) reloaded: Counter,
    pub(super) rejected: Counter,
}

/// What people have said, and what waits for them.
#[derive(Default)]
pub(crate) struct Matters {
    pub(crate) alarms: Vec<Alarm>,
    /// The last order about each product or event, by its name.
    pub(crate) last: BTreeMap<String, Said>,
    /// What was ordered of backends and counts.
    pub(super) backends: Words,
}

/// Something that waits for a person.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Alarm {
    pub(crate) at: jiff::Timestamp,
    pub(crate) event: String,
    pub(crate) text: String,
}

/// An order as it was given.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Said {
    pub(crate) order: String,
    pub(crate) who: String,
    pub(crate) reason: String,
    pub(crate) at: jiff::Timestamp,
}

impl Control {
    /// The tables of a proxy, in the state that `memory` tells.
    pub fn new(
        shared: Arc<Shared>,
        registry: Registry,
        journal: Journal,
        wall: Wall,
        (schedule, events): (ScheduleSettings, &[ScheduledEvent]),
        memory: &Memory,
        reloading: Reloading,
    ) -> Arc<Control> {
        let signal = |verdict| registry.counter(names::SIGNALS, &[verdict]);
        let change = |change| registry.counter(names::SCHEDULE_CHANGES, &[change]);
        let control = Control {
            signals: [signal("believed"), signal("implausible"), signal("unknown")],
            alarms: registry.gauge(names::ALARMS, &[]),
            failed_upgrades: registry.counter(names::UPGRADES_FAILED, &[]),
            handover: Handover::default(),
            token: RwLock::default(),
            changes: ScheduleChanges {
                put: change("put"),
                moved: change("moved"),
                removed: change("removed"),
                reloaded: change("reloaded"),
                rejected: change("rejected"),
            },
            calendar: Mutex::new(Calendar::new(wall.zero(shared.clock.now()))),
            watched: Mutex::default(),
            certificates: Certificates::new(shared.settings.listen.tls.as_ref(), &registry),
            wall,
            reloading,
            office: OnceLock::new(),
            schedule: Mutex::new(schedule),
            matters: Mutex::default(),
            ready: AtomicBool::new(false),
            started: jiff::Timestamp::now(),
            shared: RwLock::new(shared),
            registry,
            journal,
        };
        control.start_schedule(events, memory);
        control.restore(memory);
        Arc::new(control)
    }

    /// The proxy, under the configuration that counts now. Whoever needs two things of it that belong together takes them of one.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Operators must show this from now on, or nothing.
    pub(crate) fn asks_for(&self, token: Option<String>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token.map(Arc::from);
    }

    pub(super) fn token(&self) -> Option<Arc<str>> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This is where orders are carried out: to be called there, once.
    pub(crate) fn has_its_office_here(&self) {
        let _ = self.office.set(Handle::current());
    }

    /// Do this where orders are carried out, for as long as that is open. What an order has begun must end with it: it
    /// may hold what the end of the proxy waits for.
    pub fn in_the_office(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(office) = self.office.get() {
            office.spawn(work);
        }
    }

    /// This counts from now on.
    pub(super) fn counts(&self, shared: Arc<Shared>) {
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = shared;
    }

    /// Whether new requests are welcome.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Say whether new requests are welcome.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub(crate) fn matters(&self) -> MutexGuard<'_, Matters> {
        self.matters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn product(&self, index: usize) -> (Arc<Gate>, ProductId) {
        let shared = self.shared();
        let product = &shared.settings.products[index];
        (shared.gates[product.domain].clone(), product.id)
    }

    pub(crate) fn product_named(&self, name: &str) -> Option<usize> {
        self.shared().settings.products.iter().position(|product| product.name == name)
    }

    pub(super) fn schedule(&self) -> ScheduleSettings {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn raise(&self, event: &str, text: String) {
        let mut matters = self.matters();
        matters.alarms.retain(|alarm| alarm.event != event);
        matters.alarms.push(Alarm { at: jiff::Timestamp::now(), event: event.to_owned(), text });
        self.alarms.set(matters.alarms.len() as f64);
    }

    /// An upgrade was asked for, and came to nothing.
    pub(crate) fn not_upgraded(&self, text: String) {
        self.failed_upgrades.increment(1);
        self.raise("upgrade", text);
    }

    pub(crate) fn settle(&self, event: &str) {
        let mut matters = self.matters();
        matters.alarms.retain(|alarm| alarm.event != event);
        self.alarms.set(matters.alarms.len() as f64);
    }

    /// Refuse nothing from now on, or act on what is decided. Whether that is a change.
    pub(crate) fn observe_only(&self, on: bool) -> bool {
        let mut changed = false;
        for gate in &self.shared().gates {
            changed |= gate.observe_only(on);
        }
        changed
    }

    /// Write the levels that were found into the journal.
    pub fn journal_knees(&self) {
        let shared = self.shared();
        for (gate, domain) in shared.gates.iter().zip(&shared.settings.domains) {
            let knees = gate.with(|domain, _| domain.resources().iter().map(|r| r.whole_knee()).collect::<Vec<_>>());
            for (resource, seats) in domain.resources.iter().zip(knees).filter(|(resource, _)| !resource.gone) {
                if let Some(seats) = seats {
                    self.journal.note(Record::Knee { resource: resource.name.clone(), seats });
                }
            }
        }
    }

    fn restore(&self, memory: &Memory) {
        let shared = self.shared();
        for (gate, settings) in shared.gates.iter().zip(&shared.settings.domains) {
            gate.with(|domain, now| {
                for (index, resource) in settings.resources.iter().enumerate() {
                    if let Some(seats) = memory.knees.get(&resource.name) {
                        domain.recall(index, *seats);
                    }
                }
                if memory.bypass {
                    domain.bypass(true, now);
                }
            });
        }
        for (name, (state, reason)) in &memory.states {
            // A product that left the configuration since has no state to restore.
            let Some(index) = self.product_named(name) else { continue };
            let reason = if reason.as_deref() == Some("closed") { ParkReason::Closed } else { ParkReason::Parked };
            let state = match state.as_str() {
                "parked" | "draining" => State::Parked(reason),
                "ramping" | "down" => State::Ramping,
                _ => continue,
            };
            tracing::warn!(product = name, state = state_word(state), "not open, as it was before the restart");
            let (gate, product) = self.product(index);
            gate.with(|domain, now| domain.restore(product, state, now));
        }
        if memory.bypass {
            tracing::warn!("comes up in bypass, as it was before the restart: nothing is refused");
        }
        self.restore_backends(memory);
        self.restore_shares(memory);
        self.restore_observe_only(memory);
    }

    /// As it was ordered, unless the configuration has been changed since: who changes it means it.
    fn restore_observe_only(&self, memory: &Memory) {
        let configured = self.shared().settings.observe_only;
        let ordered = memory.observe_only.filter(|(_, then)| *then == configured).map(|(on, _)| on);
        if memory.observe_only.is_some() && ordered.is_none() {
            self.journal.note(Record::ObserveOnly { on: configured, configured });
        }
        if ordered.unwrap_or(configured) {
            self.observe_only(true);
            tracing::warn!(
                "observe-only: everything is decided and measured, and nothing is refused, not even what is parked or closed"
            );
        } else if configured {
            tracing::warn!(
                "observe_only = true stands in the configuration, but it was ordered off before the restart: what is decided counts"
            );
        }
    }
}
