//! A request's body on its way to the backend: bounded, watched while the request waits, and read to its end
//! when it is small and nobody wants it.

use std::cell::Cell;
use std::collections::VecDeque;
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
use tokio::time::Instant;

use super::Worker;
use super::access_log::Trail;
use super::ledger::{self, Held};
use super::patience::{BodyError, Patience, poll_watched};
use super::strain::Keep;
use super::watch::{Asked, Watch};
use crate::admission::Refused;

/// What a backend gets. Most requests have no body, and then this is nothing but a null pointer.
pub(crate) struct RequestBody(Option<Box<Upload>>, Trail);

struct Upload {
    /// What was read while the request waited.
    read: VecDeque<Frame<Bytes>>,
    rest: Option<Incoming>,
    /// Memory that `read` takes.
    held: Held,
    left: u64,
    patience: Patience,
    fate: Fate,
    /// The client sends it only when told to (`Expect`), and has not been told.
    unasked: bool,
    watch: Rc<Watch>,
    asked: Asked,
    /// It came over HTTP/2.
    shared: bool,
    trail: Trail,
}

/// How a request's body fared, for whoever has given the body away: hyper's error does not tell whether the
/// client or the backend broke off.
#[derive(Clone, Default)]
pub(crate) struct Fate(Option<Rc<Course>>);

#[derive(Default)]
struct Course {
    progress: Cell<Progress>,
    /// Its answer is a stream: the client says something when it has something to say.
    unhurried: Cell<bool>,
    /// Who sends it was asked for more, and there is none yet.
    waits_for_client: Cell<bool>,
    /// It is a call of gRPC, which goes on for as long as its client has something to say.
    converses: Cell<bool>,
    /// When it has said its last.
    said: Cell<Option<Instant>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Coming,
    Whole,
    Broken(BodyError),
}

/// Who is waited for while a body is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Its client, who has still to send some of it.
    Client,
    /// The same, who may take as long over that as the whole call may: it answers a conversation.
    Talking,
    /// The backend, which has all that there is, or does not take it.
    Backend,
}

/// Bytes of an unwanted body that are read so that the connection can go on.
const MOST_SWALLOWED: u64 = 64 * 1024;

impl RequestBody {
    /// Of a request of our own.
    pub(crate) fn none() -> RequestBody {
        RequestBody(None, Trail::none())
    }

    /// The body of a request with these headers.
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        worker: &Worker,
        watch: &Rc<Watch>,
        trail: &Trail,
    ) -> RequestBody {
        let listen = &worker.settings.listen;
        if incoming.is_end_stream() {
            return RequestBody(None, trail.clone());
        }
        watch.awaits_body();
        let upload = Upload {
            read: VecDeque::new(),
            rest: Some(incoming),
            held: worker.strain.hold(ledger::UPLOAD),
            left: listen.limits.body_bytes,
            patience: Patience::paced(listen.timeouts.body, listen.timeouts.least_rate),
            fate: Fate(Some(Rc::default())),
            unasked: headers.contains_key(EXPECT),
            watch: watch.clone(),
            asked: watch.asked(),
            shared: watch.sharing().is_some(),
            trail: trail.clone(),
        };
        RequestBody(Some(Box::new(upload)), trail.clone())
    }

    /// The body itself; what it is taken from has none any more, and goes on being followed.
    pub(crate) fn taken(&mut self) -> RequestBody {
        RequestBody(self.0.take(), self.1.clone())
    }

    /// The trail of the request whose body it is.
    pub(crate) fn trail(&self) -> &Trail {
        &self.1
    }

    /// How this body fares, to be asked after it was given away.
    pub(crate) fn fate(&self) -> Fate {
        self.0.as_ref().map(|upload| upload.fate.clone()).unwrap_or_default()
    }

    /// Whether there is one.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether all of it is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.rest.is_none())
    }

    /// What is here of it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Frame<Bytes>> {
        self.0.iter().flat_map(|upload| &upload.read)
    }

    /// What `of` makes of all its bytes, if they are there.
    pub(crate) fn whole<T>(&self, of: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let Some(upload) = &self.0 else { return Some(of(&[])) };
        if upload.rest.is_some() {
            return None;
        }
        let mut pieces = upload.read.iter().filter_map(Frame::data_ref);
        match (pieces.next(), pieces.next()) {
            (Some(only), None) => Some(of(only)),
            _ => {
                let all = upload.read.iter().filter_map(Frame::data_ref);
                Some(of(&all.flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>()))
            }
        }
    }

    /// Read it to its end, or until `most` bytes are held. A seat is asked for when this is done: a client that
    /// sends a byte a second would else hold one all that time, and ten of them a whole wallet.
    ///
    /// `keeps` says after each piece whether there is memory for it; the no that it may say comes back.
    ///
    /// # Errors
    /// When the client breaks off, stalls, or sends too much.
    pub(crate) async fn read_first(
        &mut self,
        most: usize,
        how: ReadFirst,
        keeps: impl Fn() -> Keep,
    ) -> Result<Option<Refused>, BodyError> {
        let Some(upload) = &mut self.0 else { return Ok(None) };
        while upload.held.bytes() < ledger::UPLOAD + most {
            match poll_fn(|context| upload.poll_rest(context)).await {
                Some(Ok(frame)) => {
                    upload.held.grow(taken_by(&frame));
                    // A piece of a longer body is a part of the parser's buffer and would keep all of it; a whole one
                    // that came at once may, for nothing more is read into it.
                    let more = upload.rest.is_some();
                    let kept = if more { frame.map_data(|data| Bytes::copy_from_slice(&data)) } else { frame };
                    upload.read.push_back(kept);
                }
                Some(Err(error)) => return Err(error),
                None => break,
            }
            if how == ReadFirst::OneMessage && upload.has_a_message() {
                break;
            }
            match keeps() {
                Keep::On => {}
                Keep::PassOn => break,
                Keep::Refuse(refused) => return Ok(Some(refused)),
            }
        }
        if how == ReadFirst::OneMessage {
            upload.patience.is_for_talk();
            upload.fate.converses();
        }
        Ok(None)
    }
}

/// What of a body is waited for before a seat is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFirst {
    /// All of it, as far as it may be kept.
    All,
    /// A message of gRPC: its client may want to hear something before it says more.
    OneMessage,
}

/// A piece of one byte takes a place in memory as large as any.
fn taken_by(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or(0, Bytes::len) + size_of::<Frame<Bytes>>()
}

impl Upload {
    /// Whether a whole message of gRPC has been read: a flag, four bytes of length, and so many bytes.
    fn has_a_message(&self) -> bool {
        let pieces = || self.read.iter().filter_map(Frame::data_ref);
        let mut head = pieces().flat_map(|piece| piece.iter().copied()).skip(1).take(4);
        let length = (0..4).try_fold(0, |length, _| Some(length << 8 | usize::from(head.next()?)));
        length.is_some_and(|length| pieces().map(Bytes::len).sum::<usize>() >= 5 + length)
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.rest else { return Poll::Ready(None) };
        // hyper tells the client to send it when it is first asked for.
        self.unasked = false;
        if self.fate.becomes_unhurried() {
            self.patience.has_no_end();
        }
        self.fate.waits_for_client(true);
        let mut polled = ready!(poll_watched(incoming, &mut self.patience, context));
        self.fate.waits_for_client(false);
        if polled.is_none() && breaks_off(incoming, self.shared) {
            polled = Some(Err(BodyError::Broken));
        }
        let bytes = match &polled {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            None | Some(Err(_)) => 0,
        };
        self.trail.comes(bytes);
        if incoming.is_end_stream() || !matches!(polled, Some(Ok(_))) {
            self.rest = None;
        }
        let Some(left) = self.left.checked_sub(bytes) else {
            self.rest = None;
            self.watch.leave_unread(self.asked);
            self.fate.is(Progress::Broken(BodyError::TooLarge));
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        self.left = left;
        if bytes > 0 {
            self.watch.progress();
        }
        match &polled {
            Some(Err(error)) => self.fate.is(Progress::Broken(*error)),
            _ if self.rest.is_none() => {
                self.watch.has_body(self.asked);
                self.fate.is(Progress::Whole);
                self.fate.has_said_its_last();
            }
            _ => {}
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
            // Nobody has begun to wait: what came before counts, and so does what it took.
            let patience = std::mem::replace(&mut self.patience, Patience::new(Duration::ZERO, None));
            tokio::task::spawn_local(swallow(rest, patience, self.watch.clone(), self.asked));
        } else {
            self.watch.leave_unread(self.asked);
        }
    }
}

async fn swallow(mut rest: Incoming, mut patience: Patience, watch: Rc<Watch>, asked: Asked) {
    let mut left = MOST_SWALLOWED;
    loop {
        let frame = match poll_fn(|context| poll_watched(&mut rest, &mut patience, context)).await {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return,
            None => return watch.has_body(asked),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(fewer) = left.checked_sub(bytes) else { return watch.leave_unread(asked) };
        left = fewer;
    }
}

/// Whether a body that says it has ended has not: hyper takes one that its client takes back with `NO_ERROR` for whole.
/// HTTP/1 says so by an error; chunks that have ended do not look like it.
fn breaks_off(incoming: &Incoming, shared: bool) -> bool {
    shared && (!incoming.is_end_stream() || incoming.size_hint().lower() > 0)
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
            Some(frame) => {
                upload.held.shrink(taken_by(&frame));
                Poll::Ready(Some(Ok(frame)))
            }
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
    /// Its answer is a stream, and how long that may be silent is another's to watch.
    pub(crate) fn may_take_its_time(&self) {
        if let Some(course) = &self.0 {
            course.unhurried.set(true);
        }
    }

    /// Whether that has just been said.
    fn becomes_unhurried(&self) -> bool {
        self.0.as_ref().is_some_and(|course| course.unhurried.take())
    }

    /// Why the body broke off, if it did.
    pub(crate) fn error(&self) -> Option<BodyError> {
        match self.0.as_ref()?.progress.get() {
            Progress::Broken(error) => Some(error),
            Progress::Coming | Progress::Whole => None,
        }
    }

    /// Whose turn it is.
    pub(crate) fn turn(&self) -> Turn {
        match &self.0 {
            Some(course) if course.progress.get() == Progress::Coming && course.waits_for_client.get() => {
                if course.converses.get() { Turn::Talking } else { Turn::Client }
            }
            _ => Turn::Backend,
        }
    }

    /// Until when an answer may be waited for that had not come `by` then: `within` so long after its client has said its
    /// last, if that may take its time.
    pub(crate) fn answer_due(&self, by: Instant, within: Duration) -> Option<Instant> {
        let course = self.0.as_ref().filter(|course| course.converses.get())?;
        let said = if self.turn() == Turn::Talking { by } else { course.said.get()? };
        Some(said + within).filter(|due| *due > by)
    }

    fn has_said_its_last(&self) {
        if let Some(course) = self.0.as_ref().filter(|course| course.converses.get()) {
            course.said.set(Some(Instant::now()));
        }
    }

    fn waits_for_client(&self, waits: bool) {
        if let Some(course) = &self.0 {
            course.waits_for_client.set(waits);
        }
    }

    fn converses(&self) {
        if let Some(course) = &self.0 {
            course.converses.set(true);
        }
    }

    fn is(&self, progress: Progress) {
        if let Some(course) = &self.0 {
            course.progress.set(progress);
        }
    }
}
