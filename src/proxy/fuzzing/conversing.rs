//! A whole connection: bytes into the parser and everything up to the choice of a backend, bytes out.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf, join};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::super::connection;
use super::super::serve;
use super::super::watch::Watch;
use super::{peer, with};

thread_local! {
    pub(super) static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// What a client sends in so many pieces, and then nothing for a while, before it hangs up.
pub(super) struct Sent<'a> {
    /// Nobody has read it yet.
    pub(super) left: &'a Cell<&'a [u8]>,
    pub(super) piece: usize,
    /// Requests that were handed to a task of their own have their turn before the next piece comes.
    pub(super) rests: bool,
    pub(super) patience: u32,
    pub(super) watch: Rc<Watch>,
}

impl AsyncRead for Sent<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let left = self.left.get();
        if !left.is_empty() && self.rests {
            self.rests = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        } else if !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(self.piece).min(buffer.remaining()));
            buffer.put_slice(now);
            self.watch.heard(now.len());
            self.left.set(later);
            self.rests = true;
        } else if self.patience > 0 {
            self.patience -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

/// What a client of HTTP/1 sends on one connection. Its first byte says who it is, the second in what pieces it comes.
pub fn conversation(data: &[u8]) {
    let [who, piece, said @ ..] = data else { return };
    let (who, piece) = (Rc::new(peer(*who)), usize::from(*piece).max(1) * 16);
    let mut heard = Vec::new();
    let held = with(|worker| {
        let before = worker.shared.memory_held();
        let talk = async {
            let watch = Watch::new();
            let service = service_fn(|request| serve(worker.clone(), who.clone(), watch.clone(), request));
            let sent = Sent { left: &Cell::new(said), piece, rests: false, patience: 16, watch: watch.clone() };
            let limits = &worker.settings.listen.limits;
            // How it ends is the client's affair.
            let _ =
                connection::http1_with(limits).serve_connection(TokioIo::new(join(sent, &mut heard)), service).await;
        };
        RUNTIME.with(|runtime| LocalSet::new().block_on(runtime, talk));
        worker.shared.memory_held() - before
    });
    assert_eq!(held, 0, "memory is still accounted for");
    judge(&heard);
}

/// Nobody serves here, so no answer is anybody's but ours.
fn judge(heard: &[u8]) {
    let text = String::from_utf8_lossy(heard);
    assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text}");
    assert!(!text.contains("HTTP/1.1 200") || text.contains("grpc-status: "), "{text}");
    assert!(!text.contains("HTTP/1.1 500"), "{text}");
}
