//! The customers over real sockets: open-loop, each a task with a connection of its own.
//!
//! Nobody waits for anybody here: who is due to arrive arrives, however badly the others fare. What each attempt and
//! each journey came to is written down ([`Records`]) and looked at afterwards.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::sim::customers::{Customer, Ended, Next, TIME_OUT, Traits};
use crate::sim::{Product, Step};

mod line;
pub(super) mod records;

use records::{AttemptRecord, Fate, Records};

pub(super) use line::Sources;
use line::{Line, Open};

/// Whom each product's customers talk to: the backends themselves, or one proxy in front of all.
pub(super) type Doors = [SocketAddr; 3];

/// One run: where the customers go, what time it is, what they came to.
pub(super) struct Field {
    doors: Doors,
    sources: Sources,
    seed: u64,
    began: Instant,
    pub(super) records: RefCell<Records>,
    pub(super) open: Rc<Open>,
    tasks: RefCell<JoinSet<()>>,
    /// When the probe last ran, and the latest it ever was.
    probed: Cell<Duration>,
    lag: Cell<Duration>,
}

/// How often the field looks whether it still keeps time.
const PROBE: Duration = Duration::from_millis(100);

impl Field {
    /// An empty field; its time begins now.
    pub(super) fn new(doors: Doors, sources: Sources, seed: u64) -> Rc<Self> {
        let field = Rc::new(Self {
            doors,
            sources,
            seed,
            began: Instant::now(),
            records: RefCell::default(),
            open: Rc::default(),
            tasks: RefCell::default(),
            probed: Cell::default(),
            lag: Cell::default(),
        });
        let probed = Rc::clone(&field);
        field.also(async move { probed.probe().await });
        field
    }

    /// Looks again and again how late it is. A machine that stood still, or had no time for the customers, measured
    /// itself and nothing else; that must be told from a slow proxy.
    async fn probe(&self) {
        loop {
            self.until(self.probed.get() + PROBE).await;
            self.lag.set(self.lag());
            self.probed.set(self.now());
        }
    }

    /// The latest anything was done in this field after it was due.
    pub(super) fn lag(&self) -> Duration {
        self.now().saturating_sub(self.probed.get() + PROBE).max(self.lag.get())
    }

    /// Time since the run began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until a time of this run.
    pub(super) async fn until(&self, at: Duration) {
        tokio::time::sleep_until((self.began + at).into()).await;
    }

    /// Lets a crowd arrive, each customer at its time after `from`. They must be in order of arrival.
    pub(super) fn arrive(self: &Rc<Self>, crowd: Vec<Traits>, from: Duration) {
        let field = Rc::clone(self);
        self.also(async move {
            for traits in crowd {
                let traits = Traits { arrives: from + traits.arrives, ..traits };
                field.until(traits.arrives).await;
                field.come(traits);
            }
        });
    }

    fn come(self: &Rc<Self>, traits: Traits) {
        let field = Rc::clone(self);
        self.also(async move { field.journey(traits).await });
    }

    /// Something else that goes on in this field until it ends or the field is cleared.
    pub(super) fn also(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        // Those who have gone are cleared away as others come, or the set would hold everybody who ever was here.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(task);
    }

    /// One customer's whole journey, from its arrival on.
    pub(super) async fn journey(self: &Rc<Self>, traits: Traits) {
        let mut line = Line::new(self.doors[traits.product.index()], self.sources.of(traits.id), Rc::clone(&self.open));
        let place = self.records.borrow_mut().arrived(traits.product, traits.arrives);
        let mut customer = Customer::new(traits, self.seed);
        let mut attempt = customer.begin();
        loop {
            self.until(attempt.at).await;
            let sent = self.now();
            let how = match tokio::time::timeout(TIME_OUT, line.ask(&traits, &attempt)).await {
                Ok(how) => how,
                Err(_) => {
                    line.close();
                    Ended::TimedOut
                }
            };
            let now = self.now();
            self.note(&traits, attempt.step, sent, now, how);
            let fate = match customer.ended(how, now) {
                Next::Send(next) => {
                    attempt = next;
                    continue;
                }
                Next::Finished => Fate::Finished,
                Next::GaveUp => Fate::GaveUp,
            };
            return self.records.borrow_mut().left(place, now, fate);
        }
    }

    fn note(&self, traits: &Traits, step: Step, sent: Duration, ended: Duration, how: Ended) {
        let Traits { product, event, .. } = *traits;
        self.records.borrow_mut().attempts.push(AttemptRecord { product, step, event, sent, ended, how });
    }

    /// Everybody goes home at once, in the middle of whatever they were doing.
    pub(super) async fn clear(&self) {
        let mut tasks = self.tasks.take();
        tasks.shutdown().await;
    }
}

/// The steps and products a path stands for.
pub(super) fn path(product: Product, step: Step) -> &'static str {
    match (product, step) {
        (Product::HorseRacing, Step::Odds) => "/horse/odds",
        (Product::HorseRacing, Step::Login) => "/horse/login",
        (Product::HorseRacing, Step::Bet) => "/horse/bets",
        (Product::Sport, Step::Odds) => "/sport/odds",
        (Product::Sport, Step::Login) => "/sport/login",
        (Product::Sport, Step::Bet) => "/sport/bets",
        (Product::Casino, Step::Odds) => "/casino/odds",
        (Product::Casino, Step::Login) => "/casino/login",
        (Product::Casino, Step::Bet) => "/casino/bets",
    }
}

#[cfg(test)]
mod tests;
