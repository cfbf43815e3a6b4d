//! Lies about bets and the stops of their events.

use super::*;

const NEXT: EventKey = EventKey(76);

/// Two races that stop after one minute, and a second later.
fn races() -> Scene {
    let mut scene = Scene::of_stops();
    for (key, stop) in [(RACE, 60_000), (NEXT, 61_000)] {
        let entry = Entry {
            product: ProductId(HORSES as u16),
            stop: at(stop),
            believed_before_stop: Duration::ZERO,
            state: EventState::Open,
        };
        scene.notices(Notice::Schedule(key, entry), 1_000);
    }
    scene.is_silent();
    scene
}

#[test]
fn a_bet_that_would_not_be_answered_before_its_stop() {
    races().bets(RACE, Word::Pass, 58_000).is_silent();
    races().bets(RACE, Word::Pass, 58_001).speaks_of("forbidden");
    let too_near = No { retry_after: None, ..no(Refusal::StopTooNear) };
    races().bets(RACE, Word::Refuse(too_near), 58_001).is_silent();
    races().bets(RACE, Word::Refuse(too_near), 58_000).speaks_of("refusal");
    races().bets(RACE, Word::Refuse(no(Refusal::StopTooNear)), 58_001).speaks_of("retry-after");
}

#[test]
fn bets_that_are_said_to_take_longer_or_shorter_than_they_do() {
    for (takes, sound) in [(999, false), (1_000, true), (5_000, true), (5_001, false)] {
        let mut scene = races();
        scene.law().takes_to_bet(takes);
        scene.wakes(&[], 2_000);
        if sound { scene.is_silent() } else { scene.speaks_of("in time") }
    }
}

#[test]
fn a_line_that_is_not_that_of_a_bet_near_its_stop() {
    for (line, ms, sound) in [
        (Rank::Commit, 55_000, true),
        (Rank::NearStop, 55_000, false),
        (Rank::NearStop, 55_001, true),
        (Rank::Commit, 55_001, false),
    ] {
        let mut scene = races();
        scene.fills(50_000);
        scene.law().next_wake(at(ms + 1_000));
        scene.waits_to_bet(RACE, line, ms);
        if sound { scene.is_silent() } else { scene.speaks_of("line") }
    }
}

/// Two bets near their stops, the later stop first, and one that may wait. Returns who runs.
fn three_bet() -> (Scene, RequestId, [RequestId; 3]) {
    let mut scene = races();
    let running = scene.fills(50_000);
    scene.law().next_wake(at(57_000));
    let ordinary = scene.waits_in(HORSES, Rank::Commit, 56_100);
    let later = scene.waits_to_bet(NEXT, Rank::NearStop, 56_200);
    let earlier = scene.waits_to_bet(RACE, Rank::NearStop, 56_300);
    scene.is_silent();
    (scene, running, [earlier, later, ordinary])
}

#[test]
fn a_later_stop_first_or_one_that_is_far_off() {
    for (goes, promise) in [(0, None), (1, Some("earliest stop first")), (2, Some("higher rank first"))] {
        let (mut scene, running, bets) = three_bet();
        scene.ends_and_lets(running, &[Said::Pass(bets[goes])], 56_400);
        promise.map_or_else(|| scene.is_silent(), |promise| scene.speaks_of(promise));
    }
}

#[test]
fn a_bet_that_waits_without_a_hope() {
    // Bets take three and a half seconds: a nanosecond after 56.5 s it is too late.
    let waits = |wake: Timestamp| {
        let mut scene = races();
        scene.fills(50_000);
        scene.law().takes_to_bet(3_500);
        scene.law().next_wake(wake);
        let bet = scene.waits_to_bet(RACE, Rank::NearStop, 56_000);
        (scene, bet)
    };
    waits(at(57_000)).0.speaks_of("wake");
    let due = at(56_500) + Duration::from_nanos(1);
    let (mut scene, _) = waits(due);
    scene.is_silent();
    scene.law().next_wake(at(57_000));
    scene.wakes(&[], 56_501);
    scene.speaks_of("in time");
}

#[test]
fn a_bet_that_is_told_to_come_back_when_its_stop_is_near() {
    // At 51.001 s there are not quite four seconds left until then.
    for (told, sound) in [(3, true), (4, false)] {
        let mut scene = races();
        scene.fills(50_000);
        scene.law().next_wake(at(51_001));
        let bet = scene.waits_to_bet(RACE, Rank::Commit, 50_001);
        let retry_after = Some(Duration::from_secs(told));
        scene.law().next_wake(at(60_000));
        scene.wakes(&[Said::Refuse(bet, No { retry_after, ..no(Refusal::WaitedTooLong) })], 51_001);
        if sound { scene.is_silent() } else { scene.speaks_of("retry-after") }
    }
}
