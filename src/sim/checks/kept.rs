//! Seats that are kept for whoever needs several.
//!
//! Who needs more than is there must not starve behind those who need less: while some of everything they lack is there,
//! nobody takes it who ranks below them in their product, or who borrows it while they are owed it (see
//! [`check_guarantees`](House::check_guarantees)). Between two who both borrow the law decides; it is not watched in that.

use std::num::NonZeroU8;

use super::House;
use crate::admission::Class;
use crate::sim::law::RequestId;

impl House {
    /// Whoever is next in a class and finds some, and not enough, of all that they lack: what they ask for.
    pub(super) fn keeper(&self, product: usize, class: Class) -> Option<NonZeroU8> {
        let now = self.report.now();
        let (_, stay) = self.head(product, class)?;
        let (arrival, until) = (stay.arrival, stay.since + self.settings.products[product].queue.longest_wait);
        let hopeless = until <= now || self.life.forbids(&arrival, now).is_some() || self.life.shut[product].is_some();
        if hopeless || self.life.bypass || self.reserve_for(&arrival).is_some() {
            return None;
        }
        let cost = self.cost(product, class, arrival.seats);
        if self.lacks_trust(product, class, cost).is_some() {
            return None;
        }
        let free = self.needs[product][class.index()].iter().map(|need| self.free(*need));
        let least = free.chain([self.free_under_ramp(product)]).min()?;
        (1..cost).contains(&least).then_some(arrival.seats)
    }

    /// Whether one of `class` who asks for `seats` may have to leave what is there to somebody else.
    pub(super) fn may_be_held_back(&self, product: usize, class: Class, seats: NonZeroU8) -> bool {
        let (wants, cost) = (&self.needs[product][class.index()], self.cost(product, class, seats));
        let owed = !wants.iter().any(|need| self.borrows(product, cost, *need));
        let by = |other: usize, rank: Class| {
            let Some(asked) = self.keeper(other, rank) else { return false };
            let (needs, theirs) = (&self.needs[other][rank.index()], self.cost(other, rank, asked));
            let borrows = needs.iter().any(|need| self.borrows(other, theirs, *need));
            let keeps = needs.iter().any(|need| self.free(*need) < theirs && wants.contains(need));
            match other == product {
                true => {
                    let before = rank < class || self.may_go_for_its_floor(product, rank, theirs, class);
                    before && (keeps || self.free_under_ramp(product) < theirs)
                }
                false => keeps && !(owed && borrows),
            }
        };
        (0..self.books.products.len()).any(|other| Class::ALL.into_iter().any(|rank| by(other, rank)))
    }

    /// Somebody of `class` is let through: nobody above them in their product has been waiting for the rest of it.
    /// Returns whether one of the lowest takes it all the same, as it may for its floor.
    pub(super) fn check_kept(&mut self, request: RequestId, product: usize, class: Class) -> bool {
        let takes = &self.needs[product][class.index()];
        for rank in Class::ALL.into_iter().take_while(|rank| *rank < class) {
            let Some(asked) = self.keeper(product, rank) else { continue };
            let cost = self.cost(product, rank, asked);
            let needs = &self.needs[product][rank.index()];
            let taken = needs.iter().any(|need| self.free(*need) < cost && takes.contains(need));
            if taken || self.free_under_ramp(product) < cost {
                if class.has_floor() && !rank.passes_in_every_state() {
                    return true;
                }
                self.report.add(
                    "kept seats",
                    format_args!("request {}, {class:?}, takes what {rank:?} needs {cost} of", request.0),
                );
                return false;
            }
        }
        false
    }

    pub(super) fn free(&self, resource: usize) -> u32 {
        self.shown.resources[resource].limit.saturating_sub(self.books.in_use[resource])
    }

    fn free_under_ramp(&self, product: usize) -> u32 {
        let ceiling = self.shown.products[product].ramp_seats.unwrap_or(u32::MAX);
        ceiling.saturating_sub(self.books.products[product].in_flight)
    }
}
