//! One client's connection from its acceptance to its end, under watch all the time.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;

use super::headers::Peer;
use super::ledger;
use super::listener::{Counted, Entered};
use super::opening::{self, Opened, Protocol};
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

async fn http1(transport: Transport, peer: &Rc<Peer>, watch: &Rc<Watch>, worker: &Rc<Worker>, timer: Timer) {
    let limits = &worker.settings.listen.limits;
    let service = service_fn(|request| serve(worker.now(), peer.clone(), watch.clone(), request));
    let conversation = http1::Builder::new()
        // Watched instead; see the module `watch`.
        .header_read_timeout(None)
        .timer(TokioTimer::new())
        .half_close(false)
        // With it, an answer waits in our buffer while half of the next request lies in the other.
        .pipeline_flush(false)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(8192) + 8192)
        .serve_connection(Watched::new(transport, watch.clone()), service);
    attend(pin!(conversation), |conversation| conversation.graceful_shutdown(), watch, worker, timer).await;
}

/// Let a conversation go on to its end, or until its client takes too long; `finish` asks it to end by itself.
pub(super) async fn attend<C: Future>(
    mut conversation: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    watch: &Watch,
    worker: &Worker,
    mut timer: Timer,
) {
    let timeouts = &worker.settings.listen.timeouts;
    let mut told = false;
    poll_fn(|context| {
        loop {
            if conversation.as_mut().poll(context).is_ready() || watch.is_leaving() {
                return Poll::Ready(());
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
                return Poll::Ready(());
            } else {
                if timer.poll_overdue(watch, timeouts, context).is_pending() {
                    return Poll::Pending;
                }
                if !matches!(watch.phase(), Phase::Lingering | Phase::Leaving) {
                    worker.metrics.too_slow.increment(1);
                }
                if told || !watch.can_be_told() {
                    return Poll::Ready(());
                }
                told = true;
            }
            watch.takes_leave();
            finish(conversation.as_mut());
        }
    })
    .await;
}
