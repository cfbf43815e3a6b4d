//! Own books: who waits, who runs and what they hold, counted from nothing but what was said.

use std::collections::{HashMap, HashSet};

use super::line::{Line, Spot};
use crate::admission::rank::Rank;
use crate::admission::{Arrival, Customer, Settings, Timestamp};
use crate::sim::law::RequestId;

/// Where a request is, to go by what was said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Not in the house: never seen, refused, ended or gone.
    Away,
    Waits(Stay),
    Runs(Stay),
}

/// A request in the house.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) arrival: Arrival,
    pub(super) asked: Asked,
    pub(super) since: Timestamp,
    /// Counts beginnings of waiting and running: ids are used again, these are not.
    pub(super) serial: u64,
    /// Seats that it holds of everything it needs, or of the reserve.
    pub(super) seats: u32,
    /// Whether it runs on seats of the reserve.
    pub(super) reserved: bool,
    /// Whether it may run in an open product only.
    ordinary: bool,
}

/// In which line somebody belongs, and their turn in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) rank: Rank,
    pub(super) turn: u64,
}

/// Who stands at the door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer {
    pub(super) arrival: Arrival,
    pub(super) asked: Asked,
}

/// How somebody was let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) asked: Asked,
    pub(super) at: Timestamp,
    pub(super) bypass: bool,
    /// Seats that it takes.
    pub(super) seats: u32,
}

/// What one customer has in the house.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence {
    pub(super) here: u32,
    pub(super) waiting: u32,
}

pub(super) struct Books {
    stages: Vec<Stage>,
    pub(super) products: Vec<Ledger>,
    /// Seats taken, by resource and product, and in all.
    pub(super) taken: Vec<Vec<u32>>,
    pub(super) in_use: Vec<u32>,
    customers: HashMap<(u8, u64), Presence>,
    pub(super) serial: u64,
}

/// What one product has.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) lines: [Line; Rank::COUNT],
    pub(super) waiting: u32,
    /// Promised turns that somebody waits with.
    pub(super) turns_here: HashSet<u64>,
    /// Who has been passed over while they wait in the lowest classes.
    pub(super) low: Low,
    /// Seats under the limits, and of the reserve.
    pub(super) in_flight: u32,
    pub(super) reserve: u32,
    /// By whom seats of the reserve are held.
    reserved: HashMap<(u8, u64), u32>,
    /// Requests that run and, bypass apart, may run in an open product only.
    pub(super) ordinary: u32,
}

/// What has been let through while somebody waits in the lowest classes, in seats. Begun anew when nobody does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Low {
    /// Of everybody but the reserve.
    pub(super) passed: u32,
    /// Of the lowest, before somebody higher who could have gone.
    pub(super) overtook: u32,
    /// Of higher ones since one of the lowest last went, while one of these could have gone.
    pub(super) missed: u32,
    /// The most that one of those who missed it would have taken.
    pub(super) most: u32,
}

/// Where a line that stands is served from its newest end.
const NEWEST_FIRST: [Rank; 2] = [Rank::Read, Rank::Background];

impl Books {
    pub(super) fn new(settings: &Settings) -> Books {
        let (resources, products) = (settings.resources.len(), settings.products.len());
        Books {
            stages: Vec::new(),
            products: vec![Ledger::default(); products],
            taken: vec![vec![0; products]; resources],
            in_use: vec![0; resources],
            customers: HashMap::new(),
            serial: 0,
        }
    }

    pub(super) fn stage(&self, request: RequestId) -> Stage {
        self.stages.get(request.index()).copied().unwrap_or(Stage::Away)
    }

    pub(super) fn presence(&self, customer: Customer) -> Presence {
        self.customers.get(&key(customer)).copied().unwrap_or_default()
    }

    /// How many customers have anything running or waiting.
    pub(super) fn customers(&self) -> u32 {
        self.customers.len() as u32
    }

    /// `request` joins its line.
    pub(super) fn join(&mut self, request: RequestId, arrival: Arrival, asked: Asked, now: Timestamp) {
        let stay = self.stay(arrival, asked, now);
        let (ledger, stages) = (&mut self.products[arrival.product.index()], &self.stages);
        let spot = Spot { request, serial: stay.serial, turn: asked.turn };
        let waits = |request, serial| waits(stages, request, serial);
        ledger.lines[asked.rank.index()].join(spot, u32::from(arrival.seats.get()), now, waits);
        ledger.waiting += 1;
        if asked.rank.is_newcomers() {
            ledger.turns_here.insert(asked.turn);
        }
        let presence = self.customers.entry(key(arrival.customer)).or_default();
        presence.here += 1;
        presence.waiting += 1;
        self.put(request, Stage::Waits(stay));
    }

    /// `request` waits no more.
    pub(super) fn unjoin(&mut self, request: RequestId, stay: &Stay) {
        let arrival = &stay.arrival;
        self.put(request, Stage::Away);
        let ledger = &mut self.products[arrival.product.index()];
        ledger.waiting -= 1;
        if stay.asked.rank.is_newcomers() {
            ledger.turns_here.remove(&stay.asked.turn);
        }
        let stages = &self.stages;
        let seats = u32::from(arrival.seats.get());
        ledger.lines[stay.asked.rank.index()].lost_one(seats, |request, serial| waits(stages, request, serial));
        if NEWEST_FIRST.into_iter().all(|low| ledger.lines[low.index()].len() == 0) {
            ledger.low = Low::default();
        }
        self.gone(arrival.customer, true);
    }

    /// `request` takes what it needs: `needs` of the resources, or a seat of the reserve.
    pub(super) fn take(&mut self, request: RequestId, arrival: Arrival, needs: Option<&[usize]>, how: How) {
        let mut stay = self.stay(arrival, how.asked, how.at);
        stay.seats = how.seats;
        stay.reserved = needs.is_none();
        stay.ordinary = !how.bypass && !arrival.class.passes_in_every_state();
        self.put(request, Stage::Runs(stay));
        self.customers.entry(key(arrival.customer)).or_default().here += 1;
        let product = arrival.product.index();
        let ledger = &mut self.products[product];
        ledger.ordinary += u32::from(stay.ordinary);
        match needs {
            None => {
                ledger.reserve += how.seats;
                *ledger.reserved.entry(key(arrival.customer)).or_default() += how.seats;
            }
            Some(needs) => {
                ledger.in_flight += how.seats;
                for need in needs {
                    self.taken[*need][product] += how.seats;
                    self.in_use[*need] += how.seats;
                }
            }
        }
    }

    /// `request`, which runs, gives back what it took.
    pub(super) fn give_back(&mut self, request: RequestId, stay: &Stay, needs: &[usize]) {
        self.put(request, Stage::Away);
        self.gone(stay.arrival.customer, false);
        let product = stay.arrival.product.index();
        let ledger = &mut self.products[product];
        ledger.ordinary -= u32::from(stay.ordinary);
        if stay.reserved {
            ledger.reserve -= stay.seats;
            *ledger.reserved.entry(key(stay.arrival.customer)).or_default() -= stay.seats;
            ledger.reserved.retain(|_, held| *held > 0);
            return;
        }
        ledger.in_flight -= stay.seats;
        for need in needs {
            self.taken[*need][product] -= stay.seats;
            self.in_use[*need] -= stay.seats;
        }
    }

    /// What a customer holds of a product's reserve.
    pub(super) fn reserved_by(&self, product: usize, customer: Customer) -> u32 {
        self.products[product].reserved.get(&key(customer)).copied().unwrap_or(0)
    }

    /// Those who are first in a line, up to so many.
    pub(super) fn first(&self, product: usize, rank: Rank, most: usize) -> impl Iterator<Item = (RequestId, &Stay)> {
        let line = self.products[product].lines[rank.index()].iter();
        let here = line.filter(|spot| waits(&self.stages, spot.request, spot.serial));
        here.filter_map(|spot| self.waiter(spot.request)).take(most)
    }

    /// Who has waited longest in a line.
    pub(super) fn oldest(&self, product: usize, rank: Rank) -> Option<(RequestId, &Stay)> {
        self.waiter(self.products[product].lines[rank.index()].oldest()?)
    }

    /// Who is last in a line.
    pub(super) fn back(&self, product: usize, rank: Rank) -> Option<&Stay> {
        let (_, stay) = self.waiter(self.products[product].lines[rank.index()].back()?)?;
        Some(stay)
    }

    /// Whether whoever came last has the next turn in a line.
    pub(super) fn is_newest_first(&self, product: usize, rank: Rank, now: Timestamp) -> bool {
        NEWEST_FIRST.contains(&rank) && self.products[product].lines[rank.index()].stands(now)
    }

    /// Who has the next turn in a line, and who the last: of those who are not in the middle of a journey the newest come
    /// first where the line stands.
    pub(super) fn ends(&self, product: usize, rank: Rank, now: Timestamp) -> [Option<(RequestId, &Stay)>; 2] {
        let line = &self.products[product].lines[rank.index()];
        let mut ends = [line.front(), line.back()];
        if self.is_newest_first(product, rank, now) {
            ends.reverse();
        }
        ends.map(|end| self.waiter(end?))
    }

    pub(super) fn line(&self, product: usize, rank: Rank) -> u32 {
        self.products[product].lines[rank.index()].len()
    }

    fn waiter(&self, request: RequestId) -> Option<(RequestId, &Stay)> {
        match self.stages.get(request.index()) {
            Some(Stage::Waits(stay)) => Some((request, stay)),
            _ => None,
        }
    }

    fn stay(&mut self, arrival: Arrival, asked: Asked, since: Timestamp) -> Stay {
        self.serial += 1;
        Stay { arrival, asked, since, serial: self.serial, seats: 0, reserved: false, ordinary: false }
    }

    fn put(&mut self, request: RequestId, stage: Stage) {
        if self.stages.len() <= request.index() {
            self.stages.resize(request.index() + 1, Stage::Away);
        }
        self.stages[request.index()] = stage;
    }

    fn gone(&mut self, customer: Customer, waited: bool) {
        let Some(presence) = self.customers.get_mut(&key(customer)) else { return };
        presence.here -= 1;
        presence.waiting -= u32::from(waited);
        if presence.here == 0 {
            self.customers.remove(&key(customer));
        }
    }
}

fn waits(stages: &[Stage], request: RequestId, serial: u64) -> bool {
    matches!(stages[request.index()], Stage::Waits(stay) if stay.serial == serial)
}

pub(super) fn key(customer: Customer) -> (u8, u64) {
    match customer {
        Customer::Account(key) => (0, key),
        Customer::Address(key) => (1, key),
        Customer::Machine(index) => (2, u64::from(index)),
    }
}
