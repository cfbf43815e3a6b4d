//! A client's stream, which tells the watch what it reads and how it is read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Phase, Watch};
use crate::proxy::transport::Transport;

/// A client's stream, watched.
pub(crate) struct Watched {
    transport: Transport,
    watch: Rc<Watch>,
    /// The client has been told that there will be no more.
    shut: bool,
}

/// What is written in pieces but has no more bytes than this goes out in one: a plain send costs less than a vectored one
/// that gathers a head and a short body.
const ONE_PIECE: usize = 1024;

impl Watched {
    /// What hyper reads and writes.
    pub(crate) fn new(transport: Transport, watch: Rc<Watch>) -> TokioIo<Watched> {
        TokioIo::new(Watched { transport, watch, shut: false })
    }

    /// Whether the client has been told that there will be no more.
    pub(crate) fn is_shut(&self) -> bool {
        self.shut
    }

    /// The stream again.
    pub(crate) fn into_transport(self) -> Transport {
        self.transport
    }

    /// Read what nobody wants until the client closes. Closing on a client that still sends resets its
    /// connection, and it may never see the answer that told it why.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; 8 * 1024];
        loop {
            let mut unwanted = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(self.transport.socket()).poll_read(context, &mut unwanted));
            if read.is_err() || unwanted.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }

    fn wrote<T>(&mut self, polled: &Poll<io::Result<T>>) {
        let bytes = self.transport.socket().take_written();
        let watch = &self.watch;
        watch.written.update(|written| written + bytes);
        if let Some(sharing) = watch.sharing() {
            sharing.leaves(bytes);
        }
        let blocked = polled.is_pending();
        // Through TLS some may be taken of what was written before.
        if bytes > 0 || blocked != watch.write_blocked.get() {
            watch.write_blocked.set(blocked);
            watch.blocked_since.set(None);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        if polled.is_ready() {
            self.watch.heard(buffer.filled().len() - before);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut piece = [0; ONE_PIECE];
        let polled = match in_one(slices, &mut piece) {
            Some(piece) => Pin::new(&mut self.transport).poll_write(context, piece),
            None => Pin::new(&mut self.transport).poll_write_vectored(context, slices),
        };
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.transport).poll_flush(context);
        // In the clear there is nothing to flush; what TLS holds for a client that does not read blocks as a write does.
        if matches!(self.transport, Transport::Secure(_)) {
            self.wrote(&polled);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.phase() != Phase::Lingering {
            let polled = Pin::new(&mut self.transport).poll_shutdown(context);
            self.wrote(&polled);
            self.shut = true;
            ready!(polled)?;
            // A head that broke off ends here too, and more of it may come.
            if !self.watch.unread.get() && self.watch.phase() != Phase::Head {
                return Poll::Ready(Ok(()));
            }
            self.watch.enter(Phase::Lingering);
        }
        self.linger(context).map(Ok)
    }
}

/// All of the slices in one, if there is room for them.
fn in_one<'a>(slices: &[IoSlice<'_>], piece: &'a mut [u8; ONE_PIECE]) -> Option<&'a [u8]> {
    let mut end = 0;
    for slice in slices {
        piece.get_mut(end..end + slice.len())?.copy_from_slice(slice);
        end += slice.len();
    }
    Some(&piece[..end])
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

    use super::*;
    use crate::proxy::transport::Socket;

    /// Both ends of a connection through TLS.
    async fn secure() -> (server::TlsStream<Socket>, client::TlsStream<TcpStream>) {
        let made = rcgen::generate_simple_self_signed(["bet.example".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let ours = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let ours = ours.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let theirs = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let theirs = TlsConnector::from(Arc::new(theirs.with_root_certificates(roots).with_no_client_auth()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let accept = TlsAcceptor::from(Arc::new(ours)).accept(Socket::new(accepted));
        let (server, client) = tokio::join!(accept, theirs.connect("bet.example".try_into().unwrap(), tcp));
        (server.unwrap(), client.unwrap())
    }

    /// What comes of it at once.
    async fn at_once<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll_fn(|context| Poll::Ready(poll(context))).await
    }

    #[test]
    fn what_tls_holds_for_a_client_blocks_until_it_is_taken_and_counts_when_it_is() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (stream, mut client) = secure().await;
            let watch = Watch::new();
            let transport = Transport::Secure(Box::new(stream));
            let mut watched = Watched { transport, watch: watch.clone(), shut: false };
            let mut given = 0;
            loop {
                let written = at_once(|context| Pin::new(&mut watched).poll_write(context, &[7; 16 << 10])).await;
                let Poll::Ready(written) = written else { panic!("there is room whenever all was flushed") };
                given += written.unwrap();
                if at_once(|context| Pin::new(&mut watched).poll_flush(context)).await.is_pending() {
                    break;
                }
            }
            assert!(watch.write_blocked.get());
            let before = watch.written.take();
            let mut all = vec![0; given];
            let flush = poll_fn(|context| Pin::new(&mut watched).poll_flush(context));
            let (flushed, read) = tokio::join!(flush, client.read_exact(&mut all));
            flushed.unwrap();
            read.unwrap();
            assert!(!watch.write_blocked.get(), "it rests, and is not slow");
            let after = watch.written.get();
            assert!(after > 0 && before + after > given as u64, "{before} and {after} of {given}");
        });
    }
}
