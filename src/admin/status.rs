//! What is going on, in one document.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::control::Control;
use super::orders::state_word;
use super::shift::{ShiftStatus, SiteStatus, shift_status, site_statuses};
use crate::admission::Class;
use crate::config::ScheduledEvent;
use crate::proxy::admit::Gate;
use crate::proxy::backend::Backend;
use crate::proxy::settings::{BackendSettings, DomainSettings};

/// The whole of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Ours.
    pub version: String,
    /// Since when the proxy runs.
    pub started: jiff::Timestamp,
    /// Whether new requests are welcome.
    pub ready: bool,
    /// Whether everything but plain proxying is off.
    pub bypass: bool,
    /// Whether everything is decided and measured and nothing refused.
    pub observe_only: bool,
    /// Client connections open now.
    pub connections: usize,
    /// In the order of the configuration.
    pub products: Vec<ProductStatus>,
    /// Pools and budgets.
    pub resources: Vec<ResourceStatus>,
    /// Backends.
    pub backends: Vec<BackendStatus>,
    /// Events that are not simply open, and the next twenty to stop.
    pub events: Vec<EventStatus>,
    /// What waits for a person.
    pub alarms: Vec<String>,
}

/// One product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProductStatus {
    /// Its name.
    pub name: String,
    /// `open`, `draining`, `parked`, `closed`, `ramping` or `down`.
    pub state: String,
    /// Seats it holds.
    pub in_flight: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// The ramp's ceiling, while there is one.
    pub ramp_seats: Option<u32>,
    /// Whether the ramp has stepped back too often and no longer grows.
    #[serde(default)]
    pub ramp_frozen: bool,
    /// What it is owed of what it shares, in per cent.
    pub guarantee: u32,
    /// The last order about it, with who and why.
    pub last_order: Option<String>,
    /// Where it is served, where there is a choice.
    #[serde(default)]
    pub sites: Vec<SiteStatus>,
    /// The share that is on its way from one site to another.
    #[serde(default)]
    pub shift: Option<ShiftStatus>,
}

/// One pool or budget.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Its name.
    pub name: String,
    /// `pool` or `budget`.
    pub kind: String,
    /// Seats that may be in use now.
    pub limit: u32,
    /// Who says so: `operator`, `hint` or `found`.
    #[serde(default)]
    pub source: String,
    /// Seats in use.
    pub in_use: u32,
    /// The level found so far.
    pub knee: Option<f64>,
}

/// One backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendStatus {
    /// Its address as configured.
    pub name: String,
    /// Requests under way there.
    pub outstanding: u32,
    /// Whether it is not asked.
    pub set_aside: bool,
    /// Its pool.
    #[serde(default)]
    pub pool: String,
    /// `serving`, `starting`, `standby`, `refusing`, `failing_checks`, `ejected` or `drained`; `removed` when the
    /// configuration names it and an order has taken it out.
    #[serde(default)]
    pub state: String,
    /// Its share beside others.
    #[serde(default)]
    pub weight: u32,
    /// Its level: those of 0 serve, and those of the next what is missing when too few are there.
    #[serde(default)]
    pub priority: u32,
    /// The last order about it, with who and why.
    #[serde(default)]
    pub last_order: Option<String>,
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventStatus {
    /// Its id in the schedule.
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Its product.
    pub product: String,
    /// Its betting stop.
    pub stop: jiff::Timestamp,
    /// How long before that the last bet is let through.
    #[serde(default)]
    pub margin_ms: u64,
    /// How long before that a close signal is believed.
    #[serde(default)]
    pub believed_before_stop_ms: u64,
    /// `open`, `parked` or `closed`.
    pub state: String,
    /// Whether this is what the schedule file says. Else it was said over the API, or the event has left the file and is kept
    /// shut.
    #[serde(default)]
    pub as_in_file: bool,
    /// The last order about it, with who and why.
    pub last_order: Option<String>,
}

const MOST_OPEN_EVENTS: usize = 20;

impl Control {
    /// Look at everything.
    pub fn status(&self) -> Status {
        let shared = self.shared();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            started: self.started,
            ready: self.is_ready(),
            bypass: shared.gates.iter().any(|gate| gate.with(|domain, _| domain.is_bypassed())),
            observe_only: shared.gates.iter().any(|gate| gate.with(|domain, _| domain.is_observe_only())),
            connections: shared.connections(),
            products: (0..shared.settings.products.len()).map(|index| self.product_status(index)).collect(),
            resources: self.resource_statuses(),
            backends: self.backend_statuses(),
            events: self.event_statuses(),
            alarms: self.matters().alarms.iter().map(|alarm| alarm.text.clone()).collect(),
        }
    }

    fn product_status(&self, index: usize) -> ProductStatus {
        let shared = self.shared();
        let settings = &shared.settings.products[index];
        let name = settings.name.clone();
        let (gate, id) = self.product(index);
        let last_order = self.last_order(&name);
        gate.with(|domain, _| {
            let product = domain.product(id);
            ProductStatus {
                name,
                state: state_word(product.state()),
                in_flight: product.in_flight() + product.reserve_in_use(),
                waiting: Class::ALL.into_iter().map(|class| product.waiting(class)).sum(),
                ramp_seats: product.ramp_seats(),
                ramp_frozen: product.ramp_is_frozen(),
                guarantee: product.guarantee(),
                last_order,
                sites: site_statuses(&shared, settings, domain),
                shift: shift_status(settings, domain),
            }
        })
    }

    fn resource_statuses(&self) -> Vec<ResourceStatus> {
        let shared = self.shared();
        let domains = shared.gates.iter().zip(&shared.settings.domains);
        let of_domain = |(gate, settings): (&Arc<Gate>, &DomainSettings)| {
            gate.with(|domain, _| {
                let resources = domain.resources().iter().zip(&settings.resources);
                resources
                    .filter(|(_, named)| !named.gone)
                    .map(|(resource, named)| ResourceStatus {
                        name: named.name.clone(),
                        kind: if resource.is_budget() { "budget" } else { "pool" }.into(),
                        limit: resource.limit(),
                        source: resource.source().name().into(),
                        in_use: resource.in_use(),
                        knee: resource.knee(),
                    })
                    .collect::<Vec<_>>()
            })
        };
        domains.flat_map(of_domain).collect()
    }

    fn backend_statuses(&self) -> Vec<BackendStatus> {
        let mut statuses = Vec::new();
        for standing in &self.shared().standings {
            let status = |backend: &Arc<Backend>| {
                let presence = standing.presence(backend);
                BackendStatus {
                    name: backend.settings.name.clone(),
                    outstanding: backend.outstanding(),
                    set_aside: !presence.is_there(),
                    pool: standing.pool().to_owned(),
                    state: presence.name().into(),
                    weight: backend.weight(),
                    priority: backend.priority(),
                    last_order: self.last_order(&backend.settings.name),
                }
            };
            statuses.extend(standing.backends().iter().map(status));
            let removed = |backend: &BackendSettings| BackendStatus {
                name: backend.name.clone(),
                outstanding: 0,
                set_aside: true,
                pool: standing.pool().to_owned(),
                state: "removed".into(),
                weight: backend.weight,
                priority: backend.priority,
                last_order: self.last_order(&backend.name),
            };
            statuses.extend(standing.ordered_out().into_iter().map(removed));
        }
        statuses
    }

    fn event_statuses(&self) -> Vec<EventStatus> {
        let now = self.wall.now();
        let mut events = self.events();
        events.retain(|event| event.state != "open" || event.stop > now);
        events.sort_by_key(|event| (event.state == "open", event.stop));
        let shut = events.iter().filter(|event| event.state != "open").count();
        events.truncate(shut + MOST_OPEN_EVENTS);
        events
    }

    pub(super) fn event_in(&self, calendar: &Calendar, id: &str) -> Option<EventStatus> {
        let known = calendar.events.get(id)?;
        let ScheduledEvent { product, stop, believed_before_stop, margin, name, .. } = &known.event;
        Some(EventStatus {
            id: id.to_owned(),
            name: name.clone(),
            product: self.shared().settings.products[*product].name.clone(),
            stop: *stop,
            margin_ms: margin.as_millis() as u64,
            believed_before_stop_ms: believed_before_stop.as_millis() as u64,
            state: self.state_of(known)?.name().into(),
            as_in_file: calendar.is_as_in_file(id),
            last_order: self.last_order(id),
        })
    }

    fn last_order(&self, scope: &str) -> Option<String> {
        let matters = self.matters();
        let said = matters.last.get(scope)?;
        Some(format!("{} by {} at {}: {}", said.order, said.who, said.at.strftime("%H:%M:%SZ"), said.reason))
    }
}
