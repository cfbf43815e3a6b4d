//! A backend comes into use and goes out of it: with how much of its share.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::load::WEIGHT;
use super::{Backend, Condition};
use crate::admission::Timestamp;
use crate::proxy::balance::slow_start::{self, Start, WHOLE};

/// One whose level has served a while ago has kept its caches, and need not start slowly again.
const WARM: Duration = Duration::from_secs(60);

impl Backend {
    /// Act on what has changed: whether its answers are pardoned, whether its level serves, and how it starts if it comes
    /// into use. Returns its share in quarters while it is there, none while it is not; and of how many the pool is less
    /// while it has none: one that was never whole is missed by nobody.
    pub(in crate::proxy) fn settle(
        &self,
        pardoned: bool,
        called: bool,
        start: Option<Start>,
        now: Timestamp,
    ) -> (u32, u32) {
        let mut condition = self.condition();
        condition.pardoned = pardoned;
        // One refusal may be a blip.
        let there = !self.is_gone() && !condition.is_closed() && !condition.is_left_out(now);
        if there && called && !condition.serves() {
            let is_warm = condition.stood_down.take().is_some_and(|since| now.since(since) < WARM);
            condition.starting = start.filter(|_| !is_warm).map(|_| now);
            self.good.store(0, Ordering::Relaxed);
            self.peak.is_back(now);
        }
        if condition.serves() && !called {
            condition.stood_down = condition.starting.is_none().then_some(now);
            condition.starting = None;
        }
        (condition.there, condition.called) = (there, called);
        let share = self.share(&condition, start, now);
        if share == WHOLE {
            condition.starting = None;
            condition.reckoned_with |= there;
        }
        self.show_weight(condition.weight * share);
        self.show(&condition);
        let quarters = if there { (share * 4 / WHOLE).max(1) } else { 0 };
        (quarters, if condition.reckoned_with { 4 } else { quarters })
    }

    fn share(&self, condition: &Condition, start: Option<Start>, now: Timestamp) -> u32 {
        match (condition.starting, start) {
            (Some(since), Some(start)) => slow_start::share(now.since(since), start, self.good.load(Ordering::Relaxed)),
            _ => WHOLE,
        }
    }

    /// Of what it [settled](Self::settle) on it gets this part, where [`WHOLE`] is all: its level fills up what others lack.
    pub(in crate::proxy) fn takes_part(&self, part: u32) {
        let weight = (self.load.load(Ordering::Relaxed) >> WEIGHT) as u32;
        self.show_weight(weight * part / WHOLE);
    }

    fn show_weight(&self, weight: u32) {
        let weight = u64::from(weight.max(1)) << WEIGHT;
        let changed = |load: u64| Some(load & ((1 << WEIGHT) - 1) | weight);
        let _ = self.load.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }
}
