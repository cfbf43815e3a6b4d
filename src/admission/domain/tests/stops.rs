//! Bets near their stop go first, and those without a hope are told at once.

use super::super::super::schedule::{Entry, EventState};
use super::*;

/// One seat; bets whose stop is nearer than three seconds are near. Event `n` stops at `n` seconds.
fn races() -> Story {
    let mut house = product(50, &[0]);
    house.queue.near_stop = Duration::from_secs(3);
    house.queue.longest_wait = Duration::from_secs(2);
    let mut story = Story::new(vec![fixed(1)], vec![house]);
    (1..=20).for_each(|second| moves(&mut story, second, second * 1_000));
    story
}

fn moves(story: &mut Story, event: u64, stop_ms: u64) {
    let (state, believed_before_stop) = (EventState::Open, Duration::ZERO);
    story.domain.schedule(EventKey(event), Entry { product: HORSE, stop: at(stop_ms), believed_before_stop, state });
}

/// Bets have taken 100 ms, one like the other.
fn answered_in_100_ms(story: &mut Story) {
    for turn in 0..300 {
        let seat = seat(story.bets(HORSE, EventKey(20), turn));
        story.domain.finish(seat, Outcome::Answered, at(turn + 100));
        story.domain.latest = at(0);
    }
}

#[test]
fn the_earliest_stop_goes_first_and_before_every_other_bet() {
    let mut story = races();
    let running = story.passes(HORSE, Class::Read, 0);
    let later = place(story.bets(HORSE, EventKey(10), 1));
    let third = place(story.bets(HORSE, EventKey(3), 2));
    let first = place(story.bets(HORSE, EventKey(1), 3));
    let second = place(story.bets(HORSE, EventKey(2), 4));
    let mut order = Vec::new();
    let mut running = Some(running);
    while let Some(seat) = running.take() {
        if let Some((place, seat)) = story.ends(seat, 10).admitted.into_iter().next() {
            order.push(place);
            running = Some(seat);
        }
    }
    assert_eq!(order, [first, second, third, later]);
    assert!(story.is_empty());
}

#[test]
fn a_bet_that_cannot_be_answered_before_its_stop_is_not_begun() {
    let mut story = races();
    answered_in_100_ms(&mut story);
    let in_time = seat(story.bets(HORSE, EventKey(1), 700));
    // While it waits its time runs out: told at that moment, and not when its turn comes.
    let waits = place(story.bets(HORSE, EventKey(1), 710));
    let told = story.sleeps_until(940);
    assert_eq!(told.refused, [(waits, Refusal::StopTooNear)]);
    assert!(story.domain.latest < at(950), "not later than it was known");
    assert_eq!(refusal(story.bets(HORSE, EventKey(1), 950)), Refusal::StopTooNear);
    story.ends(in_time, 1_000);
    assert_eq!(refusal(story.bets(HORSE, EventKey(1), 1_000)), Refusal::PastBettingStop);
    assert!(story.is_empty());
}

#[test]
fn who_waits_is_told_soon_when_their_stop_is_moved_into_the_past_and_served_when_it_is_put_off() {
    let mut story = races();
    let running = story.passes(HORSE, Class::Read, 0);
    let told_so: Vec<Place> = (0..2).map(|n| place(story.bets(HORSE, EventKey(8), n))).collect();
    let others: Vec<Place> = (0..2).map(|n| place(story.bets(HORSE, EventKey(9), 20 + n))).collect();
    moves(&mut story, 8, 30);
    let told = story.sleeps_until(60);
    assert_eq!(told.refused, told_so.iter().map(|place| (*place, Refusal::PastBettingStop)).collect::<Vec<_>>());
    moves(&mut story, 9, 60);
    moves(&mut story, 9, 900_000);
    assert!(story.sleeps_until(70).refused.is_empty());
    assert_eq!(story.ends(running, 80).admitted_places(), [others[0]]);
}

#[test]
fn a_bet_that_is_told_to_come_back_is_back_before_its_stop() {
    let mut story = races();
    let _running = story.passes(HORSE, Class::Read, 0);
    let mut refused = Vec::new();
    for _ in 0..200 {
        if let Verdict::Refuse(no) = story.bets(HORSE, EventKey(7), 200) {
            refused.push(no.retry_after);
        }
    }
    assert!(refused.len() > 50);
    // Stops in 6.8 s; with three to spare.
    assert!(refused.iter().all(|wait| *wait <= Duration::from_millis(3_800)), "{refused:?}");
}
