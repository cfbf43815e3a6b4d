//! Connections are spread evenly over the workers.
//!
//! The kernel chooses a listening socket, and with it a worker, by a hash of the addresses. With many connections that is even
//! enough; with four, as a balancer in front opens for HTTP/2, one in eight times all of them are on one worker and the
//! other core is idle. So a worker that has more than its part hands what it accepts to the one that has the least. Which
//! costs that connection a few microseconds, once.

use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Gauge;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How many connections each worker has.
pub(crate) struct Spread(Box<[Place]>);

/// One worker's, on a cache line of its own.
#[repr(align(64))]
struct Place {
    open: AtomicUsize,
    /// The same for whoever watches.
    shown: Gauge,
    /// No longer than its worker is behind: who waits here is counted, and nothing is handed to a worker that has no less.
    handed: UnboundedSender<Handed>,
}

/// One worker's view of it.
pub(crate) struct Desk {
    spread: Arc<Spread>,
    number: usize,
}

/// A connection that another worker has accepted.
pub(crate) struct Handed {
    pub(crate) stream: StdTcpStream,
    pub(crate) peer: SocketAddr,
    _seat: Seat,
}

/// What counts one connection as a worker's, while it is.
pub(crate) struct Seat {
    spread: Arc<Spread>,
    number: usize,
}

impl Spread {
    /// A desk for each worker, whose connections are `shown` so, and where it finds what others hand to it.
    pub(crate) fn over(shown: impl Iterator<Item = Gauge>) -> Vec<(Desk, UnboundedReceiver<Handed>)> {
        let place = |shown: Gauge| {
            let (handed, found) = unbounded_channel();
            (Place { open: AtomicUsize::new(0), shown, handed }, found)
        };
        let (places, found): (Vec<_>, Vec<_>) = shown.map(place).unzip();
        let workers = places.len();
        let spread = Arc::new(Spread(places.into()));
        let desks = (0..workers).map(|number| Desk { spread: spread.clone(), number });
        desks.zip(found).collect()
    }

    fn open(&self, number: usize) -> usize {
        self.0[number].open.load(Ordering::Relaxed)
    }

    fn seat(self: &Arc<Self>, number: usize) -> Seat {
        self.0[number].open.fetch_add(1, Ordering::Relaxed);
        self.0[number].shown.increment(1.0);
        Seat { spread: self.clone(), number }
    }
}

impl Desk {
    /// Count a connection as this worker's.
    pub(crate) fn seat(&self) -> Seat {
        self.spread.seat(self.number)
    }

    /// Hand an accepted connection to a worker that has fewer; it comes back when there is none.
    pub(crate) fn hand_over(&self, stream: TcpStream, peer: SocketAddr) -> Option<TcpStream> {
        let Some(other) = self.emptier() else { return Some(stream) };
        // One that the kernel does not let go of is broken.
        let stream = stream.into_std().ok()?;
        let handed = Handed { stream, peer, _seat: self.spread.seat(other) };
        let refused = self.spread.0[other].handed.send(handed).err()?;
        // That worker is going down.
        TcpStream::from_std(refused.0.stream).ok()
    }

    /// The worker with the fewest connections, when they are fewer by enough: of a thousand it does not matter who has sixty
    /// more.
    fn emptier(&self) -> Option<usize> {
        let own = self.spread.open(self.number);
        let least = (0..self.spread.0.len()).min_by_key(|number| self.spread.open(*number))?;
        (own > self.spread.open(least) + own / SLACK).then_some(least)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let place = &self.spread.0[self.number];
        place.open.fetch_sub(1, Ordering::Relaxed);
        place.shown.decrement(1.0);
    }
}

/// A worker may have more than another by so large a part of what it has.
const SLACK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_connections_are_spread_to_the_last_one_and_many_are_not_moved_for_little() {
        let desks = Spread::over((0..3).map(|_| Gauge::noop()));
        let desk = &desks[0].0;
        assert_eq!(desk.emptier(), None);
        let first = desk.seat();
        assert!(matches!(desk.emptier(), Some(1 | 2)));
        let others: Vec<Seat> = (1..3).map(|number| desks[number].0.seat()).collect();
        assert_eq!(desk.emptier(), None);
        drop(first);
        let many: Vec<Seat> = (0..160).map(|_| desk.seat()).collect();
        let enough: Vec<Seat> =
            (1..3).flat_map(|number| (0..149).map(move |_| number)).map(|n| desks[n].0.seat()).collect();
        assert_eq!(desk.emptier(), None, "150 are enough beside 160");
        drop(enough);
        assert!(desk.emptier().is_some());
        drop((many, others));
        assert_eq!(desk.spread.open(0) + desk.spread.open(1) + desk.spread.open(2), 0);
    }
}
