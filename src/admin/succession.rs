//! What a reload leaves of what people have said, and takes away of what is shown.

use std::sync::Arc;

use super::calendar::{Absent, Scheduled};
use super::control::Control;
use super::sample::{POOL, kind};
use crate::admission::resource::Source;
use crate::admission::schedule::EventState;
use crate::admission::shift::Hold;
use crate::admission::{Class, State};
use crate::journal::Record;
use crate::proxy::backend::Backend;
use crate::proxy::settings::{ProductSettings, Settings};
use crate::proxy::shared::Shared;
use crate::proxy::standing::Standing;
use crate::telemetry::names;

/// The pools there were, and who belonged to them.
pub(super) type Rolls = [(Arc<Standing>, Arc<[Arc<Backend>]>)];

impl Control {
    /// What was switched for the whole proxy is switched for what is new, unless the configuration says something else than
    /// before: who changes it means it.
    pub(super) fn carry_over_switches(&self, live: &Shared, next: &Shared) {
        let any =
            |is: fn(&crate::admission::Domain) -> bool| live.gates.iter().any(|gate| gate.with(|domain, _| is(domain)));
        let (bypass, observed) = (any(|domain| domain.is_bypassed()), any(|domain| domain.is_observe_only()));
        for gate in next.gates.iter().filter(|_| bypass) {
            gate.with(|domain, now| domain.bypass(true, now));
        }
        let configured = next.settings.observe_only;
        let changed = configured != live.settings.observe_only;
        self.observe_only(if changed { configured } else { observed });
        if changed {
            self.journal.note(Record::ObserveOnly { on: configured, configured });
        }
    }

    /// Events name products by their place in the settings. Nobody can name those of a product that has left; what was said
    /// of them counts again when it comes back, as it would after a restart.
    pub(super) fn renumber_events(&self, live: &Settings, next: &Settings) {
        let named = |name: &str| next.products.iter().position(|product| product.name == name);
        let mut calendar = self.calendar();
        let gone = calendar.renumber(|event| named(&live.products[event.product].name));
        let (shared, now) = (self.shared(), self.wall.now());
        for (Scheduled { key, event }, word) in gone {
            self.settle(&event.id);
            let product = &live.products[event.product];
            let state = shared.gates[product.domain].with(|domain, _| {
                let state = domain.event(key).map_or(EventState::Open, |entry| entry.state);
                domain.unschedule(key);
                state
            });
            calendar.keep(Absent { product: product.name.clone(), event, state, word }, now);
        }
        for (event, state) in calendar.come_back(named) {
            if state == EventState::Parked {
                self.raise(&event.id, format!("betting on {} was paused before its product left", event.id));
            }
            if state != EventState::Open {
                tracing::warn!(event = event.id, state = state.name(), "not open, as when its product left");
            }
            self.put(&mut calendar, event, Some(state));
        }
    }

    /// A product that has left and comes back to others is decided where those are, and not where it was: what a person has
    /// shut stays shut there too.
    pub(super) fn carry_over_states(&self, live: &Shared, next: &Shared) {
        for product in &next.settings.products {
            let Some(before) = live.settings.last_place_of(&product.name) else { continue };
            if before == (product.domain, product.id) {
                continue;
            }
            let state = live.gates[before.0].with(|domain, _| domain.product(before.1).state());
            if let State::Draining(_) | State::Parked(_) = state {
                next.gates[product.domain].with(|domain, now| domain.restore(product.id, state, now));
            }
        }
    }

    /// What has left has no alarm, and shows nothing.
    pub(super) fn take_leave(&self, live: &Settings, rolls: &Rolls) {
        let shared = self.shared();
        let next = &shared.settings;
        let stays = |name: &str| next.products.iter().any(|product| product.name == name);
        for product in live.products.iter().filter(|product| !stays(&product.name)) {
            ["product", "shift of"].iter().for_each(|matter| self.settle(&format!("{matter} {}", product.name)));
            self.shows_nothing_of(product);
        }
        let stays = limited(next);
        for (name, kind) in limited(live).into_iter().filter(|one| !stays.contains(one)) {
            self.shows_no_limit(name, kind);
        }
        let is_there = |name: &str| shared.standings.iter().any(|standing| standing.named(name).is_some());
        for backend in rolls.iter().flat_map(|(_, roll)| roll.iter()).filter(|one| !is_there(&one.settings.name)) {
            self.shows_no_backend(&backend.settings.name);
        }
    }

    fn shows_nothing_of(&self, product: &ProductSettings) {
        let name = product.name.as_str();
        let set = |metric, labels: &[&str], value: f64| self.registry.gauge(metric, labels).set(value);
        for metric in [names::IN_FLIGHT, names::RESERVE_IN_USE, names::PASSES, names::PROMISED_TURNS] {
            set(metric, &[name], 0.0);
        }
        set(names::RAMP, &[name], f64::NAN);
        set(names::NEXT_STOP, &[name], f64::NAN);
        State::NAMES.iter().for_each(|state| set(names::STATE, &[name, state], 0.0));
        Class::ALL.iter().for_each(|class| set(names::QUEUE_LENGTH, &[name, class.name()], 0.0));
        for site in &product.sites {
            set(names::SHARE, &[name, &site.name], 0.0);
            // Nor that nothing moves there.
            let states = Hold::NAMES.into_iter().chain(["none"]);
            states.for_each(|state| set(names::SHIFT, &[name, &site.name, state], 0.0));
        }
    }

    fn shows_no_limit(&self, name: &str, kind: &str) {
        let set = |metric, labels: &[&str]| self.registry.gauge(metric, labels).set(0.0);
        set(names::LIMIT, &[name, kind]);
        set(names::IN_USE, &[name, kind]);
        Source::ALL.iter().for_each(|source| set(names::LIMIT_SOURCE, &[name, kind, source.name()]));
        if kind == POOL {
            set(names::UPSTREAM_PANIC, &[name]);
            set(names::UPSTREAM_FAILOVER, &[name]);
        }
    }
}

/// Pools and budgets that there are.
fn limited(settings: &Settings) -> Vec<(&str, &'static str)> {
    let named = settings.domains.iter().flat_map(|domain| domain.resources.iter().zip(&domain.admission.resources));
    let there = named.filter(|(named, _)| !named.gone);
    there.map(|(named, resource)| (named.name.as_str(), kind(resource.budget))).collect()
}
