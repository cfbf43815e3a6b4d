//! One request on a stream of HTTP/2, and its answer.
//!
//! A request whose body is here is kept until its answer begins: when the backend says that it has not looked at it, by
//! refusing the stream or by going away before it, the request comes back whole and may be sent elsewhere (RFC 9113, section
//! 8.7). Of nothing else is it certain, so nothing else comes back.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};

use super::super::patience::BodyError;
use super::super::upload::RequestBody;
use super::channel::Place;
use super::incoming::BackendBody;
use super::pump::{self, Uploading};
use super::request;
use super::sender::Unsent;

/// The body of an answer on a stream.
pub(crate) struct Streamed {
    incoming: RecvStream,
    /// Behind it there may be trailers.
    data_has_ended: bool,
    length: Option<u64>,
    upload: Option<Uploading>,
    place: Place,
}

/// Send it and wait for the head of its answer. To drop this takes the request back.
pub(super) async fn send(
    place: Place,
    secure: bool,
    request: Request<RequestBody>,
) -> Result<Response<BackendBody>, Unsent> {
    let Some(mut sender) = place.sender() else { return Err(Unsent::Back(Box::new(request))) };
    let empty = request.body().is_end_stream();
    let Ok((answer, mut stream)) = sender.send_request(request::head(&request, secure), empty) else {
        return Err(Unsent::Back(Box::new(request)));
    };
    // The connection ends when nobody has a handle on it.
    drop(sender);
    let announced = request::announced(request.headers());
    let (mut kept, mut upload) = (None, None);
    if !request.body().is_whole() {
        upload = Some(Uploading::begins(request.into_body(), stream, announced));
    } else {
        if !empty {
            pump::send_whole(request.body(), &mut stream, &announced);
        }
        kept = Some(Box::new(request));
    }
    match answer.await {
        Ok(answer) => {
            place.hears();
            let (head, incoming) = answer.into_parts();
            let length = length(&head.headers);
            let body = Streamed { incoming, data_has_ended: false, length, upload, place };
            Ok(Response::from_parts(head, BackendBody::Http2(Box::new(body))))
        }
        Err(error) if is_unprocessed(&error) => Err(kept.map_or(Unsent::Spent, Unsent::Back)),
        Err(_) => Err(Unsent::Lost),
    }
}

/// Whether the backend has said that nothing came of a request. A stream ends by a farewell only when it is one of those that
/// the backend leaves untouched; those before go on, and end by the connection's end if they must.
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).map(HeaderValue::to_str)?.ok()?.parse().ok()
}

impl Streamed {
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.data_has_ended {
            match ready!(self.incoming.poll_data(context)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(self.takes(data)))),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Broken))),
                None => self.data_has_ended = true,
            }
        }
        let trailers = ready!(self.incoming.poll_trailers(context)).map_err(|_| BodyError::Broken);
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)).transpose())
    }

    fn takes(&mut self, data: Bytes) -> Frame<Bytes> {
        self.place.hears();
        self.length = self.length.map(|length| length.saturating_sub(data.len() as u64));
        // There may be as much more. That fails only where nobody waits for more.
        let _ = self.incoming.flow_control().release_capacity(data.len());
        Frame::data(data)
    }

    pub(super) fn is_end(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.length {
            _ if self.is_end() => SizeHint::with_exact(0),
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take().filter(|_| self.is_end()) {
            upload.settles();
        }
    }
}
