//! Seats beyond the limits for what must always work, and how many of them one customer has.
//!
//! Without a cap whoever sends the same withdrawal again and again has the whole reserve, and another customer's
//! self-exclusion waits. So one customer holds at most `reserve_per_customer` of a product's reserve at once; what they
//! ask beyond that goes on as when the reserve is full.
//!
//! An address is not one customer: behind it may be an office, a mobile carrier, or the payment provider whose callbacks
//! all come from one machine. It may hold all but what one customer may have (and as much as one at the least), so that
//! there is always something left for somebody else.

use std::num::{NonZeroU8, NonZeroU32};

use super::Customer;
use super::customers::Tally;

/// A product's reserve.
#[derive(Debug)]
pub(crate) struct Reserve {
    seats: u32,
    per_customer: u32,
    per_address: u32,
    in_use: u32,
    /// By whom: no more entries than there are seats.
    held: Tally,
}

impl Reserve {
    pub(crate) fn new(seats: NonZeroU32, per_customer: NonZeroU32) -> Reserve {
        let mut reserve = Reserve { seats: 0, per_customer: 0, per_address: 0, in_use: 0, held: Tally::default() };
        reserve.reform(seats, per_customer);
        reserve
    }

    /// So many from now on; what is held stays held.
    pub(crate) fn reform(&mut self, seats: NonZeroU32, per_customer: NonZeroU32) {
        self.seats = seats.get();
        self.per_customer = per_customer.get().min(self.seats);
        self.per_address = (self.seats - self.per_customer).max(self.per_customer);
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.in_use
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_use >= self.seats
    }

    /// What a request takes that asks for `seats`, if so much is there and its customer may have it.
    pub(crate) fn offer(&self, customer: Customer, seats: NonZeroU8) -> Option<u32> {
        let cost = self.cost(customer, seats);
        (self.in_use + cost <= self.seats && !self.is_over_cap(customer, seats)).then_some(cost)
    }

    /// Whether one more request of `customer`, for `seats`, has to wait for one of their own.
    pub(crate) fn is_over_cap(&self, customer: Customer, seats: NonZeroU8) -> bool {
        let (cap, cost) = (self.cap(customer), self.cost(customer, seats));
        // Nobody holds more than is in use: mostly that is all there is to ask.
        self.in_use + cost > cap && self.held.of(customer) + cost > cap
    }

    pub(crate) fn take(&mut self, customer: Customer, seats: u32) {
        self.in_use += seats;
        self.held.add(customer, seats);
    }

    pub(crate) fn give_back(&mut self, customer: Customer, seats: u32) {
        debug_assert!(self.in_use >= seats);
        self.in_use -= seats;
        self.held.subtract(customer, seats);
    }

    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        self.held.customers()
    }

    fn cap(&self, customer: Customer) -> u32 {
        match customer {
            Customer::Account(_) => self.per_customer,
            Customer::Address(_) | Customer::Machine(_) => self.per_address,
        }
    }

    /// No more than the customer may ever have, or it could never pass.
    fn cost(&self, customer: Customer, seats: NonZeroU8) -> u32 {
        u32::from(seats.get()).min(self.cap(customer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ONE_SEAT;
    use super::*;

    const ANNA: Customer = Customer::Account(1);
    const BERT: Customer = Customer::Account(2);
    /// As a number the same as Anna.
    const OFFICE: Customer = Customer::Address(1);

    fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    fn reserve(seats: u32, per_customer: u32) -> Reserve {
        Reserve::new(n(seats), n(per_customer))
    }

    #[test]
    fn one_customer_leaves_the_rest_to_others_and_has_their_turn_again_after_giving_back() {
        let mut reserve = reserve(3, 2);
        reserve.take(ANNA, 2);
        assert!(reserve.is_over_cap(ANNA, ONE_SEAT) && reserve.offer(ANNA, ONE_SEAT).is_none());
        assert_eq!(reserve.offer(BERT, ONE_SEAT), Some(1));
        reserve.take(BERT, 1);
        assert!(!reserve.is_over_cap(BERT, ONE_SEAT) && reserve.offer(BERT, ONE_SEAT).is_none(), "it is full");
        reserve.give_back(ANNA, 2);
        assert_eq!(reserve.offer(ANNA, ONE_SEAT), Some(1));
        reserve.give_back(BERT, 1);
        assert_eq!((reserve.in_use(), reserve.holders()), (0, 0));
    }

    #[test]
    fn a_request_costs_no_more_than_its_customer_may_have() {
        let mut reserve = reserve(8, 2);
        let five = NonZeroU8::new(5).expect("not zero");
        assert_eq!(reserve.offer(ANNA, five), Some(2));
        assert_eq!(reserve.offer(OFFICE, five), Some(5));
        reserve.take(ANNA, 1);
        assert_eq!(reserve.offer(ANNA, five), None);
    }

    #[test]
    fn an_address_leaves_what_one_customer_may_have() {
        let mut reserve = reserve(8, 2);
        reserve.take(OFFICE, 6);
        assert_eq!(reserve.offer(OFFICE, ONE_SEAT), None);
        assert_eq!(reserve.offer(ANNA, ONE_SEAT), Some(1));
        // A machine that settles for many is held to the same, and not under its address.
        assert_eq!(Reserve::new(n(8), n(2)).offer(Customer::Machine(1), NonZeroU8::MAX), Some(6));
        // Where there is no more than that, it has as much as one.
        let mut small = self::reserve(2, 2);
        small.take(OFFICE, 1);
        assert_eq!(small.offer(OFFICE, ONE_SEAT), Some(1));
    }
}
