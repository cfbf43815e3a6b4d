//! Bodies on their way: watched, bounded, and the last to let go of a seat.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::fault::{BadRequest, Fault};
use super::settings::ListenSettings;
use super::upstream::Exchange;
use super::watch::{Resting, Watch};

/// What a client gets. Its connection rests when this is dropped.
pub(crate) struct AnswerBody {
    kind: AnswerKind,
    resting: Option<Resting>,
}

enum AnswerKind {
    /// Ours, in one piece.
    Full(Option<Bytes>),
    /// A backend's, as it comes. Boxed, for an answer is moved a dozen times on its way.
    Relay(Box<Relay>),
}

/// A backend's answer on its way to the client. It holds the seat to its end.
struct Relay {
    incoming: Incoming,
    exchange: Option<Exchange>,
    patience: Patience,
}

/// What a backend gets. Most requests have no body, and then this is nothing but a null pointer.
pub(crate) struct RequestBody(Option<Box<Upload>>);

struct Upload {
    /// What was read while the request waited.
    read: VecDeque<Frame<Bytes>>,
    rest: Option<Incoming>,
    left: u64,
    patience: Patience,
    fate: Fate,
    /// The client sends it only when told to (`Expect`), and has not been told.
    unasked: bool,
    watch: Rc<Watch>,
}

/// How a request's body fared, for whoever has given the body away: hyper's error does not tell whether the
/// client or the backend broke off.
#[derive(Clone, Default)]
pub(crate) struct Fate(Option<Rc<Cell<Option<BodyError>>>>);

/// Why a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The other side sent nothing for too long.
    Stalled,
    /// More than the bound.
    TooLarge,
    /// The connection broke, or broke HTTP.
    Broken,
}

/// A timer that exists only while somebody is waited for.
struct Patience {
    each: Duration,
    end: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Bytes of an unwanted body that are read so that the connection can go on.
const MOST_SWALLOWED: u64 = 64 * 1024;

impl AnswerBody {
    pub(crate) fn full(bytes: Bytes) -> AnswerBody {
        AnswerKind::Full(Some(bytes)).into()
    }

    /// Relay `incoming`; `exchange` ends with it.
    pub(crate) fn relay(incoming: Incoming, mut exchange: Exchange, idle: Duration, end: Instant) -> AnswerBody {
        if incoming.is_end_stream() {
            exchange.completed();
            return AnswerKind::Full(None).into();
        }
        let patience = Patience::new(idle, Some(end));
        AnswerKind::Relay(Box::new(Relay { incoming, exchange: Some(exchange), patience })).into()
    }

    /// Drop `resting` with this body.
    pub(crate) fn resting(mut self, resting: Resting) -> AnswerBody {
        self.resting = Some(resting);
        self
    }

    /// Read it to its end, for nobody.
    pub(crate) async fn read_out(mut self) {
        while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {}
    }
}

impl From<AnswerKind> for AnswerBody {
    fn from(kind: AnswerKind) -> AnswerBody {
        AnswerBody { kind, resting: None }
    }
}

impl Drop for AnswerBody {
    /// The client has hung up. What may have changed something is carried to its end all the same.
    fn drop(&mut self) {
        let AnswerKind::Relay(relay) = &self.kind else { return };
        if let Some(pool) = relay.exchange.as_ref().and_then(Exchange::carried_by) {
            let kind = std::mem::replace(&mut self.kind, AnswerKind::Full(None));
            pool.carry(AnswerBody::from(kind).read_out());
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().kind {
            AnswerKind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            AnswerKind::Relay(relay) => relay.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            AnswerKind::Full(bytes) => bytes.is_none(),
            AnswerKind::Relay(relay) => relay.exchange.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            AnswerKind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            AnswerKind::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}

impl Relay {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = poll_watched(&mut self.incoming, &mut self.patience, context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.end(Exchange::completed),
            Poll::Ready(Some(Err(_))) => self.end(Exchange::broke),
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

impl RequestBody {
    /// The body of a request with these headers.
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        listen: &ListenSettings,
        watch: &Rc<Watch>,
    ) -> RequestBody {
        if incoming.is_end_stream() {
            return RequestBody(None);
        }
        RequestBody(Some(Box::new(Upload {
            read: VecDeque::new(),
            rest: Some(incoming),
            left: listen.limits.body_bytes,
            patience: Patience::new(listen.timeouts.body, None),
            fate: Fate(Some(Rc::default())),
            unasked: headers.contains_key(EXPECT),
            watch: watch.clone(),
        })))
    }

    /// How this body fares, to be asked after it was given away.
    pub(crate) fn fate(&self) -> Fate {
        self.0.as_ref().map(|upload| upload.fate.clone()).unwrap_or_default()
    }

    /// Read up to `most` bytes ahead, so that the end of the connection is seen while the request waits
    /// (hyper does not look for it while a body is unread). Never ends but by an error: whoever calls
    /// drops it when the wait is over.
    pub(crate) async fn read_ahead(&mut self, most: usize) -> BodyError {
        if let Some(upload) = &mut self.0 {
            let mut held = 0;
            while held < most {
                match poll_fn(|context| upload.poll_rest(context)).await {
                    Some(Ok(frame)) => {
                        held += frame.data_ref().map_or(0, Bytes::len);
                        upload.read.push_back(frame);
                    }
                    Some(Err(error)) => return error,
                    None => break,
                }
            }
        }
        std::future::pending().await
    }
}

impl Upload {
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.rest else { return Poll::Ready(None) };
        // hyper tells the client to send it when it is first asked for.
        self.unasked = false;
        let polled = ready!(poll_watched(incoming, &mut self.patience, context));
        let bytes = match &polled {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            None | Some(Err(_)) => 0,
        };
        if incoming.is_end_stream() || !matches!(polled, Some(Ok(_))) {
            self.rest = None;
        }
        let Some(left) = self.left.checked_sub(bytes) else {
            self.rest = None;
            self.watch.leave_unread();
            self.fate.is(BodyError::TooLarge);
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        self.left = left;
        if let Some(Err(error)) = &polled {
            self.fate.is(*error);
        }
        Poll::Ready(polled)
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.read.iter().filter_map(Frame::data_ref).map(|bytes| bytes.len() as u64).sum();
        let rest = self.rest.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(read + rest.lower());
        // Trailers need chunks to stand behind, even where all of the data is known.
        let trailers = self.read.iter().any(Frame::is_trailers);
        if let Some(upper) = rest.upper().filter(|_| !trailers) {
            hint.set_upper(read + upper);
        }
        hint
    }
}

impl Drop for Upload {
    /// Nobody wants the rest. If it is small it is read nevertheless, so that the connection can go on: a
    /// refusal must not cost the client a new one.
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else { return };
        let small = rest.size_hint().upper().is_none_or(|length| length <= MOST_SWALLOWED);
        if small && !self.unasked {
            let patience = Patience::new(self.patience.each, None);
            tokio::task::spawn_local(swallow(rest, patience, self.watch.clone()));
        } else {
            self.watch.leave_unread();
        }
    }
}

async fn swallow(mut rest: Incoming, mut patience: Patience, watch: Rc<Watch>) {
    let mut left = MOST_SWALLOWED;
    while let Some(Ok(frame)) = poll_fn(|context| poll_watched(&mut rest, &mut patience, context)).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(fewer) = left.checked_sub(bytes) else { return watch.leave_unread() };
        left = fewer;
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(upload) = &mut self.0 else { return Poll::Ready(None) };
        match upload.read.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => upload.poll_rest(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.read.is_empty() && upload.rest.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |upload| upload.size_hint())
    }
}

impl Fate {
    /// Why the body broke off, if it did.
    pub(crate) fn error(&self) -> Option<BodyError> {
        self.0.as_ref().and_then(|fate| fate.get())
    }

    fn is(&self, error: BodyError) {
        if let Some(fate) = &self.0 {
            fate.set(Some(error));
        }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Fault {
        match error {
            BodyError::TooLarge => Fault::BadRequest(BadRequest::LargeBody),
            BodyError::Broken => Fault::BadRequest(BadRequest::Body),
            BodyError::Stalled => Fault::ClientTimeout,
        }
    }
}

impl Patience {
    fn new(each: Duration, end: Option<Instant>) -> Patience {
        Patience { each, end, sleep: None }
    }

    /// Ready when the other side has taken too long.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| {
            let due = Instant::now() + self.each;
            Box::pin(tokio::time::sleep_until(self.end.map_or(due, |end| end.min(due))))
        });
        sleep.as_mut().poll(context)
    }
}

fn poll_watched(
    incoming: &mut Incoming,
    patience: &mut Patience,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match Pin::new(incoming).poll_frame(context) {
        Poll::Ready(frame) => {
            patience.sleep = None;
            Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyError::Broken)))
        }
        Poll::Pending => {
            ready!(patience.poll(context));
            Poll::Ready(Some(Err(BodyError::Stalled)))
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BodyError::Stalled => "the body did not arrive in time",
            BodyError::TooLarge => "the body is larger than allowed",
            BodyError::Broken => "the body broke off",
        })
    }
}

impl std::error::Error for BodyError {}
