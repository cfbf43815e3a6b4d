//! One exchange: a request between its sending and the end of its answer.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::response::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::access_log::Trail;
use super::admit::Admitted;
use super::body::AnswerBody;
use super::fault::{Fault, Unanswered};
use super::headers::{self, Seen};
use super::once::First;
use super::patience::BodyError;
use super::settings::StreamSettings;
use super::streams::Seatless;
use super::tunnel::Tunnel;
use super::upgrade;
use super::upload::{Fate, RequestBody};
use super::upstream::{BackendBody, Borrowed, Pool, amounts_to};
use crate::admission::{Customer, Outcome, Timestamp};

/// A request between its sending and the end of its answer: it holds the seat and the connection.
pub(crate) struct Exchange {
    pool: Rc<Pool>,
    admitted: Option<Admitted>,
    connection: Option<Borrowed>,
    outcome: Outcome,
    carried: bool,
    /// Others wait for what this hears. Boxed: few requests have any.
    first: Option<Box<First>>,
    trail: Trail,
    /// It is a stream that has given its seat back.
    seatless: Option<Seatless>,
}

/// The head of a backend's answer, and what is still under way.
pub(crate) struct Answered {
    pub(crate) response: Response<BackendBody>,
    pub(crate) exchange: Exchange,
    /// What was found in its headers.
    pub(crate) seen: Seen,
    /// After how long it came.
    took: Duration,
    /// How the body of the request fares.
    upload: Fate,
    /// When the whole answer must have been relayed.
    pub(crate) end: Instant,
}

impl Exchange {
    /// This request is about to be sent.
    pub(super) fn new(
        pool: Rc<Pool>,
        admitted: Admitted,
        request: &Request<RequestBody>,
        first: Option<Box<First>>,
    ) -> Exchange {
        let carried = is_carried(request.method(), first.as_deref());
        let trail = request.body().trail().clone();
        let (admitted, outcome) = (Some(admitted), Outcome::Failed);
        Exchange { pool, admitted, connection: None, outcome, carried, first, trail, seatless: None }
    }

    /// What is heard instead when it must not be sent after all, because betting on what it is for has stopped since it was let
    /// through; the seat is given back then. `waited` when anything was waited for since.
    pub(super) fn is_too_late(&mut self, waited: bool) -> Option<Unanswered> {
        let refused = self.admitted.as_ref()?.forbidden_by_now(waited)?;
        self.end(Outcome::Abandoned);
        // Others may wait for what this hears; and a bet that was sent before, with its answer lost, may have been placed.
        let heard = self.first.as_mut().map_or(Ok(refused), |first| first.refused(refused));
        Some(heard.map_or_else(Unanswered::Fault, Unanswered::Refused))
    }

    /// It is sent over this connection; over none when it is certain that no byte of it has left.
    pub(super) fn over(&mut self, connection: Option<Borrowed>) {
        if let Some(first) = &mut self.first {
            first.is_sent(connection.is_some());
        }
        if let Some(connection) = &connection {
            self.trail.is_sent_to(|| &connection.outstanding.backend().settings.name);
        }
        self.connection = connection;
    }

    /// Who goes on with it when the client hangs up; nobody when it may as well be broken off, or when that has
    /// been asked before.
    pub(crate) fn carry_on(&mut self) -> Option<Rc<Pool>> {
        std::mem::take(&mut self.carried).then(|| self.pool.clone())
    }

    /// The head of the answer has come.
    pub(super) fn answered(
        mut self,
        mut response: Response<BackendBody>,
        started: Timestamp,
        end: Instant,
        upload: Fate,
    ) -> Result<Answered, Fault> {
        let status = response.status();
        let seen = Seen::in_answer(response.headers());
        if !headers::is_relayable(status, response.headers(), &seen) && !self.switches(&response, &seen) {
            self.broke();
            return Err(self.failed(Fault::BrokenAnswer));
        }
        self.pool.hints.hear(response.headers_mut());
        let verdict = amounts_to(&response);
        // A backend that says it is overloaded has not answered, as far as its limit is concerned.
        if !matches!(verdict.as_u16(), 502..=504) {
            self.outcome = Outcome::Answered;
        }
        let now = self.pool.clock.now();
        let took = now.since(started);
        self.trail.hears(status, now);
        self.pool.metrics.answered(status, took);
        self.heard(!verdict.is_server_error(), now, took);
        if headers::has_two_lengths(response.headers(), &seen) {
            // Where this answer ends is anybody's guess, so the connection serves nobody else (hyper#4181).
            self.connection = None;
        }
        Ok(Answered { response, exchange: self, seen, took, upload, end })
    }

    /// Whether the backend takes what was offered to it.
    fn switches(&self, response: &Response<BackendBody>, seen: &Seen) -> bool {
        let lease = self.connection.as_ref().and_then(|connection| connection.lease.as_ref());
        response.status() == StatusCode::SWITCHING_PROTOCOLS
            && !headers::has_two_lengths(response.headers(), seen)
            && lease.is_some_and(|lease| lease.offer.is_taken(response.headers()))
    }

    /// It goes on for as long as it pleases, and its backend was as fast as it was to begin.
    fn is_stream(&mut self, took: Duration) {
        if self.outcome == Outcome::Answered {
            self.outcome = Outcome::Streams(took);
        }
    }

    /// What becomes of it as a stream.
    pub(super) fn streams(&self) -> &StreamSettings {
        self.pool.streams()
    }

    /// Its seat is given back and it goes on, unless too many do so already.
    pub(super) fn goes_on_without_seat(&mut self) -> bool {
        let Some(seatless) = self.pool.without_seat() else { return false };
        self.seatless = Some(seatless);
        // Nobody needs what has no end, but who waits for what this hears.
        self.carried &= self.first.is_some();
        if let Some(connection) = &mut self.connection {
            connection.outstanding.counts_no_more();
        }
        if let Some(admitted) = self.admitted.take() {
            admitted.finish(self.outcome, self.pool.clock.now());
        }
        true
    }

    /// The answer has ended as it should.
    pub(crate) fn completed(&mut self) {
        let now = self.pool.clock.now();
        self.trail.backend_is_done(now);
        if let Some(Borrowed { sender, shelf, outstanding, .. }) = self.connection.take() {
            drop(outstanding);
            self.pool.put_back(shelf, sender, now);
        }
        if let Some(admitted) = self.admitted.take() {
            admitted.finish(self.outcome, now);
        }
        if let Some(first) = &mut self.first {
            first.ends();
        }
    }

    /// A piece of the answer is on its way to the client.
    pub(crate) fn hears(&mut self, piece: &Frame<Bytes>) {
        if let (Some(first), Some(data)) = (&mut self.first, piece.data_ref()) {
            first.hears(data);
        }
    }

    /// There will be no answer. What the client hears comes back.
    pub(super) fn failed(&mut self, fault: Fault) -> Fault {
        self.first.as_mut().map_or(fault, |first| first.failed(fault))
    }

    /// The backend broke off within its answer.
    pub(crate) fn breaks_off(&mut self, error: BodyError) {
        self.trail.breaks_off(error);
        self.broke();
    }

    /// The backend broke off before or within its answer.
    pub(crate) fn broke(&mut self) {
        self.pool.metrics.broken.increment(1);
        self.failed_to_answer();
    }

    /// The backend did not begin its answer in time.
    pub(super) fn timed_out(&mut self) {
        self.pool.metrics.timed_out.increment(1);
        self.failed_to_answer();
    }

    fn failed_to_answer(&mut self) {
        let now = self.pool.clock.now();
        let since = self.admitted.as_ref().map_or(now, Admitted::since);
        self.heard(false, now, now.since(since));
        self.end(Outcome::Failed);
    }

    /// What came back counts for or against the backend.
    fn heard(&self, good: bool, now: Timestamp, took: Duration) {
        if let Some(connection) = &self.connection {
            self.pool.heard(connection.outstanding.backend(), good, took, now);
        }
    }

    /// Broken off before an answer: by the client, when its body broke off, else by the backend.
    pub(super) fn broken_by(mut self, client: Option<BodyError>) -> Fault {
        let fault = match client {
            Some(error) => {
                self.end(Outcome::Abandoned);
                error.into()
            }
            None => {
                self.broke();
                Fault::BrokenAnswer
            }
        };
        self.failed(fault)
    }

    /// Over, and the connection with it.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.connection = None;
        if let Some(admitted) = self.admitted.take() {
            let now = self.pool.clock.now();
            self.trail.backend_is_done(now);
            admitted.finish(outcome, now);
        }
    }
}

/// What may change something is carried to its end even when the client hangs up: the backend goes on with it
/// anyway, so its seat is not free, and a bet must not be cut half-way. So is what others wait for.
pub(crate) fn is_carried(method: &Method, first: Option<&First>) -> bool {
    !method.is_safe() || first.is_some()
}

impl Answered {
    /// The answer, as the client gets it.
    pub(crate) fn relay(self) -> Response<AnswerBody> {
        let Answered { response, mut exchange, seen, took, upload, end } = self;
        let (mut head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return switched(head, &seen, exchange, took);
        }
        let unending = incoming.size_hint().exact().is_none() && exchange.streams().is_stream(&head.headers);
        headers::to_client(&mut head.headers, &seen, head.version);
        head.version = Version::HTTP_11;
        if let Some(first) = &mut exchange.first {
            first.answered(&head);
        }
        let pool = exchange.pool.clone();
        if unending {
            exchange.is_stream(took);
            upload.may_take_its_time();
            return Response::from_parts(head, AnswerBody::stream(incoming, exchange, pool.streams(), end));
        }
        Response::from_parts(head, AnswerBody::relay(incoming, exchange, pool.timeouts().idle, end))
    }
}

/// The answer of a backend that goes on in another protocol.
fn switched(mut head: Parts, seen: &Seen, mut exchange: Exchange, took: Duration) -> Response<AnswerBody> {
    exchange.is_stream(took);
    let lease = exchange.connection.as_mut().and_then(|connection| connection.lease.take());
    let protocol = head.headers.get(UPGRADE).cloned();
    headers::to_client(&mut head.headers, seen, head.version);
    head.headers.remove(CONTENT_LENGTH);
    head.version = Version::HTTP_11;
    upgrade::switches(&mut head.headers, protocol);
    let trail = exchange.trail.clone();
    let body = match lease {
        Some(lease) => AnswerBody::tunnel(Tunnel::new(exchange, lease.freed, trail)),
        None => AnswerBody::empty(),
    };
    Response::from_parts(head, body)
}

/// An exchange that goes on when whoever waits for it has gone: its answer is then read to the end and
/// thrown away, and the seat given back when the backend is done.
pub(crate) struct Carried {
    pool: Rc<Pool>,
    exchange: Option<Exchanging>,
}

type Exchanging = Pin<Box<dyn Future<Output = Result<Answered, Unanswered>>>>;

impl Carried {
    pub(crate) fn new(
        pool: Rc<Pool>,
        request: Request<RequestBody>,
        admitted: Admitted,
        customer: Customer,
        first: Option<Box<First>>,
    ) -> Carried {
        let by = pool.clone();
        Carried { pool, exchange: Some(Box::pin(async move { by.exchange(request, admitted, customer, first).await })) }
    }
}

impl Future for Carried {
    type Output = Result<Answered, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = self.exchange.as_mut().expect("a future is not polled after it is ready");
        let result = std::task::ready!(exchange.as_mut().poll(context));
        self.exchange = None;
        Poll::Ready(result)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else { return };
        self.pool.carry(async move {
            if let Ok(answered) = exchange.await {
                answered.relay().into_body().read_out().await;
            }
        });
    }
}
