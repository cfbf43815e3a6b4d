//! Do those who are told to come back come level? Admission alone, in made-up time, with 5,000 customers who do as told.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::time::Duration;

use sluss::admission::random::Random;
use sluss::admission::{
    Arrival, Class, Customer, Domain, ONE_SEAT, Outcome, Output, Place, ProductId, Refused, Seat, Timestamp, Verdict,
};
use sluss::config::{self, ThisMachine};

const CUSTOMERS: u64 = 5_000;
/// Twenty seats of a fifth of a second each.
const DRAIN_PER_S: u32 = 100;
const SERVICE: Duration = Duration::from_millis(200);
/// Nobody comes in a rush to a product that has served nobody: so long there are fewer than it can serve.
const BEFORE: Duration = Duration::from_secs(20);
const SEEDS: u64 = 5;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Finish(usize),
    Ask { customer: u64, returns: bool },
    Wake,
}

/// A backend and its customers.
struct World {
    domain: Domain,
    random: Random,
    next: BinaryHeap<Reverse<(Timestamp, Next)>>,
    seats: Vec<Option<Seat>>,
    waiting: Vec<(Place, u64)>,
    /// By second since the rush began.
    returns: Vec<u32>,
    served: u64,
}

impl World {
    fn new(keys: &str, seed: u64) -> World {
        let text = format!(
            "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nbackends = [\"http://127.0.0.1:9\"]\n\
             limit = 20\n{keys}"
        );
        let config = config::parse(&text, Path::new("test.toml"), &ThisMachine);
        let settings = config.unwrap_or_else(|error| panic!("{error}")).proxy.domains.remove(0).admission;
        World {
            domain: Domain::new(settings, seed, Timestamp::ZERO),
            random: Random::new(seed),
            next: BinaryHeap::new(),
            seats: Vec::new(),
            waiting: Vec::new(),
            returns: vec![0; 600],
            served: 0,
        }
    }

    fn plan(&mut self, at: Timestamp, next: Next) {
        self.next.push(Reverse((at, next)));
    }

    /// A quiet time, then all at once, until everybody has been served.
    fn run(mut self) -> World {
        let quiet = BEFORE.as_secs() * u64::from(DRAIN_PER_S) * 9 / 10;
        for customer in 0..quiet {
            let at = BEFORE.mul_f64(customer as f64 / quiet as f64);
            self.plan(Timestamp::after(at), Next::Ask { customer: CUSTOMERS + customer, returns: false });
        }
        for customer in 0..CUSTOMERS {
            let at = BEFORE + self.random.between(Duration::ZERO, Duration::from_secs(1));
            self.plan(Timestamp::after(at), Next::Ask { customer, returns: false });
        }
        self.plan(Timestamp::ZERO, Next::Wake);
        while let Some(Reverse((now, next))) = self.next.pop() {
            self.happens(next, now);
            if self.served == CUSTOMERS + quiet {
                break;
            }
        }
        assert_eq!(self.served, CUSTOMERS + quiet, "everybody who does as told is served");
        self
    }

    fn happens(&mut self, next: Next, now: Timestamp) {
        match next {
            Next::Wake => {
                self.domain.wake(now);
                let soon = now + Duration::from_millis(10);
                let due = self.domain.next_wake().map_or(soon, |due| due.min(soon));
                self.plan(due.max(now + Duration::from_millis(1)), Next::Wake);
            }
            Next::Finish(index) => {
                let seat = self.seats[index].take().expect("it finishes once");
                self.domain.finish(seat, Outcome::Answered, now);
                self.served += 1;
            }
            Next::Ask { customer, returns } => self.asks(customer, returns, now),
        }
        while let Some(output) = self.domain.poll_output() {
            match output {
                Output::Admit(place, seat) => {
                    self.leaves(place);
                    self.goes_on(seat, now);
                }
                Output::Refuse(place, refused) => {
                    let customer = self.leaves(place);
                    self.told(customer, refused, now);
                }
                Output::Note(_) => {}
            }
        }
    }

    fn asks(&mut self, customer: u64, returns: bool, now: Timestamp) {
        if returns {
            self.returns[now.since(Timestamp::after(BEFORE)).as_secs() as usize] += 1;
        }
        let arrival = Arrival {
            product: ProductId(0),
            class: Class::Start,
            customer: Customer::Account(customer),
            event: None,
            seats: ONE_SEAT,
        };
        match self.domain.arrive(arrival, now) {
            Verdict::Proceed(seat) => self.goes_on(seat, now),
            Verdict::Wait(place) => self.waiting.push((place, customer)),
            Verdict::Refuse(refused) => self.told(customer, refused, now),
        }
    }

    fn leaves(&mut self, place: Place) -> u64 {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == place).expect("who is told waits");
        self.waiting.swap_remove(at).1
    }

    fn goes_on(&mut self, seat: Seat, now: Timestamp) {
        self.seats.push(Some(seat));
        self.plan(now + SERVICE, Next::Finish(self.seats.len() - 1));
    }

    /// They do as they are told, by a header that has whole seconds.
    fn told(&mut self, customer: u64, refused: Refused, now: Timestamp) {
        let seconds = refused.retry_after.as_nanos().div_ceil(1_000_000_000) as u64;
        assert!(seconds > 0, "{:?} tells no time to come back", refused.refusal);
        self.plan(now + Duration::from_secs(seconds), Next::Ask { customer, returns: true });
    }
}

/// The busiest second of each seed's returns, and attempts for each customer, both in the mean.
fn measured(keys: &str) -> (f64, f64) {
    let worlds = || (1..=SEEDS).map(|seed| World::new(keys, seed).run());
    let (busiest, all) = worlds().fold((0, 0), |(busiest, all), world| {
        let most = world.returns.iter().max().copied().unwrap_or_default();
        (busiest + most, all + world.returns.iter().sum::<u32>())
    });
    (f64::from(busiest) / SEEDS as f64, 1.0 + f64::from(all) / (SEEDS * CUSTOMERS) as f64)
}

/// Whom to send away, and how many times the drain may return in the busiest second. With the default bounds a crowd of
/// fifty seconds' work is told to be back within thirty: more than the drain must return, most of it in the later half.
/// With passes whoever comes before their turn is told again, and returns once more.
const BOUNDS: [(&str, f64); 4] = [
    ("[product.queue]\nretry_after = [\"1s\", \"2m\"]\n[product.passes]\nkeep = false", 1.5),
    ("[product.queue]\nretry_after = [\"1s\", \"2m\"]", 3.0),
    ("[product.passes]\nkeep = false", 4.5),
    ("", 4.5),
];

#[test]
fn those_who_are_sent_away_return_nearly_as_level_as_they_can_be_served() {
    for (keys, most) in BOUNDS {
        let (busiest, attempts) = measured(keys);
        let times = busiest / f64::from(DRAIN_PER_S);
        assert!(times <= most, "{keys:?}: {times:.2} times the drain in the busiest second, {attempts:.2} attempts");
        assert!(attempts <= 3.5, "{keys:?}: {attempts:.2} attempts of each customer");
    }
}
