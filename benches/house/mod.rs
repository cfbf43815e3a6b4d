//! A house to decide in, for benches: the steady state with so many waiting.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use sluss::admission::settings::{
    LimitSettings, Needs, ProductSettings, QueueSettings, Range, ResourceSettings, Settings,
};
use sluss::admission::{
    Arrival, Class, Customer, Domain, ONE_SEAT, Outcome, Output, ProductId, Seat, Timestamp, Verdict,
};

const SEATS: u32 = 64;
const PRODUCTS: u16 = 3;
const WALLET: usize = PRODUCTS as usize;
const CLASSES: [Class; 4] = [Class::Commit, Class::Start, Class::Read, Class::Background];

/// Three products with a pool each over one wallet, all limits climbing, and so many who wait.
pub(crate) struct House {
    pub(crate) domain: Domain,
    pub(crate) now: Timestamp,
    customer: u64,
    held: VecDeque<Seat>,
    /// What stands at each place, as a driver keeps it.
    places: Vec<(ProductId, Class)>,
    next: (ProductId, Class),
}

impl House {
    pub(crate) fn new(waiting: u32, queue: u32) -> House {
        let mut house = House {
            domain: Domain::new(settings(queue), 7, Timestamp::ZERO),
            now: Timestamp::ZERO,
            customer: 0,
            held: VecDeque::new(),
            places: Vec::new(),
            next: (ProductId(0), Class::Commit),
        };
        // Half of the seats when nobody shall wait, all of them and a queue when somebody shall.
        let seats = if waiting == 0 { SEATS / 2 } else { SEATS * u32::from(PRODUCTS) };
        while (house.held.len() as u32) < seats && house.places.len() < waiting.max(1) as usize {
            house.come();
        }
        while house.places.len() < waiting as usize {
            house.come();
        }
        house
    }

    fn come(&mut self) {
        let (ProductId(product), class) = self.next;
        self.arrive();
        let turn = CLASSES.iter().position(|other| *other == class).map_or(0, |index| index + 1);
        let product = if turn == CLASSES.len() { (product + 1) % PRODUCTS } else { product };
        self.next = (ProductId(product), CLASSES[turn % CLASSES.len()]);
    }

    /// One more comes and the oldest in flight ends.
    pub(crate) fn decide(&mut self) {
        // A hundred thousand a second.
        self.now += Duration::from_micros(10);
        self.arrive();
        if let Some(seat) = self.held.pop_front() {
            self.domain.finish(seat, Outcome::Answered, self.now);
        }
        while let Some(output) = self.domain.poll_output() {
            if let Output::Admit(place, seat) = output {
                self.held.push_back(seat);
                self.next = self.places[place.slot()];
            }
        }
    }

    fn arrive(&mut self) {
        match self.ask() {
            Verdict::Proceed(seat) => self.held.push_back(seat),
            Verdict::Wait(place) if place.slot() < self.places.len() => self.places[place.slot()] = self.next,
            Verdict::Wait(_) => self.places.push(self.next),
            Verdict::Refuse(refused) => panic!("there is room: {refused:?}"),
        }
    }

    #[allow(dead_code, reason = "only one of the benches turns anybody away")]
    pub(crate) fn turn_away(&mut self) {
        self.now += Duration::from_micros(10);
        self.next = (ProductId(0), Class::Background);
        let verdict = self.ask();
        assert!(matches!(verdict, Verdict::Refuse(_)));
    }

    fn ask(&mut self) -> Verdict {
        let (product, class) = self.next;
        // A driver's keys are keyed hashes: spread over all 64 bits.
        self.customer = self.customer.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let customer = Customer::Account(self.customer ^ (self.customer >> 29));
        self.domain.arrive(Arrival { product, class, customer, event: None, seats: ONE_SEAT }, self.now)
    }
}

fn settings(queue: u32) -> Settings {
    const fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }
    let limit = || LimitSettings::Found(Range { initial: n(SEATS), least: n(SEATS), most: n(SEATS) });
    let product = |pool: usize| {
        let mut needs = [Needs::new(&[pool]).expect("one"); Class::COUNT];
        for class in [Class::Commit, Class::Start] {
            needs[class.index()] = Needs::new(&[pool, WALLET]).expect("two");
        }
        let queue = QueueSettings {
            longest_wait: Duration::from_secs(3600),
            length: n(queue),
            floor: 2,
            retry_after: (Duration::from_secs(1), Duration::from_secs(30)),
        };
        ProductSettings { needs, guarantee: 33, latency_objective: Duration::from_millis(250), queue, reserve: n(8) }
    };
    Settings {
        products: (0..WALLET).map(product).collect(),
        resources: (0..=WALLET).map(|id| ResourceSettings { budget: id == WALLET, limit: limit() }).collect(),
        at_once_per_customer: n(6),
        at_once_per_address: n(100),
    }
}
