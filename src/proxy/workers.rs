//! The threads of the proxy: started with their sockets, told what counts, and told to leave.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::watch;
use tokio::time::Instant;

use super::listener;
use super::shared::Shared;
use super::spread::{Desk, Handed, Spread};
use super::worker::{Latest, Worker};
use crate::memory;

/// What counts from now on, for all workers.
#[derive(Clone)]
pub struct Published {
    /// This.
    pub shared: Arc<Shared>,
    /// Hears from each worker that has taken it up.
    pub taken_up: mpsc::UnboundedSender<()>,
}

/// The running workers.
pub struct Workers {
    /// Where they listen.
    pub address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
    leave: watch::Sender<Option<Leaving>>,
}

/// How workers are to end.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    /// Whether the sockets are somebody else's now, who lets people in; else those who wait in them are let in first.
    pub handed_over: bool,
    /// Over how long those who are connected are told.
    pub spread: Duration,
    /// When they are cut.
    pub deadline: Instant,
}

/// How often idle connections to backends are looked through, and free memory is.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

impl Workers {
    /// Start the workers, and divide the sockets among them. There are at least as many.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be had.
    pub fn start(published: &watch::Receiver<Published>, sockets: Vec<StdListener>) -> io::Result<Workers> {
        let address = sockets[0].local_addr()?;
        let mut shares: Vec<Vec<StdListener>> = Vec::new();
        let (workers, metrics) = {
            let shared = &published.borrow().shared;
            (shared.settings.listen.workers.get() as usize, shared.metrics.clone())
        };
        shares.resize_with(workers, Vec::new);
        sockets.into_iter().enumerate().for_each(|(index, socket)| shares[index % workers].push(socket));
        let (leave, left) = watch::channel(None);
        let desks = Spread::over((0..workers).map(|number| metrics.connections_of(number)));
        let start = |((number, sockets), desk): ((usize, Vec<StdListener>), Place)| {
            let (published, left) = (published.clone(), left.clone());
            thread(number, move || run(published, sockets, desk, left, number as u64))
        };
        let threads = shares.into_iter().enumerate().zip(desks).map(start).collect::<io::Result<_>>()?;
        Ok(Workers { address, threads, leave })
    }

    /// What tells them to end, and once they do, by when.
    pub fn door(&self) -> watch::Sender<Option<Leaving>> {
        self.leave.clone()
    }

    /// Wait until they have ended; they have been told.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

/// A thread that runs what is made on it, and nothing else. Its runtime knows that all of it stays there, which costs a task
/// less than a `LocalSet` on any runtime would.
fn thread<F: Future<Output = ()>>(
    number: usize,
    run: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // It must be made where it stays, so the thread says whether there is one.
    let (tell, told) = sync_channel(1);
    let thread =
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(
            move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(run());
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            },
        )?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}

/// Where a worker sits among the others, and where it finds what they hand to it.
type Place = (Desk, UnboundedReceiver<Handed>);

async fn run(
    mut published: watch::Receiver<Published>,
    sockets: Vec<StdListener>,
    (desk, mut handed): Place,
    mut told: watch::Receiver<Option<Leaving>>,
    seed: u64,
) {
    let listen = |socket| TcpListener::from_std(socket).expect("a listening socket of our own making");
    let listeners: Vec<TcpListener> = sockets.into_iter().map(listen).collect();
    let first = Worker::new(published.borrow_and_update().shared.clone(), seed);
    first.connections.beside_others(desk);
    let latest = first.latest.clone();
    tokio::task::spawn_local(watch_strain(first.clone()));
    tokio::task::spawn_local(follow(latest.clone(), published));
    let leaving = tokio::select! {
        () = listener::accept(&listeners, &first) => return,
        () = listener::take_over(&mut handed, &first) => return,
        () = expire_idle(&first) => return,
        leaving = leaving(&mut told) => leaving,
    };
    first.draining.set(true);
    // Accepted already, whoever has the sockets now.
    listener::take_over_rest(handed, &first.now());
    go_down(listeners, &first, leaving, &mut told).await;
    // They know each other.
    latest.take();
}

/// Take up whatever is published.
async fn follow(latest: Rc<Latest>, mut published: watch::Receiver<Published>) {
    while published.changed().await.is_ok() {
        let Published { shared, taken_up } = published.borrow_and_update().clone();
        let before = latest.borrow().clone();
        let Some(before) = before else { return };
        before.succeeded_by(shared);
        let _ = taken_up.send(());
    }
}

async fn go_down(
    listeners: Vec<TcpListener>,
    worker: &Rc<Worker>,
    leaving: Leaving,
    told: &mut watch::Receiver<Option<Leaving>>,
) {
    worker.draining.set(true);
    for listener in listeners.into_iter().filter(|_| !leaving.handed_over) {
        listener::accept_rest(listener, &worker.now()).await;
    }
    tokio::select! {
        () = worker.drained(leaving.spread) => {}
        () = expire_idle(worker) => {}
        () = overdue(told) => worker.now().cut(),
    }
}

/// Comes back when it is time to end.
async fn leaving(told: &mut watch::Receiver<Option<Leaving>>) -> Leaving {
    match told.wait_for(Option::is_some).await.map(|leaving| *leaving) {
        Ok(Some(leaving)) => leaving,
        // Nobody is there any more who could say so.
        Ok(None) | Err(_) => Leaving { handed_over: false, spread: Duration::from_millis(1), deadline: Instant::now() },
    }
}

/// Comes back when the time to finish is over, which may be made shorter meanwhile.
async fn overdue(told: &mut watch::Receiver<Option<Leaving>>) {
    loop {
        let deadline = told.borrow_and_update().map_or_else(Instant::now, |leaving| leaving.deadline);
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return,
            Ok(()) = told.changed() => {}
        }
    }
}

/// A task like those that serve, so that it is as late as they are.
async fn watch_strain(worker: Rc<Worker>) {
    worker.strain.watch(|| worker.now().make_way()).await;
}

async fn expire_idle(worker: &Rc<Worker>) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        worker.now().expire_idle();
        memory::give_back();
    }
}
