//! How long the other side of a body may be silent, and how a body may end badly.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::fault::{BadRequest, Fault};

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
}

impl Patience {
    pub(crate) fn new(each: Duration, end: Option<Instant>) -> Patience {
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

pub(crate) fn poll_watched(
    incoming: &mut Incoming,
    patience: &mut Patience,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match Pin::new(incoming).poll_frame(context) {
        Poll::Ready(frame) => {
            patience.sleep = None;
            Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::of(&error))))
        }
        Poll::Pending => {
            ready!(patience.poll(context));
            Poll::Ready(Some(Err(BodyError::Stalled)))
        }
    }
}

impl BodyError {
    /// What hyper says of a body that does not come whole.
    fn of(error: &hyper::Error) -> BodyError {
        let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
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
