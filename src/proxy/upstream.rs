//! Connections to backends, and sending a request over one.
//!
//! Each worker keeps its own idle connections, newest first: no lock, and the oldest are those that
//! expire. A request is sent again only when hyper hands it back unsent, on another connection or to
//! another backend, and as often as the [budget](RetryBudget) of this worker allows; once a byte may have left, it is never
//! repeated.

mod channel;
pub(crate) mod greeting;
mod incoming;
mod lines;
mod pump;
mod reach;
pub(crate) mod request;
mod sender;
mod shelves;
mod streaming;
mod verdict;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request};
use hyper::client::conn::http1::{self, SendRequest};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::admit::Admitted;
use super::backend::{Backend, Outstanding};
use super::balance::Table;
use super::clock::Clock;
use super::descriptors;
use super::exchange::{self, Answered, Exchange};
use super::fault::{Fault, Unanswered};
use super::hints::Hints;
use super::ledger::{self, Account};
use super::once::First;
use super::quiet::quietly;
use super::settings::{BackendTimeouts, PoolSettings, Protocol, StreamSettings};
use super::standing::Standing;
use super::stream::{BackendIo, BackendStream};
use super::streams::Seatless;
use super::tunnel::Freed;
use super::upgrade::Offer;
use super::upload::{RequestBody, Turn};
use crate::admission::random::Random;
use crate::admission::retry_budget::RetryBudget;
use crate::admission::{Customer, Outcome, Timestamp};
use crate::telemetry::record::UpstreamMetrics;

pub(crate) use incoming::BackendBody;
use lines::Lines;
use sender::{Sender, Unsent};
pub(super) use shelves::Shelf;
pub(crate) use verdict::amounts_to;

/// One worker's connections to the backends of one pool.
pub(crate) struct Pool {
    standing: Arc<Standing>,
    pub(super) hints: Arc<Hints>,
    host: HeaderValue,
    roll: RefCell<Rc<Roll>>,
    timeouts: BackendTimeouts,
    most_idle: usize,
    random: Cell<Random>,
    retries: RefCell<RetryBudget>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<UpstreamMetrics>,
    /// Exchanges of all pools that go on although their client has hung up.
    carried: Rc<Cell<usize>>,
    account: Rc<Account>,
    /// Others look after the connections.
    succeeded: Cell<bool>,
}

/// Who belongs to the pool, as this worker has last seen it.
struct Roll {
    generation: u64,
    table: Table,
    shelves: Vec<Shelf>,
    /// To those that are spoken to in HTTP/2.
    lines: Vec<Rc<Lines>>,
}

/// A connection in use.
pub(super) struct Borrowed {
    pub(super) sender: Sender,
    pub(super) shelf: Shelf,
    pub(super) outstanding: Outstanding,
    /// Nothing has been sent over it before.
    fresh: bool,
    /// It may be asked to go on in another protocol.
    pub(super) lease: Option<Box<Lease>>,
}

/// A connection on which another protocol is offered.
pub(super) struct Lease {
    pub(super) offer: Offer,
    /// The connection, once HTTP has left it.
    pub(super) freed: oneshot::Receiver<Freed>,
}

/// What has been tried for one request.
struct Tries {
    /// Whose it is.
    customer: Customer,
    /// Backends that did not take it.
    failed_at: Vec<Arc<Backend>>,
    /// Each further connection is one out of the budget.
    begun: bool,
    /// What is offered to go on with: then the connection must be a new one, for it may never come back.
    offer: Option<Offer>,
    /// It is carried to its end whoever hangs up.
    carried: bool,
    /// A backend that has accepted did not want it.
    refused: bool,
}

/// New connections tried for one request before it is given up.
const MOST_ATTEMPTS: usize = 3;
/// Counts one exchange that goes on although its client has hung up.
struct Carrying(Rc<Cell<usize>>);

impl Carrying {
    fn one_more(carried: &Rc<Cell<usize>>) -> Carrying {
        carried.update(|carried| carried + 1);
        Carrying(carried.clone())
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.0.update(|carried| carried - 1);
    }
}

/// Bytes of a backend's answer that a connection holds: more for a head is no head, and hyper would look
/// through four times as much before it lets others have their turn. An answer of 1 MB costs a third less in pieces of
/// this size than in those of 64 or 128 KB (docs/decisions/0022).
const MOST_BUFFERED: usize = ledger::BACKEND;
impl Pool {
    /// A worker's connections to these backends; those that it has already to them, as `before`, are used on.
    pub(crate) fn new(
        standing: Arc<Standing>,
        hints: Arc<Hints>,
        before: Option<&Rc<Pool>>,
        (carried, account): (Rc<Cell<usize>>, Rc<Account>),
        seed: u64,
    ) -> Rc<Pool> {
        let (settings, clock) = (&standing.settings, standing.clock);
        // A connection to somebody who would not be believed now is not used on.
        let same = |before: &PoolSettings| (&before.tls, before.protocol) == (&settings.tls, settings.protocol);
        let before = before.filter(|before| same(&before.standing.settings));
        let before = before.map(|before| before.roll.borrow().clone());
        let roll = Roll::call(&standing, before.as_deref());
        let host = standing.settings.backends.first().and_then(|backend| HeaderValue::from_str(&backend.name).ok());
        Rc::new(Pool {
            host: host.unwrap_or(HeaderValue::from_static("")),
            roll: RefCell::new(Rc::new(roll)),
            metrics: standing.metrics.clone(),
            hints,
            timeouts: settings.timeouts.clone(),
            most_idle: settings.idle_connections,
            random: Cell::new(Random::new(seed)),
            retries: RefCell::new(RetryBudget::new(settings.retry_budget, clock.now())),
            clock,
            standing,
            carried,
            account,
            succeeded: Cell::new(false),
        })
    }

    /// Go on with what is left of an exchange whose client has hung up.
    pub(crate) fn carry(self: &Rc<Self>, rest: impl Future<Output = ()> + 'static) {
        let carrying = Carrying::one_more(&self.carried);
        tokio::task::spawn_local(async move {
            rest.await;
            drop(carrying);
        });
    }

    /// Whether its backends are those of `standing`.
    pub(crate) fn is_of(&self, standing: &Standing) -> bool {
        self.standing.is_kin(standing)
    }

    /// The `Host` of those who ask for none: the first backend's, for all serve the same.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// What becomes of streams.
    pub(super) fn streams(&self) -> &StreamSettings {
        &self.standing.settings.streams
    }

    /// A stream goes on without a seat, if it may.
    pub(super) fn without_seat(&self) -> Option<Seatless> {
        Seatless::one_more(&self.standing)
    }

    /// Whether a backend may go on in another protocol: one that is spoken to in HTTP/2 alone cannot.
    pub(crate) fn may_switch(&self) -> bool {
        self.standing.settings.protocol != Protocol::Http2
    }

    /// How long a backend may be silent within an answer.
    pub(crate) fn timeouts(&self) -> &BackendTimeouts {
        &self.timeouts
    }

    /// Send `request` and wait for the head of the answer. The seat is given back when this fails, or when
    /// the [`Answered::exchange`] ends.
    pub(crate) async fn exchange(
        self: &Rc<Self>,
        mut request: Request<RequestBody>,
        admitted: Admitted,
        customer: Customer,
        first: Option<Box<First>>,
    ) -> Result<Answered, Unanswered> {
        let started = admitted.since();
        self.retries.borrow_mut().request(started);
        let by = |after| Instant::from_std(self.clock.instant(started + after));
        let end = by(self.timeouts.total);
        let head_by = by(self.timeouts.first_byte.min(self.timeouts.total));
        let upload = request.body().fate();
        let carried = exchange::is_carried(request.method(), first.as_deref());
        let mut exchange = Exchange::new(self.clone(), admitted, &request, first);
        let mut tries = Tries { offer: request.extensions().get().cloned(), carried, ..Tries::of(customer) };
        let mut sent_before = false;
        loop {
            let mut connection = match self.connect(started, &mut tries).await {
                Ok(connection) => connection,
                Err(fault) => {
                    // Nobody there says nothing about how much the others can take.
                    exchange.end(Outcome::Abandoned);
                    return Err(exchange.failed(fault).into());
                }
            };
            let fresh = connection.fresh;
            // A bet may have come too late while a connection was made.
            if let Some(too_late) = exchange.is_too_late(fresh || sent_before || !tries.failed_at.is_empty()) {
                self.put_back(connection.shelf, connection.sender, self.clock.now());
                return Err(too_late);
            }
            // Whoever goes away, or is full for a moment, may be asked once more, and not for ever.
            let shared = connection.sender.is_shared();
            let failed = if shared { tries.refused } else { fresh };
            let backend = failed.then(|| connection.outstanding.backend().clone());
            let mut sent = pin!(connection.sender.send(request));
            exchange.over(Some(connection));
            let mut by = head_by;
            let heard = loop {
                let heard = timeout_at(by, &mut sent).await;
                // Nobody is late who is still being told what to answer.
                let due = if heard.is_err() { upload.answer_due(by, self.timeouts.first_byte) } else { None };
                match due.map(|due| due.min(end)).filter(|due| *due > by) {
                    Some(due) => by = due,
                    None => break heard,
                }
            };
            match heard {
                Ok(Ok(response)) => return Ok(exchange.answered(response, started, end, upload)?),
                // Never sent, or never looked at: an idle connection that the backend closed while it lay here, a backend
                // that closes what it has just accepted, or that goes away.
                Ok(Err(Unsent::Back(unsent))) => {
                    exchange.over(None);
                    sent_before = true;
                    request = *unsent;
                    tries.failed_at.extend(backend);
                    tries.refused |= shared;
                }
                Ok(Err(Unsent::Spent)) => {
                    exchange.over(None);
                    exchange.end(Outcome::Abandoned);
                    return Err(exchange.failed(Fault::Unreachable).into());
                }
                Ok(Err(Unsent::Lost)) => return Err(exchange.broken_by(upload.error()).into()),
                // A request that has not come whole yet cannot have been answered, unless it is the backend that does not
                // take it.
                Err(_) if upload.turn() == Turn::Client => {
                    exchange.end(Outcome::Abandoned);
                    return Err(exchange.failed(Fault::ClientTimeout).into());
                }
                // Its time is over, and nobody was too slow.
                Err(_) if upload.turn() == Turn::Talking => {
                    exchange.end(Outcome::Abandoned);
                    return Err(exchange.failed(Fault::NoAnswer(self.timeouts.total)).into());
                }
                Err(_) => {
                    exchange.timed_out();
                    return Err(exchange.failed(Fault::NoAnswer(self.timeouts.first_byte)).into());
                }
            }
        }
    }

    /// A connection that is ready to send: an idle one, or a new one to a backend that accepts it.
    async fn connect(&self, now: Timestamp, tries: &mut Tries) -> Result<Borrowed, Fault> {
        let roll = self.roll();
        let backends = &roll.table.backends;
        let mut short = false;
        while tries.failed_at.len() < MOST_ATTEMPTS.min(backends.len()) && self.may_try(tries) {
            let index = roll.table.choose(&tries.failed_at, tries.customer, now, &self.random);
            let (backend, shelf) = (&backends[index], &roll.shelves[index]);
            let outstanding = Outstanding::at(backend);
            if tries.offer.is_none()
                && let Some(sender) = self.reuse(shelf, now)
            {
                let sender = Sender::Http1(sender);
                return Ok(Borrowed { sender, shelf: shelf.clone(), outstanding, fresh: false, lease: None });
            }
            match self.reach(backend, &roll.lines[index], tries).await {
                Ok((sender, fresh, lease)) => {
                    return Ok(Borrowed { sender, shelf: shelf.clone(), outstanding, fresh, lease });
                }
                // Not the backend's fault: it has not been asked. Those that lie idle at others may have one.
                Err(error) if descriptors::are_used_up(&error) => {
                    if std::mem::replace(&mut short, true) {
                        return Err(Fault::OutOfDescriptors);
                    }
                    self.drop_idle();
                    // A connection is closed by its own task.
                    tokio::task::yield_now().await;
                    tries.begun = false;
                    continue;
                }
                Err(_) => {}
            }
            tries.failed_at.push(backend.clone());
        }
        Err(Fault::Unreachable)
    }

    /// Whether one more connection may be tried: the first always, others as the budget allows.
    fn may_try(&self, tries: &mut Tries) -> bool {
        if !std::mem::replace(&mut tries.begun, true) {
            return true;
        }
        let may = self.retries.borrow_mut().retry(self.clock.now());
        self.metrics.tried_again(may);
        may
    }

    /// Who belongs to the pool now.
    fn roll(&self) -> Rc<Roll> {
        let mut roll = self.roll.borrow_mut();
        if roll.generation != self.standing.generation() {
            let next = Rc::new(Roll::call(&self.standing, Some(&roll)));
            let before = std::mem::replace(&mut *roll, next);
            let now = std::slice::from_ref(&*roll);
            if self.succeeded.get() {
                // Who has come since is here for those who wait; what they open serves one of them.
                now[0].lets_go_of_what_is_not_in(&[before]);
            } else {
                before.lets_go_of_what_is_not_in(now);
            }
        }
        roll.clone()
    }

    /// What came back from a backend, or that nothing did. One that is alone has nobody to be compared with.
    pub(super) fn heard(&self, backend: &Arc<Backend>, good: bool, took: Duration, now: Timestamp) {
        if self.roll.borrow().shelves.len() > 1 {
            self.standing.heard(backend, good, took, now);
        }
    }

    async fn open(
        &self,
        stream: BackendIo,
        offer: Option<&Offer>,
    ) -> std::io::Result<(SendRequest<RequestBody>, Option<Box<Lease>>)> {
        stream.tcp().set_nodelay(true)?;
        let mut builder = http1::Builder::new();
        // A request is nearly always a head and nothing else: a plain send of one buffer costs less than a vectored
        // one, and a body worth sending in pieces is copied once on its way.
        builder.max_buf_size(MOST_BUFFERED).writev(false);
        let (sender, connection) =
            builder.handshake(BackendStream::new(stream)).await.map_err(std::io::Error::other)?;
        let held = self.account.hold(ledger::BACKEND);
        let Some(offer) = offer else {
            tokio::task::spawn_local(async move {
                // Its error reaches whoever waits for an answer on it; on an idle connection it is nobody's news.
                let _ = quietly(connection).await;
                drop(held);
            });
            return Ok((sender, None));
        };
        let (free, freed) = oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(parts) = quietly(connection.without_shutdown()).await {
                // Nobody waits for it when the backend has answered instead.
                let _ = free.send(Freed { io: parts.io.into_io(), early: parts.read_buf, held });
            }
        });
        Ok((sender, Some(Box::new(Lease { offer: offer.clone(), freed }))))
    }
}

impl Tries {
    /// Nothing yet.
    fn of(customer: Customer) -> Tries {
        Tries { customer, failed_at: Vec::new(), begun: false, offer: None, carried: false, refused: false }
    }
}

impl Roll {
    /// Who belongs to the pool now, with the connections that are kept to those who did before.
    fn call(standing: &Standing, before: Option<&Roll>) -> Roll {
        // First: what changes meanwhile is then seen the next time.
        let generation = standing.generation();
        let backends = standing.backends();
        let known = |backend: &Arc<Backend>| {
            let roll = before?;
            let place = roll.table.backends.iter().position(|known| Arc::ptr_eq(known, backend))?;
            Some((roll.shelves[place].clone(), roll.lines[place].clone()))
        };
        let (shelves, lines) = backends.iter().map(|backend| known(backend).unwrap_or_default()).unzip();
        Roll { generation, table: Table::new(backends, standing.settings.policy), shelves, lines }
    }
}
