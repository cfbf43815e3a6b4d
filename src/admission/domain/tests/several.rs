//! Requests that cost several seats.

use super::*;

#[test]
fn what_costs_three_takes_three_of_everything_or_nothing() {
    let mut story = Story::new(vec![fixed(4), budget(5)], vec![betting(50, 0, 1)]);
    let bet = seat(story.asks_for(3, HORSE, Class::Commit, 0));
    let in_use = |story: &Story| story.domain.resources().iter().map(|resource| resource.in_use()).collect::<Vec<_>>();
    assert_eq!((in_use(&story), story.domain.product(HORSE).in_flight()), (vec![3, 3], 3));
    place(story.asks_for(2, HORSE, Class::Commit, 1));
    assert_eq!(in_use(&story), [3, 3]);
    assert_eq!(story.ends(bet, 2).admitted.len(), 1);
    assert_eq!((in_use(&story), story.domain.product(HORSE).in_flight()), (vec![2, 2], 2));
}

#[test]
fn what_costs_more_than_there_is_passes_when_it_can_have_all_of_it() {
    let mut story = Story::horses_on(2);
    let odds = story.passes(HORSE, Class::Read, 0);
    let heavy = place(story.asks_for(16, HORSE, Class::Read, 1));
    let told = story.ends(odds, 2);
    assert_eq!(told.admitted_places(), [heavy]);
    assert_eq!(story.domain.resources()[0].in_use(), 2);
    for (_, seat) in told.admitted {
        story.ends(seat, 3);
    }
    assert!(story.is_empty());
}

/// Four seats are out, a bet that costs three waits, and so do odds that cost one.
fn a_heavy_bet_waits() -> (Story, Vec<Seat>, Place, Place) {
    let mut story = Story::horses_on(4);
    let seats = (0..4).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    let bet = place(story.asks_for(3, HORSE, Class::Commit, 1));
    let odds = story.waits(HORSE, Class::Read, 2);
    (story, seats, bet, odds)
}

#[test]
fn who_needs_several_is_not_starved_by_who_needs_one() {
    let (mut story, mut seats, bet, odds) = a_heavy_bet_waits();
    for _ in 0..2 {
        let seat = seats.pop().expect("four were taken");
        assert!(story.ends(seat, 10).admitted.is_empty());
        // Who comes now comes after the bet as well.
        story.waits(HORSE, Class::Background, 11);
    }
    let seat = seats.pop().expect("two are left");
    assert_eq!(story.ends(seat, 12).admitted_places(), [bet]);
    let seat = seats.pop().expect("one is left");
    assert_eq!(story.ends(seat, 13).admitted_places(), [odds]);
}

#[test]
fn what_was_kept_is_free_for_the_others_once_nobody_waits_for_it() {
    let (mut story, mut seats, bet, odds) = a_heavy_bet_waits();
    assert!(story.ends(seats.pop().expect("four were taken"), 10).admitted.is_empty());
    story.domain.leave(bet, at(11));
    assert_eq!(story.told().admitted_places(), [odds]);
    let (mut story, mut seats, bet, odds) = a_heavy_bet_waits();
    assert!(story.ends(seats.pop().expect("four were taken"), 10).admitted.is_empty());
    let told = story.sleeps_until(1001);
    assert_eq!(told.refused, [(bet, Refusal::WaitedTooLong)]);
    assert_eq!(told.admitted_places(), [odds]);
}

#[test]
fn who_is_sent_away_for_a_higher_class_gives_up_what_was_kept_for_it() {
    let mut narrow = betting(90, 0, 1);
    narrow.queue.length = n(1);
    let mut story = Story::new(vec![fixed(10), budget(1)], vec![narrow, product(10, &[0])]);
    let _bet = story.passes(HORSE, Class::Commit, 0);
    let _odds = [HORSE, HORSE, SPORT, SPORT, SPORT, SPORT, SPORT, SPORT].map(|who| story.passes(who, Class::Read, 0));
    let heavy = place(story.asks_for(3, HORSE, Class::Read, 1));
    let sport = story.waits(SPORT, Class::Read, 2);
    story.waits(HORSE, Class::Commit, 3);
    let told = story.sleeps_until(3);
    assert_eq!(told.refused, [(heavy, Refusal::QueueFull)]);
    assert_eq!(told.admitted_places(), [sport]);
}

#[test]
fn a_heavy_bet_that_waits_for_a_full_budget_keeps_nobody_from_the_pool() {
    let mut story = Story::new(vec![fixed(4), budget(2)], vec![betting(50, 0, 1)]);
    let bets = [story.passes(HORSE, Class::Commit, 0), story.passes(HORSE, Class::Commit, 0)];
    let heavy = place(story.asks_for(2, HORSE, Class::Commit, 1));
    let odds = story.passes(HORSE, Class::Read, 2);
    // Now a wallet seat is there, and two are needed: it is kept, the pool is not.
    let [first, second] = bets;
    assert!(story.ends(first, 3).admitted.is_empty());
    let more = story.passes(HORSE, Class::Read, 4);
    assert!(story.ends(second, 5).admitted_places() == [heavy]);
    story.ends(odds, 6);
    story.ends(more, 7);
}

#[test]
fn who_is_owed_a_seat_does_not_wait_for_one_who_would_borrow_several() {
    let mut story = Story::new(vec![fixed(4)], vec![product(50, &[0]), product(50, &[0])]);
    let mut seats: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    let heavy = place(story.asks_for(3, HORSE, Class::Commit, 1));
    let owed = story.waits(SPORT, Class::Background, 2);
    assert_eq!(story.ends(seats.pop().expect("four were taken"), 3).admitted_places(), [owed]);
    for ms in [4, 5] {
        assert!(story.ends(seats.pop().expect("three are left"), ms).admitted.is_empty());
    }
    assert_eq!(story.ends(seats.pop().expect("one is left"), 6).admitted_places(), [heavy]);
}

#[test]
fn a_heavy_bet_whose_race_has_closed_is_told_as_soon_as_anything_is_free() {
    const RACE: EventKey = EventKey(75);
    let mut story = Story::horses_on(4);
    let stop = at(60_000);
    let entry = super::super::super::schedule::Entry {
        product: HORSE,
        stop,
        believed_before_stop: Duration::from_secs(60),
        state: super::super::super::schedule::EventState::Open,
    };
    story.domain.schedule(RACE, entry);
    let mut seats: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    let (class, customer) = (Class::Commit, Customer::Account(77));
    let seats_wanted = NonZeroU8::new(3).expect("not zero");
    let bet = Arrival { product: HORSE, class, customer, event: Some(RACE), seats: seats_wanted };
    let bet = place(story.domain.arrive(bet, at(1)));
    let odds = story.waits(HORSE, Class::Read, 2);
    story.domain.close_signal(RACE, at(3));
    let told = story.ends(seats.pop().expect("four were taken"), 4);
    assert_eq!(told.refused, [(bet, Refusal::EventClosed)]);
    assert_eq!(told.admitted_places(), [odds]);
}

#[test]
fn under_a_ramp_a_heavy_request_costs_at_most_the_ceiling_and_is_held_up_by_it() {
    let mut story = Story::horses_on(8);
    story.orders(HORSE, Order::Park(ParkReason::Parked), 0);
    story.orders(HORSE, Order::Reopen, 0);
    let first = story.passes(HORSE, Class::Commit, 1);
    let heavy = place(story.asks_for(16, HORSE, Class::Commit, 2));
    // Two of four are free under the ceiling, and it is the ceiling that holds the bet up: the ramp is not over.
    story.domain.wake(at(2_500));
    assert_eq!(story.state(HORSE), State::Ramping);
    assert_eq!(story.told().refused, [(heavy, Refusal::WaitedTooLong)]);
    let heavy = place(story.asks_for(16, HORSE, Class::Commit, 2_600));
    assert_eq!(story.ends(first, 2_700).admitted_places(), [heavy]);
    assert_eq!(story.domain.product(HORSE).in_flight(), 4);
}

/// One of two seats is free, and kept for odds that cost two; behind them somebody waits for odds that cost one.
fn heavy_odds_wait() -> (Story, Place) {
    let mut story = Story::horses_on(2);
    let _bet = story.passes(HORSE, Class::Commit, 0);
    place(story.asks_for(2, HORSE, Class::Read, 1));
    let light = story.waits(HORSE, Class::Read, 2);
    (story, light)
}

#[test]
fn once_a_line_is_newest_first_what_was_kept_for_its_oldest_is_for_whoever_is_first_now() {
    let (mut story, light) = heavy_odds_wait();
    assert_eq!(story.domain.next_wake(), Some(at(101)));
    assert_eq!(story.sleeps_until(101).admitted_places(), [light]);
    assert_eq!(story.domain.next_wake(), Some(at(1_001)));
}

#[test]
fn a_newcomer_leaves_a_seat_to_whose_turn_it_has_become_by_time_alone() {
    let (mut story, light) = heavy_odds_wait();
    let image = story.waits(HORSE, Class::Background, 150);
    assert_eq!(story.sleeps_until(150).admitted_places(), [light]);
    assert_eq!(story.domain.product(HORSE).waiting(Class::Background), 1, "{image:?} comes after the odds");
}

#[test]
fn a_heavy_bet_is_told_when_betting_stops_and_what_was_kept_for_it_is_free() {
    const RACE: EventKey = EventKey(75);
    let stop = at(50);
    let mut story = Story::horses_on(4);
    let state = super::super::super::schedule::EventState::Open;
    let believed_before_stop = Duration::from_secs(60);
    let entry = super::super::super::schedule::Entry { product: HORSE, stop, believed_before_stop, state };
    story.domain.schedule(RACE, entry);
    let _seats: Vec<Seat> = (0..3).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    let (class, customer) = (Class::Commit, Customer::Account(77));
    let seats = NonZeroU8::new(3).expect("not zero");
    let bet = place(story.domain.arrive(Arrival { product: HORSE, class, customer, event: Some(RACE), seats }, at(1)));
    let odds = story.waits(HORSE, Class::Read, 2);
    let told = story.sleeps_until(50);
    assert_eq!(told.refused, [(bet, Refusal::PastBettingStop)]);
    assert_eq!(told.admitted_places(), [odds]);
}
