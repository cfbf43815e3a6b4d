//! An answer's body on its way to the client: the last to let go of the seat.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::access_log::{Told, Trail};
use super::exchange::Exchange;
use super::patience::{BodyError, Patience, poll_watched};
use super::settings::StreamSettings;
use super::streams::Seated;
use super::tunnel::Tunnel;
use super::upstream::BackendBody;
use super::watch::Resting;

/// What a client gets. Its connection rests when this is dropped.
pub(crate) struct AnswerBody {
    kind: AnswerKind,
    /// What we said by ourselves.
    told: Option<Told>,
    resting: Option<Resting>,
    trail: Trail,
}

enum AnswerKind {
    /// Ours, in one piece.
    Full(Option<Bytes>),
    /// A backend's, as it comes. Boxed, for an answer is moved a dozen times on its way.
    Relay(Box<Relay>),
    /// None: the connection goes on as this.
    Tunnel(Box<Tunnel>),
}

/// A backend's answer on its way to the client. It holds the seat to its end.
struct Relay {
    incoming: BackendBody,
    /// Of the last piece, where it was too large to be given at once.
    rest: Option<Bytes>,
    exchange: Option<Exchange>,
    patience: Patience,
    /// Of a stream that still has its seat.
    seated: Option<Seated>,
    /// Nobody carries it any further when its client has gone.
    end: Instant,
}

impl AnswerBody {
    pub(crate) fn full(bytes: Bytes) -> AnswerBody {
        AnswerKind::Full((!bytes.is_empty()).then_some(bytes)).into()
    }

    /// All of it, where it is ours.
    pub(crate) fn as_full(&self) -> Option<&Bytes> {
        match &self.kind {
            AnswerKind::Full(bytes) => bytes.as_ref(),
            AnswerKind::Relay(_) | AnswerKind::Tunnel(_) => None,
        }
    }

    /// Nothing.
    pub(crate) fn empty() -> AnswerBody {
        AnswerKind::Full(None).into()
    }

    /// Relay `incoming`; `exchange` ends with it.
    pub(crate) fn relay(incoming: BackendBody, mut exchange: Exchange, idle: Duration, end: Instant) -> AnswerBody {
        if incoming.is_end_stream() {
            exchange.completed();
            return AnswerKind::Full(None).into();
        }
        let patience = Patience::new(idle, Some(end));
        let (rest, exchange, seated) = (None, Some(exchange), None);
        AnswerKind::Relay(Box::new(Relay { incoming, rest, exchange, patience, seated, end })).into()
    }

    /// The same for an answer without an end in sight. Who has nobody to give it to carries it until `end`.
    pub(crate) fn stream(
        incoming: BackendBody,
        exchange: Exchange,
        settings: &StreamSettings,
        end: Instant,
    ) -> AnswerBody {
        let mut body = AnswerBody::relay(incoming, exchange, settings.idle, end);
        if let AnswerKind::Relay(relay) = &mut body.kind {
            relay.patience = Patience::new(settings.idle, settings.end());
            relay.seated = Some(Seated::new(settings));
        }
        body
    }

    /// Nothing, and then the connection goes on as this.
    pub(crate) fn tunnel(tunnel: Tunnel) -> AnswerBody {
        AnswerKind::Tunnel(Box::new(tunnel)).into()
    }

    /// It is not a backend's answer but this.
    pub(crate) fn tells(&mut self, told: Told) {
        self.told = Some(told);
    }

    /// Whether we say something by ourselves.
    pub(crate) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// It goes to whoever has left this trail; the connection rests when it is dropped.
    pub(crate) fn belongs_to(&mut self, resting: Resting, trail: Trail, status: StatusCode) {
        trail.is_answered(status, self.told);
        resting.gives(0);
        match std::mem::replace(&mut self.kind, AnswerKind::Full(None)) {
            AnswerKind::Tunnel(tunnel) => return resting.goes_on_as(tunnel),
            kind => self.kind = kind,
        }
        self.resting = Some(resting);
        self.trail = trail;
    }

    /// Read it to its end, for nobody.
    pub(crate) async fn read_out(mut self) {
        while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {}
    }
}

impl From<AnswerKind> for AnswerBody {
    fn from(kind: AnswerKind) -> AnswerBody {
        AnswerBody { kind, told: None, resting: None, trail: Trail::none() }
    }
}

impl Drop for AnswerBody {
    /// The client has hung up. What may have changed something is carried to its end all the same; once, for
    /// when the worker itself ends, what it carries is dropped too.
    fn drop(&mut self) {
        let slow = self.resting.as_ref().is_some_and(Resting::is_overdue);
        // Over HTTP/2 the last piece may have been given and not taken.
        if slow || !self.is_end_stream() {
            self.trail.is_left_over(slow);
        }
        let AnswerKind::Relay(relay) = &mut self.kind else { return };
        if let Some(pool) = relay.exchange.as_mut().and_then(Exchange::carry_on) {
            relay.patience.ends_by(relay.end);
            let kind = std::mem::replace(&mut self.kind, AnswerKind::Full(None));
            pool.carry(AnswerBody::from(kind).read_out());
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        let most = body.resting.as_ref().map_or(usize::MAX, Resting::most_at_once);
        let polled = match &mut body.kind {
            AnswerKind::Full(bytes) => Poll::Ready(piece_of(bytes, most).map(|piece| Ok(Frame::data(piece)))),
            AnswerKind::Relay(relay) => relay.poll_piece(most, context),
            AnswerKind::Tunnel(_) => Poll::Ready(None),
        };
        match (&polled, &body.resting) {
            (Poll::Pending, Some(resting)) => resting.awaits(),
            (Poll::Pending, None) => {}
            (Poll::Ready(given), resting) => {
                let data = given.as_ref().and_then(|given| given.as_ref().ok()?.data_ref());
                let bytes = data.map_or(0, Bytes::len) as u64;
                body.trail.leaves(bytes);
                if let Some(resting) = resting {
                    resting.gives(bytes);
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            AnswerKind::Full(bytes) => bytes.is_none(),
            AnswerKind::Relay(relay) => relay.exchange.is_none() && relay.rest.is_none(),
            AnswerKind::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            AnswerKind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            AnswerKind::Relay(relay) => relay.size_hint(),
            AnswerKind::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}

/// The first bytes of what there is, `most` of them; nothing is left when that was all.
fn piece_of(bytes: &mut Option<Bytes>, most: usize) -> Option<Bytes> {
    match bytes {
        Some(all) if all.len() > most => Some(all.split_to(most)),
        _ => bytes.take(),
    }
}

impl Relay {
    fn poll_piece(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.rest.is_none() {
            match ready!(self.poll(context)) {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() > most) => {
                    self.rest = frame.into_data().ok();
                }
                polled => return Poll::Ready(polled),
            }
        }
        Poll::Ready(piece_of(&mut self.rest, most).map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        let (coming, rest) = (self.incoming.size_hint(), self.rest.as_ref().map_or(0, Bytes::len) as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(coming.lower() + rest);
        if let Some(upper) = coming.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let (Some(seated), Some(exchange)) = (&mut self.seated, &mut self.exchange)
            && seated.poll(exchange, context).is_ready()
        {
            self.seated = None;
        }
        let polled = poll_watched(&mut self.incoming, &mut self.patience, context);
        if let (Poll::Ready(Some(Ok(frame))), Some(exchange)) = (&polled, &mut self.exchange) {
            exchange.hears(frame);
        }
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.end(Exchange::completed),
            Poll::Ready(Some(Err(error))) => self.end(|exchange| exchange.breaks_off(*error)),
            // The end is often known with the last piece; the seat need not wait to be asked again.
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.end(Exchange::completed),
            Poll::Ready(Some(Ok(_))) => {}
        }
        polled
    }

    fn end(&mut self, how: impl FnOnce(&mut Exchange)) {
        if let Some(mut exchange) = self.exchange.take() {
            how(&mut exchange);
        }
    }
}
