//! What the house should look like, kept by plain counting.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::super::super::super::rank::Rank;
use super::journeys::{Asked, Journeys, is_step, where_to_stand};
use super::*;

/// Somebody who waits, as this side remembers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) arrival: Arrival,
    pub(super) asked: Asked,
    pub(super) until: Timestamp,
}

/// A seat that is out, as this side remembers it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) seat: Seat,
    pub(super) arrival: Arrival,
    pub(super) reserved: bool,
}

pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    pub(super) bypass: bool,
    pub(super) observe_only: bool,
    pub(super) shutting_down: bool,
    /// By product: what operators last said, the state as noted, who waits by rank, what is held.
    pub(super) shut: Vec<Option<ParkReason>>,
    pub(super) states: Vec<State>,
    /// By resource: whether every backend of it is gone.
    pub(super) gone: Vec<bool>,
    pub(super) lines: Vec<[VecDeque<Place>; Rank::COUNT]>,
    /// Since when each line has not been empty.
    pub(super) since: Vec<[Timestamp; Rank::COUNT]>,
    /// By product: who may go on and whose turn is kept, and how long the domain says that a bet takes.
    pub(super) journeys: Vec<Option<Journeys>>,
    pub(super) takes: Vec<Duration>,
    pub(super) in_flight: Vec<u32>,
    /// Of the reserve, by whom.
    pub(super) reserve: Vec<HashMap<(u8, u64), u32>>,
    /// By resource and product.
    pub(super) taken: Vec<Vec<u32>>,
    pub(super) waiting: HashMap<Place, Waiting>,
    pub(super) held: Vec<Held>,
    /// Those who went on whatever they were told; what they hold is among the others'.
    pub(super) under_way: Vec<Underway>,
    pub(super) customers: HashMap<(u8, u64), u32>,
    pub(super) events: BTreeMap<EventKey, Entry>,
    pub(super) seen: Seen,
}

/// How often the corners were reached.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) refused: [u64; Refusal::COUNT],
    pub(super) admitted: u64,
    pub(super) passed_over: u64,
    pub(super) before_a_borrower: u64,
    pub(super) displaced: u64,
    pub(super) put_off: u64,
    pub(super) ramps: u64,
    pub(super) bypassed: u64,
    pub(super) left: u64,
    pub(super) observed: u64,
    pub(super) beyond_their_part: u64,
    pub(super) passers: u64,
    pub(super) by_pass: u64,
    pub(super) by_turn: u64,
    pub(super) by_stop: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Seen) {
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
        self.admitted += other.admitted;
        self.passed_over += other.passed_over;
        self.before_a_borrower += other.before_a_borrower;
        self.displaced += other.displaced;
        self.put_off += other.put_off;
        self.ramps += other.ramps;
        self.bypassed += other.bypassed;
        self.left += other.left;
        self.observed += other.observed;
        self.beyond_their_part += other.beyond_their_part;
        self.passers += other.passers;
        self.by_pass += other.by_pass;
        self.by_turn += other.by_turn;
        self.by_stop += other.by_stop;
    }

    pub(super) fn corners(&self) -> [(&'static str, u64); 14] {
        [
            ("let through from the queue", self.admitted),
            ("passed over a class that lacked something", self.passed_over),
            ("a product under its guarantee went before a borrower", self.before_a_borrower),
            ("a high class took the place of a low one", self.displaced),
            ("a call put off the rest", self.put_off),
            ("a ramp began", self.ramps),
            ("served in bypass", self.bypassed),
            ("left the queue", self.left),
            ("went on although told to wait or no", self.observed),
            ("waited for a seat of the reserve that others could have", self.beyond_their_part),
            ("went before those who have enough of the reserve", self.passers),
            ("waited with a pass", self.by_pass),
            ("had an earlier turn than somebody who waited already", self.by_turn),
            ("waited near a stop", self.by_stop),
        ]
    }
}

pub(super) fn who(customer: Customer) -> (u8, u64) {
    match customer {
        Customer::Account(key) => (0, key),
        Customer::Address(key) => (1, key),
        Customer::Machine(index) => (2, u64::from(index)),
    }
}

impl Model {
    pub(super) fn new(settings: Settings) -> Model {
        let products = settings.products.len();
        Model {
            now: at(0),
            bypass: false,
            observe_only: false,
            shutting_down: false,
            shut: vec![None; products],
            states: vec![State::Open; products],
            gone: vec![false; settings.resources.len()],
            lines: (0..products).map(|_| Default::default()).collect(),
            since: vec![[at(0); Rank::COUNT]; products],
            journeys: settings.products.iter().map(|product| product.passes.clone().map(Journeys::new)).collect(),
            takes: vec![Duration::ZERO; products],
            in_flight: vec![0; products],
            reserve: vec![HashMap::new(); products],
            taken: vec![vec![0; products]; settings.resources.len()],
            waiting: HashMap::new(),
            held: Vec::new(),
            under_way: Vec::new(),
            customers: HashMap::new(),
            events: BTreeMap::new(),
            seen: Seen::default(),
            settings,
        }
    }

    pub(super) fn needs(&self, product: usize, class: Class) -> Vec<usize> {
        self.settings.products[product].needs[class.index()].iter().collect()
    }

    /// Whether there is nobody to place this product's bets.
    pub(super) fn is_down(&self, product: usize) -> bool {
        self.needs(product, Class::Commit).into_iter().any(|need| self.gone[need])
    }

    pub(super) fn in_use(&self, resource: usize) -> u32 {
        self.taken[resource].iter().sum()
    }

    pub(super) fn waiters(&self, product: usize) -> u32 {
        self.lines[product].iter().map(|line| line.len() as u32).sum()
    }

    pub(super) fn count(&self, customer: Customer) -> u32 {
        self.customers.get(&who(customer)).copied().unwrap_or(0)
    }

    pub(super) fn come(&mut self, customer: Customer) {
        if let Customer::Machine(index) = customer {
            let most = self.settings.machines[usize::from(index)].get();
            assert!(self.bypass || self.count(customer) < most, "a machine has more than its bound");
        }
        *self.customers.entry(who(customer)).or_default() += 1;
    }

    pub(super) fn go(&mut self, customer: Customer) {
        let count = self.customers.get_mut(&who(customer)).expect("came before");
        *count -= 1;
    }

    pub(super) fn reserve_in_use(&self, product: usize) -> u32 {
        self.reserve[product].values().sum()
    }

    /// Would a seat of the reserve do?
    pub(super) fn takes_reserve(&self, arrival: &Arrival) -> bool {
        let product = arrival.product.index();
        let reserve = self.settings.products[product].reserve.get();
        let rank = matches!(arrival.class, Class::Protected | Class::Settle);
        rank && self.reserve_in_use(product) < reserve && !self.has_enough(arrival)
    }

    /// Has its customer as much of the reserve as one may have? Those of an address leave as much to somebody else.
    pub(super) fn has_enough(&self, arrival: &Arrival) -> bool {
        let product = &self.settings.products[arrival.product.index()];
        let (all, one) = (product.reserve.get(), product.reserve_per_customer.get());
        let most = match arrival.customer {
            Customer::Account(_) => one,
            Customer::Address(_) | Customer::Machine(_) if all > 2 * one => all - one,
            Customer::Address(_) | Customer::Machine(_) => one,
        };
        let held = self.reserve[arrival.product.index()].get(&who(arrival.customer));
        held.is_some_and(|held| *held >= most)
    }

    /// Who waits in a line, in the order of their turns.
    pub(super) fn in_line(&self, product: usize, rank: Rank) -> impl Iterator<Item = &Arrival> {
        self.lines[product][rank.index()].iter().map(|place| &self.waiting[place].arrival)
    }

    /// Who goes before those in front, for these have enough of the reserve: the place in the line. Nobody looks further
    /// than to the sixteenth.
    pub(super) fn passer(&self, product: usize, rank: Rank) -> Option<usize> {
        let next = self.in_line(product, rank).take(16).position(|arrival| !self.has_enough(arrival))?;
        let reserve = self.in_line(product, rank).nth(next).is_some_and(|arrival| self.takes_reserve(arrival));
        (next > 0 && reserve && !self.bypass).then_some(next)
    }

    pub(super) fn stands(&mut self, place: Place, arrival: Arrival, asked: Asked) {
        let wait = self.settings.products[arrival.product.index()].queue.longest_wait;
        let before = self.waiting.insert(place, Waiting { arrival, asked, until: self.now + wait });
        assert!(before.is_none(), "{place:?} was given to two");
        let line = &mut self.lines[arrival.product.index()][asked.rank.index()];
        if line.is_empty() {
            self.since[arrival.product.index()][asked.rank.index()] = self.now;
        }
        let later = line.iter().map(|other| self.waiting[other].asked.turn > asked.turn).collect::<Vec<_>>();
        let at = where_to_stand(&later);
        self.seen.by_pass +=
            u64::from(asked.rank < Rank::NewCommit && self.journeys[arrival.product.index()].is_some());
        self.seen.by_turn += u64::from(asked.rank.is_newcomers() && at < later.len());
        self.seen.by_stop += u64::from(asked.rank == Rank::NearStop);
        line.insert(at, place);
        self.come(arrival.customer);
        let product = arrival.product.index();
        let room = self.reserve_in_use(product) < self.settings.products[product].reserve.get();
        let reserve = matches!(arrival.class, Class::Protected | Class::Settle);
        self.seen.beyond_their_part += u64::from(reserve && room && self.has_enough(&arrival));
    }

    /// Whether somebody has waited in a line for a tenth of a second, so that the newest go first where that is so.
    pub(super) fn is_newest_first(&self, product: usize, rank: Rank) -> bool {
        let stands = self.now.since(self.since[product][rank.index()]) >= Duration::from_millis(100);
        let may = matches!(rank, Rank::Read | Rank::Background);
        may && stands && !self.lines[product][rank.index()].is_empty()
    }

    /// Who has the next turn in a line, and who the last.
    pub(super) fn ends(&self, product: usize, rank: Rank) -> (Option<Place>, Option<Place>) {
        let line = &self.lines[product][rank.index()];
        let (oldest, newest) = (line.front().copied(), line.back().copied());
        match self.passer(product, rank) {
            Some(passer) => (line.get(passer).copied(), newest),
            None if self.is_newest_first(product, rank) => (newest, oldest),
            None => (oldest, newest),
        }
    }

    /// Out of the line, wherever in it.
    pub(super) fn stops_waiting(&mut self, place: Place) -> Waiting {
        let waiting = self.waiting.remove(&place).expect("somebody waits at this place");
        let line = &mut self.lines[waiting.arrival.product.index()][waiting.asked.rank.index()];
        line.retain(|other| *other != place);
        self.go(waiting.arrival.customer);
        waiting
    }

    pub(super) fn sits(&mut self, arrival: Arrival, seat: Seat) {
        let product = arrival.product.index();
        let now = self.now;
        if let Some(journeys) = self.journeys[product].as_mut().filter(|_| is_step(arrival.class)) {
            journeys.goes(who(arrival.customer), now);
        }
        let reserved = self.takes_reserve(&arrival);
        if reserved {
            *self.reserve[product].entry(who(arrival.customer)).or_default() += 1;
        } else {
            self.in_flight[product] += 1;
            for need in self.needs(product, arrival.class) {
                self.taken[need][product] += 1;
            }
        }
        self.come(arrival.customer);
        self.held.push(Held { seat, arrival, reserved });
    }

    pub(super) fn stands_up(&mut self, index: usize) -> Seat {
        let Held { seat, arrival, reserved } = self.held.swap_remove(index);
        let product = arrival.product.index();
        if reserved {
            *self.reserve[product].get_mut(&who(arrival.customer)).expect("it holds some") -= 1;
        } else {
            self.in_flight[product] -= 1;
            for need in self.needs(product, arrival.class) {
                self.taken[need][product] -= 1;
            }
        }
        self.go(arrival.customer);
        seat
    }
}
