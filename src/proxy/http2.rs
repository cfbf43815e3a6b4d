//! HTTP/2 from a client: many requests at once on one connection, each on the same way as any other.
//!
//! hyper and h2 keep the protocol. What is ours to bound: how many requests at once, what of their bodies may lie unread, how
//! long an answer may lie that nobody takes, and how much a client may say of which nothing comes (pings, settings, requests
//! taken back).

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::attend;
use super::headers::Peer;
use super::ledger::{self, Held};
use super::patience::Pace;
use super::settings::ClientTimeouts;
use super::sharing::{Bounds, Sharing, Stream};
use super::transport::Transport;
use super::watch::{Timer, Watch, Watched};
use super::{Worker, serve};

/// Bytes of a request's body that may lie unread. A connection may hold as many for each of its streams, or uploads that
/// wait for their turn would stop those beside them.
const WINDOW: u32 = 64 << 10;
/// Bytes of an answer that may lie in our buffer, beside what the kernel holds.
const SEND_BUFFER: usize = 64 << 10;
/// Streams that we had to reset; more are an attack (CVE-2025-8671).
const MOST_ERRORS: usize = 100;
/// Streams that were taken back before we saw them; more are an attack (CVE-2023-44487).
const MOST_UNSEEN: usize = 20;
/// Bytes that a client may say of which nothing comes, beside the bodies that may lie unread.
const MOST_CHATTER: usize = 256 << 10;

pub(super) async fn converse(
    transport: Transport,
    peer: &Rc<Peer>,
    watch: &Rc<Watch>,
    worker: &Rc<Worker>,
    mut timer: Timer,
) {
    let Some(builder) = http2_with(watch, worker) else { return };
    let service = service_fn(|request| serve(worker.now(), peer.clone(), watch.clone(), request));
    let conversation = builder.serve_connection(Watched::new(transport, watch.clone()), service);
    attend(pin!(conversation), |conversation| conversation.graceful_shutdown(), watch, worker, &mut timer).await;
}

/// How HTTP/2 is read on a connection, whose watch counts from now on what comes of it; nothing where it is not spoken.
pub(super) fn http2_with(watch: &Rc<Watch>, worker: &Rc<Worker>) -> Option<http2::Builder<Streams>> {
    let listen = &worker.settings.listen;
    let streams = listen.http2?.streams.get();
    let bounds = Bounds { taken_back: 2 * streams, chatter: MOST_CHATTER + (streams * WINDOW) as usize };
    watch.share(bounds, worker.strain.hold(0));
    let mut builder = http2::Builder::new(Streams { worker: worker.clone(), watch: watch.clone() });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(streams * WINDOW)
        .max_header_list_size(listen.limits.header_bytes as u32)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_UNSEEN)
        .max_local_error_reset_streams(MOST_ERRORS)
        // A client that is gone without a word is found, or it would keep its places in the queue.
        .keep_alive_interval(listen.timeouts.idle / 4)
        .keep_alive_timeout(listen.timeouts.header);
    Some(builder)
}

/// Bytes of an answer that are given at once: what a client must have taken within `send_timeout`, if not so little that it
/// costs much. A backend's pieces are up to 64 KiB, for which who takes as little as it may would need minutes.
fn piece(timeouts: &ClientTimeouts) -> usize {
    let in_time = timeouts.send.as_millis() * u128::from(timeouts.least_rate) / 1000;
    in_time.clamp(1 << 10, 16 << 10) as usize
}

/// Runs the streams of one connection, each as a task of its own, so that one that waits is in nobody's way.
#[derive(Clone)]
pub(super) struct Streams {
    worker: Rc<Worker>,
    watch: Rc<Watch>,
}

impl<F: Future + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let timeouts = &self.worker.settings.listen.timeouts;
        tokio::task::spawn_local(Serving {
            exchange: stream,
            stream: Rc::new(Stream::new(piece(timeouts))),
            patience: Patience::new(timeouts),
            _held: self.worker.strain.hold(ledger::STREAM),
            streams: self.clone(),
        });
    }
}

pin_project_lite::pin_project! {
    /// A request and its answer. It ends when the client does not take the answer, which resets the stream.
    struct Serving<F> {
        #[pin]
        exchange: F,
        stream: Rc<Stream>,
        patience: Patience,
        streams: Streams,
        _held: Held,
    }

    impl<F> PinnedDrop for Serving<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(sharing) = this.streams.watch.sharing() {
                sharing.ended(this.stream);
            }
        }
    }
}

/// For a client that takes its answer: so long for each piece, and on the whole as for its bodies.
struct Patience {
    sleep: Option<Pin<Box<Sleep>>>,
    /// How much of the answer had been asked for when somebody last looked.
    seen: u64,
    each: Duration,
    pace: Pace,
    /// What the client takes beside it.
    beside: Beside,
}

/// What a client takes of all its answers while it lets one of them lie: who is slow and takes many side by side is not
/// too slow for each of them.
struct Beside {
    least_rate: u64,
    piece: u64,
    /// For how long this one lay, and what has left meanwhile.
    so_far: (Duration, u64),
    /// Since when it lies again, and what had left by then: moved back by what was so far.
    since: Option<(Instant, u64)>,
    /// When something of it was taken last, and what had left by then.
    turn: Option<(Instant, u64)>,
    /// When so much has left, every other answer has had its turn and this one was passed over.
    in_turn_by: u64,
}

impl<F: Future> Future for Serving<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let Some(sharing) = this.streams.watch.sharing() else { return Poll::Ready(()) };
        if sharing.run(this.stream, || this.exchange.poll(context)).is_ready() {
            return Poll::Ready(());
        }
        let stalled = this.patience.poll_lost(this.stream, &this.streams.watch, sharing, context);
        if stalled.is_ready() {
            this.stream.gives_up();
            this.streams.worker.metrics.too_slow.increment(1);
        }
        stalled
    }
}

impl Patience {
    fn new(timeouts: &ClientTimeouts) -> Patience {
        let ClientTimeouts { send, least_rate, .. } = *timeouts;
        let a_piece = Duration::from_micros(piece(timeouts) as u64 * 1_000_000 / least_rate);
        let pace = Pace::new(least_rate);
        Patience { sleep: None, seen: 0, each: send.max(a_piece), pace, beside: Beside::new(timeouts) }
    }

    fn poll_lost(&mut self, stream: &Stream, watch: &Watch, sharing: &Sharing, context: &mut Context<'_>) -> Poll<()> {
        let Patience { sleep, seen, each, pace, beside } = self;
        let taken = stream.given() - *seen;
        if !stream.lies_unread() {
            if sleep.take().is_some() {
                pace.comes(taken);
                *seen += taken;
                beside.rests(sharing);
            }
            return Poll::Pending;
        }
        if sleep.is_none() || taken > 0 {
            pace.comes(taken);
            *seen += taken;
            let now = Instant::now();
            beside.takes_its_turn(now, watch, sharing);
            let due = now + pace.begins_to_wait(now, *each);
            sleep.get_or_insert_with(|| Box::pin(sleep_until(due))).as_mut().reset(due);
        }
        let Some(sleep) = sleep else { return Poll::Pending };
        while sleep.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let Some(again) = beside.excuses(now, *each, sharing) else { return Poll::Ready(()) };
            sleep.as_mut().reset(again);
        }
        Poll::Pending
    }
}

impl Beside {
    fn new(timeouts: &ClientTimeouts) -> Beside {
        let (least_rate, piece) = (timeouts.least_rate, piece(timeouts) as u64);
        Beside { least_rate, piece, so_far: (Duration::ZERO, 0), since: None, turn: None, in_turn_by: 0 }
    }

    /// Something of this answer is taken, or it begins to lie: now all the others have their turn.
    fn takes_its_turn(&mut self, now: Instant, watch: &Watch, sharing: &Sharing) {
        let left = sharing.left();
        let (lasted, before) = self.so_far;
        self.since.get_or_insert((now - lasted, left - before));
        self.turn = Some((now, left));
        self.in_turn_by = sharing.will_have_left() + 2 * self.piece * u64::from(watch.served());
    }

    /// There is nothing of it to take.
    fn rests(&mut self, sharing: &Sharing) {
        if let Some((since, before)) = self.since.take() {
            self.so_far = (since.elapsed(), sharing.left() - before);
        }
    }

    /// When to look again, where the client has taken enough of the others, and has not passed this one over. It is looked at
    /// for as long as one piece may lie, at least.
    fn excuses(&mut self, now: Instant, each: Duration, sharing: &Sharing) -> Option<Instant> {
        let left = sharing.left();
        if left >= self.in_turn_by {
            return None;
        }
        let (begun, before) = self.turn.filter(|(at, _)| now - *at >= each).or(self.since)?;
        let lasted = now - begun;
        if lasted < each {
            return Some(begun + each);
        }
        let enough = u128::from(left - before) * 1_000_000 >= u128::from(self.least_rate) * lasted.as_micros();
        enough.then(|| {
            self.since = Some((now, left));
            now + each
        })
    }
}
