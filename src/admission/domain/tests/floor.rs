//! What the lowest classes are owed.

use super::*;

/// One seat, and a queue of bets and of `low` who wait for it, of whom `floor` per cent are the latter's.
fn crowded(floor: u32, low: &[Class]) -> (Story, Seat, Vec<Place>) {
    let mut busy = product(50, &[0]);
    busy.queue.floor = floor;
    busy.queue.length = n(1000);
    busy.reserve = n(1);
    let mut story = Story::new(vec![fixed(400)], vec![busy]);
    let last = story.passes(HORSE, Class::Commit, 0);
    let _others: Vec<Seat> = (1..400).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    let low = (1..).zip(low).map(|(ms, class)| story.waits(HORSE, *class, ms)).collect();
    for _ in 0..400 {
        story.waits(HORSE, Class::Commit, 50);
    }
    (story, last, low)
}

/// The turns, counted from 1, in which somebody of `whom` is let through, of so many.
fn turns(story: &mut Story, mut seat: Seat, whom: &[Place], of: u32) -> Vec<u32> {
    let mut theirs = Vec::new();
    for turn in 1..=of {
        let told = story.ends(seat, 60);
        let (place, next) = told.admitted.into_iter().next().expect("somebody waits");
        theirs.extend(whom.contains(&place).then_some(turn));
        seat = next;
    }
    theirs
}

#[test]
fn the_lowest_get_their_floor_of_what_passes_and_no_more() {
    let (mut story, seat, low) = crowded(5, &[Class::Read; 40]);
    let theirs = turns(&mut story, seat, &low, 210);
    assert_eq!(theirs, (1..=10).map(|nth| nth * 21).collect::<Vec<_>>(), "one after each twenty others");
    let (mut story, seat, low) = crowded(0, &[Class::Read; 40]);
    assert!(turns(&mut story, seat, &low, 210).is_empty());
}

#[test]
fn of_the_lowest_goes_who_has_waited_longest() {
    let (mut story, seat, low) = crowded(20, &[Class::Background, Class::Read]);
    assert_eq!(turns(&mut story, seat, &low[..1], 12), [6]);
    let (mut story, seat, low) = crowded(20, &[Class::Background, Class::Read]);
    assert_eq!(turns(&mut story, seat, &low[1..], 12), [12]);
}

#[test]
fn a_floor_takes_nothing_from_those_who_pass_in_every_state() {
    let (mut story, seat, low) = crowded(20, &[Class::Read; 4]);
    let _reserve = story.passes(HORSE, Class::Protected, 51);
    let protected: Vec<Place> = (0..20).map(|_| story.waits(HORSE, Class::Settle, 51)).collect();
    assert_eq!(turns(&mut story, seat, &protected, 20), (1..=20).collect::<Vec<_>>());
    assert_eq!(low.len(), 4);
}
