//! What stands behind the proxy: three backends over one wallet, with the disease.
//!
//! ```text
//!  request ──▶ thread (400) ──▶ core (8) ──▶ wallet (3 seats for all products) ──▶ answer
//!              held to the end   own work     login and bets only
//! ```
//!
//! - A thread is held while the wallet is asked, and there is no bulkhead in front of the wallet: whoever has most
//!   threads waiting there has most of it.
//! - Work goes on when the caller has hung up. The plant is never told; it has no way to hear it.
//! - Service slows gently, up to four times, as work piles up ([`Bend`]).
//! - Nothing is refused until [`Settings::backlog`] wait for a thread.
//!
//! These four together make the collapse metastable: retries of work that is already being done keep the pile up, the
//! pile keeps answers slower than customers wait, and so they retry.
//!
//! The model is told the time and never asks. What is due between two calls happens at the moment it was due, so a
//! driver that comes late (a timer of 1 ms, a busy machine) takes nothing from what the plant can do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use super::random::Random;
use super::{Product, Step};

mod ledger;
mod settings;
mod station;

pub use ledger::{Counts, Ledger, REMEMBERED};
pub use settings::{Cold, Settings};
use station::Station;
pub use station::{Bend, SLOWEST};

/// A request in the plant, numbered by the plant.
pub type JobId = u64;

/// A request as it reaches the plant.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Whose backend.
    pub product: Product,
    /// Which step of the journey.
    pub step: Step,
    /// The customer's attempt; the same may never arrive twice.
    pub attempt: Option<u64>,
    /// Idempotency key of a bet: the same over all attempts at it.
    pub key: Option<u64>,
}

/// How a request ended in the plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done: odds, a session, or the receipt of the bet.
    Done,
    /// Turned away: the backlog is full.
    Full,
}

/// How the plant feels just now, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// Threads held, by product.
    pub threads: [usize; 3],
    /// Requests waiting for a thread, by product.
    pub backlog: [usize; 3],
    /// Requests waiting for the wallet.
    pub wallet_line: usize,
    /// By how much the wallet is slowed, in thousandths.
    pub wallet_permille: u64,
}

struct Backend {
    threads: Station,
    cores: Station,
    cold_until: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    CoreDone(JobId),
    WalletDone(JobId),
}

/// The plant. See the module's head for what it promises.
pub struct Plant {
    settings: Settings,
    backends: [Backend; 3],
    wallet: Station,
    ledger: Ledger,
    jobs: HashMap<JobId, Ask>,
    last_job: JobId,
    due: BinaryHeap<Reverse<(Duration, JobId, Due)>>,
    answers: VecDeque<(JobId, Answer)>,
    random: Random,
}

impl Plant {
    /// A warm, empty plant.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let backend = || Backend {
            threads: Station::new(settings.threads),
            cores: Station::new(settings.cores),
            cold_until: Duration::ZERO,
        };
        Self {
            backends: [backend(), backend(), backend()],
            wallet: Station::new(settings.wallet_seats),
            settings,
            ledger: Ledger::default(),
            jobs: HashMap::new(),
            last_job: 0,
            due: BinaryHeap::new(),
            answers: VecDeque::new(),
            random: Random::new(seed),
        }
    }

    /// A request arrives. Its answer comes from [`Plant::poll_answer`] under the number returned, perhaps at once.
    pub fn ask(&mut self, ask: Ask, now: Duration) -> JobId {
        self.wake(now);
        self.ledger.arrive(ask.product, ask.step, ask.attempt);
        self.last_job += 1;
        let job = self.last_job;
        let backend = &mut self.backends[ask.product.index()];
        if backend.threads.waiting() >= self.settings.backlog {
            self.answers.push_back((job, Answer::Full));
            return job;
        }
        self.jobs.insert(job, ask);
        if backend.threads.enter(job) {
            self.want_core(job, now);
        }
        job
    }

    /// A product that was closed is reopened, and is cold for a while from now on.
    pub fn cool(&mut self, product: Product, now: Duration) {
        self.wake(now);
        self.backends[product.index()].cold_until = now + self.settings.cold.lasts;
    }

    /// When to call [`Plant::wake`] at the latest.
    pub fn next_wake(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// Lets everything happen that was due up to now, each at its own time.
    pub fn wake(&mut self, now: Duration) {
        while let Some(&Reverse((at, ..))) = self.due.peek() {
            if at > now {
                break;
            }
            match self.due.pop() {
                Some(Reverse((_, _, Due::CoreDone(job)))) => self.core_done(job, at),
                Some(Reverse((_, _, Due::WalletDone(job)))) => self.wallet_done(job, at),
                None => break,
            }
        }
    }

    /// The next answer, if any is ready. Call until it returns nothing.
    pub fn poll_answer(&mut self) -> Option<(JobId, Answer)> {
        self.answers.pop_front()
    }

    /// What reached the plant so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How the plant feels just now.
    pub fn vitals(&self) -> Vitals {
        Vitals {
            threads: self.backends.each_ref().map(|backend| backend.threads.busy()),
            backlog: self.backends.each_ref().map(|backend| backend.threads.waiting()),
            wallet_line: self.wallet.waiting(),
            wallet_permille: self.settings.wallet_bend.permille(self.wallet.waiting()),
        }
    }

    fn want_core(&mut self, job: JobId, now: Duration) {
        let product = self.asked(job).product;
        if self.backends[product.index()].cores.enter(job) {
            self.begin_core(job, now);
        }
    }

    fn begin_core(&mut self, job: JobId, now: Duration) {
        let ask = self.asked(job);
        let held = self.backends[ask.product.index()].threads.busy();
        let mean = self.settings.backend_work[ask.step.index()];
        let took = self.settings.backend_bend.stretch(self.draw(mean, ask.product, now), held);
        self.due.push(Reverse((now + took, job, Due::CoreDone(job))));
    }

    fn core_done(&mut self, job: JobId, now: Duration) {
        let ask = self.asked(job);
        if let Some(next) = self.backends[ask.product.index()].cores.leave() {
            self.begin_core(next, now);
        }
        // A bet already carried out under this key needs no wallet: its receipt is on file.
        let asks_wallet = !self.settings.wallet_work[ask.step.index()].is_zero();
        if !asks_wallet || (ask.step == Step::Bet && self.ledger.is_placed(ask.key)) {
            self.finish(job, now);
        } else if self.wallet.enter(job) {
            self.begin_wallet(job, now);
        }
    }

    fn begin_wallet(&mut self, job: JobId, now: Duration) {
        let ask = self.asked(job);
        let mean = self.settings.wallet_work[ask.step.index()];
        let waiting = self.wallet.waiting();
        let took = self.settings.wallet_bend.stretch(self.draw(mean, ask.product, now), waiting);
        self.due.push(Reverse((now + took, job, Due::WalletDone(job))));
    }

    fn wallet_done(&mut self, job: JobId, now: Duration) {
        if let Some(next) = self.wallet.leave() {
            self.begin_wallet(next, now);
        }
        self.finish(job, now);
    }

    fn finish(&mut self, job: JobId, now: Duration) {
        let ask = self.asked(job);
        self.jobs.remove(&job);
        self.ledger.done(ask.product, ask.step, ask.key);
        self.answers.push_back((job, Answer::Done));
        if let Some(next) = self.backends[ask.product.index()].threads.leave() {
            self.want_core(next, now);
        }
    }

    fn asked(&self, job: JobId) -> Ask {
        *self.jobs.get(&job).expect("a job stays on file until it is finished, and is finished once")
    }

    /// A service time before any slowing: half of the mean is a floor, the rest exponential. Nothing is done in no
    /// time, and a few take several times the mean.
    fn draw(&mut self, mean: Duration, product: Product, now: Duration) -> Duration {
        let floor = mean / 2;
        let warm = floor + self.random.exponential(mean - floor);
        if now >= self.backends[product.index()].cold_until {
            return warm;
        }
        warm * self.settings.cold.permille / 1_000
    }
}

#[cfg(test)]
mod tests;
