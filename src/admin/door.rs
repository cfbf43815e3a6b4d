//! Who stands at the admin address: no more at once than descriptors are kept for them.
//!
//! Whoever opens thousands of connections here must neither take the descriptors of customers nor keep operators out. So
//! nobody is turned away, and nobody waits: whoever has been silent for longest leaves for the newcomer. A request that is
//! sent slowly and an answer that is not taken keep no place; an order that has begun is carried out whoever has left.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::proxy::descriptors::OPERATORS;

/// Answer those who come, until the door is shut: then the socket is somebody else's, who answers there, and those who are
/// here hear that they are to go there when they ask next. When all is over who rests is left, and who has asked is
/// answered still: nobody else knows what came of an order to make way.
pub async fn serve(listener: TcpListener, router: Router, shut: watch::Receiver<bool>, over: watch::Receiver<bool>) {
    let guests = Arc::<Guests>::default();
    let mut conversations = JoinSet::new();
    let mut complained = None;
    let (mut closes, mut ends) = (shut.clone(), over.clone());
    loop {
        let came = tokio::select! {
            came = listener.accept() => came,
            Ok(_) = closes.wait_for(|shut| *shut) => break,
            _ = ends.wait_for(|over| *over) => break,
        };
        while conversations.try_join_next().is_some() {}
        match came {
            Ok((stream, _)) => {
                guests.make_room(&mut complained).await;
                conversations.spawn(converse(stream, router.clone(), guests.enter(), shut.clone(), over.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections at the admin address");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop(listener);
    while conversations.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    router: Router,
    guest: Guest,
    shut: watch::Receiver<bool>,
    mut over: watch::Receiver<bool>,
) {
    let answers = TowerToHyperService::new(router);
    let service = service_fn(|request: http::Request<Incoming>| {
        guest.speaks();
        let (answer, shut) = (answers.call(request), &shut);
        async move {
            let mut answer = answer.await;
            // Looked at when the answer is there: an order to hand over shuts the door.
            if let (true, Ok(answer)) = (*shut.borrow(), &mut answer) {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        }
    });
    // Scrapers may keep a connection for as long as nobody else wants its place.
    let conversation = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
    let mut conversation = pin!(conversation);
    tokio::select! {
        biased;
        () = guest.leave.notified() => return,
        _ = over.wait_for(|over| *over) => conversation.as_mut().graceful_shutdown(),
        // Whoever hangs up in the middle needs no word about it.
        _ = conversation.as_mut() => return,
    }
    tokio::select! {
        () = guest.leave.notified() => {}
        _ = conversation => {}
    }
}

#[derive(Default)]
struct Guests(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// So many times somebody has come or spoken.
    turns: u64,
    /// In which turn each guest spoke last, and what tells them to leave.
    here: BTreeMap<u64, (u64, Arc<Notify>)>,
}

/// One open connection.
struct Guest {
    id: u64,
    leave: Arc<Notify>,
    guests: Arc<Guests>,
}

/// How often the same trouble is written into the log.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

impl Guests {
    /// Wait until one more has room: for as long as it takes those who are told to leave to do so.
    async fn make_room(&self, complained: &mut Option<Instant>) {
        while let Some(silent) = self.who_leaves() {
            if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                *complained = Some(Instant::now());
                tracing::warn!(connections = OPERATORS, "the admin address is full: the silent leave for new ones");
            }
            silent.notify_one();
            tokio::task::yield_now().await;
        }
    }

    fn who_leaves(&self) -> Option<Arc<Notify>> {
        let book = self.book();
        let silent = book.here.values().min_by_key(|(spoke, _)| *spoke);
        silent.filter(|_| book.here.len() >= OPERATORS).map(|(_, leave)| leave.clone())
    }

    fn enter(self: &Arc<Guests>) -> Guest {
        let mut book = self.book();
        book.turns += 1;
        let (id, leave) = (book.turns, Arc::new(Notify::new()));
        book.here.insert(id, (id, leave.clone()));
        Guest { id, leave, guests: self.clone() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// A request has come from them.
    fn speaks(&self) {
        let mut book = self.guests.book();
        book.turns += 1;
        let turn = book.turns;
        if let Some((spoke, _)) = book.here.get_mut(&self.id) {
            *spoke = turn;
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.book().here.remove(&self.id);
    }
}
