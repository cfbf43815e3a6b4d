//! What customers hold, and when it ends.
//!
//! Entries stand in one slab and are found by customer. When each ends is looked at by a wheel of seconds: an entry lies
//! in the second in which it may end, and when that comes it is either over or has been renewed meanwhile, and is put
//! where it may end now. So renewing costs one write, and clearing away a few looks a call, however many there are.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::super::Timestamp;
use super::super::customers::AlreadyHashed;

/// What a customer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Pass {
        since: Timestamp,
    },
    /// A promised turn's number, and whether a request that has it waits at the door.
    Turn {
        number: u64,
        here: bool,
    },
}

impl Holding {
    /// Of two things of one customer, whether this is the one to keep.
    pub(super) fn counts_more_than(self, other: Holding) -> bool {
        match (self, other) {
            (Holding::Pass { since }, Holding::Pass { since: other }) => since < other,
            (Holding::Turn { number, .. }, Holding::Turn { number: other, .. }) => number < other,
            (Holding::Pass { .. }, Holding::Turn { .. }) => true,
            (Holding::Turn { .. }, Holding::Pass { .. }) => false,
        }
    }
}

/// An entry; what lies in the same second is linked by `next`, as are free ones.
#[derive(Debug)]
pub(super) struct Entry {
    key: u64,
    pub(super) holding: Holding,
    /// It is over from then on.
    pub(super) until: Timestamp,
    next: u32,
}

impl Entry {
    pub(super) fn key(&self) -> u64 {
        self.key
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Book {
    index: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    entries: Vec<Entry>,
    most: usize,
    free: u32,
    wheel: Box<[u32]>,
    /// The second that is looked at.
    second: u64,
}

/// What one look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// There is nothing to look at before the next second.
    Nothing,
    /// An entry that goes on, or whose place is free again.
    Kept,
    /// This is over.
    Ended(Holding),
}

const NONE: u32 = u32::MAX;
/// Seconds; what ends later is looked at once more on the way.
const WHEEL: u64 = 1024;
const HELD: &str = "what is in the index stands in the slab";

impl Book {
    /// For `most` customers, with room for them from the start: growing would be paid for by one request under the lock.
    /// (Room is memory once it is written to.)
    pub(super) fn new(most: usize, now: Timestamp) -> Book {
        Book {
            // Twice as much, as who goes leaves a mark behind where it is tight, and marks take room.
            index: HashMap::with_capacity_and_hasher(
                most.saturating_mul(2).min(1 << 24),
                BuildHasherDefault::default(),
            ),
            entries: Vec::with_capacity(most.min(1 << 24)),
            most,
            free: NONE,
            wheel: vec![NONE; WHEEL as usize].into_boxed_slice(),
            second: second(now),
        }
    }

    /// Room for `most` from now on. Those who are in it stay, and when that is fewer nobody new comes in meanwhile.
    pub(super) fn has_room_for(&mut self, most: usize) {
        self.most = most;
        self.index.reserve(most.saturating_mul(2).min(1 << 24).saturating_sub(self.index.len()));
        self.entries.reserve(most.min(1 << 24).saturating_sub(self.entries.len()));
    }

    /// What `key` holds, unless that is over.
    pub(super) fn get_mut(&mut self, key: u64, now: Timestamp) -> Option<&mut Entry> {
        let at = *self.index.get(&key)?;
        Some(&mut self.entries[at as usize]).filter(|entry| entry.until > now)
    }

    /// What is put down for `key`, over or not.
    pub(super) fn get(&self, key: u64) -> Option<&Entry> {
        self.entries.get(*self.index.get(&key)? as usize)
    }

    /// All that is not over.
    pub(super) fn all(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        let entries = self.index.values().map(|at| &self.entries[*at as usize]);
        entries.filter(move |entry| entry.until > now)
    }

    /// `key` holds this until then. False when there is no room. What it held before must be over.
    pub(super) fn put(&mut self, key: u64, holding: Holding, until: Timestamp) -> bool {
        // What is over and not cleared away yet is somebody's turn still: they have it no longer, and it is cleared
        // away under nobody's name.
        self.index.remove(&key);
        let at = match self.free {
            NONE if self.entries.len() >= self.most => return false,
            NONE => {
                self.entries.push(Entry { key, holding, until, next: NONE });
                (self.entries.len() - 1) as u32
            }
            at => {
                let entry = &mut self.entries[at as usize];
                self.free = entry.next;
                *entry = Entry { key, holding, until, next: NONE };
                at
            }
        };
        self.index.insert(key, at);
        self.lay(at);
        true
    }

    /// `key` holds nothing any more, and whoever calls has accounted for it.
    pub(super) fn remove(&mut self, key: u64) {
        let at = self.index.remove(&key).expect(HELD);
        // It lies in the wheel still.
        self.entries[at as usize].until = Timestamp::NEVER;
    }

    /// Look at one entry that may have ended.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Swept {
        let today = second(now);
        // One round sees every entry.
        self.second = self.second.max(today.saturating_sub(WHEEL));
        while self.wheel[(self.second % WHEEL) as usize] == NONE {
            if self.second >= today {
                return Swept::Nothing;
            }
            self.second += 1;
        }
        if self.second >= today {
            return Swept::Nothing;
        }
        let slot = (self.second % WHEEL) as usize;
        let at = self.wheel[slot];
        let entry = &self.entries[at as usize];
        self.wheel[slot] = entry.next;
        let (until, key, holding) = (entry.until, entry.key, entry.holding);
        if until == Timestamp::NEVER {
            self.give_back(at);
            return Swept::Kept;
        }
        if until > now {
            self.lay(at);
            return Swept::Kept;
        }
        if self.index.get(&key) == Some(&at) {
            self.index.remove(&key);
        }
        self.give_back(at);
        Swept::Ended(holding)
    }

    /// Into the second in which it may end, or as far ahead as the wheel goes.
    fn lay(&mut self, at: u32) {
        let ends = second(self.entries[at as usize].until);
        let slot = ends.clamp(self.second + 1, self.second + WHEEL - 1) % WHEEL;
        self.entries[at as usize].next = self.wheel[slot as usize];
        self.wheel[slot as usize] = at;
    }

    fn give_back(&mut self, at: u32) {
        self.entries[at as usize].next = self.free;
        self.free = at;
    }
}

fn second(at: Timestamp) -> u64 {
    at.since_start().as_secs()
}

#[cfg(test)]
mod tests {
    use super::super::super::time::at;
    use super::*;

    const NOTHING: [u64; 0] = [];

    fn turn(number: u64) -> Holding {
        Holding::Turn { number, here: false }
    }

    fn s(seconds: u64) -> Timestamp {
        at(seconds * 1_000)
    }

    /// Everything that has ended, in the order in which it is found.
    fn ended(book: &mut Book, now: Timestamp) -> Vec<u64> {
        let mut ended = Vec::new();
        loop {
            match book.sweep(now) {
                Swept::Nothing => return ended,
                Swept::Kept => {}
                Swept::Ended(Holding::Turn { number, .. }) => ended.push(number),
                Swept::Ended(holding) => panic!("{holding:?}"),
            }
        }
    }

    #[test]
    fn what_is_renewed_goes_on_and_what_is_not_ends_once() {
        let mut book = Book::new(10, s(0));
        for number in 0..4 {
            assert!(book.put(number, turn(number), s(10 + number)));
        }
        book.get_mut(1, s(5)).expect("it stands").until = s(5_000);
        assert_eq!(ended(&mut book, s(9)), NOTHING);
        assert!(book.get_mut(0, s(10)).is_none(), "over, whether it was cleared away or not");
        assert_eq!(ended(&mut book, s(60)), [0, 2, 3]);
        assert_eq!(ended(&mut book, s(4_999)), NOTHING);
        assert!(book.get_mut(1, s(4_999)).is_some());
        assert_eq!(ended(&mut book, s(5_001)), [1]);
        assert_eq!(ended(&mut book, s(50_000)), NOTHING);
        assert!(book.index.is_empty());
    }

    #[test]
    fn there_is_room_again_when_something_has_ended() {
        let mut book = Book::new(3, s(0));
        for number in 0..3 {
            assert!(book.put(number, turn(number), s(5)));
        }
        assert!(!book.put(9, turn(9), s(5)));
        assert_eq!(ended(&mut book, s(7)).len(), 3);
        assert!(book.put(9, turn(9), s(20)));
        book.remove(9);
        assert!(book.get_mut(9, s(8)).is_none());
        assert_eq!(ended(&mut book, s(2_000)), NOTHING, "what was taken away has not ended");
        assert_eq!((book.entries.len(), book.index.len()), (3, 0));
    }

    #[test]
    fn who_comes_again_before_the_old_is_cleared_away_has_the_new_and_the_old_ends_too() {
        let mut book = Book::new(3, s(0));
        assert!(book.put(7, turn(1), s(5)));
        assert!(book.get_mut(7, s(6)).is_none());
        assert!(book.put(7, turn(2), s(60)));
        assert_eq!(ended(&mut book, s(30)), [1]);
        assert!(book.get_mut(7, s(30)).is_some_and(|entry| entry.holding == turn(2)));
    }
}
