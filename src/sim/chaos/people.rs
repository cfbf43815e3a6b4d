//! Who comes, in what manner, and what they ask of the plant.

use std::num::NonZeroU8;
use std::time::Duration;

use super::Dice;
use super::house::at_once;
use crate::admission::{Class, ProductId};
use crate::sim::backend::{Leg, Route, Spread};
use crate::sim::scenario::{Coming, Crowd, Manner, Patience, Pause, Scenario, Step};

/// Crowds for every product, some of them with two, about `requests` attempts in all if nobody tried twice.
pub(super) fn come(dice: &mut Dice, scenario: &mut Scenario, requests: u64) {
    let crowds: Vec<usize> = (0..scenario.products.len())
        .flat_map(|product| std::iter::repeat_n(product, if dice.chance(40) { 2 } else { 1 }))
        .collect();
    let each = requests / crowds.len() as u64;
    // From less than half of what the plant can do to more than twice as much.
    let load = dice.part(40, 220);
    for (nth, product) in crowds.into_iter().enumerate() {
        let journey: Vec<Step> = (0..dice.count(1, 4)).map(|_| step(dice, scenario, product, each, load)).collect();
        let customers = each / journey.len() as u64;
        scenario.crowds.push(crowd(dice, scenario, (nth, product), journey, customers.max(1)));
    }
}

fn crowd(
    dice: &mut Dice,
    scenario: &Scenario,
    (nth, product): (usize, usize),
    journey: Vec<Step>,
    customers: u64,
) -> Crowd {
    let endless = dice.chance(15);
    // Who never goes home comes more than once.
    let customers = if endless { customers.div_ceil(8) } else { customers };
    let kinds = dice.index(3) + 1;
    let shares = dice.hundred(kinds);
    let patience = dice.time(200, 6_000);
    Crowd {
        name: format!("crowd {nth}"),
        product: ProductId(product as u16),
        coming: coming(dice, scenario.lasts, customers),
        journey,
        endless,
        think: if endless {
            Pause::Between(Duration::from_millis(200), Duration::from_secs(2))
        } else {
            pause(dice, 800)
        },
        patience: Patience { least: patience, most: patience + dice.time(0, 10_000), by_step: dice.chance(50) },
        timeout: dice.time(50, 4_000),
        manners: shares.into_iter().map(|share| manner(dice, share)).collect(),
        two_devices: dice.one_of(&[0, 0, 20, 100]),
        no_shows: dice.one_of(&[0, 0, 10, 50]),
        worth: dice.chance(30).then(|| dice.time(100, 3_000)),
    }
}

fn coming(dice: &mut Dice, lasts: Duration, customers: u64) -> Coming {
    if dice.chance(60) {
        let parts = dice.index(3) + 1;
        let shares = dice.hundred(parts);
        // Some crowds come in one moment.
        let over = shares
            .into_iter()
            .map(|share| (share, if dice.chance(15) { Duration::ZERO } else { lasts.mul_f64(dice.part(0, 80)) }));
        let within = over.collect();
        return Coming::Count { count: customers as u32, from: lasts.mul_f64(dice.part(0, 30)), within };
    }
    let per_s = customers as f64 / lasts.as_secs_f64();
    let points = (0..dice.count(1, 4) as u32).map(|nth| (lasts * nth / 5, per_s * dice.part(20, 200)));
    Coming::Rate { points: points.collect(), linear: dice.chance(50) }
}

fn pause(dice: &mut Dice, most_ms: u64) -> Pause {
    if dice.chance(50) {
        return Pause::Mean(dice.time(20, most_ms));
    }
    let least = dice.time(0, most_ms / 2);
    Pause::Between(least, least + dice.time(1, most_ms / 2))
}

fn manner(dice: &mut Dice, share: u32) -> Manner {
    Manner {
        name: "some".into(),
        share,
        obeys: dice.chance(60),
        quick: dice.one_of(&[0, 0, 1, 3]),
        quick_pause: dice.time(50, 300),
        pause: pause(dice, 2_000),
        retries: dice.chance(90).then(|| dice.small(0, 4)),
        quits: dice.one_of(&[0, 0, 5, 40]),
    }
}

/// One step, with a route of its own that asks for about what makes this load.
fn step(dice: &mut Dice, scenario: &mut Scenario, product: usize, each: u64, load: f64) -> Step {
    let class = if dice.chance(30) { Class::Commit } else { dice.one_of(&Class::ALL) };
    let mine = |event: &usize| usize::from(scenario.events[*event].product.0) == product;
    let event = (0..scenario.events.len()).find(mine).filter(|_| dice.chance(70));
    let home = scenario.products[product].station;
    let mut legs = vec![leg(dice, scenario, home, each, load)];
    let behind = dice.index(scenario.plant.stations.len());
    if behind != home && dice.chance(50) {
        legs.push(leg(dice, scenario, behind, each, load));
    }
    scenario.plant.routes.push(Route { legs });
    // Mostly one, now and then more than there are.
    let seats = dice.one_of(&[1, 1, 1, 1, 2, 3, 5, 16]);
    Step {
        name: class.name().into(),
        class,
        seats: NonZeroU8::new(seats).expect("from one up"),
        route: scenario.plant.routes.len() - 1,
        routes: Vec::new(),
        stops: None,
        event,
        object: None,
        carried: dice.chance(50),
        bet: class == Class::Commit,
    }
}

fn leg(dice: &mut Dice, scenario: &Scenario, station: usize, each: u64, load: f64) -> Leg {
    let at_once = at_once(&scenario.plant.stations[station]) as f64;
    let sharers = scenario.products.iter().filter(|product| product.station == station).count().max(1);
    let per_s = (each * sharers as u64) as f64 / scenario.lasts.as_secs_f64();
    let work = Duration::from_secs_f64((load * at_once / per_s).clamp(0.001, 0.15));
    Leg { station, work, spread: dice.one_of(&[Spread::Constant, Spread::Exponential, Spread::Floored]) }
}
