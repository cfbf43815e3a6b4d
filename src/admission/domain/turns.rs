//! Who waits, whose turn it is, and who is told no.

use super::super::queue::Waiter;
use super::super::{Arrival, Class, Output, Place, Refusal, Timestamp, Verdict};
use super::{BATCH, Domain};

impl Domain {
    /// The length up to which a line is needed to keep the seats busy.
    pub(super) fn short_line(&self, product: usize, class: Class) -> u32 {
        let needs = self.products[product].settings.needs[class.index()];
        let seats = needs.iter().map(|need| self.resources[need].limit()).min();
        seats.unwrap_or(1).saturating_mul(2)
    }

    /// Room for one more of `class`: whoever ranks lowest and came last makes it. False when nobody does.
    pub(super) fn make_room(&mut self, index: usize, class: Class, now: Timestamp) -> bool {
        let product = &mut self.products[index];
        if product.waiting < product.settings.queue.length.get() {
            return true;
        }
        let lower = (class.index() + 1..Class::COUNT).rev();
        for rank in lower {
            if let Some((place, waiter)) = self.waiters.take_back(&mut product.lines[rank]) {
                self.turn_away(place, &waiter, Refusal::QueueFull, now);
                return true;
            }
        }
        false
    }

    pub(super) fn join(&mut self, arrival: &Arrival, now: Timestamp) -> Place {
        let Arrival { product, class, customer, event } = *arrival;
        let held = &mut self.products[product.index()];
        let until = now + held.settings.queue.longest_wait;
        held.joined(class, now);
        self.customers.enter(customer);
        let waiter = Waiter { product, class, customer, event, until };
        self.waiters.join(&mut held.lines[class.index()], waiter)
    }

    /// Let through whoever's turn it is, until nobody who waits can have what they need.
    pub(super) fn dispatch(&mut self, now: Timestamp) {
        let mut left = BATCH;
        while self.waiters.len() > 0 {
            let Some((index, class)) = self.next_turn(now) else { return };
            if left == 0 {
                self.more = true;
                return;
            }
            left -= 1;
            let product = &mut self.products[index];
            let Some((place, waiter)) = self.waiters.take_front(&mut product.lines[class.index()]) else { return };
            let Waiter { product, class, customer, event, .. } = waiter;
            let arrival = Arrival { product, class, customer, event };
            let too_late = (now >= waiter.until).then_some(Refusal::WaitedTooLong);
            if let Some(refusal) = self.forbids(&arrival, now).or(too_late) {
                self.turn_away(place, &waiter, refusal, now);
                continue;
            }
            self.products[index].waiting -= 1;
            let seat = self.seat(&arrival, now);
            self.outputs.push_back(Output::Admit(place, seat));
        }
    }

    /// Of the products that have somebody who could start, the one that is furthest from its due.
    /// Of two that are as far, the one whose head must be told first. Within a product the highest class
    /// whose needs are free: a head blocked on a budget is passed over.
    pub(super) fn next_turn(&self, now: Timestamp) -> Option<(usize, Class)> {
        let mut turn = None;
        let mut least = (u64::MAX, Timestamp::NEVER);
        for (index, product) in self.products.iter().enumerate() {
            if product.waiting == 0 {
                continue;
            }
            let ready = |class: &Class| !product.lines[class.index()].is_empty() && self.can_start(index, *class);
            let Some(class) = Class::ALL.into_iter().find(ready) else { continue };
            let head = self.waiters.front(&product.lines[class.index()]);
            let claim = (self.claim(index, class, now), head.map_or(Timestamp::NEVER, |waiter| waiter.until));
            if claim < least {
                least = claim;
                turn = Some((index, class));
            }
        }
        turn
    }

    pub(super) fn claim(&self, index: usize, class: Class, now: Timestamp) -> u64 {
        if self.takes_reserve(index, class) {
            return 0;
        }
        let needs = self.products[index].settings.needs[class.index()];
        needs.iter().map(|need| self.resources[need].claim(index, now)).max().unwrap_or(0)
    }

    /// Turn away those of a line who have waited too long, or whose product has shut.
    pub(super) fn clear_line(&mut self, index: usize, class: Class, left: &mut usize, now: Timestamp) {
        loop {
            let product = &mut self.products[index];
            let Some(waiter) = self.waiters.front(&product.lines[class.index()]) else { return };
            let Waiter { product: id, customer, event, until, .. } = *waiter;
            let arrival = Arrival { product: id, class, customer, event };
            let refusal = match self.forbids(&arrival, now) {
                Some(refusal) => refusal,
                None if now >= until => Refusal::WaitedTooLong,
                None => return,
            };
            if *left == 0 {
                self.more = true;
                return;
            }
            *left -= 1;
            let line = &mut self.products[index].lines[class.index()];
            if let Some((place, waiter)) = self.waiters.take_front(line) {
                self.turn_away(place, &waiter, refusal, now);
            }
        }
    }

    /// Tell a waiter who is out of the line already.
    pub(super) fn turn_away(&mut self, place: Place, waiter: &Waiter, refusal: Refusal, now: Timestamp) {
        let product = &mut self.products[waiter.product.index()];
        product.waiting -= 1;
        self.customers.leave(waiter.customer);
        let refused = product.refuse(refusal, waiter.class, now, &mut self.random);
        self.outputs.push_back(Output::Refuse(place, refused));
    }

    pub(super) fn refuse(&mut self, arrival: &Arrival, refusal: Refusal, now: Timestamp) -> Verdict {
        let product = &mut self.products[arrival.product.index()];
        Verdict::Refuse(product.refuse(refusal, arrival.class, now, &mut self.random))
    }
}
