//! Who waits, in which order, and who is told no.

use std::collections::VecDeque;

use super::*;

#[test]
fn who_finds_a_free_seat_is_served_at_once_and_leaves_nothing_behind() {
    let mut story = Story::horses_on(2);
    let first = story.passes(HORSE, Class::Read, 0);
    let second = story.passes(HORSE, Class::Background, 0);
    assert_eq!(story.domain.resources()[0].in_use(), 2);
    assert_eq!(first.started(), at(0));
    assert!(story.ends(first, 10).admitted.is_empty());
    story.ends(second, 10);
    assert!(story.is_empty());
    assert_eq!(story.domain.next_wake(), None);
}

#[test]
fn those_who_wait_go_by_class_and_by_age_within_a_class() {
    let mut story = Story::horses_on(1);
    let mut seat = story.passes(HORSE, Class::Read, 0);
    let classes = [Class::Read, Class::Commit, Class::Background, Class::Start, Class::Commit, Class::Continue];
    let places: Vec<Place> = (1..).zip(classes).map(|(ms, class)| story.waits(HORSE, class, ms)).collect();
    for expected in [1, 4, 5, 3, 0, 2] {
        let told = story.ends(seat, 100);
        assert_eq!(told.admitted_places(), [places[expected]]);
        seat = told.admitted.into_iter().next().expect("one was admitted").1;
    }
    story.ends(seat, 200);
    assert!(story.is_empty());
}

#[test]
fn a_newcomer_does_not_overtake_its_own_class() {
    let mut story = Story::horses_on(1);
    let seat = story.passes(HORSE, Class::Read, 0);
    let first = story.waits(HORSE, Class::Read, 1);
    let told = story.ends(seat, 2);
    assert_eq!(told.admitted_places(), [first]);
    story.waits(HORSE, Class::Read, 2);
}

#[test]
fn a_class_whose_budget_is_full_is_passed_over_while_another_goes_on() {
    // Four backend seats, one wallet seat: bets wait for the wallet, odds do not wait for bets.
    let mut story = Story::new(vec![fixed(4), budget(1)], vec![betting(50, 0, 1)]);
    let bet = story.passes(HORSE, Class::Commit, 0);
    let waiting = story.waits(HORSE, Class::Commit, 1);
    let odds: Vec<Seat> = (0..3).map(|_| story.passes(HORSE, Class::Read, 2)).collect();
    let reader = story.waits(HORSE, Class::Read, 3);
    for seat in odds {
        story.domain.finish(seat, Outcome::Answered, at(4));
    }
    assert_eq!(story.told().admitted_places(), [reader]);
    assert_eq!(story.ends(bet, 5).admitted_places(), [waiting]);
}

#[test]
fn what_needs_two_things_takes_both_or_neither() {
    let mut story = Story::new(vec![fixed(1), budget(1)], vec![betting(50, 0, 1)]);
    let odds = story.passes(HORSE, Class::Read, 0);
    story.waits(HORSE, Class::Commit, 1);
    assert_eq!(story.domain.resources()[1].in_use(), 0);
    assert_eq!(story.ends(odds, 2).admitted.len(), 1);
    assert_eq!((story.domain.resources()[0].in_use(), story.domain.resources()[1].in_use()), (1, 1));
}

#[test]
fn nobody_waits_longer_than_the_longest_wait() {
    let mut story = Story::horses_on(1);
    let _seat = story.passes(HORSE, Class::Read, 0);
    let early = story.waits(HORSE, Class::Read, 10);
    let late = story.waits(HORSE, Class::Commit, 300);
    assert_eq!(story.domain.next_wake(), Some(at(1010)));
    story.domain.wake(at(1009));
    assert!(story.told().refused.is_empty());
    assert_eq!(story.sleeps_until(1299).refused, [(early, Refusal::WaitedTooLong)]);
    assert_eq!(story.sleeps_until(1300).refused, [(late, Refusal::WaitedTooLong)]);
    assert_eq!(story.domain.next_wake(), None);
}

#[test]
fn next_wake_is_the_earliest_expiry_of_any_line_of_any_product() {
    let mut hurried = product(50, &[0]);
    hurried.queue.longest_wait = Duration::from_millis(100);
    let mut story = Story::new(vec![fixed(1)], vec![product(50, &[0]), hurried]);
    let _seat = story.passes(HORSE, Class::Read, 0);
    story.waits(HORSE, Class::Commit, 1);
    assert_eq!(story.domain.next_wake(), Some(at(1001)));
    let hurried = story.waits(SPORT, Class::Background, 500);
    assert_eq!(story.domain.next_wake(), Some(at(600)));
    story.domain.leave(hurried, at(510));
    assert_eq!(story.domain.next_wake(), Some(at(1001)));
}

#[test]
fn a_seat_that_comes_back_too_late_serves_nobody_who_has_waited_too_long() {
    let mut story = Story::horses_on(1);
    let seat = story.passes(HORSE, Class::Read, 0);
    let stale = story.waits(HORSE, Class::Commit, 10);
    let fresh = story.waits(HORSE, Class::Commit, 20);
    let told = story.ends(seat, 1015);
    assert_eq!(told.refused, [(stale, Refusal::WaitedTooLong)]);
    assert_eq!(told.admitted_places(), [fresh]);
}

#[test]
fn a_full_queue_refuses_and_a_high_class_takes_the_place_of_the_lowest_and_youngest() {
    let mut narrow = product(50, &[0]);
    narrow.queue.length = n(3);
    let mut story = Story::new(vec![fixed(4)], vec![narrow]);
    let _seats: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    story.waits(HORSE, Class::Start, 1);
    story.waits(HORSE, Class::Read, 2);
    let youngest = story.waits(HORSE, Class::Read, 3);
    assert_eq!(story.is_refused(HORSE, Class::Read, 4), Refusal::QueueFull);
    assert_eq!(story.is_refused(HORSE, Class::Background, 4), Refusal::QueueFull);
    story.waits(HORSE, Class::Commit, 5);
    assert_eq!(story.told().refused, [(youngest, Refusal::QueueFull)]);
    assert_eq!(story.domain.product(HORSE).waiting(Class::Read), 1);
}

#[test]
fn a_burst_may_wait_but_a_line_that_stands_is_kept_short() {
    let mut story = Story::horses_on(2);
    for ms in (0..1_000).step_by(10) {
        let seat = story.passes(HORSE, Class::Commit, ms);
        story.ends(seat, ms + 9);
    }
    let mut seats: VecDeque<Seat> = (0..2).map(|_| story.passes(HORSE, Class::Commit, 1_000)).collect();
    for ms in 1_001..=1_050 {
        story.waits(HORSE, Class::Commit, ms);
    }
    story.waits(HORSE, Class::Commit, 1_100);
    assert_eq!(story.is_refused(HORSE, Class::Commit, 1_101), Refusal::QueueFull, "it has stood for 100 ms");
    let mut serve_until = |left: u32, ms: u64, story: &mut Story| {
        while story.domain.product(HORSE).waiting(Class::Commit) > left {
            let seat = seats.pop_front().expect("somebody is served");
            seats.extend(story.ends(seat, ms).admitted.into_iter().map(|(_, seat)| seat));
        }
    };
    serve_until(40, 1_102, &mut story);
    assert_eq!(
        story.is_refused(HORSE, Class::Commit, 1_103),
        Refusal::QueueFull,
        "more than a quarter of a second's worth"
    );
    serve_until(3, 1_302, &mut story);
    story.waits(HORSE, Class::Commit, 1_303);
    serve_until(0, 1_400, &mut story);
    for ms in 1_401..=1_440 {
        story.waits(HORSE, Class::Commit, ms);
    }
}

#[test]
fn a_waiter_who_hangs_up_frees_the_place_and_is_told_nothing() {
    let mut story = Story::horses_on(1);
    let seat = story.passes(HORSE, Class::Read, 0);
    let gone = story.waits(HORSE, Class::Read, 1);
    let stays = story.waits(HORSE, Class::Read, 2);
    story.domain.leave(gone, at(3));
    story.domain.leave(gone, at(4));
    let told = story.ends(seat, 5);
    assert_eq!(told.admitted_places(), [stays]);
    assert!(told.refused.is_empty());
    // Served already: leaving now is for finish to say.
    story.domain.leave(stays, at(6));
    assert_eq!(story.domain.resources()[0].in_use(), 1);
}

#[test]
fn a_customer_is_held_to_a_share_only_where_others_would_wait_for_it() {
    let mut story = Story::horses_on(4);
    let greedy =
        |class| Arrival { product: HORSE, class, customer: Customer::Account(99), event: None, seats: ONE_SEAT };
    // Seats are free: nobody counts.
    let mut seats: Vec<Seat> = (0..4).map(|_| seat(story.domain.arrive(greedy(Class::Read), at(0)))).collect();
    assert_eq!(refusal(story.domain.arrive(greedy(Class::Commit), at(1))), Refusal::OverCustomerShare);
    // Others wait, and are not held to what this one has.
    let other = story.waits(HORSE, Class::Read, 2);
    for left in [3, 2, 1] {
        let seat = seats.pop().expect("four were taken");
        let told = story.ends(seat, 3);
        assert_eq!(told.admitted_places().contains(&other), left == 3);
    }
    // One left of four, two are allowed: with a queue or without, the next may come.
    let _more: Vec<Seat> = (0..2).map(|_| story.passes(HORSE, Class::Read, 4)).collect();
    place(story.domain.arrive(greedy(Class::Read), at(5)));
    assert_eq!(refusal(story.domain.arrive(greedy(Class::Read), at(6))), Refusal::OverCustomerShare);
}

#[test]
fn after_a_silence_a_queue_that_will_drain_is_not_called_full() {
    let mut story = Story::horses_on(4);
    for start in [0, 600_000] {
        // Four seats, 2 ms each: 2000 a second. A crowd of 90 comes at three a millisecond: all can be served in time.
        let mut held = std::collections::VecDeque::new();
        for ms in start..start + 30 {
            for _ in 0..3 {
                match story.asks(HORSE, Class::Commit, ms) {
                    Verdict::Proceed(seat) => held.push_back((ms + 2, seat)),
                    Verdict::Wait(_) => {}
                    Verdict::Refuse(refused) => panic!("{ms}: {refused:?}"),
                }
            }
            while held.front().is_some_and(|(due, _)| *due <= ms) {
                let (_, seat) = held.pop_front().expect("there is one");
                held.extend(story.ends(seat, ms).admitted.into_iter().map(|(_, seat)| (ms + 2, seat)));
            }
        }
        while let Some((due, seat)) = held.pop_front() {
            held.extend(story.ends(seat, due).admitted.into_iter().map(|(_, seat)| (due + 2, seat)));
        }
        assert!(story.is_empty());
    }
}

#[test]
fn a_class_that_is_not_served_does_not_send_the_others_away_for_longer() {
    let mut narrow = product(50, &[0]);
    narrow.queue.length = n(1);
    let mut story = Story::new(vec![fixed(4)], vec![narrow]);
    let _seats: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    story.waits(HORSE, Class::Commit, 1);
    for _ in 0..1000 {
        story.is_refused(HORSE, Class::Background, 2);
    }
    let Verdict::Refuse(bet) = story.asks(HORSE, Class::Commit, 3) else { panic!("the queue is full") };
    assert!(bet.retry_after < Duration::from_secs(2), "{bet:?}");
}

#[test]
fn everybody_who_is_refused_hears_a_time_within_the_bounds_and_not_all_the_same() {
    let mut story = Story::horses_on(4);
    let _seats: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    story.domain.shut_down(at(0));
    let mut times = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let Verdict::Refuse(refused) = story.asks(HORSE, Class::Commit, 1) else { panic!("the proxy goes down") };
        assert!((Duration::from_secs(1)..Duration::from_secs(30)).contains(&refused.retry_after));
        times.insert(refused.retry_after);
    }
    assert!(times.len() > 90);
}

#[test]
fn a_crowd_is_turned_away_a_handful_at_a_time_and_a_driver_that_is_woken_sees_the_end() {
    let mut roomy = product(50, &[0]);
    roomy.queue.length = n(10_000);
    let mut story = Story::new(vec![fixed(1000)], vec![roomy]);
    let _seats: Vec<Seat> = (0..1000).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    for _ in 0..1500 {
        story.waits(HORSE, Class::Read, 1);
    }
    story.domain.wake(at(1001));
    let first = story.told().refused.len();
    assert!((1..=64).contains(&first), "{first}");
    let mut wakes = 1;
    while let Some(due) = story.domain.next_wake() {
        assert_eq!(due, Timestamp::ZERO);
        story.domain.wake(at(1001));
        wakes += 1;
    }
    assert_eq!(story.told().refused.len() + first, 1500);
    assert!(wakes <= 1500 / 64 + 2, "{wakes}");
}

#[test]
fn nobody_overtakes_those_whose_turn_a_busy_call_has_put_off() {
    let mut story = Story::horses_on(200);
    story.orders(HORSE, Order::Park(ParkReason::Parked), 0);
    story.orders(HORSE, Order::Reopen, 0);
    let _ramp: Vec<Seat> = (0..100).map(|_| story.passes(HORSE, Class::Commit, 1)).collect();
    let bets: Vec<Place> = (0..90).map(|_| story.waits(HORSE, Class::Commit, 1)).collect();
    let mut told = story.orders(HORSE, Order::Open, 2);
    assert!(told.admitted.len() < bets.len());
    let image = story.waits(HORSE, Class::Background, 2);
    told.admitted.extend(story.sleeps_until(2).admitted);
    let (last, before) = told.admitted.split_last().expect("all were admitted");
    assert_eq!(before.iter().map(|(place, _)| *place).collect::<Vec<_>>(), bets);
    assert_eq!(last.0, image);
}

#[test]
fn a_clock_that_was_read_before_the_lock_was_taken_leaves_the_line_in_order() {
    let mut story = Story::horses_on(1);
    let _seat = story.passes(HORSE, Class::Read, 0);
    let first = story.waits(HORSE, Class::Read, 100);
    let second = story.waits(HORSE, Class::Read, 90);
    // Both came, as far as the domain was told, at 100: whoever is at the front is the first to be told.
    story.domain.leave(first, at(95));
    assert_eq!(story.domain.next_wake(), Some(at(1100)));
    assert_eq!(story.sleeps_until(1100).refused, [(second, Refusal::WaitedTooLong)]);
}

/// Two seats that serve a hundred a second, and a line that stands.
fn a_standing_line(class: Class) -> (Story, Vec<Seat>, Vec<Place>) {
    let mut story = Story::horses_on(2);
    for ms in (0..1_000).step_by(10) {
        let seat = story.passes(HORSE, class, ms);
        story.ends(seat, ms + 9);
    }
    let seats = (0..2).map(|_| story.passes(HORSE, class, 1_000)).collect();
    let places = (1..=40).map(|ms| story.waits(HORSE, class, 1_000 + ms)).collect();
    (story, seats, places)
}

#[test]
fn where_a_line_stands_whoever_came_last_goes_first_unless_they_are_on_their_way() {
    for (class, newest_first) in [(Class::Read, true), (Class::Start, false), (Class::Commit, false)] {
        let (mut story, mut seats, places) = a_standing_line(class);
        let first = story.ends(seats.pop().expect("two were taken"), 1_090).admitted_places();
        assert_eq!(first, places[..1], "a burst is served in its order");
        let next = story.ends(seats.pop().expect("one is left"), 1_101).admitted_places();
        assert_eq!(next, if newest_first { &places[39..] } else { &places[1..2] }, "{class:?}");
    }
}

#[test]
fn where_the_newest_go_first_it_is_the_oldest_who_is_told_that_the_line_is_full() {
    let (mut story, _seats, places) = a_standing_line(Class::Read);
    let newcomer = story.waits(HORSE, Class::Read, 1_200);
    assert_eq!(story.told().refused, [(places[0], Refusal::QueueFull)]);
    assert_ne!(newcomer, places[1]);
    let (mut story, _seats, _) = a_standing_line(Class::Commit);
    assert_eq!(story.is_refused(HORSE, Class::Commit, 1_200), Refusal::QueueFull);
}

#[test]
fn an_address_waits_for_no_more_than_its_part_while_others_are_here() {
    let mut story = Story::horses_on(6);
    let of_office = |story: &mut Story, class: Class, ms: u64| {
        let customer = Customer::Address(77);
        story.domain.arrive(Arrival { product: HORSE, class, customer, event: None, seats: ONE_SEAT }, at(ms))
    };
    // Alone it may have all there is, and wait for more.
    let running: Vec<Seat> = (0..6).map(|ms| seat(of_office(&mut story, Class::Read, ms))).collect();
    let waiting = place(of_office(&mut story, Class::Read, 10));
    // Two others are here: a third of the seats is its part.
    let anna = story.waits(HORSE, Class::Read, 11);
    let bert = story.waits(HORSE, Class::Read, 12);
    assert_eq!(refusal(of_office(&mut story, Class::Commit, 13)), Refusal::OverCustomerShare);
    assert!(matches!(of_office(&mut story, Class::Protected, 14), Verdict::Proceed(_)), "that is nobody's to refuse");
    let mut served = Vec::new();
    for (seat, ms) in running.into_iter().zip(20..) {
        served.extend(story.ends(seat, ms).admitted_places());
    }
    assert_eq!(served, [waiting, anna, bert]);
    // Its protected one and the read that waited are here: with three free seats, two are not too many.
    assert!((30..32).all(|ms| matches!(of_office(&mut story, Class::Read, ms), Verdict::Proceed(_))));
}
