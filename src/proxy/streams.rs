//! Answers without an end in sight: tunnels, and bodies of types that say so (`text/event-stream`).
//!
//! A seat stands for work of a backend. A stream makes it work when it begins and a little now and then, for hours: if each
//! kept its seat, as many idle ones as there are seats would stop everybody else. So it gives its seat back after a while, as
//! one that was answered, and goes on without; how many do so is bounded, and who comes to that bound keeps the seat. It has
//! an idle timeout of its own, and `total_timeout` does not cut it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use tokio::time::{Instant, Sleep, sleep};

use super::exchange::Exchange;
use super::standing::Standing;

/// What becomes of streams of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// How long one holds its seat, from the head of its answer.
    pub seat: Duration,
    /// The most that go on without one.
    pub most: u32,
    /// How long one may be silent: a body from the backend, a tunnel both ways.
    pub idle: Duration,
    /// How long one may take on the whole; `None` for as long as it pleases.
    pub longest: Option<Duration>,
    /// Media types of bodies that are streams, in lower case.
    pub types: Vec<String>,
}

/// A stream that still has its seat.
pub(super) struct Seated {
    sleep: Pin<Box<Sleep>>,
    after: Duration,
}

/// Counts a stream that goes on without a seat.
pub(super) struct Seatless(Arc<Standing>);

impl StreamSettings {
    /// Whether an answer with this head is one, if its body has no known length.
    pub(super) fn is_stream(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(CONTENT_TYPE) else { return false };
        let value = value.as_bytes();
        // `application/grpc` means `application/grpc+proto` too.
        let goes_on = |byte: u8| matches!(byte, b';' | b' ' | b'+');
        let is = |known: &String| {
            let (known, least) = (known.as_bytes(), known.len());
            value.len() >= least
                && value[..least].eq_ignore_ascii_case(known)
                && value.get(least).is_none_or(|byte| goes_on(*byte))
        };
        self.types.iter().any(is)
    }

    /// When one that begins now must have ended.
    pub(super) fn end(&self) -> Option<Instant> {
        self.longest.map(|longest| Instant::now() + longest)
    }
}

impl Seated {
    /// The answer begins.
    pub(super) fn new(settings: &StreamSettings) -> Seated {
        Seated { sleep: Box::pin(sleep(settings.seat)), after: settings.seat }
    }

    /// Ready when the seat has been given back.
    pub(super) fn poll(&mut self, exchange: &mut Exchange, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(context));
            if exchange.goes_on_without_seat() {
                return Poll::Ready(());
            }
            // Others may have ended by then.
            self.sleep.as_mut().reset(Instant::now() + self.after);
        }
    }
}

impl Seatless {
    /// One more of them, if there may be.
    pub(super) fn one_more(standing: &Arc<Standing>) -> Option<Seatless> {
        let most = standing.settings.streams.most;
        let add = |there: u32| (there < most).then_some(there + 1);
        let added = standing.seatless().fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        standing.metrics.stream_gives_seat_back(added.is_ok());
        added.is_ok().then(|| Seatless(standing.clone()))
    }
}

impl Drop for Seatless {
    fn drop(&mut self) {
        self.0.seatless().fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.stream_without_seat_ends();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_type_is_known_however_it_goes_on_and_no_other_that_begins_like_it() {
        let types = ["text/event-stream", "application/grpc"].map(str::to_owned).to_vec();
        let (seat, idle) = (Duration::ZERO, Duration::ZERO);
        let settings = StreamSettings { seat, most: 0, idle, longest: None, types };
        let is = |value: &'static str| {
            settings.is_stream(&[(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect())
        };
        for stream in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "application/grpc+proto"] {
            assert!(is(stream), "{stream}");
        }
        for other in ["text/event-streams", "text/html", "", "application/grpc-web", "text/event"] {
            assert!(!is(other), "{other}");
        }
        assert!(!settings.is_stream(&HeaderMap::new()));
    }
}
