//! The body of a backend's answer, however the backend is spoken to.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::super::patience::BodyError;
use super::streaming::Streamed;

/// See the [module](self).
pub(crate) enum BackendBody {
    Http1(Incoming),
    /// Boxed: it is large, and few answers come so.
    Http2(Box<Streamed>),
}

impl Body for BackendBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            BackendBody::Http1(incoming) => {
                Pin::new(incoming).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(BodyError::from)))
            }
            BackendBody::Http2(streamed) => streamed.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            BackendBody::Http1(incoming) => incoming.is_end_stream(),
            BackendBody::Http2(streamed) => streamed.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            BackendBody::Http1(incoming) => incoming.size_hint(),
            BackendBody::Http2(streamed) => streamed.size_hint(),
        }
    }
}
