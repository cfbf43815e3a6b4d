//! What the lowest classes are owed while they wait, in seats, and what they may take for it.
//!
//! Of what a product has let through since they began to wait they may have taken the floor, in per cent, before others
//! who could have gone; and since one of them last went, no more may have gone to others than what one turn is owed for.
//! `protected` and `settle` go before them at any time, and are not among those others.

use super::House;
use super::books::Low;
use crate::admission::rank::Rank;
use crate::sim::law::RequestId;

const LOWEST: [Rank; 2] = [Rank::Read, Rank::Background];

impl House {
    /// Somebody passes on so many seats under the limits; `jumps` when before somebody who ranks above them.
    pub(super) fn check_floor(&mut self, request: RequestId, (product, rank): (usize, Rank), seats: u32, jumps: bool) {
        if LOWEST.into_iter().all(|low| self.books.line(product, low) == 0) {
            if jumps {
                self.report.add("floor", format_args!("request {}, {rank:?}, is owed nothing yet", request.0));
            }
            return;
        }
        let floor = self.settings.products[product].queue.floor;
        let after_them = !rank.class().has_floor() && rank >= Rank::FIRST_WITHOUT_RESERVE;
        let missed = self.who_misses_a_turn(product).filter(|_| after_them);
        let low = &mut self.books.products[product].low;
        low.overtook += if jumps { seats } else { 0 };
        let taken = *low;
        low.passed += seats;
        if rank.class().has_floor() {
            (low.missed, low.most) = (0, 0);
        } else if let Some(next) = missed {
            if next > low.most {
                // No more than one turn is saved up, and that was a smaller one.
                low.missed = low.missed.min(100 * low.most / floor.max(1));
            }
            low.most = low.most.max(next);
            low.missed += seats;
        }
        if taken.overtook * 100 > taken.passed * floor {
            let Low { overtook, passed, .. } = taken;
            self.report.add("floor", format_args!("the lowest took {overtook} seats of {passed}, {floor} % is theirs"));
        }
        if missed.is_some_and(|next| taken.missed * floor > 100 * (taken.most.max(next) + 1)) {
            let missed = taken.missed;
            self.report.add("floor", format_args!("request {}, {rank:?}, passes after {missed} seats", request.0));
        }
    }

    /// Whether one of the lowest who takes so many seats may go before one of `rank` for what they are owed.
    pub(super) fn may_go_for_its_floor(&self, product: usize, low: Rank, seats: u32, rank: Rank) -> bool {
        let owed = self.books.products[product].low;
        let floor = self.settings.products[product].queue.floor;
        let due = (owed.overtook + seats) * 100 <= owed.passed * floor;
        due && low.class().has_floor() && low != rank && rank >= Rank::FIRST_WITHOUT_RESERVE
    }

    /// Whether it may be one of the lowest whose turn it is, before one of `rank`, if all they need were there.
    pub(super) fn may_be_the_turn_of_the_lowest(&self, product: usize, rank: Rank) -> bool {
        LOWEST.into_iter().any(|low| {
            let front = self.head(product, low);
            let cost = front.map(|(_, stay)| self.cost(product, low.class(), stay.arrival.seats));
            cost.is_some_and(|cost| self.may_go_for_its_floor(product, low, cost, rank))
        })
    }

    /// The most seats that one of the lowest needs who could go now.
    fn who_misses_a_turn(&self, product: usize) -> Option<u32> {
        let could = |low: &Rank| self.is_ready(product, *low) && !self.is_held_back(product, *low);
        let next = LOWEST.into_iter().filter(could).filter_map(|low| {
            let (_, stay) = self.head(product, low)?;
            Some(self.cost(product, low.class(), stay.arrival.seats))
        });
        next.max()
    }
}
