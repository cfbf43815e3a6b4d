//! Whether whoever is let through may be, and was next.

use super::House;
use super::books::{How, Stage};
use crate::admission::{Arrival, Class};
use crate::sim::law::{RequestId, Said};

/// What stands between a class and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Nothing,
    /// Its product is shut.
    State,
    /// The ramp's ceiling is reached.
    Ramp,
    /// This resource is full, and no other.
    Seats(usize),
    /// More than one resource is full.
    MoreSeats,
}

impl House {
    /// What a law has decided about somebody who waits. False when nobody waits there: the world must not hear it.
    pub(super) fn said(&mut self, said: Said, newcomer: Option<&Arrival>) -> bool {
        let (Said::Pass(request) | Said::Refuse(request, _)) = said;
        let Stage::Waits(stay) = self.books.stage(request) else {
            self.report.add("once", format_args!("request {} hears {said:?} and does not wait", request.0));
            return false;
        };
        match said {
            Said::Pass(_) => self.passes(request, &stay.arrival, true),
            Said::Refuse(_, no) => self.is_turned_away(request, no, newcomer),
        }
        true
    }

    /// `request` is let through, from its line or from the door.
    pub(super) fn passes(&mut self, request: RequestId, arrival: &Arrival, from_line: bool) {
        let (now, product, class) = (self.report.now(), arrival.product.index(), arrival.class);
        let reserved = self.takes_reserve(product, class);
        if !self.life.bypass {
            self.check_allowed(request, arrival);
            self.check_order(request, arrival, from_line);
            if !reserved {
                self.check_guarantees(product, class);
            }
        }
        if from_line {
            self.books.unjoin(request, arrival);
        }
        let needs = (!reserved).then_some(&self.needs[product][class.index()][..]);
        self.books.take(request, *arrival, needs, How { at: now, bypass: self.life.bypass });
        if let Some(needs) = needs {
            self.shares.taken(request, needs, &self.books, now);
        }
    }

    fn check_allowed(&mut self, request: RequestId, arrival: &Arrival) {
        let (now, product, class) = (self.report.now(), arrival.product.index(), arrival.class);
        if let Some(refusal) = self.life.forbids(arrival, now) {
            self.report.add("forbidden", format_args!("request {} passes: {refusal:?}, {arrival:?}", request.0));
        }
        let lack = self.lacks(product, class);
        let promise = match lack {
            Lack::Nothing => return,
            Lack::State => "state",
            Lack::Ramp => "ramp",
            Lack::Seats(_) | Lack::MoreSeats => "limit",
        };
        let in_use = &self.books.in_use;
        self.report.add(promise, format_args!("request {} passes without {lack:?}; in use {in_use:?}", request.0));
    }

    /// Higher class first within a product, oldest first within a class.
    fn check_order(&mut self, request: RequestId, arrival: &Arrival, from_line: bool) {
        let (product, class) = (arrival.product.index(), arrival.class);
        if self.books.products[product].waiting == 0 {
            return;
        }
        let front = self.books.front(product, class).map(|(front, _)| front);
        if front.is_some_and(|front| !from_line || front != request) {
            let front = front.map(|front| front.0);
            self.report.add("oldest first", format_args!("request {} passes before {front:?}: {class:?}", request.0));
        }
        let above = Class::ALL.into_iter().take_while(|rank| *rank < class);
        if let Some(rank) = above.into_iter().find(|rank| self.is_ready(product, *rank)) {
            self.report.add("higher class first", format_args!("request {}, {class:?}, passes {rank:?}", request.0));
        }
    }

    /// Whether somebody waits in a class who could go now.
    pub(super) fn is_ready(&self, product: usize, class: Class) -> bool {
        let now = self.report.now();
        let Some((_, stay)) = self.books.front(product, class) else { return false };
        let until = stay.since + self.settings.products[product].queue.longest_wait;
        until > now && self.life.forbids(&stay.arrival, now).is_none() && self.lacks(product, class) == Lack::Nothing
    }

    /// Nobody takes more than its guarantee of something while somebody waits for the same who would stay within.
    fn check_guarantees(&mut self, product: usize, class: Class) {
        if !self.needs[product][class.index()].iter().any(|need| self.borrows(product, *need)) {
            return;
        }
        for other in (0..self.books.products.len()).filter(|other| *other != product) {
            if self.books.products[other].waiting == 0 {
                continue;
            }
            let next = Class::ALL.into_iter().find(|rank| self.is_ready(other, *rank));
            let Some(next) = next.filter(|next| !self.takes_reserve(other, *next)) else { continue };
            let wants = &self.needs[other][next.index()];
            let owed = !wants.iter().any(|need| self.borrows(other, *need));
            let contends = |need: &usize| wants.contains(need) && self.borrows(product, *need);
            if owed && self.needs[product][class.index()].iter().any(contends) {
                self.report.add(
                    "guarantee",
                    format_args!("product {product} borrows while {other} waits, {next:?}, for what it is owed"),
                );
            }
        }
    }

    /// Whether one more of `class` would stay within what its product is owed of everything but `resource`. Who is beyond
    /// that elsewhere has to stand back here too: what it asks for goes together.
    pub(super) fn is_modest(&self, product: usize, class: Class, resource: usize) -> bool {
        let mut others = self.needs[product][class.index()].iter().filter(|need| **need != resource);
        others.all(|need| !self.shared[*need] || !self.borrows(product, *need))
    }

    /// Whether one more seat of `resource` would take `product` above its guarantee there.
    fn borrows(&self, product: usize, resource: usize) -> bool {
        let guarantee = u64::from(self.settings.products[product].guarantee);
        let owed = guarantee * u64::from(self.shown.resources[resource].limit);
        self.shared[resource] && u64::from(self.books.taken[resource][product] + 1) * 100 > owed
    }

    /// Whether a seat of the reserve is there for `class`.
    pub(super) fn takes_reserve(&self, product: usize, class: Class) -> bool {
        class.passes_in_every_state()
            && self.books.products[product].reserve < self.settings.products[product].reserve.get()
    }

    /// What keeps one more of `class` from starting.
    pub(super) fn lacks(&self, product: usize, class: Class) -> Lack {
        if self.life.bypass || self.takes_reserve(product, class) {
            return Lack::Nothing;
        }
        if self.life.shut[product].is_some() || self.life.down[product] {
            return Lack::State;
        }
        let ceiling = self.shown.products[product].ramp_seats;
        if ceiling.is_some_and(|ceiling| self.books.products[product].in_flight >= ceiling) {
            return Lack::Ramp;
        }
        let full = |need: &&usize| self.books.in_use[**need] >= self.shown.resources[**need].limit;
        let mut full = self.needs[product][class.index()].iter().filter(full);
        match (full.next(), full.next()) {
            (None, _) => Lack::Nothing,
            (Some(need), None) => Lack::Seats(*need),
            (Some(_), Some(_)) => Lack::MoreSeats,
        }
    }
}
