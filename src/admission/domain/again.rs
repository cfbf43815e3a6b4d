//! Who asks for the same again while they wait.
//!
//! A client that loses patience tries again, often on another connection, before anybody has seen the first one hang up;
//! and a customer may have a second device. Two places in line would reward that, and refusing the newer request would
//! tell the one customer who is there to go away while somebody who has left waits. So the newer request takes over the
//! place of the older, with what is left of its wait.

use super::super::{Arrival, Customer, Output, Place, Refusal, Refused, Timestamp};
use super::Domain;

impl Domain {
    /// How much `customer` has running and waiting here: more than one request, and one may be another's again.
    pub fn requests_of(&self, customer: Customer) -> u32 {
        self.customers.requests_of(customer)
    }

    /// What the request at `place` is, as a number that tells it from everything else that its customer may ask; 0 says
    /// nothing. For [`take_over`](Self::take_over).
    pub fn name(&mut self, place: Place, what: u64) {
        if let Some(waiter) = self.waiters.get(place) {
            let name = name(&waiter.arrival, what);
            self.waiters.name(place, name);
        }
    }

    /// The place of a request for the same that waits already, if there is one: from now on it is this one's, and the
    /// other is told so. Its place in line, and until when it may wait, stay what they were.
    pub fn take_over(&mut self, arrival: &Arrival, what: u64, now: Timestamp) -> Option<Place> {
        let now = self.tick(now);
        // Behind an address may be two who ask for the same.
        if what == 0 || self.observe_only || !matches!(arrival.customer, Customer::Account(_)) {
            return None;
        }
        let (old, waiter) = self.waiters.named(name(arrival, what))?;
        let same = waiter.arrival.customer == arrival.customer
            && (waiter.arrival.product, waiter.arrival.class, waiter.arrival.event, waiter.arrival.seats)
                == (arrival.product, arrival.class, arrival.event, arrival.seats);
        if !same || self.forbids(arrival, now).is_some() {
            return None;
        }
        let rank = waiter.rank;
        let Refused { retry_after, .. } = self.no(arrival, rank, Refusal::TakenOver, now);
        let place = self.waiters.renew(old)?;
        self.outputs.push_back(Output::Refuse(old, Refused { refusal: Refusal::TakenOver, retry_after }));
        Some(place)
    }
}

/// One number for one customer's one request. Both are hashes with a key already.
fn name(arrival: &Arrival, what: u64) -> u64 {
    let customer = match arrival.customer {
        Customer::Account(key) | Customer::Address(key) => key,
        Customer::Machine(number) => u64::from(number),
    };
    customer.rotate_left(23) ^ what
}
