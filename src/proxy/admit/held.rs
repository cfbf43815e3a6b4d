//! What a request has of a gate: leave to go on, or a place in the queue. Both are given back by being dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Gate;
use crate::admission::{Outcome, Place, Refused, Seat, Timestamp};
use crate::proxy::event::Events;
use crate::proxy::observe::Observed;

/// What a waiter hears in the end.
pub type Decision = Result<Admitted, Refused>;

/// Leave to go on. Dropped without [`finish`](Self::finish), the request counts as abandoned.
pub struct Admitted {
    pub(super) gate: Arc<Gate>,
    pub(super) hold: Option<Hold>,
    pub(super) events: Events,
}

/// What a request that goes on has.
pub(super) enum Hold {
    Seat(Seat),
    /// Whatever admission said. Boxed: it is rare, and this is moved a dozen times on the way.
    Observed(Box<Observed>),
}

/// A place in the queue: a future of the decision. Dropped, it leaves the queue.
pub struct Waiting {
    pub(super) gate: Arc<Gate>,
    pub(super) place: Place,
    pub(super) decision: oneshot::Receiver<Decision>,
    pub(super) decided: bool,
}

/// A request that is sent so soon after it was let through is not asked about again.
pub(super) const A_MOMENT: Duration = Duration::from_millis(1);

impl Admitted {
    /// The request has ended.
    pub fn finish(mut self, outcome: Outcome, now: Timestamp) {
        self.end(outcome, now);
    }

    /// When the request was let through.
    pub fn since(&self) -> Timestamp {
        match &self.hold {
            Some(Hold::Seat(seat)) => seat.started(),
            Some(Hold::Observed(observed)) => observed.started(),
            None => Timestamp::ZERO,
        }
    }

    /// Where it is served, among its domain's resources; `None` where its product is served at one place.
    pub fn pool(&self) -> Option<usize> {
        match &self.hold {
            Some(Hold::Seat(seat)) => seat.pool(),
            Some(Hold::Observed(observed)) => observed.pool(),
            None => None,
        }
    }

    /// It is for these events.
    pub(crate) fn is_for(&mut self, events: Events) {
        self.events = events;
    }

    /// The no that has to be told after all, just before it is sent: betting may have stopped since it was let through.
    /// Asked of those who `waited` for anything since, or came late to hear that they may go; and of bets on several
    /// events, of which admission was told one.
    pub(crate) fn forbidden_by_now(&self, waited: bool) -> Option<Refused> {
        // What goes on whatever was said to it goes on.
        let (Some(Hold::Seat(seat)), false) = (&self.hold, self.events.is_none()) else { return None };
        let now = self.gate.clock.now();
        let late = waited || now.since(seat.started()) > A_MOMENT;
        let events = self.events.to_ask_again(late)?;
        self.gate.lock().domain.forbids_by_now(seat, events, now)
    }

    /// A no that is still to come to a request that goes on all the same is counted by what `count` makes.
    pub(crate) fn on_refusal<F: FnOnce(Refused) + Send + 'static>(&mut self, count: impl FnOnce() -> F) {
        if let Some(Hold::Observed(observed)) = &mut self.hold {
            observed.on_refusal(Box::new(count()));
        }
    }

    fn end(&mut self, outcome: Outcome, now: Timestamp) {
        match self.hold.take() {
            Some(Hold::Seat(seat)) => self.gate.finish(seat, outcome, now),
            Some(Hold::Observed(observed)) => observed.end(&self.gate, outcome, now),
            None => {}
        }
    }

    /// The seat alone, for a request that is under way already.
    pub(in crate::proxy) fn into_seat(mut self) -> Option<Seat> {
        match self.hold.take() {
            Some(Hold::Seat(seat)) => Some(seat),
            hold => {
                self.hold = hold;
                None
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.hold.is_some() {
            let now = self.gate.clock.now();
            self.end(Outcome::Abandoned, now);
        }
    }
}

impl Future for Waiting {
    type Output = Decision;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Decision> {
        let decision = std::task::ready!(Pin::new(&mut self.decision).poll(context));
        self.decided = true;
        Poll::Ready(decision.expect("the gate holds the sender until it has decided, and outlives its waiters"))
    }
}

impl Waiting {
    /// The decision, when there is one already.
    pub(in crate::proxy) fn decided(&mut self) -> Option<Decision> {
        let decision = self.decision.try_recv().ok()?;
        self.decided = true;
        Some(decision)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.decided {
            self.gate.leave(self.place);
        }
    }
}
