//! How a product moves through its life.

use super::super::ramp::Ramp;
use super::super::{Class, Event, Output, ProductId, State, Timestamp};
use super::Domain;

impl Domain {
    pub(super) fn enter(&mut self, index: usize, to: State) {
        let product = &mut self.products[index];
        let from = product.state;
        if from == to {
            return;
        }
        product.state = to;
        if to != State::Ramping {
            product.ramp = None;
        }
        let product = ProductId(index as u16);
        self.outputs.push_back(Output::Note(Event::StateChanged { product, from, to }));
    }

    /// Whether none of the backends that a product needs is there.
    pub(super) fn is_down(&self, index: usize) -> bool {
        let product = &self.products[index];
        let no_site = product.sites.as_ref().is_some_and(|sites| sites.all.iter().all(|site| site.gone));
        no_site || product.settings.needs[Class::Commit.index()].iter().any(|need| self.resources[need].is_down())
    }

    /// A closure that nobody ordered, or its end. What a person has shut stays shut.
    pub(super) fn find(&mut self, index: usize, now: Timestamp) {
        match (self.products[index].state, self.is_down(index)) {
            (State::Open | State::Ramping, true) => self.enter(index, State::Down),
            (State::Down, false) => self.start_ramp(index, now),
            _ => {}
        }
    }

    /// Let a frozen ramp go on. False when it was not frozen.
    pub(super) fn thaw(&mut self, index: usize) -> bool {
        let thawed = self.products[index].ramp.as_mut().is_some_and(Ramp::thaw);
        if thawed {
            let product = ProductId(index as u16);
            self.outputs.push_back(Output::Note(Event::RampThawed { product }));
        }
        thawed
    }

    /// From half of what the backends were known to take, or from what the product holds if that is more.
    pub(super) fn start_ramp(&mut self, index: usize, now: Timestamp) {
        let needs = self.products[index].settings.needs[Class::Commit.index()];
        let (sites, site_known) = self.known_of_sites(&self.products[index]);
        let known = site_known || needs.iter().any(|need| self.resources[need].knee().is_some());
        // Where one limit is known and another is not yet, the other may bind first.
        let half = needs.iter().map(|need| self.knee_or_limit(need)).fold(sites, f64::min) / 2.0;
        let holds = f64::from(self.products[index].in_flight);
        let from = if known { half.max(holds) } else { holds };
        self.products[index].ramp = Some(Ramp::new(from, now));
        self.enter(index, State::Ramping);
    }

    /// Take the step in a product's life that has become due.
    pub(super) fn settle_state(&mut self, index: usize, now: Timestamp) {
        let reached = self.is_at_ceiling(index);
        let product = &mut self.products[index];
        if let Some(ramp) = product.ramp.as_mut().filter(|_| reached) {
            // Backends that hang give nothing back, and no sign that the ceiling is what holds work up.
            ramp.is_reached(now);
        }
        match product.state {
            State::Draining(reason) if product.in_flight == 0 => self.enter(index, State::Parked(reason)),
            State::Ramping => {
                let needs = product.settings.needs[Class::Commit.index()];
                let all = self.seats_of_sites(&self.products[index]);
                let limit = needs.iter().map(|need| self.resources[need].limit()).chain(all).min().unwrap_or(0);
                let product = &self.products[index];
                if product.ramp.as_ref().is_none_or(|ramp| ramp.is_over(limit, now)) {
                    self.enter(index, State::Open);
                }
            }
            _ => {}
        }
    }
}
