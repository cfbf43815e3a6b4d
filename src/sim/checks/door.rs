//! What is said at the door, and whether the no that somebody hears is the one that is due.

use std::time::Duration;

use super::House;
use super::books::{Asked, Newcomer, Stage, Stay};
use super::turns::Lack;
use crate::admission::rank::Rank;
use crate::admission::{Arrival, Customer, Refusal};
use crate::sim::law::{Knock, No, RequestId, Word};

impl House {
    /// A law's first word to a request.
    pub(super) fn worded(&mut self, knock: Knock, asked: Asked, word: Word) {
        let Knock { request, arrival } = knock;
        let needs = &self.needs[arrival.product.index()][arrival.class.index()];
        self.shares.asked(needs, u32::from(arrival.seats.get()));
        if !matches!(self.books.stage(request), Stage::Away) {
            self.report.add("once", format_args!("request {} comes though it is here", request.0));
            return;
        }
        match word {
            Word::Pass => self.passes(request, &arrival, asked, false),
            Word::Wait => self.waits(request, &arrival, asked),
            Word::Refuse(no) => self.is_refused(request, &arrival, asked, no),
        }
    }

    fn waits(&mut self, request: RequestId, arrival: &Arrival, asked: Asked) {
        let (now, product) = (self.report.now(), arrival.product.index());
        if let Some(refusal) = self.forbids(arrival) {
            self.report.add("forbidden", format_args!("{arrival:?} may wait and should hear {refusal:?}"));
        }
        let ledger = &self.books.products[product];
        let length = self.settings.products[product].queue.length.get();
        if ledger.waiting >= length {
            self.report.add("length", format_args!("one more than {length} wait in product {product}"));
        }
        let presence = self.books.presence(arrival.customer);
        // To be sure that others wait, everything this customer has waiting anywhere is taken to wait here.
        if presence.here >= self.cap(arrival) && ledger.waiting > presence.waiting {
            let here = presence.here;
            self.report.add("customer share", format_args!("{:?} joins others with {here} here", arrival.customer));
        }
        if self.has_its_part(arrival) {
            self.report.add("customer share", format_args!("{:?} waits beyond its part", arrival.customer));
        }
        let turn = self.turn_of_who_waits(arrival, asked);
        self.books.join(request, *arrival, Asked { turn, ..asked }, now);
    }

    fn cap(&self, arrival: &Arrival) -> u32 {
        match arrival.customer {
            Customer::Account(_) => self.settings.at_once_per_customer.get(),
            Customer::Address(_) => self.settings.at_once_per_address.get(),
            Customer::Machine(index) => self.settings.machines[usize::from(index)].get(),
        }
    }

    /// Refused at the door.
    fn is_refused(&mut self, request: RequestId, arrival: &Arrival, asked: Asked, no: No) {
        let Some(refusal) = self.is_sound(arrival, no) else { return };
        let product = arrival.product.index();
        let kept = self.keeps_a_turn(arrival, asked.rank, refusal, no.retry_after.unwrap_or_default());
        let forbidden = self.forbids(arrival);
        let first = self.books.line(product, asked.rank) == 0 || self.may_pass_the_front(request, arrival);
        let at_once = first
            && self.was_at_rest()
            && self.lacks(arrival) == Lack::Nothing
            && !self.may_be_held_back(product, asked.rank, arrival.seats);
        let due = match refusal {
            _ if forbidden.is_some() => forbidden == Some(refusal),
            Refusal::QueueFull | Refusal::NotYourTurn => {
                // It is never the newcomer who is told where somebody else would have a later turn.
                let last = self.books.back(product, asked.rank);
                let before = self.books.is_newest_first(product, asked.rank, self.report.now())
                    || last.is_some_and(|last| asked.turn < last.asked.turn);
                let named = kept == (refusal == Refusal::NotYourTurn);
                named && !at_once && !before && self.is_full_for(arrival, asked.rank)
            }
            Refusal::OverCustomerShare => {
                let bound = matches!(arrival.customer, Customer::Machine(_));
                (bound || !at_once)
                    && (self.has_its_part(arrival) || self.books.presence(arrival.customer).here >= self.cap(arrival))
            }
            _ => false,
        };
        if !due || self.life.bypass {
            self.report.add(
                "refusal",
                format_args!(
                    "{arrival:?} as {asked:?} hears {refusal:?}; due is {forbidden:?}, free at once: {at_once}, a turn is \
                     kept: {kept}"
                ),
            );
        }
    }

    /// Whether a line is long enough to turn somebody away: a line of as many as there are seats, and four times the
    /// square root of that, is always allowed, and a low rank makes room for a higher one.
    fn is_full_for(&self, arrival: &Arrival, rank: Rank) -> bool {
        let (product, class) = (arrival.product.index(), arrival.class);
        let seats = self.needs[product][class.index()].iter().map(|need| self.shown.resources[*need].limit).min();
        let seats = u64::from(seats.unwrap_or(1));
        // Before newcomers count those too who have begun.
        let first = if rank.is_newcomers() { Rank::NearStop } else { rank };
        let ranks = Rank::ALL.into_iter().filter(|other| (first..=rank).contains(other));
        let line = ranks.map(|rank| u64::from(self.books.line(product, rank))).sum::<u64>();
        // No whole number is between.
        let long = (line + 1).checked_sub(seats).is_some_and(|more| more * more > 16 * seats);
        let full = self.books.products[product].waiting >= self.settings.products[product].queue.length.get();
        let mut lower = Rank::ALL.into_iter().filter(|lower| *lower > rank);
        long || full && lower.all(|lower| self.books.line(product, lower) == 0)
    }

    /// Somebody who waited is told no. `newcomer` is who came just now.
    pub(super) fn is_turned_away(&mut self, request: RequestId, no: No, newcomer: Option<&Newcomer>) {
        let Stage::Waits(stay) = self.books.stage(request) else { return };
        let (now, arrival) = (self.report.now(), stay.arrival);
        let Some(refusal) = self.is_sound(&arrival, no) else { return self.books.unjoin(request, &stay) };
        let longest = self.settings.products[arrival.product.index()].queue.longest_wait;
        let kept = self.keeps_a_turn(&arrival, stay.asked.rank, refusal, no.retry_after.unwrap_or_default());
        let too_long = now >= stay.since + longest;
        let makes_room = || newcomer.is_some_and(|newcomer| self.makes_room(request, &stay, newcomer));
        let due = match refusal {
            Refusal::WaitedTooLong => !kept && too_long,
            Refusal::QueueFull => !kept && makes_room(),
            Refusal::NotYourTurn => kept && (too_long || makes_room()),
            _ => self.forbids(&arrival) == Some(refusal),
        };
        if !due {
            let waited = now.since(stay.since);
            self.report.add(
                "refusal",
                format_args!("request {} hears {refusal:?} after {waited:?} without a reason: {stay:?}", request.0),
            );
        }
        self.books.unjoin(request, &stay);
    }

    /// Whether `request` would have the last turn of its product and `newcomer` ranks higher; or of their line, where that
    /// is as long as it may be and the newcomer's turn comes before.
    fn makes_room(&self, request: RequestId, stay: &Stay, newcomer: &Newcomer) -> bool {
        let (product, rank, now) = (stay.arrival.product.index(), stay.asked.rank, self.report.now());
        let [_, last] = self.books.ends(product, rank, now);
        let lowest =
            Rank::ALL.into_iter().filter(|lower| *lower > rank).all(|lower| self.books.line(product, lower) == 0);
        let before = self.books.is_newest_first(product, rank, now) || newcomer.asked.turn < stay.asked.turn;
        let alike = newcomer.asked.rank == rank && before && self.is_full_for(&newcomer.arrival, rank);
        newcomer.arrival.product == stay.arrival.product
            && last.is_some_and(|(last, _)| last == request)
            && (newcomer.asked.rank < rank && lowest || alike)
    }

    /// The name of a no, with its time to come back looked at.
    fn is_sound(&mut self, arrival: &Arrival, no: No) -> Option<Refusal> {
        let Some(refusal) = no.why else {
            self.report.add("refusal", format_args!("{arrival:?} hears a no without a name"));
            return None;
        };
        let (least, most) = self.settings.products[arrival.product.index()].queue.retry_after;
        let sound = match (refusal, no.retry_after) {
            (Refusal::EventClosed | Refusal::PastBettingStop | Refusal::StopTooNear, told) => told.is_none(),
            (_, Some(told)) => {
                let most = whole(most).min(self.may_stay_away(arrival).max(whole(least)));
                (whole(least)..=most).contains(&told) && told == whole(told)
            }
            (_, None) => false,
        };
        if !sound {
            let told = no.retry_after;
            self.report
                .add("retry-after", format_args!("{refusal:?} with {told:?}, not within {least:?} and {most:?}"));
        }
        Some(refusal)
    }
}

/// HTTP tells whole seconds; a part of one is rounded up.
fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}
