//! Accept connections, bound them, drain them.
//!
//! Each worker is a thread with a runtime of its own and a listening socket of its own on the shared
//! address (`SO_REUSEPORT`), so that nothing on the way of a request crosses threads but admission's lock.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::Worker;
use super::connection::connection;
use super::descriptors;
use super::neighbours::Neighbour;
use super::settings::ListenSettings;
use super::spread::{Desk, Handed, Seat};
use super::watch::Watch;

/// How many connections the kernel holds for us until we accept them.
const BACKLOG: i32 = 4096;

/// One listening socket per worker on the same address; some are there already when they were inherited. There may be more
/// then: in none of them may anybody be forgotten.
///
/// # Errors
/// When the address is in use, by another Sluss too, or may not be bound.
pub fn sockets(settings: &ListenSettings, mut inherited: Vec<StdListener>) -> io::Result<Vec<StdListener>> {
    let Some(first) = inherited.first() else { return bind(settings) };
    let (address, shared) = (first.local_addr()?, SockRef::from(first).reuse_port()?);
    let (given, workers) = (inherited.len(), settings.workers.get() as usize);
    for index in given..workers {
        // One that was opened for itself alone, or that we may not open, is listened at by several.
        let another = if shared { socket(address, true).map(StdListener::from).ok() } else { None };
        let another = another.map_or_else(|| inherited[index % given].try_clone(), Ok)?;
        inherited.push(another);
    }
    Ok(inherited)
}

fn bind(settings: &ListenSettings) -> io::Result<Vec<StdListener>> {
    // Sockets with SO_REUSEPORT would share the address with another proxy without a word, so the first
    // question is asked without it.
    let mut address = settings.address;
    let probe = socket(address, false)?;
    address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..settings.workers.get()).map(|_| socket(address, true).map(StdListener::from)).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(if shared { BACKLOG } else { 1 })?;
    Ok(socket)
}

/// The connections of one worker.
#[derive(Default)]
pub(crate) struct Connections {
    open: RefCell<HashMap<u64, Rc<Watch>>>,
    next: Cell<u64>,
    /// Once the worker runs beside others.
    desk: OnceCell<Desk>,
}

impl Connections {
    /// Its worker is one of several, and has its part of all connections.
    pub(crate) fn beside_others(&self, desk: Desk) {
        let _ = self.desk.set(desk);
    }

    fn enter(&self, watch: &Rc<Watch>) -> u64 {
        let id = self.next.replace(self.next.get() + 1);
        self.open.borrow_mut().insert(id, watch.clone());
        id
    }

    /// Everybody who is connected.
    pub(crate) fn watches(&self) -> Vec<Rc<Watch>> {
        self.open.borrow().values().cloned().collect()
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether nobody is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Ask every connection to finish what it has begun and close, one after the other, the last when `spread` has passed:
    /// all who leave at once come back at once, wherever they go.
    pub(crate) async fn part(&self, spread: Duration) {
        let (watches, begun) = (self.watches(), Instant::now());
        let mut resting = VecDeque::new();
        let mut told = 0;
        loop {
            let now = Instant::now();
            // All of them when nothing is left of the time.
            let share = (now - begun).as_secs_f64() / spread.as_secs_f64();
            let due = ((share * watches.len() as f64) as usize).min(watches.len());
            for watch in &watches[told..due] {
                watch.part();
                resting.push_back((now, watch));
            }
            told = due;
            // Who asks again is told with the answer. Who does not has nothing under way by now.
            while let Some((_, watch)) = resting.pop_front_if(|(since, _)| now - *since >= spread.min(ASKS_AGAIN)) {
                watch.close();
            }
            if told == watches.len() && resting.is_empty() {
                return;
            }
            tokio::time::sleep(spread.min(LOOK_EVERY)).await;
        }
    }
}

/// Who has asked nothing for so long is not about to.
const ASKS_AGAIN: Duration = Duration::from_secs(1);
/// How often those are told whose turn to leave has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Accept at all of them until dropped.
pub(crate) async fn accept(listeners: &[TcpListener], worker: &Rc<Worker>) {
    let mut doors: Vec<_> = listeners.iter().map(|listener| Box::pin(accept_at(listener, worker))).collect();
    std::future::poll_fn(|context| {
        for door in &mut doors {
            let _never = door.as_mut().poll(context);
        }
        Poll::Pending
    })
    .await
}

async fn accept_at(listener: &TcpListener, worker: &Rc<Worker>) {
    let mut complained = None;
    loop {
        for _ in 0..A_TURN {
            match listener.accept().await {
                Ok((stream, peer)) => come_in(stream, peer, &worker.now()),
                Err(error) => cannot_accept(&error, &worker.now(), &mut complained).await,
            }
        }
        a_turn().await;
    }
}

/// Take somebody in who was accepted, here or at a worker that has fewer. Room is made where they came: who rests may be
/// here, and nobody there.
fn come_in(stream: TcpStream, peer: SocketAddr, worker: &Rc<Worker>) {
    let stream = match worker.connections.desk.get() {
        Some(desk) if worker.has_room() => desk.hand_over(stream, peer),
        _ => Some(stream),
    };
    if let Some(stream) = stream {
        enter(stream, peer, worker);
    }
}

/// Take in what other workers have accepted, until dropped.
pub(crate) async fn take_over(handed: &mut UnboundedReceiver<Handed>, worker: &Rc<Worker>) {
    loop {
        for _ in 0..A_TURN {
            match handed.recv().await {
                Some(handed) => enter_handed(handed, &worker.now()),
                // The desks are the workers' and live as long as they do.
                None => std::future::pending().await,
            }
        }
        a_turn().await;
    }
}

/// Take in those who wait to be taken over, and nobody after them.
pub(crate) fn take_over_rest(mut handed: UnboundedReceiver<Handed>, worker: &Rc<Worker>) {
    handed.close();
    while let Ok(one) = handed.try_recv() {
        enter_handed(one, worker);
    }
}

fn enter_handed(handed: Handed, worker: &Rc<Worker>) {
    if let Ok(stream) = TcpStream::from_std(handed.stream) {
        enter(stream, handed.peer, worker);
    }
}

/// How many are accepted before everybody else has had a turn: a crowd at the door must not keep those waiting who
/// are inside. When 3,000 came at once to one worker, a customer on an open connection had the next answer after 4 to 45 ms,
/// and after 210 to 390 ms without this.
const A_TURN: usize = 16;

/// Done when everything has been run that could run at the time: tasks are taken in their order.
async fn a_turn() {
    // Fails only when the worker ends, and then nobody waits for it.
    let _ = tokio::task::spawn_local(async {}).await;
}

/// Out of descriptors or memory, those who wait in the backlog keep their place until some come free; who rests
/// leaves for them. Errors of a single connection are over with it.
async fn cannot_accept(error: &io::Error, worker: &Rc<Worker>, complained: &mut Option<Instant>) {
    let used_up = descriptors::are_used_up(error);
    worker.metrics.cannot_accept(used_up);
    if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
        *complained = Some(Instant::now());
        tracing::warn!(%error, "cannot accept connections");
    }
    if used_up {
        worker.make_room();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often the same trouble is written into the log.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Accept those who wait in the socket already, so that closing it resets nobody, and nobody is waited for: others come
/// all the time, and each who is let in has to be told to leave within the time that there is.
pub(crate) async fn accept_rest(listener: TcpListener, worker: &Rc<Worker>) {
    let Ok(socket) = listener.into_std() else { return };
    for accepted in 1..=BACKLOG {
        let Ok((stream, peer)) = socket.accept() else { return };
        let nonblocking = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = nonblocking {
            enter(stream, peer, worker);
        }
        if accepted.unsigned_abs().is_multiple_of(A_TURN as u32) {
            a_turn().await;
        }
    }
}

fn enter(stream: TcpStream, peer: SocketAddr, worker: &Rc<Worker>) {
    worker.metrics.accepted.increment(1);
    let listen = &worker.settings.listen;
    // Before anybody makes room for it. Whose one is that comes through a balancer is known when its header has been read.
    let through_balancer = listen.is_balancer(&peer.ip().to_canonical());
    let neighbour = if through_balancer { Ok(None) } else { worker.neighbour(peer.ip()) };
    let Ok(neighbour) = neighbour else { return };
    let most = listen.connections.get() as usize;
    let room = worker.has_room().then(|| Open::one_more(&worker.shared.open, most)).flatten();
    let Some(open) = room else { return worker.turn_away(stream) };
    // Only saves a wait for more to send; a connection without it works.
    let _ = stream.set_nodelay(true);
    // Counted before its task has had a turn: a worker that goes down waits for it.
    let watch = Watch::new();
    let seat = worker.connections.desk.get().map(Desk::seat);
    let entered = Entered { id: worker.connections.enter(&watch), worker: worker.clone(), _seat: seat };
    tokio::task::spawn_local(connection(stream, peer, watch, entered, (open, neighbour)));
}

/// What counts a connection while it is open: among all, and among those of its address.
pub(super) type Counted = (Open, Option<Neighbour>);

/// A connection in its worker's table, however it ends.
pub(super) struct Entered {
    id: u64,
    worker: Rc<Worker>,
    _seat: Option<Seat>,
}

impl Entered {
    /// Whose connection it is.
    pub(super) fn worker(&self) -> Rc<Worker> {
        self.worker.clone()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let watch = self.worker.connections.open.borrow_mut().remove(&self.id);
        // What a connection would have gone on as belongs to it, and it to that: one has to let go of the other, however
        // HTTP has left it.
        drop(watch.and_then(|watch| watch.tunnel()));
    }
}

/// One open connection of all the workers'.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    fn one_more(open: &Arc<AtomicUsize>, most: usize) -> Option<Open> {
        let entered = Open(open.clone());
        (open.fetch_add(1, Ordering::Relaxed) < most).then_some(entered)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
