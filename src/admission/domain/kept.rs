//! Seats that are kept for whoever needs several at once.
//!
//! Who needs three seats and finds two would wait for ever while others take them one by one. So when it is their turn,
//! and of everything that they lack some is there already, nobody whose turn comes later takes that: for a while at
//! most one seat less than they need stands idle. Where something is full for everybody they are passed over, as all
//! others are; else a full wallet would keep the odds waiting.

use super::super::queue::Waiter;
use super::super::rank::Rank;
use super::super::settings::Needs;
use super::super::{Arrival, Class, ONE_SEAT, Timestamp};
use super::{Domain, NOBODYS, Turn};

/// What stands between the head of a line and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    Nothing,
    /// More of what is partly there.
    Rest,
    /// Something is full for everybody, or shut, or not lent to this one.
    All,
}

impl Domain {
    /// While anybody wants several seats: find out for whom what is free is kept, other than from a newcomer who ranks before
    /// them in their own product.
    pub(super) fn find_kept(&mut self, newcomer: Option<(usize, Rank)>, now: Timestamp) {
        self.kept.fill(NOBODYS);
        for index in 0..self.products.len() {
            let Some((keeps, head)) = self.keeper(index, now) else { continue };
            let before =
                |rank| self.ranks(index).into_iter().take_while(|other| *other != keeps).any(|other| other == rank);
            if newcomer.is_some_and(|(product, rank)| product == index && before(rank)) {
                continue;
            }
            let (turn, cost) = (self.turn(&head.arrival, head.until, now), self.cost(&head.arrival));
            for need in self.products[index].settings.needs[keeps.class().index()].iter() {
                if self.resources[need].free() < cost {
                    self.kept[need] = self.kept[need].min(turn);
                }
            }
            for resource in self.sites_short_of(index, cost) {
                self.kept[resource] = self.kept[resource].min(turn);
            }
        }
    }

    /// Who came, what was told of an event, or the time may have changed for whom something is kept, and so who may go: the
    /// next wake sees to it, for a call that has an answer of its own to give must not speak for its own waiter too.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        if self.waiters.any_wants_several() && self.next_turn(now).is_some() {
            self.more = true;
        }
    }

    /// When time alone next changes who may go, while anybody wants several seats: the newest go first in a line from
    /// then on, or the next bet cannot be answered before its stop, and nothing is kept any more for whoever was first. Where all
    /// want one seat, nothing is kept, and one head is as good as another.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        if !self.waiters.any_wants_several() {
            return None;
        }
        let products = self.products.iter().enumerate().filter(|(_, product)| product.waiting > 0);
        let changes = products.flat_map(|(index, product)| {
            let turns = Rank::ALL.into_iter().filter_map(|rank| product.newest_first_from(rank));
            turns.chain(self.heads_hopeless_from(index)).filter(|at| *at > self.latest)
        });
        changes.min()
    }

    /// From when on each of the next bets of a product has no hope.
    fn heads_hopeless_from(&self, index: usize) -> impl Iterator<Item = Timestamp> + '_ {
        Rank::all_of(Class::Commit).filter_map(move |rank| self.hopeless_from(&self.head(index, rank)?.arrival))
    }

    /// Whether an arrival that finds all it needs has to leave it to somebody who waits.
    pub(super) fn is_kept_from_newcomer(&mut self, arrival: &Arrival, rank: Rank, now: Timestamp) -> bool {
        if !self.waiters.any_wants_several() {
            return false;
        }
        let index = arrival.product.index();
        self.find_kept(Some((index, rank)), now);
        let until = now + self.products[index].settings.queue.longest_wait;
        let turn = self.turn(arrival, until, now);
        self.is_kept_from(arrival, rank, turn, now)
    }

    /// Whether what is free is kept for somebody whose turn comes before this one.
    pub(super) fn is_kept_from(&self, arrival: &Arrival, rank: Rank, turn: Turn, now: Timestamp) -> bool {
        if !self.waiters.any_wants_several() || self.bypass || self.reserve_for(arrival).is_some() {
            return false;
        }
        let index = arrival.product.index();
        let needs = &self.products[index].settings.needs[arrival.class.index()];
        let mut before = self.ranks(index).into_iter().take_while(|other| *other != rank);
        let site_kept = || self.usable_sites(&self.products[index]).any(|resource| self.kept[resource] < turn);
        needs.iter().any(|need| self.kept[need] < turn)
            || site_kept()
            || before.any(|other| self.keeps(index, other, needs, now))
    }

    /// Whether a waiter is in the way of others without a hope: forbidden by now, or too late. Only of who wants several
    /// seats: others are told when their turn comes, which one free seat is enough for.
    pub(super) fn is_stale(&self, waiter: &Waiter, now: Timestamp) -> bool {
        waiter.arrival.seats > ONE_SEAT && (now >= waiter.until || self.forbids(&waiter.arrival, now).is_some())
    }

    /// Who of a product comes first and lacks the rest of what is partly there; nobody while somebody before them can
    /// start.
    fn keeper(&self, index: usize, now: Timestamp) -> Option<(Rank, &Waiter)> {
        let heads = self.ranks(index).into_iter().filter_map(|rank| {
            let head = self.head(index, rank)?;
            Some((rank, head, self.lack(head, now)))
        });
        let mut lacking = heads.filter(|(.., lack)| *lack != Lack::All);
        lacking.next().filter(|(.., lack)| *lack == Lack::Rest).map(|(rank, head, _)| (rank, head))
    }

    /// Whether the head of `rank` keeps anything of what one of the same product needs who ranks below it.
    fn keeps(&self, index: usize, rank: Rank, wanted: &Needs, now: Timestamp) -> bool {
        let product = &self.products[index];
        let Some(head) = self.head(index, rank) else { return false };
        if self.lack(head, now) != Lack::Rest {
            return false;
        }
        let (needs, cost) = (&product.settings.needs[rank.class().index()], self.cost(&head.arrival));
        let short = |need: usize| self.resources[need].free() < cost;
        product.free_under_ramp() < cost
            || (product.sites.is_some() && !self.has_site(index, cost))
            || needs.iter().any(|need| short(need) && wanted.iter().any(|other| other == need))
    }

    fn lack(&self, head: &Waiter, now: Timestamp) -> Lack {
        let product = &self.products[head.arrival.product.index()];
        if self.can_start(&head.arrival) {
            return Lack::Nothing;
        }
        if head.arrival.seats == ONE_SEAT || product.state.shut().is_some() || self.is_stale(head, now) {
            return Lack::All;
        }
        if !self.is_trusted(&head.arrival, self.cost(&head.arrival)) {
            return Lack::All;
        }
        let needs = &product.settings.needs[head.arrival.class.index()];
        let site = self.most_free_site(product);
        let free = needs.iter().map(|need| self.resources[need].free()).chain(site).min().unwrap_or(u32::MAX);
        if free.min(product.free_under_ramp()) == 0 { Lack::All } else { Lack::Rest }
    }
}
