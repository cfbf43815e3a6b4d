//! Lies about the reserve: who has too much of it, and who is kept from it.

use super::*;

#[test]
fn more_of_the_reserve_than_one_customer_may_have() {
    let mut scene = Scene::of_a_reserve();
    scene.who_comes_is(1);
    let first = scene.passes(HORSES, Class::Protected, 1);
    scene.is_silent();
    scene.ends_and_lets(first, &[], 2);
    scene.passes(HORSES, Class::Settle, 3);
    scene.is_silent();
    scene.passes(HORSES, Class::Settle, 4);
    scene.speaks_of("reserve");
}

#[test]
fn more_of_the_reserve_than_one_customer_may_have_of_a_product_that_has_other_seats() {
    for takes_it_all in [false, true] {
        let mut scene = Scene::of_a_reserve();
        scene.orders(HORSES, Order::Open, State::Open, 0);
        scene.who_comes_is(1);
        scene.passes(HORSES, Class::Protected, 1);
        if takes_it_all {
            scene.law().lets_one_take_it_all();
        }
        scene.passes(HORSES, Class::Protected, 2);
        if takes_it_all { scene.speaks_of("seats") } else { scene.is_silent() }
    }
}

#[test]
fn somebody_who_waits_behind_those_who_have_enough_of_the_reserve() {
    let mut scene = Scene::of_a_reserve();
    scene.who_comes_is(1);
    scene.passes(HORSES, Class::Protected, 1);
    scene.waits(HORSES, Class::Protected, 1);
    scene.is_silent();
    scene.who_comes_is(2);
    scene.waits(HORSES, Class::Protected, 2);
    scene.speaks_of("reserve");
}

#[test]
fn a_no_to_somebody_for_whom_there_is_a_seat_of_the_reserve() {
    let mut scene = Scene::of_a_reserve();
    scene.who_comes_is(1);
    scene.passes(HORSES, Class::Protected, 1);
    (0..10).for_each(|ms| _ = scene.waits(HORSES, Class::Protected, 1 + ms));
    scene.is_refused(HORSES, Class::Protected, no(Refusal::QueueFull), 11);
    scene.is_silent();
    scene.who_comes_is(2);
    scene.is_refused(HORSES, Class::Protected, no(Refusal::QueueFull), 12);
    scene.speaks_of("refusal");
}

#[test]
fn somebody_who_passes_others_in_line_for_the_reserve() {
    for (before, told) in [(1, false), (3, true)] {
        let mut scene = Scene::of_a_reserve();
        scene.who_comes_is(1);
        scene.passes(HORSES, Class::Protected, 1);
        scene.who_comes_is(2);
        let second = scene.passes(HORSES, Class::Protected, 1);
        scene.who_comes_is(before);
        scene.waits(HORSES, Class::Protected, 2);
        scene.who_comes_is(4);
        let last = scene.waits(HORSES, Class::Protected, 3);
        // The first has their one seat and may be passed; the third has none, and it was their turn.
        scene.ends_and_lets(second, &[Said::Pass(last)], 4);
        if told { scene.speaks_of("oldest first") } else { scene.is_silent() }
    }
}
