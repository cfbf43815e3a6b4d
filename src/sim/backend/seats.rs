//! So many at a time: seats, a line in front of them, and service that slows as work piles up.

use std::time::Duration;

use super::Bend;
use super::agenda::Agenda;
use super::jobs::{Jobs, Line};

/// The most a bend may slow a station, in thousandths of its unhindered service time.
pub const SLOWEST: u64 = 4_000;

impl Bend {
    /// A bend that never slows anything.
    pub const NONE: Bend = Bend { easy: usize::MAX, piled: usize::MAX };

    /// The factor on service times with so much piled up, in thousandths.
    pub fn permille(self, pile: usize) -> u64 {
        let over = pile.saturating_sub(self.easy) as u64;
        let room = self.piled.saturating_sub(self.easy).max(1) as u64;
        let slowed = (SLOWEST - 1_000).saturating_mul(over) / room;
        slowed.saturating_add(1_000).min(SLOWEST)
    }

    /// A service time as it turns out with so much piled up.
    pub fn stretch(self, unhindered: Duration, pile: usize) -> Duration {
        let nanos = unhindered.as_nanos() * u128::from(self.permille(pile)) / 1_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Seats and the line in front of them. Times are nanoseconds of the station's own clock.
#[derive(Debug)]
pub(super) struct Seats {
    pub(super) seats: usize,
    pub(super) line: Line,
    busy: usize,
    /// By the time at which they are done.
    agenda: Agenda,
}

impl Seats {
    pub(super) fn new(seats: usize) -> Seats {
        Seats { seats, line: Line::new(), busy: 0, agenda: Agenda::default() }
    }

    /// Whether one more may be worked on. When seats were lost, what is being done on them is done first.
    pub(super) fn has_room(&self) -> bool {
        self.busy < self.seats
    }

    pub(super) fn begin(&mut self, slot: u32, until: u64, jobs: &Jobs) {
        debug_assert!(self.has_room(), "seats are never exceeded");
        self.busy += 1;
        self.agenda.push(until, slot, jobs);
    }

    /// When the next will be done.
    pub(super) fn next(&self) -> Option<u64> {
        self.agenda.first()
    }

    /// Takes out the one that is done first.
    pub(super) fn pop(&mut self, jobs: &mut Jobs) -> Option<u32> {
        let slot = self.agenda.pop(jobs)?;
        self.busy -= 1;
        Some(slot)
    }

    /// Takes out one that is not done.
    pub(super) fn remove(&mut self, slot: u32, jobs: &mut Jobs) {
        self.agenda.take_back(slot, jobs);
        self.busy -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_slows_as_it_piles_up_and_never_beyond_four_times() {
        let bend = Bend { easy: 10, piled: 310 };
        let unhindered = Duration::from_millis(10);
        assert_eq!(bend.stretch(unhindered, 0), unhindered);
        assert_eq!(bend.stretch(unhindered, 10), unhindered);
        assert_eq!(bend.stretch(unhindered, 110), unhindered * 2);
        assert_eq!(bend.stretch(unhindered, 310), unhindered * 4);
        assert_eq!(bend.stretch(unhindered, usize::MAX), unhindered * 4);
        assert_eq!(Bend::NONE.stretch(unhindered, usize::MAX), unhindered);
    }
}
