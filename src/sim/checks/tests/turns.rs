//! Lies about whose turn it is.

use super::*;

#[test]
fn the_lower_class_first() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Commit, 1);
    let low = scene.waits(SPORT, Class::Start, 1);
    scene.is_silent();
    scene.ends_and_lets(RequestId(0), &[Said::Pass(low)], 2);
    scene.speaks_of("higher rank first");
}

#[test]
fn the_lowest_go_first_for_their_floor_and_no_more() {
    // A fifth is theirs: after five others one of them may go first.
    for (others, sound) in [(5, true), (4, false)] {
        let mut scene = Scene::full();
        let low = scene.waits(HORSES, Class::Read, 1);
        let bets: Vec<_> = (0..=others).map(|_| scene.waits(HORSES, Class::Commit, 1)).collect();
        let mut last = RequestId(0);
        for bet in bets.into_iter().take(others) {
            scene.ends_and_lets(last, &[Said::Pass(bet)], 2);
            last = bet;
        }
        scene.is_silent();
        scene.ends_and_lets(last, &[Said::Pass(low)], 3);
        if sound { scene.is_silent() } else { scene.speaks_of("floor") }
    }
}

#[test]
fn the_lowest_are_forgotten() {
    let mut scene = Scene::full();
    scene.waits(HORSES, Class::Read, 1);
    let mut last = RequestId(0);
    for nth in 0..12 {
        scene.is_silent();
        let bet = scene.waits(HORSES, Class::Commit, 2);
        scene.ends_and_lets(last, &[Said::Pass(bet)], 3 + nth);
        last = bet;
    }
    scene.speaks_of("floor");
}

#[test]
fn who_passes_in_every_state_goes_first_whatever_the_lowest_are_owed() {
    for (class, sound) in [(Class::Settle, true), (Class::Commit, false)] {
        let mut scene = Scene::full();
        let _reserve = [0, 1].map(|_| scene.passes(HORSES, Class::Protected, 1));
        scene.waits(HORSES, Class::Read, 1);
        let mut last = RequestId(0);
        for nth in 0..11 {
            let bet = scene.waits(HORSES, Class::Commit, 2);
            scene.ends_and_lets(last, &[Said::Pass(bet)], 3 + nth);
            last = bet;
        }
        let next = scene.waits(HORSES, class, 20);
        scene.is_silent();
        scene.ends_and_lets(last, &[Said::Pass(next)], 21);
        if sound { scene.is_silent() } else { scene.speaks_of("floor") }
    }
}

#[test]
fn the_newest_first() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    let last = scene.waits(SPORT, Class::Read, 2);
    scene.is_silent();
    scene.ends_and_lets(RequestId(0), &[Said::Pass(last)], 3);
    scene.speaks_of("oldest first");
}

#[test]
fn a_newcomer_before_those_who_wait() {
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    scene.law().limit(POOL, 5);
    scene.passes(SPORT, Class::Read, 2);
    scene.speaks_of("oldest first");
}

#[test]
fn a_guarantee_that_is_lent_away() {
    // Four seats, half of them owed to sport, all of them with horse racing.
    let mut scene = Scene::full();
    scene.waits(SPORT, Class::Read, 1);
    let greedy = scene.waits(HORSES, Class::Read, 1);
    scene.is_silent();
    scene.ends_and_lets(RequestId(0), &[Said::Pass(greedy)], 2);
    scene.speaks_of("guarantee");
}

#[test]
fn seats_that_somebody_waits_for_the_rest_of() {
    for (waits_as, comes_as, promise) in [
        (Class::Commit, Class::Start, Some("kept seats")),
        (Class::Commit, Class::Read, Some("floor")),
        (Class::Read, Class::Start, None),
    ] {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.passes(HORSES, Class::Read, 0);
        }
        scene.who_comes_wants(3);
        scene.waits(HORSES, waits_as, 1);
        scene.is_silent();
        scene.who_comes_wants(1);
        scene.passes(HORSES, comes_as, 2);
        promise.map_or_else(|| scene.is_silent(), |promise| scene.speaks_of(promise));
    }
}

#[test]
fn a_guarantee_that_is_lent_away_seat_by_seat() {
    // Sport is owed two of four seats and wants both; horse racing has three, and is not to take the one that is free.
    for waits_for_it in [true, false] {
        let mut scene = Scene::full();
        scene.who_comes_wants(2);
        scene.waits(SPORT, Class::Read, 1);
        scene.who_comes_wants(1);
        let greedy = scene.waits(HORSES, Class::Read, 1);
        let said = [Said::Pass(greedy)];
        scene.ends_and_lets(RequestId(0), if waits_for_it { &[] } else { &said }, 2);
        if waits_for_it { scene.is_silent() } else { scene.speaks_of("guarantee") }
    }
}
