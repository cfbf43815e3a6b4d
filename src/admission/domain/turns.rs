//! Who waits, who is let through, and who is told no.

use super::super::queue::Waiter;
use super::super::{Arrival, Class, ONE_SEAT, Output, Place, Refusal, Timestamp, Verdict};
use super::{BATCH, Domain};

impl Domain {
    /// The length up to which a line keeps the seats busy: as many as there are seats, and of few seats more than of many,
    /// as chance is larger there (square-root staffing: Halfin, Whitt 1981).
    fn short_line(&self, product: usize, class: Class) -> u32 {
        let needs = self.products[product].settings.needs[class.index()];
        let seats = f64::from(needs.iter().map(|need| self.resources[need].limit()).min().unwrap_or(1));
        (seats + 4.0 * seats.sqrt()) as u32
    }

    pub(super) fn is_line_full(&mut self, index: usize, class: Class, now: Timestamp) -> bool {
        // So of nearly every line, and found with less ado than how long a short one may be.
        if self.products[index].surely_drains(class, now) {
            debug_assert!(!self.products[index].is_line_full(class, 0, now), "what drains in time is not full");
            return false;
        }
        let short = self.short_line(index, class);
        self.products[index].is_line_full(class, short, now)
    }

    /// Whoever has the next turn in a line.
    pub(super) fn head(&self, index: usize, class: Class) -> Option<&Waiter> {
        let product = &self.products[index];
        let line = &product.lines[class.index()];
        if line.is_empty() {
            return None;
        }
        if product.is_newest_first(class, self.latest) { self.waiters.back(line) } else { self.waiters.front(line) }
    }

    fn take_head(&mut self, index: usize, class: Class) -> Option<(Place, Waiter)> {
        let passer = self.passer(index, class).map(|(place, _)| place);
        let product = &mut self.products[index];
        let newest = product.is_newest_first(class, self.latest);
        let line = &mut product.lines[class.index()];
        if let Some(place) = passer {
            return self.waiters.take(line, place).map(|waiter| (place, waiter));
        }
        if newest { self.waiters.take_back(line) } else { self.waiters.take_front(line) }
    }

    /// Whoever is the first to go from a line that is too long: who would be the last to have a turn in it.
    fn take_last(&mut self, index: usize, class: Class) -> Option<(Place, Waiter)> {
        let product = &mut self.products[index];
        let newest = product.is_newest_first(class, self.latest);
        let line = &mut product.lines[class.index()];
        if newest { self.waiters.take_front(line) } else { self.waiters.take_back(line) }
    }

    /// Room for one more of `class`: whoever ranks lowest and would have the last turn makes it; where the newest go
    /// first that may be one of the same class. False when nobody does.
    pub(super) fn make_room(&mut self, index: usize, class: Class, now: Timestamp) -> bool {
        let newest_first = self.products[index].is_newest_first(class, now);
        let full = self.products[index].waiting >= self.products[index].settings.queue.length.get();
        let own = class.index();
        let ranks = match (full, newest_first) {
            (true, true) => own..Class::COUNT,
            (true, false) => own + 1..Class::COUNT,
            (false, true) if self.is_line_full(index, class, now) => own..own + 1,
            (false, _) => return true,
        };
        for rank in ranks.rev() {
            if let Some((place, waiter)) = self.take_last(index, Class::ALL[rank]) {
                // What was kept for who goes may be what others wait for.
                self.more |= waiter.arrival.seats > ONE_SEAT;
                self.turn_away(place, &waiter, Refusal::QueueFull, now);
                return true;
            }
        }
        false
    }

    pub(super) fn join(&mut self, arrival: &Arrival, now: Timestamp) -> Place {
        let Arrival { product, class, customer, .. } = *arrival;
        let held = &mut self.products[product.index()];
        let until = now + held.settings.queue.longest_wait;
        held.joined(class, now);
        self.customers.enter(customer);
        self.waiters.join(&mut held.lines[class.index()], Waiter { arrival: *arrival, until })
    }

    /// Let through whoever's [turn](Domain::next_turn) it is, until nobody who waits can have what they need.
    pub(super) fn dispatch(&mut self, now: Timestamp) {
        let mut left = BATCH;
        while self.waiters.len() > 0 && !self.is_full() {
            let Some((index, class)) = self.next_turn(now) else { return };
            if left == 0 {
                self.more = true;
                return;
            }
            left -= 1;
            let Some((place, waiter)) = self.take_head(index, class) else { return };
            let arrival = waiter.arrival;
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

    /// The classes of a product in the order in which they have their turn now: as they rank, but for the lowest, which
    /// go before all but those that pass in every state when their floor is due.
    pub(super) fn ranks(&self, index: usize) -> [Class; Class::COUNT] {
        if self.products[index].floor.is_due(1) { self.ranks_with_floor(index) } else { Class::ALL }
    }

    pub(super) fn ranks_with_floor(&self, index: usize) -> [Class; Class::COUNT] {
        let mut ranks = Class::ALL;
        let mut due = self.due(index);
        due.sort_by_key(|due| due.map_or(Timestamp::NEVER, |(until, _)| until));
        // The later of the two is moved first.
        for (_, class) in due.into_iter().rev().flatten() {
            let place = ranks.iter().position(|rank| *rank == class).unwrap_or(0);
            ranks[Class::Commit.index()..=place].rotate_right(1);
        }
        ranks
    }

    /// Of the lowest classes, those whose next is owed a turn, with the time until which they wait.
    fn due(&self, index: usize) -> [Option<(Timestamp, Class)>; 2] {
        let product = &self.products[index];
        [Class::Read, Class::Background].map(|class| {
            let head = self.head(index, class)?;
            product.floor.is_due(self.cost(&head.arrival)).then_some((head.until, class))
        })
    }

    /// A product has let somebody through, with so many seats.
    pub(super) fn count_floor(&mut self, index: usize, class: Class, seats: u32) {
        let product = &self.products[index];
        let per_cent = product.settings.queue.floor;
        let low = [Class::Read, Class::Background];
        let next = if self.waiters.any_wants_several() {
            low.iter().filter_map(|class| self.head(index, *class)).map(|head| self.cost(&head.arrival)).max()
        } else {
            low.iter().any(|class| product.waiting(*class) > 0).then_some(1)
        };
        let floor = &mut self.products[index].floor;
        match next {
            None => floor.forgiven(),
            Some(_) if class.has_floor() => floor.paid(seats),
            Some(next) => floor.passed_over(seats, per_cent, next),
        }
    }

    /// Turn away those of a line who have waited too long, or whose product has shut.
    pub(super) fn clear_line(&mut self, index: usize, class: Class, left: &mut usize, now: Timestamp) {
        loop {
            let product = &mut self.products[index];
            let Some(waiter) = self.waiters.front(&product.lines[class.index()]) else { return };
            let refusal = match self.forbids(&waiter.arrival, now) {
                Some(refusal) => refusal,
                None if now >= waiter.until => Refusal::WaitedTooLong,
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
        let arrival = &waiter.arrival;
        let product = &mut self.products[arrival.product.index()];
        product.waiting -= 1;
        self.customers.leave(arrival.customer);
        let refused = product.refuse(refusal, arrival.class, now, &mut self.random);
        self.outputs.push_back(Output::Refuse(place, refused));
    }

    pub(super) fn refuse(&mut self, arrival: &Arrival, refusal: Refusal, now: Timestamp) -> Verdict {
        let product = &mut self.products[arrival.product.index()];
        Verdict::Refuse(product.refuse(refusal, arrival.class, now, &mut self.random))
    }
}
