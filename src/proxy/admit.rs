//! Ask admission once, act on its verdict, report when it ends.
//!
//! A [`Gate`] is one admission domain behind its lock. The lock is held for one decision and never across an
//! await; waiters are woken after it is released. What is handed to a waiter is the seat itself inside a
//! guard, so a waiter that vanished between the decision and its waking gives the seat back by being
//! dropped. A bare "you may go" would leak it: seen to wedge a proxy within seconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::clock::Clock;
use super::event::Events;
use super::observe::{Observed, Shadow};
use crate::admission::{
    Arrival, Customer, Domain, Event, EventKey, Outcome, Output, Place, Refusal, Refused, Seat, Timestamp, Verdict,
};

mod held;

use held::Hold;
pub use held::{Admitted, Decision, Waiting};

/// One admission domain, shared by all workers.
pub struct Gate {
    inner: Mutex<Inner>,
    clock: Clock,
    /// Whether everything but plain proxying is off, for those who do not come to the lock.
    bypassed: AtomicBool,
    /// The wake task is to look again: it is needed earlier than it plans to wake.
    earlier: Notify,
    notes: Box<dyn Fn(Event, Timestamp) + Send + Sync>,
}

struct Inner {
    domain: Domain,
    /// Who is to be told, by the slot of their place.
    waiting: Vec<Option<Waiter>>,
    /// The time the wake task sleeps until, so that only an earlier one disturbs it. Under the lock like what
    /// it is computed from: else an earlier time could be overwritten by a later one that was computed before.
    planned: Option<Timestamp>,
}

/// Who is to be told.
struct Waiter {
    place: Place,
    tell: Tell,
    /// Whether the request has gone on already.
    shadow: bool,
}

/// What a request hears at once.
pub enum Asked {
    /// Pass.
    Admitted(Admitted),
    /// Wait for the decision.
    Waiting {
        /// Where it comes.
        waiting: Waiting,
        /// The customer has other requests here, of which this may be one once more.
        again: bool,
    },
    /// No.
    Refused {
        /// Why, and when to come back.
        refused: Refused,
        /// It is for want of room, and the customer may have asked for the same before, and wait.
        again: bool,
    },
    /// Pass, although this is what was decided: observe-only.
    Observed(Admitted, Decided),
}

/// What admission decided about a request that goes on all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Pass.
    Proceed,
    /// Wait.
    Wait,
    /// No.
    Refuse(Refused),
}

/// Where a waiter hears what was decided.
type Tell = oneshot::Sender<Decision>;

impl Gate {
    /// A gate in front of `domain`; `notes` is called for everything operators should hear, under the lock, so
    /// that what it passes on keeps its order. It must not wait for anything.
    pub fn new(domain: Domain, clock: Clock, notes: Box<dyn Fn(Event, Timestamp) + Send + Sync>) -> Arc<Gate> {
        Arc::new(Gate {
            bypassed: AtomicBool::new(domain.is_bypassed()),
            inner: Mutex::new(Inner { domain, waiting: Vec::new(), planned: None }),
            clock,
            earlier: Notify::new(),
            notes,
        })
    }

    /// A request asks to pass.
    pub fn ask(self: &Arc<Self>, arrival: Arrival, now: Timestamp) -> Asked {
        let mut inner = self.lock();
        let verdict = inner.domain.arrive(arrival, now);
        // Who made room for this one is told first: the slot may be the same.
        let news = self.news(&mut inner, now);
        let waits = matches!(verdict, Verdict::Wait(_));
        let asked = if inner.domain.is_observe_only() {
            self.observed(&mut inner, &arrival, verdict, now)
        } else {
            match verdict {
                Verdict::Proceed(seat) => Asked::Admitted(self.admitted(Hold::Seat(seat))),
                Verdict::Refuse(refused) => {
                    Asked::Refused { refused, again: may_be_again(&inner.domain, &arrival, refused) }
                }
                Verdict::Wait(place) => {
                    let again = is_here(&inner.domain, &arrival, 2);
                    Asked::Waiting { waiting: self.waiting(&mut inner, place, false), again }
                }
            }
        };
        let earlier = (waits || inner.domain.may_be_due_earlier()) && inner.plan_earlier();
        drop(inner);
        tell(news);
        self.notify(earlier);
        asked
    }

    /// A request that goes on whatever was said to it.
    fn observed(self: &Arc<Self>, inner: &mut Inner, arrival: &Arrival, verdict: Verdict, now: Timestamp) -> Asked {
        let (shadow, decided) = match verdict {
            Verdict::Proceed(seat) => (Shadow::Seat(seat), Decided::Proceed),
            Verdict::Wait(place) => (Shadow::Waiting(self.waiting(inner, place, true)), Decided::Wait),
            Verdict::Refuse(refused) => (Shadow::Refused, Decided::Refuse(refused)),
        };
        let observed = Observed::new(inner.domain.goes_on(arrival, now), shadow, now);
        Asked::Observed(self.admitted(Hold::Observed(Box::new(observed))), decided)
    }

    fn admitted(self: &Arc<Self>, hold: Hold) -> Admitted {
        Admitted { gate: self.clone(), hold: Some(hold), events: Events::None }
    }

    fn waiting(self: &Arc<Self>, inner: &mut Inner, place: Place, shadow: bool) -> Waiting {
        let (tell, decision) = oneshot::channel();
        inner.put(Waiter { place, tell, shadow });
        Waiting { gate: self.clone(), place, decision, decided: false }
    }

    /// What waits at this place is known by `what`, so that it is recognised when it is asked for again.
    pub fn name(&self, waiting: &Waiting, what: u64) {
        self.lock().domain.name(waiting.place, what);
    }

    /// The place of the same request, which waits already; whoever waits there is told.
    pub fn take_over(self: &Arc<Self>, arrival: &Arrival, what: u64, now: Timestamp) -> Option<Waiting> {
        let mut inner = self.lock();
        let place = inner.domain.take_over(arrival, what, now);
        // The old one is told first: the slot is the same.
        let news = self.news(&mut inner, now);
        let waiting = place.map(|place| self.waiting(&mut inner, place, false));
        drop(inner);
        tell(news);
        waiting
    }

    /// The no that a request would hear now, before the rest of it is waited for; none to what may be a request that waits
    /// already.
    pub fn would_refuse(&self, arrival: &Arrival, now: Timestamp) -> Option<Refused> {
        let mut inner = self.lock();
        let refused = inner.domain.would_refuse(arrival, now);
        let refused = refused.filter(|refused| !may_be_again(&inner.domain, arrival, *refused));
        let earlier = inner.domain.may_be_due_earlier() && inner.plan_earlier();
        drop(inner);
        self.notify(earlier);
        refused
    }

    /// Of the events that a bet names, the one that admission should know of.
    pub(crate) fn first_to_stop(&self, events: &[EventKey]) -> Option<EventKey> {
        let now = self.clock.now();
        self.lock().domain.first_to_stop(events, now)
    }

    /// Do something to the domain, under the lock, and act on what came of it. For orders and looking.
    pub fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut Domain, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut inner = self.lock();
        let result = act(&mut inner.domain, now);
        self.bypassed.store(inner.domain.is_bypassed(), Ordering::Relaxed);
        let (news, earlier) = (self.news(&mut inner, now), inner.plan_earlier());
        drop(inner);
        tell(news);
        self.notify(earlier);
        result
    }

    /// Whether everything but plain proxying is off.
    pub(crate) fn is_bypassed(&self) -> bool {
        self.bypassed.load(Ordering::Relaxed)
    }

    /// Wake the domain whenever it is due, for ever.
    pub async fn keep_awake(self: Arc<Self>) {
        loop {
            let next = self.wake();
            match next {
                // Work was left over: let others at the lock, then go on.
                Some(due) if due <= self.clock.now() => tokio::time::sleep(Duration::from_millis(1)).await,
                Some(due) => {
                    let sleep = tokio::time::sleep(due.since(self.clock.now()));
                    tokio::select! { () = sleep => {}, () = self.earlier.notified() => {} }
                }
                None => self.earlier.notified().await,
            }
        }
    }

    /// Wake the domain, and tell when to do so next.
    fn wake(self: &Arc<Self>) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.domain.wake(now);
        let next = inner.domain.next_wake();
        inner.planned = next;
        let news = self.news(&mut inner, now);
        drop(inner);
        tell(news);
        next
    }

    /// Refuse nobody from now on, or act on what is decided. Who waits goes on, and keeps the place.
    /// Returns whether that is a change.
    pub fn observe_only(self: &Arc<Self>, on: bool) -> bool {
        let now = self.clock.now();
        let mut inner = self.lock();
        let changed = inner.domain.is_observe_only() != on;
        inner.domain.observe_only(on, now);
        let mut news = self.news(&mut inner, now);
        if on {
            news.extend(self.let_go_on(&mut inner, now));
        }
        let earlier = inner.plan_earlier();
        drop(inner);
        tell(news);
        self.notify(earlier);
        changed
    }

    /// Everybody who waits goes on, with the place as a shadow.
    fn let_go_on(self: &Arc<Self>, inner: &mut Inner, now: Timestamp) -> Vec<News> {
        // Those of an earlier time, whose requests have gone on, are no news.
        let real = |waiter: &mut Option<Waiter>| waiter.take_if(|waiter| !waiter.shadow);
        let waiting: Vec<Waiter> = inner.waiting.iter_mut().filter_map(real).collect();
        let mut news = Vec::with_capacity(waiting.len());
        for Waiter { place, tell, .. } in waiting {
            let Some(arrival) = inner.domain.waiter(place) else { continue };
            let shadow = Shadow::Waiting(self.waiting(inner, place, true));
            let observed = Observed::new(inner.domain.goes_on(&arrival, now), shadow, now);
            news.push((Some(tell), Ok(self.admitted(Hold::Observed(Box::new(observed))))));
        }
        news
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
        let news = self.news(&mut inner, now);
        // A seat that comes back sets no deadline.
        let earlier = inner.domain.may_be_due_earlier() && inner.plan_earlier();
        drop(inner);
        tell(news);
        self.notify(earlier);
    }

    /// What the domain has to say to those who wait. What it has to note is noted.
    fn news(self: &Arc<Self>, inner: &mut Inner, now: Timestamp) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(output) = inner.domain.poll_output() {
            match output {
                Output::Admit(place, seat) => news.push((inner.take(place), Ok(self.admitted(Hold::Seat(seat))))),
                Output::Refuse(place, refused) => news.push((inner.take(place), Err(refused))),
                Output::Note(event) => (self.notes)(event, now),
            }
        }
        news
    }

    fn notify(&self, earlier: bool) {
        if earlier {
            self.earlier.notify_one();
        }
    }
}

/// Whether somebody who is refused for want of room may have asked for the same before, and wait.
fn may_be_again(domain: &Domain, arrival: &Arrival, refused: Refused) -> bool {
    let for_room = matches!(refused.refusal, Refusal::QueueFull | Refusal::NotYourTurn | Refusal::OverCustomerShare);
    for_room && arrival.class.is_of_a_journey() && is_here(domain, arrival, 1)
}

/// Whether an arrival's customer has so many requests here. Of an address that says nothing.
fn is_here(domain: &Domain, arrival: &Arrival, requests: u32) -> bool {
    matches!(arrival.customer, Customer::Account(_)) && domain.requests_of(arrival.customer) >= requests
}

/// A decision, and whom to tell; nobody when the waiter has gone.
type News = (Option<Tell>, Decision);

/// Say it, with the lock released.
fn tell(news: Vec<News>) {
    for (waiter, decision) in news {
        match waiter {
            // A receiver that is gone hands the decision back, and a seat in it is given back by its drop.
            Some(waiter) => drop(waiter.send(decision)),
            None => drop(decision),
        }
    }
}

impl Inner {
    fn put(&mut self, waiter: Waiter) {
        let slot = waiter.place.slot();
        if self.waiting.len() <= slot {
            self.waiting.resize_with(slot + 1, || None);
        }
        self.waiting[slot] = Some(waiter);
    }

    /// Whether the wake task is needed earlier than it plans to wake; if so, it is planned.
    fn plan_earlier(&mut self) -> bool {
        let next = self.domain.next_wake();
        let earlier = next.is_some_and(|next| self.planned.is_none_or(|planned| next < planned));
        if earlier {
            self.planned = next;
        }
        earlier
    }

    /// Whom to tell about `place`; nobody when its slot belongs to a later waiter by now.
    fn take(&mut self, place: Place) -> Option<Tell> {
        self.waiting.get_mut(place.slot())?.take_if(|waiter| waiter.place == place).map(|waiter| waiter.tell)
    }
}

#[cfg(test)]
mod tests;
