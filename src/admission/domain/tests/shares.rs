//! Products that share a pool: guarantees, loans, and what is taken back.

use super::*;

/// Horse racing is owed 50 of 100 seats' worth of ten, sport 30, casino 20.
fn house() -> Story {
    Story::new(vec![fixed(10)], vec![product(50, &[0]), product(30, &[0]), product(20, &[0])])
}

#[test]
fn what_is_idle_is_lent_and_the_total_is_hard() {
    let mut story = house();
    let seats: Vec<Seat> = (0..10).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    story.waits(HORSE, Class::Read, 0);
    story.waits(CASINO, Class::Commit, 0);
    assert_eq!(story.domain.resources()[0].in_use(), 10);
    assert_eq!(seats.len(), 10);
}

#[test]
fn who_is_below_the_guarantee_goes_before_who_borrows_whatever_the_class() {
    let mut story = house();
    let mut seats: Vec<Seat> = (0..10).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    for _ in 0..10 {
        story.waits(HORSE, Class::Commit, 1);
    }
    let odds: Vec<Place> = (0..3).map(|_| story.waits(SPORT, Class::Background, 2)).collect();
    let casino: Vec<Place> = (0..2).map(|_| story.waits(CASINO, Class::Read, 3)).collect();
    // Everything that sport and casino are owed comes back within the next five ends: one service time.
    let mut told = Vec::new();
    for _ in 0..5 {
        let seat = seats.pop().expect("ten were taken");
        told.extend(story.ends(seat, 10).admitted_places());
    }
    assert!(odds.iter().chain(&casino).all(|place| told.contains(place)), "{told:?}");
    assert_eq!(story.domain.resources()[0].in_use_by(HORSE.index()), 5);
    // From here on horse racing is at its guarantee and has it back.
    let seat = seats.pop().expect("five are left");
    story.waits(SPORT, Class::Commit, 11);
    assert_eq!(story.ends(seat, 12).admitted.len(), 1);
    assert_eq!(story.domain.resources()[0].in_use_by(HORSE.index()), 5);
}

#[test]
fn what_nobody_is_owed_is_shared_by_weight() {
    let mut story = house();
    let mut held: Vec<Seat> = (0..10).map(|_| story.passes(CASINO, Class::Read, 0)).collect();
    for _ in 0..20 {
        story.waits(HORSE, Class::Read, 1);
        story.waits(SPORT, Class::Read, 1);
    }
    while let Some(seat) = held.pop() {
        story.ends(seat, 10);
    }
    // Casino wants nothing more: 50 to 30.
    let by = |product: ProductId| story.domain.resources()[0].in_use_by(product.index());
    assert_eq!((by(HORSE), by(SPORT), by(CASINO)), (6, 4, 0));
}

#[test]
fn a_share_is_measured_on_the_place_that_is_short() {
    // Horse racing holds a fifth of a large pool, much less than its half, and nothing of the wallet; sport holds all
    // of the wallet. Counted in seats horse racing has more; measured by what is owed the next wallet seat is its.
    let resources = vec![fixed(1000), budget(10), fixed(1000)];
    let products = vec![betting(50, 0, 1), betting(50, 2, 1), product(50, &[0])];
    let mut story = Story::new(resources, products);
    let _odds: Vec<Seat> = (0..200).map(|_| story.passes(HORSE, Class::Read, 0)).collect();
    let mut bets: Vec<Seat> = (0..10).map(|_| story.passes(SPORT, Class::Commit, 0)).collect();
    story.waits(SPORT, Class::Commit, 1);
    let horse = story.waits(HORSE, Class::Commit, 2);
    let seat = bets.pop().expect("ten were taken");
    assert_eq!(story.ends(seat, 3).admitted_places(), [horse]);
}

#[test]
fn of_two_that_hold_as_much_the_one_who_has_waited_longest_goes_first() {
    // Three products owed the same, two seats: whichever comes last in the list must not be the one left out.
    let mut story = Story::new(vec![fixed(2)], vec![product(33, &[0]), product(33, &[0]), product(33, &[0])]);
    let seats = [story.passes(HORSE, Class::Commit, 0), story.passes(SPORT, Class::Commit, 0)];
    let casino = story.waits(CASINO, Class::Commit, 1);
    let (horse, sport) = (story.waits(HORSE, Class::Commit, 2), story.waits(SPORT, Class::Commit, 3));
    let [first, second] = seats;
    assert_eq!(story.ends(first, 10).admitted_places(), [casino]);
    assert_eq!(story.ends(second, 11).admitted_places(), [horse]);
    assert_ne!(horse, sport);
}
