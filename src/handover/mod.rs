//! From one process to the next: the sockets are handed over, and nobody is turned away.
//!
//! ```text
//!  running process                                    the program that now lies at its path
//!    starts it, with its listening sockets  ────────▶  reads and checks the configuration, takes what it needs
//!    refuses orders for a moment            ◀── sound
//!    writes its last word into the journal
//!    gives the journal away, and its keys   go ────▶   reads it, starts its workers: both accept
//!    accepts no more                        ◀── ready
//!    tells what it [knows](known)           ────────▶  decides about bets for both
//!    finishes what it has, and ends                    is the proxy
//! ```
//!
//! Until `ready` the running process goes on as if nothing had happened, and after a failure for good. A listening socket
//! is shared by both and closed by neither while somebody waits in it, so that no connection is reset.
//!
//! As long as the old one finishes what it has, the new one [passes orders on](passed_on) to it: who waits there for a product
//! that is parked hears so at once.
//!
//! The sockets come as systemd hands them over (`LISTEN_FDS`, `LISTEN_FDNAMES`), so that activation by a systemd socket
//! is the same code. `LISTEN_PID` alone is missing: nobody knows the number of a process before it is there.

mod inherited;
mod known;
mod successor;
mod passed_on;
mod words;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, mpsc, oneshot};

use known::Farewell;
use passed_on::Before;

pub use inherited::{Inherited, Predecessor};
pub(crate) use known::take_over;
pub use passed_on::serve_successor;
pub use successor::{Program, Sockets, Successor, Trial};

/// What the operators' side of a proxy knows of handing over.
pub struct Handover {
    /// Held by each order while it is carried out, and by whoever hands the journal over.
    orders: Arc<RwLock<()>>,
    asks: mpsc::Sender<Ask>,
    bell: Mutex<Option<mpsc::Receiver<Ask>>>,
    before: Before,
    /// Where the process that follows is told the last that there is to tell.
    farewells: Mutex<Option<mpsc::UnboundedSender<Farewell>>>,
}

/// How long the last word may take: longer than all that is known.
const LAST_WORD: Duration = Duration::from_secs(15);

/// Somebody wants the binary upgraded.
pub(crate) struct Ask {
    /// Who.
    pub(crate) who: String,
    /// Why.
    pub(crate) reason: String,
    /// Where they hear what came of it: the number of the new process, or why there is none.
    pub(crate) answer: oneshot::Sender<Result<u32, String>>,
}

/// Nobody gives orders, as long as this is held.
pub(crate) type NoOrders = OwnedRwLockWriteGuard<()>;
/// An order is being carried out, as long as this is held.
pub(crate) struct UnderWay {
    /// What the process that follows has ordered waits for nobody: it takes no orders that are not for both.
    _own: Option<OwnedRwLockReadGuard<()>>,
}

impl Default for Handover {
    fn default() -> Handover {
        let (asks, bell) = mpsc::channel(1);
        Handover {
            orders: Arc::default(),
            asks,
            bell: Mutex::new(Some(bell)),
            before: Before::default(),
            farewells: Mutex::default(),
        }
    }
}

impl Handover {
    /// Hear who asks for an upgrade. For whoever runs the process, once.
    pub(crate) fn bell(&self) -> Option<mpsc::Receiver<Ask>> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Have the binary upgraded: the number of the new process, which takes requests.
    ///
    /// # Errors
    /// Why everything is as it was.
    pub(crate) async fn upgrade(&self, who: &str, reason: &str) -> Result<u32, String> {
        let (answer, heard) = oneshot::channel();
        let ask = Ask { who: who.to_owned(), reason: reason.to_owned(), answer };
        if self.bell.lock().unwrap_or_else(PoisonError::into_inner).is_some() || self.asks.try_send(ask).is_err() {
            return Err("this proxy takes no upgrades now: it is going down, or does not run as `sluss run`".into());
        }
        heard.await.unwrap_or_else(|_| Err("this proxy is going down".into()))
    }

    /// An order is about to be carried out; nothing while the journal is being handed over, or has been.
    pub(crate) fn order(&self) -> Option<UnderWay> {
        if passed_on::is_passed_on() {
            return Some(UnderWay { _own: None });
        }
        self.orders.clone().try_read_owned().ok().map(|own| UnderWay { _own: Some(own) })
    }

    /// The same for whoever holds nothing yet, and has just begun.
    pub(crate) fn no_orders_yet(&self) -> Option<NoOrders> {
        self.orders.clone().try_write_owned().ok()
    }

    /// Pass orders on to the process before this one from now on, where this runtime goes on.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn follow(&self, predecessor: Predecessor) -> io::Result<()> {
        self.before.is(predecessor).await
    }

    /// Whether the process before this one still finishes what it had.
    pub(crate) fn is_following(&self) -> bool {
        self.before.is_here()
    }

    /// Pass on what was ordered here to the process before this one.
    pub(crate) async fn pass_on(&self, method: Method, path: &str, body: Bytes) {
        self.before.tell(method, path, body).await;
    }

    /// Somebody tells another process what is known here, and hears when it is time for the last word.
    fn takes_leave(&self) -> mpsc::UnboundedReceiver<Farewell> {
        let (take_leave, farewells) = mpsc::unbounded_channel();
        *self.farewells.lock().unwrap_or_else(PoisonError::into_inner) = Some(take_leave);
        farewells
    }

    /// Nothing happens here any more. Comes back when the process that follows, if any, has been told all of it.
    pub(crate) fn farewell(&self) {
        let take_leave = self.farewells.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (told, is_told) = std::sync::mpsc::channel();
        if take_leave.is_some_and(|take_leave| take_leave.send(told).is_ok()) {
            // Ends with an error when all is told.
            let _ = is_told.recv_timeout(LAST_WORD);
        }
    }

    /// Wait for orders that are being carried out, and take no others.
    pub(crate) async fn no_orders(&self) -> NoOrders {
        self.orders.clone().write_owned().await
    }
}
