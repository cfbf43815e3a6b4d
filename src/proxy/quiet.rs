//! Connections that are not woken for nothing.
//!
//! Who takes a piece of a body out of hyper's hands (1.12) wakes the task that has put it there, for it may put in the next:
//! also after the last piece, when that task has long gone on to something else. It is then run once more, with all that
//! belongs to a connection, finds nothing, and rests again; for a small answer that is every third time a connection to a
//! backend runs at all. So connections are run with a waker of ours, whose calls are [kept back](taking) while a piece is
//! taken and heard only if there is more to come.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    /// A piece is being taken on this thread, on which all that wakes for it runs.
    static TAKING: Cell<bool> = const { Cell::new(false) };
    /// Who was woken by it.
    static KEPT_BACK: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// The waker that a connection is run with.
#[derive(Default)]
pub(super) struct Quiet {
    /// The task's, and ours that stands for it.
    known: Option<(Waker, Waker)>,
}

/// Ends however it ends: nobody on this thread would be woken again.
struct Taking;

/// Stands for a task's waker.
struct Standin(Waker);

impl Quiet {
    /// Poll with a waker that is quiet.
    pub(super) fn poll<T>(&mut self, context: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let task = context.waker();
        // Ever the same, but for tests.
        if !self.known.as_ref().is_some_and(|(known, _)| known.will_wake(task)) {
            self.known = Some((task.clone(), Waker::from(Arc::new(Standin(task.clone())))));
        }
        let (_, ours) = self.known.as_ref().expect("just seen to");
        poll(&mut Context::from_waker(ours))
    }
}

/// Something to its end, with wakers that are quiet.
pub(super) async fn quietly<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut quiet = Quiet::default();
    poll_fn(|context| quiet.poll(context, |context| future.as_mut().poll(context))).await
}

/// Take a piece; whoever is woken by that is woken only if `is_more`, asked afterwards, says so.
pub(super) fn taking<B, T>(
    body: &mut B,
    take: impl FnOnce(&mut B) -> Poll<T>,
    is_more: impl FnOnce(&B) -> bool,
) -> Poll<T> {
    let taken = {
        let _taking = Taking::begin();
        take(body)
    };
    if let Some(woken) = KEPT_BACK.take()
        && is_more(body)
    {
        woken.wake();
    }
    taken
}

impl Taking {
    fn begin() -> Taking {
        TAKING.set(true);
        Taking
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        TAKING.set(false);
    }
}

impl Wake for Standin {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !TAKING.get() {
            return self.0.wake_by_ref();
        }
        // One piece has one who put it there.
        if let Some(other) = KEPT_BACK.replace(Some(self.0.clone())) {
            other.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_put_a_piece_there_is_woken_when_there_is_more_to_come_and_by_everything_else() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(count.clone());
        let wakes = || count.0.load(Ordering::Relaxed);
        let ours = Quiet::default().poll(&Context::from_waker(&task), |context| context.waker().clone());
        let piece = |(): &mut ()| {
            ours.wake_by_ref();
            Poll::Ready("a piece")
        };
        let take = |more| taking(&mut (), piece, |()| more);
        assert!(take(false).is_ready());
        assert_eq!(wakes(), 0, "for nothing");
        assert!(take(true).is_ready());
        assert_eq!(wakes(), 1, "for the next piece");
        ours.wake_by_ref();
        assert_eq!(wakes(), 2, "for anything else");
        assert!(take(false).is_ready());
        assert_eq!(wakes(), 2, "what was kept back is forgotten");
    }
}
