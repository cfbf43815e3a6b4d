//! One client's connection from its acceptance to its end, under watch all the time.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use super::body::AnswerBody;
use super::dormant::{self, Turn, UntilAtRest};
use super::headers::Peer;
use super::ledger;
use super::listener::{Counted, Entered};
use super::opening::{self, Opened, Protocol};
use super::settings::Limits;
use super::sharing::Sharing;
use super::transport::Transport;
use super::watch::{Phase, Timer, Watch, Watched};
use super::{Worker, http2, serve};

pub(super) async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    watch: Rc<Watch>,
    entered: Entered,
    _counted: Counted,
) {
    let worker = entered.worker();
    let mut held = worker.strain.hold(ledger::CLIENT);
    if worker.draining.get() {
        watch.close();
    }
    let mut timer = Timer::new(&worker.settings.listen.timeouts);
    let opened = in_time(&worker, &watch, &mut timer, opening::open(stream, peer, &worker)).await;
    let Some(Ok(Opened { transport, address, protocol, neighbour: _neighbour })) = opened else { return };
    let trusted = worker.settings.listen.trusted.iter().any(|network| network.contains(&address));
    let secure = matches!(transport, Transport::Secure(_));
    if secure {
        held.grow(ledger::TLS);
    }
    let peer = Rc::new(Peer::new(address, trusted, secure));
    match protocol {
        Protocol::Http1 => http1(transport, &peer, &watch, &worker, timer).await,
        // Boxed, or a connection that speaks HTTP/1.1 would be as large.
        Protocol::Http2 => Box::pin(http2::converse(transport, &peer, &watch, &worker, timer)).await,
    }
}

/// What comes of `doing`, or nothing when the client takes too long over it or its place is needed.
async fn in_time<T>(worker: &Worker, watch: &Watch, timer: &mut Timer, doing: impl Future<Output = T>) -> Option<T> {
    let mut doing = pin!(doing);
    poll_fn(|context| {
        if let Poll::Ready(done) = doing.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        // Who is asked to close may have a question on the way, as below; who is to leave goes.
        if watch.is_closing(context.waker()) && watch.is_leaving() {
            return Poll::Ready(None);
        }
        let overdue = timer.poll_overdue(watch, &worker.settings.listen.timeouts, context);
        overdue.map(|()| {
            worker.metrics.too_slow.increment(1);
            None
        })
    })
    .await
}

async fn http1(mut transport: Transport, peer: &Rc<Peer>, watch: &Rc<Watch>, worker: &Rc<Worker>, mut timer: Timer) {
    let service = service_fn(|request| serve(worker.now(), peer.clone(), watch.clone(), request));
    let builder = http1_with(&worker.settings.listen.limits);
    loop {
        let may_rest = matches!(transport, Transport::Clear(_));
        let conversation = builder.serve_connection(Watched::new(transport, watch.clone()), service);
        // Boxed, or a dormant connection would be as large.
        let mut conversation = Box::new(UntilAtRest::new(conversation, watch, may_rest));
        let finish = |talk: Pin<&mut UntilAtRest<'_, http1::Connection<_, _>>>| talk.conversation().graceful_shutdown();
        let ended = attend(Pin::new(&mut *conversation), finish, watch, worker, &mut timer).await;
        let (io, unread) = match ended {
            None | Some(Turn::Over(Err(_))) => return,
            Some(Turn::Over(Ok(()))) => {
                let (io, early) = taken_apart(conversation);
                // Boxed, or every connection would be as large.
                return Box::pin(after_http(io, early, watch, worker, timer)).await;
            }
            Some(Turn::AtRest) => taken_apart(conversation),
        };
        transport = io.into_transport();
        transport.socket().put_back(unread);
        if dormant::wait(transport.socket(), watch, worker, &mut timer).await.is_err() {
            return;
        }
    }
}

/// What is left of a conversation: the stream, and what was read of it and not used.
#[expect(clippy::boxed_local, reason = "the box is given back too, and would live on in an async function")]
fn taken_apart<S>(conversation: Box<UntilAtRest<'_, http1::Connection<TokioIo<Watched>, S>>>) -> (Watched, Bytes)
where
    S: HttpService<Incoming, ResBody = AnswerBody, Error = Infallible>,
{
    let http1::Parts { io, read_buf, .. } = conversation.into_conversation().into_parts();
    (io.into_inner(), read_buf)
}

/// How HTTP/1 is read, within these limits.
pub(super) fn http1_with(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Watched instead; see the module `watch`.
        .header_read_timeout(None)
        .timer(TokioTimer::new())
        .half_close(false)
        // With it, an answer waits in our buffer while half of the next request lies in the other.
        .pipeline_flush(false)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(8192) + 8192);
    // Said aloud, even its own bound makes it fill two tables of 3 KB for each request.
    if limits.headers != HYPERS_MOST_HEADERS {
        builder.max_headers(limits.headers);
    }
    builder
}

/// As many headers as hyper takes by itself.
const HYPERS_MOST_HEADERS: usize = 100;

/// What becomes of a connection that HTTP has left.
async fn after_http(mut io: Watched, early: Bytes, watch: &Watch, worker: &Worker, mut timer: Timer) {
    match watch.tunnel() {
        Some(tunnel) => tunnel.carry(io, early, watch, worker, &mut timer).await,
        // Whoever has offered an upgrade is left by hyper as if it had been taken, and not even told that this is the end.
        None if !io.is_shut() => {
            let shut = poll_fn(|context| Pin::new(&mut io).poll_shutdown(context));
            attend(pin!(shut), |_| {}, watch, worker, &mut timer).await;
        }
        None => {}
    }
}

/// Let a conversation go on to its end, which comes back, or until its client takes too long; `finish` asks it to end by
/// itself.
pub(super) async fn attend<C: Future>(
    mut conversation: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    watch: &Watch,
    worker: &Worker,
    timer: &mut Timer,
) -> Option<C::Output> {
    let timeouts = &worker.settings.listen.timeouts;
    let mut told = false;
    poll_fn(|context| {
        loop {
            if let Poll::Ready(ended) = conversation.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            watch.is_still();
            if watch.is_leaving() {
                return Poll::Ready(None);
            }
            let asked_to_close = watch.is_closing(context.waker());
            // A connection that has not asked anything yet may have its question on the way: it is answered,
            // with `Connection: close`, or runs into its timeout. HTTP/2 can say how far it has listened.
            if !told && asked_to_close && (watch.sharing().is_some() || watch.phase() != Phase::Head) {
                told = true;
            } else if watch.sharing().is_some_and(Sharing::is_abused) {
                worker.metrics.floods.increment(1);
                // One word, and no time to go on meanwhile.
                finish(conversation.as_mut());
                let _ = conversation.as_mut().poll(context);
                return Poll::Ready(None);
            } else {
                if timer.poll_overdue(watch, timeouts, context).is_pending() {
                    return Poll::Pending;
                }
                if !matches!(watch.phase(), Phase::Lingering | Phase::Leaving) {
                    worker.metrics.too_slow.increment(1);
                }
                if told || !watch.can_be_told() {
                    return Poll::Ready(None);
                }
                told = true;
            }
            watch.takes_leave();
            finish(conversation.as_mut());
        }
    })
    .await
}
