//! A connection that has been upgraded: bytes carried both ways until one side ends it.
//!
//! It holds no buffer while nothing moves. Who has said their last is passed on as such, and the other side may go on for a
//! moment; an error of either ends both. What ends it besides: silence both ways, a client that does not read, a time that
//! was configured, and the end of the drain, which waits for it as for anything else that is under way.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Worker;
use super::access_log::{Trail, TunnelEnd};
use super::exchange::Exchange;
use super::ledger::Held;
use super::stream::BackendIo;
use super::streams::Seated;
use super::watch::{Resting, Timer, Watch, Watched};

/// A backend's connection that HTTP has left.
pub(super) struct Freed {
    pub(super) io: BackendIo,
    /// What came behind the head.
    pub(super) early: Bytes,
    pub(super) held: Held,
}

/// An upgrade that the backend has taken. Dropped before its end, it was cut.
pub(crate) struct Tunnel {
    exchange: Exchange,
    freed: Option<oneshot::Receiver<Freed>>,
    trail: Trail,
    ended: bool,
    /// The connection is busy until this is dropped.
    resting: Option<Resting>,
}

/// How long the other side may still talk when one has said its last.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Bytes that are read at once.
const PIECE: usize = 16 << 10;

impl Tunnel {
    pub(super) fn new(exchange: Exchange, freed: oneshot::Receiver<Freed>, trail: Trail) -> Tunnel {
        Tunnel { exchange, freed: Some(freed), trail, ended: false, resting: None }
    }

    /// The connection belongs to it.
    pub(super) fn belongs_to(&mut self, resting: Resting) {
        self.resting = Some(resting);
    }

    /// Carry it to its end, with a client that has sent `early` behind its request.
    pub(super) async fn carry(
        mut self,
        client: Watched,
        early: Bytes,
        watch: &Watch,
        worker: &Worker,
        timer: &mut Timer,
    ) {
        let freed = match self.freed.take() {
            Some(freed) => freed.await.ok(),
            None => None,
        };
        let Some(Freed { io, early: said, held: _held }) = freed else {
            return self.ends(TunnelEnd::BackendReset);
        };
        let settings = self.exchange.streams();
        let (idle, end) = (settings.idle, settings.end());
        let mut ends = Ends { client, backend: io, up: Flow::of(early), down: Flow::of(said) };
        let mut seated = Some(Seated::new(settings));
        let mut silence = Silence::new(idle, end);
        let how = std::future::poll_fn(|context| {
            if seated.as_mut().is_some_and(|seated| seated.poll(&mut self.exchange, context).is_ready()) {
                seated = None;
            }
            let polled = ends.poll(context);
            let (up, down) = (ends.up.take_moved(), ends.down.take_moved());
            if up + down > 0 {
                self.trail.comes(up);
                self.trail.leaves(down);
                silence.is_broken();
            }
            if let Poll::Ready(how) = polled {
                return Poll::Ready(how);
            }
            if ends.first_to_end().is_some() {
                silence.is_short();
            }
            if timer.poll_overdue(watch, &worker.settings.listen.timeouts, context).is_ready() {
                worker.metrics.too_slow.increment(1);
                return Poll::Ready(TunnelEnd::ClientSlow);
            }
            silence.poll(context).map(|()| ends.first_to_end().unwrap_or(TunnelEnd::Idle))
        })
        .await;
        self.ends(how);
    }

    fn ends(&mut self, how: TunnelEnd) {
        self.ended = true;
        self.trail.tunnel_ends(how);
        self.exchange.completed();
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if !self.ended {
            self.ends(TunnelEnd::ClientGone);
        }
    }
}

/// Both connections, and what is on its way between them.
struct Ends {
    client: Watched,
    backend: BackendIo,
    up: Flow,
    down: Flow,
}

impl Ends {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<TunnelEnd> {
        let before = self.first_to_end();
        let up = self.up.poll(&mut self.client, &mut self.backend, context);
        let down = self.down.poll(&mut self.backend, &mut self.client, context);
        match (up, down) {
            (Poll::Ready(Err(Broken::From)), _) | (_, Poll::Ready(Err(Broken::To))) => {
                Poll::Ready(before.unwrap_or(TunnelEnd::ClientGone))
            }
            (Poll::Ready(Err(Broken::To)), _) | (_, Poll::Ready(Err(Broken::From))) => {
                Poll::Ready(before.unwrap_or(TunnelEnd::BackendReset))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                Poll::Ready(before.or(self.first_to_end()).unwrap_or(TunnelEnd::ByClient))
            }
            _ => Poll::Pending,
        }
    }

    /// Who has said their last, if one of the two has.
    fn first_to_end(&self) -> Option<TunnelEnd> {
        match (self.up.ended, self.down.ended) {
            (true, false) => Some(TunnelEnd::ByClient),
            (false, true) => Some(TunnelEnd::ByBackend),
            _ => None,
        }
    }
}

/// One direction.
struct Flow {
    /// Read and not yet written.
    held: BytesMut,
    unflushed: bool,
    ended: bool,
    closed: bool,
    moved: u64,
}

/// Which side of a flow is no more.
#[derive(Clone, Copy, Debug)]
enum Broken {
    From,
    To,
}

impl Flow {
    /// With what was read before it was one.
    fn of(early: Bytes) -> Flow {
        let held = BytesMut::from(early);
        Flow { moved: held.len() as u64, held, unflushed: false, ended: false, closed: false }
    }

    fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    /// Ready when there will be no more, and all has been passed on.
    fn poll<F, T>(&mut self, from: &mut F, to: &mut T, context: &mut Context<'_>) -> Poll<Result<(), Broken>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_pass_on(to, context)).map_err(|_| Broken::To)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            // Zeros would cost more than what most messages have to say.
            let mut piece = [const { MaybeUninit::uninit() }; PIECE];
            let mut read = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *from).poll_read(context, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::From)),
                Poll::Ready(Ok(())) if read.filled().is_empty() => self.ended = true,
                Poll::Ready(Ok(())) => {
                    let bytes = read.filled();
                    self.moved += bytes.len() as u64;
                    // Nearly always all of it is taken at once, and nothing need be kept.
                    let taken = match Pin::new(&mut *to).poll_write(context, bytes) {
                        Poll::Ready(taken) => taken.map_err(|_| Broken::To)?,
                        Poll::Pending => 0,
                    };
                    self.unflushed = true;
                    self.held.extend_from_slice(&bytes[taken..]);
                }
            }
        }
    }

    /// Ready when nothing is held.
    fn poll_pass_on<T: AsyncWrite + Unpin>(&mut self, to: &mut T, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let taken = ready!(Pin::new(&mut *to).poll_write(context, &self.held))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(taken);
            self.unflushed = true;
        }
        self.held = BytesMut::new();
        if self.unflushed {
            ready!(Pin::new(&mut *to).poll_flush(context))?;
            self.unflushed = false;
        }
        if self.ended && !self.closed {
            ready!(Pin::new(to).poll_shutdown(context))?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// How long it has been silent.
struct Silence {
    sleep: Pin<Box<Sleep>>,
    since: Instant,
    most: Duration,
    end: Option<Instant>,
}

impl Silence {
    fn new(most: Duration, end: Option<Instant>) -> Silence {
        let since = Instant::now();
        Silence { sleep: Box::pin(sleep_until(since + most)), since, most, end }
    }

    /// Something moved.
    fn is_broken(&mut self) {
        self.since = Instant::now();
    }

    /// One side has said its last.
    fn is_short(&mut self) {
        if self.most > LAST_WORDS {
            (self.most, self.since) = (LAST_WORDS, Instant::now());
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let due = self.end.map_or(self.since + self.most, |end| end.min(self.since + self.most));
            // It is moved when it rings, and not whenever something moves.
            if self.sleep.deadline() > due || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(due);
            }
            ready!(self.sleep.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
        }
    }
}
