//! Events as those look at them who stand between admission and a backend.

use std::time::Duration;

use super::super::rank::Rank;
use super::super::{Class, EventKey, Refused, Seat, Timestamp};
use super::Domain;

impl Domain {
    /// Of the events that a bet names, the one that decides: one that forbids it now, else the one with the earliest
    /// stop. An event that nobody knows never stops; `None` when no event is named.
    pub fn first_to_stop(&self, events: &[EventKey], now: Timestamp) -> Option<EventKey> {
        let stops = |event: &&EventKey| match self.schedule.get(**event) {
            Some(_) if self.schedule.forbids(**event, Class::Commit, now, Duration::ZERO).is_some() => Timestamp::ZERO,
            Some(entry) => entry.stop,
            None => Timestamp::NEVER,
        };
        events.iter().min_by_key(stops).copied()
    }

    /// The no that whoever holds `seat` must hear, because one of these events has stopped or was shut since the seat was
    /// given. For a driver that had to wait before it could send; the seat is still to be given back.
    pub fn forbids_by_now(&mut self, seat: &Seat, events: &[EventKey], now: Timestamp) -> Option<Refused> {
        if self.bypass {
            return None;
        }
        let now = self.tick(now);
        // However long it takes to be answered: it has been let through, and its stop has not passed.
        let forbids = |event: &EventKey| self.schedule.forbids(*event, seat.class, now, Duration::ZERO);
        let refusal = events.iter().find_map(forbids)?;
        let product = &mut self.products[seat.product.index()];
        Some(product.refuse(refusal, (Rank::of(seat.class), seat.customer), Duration::MAX, now, &mut self.random))
    }

    /// Forget an event: from now on it is the backend's business.
    pub fn unschedule(&mut self, key: EventKey) {
        self.schedule.remove(key);
        self.look_again(self.latest);
    }
}
