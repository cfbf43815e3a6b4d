//! Seats that are kept for whoever needs several.
//!
//! Who needs more than is there must not starve behind those who need less: while some of everything they lack is there,
//! nobody takes it who ranks below them in their product, or who borrows it while they are owed it (see
//! [`check_guarantees`](House::check_guarantees)). Between two who both borrow the law decides; it is not watched in that.

use std::num::NonZeroU8;

use super::House;
use crate::admission::rank::Rank;
use crate::sim::law::RequestId;

impl House {
    /// Whoever is next in a line and finds some, and not enough, of all that they lack: what they ask for.
    pub(super) fn keeper(&self, product: usize, rank: Rank) -> Option<NonZeroU8> {
        let now = self.report.now();
        let (_, stay) = self.head(product, rank)?;
        let (arrival, until) = (stay.arrival, stay.since + self.settings.products[product].queue.longest_wait);
        let hopeless = until <= now || self.forbids(&arrival).is_some() || self.life.shut[product].is_some();
        if hopeless || self.life.bypass || self.reserve_for(&arrival).is_some() {
            return None;
        }
        let class = arrival.class;
        let cost = self.cost(product, class, arrival.seats);
        if self.lacks_trust(product, class, cost).is_some() {
            return None;
        }
        let free = self.needs[product][class.index()].iter().map(|need| self.free(*need));
        let least = free.chain([self.free_under_ramp(product)]).min()?;
        (1..cost).contains(&least).then_some(arrival.seats)
    }

    /// Whether one of `rank` who asks for `seats` may have to leave what is there to somebody else.
    pub(super) fn may_be_held_back(&self, product: usize, rank: Rank, seats: NonZeroU8) -> bool {
        let class = rank.class();
        let (wants, cost) = (&self.needs[product][class.index()], self.cost(product, class, seats));
        let owed = !wants.iter().any(|need| self.borrows(product, cost, *need));
        let by = |other: usize, keeping: Rank| {
            let Some(asked) = self.keeper(other, keeping) else { return false };
            let class = keeping.class();
            let (needs, theirs) = (&self.needs[other][class.index()], self.cost(other, class, asked));
            let borrows = needs.iter().any(|need| self.borrows(other, theirs, *need));
            let keeps = needs.iter().any(|need| self.free(*need) < theirs && wants.contains(need));
            match other == product {
                true => {
                    let before = keeping < rank || self.may_go_for_its_floor(product, keeping, theirs, rank);
                    before && (keeps || self.free_under_ramp(product) < theirs)
                }
                false => keeps && !(owed && borrows),
            }
        };
        (0..self.books.products.len()).any(|other| Rank::ALL.into_iter().any(|keeping| by(other, keeping)))
    }

    /// Somebody of `rank` is let through: nobody above them in their product has been waiting for the rest of it.
    /// Returns whether one of the lowest takes it all the same, as it may for its floor.
    pub(super) fn check_kept(&mut self, request: RequestId, product: usize, rank: Rank) -> bool {
        let takes = &self.needs[product][rank.class().index()];
        for keeping in Rank::ALL.into_iter().take_while(|keeping| *keeping < rank) {
            let Some(asked) = self.keeper(product, keeping) else { continue };
            let cost = self.cost(product, keeping.class(), asked);
            let needs = &self.needs[product][keeping.class().index()];
            let taken = needs.iter().any(|need| self.free(*need) < cost && takes.contains(need));
            if taken || self.free_under_ramp(product) < cost {
                if rank.class().has_floor() && keeping >= Rank::FIRST_WITHOUT_RESERVE {
                    return true;
                }
                self.report.add(
                    "kept seats",
                    format_args!("request {}, {rank:?}, takes what {keeping:?} needs {cost} of", request.0),
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
