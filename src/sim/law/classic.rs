//! What others do: limits, lines and partitions that are known, to compare Sluss with.
//!
//! Each is our own port of a public law with its defaults, told the time like everything here; its file says where it
//! comes from. A law is written in parts, `LIMIT[/QUEUE][/MODIFIER...]`: see [`NAMES`].
//!
//! A law knows pools and products and nothing else: no classes, no events, no states. An order to park shuts a
//! product's door, an order to open or reopen opens it.

mod book;
mod seats;
mod limit;
mod aimd;
mod vegas;
mod gradient2;
mod envoy;
mod failsafe;
mod power;
mod ceiling;
mod line;
mod partition;
mod apf;
mod gate;
mod written;

use std::collections::VecDeque;
use std::time::Duration;

use self::book::Book;
use self::gate::Gate;
use self::limit::{Limiter, Sample};
use self::line::{Line, Turn};
use self::seats::Seats;
use self::written::Written;
pub use self::written::{NAMES, Name, Part};
use super::{Knock, Law, Look, No, RequestId, Said, Word};
use crate::admission::{Customer, Order, Outcome, Timestamp};
use crate::sim::random::Random;

/// What a classic law needs to know of a scenario. Everything is by product, in the order of
/// [`ProductId`](crate::admission::ProductId).
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// How many products there are.
    pub products: usize,
    /// The pool of each.
    pub pools: Vec<usize>,
    /// What each is guaranteed of its pool's limit, in per cent; only partitions ask.
    pub guarantees: Vec<u32>,
    /// How long its requests should take at most.
    pub objective: Vec<Duration>,
}

/// The law that `written` names, or a sentence on what is wrong with it and what may be written.
///
/// Every pool gets a limiter and a line of its own. Equal seeds give equal laws.
pub fn build(written: &str, around: &Surroundings, seed: u64) -> Result<Box<dyn Law>, String> {
    let written = Written::parse(written)?;
    Ok(Box::new(Classic::new(&written, around, seed)))
}

/// A law that others use, in front of all pools.
struct Classic {
    pools: Vec<Pool>,
    homes: Vec<Home>,
    shut: Vec<bool>,
    book: Book,
    said: VecDeque<Said>,
    retry_after: Option<(Duration, Duration)>,
    random: Random,
}

/// Where a product's requests go.
#[derive(Clone, Copy, Debug)]
struct Home {
    pool: usize,
    place: usize,
}

/// What stands before one pool.
struct Pool {
    limiter: Box<dyn Limiter>,
    line: Box<dyn Line>,
    seats: Seats,
    gate: Option<Gate>,
    /// How many wait, those who are crossed out not among them, by place.
    waiting: Vec<u32>,
}

impl Classic {
    fn new(written: &Written, around: &Surroundings, seed: u64) -> Classic {
        let count = around.pools.iter().max().map_or(0, |last| last + 1);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut homes = Vec::with_capacity(around.products);
        for (product, &pool) in around.pools.iter().enumerate() {
            homes.push(Home { pool, place: members[pool].len() });
            members[pool].push(product);
        }
        Classic {
            pools: (0..)
                .zip(&members)
                .map(|(pool, products)| Pool::new(written, products, around, seed, pool))
                .collect(),
            homes,
            shut: vec![false; around.products],
            book: Book::default(),
            said: VecDeque::new(),
            retry_after: written.retry_after,
            random: Random::nth(seed, OWN_CHANCE),
        }
    }

    fn refusal(&mut self) -> No {
        No { retry_after: self.retry_after.map(|(least, most)| self.random.between(least, most)), ..No::BARE }
    }

    fn wait_at_the_gate(&mut self) -> No {
        No { at_the_gate: true, retry_after: Some(self.random.between(POLL.0, POLL.1)), ..No::BARE }
    }

    /// Calls those of a pool whose turn it is. What is said to `asking` is returned; what is said to others is kept.
    fn call(&mut self, pool: usize, asking: Option<RequestId>, now: Timestamp) -> Word {
        let mut word = Word::Wait;
        loop {
            let pool = &mut self.pools[pool];
            let Some(turn) = pool.line.next(&pool.seats, &self.book, now) else { return word };
            let (Turn::Pass(waiter) | Turn::Refuse(waiter)) = turn;
            pool.waiting[waiter.place] -= 1;
            let answer = if let Turn::Pass(_) = turn {
                pool.seats.take(waiter.place);
                self.book.pass(&waiter, pool.seats.taken(), now);
                Word::Pass
            } else {
                self.book.cross_out(waiter.request);
                Word::Refuse(self.refusal())
            };
            if Some(waiter.request) == asking {
                word = answer;
            } else {
                self.said.extend(said(waiter.request, answer));
            }
        }
    }

    fn cross_out(&mut self, request: RequestId) {
        if let Some(product) = self.book.cross_out(request) {
            let Home { pool, place } = self.homes[product];
            self.pools[pool].waiting[place] -= 1;
            self.pools[pool].line.crossed_out(place, &self.book);
        }
    }

    fn shut(&mut self, product: usize) {
        self.shut[product] = true;
        for request in self.book.waiting_for(product) {
            self.cross_out(request);
            self.said.push_back(Said::Refuse(request, No::BARE));
        }
    }
}

fn said(request: RequestId, word: Word) -> Option<Said> {
    match word {
        Word::Pass => Some(Said::Pass(request)),
        Word::Refuse(no) => Some(Said::Refuse(request, no)),
        Word::Wait => None,
    }
}

impl Law for Classic {
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word {
        let product = knock.arrival.product.index();
        if self.shut[product] {
            return Word::Refuse(No::BARE);
        }
        let Home { pool, place } = self.homes[product];
        if !self.pools[pool].admits(knock.arrival.customer) {
            return Word::Refuse(self.wait_at_the_gate());
        }
        let waiter = self.book.enter(knock.request, product, place, now);
        let Pool { line, seats, waiting, .. } = &mut self.pools[pool];
        if !line.enter(waiter, seats) {
            self.book.cross_out(knock.request);
            return Word::Refuse(self.refusal());
        }
        waiting[place] += 1;
        self.call(pool, Some(knock.request), now)
    }

    fn finish(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        let passed = self.book.passed(request);
        let Home { pool, place } = self.homes[passed.product];
        let Pool { limiter, seats, .. } = &mut self.pools[pool];
        let full = seats.taken() >= seats.limit();
        seats.give_back(place);
        limiter.finished(&Sample { now, took: now.since(passed.at), in_flight: passed.in_flight, full, outcome });
        seats.set_limit(limiter.limit());
        self.call(pool, None, now);
    }

    fn leave(&mut self, request: RequestId, _now: Timestamp) {
        self.cross_out(request);
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.pools.iter().filter_map(Pool::next_wake).min()
    }

    fn wake(&mut self, now: Timestamp) {
        for pool in 0..self.pools.len() {
            self.pools[pool].wake(now);
            self.call(pool, None, now);
        }
    }

    fn order(&mut self, product: usize, order: Order, _now: Timestamp) {
        match order {
            Order::Park(_) => self.shut(product),
            Order::Reopen | Order::Open => self.shut[product] = false,
        }
    }

    fn look(&self, product: usize) -> Look {
        let Home { pool, place } = self.homes[product];
        let pool = &self.pools[pool];
        let limit = pool.limiter.limit();
        Look {
            limit: limit.is_finite().then_some(limit),
            in_flight: pool.seats.taken_by(place),
            waiting: pool.waiting[place],
            state: if self.shut[product] { "parked" } else { "open" },
            ramp: None,
        }
    }
}

impl Pool {
    fn new(written: &Written, products: &[usize], around: &Surroundings, seed: u64, pool: u64) -> Pool {
        let objective = products.iter().map(|&product| around.objective[product]).min().unwrap_or_default();
        let limiter = written.limiter(objective, Random::nth(seed, FIRST_POOL + pool));
        let guarantees = products.iter().map(|&product| around.guarantees[product]).collect();
        let seats = Seats::new(limiter.limit(), guarantees);
        Pool {
            line: written.line(&seats),
            gate: written.gate.then(|| Gate::new(Random::nth(seed, FIRST_POOL + pool).next_u64())),
            waiting: vec![0; products.len()],
            limiter,
            seats,
        }
    }

    fn admits(&self, customer: Customer) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.admits(customer))
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let gate = self.gate.as_ref().and_then(Gate::next_wake);
        gate.into_iter().chain(self.line.next_wake()).min()
    }

    fn wake(&mut self, now: Timestamp) {
        if let Some(gate) = &mut self.gate {
            gate.wake(&self.seats, self.limiter.limit(), self.line.length(), now);
        }
        if self.line.next_wake().is_some_and(|due| due <= now) {
            self.line.wake(&self.seats, now);
        }
    }
}

/// Evenly from `[0, 1)`.
fn unit(random: &mut Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// How long a customer at the gate is told to wait before it asks again.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// The number of the law's own generator, and of the first pool's.
const OWN_CHANCE: u64 = 0;
const FIRST_POOL: u64 = 1;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
