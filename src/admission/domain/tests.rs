//! A house of products telling its story with handmade timestamps.
//!
//! Horse racing and sport share a pool of backends; `Story` says who asks and hears what the domain answers.

use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use super::super::settings::{LimitSettings, Needs, ProductSettings, QueueSettings, Range, ResourceSettings};
use super::super::time::at;
use super::super::{
    Arrival, Class, Customer, Domain, Event, EventKey, ONE_SEAT, Order, Outcome, Output, ParkReason, Place, ProductId,
    Refusal, Seat, Settings, State, Timestamp, Verdict,
};

mod queue;
mod again;
mod passes;
mod stops;
mod several;
mod floor;
mod shares;
mod life;
mod events;
mod limits;
mod hints;
mod reserve;
mod observe;
mod sites;
mod reform;
mod random;

pub(super) const HORSE: ProductId = ProductId(0);
pub(super) const SPORT: ProductId = ProductId(1);
pub(super) const CASINO: ProductId = ProductId(2);

pub(super) const fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

pub(super) fn fixed(seats: u32) -> ResourceSettings {
    ResourceSettings { budget: false, limit: LimitSettings::Fixed(n(seats)) }
}

pub(super) fn budget(seats: u32) -> ResourceSettings {
    ResourceSettings { budget: true, limit: LimitSettings::Fixed(n(seats)) }
}

pub(super) fn climbing(initial: u32) -> ResourceSettings {
    let settings = Range { initial: n(initial), ..Range::default() };
    ResourceSettings { budget: false, limit: LimitSettings::Found(settings) }
}

/// A product whose every class needs `needs`, with room for 100 who wait at most a second.
pub(super) fn product(guarantee: u32, needs: &[usize]) -> ProductSettings {
    ProductSettings {
        needs: [Needs::new(needs).expect("few"); Class::COUNT],
        sites: Vec::new(),
        guarantee,
        latency_objective: Duration::from_millis(250),
        queue: QueueSettings {
            longest_wait: Duration::from_secs(1),
            length: n(100),
            floor: 0,
            near_stop: Duration::ZERO,
            retry_after: (Duration::from_secs(1), Duration::from_secs(30)),
        },
        reserve: n(2),
        reserve_per_customer: n(2),
        passes: None,
    }
}

/// The same, where only bets need resource `wallet` as well.
pub(super) fn betting(guarantee: u32, pool: usize, wallet: usize) -> ProductSettings {
    let mut product = product(guarantee, &[pool]);
    product.needs[Class::Commit.index()] = Needs::new(&[pool, wallet]).expect("few");
    product
}

/// What the domain has told the driver since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) admitted: Vec<(Place, Seat)>,
    pub(super) refused: Vec<(Place, Refusal)>,
    pub(super) notes: Vec<Event>,
}

impl Told {
    pub(super) fn admitted_places(&self) -> Vec<Place> {
        self.admitted.iter().map(|(place, _)| *place).collect()
    }
}

pub(super) struct Story {
    pub(super) domain: Domain,
    customers: u64,
}

impl Story {
    pub(super) fn new(resources: Vec<ResourceSettings>, products: Vec<ProductSettings>) -> Story {
        let (at_once_per_customer, at_once_per_address) = (n(2), n(100));
        let settings =
            Settings { products, resources, at_once_per_customer, at_once_per_address, machines: vec![n(2)] };
        let mut story = Story::of_strangers(settings);
        story.domain.resources.iter_mut().for_each(crate::admission::resource::Resource::trust_everybody);
        story
    }

    /// Nobody has borrowed anything before.
    pub(super) fn of_strangers(settings: Settings) -> Story {
        Story { domain: Domain::new(settings, 7, at(0)), customers: 0 }
    }

    /// One product alone on a pool.
    pub(super) fn horses_on(seats: u32) -> Story {
        Story::new(vec![fixed(seats)], vec![product(50, &[0])])
    }

    /// Somebody who was never seen before asks.
    pub(super) fn asks(&mut self, product: ProductId, class: Class, ms: u64) -> Verdict {
        self.asks_for(1, product, class, ms)
    }

    /// The same, for something that costs so many seats.
    pub(super) fn asks_for(&mut self, seats: u8, product: ProductId, class: Class, ms: u64) -> Verdict {
        self.customers += 1;
        let customer = Customer::Account(self.customers);
        let seats = NonZeroU8::new(seats).expect("not zero");
        self.domain.arrive(Arrival { product, class, customer, event: None, seats }, at(ms))
    }

    pub(super) fn bets(&mut self, product: ProductId, event: EventKey, ms: u64) -> Verdict {
        self.customers += 1;
        let customer = Customer::Account(self.customers);
        self.domain
            .arrive(Arrival { product, class: Class::Commit, customer, event: Some(event), seats: ONE_SEAT }, at(ms))
    }

    pub(super) fn passes(&mut self, product: ProductId, class: Class, ms: u64) -> Seat {
        seat(self.asks(product, class, ms))
    }

    pub(super) fn waits(&mut self, product: ProductId, class: Class, ms: u64) -> Place {
        place(self.asks(product, class, ms))
    }

    pub(super) fn is_refused(&mut self, product: ProductId, class: Class, ms: u64) -> Refusal {
        refusal(self.asks(product, class, ms))
    }

    /// Answered: the seat comes back.
    pub(super) fn ends(&mut self, seat: Seat, ms: u64) -> Told {
        self.domain.finish(seat, Outcome::Answered, at(ms));
        self.told()
    }

    pub(super) fn orders(&mut self, product: ProductId, order: Order, ms: u64) -> Told {
        self.domain.order(product, order, at(ms));
        self.told()
    }

    pub(super) fn state(&self, product: ProductId) -> State {
        self.domain.product(product).state()
    }

    pub(super) fn told(&mut self) -> Told {
        let mut told = Told::default();
        while let Some(output) = self.domain.poll_output() {
            match output {
                Output::Admit(place, seat) => told.admitted.push((place, seat)),
                Output::Refuse(place, refused) => told.refused.push((place, refused.refusal)),
                Output::Note(event) => told.notes.push(event),
            }
        }
        told
    }

    /// What a driver does that sleeps until it is woken: everything that is due up to `ms`, each at its time.
    pub(super) fn sleeps_until(&mut self, ms: u64) -> Told {
        let mut all = self.told();
        while let Some(due) = self.domain.next_wake().filter(|due| *due <= at(ms)) {
            self.domain.wake(due.max(at(0)));
            let told = self.told();
            all.admitted.extend(told.admitted);
            all.refused.extend(told.refused);
            all.notes.extend(told.notes);
        }
        all
    }

    /// Nobody waits and nothing is held: what was counted in was counted out.
    pub(super) fn is_empty(&self) -> bool {
        let free = self.domain.resources.iter().all(|resource| resource.in_use() == 0);
        let nothing = |product: &super::Product| product.waiting + product.in_flight + product.reserve_in_use() == 0;
        let idle = |product: &super::Product| nothing(product) && product.reserve.holders() == 0;
        free && self.domain.products.iter().all(idle)
            && self.domain.waiters.len() == 0
            && self.domain.customers.len() == 0
    }
}

pub(super) fn seat(verdict: Verdict) -> Seat {
    match verdict {
        Verdict::Proceed(seat) => seat,
        other => panic!("should pass: {other:?}"),
    }
}

pub(super) fn place(verdict: Verdict) -> Place {
    match verdict {
        Verdict::Wait(place) => place,
        other => panic!("should wait: {other:?}"),
    }
}

pub(super) fn refusal(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refuse(refused) => refused.refusal,
        other => panic!("should be refused: {other:?}"),
    }
}
