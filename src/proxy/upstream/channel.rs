//! A connection of HTTP/2 to a backend, on which many requests are under way.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::super::ledger::{self, Account, Held};
use super::super::stream::BackendStream;
use super::greeting::{Greeted, WINDOW};
use crate::admission::Timestamp;

/// See the [module](self).
pub(super) struct Channel {
    /// `None` when nothing more is sent: the backend goes away, or is given up.
    requests: RefCell<Option<SendRequest<Bytes>>>,
    /// Requests under way.
    active: Cell<usize>,
    /// Something has come since somebody last looked.
    heard: Cell<bool>,
    /// It has been silent for so long that it is being asked whether it is there.
    doubted: Cell<bool>,
    unused_since: Cell<Option<Timestamp>>,
    /// The connection is to look who still needs it.
    stirs: Notify,
    account: Rc<Account>,
}

/// One request's place on a connection, until it is dropped.
pub(crate) struct Place {
    channel: Rc<Channel>,
    _held: Held,
}

/// More at once share no connection, whatever a backend allows: what breaks one breaks them all.
const MOST_STREAMS: usize = 256;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks that find silence while an answer is awaited, until the backend is asked whether it is there; and once more, for one
/// that goes silent behind requests that came since.
const SILENT_AFTER: [u32; 2] = [3, 30];
/// From then on seldom: servers of gRPC hang up on who asks oftener than every five minutes and says nothing else.
const ASK_AGAIN: u32 = 400;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl Channel {
    /// Go on with a connection on which hello was said, until nobody needs it.
    pub(super) fn open(greeted: Greeted, account: &Rc<Account>) -> Rc<Channel> {
        let Greeted { requests, connection, pings } = greeted;
        let channel = Rc::new(Channel {
            requests: RefCell::new(Some(requests)),
            active: Cell::new(0),
            heard: Cell::new(false),
            doubted: Cell::new(false),
            unused_since: Cell::new(None),
            stirs: Notify::new(),
            account: account.clone(),
        });
        tokio::task::spawn_local(drive(connection, pings, channel.clone()));
        channel
    }

    /// A place on it, if it takes one more request now.
    pub(super) fn reserve(self: &Rc<Self>) -> Option<Place> {
        if self.doubted.get() || self.active.get() >= self.room() {
            return None;
        }
        self.active.update(|active| active + 1);
        self.unused_since.set(None);
        Some(Place { channel: self.clone(), _held: self.account.hold(WINDOW as usize) })
    }

    /// Requests that it takes at once; none when it takes no more.
    pub(super) fn room(&self) -> usize {
        let mut requests = self.requests.borrow_mut();
        let Some(sender) = requests.as_mut() else { return 0 };
        let room = sender.current_max_send_streams().min(MOST_STREAMS);
        // Nobody else waits here: a request has a handle of its own.
        if let Poll::Ready(Err(_)) = sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            *requests = None;
            self.stirs.notify_one();
            return 0;
        }
        room
    }

    /// Nothing more is sent on it; what is under way goes on.
    pub(super) fn leave(&self) {
        self.requests.take();
        self.stirs.notify_one();
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.requests.borrow().is_none()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.active.get() == 0
    }

    /// For how long nobody has used it, as far as has been seen.
    pub(super) fn unused_for(&self, now: Timestamp) -> Duration {
        if !self.is_unused() {
            return Duration::ZERO;
        }
        let since = self.unused_since.get().unwrap_or(now);
        self.unused_since.set(Some(since));
        now.since(since)
    }
}

impl Place {
    /// What the one request is sent with.
    pub(super) fn sender(&self) -> Option<SendRequest<Bytes>> {
        self.channel.requests.borrow().clone()
    }

    /// Something of the answer has come.
    pub(super) fn hears(&self) {
        self.channel.heard.set(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.channel.active.update(|active| active - 1);
        if self.channel.is_leaving() {
            self.channel.stirs.notify_one();
        }
    }
}

/// Let the bytes of a connection move, until it ends or is found dead.
async fn drive(mut connection: Connection<TokioIo<BackendStream>, Bytes>, pings: PingPong, channel: Rc<Channel>) {
    let _held = channel.account.hold(ledger::CHANNEL);
    let mut dead = pin!(dies(pings, &channel));
    loop {
        tokio::select! {
            biased;
            // What it ends with reaches whoever waits for an answer on it.
            _ = &mut connection => break,
            () = &mut dead => break,
            // The connection is not told when the last handle on it goes, so it is asked to look.
            () = channel.stirs.notified() => {}
        }
    }
    channel.requests.take();
}

/// Comes back when the other side is there no more: it neither answers nor says that it is still about it.
async fn dies(mut pings: PingPong, channel: &Channel) {
    let mut silent = 0;
    loop {
        sleep(LOOK_EVERY).await;
        let said_something = channel.heard.take();
        if channel.is_unused() && channel.is_leaving() {
            // It has had a second to say farewell.
            return;
        }
        silent = if said_something || channel.is_unused() { 0 } else { silent + 1 };
        if silent > 0 && (SILENT_AFTER.contains(&silent) || silent % ASK_AGAIN == 0) {
            channel.doubted.set(true);
            if !answers(&mut pings).await {
                return;
            }
            channel.doubted.set(false);
        }
    }
}

async fn answers(pings: &mut PingPong) -> bool {
    let sent = pings.send_ping(Ping::opaque()).is_ok();
    sent && matches!(timeout(ANSWER_WITHIN, poll_fn(|context| pings.poll_pong(context))).await, Ok(Ok(_)))
}
