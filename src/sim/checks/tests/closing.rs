//! Lies about products that are parked and races that are closed.

use super::*;

#[test]
fn a_park_that_is_ignored() {
    let mut scene = Scene::new();
    scene.orders(HORSES, Order::Park(ParkReason::Closed), State::Parked(ParkReason::Closed), 0);
    scene.is_silent();
    scene.passes(HORSES, Class::Commit, 1);
    scene.speaks_of("forbidden");
}

#[test]
fn a_park_that_does_not_show_and_one_that_nobody_ordered() {
    let mut scene = Scene::new();
    scene.orders(HORSES, Order::Park(ParkReason::Parked), State::Open, 0);
    scene.speaks_of("state");
    let mut scene = Scene::new();
    scene.law().after_next(|shown| shown.products[SPORT].state = State::Draining(ParkReason::Parked));
    scene.wakes(&[], 1);
    scene.speaks_of("state");
}

#[test]
fn a_product_that_counts_as_parked_with_bets_in_flight() {
    let mut scene = Scene::full();
    scene.orders(HORSES, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 1);
    scene.speaks_of("state");
}

#[test]
fn somebody_who_still_waits_in_a_parked_product() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    scene.orders(SPORT, Order::Park(ParkReason::Parked), State::Parked(ParkReason::Parked), 2);
    scene.speaks_of("state");
}

#[test]
fn a_bet_after_the_stop_and_one_on_a_race_that_is_paused_or_closed() {
    race().bets(RACE, Word::Pass, 59_999).is_silent();
    race().bets(RACE, Word::Pass, 60_000).speaks_of("forbidden");
    for (signalled, name) in [(20_000, Refusal::EventParked), (50_000, Refusal::EventClosed)] {
        let mut scene = race();
        scene.notices(Notice::Signal(RACE), signalled);
        scene.bets(RACE, Word::Pass, signalled + 1).speaks_of("forbidden");
        let mut scene = race();
        scene.notices(Notice::Signal(RACE), signalled);
        let retry_after = (name == Refusal::EventParked).then_some(Duration::from_secs(2));
        scene.bets(RACE, Word::Refuse(No { retry_after, ..no(name) }), signalled + 1).is_silent();
    }
}

#[test]
fn a_stop_that_was_moved_and_is_still_the_old_one() {
    let mut scene = race();
    scene.notices(Notice::MoveStop(RACE, at(30_000)), 1);
    scene.bets(RACE, Word::Pass, 30_000).speaks_of("forbidden");
}
