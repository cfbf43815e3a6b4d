//! What a product may borrow beyond its guarantee, earned by giving back in time.
//!
//! A borrowed seat comes back when its request ends, and not before: it cannot be called in. In the incident that taught
//! this (`scenarios/S7-casino-hangs.toml`) a casino that hung borrowed the idle seats of an account service and held each of
//! them until its time-out, eight seconds, while those to whom they were owed turned their customers away.
//!
//! So credit grows as the window of a connection does (Jacobson: "Congestion avoidance and control", 1988): a product that
//! is at its credit gains a seat for each that comes back in time, which doubles it with every service time; each
//! that comes back late costs one; and what has not been needed for a while is halved.

use std::time::Duration;

use super::Timestamp;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    seats: u32,
    /// When all of it was last in use, or what was not needed was last taken off.
    needed_at: Timestamp,
}

/// Lent on trust, before anything is known.
const ON_TRUST: u32 = 1;
/// More than any limit has.
const MOST: u32 = 1 << 20;
/// What has not been needed for so long is halved.
const UNUSED: Duration = Duration::from_secs(1);

impl Default for Credit {
    fn default() -> Self {
        Credit { seats: ON_TRUST, needed_at: Timestamp::ZERO }
    }
}

impl Credit {
    #[cfg(test)]
    pub(super) fn boundless() -> Credit {
        Credit { seats: MOST, needed_at: Timestamp::NEVER }
    }

    /// Seats that may be borrowed.
    pub(super) fn seats(&self) -> u32 {
        self.seats
    }

    /// So many seats come back, `in_time` or not; `borrowed` were out until now, they included.
    pub(super) fn returned(&mut self, seats: u32, borrowed: u32, in_time: bool, now: Timestamp) {
        if !in_time {
            self.seats = self.seats.saturating_sub(seats).max(ON_TRUST);
        } else if borrowed + seats > self.seats {
            self.seats = (self.seats + seats).min(MOST);
            self.needed_at = now;
        } else if now.since(self.needed_at) >= UNUSED {
            self.seats = (self.seats / 2).max(borrowed).max(ON_TRUST);
            self.needed_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::time::at;
    use super::*;

    /// All that is borrowed comes back once, `in_time` or not, and is borrowed again.
    fn turn(credit: &mut Credit, in_time: bool, ms: u64) {
        for borrowed in (1..=credit.seats()).rev() {
            credit.returned(1, borrowed.max(credit.seats()), in_time, at(ms));
        }
    }

    #[test]
    fn credit_doubles_with_each_service_time_and_is_lost_by_being_late() {
        let mut credit = Credit::default();
        (0..4).for_each(|n| turn(&mut credit, true, n * 20));
        assert_eq!(credit.seats(), 16);
        turn(&mut credit, false, 8000);
        assert_eq!(credit.seats(), ON_TRUST);
    }

    #[test]
    fn what_is_not_needed_is_given_up() {
        let mut credit = Credit::default();
        (0..6).for_each(|n| turn(&mut credit, true, n * 20));
        assert_eq!(credit.seats(), 64);
        (1..20).for_each(|second| credit.returned(1, 2, true, at(second * 1000)));
        // What is in use is never halved; what is full grows.
        assert!((2..=4).contains(&credit.seats()), "{}", credit.seats());
    }
}
