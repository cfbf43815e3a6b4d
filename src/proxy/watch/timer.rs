//! The timer of one connection: it lives as long as the connection and looks seldom.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::{AT_REST, Phase, Watch};
use crate::proxy::settings::ClientTimeouts;

/// The timer of one connection.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    every: Duration,
    /// After how long it looks next.
    next: Duration,
    /// Whom it wakes then.
    wakes: Option<Waker>,
}

impl Timer {
    pub(crate) fn new(timeouts: &ClientTimeouts) -> Timer {
        let shortest = timeouts.header.min(timeouts.idle).min(timeouts.send);
        let every = (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(5));
        Timer { sleep: Box::pin(tokio::time::sleep(every)), every, next: every, wakes: None }
    }

    /// Look again after so long.
    fn look_after(&mut self, next: Duration) {
        self.next = next;
        self.sleep.as_mut().reset(Instant::now() + next);
        self.wakes = None;
    }

    /// Nothing is watched but whether the client asks again within its time.
    pub(crate) fn lets_rest(&mut self, timeouts: &ClientTimeouts) {
        self.look_after(timeouts.idle.saturating_sub(AT_REST));
    }

    /// Everything is watched again.
    pub(crate) fn goes_on(&mut self) {
        self.look_after(self.every);
    }

    /// Ready when the client has taken too long.
    pub(crate) fn poll_overdue(
        &mut self,
        watch: &Watch,
        timeouts: &ClientTimeouts,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while self.poll_look(context).is_ready() {
            if watch.is_overdue(timeouts, self.next) {
                watch.overdue.set(true);
                return Poll::Ready(());
            }
            // Who begins to rest is looked at again when they can be said to.
            let settles = watch.phase() == Phase::Resting && !watch.write_blocked.get() && !watch.is_at_rest();
            self.look_after(if settles { self.every.min(AT_REST) } else { self.every });
        }
        Poll::Pending
    }

    /// Ready when it is time to look. On the way of a request it is asked twice, always by the connection's own task, and tokio
    /// would write down each time whom to wake.
    fn poll_look(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let same = self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(context.waker()));
        if same && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.wakes = Some(context.waker().clone());
        self.sleep.as_mut().poll(context)
    }
}
