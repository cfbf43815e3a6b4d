//! Whose turn it is at a product's reserve.
//!
//! The oldest's, as in every line. But who has as much of the reserve as one customer may have waits for a seat of their
//! own, or for an ordinary one, and does not hold up those behind: they pass, as far as one looks. As soon as an earlier
//! request of theirs has ended it is their turn again, before everybody behind them.

use super::super::queue::Waiter;
use super::super::rank::Rank;
use super::super::{Arrival, Place};
use super::Domain;

/// So many places of a line are looked at for somebody who may have a seat of the reserve. Who stands further back waits
/// until somebody before them is gone: a call does bounded work. While a seat of the reserve is free only those with
/// others running are over their cap, and each of them may have no more than `at_once` here, so more is hardly ever
/// needed.
pub(super) const PLACES_LOOKED_AT: usize = 16;

impl Domain {
    /// What a request takes of its product's reserve, if it may and there is as much.
    pub(super) fn reserve_for(&self, arrival: &Arrival) -> Option<u32> {
        if !arrival.class.passes_in_every_state() {
            return None;
        }
        self.products[arrival.product.index()].reserve.offer(arrival.customer, arrival.seats)
    }

    /// Who takes a seat of the reserve before the head of a line, because everybody before them has as much of it as one
    /// may have. Nobody while the head is under their cap, or the first who is would have to wait too.
    pub(super) fn passer(&self, index: usize, rank: Rank) -> Option<(Place, &Waiter)> {
        if rank >= Rank::FIRST_WITHOUT_RESERVE || self.bypass || self.products[index].reserve.is_full() {
            return None;
        }
        let line = self.waiters.in_line(&self.products[index].lines[rank.index()]).take(PLACES_LOOKED_AT);
        let (at, (place, waiter)) = line.enumerate().find(|(_, (_, waiter))| !self.is_over_cap(&waiter.arrival))?;
        (at > 0 && self.reserve_for(&waiter.arrival).is_some()).then_some((place, waiter))
    }

    /// Whether an arrival may have a seat of the reserve now although others wait in its line: all of them are over their
    /// cap, and no more of them than are looked at.
    pub(super) fn is_next_at_reserve(&self, arrival: &Arrival) -> bool {
        if self.reserve_for(arrival).is_none() {
            return false;
        }
        let line = &self.products[arrival.product.index()].lines[Rank::of(arrival.class).index()];
        let all_over = || self.waiters.in_line(line).all(|(_, waiter)| self.is_over_cap(&waiter.arrival));
        (line.len() as usize) < PLACES_LOOKED_AT && all_over()
    }

    fn is_over_cap(&self, arrival: &Arrival) -> bool {
        self.products[arrival.product.index()].reserve.is_over_cap(arrival.customer, arrival.seats)
    }
}
