//! What is to happen, by time: the event heap of a simulation.
//!
//! A heap for what is near and unsorted buckets for what is far. A million customers who were told to come back in half
//! a minute would make every step of one big heap a walk through cold memory; in a bucket they lie still until their
//! time is near.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use crate::admission::Timestamp;

/// Things to do, taken out in the order of their times; of two at one time, the one that was put in first.
#[derive(Debug)]
pub struct Agenda<T> {
    near: BinaryHeap<Entry<T>>,
    /// The buckets after the one in the heap, one behind the other.
    far: VecDeque<Vec<Entry<T>>>,
    /// What lies beyond the last bucket there may be, and the first bucket it would fall into.
    beyond: Vec<Entry<T>>,
    beyond_from: u64,
    /// The bucket that went into the heap: whatever falls into it or before it goes there too.
    reached: u64,
    put: u64,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    nth: u64,
    what: T,
}

/// The length of a bucket as a power of two of nanoseconds: 67 ms.
const BUCKET: u32 = 26;
/// The most buckets: an hour and a quarter.
const BUCKETS: usize = 1 << 16;

impl<T> Agenda<T> {
    /// Nothing to do.
    pub fn new() -> Self {
        Self {
            near: BinaryHeap::new(),
            far: VecDeque::new(),
            beyond: Vec::new(),
            beyond_from: u64::MAX,
            reached: 0,
            put: 0,
            len: 0,
        }
    }

    /// Put in something to do at a time, which may lie in the past: then it is due at once.
    pub fn put(&mut self, at: Timestamp, what: T) {
        let at = nanos(at);
        let entry = Entry { at, nth: self.put, what };
        self.put += 1;
        self.len += 1;
        self.file(entry);
    }

    fn file(&mut self, entry: Entry<T>) {
        let bucket = entry.at >> BUCKET;
        match usize::try_from(bucket.saturating_sub(self.reached)).unwrap_or(usize::MAX) {
            0 => self.near.push(entry),
            ahead if ahead > BUCKETS => {
                self.beyond_from = self.beyond_from.min(bucket);
                self.beyond.push(entry);
            }
            ahead => {
                if self.far.len() < ahead {
                    self.far.resize_with(ahead, Vec::new);
                }
                self.far[ahead - 1].push(entry);
            }
        }
    }

    /// When the next thing is due.
    pub fn next_at(&mut self) -> Option<Timestamp> {
        self.come_nearer();
        self.near.peek().map(|entry| Timestamp::after(std::time::Duration::from_nanos(entry.at)))
    }

    /// Take out the next thing, due or not.
    pub fn take(&mut self) -> Option<T> {
        self.come_nearer();
        let entry = self.near.pop()?;
        self.len -= 1;
        Some(entry.what)
    }

    /// How many things there are to do.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn come_nearer(&mut self) {
        while self.near.is_empty() && self.len > 0 {
            match self.far.pop_front() {
                Some(entries) => {
                    self.near = BinaryHeap::from(entries);
                    self.reach(self.reached + 1);
                }
                None => self.reach(self.beyond_from),
            }
        }
    }

    /// Go on to a bucket, and file what lay beyond the last one and does no longer.
    fn reach(&mut self, bucket: u64) {
        self.reached = bucket;
        if self.beyond_from <= bucket.saturating_add(BUCKETS as u64) {
            self.beyond_from = u64::MAX;
            std::mem::take(&mut self.beyond).into_iter().for_each(|entry| self.file(entry));
        }
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.since_start().as_nanos()).unwrap_or(u64::MAX)
}

impl<T> Ord for Entry<T> {
    /// Earliest first, as a heap of the greatest needs it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.nth).cmp(&(self.at, self.nth))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> Timestamp {
        Timestamp::after(Duration::from_millis(ms))
    }

    #[test]
    fn things_come_out_in_the_order_of_time_and_then_of_putting_in() {
        let mut agenda = Agenda::new();
        let mut random = Random::new(1);
        let mut expected = Vec::new();
        let mut came = Vec::new();
        let mut now = 0;
        for nth in 0..20_000_u64 {
            let far = [50, 40_000, 20_000_000][usize::from(nth % 7 == 0) + usize::from(nth % 49 == 0)];
            let due = now + random.below(far);
            agenda.put(at(due), (due, nth));
            expected.push((due, nth));
            if nth % 2 == 1 {
                assert!(agenda.next_at() >= Some(at(now)), "time goes forward");
                let next = agenda.take().expect("more came in than went out");
                now = next.0;
                came.push(next);
            }
        }
        came.extend(std::iter::from_fn(|| agenda.take()));
        assert!(agenda.is_empty());
        assert!(came.windows(2).all(|two| two[0] < two[1]), "sorted by time, then by number");
        came.sort_unstable();
        expected.sort_unstable();
        assert_eq!(came, expected, "nothing is lost");
    }

    #[test]
    fn what_is_overdue_is_next() {
        let mut agenda = Agenda::new();
        agenda.put(at(10_000), "later");
        agenda.put(at(5_000), "first");
        assert_eq!((agenda.next_at(), agenda.take()), (Some(at(5_000)), Some("first")));
        agenda.put(at(1), "overdue");
        assert_eq!((agenda.take(), agenda.take(), agenda.take()), (Some("overdue"), Some("later"), None));
    }
}
