//! A gate that lets customers in for good, a part of the crowd at a time, while the plant has room.
//!
//! Rotating cohorts by a hash of the user are Uber's (Cinnamon) and WeChat's (DAGOR, SoCC 2018); that a customer who is
//! in stays in is ours, and so is this rule of opening, a crude one before Sluss's ramp was written.

use std::time::Duration;

use super::seats::Seats;
use crate::admission::{Customer, Timestamp};
use crate::sim::random::Random;

/// Opens, and never closes.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// The part of all customers that may pass.
    opened: u64,
    tick: Timestamp,
    seed: u64,
}

impl Gate {
    /// Shut.
    pub(super) fn new(seed: u64) -> Gate {
        Gate { opened: 0, tick: Timestamp::ZERO + EVERY, seed }
    }

    /// Whether this customer may pass; once so, always.
    pub(super) fn admits(&self, customer: Customer) -> bool {
        self.opened >= WHOLE || self.place(customer) < self.opened
    }

    /// Where in the crowd this customer stands: even over all of it, and always the same.
    fn place(&self, customer: Customer) -> u64 {
        let key = match customer {
            Customer::Account(key) | Customer::Address(key) => key,
            Customer::Machine(index) => u64::from(index),
        };
        Random::nth(self.seed, key).below(WHOLE)
    }

    /// When to call [`wake`](Self::wake) at the latest; not at all when it is wide open.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        (self.opened < WHOLE).then_some(self.tick)
    }

    /// Opens as far as has become due. `limit` is exact, `waiting` the length of the line.
    pub(super) fn wake(&mut self, seats: &Seats, limit: f64, waiting: usize, now: Timestamp) {
        while self.tick <= now {
            self.tick += EVERY;
            self.opened = (self.opened + step(f64::from(seats.taken()) / limit, waiting as f64, limit)).min(WHOLE);
        }
    }
}

fn step(used: f64, waiting: f64, limit: f64) -> u64 {
    if used < IDLE && waiting < 1.0 {
        LONG_STEP
    } else if used < 1.0 || waiting < limit * 0.5 {
        SHORT_STEP
    } else {
        0
    }
}

const EVERY: Duration = Duration::from_millis(100);
const WHOLE: u64 = 10_000;
const LONG_STEP: u64 = 40;
const SHORT_STEP: u64 = 8;
/// The part of the limit in use below which the plant is taken to be idle.
const IDLE: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::at;

    fn taken(count: u32) -> Seats {
        let mut seats = Seats::new(20.0, vec![100]);
        (0..count).for_each(|_| seats.take(0));
        seats
    }

    fn admitted(gate: &Gate) -> usize {
        (0..10_000).filter(|&key| gate.admits(Customer::Account(key))).count()
    }

    #[test]
    fn it_opens_by_four_in_a_thousand_when_idle_and_by_less_the_busier_it_is() {
        for (in_use, waiting, opened) in [(16, 0, 40), (17, 0, 8), (16, 1, 8), (20, 9, 8), (20, 10, 0), (19, 50, 8)] {
            let mut gate = Gate::new(1);
            gate.wake(&taken(in_use), 20.0, waiting, at(99));
            assert_eq!(gate.opened, 0, "it moves every 100 ms");
            gate.wake(&taken(in_use), 20.0, waiting, at(100));
            assert_eq!(gate.opened, opened, "{in_use} in use, {waiting} waiting");
        }
    }

    #[test]
    fn who_is_in_stays_in_and_all_are_in_at_last() {
        let mut gate = Gate::new(1);
        assert_eq!(admitted(&gate), 0);
        let mut inside = 0;
        for tick in 1..=250 {
            let before = gate.clone();
            gate.wake(&taken(0), 20.0, 0, at(100 * tick));
            let stay = (0..100).map(Customer::Account).filter(|&customer| before.admits(customer));
            assert!(stay.into_iter().all(|customer| gate.admits(customer)));
            inside = admitted(&gate);
            let expected = 40 * tick as usize;
            assert!(inside.abs_diff(expected) < 300, "{inside} of {expected} at tick {tick}");
        }
        assert_eq!((inside, gate.next_wake()), (10_000, None));
    }
}
