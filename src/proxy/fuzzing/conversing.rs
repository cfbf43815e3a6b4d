//! A whole connection: bytes into the parser and everything up to the choice of a backend, bytes out.

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
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// What a client sends in so many pieces, and then nothing for a while, before it hangs up.
struct Sent<'a> {
    left: &'a [u8],
    piece: usize,
    patience: u32,
}

impl AsyncRead for Sent<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.left.is_empty() {
            let bytes = self.left.len().min(self.piece).min(buffer.remaining());
            let (now, later) = self.left.split_at(bytes);
            buffer.put_slice(now);
            self.left = later;
        } else if self.patience > 0 {
            // Requests that were handed to a task of their own have their turn.
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
            let sent = Sent { left: said, piece, patience: 16 };
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
