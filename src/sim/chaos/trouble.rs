//! What goes wrong, and what people do about it.

use std::time::Duration;

use super::Dice;
use super::house::cold;
use crate::admission::schedule::EventState;
use crate::admission::{Order, ParkReason, ProductId};
use crate::sim::backend::Fault;
use crate::sim::scenario::{Happening, Scenario, What};

/// Orders, signals, stops and faults at any time, in the order of time. Most troubles end; some with the run.
pub(super) fn happens(dice: &mut Dice, scenario: &mut Scenario) {
    let mut happenings = Vec::new();
    for _ in 0..dice.count(0, 6) {
        let begins = scenario.lasts.mul_f64(dice.part(0, 95));
        // Often at once, or at the same time as something else.
        let ends = begins + dice.one_of(&[0, 40, 300, 1_000, 4_000]) * Duration::from_millis(1);
        let (what, then) = trouble(dice, scenario, ends);
        happenings.push(Happening { at: begins, what });
        happenings.extend(then.map(|what| Happening { at: ends, what }));
    }
    // At the end, so that the worlds of before are what they were but for this.
    happenings.extend(observed(dice, scenario));
    happenings.extend(hints(dice, scenario));
    happenings.retain(|happening| happening.at < scenario.lasts);
    happenings.sort_by_key(|happening| happening.at);
    scenario.happenings = happenings;
}

fn trouble(dice: &mut Dice, scenario: &Scenario, ends: Duration) -> (What, Option<What>) {
    match dice.index(10) {
        0..=2 => parked(dice, scenario),
        3 => (What::Bypass(true), Some(What::Bypass(false))),
        4..=5 if !scenario.events.is_empty() => eventful(dice, scenario, ends),
        _ => faulty(dice, scenario),
    }
}

/// Observe-only for a while, or until the end.
fn observed(dice: &mut Dice, scenario: &Scenario) -> Vec<Happening> {
    if !dice.chance(20) {
        return Vec::new();
    }
    let begins = scenario.lasts.mul_f64(dice.part(0, 80));
    let ends = begins + dice.one_of(&[0, 40, 1_000, 4_000, 60_000]) * Duration::from_millis(1);
    let at = |at, on| Happening { at, what: What::Observe(on) };
    vec![at(begins, true), at(ends, false)]
}

/// What backends say of budgets: often at once or within a second, and of different minds.
fn hints(dice: &mut Dice, scenario: &Scenario) -> Vec<Happening> {
    let mut all = Vec::new();
    let resources = scenario.admission.resources.iter().enumerate();
    for (resource, _) in resources.filter(|(_, settings)| settings.budget) {
        if !dice.chance(30) {
            continue;
        }
        let mut at = scenario.lasts.mul_f64(dice.part(0, 60));
        for _ in 0..dice.count(1, 20) {
            at += dice.one_of(&[0, 1, 100, 300, 999, 1_000, 2_500, 9_999, 10_000]) * Duration::from_millis(1);
            let seats = dice.one_of(&[0, 1, 2, 3, 5, 9, 30, u32::MAX]);
            all.push(Happening { at, what: What::Hint(resource, seats) });
        }
    }
    all
}

fn parked(dice: &mut Dice, scenario: &Scenario) -> (What, Option<What>) {
    let all = dice.chance(20);
    let one = dice.index(scenario.products.len());
    let chosen = (0..scenario.products.len()).filter(|product| all || *product == one);
    let products: Vec<_> = chosen.map(|product| ProductId(product as u16)).collect();
    let reason = dice.one_of(&[ParkReason::Parked, ParkReason::Closed]);
    let back = dice.one_of(&[Order::Reopen, Order::Reopen, Order::Open, Order::Park(ParkReason::Closed)]);
    (What::Order(products.clone(), Order::Park(reason)), dice.chance(90).then_some(What::Order(products, back)))
}

fn eventful(dice: &mut Dice, scenario: &Scenario, ends: Duration) -> (What, Option<What>) {
    let event = dice.index(scenario.events.len());
    let back = What::EventOrder(event, EventState::Open);
    match dice.index(4) {
        0 => (What::Signal(event), Some(back)),
        1 => (What::EventOrder(event, EventState::Parked), Some(back)),
        2 => (What::EventOrder(event, EventState::Closed), dice.chance(50).then_some(back)),
        _ => (What::MoveStop(event, ends), None),
    }
}

fn faulty(dice: &mut Dice, scenario: &Scenario) -> (What, Option<What>) {
    let station = dice.index(scenario.plant.stations.len());
    let (fault, over) = match dice.index(6) {
        0 => (Fault::Slow(dice.part(150, 1_000)), Some(Fault::Slow(1.0))),
        1 => (Fault::Capacity(dice.part(10, 90)), Some(Fault::Capacity(1.0))),
        2 => (Fault::Lose(dice.one_of(&[10, 50, 75, 90, 100, 100])), Some(Fault::Lose(dice.one_of(&[0, 0, 0, 50])))),
        3 => (Fault::Hang(true), Some(Fault::Hang(false))),
        4 => (Fault::Fail(dice.small(5, 100)), Some(Fault::Fail(0))),
        _ => (Fault::Cold(cold(dice)), None),
    };
    let over = over.filter(|_| dice.chance(90));
    (What::Fault(station, fault), over.map(|over| What::Fault(station, over)))
}
