//! A law that says what a test makes it say, and shows what would be true of that, unless told otherwise.

use std::collections::VecDeque;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use super::*;
use crate::admission::settings::{
    LimitSettings, Needs, PassSettings, ProductSettings, QueueSettings, Range, ResourceSettings, Settings,
};
use crate::admission::{Arrival, Customer, ONE_SEAT, Outcome, ParkReason, State};
use crate::sim::checks::{Kept, Shown, Transparent};
use crate::sim::law::{Knock, Law, Look, RequestId};

pub(super) const HORSES: usize = 0;
pub(super) const SPORT: usize = 1;
/// Four seats that both products share, half and half.
pub(super) const POOL: usize = 0;
/// Four seats that bets need besides.
pub(super) const WALLET: usize = 1;

type Lie = Box<dyn FnOnce(&mut Shown)>;

pub(super) struct Liar {
    settings: Settings,
    shown: Shown,
    word: Word,
    said: VecDeque<Said>,
    pub(super) wake: Option<Timestamp>,
    waiting: Vec<(RequestId, Arrival, Rank)>,
    /// In which line whoever comes is put, if not in that of their class.
    line: Option<Rank>,
    running: Vec<(RequestId, Arrival, bool)>,
    lie: Option<Lie>,
    /// What it says that it keeps.
    kept: Kept,
    /// Whether one customer is given all of the reserve.
    takes_it_all: bool,
}

impl Liar {
    fn new(settings: Settings) -> Liar {
        let mut shown = Shown::empty(2, 2);
        shown.resources.iter_mut().for_each(|resource| resource.limit = 4);
        Liar {
            settings,
            shown,
            word: Word::Pass,
            said: VecDeque::new(),
            wake: None,
            waiting: Vec::new(),
            line: None,
            running: Vec::new(),
            lie: None,
            kept: Kept::Nothing,
            takes_it_all: false,
        }
    }

    /// What is shown after the next call is changed like this.
    pub(super) fn after_next(&mut self, lie: impl FnOnce(&mut Shown) + 'static) {
        self.lie = Some(Box::new(lie));
    }

    pub(super) fn limit(&mut self, resource: usize, limit: u32) {
        self.shown.resources[resource].limit = limit;
    }

    pub(super) fn lets_one_take_it_all(&mut self) {
        self.takes_it_all = true;
    }

    /// What it says of the turns that it has promised, of all products.
    pub(super) fn promised(&mut self, turns: u32) {
        self.shown.products.iter_mut().for_each(|product| product.promised = turns);
    }

    /// What it says that it keeps for whoever is asked about.
    pub(super) fn keeps(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// How long it says that bets take.
    pub(super) fn takes_to_bet(&mut self, ms: u64) {
        self.shown.products[HORSES].takes_to_bet = Duration::from_millis(ms);
    }

    pub(super) fn next_wake(&mut self, at: Timestamp) {
        self.wake = Some(at);
    }

    pub(super) fn says(&mut self, said: &[Said]) {
        self.said.extend(said);
    }

    fn take(&mut self, request: RequestId, arrival: Arrival) {
        let product = arrival.product.index();
        let (shown, settings) = (&self.shown.products[product], &self.settings.products[product]);
        let seats = u32::from(arrival.seats.get());
        let theirs = |(_, other, reserved): &&(RequestId, Arrival, bool)| {
            *reserved && (other.product, other.customer) == (arrival.product, arrival.customer)
        };
        let held: u32 = self.running.iter().filter(theirs).map(|(_, other, _)| u32::from(other.seats.get())).sum();
        let there = shown.reserve_in_use + seats <= settings.reserve.get();
        let reserved = arrival.class.passes_in_every_state()
            && there
            && (held + seats <= settings.reserve_per_customer.get() || self.takes_it_all);
        self.running.push((request, arrival, reserved));
        self.count(&arrival, reserved, 1);
    }

    fn count(&mut self, arrival: &Arrival, reserved: bool, by: i32) {
        let by = by * i32::from(arrival.seats.get());
        let product = arrival.product.index();
        let shown = &mut self.shown.products[product];
        if reserved {
            shown.reserve_in_use = shown.reserve_in_use.wrapping_add_signed(by);
            return;
        }
        shown.in_flight = shown.in_flight.wrapping_add_signed(by);
        for need in self.settings.products[product].needs[arrival.class.index()].iter() {
            let resource = &mut self.shown.resources[need];
            resource.in_use = resource.in_use.wrapping_add_signed(by);
            resource.in_use_by[product] = resource.in_use_by[product].wrapping_add_signed(by);
        }
    }

    fn join(&mut self, request: RequestId, arrival: Arrival) {
        let rank = self.line.unwrap_or(Rank::of(arrival.class));
        self.waiting.push((request, arrival, rank));
        self.shown.products[arrival.product.index()].waiting[rank.index()] += 1;
    }

    fn unjoin(&mut self, request: RequestId) -> Option<Arrival> {
        let place = self.waiting.iter().position(|(other, ..)| *other == request)?;
        let (_, arrival, rank) = self.waiting.remove(place);
        self.shown.products[arrival.product.index()].waiting[rank.index()] -= 1;
        Some(arrival)
    }

    /// Do what was said, before anybody looks.
    fn act(&mut self) {
        for said in self.said.clone() {
            let (Said::Pass(request) | Said::Refuse(request, _)) = said;
            let arrival = self.unjoin(request);
            if let (Said::Pass(_), Some(arrival)) = (said, arrival) {
                self.take(request, arrival);
            }
        }
        if let Some(lie) = self.lie.take() {
            lie(&mut self.shown);
        }
    }
}

impl Law for Liar {
    fn arrive(&mut self, knock: Knock, _now: Timestamp) -> Word {
        match self.word {
            Word::Pass => self.take(knock.request, knock.arrival),
            Word::Wait => self.join(knock.request, knock.arrival),
            Word::Refuse(_) => {}
        }
        self.act();
        self.word
    }

    fn finish(&mut self, request: RequestId, _outcome: Outcome, _now: Timestamp) {
        let place = self.running.iter().position(|(other, ..)| *other == request).expect("it runs");
        let (_, arrival, reserved) = self.running.remove(place);
        self.count(&arrival, reserved, -1);
        self.act();
    }

    fn leave(&mut self, request: RequestId, _now: Timestamp) {
        self.unjoin(request);
        self.act();
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.wake
    }

    fn wake(&mut self, _now: Timestamp) {
        self.act();
    }

    fn order(&mut self, _product: usize, _order: Order, _now: Timestamp) {
        self.act();
    }

    fn look(&self, _product: usize) -> Look {
        Look::default()
    }

    fn notice(&mut self, _notice: Notice, _now: Timestamp) -> bool {
        self.act();
        true
    }
}

impl Transparent for Liar {
    fn show(&self, shown: &mut Shown) {
        shown.clone_from(&self.shown);
    }

    fn kept(&self, _product: usize, _customer: Customer) -> Kept {
        self.kept
    }
}

/// Two products on a pool and a wallet, and somebody who watches.
pub(super) struct Scene {
    watched: Watched<Liar>,
    next: u32,
    customer: Option<Customer>,
    seats: NonZeroU8,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let mut watched = Watched::new(Liar::new(settings()), settings());
        // Everybody has given back in time before: this is about something else.
        watched.house.trust.is_earned();
        Scene { watched, next: 0, customer: None, seats: ONE_SEAT }
    }

    /// Nobody has borrowed anything before.
    pub(super) fn of_strangers() -> Scene {
        let watched = Watched::new(Liar::new(settings()), settings());
        Scene { watched, next: 0, customer: None, seats: ONE_SEAT }
    }

    /// The limit on the wallet is not given but looked for, between two and fifty.
    pub(super) fn whose_wallet_is_looked_for() -> Scene {
        let mut settings = settings();
        let range = Range { initial: n(8), least: n(2), most: n(50) };
        settings.resources[WALLET].limit = LimitSettings::Found(range);
        let watched = Watched::new(Liar::new(settings.clone()), settings);
        Scene { watched, next: 0, customer: None, seats: ONE_SEAT }
    }

    /// All four seats are with horse racing, and customers in the middle of a journey go before others: who has been idle
    /// for ten seconds, or longer than twenty while others wait, is so no more. Turns are kept for five seconds, and there
    /// is room for so many.
    pub(super) fn of_journeys(customers: u32) -> Scene {
        let mut settings = settings();
        let s = Duration::from_secs;
        let passes = PassSettings { idle: s(10), longest: s(20), hold: s(5), most: n(customers) };
        settings.products.iter_mut().for_each(|product| product.passes = Some(passes.clone()));
        let mut scene = Scene::by(settings);
        scene.law().promised(1000);
        scene
    }

    /// Bets go before all others when their stop is nearer than five seconds; the first has taken one second.
    pub(super) fn of_stops() -> Scene {
        let mut settings = settings();
        settings.products[HORSES].queue.near_stop = Duration::from_secs(5);
        let mut scene = Scene::by(settings);
        let first = scene.passes(HORSES, Class::Commit, 0);
        scene.law().takes_to_bet(2_000);
        scene.ends_and_lets(first, &[], 1_000);
        scene
    }

    fn by(settings: Settings) -> Scene {
        let mut watched = Watched::new(Liar::new(settings.clone()), settings);
        watched.house.trust.is_earned();
        Scene { watched, next: 0, customer: None, seats: ONE_SEAT }
    }

    /// Horse racing takes all four seats. Returns who has one.
    pub(super) fn fills(&mut self, ms: u64) -> RequestId {
        let all = [0; 4].map(|_| self.passes(HORSES, Class::Read, ms));
        all[0]
    }

    /// Horse racing is parked, and of the two seats of its reserve one customer may have one.
    pub(super) fn of_a_reserve() -> Scene {
        let mut settings = settings();
        settings.products[HORSES].reserve_per_customer = n(1);
        let watched = Watched::new(Liar::new(settings.clone()), settings);
        let mut scene = Scene { watched, next: 0, customer: None, seats: ONE_SEAT };
        scene.orders(HORSES, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 0);
        scene
    }

    /// All four seats are with horse racing, and request 0 has one of them.
    pub(super) fn full() -> Scene {
        let mut scene = Scene::new();
        for _ in 0..4 {
            scene.passes(HORSES, Class::Read, 0);
        }
        scene
    }

    pub(super) fn law(&mut self) -> &mut Liar {
        &mut self.watched.law
    }

    /// From now on everybody who comes is this one.
    pub(super) fn who_comes_is(&mut self, customer: u64) {
        self.customer = Some(Customer::Account(customer));
    }

    /// From now on everybody who comes is from this address.
    pub(super) fn who_comes_is_from(&mut self, address: u64) {
        self.customer = Some(Customer::Address(address));
    }

    /// From now on everybody who comes is somebody else.
    pub(super) fn strangers_come(&mut self) {
        self.customer = None;
    }

    /// From now on everybody who comes asks for so many seats.
    pub(super) fn who_comes_wants(&mut self, seats: u8) {
        self.seats = NonZeroU8::new(seats).expect("not zero");
    }

    pub(super) fn passes(&mut self, product: usize, class: Class, ms: u64) -> RequestId {
        self.comes(product, class, None, Word::Pass, ms)
    }

    /// A law that says `Wait` is to wake in time for it.
    pub(super) fn waits(&mut self, product: usize, class: Class, ms: u64) -> RequestId {
        let until = at(ms + 1000);
        self.law().wake = Some(self.law().wake.map_or(until, |wake| wake.min(until)));
        self.waits_as_it_is(product, class, ms)
    }

    /// The law puts whoever comes into this line.
    pub(super) fn waits_in(&mut self, product: usize, rank: Rank, ms: u64) -> RequestId {
        self.law().line = Some(rank);
        let request = self.waits(product, rank.class(), ms);
        self.law().line = None;
        request
    }

    /// Somebody bets on an event, and the law puts them into this line, and is to wake when it says already.
    pub(super) fn waits_to_bet(&mut self, event: EventKey, rank: Rank, ms: u64) -> RequestId {
        self.law().line = Some(rank);
        let request = self.comes(HORSES, Class::Commit, Some(event), Word::Wait, ms);
        self.law().line = None;
        request
    }

    pub(super) fn waits_as_it_is(&mut self, product: usize, class: Class, ms: u64) -> RequestId {
        self.comes(product, class, None, Word::Wait, ms)
    }

    pub(super) fn is_refused(&mut self, product: usize, class: Class, no: No, ms: u64) {
        self.comes(product, class, None, Word::Refuse(no), ms);
    }

    pub(super) fn bets(&mut self, event: EventKey, word: Word, ms: u64) -> &mut Scene {
        self.comes(HORSES, Class::Commit, Some(event), word, ms);
        self
    }

    fn comes(&mut self, product: usize, class: Class, event: Option<EventKey>, word: Word, ms: u64) -> RequestId {
        let request = RequestId(self.next);
        self.next += 1;
        let customer = self.customer.unwrap_or(Customer::Account(1000 + u64::from(self.next)));
        let arrival = Arrival { product: ProductId(product as u16), class, customer, event, seats: self.seats };
        self.law().word = word;
        self.watched.arrive(Knock { request, arrival }, at(ms));
        request
    }

    pub(super) fn ends_and_lets(&mut self, request: RequestId, said: &[Said], ms: u64) {
        self.law().says(said);
        self.watched.finish(request, Outcome::Answered, at(ms));
    }

    pub(super) fn leaves(&mut self, request: RequestId, ms: u64) {
        self.watched.leave(request, at(ms));
    }

    pub(super) fn wakes(&mut self, said: &[Said], ms: u64) {
        self.law().says(said);
        self.watched.wake(at(ms));
    }

    pub(super) fn orders(&mut self, product: usize, order: Order, state: State, ms: u64) {
        self.law().after_next(move |shown| shown.products[product].state = state);
        self.watched.order(product, order, at(ms));
    }

    pub(super) fn reopens(&mut self, product: usize, ms: u64) {
        self.watched.order(product, Order::Reopen, at(ms));
    }

    pub(super) fn notices(&mut self, notice: Notice, ms: u64) {
        self.watched.notice(notice, at(ms));
    }

    pub(super) fn speaks_of(&self, promise: &str) {
        let found = self.watched.violations();
        assert!(found.iter().any(|found| found.starts_with(&format!("[{promise}]"))), "{promise}: {found:#?}");
    }

    pub(super) fn is_not_told(&self, promise: &str) {
        let found = self.watched.violations();
        assert!(!found.iter().any(|found| found.starts_with(&format!("[{promise}]"))), "{found:#?}");
    }

    pub(super) fn is_silent(&self) {
        assert_eq!(self.watched.violations(), [""; 0]);
    }
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

fn settings() -> Settings {
    let limit = LimitSettings::Fixed(n(4));
    let resource = |budget| ResourceSettings { budget, limit: limit.clone() };
    let mut needs = [Needs::new(&[POOL]).expect("one"); Class::COUNT];
    needs[Class::Commit.index()] = Needs::new(&[POOL, WALLET]).expect("two");
    let product = ProductSettings {
        needs,
        sites: Vec::new(),
        guarantee: 50,
        latency_objective: Duration::from_millis(250),
        queue: QueueSettings {
            longest_wait: Duration::from_secs(1),
            length: n(10),
            floor: 20,
            near_stop: Duration::ZERO,
            retry_after: (Duration::from_secs(1), Duration::from_secs(30)),
        },
        reserve: n(2),
        reserve_per_customer: n(2),
        passes: None,
    };
    Settings {
        products: vec![product; 2],
        resources: vec![resource(false), resource(true)],
        at_once_per_customer: n(3),
        at_once_per_address: n(5),
        machines: Vec::new(),
    }
}
