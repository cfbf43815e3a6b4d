//! What the lowest classes are owed while they wait, in seats, and what they may take for it.
//!
//! Of what a product has let through since they began to wait they may have taken the floor, in per cent, before others
//! who could have gone; and since one of them last went, no more may have gone to others than what one turn is owed for.
//! `protected` and `settle` go before them at any time, and are not among those others.

use super::House;
use super::books::Low;
use crate::admission::{Arrival, Class};
use crate::sim::law::RequestId;

const LOWEST: [Class; 2] = [Class::Read, Class::Background];

impl House {
    /// Somebody passes on so many seats under the limits; `jumps` when before somebody who ranks above them.
    pub(super) fn check_floor(&mut self, request: RequestId, arrival: &Arrival, seats: u32, jumps: bool) {
        let (product, class) = (arrival.product.index(), arrival.class);
        if LOWEST.into_iter().all(|low| self.books.line(product, low) == 0) {
            if jumps {
                self.report.add("floor", format_args!("request {}, {class:?}, is owed nothing yet", request.0));
            }
            return;
        }
        let floor = self.settings.products[product].queue.floor;
        let after_them = !class.has_floor() && !class.passes_in_every_state();
        let missed = self.who_misses_a_turn(product).filter(|_| after_them);
        let low = &mut self.books.products[product].low;
        low.overtook += if jumps { seats } else { 0 };
        let taken = *low;
        low.passed += seats;
        if class.has_floor() {
            (low.missed, low.most) = (0, 0);
        } else if let Some(next) = missed {
            low.most = low.most.max(next);
            low.missed += seats;
        }
        if taken.overtook * 100 > taken.passed * floor {
            let Low { overtook, passed, .. } = taken;
            self.report.add("floor", format_args!("the lowest took {overtook} seats of {passed}, {floor} % is theirs"));
        }
        if missed.is_some_and(|next| taken.missed * floor > 100 * (taken.most.max(next) + 1)) {
            let missed = taken.missed;
            self.report.add("floor", format_args!("request {}, {class:?}, passes after {missed} seats", request.0));
        }
    }

    /// Whether one of the lowest who takes so many seats may go before one of `class` for what they are owed.
    pub(super) fn may_go_for_its_floor(&self, product: usize, low: Class, seats: u32, class: Class) -> bool {
        let owed = self.books.products[product].low;
        let floor = self.settings.products[product].queue.floor;
        let due = (owed.overtook + seats) * 100 <= owed.passed * floor;
        due && low.has_floor() && low != class && !class.passes_in_every_state()
    }

    /// Whether it may be one of the lowest whose turn it is, before one of `class`, if all they need were there.
    pub(super) fn may_be_the_turn_of_the_lowest(&self, product: usize, class: Class) -> bool {
        LOWEST.into_iter().any(|low| {
            let front = self.head(product, low);
            let cost = front.map(|(_, stay)| self.cost(product, low, stay.arrival.seats));
            cost.is_some_and(|cost| self.may_go_for_its_floor(product, low, cost, class))
        })
    }

    /// The most seats that one of the lowest needs who could go now.
    fn who_misses_a_turn(&self, product: usize) -> Option<u32> {
        let could = |low: &Class| self.is_ready(product, *low) && !self.is_held_back(product, *low);
        let next = LOWEST.into_iter().filter(could).filter_map(|low| {
            let (_, stay) = self.head(product, low)?;
            Some(self.cost(product, low, stay.arrival.seats))
        });
        next.max()
    }
}
