//! Who waits, and whose turn it is, where products are not told apart.

use std::collections::VecDeque;
use std::time::Duration;

use super::book::{Book, Waiter};
use super::seats::Seats;
use crate::admission::Timestamp;

/// Whose turn it is, and what is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// It may pass.
    Pass(Waiter),
    /// It is told no.
    Refuse(Waiter),
}

/// A rule of who may wait and who goes next. Those who are crossed out in the book stay until they are called.
pub(super) trait Line {
    /// Takes one in, or says that it must not wait.
    fn enter(&mut self, waiter: Waiter, seats: &Seats) -> bool;

    /// The next one about whom something can be said; the caller takes the seat and asks again until `None`.
    fn next(&mut self, seats: &Seats, book: &Book, now: Timestamp) -> Option<Turn>;

    /// How many are in it, those who are crossed out included.
    fn length(&self) -> usize;

    /// One of that product has been crossed out.
    fn crossed_out(&mut self, _place: usize, _book: &Book) {}

    /// When to call [`wake`](Self::wake) at the latest.
    fn next_wake(&self) -> Option<Timestamp> {
        None
    }

    /// Does what has become due.
    fn wake(&mut self, _seats: &Seats, _now: Timestamp) {}
}

/// Nobody waits: a seat at once, or no.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    /// Netflix's partitions: below its own part one may pass though there is no room.
    pub(super) parts_beyond_the_limit: bool,
    asking: Option<Waiter>,
}

impl AtOnce {
    /// With partitions as Netflix has them.
    pub(super) fn netflix_partition() -> AtOnce {
        AtOnce { parts_beyond_the_limit: true, asking: None }
    }
}

impl Line for AtOnce {
    fn enter(&mut self, waiter: Waiter, seats: &Seats) -> bool {
        let may_pass = seats.has_room() || self.parts_beyond_the_limit && seats.is_below_guarantee(waiter.place);
        self.asking = may_pass.then_some(waiter);
        may_pass
    }

    fn next(&mut self, _seats: &Seats, _book: &Book, _now: Timestamp) -> Option<Turn> {
        self.asking.take().map(Turn::Pass)
    }

    fn length(&self) -> usize {
        0
    }
}

/// One line for all.
#[derive(Debug)]
pub(super) struct Single {
    discipline: Discipline,
    bound: usize,
    waiters: VecDeque<Waiter>,
    filled_since: Timestamp,
}

/// Who goes next in a [`Single`] line.
#[derive(Debug)]
pub(super) enum Discipline {
    /// Who came first.
    Fifo,
    /// Who came last.
    Lifo,
    /// Who came first; who came last while the line has not been empty for 100 ms.
    AdaptiveLifo,
    /// Who came first, and those who waited too long are told no while a queue stands.
    Codel(Codel),
}

impl Single {
    /// Empty; no more than `bound` in it.
    pub(super) fn new(discipline: Discipline, bound: usize) -> Single {
        Single { discipline, bound, waiters: VecDeque::new(), filled_since: Timestamp::ZERO }
    }

    fn call(&mut self, now: Timestamp) -> Option<Waiter> {
        let last_first = match self.discipline {
            Discipline::Lifo => true,
            Discipline::AdaptiveLifo => now.since(self.filled_since) > FLIP,
            Discipline::Fifo | Discipline::Codel(_) => false,
        };
        if last_first { self.waiters.pop_back() } else { self.waiters.pop_front() }
    }
}

impl Line for Single {
    fn enter(&mut self, waiter: Waiter, _seats: &Seats) -> bool {
        if self.waiters.len() >= self.bound {
            return false;
        }
        if self.waiters.is_empty() {
            self.filled_since = waiter.since;
        }
        self.waiters.push_back(waiter);
        true
    }

    fn next(&mut self, seats: &Seats, book: &Book, now: Timestamp) -> Option<Turn> {
        if !seats.has_room() {
            return None;
        }
        while let Some(waiter) = self.call(now) {
            if !book.still_waits(&waiter) {
                continue;
            }
            let shed = match &mut self.discipline {
                Discipline::Codel(codel) => codel.sheds(now.since(waiter.since), now),
                Discipline::Fifo | Discipline::Lifo | Discipline::AdaptiveLifo => false,
            };
            return Some(if shed { Turn::Refuse(waiter) } else { Turn::Pass(waiter) });
        }
        None
    }

    fn length(&self) -> usize {
        self.waiters.len()
    }
}

/// Whether a queue stands: folly's reading of controlled delay, for servers.
///
/// <https://github.com/facebook/folly/blob/main/folly/executors/Codel.h>, after Nichols and Jacobson, "Controlling queue
/// delay" (ACM Queue 2012): when nobody waited less than the target in a whole interval, those who waited more than
/// twice the target are shed in the next.
#[derive(Debug)]
pub(super) struct Codel {
    shortest: Duration,
    standing: bool,
    interval_ends: Timestamp,
}

impl Codel {
    /// Before anybody has waited.
    pub(super) fn new() -> Codel {
        Codel { shortest: Duration::MAX, standing: false, interval_ends: Timestamp::ZERO + INTERVAL }
    }

    fn sheds(&mut self, waited: Duration, now: Timestamp) -> bool {
        self.shortest = self.shortest.min(waited);
        if now >= self.interval_ends {
            self.standing = self.shortest > TARGET;
            self.shortest = Duration::MAX;
            self.interval_ends = now + INTERVAL;
        }
        self.standing && waited > TARGET * 2
    }
}

const TARGET: Duration = Duration::from_millis(5);
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a line has not been empty when adaptive LIFO turns it round; the interval of CoDel, as in "Fail at Scale"
/// (Maurer, ACM Queue 2015).
const FLIP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::RequestId;
    use crate::sim::law::classic::testing::{at, millis};

    /// Lets `(request, came)` in, in this order.
    fn filled(discipline: Discipline, came: &[(u32, u64)]) -> (Single, Book) {
        let (mut line, mut book) = (Single::new(discipline, 10), Book::default());
        for &(number, millis) in came {
            let waiter = book.enter(RequestId(number), 0, 0, at(millis));
            assert!(line.enter(waiter, &seats()));
        }
        (line, book)
    }

    fn seats() -> Seats {
        Seats::new(20.0, vec![100])
    }

    fn next(line: &mut Single, book: &Book, millis: u64) -> Option<(u32, bool)> {
        line.next(&seats(), book, at(millis)).map(|turn| match turn {
            Turn::Pass(waiter) => (waiter.request.0, true),
            Turn::Refuse(waiter) => (waiter.request.0, false),
        })
    }

    #[test]
    fn first_come_first_served_and_last_come_first_served() {
        let (mut line, book) = filled(Discipline::Fifo, &[(0, 0), (1, 1)]);
        assert_eq!([next(&mut line, &book, 2), next(&mut line, &book, 2)], [Some((0, true)), Some((1, true))]);
        let (mut line, book) = filled(Discipline::Lifo, &[(0, 0), (1, 1)]);
        assert_eq!([next(&mut line, &book, 2), next(&mut line, &book, 2)], [Some((1, true)), Some((0, true))]);
    }

    #[test]
    fn who_has_hung_up_is_passed_over_but_keeps_its_place_in_the_bound() {
        let (mut line, mut book) = filled(Discipline::Fifo, &[(0, 0), (1, 1)]);
        book.cross_out(RequestId(0));
        assert_eq!(line.length(), 2);
        assert_eq!(next(&mut line, &book, 2), Some((1, true)));
        assert_eq!(next(&mut line, &book, 2), None);
    }

    #[test]
    fn nobody_enters_a_full_line() {
        let came: Vec<(u32, u64)> = (0..10).map(|number| (number, 0)).collect();
        let (mut line, mut book) = filled(Discipline::Fifo, &came);
        let late = book.enter(RequestId(10), 0, 0, at(1));
        assert!(!line.enter(late, &seats()));
    }

    #[test]
    fn adaptive_lifo_turns_round_when_the_line_has_not_been_empty_for_100_ms() {
        let came = [(0, 0), (1, 10), (2, 20), (3, 30)];
        let (mut line, mut book) = filled(Discipline::AdaptiveLifo, &came);
        assert_eq!(next(&mut line, &book, 100), Some((0, true)));
        assert_eq!(next(&mut line, &book, 101), Some((3, true)));
        assert_eq!(next(&mut line, &book, 101), Some((2, true)));
        assert_eq!(next(&mut line, &book, 101), Some((1, true)));
        for number in [4, 5] {
            let waiter = book.enter(RequestId(number), 0, 0, at(150));
            assert!(line.enter(waiter, &seats()));
        }
        assert_eq!(next(&mut line, &book, 240), Some((4, true)), "it was empty until 150 ms");
    }

    #[test]
    fn codel_sheds_who_waited_10_ms_after_an_interval_in_which_nobody_waited_less_than_5() {
        let (mut line, book) =
            filled(Discipline::Codel(Codel::new()), &[(0, 0), (1, 90), (2, 100), (3, 104), (4, 108)]);
        assert_eq!(next(&mut line, &book, 50), Some((0, true)), "the first interval is not over");
        assert_eq!(next(&mut line, &book, 110), Some((1, false)), "all waited more than 5 ms until 100");
        assert_eq!(next(&mut line, &book, 111), Some((2, false)), "more than 10 ms");
        assert_eq!(next(&mut line, &book, 112), Some((3, true)), "not more than 10 ms");
        assert_eq!(next(&mut line, &book, 112), Some((4, true)));
    }

    #[test]
    fn codel_sheds_nobody_when_somebody_went_straight_through() {
        let mut codel = Codel::new();
        assert!(!codel.sheds(millis(4), at(99)));
        assert!(!codel.sheds(millis(300), at(100)), "one waited less than 5 ms");
        assert!(!codel.sheds(millis(300), at(199)));
        assert!(codel.sheds(millis(300), at(200)), "nobody did since 100");
        assert!(!codel.sheds(millis(10), at(201)), "not more than twice 5 ms");
        assert!(!codel.sheds(millis(4), at(202)));
        assert!(!codel.sheds(millis(300), at(300)), "somebody went straight through again");
    }
}
