//! Connections to backends that nobody uses just now, each kept for one request at a time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::timeout;

use super::super::upload::RequestBody;
use super::lines::Lines;
use super::sender::Sender;
use super::{Pool, Roll};
use crate::admission::Timestamp;

/// Idle connections to one backend, newest last. Pools that follow each other share it.
pub(in crate::proxy) type Shelf = Rc<Idling>;

#[derive(Default)]
pub(in crate::proxy) struct Idling {
    idle: RefCell<Vec<Idle>>,
    closed: Cell<bool>,
}

pub(in crate::proxy) struct Idle {
    sender: SendRequest<RequestBody>,
    since: Timestamp,
}

/// How long a connection whose request is still being sent when its answer is complete may take.
pub(super) const SETTLE_WITHIN: Duration = Duration::from_secs(1);

impl Pool {
    /// Others count from now on, and what clients who were there before still hold of this pool may last: of its
    /// connections only those are kept that they use on.
    pub(crate) fn is_succeeded_by(&self, pools: &[Rc<Pool>]) {
        let theirs: Vec<Rc<Roll>> = pools.iter().map(|pool| pool.roll.borrow().clone()).collect();
        self.roll.borrow().lets_go_of_what_is_not_in(&theirs);
        self.succeeded.set(true);
    }

    /// The newest idle connection that still works.
    pub(super) fn reuse(&self, shelf: &Shelf, now: Timestamp) -> Option<SendRequest<RequestBody>> {
        let mut shelf = shelf.idle.borrow_mut();
        loop {
            let idle = shelf.pop()?;
            if now.since(idle.since) >= self.timeouts.keep {
                // Every other one is older.
                shelf.clear();
                return None;
            }
            if idle.sender.is_ready() {
                return Some(idle.sender);
            }
        }
    }

    /// A connection is free again.
    pub(in crate::proxy) fn put_back(self: &Rc<Self>, shelf: Shelf, sender: Sender, now: Timestamp) {
        // A place that others may have is free when it is dropped.
        let Sender::Http1(mut sender) = sender else { return };
        if sender.is_ready() {
            self.keep(&shelf, Idle { sender, since: now });
        } else if !sender.is_closed() {
            // The answer came before the request had been read: the connection is free when it has, if soon.
            let pool = self.clone();
            tokio::task::spawn_local(async move {
                if let Ok(Ok(())) = timeout(SETTLE_WITHIN, sender.ready()).await {
                    pool.keep(&shelf, Idle { sender, since: now });
                }
            });
        }
    }

    fn keep(&self, shelf: &Shelf, connection: Idle) {
        let mut idle = shelf.idle.borrow_mut();
        if idle.len() < self.most_idle && !shelf.closed.get() {
            idle.push(connection);
        }
    }

    /// Close connections that nobody has used for as long as they are kept.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        let roll = self.roll();
        for shelf in &roll.shelves {
            shelf
                .idle
                .borrow_mut()
                .retain(|idle| now.since(idle.since) < self.timeouts.keep && !idle.sender.is_closed());
        }
        roll.lines.iter().for_each(|lines| lines.expire(self.timeouts.keep, now));
    }

    /// Close connections that nobody uses: what they hold is needed.
    pub(crate) fn drop_idle(&self) {
        let roll = self.roll.borrow();
        for shelf in &roll.shelves {
            shelf.idle.borrow_mut().clear();
        }
        roll.lines.iter().for_each(|lines| lines.drop_unused());
    }
}

impl Idling {
    /// Nothing is kept here any more: nobody would look after it.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.idle.borrow_mut().clear();
    }
}

impl Roll {
    /// Close what these do not use on.
    pub(super) fn lets_go_of_what_is_not_in(&self, rolls: &[Rc<Roll>]) {
        let is_used = |lines: &Rc<Lines>| rolls.iter().flat_map(|roll| &roll.lines).any(|one| Rc::ptr_eq(one, lines));
        let is_kept = |shelf: &Shelf| rolls.iter().flat_map(|roll| &roll.shelves).any(|one| Rc::ptr_eq(one, shelf));
        self.shelves.iter().filter(|shelf| !is_kept(shelf)).for_each(|shelf| shelf.close());
        self.lines.iter().filter(|lines| !is_used(lines)).for_each(|lines| lines.close());
    }
}
