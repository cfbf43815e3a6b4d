//! What happens besides customers: orders, signals, faults.

use super::World;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::shift::Plan;
use crate::admission::{EventKey, Order, ParkReason, Timestamp};
use crate::sim::backend::Fault;
use crate::sim::law::Notice;
use crate::sim::scenario::{Event, Product, What};

/// The key of the event at a place in the scenario.
pub(super) fn event_key(place: usize) -> EventKey {
    EventKey(place as u64)
}

/// What the schedule is told about an event.
pub(super) fn entry(event: &Event) -> Entry {
    Entry {
        product: event.product,
        stop: Timestamp::after(event.stop),
        believed_before_stop: event.believed_before_stop,
        state: EventState::Open,
    }
}

impl World<'_> {
    pub(super) fn happen(&mut self, place: usize) {
        let scenario = self.scenario;
        let what = &scenario.happenings[place].what;
        let (now, product) = (self.now, self.product_of(what));
        self.record.mark(product, self.described(what), now);
        match what {
            What::Order(products, order) => {
                products.iter().for_each(|product| self.law.order(usize::from(product.0), *order, now));
            }
            What::Signal(event) => self.signal(*event),
            What::EventOrder(event, to) => self.order_event(*event, *to),
            What::MoveStop(event, to) => {
                self.law.notice(Notice::MoveStop(event_key(*event), Timestamp::after(*to)), now);
            }
            What::Bypass(on) => {
                self.law.notice(Notice::Bypass(*on), now);
            }
            What::Observe(on) => {
                self.law.notice(Notice::Observe(*on), now);
            }
            What::Hint(resource, seats) => {
                self.law.notice(Notice::Hint { resource: *resource, seats: *seats }, now);
            }
            What::Shift(product, plan) => {
                let product = usize::from(product.0);
                self.hands[product].shift(plan);
                self.law.notice(Notice::Shift(product, *plan), now);
            }
            What::Fault(station, fault) => self.plant.fault(*station, *fault, now),
        }
        self.answers();
        self.hear();
        if let What::Fault(station, Fault::Lose(percent)) = what {
            self.nodes_left(*station, 100 - percent.min(&100));
        }
    }

    /// Where nobody tells a race from a product, a signal about one closes the other: that was the incident.
    fn signal(&mut self, event: usize) {
        let (now, product) = (self.now, usize::from(self.scenario.events[event].product.0));
        if !self.law.notice(Notice::Signal(event_key(event)), now) {
            self.law.order(product, Order::Park(ParkReason::Closed), now);
        }
    }

    /// A proxy notices nodes that no longer accept connections, and their return; nothing else of a fault shows at
    /// once. What the nodes held has failed before.
    fn nodes_left(&mut self, station: usize, percent: u32) {
        let mut pools: Vec<usize> = Vec::new();
        let places = self.scenario.products.iter().flat_map(|product| product.places());
        for (_, pool) in places.filter(|(at, _)| *at == station) {
            if !pools.contains(&pool) {
                pools.push(pool);
            }
        }
        for pool in pools {
            self.law.notice(Notice::Backends { pool, healthy: percent, of: 100 }, self.now);
            self.hear();
        }
    }

    fn order_event(&mut self, event: usize, to: EventState) {
        let (now, product) = (self.now, usize::from(self.scenario.events[event].product.0));
        let order = match to {
            EventState::Open => Order::Reopen,
            EventState::Parked => Order::Park(ParkReason::Parked),
            EventState::Closed => Order::Park(ParkReason::Closed),
        };
        if !self.law.notice(Notice::EventOrder(event_key(event), to), now) {
            self.law.order(product, order, now);
        }
    }

    fn product_of(&self, what: &What) -> Option<usize> {
        let scenario = self.scenario;
        match what {
            What::Order(products, _) => products.first().filter(|_| products.len() == 1).map(|id| usize::from(id.0)),
            What::Signal(event) | What::EventOrder(event, _) | What::MoveStop(event, _) => {
                Some(usize::from(scenario.events[*event].product.0))
            }
            What::Shift(product, _) => Some(usize::from(product.0)),
            What::Bypass(_) | What::Observe(_) | What::Hint(..) => None,
            What::Fault(station, _) => {
                let is_at = |product: &Product| product.places().any(|(at, _)| at == *station);
                scenario.products.iter().position(is_at)
            }
        }
    }

    fn described(&self, what: &What) -> String {
        let scenario = self.scenario;
        match what {
            What::Order(_, Order::Park(reason)) => reason.name().to_owned(),
            What::Order(_, Order::Reopen) => "reopened".to_owned(),
            What::Order(_, Order::Open) => "opened".to_owned(),
            What::Signal(event) => format!("close signal for {}", scenario.events[*event].name),
            What::EventOrder(event, to) => format!("{} {}", scenario.events[*event].name, to.name()),
            What::MoveStop(event, to) => {
                format!("stop of {} moved to {} s", scenario.events[*event].name, to.as_secs())
            }
            What::Shift(_, Plan { share, now: true, .. }) => format!("{share} % at once"),
            What::Shift(_, Plan { share, .. }) => format!("shift to {share} %"),
            What::Bypass(on) => format!("bypass {}", if *on { "on" } else { "off" }),
            What::Observe(on) => format!("observe-only {}", if *on { "on" } else { "off" }),
            What::Hint(resource, seats) => format!("resource {resource} takes {seats}"),
            What::Fault(station, fault) => format!("{} {}", scenario.plant.stations[*station].name, words(*fault)),
        }
    }
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::Slow(1.0) => "at its old speed".into(),
        Fault::Slow(factor) => format!("{factor} times slower"),
        Fault::Capacity(part) => format!("at {:.0} % of its capacity", part * 100.0),
        Fault::Lose(0) => "whole again".into(),
        Fault::Lose(part) => format!("loses {part} % of its nodes"),
        Fault::Hang(true) => "hangs".into(),
        Fault::Hang(false) => "moves again".into(),
        Fault::Fail(0) => "fails no more".into(),
        Fault::Fail(part) => format!("fails {part} %"),
        Fault::Cold(cold) => format!("{} times slower while cold", cold.factor),
    }
}
