//! Open, draining, parked, ramping, open; and everything off at once.

use super::*;

const PARK: Order = Order::Park(ParkReason::Parked);
const CLOSE: Order = Order::Park(ParkReason::Closed);

/// Ends `seat`, and every seat that this lets through, one `apart_ms` after the other, `count` times in all.
/// Returns what is held at the end, and the most seats the ramp allowed while it lasted.
fn serve(story: &mut Story, mut held: Vec<Seat>, from_ms: u64, apart_ms: u64, count: u64) -> (Vec<Seat>, u32) {
    let mut most = 0;
    for nth in 0..count {
        let seat = held.remove(0);
        let told = story.ends(seat, from_ms + nth * apart_ms);
        held.extend(told.admitted.into_iter().map(|(_, seat)| seat));
        if let Some(ceiling) = story.domain.product(HORSE).ramp_seats() {
            assert!(story.domain.product(HORSE).in_flight() <= ceiling);
            most = most.max(ceiling);
        }
    }
    (held, most)
}

#[test]
fn parking_tells_those_who_wait_and_come_and_cuts_nothing_in_flight() {
    let mut story = Story::horses_on(2);
    let held = [story.passes(HORSE, Class::Commit, 0), story.passes(HORSE, Class::Read, 0)];
    let waiter = story.waits(HORSE, Class::Commit, 1);
    let told = story.orders(HORSE, PARK, 2);
    assert_eq!(told.refused, [(waiter, Refusal::Parked)]);
    assert_eq!(story.state(HORSE), State::Draining(ParkReason::Parked));
    assert_eq!(story.is_refused(HORSE, Class::Commit, 3), Refusal::Parked);
    let [bet, odds] = held;
    story.ends(odds, 4);
    assert_eq!(story.state(HORSE), State::Draining(ParkReason::Parked));
    story.ends(bet, 5);
    assert_eq!(story.state(HORSE), State::Parked(ParkReason::Parked));
    assert_eq!(story.is_refused(HORSE, Class::Read, 6), Refusal::Parked);
    assert!(story.is_empty());
}

#[test]
fn a_closed_product_says_closed_and_a_paused_one_says_parked() {
    let mut story = Story::horses_on(2);
    story.orders(HORSE, CLOSE, 0);
    assert_eq!(story.is_refused(HORSE, Class::Commit, 1), Refusal::Closed);
    assert!(!story.domain.order(HORSE, CLOSE, at(2)));
    assert!(story.domain.order(HORSE, PARK, at(2)));
    assert_eq!(story.is_refused(HORSE, Class::Commit, 3), Refusal::Parked);
    assert!(!story.domain.order(HORSE, PARK, at(4)));
}

#[test]
fn other_products_do_not_notice_that_one_is_parked() {
    let mut story = Story::new(vec![fixed(4)], vec![product(50, &[0]), product(50, &[0])]);
    let horse: Vec<Seat> = (0..2).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    let sport: Vec<Seat> = (0..2).map(|_| story.passes(SPORT, Class::Commit, 0)).collect();
    let waiter = story.waits(SPORT, Class::Read, 1);
    assert!(story.orders(HORSE, PARK, 2).refused.is_empty());
    assert_eq!(story.state(SPORT), State::Open);
    // What horse racing gives back is lent to sport.
    let mut admitted = Vec::new();
    for seat in horse.into_iter().chain(sport) {
        admitted.extend(story.ends(seat, 3).admitted_places());
    }
    assert_eq!(admitted, [waiter]);
    let _bet = story.passes(SPORT, Class::Commit, 4);
}

#[test]
fn protected_and_settle_are_served_from_their_reserve_in_every_state() {
    let mut story = Story::horses_on(1);
    let busy = story.passes(HORSE, Class::Commit, 0);
    for order in [None, Some(PARK), Some(CLOSE)] {
        if let Some(order) = order {
            story.orders(HORSE, order, 1);
        }
        let seats = [story.passes(HORSE, Class::Protected, 2), story.passes(HORSE, Class::Settle, 2)];
        assert_eq!(story.domain.product(HORSE).reserve_in_use(), 2);
        // Beyond the reserve they wait; they are not refused for the state.
        let third = story.waits(HORSE, Class::Protected, 3);
        let [first, second] = seats;
        let told = story.ends(first, 4);
        assert_eq!(told.admitted_places(), [third]);
        story.ends(second, 5);
        for (_, seat) in told.admitted {
            story.ends(seat, 6);
        }
    }
    assert_eq!(story.state(HORSE), State::Draining(ParkReason::Closed));
    story.ends(busy, 7);
    // In the reserve or not, they keep nobody from being parked.
    assert_eq!(story.state(HORSE), State::Parked(ParkReason::Closed));
    let _settled = story.passes(HORSE, Class::Settle, 8);
}

#[test]
fn reopening_ramps_never_exceeds_the_ramp_and_ends() {
    let mut story = Story::horses_on(40);
    story.orders(HORSE, PARK, 0);
    assert_eq!(story.state(HORSE), State::Parked(ParkReason::Parked));
    let told = story.orders(HORSE, Order::Reopen, 100);
    assert!(matches!(told.notes[..], [Event::StateChanged { to: State::Ramping, .. }]));
    // Half of what the operator gave.
    let first: Vec<Seat> = (0..20).map(|_| story.passes(HORSE, Class::Commit, 100)).collect();
    for _ in 0..60 {
        story.waits(HORSE, Class::Commit, 100);
    }
    let (held, most) = serve(&mut story, first, 110, 4, 50);
    assert!((30..40).contains(&most), "{most}");
    assert_eq!(story.state(HORSE), State::Ramping);
    // Healthy answers all the way: the ramp is over once the limit binds before it does.
    let mut held = held;
    for round in 0..20 {
        for _ in 0..60 {
            if let Verdict::Proceed(seat) = story.asks(HORSE, Class::Commit, 300 + round * 100) {
                held.push(seat);
            }
        }
        held = serve(&mut story, held, 300 + round * 100, 2, 40).0;
    }
    assert_eq!(story.state(HORSE), State::Open);
    assert_eq!(story.domain.product(HORSE).ramp_seats(), None);
    assert_eq!(story.domain.product(HORSE).in_flight(), 40);
}

#[test]
fn a_backend_that_hangs_after_reopening_is_not_given_everybody() {
    let mut story = Story::horses_on(400);
    story.orders(HORSE, PARK, 0);
    story.orders(HORSE, Order::Reopen, 100);
    let _hang: Vec<Seat> = (0..200).map(|_| story.passes(HORSE, Class::Commit, 100)).collect();
    // A customer every 100 ms for ten seconds: nothing comes back, so nothing more may go out.
    for tenth in 1..=100 {
        story.waits(HORSE, Class::Commit, 100 + tenth * 100);
        assert!(story.sleeps_until(199 + tenth * 100).admitted.is_empty(), "after {tenth} tenths of a second");
    }
    assert_eq!(story.state(HORSE), State::Ramping);
}

#[test]
fn a_ramp_that_holds_nobody_up_ends_by_itself() {
    let mut story = Story::horses_on(400);
    story.orders(HORSE, PARK, 0);
    story.orders(HORSE, Order::Reopen, 100);
    let quiet = story.passes(HORSE, Class::Commit, 200);
    story.ends(quiet, 210);
    story.sleeps_until(2099);
    assert_eq!(story.state(HORSE), State::Ramping);
    story.sleeps_until(2100);
    assert_eq!(story.state(HORSE), State::Open);
    assert_eq!(story.domain.next_wake(), None);
}

#[test]
fn the_ramp_begins_at_half_of_a_known_knee_or_at_what_is_held() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    story.domain.recall(0, 60.0);
    story.orders(HORSE, PARK, 0);
    story.orders(HORSE, Order::Reopen, 1);
    assert_eq!(story.domain.product(HORSE).ramp_seats(), Some(30));
    // Reopened while 35 are still in flight: they are not counted against those who wait.
    story.orders(HORSE, Order::Open, 2);
    let _held: Vec<Seat> = (0..35).map(|_| story.passes(HORSE, Class::Read, 3)).collect();
    story.orders(HORSE, PARK, 4);
    assert_eq!(story.state(HORSE), State::Draining(ParkReason::Parked));
    story.orders(HORSE, Order::Reopen, 5);
    assert_eq!(story.domain.product(HORSE).ramp_seats(), Some(35));
}

#[test]
fn an_order_to_open_skips_the_ramp() {
    let mut story = Story::horses_on(40);
    story.orders(HORSE, PARK, 0);
    story.orders(HORSE, Order::Open, 1);
    assert_eq!(story.state(HORSE), State::Open);
    let seats: Vec<Seat> = (0..40).map(|_| story.passes(HORSE, Class::Read, 2)).collect();
    assert_eq!(seats.len(), 40);
    assert!(!story.domain.order(HORSE, Order::Open, at(3)));
    assert!(!story.domain.order(HORSE, Order::Reopen, at(3)));
}

#[test]
fn a_restart_while_parked_comes_up_parked() {
    for state in [State::Parked(ParkReason::Closed), State::Draining(ParkReason::Closed)] {
        let mut story = Story::horses_on(4);
        story.domain.restore(HORSE, state, at(0));
        assert_eq!(story.state(HORSE), State::Parked(ParkReason::Closed));
        assert_eq!(story.is_refused(HORSE, Class::Commit, 0), Refusal::Closed);
        let served = story.passes(HORSE, Class::Protected, 0);
        story.ends(served, 1);
        story.orders(HORSE, Order::Reopen, 2);
        assert!(matches!(story.state(HORSE), State::Ramping | State::Open));
    }
}

#[test]
fn bypass_lets_everybody_through_and_counts_them_so_that_it_can_be_taken_back() {
    let mut story = Story::horses_on(40);
    let mut held: Vec<Seat> = (0..40).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    let waiting: Vec<Place> = (0..65).map(|_| story.waits(HORSE, Class::Commit, 2)).collect();
    story.domain.bypass(true, at(3));
    assert!(story.domain.is_bypassed());
    // Those who wait pass as well, more than one call lets through.
    let told = story.sleeps_until(3);
    assert_eq!(told.admitted_places(), waiting);
    held.extend(told.admitted.into_iter().map(|(_, seat)| seat));
    story.orders(HORSE, PARK, 4);
    held.extend((0..10).map(|_| story.passes(HORSE, Class::Background, 5)));
    assert_eq!(story.domain.resources()[0].in_use(), 115);
    story.domain.bypass(false, at(6));
    assert_eq!(story.is_refused(HORSE, Class::Commit, 7), Refusal::Parked);
    story.orders(HORSE, Order::Open, 8);
    let waiter = story.waits(HORSE, Class::Commit, 9);
    while held.len() > 40 {
        let seat = held.pop().expect("more than 40");
        assert!(story.ends(seat, 10).admitted.is_empty());
    }
    let seat = held.pop().expect("40 are left");
    assert_eq!(story.ends(seat, 11).admitted_places(), [waiter]);
}

#[test]
fn going_down_tells_everybody_who_waits_or_would_have_to_and_serves_the_others() {
    let mut story = Story::horses_on(1);
    let seat = story.passes(HORSE, Class::Commit, 0);
    let waiter = story.waits(HORSE, Class::Commit, 1);
    story.domain.shut_down(at(2));
    assert_eq!(story.told().refused, [(waiter, Refusal::ShuttingDown)]);
    assert_eq!(story.is_refused(HORSE, Class::Commit, 3), Refusal::ShuttingDown);
    story.ends(seat, 4);
    let seat = story.passes(HORSE, Class::Commit, 5);
    story.ends(seat, 6);
    assert!(story.is_empty());
}

#[test]
fn the_limit_and_what_is_known_follow_the_backends_that_are_there() {
    let mut story = Story::new(vec![fixed(40), climbing(8)], vec![product(50, &[0, 1])]);
    story.domain.recall(1, 60.0);
    let seen = |story: &Story| (story.domain.resources()[0].limit(), story.domain.resources()[1].knee());
    for (healthy, limit, knee) in [(3, 30, 45.0), (1, 10, 15.0), (1, 10, 15.0), (2, 20, 30.0), (4, 40, 60.0)] {
        story.domain.backends(0, healthy, 4, at(1));
        story.domain.backends(1, healthy, 4, at(1));
        let (seats, known) = seen(&story);
        assert_eq!(seats, limit);
        assert!(known.is_some_and(|known| (known - knee).abs() < 1e-9), "{known:?} with {healthy}");
        assert!(story.domain.resources()[1].whole_knee().is_some_and(|whole| (whole - 60.0).abs() < 1e-9));
    }
    assert_eq!(story.state(HORSE), State::Open);
}

#[test]
fn when_every_backend_is_gone_those_who_wait_and_come_are_told_so_and_money_in_motion_is_still_tried() {
    let mut story = Story::horses_on(2);
    let held = [story.passes(HORSE, Class::Commit, 0), story.passes(HORSE, Class::Read, 0)];
    let waiter = story.waits(HORSE, Class::Commit, 1);
    story.domain.backends(0, 0, 4, at(2));
    let told = story.told();
    assert_eq!(told.refused, [(waiter, Refusal::NoBackend)]);
    assert!(matches!(told.notes[..], [Event::StateChanged { from: State::Open, to: State::Down, .. }]));
    assert_eq!(story.is_refused(HORSE, Class::Read, 3), Refusal::NoBackend);
    let tried = [story.passes(HORSE, Class::Protected, 3), story.passes(HORSE, Class::Settle, 3)];
    for seat in held.into_iter().chain(tried) {
        story.domain.finish(seat, Outcome::Failed, at(4));
    }
    assert_eq!(story.state(HORSE), State::Down);
    assert_eq!(story.domain.resources()[0].limit(), 2, "nothing is divided by nothing");
    assert!(story.is_empty());
}

#[test]
fn the_return_of_the_backends_is_a_reopening_from_half_of_what_is_there() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    story.domain.recall(0, 80.0);
    story.domain.backends(0, 0, 4, at(1));
    story.told();
    story.domain.backends(0, 2, 4, at(1000));
    let notes = story.told().notes;
    assert!(matches!(notes[..], [Event::StateChanged { from: State::Down, to: State::Ramping, .. }]), "{notes:?}");
    assert_eq!(story.domain.product(HORSE).ramp_seats(), Some(20));
}

#[test]
fn a_return_never_opens_what_a_person_has_shut_and_no_order_opens_what_is_not_there() {
    for (order, refusal) in [(PARK, Refusal::Parked), (CLOSE, Refusal::Closed)] {
        // Before the outage, or within it.
        for early in [true, false] {
            let mut story = Story::horses_on(40);
            story.domain.backends(0, u32::from(early), 1, at(1));
            assert!(story.domain.order(HORSE, order, at(2)));
            story.domain.backends(0, 0, 1, at(3));
            assert_eq!(story.is_refused(HORSE, Class::Commit, 4), refusal);
            story.domain.backends(0, 1, 1, at(5));
            assert_eq!(story.is_refused(HORSE, Class::Commit, 6), refusal);
        }
    }
    for order in [Order::Reopen, Order::Open] {
        let mut story = Story::horses_on(40);
        story.orders(HORSE, PARK, 1);
        story.domain.backends(0, 0, 1, at(2));
        story.orders(HORSE, order, 3);
        assert_eq!(story.state(HORSE), State::Down);
        assert!(!story.domain.order(HORSE, order, at(4)));
        story.domain.backends(0, 1, 1, at(5));
        assert_eq!(story.state(HORSE), State::Ramping);
    }
}

#[test]
fn a_product_is_not_down_when_the_backends_of_another_are() {
    let mut story = Story::new(vec![fixed(4), fixed(4), budget(4)], vec![product(50, &[0, 2]), product(50, &[1, 2])]);
    story.domain.backends(0, 0, 2, at(1));
    assert_eq!((story.state(HORSE), story.state(SPORT)), (State::Down, State::Open));
    let _bet = story.passes(SPORT, Class::Commit, 2);
}

#[test]
fn a_restart_while_ramping_or_down_comes_up_ramping_from_half_of_what_was_known() {
    for state in [State::Ramping, State::Down] {
        let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
        story.domain.recall(0, 60.0);
        story.domain.restore(HORSE, state, at(5));
        assert_eq!(story.state(HORSE), State::Ramping);
        assert_eq!(story.domain.product(HORSE).ramp_seats(), Some(30));
    }
}

#[test]
fn a_frozen_ramp_is_told_once_and_goes_on_by_order() {
    let mut story = Story::horses_on(200);
    story.orders(HORSE, PARK, 0);
    story.orders(HORSE, Order::Reopen, 1);
    let (mut froze, mut ms) = (Vec::new(), 1);
    while ms < 2_000 && !story.domain.product(HORSE).ramp_is_frozen() {
        ms += 1;
        let seat = story.passes(HORSE, Class::Commit, ms);
        story.domain.finish(seat, Outcome::Failed, at(ms));
        froze.extend(story.told().notes.into_iter().filter(|note| matches!(note, Event::RampFroze { .. })));
    }
    // 100, 70, 49, and no further down than the third step back leads.
    assert_eq!(froze, [Event::RampFroze { product: HORSE, seats: 34 }]);
    assert!(story.domain.order(HORSE, Order::Reopen, at(ms)));
    assert_eq!(story.told().notes, [Event::RampThawed { product: HORSE }]);
    assert!(!story.domain.order(HORSE, Order::Reopen, at(ms)));
    assert_eq!(story.state(HORSE), State::Ramping);
}

#[test]
fn a_limit_that_is_not_known_yet_does_not_let_the_ramp_begin_above_half_of_it() {
    let mut story = Story::new(vec![fixed(64), climbing(16)], vec![product(50, &[0, 1])]);
    story.orders(HORSE, PARK, 0);
    story.orders(HORSE, Order::Reopen, 1);
    assert_eq!((story.state(HORSE), story.domain.product(HORSE).ramp_seats()), (State::Ramping, Some(8)));
}
