//! Observe-only: a house whose word does not count, and keeps its books as if it did.

use std::collections::VecDeque;

use super::*;
use crate::admission::Underway;

fn goes_on(story: &mut Story, verdict: &Verdict, class: Class, ms: u64) -> Underway {
    assert!(story.domain.is_observe_only(), "{verdict:?} would count");
    let arrival = Arrival { product: HORSE, class, customer: Customer::Account(0), event: None, seats: ONE_SEAT };
    story.domain.goes_on(&arrival, at(ms))
}

/// A request under way: when it ends, and what it has.
struct Going {
    end: u64,
    seat: Option<Seat>,
    place: Option<Place>,
    underway: Underway,
}

/// Requests that each take `service_ms` at plants without end, `many` at a time for five seconds: more than the limit.
fn crowd(story: &mut Story, many: u64, service_ms: u64) {
    let mut going = VecDeque::new();
    for now in 0..5000 {
        story.domain.wake(at(now));
        while going.front().is_some_and(|going: &Going| going.end <= now) {
            hear(story, &mut going);
            let Going { seat, place, underway, .. } = going.pop_front().expect("just seen");
            if let Some(seat) = seat {
                story.domain.finish(seat, Outcome::Answered, at(now));
            }
            if let Some(place) = place {
                story.domain.leave(place, at(now));
            }
            story.domain.is_over(underway, Outcome::Answered, at(now));
        }
        for _ in 0..many / service_ms {
            let verdict = story.asks(HORSE, Class::Read, now);
            let underway = goes_on(story, &verdict, Class::Read, now);
            let (seat, place) = match verdict {
                Verdict::Proceed(seat) => (Some(seat), None),
                Verdict::Wait(place) => (None, Some(place)),
                Verdict::Refuse(_) => (None, None),
            };
            going.push_back(Going { end: now + service_ms, seat, place, underway });
        }
    }
}

/// Hand out what the domain has decided since about those who are under way.
fn hear(story: &mut Story, going: &mut VecDeque<Going>) {
    while let Some(output) = story.domain.poll_output() {
        let (place, seat) = match output {
            Output::Admit(place, seat) => (place, Some(seat)),
            Output::Refuse(place, _) => (place, None),
            Output::Note(_) => continue,
        };
        let one = going.iter_mut().find(|going| going.place == Some(place)).expect("it is under way");
        (one.seat, one.place) = (seat, None);
    }
}

#[test]
fn limits_and_lines_are_kept_as_if_they_counted() {
    let mut story = Story::horses_on(2);
    story.domain.observe_only(true, at(0));
    let seats: Vec<Seat> = (0..2).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    assert!(matches!(story.asks(HORSE, Class::Read, 0), Verdict::Wait(_)));
    assert_eq!(story.domain.resources()[0].in_use(), 2);
    for seat in seats {
        story.ends(seat, 5);
    }
}

#[test]
fn a_given_limit_stays_what_it_is() {
    let mut story = Story::horses_on(7);
    story.domain.observe_only(true, at(0));
    crowd(&mut story, 100, 10);
    assert_eq!(story.domain.resources()[0].limit(), 7);
}

#[test]
fn the_limit_shown_is_the_most_that_was_worth_it_and_is_carried_into_acting() {
    let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
    story.domain.observe_only(true, at(0));
    assert_eq!(story.domain.resources()[0].limit(), 8, "nothing is known");
    crowd(&mut story, 100, 10);
    let seen = story.domain.resources()[0].limit();
    assert!((100..=256).contains(&seen), "{seen}: a hundred, and every one of them was worth it");
    story.domain.observe_only(false, at(6000));
    assert_eq!(story.domain.resources()[0].limit(), seen);
    assert_eq!(story.domain.resources()[0].knee(), Some(f64::from(seen)));
}

#[test]
fn nothing_is_learned_of_a_limit_while_more_is_under_way_than_it_let_through() {
    for still in [true, false] {
        let mut story = Story::new(vec![climbing(8)], vec![product(50, &[0])]);
        story.domain.observe_only(true, at(0));
        let first = story.asks(HORSE, Class::Read, 0);
        let underway = goes_on(&mut story, &first, Class::Read, 0);
        story.domain.observe_only(false, at(1));
        let Verdict::Proceed(seat) = first else { panic!("the house was empty") };
        story.ends(seat, 1);
        if !still {
            story.domain.is_over(underway, Outcome::Answered, at(1));
        }
        limits::rush(&mut story, Class::Read, 120, 1, 5000, 10);
        let found = story.domain.resources()[0].limit();
        assert_eq!(found < 64, still, "{found} while one from before is still on its way: {still}");
    }
}

#[test]
fn nobody_hears_a_no_before_the_rest_of_a_request_has_come() {
    let mut story = Story::horses_on(2);
    story.domain.order(HORSE, Order::Park(ParkReason::Parked), at(0));
    let arrival =
        Arrival { product: HORSE, class: Class::Commit, customer: Customer::Account(1), event: None, seats: ONE_SEAT };
    assert!(story.domain.would_refuse(&arrival, at(1)).is_some());
    story.domain.observe_only(true, at(2));
    assert_eq!(story.domain.would_refuse(&arrival, at(3)), None);
    assert!(matches!(story.domain.arrive(arrival, at(3)), Verdict::Refuse(_)), "what is decided is still told");
}

#[test]
fn going_down_turns_nobody_away() {
    let mut story = Story::horses_on(2);
    story.domain.observe_only(true, at(0));
    story.domain.shut_down(at(1));
    let seat = story.passes(HORSE, Class::Read, 2);
    story.ends(seat, 3);
}
