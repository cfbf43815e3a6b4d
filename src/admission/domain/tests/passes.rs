//! Who has begun goes on; who is sent away finds their turn.

use super::super::super::settings::PassSettings;
use super::*;

/// Horse racing alone on so many seats, with passes.
fn horses_with_passes(seats: u32) -> Story {
    let products = vec![ProductSettings { passes: Some(PassSettings::default()), ..product(50, &[0]) }];
    Story::new(vec![fixed(seats)], products)
}

fn asks(story: &mut Story, customer: u64, class: Class, ms: u64) -> Verdict {
    let customer = Customer::Account(1_000_000 + customer);
    story.domain.arrive(Arrival { product: HORSE, class, customer, event: None, seats: ONE_SEAT }, at(ms))
}

#[test]
fn the_next_step_of_a_journey_goes_before_everybody_who_has_yet_to_begin() {
    let mut story = horses_with_passes(1);
    let login = seat(asks(&mut story, 1, Class::Start, 0));
    let newcomer = place(asks(&mut story, 2, Class::Commit, 1));
    let casino_round = place(asks(&mut story, 1, Class::Start, 2));
    let told = story.ends(login, 3);
    assert_eq!(told.admitted_places(), [casino_round]);
    let [(_, seat)] = told.admitted.try_into().expect("one");
    assert_eq!(story.ends(seat, 4).admitted_places(), [newcomer]);
}

#[test]
fn who_comes_back_as_told_goes_before_those_who_came_later_and_did_not_leave_the_door() {
    let mut story = horses_with_passes(1);
    let mut running = seat(asks(&mut story, 0, Class::Start, 0));
    let (mut earlier, mut customer) = (0, 1);
    while let Verdict::Wait(_) = asks(&mut story, customer, Class::Start, 150) {
        (earlier, customer) = (earlier + 1, customer + 1);
    }
    let polite = customer;
    // Whenever there is a place others take it, until they are told to come back as well.
    let mut now = 160;
    for _ in 0..3 {
        running = story.ends(running, now).admitted.into_iter().next().expect("somebody waits").1;
        earlier -= 1;
        loop {
            customer += 1;
            if let Verdict::Refuse(no) = asks(&mut story, customer, Class::Start, now) {
                assert_eq!(no.refusal, Refusal::NotYourTurn);
                break;
            }
        }
        now += 10;
    }
    let back = place(asks(&mut story, polite, Class::Start, now));
    let made_room: Vec<_> = story.told().refused.into_iter().map(|(_, no)| no).collect();
    assert_eq!(made_room, [Refusal::NotYourTurn], "of those who came later");
    for _ in 0..earlier {
        let [(place, seat)] = story.ends(running, now).admitted.try_into().expect("one");
        assert_ne!(place, back);
        running = seat;
    }
    assert_eq!(story.ends(running, now).admitted_places(), [back]);
}

#[test]
fn nobody_loses_their_turn_because_a_product_is_parked() {
    let mut story = horses_with_passes(1);
    let running = seat(asks(&mut story, 0, Class::Start, 0));
    story.orders(HORSE, Order::Park(ParkReason::Parked), 10);
    assert_eq!(refusal(asks(&mut story, 1, Class::Start, 20)), Refusal::Parked);
    assert_eq!(refusal(asks(&mut story, 2, Class::Commit, 30)), Refusal::Parked);
    assert_eq!(story.domain.product(HORSE).promised_turns(), 2);
    // Who was in the middle of a journey is told no as well, and holds their pass.
    assert_eq!(refusal(asks(&mut story, 0, Class::Continue, 40)), Refusal::Parked);
    assert_eq!(story.domain.product(HORSE).passes(), 1);
    story.ends(running, 50);
    story.orders(HORSE, Order::Open, 10_000);
    let again = seat(asks(&mut story, 9, Class::Start, 10_001));
    let later = place(asks(&mut story, 8, Class::Start, 10_002));
    let earlier = place(asks(&mut story, 1, Class::Start, 10_003));
    let journey = place(asks(&mut story, 0, Class::Continue, 10_004));
    let mut order = Vec::new();
    let mut running = again;
    while let Some((place, seat)) = story.ends(running, 10_010).admitted.into_iter().next() {
        order.push(place);
        running = seat;
        if order.len() == 3 {
            break;
        }
    }
    assert_eq!(order, [journey, earlier, later]);
}

#[test]
fn a_retry_after_hanging_up_has_its_turn_from_before() {
    let mut story = horses_with_passes(1);
    let running = seat(asks(&mut story, 0, Class::Start, 0));
    let first = place(asks(&mut story, 1, Class::Start, 1));
    let second = place(asks(&mut story, 2, Class::Start, 2));
    story.domain.leave(first, at(3));
    let again = place(asks(&mut story, 1, Class::Start, 4));
    let told = story.ends(running, 5);
    assert_eq!(told.admitted_places(), [again]);
    let [(_, seat)] = told.admitted.try_into().expect("one");
    assert_eq!(story.ends(seat, 6).admitted_places(), [second]);
}

#[test]
fn who_was_nobody_in_particular_has_begun_when_they_have_logged_in_and_only_there() {
    let mut story = horses_with_passes(1);
    let (office, account) = (Customer::Address(7), Customer::Account(1_000_008));
    story.domain.becomes(None, office, account, at(0));
    assert_eq!(story.domain.product(HORSE).passes(), 0, "they have logged in elsewhere");
    story.domain.becomes(Some(HORSE), office, account, at(1));
    let running = seat(asks(&mut story, 7, Class::Start, 2));
    let newcomer = place(asks(&mut story, 9, Class::Continue, 3));
    let logged_in = place(asks(&mut story, 8, Class::Continue, 4));
    let told = story.ends(running, 5);
    assert_eq!(told.admitted_places(), [logged_in]);
    let [(_, seat)] = told.admitted.try_into().expect("one");
    assert_eq!(story.ends(seat, 6).admitted_places(), [newcomer]);
}

#[test]
fn a_pass_moves_with_its_customer_when_they_log_in() {
    let mut story = horses_with_passes(1);
    let (session, account) = (Customer::Account(1_000_007), Customer::Account(1_000_008));
    let running = seat(asks(&mut story, 7, Class::Start, 0));
    story.domain.becomes(Some(HORSE), session, account, at(1));
    let newcomer = place(asks(&mut story, 7, Class::Continue, 2));
    let holder = place(asks(&mut story, 8, Class::Continue, 3));
    let told = story.ends(running, 4);
    assert_eq!(told.admitted_places(), [holder]);
    let [(_, seat)] = told.admitted.try_into().expect("one");
    assert_eq!(story.ends(seat, 5).admitted_places(), [newcomer]);
}

#[test]
fn who_comes_for_a_promised_turn_waits_for_it_where_others_would_be_told_no() {
    let mut story = horses_with_passes(1);
    // A seat is free every 10 ms, and three times as many come: nobody but the first few may wait, for long.
    let mut running = seat(asks(&mut story, 0, Class::Start, 0));
    let mut told = Vec::new();
    for ms in (10..4_000).step_by(10) {
        for customer in 3 * ms..3 * ms + 3 {
            if matches!(asks(&mut story, customer, Class::Start, ms), Verdict::Refuse(_)) {
                told.push(customer);
            }
        }
        running = story.ends(running, ms).admitted.into_iter().next().expect("somebody waits").1;
    }
    let mut stranger = 1_000_000;
    while let Verdict::Wait(_) = asks(&mut story, stranger, Class::Start, 4_000) {
        stranger += 1;
    }
    let waiting = story.domain.product(HORSE).waiting(Class::Start);
    // As many may come for their turn as go in the longest time that anybody waits, a second.
    for customer in &told[..50] {
        place(asks(&mut story, *customer, Class::Start, 4_000));
    }
    assert_eq!(story.domain.product(HORSE).waiting(Class::Start), waiting + 50, "nobody had to go for them");
    let last = told[told.len() - 150..].iter().map(|customer| asks(&mut story, *customer, Class::Start, 4_000));
    assert!(last.filter(|verdict| matches!(verdict, Verdict::Refuse(_))).count() > 50, "but no more than that");
    assert!(story.domain.product(HORSE).waiting(Class::Start) <= 110);
    story.ends(running, 4_001);
}
