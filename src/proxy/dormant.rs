//! A connection that rests is taken apart, and put together again when its client asks something.
//!
//! What hyper holds for a conversation are two buffers of 8 KB and the place where a request is served, some 30 KB in all.
//! After a second of rest a connection in the clear gives all of it back and keeps its socket and its watch. That happens only
//! where nothing is under way: the last request has been read to its end, its answer is written, and nobody has asked for the
//! connection to close. What was read beyond that is put back and read again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use metrics::Gauge;

use super::Worker;
use super::quiet::Quiet;
use super::transport::Socket;
use super::watch::{Timer, Watch};

/// A conversation until its end, or until it rests.
pub(super) struct UntilAtRest<'a, C> {
    conversation: C,
    watch: &'a Watch,
    may_rest: bool,
    quiet: Quiet,
}

/// How far a conversation went.
pub(super) enum Turn<T> {
    /// It is over.
    Over(T),
    /// It may go on, and nothing is under way.
    AtRest,
}

/// The client took too long to ask again.
pub(super) struct Overdue;

impl<'a, C> UntilAtRest<'a, C> {
    pub(super) fn new(conversation: C, watch: &'a Watch, may_rest: bool) -> UntilAtRest<'a, C> {
        UntilAtRest { conversation, watch, may_rest, quiet: Quiet::default() }
    }

    pub(super) fn conversation(self: Pin<&mut Self>) -> Pin<&mut C>
    where
        C: Unpin,
    {
        Pin::new(&mut self.get_mut().conversation)
    }

    pub(super) fn into_conversation(self) -> C {
        self.conversation
    }
}

impl<C: Future + Unpin> Future for UntilAtRest<'_, C> {
    type Output = Turn<C::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn<C::Output>> {
        let UntilAtRest { conversation, quiet, .. } = &mut *self;
        match quiet.poll(context, |context| Pin::new(conversation).poll(context)) {
            Poll::Ready(ended) => Poll::Ready(Turn::Over(ended)),
            Poll::Pending if self.may_rest && self.watch.is_at_rest() => Poll::Ready(Turn::AtRest),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Wait until there is something to do on a connection that was taken apart: its client says something or goes, or somebody
/// asks for it to be closed.
pub(super) async fn wait(socket: &Socket, watch: &Watch, worker: &Worker, timer: &mut Timer) -> Result<(), Overdue> {
    let timeouts = &worker.settings.listen.timeouts;
    let _counted = Counted::one_more(&worker.metrics.dormant);
    timer.lets_rest(timeouts);
    poll_fn(|context| {
        if !socket.ahead().is_empty() || watch.is_closing(context.waker()) {
            return Poll::Ready(Ok(()));
        }
        // An error is the conversation's to find.
        if socket.tcp().poll_read_ready(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        timer.poll_overdue(watch, timeouts, context).map(|()| {
            worker.metrics.too_slow.increment(1);
            Err(Overdue)
        })
    })
    .await?;
    timer.goes_on();
    Ok(())
}

/// One among those that are dormant.
struct Counted<'a>(&'a Gauge);

impl Counted<'_> {
    fn one_more(dormant: &Gauge) -> Counted<'_> {
        dormant.increment(1.0);
        Counted(dormant)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
