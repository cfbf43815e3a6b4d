//! What this law promises, for as long as it is compared with.

use std::num::NonZeroU32;

use super::super::testing;
use super::*;
use crate::admission::limit::saturate::{Saturated, mean_of_last, tell};
use crate::admission::random::Random;

fn from(initial: u32) -> Climb {
    Climb::new(&testing::from(initial))
}

/// Always more work waiting, of which so many in a hundred fail. Returns the level over time.
fn saturate(climb: &mut Climb, knee: f64, failing: u64, from_ms: u64, seconds: u64, random: &mut Random) -> Vec<f64> {
    Saturated { knee, work_ms: 20.0, failing, from_ms, seconds }.run(climb, |climb| climb.level, random)
}

#[test]
fn the_knee_is_found_from_nothing_and_kept_without_a_ratchet() {
    for knee in [4.0, 20.0, 200.0] {
        for seed in 0..4 {
            let mut climb = from(8);
            let mut random = Random::new(seed);
            let early = saturate(&mut climb, knee, 0, 0, 30, &mut random);
            let late = saturate(&mut climb, knee, 0, 30_000, 300, &mut random);
            for levels in [early, late] {
                let level = mean_of_last(&levels, 5000);
                assert!((0.75 * knee..1.6 * knee).contains(&level), "knee {knee}, seed {seed}: {level}");
            }
        }
    }
}

#[test]
fn a_knee_that_moves_is_followed_both_ways() {
    let mut climb = from(8);
    let mut random = Random::new(1);
    saturate(&mut climb, 20.0, 0, 0, 20, &mut random);
    let shrunk = mean_of_last(&saturate(&mut climb, 7.0, 0, 20_000, 60, &mut random), 2000);
    assert!((5.0..12.0).contains(&shrunk), "{shrunk}");
    let grown = mean_of_last(&saturate(&mut climb, 20.0, 0, 80_000, 60, &mut random), 5000);
    assert!((14.0..32.0).contains(&grown), "{grown}");
}

#[test]
fn a_backend_that_fails_by_nature_is_not_starved() {
    // One answer in five fails at any limit: fewer seats would not make that better.
    let mut climb = from(8);
    let mut random = Random::new(1);
    saturate(&mut climb, 20.0, 20, 0, 30, &mut random);
    let level = mean_of_last(&saturate(&mut climb, 20.0, 20, 30_000, 120, &mut random), 5000);
    assert!((14.0..32.0).contains(&level), "{level}");
}

#[test]
fn an_outage_is_not_remembered_as_a_knee() {
    let mut climb = from(8);
    let mut random = Random::new(1);
    saturate(&mut climb, 200.0, 0, 0, 30, &mut random);
    saturate(&mut climb, 200.0, 100, 30_000, 60, &mut random);
    assert!(climb.seats() <= 3, "{}", climb.seats());
    assert_eq!(climb.knee(), None);
    saturate(&mut climb, 200.0, 0, 90_000, 6, &mut random);
    assert!(climb.level > 100.0, "{}", climb.level);
}

#[test]
fn a_closure_in_the_middle_of_a_window_is_not_taken_for_a_slow_backend() {
    let (mut climb, apart) = (from(8), Duration::from_millis(2));
    // One window of 8 seats at 500 answers a second; then 16 seats, and the product is parked for a minute.
    let now = tell(&mut climb, Timestamp::ZERO, apart, 60, true);
    assert_eq!(climb.seats(), 16);
    let now = tell(&mut climb, now, apart, 40, true);
    let now = tell(&mut climb, now, apart, 16, false) + Duration::from_secs(60);
    // What follows is as fast as twice the seats should be: the doubling was worth it.
    tell(&mut climb, now, apart / 2, 120, true);
    assert_eq!(climb.seats(), 32);
}

#[test]
fn the_limit_stays_within_its_bounds() {
    let most = NonZeroU32::new(16).expect("not zero");
    let mut climb = Climb::new(&Range { most, ..Range::default() });
    saturate(&mut climb, 500.0, 0, 0, 20, &mut Random::new(1));
    assert!(climb.seats() <= 16 && climb.level <= 16.0);
    // Nothing but failures: down to the least, and no further.
    saturate(&mut climb, 500.0, 100, 20_000, 200, &mut Random::new(1));
    assert!((2..=3).contains(&climb.seats()), "{}", climb.seats());
}

#[test]
fn a_range_of_one_number_and_one_that_is_upside_down_hold_still() {
    let n = |n| NonZeroU32::new(n).expect("not zero");
    for (least, most) in [(4, 4), (9, 4)] {
        let mut climb = Climb::new(&Range { initial: n(8), least: n(least), most: n(most) });
        saturate(&mut climb, 20.0, 0, 0, 20, &mut Random::new(1));
        assert_eq!((climb.seats(), climb.level), (4, 4.0));
    }
}

#[test]
fn nonsense_from_a_journal_is_not_believed() {
    let mut climb = from(8);
    for knee in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        climb.recall(knee);
        assert_eq!((climb.seats(), climb.knee()), (8, None));
    }
    climb.recall(1e300);
    assert!(climb.seats() <= 4096);
    climb.recall(-5.0);
    assert!(climb.seats() >= 1);
}
