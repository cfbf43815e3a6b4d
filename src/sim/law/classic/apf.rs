//! Concurrency divided anew every ten seconds, after the borrowing of Kubernetes' API Priority and Fairness.
//!
//! <https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>. Half of each guarantee may be lent; what
//! was wanted in the last period decides who gets it in the next. Without the smoothing over five minutes that
//! Kubernetes adds, so this one follows faster than the original.

use std::time::Duration;

use super::book::{Book, Waiter};
use super::line::{Line, Turn};
use super::partition::{End, Lines};
use super::seats::Seats;
use crate::admission::Timestamp;

/// Each product has its share of the period; in it, who came first goes first.
#[derive(Debug)]
pub(super) struct Apf {
    lines: Lines,
    shares: Vec<f64>,
    /// The most that each product wanted at once in this period.
    wanted: Vec<u32>,
    division: Timestamp,
}

impl Apf {
    /// Everybody has its guarantee until the first division.
    pub(super) fn new(seats: &Seats) -> Apf {
        let products = seats.products();
        Apf {
            lines: Lines::new(products),
            shares: (0..products).map(|place| f64::from(seats.guaranteed(place))).collect(),
            wanted: vec![0; products],
            division: Timestamp::ZERO + PERIOD,
        }
    }

    fn watch(&mut self, seats: &Seats) {
        for (place, wanted) in self.wanted.iter_mut().enumerate() {
            let waiting = u32::try_from(self.lines.length_of(place)).unwrap_or(u32::MAX).min(seats.limit());
            *wanted = (*wanted).max(seats.taken_by(place) + waiting);
        }
    }

    fn divide(&mut self, seats: &Seats) {
        let wanted = |place: usize| f64::from(self.wanted[place]);
        let guaranteed = |place: usize| f64::from(seats.guaranteed(place));
        let base = |place: usize| (guaranteed(place) * (1.0 - LENDABLE)).max(guaranteed(place).min(wanted(place)));
        let lacking = |place: usize| (wanted(place) - base(place)).max(0.0);
        let places = 0..seats.products();
        let left = (f64::from(seats.limit()) - places.clone().map(base).sum::<f64>()).max(0.0);
        let lacking_in_all: f64 = places.clone().map(lacking).sum();
        let evenly = 1.0 / seats.products() as f64;
        self.shares = places
            .map(|place| {
                let part = if lacking_in_all > 0.0 { lacking(place) / lacking_in_all } else { evenly };
                base(place) + left * part
            })
            .collect();
    }
}

impl Line for Apf {
    fn enter(&mut self, waiter: Waiter, _seats: &Seats) -> bool {
        self.lines.enter(waiter)
    }

    fn next(&mut self, seats: &Seats, book: &Book, _now: Timestamp) -> Option<Turn> {
        self.watch(seats);
        // Shares shrink while seats are still taken by those whose they were: a tenth more may be taken meanwhile.
        if seats.taken() >= seats.limit() + seats.limit() / 10 {
            return None;
        }
        (0..seats.products())
            .filter(|&place| f64::from(seats.taken_by(place)) < self.shares[place].floor())
            .find_map(|place| self.lines.pop(place, End::Front, book))
            .map(Turn::Pass)
    }

    fn length(&self) -> usize {
        self.lines.length()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        Some(self.division)
    }

    fn wake(&mut self, seats: &Seats, now: Timestamp) {
        while self.division <= now {
            self.division += PERIOD;
            self.divide(seats);
            self.wanted.fill(0);
            self.watch(seats);
        }
    }
}

const PERIOD: Duration = Duration::from_secs(10);
const LENDABLE: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    fn apf(wanted: [u32; 3]) -> Apf {
        let seats = Seats::new(20.0, vec![50, 30, 20]);
        let mut apf = Apf::new(&seats);
        assert_eq!(apf.shares, [10.0, 6.0, 4.0]);
        apf.wanted = wanted.to_vec();
        apf.wake(&seats, apf.division);
        apf
    }

    #[test]
    fn half_of_what_a_product_does_not_want_goes_to_those_who_want_more() {
        // 10 and 6 are wanted of what is guaranteed; of the 4, 2 may be lent.
        assert_eq!(apf([40, 6, 0]).shares, [12.0, 6.0, 2.0]);
        assert_eq!(apf([40, 26, 0]).shares, [10.0 + 2.0 * 30.0 / 50.0, 6.0 + 2.0 * 20.0 / 50.0, 2.0]);
    }

    #[test]
    fn what_nobody_wants_is_shared_evenly() {
        let shares = apf([5, 3, 2]).shares;
        for (share, expected) in shares.iter().zip([5.0, 3.0, 2.0]) {
            assert!((share - expected - 10.0 / 3.0).abs() < 1e-9, "{shares:?}");
        }
    }

    #[test]
    fn a_period_lasts_ten_seconds() {
        let mut apf = apf([0, 0, 0]);
        assert_eq!(apf.next_wake(), Some(Timestamp::ZERO + PERIOD * 2));
        let before = apf.shares.clone();
        apf.wake(&Seats::new(20.0, vec![50, 30, 20]), Timestamp::ZERO + PERIOD * 2 - Duration::from_nanos(1));
        assert_eq!(apf.shares, before);
    }
}
