//! Lies about seats: too many, leaked, counted wrong.

use super::*;

#[test]
fn one_seat_too_many() {
    let mut scene = Scene::new();
    for _ in 0..4 {
        scene.passes(HORSES, Class::Read, 0);
    }
    scene.is_silent();
    scene.passes(HORSES, Class::Read, 1);
    scene.speaks_of("limit");
}

#[test]
fn the_pool_without_the_budget() {
    let mut scene = Scene::new();
    scene.law().limit(WALLET, 1);
    scene.passes(HORSES, Class::Commit, 0);
    scene.is_silent();
    scene.passes(SPORT, Class::Commit, 1);
    scene.speaks_of("limit");
}

#[test]
fn a_loan_that_nobody_earned() {
    let mut scene = Scene::of_strangers();
    // Two of four are owed, and one more is lent on trust.
    let first = scene.passes(HORSES, Class::Read, 0);
    (0..2).for_each(|_| _ = scene.passes(HORSES, Class::Read, 0));
    scene.is_silent();
    scene.ends_and_lets(first, &[], 5);
    // It came back in time: that is one more.
    (0..2).for_each(|_| _ = scene.passes(HORSES, Class::Read, 6));
    scene.is_silent();
    let mut scene = Scene::of_strangers();
    (0..4).for_each(|_| _ = scene.passes(HORSES, Class::Read, 0));
    scene.speaks_of("trust");
}

#[test]
fn more_of_the_reserve_than_there_is() {
    let mut scene = Scene::new();
    scene.orders(HORSES, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 0);
    scene.passes(HORSES, Class::Protected, 1);
    scene.passes(HORSES, Class::Settle, 1);
    scene.is_silent();
    scene.passes(HORSES, Class::Settle, 1);
    scene.speaks_of("state");
}

#[test]
fn a_leaked_seat_and_one_given_back_twice() {
    for wrong in [3, 1] {
        let mut scene = Scene::new();
        let requests: Vec<_> = (0..3).map(|_| scene.passes(HORSES, Class::Read, 0)).collect();
        scene.is_silent();
        scene.law().after_next(move |shown| shown.resources[POOL].in_use = wrong);
        scene.ends_and_lets(requests[0], &[], 1);
        scene.speaks_of("seats");
    }
}

#[test]
fn a_product_that_counts_wrong() {
    let mut scene = Scene::new();
    scene.law().after_next(|shown| shown.products[HORSES].in_flight = 2);
    scene.passes(HORSES, Class::Read, 0);
    scene.speaks_of("seats");
}
