//! Which backend: by default the less busy of two drawn at random, among those that may be asked.
//!
//! Two choices come close to the best of all with one comparison (Mitzenmacher 2001). Draws follow weights, and what is
//! under way is counted by weight. One whose last answers were errors is drawn the less the more there were: it has few
//! requests under way because it fails, not because it is free, and would draw all of them otherwise.
//!
//! A customer may instead be [at home](home) at one of them.
//!
//! When none may be asked, those of the next priority are; and when there are none, all are that only time stands against: what passes then is money in motion.

pub(crate) mod checks;
pub(crate) mod home;
pub(crate) mod levels;
pub(crate) mod outliers;
pub(crate) mod peak;
pub(crate) mod slow_start;

use std::cell::Cell;
use std::sync::Arc;

use super::backend::Backend;
use super::balance::slow_start::WHOLE;
use crate::admission::random::Random;
use crate::admission::{Customer, Timestamp};

/// How a backend is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The less busy of two drawn at random.
    #[default]
    LeastRequests,
    /// Of two drawn at random the one where an answer is sooner to be expected.
    PeakEwma,
    /// One after the other, by weight.
    RoundRobin,
    /// The one where the customer is at home, unless it has too much to do.
    ConsistentHash,
}

impl Policy {
    /// As they are written.
    pub const NAMES: [&'static str; 4] = ["least_requests", "peak_ewma", "round_robin", "consistent_hash"];
    /// In the order of their names.
    pub const ALL: [Policy; 4] = [Policy::LeastRequests, Policy::PeakEwma, Policy::RoundRobin, Policy::ConsistentHash];
}

/// One worker's view of the backends of a pool.
pub(super) struct Table {
    pub(super) backends: Arc<[Arc<Backend>]>,
    policy: Policy,
    heaviest: u32,
    /// Whose turn it is, where that counts.
    turns: Vec<Cell<i64>>,
}

/// Draws before a backend is looked for one by one: with half of them aside, one in sixteen requests gets there.
const DRAWS: usize = 4;

impl Table {
    pub(super) fn new(backends: Arc<[Arc<Backend>]>, policy: Policy) -> Table {
        let heaviest = backends.iter().map(|backend| backend.weight()).max().unwrap_or(1);
        Table { turns: backends.iter().map(|_| Cell::new(0)).collect(), heaviest: heaviest * WHOLE, policy, backends }
    }

    /// Choose one for `customer`, passing over those in `tried` unless nothing else is left.
    pub(super) fn choose(
        &self,
        tried: &[Arc<Backend>],
        customer: Customer,
        now: Timestamp,
        random: &Cell<Random>,
    ) -> usize {
        if self.backends.len() == 1 {
            return 0;
        }
        let untried = |index: usize| !tried.iter().any(|one| Arc::ptr_eq(one, &self.backends[index]));
        let usable = |index: usize| untried(index) && self.backends[index].may_be_asked(now);
        let chosen: Option<usize> = match self.policy {
            Policy::RoundRobin => self.next(usable),
            Policy::ConsistentHash if home::has(customer) => home::of(customer, &self.backends, usable),
            Policy::LeastRequests | Policy::ConsistentHash => {
                self.better_of_two(usable, random, |index: usize| self.busy(index))
            }
            Policy::PeakEwma => self.better_of_two(usable, random, |index: usize| self.slow(index, now)),
        };
        let in_need = |index: usize| untried(index) && self.backends[index].is_tried_in_need();
        // Where a person wants no traffic none is sent, if it is not all that there is.
        let in_use = |index: usize| self.backends[index].is_in_use();
        chosen
            .or_else(|| self.standby(untried, random))
            .or_else(|| self.any(in_need, random))
            .or_else(|| self.any(|index| untried(index) && in_use(index), random))
            .or_else(|| self.any(in_use, random))
            .unwrap_or_else(|| draw(random, self.backends.len()))
    }

    /// Two that differ, drawn by weight; the one with the least `cost`, and the first drawn where they are equal.
    fn better_of_two(
        &self,
        usable: impl Fn(usize) -> bool,
        random: &Cell<Random>,
        cost: impl Fn(usize) -> f32,
    ) -> Option<usize> {
        let by_weight =
            |index: usize| draw(random, self.heaviest as usize) < self.backends[index].seen().weight() as usize;
        let drawn = |except: Option<usize>| {
            let fits = |index: &usize| Some(*index) != except && usable(*index) && by_weight(*index);
            (0..DRAWS).map(|_| draw(random, self.backends.len())).find(fits)
        };
        let one = drawn(None).or_else(|| self.any_by_weight(&usable, random))?;
        let other = drawn(Some(one));
        Some(other.filter(|other| cost(*other) < cost(one)).unwrap_or(one))
    }

    /// What is under way there, for its weight.
    fn busy(&self, index: usize) -> f32 {
        let seen = self.backends[index].seen();
        seen.outstanding() as f32 / seen.weight() as f32
    }

    /// How long one more would wait there, for its weight. One that has not answered yet is asked once, and then when it has.
    fn slow(&self, index: usize, now: Timestamp) -> f32 {
        let (backend, seen) = (&self.backends[index], self.backends[index].seen());
        let seconds = backend.peak.seconds(now);
        match seen.outstanding() {
            under_way @ 1.. if seconds == 0.0 => f32::MAX / 2.0 * under_way as f32,
            under_way => seconds * (under_way + 1) as f32 / seen.weight() as f32,
        }
    }

    /// The next in turn, smoothly: three to one is `a a b a`, not `a a a b`.
    fn next(&self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let (mut sum, mut next) = (0, None);
        for index in (0..self.backends.len()).filter(|index| usable(*index)) {
            let weight = i64::from(self.backends[index].seen().weight());
            self.turns[index].update(|turn| turn + weight);
            sum += weight;
            if next.is_none_or(|next: usize| self.turns[next].get() < self.turns[index].get()) {
                next = Some(index);
            }
        }
        let next = next?;
        self.turns[next].update(|turn| turn - sum);
        Some(next)
    }

    /// One that is well and has only not been called yet: between a fault and its being believed, nobody is to suffer.
    fn standby(&self, untried: impl Fn(usize) -> bool, random: &Cell<Random>) -> Option<usize> {
        let stands_by = |index: usize| untried(index) && self.backends[index].stands_by();
        let next = (0..self.backends.len()).filter(|index| stands_by(*index));
        let next = next.map(|index| self.backends[index].priority()).min()?;
        self.any_by_weight(|index| stands_by(index) && self.backends[index].priority() == next, random)
    }

    /// One of those that fit, each by its weight.
    fn any_by_weight(&self, fits: impl Fn(usize) -> bool, random: &Cell<Random>) -> Option<usize> {
        let fitting = || (0..self.backends.len()).filter(|index| fits(*index));
        let weight = |index: usize| self.backends[index].seen().weight() as usize;
        let mut left = draw(random, fitting().map(weight).sum());
        let mut last = None;
        for index in fitting() {
            last = Some(index);
            match left.checked_sub(weight(index)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        last
    }

    /// One of those that fit, all alike.
    fn any(&self, fits: impl Fn(usize) -> bool, random: &Cell<Random>) -> Option<usize> {
        let fitting = || (0..self.backends.len()).filter(|index| fits(*index));
        fitting().nth(draw(random, fitting().count()))
    }
}

fn draw(random: &Cell<Random>, below: usize) -> usize {
    let mut generator = random.replace(Random::new(0));
    let drawn = generator.below(below as u64) as usize;
    random.set(generator);
    drawn
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::backend::Outstanding;
    use super::super::backend::tests::backends;
    use super::*;
    use crate::admission::time::at;

    const ANNA: Customer = Customer::Account(1);

    /// One of many.
    fn somebody(number: usize) -> Customer {
        Customer::Account(number as u64)
    }

    fn table(weights: &[u32], policy: Policy) -> Table {
        Table::new(backends(weights).into(), policy)
    }

    /// How often each of them is chosen of `times`, when every request is held.
    fn held(table: &Table, times: usize) -> Vec<u32> {
        let random = Cell::new(Random::new(1));
        let choose = |n| Outstanding::at(&table.backends[table.choose(&[], somebody(n), at(0), &random)]);
        let held: Vec<Outstanding> = (0..times).map(choose).collect();
        let counts = table.backends.iter().map(|backend| backend.outstanding()).collect();
        drop(held);
        counts
    }

    /// The same, when each request ends before the next comes.
    fn one_by_one(table: &Table, times: usize) -> Vec<u32> {
        let (random, mut counts) = (Cell::new(Random::new(1)), vec![0; table.backends.len()]);
        (0..times).for_each(|n| counts[table.choose(&[], somebody(n), at(0), &random)] += 1);
        counts
    }

    #[track_caller]
    fn about(counts: &[u32], expected: &[u32]) {
        let near = |(count, expected): (&u32, &u32)| count.abs_diff(*expected) <= expected / 10 + 5;
        assert!(counts.iter().zip(expected).all(near), "{counts:?} is not about {expected:?}");
    }

    #[test]
    fn work_is_spread_and_the_less_busy_of_two_goes_first() {
        about(&held(&table(&[1; 4], Policy::LeastRequests), 400), &[100; 4]);
    }

    #[test]
    fn weights_share_out_what_is_under_way_and_what_comes_one_by_one() {
        for policy in Policy::ALL {
            let table = table(&[1, 3, 6], policy);
            about(&one_by_one(&table, 10_000), &[1_000, 3_000, 6_000]);
        }
        about(&held(&table(&[1, 3, 6], Policy::LeastRequests), 1_000), &[100, 300, 600]);
    }

    #[test]
    fn turns_are_taken_smoothly() {
        let (table, random) = (table(&[3, 1], Policy::RoundRobin), Cell::new(Random::new(1)));
        let chosen: Vec<usize> = (0..8).map(|_| table.choose(&[], ANNA, at(0), &random)).collect();
        assert_eq!(chosen, [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn one_that_fails_at_once_does_not_draw_what_the_others_are_busy_with() {
        for policy in Policy::ALL {
            let (table, random) = (table(&[1; 3], policy), Cell::new(Random::new(1)));
            // It answers nothing but errors in a millisecond; the others have ten requests each.
            let failing = &table.backends[0];
            failing.peak.heard(Duration::from_millis(1), at(0));
            let _busy: Vec<Outstanding> = (0..20).map(|n| Outstanding::at(&table.backends[1 + n % 2])).collect();
            table.backends[1..].iter().for_each(|busy| busy.peak.heard(Duration::from_millis(50), at(0)));
            let asked = (0..1_000)
                .filter(|n| table.choose(&[], somebody(*n), at(0), &random) == 0 && failing.erred() > 0)
                .count();
            assert!((5..=70).contains(&asked), "{policy:?}: {asked} of 1000");
        }
    }

    #[test]
    fn a_slow_backend_is_asked_less_by_what_its_answers_take() {
        let (table, random) = (table(&[1; 2], Policy::PeakEwma), Cell::new(Random::new(1)));
        table.backends[0].peak.heard(Duration::from_millis(300), at(0));
        table.backends[1].peak.heard(Duration::from_millis(100), at(0));
        let held: Vec<Outstanding> =
            (0..40).map(|_| Outstanding::at(&table.backends[table.choose(&[], ANNA, at(0), &random)])).collect();
        assert_eq!(held.len(), 40);
        let (slow, fast) = (table.backends[0].outstanding(), table.backends[1].outstanding());
        assert!((8..=12).contains(&slow), "{slow} and {fast}");
    }

    #[test]
    fn one_that_refuses_is_set_aside_and_tried_again_later() {
        let (table, random) = (table(&[1; 2], Policy::LeastRequests), Cell::new(Random::new(1)));
        let [refusing, _] = &table.backends[..] else { unreachable!("there are two") };
        let choose = |ms| table.choose(&[], ANNA, at(ms), &random);
        // Two that were sent at once are refused at once: one pause.
        assert_eq!([refusing.refused(at(0)), refusing.refused(at(1))], [1, 2]);
        assert!((0..100).all(|_| choose(99) == 1));
        assert!((0..100).any(|_| choose(100) == 0));
        assert!(!refusing.is_gone());
        assert_eq!(refusing.refused(at(100)), 3);
        assert!(refusing.is_gone());
        assert!((0..100).all(|_| choose(299) == 1));
        assert_eq!([refusing.accepted(at(250)), refusing.accepted(at(250))], [3, 0]);
        assert!((0..100).any(|_| choose(250) == 0));
        assert!(!refusing.is_gone());
    }

    #[test]
    fn when_all_are_set_aside_all_are_tried_but_none_that_is_drained() {
        let (table, random) = (table(&[1; 3], Policy::LeastRequests), Cell::new(Random::new(1)));
        for backend in table.backends.iter() {
            backend.refused(at(0));
        }
        assert_eq!(table.choose(&table.backends[..2], ANNA, at(0), &random), 2);
        assert!(table.choose(&table.backends, ANNA, at(0), &random) < 3);
        table.backends[0].drain(true);
        table.backends[0].settle(false, true, None, at(0));
        assert!((0..100).all(|_| table.choose(&[], ANNA, at(0), &random) != 0));
        assert!(
            (0..100).all(|_| table.choose(&table.backends[1..], ANNA, at(0), &random) != 0),
            "not a second time either"
        );
    }

    #[test]
    fn one_that_stands_by_is_asked_before_anybody_suffers_and_never_while_others_may_be() {
        let (table, random) = (table(&[1; 4], Policy::LeastRequests), Cell::new(Random::new(1)));
        for (index, priority) in [(1, 1), (2, 1), (3, 2)] {
            let backend = &table.backends[index];
            backend.set_priority(priority);
            backend.settle(false, false, None, at(0));
        }
        let choose = |tried: &[usize], now| {
            let tried: Vec<Arc<Backend>> = tried.iter().map(|index| table.backends[*index].clone()).collect();
            table.choose(&tried, ANNA, at(now), &random)
        };
        assert!((0..100).all(|_| choose(&[], 0) == 0));
        assert!((0..100).all(|_| [1, 2].contains(&choose(&[0], 0))), "who was not served goes to the next level");
        table.backends[0].refused(at(0));
        assert!((0..100).all(|_| [1, 2].contains(&choose(&[], 1))), "and so does everybody while it is set aside");
        assert_eq!(choose(&[0, 1, 2], 1), 3);
        assert!((0..100).all(|_| choose(&[], 100) == 0));
    }
}
