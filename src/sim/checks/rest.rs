//! What must hold between two calls: the law's figures are ours, and nobody waits for nothing.

use std::time::Duration;

use super::House;
use super::books::Stay;
use super::line::Line;
use super::turns::Lack;
use crate::admission::rank::Rank;
use crate::admission::{Arrival, Timestamp};

/// When the law wants to be woken, and how often that came to nothing.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    promised: Option<Timestamp>,
    /// Wakes at one instant that said nothing and asked for another.
    idle: u32,
}

/// So many wakes in a row may do nothing; more is going round in circles.
const IDLE: u32 = 8;

impl House {
    /// Whether the law had done all it could before this call.
    pub(super) fn was_at_rest(&self) -> bool {
        self.wakes.promised.is_none_or(|at| at > self.report.now())
    }

    /// Time has come to the next call; the law should have been woken before if it wanted to.
    pub(super) fn check_woken(&mut self) {
        let now = self.report.now();
        if let Some(promised) = self.wakes.promised.filter(|at| *at < now) {
            self.report.add("wake", format_args!("it was not woken at {:?}", promised.since_start()));
        }
        if self.was_at_rest() {
            self.check_slept();
        }
    }

    /// The law has slept until now: in all that time nobody has come to wait for nothing, for somebody whom more was kept
    /// for than was free may have lost their turn by the time alone.
    fn check_slept(&mut self) {
        for product in 0..self.books.products.len() {
            if self.books.products[product].waiting == 0 {
                continue;
            }
            for rank in Rank::ALL {
                let Some((request, stay)) = self.head(product, rank) else { continue };
                let (request, arrival) = (request.0, stay.arrival);
                if self.lacks(&arrival) == Lack::Nothing && !self.may_be_held_back(product, rank, arrival.seats) {
                    self.report.add(
                        "wake",
                        format_args!("it slept while request {request}, {rank:?} of product {product}, could go"),
                    );
                }
            }
        }
    }

    /// A wake is over; `silent` when it said nothing.
    pub(super) fn woke(&mut self, silent: bool, next: Option<Timestamp>) {
        let again = silent && next.is_some_and(|at| at <= self.report.now());
        self.wakes.idle = if again { self.wakes.idle + 1 } else { 0 };
        if self.wakes.idle > IDLE {
            self.report.add("wake", format_args!("it wants to be woken again and again, and says nothing"));
        }
    }

    /// When the world is to wake the law: as it asks, unless it goes round in circles; then the world goes on.
    pub(super) fn wakes_at(&self, asked: Option<Timestamp>) -> Option<Timestamp> {
        let circles = self.wakes.idle > IDLE;
        asked.map(|at| if circles { at.max(self.report.now() + Duration::from_millis(1)) } else { at })
    }

    /// A call is over, and everything it said is in the books.
    pub(super) fn ends(&mut self, next: Option<Timestamp>) {
        self.wakes.promised = self.wakes_at(next).map(|at| at.max(self.report.now()));
        self.check_counts();
        self.check_turns();
        self.check_takes();
        self.check_hints();
        self.check_states();
        if self.was_at_rest() {
            self.check_waiters(next);
        }
    }

    /// The law counts what we count: a leak shows at once.
    fn check_counts(&mut self) {
        for (place, shown) in self.shown.resources.iter().enumerate() {
            let (in_use, taken) = (self.books.in_use[place], &self.books.taken[place]);
            if shown.in_use != in_use || shown.in_use_by != *taken {
                let theirs = &shown.in_use_by;
                self.report.add(
                    "seats",
                    format_args!(
                        "resource {place}: it counts {} as {theirs:?}, and {in_use} as {taken:?} are held",
                        shown.in_use
                    ),
                );
            }
        }
        for (place, shown) in self.shown.products.iter().enumerate() {
            let ledger = &self.books.products[place];
            if (shown.in_flight, shown.reserve_in_use) != (ledger.in_flight, ledger.reserve) {
                self.report.add(
                    "seats",
                    format_args!(
                        "product {place}: it counts {} and {} of the reserve, {} and {} are held",
                        shown.in_flight, shown.reserve_in_use, ledger.in_flight, ledger.reserve
                    ),
                );
            }
            let (theirs, ours) = (shown.waiting, ledger.lines.each_ref().map(Line::len));
            for (rank, (shown, waiting)) in Rank::ALL.into_iter().zip(theirs.into_iter().zip(ours)) {
                if shown != waiting {
                    // As many as do may wait, and not where they should.
                    let of_class =
                        |lines: &[u32]| Rank::all_of(rank.class()).map(|rank| lines[rank.index()]).sum::<u32>();
                    let promise = if of_class(&theirs) == of_class(&ours) { "line" } else { "waiters" };
                    self.report.add(
                        promise,
                        format_args!("product {place}, {rank:?}: it counts {shown} who wait, {waiting} do"),
                    );
                }
            }
        }
    }

    /// The law says that it has nothing to do until `next`.
    fn check_waiters(&mut self, next: Option<Timestamp>) {
        self.shares.nobody_is_hungry();
        let mut first: Option<Timestamp> = None;
        for product in 0..self.books.products.len() {
            if self.books.products[product].waiting == 0 {
                continue;
            }
            let longest = self.settings.products[product].queue.longest_wait;
            for rank in Rank::ALL {
                let Some((request, stay)) = self.books.oldest(product, rank) else { continue };
                let (request, until) = (request.0, stay.since + longest);
                let Some(head) = self.head(product, rank).map(|(_, stay)| *stay) else { continue };
                first = Some(first.map_or(until, |first| first.min(until)));
                self.check_front(request, &head, until);
                self.check_passed_over(product, rank);
            }
            first = first.into_iter().chain(self.next_hopeless(product)).min();
            self.check_hopes(product);
        }
        if first.is_some_and(|first| next.is_none_or(|next| next > first)) {
            self.report.add("wake", format_args!("it sleeps until {next:?}, and somebody must be told at {first:?}"));
        }
        self.shares.settle(&self.books, &self.shown);
    }

    /// `request` has waited longest in a line, until `until` at the longest, and `head` is next.
    fn check_front(&mut self, request: u32, head: &Stay, until: Timestamp) {
        let (Arrival { class, seats, .. }, rank) = (head.arrival, head.asked.rank);
        let product = head.arrival.product.index();
        let now = self.report.now();
        if until <= now {
            let late = now.since(until);
            self.report.add("longest wait", format_args!("request {request} waits, {late:?} after the longest wait"));
        }
        match self.lacks(&head.arrival) {
            Lack::Nothing if self.may_be_held_back(product, rank, seats) => {}
            Lack::Nothing => self.report.add(
                "work conservation",
                format_args!("product {product}, {rank:?}: somebody waits though all it needs is free"),
            ),
            Lack::State if !class.passes_in_every_state() => {
                self.report
                    .add("state", format_args!("request {request} still waits in product {product}, which is shut"));
            }
            Lack::Ramp => {
                if let Some(ramp) = &mut self.life.ramps[product] {
                    ramp.holds_up(now);
                }
            }
            Lack::Seats(resource) | Lack::Trust(resource) => {
                let modest = self.is_modest(product, class, seats, resource);
                self.shares.is_next(resource, product, modest);
            }
            Lack::State | Lack::MoreSeats => {}
        }
    }
}
