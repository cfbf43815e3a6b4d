//! A backend's stream, on which an answer outlives the request.
//!
//! A backend that does not want an upload answers and closes while we still send. The next write fails, and
//! hyper then gives up the exchange with the answer unread in its socket. So a failed write only ends what is
//! sent: the rest goes nowhere, and reading tells how the exchange ended, with an answer or without.
//!
//! And a backend that talks without end must not be all that a worker listens to: hyper goes on as long as there is
//! something to read, and reads interim answers (1xx) for nobody. So after a few reads in a row others have a turn. Without
//! it a storm of early hints stopped every other customer of its worker until its own timeout.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::secrecy::ClearOrSecure;
use super::tls::backends::is_http2;

/// See the [module](self).
pub(crate) struct BackendStream {
    io: TokioIo<BackendIo>,
    deaf: bool,
    /// Reads since there was nothing to read.
    in_a_row: u8,
    /// Until others have had their turn.
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// How a backend's bytes come.
pub(crate) type BackendIo = ClearOrSecure<TcpStream, TlsStream<TcpStream>>;

/// So many reads of 64 KiB at most make a turn: 256 KiB, for which an answer of any size waits once.
const A_TURN: u8 = 4;

impl BackendStream {
    pub(crate) fn new(stream: BackendIo) -> BackendStream {
        BackendStream { io: TokioIo::new(stream), deaf: false, in_a_row: 0, pause: None }
    }

    /// The stream itself, on which every error counts.
    pub(crate) fn into_io(self) -> BackendIo {
        self.io.into_inner()
    }

    /// What a write came to, had the backend listened to all of its `length` bytes.
    fn wrote(&mut self, polled: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                Poll::Ready(Ok(length))
            }
            polled => polled,
        }
    }
}

impl Read for BackendStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.in_a_row == A_TURN {
            // To be woken at once would not do: a worker runs what is ready dozens of times before it looks at its sockets.
            ready!(self.pause.get_or_insert_with(|| Box::pin(tokio::task::yield_now())).as_mut().poll(context));
            (self.pause, self.in_a_row) = (None, 0);
        }
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        self.in_a_row = if polled.is_ready() { self.in_a_row + 1 } else { 0 };
        polled
    }
}

impl Write for BackendStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(polled, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(length));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.wrote(polled, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl BackendIo {
    /// Whether it was agreed to go on in HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        match self {
            BackendIo::Clear(_) => false,
            BackendIo::Secure(stream) => is_http2(stream),
        }
    }

    /// The socket below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            BackendIo::Clear(tcp) => tcp,
            BackendIo::Secure(stream) => stream.get_ref().0,
        }
    }
}
