//! What a request is sent with, in HTTP/1.1 or HTTP/2.

use std::pin::Pin;

use http::{Request, Response};
use hyper::client::conn::http1::SendRequest;

use super::super::upload::RequestBody;
use super::channel::Place;
use super::incoming::BackendBody;
use super::streaming;

/// See the [module](self).
pub(crate) enum Sender {
    /// A connection of its own.
    Http1(SendRequest<RequestBody>),
    /// A place on one that others use too; gone when it was sent.
    Http2 { place: Option<Place>, secure: bool },
}

/// Why there is no answer.
pub(super) enum Unsent {
    /// It is certain that nobody has looked at it, and here it is.
    Back(Box<Request<RequestBody>>),
    /// The same, but some of its body is gone.
    Spent,
    /// Somebody may have looked at it.
    Lost,
}

/// In HTTP/2, boxed: what all others wait for would be larger by all that it needs.
type Boxed = Pin<Box<dyn Future<Output = Result<Response<BackendBody>, Unsent>>>>;

enum Sent<F> {
    Http1(F),
    Http2(Boxed),
    Nowhere(Box<Request<RequestBody>>),
}

impl Sender {
    /// Send it, and wait for the head of its answer.
    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<BackendBody>, Unsent>> + use<> {
        let sent = match self {
            Sender::Http1(sender) => Sent::Http1(sender.try_send_request(request)),
            Sender::Http2 { place, secure } => match place.take() {
                Some(place) => Sent::Http2(Box::pin(streaming::send(place, *secure, request))),
                None => Sent::Nowhere(Box::new(request)),
            },
        };
        async move {
            match sent {
                Sent::Http1(sent) => match sent.await {
                    Ok(answer) => Ok(answer.map(BackendBody::Http1)),
                    Err(mut error) => {
                        Err(error.take_message().map_or(Unsent::Lost, |back| Unsent::Back(Box::new(back))))
                    }
                },
                Sent::Http2(sent) => sent.await,
                Sent::Nowhere(request) => Err(Unsent::Back(request)),
            }
        }
    }

    /// Whether others use its connection too.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Sender::Http2 { .. })
    }
}
