//! Products, what they need, and what stands behind them.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Dice;
use crate::admission::settings::{
    LimitSettings, Needs, PassSettings, ProductSettings, QueueSettings, Range, ResourceSettings, Settings,
};
use crate::admission::{Class, ProductId};
use crate::sim::backend::{self, Bend, Cold, Eases, Engine, Station};
use crate::sim::scenario::{Event, Product, Scenario};

/// A house with nobody in front of it: products, stations without routes, limits, events.
pub(super) fn scenario(dice: &mut Dice, lasts: Duration) -> Scenario {
    let stations: Vec<Station> = (0..dice.count(1, 4)).map(|nth| station(dice, nth)).collect();
    let products = products(dice, stations.len());
    let admission = admission(dice, &products, &stations);
    let events = (0..dice.count(0, 3)).map(|nth| event(dice, nth, products.len(), lasts)).collect();
    Scenario {
        name: String::new(),
        about: "Anything may happen here.".into(),
        scale: "1:1".into(),
        lasts,
        measured: (Duration::ZERO, lasts),
        capacity_per_s: None,
        products,
        plant: backend::Settings { stations, routes: Vec::new() },
        admission,
        carried: Vec::new(),
        hints: Vec::new(),
        crowds: Vec::new(),
        events,
        happenings: Vec::new(),
        against: Vec::new(),
        expected: Vec::new(),
    }
}

fn station(dice: &mut Dice, nth: u64) -> Station {
    let engine = if dice.chance(50) {
        Engine::Sharing { knee: dice.count(2, 40) as f64, contention: dice.part(0, 40) }
    } else {
        let easy = dice.index(40);
        Engine::Seats { seats: 1 + dice.index(20), bend: Bend { easy, piled: easy + 1 + dice.index(400) } }
    };
    Station {
        name: format!("station {nth}"),
        engine,
        threads: if dice.chance(50) { usize::MAX } else { 2 + dice.index(80) },
        backlog: if dice.chance(50) { usize::MAX } else { dice.index(200) },
        cold: dice.chance(20).then(|| cold(dice)),
        outlives_caller: dice.chance(70),
    }
}

/// A station that has to get warm, by work or with time.
pub(super) fn cold(dice: &mut Dice) -> Cold {
    let eases = match dice.chance(50) {
        true => Eases::Completions(dice.count(20, 400) as f64),
        false => Eases::After(dice.time(100, 4_000)),
    };
    Cold { factor: dice.part(150, 800), eases }
}

/// Products that share a pool where they share a station, or each with a pool of its own.
fn products(dice: &mut Dice, stations: usize) -> Vec<Product> {
    let shared = dice.chance(60);
    let mut pools: Vec<usize> = Vec::new();
    let mut product = |nth: u64| {
        let station = dice.index(stations);
        let known = pools.iter().position(|other| shared && *other == station);
        let pool = known.unwrap_or_else(|| {
            pools.push(station);
            pools.len() - 1
        });
        Product {
            name: format!("product {nth}"),
            station,
            first_byte_timeout: Duration::from_secs(10),
            cache: None,
            pool,
            sites: Vec::new(),
        }
    };
    let count = 1 + (stations as u64 + 1) % 5;
    (0..count).map(&mut product).collect()
}

fn admission(dice: &mut Dice, products: &[Product], stations: &[Station]) -> Settings {
    let pools = products.iter().map(|product| product.pool + 1).max().unwrap_or_default();
    let budgets = dice.index(3);
    // What a budget stands for is behind one of the stations or somewhere else altogether.
    let room = |dice: &mut Dice| at_once(dice.one_of(&stations.iter().collect::<Vec<_>>()));
    let resource = |budget: bool, dice: &mut Dice| {
        let room = room(dice);
        ResourceSettings { budget, limit: limit(dice, room) }
    };
    let mut resources: Vec<_> = (0..pools).map(|_| resource(false, dice)).collect();
    resources.extend((0..budgets).map(|_| resource(true, dice)));
    let guarantees = dice.hundred(products.len());
    let set = products.iter().zip(guarantees).map(|(product, guarantee)| {
        // What is not given away is owed to nobody.
        let guarantee = if dice.chance(30) { guarantee.div_ceil(2) } else { guarantee };
        product_settings(dice, guarantee, product.pool, pools..pools + budgets)
    });
    let products = set.collect();
    let (at_once_per_customer, at_once_per_address) = (dice.seats(1, 8), dice.seats(1, 8));
    Settings { products, resources, at_once_per_customer, at_once_per_address, machines: Vec::new() }
}

/// Requests that a station works on at full speed.
pub(super) fn at_once(station: &Station) -> u64 {
    match station.engine {
        Engine::Sharing { knee, .. } => knee as u64,
        Engine::Seats { seats, .. } => seats as u64,
    }
}

fn limit(dice: &mut Dice, room: u64) -> LimitSettings {
    if dice.chance(50) {
        let (least, most) = dice.one_of(&[(1, 5), (room / 2, room * 2), (room / 2, room * 2)]);
        return LimitSettings::Fixed(dice.seats(least, most));
    }
    let least = dice.seats(1, 4);
    let most = dice.seats(u64::from(least.get()), 120);
    let initial = dice.seats(u64::from(least.get()), u64::from(most.get()));
    LimitSettings::Found(Range { initial, least, most })
}

fn product_settings(dice: &mut Dice, guarantee: u32, pool: usize, budgets: std::ops::Range<usize>) -> ProductSettings {
    let mut needs = || {
        let mut needs = vec![pool];
        needs.extend(budgets.clone().filter(|_| dice.chance(40)));
        Needs::new(&needs).expect("a pool and two budgets at most")
    };
    let needs = std::array::from_fn::<_, { Class::COUNT }, _>(|_| needs());
    let soonest = dice.time(1_000, 3_000);
    ProductSettings {
        needs,
        sites: Vec::new(),
        guarantee,
        latency_objective: dice.time(20, 500),
        queue: QueueSettings {
            longest_wait: dice.time(30, 2_000),
            length: dice.one_of(&[1, 4, 20, 50, 200, 1_000, 10_000]).try_into().expect("not zero"),
            floor: dice.one_of(&[0, 2, 2, 5, 20]),
            near_stop: Duration::ZERO,
            retry_after: (soonest, soonest + dice.time(0, 10_000)),
        },
        reserve: dice.seats(1, 6),
        reserve_per_customer: NonZeroU32::MIN,
        passes: None,
    }
}

/// How much of each reserve one customer may have. For the end, so that the worlds of before are what they were but for
/// this.
pub(super) fn cap_reserves(dice: &mut Dice, scenario: &mut Scenario) {
    for product in &mut scenario.admission.products {
        product.reserve_per_customer = dice.seats(1, product.reserve.get().into());
    }
}

/// Who may go on, whose turn is kept, and how near to their stops bets go before all others. For the end, as above.
pub(super) fn keep_turns(dice: &mut Dice, scenario: &mut Scenario) {
    for product in &mut scenario.admission.products {
        let passes = pass_settings(dice);
        product.passes = dice.chance(70).then_some(passes);
        let near_stop = dice.time(1, 5_000);
        product.queue.near_stop = if dice.chance(60) { near_stop } else { Duration::ZERO };
    }
}

fn pass_settings(dice: &mut Dice) -> PassSettings {
    let idle = dice.one_of(&[20, 300, 2_000, 20_000]);
    let idle = dice.time(idle / 2, idle);
    PassSettings {
        idle,
        longest: idle + dice.one_of(&[0, 100, 1_000, 60_000]) * Duration::from_millis(1),
        hold: dice.one_of(&[1, 50, 1_000, 1_000, 5_000, 60_000]) * Duration::from_millis(1),
        // Few enough that some are left out, and enough for all.
        most: dice.one_of(&[1, 20, 500, 100_000, 100_000, 100_000]).try_into().expect("not zero"),
    }
}

fn event(dice: &mut Dice, nth: u64, products: usize, lasts: Duration) -> Event {
    Event {
        name: format!("race {nth}"),
        product: ProductId(dice.index(products) as u16),
        // Some of them are over before the run is, some are not.
        stop: lasts.mul_f64(dice.part(20, 150)),
        believed_before_stop: dice.time(0, 6_000),
    }
}
