//! Who may start, and what a start takes and gives back.

use super::super::limit::Sample;
use super::super::rank::Rank;
use super::super::settings::Needs;
use super::super::{Arrival, Event, ONE_SEAT, Outcome, Output, Refusal, Seat, Timestamp, Verdict};
use super::Domain;

impl Domain {
    /// The no to whoever waits.
    pub(super) fn forbids(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        if self.lets_nobody_wait() {
            return Some(Refusal::ShuttingDown);
        }
        self.shuts_out(arrival, now)
    }

    /// Whoever waited for a turn here would wait in vain: the proxy goes down.
    pub(super) fn lets_nobody_wait(&self) -> bool {
        self.shutting_down && !self.observe_only && !self.bypass
    }

    /// The no to whoever comes, whatever is free.
    pub(super) fn shuts_out(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        if self.bypass {
            return None;
        }
        let refuses = self.products[arrival.product.index()].state.refuses();
        match refuses.filter(|_| !arrival.class.passes_in_every_state()) {
            Some(refusal) => Some(refusal),
            None => self.event_forbids(arrival, now),
        }
    }

    /// What a request costs: no more than there are of whatever there is least of, or it could
    /// never pass.
    pub(super) fn cost(&self, arrival: &Arrival) -> u32 {
        if arrival.seats == ONE_SEAT {
            return 1;
        }
        let product = &self.products[arrival.product.index()];
        let limits = product.settings.needs[arrival.class.index()].iter().map(|need| self.resources[need].limit());
        let least = limits.chain(self.largest_site(product)).chain(product.ramp_seats()).min().unwrap_or(u32::MAX);
        u32::from(arrival.seats.get()).min(least).max(1)
    }

    /// Whether everything that a request needs is free, all or nothing.
    pub(super) fn can_start(&self, arrival: &Arrival) -> bool {
        if self.bypass || self.reserve_for(arrival).is_some() {
            return true;
        }
        let (product, cost) = (&self.products[arrival.product.index()], self.cost(arrival));
        product.has_room(cost)
            && product.settings.needs[arrival.class.index()].iter().all(|need| self.resources[need].free() >= cost)
            && self.is_trusted(arrival, cost)
            && (product.sites.is_none() || self.has_site(arrival.product.index(), cost))
    }

    /// Whether a request may have what it needs, were it free.
    pub(super) fn is_trusted(&self, arrival: &Arrival, cost: u32) -> bool {
        let index = arrival.product.index();
        let needs = &self.products[index].settings.needs[arrival.class.index()];
        needs.iter().all(|need| self.resources[need].is_trusted(index, cost))
    }

    /// Whether it is the ramp's ceiling that the next of a product would not fit under.
    pub(super) fn is_at_ceiling(&self, index: usize) -> bool {
        let product = &self.products[index];
        if product.ramp.is_none() {
            return false;
        }
        let heads = Rank::ALL.into_iter().filter_map(|rank| {
            let head = self.head(index, rank)?;
            Some(self.cost(&head.arrival))
        });
        product.free_under_ramp() < heads.max().unwrap_or(1)
    }

    /// Counted at the door, and until they leave the house: waiting and running are one stay.
    pub(super) fn let_in(&mut self, arrival: &Arrival, rank: Rank, now: Timestamp) -> Verdict {
        self.customers.enter(arrival.customer);
        Verdict::Proceed(self.seat(arrival, rank, now))
    }

    /// Take the seats. Whether they are free has been asked before (bypass does not ask).
    pub(super) fn seat(&mut self, arrival: &Arrival, rank: Rank, now: Timestamp) -> Seat {
        let Arrival { product, class, customer, .. } = *arrival;
        let reserve_for = self.reserve_for(arrival);
        let seats = reserve_for.unwrap_or_else(|| self.cost(arrival));
        let reserved = reserve_for.is_some();
        let pool = match self.products[product.index()].sites.is_some() {
            true => self.take_site(arrival, seats, reserved, now),
            false => None,
        };
        let held = &mut self.products[product.index()];
        held.counted(rank, customer, now);
        let mut needs = Needs::default();
        if reserved {
            held.reserve.take(customer, seats);
        } else {
            if !self.bypass {
                self.count_floor(product.index(), rank, seats);
            }
            let held = &mut self.products[product.index()];
            held.in_flight += seats;
            needs = held.settings.needs[class.index()];
            for need in needs.iter() {
                self.resources[need].take(product.index(), seats, now);
            }
            // Of its site it was taken when that was chosen.
            needs = pool.map_or(needs, |pool| needs.and(usize::from(pool)));
        }
        Seat { product, class, customer, reserved, pool, seats, needs, started: now }
    }

    pub(super) fn release(&mut self, seat: &Seat, outcome: Outcome, slow: bool, now: Timestamp) {
        let index = seat.product.index();
        for need in seat.needs.iter() {
            let resource = &self.resources[need];
            // Beyond the limit, in bypass or observe-only or just after it, nothing is learned about the limit.
            // With less free than this one had taken, one more like it would not have fitted.
            let exactly =
                resource.in_use() <= resource.limit() && resource.free() < seat.seats && self.tells_of_limits();
            let saturated =
                exactly && (self.is_waited_for(need) || (seat.pool() == Some(need) && self.was_passed_over(seat)));
            let resource = &mut self.resources[need];
            resource.observe(&Sample { outcome, slow, saturated }, now);
            resource.give_back(index, seat.seats, seat.started, now);
        }
        if seat.pool.is_some() {
            self.site_answered(seat, outcome, slow, now);
        }
        let product = &self.products[index];
        let held_up = product.ramp.is_some() && product.waiting > 0 && self.is_at_ceiling(index);
        let product = &mut self.products[index];
        product.in_flight -= seat.seats;
        if let Some(ramp) = &mut product.ramp {
            let (from, was_frozen) = (ramp.seats(), ramp.is_frozen());
            ramp.observe(outcome, slow, held_up, now);
            let (to, is_frozen) = (ramp.seats(), ramp.is_frozen());
            let product = seat.product;
            if from != to {
                self.outputs.push_back(Output::Note(Event::RampMoved { product, from, to }));
            }
            match (was_frozen, is_frozen) {
                (false, true) => self.outputs.push_back(Output::Note(Event::RampFroze { product, seats: to })),
                (true, false) => self.outputs.push_back(Output::Note(Event::RampThawed { product })),
                _ => {}
            }
        }
    }

    fn needs_full_budget(&self, needs: Needs) -> bool {
        needs.iter().any(|need| self.resources[need].is_budget() && self.resources[need].free() == 0)
    }

    /// Whether somebody waits for `resource` who would take what comes back. Two controllers must not fight over one
    /// signal: of a pool it is not said while those who wait for it wait for a full budget too.
    fn is_waited_for(&self, resource: usize) -> bool {
        if self.waiters.len() == 0 {
            return false;
        }
        let budget = self.resources[resource].is_budget();
        let held_up =
            |needs: &Needs| needs.iter().any(|need| need == resource) && (budget || !self.needs_full_budget(*needs));
        self.products.iter().filter(|product| product.waiting > 0).any(|product| {
            let mut waited_in = Rank::ALL.into_iter().filter(|rank| product.waiting_as(*rank) > 0);
            if product.sites.as_ref().is_some_and(|sites| sites.may_use(resource)) {
                return waited_in.any(|rank| !self.needs_full_budget(product.settings.needs[rank.class().index()]));
            }
            waited_in.map(|rank| &product.settings.needs[rank.class().index()]).any(held_up)
        })
    }
}
