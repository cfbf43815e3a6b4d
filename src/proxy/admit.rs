//! Ask admission once, act on its verdict, report when it ends.
//!
//! A [`Gate`] is one admission domain behind its lock. The lock is held for one decision and never across an
//! await; waiters are woken after it is released. What is handed to a waiter is the seat itself inside a
//! guard, so a waiter that vanished between the decision and its waking gives the seat back by being
//! dropped. A bare "you may go" would leak it: seen to wedge a proxy within seconds.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::clock::Clock;
use crate::admission::{Arrival, Domain, Event, Outcome, Output, Place, Refused, Seat, Timestamp, Verdict};

/// One admission domain, shared by all workers.
pub struct Gate {
    inner: Mutex<Inner>,
    clock: Clock,
    /// The time the wake task sleeps until, so that only an earlier one disturbs it.
    planned: AtomicU64,
    earlier: Notify,
    notes: Box<dyn Fn(Event, Timestamp) + Send + Sync>,
}

struct Inner {
    domain: Domain,
    /// Who is to be told, by the slot of their place.
    waiting: Vec<Option<(Place, oneshot::Sender<Decision>)>>,
}

/// What a request hears at once.
pub enum Asked {
    /// Pass.
    Admitted(Admitted),
    /// Wait for the decision.
    Waiting(Waiting),
    /// No.
    Refused(Refused),
}

/// What a waiter hears in the end.
pub type Decision = Result<Admitted, Refused>;

/// A seat in use. Dropped without [`finish`](Self::finish), it counts as abandoned.
pub struct Admitted {
    gate: Arc<Gate>,
    seat: Option<Seat>,
}

/// A place in the queue: a future of the decision. Dropped, it leaves the queue.
pub struct Waiting {
    gate: Arc<Gate>,
    place: Place,
    decision: oneshot::Receiver<Decision>,
    decided: bool,
}

impl Gate {
    /// A gate in front of `domain`; `notes` is called for everything operators should hear, outside the lock.
    pub fn new(domain: Domain, clock: Clock, notes: Box<dyn Fn(Event, Timestamp) + Send + Sync>) -> Arc<Gate> {
        Arc::new(Gate {
            inner: Mutex::new(Inner { domain, waiting: Vec::new() }),
            clock,
            planned: AtomicU64::new(u64::MAX),
            earlier: Notify::new(),
            notes,
        })
    }

    /// A request asks to pass.
    pub fn ask(self: &Arc<Self>, arrival: Arrival, now: Timestamp) -> Asked {
        let mut inner = self.lock();
        let verdict = inner.domain.arrive(arrival, now);
        // Who made room for this one is told first: the slot may be the same.
        let news = self.news(&mut inner);
        let asked = match verdict {
            Verdict::Proceed(seat) => Asked::Admitted(Admitted { gate: self.clone(), seat: Some(seat) }),
            Verdict::Refuse(refused) => Asked::Refused(refused),
            Verdict::Wait(place) => {
                let (tell, decision) = oneshot::channel();
                inner.put(place, tell);
                Asked::Waiting(Waiting { gate: self.clone(), place, decision, decided: false })
            }
        };
        let next_wake = matches!(asked, Asked::Waiting(_)).then(|| inner.domain.next_wake()).flatten();
        drop(inner);
        self.tell(news, now);
        self.plan(next_wake);
        asked
    }

    /// Do something to the domain, under the lock, and act on what came of it. For orders and looking.
    pub fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut Domain, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut inner = self.lock();
        let result = act(&mut inner.domain, now);
        let next_wake = inner.domain.next_wake();
        self.release(inner, now);
        self.plan(next_wake);
        result
    }

    /// Wake the domain whenever it is due, for ever.
    pub async fn keep_awake(self: Arc<Self>) {
        loop {
            let next = self.with(|domain, now| {
                domain.wake(now);
                domain.next_wake()
            });
            self.planned.store(next.map_or(u64::MAX, nanos), Ordering::Relaxed);
            let earlier = self.earlier.notified();
            match next {
                // Work was left over: let others at the lock, then go on.
                Some(due) if due <= self.clock.now() => tokio::time::sleep(Duration::from_millis(1)).await,
                Some(due) => {
                    let sleep = tokio::time::sleep(due.since(self.clock.now()));
                    tokio::select! { () = sleep => {}, () = earlier => {} }
                }
                None => earlier.await,
            }
        }
    }

    fn finish(self: &Arc<Self>, seat: Seat, outcome: Outcome, now: Timestamp) {
        let mut inner = self.lock();
        inner.domain.finish(seat, outcome, now);
        self.release(inner, now);
    }

    fn leave(self: &Arc<Self>, place: Place) {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.take(place);
        inner.domain.leave(place, now);
        self.release(inner, now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock is a bug in admission; serving on with its last state is better than
        // turning one bad request into an outage.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take what the domain has to say, let go of the lock, and say it.
    fn release(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, now: Timestamp) {
        let news = self.news(&mut inner);
        drop(inner);
        self.tell(news, now);
    }

    /// What the domain has to say, and to whom.
    fn news(self: &Arc<Self>, inner: &mut Inner) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(output) = inner.domain.poll_output() {
            news.push(self.address(inner, output));
        }
        news
    }

    /// Say it, with the lock released.
    fn tell(&self, news: Vec<News>, now: Timestamp) {
        for item in news {
            match item {
                // A receiver that is gone hands the decision back, and a seat in it is given back by its drop.
                News::Decided(Some(tell), decision) => drop(tell.send(decision)),
                News::Decided(None, decision) => drop(decision),
                News::Note(event) => (self.notes)(event, now),
            }
        }
    }

    fn address(self: &Arc<Self>, inner: &mut Inner, output: Output) -> News {
        match output {
            Output::Admit(place, seat) => {
                let admitted = Admitted { gate: self.clone(), seat: Some(seat) };
                News::Decided(inner.take(place), Ok(admitted))
            }
            Output::Refuse(place, refused) => News::Decided(inner.take(place), Err(refused)),
            Output::Note(event) => News::Note(event),
        }
    }

    fn plan(&self, next_wake: Option<Timestamp>) {
        let Some(next) = next_wake else { return };
        if nanos(next) < self.planned.load(Ordering::Relaxed) {
            self.planned.store(nanos(next), Ordering::Relaxed);
            self.earlier.notify_one();
        }
    }
}

enum News {
    Decided(Option<oneshot::Sender<Decision>>, Decision),
    Note(Event),
}

impl Inner {
    fn put(&mut self, place: Place, tell: oneshot::Sender<Decision>) {
        if self.waiting.len() <= place.slot() {
            self.waiting.resize_with(place.slot() + 1, || None);
        }
        self.waiting[place.slot()] = Some((place, tell));
    }

    /// Whom to tell about `place`; nobody when its slot belongs to a later waiter by now.
    fn take(&mut self, place: Place) -> Option<oneshot::Sender<Decision>> {
        self.waiting.get_mut(place.slot())?.take_if(|(whose, _)| *whose == place).map(|(_, tell)| tell)
    }
}

impl Admitted {
    /// The request has ended.
    pub fn finish(mut self, outcome: Outcome, now: Timestamp) {
        if let Some(seat) = self.seat.take() {
            self.gate.finish(seat, outcome, now);
        }
    }

    /// When the request was let through.
    pub fn since(&self) -> Timestamp {
        self.seat.as_ref().map_or(Timestamp::ZERO, Seat::started)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            let now = self.gate.clock.now();
            self.gate.finish(seat, Outcome::Abandoned, now);
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

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.decided {
            self.gate.leave(self.place);
        }
    }
}

fn nanos(at: Timestamp) -> u64 {
    at.since_start().as_nanos() as u64
}
