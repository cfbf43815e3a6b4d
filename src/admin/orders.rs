//! Orders of people and signals of machines: checked, carried out, written down, logged with who and why.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::calendar::Scheduled;
use super::control::{Control, Said};
use crate::admission::schedule::{EventState, Signalled};
use crate::admission::{Domain, Order, ParkReason, State};
use crate::config::nearest;
use crate::journal::Record;

/// An order as it comes over the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// What to do.
    pub order: OrderName,
    /// The product it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The event it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Every product.
    #[serde(default)]
    pub all: bool,
    /// For `bypass`: whether everything but plain proxying is to be off. For `observe`: whether nothing is to be refused.
    #[serde(default = "yes")]
    pub on: bool,
    /// Why; never empty.
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderName {
    /// Pause, and tell customers that it will go on.
    Park,
    /// Close, and tell customers so.
    Close,
    /// Let customers back in through the ramp.
    Reopen,
    /// Open at once, without the ramp.
    Open,
    /// Everything but plain proxying off, or on again.
    Bypass,
    /// Decide and measure, and refuse nothing; or act on what is decided.
    Observe,
}

/// A signal as it comes over the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// `close`.
    pub signal: SignalName,
    /// The event it is about; a signal is never about a product.
    pub event: String,
    /// Who sends it.
    pub source: String,
}

/// What can be signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalName {
    /// Betting on the event has stopped.
    Close,
}

/// What an order or a signal came to, about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The product or event.
    pub scope: String,
    /// Its state now.
    pub state: String,
    /// Whether anything changed.
    pub changed: bool,
}

/// What a signal came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The event.
    pub event: String,
    /// Whether the signal is near enough to the betting stop to be believed.
    pub plausible: bool,
    /// The event's state now.
    pub state: String,
    /// What a person should know.
    pub text: String,
}

/// Why an order or a signal was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// There is no such product or event; nothing was changed.
    Unknown(String),
    /// The order does not say enough, or too much; nothing was changed.
    Unclear(String),
    /// It was carried out, but could not be written down.
    NotKept(String),
}

/// What an order is about.
enum Scope {
    Products(Vec<usize>),
    Event(String),
}

impl Control {
    /// Carry out an order.
    ///
    /// # Errors
    /// When it names nothing known or is unclear, nothing was changed; when only the journal failed, it says so.
    pub async fn order(&self, request: &OrderRequest) -> Result<Vec<Applied>, Mistake> {
        if request.reason.trim().is_empty() {
            return Err(Mistake::Unclear("an order needs a reason: it is logged with who gave it".into()));
        }
        match request.order {
            OrderName::Bypass => return self.bypass(request).await,
            OrderName::Observe => return self.observe(request).await,
            OrderName::Park | OrderName::Close | OrderName::Reopen | OrderName::Open => {}
        }
        let applied = match self.scope(request)? {
            Scope::Products(products) => {
                products.into_iter().map(|index| self.order_product(index, request.order)).collect()
            }
            Scope::Event(event) => vec![self.order_event(&event, request.order)?],
        };
        let mut kept = Ok(());
        for one in &applied {
            kept = kept.and(self.write_down(request, &one.scope, &one.state).await);
        }
        kept.map(|()| applied)
    }

    /// Take in a signal.
    ///
    /// # Errors
    /// As for an order.
    pub async fn signal(&self, request: &SignalRequest) -> Result<Heard, Mistake> {
        let heard = self.hear(request)?;
        let order = Record::Order {
            order: "close signal".into(),
            scope: request.event.clone(),
            who: request.source.clone(),
            reason: heard.text.clone(),
        };
        // The event's own record went first, before anybody could give an order about it.
        self.keep(order).await?;
        Ok(heard)
    }

    fn hear(&self, request: &SignalRequest) -> Result<Heard, Mistake> {
        let SignalName::Close = request.signal;
        let event = &request.event;
        let calendar = self.calendar();
        let Some(scheduled) = calendar.events.get(event) else {
            self.signals[2].increment(1);
            let text = calendar.unknown(event);
            tracing::error!(
                event,
                source = request.source,
                "ALARM: close signal for an event that is not in the schedule: nothing was changed"
            );
            return Err(Mistake::Unknown(text));
        };
        let (gate, _) = self.product(scheduled.event.product);
        // Written down under the lock, so that the journal's last word is the last state.
        let told = gate.with(|domain, now| {
            let told = domain.close_signal(scheduled.key, now);
            self.note_event(scheduled, domain);
            // Who waits for this event need not wait for their turn to hear it.
            domain.wake(now);
            told
        });
        Ok(match told {
            Signalled::Unknown => return Err(Mistake::Unknown(calendar.unknown(event))),
            Signalled::Closed => {
                self.signals[0].increment(1);
                self.settle(event);
                let text = format!("betting on {event} is closed");
                tracing::info!(event, source = request.source, "close signal believed: betting on the event is closed");
                Heard { event: event.clone(), plausible: true, state: EventState::Closed.name().into(), text }
            }
            Signalled::Implausible { before_stop } => {
                self.signals[1].increment(1);
                // Admission counts to the last bet that is let through, people to the stop.
                let before = (before_stop + scheduled.event.margin).as_secs();
                let before = SignedDuration::from_secs(i64::try_from(before).unwrap_or(i64::MAX));
                let text = format!(
                    "implausible close signal for {event} from {}: its betting stop is {before:#} away. Betting on it is \
                     paused, on nothing else. A person must confirm (`sluss close --event {event}`) or reopen \
                     (`sluss reopen --event {event}`)",
                    request.source
                );
                tracing::error!("ALARM: {text}");
                self.raise(event, text.clone());
                Heard { event: event.clone(), plausible: false, state: EventState::Parked.name().into(), text }
            }
        })
    }

    fn scope(&self, request: &OrderRequest) -> Result<Scope, Mistake> {
        match (&request.product, &request.event, request.all) {
            (Some(product), None, false) => match self.product_named(product) {
                Some(index) => Ok(Scope::Products(vec![index])),
                None => Err(Mistake::Unknown(self.unknown_product(product))),
            },
            (None, Some(event), false) => {
                let calendar = self.calendar();
                let known = calendar.events.contains_key(event);
                if known { Ok(Scope::Event(event.clone())) } else { Err(Mistake::Unknown(calendar.unknown(event))) }
            }
            (None, None, true) => Ok(Scope::Products((0..self.shared().settings.products.len()).collect())),
            _ => Err(Mistake::Unclear(
                "an order is about one product, one event, or all: name exactly one of them".into(),
            )),
        }
    }

    fn order_product(&self, index: usize, order: OrderName) -> Applied {
        let (gate, product) = self.product(index);
        let order = match order {
            OrderName::Park => Order::Park(ParkReason::Parked),
            OrderName::Close => Order::Park(ParkReason::Closed),
            OrderName::Reopen => Order::Reopen,
            OrderName::Open | OrderName::Bypass | OrderName::Observe => Order::Open,
        };
        let (changed, state) = gate.with(|domain, now| {
            let changed = domain.order(product, order, now);
            (changed, domain.product(product).state())
        });
        Applied { scope: self.shared().settings.products[index].name.clone(), state: state_word(state), changed }
    }

    fn order_event(&self, event: &str, order: OrderName) -> Result<Applied, Mistake> {
        let calendar = self.calendar();
        let Some(scheduled) = calendar.events.get(event) else { return Err(Mistake::Unknown(calendar.unknown(event))) };
        let to = match order {
            OrderName::Park => EventState::Parked,
            OrderName::Close => EventState::Closed,
            OrderName::Reopen | OrderName::Open | OrderName::Bypass | OrderName::Observe => EventState::Open,
        };
        let (gate, product) = self.product(scheduled.event.product);
        let changed = gate.with(|domain, now| {
            let was = domain.product(product).state();
            let changed = domain.order_event(scheduled.key, to, now);
            if order == OrderName::Open && was == State::Open {
                // Open means at once: without the ramp that bringing an event's crowd back begins.
                domain.order(product, Order::Open, now);
            }
            self.note_event(scheduled, domain);
            domain.wake(now);
            changed
        });
        // Somebody has looked at it, whatever they decided.
        self.settle(event);
        Ok(Applied { scope: event.to_owned(), state: to.name().into(), changed: changed == Some(true) })
    }

    pub(super) fn note_event(&self, scheduled: &Scheduled, domain: &Domain) {
        if let Some(entry) = domain.event(scheduled.key) {
            let (event, state) = (scheduled.event.id.clone(), entry.state.name().into());
            self.journal.note(Record::Event { event, state, stop: Some(scheduled.event.stop) });
        }
    }

    async fn bypass(&self, request: &OrderRequest) -> Result<Vec<Applied>, Mistake> {
        if request.product.is_some() || request.event.is_some() {
            return Err(Mistake::Unclear("bypass is for the whole proxy: name no product and no event".into()));
        }
        let mut changed = false;
        for gate in &self.shared().gates {
            changed |= gate.with(|domain, now| {
                let was = domain.is_bypassed();
                domain.bypass(request.on, now);
                was != request.on
            });
        }
        let state = if request.on { "bypass on" } else { "bypass off" };
        self.write_down(request, "all", state).await?;
        self.keep(Record::Bypass { on: request.on }).await?;
        Ok(vec![Applied { scope: "all".into(), state: state.into(), changed }])
    }

    async fn observe(&self, request: &OrderRequest) -> Result<Vec<Applied>, Mistake> {
        if request.product.is_some() || request.event.is_some() {
            return Err(Mistake::Unclear("observe is for the whole proxy: name no product and no event".into()));
        }
        let (on, configured) = (request.on, self.shared().settings.observe_only);
        let changed = self.observe_only(on);
        let state = if on { "observe-only on: nothing is refused" } else { "observe-only off: what is decided counts" };
        self.write_down(request, "all", state).await?;
        self.keep(Record::ObserveOnly { on, configured }).await?;
        Ok(vec![Applied { scope: "all".into(), state: state.into(), changed }])
    }

    async fn write_down(&self, request: &OrderRequest, scope: &str, state: &str) -> Result<(), Mistake> {
        let OrderRequest { who, reason, .. } = request;
        let order = order_word(request.order);
        tracing::warn!(order, scope, state, who, reason, "order");
        let said = Said { order: order.into(), who: who.clone(), reason: reason.clone(), at: jiff::Timestamp::now() };
        self.matters().last.insert(scope.to_owned(), said);
        let (order, scope) = (order.to_owned(), scope.to_owned());
        self.keep(Record::Order { order, scope, who: who.clone(), reason: reason.clone() }).await
    }

    pub(super) async fn keep(&self, record: Record) -> Result<(), Mistake> {
        let kept = self.journal.keep(record).await;
        kept.map_err(|error| {
            Mistake::NotKept(format!(
                "carried out, but not written to the journal, so a restart will forget it: {error}"
            ))
        })
    }

    pub(super) fn unknown_product(&self, name: &str) -> String {
        let shared = self.shared();
        let names: Vec<&str> = shared.settings.products.iter().map(|product| product.name.as_str()).collect();
        unknown("product", name, &names)
    }
}

pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let mut text = format!("there is no {what} called `{name}`; nothing was changed.");
    match nearest(name, known.iter().copied()) {
        Some(near) => text += &format!(" Did you mean `{near}`?"),
        None if known.is_empty() => text += " There are none.",
        None if known.len() <= 20 => text += &format!(" There are: {}.", known.join(", ")),
        None => {}
    }
    text
}

/// A state as people read it: shut products say why.
pub(crate) fn state_word(state: State) -> String {
    match state {
        State::Draining(ParkReason::Closed) => "draining (closed)".into(),
        State::Parked(ParkReason::Closed) => "closed".into(),
        state => state.name().into(),
    }
}

const fn order_word(order: OrderName) -> &'static str {
    match order {
        OrderName::Park => "park",
        OrderName::Close => "close",
        OrderName::Reopen => "reopen",
        OrderName::Open => "open",
        OrderName::Bypass => "bypass",
        OrderName::Observe => "observe",
    }
}

fn yes() -> bool {
    true
}

pub(super) fn somebody() -> String {
    "unknown".into()
}
