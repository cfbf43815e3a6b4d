//! A client's stream, in the clear or through TLS, with what was read of it before its protocol was known.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::secrecy::ClearOrSecure;

/// A connection on which a little may have been read ahead.
pub(crate) struct Socket {
    tcp: TcpStream,
    /// Read already, and next to be read again.
    ahead: Bytes,
    /// Bytes written since somebody last asked.
    written: u64,
}

/// How a client's bytes come.
pub(crate) type Transport = ClearOrSecure<Socket, TlsStream<Socket>>;

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> Socket {
        Socket { tcp, ahead: Bytes::new(), written: 0 }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What lies ahead.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Throw away so many bytes of what lies ahead.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.ahead.advance(bytes);
    }

    /// What was read and not used lies ahead again. Copied: it may be a small part of a large buffer, or an empty one.
    pub(crate) fn put_back(&mut self, unused: Bytes) {
        // Whoever read it read all that lay there first.
        debug_assert!(self.ahead.is_empty(), "the bytes ahead are older");
        self.ahead = Bytes::copy_from_slice(&unused);
    }

    /// Bytes written since this was last asked: below TLS, which takes more than the client does.
    pub(crate) fn take_written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.written += bytes as u64;
        }
        polled
    }

    /// Read until `enough` knows what it wants to know of what lies ahead. All of it can be read again.
    pub(crate) async fn read_ahead<T>(&mut self, mut enough: impl FnMut(&[u8]) -> Option<T>) -> io::Result<T> {
        let mut known = Vec::from(std::mem::take(&mut self.ahead));
        loop {
            if let Some(told) = enough(&known) {
                self.ahead = Bytes::from(known);
                return Ok(told);
            }
            if self.tcp.read_buf(&mut known).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Transport {
    /// The socket below.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        match self {
            Transport::Clear(socket) => socket,
            Transport::Secure(stream) => stream.get_mut().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(context, buffer);
        }
        let bytes = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead.split_to(bytes));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
