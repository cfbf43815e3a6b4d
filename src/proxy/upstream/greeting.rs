//! How a conversation in HTTP/2 with a backend begins.
//!
//! A client may send requests before it has heard a word. This one does not: a backend that speaks something else would be
//! given a bet of which nobody knows what becomes, and one that takes a single stream would be given a hundred. So a connection
//! counts as accepted when the backend has answered a ping, before which it must have told its settings.

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use hyper_util::rt::TokioIo;

use super::super::stream::{BackendIo, BackendStream};

/// A backend that has accepted, and how it is to be spoken to.
pub(crate) enum Accepted {
    /// HTTP/1.1.
    Http1(BackendIo),
    /// HTTP/2; it has said its settings.
    Http2(Box<Greeted>),
}

/// A connection on which both sides have said hello.
pub(crate) struct Greeted {
    pub(crate) requests: SendRequest<Bytes>,
    /// Nothing moves unless it is polled.
    pub(crate) connection: Connection<Stream, Bytes>,
    pub(crate) pings: PingPong,
}

type Stream = TokioIo<BackendStream>;

/// Bytes of an answer that may lie unread.
pub(super) const WINDOW: u32 = 128 << 10;
/// The same for all of a connection, which is no bound of its own: a client that is slow to read must not stop the others.
const ALL_WINDOWS: u32 = (1 << 31) - 1;
/// Bytes of a request's body that may lie in our buffer, beside what the kernel holds.
const SEND_BUFFER: usize = 64 << 10;
/// Bytes of the head of an answer, as over HTTP/1.1.
const MOST_HEAD: u32 = 64 << 10;
/// Streams taken back of which we still know that they were, so that what comes late for them is no surprise.
const TAKEN_BACK: usize = 1024;

/// Say hello, and wait until it comes back.
///
/// # Errors
/// When the backend does not speak HTTP/2, or hangs up.
pub(crate) async fn greet(stream: BackendIo) -> io::Result<Greeted> {
    stream.tcp().set_nodelay(true)?;
    let stream = TokioIo::new(BackendStream::new(stream));
    let (requests, mut connection) = settings().handshake(stream).await.map_err(silent)?;
    let mut pings = connection.ping_pong().ok_or_else(|| io::Error::other("a connection pings once"))?;
    pings.send_ping(Ping::opaque()).map_err(silent)?;
    tokio::select! {
        biased;
        pong = poll_fn(|context| pings.poll_pong(context)) => pong.map_err(silent)?,
        ended = &mut connection => {
            return Err(ended.err().map_or_else(|| io::ErrorKind::UnexpectedEof.into(), silent));
        }
    };
    Ok(Greeted { requests, connection, pings })
}

fn settings() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .max_header_list_size(MOST_HEAD)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(TAKEN_BACK)
        // A backend that answers what was taken back is not at fault, however often clients take something back.
        .max_local_error_reset_streams(None);
    builder
}

fn silent(error: h2::Error) -> io::Error {
    io::Error::other(format!("it does not speak HTTP/2: {error}"))
}
