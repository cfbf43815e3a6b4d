//! What must hold of products that are served at several sites.
//!
//! The witness of the other promises knows one way to what a product needs; where there are several to choose from it would
//! have to choose as the law does, and be no witness. So such a story is watched by this one, which counts for itself who
//! runs where and takes only the limits and the shares on trust:
//!
//! | promise | checked |
//! |---|---|
//! | `once` | who ends was running, who leaves was waiting |
//! | `limit` | nobody is let through to a site beyond its limit |
//! | `seats` | the law counts at each site whom we count there: a leak shows at once |
//! | `share` | a site that is warmed gets no more than its share of what is let through, a burst apart |
//! | `work conservation` | nobody waits while the giving site has a seat, all else that they need is free, and the product is open |

use std::collections::HashMap;

use super::{Shown, Transparent};
use crate::admission::shift::Plan;
use crate::admission::{Arrival, Order, Outcome, Settings, State, Timestamp};
use crate::sim::law::{Knock, Law, Look, Notice, RequestId, Said, Word};

/// A law under watch, in a story with sites.
pub struct WatchedSites<L> {
    law: L,
    settings: Settings,
    shown: Shown,
    waiting: HashMap<RequestId, Arrival>,
    running: HashMap<RequestId, (Arrival, usize)>,
    /// By resource: seats that are held for sure, and those that may be held of a reserve instead.
    held: Vec<(u32, u32)>,
    now: Timestamp,
    /// By product, while a share is on its way.
    warming: Vec<Option<Warming>>,
    found: Vec<String>,
}

/// A site that is warmed, and what it got since its share last changed.
#[derive(Clone, Copy, Debug)]
struct Warming {
    plan: Plan,
    share: u32,
    got: u32,
    of: u32,
}

/// Beyond its share a site may be given this at once.
const BURST: u32 = 17;
/// More are not kept.
const MOST_FOUND: usize = 8;

impl<L: Transparent> WatchedSites<L> {
    /// Watch `law`, which decides by `settings`; from its first call on.
    pub fn new(law: L, settings: Settings) -> WatchedSites<L> {
        let mut shown = Shown::empty(settings.resources.len(), settings.products.len());
        law.show(&mut shown);
        WatchedSites {
            law,
            shown,
            waiting: HashMap::new(),
            running: HashMap::new(),
            held: vec![(0, 0); settings.resources.len()],
            now: Timestamp::ZERO,
            warming: vec![None; settings.products.len()],
            settings,
            found: Vec::new(),
        }
    }

    fn finds(&mut self, promise: &str, what: String) {
        if self.found.len() < MOST_FOUND {
            self.found.push(format!("[{promise}] {what}"));
        }
    }

    /// The pool of a site of a product, by its place there.
    fn pool(&self, product: usize, site: usize) -> Option<usize> {
        self.settings.products[product].sites.get(site).map(|site| site.resource)
    }

    /// A request was let through.
    fn passed(&mut self, request: RequestId, arrival: Arrival) {
        let (product, site) = (arrival.product.index(), self.law.site(request).unwrap_or(0));
        self.running.insert(request, (arrival, site));
        if let Some(held) = self.held(&arrival, site) {
            *held += u32::from(arrival.seats.get());
        }
        if arrival.class.passes_in_every_state() {
            return;
        }
        if let Some(pool) = self.pool(product, site) {
            let before = self.shown.resources[pool].limit;
            self.law.show(&mut self.shown);
            let (limit, runs) = (before.max(self.shown.resources[pool].limit), self.held[pool].0);
            if runs > limit {
                self.finds("limit", format!("site {site} of product {product} has {runs} running of {limit}"));
            }
        }
        self.count_share(product, site);
    }

    fn count_share(&mut self, product: usize, site: usize) {
        let now = self.law.share(product);
        let Some(mut warming) = self.warming[product] else { return };
        if now != Some(warming.share) {
            warming = Warming { share: now.unwrap_or(0), got: 0, of: 0, ..warming };
        }
        warming.of += 1;
        warming.got += u32::from(site == usize::from(warming.plan.to));
        self.warming[product] = Some(warming).filter(|warming| warming.share < warming.plan.share);
        let most = warming.of * warming.share / 100 + BURST;
        if warming.got > most {
            let Warming { share, got, of, .. } = warming;
            self.finds(
                "share",
                format!("site {site} of product {product} got {got} of {of} with a share of {share} %"),
            );
        }
    }

    /// Where it is counted what such a request holds.
    fn held(&mut self, arrival: &Arrival, site: usize) -> Option<&mut u32> {
        let (sure, unsure) = &mut self.held[self.settings.products[arrival.product.index()].sites.get(site)?.resource];
        Some(if arrival.class.passes_in_every_state() { unsure } else { sure })
    }

    /// A call is over, and all that was decided has been heard.
    fn ends(&mut self) {
        self.law.show(&mut self.shown);
        for product in 0..self.settings.products.len() {
            for site in 0..self.settings.products[product].sites.len() {
                let Some(pool) = self.pool(product, site) else { continue };
                let (shown, (sure, unsure)) = (self.shown.resources[pool].in_use, self.held[pool]);
                if !(sure..=sure + unsure).contains(&shown) {
                    self.finds(
                        "seats",
                        format!("it counts {shown} at site {site} of product {product}, {sure} run there"),
                    );
                }
            }
        }
        if self.law.next_wake().is_none_or(|due| due > self.now) {
            self.nobody_waits_for_nothing();
        }
    }

    fn nobody_waits_for_nothing(&mut self) {
        let free = |need: usize| self.shown.resources[need].in_use < self.shown.resources[need].limit;
        let gives = |product: usize| {
            let giver = self.warming[product].and_then(|warming| self.pool(product, usize::from(warming.plan.from)));
            self.shown.products[product].state == State::Open && giver.is_some_and(free)
        };
        let gives: Vec<bool> = (0..self.settings.products.len()).map(gives).collect();
        if !gives.contains(&true) {
            return;
        }
        let idle = self.waiting.values().find(|arrival| {
            let product = arrival.product.index();
            gives[product] && self.settings.products[product].needs[arrival.class.index()].iter().all(free)
        });
        if let Some(Arrival { product, class, .. }) = idle.copied() {
            let (product, class) = (product.index(), class.name());
            self.finds(
                "work conservation",
                format!("{class} of product {product} waits while the giving site has a seat"),
            );
        }
    }

    fn finishes(&mut self, request: RequestId) {
        match self.running.remove(&request) {
            None => self.finds("once", format!("request {} ends and does not run", request.0)),
            Some((arrival, site)) => {
                if let Some(held) = self.held(&arrival, site) {
                    *held -= u32::from(arrival.seats.get());
                }
            }
        }
    }
}

impl<L: Transparent> Law for WatchedSites<L> {
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word {
        self.now = now;
        let word = self.law.arrive(knock, now);
        match word {
            Word::Pass => self.passed(knock.request, knock.arrival),
            Word::Wait => drop(self.waiting.insert(knock.request, knock.arrival)),
            Word::Refuse(_) => {}
        }
        word
    }

    fn finish(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.now = now;
        self.finishes(request);
        self.law.finish(request, outcome, now);
    }

    fn finish_unheard(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.now = now;
        self.finishes(request);
        self.law.finish_unheard(request, outcome, now);
    }

    fn leave(&mut self, request: RequestId, now: Timestamp) {
        self.now = now;
        if self.waiting.remove(&request).is_none() {
            self.finds("once", format!("request {} leaves and does not wait", request.0));
        }
        self.law.leave(request, now);
    }

    fn poll(&mut self) -> Option<Said> {
        let said = self.law.poll();
        match said {
            Some(Said::Pass(request)) => match self.waiting.remove(&request) {
                Some(arrival) => self.passed(request, arrival),
                None => self.finds("once", format!("request {} passes and did not wait", request.0)),
            },
            Some(Said::Refuse(request, _)) => drop(self.waiting.remove(&request)),
            // All that was decided is known: now it must come to what the law counts.
            None => self.ends(),
        }
        said
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.law.next_wake()
    }

    fn wake(&mut self, now: Timestamp) {
        self.now = now;
        self.law.wake(now);
    }

    fn order(&mut self, product: usize, order: Order, now: Timestamp) {
        self.now = now;
        self.law.order(product, order, now);
    }

    fn look(&self, product: usize) -> Look {
        self.law.look(product)
    }

    fn goes_on(&mut self, knock: Knock, now: Timestamp) {
        self.law.goes_on(knock, now);
    }

    fn is_over(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.law.is_over(request, outcome, now);
    }

    fn site(&self, request: RequestId) -> Option<usize> {
        self.law.site(request)
    }

    fn share(&self, product: usize) -> Option<u32> {
        self.law.share(product)
    }

    fn violations(&self) -> &[String] {
        &self.found
    }

    fn notice(&mut self, notice: Notice, now: Timestamp) -> bool {
        self.now = now;
        if let Notice::Shift(product, plan) = notice {
            let share = self.law.share(product).unwrap_or(0);
            self.warming[product] = (!plan.now).then_some(Warming { plan, share, got: 0, of: 0 });
        }
        if let Notice::Backends { .. } = notice {
            // The shares of those that are gone fall to the others, which nobody promised to bound.
            self.warming.fill(None);
        }
        self.law.notice(notice, now)
    }
}

#[cfg(test)]
mod tests;
