//! Capacity that products share, a backend pool or a budget, and who holds how much of it: arithmetic only.
//!
//! Sharing is decided at each dispatch. First goes whoever stays within the guarantee with one seat more, the one that
//! holds least of it before the others; so what is lent is taken back by not refilling, within one service time.
//! Re-dividing by period is what lets a product starve for ten seconds (`docs/flow-control.md`).
//!
//! What is left, the fractions of a seat that guarantees come to and what nobody is owed, goes by weight to whoever
//! has held least *lately*. At a wallet of nine seats a quarter is 2¼: without a memory the quarter would be the same
//! product's loss every time, and a product that needs all of its share would drown in a queue of its own.
//!
//! Nobody lends for longer than they can wait. Seats beyond the guarantee are borrowed on [credit](credit), which is earned
//! by giving seats back sooner than the others' customers would wait: a product whose backend hangs keeps what it has,
//! and borrows no more.

use std::time::Duration;

use super::Timestamp;
use super::limit::{Limit, Sample, Witness};

mod credit;
mod hinted;
mod witnessed;

use credit::Credit;
use hinted::Hint;
pub use hinted::{Hinted, Source};

/// Seats under one limit.
#[derive(Debug)]
pub struct Resource {
    limit: Box<dyn Limit>,
    /// Seats there are, as last told by the limit or the witness: asked for several times in each decision.
    seats: u32,
    /// Looks on while the limit is not in force.
    witness: Option<Box<Witness>>,
    /// What a backend says that it takes, while that is fresh.
    hint: Option<Hint>,
    budget: bool,
    in_use: u32,
    by_product: Vec<Share>,
    sharers: u32,
    /// The part of its backends that are there, or were when the last one went.
    part: f64,
    down: bool,
    /// When the first backend came back after the last had gone, and what the limit had found before, with all of them.
    back_since: Option<Timestamp>,
    found_before: Option<f64>,
}

/// What one product is to a resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// What it is owed, in per cent; 0 when it never comes.
    pub guarantee: u32,
    /// The longest that its customers wait.
    pub longest_wait: Duration,
}

/// What one product holds, and has held.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    seats: u32,
    owed: Owed,
    credit: Credit,
    /// For how long the others can do without what it borrows.
    bearable: Duration,
    /// Seats as a moving average up to `since`.
    lately: f64,
    since: Timestamp,
}

/// What a guarantee comes to, worked out when the limit moves: asked for several times in each decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Owed {
    per_cent: u32,
    /// Whole seats.
    seats: u32,
    /// Seats and fractions of one; never zero.
    due: f64,
}

/// Who was there for so long has learned how much it can do.
const LEARNS_WITHIN: Duration = Duration::from_secs(60);
/// How long what was held is remembered.
const MEMORY: Duration = Duration::from_millis(300);
/// What has been held lately counts so much more than what is held just now.
const LATELY: f64 = 16.0;

impl Resource {
    /// Capacity that nobody holds yet, for products on these terms.
    pub fn new(limit: Box<dyn Limit>, budget: bool, terms: &[Terms]) -> Resource {
        let seats = limit.seats();
        let shares = |product| Share {
            bearable: bearable(terms, product),
            owed: Owed::of(terms[product].guarantee, seats),
            ..Share::default()
        };
        Resource {
            seats: limit.seats(),
            witness: None,
            hint: None,
            budget,
            in_use: 0,
            by_product: (0..terms.len()).map(shares).collect(),
            limit,
            sharers: sharers(terms),
            part: 1.0,
            down: false,
            back_since: None,
            found_before: None,
        }
    }

    /// Go on with products on these terms, those that are known first, and where there is one, by another limit.
    pub(crate) fn reform(&mut self, limit: Option<Box<dyn Limit>>, terms: &[Terms], now: Timestamp) {
        if let Some(limit) = limit {
            self.change_limit(limit, now);
        }
        self.sharers = sharers(terms);
        self.by_product.resize(terms.len(), Share::default());
        for (index, share) in self.by_product.iter_mut().enumerate() {
            share.bearable = bearable(terms, index);
            share.owed = Owed::of(terms[index].guarantee, self.seats);
        }
    }

    /// From what was found, as far as the new one looks for anything.
    fn change_limit(&mut self, limit: Box<dyn Limit>, now: Timestamp) {
        let found = self.limit.range().and_then(|_| self.whole_knee());
        self.limit = limit;
        if let Some(knee) = found {
            self.limit.recall(knee);
        }
        self.limit.rescale(self.part);
        let observes_only = self.witness.take().is_some();
        self.observe_only(observes_only, now);
        self.count_seats();
    }

    /// How many seats there are now.
    pub fn limit(&self) -> u32 {
        self.seats
    }

    /// To be called whenever the limit, the witness or a hint may have changed its mind.
    fn count_seats(&mut self) {
        let seats = match (&self.hint, &self.witness) {
            (Some(hint), _) => hint.seats(),
            (None, Some(witness)) => witness.seats(),
            (None, None) => self.limit.seats(),
        };
        if seats != self.seats {
            self.seats = seats;
            self.by_product.iter_mut().for_each(|share| share.owed = Owed::of(share.owed.per_cent, seats));
        }
    }

    /// How many are taken. Above [`limit`](Self::limit) only after the limit shrank, or in bypass.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How many `product` holds.
    pub fn in_use_by(&self, product: usize) -> u32 {
        self.by_product[product].seats
    }

    /// Whether this is a budget on something behind the backends.
    pub fn is_budget(&self) -> bool {
        self.budget
    }

    /// The best level found so far, to be carried across a closure; `None` when it was never found.
    pub fn knee(&self) -> Option<f64> {
        // What a backend has said is as good as found.
        self.hint.as_ref().map(|hint| f64::from(hint.seats())).or_else(|| self.limit.knee())
    }

    /// [`knee`](Self::knee) as it would be with every backend there: what to carry across a restart, which begins with
    /// all of them.
    pub fn whole_knee(&self) -> Option<f64> {
        self.knee().map(|knee| knee / self.part)
    }

    /// Start from a level found earlier.
    pub(crate) fn recall(&mut self, knee: f64) {
        self.limit.recall(knee);
        self.count_seats();
    }

    /// The last backend of a site's pool has gone, or the first came back: with half of what had been found before. One that
    /// goes again before anything can have been learned begins where it began, or each time would halve it.
    pub(crate) fn begins_below_what_it_was(&mut self, gone: bool, now: Timestamp) {
        if gone {
            let learned = self.back_since.is_none_or(|since| now.since(since) >= LEARNS_WITHIN);
            self.found_before = if learned { self.whole_knee() } else { self.found_before };
            return;
        }
        self.back_since = Some(now);
        if let Some(knee) = self.found_before {
            self.recall(knee * self.part / 2.0);
        }
    }

    /// So many of its backends are there.
    pub(crate) fn backends(&mut self, healthy: u32, of: u32) {
        self.down = healthy == 0;
        // Of none nothing can be learned, and from none nothing scales back up.
        let part = f64::from(healthy) / f64::from(of.max(healthy).max(1));
        if !self.down && part != self.part {
            self.limit.rescale(part / self.part);
            self.part = part;
            if let Some(witness) = &mut self.witness {
                witness.forget();
            }
            self.count_seats();
        }
    }

    /// Whether none of its backends is there.
    pub(crate) fn is_down(&self) -> bool {
        self.down
    }

    /// How many are not taken.
    pub(crate) fn free(&self) -> u32 {
        self.limit().saturating_sub(self.in_use)
    }

    /// Whether `product` may have so many more, were they free. Who holds nothing may have what one request needs.
    pub(crate) fn is_trusted(&self, product: usize, seats: u32) -> bool {
        let held = self.by_product[product].seats;
        self.sharers < 2 || held == 0 || held + seats <= self.may_hold(product)
    }

    /// Seats that `product` may hold by one request after the other: what it is owed, and beyond that what it has credit for.
    pub fn may_hold(&self, product: usize) -> u32 {
        if self.sharers < 2 { u32::MAX } else { self.owed(product).seats + self.by_product[product].credit.seats() }
    }

    /// Everybody has always given back in time: for tests of something else.
    #[cfg(test)]
    pub(crate) fn trust_everybody(&mut self) {
        self.by_product.iter_mut().for_each(|share| share.credit = Credit::boundless());
    }

    /// What `product` is owed.
    fn owed(&self, product: usize) -> Owed {
        let owed = self.by_product[product].owed;
        debug_assert_eq!(owed, Owed::of(owed.per_cent, self.limit()), "what is owed follows the limit");
        owed
    }

    pub(crate) fn take(&mut self, product: usize, seats: u32, now: Timestamp) {
        self.in_use += seats;
        self.by_product[product].hold(now).seats += seats;
    }

    /// What one request had taken at `since` comes back.
    pub(crate) fn give_back(&mut self, product: usize, seats: u32, since: Timestamp, now: Timestamp) {
        debug_assert!(self.by_product[product].seats >= seats, "a seat came back that nobody had taken");
        let owed = self.owed(product).seats;
        self.in_use -= seats;
        let share = self.by_product[product].hold(now);
        let borrowed = share.seats.saturating_sub(owed);
        share.credit.returned(seats, borrowed, now.since(since) <= share.bearable, now);
        share.seats -= seats;
    }

    pub(crate) fn observe(&mut self, sample: &Sample, now: Timestamp) {
        // A limit that does not move what is in flight learns nothing from it.
        if self.hint.is_none() {
            self.limit.observe(sample, now);
            self.count_seats();
        }
    }

    /// [How far](Self::distance) `product` would be from its due with so many more seats; `None` when they are not free,
    /// or it is not trusted with them.
    pub(crate) fn distance_if_free(&self, product: usize, seats: u32, now: Timestamp) -> Option<f64> {
        (self.in_use + seats <= self.seats && self.is_trusted(product, seats))
            .then(|| self.distance(product, seats, now))
    }

    /// What `product` claims of so many more seats: least goes first, and can be compared between resources of different
    /// sizes. Zero where there is nobody to share with.
    pub(crate) fn claim(&self, product: usize, seats: u32, now: Timestamp) -> u64 {
        as_claim(self.distance(product, seats, now))
    }

    /// How far `product` would be from its due with so many more seats: at most 1 within the guarantee.
    fn distance(&self, product: usize, seats: u32, now: Timestamp) -> f64 {
        if self.sharers < 2 {
            return 0.0;
        }
        let (share, Owed { due, .. }) = (&self.by_product[product], self.owed(product));
        let next = f64::from(share.seats + seats);
        if next <= due { next / due } else { 1.0 + (next + LATELY * share.lately(now)) / due }
    }
}

/// How many products come for what is shared.
fn sharers(terms: &[Terms]) -> u32 {
    terms.iter().filter(|terms| terms.guarantee > 0).count() as u32
}

/// For how long the others can do without what `product` borrows.
fn bearable(terms: &[Terms], product: usize) -> Duration {
    let others = terms.iter().enumerate().filter(|(other, terms)| *other != product && terms.guarantee > 0);
    others.map(|(_, terms)| terms.longest_wait).min().unwrap_or(Duration::MAX)
}

/// A distance from a due as a claim, which has an order. By way of a signed number, to which processors turn a fraction
/// in one step; no distance comes near its end.
pub(crate) fn as_claim(distance: f64) -> u64 {
    ((distance * OWED as f64) as i64).cast_unsigned()
}

/// The claim of a product that would hold all that it is owed.
const OWED: u64 = 1 << 32;

impl Owed {
    fn of(per_cent: u32, limit: u32) -> Owed {
        Owed {
            per_cent,
            seats: (u64::from(per_cent) * u64::from(limit) / 100) as u32,
            due: f64::from(per_cent.max(1)) * f64::from(limit.max(1)) / 100.0,
        }
    }
}

impl Share {
    /// The moving average up to now. A quotient and no exponential: the same on every machine.
    fn lately(&self, now: Timestamp) -> f64 {
        let passed = now.seconds_since(self.since);
        self.lately + (f64::from(self.seats) - self.lately) * passed / (passed + MEMORY.as_secs_f64())
    }

    /// Remember what was held so far: it is about to change.
    fn hold(&mut self, now: Timestamp) -> &mut Share {
        self.lately = self.lately(now);
        self.since = now;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::Fixed;
    use super::super::time::at;
    use super::*;

    fn shared(limit: u32, guarantees: &[u32]) -> Resource {
        let longest_wait = Duration::from_secs(1);
        let terms: Vec<Terms> =
            guarantees.iter().map(|guarantee| Terms { guarantee: *guarantee, longest_wait }).collect();
        Resource::new(Box::new(Fixed::new(limit)), false, &terms)
    }

    /// The textbook's progressive filling: everybody's share grows evenly by weight until each has
    /// what it asked for or all is given. Written apart from `claim`, to check it against.
    fn max_min(limit: u32, weights: &[u32], asked: &[u32]) -> Vec<f64> {
        let mut given = vec![0.0; weights.len()];
        let mut open: Vec<usize> = (0..weights.len()).collect();
        let mut left = f64::from(limit);
        while !open.is_empty() && left > 1e-9 {
            let total: f64 = open.iter().map(|p| f64::from(weights[*p])).sum();
            let step = open
                .iter()
                .map(|p| (f64::from(asked[*p]) - given[*p]) / f64::from(weights[*p]))
                .fold(left / total, f64::min);
            for p in &open {
                given[*p] += step * f64::from(weights[*p]);
                left -= step * f64::from(weights[*p]);
            }
            open.retain(|p| f64::from(asked[*p]) - given[*p] > 1e-9);
        }
        given
    }

    #[test]
    fn least_claim_first_is_max_min_fair_within_a_seat() {
        for (limit, weights, asked) in [
            (20, [50, 30, 20], [100, 5, 3]),
            (20, [50, 30, 20], [100, 100, 100]),
            (20, [50, 30, 20], [2, 100, 1]),
            (7, [60, 20, 20], [100, 1, 100]),
            (100, [1, 1, 98], [100, 100, 10]),
        ] {
            let mut resource = shared(limit, &weights);
            while resource.free() > 0 {
                let hungry = (0..3).filter(|p| resource.in_use_by(*p) < asked[*p]);
                let Some(next) = hungry.min_by_key(|p| resource.claim(*p, 1, at(0))) else { break };
                resource.take(next, 1, at(0));
            }
            for (p, expected) in max_min(limit, &weights, &asked).into_iter().enumerate() {
                let got = f64::from(resource.in_use_by(p));
                assert!(
                    (got - expected).abs() <= 1.0,
                    "{limit} {weights:?} {asked:?}: {p} holds {got}, {expected} is fair"
                );
            }
        }
    }

    /// Everybody wants more than there is; seats come back one at a time, ten milliseconds apart, the oldest first.
    /// Returns what each has held on average.
    fn held_over_time(limit: u32, guarantees: &[u32]) -> Vec<f64> {
        let mut resource = shared(limit, guarantees);
        let mut held = std::collections::VecDeque::new();
        let mut sums = vec![0.0; guarantees.len()];
        for turn in 0..2000 {
            let now = at(turn * 10);
            if let Some(product) = held.pop_front().filter(|_| resource.free() == 0) {
                resource.give_back(product, 1, now, now);
            }
            while resource.free() > 0 {
                let next = (0..guarantees.len()).min_by_key(|p| resource.claim(*p, 1, now)).expect("there are some");
                resource.take(next, 1, now);
                held.push_back(next);
            }
            for (product, sum) in sums.iter_mut().enumerate() {
                *sum += f64::from(resource.in_use_by(product)) / 2000.0;
            }
        }
        sums
    }

    #[test]
    fn fractions_of_a_seat_are_shared_over_time() {
        for limit in 5..=16 {
            let held = held_over_time(limit, &[50, 25, 25]);
            for (product, part) in [0.5, 0.25, 0.25].into_iter().enumerate() {
                let due = part * f64::from(limit);
                assert!((held[product] / due - 1.0).abs() < 0.05, "of {limit}: {held:?}");
            }
        }
    }

    #[test]
    fn whoever_shares_with_nobody_claims_nothing() {
        let mut alone = shared(4, &[0, 100, 0]);
        alone.take(1, 1, at(0));
        assert_eq!(alone.claim(1, 1, at(0)), 0);
    }

    #[test]
    fn a_seat_given_back_is_free_again() {
        let mut resource = shared(1, &[50, 50]);
        resource.take(0, 1, at(0));
        assert!(resource.free() == 0);
        resource.give_back(0, 1, at(0), at(0));
        assert!((resource.free() > 0));
        assert_eq!((resource.in_use(), resource.in_use_by(0)), (0, 0));
    }
}
