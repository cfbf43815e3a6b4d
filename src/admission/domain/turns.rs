//! Who waits, who is let through, and who is told no.

use super::super::passes::BEHIND_EVERYBODY;
use super::super::queue::Waiter;
use super::super::rank::Rank;
use super::super::{Arrival, Class, ONE_SEAT, Output, Place, Refusal, Refused, Timestamp, Verdict};
use super::{BATCH, Domain};

impl Domain {
    /// The length up to which a line keeps the seats busy: as many as there are seats, and of few seats more than of many,
    /// as chance is larger there (square-root staffing: Halfin, Whitt 1981).
    fn short_line(&self, product: usize, rank: Rank) -> u32 {
        let seats = f64::from(self.seats(product, rank.class()));
        (seats + 4.0 * seats.sqrt()) as u32
    }

    /// How many seats there are for requests of `class`.
    pub(super) fn seats(&self, product: usize, class: Class) -> u32 {
        let needs = self.products[product].settings.needs[class.index()];
        let all = self.seats_of_sites(&self.products[product]);
        needs.iter().map(|need| self.resources[need].limit()).chain(all).min().unwrap_or(1)
    }

    /// Whether the line of `rank` is too long for somebody with this turn.
    pub(super) fn is_line_full(&mut self, index: usize, rank: Rank, turn: u64, now: Timestamp) -> bool {
        let is_promised = rank.is_newcomers() && turn != BEHIND_EVERYBODY;
        // So of nearly every line, and found with less ado than how long a short one may be.
        if self.products[index].surely_drains(rank, now) {
            debug_assert!(
                !self.products[index].is_line_full(rank, is_promised, 0, now),
                "what drains in time is not full"
            );
            return false;
        }
        let short = self.short_line(index, rank);
        self.products[index].is_line_full(rank, is_promised, short, now)
    }

    /// Whoever has the next turn in a line.
    pub(super) fn head(&self, index: usize, rank: Rank) -> Option<&Waiter> {
        let product = &self.products[index];
        let line = &product.lines[rank.index()];
        if line.is_empty() {
            return None;
        }
        if product.is_newest_first(rank, self.latest) { self.waiters.back(line) } else { self.waiters.front(line) }
    }

    fn take_head(&mut self, index: usize, rank: Rank) -> Option<(Place, Waiter)> {
        let passer = self.passer(index, rank).map(|(place, _)| place);
        let product = &mut self.products[index];
        let newest = product.is_newest_first(rank, self.latest);
        let line = &mut product.lines[rank.index()];
        if let Some(place) = passer {
            return self.waiters.take(line, place).map(|waiter| (place, waiter));
        }
        if newest { self.waiters.take_back(line) } else { self.waiters.take_front(line) }
    }

    /// Whoever is the first to go from a line that is too long: who would be the last to have a turn in it.
    fn take_last(&mut self, index: usize, rank: Rank) -> Option<(Place, Waiter)> {
        let product = &mut self.products[index];
        let newest = product.is_newest_first(rank, self.latest);
        let line = &mut product.lines[rank.index()];
        if newest { self.waiters.take_front(line) } else { self.waiters.take_back(line) }
    }

    /// Whether somebody waits as `rank` whose turn is later than this one.
    pub(super) fn is_before_the_last(&self, index: usize, rank: Rank, turn: u64) -> bool {
        self.waiters.back(&self.products[index].lines[rank.index()]).is_some_and(|last| turn < last.turn)
    }

    /// Room for one more of `rank`: whoever ranks lowest and would have the last turn makes it; where the newest go
    /// first, or this one's turn is before others', that may be one of the same rank. False when nobody does.
    pub(super) fn make_room(&mut self, index: usize, rank: Rank, turn: u64, now: Timestamp) -> bool {
        let before_own = self.products[index].is_newest_first(rank, now) || self.is_before_the_last(index, rank, turn);
        let full = self.products[index].waiting >= self.products[index].settings.queue.length.get();
        let own = rank.index();
        let ranks = match (full, before_own) {
            (true, true) => own..Rank::COUNT,
            (true, false) => own + 1..Rank::COUNT,
            (false, true) if self.is_line_full(index, rank, turn, now) => own..own + 1,
            (false, _) => return true,
        };
        for rank in ranks.rev() {
            if let Some((place, waiter)) = self.take_last(index, Rank::ALL[rank]) {
                // What was kept for who goes may be what others wait for.
                self.more |= waiter.arrival.seats > ONE_SEAT;
                self.turn_away(place, &waiter, Refusal::QueueFull, now);
                return true;
            }
        }
        false
    }

    pub(super) fn join(&mut self, arrival: &Arrival, rank: Rank, turn: u64, now: Timestamp) -> Place {
        let Arrival { product, customer, .. } = *arrival;
        let held = &mut self.products[product.index()];
        let until = now + held.settings.queue.longest_wait;
        held.joined(rank, now);
        let turn = held.turn_of_who_joins(rank, turn, customer, now);
        self.customers.enter(customer);
        self.waiters.join(&mut held.lines[rank.index()], Waiter { arrival: *arrival, rank, turn, until, name: 0 })
    }

    /// Let through whoever's [turn](Domain::next_turn) it is, until nobody who waits can have what they need.
    pub(super) fn dispatch(&mut self, now: Timestamp) {
        let mut left = BATCH;
        while self.waiters.len() > 0 && !self.is_full() {
            let Some((index, rank)) = self.next_turn(now) else { return };
            if left == 0 {
                self.more = true;
                return;
            }
            left -= 1;
            let Some((place, waiter)) = self.take_head(index, rank) else { return };
            let arrival = waiter.arrival;
            let too_late = (now >= waiter.until).then_some(Refusal::WaitedTooLong);
            if let Some(refusal) = self.forbids(&arrival, now).or(too_late) {
                self.turn_away(place, &waiter, refusal, now);
                continue;
            }
            self.products[index].waiting -= 1;
            let seat = self.seat(&arrival, rank, now);
            self.outputs.push_back(Output::Admit(place, seat));
        }
    }

    /// The ranks of a product in the order in which they have their turn now: as they are, but for the lowest, which
    /// go before all but those that pass in every state when their floor is due.
    pub(super) fn ranks(&self, index: usize) -> [Rank; Rank::COUNT] {
        if self.products[index].floor.is_due(1) { self.ranks_with_floor(index) } else { Rank::ALL }
    }

    pub(super) fn ranks_with_floor(&self, index: usize) -> [Rank; Rank::COUNT] {
        let mut ranks = Rank::ALL;
        let mut due = self.due(index);
        due.sort_by_key(|due| due.map_or(Timestamp::NEVER, |(until, _)| until));
        // The later of the two is moved first.
        for (_, low) in due.into_iter().rev().flatten() {
            let place = ranks.iter().position(|rank| *rank == low).unwrap_or(0);
            ranks[Rank::FIRST_WITHOUT_RESERVE.index()..=place].rotate_right(1);
        }
        ranks
    }

    /// Of the lowest classes, those whose next is owed a turn, with the time until which they wait.
    fn due(&self, index: usize) -> [Option<(Timestamp, Rank)>; 2] {
        let product = &self.products[index];
        [Rank::Read, Rank::Background].map(|rank| {
            let head = self.head(index, rank)?;
            product.floor.is_due(self.cost(&head.arrival)).then_some((head.until, rank))
        })
    }

    /// A product has let somebody through, with so many seats.
    pub(super) fn count_floor(&mut self, index: usize, rank: Rank, seats: u32) {
        let product = &self.products[index];
        let per_cent = product.settings.queue.floor;
        let low = [Rank::Read, Rank::Background];
        let next = if self.waiters.any_wants_several() {
            low.iter().filter_map(|rank| self.head(index, *rank)).map(|head| self.cost(&head.arrival)).max()
        } else {
            low.iter().any(|rank| product.waiting_as(*rank) > 0).then_some(1)
        };
        let floor = &mut self.products[index].floor;
        match next {
            None => floor.forgiven(),
            Some(_) if rank.class().has_floor() => floor.paid(seats),
            Some(next) => floor.passed_over(seats, per_cent, next),
        }
    }

    /// Turn away those of a line who have waited too long, or whose product has shut.
    pub(super) fn clear_line(&mut self, index: usize, rank: Rank, left: &mut usize, now: Timestamp) {
        loop {
            let product = &mut self.products[index];
            let line = &product.lines[rank.index()];
            let (Some(oldest), Some(first)) = (self.waiters.oldest(line), self.waiters.front(line)) else { return };
            let too_long = (now >= oldest.until).then_some(Refusal::WaitedTooLong);
            let of_oldest = self.forbids(&oldest.arrival, now).or(too_long);
            let is_oldest = of_oldest.is_some();
            let Some(refusal) = of_oldest.or_else(|| self.forbids(&first.arrival, now)) else { return };
            if *left == 0 {
                self.more = true;
                return;
            }
            *left -= 1;
            let line = &mut self.products[index].lines[rank.index()];
            let taken = if is_oldest { self.waiters.take_oldest(line) } else { self.waiters.take_front(line) };
            if let Some((place, waiter)) = taken {
                self.turn_away(place, &waiter, refusal, now);
            }
        }
    }

    /// Tell a waiter who is out of the line already.
    pub(super) fn turn_away(&mut self, place: Place, waiter: &Waiter, refusal: Refusal, now: Timestamp) {
        let arrival = &waiter.arrival;
        self.products[arrival.product.index()].left(waiter, now);
        self.customers.leave(arrival.customer);
        let refused = self.no(arrival, waiter.rank, refusal, now);
        self.outputs.push_back(Output::Refuse(place, refused));
    }

    pub(super) fn refuse(&mut self, arrival: &Arrival, rank: Rank, refusal: Refusal, now: Timestamp) -> Verdict {
        Verdict::Refuse(self.no(arrival, rank, refusal, now))
    }

    /// A no, with a time to come back.
    pub(super) fn no(&mut self, arrival: &Arrival, rank: Rank, refusal: Refusal, now: Timestamp) -> Refused {
        let latest = self.latest_return(arrival, now);
        let product = &mut self.products[arrival.product.index()];
        product.refuse(refusal, (rank, arrival.customer), latest, now, &mut self.random)
    }
}
