//! The customers over real sockets: open-loop, each a task with a connection of its own.
//!
//! Nobody waits for anybody here: who is due to arrive arrives, however badly the others fare. What each attempt and
//! each journey came to is written down ([`Records`]) and looked at afterwards.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::script::{FOR_EVER, Script};
use crate::admission::Timestamp;
use crate::sim::clients::{Client, Ended, Next};
use crate::sim::coming::Arrivals;
use crate::sim::scenario::Crowd;

mod line;
pub(super) mod records;

use records::{AttemptRecord, Fate, Records};

pub(super) use line::Sources;
use line::{Errand, Heard, Line, Open};

/// Whom each product's customers talk to: the backends themselves, or one proxy in front of all.
pub(super) type Doors = Vec<SocketAddr>;

/// One run: where the customers go, what time it is, what they came to.
pub(super) struct Field {
    pub(super) script: Rc<Script>,
    doors: Doors,
    sources: Sources,
    seed: u64,
    began: Instant,
    pub(super) records: RefCell<Records>,
    pub(super) open: Rc<Open>,
    tasks: RefCell<JoinSet<()>>,
    /// Attempts sent, and steps begun: both are numbered.
    attempts: Cell<u64>,
    bets: Cell<u64>,
    /// When the probe last ran, and the latest it ever was.
    probed: Cell<Duration>,
    lag: Cell<Duration>,
}

/// How often the field looks whether it still keeps time.
const PROBE: Duration = Duration::from_millis(100);

impl Field {
    /// An empty field; its time begins now.
    pub(super) fn new(script: &Rc<Script>, doors: Doors, sources: Sources, seed: u64) -> Rc<Self> {
        let field = Rc::new(Self {
            script: Rc::clone(script),
            doors,
            sources,
            seed,
            began: Instant::now(),
            records: RefCell::default(),
            open: Rc::default(),
            tasks: RefCell::default(),
            attempts: Cell::default(),
            bets: Cell::default(),
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

    /// Lets a crowd arrive. What its arrivals say is the story's time, whose `begins` is this run's `from`.
    pub(super) fn arrive(
        self: &Rc<Self>,
        (place, crowd): (u16, &Rc<Crowd>),
        mut arrivals: Arrivals,
        (begins, from): (Duration, Duration),
    ) {
        let (field, crowd) = (Rc::clone(self), Rc::clone(crowd));
        self.also(async move {
            let mut nth = 0;
            while let Some(at) = arrivals.next(FOR_EVER) {
                let arrives = from + at.since_start().saturating_sub(begins);
                field.until(arrives).await;
                field.come(&crowd, place, nth, arrives);
                nth += 1;
            }
        });
    }

    fn come(self: &Rc<Self>, crowd: &Rc<Crowd>, place: u16, nth: u64, arrives: Duration) {
        let (field, crowd) = (Rc::clone(self), Rc::clone(crowd));
        self.also(async move { field.journey(&crowd, place, nth, arrives).await });
    }

    /// Something else that goes on in this field until it ends or the field is cleared.
    pub(super) fn also(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        // Those who have gone are cleared away as others come, or the set would hold everybody who ever was here.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(task);
    }

    /// One customer's whole journey, from its arrival on. No two of one field have the same place and number.
    pub(super) async fn journey(&self, crowd: &Crowd, place: u16, nth: u64, arrives: Duration) {
        let number = u64::from(place) << 32 | nth;
        let mut line = Line::new(self.doors[crowd.product.index()], self.sources.of(number), Rc::clone(&self.open));
        let mut client = Client::new(crowd, place, number, number, self.seed, Timestamp::after(arrives));
        let entry = self.records.borrow_mut().arrived(crowd.product, (place, client.manner), arrives);
        let mut at = arrives;
        loop {
            self.until(at).await;
            let sent = self.now();
            let errand = self.errand(crowd, &mut client);
            let heard = match tokio::time::timeout(crowd.timeout, line.ask(&errand)).await {
                Ok(heard) => heard,
                Err(_) => {
                    line.close();
                    Heard::nothing(Ended::TimedOut(Timestamp::after(sent)))
                }
            };
            let (now, how) = (self.now(), heard.how);
            self.note((entry, client.step), &errand, (sent, now), heard);
            let fate = match client.ended(crowd, how, Timestamp::after(now)) {
                Next::Send(after) => {
                    at = now + after;
                    continue;
                }
                Next::Finished => Fate::Finished,
                Next::GaveUp => Fate::GaveUp,
            };
            return self.records.borrow_mut().left(entry, now, fate);
        }
    }

    /// The next attempt of a customer, which goes out now.
    fn errand<'a>(&'a self, crowd: &'a Crowd, client: &mut Client) -> Errand<'a> {
        let step = &crowd.journey[usize::from(client.step)];
        let mut bets = self.bets.get();
        client.sends(&mut bets);
        self.bets.set(bets);
        Errand {
            step,
            path: self.script.path(crowd.product, step),
            event: step.event.map(|event| self.script.story.events[event].name.as_str()),
            customer: client.customer,
            attempt: self.attempts.replace(self.attempts.get() + 1),
            bet: client.bet,
        }
    }

    fn note(&self, at: (usize, u8), errand: &Errand<'_>, times: (Duration, Duration), heard: Heard) {
        let ((journey, step), (sent, ended), Heard { how, refusal }) = (at, times, heard);
        let (bet, event) = (errand.step.bet, errand.step.event);
        let mut records = self.records.borrow_mut();
        let product = records.journeys[journey].product;
        records.attempts.push(AttemptRecord { journey, step, product, bet, event, sent, ended, how, refusal });
    }

    /// Everybody goes home at once, in the middle of whatever they were doing.
    pub(super) async fn clear(&self) {
        let mut tasks = self.tasks.take();
        tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
