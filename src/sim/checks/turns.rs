//! Whether whoever is let through may be, and was next.

use std::num::NonZeroU8;

use super::House;
use super::books::{Asked, How, Newcomer, Stage, Stay};
use crate::admission::rank::Rank;
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
    /// There is too little of this resource, and of no other.
    Seats(usize),
    /// There is too little of more than one.
    MoreSeats,
    /// It would borrow of this resource more than its product is trusted with.
    Trust(usize),
}

impl House {
    /// What a law has decided about somebody who waits. False when nobody waits there: the world must not hear it.
    pub(super) fn said(&mut self, said: Said, newcomer: Option<&Newcomer>) -> bool {
        let (Said::Pass(request) | Said::Refuse(request, _)) = said;
        let Stage::Waits(stay) = self.books.stage(request) else {
            self.report.add("once", format_args!("request {} hears {said:?} and does not wait", request.0));
            return false;
        };
        match said {
            Said::Pass(_) => self.passes(request, &stay.arrival, stay.asked, true),
            Said::Refuse(_, no) => self.is_turned_away(request, no, newcomer),
        }
        true
    }

    /// `request` is let through, from its line or from the door.
    pub(super) fn passes(&mut self, request: RequestId, arrival: &Arrival, asked: Asked, from_line: bool) {
        let (now, product, class) = (self.report.now(), arrival.product.index(), arrival.class);
        let rank = asked.rank;
        let reserve_for = self.reserve_for(arrival);
        let reserved = reserve_for.is_some();
        let seats = reserve_for.unwrap_or_else(|| self.cost(product, class, arrival.seats));
        if !self.life.bypass {
            self.check_allowed(request, arrival);
            let mut jumps = self.check_order(request, arrival, rank, from_line);
            if !reserved {
                self.check_guarantees(product, class, seats);
                jumps |= self.check_kept(request, product, rank);
                self.check_floor(request, (product, rank), seats, jumps);
            }
        }
        if let Stage::Waits(stay) = self.books.stage(request) {
            self.books.unjoin(request, &stay);
        }
        let needs = (!reserved).then_some(&self.needs[product][class.index()][..]);
        self.books.take(request, *arrival, needs, How { asked, at: now, bypass: self.life.bypass, seats });
        if let Some(needs) = needs {
            self.shares.taken(request, needs, &self.books, now);
        }
        self.takes_a_step(arrival, class);
    }

    fn check_allowed(&mut self, request: RequestId, arrival: &Arrival) {
        if let Some(refusal) = self.forbids(arrival) {
            self.report.add("forbidden", format_args!("request {} passes: {refusal:?}, {arrival:?}", request.0));
        }
        let lack = self.lacks(arrival);
        let promise = match lack {
            Lack::Nothing => return self.check_trust(arrival),
            Lack::State => "state",
            Lack::Ramp => "ramp",
            Lack::Seats(_) | Lack::MoreSeats => "limit",
            Lack::Trust(_) => "trust",
        };
        self.check_reserve(request, arrival);
        let in_use = &self.books.in_use;
        self.report.add(promise, format_args!("request {} passes without {lack:?}; in use {in_use:?}", request.0));
    }

    /// Higher rank first within a product, and within a rank in the order of the line. Returns whether one of the lowest goes before
    /// others, as it may for its floor.
    fn check_order(&mut self, request: RequestId, arrival: &Arrival, rank: Rank, from_line: bool) -> bool {
        let product = arrival.product.index();
        if self.books.products[product].waiting == 0 {
            return false;
        }
        let front = self.head(product, rank).map(|(front, _)| front);
        let newest_first = self.books.is_newest_first(product, rank, self.report.now());
        let first = front.is_none_or(|front| if from_line { front == request } else { newest_first });
        if !first && !self.may_pass_the_front(request, arrival) {
            let front = front.map(|front| front.0);
            let promise = order_of(rank, newest_first);
            self.report.add(promise, format_args!("request {} passes before {front:?}: {rank:?}", request.0));
        }
        let mut above = Rank::ALL.into_iter().take_while(|above| *above < rank);
        let Some(above) = above.find(|above| self.is_ready(product, *above) && !self.is_held_back(product, *above))
        else {
            return false;
        };
        let jumps = rank.class().has_floor() && above >= Rank::FIRST_WITHOUT_RESERVE;
        if !jumps {
            self.report.add("higher rank first", format_args!("request {}, {rank:?}, passes {above:?}", request.0));
        }
        jumps
    }

    /// Who has the next turn in a line.
    pub(super) fn head(&self, product: usize, rank: Rank) -> Option<(RequestId, &Stay)> {
        let [first, _] = self.books.ends(product, rank, self.report.now());
        first
    }

    /// Whether somebody waits in a line who could go now.
    pub(super) fn is_ready(&self, product: usize, rank: Rank) -> bool {
        self.front_lacks(product, rank) == Some(Lack::Nothing) || self.passer(product, rank).is_some()
    }

    /// What the first of a line lacks; `None` when there is nobody with a hope.
    fn front_lacks(&self, product: usize, rank: Rank) -> Option<Lack> {
        let now = self.report.now();
        let (_, stay) = self.head(product, rank)?;
        let until = stay.since + self.settings.products[product].queue.longest_wait;
        let hopes = until > now && self.forbids(&stay.arrival).is_none();
        hopes.then(|| self.lacks(&stay.arrival))
    }

    /// Whether whoever is next in a line may have to leave what they need to somebody else.
    pub(super) fn is_held_back(&self, product: usize, rank: Rank) -> bool {
        let front = self.head(product, rank);
        let behind = |seats| self.may_be_held_back(product, rank, seats);
        self.passer(product, rank).is_none() && front.is_some_and(|(_, stay)| behind(stay.arrival.seats))
    }

    /// Nobody takes more than its guarantee of something while somebody waits for the same who would stay within.
    fn check_guarantees(&mut self, product: usize, class: Class, seats: u32) {
        if !self.needs[product][class.index()].iter().any(|need| self.borrows(product, seats, *need)) {
            return;
        }
        for other in (0..self.books.products.len()).filter(|other| *other != product) {
            if self.books.products[other].waiting == 0 {
                continue;
            }
            let next =
                Rank::ALL.into_iter().find(|rank| self.is_ready(other, *rank) || self.keeper(other, *rank).is_some());
            let asked = next.filter(|next| self.passer(other, *next).is_none());
            let asked = asked.and_then(|next| Some((next, self.head(other, next)?.1.arrival)));
            let asked = asked.filter(|(_, asked)| self.reserve_for(asked).is_none());
            let Some((next, Arrival { class: as_class, seats: asked, .. })) = asked else { continue };
            if self.may_be_the_turn_of_the_lowest(other, next) {
                continue;
            }
            let (wants, cost) = (&self.needs[other][as_class.index()], self.cost(other, as_class, asked));
            let owed = !wants.iter().any(|need| self.borrows(other, cost, *need));
            let keeps = self.keeper(other, next).is_some();
            let contends = |need: &usize| {
                let wanted = wants.contains(need) && (!keeps || self.free(*need) < cost);
                wanted && self.borrows(product, seats, *need)
            };
            if owed
                && !self.may_be_held_back(other, next, asked)
                && self.needs[product][class.index()].iter().any(contends)
            {
                self.report.add(
                    "guarantee",
                    format_args!("product {product} borrows while {other} waits, {next:?}, for what it is owed"),
                );
            }
        }
    }

    /// Whether one more of `class` would stay within what its product is owed of everything but `resource`. Who is beyond
    /// that elsewhere has to stand back here too: what it asks for goes together.
    pub(super) fn is_modest(&self, product: usize, class: Class, seats: NonZeroU8, resource: usize) -> bool {
        let cost = self.cost(product, class, seats);
        let mut others = self.needs[product][class.index()].iter().filter(|need| **need != resource);
        others.all(|need| !self.shared[*need] || !self.borrows(product, cost, *need))
    }

    /// Whether so many more seats of `resource` would take `product` above its guarantee there.
    pub(super) fn borrows(&self, product: usize, seats: u32, resource: usize) -> bool {
        let guarantee = u64::from(self.settings.products[product].guarantee);
        let owed = guarantee * u64::from(self.shown.resources[resource].limit);
        self.shared[resource] && u64::from(self.books.taken[resource][product] + seats) * 100 > owed
    }

    /// Seats that one more of `class` takes: as many as it asks for, or all there are of what has fewer.
    pub(super) fn cost(&self, product: usize, class: Class, seats: NonZeroU8) -> u32 {
        let needs = self.needs[product][class.index()].iter();
        let cost = needs.fold(u32::from(seats.get()), |cost, need| cost.min(self.shown.resources[*need].limit));
        cost.min(self.shown.products[product].ramp_seats.unwrap_or(u32::MAX)).max(1)
    }

    /// What keeps `arrival` from starting.
    pub(super) fn lacks(&self, arrival: &Arrival) -> Lack {
        if self.life.bypass || self.reserve_for(arrival).is_some() {
            return Lack::Nothing;
        }
        let Arrival { class, seats, .. } = *arrival;
        let product = arrival.product.index();
        if self.life.shut[product].is_some() || self.life.down[product] {
            return Lack::State;
        }
        let (ceiling, cost) = (self.shown.products[product].ramp_seats, self.cost(product, class, seats));
        if ceiling.is_some_and(|ceiling| self.books.products[product].in_flight + cost > ceiling) {
            return Lack::Ramp;
        }
        let full = |need: &&usize| self.books.in_use[**need] + cost > self.shown.resources[**need].limit;
        let mut full = self.needs[product][class.index()].iter().filter(full);
        match (full.next(), full.next()) {
            (None, _) => self.lacks_trust(product, class, cost).map_or(Lack::Nothing, Lack::Trust),
            (Some(need), None) => Lack::Seats(*need),
            (Some(_), Some(_)) => Lack::MoreSeats,
        }
    }
}

/// The name of the promise on the order in a line.
fn order_of(rank: Rank, newest_first: bool) -> &'static str {
    match rank {
        _ if newest_first => "newest first",
        Rank::NearStop => "earliest stop first",
        rank if rank.is_newcomers() => "lowest turn first",
        _ => "oldest first",
    }
}
