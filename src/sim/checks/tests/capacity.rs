//! Lies about what backends can bear: hints that go unheard, backends that are gone and come back.

use super::*;

/// A scene whose wallet's limit is looked for, and whose wallet has so many seats now.
fn hinted(seats: u32, limit: u32, ms: u64, scene: &mut Scene) {
    scene.law().limit(WALLET, limit);
    scene.notices(Notice::Hint { resource: WALLET, seats }, ms);
}

#[test]
fn a_limit_that_does_not_heed_what_the_backend_says() {
    // An operator gave it four.
    let mut scene = Scene::new();
    hinted(9, 4, 0, &mut scene);
    scene.is_silent();
    hinted(9, 9, 1, &mut scene);
    scene.speaks_of("hint");
    let mut scene = Scene::whose_wallet_is_looked_for();
    for (seats, limit, ms) in [(9, 9, 0), (6, 6, 100), (8, 6, 300), (7, 6, 1_099), (8, 7, 1_100), (100, 7, 1_200)] {
        hinted(seats, limit, ms, &mut scene);
        scene.is_silent();
    }
    let mut bolder = Scene::whose_wallet_is_looked_for();
    hinted(6, 6, 0, &mut bolder);
    hinted(8, 8, 999, &mut bolder);
    bolder.speaks_of("hint");
    let mut deaf = Scene::whose_wallet_is_looked_for();
    hinted(6, 5, 0, &mut deaf);
    deaf.speaks_of("hint");
    // Within the range, and only while it is fresh.
    let mut scene = Scene::whose_wallet_is_looked_for();
    hinted(0, 2, 0, &mut scene);
    hinted(u32::MAX, 50, 2_000, &mut scene);
    scene.law().limit(WALLET, 33);
    scene.wakes(&[], 12_000);
    scene.is_silent();
}

fn has_backends(scene: &mut Scene, healthy: u32, ms: u64) {
    scene.notices(Notice::Backends { pool: POOL, healthy, of: 4 }, ms);
}

#[test]
fn a_limit_that_does_not_follow_its_backends() {
    for (seats, knee, told) in [(3, 30.0, true), (4, 30.0, false), (3, 40.0, false)] {
        let mut scene = Scene::new();
        scene.law().after_next(|shown| shown.resources[POOL].knee = Some(40.0));
        scene.wakes(&[], 0);
        scene.law().after_next(move |shown| {
            shown.resources[POOL].limit = seats;
            shown.resources[POOL].knee = Some(knee);
        });
        has_backends(&mut scene, 3, 1);
        if told { scene.is_silent() } else { scene.speaks_of("backends") }
    }
}

/// Nobody is there to serve either product.
fn down() -> Scene {
    let mut scene = Scene::new();
    scene.law().after_next(|shown| shown.products.iter_mut().for_each(|product| product.state = State::Down));
    has_backends(&mut scene, 0, 1);
    scene
}

#[test]
fn a_product_without_backends_that_goes_on_and_one_that_is_down_for_nothing() {
    let mut scene = Scene::new();
    has_backends(&mut scene, 0, 1);
    scene.speaks_of("state");
    let mut scene = Scene::new();
    scene.law().after_next(|shown| shown.products[SPORT].state = State::Down);
    has_backends(&mut scene, 1, 1);
    scene.speaks_of("state");
    let mut scene = down();
    scene.is_refused(SPORT, Class::Read, no(Refusal::NoBackend), 2);
    scene.passes(SPORT, Class::Settle, 3);
    scene.is_silent();
    scene.passes(SPORT, Class::Read, 4);
    scene.speaks_of("forbidden");
}

#[test]
fn backends_that_return_without_a_ramp_or_open_what_was_parked() {
    let mut scene = down();
    scene.law().limit(POOL, 100);
    scene.law().limit(WALLET, 100);
    scene.law().after_next(|shown| shown.products.iter_mut().for_each(|product| product.state = State::Open));
    has_backends(&mut scene, 4, 2);
    scene.speaks_of("ramp");
    let mut scene = down();
    scene.orders(HORSES, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 2);
    scene.orders(SPORT, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 2);
    scene.is_silent();
    scene.law().after_next(|shown| shown.products[SPORT].state = State::Open);
    has_backends(&mut scene, 4, 3);
    scene.speaks_of("state");
}
