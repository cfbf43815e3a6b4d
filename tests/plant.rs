//! Has the plant of the demo the disease, and is it curable? Both in made-up time, from a seed, in a second.
//!
//! The same customers and the same plant as in `sluss demo`, with nothing or with a plain limit per product between
//! them: first come first served, bets before logins, refused after a second of waiting, what HAProxy's `maxconn`,
//! `priority-class` and `timeout queue` do. So that the demo can neither be too easy nor be rigged for one proxy.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use sluss::admission::Timestamp;
use sluss::sim::backend::{Ask, JobId, Plant};
use sluss::sim::customers::{Attempt, Crowd, Customer, Ended, Next, Steady, TIME_OUT, Traits, burst, steady};
use sluss::sim::{Product, Step, saturday as company};

const WINDOW: Duration = Duration::from_secs(45);
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// Customers count who had at least this long to finish.
const ROOM: Duration = Duration::from_secs(10);

/// What stands between customers and plant.
#[derive(Clone, Copy, Debug)]
enum Front {
    Nothing,
    /// So many logins and bets of each product at a time.
    MaxConn(usize),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Send(u64, u64),
    TimeOut(u64, u64),
    QueueTimeout(u64, u64),
}

struct World {
    front: Front,
    plant: Plant,
    customers: HashMap<u64, (Customer, Option<Attempt>)>,
    /// Attempts in the plant: whose they are, and whether they hold one of the front's places.
    jobs: HashMap<JobId, (u64, u64, bool)>,
    running: [usize; 3],
    queues: [[VecDeque<(u64, Attempt)>; 2]; 3],
    due: BinaryHeap<Reverse<(Duration, u64, Due)>>,
    order: u64,
    finished: BTreeMap<u64, Duration>,
    attempts: u64,
    steps: u64,
}

impl World {
    fn new(front: Front, seed: u64) -> Self {
        let plant = Plant::new(company::plant(), seed);
        Self {
            front,
            plant,
            customers: HashMap::new(),
            jobs: HashMap::new(),
            running: [0; 3],
            queues: Default::default(),
            due: BinaryHeap::new(),
            order: 0,
            finished: BTreeMap::new(),
            attempts: 0,
            steps: 0,
        }
    }

    fn at(&mut self, at: Duration, due: Due) {
        self.order += 1;
        self.due.push(Reverse((at, self.order, due)));
    }

    fn comes(&mut self, traits: Traits, seed: u64) {
        let mut customer = Customer::new(traits, seed);
        let first = customer.begin();
        self.customers.insert(traits.id, (customer, Some(first)));
        self.at(first.at, Due::Send(traits.id, first.id));
    }

    fn run(&mut self, until: Duration) {
        loop {
            let ours = self.due.peek().map(|Reverse((at, ..))| *at);
            let Some(now) = ours
                .into_iter()
                .chain(self.plant.next_wake().map(Timestamp::since_start))
                .min()
                .filter(|&at| at < until)
            else {
                return;
            };
            self.plant.wake(Timestamp::after(now));
            self.hear(now);
            if ours == Some(now)
                && let Some(Reverse((_, _, due))) = self.due.pop()
            {
                self.happen(due, now);
                self.hear(now);
            }
        }
    }

    fn happen(&mut self, due: Due, now: Duration) {
        match due {
            Due::Send(customer, attempt) => self.send(customer, attempt, now),
            Due::TimeOut(customer, attempt) => {
                self.leave_queue(attempt);
                self.end(customer, attempt, Ended::TimedOut, now);
            }
            Due::QueueTimeout(customer, attempt) => {
                if self.leave_queue(attempt) {
                    self.end(customer, attempt, Ended::Refused { retry_after: None }, now);
                }
            }
        }
    }

    fn send(&mut self, customer: u64, id: u64, now: Duration) {
        let (who, Some(attempt)) = &self.customers[&customer] else {
            return;
        };
        let (product, attempt) = (who.traits().product, *attempt);
        assert_eq!(attempt.id, id);
        self.attempts += 1;
        self.at(now + TIME_OUT, Due::TimeOut(customer, id));
        match self.front {
            Front::MaxConn(most) if attempt.step != Step::Odds => {
                if self.running[product.index()] < most {
                    self.pass(customer, attempt, product, true, now);
                } else {
                    let class = usize::from(attempt.step == Step::Login);
                    self.queues[product.index()][class].push_back((customer, attempt));
                    self.at(now + QUEUE_TIMEOUT, Due::QueueTimeout(customer, id));
                }
            }
            _ => self.pass(customer, attempt, product, false, now),
        }
    }

    fn pass(&mut self, customer: u64, attempt: Attempt, product: Product, held: bool, now: Duration) {
        self.running[product.index()] += usize::from(held);
        let ask = Ask { route: company::route(product, attempt.step), attempt: attempt.id, key: attempt.key };
        let job = self.plant.ask(ask, Timestamp::after(now));
        self.jobs.insert(job, (customer, attempt.id, held));
    }

    /// Drains the plant's answers.
    fn hear(&mut self, now: Duration) {
        while let Some((job, _)) = self.plant.poll_answer() {
            let (customer, attempt, held) = self.jobs.remove(&job).expect("answered once");
            if held {
                self.free(self.customers[&customer].0.traits().product, now);
            }
            self.end(customer, attempt, Ended::Answered, now);
        }
    }

    fn free(&mut self, product: Product, now: Duration) {
        self.running[product.index()] -= 1;
        let [bets, logins] = &mut self.queues[product.index()];
        if let Some((customer, attempt)) = bets.pop_front().or_else(|| logins.pop_front()) {
            self.pass(customer, attempt, product, true, now);
        }
    }

    fn leave_queue(&mut self, id: u64) -> bool {
        for queue in self.queues.iter_mut().flatten() {
            if let Some(place) = queue.iter().position(|(_, attempt)| attempt.id == id) {
                queue.remove(place);
                return true;
            }
        }
        false
    }

    /// An attempt ends; the first end counts, what comes later finds nobody listening.
    fn end(&mut self, customer: u64, id: u64, how: Ended, now: Duration) {
        let (who, current) = self.customers.get_mut(&customer).expect("known");
        if current.is_none_or(|attempt| attempt.id != id) {
            return;
        }
        self.steps += u64::from(how == Ended::Answered);
        let next = who.ended(how, now);
        *current = match next {
            Next::Send(attempt) => Some(attempt),
            Next::Finished | Next::GaveUp => None,
        };
        match next {
            Next::Send(attempt) => self.at(attempt.at, Due::Send(customer, attempt.id)),
            Next::Finished => _ = self.finished.insert(customer, now),
            Next::GaveUp => {}
        }
    }
}

/// Figures of the window after the reopening: horse bets a second, journeys finished in percent by product, attempts
/// for each step that succeeded.
struct Figures {
    horse_per_s: f64,
    finished: [f64; 3],
    attempts_per_step: f64,
}

fn saturday(front: Front, seed: u64) -> Figures {
    let crowd = Crowd::saturday(seed);
    let reopened = Duration::from_secs(5);
    let end = reopened + WINDOW;
    let mut world = World::new(front, seed);
    let base: Vec<Traits> =
        Product::ALL.iter().flat_map(|&product| steady(&crowd, product, end, Steady::Poisson)).collect();
    let mut all = base.clone();
    all.extend(burst(&crowd).into_iter().map(|t| Traits { arrives: t.arrives + reopened, ..t }));
    for &traits in &all {
        world.comes(traits, seed);
    }
    world.run(end);
    let per_product = |product: Product| {
        let counted = all.iter().filter(|t| t.product == product && (reopened..end - ROOM).contains(&t.arrives));
        let (mut came, mut finished) = (0, 0);
        for traits in counted {
            came += 1;
            finished += usize::from(world.finished.contains_key(&traits.id));
        }
        100.0 * f64::from(u32::try_from(finished).unwrap()) / f64::from(came)
    };
    let horse: HashMap<u64, ()> =
        all.iter().filter(|t| t.product == Product::HorseRacing).map(|t| (t.id, ())).collect();
    let bets = world.finished.iter().filter(|(id, at)| **at >= reopened && horse.contains_key(id)).count();
    assert_eq!(world.plant.ledger().duplicates(), 0);
    Figures {
        horse_per_s: bets as f64 / WINDOW.as_secs_f64(),
        finished: Product::ALL.map(per_product),
        attempts_per_step: world.attempts as f64 / world.steps as f64,
    }
}

/// The most horse journeys a second in a closed loop without think time, sport and casino as usual.
fn yardstick(seed: u64) -> f64 {
    [8, 12, 16].map(|concurrency| closed_loop(concurrency, seed)).into_iter().fold(0.0, f64::max)
}

fn closed_loop(concurrency: usize, seed: u64) -> f64 {
    // Sport and casino are under way after the first two seconds.
    let warm = Duration::from_secs(2);
    let crowd = Crowd::saturday(seed);
    let length = Duration::from_secs(10);
    let mut world = World::new(Front::Nothing, seed);
    for product in [Product::Sport, Product::Casino] {
        for traits in steady(&crowd, product, length, Steady::Even) {
            world.comes(traits, seed);
        }
    }
    let mut fresh = burst(&crowd).into_iter();
    let mut inside: Vec<u64> = Vec::new();
    let mut now = Duration::ZERO;
    let mut before = 0;
    while now < length {
        if now <= warm {
            before = company::placed(world.plant.ledger(), Product::HorseRacing);
        }
        inside.retain(|id| world.customers[id].1.is_some());
        while inside.len() < concurrency {
            let traits = fresh.next().expect("7,000 are enough for ten seconds");
            world.comes(Traits { arrives: now, think: (Duration::ZERO, Duration::ZERO), ..traits }, seed);
            inside.push(traits.id);
        }
        now += Duration::from_millis(1);
        world.run(now);
    }
    let placed = company::placed(world.plant.ledger(), Product::HorseRacing) - before;
    placed as f64 / (length - warm).as_secs_f64()
}

#[allow(clippy::print_stdout, reason = "the figures are what one reads when this fails")]
fn show(front: Front, yardstick: f64) -> (f64, Figures) {
    let figures = saturday(front, SEED);
    let share = 100.0 * figures.horse_per_s / yardstick;
    println!(
        "{front:?}: horse {:.1}/s = {share:.0} % of {yardstick:.1}, finished {:.0?} %, {:.1} attempts a step",
        figures.horse_per_s, figures.finished, figures.attempts_per_step,
    );
    (share, figures)
}

const SEED: u64 = 1;

#[test]
fn the_plant_collapses_alone_and_serves_behind_a_sensible_limit() {
    let yardstick = yardstick(SEED);
    assert!((85.0..100.0).contains(&yardstick), "{yardstick}");

    let (horse, alone) = show(Front::Nothing, yardstick);
    assert!(horse < 10.0 && alone.finished[1] < 40.0 && alone.finished[2] < 40.0, "the disease");

    let (sensible, limited) = show(Front::MaxConn(12), yardstick);
    assert!(sensible > 85.0 && limited.finished[1] > 99.5 && limited.finished[2] > 99.5, "the cure");

    let (usual, guessed) = show(Front::MaxConn(100), yardstick);
    assert!(usual < sensible - 30.0 && guessed.finished[1] < 95.0, "the usual guess is no cure");
    assert!(alone.attempts_per_step > 2.0 * limited.attempts_per_step, "retries are what keeps it down");
}
