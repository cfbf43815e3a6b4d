//! Passes and turns with handmade timestamps.

use super::super::time::at;
use super::*;

const ANNA: Customer = Customer::Account(1);
const BERT: Customer = Customer::Account(2);
/// As a number the same as Anna.
const OFFICE: Customer = Customer::Address(1);

fn s(seconds: u64) -> Timestamp {
    at(seconds * 1_000)
}

/// Idle after 10 s, 60 s at the longest, a turn held for 20 s.
fn passes() -> Passes {
    let seconds = Duration::from_secs;
    let most = NonZeroU32::new(1_000).expect("not zero");
    Passes::new(PassSettings { idle: seconds(10), longest: seconds(60), hold: seconds(20), most }, s(0))
}

#[test]
fn a_pass_lasts_while_its_customer_takes_steps_and_no_longer() {
    let mut passes = passes();
    assert_eq!(passes.standing(ANNA, s(0)), Standing::Stranger);
    passes.let_through(ANNA, s(0));
    for second in (0..50).step_by(9) {
        assert_eq!(passes.standing(ANNA, s(second)), Standing::Holder, "asking is enough, at {second} s");
    }
    assert_eq!(passes.held(), 1);
    assert_eq!(passes.standing(ANNA, s(45 + 10)), Standing::Stranger);
    assert_eq!(passes.standing(BERT, s(70)), Standing::Stranger);
    assert_eq!(passes.held(), 0);
}

#[test]
fn nobody_holds_the_door_for_ever_while_others_wait() {
    let mut passes = passes();
    let plays = |passes: &mut Passes, from: u64, to: u64| {
        (from..to).step_by(5).all(|second| {
            let holds = passes.standing(ANNA, s(second)) == Standing::Holder;
            passes.let_through(ANNA, s(second));
            holds
        })
    };
    passes.let_through(ANNA, s(0));
    assert!(plays(&mut passes, 5, 200), "while nobody waits a pass lasts as long as it is used");
    assert!(passes.promise(BERT, s(200)).is_some());
    assert_eq!(passes.standing(ANNA, s(201)), Standing::Stranger);
    passes.let_through(ANNA, s(201));
    assert!(plays(&mut passes, 202, 215), "after their turn they hold a new one");
}

#[test]
fn a_turn_is_kept_for_who_comes_back_as_told_and_is_over_when_they_are_let_through() {
    let mut passes = passes();
    let turns: Vec<_> = (1..=5).map(|n| passes.promise(Customer::Account(n), s(0))).collect();
    assert_eq!(turns, [0, 1, 2, 3, 4].map(Some));
    passes.told(ANNA, Duration::from_secs(100), s(0));
    assert_eq!(passes.promise(ANNA, s(1)), Some(0), "who asks again has the turn they had");
    assert_eq!(passes.standing(ANNA, s(119)), Standing::Promised(0));
    assert_eq!(passes.promised(), 1, "the others were told nothing and have not come");
    passes.let_through(ANNA, s(119));
    assert_eq!((passes.standing(ANNA, s(120)), passes.promised(), passes.held()), (Standing::Holder, 0, 1));
}

#[test]
fn an_address_is_nobody_in_particular_it_has_a_turn_and_never_a_pass() {
    let mut passes = passes();
    passes.let_through(OFFICE, s(0));
    assert_eq!(passes.standing(OFFICE, s(1)), Standing::Stranger);
    assert_eq!(passes.promise(OFFICE, s(1)), Some(0));
    assert_eq!(passes.standing(ANNA, s(1)), Standing::Stranger, "the same number, and somebody else");
    passes.let_through(OFFICE, s(2));
    assert_eq!((passes.standing(OFFICE, s(3)), passes.promised(), passes.held()), (Standing::Stranger, 0, 0));
}

#[test]
fn who_logs_in_takes_along_what_they_hold_and_of_two_the_better() {
    let mut passes = passes();
    // From a turn to a name that nobody knew.
    passes.promise(Customer::Account(7), s(0));
    passes.becomes(Customer::Account(7), ANNA, s(1));
    assert_eq!(passes.standing(ANNA, s(1)), Standing::Promised(0));
    assert_eq!(passes.standing(Customer::Account(7), s(1)), Standing::Stranger);
    // A pass counts more than a turn, whichever way.
    passes.let_through(BERT, s(2));
    passes.becomes(ANNA, BERT, s(3));
    assert_eq!((passes.standing(BERT, s(3)), passes.held(), passes.promised()), (Standing::Holder, 1, 0));
    passes.promise(ANNA, s(3));
    passes.becomes(BERT, ANNA, s(4));
    assert_eq!((passes.standing(ANNA, s(4)), passes.standing(BERT, s(4))), (Standing::Holder, Standing::Stranger));
    assert_eq!((passes.held(), passes.promised()), (1, 0));
    // Of two passes the elder: logging in again makes nobody younger.
    passes.let_through(BERT, s(5));
    passes.becomes(BERT, ANNA, s(5));
    passes.becomes(ANNA, ANNA, s(5));
    assert_eq!(passes.held(), 1);
    passes.let_through(ANNA, s(14));
    passes.promise(OFFICE, s(14));
    for second in [23, 32, 41, 50, 59] {
        assert_eq!(passes.standing(ANNA, s(second)), Standing::Holder);
        passes.told(OFFICE, Duration::ZERO, s(second));
    }
    assert_eq!(passes.standing(ANNA, s(63)), Standing::Stranger, "held since the second second, and others wait");
}

#[test]
fn who_logs_in_from_an_office_has_begun_and_the_office_keeps_its_turn() {
    let mut passes = passes();
    passes.promise(OFFICE, s(0));
    passes.has_begun(ANNA, s(1));
    assert_eq!((passes.standing(ANNA, s(1)), passes.standing(OFFICE, s(1))), (Standing::Holder, Standing::Promised(0)));
    assert_eq!((passes.held(), passes.promised()), (1, 1));
}

#[test]
fn the_time_told_is_what_those_before_take_at_the_pace_of_new_customers() {
    let mut passes = passes();
    // Each takes four steps, and 100 steps a second are let through: 25 new customers a second.
    for step in 0..400u64 {
        passes.let_through(Customer::Account(10_000 + step / 4), at(step * 10));
    }
    let mut last = 0;
    for n in 0..500 {
        last = passes.promise(Customer::Account(n), at(4_000)).expect("there is room");
    }
    let wait = passes.wait(last, at(4_000)).expect("something passes").as_secs_f64();
    assert!((17.0..23.0).contains(&wait), "{wait} s for 500");
    let first = passes.wait(0, at(4_000)).expect("something passes");
    assert!(first < Duration::from_secs(1));
}

#[test]
fn when_there_is_no_room_nobody_new_is_kept_and_nobody_is_lost() {
    let mut passes = passes();
    for n in 0..1_000 {
        assert!(passes.promise(Customer::Account(n), s(0)).is_some());
    }
    assert_eq!(passes.promise(Customer::Account(5_000), s(0)), None);
    passes.let_through(Customer::Account(5_000), s(0));
    assert_eq!((passes.held(), passes.promised()), (0, 1_000));
    assert_eq!(passes.standing(Customer::Account(999), s(1)), Standing::Promised(999));
    assert!((30..80).all(|second| passes.standing(BERT, s(second)) == Standing::Stranger));
    assert_eq!(passes.promised(), 0);
    assert_eq!(passes.promise(Customer::Account(5_000), s(90)), Some(1_000));
}

#[test]
fn what_is_handed_over_is_kept_there_in_the_same_order_before_what_is_promised_there() {
    let (mut here, mut there) = (passes(), passes());
    there.turns_begin_at(here.next_turn() + 1_000);
    let own = there.promise(OFFICE, s(0)).expect("there is room");
    here.let_through(ANNA, s(50));
    let turns: Vec<u64> = (0..5).filter_map(|n| here.promise(Customer::Account(100 + n), s(51))).collect();
    for held in here.to_hand_over(s(52)) {
        there.take_over(held, s(1));
    }
    assert_eq!((there.held(), there.promised()), (1, 6));
    assert_eq!(there.standing(ANNA, s(1)), Standing::Holder);
    for (n, turn) in turns.iter().enumerate() {
        assert_eq!(there.standing(Customer::Account(100 + n as u64), s(1)), Standing::Promised(*turn));
        assert!(*turn < own);
    }
    // What was renewed or promised since is told again, and changes nothing else.
    here.let_through(Customer::Account(100), s(53));
    for held in here.to_hand_over(s(53)) {
        there.take_over(held, s(2));
    }
    assert_eq!((there.held(), there.promised()), (2, 5));
    assert_eq!(there.standing(Customer::Account(100), s(2)), Standing::Holder);
    // And it ends when it would have ended there.
    let ends = (0..200).find(|second| there.standing(Customer::Account(101), s(*second)) == Standing::Stranger);
    assert!(ends.is_some());
}
