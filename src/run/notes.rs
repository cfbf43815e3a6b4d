//! What becomes of what domains tell: a count, a line in the journal, a sentence in the log.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Counter;
use tokio::sync::mpsc;

use crate::admin::control::Control;
use crate::admin::shift::ShiftNotes;
use crate::admission::{Domain, Event, ProductId, State};
use crate::journal::{Journal, Record};
use crate::proxy::admit::Gate;
use crate::proxy::clock::Clock;
use crate::proxy::settings::{DomainSettings, Member};
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What becomes of the events of one domain: a count, a line in the journal, a sentence in the log. It is told
/// under the domain's lock, so that the journal's last word is the last state, and waits for nothing: the log
/// may block, and is written by the office.
struct Notes {
    domain: usize,
    roster: Arc<Roster>,
    journal: Journal,
    log: mpsc::UnboundedSender<Sentence>,
}

/// The products of each domain, by number: it grows when the settings change.
#[derive(Default)]
struct Roster(Mutex<Vec<Vec<Named>>>);

#[derive(Clone)]
struct Named {
    name: String,
    transitions: [Counter; State::COUNT],
    sites: ShiftNotes,
}

impl Roster {
    /// All that these domains have.
    fn enter(&self, domains: &[DomainSettings], registry: &Registry) {
        let named = |domain: &DomainSettings, index: usize, member: &Member| Named {
            name: member.name.clone(),
            transitions: State::NAMES.map(|to| registry.counter(names::TRANSITIONS, &[&member.name, to])),
            sites: ShiftNotes::new(domain, index, registry),
        };
        let all = |domain: &DomainSettings| {
            domain.products.iter().enumerate().map(|(index, member)| named(domain, index, member)).collect()
        };
        *self.lock() = domains.iter().map(all).collect();
    }

    fn of(&self, domain: usize, product: ProductId) -> Named {
        self.lock()[domain][usize::from(product.0)].clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Named>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes gates, at the start and when a reload brings another domain.
pub(crate) struct Gates {
    roster: Arc<Roster>,
    clock: Clock,
    journal: Journal,
    log: mpsc::UnboundedSender<Sentence>,
    registry: Registry,
}

impl Gates {
    pub(crate) fn new(
        clock: Clock,
        journal: Journal,
        log: mpsc::UnboundedSender<Sentence>,
        registry: Registry,
    ) -> Gates {
        Gates { roster: Arc::default(), clock, journal, log, registry }
    }

    /// One for each of `domains`: those that there are, which [go on](Domain::reform) by what these say, and new ones.
    pub(crate) fn of(&self, domains: &[DomainSettings], before: &[Arc<Gate>]) -> Vec<Arc<Gate>> {
        // First: whoever tells of a product that is new must find its name.
        self.roster.enter(domains, &self.registry);
        let gate = |(index, domain): (usize, &DomainSettings)| match before.get(index) {
            Some(gate) => {
                gate.with(|live, now| live.reform(domain.admission.clone(), &domain.gone(), now));
                gate.clone()
            }
            None => self.gate(index, domain),
        };
        domains.iter().enumerate().map(gate).collect()
    }

    fn gate(&self, domain: usize, settings: &DomainSettings) -> Arc<Gate> {
        let (roster, journal, log) = (self.roster.clone(), self.journal.clone(), self.log.clone());
        let notes = Notes { domain, roster, journal, log };
        let seed = RandomState::new().hash_one("seed");
        let decide = Domain::new(settings.admission.clone(), seed, self.clock.now());
        Gate::new(decide, self.clock, Box::new(move |event, _| notes.take(event)))
    }
}

impl Notes {
    fn take(&self, event: Event) {
        let name = |product| self.roster.of(self.domain, product).name;
        match event {
            Event::StateChanged { product, from, to } => self.state_changed(product, from, to),
            Event::RampMoved { product, from, to } => {
                self.say(Sentence::RampMoved { product: name(product), from, to })
            }
            Event::RampFroze { product, seats } => self.say(Sentence::RampFroze { product: name(product), seats }),
            Event::RampThawed { product } => self.say(Sentence::RampThawed { product: name(product) }),
            Event::ShareMoved { product, .. } | Event::ShiftEnded { product, .. } => {
                let Named { name: product, sites, .. } = self.roster.of(self.domain, product);
                sites.note(&product, event, &self.journal);
                self.say(Sentence::Shift { product, event });
            }
            // Whoever caused it knows its name and has written it down.
            Event::EventChanged { .. } => {}
        }
    }

    fn state_changed(&self, product: ProductId, from: State, to: State) {
        let Named { name, transitions, .. } = self.roster.of(self.domain, product);
        self.say(Sentence::StateChanged { product: name.clone(), from, to });
        transitions[to.index()].increment(1);
        let reason = to.shut().map(|reason| reason.name().to_owned());
        self.journal.note(Record::State { product: name, state: to.name().into(), reason });
    }

    fn say(&self, sentence: Sentence) {
        // Fails only when the office has closed, and then nobody reads the log either.
        let _ = self.log.send(sentence);
    }
}

/// Something for the log.
pub(crate) enum Sentence {
    StateChanged { product: String, from: State, to: State },
    RampMoved { product: String, from: u32, to: u32 },
    RampFroze { product: String, seats: u32 },
    RampThawed { product: String },
    Shift { product: String, event: Event },
}

pub(super) async fn write_log(mut sentences: mpsc::UnboundedReceiver<Sentence>, control: Arc<Control>) {
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
