//! Seats of the reserve: who may have one, and that no customer has more of it than they may.
//!
//! Who has as much as one customer may have waits as if it were full, and holds up nobody in their line who has less, as
//! far as the law promises to look.

use super::House;
use super::books::Stay;
use crate::admission::rank::Rank;
use crate::admission::{Arrival, Customer};
use crate::sim::law::RequestId;

/// Places of a line, from its front, that whoever may have a seat of the reserve must stand within.
const LOOKED_AT: usize = 16;

impl House {
    /// What of the reserve is there for `arrival`.
    pub(super) fn reserve_for(&self, arrival: &Arrival) -> Option<u32> {
        let cost = u32::from(arrival.seats.get()).min(self.most_of_reserve(arrival));
        let there = self.books.products[arrival.product.index()].reserve + cost <= self.reserve(arrival);
        (arrival.class.passes_in_every_state() && there && !self.has_enough(arrival)).then_some(cost)
    }

    /// Whether the customer has so much of the reserve that what they ask for would be more than they may have.
    pub(super) fn has_enough(&self, arrival: &Arrival) -> bool {
        let most = self.most_of_reserve(arrival);
        let held = self.books.reserved_by(arrival.product.index(), arrival.customer);
        held + u32::from(arrival.seats.get()).min(most) > most
    }

    /// What one customer may have at once; an address, which many may share, all but that.
    fn most_of_reserve(&self, arrival: &Arrival) -> u32 {
        let one = self.settings.products[arrival.product.index()].reserve_per_customer.get();
        match arrival.customer {
            Customer::Account(_) => one,
            Customer::Address(_) | Customer::Machine(_) => one.max(self.reserve(arrival) - one),
        }
    }

    fn reserve(&self, arrival: &Arrival) -> u32 {
        self.settings.products[arrival.product.index()].reserve.get()
    }

    /// Whether the reserve is there for `request` although others came before it: each of them has enough of it.
    pub(super) fn may_pass_the_front(&self, request: RequestId, arrival: &Arrival) -> bool {
        let line = self.books.first(arrival.product.index(), Rank::of(arrival.class), LOOKED_AT);
        let before: Vec<&Stay> = line.take_while(|(other, _)| *other != request).map(|(_, stay)| stay).collect();
        let near = before.len() < LOOKED_AT;
        near && self.reserve_for(arrival).is_some() && before.iter().all(|stay| self.has_enough(&stay.arrival))
    }

    /// Whoever is not at the front of a line and goes first all the same.
    pub(super) fn passer(&self, product: usize, rank: Rank) -> Option<RequestId> {
        let mut behind = self.books.first(product, rank, LOOKED_AT).skip(1);
        behind.find(|(request, stay)| self.may_pass_the_front(*request, &stay.arrival)).map(|(request, _)| request)
    }

    /// Somebody is let through who lacks what is under the limits.
    pub(super) fn check_reserve(&mut self, request: RequestId, arrival: &Arrival) {
        let product = arrival.product.index();
        if arrival.class.passes_in_every_state() && self.has_enough(arrival) {
            let held = self.books.reserved_by(product, arrival.customer);
            self.report.add(
                "reserve",
                format_args!("request {} passes, and its customer holds {held} of the reserve already", request.0),
            );
        }
    }

    /// The law says that it has nothing to do: nobody waits for a seat of the reserve behind those who have enough.
    pub(super) fn check_passed_over(&mut self, product: usize, rank: Rank) {
        if let Some(request) = self.passer(product, rank) {
            self.report.add(
                "reserve",
                format_args!("request {}, {rank:?} of product {product}, waits behind who has enough", request.0),
            );
        }
    }
}
