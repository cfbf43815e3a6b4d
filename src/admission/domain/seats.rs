//! Who may start, and what a start takes and gives back.

use super::super::limit::Sample;
use super::super::settings::Needs;
use super::super::{Arrival, Class, Event, Outcome, Output, ParkReason, Refusal, Seat, Timestamp, Verdict};
use super::Domain;

impl Domain {
    pub(super) fn forbids(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        if self.bypass {
            return None;
        }
        if self.shutting_down && !self.observe_only {
            return Some(Refusal::ShuttingDown);
        }
        let shut = self.products[arrival.product.index()].state.shut();
        match shut.filter(|_| !arrival.class.passes_in_every_state()) {
            Some(ParkReason::Parked) => Some(Refusal::Parked),
            Some(ParkReason::Closed) => Some(Refusal::Closed),
            None => arrival.event.and_then(|event| self.schedule.forbids(event, arrival.class, now)),
        }
    }

    pub(super) fn takes_reserve(&self, product: usize, class: Class) -> bool {
        class.passes_in_every_state() && self.products[product].has_reserve()
    }

    /// Whether everything that a request of `class` needs is free, all or nothing.
    pub(super) fn can_start(&self, index: usize, class: Class) -> bool {
        if self.bypass || self.takes_reserve(index, class) {
            return true;
        }
        let product = &self.products[index];
        product.state.shut().is_none()
            && product.is_under_ramp()
            && product.settings.needs[class.index()].iter().all(|need| self.resources[need].is_free())
    }

    /// Counted at the door, and until they leave the house: waiting and running are one stay.
    pub(super) fn let_in(&mut self, arrival: &Arrival, now: Timestamp) -> Verdict {
        self.customers.enter(arrival.customer);
        Verdict::Proceed(self.seat(arrival, now))
    }

    /// Take the seats. Whether they are free has been asked before (bypass does not ask).
    pub(super) fn seat(&mut self, arrival: &Arrival, now: Timestamp) -> Seat {
        let Arrival { product, class, customer, .. } = *arrival;
        let reserved = self.takes_reserve(product.index(), class);
        let held = &mut self.products[product.index()];
        held.counted(class, now);
        if reserved {
            held.reserve_in_use += 1;
        } else {
            held.in_flight += 1;
            for need in held.settings.needs[class.index()].iter() {
                self.resources[need].take(product.index(), now);
            }
        }
        Seat { product, class, customer, reserved, started: now }
    }

    pub(super) fn release(&mut self, seat: &Seat, outcome: Outcome, slow: bool, now: Timestamp) {
        let index = seat.product.index();
        let needs = self.products[index].settings.needs[seat.class.index()];
        let budget_is_full = self.needs_full_budget(needs);
        for need in needs.iter() {
            let resource = &self.resources[need];
            // Beyond the limit, in bypass or observe-only or just after it, nothing is learned about the limit.
            let exactly = resource.in_use() == resource.limit() && self.tells_of_limits();
            // Two controllers must not fight over one signal: a pool holds still while those who wait for it wait for a
            // full budget too.
            let saturated = exactly && (resource.is_budget() || !budget_is_full || self.is_waited_for(need));
            let resource = &mut self.resources[need];
            resource.observe(&Sample { outcome, slow, saturated }, now);
            resource.give_back(index, now);
        }
        let product = &mut self.products[index];
        let held_up = product.waiting > 0 && !product.is_under_ramp();
        product.in_flight -= 1;
        if let Some(ramp) = &mut product.ramp {
            let from = ramp.seats();
            ramp.observe(outcome, slow, held_up, now);
            let to = ramp.seats();
            if from != to {
                let moved = Event::RampMoved { product: seat.product, from, to };
                self.outputs.push_back(Output::Note(moved));
            }
        }
    }

    fn needs_full_budget(&self, needs: Needs) -> bool {
        needs.iter().any(|need| self.resources[need].is_budget() && !self.resources[need].is_free())
    }

    /// Whether somebody waits for `pool` who needs no budget that is full.
    fn is_waited_for(&self, pool: usize) -> bool {
        let held_up = |needs: &Needs| needs.iter().any(|need| need == pool) && !self.needs_full_budget(*needs);
        self.products.iter().filter(|product| product.waiting > 0).any(|product| {
            let lines = product.lines.iter().zip(&product.settings.needs);
            lines.filter(|(line, _)| !line.is_empty()).any(|(_, needs)| held_up(needs))
        })
    }
}
