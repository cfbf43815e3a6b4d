//! One place of work: a few seats, a line in front of them, and a bend in its speed when the line is long.

use std::collections::VecDeque;
use std::time::Duration;

use super::JobId;

/// How work slows as it piles up: not at all up to `easy` waiting, then evenly, up to four times at `piled`.
///
/// This is lock contention, cache misses, paging and garbage collection in one straight line. It is what makes the
/// collapse real: a plant without it serves as many as ever, only the wrong ones.
#[derive(Debug, Clone, Copy)]
pub struct Bend {
    /// So many may wait at no cost.
    pub easy: usize,
    /// From so many on everything takes [`SLOWEST`] times as long.
    pub piled: usize,
}

/// The most a bend may slow a station, in thousandths of its warm service time.
pub const SLOWEST: u64 = 4_000;

impl Bend {
    /// The factor on service times with so many waiting, in thousandths.
    pub fn permille(self, waiting: usize) -> u64 {
        let over = waiting.saturating_sub(self.easy) as u64;
        let room = self.piled.saturating_sub(self.easy).max(1) as u64;
        (1_000 + (SLOWEST - 1_000) * over / room).min(SLOWEST)
    }

    /// A warm service time as it turns out with so many waiting.
    pub fn stretch(self, warm: Duration, waiting: usize) -> Duration {
        let nanos = warm.as_nanos() * u128::from(self.permille(waiting)) / 1_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Seats and the line in front of them, first come first served. It does not know how long work takes.
#[derive(Debug)]
pub(super) struct Station {
    seats: usize,
    busy: usize,
    line: VecDeque<JobId>,
}

impl Station {
    pub(super) fn new(seats: usize) -> Self {
        Self { seats, busy: 0, line: VecDeque::new() }
    }

    /// Takes a seat, or a place in the line. True when the job may begin at once.
    pub(super) fn enter(&mut self, job: JobId) -> bool {
        if self.busy < self.seats {
            self.busy += 1;
            return true;
        }
        self.line.push_back(job);
        false
    }

    /// Gives a seat back; the first in line takes it over and is returned.
    pub(super) fn leave(&mut self) -> Option<JobId> {
        debug_assert!(self.busy > 0, "a seat is given back once");
        let next = self.line.pop_front();
        if next.is_none() {
            self.busy -= 1;
        }
        debug_assert!(self.busy == self.seats || self.line.is_empty(), "nobody waits beside a free seat");
        next
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_first_come_first_served_and_seats_are_never_exceeded() {
        let mut station = Station::new(2);
        assert!(station.enter(1) && station.enter(2));
        assert!(!station.enter(3) && !station.enter(4));
        assert_eq!((station.busy(), station.waiting()), (2, 2));
        assert_eq!(station.leave(), Some(3));
        assert_eq!(station.leave(), Some(4));
        assert_eq!(station.leave(), None);
        assert_eq!(station.busy(), 1);
    }

    #[test]
    fn work_slows_as_it_piles_up_and_never_beyond_four_times() {
        let bend = Bend { easy: 10, piled: 310 };
        let warm = Duration::from_millis(10);
        assert_eq!(bend.stretch(warm, 0), warm);
        assert_eq!(bend.stretch(warm, 10), warm);
        assert_eq!(bend.stretch(warm, 110), warm * 2);
        assert_eq!(bend.stretch(warm, 310), warm * 4);
        assert_eq!(bend.stretch(warm, 100_000), warm * 4);
    }
}
