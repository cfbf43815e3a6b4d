//! Whose turn it is: those who wait, oldest first within a rank, or in the order that their turns have.
//!
//! One slab holds every waiter of the domain; a [`Line`] per product and rank links them. Joining,
//! leaving from the middle and taking the front are each a few writes, whatever the length; the slab
//! grows to the most that ever waited and is then reused.
//!
//! A line is linked twice: in the order in which its waiters have their turn, and in the order in which they joined it,
//! which is the one in which they have waited too long.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::customers::AlreadyHashed;
use super::rank::Rank;
use super::{Arrival, ONE_SEAT, Timestamp};

/// A place in the queue. Stale places (served, expired, left) are recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    index: u32,
    generation: u32,
}

impl Place {
    /// Where a driver may keep what belongs to this waiter: unique among those who wait now, and never
    /// larger than the most that ever waited.
    pub fn slot(self) -> usize {
        self.index as usize
    }
}

/// Somebody who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) arrival: Arrival,
    pub(crate) rank: Rank,
    /// Of two in a line, whose is the lesser goes first, and of equals who came first.
    pub(crate) turn: u64,
    pub(crate) until: Timestamp,
    /// What it is, to know it again by; 0 when nobody has said.
    pub(crate) name: u64,
}

/// Every waiter of a domain.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slots: Vec<Slot>,
    free: u32,
    len: u32,
    /// Those who asked for more than one seat.
    several: u32,
    /// Those who may be served from a reserve.
    with_reserve: u32,
    /// Those that have a name, by it.
    named: HashMap<u64, Place, BuildHasherDefault<AlreadyHashed>>,
}

/// One product's waiters of one rank, in the order of their turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    front: u32,
    back: u32,
    oldest: u32,
    youngest: u32,
    len: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    // Neighbours in the line; `next` is the next free slot when nobody is here.
    previous: u32,
    next: u32,
    // Those who joined the line before and after.
    older: u32,
    younger: u32,
    waiter: Option<Waiter>,
}

const NONE: u32 = u32::MAX;
/// So many of a line are looked past from an end for one's place in it.
const LOOKED_PAST: usize = 256;

impl Default for Line {
    fn default() -> Self {
        Line { front: NONE, back: NONE, oldest: NONE, youngest: NONE, len: 0 }
    }
}

impl Line {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        Waiters { slots: Vec::new(), free: NONE, len: 0, several: 0, with_reserve: 0, named: HashMap::default() }
    }

    /// How many wait in the whole domain.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Whether anybody waits for more than one seat.
    pub(crate) fn any_wants_several(&self) -> bool {
        self.several > 0
    }

    /// Whether anybody waits who may be served from their product's reserve.
    pub(crate) fn any_has_reserve(&self) -> bool {
        self.with_reserve > 0
    }

    /// Join `line`, where one's turn is: behind all whose turn is not later. From either end one looks past so many and no
    /// more, so whoever belongs in the middle of a very long line comes as near to its front as was looked.
    pub(crate) fn join(&mut self, line: &mut Line, waiter: Waiter) -> Place {
        self.several += u32::from(waiter.arrival.seats > ONE_SEAT);
        self.with_reserve += u32::from(waiter.arrival.class.passes_in_every_state());
        let behind = self.who_is_before(line, waiter.turn);
        let index = self.take_slot();
        let before = match behind {
            NONE => std::mem::replace(&mut line.front, index),
            behind => std::mem::replace(&mut self.slots[behind as usize].next, index),
        };
        match before {
            NONE => line.back = index,
            before => self.slots[before as usize].previous = index,
        }
        match line.youngest {
            NONE => line.oldest = index,
            youngest => self.slots[youngest as usize].younger = index,
        }
        let slot = &mut self.slots[index as usize];
        slot.waiter = Some(waiter);
        (slot.previous, slot.next) = (behind, before);
        (slot.older, slot.younger) = (line.youngest, NONE);
        line.youngest = index;
        line.len += 1;
        self.len += 1;
        Place { index, generation: slot.generation }
    }

    /// Behind whom somebody with this turn joins a line; nobody when they come first.
    fn who_is_before(&self, line: &Line, turn: u64) -> u32 {
        let is_later = |index: u32| self.slots[index as usize].waiter.is_some_and(|waiter| waiter.turn > turn);
        let mut behind = line.back;
        for _ in 0..LOOKED_PAST {
            if behind == NONE || !is_later(behind) {
                return behind;
            }
            behind = self.slots[behind as usize].previous;
        }
        let (mut behind, mut before) = (NONE, line.front);
        for _ in 0..LOOKED_PAST {
            if before == NONE || is_later(before) {
                return behind;
            }
            (behind, before) = (before, self.slots[before as usize].next);
        }
        behind
    }

    /// What the request at `place` is known by from now on: the latest of that name is found by it.
    pub(crate) fn name(&mut self, place: Place, name: u64) {
        let Some(slot) = self.slots.get_mut(place.slot()).filter(|slot| slot.generation == place.generation) else {
            return;
        };
        if let Some(waiter) = slot.waiter.as_mut().filter(|waiter| waiter.name == 0 && name != 0) {
            waiter.name = name;
            self.named.insert(name, place);
        }
    }

    /// Where a request of that name waits.
    pub(crate) fn named(&self, name: u64) -> Option<(Place, &Waiter)> {
        let place = *self.named.get(&name)?;
        Some((place, self.get(place)?))
    }

    /// Another request for the same waits at `place` from now on, and has what is left of the wait of the one that did.
    pub(crate) fn renew(&mut self, place: Place) -> Option<Place> {
        let slot = self.slots.get_mut(place.slot()).filter(|slot| slot.generation == place.generation)?;
        let name = slot.waiter.as_ref()?.name;
        slot.generation = slot.generation.wrapping_add(1);
        let renewed = Place { generation: slot.generation, ..place };
        self.named.insert(name, renewed);
        Some(renewed)
    }

    /// Who waits at `place`, if they still do.
    pub(crate) fn get(&self, place: Place) -> Option<&Waiter> {
        let slot = self.slots.get(place.slot())?;
        slot.waiter.as_ref().filter(|_| slot.generation == place.generation)
    }

    /// Whoever has waited longest in `line`.
    pub(crate) fn oldest(&self, line: &Line) -> Option<&Waiter> {
        self.slots.get(line.oldest as usize)?.waiter.as_ref()
    }

    /// Whoever is first in `line`.
    pub(crate) fn front(&self, line: &Line) -> Option<&Waiter> {
        self.slots.get(line.front as usize)?.waiter.as_ref()
    }

    /// Whoever is last in `line`.
    pub(crate) fn back(&self, line: &Line) -> Option<&Waiter> {
        self.slots.get(line.back as usize)?.waiter.as_ref()
    }

    /// Those in `line`, in the order of their turns.
    pub(crate) fn in_line(&self, line: &Line) -> impl Iterator<Item = (Place, &Waiter)> {
        let mut next = line.front;
        std::iter::from_fn(move || {
            let slot = self.slots.get(next as usize)?;
            let place = Place { index: next, generation: slot.generation };
            next = slot.next;
            Some((place, slot.waiter.as_ref()?))
        })
    }

    /// Take the first out of `line`.
    pub(crate) fn take_front(&mut self, line: &mut Line) -> Option<(Place, Waiter)> {
        self.take_at(line, line.front)
    }

    /// Take the last out of `line`.
    pub(crate) fn take_back(&mut self, line: &mut Line) -> Option<(Place, Waiter)> {
        self.take_at(line, line.back)
    }

    /// Take whoever has waited longest out of `line`.
    pub(crate) fn take_oldest(&mut self, line: &mut Line) -> Option<(Place, Waiter)> {
        self.take_at(line, line.oldest)
    }

    fn take_at(&mut self, line: &mut Line, index: u32) -> Option<(Place, Waiter)> {
        let slot = self.slots.get(index as usize)?;
        let place = Place { index, generation: slot.generation };
        self.take(line, place).map(|waiter| (place, waiter))
    }

    /// Take whoever waits at `place` out of `line`, the line they joined.
    pub(crate) fn take(&mut self, line: &mut Line, place: Place) -> Option<Waiter> {
        let slot = self.slots.get_mut(place.slot())?;
        if slot.generation != place.generation {
            return None;
        }
        let waiter = slot.waiter.take()?;
        let (previous, next, older, younger) = (slot.previous, slot.next, slot.older, slot.younger);
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.free;
        self.free = place.index;
        match previous {
            NONE => line.front = next,
            previous => self.slots[previous as usize].next = next,
        }
        match next {
            NONE => line.back = previous,
            next => self.slots[next as usize].previous = previous,
        }
        match older {
            NONE => line.oldest = younger,
            older => self.slots[older as usize].younger = younger,
        }
        match younger {
            NONE => line.youngest = older,
            younger => self.slots[younger as usize].older = older,
        }
        if waiter.name != 0 && self.named.get(&waiter.name) == Some(&place) {
            self.named.remove(&waiter.name);
        }
        line.len -= 1;
        self.len -= 1;
        self.several -= u32::from(waiter.arrival.seats > ONE_SEAT);
        self.with_reserve -= u32::from(waiter.arrival.class.passes_in_every_state());
        debug_assert_eq!(line.front == NONE, line.len == 0);
        Some(waiter)
    }

    fn take_slot(&mut self) -> u32 {
        match self.free {
            NONE => {
                let index = self.slots.len() as u32;
                self.slots.push(Slot {
                    generation: 0,
                    previous: NONE,
                    next: NONE,
                    older: NONE,
                    younger: NONE,
                    waiter: None,
                });
                index
            }
            index => {
                self.free = self.slots[index as usize].next;
                index
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::at;
    use super::super::{Class, Customer, ProductId};
    use super::*;

    fn somebody(until_ms: u64) -> Waiter {
        let (product, class, customer) = (ProductId(0), Class::Start, Customer::Account(until_ms));
        let arrival = Arrival { product, class, customer, event: None, seats: ONE_SEAT };
        Waiter { arrival, rank: Rank::NewStart, turn: 0, until: at(until_ms), name: 0 }
    }

    #[test]
    fn the_oldest_goes_first_and_leavers_are_passed_over() {
        let (mut waiters, mut line) = (Waiters::new(), Line::default());
        let places: Vec<Place> = (0..5).map(|ms| waiters.join(&mut line, somebody(ms))).collect();
        assert!(waiters.take(&mut line, places[0]).is_some());
        assert!(waiters.take(&mut line, places[2]).is_some());
        assert!(waiters.take(&mut line, places[4]).is_some());
        let order: Vec<_> = std::iter::from_fn(|| waiters.take_front(&mut line)).map(|(_, w)| w.until).collect();
        assert_eq!(order, [at(1), at(3)]);
        assert!(line.is_empty());
        assert_eq!(waiters.len(), 0);
    }

    #[test]
    fn a_stale_place_finds_nobody_even_when_its_slot_is_taken_again() {
        let (mut waiters, mut line) = (Waiters::new(), Line::default());
        let old = waiters.join(&mut line, somebody(1));
        assert!(waiters.take(&mut line, old).is_some());
        let new = waiters.join(&mut line, somebody(2));
        assert_eq!(old.slot(), new.slot());
        assert!(waiters.get(old).is_none());
        assert!(waiters.take(&mut line, old).is_none());
        assert_eq!(waiters.get(new).map(|w| w.until), Some(at(2)));
    }

    #[test]
    fn turns_are_in_order_whoever_joins_when_and_the_oldest_is_who_has_waited_longest() {
        let (mut waiters, mut line) = (Waiters::new(), Line::default());
        let turns = [5, 3, 9, 3, 1, 7, 9, 2];
        let join = |waiters: &mut Waiters, line: &mut Line, (at, turn): (usize, &u64)| {
            waiters.join(line, Waiter { turn: *turn, ..somebody(at as u64) })
        };
        let places: Vec<Place> = turns.iter().enumerate().map(|one| join(&mut waiters, &mut line, one)).collect();
        waiters.take(&mut line, places[0]);
        assert_eq!(waiters.oldest(&line).map(|waiter| waiter.until), Some(at(1)));
        let in_line: Vec<_> = waiters.in_line(&line).map(|(_, w)| (w.turn, w.until)).collect();
        assert_eq!(in_line, [(1, at(4)), (2, at(7)), (3, at(1)), (3, at(3)), (7, at(5)), (9, at(2)), (9, at(6))]);
        let by_age: Vec<_> = std::iter::from_fn(|| waiters.take_oldest(&mut line)).map(|(_, w)| w.until).collect();
        assert_eq!(by_age, [1, 2, 3, 4, 5, 6, 7].map(at));
        assert!(line.is_empty() && line.front == NONE && line.back == NONE);
    }

    #[test]
    fn who_belongs_in_the_middle_of_a_very_long_line_comes_no_later_than_was_looked() {
        let (mut waiters, mut line) = (Waiters::new(), Line::default());
        for turn in 0..1_000 {
            waiters.join(&mut line, Waiter { turn, ..somebody(turn) });
        }
        waiters.join(&mut line, Waiter { turn: 500, ..somebody(9_999) });
        let place = waiters.in_line(&line).position(|(_, waiter)| waiter.until == at(9_999));
        assert_eq!(place, Some(LOOKED_PAST));
    }

    #[test]
    fn memory_is_bounded_by_the_most_that_ever_waited() {
        let (mut waiters, mut line) = (Waiters::new(), Line::default());
        for round in 0..1000 {
            let place = waiters.join(&mut line, somebody(round));
            waiters.take(&mut line, place);
        }
        assert_eq!(waiters.slots.len(), 1);
    }
}
