//! A shift of a share, seen by hand.

use super::super::time::at;
use super::*;

const PACE: Duration = Duration::from_secs(30);

fn plan(share: u32) -> Plan {
    Plan { from: 0, to: 1, share, step: 5, every: PACE, now: false }
}

fn begun(start: u32) -> Shift {
    Shift::new(plan(50), start, 8, at(0))
}

/// So many answers in time, late and failed; everything due was taken.
fn did(good: u32, late: u32, failed: u32) -> Watch {
    Watch { good, late, failed, due: 10_000, ..Watch::default() }
}

fn seen(from: Watch, to: Watch) -> Seen {
    Seen { from, to, limit: 8, surge: false, giver_gone: false }
}

/// The next look, when its time has come.
fn look(shift: &mut Shift, seen: Seen) -> Step {
    let settles = shift.looks();
    if shift.settled(shift.limit, settles) {
        let now = shift.looks();
        return shift.look(&seen, now);
    }
    shift.look(&seen, settles)
}

fn well() -> Seen {
    seen(did(950, 0, 0), did(50, 0, 0))
}

fn ill() -> Seen {
    seen(did(950, 0, 0), did(40, 0, 10))
}

#[test]
fn it_goes_step_by_step_to_its_target_and_is_over_when_all_is_well_there() {
    let mut shift = begun(0);
    assert_eq!(shift.share(), 5);
    let mut shares = vec![5];
    loop {
        match look(&mut shift, well()) {
            Step::Forward(share) => shares.push(share),
            Step::End(share, end) => {
                assert_eq!((share, end), (50, End::Arrived));
                break;
            }
            other => panic!("{other:?} at {shares:?}"),
        }
    }
    assert_eq!(shares, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]);
}

#[test]
fn a_step_is_watched_for_a_whole_pace_of_which_the_first_third_does_not_count() {
    let mut shift = begun(0);
    assert_eq!(shift.looks(), at(10_000));
    assert!(!shift.settled(8, at(9_999)));
    assert!(shift.settled(8, at(10_000)));
    assert_eq!(shift.looks(), at(30_000));
}

#[test]
fn each_thing_that_the_receiving_side_may_suffer_from_brings_it_back() {
    let from = did(950, 0, 0);
    let full = Watch { lost: 2_500, ..did(200, 0, 0) };
    for (to, limit, ill) in [
        (did(40, 0, 10), 8, Ill::Faults),
        (did(20, 30, 0), 8, Ill::Late),
        (full, 8, Ill::Full),
        (full, 5, Ill::LimitCut),
    ] {
        let mut shift = begun(0);
        assert_eq!(look(&mut shift, well()), Step::Forward(10));
        assert_eq!(look(&mut shift, Seen { limit, ..seen(from, to) }), Step::Back(5, ill));
        assert_eq!(shift.hold(), Hold::SteppedBack(ill));
    }
}

#[test]
fn what_both_sides_suffer_from_is_not_the_step_s_doing() {
    let mut shift = begun(0);
    assert_eq!(look(&mut shift, seen(did(800, 100, 100), did(80, 11, 11))), Step::Forward(10));
    let both = seen(did(100, 0, 500), did(10, 0, 50));
    assert_eq!(look(&mut shift, both), Step::Stay);
    assert_eq!((shift.hold(), shift.share()), (Hold::BothFail, 10));
}

#[test]
fn under_a_surge_a_step_that_costs_goodput_is_taken_back_whatever_the_line_looks_like() {
    let surge = |good| Seen { surge: true, ..seen(did(good, 0, 0), did(100, 0, 0)) };
    let mut shift = begun(0);
    assert_eq!(look(&mut shift, surge(900)), Step::Forward(10));
    assert_eq!(look(&mut shift, surge(860)), Step::Forward(15));
    assert_eq!(look(&mut shift, surge(700)), Step::Back(10, Ill::Goodput));
    // Fewer are served because fewer come.
    let mut shift = begun(0);
    assert_eq!(look(&mut shift, surge(900)), Step::Forward(10));
    assert_eq!(look(&mut shift, seen(did(400, 0, 0), did(50, 0, 0))), Step::Forward(15));
}

#[test]
fn too_few_answers_hold_it_and_are_counted_on() {
    let mut shift = begun(0);
    assert_eq!(look(&mut shift, seen(did(90, 0, 0), did(5, 0, 0))), Step::Stay);
    assert_eq!(shift.hold(), Hold::TooFewAnswers);
    // What was counted stays: it is not settled anew.
    assert!(!shift.settled(8, shift.looks()));
    assert_eq!(look(&mut shift, well()), Step::Forward(10));
}

#[test]
fn a_site_that_answers_nothing_and_takes_nothing_is_not_waited_for() {
    let mut shift = begun(5);
    let hangs = Watch { due: 10_000, lost: 8_000, ..Watch::default() };
    assert!(matches!(look(&mut shift, seen(did(900, 0, 0), hangs)), Step::Back(5, Ill::Full)));
}

#[test]
fn a_limit_that_still_grows_is_waited_for() {
    let mut shift = begun(0);
    let full = Watch { lost: 5_000, ..did(200, 0, 0) };
    for limit in [12, 18, 27] {
        assert_eq!(look(&mut shift, Seen { limit, ..seen(did(900, 0, 0), full) }), Step::Stay);
        assert_eq!(shift.hold(), Hold::Warming);
        // It counts anew from what was found.
        assert!(shift.settled(limit, shift.looks()));
    }
    assert!(matches!(look(&mut shift, Seen { limit: 27, ..seen(did(900, 0, 0), full) }), Step::Back(0, Ill::Full)));
}

#[test]
fn a_cold_site_is_given_time_to_be_warmed_by_its_share_and_not_for_ever() {
    let late = seen(did(950, 0, 0), did(40, 10, 0));
    let mut shift = begun(0);
    for _ in 0..3 {
        assert_eq!(look(&mut shift, late), Step::Stay);
        assert_eq!(shift.hold(), Hold::Warming);
    }
    assert_eq!(look(&mut shift, well()), Step::Forward(10));
    for _ in 0..WARMED {
        assert_eq!(look(&mut shift, late), Step::Stay);
    }
    assert_eq!(look(&mut shift, late), Step::Back(5, Ill::Late));
}

#[test]
fn nothing_is_concluded_while_the_giving_side_is_gone() {
    let mut shift = begun(0);
    let gone = Seen { giver_gone: true, ..ill() };
    assert_eq!(look(&mut shift, gone), Step::Stay);
    assert_eq!((shift.hold(), shift.share()), (Hold::GiverGone, 5));
}

#[test]
fn after_a_step_back_it_tries_by_half_and_after_three_it_gives_up_where_all_was_well() {
    let mut shift = begun(0);
    for _ in 0..3 {
        look(&mut shift, well());
    }
    assert_eq!(shift.share(), 20);
    let mut ends = Vec::new();
    for _ in 0..20 {
        // Eighteen per cent are what it can serve.
        let seen = if shift.share() > 18 { ill() } else { well() };
        let step = look(&mut shift, seen);
        ends.push(step);
        if matches!(step, Step::End(..)) {
            break;
        }
    }
    let expected = [
        Step::Back(15, Ill::Faults),
        Step::Forward(17),
        Step::Forward(19),
        Step::Back(17, Ill::Faults),
        Step::Forward(18),
        Step::Forward(19),
        Step::End(18, End::GaveUp(Ill::Faults)),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn trouble_that_has_passed_is_forgiven() {
    let mut shift = begun(0);
    look(&mut shift, well());
    assert_eq!(look(&mut shift, ill()), Step::Back(5, Ill::Faults));
    assert_eq!(shift.backs(), 1);
    let mut shares = Vec::new();
    while let Step::Forward(share) = look(&mut shift, well()) {
        shares.push(share);
    }
    assert_eq!(shift.backs(), 0);
    assert_eq!(shares[..6], [7, 9, 11, 16, 21, 26], "by half up to where it was bad, then as before");
}

#[test]
fn where_half_of_the_answers_fail_nobody_waits_for_the_pace() {
    let answered = |good, failed| {
        let mut watch = Watch::default();
        (0..good).for_each(|_| watch.answered(Outcome::Answered, false, true));
        (0..failed).for_each(|_| watch.answered(Outcome::Failed, false, true));
        watch
    };
    let (from, to) = (answered(1000, 0), answered(1000, 25));
    assert!(Shift::is_plainly_ill(&from, &to), "however well it was before");
    assert!(!Shift::is_plainly_ill(&from, &answered(1000, 10)));
    assert!(!Shift::is_plainly_ill(&from, &answered(0, 5)), "too few to tell");
    assert!(!Shift::is_plainly_ill(&answered(0, 30), &to), "that is so of both");
    let mut shift = begun(0);
    look(&mut shift, well());
    look(&mut shift, well());
    assert_eq!(shift.falls_ill(Ill::Faults, at(70_000)), Step::Back(10, Ill::Faults));
    // There all was well before: it has broken.
    assert_eq!(shift.falls_ill(Ill::Faults, at(80_000)), Step::End(0, End::GaveUp(Ill::Faults)));
}

#[test]
fn a_site_that_is_gone_ends_it_where_it_began() {
    let mut shift = begun(10);
    look(&mut shift, well());
    assert_eq!(shift.falls_ill(Ill::Gone, at(50_000)), Step::End(10, End::GaveUp(Ill::Gone)));
}

#[test]
fn back_at_nothing_there_is_nothing_to_see_and_it_tries_again() {
    let mut shift = begun(0);
    assert_eq!(look(&mut shift, ill()), Step::Back(0, Ill::Faults));
    assert_eq!(look(&mut shift, seen(did(900, 0, 0), Watch::default())), Step::Forward(2));
}
