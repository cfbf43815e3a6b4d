//! A house to decide in, for benches: full, with so many others in line, and it stays so.
//!
//! Three products share a pool and a wallet. All that admission does is on: guarantees and lending, floors, caps per
//! customer, limits that are found: more than [`KNEE`] seats bring no more answers.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use sluss::admission::limit::{Knee, Limit, Sample};
use sluss::admission::settings::{
    LimitSettings, Needs, PassSettings, ProductSettings, QueueSettings, Range, ResourceSettings, Settings,
};
use sluss::admission::{
    Arrival, Class, Customer, Domain, ONE_SEAT, Outcome, Output, ProductId, Seat, Timestamp, Verdict,
};

const KNEE: u32 = 64;
const PRODUCTS: u16 = 3;
const POOL: usize = 0;
const WALLET: usize = 1;
/// Everybody waits for the pool; the first two for the wallet too.
const LINES: [Class; 4] = [Class::Commit, Class::Start, Class::Read, Class::Background];
/// From one decision to the next while the house is full: a hundred thousand a second.
const PACE: Duration = Duration::from_micros(10);

/// See the module.
pub(crate) struct House {
    pub(crate) domain: Domain,
    pub(crate) now: Timestamp,
    customer: u64,
    product: u16,
    held: VecDeque<(Class, Seat)>,
    /// Who stands at each place, as a driver keeps it.
    places: Vec<Class>,
    in_line: u32,
    others: u32,
}

impl House {
    /// Every seat is taken, and `others` wait, as many in each line.
    pub(crate) fn full(others: u32, queue: u32) -> House {
        let mut house = House::with(KNEE, queue);
        for n in 0..others {
            house.arrive(LINES[n as usize / usize::from(PRODUCTS) % LINES.len()]);
        }
        house.others = house.in_line;
        house
    }

    /// Half of the seats are free, and nobody waits.
    pub(crate) fn half_empty() -> House {
        House::with(KNEE / 2, 1)
    }

    fn with(held: u32, queue: u32) -> House {
        let mut house = House {
            domain: Domain::new(settings(queue), 7, Timestamp::ZERO),
            now: Timestamp::ZERO,
            customer: 0,
            product: 0,
            held: VecDeque::new(),
            places: Vec::new(),
            in_line: 0,
            others: 0,
        };
        // One of each line, for a line that lets nobody through holds few; the others are bets.
        let lines = LINES.iter().flat_map(|class| [*class; PRODUCTS as usize]);
        let bets = std::iter::repeat(Class::Commit);
        lines.chain(bets).take(held as usize).for_each(|class| house.arrive(class));
        house
    }

    /// One arrives and waits, one finishes, and the next is let through. Whoever arrives is of the class of the one who
    /// finishes, so the lines stay what they are. When a limit has moved nobody may arrive, or several.
    pub(crate) fn decide(&mut self) {
        self.now += PACE * KNEE / (self.held.len() as u32).clamp(1, KNEE);
        let class = self.held.front().map_or(Class::Commit, |(class, _)| *class);
        while self.in_line <= self.others {
            self.arrive(class);
        }
        self.finish();
    }

    /// One finds a free seat where nobody waits, and one finishes.
    pub(crate) fn pass(&mut self) {
        self.now += PACE;
        self.arrive(Class::Commit);
        self.finish();
    }

    /// One more login for the first product. Whether it is told no.
    #[allow(dead_code, reason = "not every bench turns anybody away")]
    pub(crate) fn is_turned_away(&mut self) -> bool {
        self.now += PACE;
        self.product = 0;
        let verdict = self.ask(Class::Start);
        while self.domain.poll_output().is_some() {}
        matches!(verdict, Verdict::Refuse(_))
    }

    fn finish(&mut self) {
        if let Some((_, seat)) = self.held.pop_front() {
            self.domain.finish(seat, Outcome::Answered, self.now);
        }
        while let Some(output) = self.domain.poll_output() {
            if let Output::Admit(place, seat) = output {
                self.held.push_back((self.places[place.slot()], seat));
                self.in_line -= 1;
            }
        }
    }

    fn arrive(&mut self, class: Class) {
        self.product = (self.product + 1) % PRODUCTS;
        let slot = match self.ask(class) {
            Verdict::Proceed(seat) => return self.held.push_back((class, seat)),
            Verdict::Wait(place) => place.slot(),
            Verdict::Refuse(refused) => panic!("there is room: {refused:?}"),
        };
        self.in_line += 1;
        self.places.resize(self.places.len().max(slot + 1), class);
        self.places[slot] = class;
    }

    fn ask(&mut self, class: Class) -> Verdict {
        // A driver's keys are keyed hashes: spread over all 64 bits.
        self.customer = self.customer.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let customer = Customer::Account(self.customer ^ (self.customer >> 29));
        let product = ProductId(self.product);
        self.domain.arrive(Arrival { product, class, customer, event: None, seats: ONE_SEAT }, self.now)
    }
}

const fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn range() -> Range {
    Range { initial: n(KNEE), ..Range::default() }
}

/// A limit without a house, to see what it costs when it weighs what a window has shown.
pub(crate) struct Law {
    knee: Knee,
    now: Timestamp,
    /// Answers to come before the window begins.
    skip: u32,
}

impl Law {
    pub(crate) fn new() -> Law {
        Law { knee: Knee::new(range()), now: Timestamp::ZERO, skip: KNEE }
    }

    /// The answers of one window: those that it leaves out, the one that begins it, and twice its seats.
    pub(crate) fn close(&mut self) {
        let seats = self.knee.seats();
        for _ in 0..self.skip + 1 + (2 * seats).max(20) {
            self.now += 100 * PACE * KNEE / seats.clamp(1, KNEE);
            self.knee.observe(&Sample { outcome: Outcome::Answered, slow: false, saturated: true }, self.now);
        }
        self.skip = if self.knee.seats() == seats { 0 } else { self.knee.seats().max(seats) };
    }
}

fn settings(queue: u32) -> Settings {
    let mut needs = [Needs::new(&[POOL]).expect("one"); Class::COUNT];
    for class in [Class::Commit, Class::Start] {
        needs[class.index()] = Needs::new(&[POOL, WALLET]).expect("two");
    }
    let queue = QueueSettings {
        longest_wait: Duration::from_secs(36_000),
        length: n(queue),
        floor: 2,
        near_stop: Duration::from_secs(3),
        retry_after: (Duration::from_secs(1), Duration::from_secs(30)),
    };
    // A line that stands may hold what drains in a quarter of it: as long as anybody may wait.
    let latency_objective = 4 * queue.longest_wait;
    let product = ProductSettings {
        needs,
        sites: Vec::new(),
        guarantee: 33,
        latency_objective,
        queue,
        reserve: n(8),
        reserve_per_customer: n(2),
        passes: Some(PassSettings::default()),
    };
    let resource = |id| ResourceSettings { budget: id == WALLET, limit: LimitSettings::Found(range()) };
    Settings {
        products: vec![product; usize::from(PRODUCTS)],
        resources: [POOL, WALLET].map(resource).to_vec(),
        at_once_per_customer: n(6),
        at_once_per_address: n(100),
        machines: Vec::new(),
    }
}
