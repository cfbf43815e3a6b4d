//! How long the other side of a body may be silent, and how a body may end badly.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::fault::{BadRequest, Fault};
use super::quiet;

/// Why a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The other side sent nothing for too long.
    Stalled,
    /// More than the bound.
    TooLarge,
    /// The connection was closed before all had come that was announced.
    Short,
    /// The connection broke, or broke HTTP.
    Broken,
}

/// A timer that exists only while somebody is waited for.
pub(crate) struct Patience {
    pub(crate) each: Duration,
    end: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    pace: Option<Pace>,
}

/// How slow the other side may be on the whole, while it is waited for.
pub(crate) struct Pace {
    least_rate: u64,
    came: u64,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(each: Duration, end: Option<Instant>) -> Patience {
        Patience { each, end, sleep: None, pace: None }
    }

    /// So long for each piece, and no longer for all of them than so many bytes a second take: a byte now and then is no
    /// body. Time in which nobody waits for the other side is not its fault.
    pub(crate) fn paced(each: Duration, least_rate: u64) -> Patience {
        Patience { each, end: None, sleep: None, pace: Some(Pace::new(least_rate)) }
    }

    /// From now on the other side may say as little as it pleases, if only it is not silent.
    pub(crate) fn is_for_talk(&mut self) {
        (self.sleep, self.pace) = (None, None);
    }

    /// From now on it never ends.
    pub(crate) fn has_no_end(&mut self) {
        (self.each, self.end, self.sleep, self.pace) = (FOR_EVER, None, None, None);
    }

    /// From now on there is an end to it, whatever there was before.
    pub(crate) fn ends_by(&mut self, end: Instant) {
        (self.end, self.sleep) = (Some(end), None);
    }

    /// Ready when the other side has taken too long.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| {
            let now = Instant::now();
            let due = now + self.pace.as_mut().map_or(self.each, |pace| pace.begins_to_wait(now, self.each));
            Box::pin(tokio::time::sleep_until(self.end.map_or(due, |end| end.min(due))))
        });
        sleep.as_mut().poll(context)
    }
}

/// As long as nobody looks.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

impl Pace {
    /// No slower than so many bytes a second.
    pub(crate) fn new(least_rate: u64) -> Pace {
        Pace { least_rate, came: 0, waited: Duration::ZERO, waits_since: None }
    }

    /// How long it may take to the next piece.
    pub(crate) fn begins_to_wait(&mut self, now: Instant, each: Duration) -> Duration {
        self.waits_since = Some(now);
        let earned = Duration::from_micros(self.came.saturating_mul(1_000_000) / self.least_rate);
        (each + earned).saturating_sub(self.waited).min(each)
    }

    /// The other side has sent, or taken, so much.
    pub(crate) fn comes(&mut self, bytes: u64) {
        self.came += bytes;
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
    }
}

pub(crate) fn poll_watched<B>(
    incoming: &mut B,
    patience: &mut Patience,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let take = |body: &mut B| Pin::new(body).poll_frame(context);
    match quiet::taking(incoming, take, |body| !body.is_end_stream()) {
        Poll::Ready(frame) => {
            patience.sleep = None;
            if let (Some(pace), Some(Ok(frame))) = (&mut patience.pace, &frame) {
                pace.comes(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
        }
        Poll::Pending => {
            ready!(patience.poll(context));
            Poll::Ready(Some(Err(BodyError::Stalled)))
        }
    }
}

/// What hyper says of a body that does not come whole.
impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> BodyError {
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
        match cause.map(std::io::Error::kind) {
            Some(std::io::ErrorKind::UnexpectedEof) => BodyError::Short,
            _ => BodyError::Broken,
        }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Fault {
        match error {
            BodyError::TooLarge => Fault::BadRequest(BadRequest::LargeBody),
            BodyError::Broken | BodyError::Short => Fault::BadRequest(BadRequest::Body),
            BodyError::Stalled => Fault::ClientTimeout,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BodyError::Stalled => "the body did not arrive in time",
            BodyError::TooLarge => "the body is larger than allowed",
            BodyError::Broken | BodyError::Short => "the body broke off",
        })
    }
}

impl std::error::Error for BodyError {}
