//! What operators and signals have said, and what that forbids.
//!
//! A product is shut by `park` and opened by `reopen` or `open`. A close signal is about one event: believed when its
//! stop is near, else the event is parked. After its stop no bet on it passes, whatever was said.

use std::collections::BTreeMap;

use super::House;
use super::ramp::Envelope;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::{Arrival, Class, EventKey, Order, ParkReason, Refusal, State, Timestamp};
use crate::sim::law::Notice;

/// What was said so far.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) shut: Vec<Option<ParkReason>>,
    /// What bounds each product that came back and has not arrived.
    pub(super) ramps: Vec<Option<Envelope>>,
    pub(super) bypass: bool,
    events: BTreeMap<EventKey, Entry>,
}

impl Life {
    pub(super) fn new(products: usize) -> Life {
        Life {
            shut: vec![None; products],
            ramps: (0..products).map(|_| None).collect(),
            bypass: false,
            events: BTreeMap::new(),
        }
    }

    /// The no that `arrival` must hear at `now`, whatever is free.
    pub(super) fn forbids(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        if self.bypass {
            return None;
        }
        let shut = self.shut[arrival.product.index()].filter(|_| !arrival.class.passes_in_every_state());
        match shut {
            Some(ParkReason::Parked) => Some(Refusal::Parked),
            Some(ParkReason::Closed) => Some(Refusal::Closed),
            None => self.forbids_bet(arrival, now),
        }
    }

    fn forbids_bet(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        let entry = arrival.event.filter(|_| arrival.class == Class::Commit).and_then(|key| self.events.get(&key))?;
        match entry.state {
            EventState::Closed => Some(Refusal::EventClosed),
            EventState::Open | EventState::Parked if entry.stop <= now => Some(Refusal::PastBettingStop),
            EventState::Parked => Some(Refusal::EventParked),
            EventState::Open => None,
        }
    }

    /// Returns whose crowd comes back, if an event was reopened.
    fn noticed(&mut self, notice: Notice, now: Timestamp) -> Option<usize> {
        match notice {
            Notice::Bypass(on) => self.bypass = on,
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
                self.life.ramps[product] = Some(self.envelope(product));
            }
            Order::Reopen => {}
            Order::Open => {
                self.life.shut[product] = None;
                self.life.ramps[product] = None;
            }
        }
    }

    /// Something about an event, or bypass, is about to be told.
    pub(super) fn noticed(&mut self, notice: Notice) {
        let now = self.report.now();
        let Some(product) = self.life.noticed(notice, now) else { return };
        if self.life.shut[product].is_none() {
            self.life.ramps[product] = Some(self.envelope(product));
        }
    }

    /// Whether each product is in the state that was ordered.
    pub(super) fn check_states(&mut self) {
        for product in 0..self.books.products.len() {
            let (state, shut) = (self.shown.products[product].state, self.life.shut[product]);
            if state.shut() != shut {
                self.report.add("state", format_args!("product {product} is {state:?}, ordered was {shut:?}"));
            }
            let ordinary = self.books.products[product].ordinary;
            if matches!(state, State::Parked(_)) && ordinary > 0 && !self.life.bypass {
                self.report.add("state", format_args!("product {product} counts as parked with {ordinary} in flight"));
            }
            self.check_ramp(product);
        }
    }
}
