//! What falls due, in order, with entries that may be taken back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::jobs::{Jobs, Mark};

/// An agenda of requests by a key of its owner's: time, or work done.
///
/// Entries taken back stay in the heap as void ones until they reach the top or are the greater part of it, so that
/// taking back costs next to nothing and memory stays within twice of what is due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, Mark)>>,
    void: usize,
}

impl Agenda {
    pub(super) fn push(&mut self, key: u64, slot: u32, jobs: &Jobs) {
        self.heap.push(Reverse((key, jobs.mark(slot))));
    }

    /// The smallest key.
    pub(super) fn first(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((key, _))| *key)
    }

    /// Takes the entry with the smallest key off.
    pub(super) fn pop(&mut self, jobs: &mut Jobs) -> Option<u32> {
        let Reverse((_, mark)) = self.heap.pop()?;
        debug_assert!(jobs.is_valid(mark), "the top is never void");
        jobs.void(mark.slot);
        self.clear_top(jobs);
        Some(mark.slot)
    }

    /// Takes back the entry of a request that has one here.
    pub(super) fn take_back(&mut self, slot: u32, jobs: &mut Jobs) {
        jobs.void(slot);
        self.void += 1;
        if self.void * 2 > self.heap.len() {
            self.heap.retain(|Reverse((_, mark))| jobs.is_valid(*mark));
            self.void = 0;
        }
        self.clear_top(jobs);
    }

    fn clear_top(&mut self, jobs: &Jobs) {
        while self.void > 0 && self.heap.peek().is_some_and(|Reverse((_, mark))| !jobs.is_valid(*mark)) {
            self.heap.pop();
            self.void -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_never_comes_and_is_soon_forgotten() {
        let mut jobs = Jobs::default();
        let mut agenda = Agenda::default();
        let slots: Vec<u32> = (0..1_000).map(|_| jobs.insert(0, None)).collect();
        for &slot in &slots {
            agenda.push(u64::from(slot) * 7 % 1_000, slot, &jobs);
        }
        for &slot in slots.iter().filter(|&slot| slot % 10 != 0) {
            agenda.take_back(slot, &mut jobs);
            assert!(agenda.void * 2 <= agenda.heap.len());
        }
        let mut keys = Vec::new();
        while let Some(key) = agenda.first() {
            keys.push(key);
            assert_eq!(agenda.pop(&mut jobs).map(|slot| u64::from(slot) * 7 % 1_000), Some(key));
        }
        assert!(keys.len() == 100 && keys.is_sorted());
    }
}
