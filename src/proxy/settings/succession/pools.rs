//! Pools that are called otherwise than before.

use super::super::{DomainSettings, PoolSettings, Settings};

impl Settings {
    /// A pool is called after the first of its products. Where another one comes first, or the first has left, the pool is
    /// the one that has its backends: what was found of it, and ordered, is about those.
    pub(super) fn rename_pools(&self, live: &Settings, homes: &[usize], domains: &mut [DomainSettings]) {
        for pool in &self.pools {
            let home = homes[pool.domain];
            let named = |known: &&PoolSettings| known.domain == home && known.name == pool.name;
            if live.pools.iter().any(|known| named(&known)) {
                continue;
            }
            let is_there = |known: &PoolSettings| domains[home].resources[known.resource].name == known.name;
            let stays = |name: &str| self.pools.iter().any(|own| homes[own.domain] == home && own.name == name);
            let free = |known: &&PoolSettings| known.domain == home && is_there(known) && !stays(&known.name);
            let alike = live.pools.iter().filter(free).map(|known| (known.in_common(pool), known));
            // The first of those that have most.
            let most = alike.rev().max_by_key(|(common, _)| *common).filter(|(common, _)| *common > 0);
            if let Some((_, before)) = most {
                domains[home].rename(before.resource, &pool.name);
            }
        }
    }
}

impl PoolSettings {
    /// How many of its backends are in `other` too: at the same address, or found by the same name.
    pub fn in_common(&self, other: &PoolSettings) -> usize {
        self.backends.iter().filter(|own| other.backends.iter().any(|one| own.is_at_or_of(one))).count()
    }
}

impl DomainSettings {
    /// Whatever had the name has the other one: no two have the same.
    fn rename(&mut self, resource: usize, name: &str) {
        let budgets: Vec<bool> = self.admission.resources.iter().map(|known| known.budget).collect();
        let before = self.resources[resource].name.clone();
        let taken = self.resources.iter().zip(budgets).position(|(known, budget)| known.name == name && !budget);
        if let Some(taken) = taken {
            self.resources[taken].name = before;
        }
        self.resources[resource].name = name.to_owned();
    }
}
