//! Whether each product got its share, over time.
//!
//! A product is *hungry* for a resource while the class that would go next if a seat of it came back waits for nothing
//! else, and would stay within what its product is owed of all else that it needs. While it is, it holds on average at
//! least its max-min share by weight (see [`filling`](super::filling)) of what there is, others asking for what they hold
//! and wait for. Others' demand is averaged over the same time: the share is a convex function of demand and capacity, so
//! the share of the averages is never above the average of the shares, and the check errs on the side of silence.
//!
//! What is lent comes back by not being refilled, so nothing is measured before all that was held when the hunger began
//! has come back. Who would borrow has to earn it first, with every service time twice as much, and who keeps what it borrows
//! longer than the others' customers wait is owed no more than its guarantee. And one seat, and what one longest service time takes to reclaim, is left to chance. Where requests
//! take several seats at once, so is what does not come out even, and what is kept for one of them until all is there.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::books::{Books, Stage, Stay};
use super::filling::fill;
use super::shown::Shown;
use super::trust::Trust;
use crate::admission::rank::Rank;
use crate::admission::{Class, Settings, Timestamp};
use crate::sim::law::RequestId;

pub(super) struct Shares {
    /// Up to when everything is added up.
    at: Timestamp,
    resources: Vec<Resource>,
}

/// A resource that several products need; of one that has nobody to share it, nothing is kept.
struct Resource {
    /// What the products are owed; 0 for those who never come.
    weights: Vec<u32>,
    shared: bool,
    /// Which classes of each product need it.
    classes: Vec<[bool; Class::COUNT]>,
    /// Who took a seat when, oldest first. Who has ended is forgotten when the front reaches them.
    started: VecDeque<(RequestId, u64, Timestamp)>,
    /// Whether each product is; `None` while nothing of it waits for this alone.
    hungry: Vec<Option<bool>>,
    windows: Vec<Option<Window>>,
    /// The most seats that anybody has asked for at once.
    largest: u32,
    /// How long the others can wait for what each product holds.
    bearable: Vec<Duration>,
    /// As things stand since the last call.
    limit: u32,
    held: Vec<u32>,
    demand: Vec<u32>,
}

/// A time in which one product was hungry. Sums are of seats times nanoseconds.
#[derive(Debug)]
struct Window {
    /// Seats taken up to this serial were taken before the hunger, and so many of them are still out.
    serial: u64,
    old: u32,
    lasted: Duration,
    limit: u128,
    held: u128,
    demand: Vec<u128>,
    longest: Duration,
}

/// A product got less than its share.
#[derive(Debug)]
pub(super) struct Short {
    product: usize,
    resource: usize,
    held: f64,
    share: f64,
    lasted: Duration,
    longest: Duration,
}

/// The shortest time that says anything about an average.
const SHORTEST: Duration = Duration::from_secs(1);
/// So many longest service times are long enough to average over.
const TURNS: u32 = 10;
/// So many longest service times it may take to earn a share.
const EARNING: f64 = 3.0;

impl Shares {
    pub(super) fn new(settings: &Settings, trust: &Trust) -> Shares {
        let resources = (0..settings.resources.len()).map(|place| Resource::new(settings, trust, place)).collect();
        Shares { at: Timestamp::ZERO, resources }
    }

    pub(super) fn is_shared(&self, resource: usize) -> bool {
        self.resources[resource].shared
    }

    /// Time has passed since the last call; what stood then has stood until now.
    pub(super) fn pass_time(&mut self, books: &Books, now: Timestamp) -> Option<Short> {
        let passed = now.since(self.at);
        self.at = now;
        if passed.is_zero() {
            return None;
        }
        let mut short = None;
        for (place, resource) in self.resources.iter_mut().enumerate().filter(|(_, resource)| resource.shared) {
            for product in 0..resource.windows.len() {
                short = short.or(resource.pass_time(product, place, passed, books, now));
            }
        }
        short
    }

    pub(super) fn taken(&mut self, request: RequestId, needs: &[usize], books: &Books, now: Timestamp) {
        for need in needs {
            let resource = &mut self.resources[*need];
            if resource.shared {
                resource.forget(books);
                resource.started.push_back((request, books.serial, now));
            }
        }
    }

    pub(super) fn given_back(&mut self, stay: &Stay, needs: &[usize], now: Timestamp) {
        let took = now.since(stay.since);
        for need in needs {
            for window in self.resources[*need].windows.iter_mut().flatten() {
                if stay.serial <= window.serial {
                    window.old = window.old.saturating_sub(1);
                }
                window.longest = window.longest.max(took);
            }
        }
    }

    pub(super) fn nobody_is_hungry(&mut self) {
        self.resources.iter_mut().for_each(|resource| resource.hungry.fill(None));
    }

    /// Somebody comes who needs `needs` and asks for so many seats of each.
    pub(super) fn asked(&mut self, needs: &[usize], seats: u32) {
        for need in needs {
            let resource = &mut self.resources[*need];
            resource.largest = resource.largest.max(seats);
        }
    }

    /// A rank of `product` waits for `resource` alone, highest first; `modest` when it asks for little elsewhere.
    pub(super) fn is_next(&mut self, resource: usize, product: usize, modest: bool) {
        self.resources[resource].hungry[product].get_or_insert(modest);
    }

    /// A call is over: begin and end what began and ended, and remember how things stand.
    pub(super) fn settle(&mut self, books: &Books, shown: &Shown) {
        for (place, resource) in self.resources.iter_mut().enumerate().filter(|(_, resource)| resource.shared) {
            resource.limit = shown.resources[place].limit;
            resource.settle(place, books);
        }
    }
}

impl Resource {
    fn new(settings: &Settings, trust: &Trust, place: usize) -> Resource {
        let needs = |needs: &crate::admission::settings::Needs| needs.iter().any(|need| need == place);
        let classes: Vec<[bool; Class::COUNT]> =
            settings.products.iter().map(|product| product.needs.each_ref().map(needs)).collect();
        let uses = classes.iter().map(|classes| classes.contains(&true));
        // Nobody's word is worth nothing: a product that is owed nothing is not left out of what nobody is owed.
        let weights = settings.products.iter().zip(uses.clone());
        let weights = weights.map(|(product, uses)| if uses { product.guarantee.max(1) } else { 0 }).collect();
        let products = classes.len();
        Resource {
            weights,
            shared: uses.filter(|uses| *uses).count() > 1,
            classes,
            started: VecDeque::new(),
            hungry: vec![None; products],
            windows: (0..products).map(|_| None).collect(),
            largest: 1,
            bearable: (0..products).map(|product| trust.bearable(place, product)).collect(),
            limit: 0,
            held: vec![0; products],
            demand: vec![0; products],
        }
    }

    fn settle(&mut self, place: usize, books: &Books) {
        let mut watched = false;
        for (hungry, window) in self.hungry.iter().zip(&mut self.windows) {
            let hungry = *hungry == Some(true);
            match (hungry, &window) {
                (true, None) => *window = Some(Window::new(books.serial, books.in_use[place], self.weights.len())),
                (false, Some(_)) => *window = None,
                _ => {}
            }
            watched |= hungry;
        }
        if watched {
            self.held.copy_from_slice(&books.taken[place]);
            for (product, ledger) in books.products.iter().enumerate() {
                let lines = ledger.lines.iter().zip(Rank::ALL);
                let need = lines.filter(|(_, rank)| self.classes[product][rank.class().index()]);
                let waiting: u32 = need.map(|(line, _)| line.seats()).sum();
                self.demand[product] = (self.held[product] + waiting).min(self.limit);
            }
        }
    }

    fn pass_time(
        &mut self,
        product: usize,
        place: usize,
        passed: Duration,
        books: &Books,
        now: Timestamp,
    ) -> Option<Short> {
        let window = self.windows[product].as_mut().filter(|window| window.old == 0)?;
        window.add(product, passed, self.limit, &self.held, &self.demand);
        if window.lasted < SHORTEST.max(window.longest * TURNS) {
            return None;
        }
        self.forget(books);
        let oldest = self.started.front().map_or(Duration::ZERO, |(_, _, since)| now.since(*since));
        let window = self.windows[product].as_mut()?;
        window.longest = window.longest.max(oldest);
        if window.lasted < window.longest * TURNS {
            return None;
        }
        let (held, fair, owed) = window.held_and_shares(product, &self.weights);
        let (lasted, longest) = (window.lasted, window.longest);
        let earning = (EARNING * longest.as_secs_f64() / lasted.as_secs_f64()).min(1.0);
        let lent = if longest > self.bearable[product] { 0.0 } else { (fair - owed).max(0.0) * (1.0 - earning) };
        let share = fair.min(owed) + lent;
        *window = Window::new(window.serial, 0, self.weights.len());
        let reclaim = share * longest.as_secs_f64() / lasted.as_secs_f64();
        let chance = f64::from(2 * self.largest - 1);
        (held + chance + reclaim < share).then_some(Short { product, resource: place, held, share, lasted, longest })
    }

    /// Forget those at the front who have ended.
    fn forget(&mut self, books: &Books) {
        let runs = |(request, serial, _): &(RequestId, u64, Timestamp)| matches!(books.stage(*request), Stage::Runs(stay) if stay.serial == *serial);
        while self.started.front().is_some_and(|front| !runs(front)) {
            self.started.pop_front();
        }
    }
}

impl Window {
    fn new(serial: u64, old: u32, products: usize) -> Window {
        Window {
            serial,
            old,
            lasted: Duration::ZERO,
            limit: 0,
            held: 0,
            demand: vec![0; products],
            longest: Duration::ZERO,
        }
    }

    fn add(&mut self, product: usize, passed: Duration, limit: u32, held: &[u32], demand: &[u32]) {
        let nanos = passed.as_nanos();
        self.lasted += passed;
        self.limit += nanos * u128::from(limit);
        self.held += nanos * u128::from(held[product]);
        for (sum, demand) in self.demand.iter_mut().zip(demand) {
            *sum += nanos * u128::from(*demand);
        }
    }

    /// Average seats, the fair share of what there was, and what of it is owed; the product itself would take whatever it
    /// can get.
    fn held_and_shares(&self, product: usize, weights: &[u32]) -> (f64, f64, f64) {
        let average = |sum: u128| sum as f64 / self.lasted.as_nanos() as f64;
        let mut demands: Vec<f64> = self.demand.iter().map(|sum| average(*sum)).collect();
        let capacity = average(self.limit);
        demands[product] = capacity;
        let owed = capacity * f64::from(weights[product]) / 100.0;
        (average(self.held), fill(capacity, weights, &demands)[product], owed)
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Short { product, resource, held, share, lasted, longest } = self;
        write!(
            f,
            "product {product} held {held:.2} of resource {resource} and was hungry for {lasted:?}; its share is \
             {share:.2}, the longest service took {longest:?}"
        )
    }
}
