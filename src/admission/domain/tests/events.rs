//! A signal reaches its own race, and nothing else.

use super::super::super::schedule::{Entry, EventState, Signalled};
use super::*;

const BERGSAKER: EventKey = EventKey(75);
const SOLVALLA: EventKey = EventKey(86);

fn clock(hh: u64, mm: u64) -> u64 {
    (hh * 60 + mm) * 60_000
}

/// Bergsåker's first race stops at 16:20, Solvalla's at 16:40; three products over one pool.
fn saturday(seats: u32) -> Story {
    let products = vec![product(50, &[0]), product(30, &[0]), product(20, &[0])];
    let mut story = Story::new(vec![fixed(seats)], products);
    for (key, stop) in [(BERGSAKER, clock(16, 20)), (SOLVALLA, clock(16, 40))] {
        let believed_before_stop = Duration::from_secs(120);
        let entry = Entry { product: HORSE, stop: at(stop), believed_before_stop, state: EventState::Open };
        story.domain.schedule(key, entry);
    }
    story
}

#[test]
fn the_false_close_of_24_august_2024_is_noticed_by_its_own_race_only() {
    let mut story = saturday(10);
    let in_flight = seat(story.bets(HORSE, BERGSAKER, clock(16, 5)));
    let told = story.domain.close_signal(BERGSAKER, at(clock(16, 6)));
    assert_eq!(told, Signalled::Implausible { before_stop: Duration::from_secs(14 * 60) });
    assert_eq!(story.told().notes, [Event::EventChanged { event: BERGSAKER, to: EventState::Parked }],);
    let now = clock(16, 7);
    assert_eq!(refusal(story.bets(HORSE, BERGSAKER, now)), Refusal::EventParked);
    for product in [HORSE, SPORT, CASINO] {
        assert_eq!(story.state(product), State::Open);
        for class in Class::ALL {
            let seat = story.passes(product, class, now);
            story.ends(seat, now);
        }
    }
    let other_race = seat(story.bets(HORSE, SOLVALLA, now));
    story.ends(other_race, now);
    story.ends(in_flight, now);
    // A person reopens it: its crowd comes through horse racing's ramp, the others' doors stay as they were.
    assert_eq!(story.domain.order_event(BERGSAKER, EventState::Open, at(clock(16, 10))), Some(true));
    assert_eq!(story.state(HORSE), State::Ramping);
    assert_eq!((story.state(SPORT), story.state(CASINO)), (State::Open, State::Open));
    let bet = seat(story.bets(HORSE, BERGSAKER, clock(16, 10)));
    story.ends(bet, clock(16, 10));
    assert!(story.is_empty());
}

#[test]
fn a_bet_that_waits_past_its_stop_never_reaches_a_backend() {
    let mut story = saturday(1);
    let seat = story.passes(HORSE, Class::Read, clock(16, 19));
    let stop = clock(16, 20);
    let late = place(story.bets(HORSE, BERGSAKER, stop - 100));
    let other = place(story.bets(HORSE, SOLVALLA, stop - 90));
    let told = story.ends(seat, stop);
    assert_eq!(told.refused, [(late, Refusal::PastBettingStop)]);
    assert_eq!(told.admitted_places(), [other]);
    assert_eq!(refusal(story.bets(HORSE, BERGSAKER, stop)), Refusal::PastBettingStop);
}

#[test]
fn a_bet_that_waits_while_its_race_is_closed_never_reaches_a_backend() {
    for (to, told) in [(EventState::Closed, Refusal::EventClosed), (EventState::Parked, Refusal::EventParked)] {
        let mut story = saturday(1);
        let now = clock(16, 0);
        let seat = story.passes(HORSE, Class::Read, now);
        let waiter = place(story.bets(HORSE, BERGSAKER, now));
        assert_eq!(story.domain.order_event(BERGSAKER, to, at(now + 1)), Some(true));
        assert_eq!(story.domain.order_event(BERGSAKER, to, at(now + 1)), Some(false));
        let outputs = story.ends(seat, now + 2);
        assert!(outputs.admitted.is_empty());
        assert_eq!(outputs.refused, [(waiter, told)]);
        assert!(story.is_empty());
    }
}

#[test]
fn a_signal_for_an_unknown_race_changes_nothing() {
    let mut story = saturday(1);
    let unknown = EventKey(1);
    assert_eq!(story.domain.close_signal(unknown, at(0)), Signalled::Unknown);
    assert_eq!(story.domain.order_event(unknown, EventState::Closed, at(0)), None);
    assert!(story.told().notes.is_empty());
    let bet = seat(story.bets(HORSE, unknown, 0));
    story.ends(bet, 1);
}

#[test]
fn a_source_that_repeats_itself_is_noted_once() {
    let mut story = saturday(1);
    for _ in 0..3 {
        story.domain.close_signal(BERGSAKER, at(clock(16, 6)));
    }
    assert_eq!(story.told().notes.len(), 1);
}
