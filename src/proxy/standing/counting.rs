//! Who is there, which levels serve, and what admission is told of it.

use std::sync::Arc;

use super::super::backend::Backend;
use super::super::balance::levels::Filling;
use super::super::balance::slow_start::{Start, WHOLE};
use super::{Standing, Told};
use crate::admission::{Domain, Timestamp};

/// Members of one level.
struct Level<'a> {
    priority: u32,
    members: Vec<&'a Arc<Backend>>,
}

/// What a level comes to, by weight: quarters that are there, and of how many the pool is less without them.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    there: u32,
    whole: u32,
    /// Those that are there, when they have had their start.
    able: u32,
    heads: u32,
}

impl Standing {
    /// Who is there now. Under the domain's lock: whoever counts last has seen the last change.
    pub(super) fn count(&self, domain: &mut Domain, now: Timestamp) {
        if let Some(heir) = self.heir.get() {
            // Those that run by the settings from before see backends go and come too.
            return heir.upgrade().iter().for_each(|heir| heir.count(domain, now));
        }
        let backends = self.backends();
        let levels = levels(&backends);
        let Some((first, others)) = levels.split_first() else { return };
        // Where nobody has a whole share, nobody would be spared by a smaller one: the pool's ramp is for that.
        let slow_start = self.settings.slow_start.filter(|_| backends.iter().any(|backend| backend.is_steady()));
        let mut pardoned = self.is_in_panic(first, &levels, now);
        let own = first.settle(pardoned, true, slow_start.map(Start::beside_others), now);
        // Nothing is known yet of what newcomers can do.
        let whole = if own.whole > 0 { own.whole } else { first.members.iter().map(|one| one.weight() * 4).sum() };
        let mut filling = Filling::new(whole, own.there, self.settings.failover);
        let (mut heads, mut last) = (own.heads, first.priority);
        for level in others {
            let called = filling.calls();
            let panics = called && self.is_in_panic(level, &levels, now);
            let sum = level.settle(panics, called, Some(Start::called_up(self.settings.slow_start)), now);
            pardoned |= panics;
            heads += sum.heads;
            if called {
                let part = filling.take(sum.there, sum.able);
                level.members.iter().filter(|_| part < WHOLE).for_each(|one| one.takes_part(part));
                last = level.priority;
            }
        }
        let all = first.members.len() as u32;
        let covered = filling.covered();
        let by_others = (covered - own.there) * 100 / covered.max(1);
        let told = Told {
            part: (covered * all, whole * all.max(self.configured)),
            there: (heads, backends.len() as u32),
            pardoned,
            failover: (last, by_others),
        };
        self.told_anew(domain, told, now);
    }

    /// Whether so few of a level are there that its own are used whatever they answered: unless other levels can serve in
    /// their place.
    fn is_in_panic(&self, level: &Level<'_>, levels: &[Level<'_>], now: Timestamp) -> bool {
        let Some(outliers) = &self.settings.outliers else { return false };
        let sound = |one: &&&Arc<Backend>| one.is_sound() && !one.is_left_out(now);
        let there = level.members.iter().filter(sound).count() as u32;
        let in_use = level.members.iter().filter(|one| one.is_in_use()).count() as u32;
        let elsewhere = levels.iter().filter(|other| other.priority != level.priority);
        let elsewhere = elsewhere.flat_map(|other| other.members.iter().filter(sound)).map(|one| one.weight()).sum();
        let needed = levels[0].members.iter().filter(|one| one.is_in_use()).map(|one| one.weight()).sum();
        outliers.panics(there, in_use) && outliers.panics(elsewhere, needed)
    }

    fn told_anew(&self, domain: &mut Domain, told: Told, now: Timestamp) {
        let before = std::mem::replace(&mut *self.told(), told);
        if told.part != before.part {
            domain.backends(self.settings.resource, told.part.0, told.part.1, now);
        }
        if told.there != before.there {
            let (there, of) = told.there;
            tracing::warn!(pool = self.settings.name, there, of, "the pool's limit follows its backends");
        }
        if told.pardoned != before.pardoned {
            let pardoned = told.pardoned;
            tracing::warn!(pool = self.settings.name, pardoned, "too few backends: answers count again, or no more");
        }
        if told.failover.0 != before.failover.0 {
            let (priority, per_cent) = told.failover;
            tracing::warn!(pool = self.settings.name, priority, per_cent, "backends up to another priority serve now");
        }
    }
}

impl Level<'_> {
    fn settle(&self, pardoned: bool, called: bool, start: Option<Start>, now: Timestamp) -> Sum {
        let mut sum = Sum::default();
        for one in &self.members {
            let (quarters, of) = one.settle(pardoned, called, start, now);
            sum.there += quarters * one.weight();
            sum.whole += of * one.weight();
            sum.able += if quarters > 0 { 4 * one.weight() } else { 0 };
            sum.heads += u32::from(quarters > 0);
        }
        sum
    }
}

/// By their priority, the lowest number first.
fn levels(backends: &[Arc<Backend>]) -> Vec<Level<'_>> {
    let mut levels: Vec<Level<'_>> = Vec::new();
    for backend in backends {
        let priority = backend.priority();
        match levels.iter_mut().find(|level| level.priority == priority) {
            Some(level) => level.members.push(backend),
            None => levels.push(Level { priority, members: vec![backend] }),
        }
    }
    levels.sort_by_key(|level| level.priority);
    levels
}
