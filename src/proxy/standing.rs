//! Which backends of a pool are there, told to admission whenever it changes.
//!
//! A backend that refuses a connection is set aside; one that has refused several in a row, with none accepted between, is
//! *gone*: the pool's limit follows, and when all are gone its products are down. Whoever is aside is tried again by a
//! plain connection, after pauses that double, so its return is found while no request comes, and no customer is the one
//! to find out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::admit::Gate;
use super::balance::Backend;
use super::clock::Clock;
use super::descriptors;
use super::settings::PoolSettings;
use crate::telemetry::record::UpstreamMetrics;

/// The backends of a pool as all workers see them.
pub(crate) struct Standing {
    pub(crate) backends: Vec<Arc<Backend>>,
    gate: Arc<Gate>,
    resource: usize,
    connect_within: Duration,
    clock: Clock,
    pub(super) metrics: Arc<UpstreamMetrics>,
}

impl Standing {
    pub(crate) fn new(
        pool: &PoolSettings,
        gate: Arc<Gate>,
        clock: Clock,
        metrics: Arc<UpstreamMetrics>,
    ) -> Arc<Standing> {
        let backends = pool.backends.iter().map(|backend| Arc::new(Backend::new(backend.clone()))).collect();
        let connect_within = pool.timeouts.connect;
        Arc::new(Standing { backends, gate, resource: pool.resource, connect_within, clock, metrics })
    }

    /// Connect to a backend, and draw from it whether it is there.
    ///
    /// # Errors
    /// When it does not accept, or not in time.
    pub(crate) async fn connect(&self, index: usize) -> io::Result<TcpStream> {
        let address = self.backends[index].settings.address;
        let late = || Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        let connected = timeout(self.connect_within, TcpStream::connect(address)).await.unwrap_or_else(|_| late());
        match &connected {
            Ok(_) => self.accepted(index),
            Err(error) => {
                self.metrics.connect_failed.increment(1);
                if !is_ours(error) {
                    self.refused(index, error);
                }
            }
        }
        connected
    }

    /// Try one backend again, for ever, whenever it is aside and its pause is over.
    pub(crate) async fn keep_probing(self: Arc<Self>, index: usize) {
        let backend = &self.backends[index];
        loop {
            match backend.aside_until() {
                None => backend.until_set_aside().await,
                Some(until) => {
                    sleep_until(Instant::from_std(self.clock.instant(until))).await;
                    // A request may have found it back meanwhile.
                    if backend.aside_until().is_some_and(|until| until <= self.clock.now()) {
                        let _ = self.connect(index).await;
                    }
                }
            }
        }
    }

    fn accepted(&self, index: usize) {
        let backend = &self.backends[index];
        let refused = backend.accepted(self.clock.now());
        if refused > 0 {
            tracing::info!(backend = backend.settings.name, "a backend accepts connections again");
        }
        if refused >= Backend::GONE {
            self.tell();
        }
    }

    fn refused(&self, index: usize, why: &io::Error) {
        let backend = &self.backends[index];
        let refused = backend.refused(self.clock.now());
        if refused == 1 {
            tracing::warn!(backend = backend.settings.name, %why, "a backend does not accept connections: set aside");
        }
        if refused == Backend::GONE {
            self.tell();
        }
    }

    /// Counted under the lock: whoever tells last has seen the last change.
    fn tell(&self) {
        let (healthy, of) = self.gate.with(|domain, now| {
            let healthy = self.backends.iter().filter(|backend| !backend.is_gone()).count() as u32;
            let of = self.backends.len() as u32;
            domain.backends(self.resource, healthy, of, now);
            (healthy, of)
        });
        tracing::warn!(pool = self.backends[0].settings.name, healthy, of, "the pool's limit follows its backends");
    }
}

/// A connection that failed for what *we* lack, descriptors or ports, says nothing about the backend.
fn is_ours(error: &io::Error) -> bool {
    descriptors::are_used_up(error) || error.kind() == io::ErrorKind::AddrNotAvailable
}
