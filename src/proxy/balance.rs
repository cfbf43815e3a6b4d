//! Which backend: the less busy of two drawn at random, among those that accept connections.
//!
//! Two choices come close to the best of all with one comparison (Mitzenmacher 2001). A backend that
//! refuses connections is set aside and tried again after a pause that doubles ([`Standing`](super::standing)); when
//! all are set aside, all are tried: what passes then is money in motion.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::settings::BackendSettings;
use crate::admission::Timestamp;
use crate::admission::random::Random;

/// One backend as all workers see it.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) settings: BackendSettings,
    /// Requests sent and not yet ended.
    outstanding: AtomicU32,
    /// Connections refused in a row.
    refused: AtomicU32,
    /// Pauses since it was last steady.
    pauses: AtomicU32,
    /// Nanoseconds until which it is set aside.
    aside_until: AtomicU64,
    /// It has just been set aside.
    set_aside: Notify,
}

/// A request under way at a backend.
#[derive(Debug)]
pub(crate) struct Outstanding(std::sync::Arc<Backend>);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// One that comes and goes is left alone for longer each time, until it has stayed for so long.
const STEADY: Duration = Duration::from_secs(10);

impl Backend {
    /// With so many connections refused in a row it is gone. One may be a blip: a restart, a full accept queue.
    pub(crate) const GONE: u32 = 3;

    pub(crate) fn new(settings: BackendSettings) -> Backend {
        Backend {
            settings,
            outstanding: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            pauses: AtomicU32::new(0),
            aside_until: AtomicU64::new(0),
            set_aside: Notify::new(),
        }
    }

    pub(crate) fn is_aside(&self, now: Timestamp) -> bool {
        now.since_start().as_nanos() < u128::from(self.aside_until.load(Ordering::Relaxed))
    }

    /// How many requests are under way here.
    pub(crate) fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Whether it has refused so often in a row that nobody should count on it.
    pub(crate) fn is_gone(&self) -> bool {
        self.refused.load(Ordering::Relaxed) >= Backend::GONE
    }

    /// Until when it is to be left alone; `None` while it accepts connections.
    pub(crate) fn aside_until(&self) -> Option<Timestamp> {
        let refuses = self.refused.load(Ordering::Relaxed) > 0;
        refuses.then(|| Timestamp::after(Duration::from_nanos(self.aside_until.load(Ordering::Relaxed))))
    }

    /// Wait until it is set aside; at once when that has happened since the last time.
    pub(crate) async fn until_set_aside(&self) {
        self.set_aside.notified().await;
    }

    /// It did not accept a connection. Returns how often so in a row.
    pub(crate) fn refused(&self, now: Timestamp) -> u32 {
        // Many that were sent at once and are refused at once are one reason to leave it alone for longer.
        if !self.is_aside(now) {
            let last = Timestamp::after(Duration::from_nanos(self.aside_until.load(Ordering::Relaxed)));
            if self.refused.load(Ordering::Relaxed) == 0 && now.since(last) >= STEADY {
                self.pauses.store(0, Ordering::Relaxed);
            }
            let pauses = self.pauses.fetch_add(1, Ordering::Relaxed);
            let until = now + (FIRST_PAUSE * 2u32.pow(pauses.min(8))).min(LONGEST_PAUSE);
            self.aside_until.store(until.since_start().as_nanos() as u64, Ordering::Relaxed);
        }
        let times = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        self.set_aside.notify_one();
        times
    }

    /// It accepted a connection. Returns how often in a row it had refused one before.
    pub(crate) fn accepted(&self, now: Timestamp) -> u32 {
        // Read first: the line is shared by all workers and nearly always zero.
        if self.refused.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let now = now.since_start().as_nanos() as u64;
        self.aside_until.fetch_min(now, Ordering::Relaxed);
        self.refused.swap(0, Ordering::Relaxed)
    }
}

impl Outstanding {
    pub(crate) fn at(backend: &std::sync::Arc<Backend>) -> Outstanding {
        backend.outstanding.fetch_add(1, Ordering::Relaxed);
        Outstanding(backend.clone())
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Choose among `backends`, passing over those in `tried` unless nothing else is left.
pub(crate) fn choose(
    backends: &[std::sync::Arc<Backend>],
    tried: &[usize],
    now: Timestamp,
    random: &Cell<Random>,
) -> usize {
    if backends.len() == 1 {
        return 0;
    }
    let usable = |index: &usize| !tried.contains(index) && !backends[*index].is_aside(now);
    let untried = |index: &usize| !tried.contains(index);
    let count = (0..backends.len()).filter(usable).count();
    if count > 0 {
        less_busy(backends, usable, count, random)
    } else {
        let count = (0..backends.len()).filter(untried).count();
        if count > 0 { less_busy(backends, untried, count, random) } else { draw(random, backends.len()) }
    }
}

fn less_busy(
    backends: &[std::sync::Arc<Backend>],
    eligible: impl Fn(&usize) -> bool,
    count: usize,
    random: &Cell<Random>,
) -> usize {
    let nth = |n: usize| (0..backends.len()).filter(|index| eligible(index)).nth(n).unwrap_or(0);
    let one = draw(random, count);
    if count == 1 {
        return nth(one);
    }
    // The second of the others, so that the two always differ.
    let other = (one + 1 + draw(random, count - 1)) % count;
    let (one, other) = (nth(one), nth(other));
    if backends[other].outstanding() < backends[one].outstanding() { other } else { one }
}

fn draw(random: &Cell<Random>, below: usize) -> usize {
    let mut generator = random.replace(Random::new(0));
    let drawn = generator.below(below as u64) as usize;
    random.set(generator);
    drawn
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::*;

    fn backends(count: usize) -> Vec<Arc<Backend>> {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let settings = |n: usize| BackendSettings { name: format!("b{n}"), address };
        (0..count).map(|n| Arc::new(Backend::new(settings(n)))).collect()
    }

    #[test]
    fn work_is_spread_and_the_less_busy_of_two_goes_first() {
        let (backends, random) = (backends(4), Cell::new(Random::new(1)));
        let mut held = Vec::new();
        for _ in 0..400 {
            let chosen = choose(&backends, &[], Timestamp::ZERO, &random);
            held.push(Outstanding::at(&backends[chosen]));
        }
        for backend in &backends {
            assert!((95..=105).contains(&backend.outstanding()), "{}", backend.outstanding());
        }
        drop(held);
        assert!(backends.iter().all(|backend| backend.outstanding() == 0));
    }

    #[test]
    fn one_that_refuses_is_set_aside_and_tried_again_later() {
        let (backends, random) = (backends(2), Cell::new(Random::new(1)));
        let at = |ms| Timestamp::after(Duration::from_millis(ms));
        // Two that were sent at once are refused at once: one pause.
        assert_eq!([backends[0].refused(at(0)), backends[0].refused(at(1))], [1, 2]);
        assert!((0..100).all(|_| choose(&backends, &[], at(99), &random) == 1));
        assert!((0..100).any(|_| choose(&backends, &[], at(100), &random) == 0));
        assert!(!backends[0].is_gone());
        assert_eq!(backends[0].refused(at(100)), 3);
        assert!(backends[0].is_gone());
        assert!((0..100).all(|_| choose(&backends, &[], at(299), &random) == 1));
        assert_eq!([backends[0].accepted(at(250)), backends[0].accepted(at(250))], [3, 0]);
        assert!((0..100).any(|_| choose(&backends, &[], at(250), &random) == 0));
        assert!(!backends[0].is_gone());
    }

    #[test]
    fn pauses_double_and_never_last_longer_than_two_seconds() {
        let backend = &backends(1)[0];
        let mut now = Timestamp::ZERO;
        for pause in [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000] {
            backend.refused(now);
            assert_eq!(backend.aside_until(), Some(now + Duration::from_millis(pause)));
            now += Duration::from_millis(pause);
        }
        backend.accepted(now);
        assert_eq!(backend.aside_until(), None);
    }

    #[test]
    fn one_that_comes_and_goes_is_left_alone_for_longer_until_it_has_stayed() {
        let backend = &backends(1)[0];
        let mut now = Timestamp::ZERO;
        for (steady_ms, pause) in [(0, 100), (50, 200), (9_999, 400), (10_000, 100), (10, 200)] {
            now += Duration::from_millis(steady_ms);
            backend.refused(now);
            let until = now + Duration::from_millis(pause);
            assert_eq!(backend.aside_until(), Some(until));
            now = until;
            backend.accepted(now);
        }
    }

    #[test]
    fn when_all_are_set_aside_all_are_tried() {
        let (backends, random) = (backends(3), Cell::new(Random::new(1)));
        for backend in &backends {
            backend.refused(Timestamp::ZERO);
        }
        let chosen = choose(&backends, &[0, 1], Timestamp::ZERO, &random);
        assert_eq!(chosen, 2);
        assert!(choose(&backends, &[0, 1, 2], Timestamp::ZERO, &random) < 3);
    }
}
