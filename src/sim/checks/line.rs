//! One product's waiters of one class, in the order in which they came.

use std::collections::VecDeque;
use std::time::Duration;

use crate::admission::Timestamp;
use crate::sim::law::RequestId;

/// Requests with their serials. Who has gone stays in the middle until an end of the line reaches them.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    queue: VecDeque<(RequestId, u64)>,
    waiting: u32,
    seats: u32,
    /// Since when it has not been empty.
    since: Timestamp,
}

impl Line {
    pub(super) fn join(&mut self, request: RequestId, serial: u64, seats: u32, now: Timestamp) {
        if self.waiting == 0 {
            self.since = now;
        }
        self.queue.push_back((request, serial));
        self.waiting += 1;
        self.seats += seats;
    }

    /// One of them, who asked for so many seats, waits no more; `waits` tells who still does. Both ends are somebody who waits afterwards.
    pub(super) fn lost_one(&mut self, seats: u32, waits: impl Fn(RequestId, u64) -> bool) {
        self.waiting -= 1;
        self.seats -= seats;
        while self.queue.front().is_some_and(|(request, serial)| !waits(*request, *serial)) {
            self.queue.pop_front();
        }
        while self.queue.back().is_some_and(|(request, serial)| !waits(*request, *serial)) {
            self.queue.pop_back();
        }
    }

    pub(super) fn front(&self) -> Option<(RequestId, u64)> {
        self.queue.front().copied()
    }

    pub(super) fn back(&self) -> Option<(RequestId, u64)> {
        self.queue.back().copied()
    }

    /// Everybody who came and may still wait, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RequestId, u64)> {
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
