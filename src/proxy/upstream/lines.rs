//! A worker's connections of HTTP/2 to one backend: few, each with many requests on it.
//!
//! A request takes a place on one that has room. Where none has, one more is opened and those who come meanwhile wait for it:
//! a rush must not open as many as there are customers. It does not wait for a place that becomes free: how many requests go
//! to a backend at once is for the pool's limit to say, not for a setting of one of its connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::channel::{Channel, Place};
use crate::admission::Timestamp;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Lines {
    /// What may be taken back when its client hangs up, and what is carried to its end, never share a connection: backends
    /// hang up on those who take back too much, and whoever does so must not take others' bets along.
    each: [Line; 2],
    /// It has last chosen HTTP/1.1.
    pub(super) prefers_http1: Cell<bool>,
    /// What is opened serves whoever has opened it.
    closed: Cell<bool>,
}

/// Connections for requests of one kind.
#[derive(Default)]
pub(super) struct Line {
    channels: RefCell<Vec<Rc<Channel>>>,
    /// Connections that are being made.
    opening: Cell<usize>,
    /// Requests that wait for them.
    waiting: Cell<usize>,
    /// Connections that could not be made.
    failed: Cell<u64>,
    opened: Notify,
    /// Requests that the last one took at once.
    room: Cell<Option<usize>>,
}

/// A connection that is being made.
pub(super) struct Opening(Rc<Lines>, bool);

/// As the protocol recommends.
const USUAL_ROOM: usize = 100;

impl Lines {
    pub(super) fn of(&self, carried: bool) -> &Line {
        &self.each[usize::from(carried)]
    }

    /// Let go of connections that nobody has used for so long.
    pub(super) fn expire(&self, keep: Duration, now: Timestamp) {
        self.retain(|channel| channel.unused_for(now) < keep);
    }

    /// Let go of connections that nobody uses.
    pub(super) fn drop_unused(&self) {
        self.retain(|channel| !channel.is_unused());
    }

    /// Nobody looks after connections here any more: each ends with what is under way on it.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.retain(|_| false);
    }

    fn retain(&self, stays: impl Fn(&Channel) -> bool) {
        for line in &self.each {
            line.channels.borrow_mut().retain(|channel| {
                if !stays(channel) {
                    channel.leave();
                }
                !channel.is_leaving()
            });
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.retain(|_| false);
    }
}

impl Line {
    /// A place on a connection that has room.
    pub(super) fn reserve(&self) -> Option<Place> {
        self.channels.borrow().iter().find_map(Channel::reserve)
    }

    /// Whether there will be room for one more on what is being opened.
    pub(super) fn will_have_room(&self) -> bool {
        let room = self.room.get().unwrap_or(USUAL_ROOM).max(1);
        // Whoever opens one has the first place on it.
        self.waiting.get() + self.opening.get() < self.opening.get() * room
    }

    /// Wait for a connection that is being made. Whether it may be there now, else it could not be made.
    pub(super) async fn wait(&self) -> bool {
        let failed = self.failed.get();
        let waits = Waits::one_more(&self.waiting);
        self.opened.notified().await;
        drop(waits);
        // Another that is being made may still be.
        self.failed.get() == failed || self.opening.get() > 0
    }

    fn add(&self, channel: Rc<Channel>, closed: bool) -> Option<Place> {
        self.room.set(Some(channel.room()));
        let place = channel.reserve();
        // One that has no room from the start is of no use to anybody.
        if closed || place.is_none() {
            channel.leave();
        } else {
            self.channels.borrow_mut().push(channel);
        }
        place
    }
}

impl Opening {
    pub(super) fn begins(lines: &Rc<Lines>, carried: bool) -> Opening {
        lines.of(carried).opening.update(|opening| opening + 1);
        Opening(lines.clone(), carried)
    }

    /// It was made: this is it. The first place on it comes back.
    pub(super) fn ends_with(self, channel: Rc<Channel>) -> Option<Place> {
        self.0.prefers_http1.set(false);
        self.line().add(channel, self.0.closed.get())
    }

    /// It could not be made: whoever waits need not try it at once.
    pub(super) fn fails(self) {
        self.line().failed.update(|failed| failed + 1);
    }

    fn line(&self) -> &Line {
        self.0.of(self.1)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let line = self.line();
        line.opening.update(|opening| opening - 1);
        line.opened.notify_waiters();
    }
}

/// Counts a request that waits.
struct Waits<'a>(&'a Cell<usize>);

impl Waits<'_> {
    fn one_more(waiting: &Cell<usize>) -> Waits<'_> {
        waiting.update(|waiting| waiting + 1);
        Waits(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.update(|waiting| waiting - 1);
    }
}
