//! What a limit is told, and what it is spared.

use super::*;

/// Keeps `customers` of `class` in the domain for `seconds`: a seat that is taken comes back after `service_ms`, and
/// whoever ends comes again. Returns the answers.
pub(super) fn rush(story: &mut Story, class: Class, customers: u32, from_ms: u64, ms: u64, service_ms: u64) -> u32 {
    let mut due: std::collections::VecDeque<(u64, Seat)> = std::collections::VecDeque::new();
    let mut outside = customers;
    let mut answers = 0;
    for now in from_ms..from_ms + ms {
        // Not all in the same millisecond, or they would also end in the same one.
        for _ in 0..outside.min(customers / service_ms as u32) {
            match story.asks(HORSE, class, now) {
                Verdict::Proceed(seat) => due.push_back((now + service_ms, seat)),
                Verdict::Wait(_) => {}
                Verdict::Refuse(_) => break,
            }
            outside -= 1;
        }
        let mut told = story.sleeps_until(now);
        while due.front().is_some_and(|(at, _)| *at <= now) {
            let (_, seat) = due.pop_front().expect("there is one");
            let more = story.ends(seat, now);
            told.admitted.extend(more.admitted);
            told.refused.extend(more.refused);
            outside += 1;
            answers += 1;
        }
        outside += told.refused.len() as u32;
        due.extend(told.admitted.into_iter().map(|(_, seat)| (now + service_ms, seat)));
    }
    for (at, seat) in due {
        story.ends(seat, at);
    }
    answers
}

#[test]
fn a_limit_grows_under_a_rush_that_is_worth_it() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    rush(&mut story, Class::Read, 120, 0, 5000, 10);
    let found = story.domain.resources()[0].limit();
    assert!(found >= 64, "{found}");
}

#[test]
fn bypass_teaches_the_limits_nothing() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    story.domain.bypass(true, at(0));
    rush(&mut story, Class::Read, 120, 0, 5000, 10);
    assert_eq!((story.domain.resources()[0].limit(), story.domain.resources()[0].knee()), (8, None));
}

#[test]
fn a_pool_holds_still_while_a_budget_is_what_bets_wait_for() {
    let wallet_of_four = || vec![climbing(4), budget(4)];
    let mut story = Story::new(wallet_of_four(), vec![betting(50, 0, 1)]);
    rush(&mut story, Class::Commit, 50, 0, 5000, 10);
    assert_eq!(story.domain.resources()[0].knee(), None);
}

#[test]
fn a_pool_still_learns_from_what_does_not_need_the_budget() {
    // Bets fill the wallet all the time; odds wait for the pool, and for nothing else.
    let mut story = Story::new(vec![climbing(8), budget(4)], vec![betting(50, 0, 1)]);
    let mut bets: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    let mut odds: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    for now in 1..4000 {
        if let Verdict::Proceed(seat) = story.asks(HORSE, Class::Commit, now) {
            bets.push(seat);
        }
        for _ in 0..3 {
            if let Verdict::Proceed(seat) = story.asks(HORSE, Class::Read, now) {
                odds.push(seat);
            }
        }
        let mut told = story.sleeps_until(now);
        // Odds take 2 ms, bets 4.
        let ends = odds.len() / 2;
        let ending: Vec<Seat> = odds.drain(..ends).chain(bets.drain(..1)).collect();
        for seat in ending {
            told.admitted.extend(story.ends(seat, now).admitted);
        }
        for (_, seat) in told.admitted {
            if seat.class == Class::Commit { bets.push(seat) } else { odds.push(seat) }
        }
        assert_eq!(bets.len(), 4);
    }
    let found = story.domain.resources()[0].limit();
    assert!(found >= 12, "{found}");
}

#[test]
fn a_stream_was_as_fast_as_its_head_however_long_it_kept_its_seat() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    let seat = story.passes(HORSE, Class::Commit, 0);
    story.domain.finish(seat, Outcome::Streams(Duration::from_millis(20)), at(5000));
    let took = story.domain.products[0].bet_time.bound();
    assert!((Duration::from_millis(20)..Duration::from_millis(100)).contains(&took), "{took:?}");
    assert_eq!(story.domain.resources()[0].in_use(), 0);
}
