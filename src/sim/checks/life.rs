//! What operators and signals have said, and what that forbids.
//!
//! A product is shut by `park` and opened by `reopen` or `open`. A close signal is about one event: believed when its
//! stop is near, else the event is parked. After its stop no bet on it passes, whatever was said.
//!
//! While none of a pool's backends is there, its products are down, unless they were shut before; no order changes that.
//! Their return opens what nobody has shut, through the ramp. The limit is in proportion to those that are there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::House;
use super::ramp::Envelope;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::settings::LimitSettings;
use crate::admission::{Arrival, Class, EventKey, Order, ParkReason, Refusal, State, Timestamp};
use crate::sim::law::Notice;

/// What was said so far.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) shut: Vec<Option<ParkReason>>,
    /// What bounds each product that came back and has not arrived.
    pub(super) ramps: Vec<Option<Envelope>>,
    pub(super) bypass: bool,
    /// Whether all backends of a resource are gone, and the part that is there, or last was.
    pools: Vec<(bool, f64)>,
    /// By product: whether there is nobody to serve it.
    pub(super) down: Vec<bool>,
    /// The knee that a resource must have after this call.
    due: Option<(usize, Option<f64>)>,
    events: BTreeMap<EventKey, Entry>,
}

impl Life {
    pub(super) fn new(products: usize, resources: usize) -> Life {
        Life {
            shut: vec![None; products],
            ramps: (0..products).map(|_| None).collect(),
            bypass: false,
            pools: vec![(false, 1.0); resources],
            down: vec![false; products],
            due: None,
            events: BTreeMap::new(),
        }
    }

    /// The no that `arrival` must hear at `now`, whatever is free, when a bet takes so long to be answered.
    pub(super) fn forbids(&self, arrival: &Arrival, takes: Duration, now: Timestamp) -> Option<Refusal> {
        if self.bypass {
            return None;
        }
        let shut = self.shut[arrival.product.index()].filter(|_| !arrival.class.passes_in_every_state());
        match shut {
            Some(ParkReason::Parked) => Some(Refusal::Parked),
            Some(ParkReason::Closed) => Some(Refusal::Closed),
            None if self.down[arrival.product.index()] && !arrival.class.passes_in_every_state() => {
                Some(Refusal::NoBackend)
            }
            None => self.forbids_bet(arrival, takes, now),
        }
    }

    /// When betting stops on the event of a bet.
    pub(super) fn stop_of(&self, arrival: &Arrival) -> Option<Timestamp> {
        self.event_of(arrival).map(|entry| entry.stop)
    }

    fn event_of(&self, arrival: &Arrival) -> Option<&Entry> {
        arrival.event.filter(|_| arrival.class == Class::Commit).and_then(|key| self.events.get(&key))
    }

    fn forbids_bet(&self, arrival: &Arrival, takes: Duration, now: Timestamp) -> Option<Refusal> {
        let entry = self.event_of(arrival)?;
        match entry.state {
            EventState::Closed => Some(Refusal::EventClosed),
            EventState::Open | EventState::Parked if entry.stop <= now => Some(Refusal::PastBettingStop),
            EventState::Parked => Some(Refusal::EventParked),
            EventState::Open => (now + takes > entry.stop).then_some(Refusal::StopTooNear),
        }
    }

    /// Returns whose crowd comes back, if an event was reopened.
    fn noticed(&mut self, notice: Notice, now: Timestamp) -> Option<usize> {
        match notice {
            Notice::Bypass(on) => self.bypass = on,
            // A pool is not one product's: its house sees to it.
            Notice::Backends { .. } => {}
            // A hint is about a budget, and observe-only changes nothing that is decided.
            Notice::Hint { .. } | Notice::Observe(_) => {}
            // Stories with sites have a witness of their own.
            Notice::Shift(..) => {}
            Notice::Schedule(key, entry) => {
                self.events.insert(key, entry);
            }
            Notice::MoveStop(key, stop) => self.events.get_mut(&key)?.stop = stop,
            Notice::Signal(key) => signalled(self.events.get_mut(&key)?, now),
            Notice::EventOrder(key, to) => {
                let entry = self.events.get_mut(&key)?;
                let returns = to == EventState::Open && entry.state != EventState::Open;
                entry.state = to;
                return returns.then_some(entry.product.index());
            }
        }
        None
    }
}

fn signalled(entry: &mut Entry, now: Timestamp) {
    let left = entry.stop.since(now);
    if left <= entry.believed_before_stop {
        entry.state = EventState::Closed;
    } else if entry.state == EventState::Open {
        entry.state = EventState::Parked;
    }
}

impl House {
    /// The no that `arrival` must hear now, whatever is free.
    pub(super) fn forbids(&self, arrival: &Arrival) -> Option<Refusal> {
        let takes = self.shown.products[arrival.product.index()].takes_to_bet;
        self.life.forbids(arrival, takes, self.report.now())
    }

    /// An order is about to be given.
    pub(super) fn ordered(&mut self, product: usize, order: Order) {
        let was_shut = self.life.shut[product].is_some();
        match order {
            Order::Park(reason) => {
                self.life.shut[product] = Some(reason);
                self.life.ramps[product] = None;
            }
            Order::Reopen if was_shut => {
                self.life.shut[product] = None;
                self.life.ramps[product] = (!self.life.down[product]).then(|| self.envelope(product));
            }
            Order::Reopen => {
                if let Some(ramp) = &mut self.life.ramps[product] {
                    ramp.thaw();
                }
            }
            Order::Open => {
                self.life.shut[product] = None;
                self.life.ramps[product] = None;
            }
        }
    }

    /// Something about an event, or bypass, is about to be told.
    pub(super) fn noticed(&mut self, notice: Notice) {
        let now = self.report.now();
        if let Notice::Backends { pool, healthy, of } = notice {
            return self.has_backends(pool, healthy, of);
        }
        if let Notice::Hint { resource, seats } = notice {
            return self.is_told(resource, seats);
        }
        let Some(product) = self.life.noticed(notice, now) else { return };
        if self.life.shut[product].is_none() && !self.life.down[product] {
            self.life.ramps[product] = Some(self.envelope(product));
        }
    }

    /// So many backends of a pool are there from now on.
    fn has_backends(&mut self, pool: usize, healthy: u32, of: u32) {
        let (_, part) = self.life.pools[pool];
        let left = if healthy > 0 { f64::from(healthy) / f64::from(of) } else { part };
        let by = left / part;
        self.life.pools[pool] = (healthy == 0, left);
        self.life.due = Some((pool, self.shown.resources[pool].knee.map(|knee| self.in_range(pool, knee * by))));
        for product in 0..self.books.products.len() {
            let mut needs = self.needs[product][Class::Commit.index()].iter();
            let (was, is) = (self.life.down[product], needs.any(|need| self.life.pools[*need].0));
            self.life.down[product] = is;
            if is && !was {
                self.life.ramps[product] = None;
            } else if was && !is && self.life.shut[product].is_none() {
                // The knee is still shown as it was.
                self.life.ramps[product] = Some(self.envelope(product).times(by.max(1.0)));
            }
        }
    }

    fn in_range(&self, resource: usize, knee: f64) -> f64 {
        match &self.settings.resources[resource].limit {
            LimitSettings::Fixed(_) => knee,
            LimitSettings::Found(range) | LimitSettings::Candidate(_, range) => {
                let most = range.most.get();
                knee.clamp(f64::from(range.least.get().min(most)), f64::from(most))
            }
        }
    }

    /// Whether what is known of a pool has followed its backends.
    fn check_backends(&mut self) {
        let Some((pool, due)) = self.life.due.take() else { return };
        let knee = self.shown.resources[pool].knee;
        let follows = match (due, knee) {
            (Some(due), Some(knee)) => (knee / due - 1.0).abs() < 1e-6,
            (due, knee) => due.is_none() == knee.is_none(),
        };
        if !follows {
            self.report.add("backends", format_args!("resource {pool} has a knee of {knee:?}, due is {due:?}"));
        }
        if let LimitSettings::Fixed(seats) = self.settings.resources[pool].limit {
            let (limit, due) = (self.shown.resources[pool].limit, f64::from(seats.get()) * self.life.pools[pool].1);
            if (f64::from(limit) - due.max(1.0)).abs() > 0.501 {
                self.report.add("backends", format_args!("resource {pool} has {limit} seats, {due} are due"));
            }
        }
    }

    /// Whether each product is in the state that was ordered, or that was found.
    pub(super) fn check_states(&mut self) {
        self.check_backends();
        for product in 0..self.books.products.len() {
            let (state, shut) = (self.shown.products[product].state, self.life.shut[product]);
            if state.shut() != shut {
                self.report.add("state", format_args!("product {product} is {state:?}, ordered was {shut:?}"));
            }
            let down = shut.is_none() && self.life.down[product];
            if (state == State::Down) != down {
                self.report.add("state", format_args!("product {product} is {state:?}; backends all gone: {down}"));
            }
            let ordinary = self.books.products[product].ordinary;
            if matches!(state, State::Parked(_)) && ordinary > 0 && !self.life.bypass {
                self.report.add("state", format_args!("product {product} counts as parked with {ordinary} in flight"));
            }
            self.check_ramp(product);
        }
    }
}
