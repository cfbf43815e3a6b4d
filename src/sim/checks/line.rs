//! One product's waiters of one rank, in the order of their turns.

use std::collections::VecDeque;
use std::time::Duration;

use crate::admission::Timestamp;
use crate::sim::law::RequestId;

/// Requests with their serials. Who has gone stays in the middle until an end of the line, or whoever joins, comes across
/// them.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    queue: VecDeque<Spot>,
    /// In the order in which they came.
    by_age: VecDeque<(RequestId, u64)>,
    waiting: u32,
    seats: u32,
    /// Since when it has not been empty.
    since: Timestamp,
}

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) request: RequestId,
    pub(super) serial: u64,
    /// Of two, whose is the lesser goes first, and of equals who came first.
    pub(super) turn: u64,
}

/// A law has to look past so many from either end of a line to find somebody's place in it, and past no more. Who belongs
/// in the middle of a line that is longer stands no further back than that from its front.
const LOOKED_PAST: usize = 64;

impl Line {
    /// Somebody joins, who asks for so many seats. `waits` tells who still does.
    pub(super) fn join(&mut self, spot: Spot, seats: u32, now: Timestamp, waits: impl Fn(RequestId, u64) -> bool) {
        if self.waiting == 0 {
            self.since = now;
        }
        let at = self.place(spot.turn, waits);
        self.queue.insert(at, spot);
        self.by_age.push_back((spot.request, spot.serial));
        self.waiting += 1;
        self.seats += seats;
    }

    /// Where somebody with this turn belongs.
    fn place(&mut self, turn: u64, waits: impl Fn(RequestId, u64) -> bool) -> usize {
        let (mut at, mut looked) = (self.queue.len(), 0);
        while at > 0 && looked < LOOKED_PAST {
            let other = self.queue[at - 1];
            if !waits(other.request, other.serial) {
                self.queue.remove(at - 1);
            } else if other.turn <= turn {
                return at;
            } else {
                looked += 1;
            }
            at -= 1;
        }
        (at, looked) = (0, 0);
        while at < self.queue.len() && looked < LOOKED_PAST {
            let other = self.queue[at];
            if !waits(other.request, other.serial) {
                self.queue.remove(at);
                continue;
            }
            if other.turn > turn {
                return at;
            }
            (at, looked) = (at + 1, looked + 1);
        }
        at
    }

    /// One of them, who asked for so many seats, waits no more. `waits` tells who still does. Both ends are somebody who
    /// waits afterwards.
    pub(super) fn lost_one(&mut self, seats: u32, waits: impl Fn(RequestId, u64) -> bool) {
        self.waiting -= 1;
        self.seats -= seats;
        let gone = |spot: &Spot| !waits(spot.request, spot.serial);
        while self.queue.pop_front_if(|spot| gone(spot)).is_some() {}
        while self.queue.pop_back_if(|spot| gone(spot)).is_some() {}
        while self.by_age.pop_front_if(|(request, serial)| !waits(*request, *serial)).is_some() {}
    }

    pub(super) fn front(&self) -> Option<RequestId> {
        self.queue.front().map(|spot| spot.request)
    }

    pub(super) fn back(&self) -> Option<RequestId> {
        self.queue.back().map(|spot| spot.request)
    }

    /// Who has waited longest.
    pub(super) fn oldest(&self) -> Option<RequestId> {
        self.by_age.front().map(|(request, _)| *request)
    }

    /// Everybody who came and may still wait, in the order of their turns.
    pub(super) fn iter(&self) -> impl Iterator<Item = Spot> {
        self.queue.iter().copied()
    }

    /// Seats that they ask for.
    pub(super) fn seats(&self) -> u32 {
        self.seats
    }

    /// Whether somebody has waited in it for a tenth of a second.
    pub(super) fn stands(&self, now: Timestamp) -> bool {
        self.waiting > 0 && now.since(self.since) >= Duration::from_millis(100)
    }

    pub(super) fn len(&self) -> u32 {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joins(line: &mut Line, turn: u64) {
        let serial = u64::from(line.len());
        line.join(Spot { request: RequestId(line.len()), serial, turn }, 1, Timestamp::ZERO, |_, _| true);
    }

    fn turns(line: &Line) -> Vec<u64> {
        line.iter().map(|spot| spot.turn).collect()
    }

    #[test]
    fn the_lowest_turn_is_first_and_of_equals_who_came_first() {
        let mut line = Line::default();
        [5, 3, 9, 3, 1].into_iter().for_each(|turn| joins(&mut line, turn));
        assert_eq!(turns(&line), [1, 3, 3, 5, 9]);
        assert_eq!(line.iter().map(|spot| spot.request.0).collect::<Vec<_>>(), [4, 1, 3, 0, 2]);
        assert_eq!(line.oldest(), Some(RequestId(0)));
    }

    #[test]
    fn who_belongs_in_the_middle_of_a_very_long_line_comes_as_near_to_its_front_as_one_looks() {
        let mut line = Line::default();
        (0..1_000).for_each(|turn| joins(&mut line, 2 * turn));
        for (turn, at) in [(1_999, 1_000), (1_875, 938), (1_001, 64), (9, 5)] {
            joins(&mut line, turn);
            assert_eq!(turns(&line).iter().position(|other| *other == turn), Some(at), "{turn}");
        }
    }

    #[test]
    fn who_has_gone_is_not_looked_past() {
        let mut line = Line::default();
        (0..300).for_each(|turn| joins(&mut line, turn));
        let waits = |_: RequestId, serial: u64| serial.is_multiple_of(2) || serial == 300;
        (0..150).for_each(|_| line.lost_one(1, waits));
        line.join(Spot { request: RequestId(300), serial: 300, turn: 201 }, 1, Timestamp::ZERO, waits);
        let here: Vec<u64> =
            line.iter().filter(|spot| waits(spot.request, spot.serial)).map(|spot| spot.turn).collect();
        assert_eq!(here[101], 201);
    }
}
