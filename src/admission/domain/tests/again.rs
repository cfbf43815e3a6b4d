//! Who asks for the same again has the place of the request that waits.

use super::*;

fn anna(class: Class) -> Arrival {
    Arrival { product: HORSE, class, customer: Customer::Account(9_000), event: None, seats: ONE_SEAT }
}

#[test]
fn a_retry_has_the_place_of_the_request_that_waits_and_what_is_left_of_its_wait() {
    let mut story = Story::horses_on(1);
    let running = story.passes(HORSE, Class::Start, 0);
    let old = place(story.domain.arrive(anna(Class::Start), at(0)));
    story.domain.name(old, 75);
    let behind = place(story.asks(HORSE, Class::Start, 10));
    let new = story.domain.take_over(&anna(Class::Start), 75, at(20)).expect("the same waits");
    assert_eq!((story.told().refused, new.slot()), (vec![(old, Refusal::TakenOver)], old.slot()));
    assert_eq!(story.domain.product(HORSE).waiting(Class::Start), 2);
    // Whose client hangs up at last finds nothing to leave.
    story.domain.leave(old, at(30));
    let told = story.ends(running, 40);
    assert_eq!(told.admitted_places(), [new], "before who came later");
    // The wait is the first one's: a second from when that came, and not from now.
    let told = story.sleeps_until(1_010);
    assert_eq!(told.refused, [(behind, Refusal::WaitedTooLong)]);
}

#[test]
fn what_is_not_the_same_takes_nothing_over() {
    let mut story = Story::horses_on(1);
    let _running = story.passes(HORSE, Class::Start, 0);
    let old = place(story.domain.arrive(anna(Class::Start), at(0)));
    story.domain.name(old, 75);
    let bert = Arrival { customer: Customer::Account(9_001), ..anna(Class::Start) };
    assert!(story.domain.take_over(&bert, 75, at(1)).is_none(), "another customer");
    assert!(story.domain.take_over(&anna(Class::Start), 76, at(1)).is_none(), "another request");
    assert!(story.domain.take_over(&anna(Class::Start), 0, at(1)).is_none(), "nobody knows what");
    assert!(story.domain.take_over(&anna(Class::Continue), 75, at(1)).is_none(), "another class");
    let office = |story: &mut Story, what| {
        let arrival = Arrival { customer: Customer::Address(9_000), ..anna(Class::Start) };
        let place = place(story.domain.arrive(arrival, at(1)));
        story.domain.name(place, what);
        story.domain.take_over(&arrival, what, at(1))
    };
    assert!(office(&mut story, 75).is_none(), "two people behind one address");
    story.domain.leave(old, at(2));
    assert!(story.domain.take_over(&anna(Class::Start), 75, at(3)).is_none(), "it waits no more");
    assert!(story.told().refused.is_empty());
}
