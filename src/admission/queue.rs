//! Whose turn it is: those who wait, oldest first within a class.
//!
//! One slab holds every waiter of the domain; a [`Line`] per product and class links them. Joining,
//! leaving from the middle and taking the front are each a few writes, whatever the length; the slab
//! grows to the most that ever waited and is then reused.

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
    pub(crate) until: Timestamp,
}

/// Every waiter of a domain.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slots: Vec<Slot>,
    free: u32,
    len: u32,
    /// Those who asked for more than one seat.
    several: u32,
}

/// One product's waiters of one class, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    front: u32,
    back: u32,
    len: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    // Neighbours in the line; `next` is the next free slot when nobody is here.
    previous: u32,
    next: u32,
    waiter: Option<Waiter>,
}

const NONE: u32 = u32::MAX;

impl Default for Line {
    fn default() -> Self {
        Line { front: NONE, back: NONE, len: 0 }
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
        Waiters { slots: Vec::new(), free: NONE, len: 0, several: 0 }
    }

    /// How many wait in the whole domain.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Whether anybody waits for more than one seat.
    pub(crate) fn any_wants_several(&self) -> bool {
        self.several > 0
    }

    /// Join the back of `line`.
    pub(crate) fn join(&mut self, line: &mut Line, waiter: Waiter) -> Place {
        self.several += u32::from(waiter.arrival.seats > ONE_SEAT);
        let index = self.take_slot();
        let slot = &mut self.slots[index as usize];
        slot.waiter = Some(waiter);
        slot.previous = line.back;
        slot.next = NONE;
        let generation = slot.generation;
        match line.back {
            NONE => line.front = index,
            back => self.slots[back as usize].next = index,
        }
        line.back = index;
        line.len += 1;
        self.len += 1;
        Place { index, generation }
    }

    /// Who waits at `place`, if they still do.
    pub(crate) fn get(&self, place: Place) -> Option<&Waiter> {
        let slot = self.slots.get(place.slot())?;
        slot.waiter.as_ref().filter(|_| slot.generation == place.generation)
    }

    /// The oldest in `line`.
    pub(crate) fn front(&self, line: &Line) -> Option<&Waiter> {
        self.slots.get(line.front as usize)?.waiter.as_ref()
    }

    /// The youngest in `line`.
    pub(crate) fn back(&self, line: &Line) -> Option<&Waiter> {
        self.slots.get(line.back as usize)?.waiter.as_ref()
    }

    /// Those in `line`, oldest first.
    pub(crate) fn in_line(&self, line: &Line) -> impl Iterator<Item = (Place, &Waiter)> {
        let mut next = line.front;
        std::iter::from_fn(move || {
            let slot = self.slots.get(next as usize)?;
            let place = Place { index: next, generation: slot.generation };
            next = slot.next;
            Some((place, slot.waiter.as_ref()?))
        })
    }

    /// Take the oldest out of `line`.
    pub(crate) fn take_front(&mut self, line: &mut Line) -> Option<(Place, Waiter)> {
        let index = line.front;
        let slot = self.slots.get(index as usize)?;
        let place = Place { index, generation: slot.generation };
        self.take(line, place).map(|waiter| (place, waiter))
    }

    /// Take the youngest out of `line`.
    pub(crate) fn take_back(&mut self, line: &mut Line) -> Option<(Place, Waiter)> {
        let index = line.back;
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
        let (previous, next) = (slot.previous, slot.next);
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
        line.len -= 1;
        self.len -= 1;
        self.several -= u32::from(waiter.arrival.seats > ONE_SEAT);
        debug_assert_eq!(line.front == NONE, line.len == 0);
        Some(waiter)
    }

    fn take_slot(&mut self) -> u32 {
        match self.free {
            NONE => {
                let index = self.slots.len() as u32;
                self.slots.push(Slot { generation: 0, previous: NONE, next: NONE, waiter: None });
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
        Waiter { arrival, until: at(until_ms) }
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
    fn memory_is_bounded_by_the_most_that_ever_waited() {
        let (mut waiters, mut line) = (Waiters::new(), Line::default());
        for round in 0..1000 {
            let place = waiters.join(&mut line, somebody(round));
            waiters.take(&mut line, place);
        }
        assert_eq!(waiters.slots.len(), 1);
    }
}
