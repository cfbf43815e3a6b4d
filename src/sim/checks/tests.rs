//! A law that lies, and what the witness says to it: no check that cannot fail.

mod liar;
mod over_time;

use std::time::Duration;

use super::Watched;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::time::at;
use crate::admission::{Class, EventKey, Order, ParkReason, ProductId, Refusal, State, Timestamp};
use crate::sim::law::{No, Notice, RequestId, Said, Word};
use liar::{HORSES, POOL, SPORT, Scene, WALLET};

/// What is said in tests when somebody is told no and nothing is wrong with the time.
fn no(why: Refusal) -> No {
    No { why: Some(why), retry_after: Some(Duration::from_secs(2)), at_the_gate: false }
}

#[test]
fn a_law_that_keeps_its_promises_hears_nothing() {
    let mut scene = Scene::new();
    let first = scene.passes(HORSES, Class::Commit, 0);
    let others: Vec<_> = (0..3).map(|_| scene.passes(HORSES, Class::Read, 1)).collect();
    let waiter = scene.waits(SPORT, Class::Commit, 2);
    scene.ends_and_lets(first, &[Said::Pass(waiter)], 3);
    others.into_iter().chain([waiter]).for_each(|request| scene.ends_and_lets(request, &[], 4));
    scene.is_silent();
}

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

#[test]
fn a_waiter_who_is_forgotten() {
    let mut scene = Scene::full();
    scene.is_silent();
    scene.law().after_next(|shown| shown.products[SPORT].waiting[Class::Read.index()] = 0);
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
fn the_lower_class_first() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Commit, 1);
    let low = scene.waits(SPORT, Class::Start, 1);
    scene.is_silent();
    scene.ends_and_lets(RequestId(0), &[Said::Pass(low)], 2);
    scene.speaks_of("higher class first");
}

#[test]
fn the_lowest_go_first_for_their_floor_and_no_more() {
    // A fifth is theirs: after five others one of them may go first.
    for (others, sound) in [(5, true), (4, false)] {
        let mut scene = Scene::full();
        let low = scene.waits(HORSES, Class::Read, 1);
        let bets: Vec<_> = (0..=others).map(|_| scene.waits(HORSES, Class::Commit, 1)).collect();
        let mut last = RequestId(0);
        for bet in bets.into_iter().take(others) {
            scene.ends_and_lets(last, &[Said::Pass(bet)], 2);
            last = bet;
        }
        scene.is_silent();
        scene.ends_and_lets(last, &[Said::Pass(low)], 3);
        if sound { scene.is_silent() } else { scene.speaks_of("floor") }
    }
}

#[test]
fn the_lowest_are_forgotten() {
    let mut scene = Scene::full();
    scene.waits(HORSES, Class::Read, 1);
    let mut last = RequestId(0);
    for nth in 0..12 {
        scene.is_silent();
        let bet = scene.waits(HORSES, Class::Commit, 2);
        scene.ends_and_lets(last, &[Said::Pass(bet)], 3 + nth);
        last = bet;
    }
    scene.speaks_of("floor");
}

#[test]
fn the_newest_first() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    let last = scene.waits(SPORT, Class::Read, 2);
    scene.is_silent();
    scene.ends_and_lets(RequestId(0), &[Said::Pass(last)], 3);
    scene.speaks_of("oldest first");
}

#[test]
fn a_newcomer_before_those_who_wait() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    scene.law().limit(POOL, 5);
    scene.passes(SPORT, Class::Read, 2);
    scene.speaks_of("oldest first");
}

#[test]
fn a_guarantee_that_is_lent_away() {
    // Four seats, half of them owed to sport, all of them with horse racing.
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    let greedy = scene.waits(HORSES, Class::Read, 1);
    scene.is_silent();
    scene.ends_and_lets(RequestId(0), &[Said::Pass(greedy)], 2);
    scene.speaks_of("guarantee");
}

#[test]
fn seats_that_somebody_waits_for_the_rest_of() {
    for (waits_as, comes_as, promise) in [
        (Class::Commit, Class::Start, Some("kept seats")),
        (Class::Commit, Class::Read, Some("floor")),
        (Class::Read, Class::Start, None),
    ] {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.passes(HORSES, Class::Read, 0);
        }
        scene.who_comes_wants(3);
        scene.waits(HORSES, waits_as, 1);
        scene.is_silent();
        scene.who_comes_wants(1);
        scene.passes(HORSES, comes_as, 2);
        promise.map_or_else(|| scene.is_silent(), |promise| scene.speaks_of(promise));
    }
}

#[test]
fn a_guarantee_that_is_lent_away_seat_by_seat() {
    // Sport is owed two of four seats and wants both; horse racing has three, and is not to take the one that is free.
    for waits_for_it in [true, false] {
        let mut scene = Scene::full();
        scene.who_comes_wants(2);
        scene.waits(SPORT, Class::Read, 1);
        scene.who_comes_wants(1);
        let greedy = scene.waits(HORSES, Class::Read, 1);
        let said = [Said::Pass(greedy)];
        scene.ends_and_lets(RequestId(0), if waits_for_it { &[] } else { &said }, 2);
        if waits_for_it { scene.is_silent() } else { scene.speaks_of("guarantee") }
    }
}

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

const RACE: EventKey = EventKey(75);

/// With a race that stops after a minute and whose closing is believed ten seconds before.
fn race() -> Scene {
    let mut scene = Scene::new();
    let entry = Entry {
        product: ProductId(HORSES as u16),
        stop: at(60_000),
        believed_before_stop: Duration::from_secs(10),
        state: EventState::Open,
    };
    scene.notices(Notice::Schedule(RACE, entry), 0);
    scene
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
