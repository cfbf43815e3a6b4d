//! Observe-only: everything is decided and measured, nothing refused.
//!
//! The driver asks as always and lets every request go on, whatever the verdict. Lines, seats, caps and states are
//! those of a house whose word counts, with one difference: who is told to wait is on the way already. A seat that is
//! given later is held for what is left of the request; a place is left when the request ends first.
//!
//! More is then in flight than there are seats, so what comes back tells nothing of the limit, and the limits are not
//! told. What can be seen nevertheless, a [`Witness`](super::super::limit::Witness) sees; for it, the driver says
//! when a request goes on, and when it is over.

use super::super::settings::Needs;
use super::super::{Arrival, Outcome, Place, Timestamp, Underway};
use super::Domain;

impl Domain {
    /// Decide and refuse nothing, or act on what is decided. What has been let go on before stays under way, and what
    /// holds seats holds them: from one request to the next the other rule counts.
    pub fn observe_only(&mut self, on: bool, now: Timestamp) {
        let now = self.tick(now);
        self.observe_only = on;
        for resource in &mut self.resources {
            resource.observe_only(on, now);
        }
        self.wake(now);
    }

    /// Whether nothing is refused.
    pub fn is_observe_only(&self) -> bool {
        self.observe_only
    }

    /// Who waits at a place, as they asked; `None` when the place is stale.
    pub fn waiter(&self, place: Place) -> Option<Arrival> {
        Some(self.waiters.get(place)?.arrival)
    }

    /// In observe-only, after [`arrive`](Self::arrive): this request goes on, whatever was said to it.
    pub fn goes_on(&mut self, arrival: &Arrival, now: Timestamp) -> Underway {
        let now = self.tick(now);
        let needs = self.products[arrival.product.index()].settings.needs[arrival.class.index()];
        // Those have a reserve beyond the limits, so they tell nothing of a limit.
        let needs = if arrival.class.passes_in_every_state() { Needs::default() } else { needs };
        let (needs, pool) = self.needs_at_home(arrival, needs);
        for need in needs.iter() {
            self.resources[need].starts(now);
        }
        self.under_way += 1;
        Underway { needs, pool }
    }

    /// A request that went on has ended. What it holds, a seat or a place, is given back apart.
    pub fn is_over(&mut self, underway: Underway, outcome: Outcome, now: Timestamp) {
        let now = self.tick(now);
        let (outcome, _) = outcome.told(now, now);
        for need in underway.needs.iter() {
            self.resources[need].ends(outcome, now);
        }
        debug_assert!(self.under_way > 0);
        self.under_way -= 1;
        // What was seen may be more than was thought.
        self.dispatch(now);
    }

    /// Whether seats in use are all that is under way, so that what comes back tells something of the limits.
    pub(super) fn tells_of_limits(&self) -> bool {
        !self.bypass && !self.observe_only && self.under_way == 0
    }
}
