use std::time::Duration;

use super::super::handmade::{crowd, look, run, second};
use super::*;

const CAPACITY: Option<f64> = Some(50.0);

const fn window(from: u64, to: u64) -> Window {
    (Duration::from_secs(from), Duration::from_secs(to))
}

fn of_all(run: &Run, figure: Figure, from: u64, to: u64) -> Option<f64> {
    run.figure(figure, None, window(from, to), CAPACITY)
}

/// Two crowds of two products over four seconds.
fn two_crowds() -> Run {
    let first = vec![second(100, 10), second(60, 30), second(40, 40), second(20, 20)];
    let second = vec![second(5, 5), second(5, 5), second(5, 5), second(5, 5)];
    Run { crowds: vec![crowd(0, first), crowd(1, second)], ..run("sluss", 1) }
}

#[test]
fn counts_are_of_the_seconds_that_begin_in_the_window() {
    let run = two_crowds();
    assert_eq!(of_all(&run, Figure::Attempts, 0, 4), Some(240.0));
    assert_eq!(of_all(&run, Figure::Attempts, 1, 3), Some(110.0));
    let late = (Duration::from_millis(500), Duration::from_millis(1_500));
    assert_eq!(run.figure(Figure::Attempts, None, late, None), Some(65.0), "second 1 begins within, second 0 does not");
}

#[test]
fn rates_count_silent_seconds_too() {
    let run = two_crowds();
    assert_eq!(of_all(&run, Figure::GoodputPerS, 0, 4), Some(30.0));
    assert_eq!(of_all(&run, Figure::GoodputPerS, 0, 8), Some(15.0), "nothing is recorded after second 3");
    assert_eq!(of_all(&run, Figure::GoodputPerS, 2, 2), None);
    assert_eq!(of_all(&run, Figure::Goodput, 0, 4), Some(60.0));
    for figure in [Figure::Goodput, Figure::Lost] {
        assert_eq!(run.figure(figure, None, window(0, 4), None), None, "nobody knows the capacity");
    }
}

#[test]
fn what_was_lost_is_told_in_seconds_of_the_capacity() {
    let run = two_crowds();
    assert_eq!(
        of_all(&run, Figure::Lost, 0, 4),
        Some(1.6),
        "120 served in four seconds, where 50 a second are possible"
    );
    let more = run.figure(Figure::Lost, None, window(0, 4), Some(20.0));
    assert_eq!(more, Some(0.0), "a lucky plant has not lost less than nothing");
}

#[test]
fn figures_are_of_one_crowd_one_product_or_all() {
    let mut run = two_crowds();
    run.crowds.push(crowd(1, vec![second(7, 0)]));
    let attempts = |whose| run.figure_of(Figure::Attempts, whose, window(0, 4), None);
    assert_eq!(attempts(Whose::All), Some(247.0));
    assert_eq!(attempts(Whose::Crowd(1)), Some(20.0));
    assert_eq!(attempts(Whose::Product(1)), Some(27.0));
    assert_eq!(attempts(Whose::Crowd(9)), Some(0.0));
}

#[test]
fn shares_are_per_cent_of_what_was_tried() {
    let mut run = run("none", 1);
    let (refused, timed_out, failed) = (40, 12, 8);
    let counts =
        Counts { steps: 20, attempts: 80, reached: 30, served: 10, finished: 3, gave_up: 9, ..Counts::default() };
    let counts = Counts { refused, timed_out, failed, ..counts };
    run.crowds = vec![crowd(0, vec![counts])];
    run.finished = vec![(40, 10), (40, 40)];
    let figure = |figure| of_all(&run, figure, 0, 1);
    assert_eq!(figure(Figure::Served), Some(12.5));
    assert_eq!(figure(Figure::Unserved), Some(75.0), "ten are neither served nor sent away yet");
    assert_eq!(figure(Figure::StepsServed), Some(50.0));
    assert_eq!(figure(Figure::Journeys), Some(3.0));
    assert_eq!(figure(Figure::JourneysShare), Some(25.0));
    assert_eq!(figure(Figure::GaveUp), Some(9.0));
    assert_eq!(figure(Figure::AttemptsPerStep), Some(8.0));
    assert_eq!(figure(Figure::ReachedPerStep), Some(3.0));
    assert_eq!(figure(Figure::Reached), Some(30.0));
    assert_eq!(figure(Figure::Wasted), Some(25.0));
    assert_eq!(of_all(&run, Figure::Wasted, 0, 2), Some(62.5));
}

#[test]
fn nothing_is_not_zero_per_cent() {
    let empty = Run { crowds: vec![crowd(0, vec![])], ..run("none", 1) };
    for figure in [
        Figure::Served,
        Figure::Unserved,
        Figure::StepsServed,
        Figure::JourneysShare,
        Figure::AttemptsPerStep,
        Figure::ReachedPerStep,
        Figure::Wasted,
        Figure::LatencyP50,
        Figure::PlantP99,
        Figure::WaitP95,
        Figure::WaitP99,
        Figure::JourneyP95,
        Figure::LastJourney,
        Figure::LimitAtEnd,
        Figure::LimitP5,
        Figure::LimitMean,
        Figure::LimitDrift,
        Figure::MostInFlight,
        Figure::FirstServed,
    ] {
        assert_eq!(of_all(&empty, figure, 0, 10), None, "{figure:?}");
    }
    assert_eq!(of_all(&empty, Figure::Duplicates, 0, 10), Some(0.0));
}

#[test]
fn times_come_from_all_crowds_meant_in_the_unit_of_the_figure() {
    let mut run = two_crowds();
    for (crowd, ms) in [(0, 100_u64), (0, 100), (0, 100), (1, 2_000)] {
        let crowd = &mut run.crowds[crowd];
        crowd.times.latency.record(ms * 1_000).unwrap();
        crowd.times.waited.record(ms * 500).unwrap();
        crowd.times.at_plant.record(ms * 250).unwrap();
        crowd.journey.record(ms * 10).unwrap();
    }
    let near = |whose, figure, wanted: f64| {
        let found = run.figure_of(figure, whose, window(0, 4), None).unwrap();
        assert!((found / wanted - 1.0).abs() < 0.002, "{figure:?} of {whose:?}: {found}, wanted {wanted}");
    };
    near(Whose::All, Figure::LatencyP50, 100.0);
    near(Whose::All, Figure::LatencyP99, 2_000.0);
    near(Whose::Crowd(0), Figure::LatencyP99, 100.0);
    near(Whose::All, Figure::WaitP99, 1_000.0);
    near(Whose::All, Figure::WaitP95, 1_000.0);
    near(Whose::Product(0), Figure::WaitP95, 50.0);
    near(Whose::All, Figure::PlantP99, 500.0);
    near(Whose::All, Figure::JourneyP50, 1.0);
    near(Whose::All, Figure::JourneyP95, 20.0);
}

#[test]
fn times_of_a_window_that_was_asked_for_are_its_own() {
    let mut run = two_crowds();
    let mut times = run.crowds[0].times.clone();
    times.latency.record(300_000).unwrap();
    run.crowds[0].times.latency.record(100_000).unwrap();
    run.crowds[0].stretches = vec![(window(1, 2), times)];
    let p99 = |asked| run.figure(Figure::LatencyP99, None, asked, None).unwrap().round();
    assert_eq!((p99(window(1, 2)), p99(window(0, 4))), (300.0, 100.0));
}

#[test]
fn a_limit_that_creeps_is_seen_to_drift_whichever_way() {
    let mut run = two_crowds();
    let over_a_minute = |limit: fn(f64) -> f64| vec![(0..=120).map(|n| look(limit(f64::from(n)), 1)).collect()];
    let drift = |run: &Run| of_all(run, Figure::LimitDrift, 0, 60).unwrap();
    run.looks = over_a_minute(|_| 20.0);
    assert_eq!((drift(&run), of_all(&run, Figure::LimitMean, 0, 60)), (0.0, Some(20.0)));
    run.looks = over_a_minute(|n| if n < 60.0 { 20.0 } else { 22.0 });
    assert!((drift(&run) - 10.0).abs() < 1e-9, "{}", drift(&run));
    run.looks = over_a_minute(|n| if n < 60.0 { 20.0 } else { 19.0 });
    assert!((drift(&run) - 5.0).abs() < 1e-9, "{}", drift(&run));
}

#[test]
fn limits_are_read_from_the_looks_of_the_window() {
    let mut run = two_crowds();
    let climbing: Vec<Look> = (0..20).map(|n| look(f64::from(n), n / 2)).collect();
    run.looks = vec![climbing, vec![Look { limit: None, ..look(0.0, 3) }; 20]];
    assert_eq!(of_all(&run, Figure::LimitAtEnd, 0, 10), Some(19.0));
    assert_eq!(of_all(&run, Figure::LimitAtEnd, 0, 4), Some(8.0), "the look at 4 s is the ninth");
    assert_eq!(of_all(&run, Figure::LimitP5, 0, 10), Some(0.0));
    assert_eq!(of_all(&run, Figure::LimitP95, 0, 10), Some(18.0));
    assert_eq!(run.figure(Figure::LimitAtEnd, Some(1), window(0, 10), None), None, "the other product has no limit");
    run.most_in_flight = vec![vec![9, 2], vec![1, 3], vec![9, 5]];
    assert_eq!(of_all(&run, Figure::MostInFlight, 0, 10), Some(9.0), "both products at once");
    assert_eq!(of_all(&run, Figure::MostInFlight, 1, 10), Some(5.0));
    assert_eq!(run.figure(Figure::MostInFlight, Some(1), window(0, 10), None), Some(3.0));
}

#[test]
fn the_first_served_is_counted_from_the_beginning_of_the_window() {
    let mut run = two_crowds();
    let at = |ms| Some(Timestamp::after(Duration::from_millis(ms)));
    run.crowds[0].first_served = vec![at(10), None, None, at(3_400)];
    run.crowds[1].first_served = vec![None, None, None, at(3_250)];
    run.crowds[1].last_journey = at(3_900);
    assert_eq!(of_all(&run, Figure::FirstServed, 0, 4), Some(10.0));
    assert_eq!(of_all(&run, Figure::FirstServed, 1, 4), Some(2_250.0));
    assert_eq!(of_all(&run, Figure::FirstServed, 1, 3), None);
    assert_eq!(of_all(&run, Figure::LastJourney, 0, 1), Some(3.9), "journeys know no window");
}

#[test]
fn what_only_the_plant_knows_is_known_of_no_crowd_alone() {
    let run = Run { finished: vec![(10, 5)], duplicates: 2, ..two_crowds() };
    assert_eq!(of_all(&run, Figure::Duplicates, 0, 4), Some(2.0));
    assert_eq!(run.figure(Figure::Duplicates, Some(0), window(0, 4), None), None);
    assert_eq!(of_all(&run, Figure::Wasted, 0, 4), Some(50.0));
    assert_eq!(run.figure(Figure::Wasted, Some(0), window(0, 4), None), None);
}
