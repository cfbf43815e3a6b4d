//! Who waits, whose turn it is, and who is told no.

use super::super::queue::Waiter;
use super::super::{Arrival, Class, ONE_SEAT, Output, Place, Refusal, Timestamp, Verdict};
use super::{BATCH, Domain, NOBODYS, Turn};

impl Domain {
    /// The length up to which a line keeps the seats busy: as many as there are seats, and of few seats more than of many,
    /// as chance is larger there (square-root staffing: Halfin, Whitt 1981).
    fn short_line(&self, product: usize, class: Class) -> u32 {
        let needs = self.products[product].settings.needs[class.index()];
        let seats = f64::from(needs.iter().map(|need| self.resources[need].limit()).min().unwrap_or(1));
        (seats + 4.0 * seats.sqrt()) as u32
    }

    pub(super) fn is_line_full(&mut self, index: usize, class: Class, now: Timestamp) -> bool {
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

    /// Of the products that have somebody who could start, the one that is furthest from its due.
    /// Of two that are as far, the one whose head must be told first. Within a product the highest class (or a low one
    /// that is owed its floor) whose needs are free: a head blocked on a budget is passed over, and what is kept for
    /// somebody is left to them.
    pub(super) fn next_turn(&mut self, now: Timestamp) -> Option<(usize, Class)> {
        self.find_kept(None, now);
        let mut next = None;
        let mut least = NOBODYS;
        for (index, product) in self.products.iter().enumerate() {
            if product.waiting == 0 || self.is_held_up(index) {
                continue;
            }
            let turn = |class: &Class| self.ready(index, *class, now).map(|turn| (*class, turn));
            let Some((class, turn)) = self.ranks(index).iter().find_map(turn) else { continue };
            if turn < least {
                least = turn;
                next = Some((index, class));
            }
        }
        next
    }

    /// Whether nobody of a product can have a turn, whatever their class, because what all of them need is full. That is
    /// so after nearly every turn, so it is found before anybody is asked.
    fn is_held_up(&self, index: usize) -> bool {
        let product = &self.products[index];
        // Of those who want several seats some are told no before there is room for them.
        let must_ask = || self.bypass || self.waiters.any_wants_several() || product.reserve_is_waited_for();
        product.always_needed.iter().any(|need| self.resources[need].free() == 0) && !must_ask()
    }

    /// The classes of a product in the order in which they have their turn now: as they rank, but for the lowest, which
    /// go before all but those that pass in every state when their floor is due.
    pub(super) fn ranks(&self, index: usize) -> [Class; Class::COUNT] {
        if self.products[index].floor.is_due(1) { self.ranks_with_floor(index) } else { Class::ALL }
    }

    fn ranks_with_floor(&self, index: usize) -> [Class; Class::COUNT] {
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

    /// The turn of the head of a line, if it can start or must be told no. In one pass, for this is asked of every
    /// product after every end: what it claims is found out with whether it is there.
    fn ready(&self, index: usize, class: Class, now: Timestamp) -> Option<Turn> {
        let head = self.head(index, class)?;
        if self.is_stale(head, now) {
            return Some((0, Timestamp::ZERO));
        }
        if let Some((_, passer)) = self.passer(index, class) {
            return Some((0, passer.until));
        }
        if self.bypass || self.reserve_for(&head.arrival).is_some() {
            return Some(self.turn(&head.arrival, head.until, now));
        }
        let cost = self.cost(&head.arrival);
        if !self.products[index].has_room(cost) {
            return None;
        }
        let needs = self.products[index].settings.needs[class.index()];
        let mut claim = 0;
        for need in needs.iter() {
            claim = claim.max(self.resources[need].claim_if_free(index, cost, now)?);
        }
        let turn = (claim, head.until);
        let is_kept = self.waiters.any_wants_several() && self.is_kept_from(&head.arrival, turn, now);
        (!is_kept).then_some(turn)
    }

    pub(super) fn turn(&self, arrival: &Arrival, until: Timestamp, now: Timestamp) -> Turn {
        if self.reserve_for(arrival).is_some() {
            return (0, until);
        }
        let (index, cost) = (arrival.product.index(), self.cost(arrival));
        let needs = &self.products[index].settings.needs[arrival.class.index()];
        let claims = needs.iter().map(|need| self.resources[need].claim(index, cost, now));
        (claims.max().unwrap_or(0), until)
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
