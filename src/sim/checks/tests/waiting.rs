//! Lies to those who wait: forgotten, told twice, told too late or too early.

use super::*;

#[test]
fn a_waiter_who_is_forgotten() {
    let mut scene = Scene::full();
    scene.is_silent();
    scene.law().after_next(|shown| shown.products[SPORT].waiting[Rank::Read.index()] = 0);
    scene.waits(SPORT, Class::Read, 1);
    scene.speaks_of("waiters");
}

#[test]
fn a_second_word_to_somebody_who_has_left() {
    let mut scene = Scene::full();
    let waiter = scene.waits(SPORT, Class::Read, 1);
    scene.leaves(waiter, 2);
    scene.is_silent();
    scene.wakes(&[Said::Refuse(waiter, no(Refusal::WaitedTooLong))], 3);
    scene.speaks_of("once");
}

#[test]
fn somebody_who_waits_too_long() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    scene.wakes(&[], 1000);
    scene.is_silent();
    scene.law().next_wake(at(1500));
    scene.wakes(&[], 1001);
    scene.speaks_of("longest wait");
}

#[test]
fn somebody_who_is_sent_away_too_early() {
    let mut scene = Scene::full();
    let waiter = scene.waits(SPORT, Class::Read, 1);
    scene.wakes(&[Said::Refuse(waiter, no(Refusal::WaitedTooLong))], 999);
    scene.speaks_of("refusal");
}

#[test]
fn a_wake_that_comes_after_the_deadline_or_never() {
    for wake in [Some(at(1002)), None] {
        let mut scene = Scene::full();
        scene.law().wake = wake;
        scene.waits_as_it_is(SPORT, Class::Read, 1);
        scene.speaks_of("wake");
    }
}

#[test]
fn a_wake_that_was_asked_for_and_slept_through() {
    let mut scene = Scene::full();
    scene.law().next_wake(at(10));
    scene.wakes(&[], 5);
    scene.is_silent();
    scene.wakes(&[], 11);
    scene.speaks_of("wake");
}

#[test]
fn a_law_that_goes_round_in_circles() {
    let mut scene = Scene::full();
    scene.law().next_wake(Timestamp::ZERO);
    (0..20).for_each(|_| scene.wakes(&[], 1));
    scene.speaks_of("wake");
}

#[test]
fn somebody_who_waits_for_nothing() {
    let mut scene = Scene::new();
    scene.waits(SPORT, Class::Read, 1);
    scene.speaks_of("work conservation");
}

#[test]
fn a_sleep_in_which_another_comes_to_have_the_next_turn() {
    // One seat is free, and kept for who reads and wants two; a tenth of a second later it is the newest who goes first.
    for (ms, sound) in [(100, true), (101, false)] {
        let mut scene = Scene::new();
        let _bets = [0; 3].map(|_| scene.passes(HORSES, Class::Commit, 0));
        scene.who_comes_wants(2);
        scene.waits(HORSES, Class::Read, 1);
        scene.who_comes_wants(1);
        scene.waits(HORSES, Class::Read, 2);
        scene.wakes(&[], ms);
        if sound { scene.is_silent() } else { scene.speaks_of("wake") }
    }
}
