//! The plant over real sockets: an HTTP/1.1 server for each product and a small one to watch it, one model behind them.
//!
//! Its cores are virtual: work is a timer, not a loop, so the plant costs next to nothing on the machine that also
//! runs the customers and the proxy. A caller that closes its connection is forgotten here and nowhere else: the
//! model goes on with the work.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

use super::Failure;
use super::script::Script;
use crate::admission::Timestamp;
use crate::sim::backend::{Answer, Ask, Fault, JobId, Plant};
use crate::sim::saturday;

mod process;
mod serve;

pub(super) use process::{PlantProcess, Report, play, read_report};

/// Where the plant can be reached.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Addresses {
    /// The backends, in the order of the products.
    pub(super) backends: Vec<SocketAddr>,
    /// Where it can be watched.
    pub(super) control: SocketAddr,
}

/// The model on the real clock.
pub(super) struct Driver {
    script: Rc<Script>,
    plant: RefCell<Plant>,
    began: Instant,
    /// Requests that came without the number of an attempt.
    nameless: Cell<u64>,
    listening: RefCell<HashMap<JobId, oneshot::Sender<Answer>>>,
    /// When the pump means to wake; nothing while it has nothing to wait for.
    armed: Cell<Option<Timestamp>>,
    sooner: Notify,
}

impl Driver {
    fn new(script: &Rc<Script>, seed: u64) -> Self {
        Self {
            script: Rc::clone(script),
            plant: RefCell::new(Plant::new(script.story.plant.clone(), seed)),
            nameless: Cell::new(0),
            began: Instant::now(),
            listening: RefCell::default(),
            armed: Cell::new(None),
            sooner: Notify::new(),
        }
    }

    /// Lets the model do the work and waits for its answer. Dropping this future is hanging up.
    async fn ask(&self, ask: Ask) -> Answer {
        let (tell, told) = oneshot::channel();
        let job = self.plant.borrow_mut().ask(ask, self.now());
        self.listening.borrow_mut().insert(job, tell);
        self.deliver();
        let next = self.plant.borrow().next_wake();
        if next.is_some_and(|next| self.armed.get().is_none_or(|armed| next < armed)) {
            self.sooner.notify_one();
        }
        told.await.expect("every job is answered: the model forgets none")
    }

    /// A number for an attempt that has none, which proves nothing either way: from the far end, where no customer's is.
    fn nameless_attempt(&self) -> u64 {
        self.nameless.set(self.nameless.get() + 1);
        u64::MAX - self.nameless.get()
    }

    /// The product that was closed has lost its warm caches.
    fn cool(&self) {
        let station = self.script.story.products[self.script.surging().index()].station;
        self.plant.borrow_mut().fault(station, Fault::Cold(saturday::COLD), self.now());
    }

    fn now(&self) -> Timestamp {
        Timestamp::after(self.began.elapsed())
    }

    fn deliver(&self) {
        let mut plant = self.plant.borrow_mut();
        while let Some((job, answer)) = plant.poll_answer() {
            if let Some(tell) = self.listening.borrow_mut().remove(&job) {
                // Nobody listens any more when the caller has hung up; the work was done all the same.
                let _ = tell.send(answer);
            }
        }
    }

    /// Wakes the model when something is due. Runs for as long as the plant stands.
    async fn pump(&self) {
        loop {
            let next = self.plant.borrow().next_wake();
            self.armed.set(next);
            tokio::select! {
                () = sleep_until(next.map(|next| self.began + next.since_start())) => {}
                () = self.sooner.notified() => {}
            }
            self.plant.borrow_mut().wake(self.now());
            self.deliver();
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Opens the plant's doors, at `first_port` and the three after it or wherever there is room, and serves from tasks of
/// the current `LocalSet`.
pub(super) async fn open(script: &Rc<Script>, first_port: Option<u16>, seed: u64) -> Result<Addresses, Failure> {
    let driver = Rc::new(Driver::new(script, seed));
    let pumped = Rc::clone(&driver);
    tokio::task::spawn_local(async move { pumped.pump().await });

    let mut backends = Vec::new();
    for product in script.products() {
        let listener = listen(first_port, product.0)?;
        backends.push(address(&listener)?);
        tokio::task::spawn_local(serve::backend(listener, product, Rc::clone(&driver)));
    }
    let listener = listen(first_port, backends.len() as u16)?;
    let control = address(&listener)?;
    tokio::task::spawn_local(serve::control(listener, driver));
    Ok(Addresses { backends, control })
}

fn listen(first_port: Option<u16>, nth: u16) -> Result<TcpListener, Failure> {
    let port = first_port.map_or(0, |first| first.saturating_add(nth));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    bind(address).map_err(|error| Failure::new(format!("the plant cannot listen on {address}: {error}")))
}

/// std's backlog of 128 would turn the surge away in the kernel, with a second of silence each time.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4_096)?;
    TcpListener::from_std(socket.into())
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::new(format!("the plant has no address: {error}")))
}

#[cfg(test)]
mod tests;
