//! A client connection under watch: how long it may take over a head, rest, or refuse to read.
//!
//! hyper's own header timer is not enough: it allocates for every request and treats a resting connection
//! like a slow one, and no timer of its own ends a client that does not read. Here one timer lives as
//! long as the connection, looks seldom, and the way of a request only sets a flag.

mod stream;
mod timer;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Held;
use super::settings::ClientTimeouts;
use super::sharing::{Bounds, Sharing, Stream};
use super::tunnel::Tunnel;

pub(crate) use stream::Watched;
pub(crate) use timer::Timer;

/// What a connection is doing. Flags only; the times are noted when the timer looks.
pub(crate) struct Watch {
    phase: Cell<Phase>,
    phase_since: Cell<Option<Instant>>,
    write_blocked: Cell<bool>,
    blocked_since: Cell<Option<Instant>>,
    /// Bytes that the socket has taken since the timer last looked.
    written: Cell<u64>,
    /// How much longer the client has taken to read than it should.
    behind: Cell<Duration>,
    /// The connection's task, to be woken when the proxy goes down.
    waker: Cell<Option<Waker>>,
    closing: Cell<bool>,
    /// The next answer is the last.
    parting: Cell<bool>,
    /// Somebody else needs its place.
    leaving: Cell<bool>,
    /// The client may go on sending what nobody will read.
    unread: Cell<bool>,
    /// Some of the last request's body has still to come.
    awaits_body: Cell<bool>,
    /// How many requests have come.
    asked: Cell<Asked>,
    /// Requests that are being served.
    busy: Cell<u32>,
    /// Where several requests share the connection.
    sharing: OnceCell<Box<Sharing>>,
    /// The client has taken too long over something.
    overdue: Cell<bool>,
    /// What the connection goes on with when HTTP has left it.
    tunnel: Cell<Option<Box<Tunnel>>>,
}

/// A request among those of its connection: whoever reads its body may be late, and another have come meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing asked yet, or a head has begun and not ended.
    Head,
    /// A request is being served.
    Busy,
    /// The last request has been answered.
    Resting,
    /// We have said our last; the client may not have read it yet.
    Lingering,
    /// The client has been told which requests are the last, and has not closed yet.
    Leaving,
}

/// Marks the connection as resting when the answer is done with, and tells how the client takes it.
pub(crate) struct Resting {
    watch: Rc<Watch>,
    stream: Option<Rc<Stream>>,
}

impl Watch {
    pub(crate) fn new() -> Rc<Watch> {
        Rc::new(Watch {
            phase: Cell::new(Phase::Head),
            phase_since: Cell::new(Some(Instant::now())),
            write_blocked: Cell::new(false),
            blocked_since: Cell::new(None),
            written: Cell::new(0),
            behind: Cell::new(Duration::ZERO),
            waker: Cell::new(None),
            closing: Cell::new(false),
            parting: Cell::new(false),
            leaving: Cell::new(false),
            unread: Cell::new(false),
            awaits_body: Cell::new(false),
            asked: Cell::default(),
            busy: Cell::new(0),
            sharing: OnceCell::new(),
            overdue: Cell::new(false),
            tunnel: Cell::new(None),
        })
    }

    /// A request has come. The connection rests again when what is returned for the last of them is dropped.
    pub(crate) fn busy(self: &Rc<Self>) -> Resting {
        self.busy.set(self.busy.get() + 1);
        self.asked.update(|Asked(before)| Asked(before + 1));
        self.enter(Phase::Busy);
        self.unread.set(false);
        self.awaits_body.set(false);
        let stream = self.sharing.get().and_then(|sharing| sharing.asked());
        Resting { watch: self.clone(), stream }
    }

    /// The request that came last.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.get()
    }

    /// Nobody will read what is left of this request, so the connection will have to be closed. Over HTTP/1 another that has
    /// come shows that nothing is.
    pub(crate) fn leave_unread(&self, request: Asked) {
        if request == self.asked.get() || self.sharing().is_some() {
            self.unread.set(true);
        }
    }

    /// Whether the answer to a request of HTTP/1.1 is the last because of that.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.get() && self.sharing().is_none()
    }

    /// The request that came last has a body, which has still to come.
    pub(crate) fn awaits_body(&self) {
        self.awaits_body.set(true);
    }

    /// All of this request's body has been read, which says nothing of one that has come behind it.
    pub(crate) fn has_body(&self, request: Asked) {
        if request == self.asked.get() {
            self.awaits_body.set(false);
        }
    }

    /// Whether nothing has been under way for a second, in either direction. The clock is looked at only where the timer has
    /// seen the connection rest before.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.phase.get() == Phase::Resting
            && self.phase_since.get().is_some_and(|since| since.elapsed() >= AT_REST)
            && !(self.write_blocked.get() || self.awaits_body.get() || self.unread.get() || self.closing.get())
    }

    /// The answer that is being given is the last: the connection goes on as this.
    fn becomes(&self, tunnel: Box<Tunnel>) {
        self.tunnel.set(Some(tunnel));
    }

    /// What the connection goes on as, asked when HTTP has left it.
    pub(crate) fn tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.take()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The proxy goes down: finish what is asked and close.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The proxy goes down, and there is time: the client hears it with the next answer, so that it asks nothing on a
    /// connection that is just being closed. HTTP/2 has a word of its own.
    pub(crate) fn part(&self) {
        self.parting.set(true);
        if self.sharing().is_some() {
            self.close();
        }
    }

    /// Whether the answer to a request of HTTP/1.1 is the last.
    pub(crate) fn is_parting(&self) -> bool {
        self.parting.get() && self.sharing().is_none()
    }

    /// Somebody else needs its place: close, unless a request has come meanwhile.
    pub(crate) fn leave(&self) {
        self.leaving.set(true);
        self.close();
    }

    /// For how long nothing has been asked, and no answer is due; `None` while a request is served. How long a resting
    /// connection has rested is noted when somebody first looks.
    pub(crate) fn silent_for(&self, now: Instant) -> Option<Duration> {
        if self.phase.get() == Phase::Busy {
            return None;
        }
        let since = self.phase_since.get().unwrap_or(now);
        self.phase_since.set(Some(since));
        Some(now - since)
    }

    /// Whether it is to leave although it may be about to ask something. Where many share it, one may have asked that
    /// nobody has looked at yet, and it can be told how far it was listened to.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.get() && self.phase.get() == Phase::Head && self.sharing().is_none()
    }

    /// Whether to close; `waker` is woken when that becomes so.
    pub(crate) fn is_closing(&self, waker: &Waker) -> bool {
        let known = self.waker.take();
        let same = known.as_ref().is_some_and(|known| known.will_wake(waker));
        self.waker.set(Some(if same { known.expect("just seen") } else { waker.clone() }));
        self.closing.get()
    }

    /// Several requests share the connection from now on, within these bounds.
    pub(crate) fn share(&self, bounds: Bounds, lying: Held) {
        // Once in its life, as its protocol is known.
        let _ = self.sharing.set(Box::new(Sharing::new(bounds, lying)));
    }

    /// How many requests are being served.
    pub(crate) fn served(&self) -> u32 {
        self.busy.get()
    }

    /// Whoever speaks for the connection has done all that can be done now.
    pub(crate) fn is_still(&self) {
        if let (Some(sharing), false) = (self.sharing(), self.write_blocked.get()) {
            sharing.has_left();
        }
    }

    /// What is known of the requests that share the connection, where they do.
    pub(crate) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.get().map(|sharing| &**sharing)
    }

    /// Something came of what the client said.
    pub(crate) fn progress(&self) {
        if let Some(sharing) = self.sharing() {
            sharing.progress();
        }
    }

    /// So many bytes of a client were read.
    pub(super) fn heard(&self, bytes: usize) {
        match self.sharing() {
            // Much that is said there is no request, so a connection rests until there is one.
            Some(sharing) => sharing.heard(bytes),
            // What belongs to the last request, answered before it had come whole, is no beginning of the next.
            None if self.phase.get() == Phase::Resting && !self.awaits_body.get() => self.enter(Phase::Head),
            None => {}
        }
    }

    /// Whether the client can be told that it has had its last request, and take part in the end.
    pub(crate) fn can_be_told(&self) -> bool {
        self.sharing().is_some() && !self.write_blocked.get()
    }

    /// The client is told so.
    pub(crate) fn takes_leave(&self) {
        self.closing.set(true);
        // What it has asked goes on.
        self.overdue.set(false);
        if self.takes_no_more() && self.busy.get() == 0 {
            self.enter(Phase::Leaving);
        }
    }

    fn takes_no_more(&self) -> bool {
        self.closing.get() && self.sharing().is_some()
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.phase_since.set(None);
    }

    /// Whether the client has taken too long over something; asked `every` so often.
    fn is_overdue(&self, timeouts: &ClientTimeouts, every: Duration) -> bool {
        let now = Instant::now();
        let lasted = |since: &Cell<Option<Instant>>| {
            let from = since.get().unwrap_or(now);
            since.set(Some(from));
            now - from
        };
        let overdue = match self.phase.get() {
            Phase::Head => lasted(&self.phase_since) >= timeouts.header,
            Phase::Resting => lasted(&self.phase_since) >= timeouts.idle,
            Phase::Lingering | Phase::Leaving => lasted(&self.phase_since) >= LINGER,
            Phase::Busy => false,
        };
        let blocked = self.write_blocked.get();
        let behind = self.falls_behind(if blocked { every } else { Duration::ZERO }, timeouts.least_rate);
        overdue || behind >= timeouts.send || (blocked && lasted(&self.blocked_since) >= timeouts.send)
    }

    /// A client that takes a little now and then is never silent for long, and would hold a seat for hours. So the time in
    /// which it lets us wait is paid for with what it takes, and nothing is saved up.
    fn falls_behind(&self, waited: Duration, least_rate: u64) -> Duration {
        let paid = Duration::from_micros(self.written.take().saturating_mul(1_000_000) / least_rate);
        self.behind.set((self.behind.get() + waited).saturating_sub(paid));
        self.behind.get()
    }
}

impl Resting {
    /// The connection goes on as a tunnel, and is busy until that ends.
    pub(crate) fn goes_on_as(self, mut tunnel: Box<Tunnel>) {
        let watch = self.watch.clone();
        tunnel.belongs_to(self);
        watch.becomes(tunnel);
    }

    /// The answer has been made, or a piece of so many bytes of it.
    pub(crate) fn gives(&self, bytes: u64) {
        if let Some(stream) = &self.stream {
            stream.gives(bytes);
            if let Some(sharing) = self.watch.sharing() {
                sharing.gives(bytes);
            }
        }
    }

    /// More of the answer is asked for, or the rest of it awaited.
    pub(crate) fn awaits(&self) {
        if let Some(stream) = &self.stream {
            stream.awaits();
        }
    }

    /// How many bytes of the answer are given at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.stream.as_ref().map_or(usize::MAX, |stream| stream.piece())
    }

    /// Whether it ends, with its connection or alone, because its client has taken too long.
    pub(crate) fn is_overdue(&self) -> bool {
        self.watch.overdue.get() || self.stream.as_ref().is_some_and(|stream| stream.is_overdue())
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        let watch = &self.watch;
        watch.busy.set(watch.busy.get() - 1);
        if watch.busy.get() == 0 {
            watch.enter(if watch.takes_no_more() { Phase::Leaving } else { Phase::Resting });
        }
    }
}

/// A connection on which nothing has been under way for so long is not expected to ask again at once.
const AT_REST: Duration = Duration::from_secs(1);

/// How long a client that has been told that this is the end may take to see it.
const LINGER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_request_that_was_refused_before_it_had_come_is_no_new_head() {
        let watch = Watch::new();
        watch.heard(100);
        let resting = watch.busy();
        watch.awaits_body();
        let asked = watch.asked();
        drop(resting);
        watch.heard(1024);
        assert_eq!(watch.phase(), Phase::Resting);
        watch.has_body(asked);
        watch.heard(1);
        assert_eq!(watch.phase(), Phase::Head, "the next is not to take for ever");
    }
}
