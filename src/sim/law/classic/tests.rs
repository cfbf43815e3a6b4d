//! Laws as a whole, by hand-made sequences.

use super::testing::{at, millis};
use super::*;
use crate::admission::{Arrival, Class, ONE_SEAT, ParkReason, ProductId};

/// Three products on one pool, of which they are guaranteed 10, 6 and 4 of 20.
fn three() -> Surroundings {
    Surroundings {
        products: 3,
        pools: vec![0; 3],
        guarantees: vec![50, 30, 20],
        objective: vec![Duration::from_millis(200); 3],
    }
}

fn law(written: &str) -> Box<dyn Law> {
    build(written, &three(), 1).expect("a known law")
}

fn knock(request: u32, product: u16) -> Knock {
    let customer = Customer::Account(u64::from(request));
    let arrival = Arrival { product: ProductId(product), class: Class::Commit, customer, event: None, seats: ONE_SEAT };
    Knock { request: RequestId(request), arrival }
}

/// So many arrive at once, and how many pass.
fn passing(law: &mut dyn Law, requests: std::ops::Range<u32>, product: u16) -> usize {
    requests.filter(|&request| law.arrive(knock(request, product), at(0)) == Word::Pass).count()
}

fn answered(law: &mut dyn Law, request: u32, now: u64) -> Vec<Said> {
    law.finish(RequestId(request), Outcome::Answered, at(now));
    std::iter::from_fn(|| law.poll()).collect()
}

#[test]
fn without_a_limit_everything_passes() {
    let mut law = law("none");
    assert_eq!(passing(&mut *law, 0..5_000, 0), 5_000);
    assert_eq!(law.look(0), Look { limit: None, in_flight: 5_000, waiting: 0, state: "open", ramp: None });
}

#[test]
fn at_its_limit_a_law_without_a_line_says_no_until_a_seat_is_free() {
    let mut law = law("fixed:20");
    assert_eq!(passing(&mut *law, 0..30, 0), 20);
    assert_eq!(law.arrive(knock(30, 0), at(0)), Word::Refuse(No::BARE));
    assert_eq!(answered(&mut *law, 3, 1), []);
    assert_eq!(law.arrive(knock(31, 0), at(1)), Word::Pass);
    assert_eq!(law.look(0).limit, Some(20.0));
}

#[test]
fn with_a_line_the_next_one_passes_when_a_seat_is_free() {
    let mut law = law("fixed:1/fifo:2");
    assert_eq!(passing(&mut *law, 0..3, 0), 1);
    assert_eq!(law.arrive(knock(3, 0), at(0)), Word::Refuse(No::BARE), "two wait already");
    law.leave(RequestId(1), at(1));
    assert_eq!(law.look(0).waiting, 1);
    assert_eq!(answered(&mut *law, 0, 2), [Said::Pass(RequestId(2))]);
    assert_eq!((law.look(0).waiting, law.look(0).in_flight), (0, 1));
}

#[test]
fn each_pool_has_a_limit_of_its_own() {
    let around = Surroundings { pools: vec![0, 1, 0], ..three() };
    let mut law = build("fixed:20", &around, 1).expect("a known law");
    assert_eq!(passing(&mut *law, 0..15, 0), 15);
    assert_eq!(passing(&mut *law, 15..40, 1), 20);
    assert_eq!(passing(&mut *law, 40..60, 2), 5);
}

#[test]
fn a_no_says_when_to_come_back_if_so_written() {
    let mut law = law("fixed:1/retry-after:2-6");
    passing(&mut *law, 0..1, 0);
    let (least, most) = (Duration::from_secs(2), Duration::from_secs(6));
    let told: Vec<Duration> = (1..200)
        .filter_map(|request| match law.arrive(knock(request, 0), at(1)) {
            Word::Refuse(no) => no.retry_after,
            Word::Pass | Word::Wait => None,
        })
        .collect();
    assert_eq!(told.len(), 199);
    assert!(told.iter().all(|after| (least..most).contains(after)));
    assert!(told.iter().any(|after| *after < millis(2_200)) && told.iter().any(|after| *after > millis(5_800)));
}

#[test]
fn who_is_shed_from_a_line_is_told_so() {
    let mut law = law("fixed:1/codel/retry-after:2-2");
    passing(&mut *law, 0..4, 0);
    assert_eq!(answered(&mut *law, 0, 150), [Said::Pass(RequestId(1))], "the first went straight through");
    let no = No { retry_after: Some(Duration::from_secs(2)), ..No::BARE };
    assert_eq!(answered(&mut *law, 1, 260), [Said::Refuse(RequestId(2), no), Said::Refuse(RequestId(3), no)]);
    assert_eq!((law.look(0).in_flight, law.look(0).waiting), (0, 0));
}

#[test]
fn at_the_gate_customers_are_told_to_ask_again_and_get_in_while_there_is_room() {
    let mut law = law("fixed:20/fifo:100/cohort");
    let at_the_gate = |word: Word| match word {
        Word::Refuse(no) => {
            assert!(no.retry_after.is_some_and(|after| (millis(1_000)..millis(2_000)).contains(&after)));
            no.at_the_gate
        }
        Word::Pass | Word::Wait => false,
    };
    assert!((0..100).all(|request| at_the_gate(law.arrive(knock(request, 0), at(0)))));
    let mut wakes = 0;
    while let Some(due) = law.next_wake() {
        law.wake(due);
        wakes += 1;
    }
    assert_eq!(wakes, 250, "0.4 per cent every 100 ms");
    assert!((0..100).all(|request| !at_the_gate(law.arrive(knock(request, 0), at(25_000)))));
}

#[test]
fn a_parked_product_refuses_who_comes_and_who_waits_and_others_do_not_notice() {
    let mut law = law("fixed:1/fifo/retry-after:2-6");
    assert_eq!(passing(&mut *law, 0..3, 0), 1);
    assert_eq!(passing(&mut *law, 3..4, 1), 0);
    law.order(0, Order::Park(ParkReason::Parked), at(1));
    let told: Vec<Said> = std::iter::from_fn(|| law.poll()).collect();
    assert_eq!(told, [Said::Refuse(RequestId(1), No::BARE), Said::Refuse(RequestId(2), No::BARE)]);
    assert_eq!(law.arrive(knock(4, 0), at(2)), Word::Refuse(No::BARE));
    assert_eq!(law.look(0).state, "parked");
    assert_eq!(answered(&mut *law, 0, 3), [Said::Pass(RequestId(3))]);
    law.order(0, Order::Reopen, at(4));
    assert_eq!(law.arrive(knock(5, 0), at(4)), Word::Wait);
    assert_eq!((law.look(0).state, law.look(0).waiting), ("open", 1));
}

#[test]
fn netflix_partitions_admit_more_than_the_limit() {
    let mut law = law("fixed:20/netflix-partition");
    assert_eq!(passing(&mut *law, 0..40, 0), 20, "the horses may borrow everything");
    assert_eq!(passing(&mut *law, 40..60, 1), 6, "26 on a limit of 20");
    assert_eq!(passing(&mut *law, 60..80, 2), 4, "and 30");
}

#[test]
fn hard_partitions_admit_nobody_beyond_its_part_whoever_sleeps() {
    let mut law = law("fixed:20/hard-partition");
    assert_eq!(passing(&mut *law, 0..40, 0), 10);
    assert_eq!(passing(&mut *law, 40..60, 1), 6);
    assert_eq!(passing(&mut *law, 60..80, 2), 4);
    assert_eq!(answered(&mut *law, 40, 1), [Said::Pass(RequestId(59))], "of its own, who came last");
}

#[test]
fn guaranteed_parts_are_lent_and_come_first_when_wanted() {
    for (written, next_of_sport) in [("fixed:20/guaranteed-lifo", 44), ("fixed:20/guaranteed-fifo", 40)] {
        let mut law = law(written);
        assert_eq!(passing(&mut *law, 0..40, 0), 20, "{written}: lent");
        assert_eq!(passing(&mut *law, 40..45, 1), 0, "{written}: never above the limit");
        assert_eq!(answered(&mut *law, 0, 1), [Said::Pass(RequestId(next_of_sport))], "{written}");
    }
}

#[test]
fn what_is_lent_goes_round_by_weight() {
    let mut law = law("fixed:20/guaranteed-fifo");
    passing(&mut *law, 0..10, 0);
    passing(&mut *law, 10..16, 1);
    passing(&mut *law, 16..20, 2);
    for product in 0..3 {
        let first = 100 * u32::from(product + 1);
        assert_eq!(passing(&mut *law, first..first + 100, product), 0);
    }
    let mut had = [0; 3];
    let mut running = VecDeque::from_iter(0..20);
    for now in 1..=100 {
        let done = running.pop_front().expect("twenty run");
        let said = answered(&mut *law, done, now);
        let [Said::Pass(RequestId(next))] = said[..] else { panic!("{said:?}") };
        had[next as usize / 100 - 1] += 1;
        running.push_back(next);
    }
    for (had, weight) in had.into_iter().zip([50_i32, 30, 20]) {
        assert!((had - weight).abs() <= 1, "{had} of {weight}");
    }
}

#[test]
fn apf_lends_only_from_its_next_division_on() {
    let mut law = law("fixed:20/apf");
    assert_eq!(passing(&mut *law, 0..100, 0), 10, "its guarantee");
    law.wake(at(9_999));
    assert_eq!(law.poll(), None);
    law.wake(at(10_000));
    // 3 and 2 of the other two's guarantees may be lent, and nobody else wants anything.
    assert_eq!(std::iter::from_fn(|| law.poll()).count(), 5);
}

#[test]
fn equal_seeds_give_equal_laws() {
    let told = |seed| {
        let mut law = build("fixed:1/retry-after:2-6", &three(), seed).expect("a known law");
        (0..5).map(|request| law.arrive(knock(request, 0), at(0))).collect::<Vec<Word>>()
    };
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}
