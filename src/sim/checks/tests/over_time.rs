//! Lies that show only over time: ramps and shares.

use std::collections::VecDeque;

use super::*;

/// Parked, empty, and reopened after a second with a known knee.
fn reopened(knee: Option<f64>, ceiling: u32) -> Scene {
    let mut scene = Scene::new();
    scene.law().limit(POOL, 100);
    scene.law().limit(WALLET, 100);
    scene.law().after_next(move |shown| shown.resources[POOL].knee = knee);
    scene.wakes(&[], 0);
    scene.orders(HORSES, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 1);
    scene.law().after_next(move |shown| {
        shown.products[HORSES].state = State::Ramping;
        shown.products[HORSES].ramp_seats = Some(ceiling);
    });
    scene.reopens(HORSES, 1000);
    scene
}

fn ceiling_at(scene: &mut Scene, ceiling: u32, ms: u64) {
    scene.law().after_next(move |shown| shown.products[HORSES].ramp_seats = Some(ceiling));
    scene.wakes(&[], ms);
}

#[test]
fn a_ramp_that_is_skipped() {
    let mut scene = reopened(None, 4);
    scene.is_silent();
    scene.law().after_next(|shown| {
        shown.products[HORSES].state = State::Open;
        shown.products[HORSES].ramp_seats = None;
    });
    scene.wakes(&[], 1001);
    scene.speaks_of("ramp");
}

#[test]
fn a_ramp_may_end_when_the_limit_binds_before_it_or_nobody_needs_it() {
    for (limit, ms) in [(4, 1001), (100, 3000)] {
        let mut scene = reopened(None, 4);
        scene.law().limit(POOL, limit);
        scene.law().after_next(|shown| {
            shown.products[HORSES].state = State::Open;
            shown.products[HORSES].ramp_seats = None;
        });
        scene.wakes(&[], ms);
        scene.is_silent();
    }
}

#[test]
fn a_ramp_that_begins_too_high() {
    reopened(None, 4).is_silent();
    reopened(None, 5).speaks_of("ramp");
    reopened(Some(40.0), 20).is_silent();
    reopened(Some(40.0), 21).speaks_of("ramp");
}

#[test]
fn a_ramp_that_doubles() {
    let mut scene = reopened(None, 4);
    ceiling_at(&mut scene, 6, 1050);
    scene.is_silent();
    ceiling_at(&mut scene, 10, 1100);
    scene.speaks_of("ramp");
}

#[test]
fn a_ramp_that_waits_and_then_leaps() {
    let mut scene = reopened(None, 4);
    ceiling_at(&mut scene, 4, 1900);
    ceiling_at(&mut scene, 7, 2000);
    scene.is_silent();
    ceiling_at(&mut scene, 13, 2100);
    scene.speaks_of("ramp");
}

#[test]
fn a_ramp_that_waits_and_then_makes_two_steps_at_once() {
    let mut scene = reopened(None, 4);
    ceiling_at(&mut scene, 6, 2000);
    ceiling_at(&mut scene, 4, 2010);
    scene.is_silent();
    ceiling_at(&mut scene, 6, 2059);
    scene.speaks_of("ramp");
}

#[test]
fn a_ramp_that_grows_too_soon() {
    let mut scene = reopened(None, 4);
    ceiling_at(&mut scene, 6, 1049);
    scene.speaks_of("ramp");
}

#[test]
fn a_ceiling_that_does_not_bind() {
    let mut scene = reopened(None, 4);
    for _ in 0..4 {
        scene.passes(HORSES, Class::Read, 1001);
    }
    scene.is_silent();
    scene.passes(HORSES, Class::Read, 1002);
    scene.speaks_of("ramp");
}

#[test]
fn a_ramp_that_nobody_asked_for() {
    let mut scene = Scene::new();
    scene.law().after_next(|shown| {
        shown.products[SPORT].state = State::Ramping;
        shown.products[SPORT].ramp_seats = Some(4);
    });
    scene.wakes(&[], 1);
    scene.speaks_of("ramp");
}

#[test]
fn a_race_whose_crowd_comes_back_without_a_ramp() {
    let mut scene = race();
    scene.law().limit(POOL, 100);
    scene.law().limit(WALLET, 100);
    scene.notices(Notice::EventOrder(RACE, EventState::Parked), 1);
    scene.is_silent();
    scene.notices(Notice::EventOrder(RACE, EventState::Open), 2);
    scene.speaks_of("ramp");
}

/// Both products want all there is, everything takes a tenth of a second, and whose turn it is next is `turns`'s choice.
fn contended(turns: impl Fn(u64) -> usize) -> Scene {
    let mut scene = Scene::full();
    let mut running: VecDeque<_> = (0..4).map(RequestId).collect();
    let mut lines: [VecDeque<_>; 2] =
        [HORSES, SPORT].map(|product| (0..2).map(|_| scene.waits(product, Class::Read, 0)).collect());
    for turn in 1..200 {
        let (ms, next) = (turn * 25, turns(turn));
        scene.law().next_wake(at(ms));
        let passes = lines[next].pop_front().expect("two wait");
        scene.ends_and_lets(running.pop_front().expect("four run"), &[Said::Pass(passes)], ms);
        running.push_back(passes);
        lines[next].push_back(scene.waits_as_it_is(next, Class::Read, ms));
        scene.law().next_wake(at(ms + 25));
        scene.wakes(&[], ms);
    }
    scene
}

#[test]
fn a_share_that_is_not_given() {
    contended(|turn| (turn % 2) as usize).is_not_told("share");
    contended(|turn| usize::from(turn % 8 == 0)).speaks_of("share");
}

/// Ramping with these ceilings, a hundred milliseconds apart.
fn ceilings(scene: &mut Scene, from_ms: u64, ceilings: &[u32], frozen: bool) {
    for (nth, ceiling) in ceilings.iter().copied().enumerate() {
        scene.law().after_next(move |shown| {
            shown.products[HORSES].ramp_seats = Some(ceiling);
            shown.products[HORSES].ramp_frozen = frozen;
        });
        scene.wakes(&[], from_ms + 100 * nth as u64);
    }
}

#[test]
fn a_ramp_that_steps_back_three_times_and_goes_on_as_if_nothing_were() {
    let up_and_down = [30, 21, 31, 22, 33];
    let mut scene = reopened(Some(40.0), 20);
    ceilings(&mut scene, 1100, &up_and_down, false);
    scene.is_silent();
    ceilings(&mut scene, 1600, &[23], false);
    scene.speaks_of("frozen");
    let mut scene = reopened(Some(40.0), 20);
    ceilings(&mut scene, 1100, &up_and_down, false);
    ceilings(&mut scene, 1600, &[23, 23], true);
    ceilings(&mut scene, 61_600, &[27], true);
    scene.is_silent();
    ceilings(&mut scene, 121_500, &[32], true);
    scene.speaks_of("frozen");
}

#[test]
fn a_ramp_that_an_operator_lets_go_on_may_step_back_again() {
    let mut scene = reopened(Some(40.0), 20);
    ceilings(&mut scene, 1100, &[30, 21, 31, 22, 33], false);
    ceilings(&mut scene, 1600, &[23], true);
    scene.law().after_next(|shown| shown.products[HORSES].ramp_frozen = false);
    scene.reopens(HORSES, 1700);
    ceilings(&mut scene, 1800, &[34, 24], false);
    scene.is_silent();
}
