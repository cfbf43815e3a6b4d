//! Lies about the no itself: its name, its time to come back, whom it hits.

use super::*;

#[test]
fn a_wrong_name_for_a_no() {
    for why in [Refusal::Closed, Refusal::QueueFull, Refusal::OverCustomerShare, Refusal::WaitedTooLong] {
        let mut scene = Scene::new();
        scene.is_refused(HORSES, Class::Read, no(why), 0);
        scene.speaks_of("refusal");
    }
    let mut scene = Scene::new();
    scene.is_refused(HORSES, Class::Read, No::BARE, 0);
    scene.speaks_of("refusal");
}

#[test]
fn a_line_that_is_full_too_soon() {
    // Of one seat, as many as that and four times its root may always wait.
    for (waiting, sound) in [(4, false), (5, true)] {
        let mut scene = Scene::full();
        scene.law().limit(POOL, 1);
        (0..waiting).for_each(|_| _ = scene.waits(SPORT, Class::Read, 1));
        scene.is_silent();
        scene.is_refused(SPORT, Class::Read, no(Refusal::QueueFull), 2);
        if sound { scene.is_silent() } else { scene.speaks_of("refusal") }
    }
}

#[test]
fn a_line_that_is_longer_than_it_may_be() {
    let mut scene = Scene::full();
    for _ in 0..10 {
        scene.waits(SPORT, Class::Read, 1);
    }
    scene.is_silent();
    scene.waits(SPORT, Class::Read, 2);
    scene.speaks_of("length");
}

#[test]
fn room_made_by_the_wrong_one() {
    for (displaced, sound) in [(0, false), (1, false), (2, true)] {
        let mut scene = Scene::full();
        let waiters = [
            scene.waits(SPORT, Class::Read, 1),
            scene.waits(SPORT, Class::Background, 1),
            scene.waits(SPORT, Class::Background, 2),
        ];
        scene.law().says(&[Said::Refuse(waiters[displaced], no(Refusal::QueueFull))]);
        scene.waits(SPORT, Class::Commit, 3);
        if sound { scene.is_silent() } else { scene.speaks_of("refusal") }
    }
}

#[test]
fn a_time_to_come_back_that_is_none() {
    let told = [None, Some(Duration::ZERO), Some(Duration::from_millis(1500)), Some(Duration::from_secs(31))];
    for retry_after in told {
        let mut scene = Scene::full();
        let waiter = scene.waits(SPORT, Class::Read, 1);
        let no = No { retry_after, ..no(Refusal::WaitedTooLong) };
        scene.wakes(&[Said::Refuse(waiter, no)], 1001);
        scene.speaks_of("retry-after");
    }
}

#[test]
fn one_customer_who_fills_the_queue() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    scene.who_comes_is(77);
    for _ in 0..3 {
        scene.waits(SPORT, Class::Read, 2);
    }
    scene.is_silent();
    scene.waits(SPORT, Class::Read, 3);
    scene.speaks_of("customer share");
}

#[test]
fn bypass_turns_nobody_away() {
    let mut scene = Scene::full();
    scene.law().after_next(|_| {});
    scene.notices(Notice::Bypass(true), 1);
    scene.passes(HORSES, Class::Read, 2);
    scene.is_silent();
    scene.is_refused(HORSES, Class::Read, no(Refusal::QueueFull), 3);
    scene.speaks_of("refusal");
}
