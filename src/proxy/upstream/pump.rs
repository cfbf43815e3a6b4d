//! The body of a request on its way over a stream of HTTP/2, as fast as the backend makes room for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::super::upload::RequestBody;
use super::shelves::SETTLE_WITHIN;

/// A body that is being sent. To drop this breaks it off.
pub(super) struct Uploading {
    task: AbortHandle,
    settles: Option<Duration>,
}

impl Uploading {
    pub(super) fn begins(body: RequestBody, stream: SendStream<Bytes>, announced: Vec<HeaderName>) -> Uploading {
        let task = tokio::task::spawn_local(pump(body, stream, announced)).abort_handle();
        Uploading { task, settles: None }
    }

    /// Its answer is here: it may end, if it does so soon.
    pub(super) fn settles(mut self) {
        self.settles = Some(SETTLE_WITHIN).filter(|_| !self.task.is_finished());
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let task = self.task.clone();
        match self.settles {
            None => task.abort(),
            Some(within) => drop(tokio::task::spawn_local(async move {
                sleep(within).await;
                task.abort();
            })),
        }
    }
}

/// Send all of a body that is here. What the backend has no room for yet waits in the connection's buffer.
pub(super) fn send_whole(body: &RequestBody, stream: &mut SendStream<Bytes>, announced: &[HeaderName]) {
    let mut pieces = body.pieces().peekable();
    while let Some(piece) = pieces.next() {
        // What cannot be sent any more is found out by whoever waits for the answer.
        let _ = match (piece.data_ref(), piece.trailers_ref()) {
            (Some(data), _) => stream.send_data(data.clone(), pieces.peek().is_none()),
            (None, Some(trailers)) => end(stream, Some(passed(trailers.clone(), announced))),
            (None, None) => Ok(()),
        };
    }
}

async fn pump(mut body: RequestBody, mut stream: SendStream<Bytes>, announced: Vec<HeaderName>) {
    let sent = loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = tokio::select! {
            biased;
            frame = next => frame,
            // The backend does not want the rest.
            _ = poll_fn(|context| stream.poll_reset(context)) => return,
        };
        let sent = match frame.map(|frame| frame.map(Frame::into_data)) {
            None => break end(&mut stream, None),
            Some(Ok(Ok(data))) if body.is_end_stream() => break give(data, &mut stream, true).await,
            Some(Ok(Ok(data))) => give(data, &mut stream, false).await,
            Some(Ok(Err(rest))) => {
                let trailers = rest.into_trailers().ok().map(|trailers| passed(trailers, &announced));
                break end(&mut stream, trailers);
            }
            // The client has broken off: the backend must not take what it has for the whole.
            Some(Err(_)) => return stream.send_reset(Reason::CANCEL),
        };
        if sent.is_err() {
            return;
        }
    };
    // Nobody is left who could do anything about it; whoever waits for the answer hears how the stream ended.
    let _ = sent;
}

/// Give it as there is room.
async fn give(mut data: Bytes, stream: &mut SendStream<Bytes>, last: bool) -> Result<(), h2::Error> {
    if data.is_empty() && last {
        return end(stream, None);
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(room) => {
                let piece = data.split_to(room?.min(data.len()));
                let last = last && data.is_empty();
                stream.send_data(piece, last)?;
            }
            None => return Err(Reason::STREAM_CLOSED.into()),
        }
    }
    Ok(())
}

fn end(stream: &mut SendStream<Bytes>, trailers: Option<HeaderMap>) -> Result<(), h2::Error> {
    match trailers.filter(|trailers| !trailers.is_empty()) {
        Some(trailers) => stream.send_trailers(trailers),
        None => stream.send_data(Bytes::new(), true),
    }
}

/// Of trailers only those that the head announces, from which was taken what a stranger must not say.
fn passed(trailers: HeaderMap, announced: &[HeaderName]) -> HeaderMap {
    let mut last = None;
    let pairs = trailers.into_iter().map(|(name, value)| {
        last = name.or(last.take());
        (last.clone(), value)
    });
    pairs.filter_map(|(name, value)| Some((name.filter(|name| announced.contains(name))?, value))).collect()
}
