//! Whose turn it is.
//!
//! This is asked after every end, and costs the same however many wait: heads are compared, and nobody behind them is looked
//! at. As a rule each head wants one seat within the limits, and then not even they are: what their class needs tells
//! whether one can start, and what their product holds tells what it claims. Where it matters who they are, every head
//! is asked. Both ways come to the same, which debug builds check at every turn.

use super::super::queue::Waiter;
use super::super::rank::Rank;
use super::super::resource::as_claim;
use super::super::settings::Needs;
use super::super::{Arrival, Product, Timestamp};
use super::{Domain, Turn};

impl Domain {
    /// Of the products that have somebody who could start, the one that is furthest from its due.
    /// Of two that are as far, the one whose head must be told first. Within a product the highest class (or a low one
    /// that is owed its floor) whose needs are free: a head blocked on a budget is passed over, and what is kept for
    /// somebody is left to them.
    pub(super) fn next_turn(&mut self, now: Timestamp) -> Option<(usize, Rank)> {
        if self.waiters.any_wants_several() {
            self.find_kept(None, now);
        }
        let (mut next, mut least) = (None, u64::MAX);
        for (index, product) in self.products.iter().enumerate() {
            if product.waiting == 0 {
                continue;
            }
            let Some((claim, rank)) = self.first_ready(product, index, least, now) else { continue };
            if claim < least || next.is_none_or(|next| self.is_told_before((index, rank), next, now)) {
                (next, least) = (Some((index, rank)), claim);
            }
        }
        next
    }

    /// Of two lines, whether the head of the one must be told before that of the other.
    fn is_told_before(&self, one: (usize, Rank), other: (usize, Rank), now: Timestamp) -> bool {
        // At once when it is in the way of others without a hope.
        let until = |head: &Waiter| if self.is_stale(head, now) { Timestamp::ZERO } else { head.until };
        let first =
            |(index, rank)| Some(self.passer(index, rank).map_or(self.head(index, rank)?, |(_, waiter)| waiter));
        let told = |line| first(line).map_or(Timestamp::NEVER, until);
        told(one) < told(other)
    }

    /// Whether nobody can have a turn, whatever their product, because what all of them need is full. That is so after
    /// nearly every turn, so it is found before anybody is asked.
    pub(super) fn is_full(&self) -> bool {
        debug_assert_eq!(
            self.waiters.any_has_reserve(),
            self.products.iter().any(Product::reserve_is_waited_for),
            "counted as they come and go, or now"
        );
        self.always_needed.iter().any(|need| self.resources[need].free() == 0)
            && !self.must_ask_heads()
            && !self.waiters.any_has_reserve()
    }

    /// Whether it matters who the heads are, apart from those who have a reserve: everybody may pass, or some want
    /// several seats.
    fn must_ask_heads(&self) -> bool {
        self.bypass || self.waiters.any_wants_several()
    }

    /// The first class of a product whose head can start or must be told no, with what it claims. Nobody, too, when that
    /// is more than `least`.
    fn first_ready(&self, product: &Product, index: usize, least: u64, now: Timestamp) -> Option<(u64, Rank)> {
        if self.must_ask_heads() || product.reserve_is_waited_for() {
            return self.first_ready_head(index, now).filter(|(claim, _)| *claim <= least);
        }
        let first = self.first_ready_of_equals(product, index, least, now);
        debug_assert_eq!(
            first,
            self.first_ready_head(index, now).filter(|(claim, _)| *claim <= least),
            "without a look at the heads, or with"
        );
        first
    }

    /// The same where every head wants one seat within the limits. So the heads are not looked at, of which a long line
    /// has one that nobody has looked at for long; what all of the product need is looked at once, and no more when that
    /// is full or claims too much: of most products one or the other is so at each turn.
    #[inline]
    fn first_ready_of_equals(
        &self,
        product: &Product,
        index: usize,
        least: u64,
        now: Timestamp,
    ) -> Option<(u64, Rank)> {
        if !product.has_room(1) {
            return None;
        }
        let site = self.nearest_site(product, index, 1, now)?;
        let of_all = self.farthest(&product.always_needed, site, index, 1, now)?;
        let claim_of_all = as_claim(of_all);
        if claim_of_all > least {
            return None;
        }
        let ready = |rank: &Rank| {
            let distance = self.farthest(&product.also_needed[rank.class().index()], of_all, index, 1, now)?;
            Some((if distance > of_all { as_claim(distance) } else { claim_of_all }, *rank))
        };
        let ranks = if product.floor.is_due(1) { self.ranks_with_floor(index) } else { Rank::ALL };
        let first = ranks.iter().filter(|rank| product.waiting_as(**rank) > 0).find_map(ready);
        first.filter(|(claim, _)| *claim <= least)
    }

    /// The same whoever they are: each head is asked.
    fn first_ready_head(&self, index: usize, now: Timestamp) -> Option<(u64, Rank)> {
        self.ranks(index).into_iter().find_map(|rank| Some((self.ready(index, rank, now)?, rank)))
    }

    /// How far a product would be from its due of what of `needs` it is farthest from, with so many more seats of each;
    /// at least `most`. `None` when it cannot have them.
    // Short, and in the innermost loop of what is asked after every end.
    #[inline(always)]
    fn farthest(&self, needs: &Needs, mut most: f64, index: usize, seats: u32, now: Timestamp) -> Option<f64> {
        for need in needs.iter() {
            let distance = self.resources[need].distance_if_free(index, seats, now)?;
            most = if distance > most { distance } else { most };
        }
        Some(most)
    }

    /// What the head of a line claims, if it can start or must be told no: whether all is there and what it claims of it
    /// is found in one pass.
    fn ready(&self, index: usize, rank: Rank, now: Timestamp) -> Option<u64> {
        let head = self.head(index, rank)?;
        if self.is_stale(head, now) {
            return Some(0);
        }
        if self.passer(index, rank).is_some() {
            return Some(0);
        }
        if self.bypass || self.reserve_for(&head.arrival).is_some() {
            return Some(self.turn(&head.arrival, head.until, now).0);
        }
        let (product, cost) = (&self.products[index], self.cost(&head.arrival));
        if !product.has_room(cost) {
            return None;
        }
        let site = self.nearest_site(product, index, cost, now)?;
        let claim = as_claim(self.farthest(&product.settings.needs[rank.class().index()], site, index, cost, now)?);
        (!self.is_kept_from(&head.arrival, rank, (claim, head.until), now)).then_some(claim)
    }

    pub(super) fn turn(&self, arrival: &Arrival, until: Timestamp, now: Timestamp) -> Turn {
        if self.reserve_for(arrival).is_some() {
            return (0, until);
        }
        let (index, cost) = (arrival.product.index(), self.cost(arrival));
        let needs = &self.products[index].settings.needs[arrival.class.index()];
        let site = self.least_claimed_site(index, cost, now);
        let claims = needs.iter().map(|need| self.resources[need].claim(index, cost, now));
        (claims.chain(site).max().unwrap_or(0), until)
    }
}
