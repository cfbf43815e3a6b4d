//! The requests in the plant: a slab with numbers used again, and lines that run through it.

use super::{JobId, Route};

/// Where a request is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: the slot waits for the next request.
    Free,
    /// At the door of a station: it has no thread there.
    Door,
    /// It has a thread and waits for a seat.
    Line,
    /// Being worked on.
    Work,
    /// About to fail instead of being worked on.
    Failing,
    /// Done elsewhere, but the station that holds it hangs and cannot say so.
    Stuck,
    /// Its answer lies ready.
    Answered,
    /// Its answer lies ready and nobody wants it.
    Unwanted,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) route: usize,
    pub(super) leg: usize,
    pub(super) key: Option<u64>,
    pub(super) place: Place,
    /// Counts up whenever the request is taken off an agenda: entries of an earlier turn are void.
    turn: u32,
    before: u32,
    after: u32,
}

/// What an agenda keeps of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) slot: u32,
    turn: u32,
}

/// All requests in the plant.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    slots: Vec<Job>,
    free: Vec<u32>,
}

impl Jobs {
    pub(super) fn insert(&mut self, route: usize, key: Option<u64>) -> u32 {
        let job = |turn| Job { route, leg: 0, key, place: Place::Door, turn, before: NONE, after: NONE };
        if let Some(slot) = self.free.pop() {
            self[slot] = job(self[slot].turn);
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("memory ends before four thousand million requests");
        self.slots.push(job(0));
        slot
    }

    /// Gives the slot to whoever comes next.
    pub(super) fn remove(&mut self, slot: u32) {
        debug_assert!(self[slot].place != Place::Free, "a request ends once");
        self[slot].place = Place::Free;
        self.free.push(slot);
    }

    /// The request's entry for an agenda, good until [`Jobs::void`].
    pub(super) fn mark(&self, slot: u32) -> Mark {
        Mark { slot, turn: self[slot].turn }
    }

    /// Makes the request's entry on an agenda void.
    pub(super) fn void(&mut self, slot: u32) {
        let job = &mut self[slot];
        job.turn = job.turn.wrapping_add(1);
    }

    pub(super) fn is_valid(&self, mark: Mark) -> bool {
        self[mark.slot].turn == mark.turn
    }

    /// The station that holds the request to the end, and the one where it is.
    pub(super) fn stations(&self, slot: u32, routes: &[Route]) -> (usize, usize) {
        let job = &self[slot];
        let legs = &routes[job.route].legs;
        (legs[0].station, legs[job.leg].station)
    }

    /// All requests that have not been answered, by number.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = u32> {
        let is_answered = |job: &Job| matches!(job.place, Place::Free | Place::Answered | Place::Unwanted);
        (0_u32..).zip(&self.slots).filter(move |(_, job)| !is_answered(job)).map(|(slot, _)| slot)
    }

    /// The slot of a number the plant has given out.
    pub(super) fn slot(&self, job: JobId) -> Option<u32> {
        let slot = u32::try_from(job).ok()?;
        self.slots.get(slot as usize).filter(|job| job.place != Place::Free).map(|_| slot)
    }
}

impl std::ops::Index<u32> for Jobs {
    type Output = Job;
    fn index(&self, slot: u32) -> &Job {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Jobs {
    fn index_mut(&mut self, slot: u32) -> &mut Job {
        &mut self.slots[slot as usize]
    }
}

/// A line of requests, first come first served, that one can leave from the middle. A request stands in one at most.
#[derive(Debug)]
pub(super) struct Line {
    first: u32,
    last: u32,
    length: usize,
}

impl Line {
    pub(super) fn new() -> Line {
        Line { first: NONE, last: NONE, length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn push(&mut self, slot: u32, jobs: &mut Jobs) {
        jobs[slot].before = self.last;
        jobs[slot].after = NONE;
        match self.last {
            NONE => self.first = slot,
            last => jobs[last].after = slot,
        }
        self.last = slot;
        self.length += 1;
    }

    pub(super) fn pop(&mut self, jobs: &mut Jobs) -> Option<u32> {
        let first = (self.first != NONE).then_some(self.first)?;
        self.remove(first, jobs);
        Some(first)
    }

    pub(super) fn remove(&mut self, slot: u32, jobs: &mut Jobs) {
        debug_assert!(self.length > 0, "nobody leaves an empty line");
        let (before, after) = (jobs[slot].before, jobs[slot].after);
        match before {
            NONE => self.first = after,
            before => jobs[before].after = after,
        }
        match after {
            NONE => self.last = before,
            after => jobs[after].before = before,
        }
        self.length -= 1;
    }
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_first_come_first_served_and_can_be_left_anywhere() {
        let mut jobs = Jobs::default();
        let mut line = Line::new();
        let slots: Vec<u32> = (0..6).map(|_| jobs.insert(0, None)).collect();
        for &slot in &slots {
            line.push(slot, &mut jobs);
        }
        for gone in [0, 3, 5] {
            line.remove(slots[gone], &mut jobs);
        }
        assert_eq!(line.len(), 3);
        let left: Vec<u32> = std::iter::from_fn(|| line.pop(&mut jobs)).collect();
        assert_eq!(left, [slots[1], slots[2], slots[4]]);
        line.push(slots[0], &mut jobs);
        assert_eq!(line.pop(&mut jobs), Some(slots[0]));
        assert_eq!(line.pop(&mut jobs), None);
    }

    #[test]
    fn numbers_are_used_again_and_old_entries_stay_void() {
        let mut jobs = Jobs::default();
        let first = jobs.insert(0, None);
        let mark = jobs.mark(first);
        jobs.void(first);
        jobs.remove(first);
        assert_eq!(jobs.insert(1, Some(2)), first);
        assert!(!jobs.is_valid(mark) && jobs.is_valid(jobs.mark(first)));
    }
}
