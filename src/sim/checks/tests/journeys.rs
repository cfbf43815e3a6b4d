//! Lies about passes and promised turns.

use super::*;

const ANNA: u64 = 1;
const BERT: u64 = 2;

/// Told to come back after two seconds, for a turn that is kept.
fn sent_away(request: RequestId) -> Said {
    Said::Refuse(request, no(Refusal::NotYourTurn))
}

#[test]
fn a_line_that_is_not_that_of_who_holds_a_pass() {
    for (line, ms, sound) in [
        (Rank::Continue, 9_999, true),
        (Rank::NewContinue, 9_999, false),
        (Rank::Continue, 10_000, false),
        (Rank::NewContinue, 10_000, true),
    ] {
        let mut scene = Scene::of_journeys(100);
        scene.who_comes_is(ANNA);
        let step = scene.passes(HORSES, Class::Start, 0);
        scene.ends_and_lets(step, &[], 1);
        scene.strangers_come();
        scene.fills(2);
        scene.who_comes_is(ANNA);
        scene.waits_in(HORSES, line, ms);
        if sound { scene.is_silent() } else { scene.speaks_of("line") }
    }
}

#[test]
fn a_step_that_does_not_renew_a_pass() {
    for (class, line) in [(Class::Start, Rank::Continue), (Class::Read, Rank::NewContinue)] {
        for put_in in [Rank::Continue, Rank::NewContinue] {
            let mut scene = Scene::of_journeys(100);
            scene.who_comes_is(ANNA);
            for (class, ms) in [(Class::Start, 0), (class, 9_000)] {
                let step = scene.passes(HORSES, class, ms);
                scene.ends_and_lets(step, &[], ms + 1);
            }
            scene.strangers_come();
            scene.fills(9_002);
            scene.who_comes_is(ANNA);
            scene.waits_in(HORSES, put_in, 18_000);
            if put_in == line { scene.is_silent() } else { scene.speaks_of("line") }
        }
    }
}

#[test]
fn a_pass_for_an_address() {
    for (line, sound) in [(Rank::NewContinue, true), (Rank::Continue, false)] {
        let mut scene = Scene::of_journeys(100);
        scene.who_comes_is_from(7);
        scene.passes(HORSES, Class::Start, 0);
        scene.strangers_come();
        (0..3).for_each(|_| _ = scene.passes(HORSES, Class::Read, 1));
        scene.who_comes_is_from(7);
        scene.waits_in(HORSES, line, 2);
        if sound { scene.is_silent() } else { scene.speaks_of("line") }
    }
}

#[test]
fn a_pass_that_is_held_too_long_while_others_are_promised_a_turn() {
    // Whether others are is known until their turn is over; afterwards it is the law's word.
    let since_the_first = Kept::Pass(at(0));
    for (promised_at, kept, line, sound) in [
        (Some(16_000), since_the_first, Rank::NewContinue, true),
        (Some(16_000), since_the_first, Rank::Continue, false),
        (Some(14_000), since_the_first, Rank::Continue, true),
        (Some(14_000), since_the_first, Rank::NewContinue, false),
        (Some(14_000), Kept::Turn, Rank::NewContinue, true),
        (Some(14_000), Kept::Turn, Rank::Continue, false),
        (None, Kept::Nothing, Rank::Continue, true),
    ] {
        let mut scene = Scene::of_journeys(100);
        scene.law().promised(u32::from(promised_at.is_some()));
        scene.who_comes_is(ANNA);
        for ms in [0, 9_000, 18_000] {
            if let Some(at) = promised_at.filter(|_| ms == 18_000) {
                scene.who_comes_is(BERT);
                let running = [0; 4].map(|_| scene.passes(SPORT, Class::Read, at));
                let waits = scene.waits_in(HORSES, Rank::NewStart, at);
                scene.law().next_wake(Timestamp::NEVER);
                scene.leaves(waits, at + 1);
                running.into_iter().for_each(|request| scene.ends_and_lets(request, &[], at + 2));
                scene.who_comes_is(ANNA);
            }
            let step = scene.passes(HORSES, Class::Start, ms);
            scene.ends_and_lets(step, &[], ms + 1);
        }
        scene.strangers_come();
        scene.fills(19_500);
        scene.law().keeps(kept);
        // Hers is one more, if she has none.
        scene.law().after_next(|shown| shown.products[HORSES].promised = 2);
        scene.who_comes_is(ANNA);
        scene.waits_in(HORSES, line, 20_000);
        if sound { scene.is_silent() } else { scene.speaks_of("line") }
    }
}

#[test]
fn a_newcomer_before_who_holds_a_pass() {
    let mut scene = Scene::of_journeys(100);
    scene.who_comes_is(ANNA);
    let step = scene.passes(SPORT, Class::Start, 0);
    scene.ends_and_lets(step, &[], 1);
    scene.strangers_come();
    let running = scene.fills(1);
    let bet = scene.waits_in(SPORT, Rank::NewCommit, 2);
    scene.who_comes_is(ANNA);
    scene.waits_in(SPORT, Rank::Start, 3);
    scene.is_silent();
    scene.ends_and_lets(running, &[Said::Pass(bet)], 4);
    scene.speaks_of("higher rank first");
}

/// Anna, then Bert, have waited too long, and were told to come back at three seconds.
fn both_were_sent_away() -> (Scene, RequestId) {
    let mut scene = Scene::of_journeys(100);
    let running = scene.fills(0);
    let both = [ANNA, BERT].map(|who| {
        scene.who_comes_is(who);
        scene.waits_in(SPORT, Rank::NewStart, 1)
    });
    scene.law().next_wake(at(60_000));
    scene.wakes(&both.map(sent_away), 1_001);
    scene.is_silent();
    (scene, running)
}

/// Whichever of the two is let through first, when they come back at these times, is not to be complained of.
fn is_next(who: u64, comes_back: [(u64, u64); 2]) {
    for let_through in [ANNA, BERT] {
        let (mut scene, running) = both_were_sent_away();
        let back = comes_back.map(|(who, ms)| {
            scene.who_comes_is(who);
            (who, scene.waits_in(SPORT, Rank::NewStart, ms))
        });
        scene.is_silent();
        let lets = back.into_iter().filter(|(back, _)| *back == let_through).map(|(_, request)| Said::Pass(request));
        scene.ends_and_lets(running, &lets.collect::<Vec<_>>(), comes_back[1].1 + 1);
        if let_through == who { scene.is_silent() } else { scene.speaks_of("lowest turn first") }
    }
}

#[test]
fn a_turn_that_is_lost_by_a_no_or_kept_for_longer_than_it_is() {
    is_next(ANNA, [(BERT, 3_000), (ANNA, 3_001)]);
    // Two seconds were told, and it is kept for five more; who has come meanwhile is before them then.
    is_next(ANNA, [(BERT, 7_500), (ANNA, 8_000)]);
    is_next(BERT, [(BERT, 7_500), (ANNA, 8_001)]);
}

#[test]
fn turns_that_are_forgotten() {
    let (mut scene, _) = both_were_sent_away();
    scene.law().promised(2);
    scene.wakes(&[], 8_000);
    scene.law().promised(0);
    scene.wakes(&[], 8_001);
    scene.is_silent();
    let (mut scene, _) = both_were_sent_away();
    scene.law().promised(1);
    scene.wakes(&[], 8_000);
    scene.speaks_of("turns");
}

#[test]
fn a_no_that_does_not_say_whether_a_turn_is_kept() {
    for (holds_a_pass, told, sound) in [
        (false, Refusal::NotYourTurn, true),
        (false, Refusal::WaitedTooLong, false),
        (true, Refusal::WaitedTooLong, true),
        (true, Refusal::NotYourTurn, false),
    ] {
        let mut scene = Scene::of_journeys(100);
        scene.who_comes_is(ANNA);
        if holds_a_pass {
            let step = scene.passes(SPORT, Class::Start, 0);
            scene.ends_and_lets(step, &[], 0);
        }
        scene.strangers_come();
        scene.fills(0);
        scene.who_comes_is(ANNA);
        let waits = scene.waits_in(SPORT, if holds_a_pass { Rank::Start } else { Rank::NewStart }, 1);
        scene.wakes(&[Said::Refuse(waits, no(told))], 1_001);
        if sound { scene.is_silent() } else { scene.speaks_of("refusal") }
    }
}

#[test]
fn a_turn_for_which_there_is_no_room_is_not_kept() {
    for (kept, told, sound) in [
        (Kept::Nothing, Refusal::WaitedTooLong, true),
        (Kept::Turn, Refusal::WaitedTooLong, false),
        (Kept::Nothing, Refusal::NotYourTurn, false),
    ] {
        let mut scene = Scene::of_journeys(1);
        scene.fills(0);
        scene.waits_in(SPORT, Rank::NewStart, 1);
        scene.law().keeps(kept);
        let waits = scene.waits_in(SPORT, Rank::NewStart, 1);
        scene.is_silent();
        scene.wakes(&[Said::Refuse(waits, no(told))], 1_001);
        if sound { scene.is_silent() } else { scene.speaks_of("refusal") }
    }
}

#[test]
fn room_that_is_not_made_for_an_earlier_turn_or_made_for_a_later_one() {
    let full = |who: u64| {
        let (mut scene, _) = both_were_sent_away();
        scene.strangers_come();
        let last = (0..10).map(|_| scene.waits_in(SPORT, Rank::NewStart, 2_000)).last();
        scene.who_comes_is(who);
        scene.is_silent();
        (scene, last.expect("ten wait"))
    };
    let (mut scene, last) = full(ANNA);
    scene.law().says(&[sent_away(last)]);
    scene.waits_in(SPORT, Rank::NewStart, 2_001);
    scene.is_silent();
    let (mut scene, last) = full(99);
    scene.law().says(&[sent_away(last)]);
    scene.waits_in(SPORT, Rank::NewStart, 2_001);
    scene.speaks_of("refusal");
    for (who, sound) in [(99, true), (ANNA, false)] {
        let (mut scene, _) = full(who);
        scene.is_refused(SPORT, Class::Start, no(Refusal::NotYourTurn), 2_001);
        if sound { scene.is_silent() } else { scene.speaks_of("refusal") }
    }
}
