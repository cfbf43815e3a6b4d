//! The law against plants that disagree with it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::Fixed;
use super::super::plant::{Plant, SLOW_BY_NATURE, Shape, WALLET_OF_THREE};
use super::super::saturate::{Saturated, mean_of_last, tell};
use super::*;
use crate::admission::Outcome;
use crate::admission::random::Random;

fn from(initial: u32) -> Knee {
    Knee::new(Range { initial: NonZeroU32::new(initial).expect("not zero"), ..Range::default() })
}

/// Answers in 45 s from a cold start, as a part of what the best fixed limit gets; mean and worst over eight seeds.
fn goodput(shape: Shape, initial: u32, best: u32) -> (f64, f64) {
    let runs = (1..=8).map(|seed| {
        let fixed = Plant::new(shape, seed).run(&mut Fixed::new(best), 45);
        f64::from(Plant::new(shape, seed).run(&mut from(initial), 45)) / f64::from(fixed)
    });
    let runs: Vec<f64> = runs.collect();
    (runs.iter().sum::<f64>() / 8.0, runs.iter().copied().fold(1.0, f64::min))
}

#[test]
fn a_wallet_of_three_is_served_nearly_as_well_as_by_the_best_fixed_limit() {
    // Nine seats are best: 292 answers a second. Four get 74 %, 16 get 95 %, 64 get 71 %.
    for (initial, mean, worst) in [(8, 0.95, 0.90), (16, 0.95, 0.90), (64, 0.92, 0.8)] {
        let got = goodput(WALLET_OF_THREE, initial, 9);
        assert!(got.0 >= mean && got.1 >= worst, "from {initial}: {got:?}");
    }
}

#[test]
fn a_level_that_was_good_once_and_is_wrong_now_is_left_behind() {
    for (knee, least) in [(4.0, 0.9), (64.0, 0.9), (200.0, 0.8)] {
        let runs = (1..=8).map(|seed| {
            let mut law = from(8);
            law.recall(knee);
            let got = Plant::new(WALLET_OF_THREE, seed).run(&mut law, 45);
            f64::from(got) / f64::from(Plant::new(WALLET_OF_THREE, seed).run(&mut Fixed::new(9), 45))
        });
        let mean = runs.sum::<f64>() / 8.0;
        assert!(mean >= least, "recalled {knee}: {mean}");
    }
}

#[test]
fn a_backend_that_is_late_by_nature_is_not_starved() {
    // Every answer misses the objective, whatever the limit: that costs some goodput, for seats must be worth more.
    let got = goodput(SLOW_BY_NATURE, 8, 24);
    assert!(got.0 >= 0.7 && got.1 >= 0.6, "{got:?}");
}

/// Always more work waiting, of which so many in a hundred fail. Returns the level over time.
fn saturate(law: &mut Knee, knee: f64, failing: u64, from_ms: u64, seconds: u64, random: &mut Random) -> Vec<f64> {
    Saturated { knee, work_ms: 20.0, failing, from_ms, seconds }.run(law, |law| law.base, random)
}

#[test]
fn the_knee_is_found_from_nothing_and_kept_without_a_ratchet() {
    for knee in [4.0, 20.0, 200.0] {
        for seed in 0..4 {
            let mut law = from(8);
            let mut random = Random::new(seed);
            let early = saturate(&mut law, knee, 0, 0, 30, &mut random);
            let late = saturate(&mut law, knee, 0, 30_000, 300, &mut random);
            for levels in [early, late] {
                let level = mean_of_last(&levels, 5000);
                assert!((0.8 * knee..1.3 * knee).contains(&level), "knee {knee}, seed {seed}: {level}");
            }
        }
    }
}

#[test]
fn a_knee_that_moves_is_followed_both_ways() {
    let mut law = from(8);
    let mut random = Random::new(1);
    saturate(&mut law, 20.0, 0, 0, 20, &mut random);
    let shrunk = mean_of_last(&saturate(&mut law, 7.0, 0, 20_000, 60, &mut random), 2000);
    assert!((5.0..12.0).contains(&shrunk), "{shrunk}");
    let grown = mean_of_last(&saturate(&mut law, 20.0, 0, 80_000, 60, &mut random), 5000);
    assert!((14.0..32.0).contains(&grown), "{grown}");
}

#[test]
fn backends_that_go_and_come_back_are_no_surprise() {
    let (mut law, mut random) = (from(8), Random::new(1));
    saturate(&mut law, 20.0, 0, 0, 30, &mut random);
    for turn in 0..20 {
        let (by, knee) = if turn % 2 == 0 { (0.5, 10.0) } else { (2.0, 20.0) };
        law.rescale(by);
        let levels = saturate(&mut law, knee, 0, 30_000 + turn * 2000, 2, &mut random);
        assert!(levels.iter().all(|level| (0.75 * knee..1.4 * knee).contains(level)), "turn {turn}: {levels:?}");
        assert!(law.knee().is_some(), "turn {turn}: what was known is forgotten");
    }
}

#[test]
fn a_backend_that_fails_by_nature_is_not_starved() {
    // One answer in five fails at any limit: fewer seats would not make that better.
    let mut law = from(8);
    let mut random = Random::new(1);
    saturate(&mut law, 20.0, 20, 0, 30, &mut random);
    let level = mean_of_last(&saturate(&mut law, 20.0, 20, 30_000, 120, &mut random), 5000);
    assert!((14.0..32.0).contains(&level), "{level}");
}

#[test]
fn an_outage_is_not_remembered_as_a_knee() {
    let mut law = from(8);
    let mut random = Random::new(1);
    saturate(&mut law, 200.0, 0, 0, 30, &mut random);
    saturate(&mut law, 200.0, 100, 30_000, 60, &mut random);
    assert!(law.seats() <= 3, "{}", law.seats());
    assert_eq!(law.knee(), None);
    saturate(&mut law, 200.0, 0, 90_000, 6, &mut random);
    assert!(law.base > 100.0, "{}", law.base);
}

#[test]
fn after_an_outage_the_knee_of_a_backend_that_fails_now_and_then_is_told_again() {
    let (mut law, mut random) = (from(8), Random::new(1));
    saturate(&mut law, 20.0, 20, 0, 30, &mut random);
    saturate(&mut law, 20.0, 100, 30_000, 30, &mut random);
    assert_eq!(law.knee(), None, "nothing is known of what answers nothing");
    saturate(&mut law, 20.0, 20, 60_000, 30, &mut random);
    let knee = law.knee().expect("it answers four in five again");
    assert!((14.0..28.0).contains(&knee), "{knee}");
}

#[test]
fn work_that_changes_its_kind_every_second_does_not_run_the_limit_up() {
    for seed in 0..4 {
        let (mut law, mut random) = (from(8), Random::new(seed));
        let mut second = |second: u64| {
            let work_ms = if second.is_multiple_of(2) { 5.0 } else { 50.0 };
            let plant = Saturated { knee: 8.0, work_ms, failing: 0, from_ms: second * 1000, seconds: 1 };
            let levels = plant.run(&mut law, |law| law.base, &mut random);
            levels.iter().sum::<f64>() / levels.len() as f64
        };
        let levels: Vec<f64> = (0..90).map(&mut second).collect();
        let level = mean_of_last(&levels, 60);
        assert!((6.0..16.0).contains(&level), "seed {seed}: {level}, of {levels:?}");
    }
}

#[test]
fn a_quiet_hour_teaches_nothing() {
    let mut law = from(8);
    for ms in 0..100_000 {
        let sample = Sample { outcome: Outcome::Answered, slow: false, saturated: false };
        law.observe(&sample, Timestamp::after(Duration::from_millis(ms)));
    }
    assert_eq!((law.seats(), law.knee()), (8, None));
}

#[test]
fn bursts_that_tell_no_two_limits_apart_do_not_ratchet_it_up() {
    // Each burst is one window long, and all bring the same: no doubling was ever worth anything.
    let (mut law, apart) = (from(8), Duration::from_millis(2));
    let mut now = Timestamp::ZERO;
    for _ in 0..100 {
        now = tell(&mut law, now, apart, 70, true);
        now = tell(&mut law, now, apart, 200, false);
    }
    assert!(law.seats() <= 16, "{}", law.seats());
}

#[test]
fn a_closure_in_the_middle_of_a_window_is_not_taken_for_a_slow_backend() {
    let (mut law, mut random) = (from(8), Random::new(1));
    saturate(&mut law, 20.0, 0, 0, 30, &mut random);
    // The product is parked, and what was in flight comes back to empty lines.
    let now = tell(&mut law, Timestamp::after(Duration::from_secs(30)), Duration::from_millis(1), 20, false);
    let before = law.base;
    saturate(&mut law, 20.0, 0, 90_000 + now.since_start().as_millis() as u64, 1, &mut random);
    assert!((0.8..1.25).contains(&(law.base / before)), "{before} before, {} after", law.base);
}

#[test]
fn the_limit_stays_within_its_bounds() {
    let most = NonZeroU32::new(16).expect("not zero");
    let mut law = Knee::new(Range { most, ..Range::default() });
    saturate(&mut law, 500.0, 0, 0, 20, &mut Random::new(1));
    assert!(law.seats() <= 16 && law.base <= 16.0);
    // Nothing but failures: down to the least, and no further.
    saturate(&mut law, 500.0, 100, 20_000, 200, &mut Random::new(1));
    assert!((2..=3).contains(&law.seats()), "{}", law.seats());
}

#[test]
fn a_range_of_one_number_and_one_that_is_upside_down_hold_still() {
    let n = |n| NonZeroU32::new(n).expect("not zero");
    for (least, most) in [(4, 4), (9, 4)] {
        let mut law = Knee::new(Range { initial: n(8), least: n(least), most: n(most) });
        saturate(&mut law, 20.0, 0, 0, 20, &mut Random::new(1));
        assert_eq!((law.seats(), law.base), (4, 4.0));
    }
}

#[test]
fn nonsense_from_a_journal_is_not_believed() {
    let mut law = from(8);
    for knee in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        law.recall(knee);
        assert_eq!((law.seats(), law.knee()), (8, None));
    }
    law.recall(1e300);
    assert!(law.seats() <= 4096);
    law.recall(-5.0);
    assert!(law.seats() >= 1);
}
