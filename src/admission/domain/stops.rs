//! Bets and their betting stops.
//!
//! A bet after its stop is worth nothing, and one that would be answered only after it is a seat for nothing. So a bet
//! whose stop is so near that it cannot be told to come back goes before all others, earliest stop first, and one that
//! cannot be answered in time any more is told so at once: not placed, no money taken. Earliest deadline first for *all*
//! work collapses under overload (each serves whoever is about to be too late); here only those near their stop are
//! ordered by it, and those without a hope are not begun.

use std::time::Duration;

use super::super::product::Product;
use super::super::rank::Rank;
use super::super::schedule::Entry;
use super::super::{Arrival, Class, Refusal, Timestamp};
use super::Domain;

impl Domain {
    /// When betting stops on the event of a bet, if that is known.
    pub(super) fn stop_of(&self, arrival: &Arrival) -> Option<Timestamp> {
        let event = arrival.event.filter(|_| arrival.class == Class::Commit)?;
        Some(self.schedule.get(event)?.stop)
    }

    /// Which line an arrival belongs in, and its turn there.
    pub(super) fn rank(&mut self, arrival: &Arrival, now: Timestamp) -> (Rank, u64) {
        let stop = self.stop_of(arrival);
        let product = &mut self.products[arrival.product.index()];
        // Whoever bets shows that they are there, however near the stop is.
        let ordinary = product.rank(arrival.class, arrival.customer, now);
        match stop {
            Some(stop) if stop.since(now) < product.settings.queue.near_stop => (Rank::NearStop, nanos(stop)),
            _ => ordinary,
        }
    }

    /// Why a bet must not be sent on for its event's sake.
    pub(super) fn event_forbids(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        let takes = self.products[arrival.product.index()].takes_to_bet();
        self.schedule.forbids(arrival.event?, arrival.class, now, takes)
    }

    /// A stop has been moved, or an event opened or shut: those who wait for it are told before long, and once more when
    /// its stop comes while they may still wait.
    pub(super) fn review(&mut self, entry: &Entry) {
        let takes = self.products.get(entry.product.index()).map_or(Duration::ZERO, Product::takes_to_bet);
        // A moment later than the last at which a bet could be begun.
        let too_late = (entry.stop - takes + Duration::from_nanos(1)).max(self.latest);
        let Some(product) = self.products.get_mut(entry.product.index()).filter(|product| product.waiting > 0) else {
            return;
        };
        product.review = true;
        if too_late <= self.latest + product.settings.queue.longest_wait {
            product.review_at = product.review_at.min(too_late);
        }
        self.more = true;
    }

    /// Tell those who wait for an event that has changed. Nobody is moved: whose stop has come nearer has waited longest
    /// before long.
    pub(super) fn tell_of_events(&mut self, index: usize, left: &mut usize, now: Timestamp) {
        let product = &mut self.products[index];
        let due = now >= product.review_at;
        if due {
            product.review_at = Timestamp::NEVER;
        }
        if !std::mem::take(&mut product.review) && !due {
            return;
        }
        for rank in Rank::all_of(Class::Commit) {
            let line = &self.products[index].lines[rank.index()];
            let hopeless =
                self.waiters.in_line(line).filter(|(_, waiter)| self.forbids(&waiter.arrival, now).is_some());
            let places: Vec<_> = hopeless.map(|(place, _)| place).take(*left).collect();
            *left -= places.len();
            for place in places {
                let Some(waiter) = self.waiters.take(&mut self.products[index].lines[rank.index()], place) else {
                    continue;
                };
                if let Some(refusal) = self.forbids(&waiter.arrival, now) {
                    self.turn_away(place, &waiter, refusal, now);
                }
            }
            if *left == 0 {
                self.products[index].review = true;
                self.more = true;
                return;
            }
        }
    }

    /// When the first of those near their stops can no longer be answered in time.
    pub(super) fn next_stop(&self) -> Option<Timestamp> {
        let near = self.products.iter().filter(|product| product.waiting > 0);
        let stops = near.filter_map(|product| {
            let first = self.waiters.front(&product.lines[Rank::NearStop.index()])?;
            Some(self.hopeless_from(&first.arrival)?.max(self.latest))
        });
        let reviews = self.products.iter().filter(|product| product.waiting > 0).map(|product| product.review_at);
        stops.chain(reviews.filter(|at| *at < Timestamp::NEVER)).min()
    }

    /// From when on a bet cannot be answered before its stop: a moment later than the last at which it could be begun, and
    /// at its stop at the latest.
    pub(super) fn hopeless_from(&self, arrival: &Arrival) -> Option<Timestamp> {
        let takes = self.products[arrival.product.index()].takes_to_bet();
        Some(self.stop_of(arrival)? - takes.saturating_sub(Duration::from_nanos(1)))
    }

    /// How long one may be told to stay away: a bet must be back before its stop, although it is told whole seconds.
    pub(super) fn latest_return(&self, arrival: &Arrival, now: Timestamp) -> Duration {
        let Some(stop) = self.stop_of(arrival) else { return Duration::MAX };
        let product = &self.products[arrival.product.index()];
        let (soonest, _) = product.settings.queue.retry_after;
        let left = stop.since(now).saturating_sub(product.settings.queue.near_stop);
        Duration::from_secs(left.as_secs()).max(soonest)
    }
}

impl Product {
    /// How long a bet takes to be answered, where that counts.
    pub(crate) fn takes_to_bet(&self) -> Duration {
        if self.settings.queue.near_stop.is_zero() { Duration::ZERO } else { self.bet_time.bound() }
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.since_start().as_nanos()).unwrap_or(u64::MAX)
}
