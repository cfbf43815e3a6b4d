//! How bytes come and go, in the clear or through TLS: for clients and for backends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One or the other. The clear one is not boxed: it is the way that pays for nothing but this choice.
pub(crate) enum ClearOrSecure<C, S> {
    Clear(C),
    Secure(Box<S>),
}

impl<C, S> AsyncRead for ClearOrSecure<C, S>
where
    C: AsyncRead + Unpin,
    S: AsyncRead + Unpin,
{
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClearOrSecure::Clear(socket) => Pin::new(socket).poll_read(context, buffer),
            ClearOrSecure::Secure(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl<C, S> AsyncWrite for ClearOrSecure<C, S>
where
    C: AsyncWrite + Unpin,
    S: AsyncWrite + Unpin,
{
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ClearOrSecure::Clear(socket) => Pin::new(socket).poll_write(context, bytes),
            ClearOrSecure::Secure(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ClearOrSecure::Clear(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            ClearOrSecure::Secure(stream) => Pin::new(&mut **stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            ClearOrSecure::Clear(socket) => socket.is_write_vectored(),
            ClearOrSecure::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClearOrSecure::Clear(socket) => Pin::new(socket).poll_flush(context),
            ClearOrSecure::Secure(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClearOrSecure::Clear(socket) => Pin::new(socket).poll_shutdown(context),
            ClearOrSecure::Secure(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
