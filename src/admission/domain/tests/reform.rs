//! Other settings while customers run and wait.

use super::*;

pub(super) fn settings(resources: Vec<ResourceSettings>, products: Vec<ProductSettings>) -> Settings {
    Settings { products, resources, at_once_per_customer: n(2), at_once_per_address: n(100), machines: vec![n(2)] }
}

#[test]
fn who_waits_keeps_their_place_and_who_runs_gives_back_what_they_took() {
    let mut story = Story::horses_on(1);
    let running = story.passes(HORSE, Class::Commit, 0);
    let (first, second) = (story.waits(HORSE, Class::Commit, 1), story.waits(HORSE, Class::Commit, 2));
    // Another pool from now on, behind the old one, with two seats.
    story.domain.reform(settings(vec![fixed(1), fixed(2)], vec![product(50, &[1])]), &[], at(3));
    let told = story.told();
    assert_eq!(told.admitted_places(), [first, second]);
    assert_eq!(story.domain.resources().iter().map(|pool| pool.in_use()).collect::<Vec<_>>(), [1, 2]);
    story.domain.finish(running, Outcome::Answered, at(4));
    for (_, seat) in told.admitted {
        story.domain.finish(seat, Outcome::Answered, at(5));
    }
    assert!(story.domain.resources().iter().all(|pool| pool.in_use() == 0));
    assert_eq!(story.domain.product(HORSE).in_flight(), 0);
}

#[test]
fn who_waits_is_told_when_they_were_promised_to_be_whatever_the_wait_is_now() {
    let mut story = Story::horses_on(1);
    let _running = story.passes(HORSE, Class::Commit, 0);
    let place = story.waits(HORSE, Class::Commit, 1);
    let mut longer = product(50, &[0]);
    longer.queue.longest_wait = Duration::from_secs(9);
    story.domain.reform(settings(vec![fixed(1)], vec![longer]), &[], at(500));
    let other = story.waits(HORSE, Class::Commit, 501);
    story.domain.wake(at(1_001));
    assert_eq!(story.told().refused, [(place, Refusal::WaitedTooLong)]);
    story.domain.wake(at(9_501));
    assert_eq!(story.told().refused, [(other, Refusal::WaitedTooLong)]);
}

#[test]
fn one_more_product_shares_from_then_on_and_one_that_is_gone_is_owed_nothing() {
    let mut story = Story::horses_on(4);
    let both = || vec![product(50, &[0]), product(50, &[0])];
    story.domain.reform(settings(vec![fixed(4)], both()), &[], at(0));
    let _horses = [1, 2].map(|ms| story.passes(HORSE, Class::Commit, ms));
    let sports = [3, 4].map(|ms| story.passes(SPORT, Class::Commit, ms));
    let (horse, _sport) = (story.waits(HORSE, Class::Commit, 5), story.waits(SPORT, Class::Commit, 6));
    story.domain.reform(settings(vec![fixed(4)], both()), &[SPORT], at(7));
    // What it had borrows nothing and takes nobody's turn: the next seat is the horses'.
    for seat in sports.into_iter().take(1) {
        story.domain.finish(seat, Outcome::Answered, at(8));
    }
    assert_eq!(story.told().admitted_places(), [horse]);
    assert_eq!(story.domain.resources()[0].may_hold(0), u32::MAX, "nobody is left to share with");
}

#[test]
fn a_limit_that_was_found_goes_on_and_in_another_range_from_what_was_found() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    story.domain.recall(0, 40.0);
    let found = story.domain.resources()[0].limit();
    story.domain.reform(settings(vec![climbing(8)], vec![product(50, &[0])]), &[], at(1));
    assert_eq!(story.domain.resources()[0].limit(), found);
    let wider = Range { initial: n(8), most: n(9_000), ..Range::default() };
    let wider = ResourceSettings { budget: false, limit: LimitSettings::Found(wider) };
    story.domain.reform(settings(vec![wider], vec![product(50, &[0])]), &[], at(2));
    assert_eq!(story.domain.resources()[0].limit(), found);
    story.domain.backends(0, 1, 2, at(3));
    story.domain.reform(settings(vec![fixed(10)], vec![product(50, &[0])]), &[], at(4));
    assert_eq!(story.domain.resources()[0].limit(), 5, "half of its backends are there");
    story.domain.backends(0, 2, 2, at(5));
    assert_eq!(story.domain.resources()[0].limit(), 10);
}

#[test]
fn a_closed_product_stays_closed_and_one_whose_backends_are_gone_is_down() {
    let mut story = Story::horses_on(4);
    assert!(story.domain.order(HORSE, Order::Park(ParkReason::Closed), at(0)));
    story.domain.reform(settings(vec![fixed(4)], vec![product(50, &[0]), product(50, &[0])]), &[], at(1));
    assert_eq!(story.domain.product(HORSE).state(), State::Parked(ParkReason::Closed));
    story.domain.backends(0, 0, 1, at(2));
    assert_eq!(story.domain.product(SPORT).state(), State::Down);
    // Its backends are others from now on, and those are there.
    let moved = vec![product(50, &[0]), product(50, &[1])];
    story.domain.reform(settings(vec![fixed(4), fixed(40)], moved), &[], at(3));
    assert_eq!(story.domain.product(SPORT).state(), State::Ramping);
}

#[test]
fn passes_and_promised_turns_go_on_under_other_terms() {
    let with_passes = || {
        let mut product = product(50, &[0]);
        product.passes = Some(crate::admission::settings::PassSettings::default());
        product
    };
    let mut story = Story::new(vec![fixed(2)], vec![with_passes()]);
    let _running = [1, 2].map(|ms| story.passes(HORSE, Class::Commit, ms));
    assert_eq!(story.domain.product(HORSE).passes(), 2);
    let mut fewer = with_passes();
    fewer.passes.as_mut().expect("above").most = n(2);
    fewer.reserve = n(1);
    story.domain.reform(settings(vec![fixed(3)], vec![fewer]), &[], at(3));
    assert_eq!(story.domain.product(HORSE).passes(), 2);
    let _third = story.passes(HORSE, Class::Commit, 4);
    assert_eq!(story.domain.product(HORSE).passes(), 2, "there is room for two");
    story.domain.reform(settings(vec![fixed(3)], vec![product(50, &[0])]), &[], at(5));
    assert_eq!(story.domain.product(HORSE).passes(), 0);
}
