use super::*;

fn expected(range: (f64, f64), known: Option<f64>) -> Expected {
    let known = known.map(|value| Known { value, source: "overload.md EXP1".into() });
    let (law, figure) = ("vegas".into(), Figure::Served);
    Expected { law, figure, crowd: None, product: None, window: None, range, mean: false, goal: None, known }
}

/// Seeds count from 1.
fn held(expected: &Expected, found: &[Option<f64>]) -> (bool, Option<f64>, Option<u64>) {
    let seeds: Vec<(u64, Option<f64>)> = (1..).zip(found.iter().copied()).collect();
    let verdict = verdict(expected, &seeds);
    (verdict.held(), verdict.decisive, verdict.failing)
}

#[test]
fn a_range_must_hold_with_every_seed_and_the_worst_one_is_named() {
    let range = expected((90.0, 100.0), None);
    assert_eq!(held(&range, &[Some(95.0), Some(91.0), Some(99.5)]), (true, Some(99.5), None));
    assert_eq!(held(&range, &[Some(95.0), Some(80.0), Some(101.0)]), (false, Some(80.0), Some(2)));
    assert!(held(&range, &[Some(90.0), Some(100.0)]).0, "the ends belong to it");
    assert_eq!(held(&expected((0.0, 420.0), None), &[Some(4.0), Some(12.0)]).1, Some(12.0), "4 is not nearly too few");
}

#[test]
fn nothing_to_measure_does_not_hold() {
    assert_eq!(held(&expected((0.0, f64::INFINITY), None), &[Some(1.0), None]), (false, None, Some(2)));
    assert_eq!(held(&expected((0.0, 100.0), Some(50.0)), &[Some(50.0), None]), (false, Some(50.0), Some(2)));
    assert_eq!(held(&expected((0.0, 100.0), Some(50.0)), &[None]), (false, None, Some(1)));
}

#[test]
fn a_known_figure_is_met_by_the_mean_or_by_the_spread() {
    let known = expected((48.0, 52.0), Some(50.0));
    assert_eq!(held(&known, &[Some(40.0), Some(58.0)]), (true, Some(49.0), None), "the mean is near");
    assert!(held(&known, &[Some(30.0), Some(31.0), Some(51.0)]).0, "the mean is not, but 50 lies within the spread");
    assert_eq!(held(&known, &[Some(44.0), Some(46.0)]), (false, Some(45.0), Some(1)));
}

#[test]
fn a_range_for_the_mean_does_not_mind_one_run_out_of_it() {
    let mean = Expected { mean: true, ..expected((0.0, 20.0), None) };
    assert_eq!(held(&mean, &[Some(4.0), Some(30.0)]), (true, Some(17.0), None));
    assert_eq!(held(&mean, &[Some(14.0), Some(30.0)]), (false, Some(22.0), Some(2)));
    assert_eq!(held(&mean, &[Some(4.0), None]), (false, Some(4.0), Some(2)));
}

#[test]
fn a_failing_run_is_replayed_by_one_command() {
    assert_eq!(replay("scenarios/s1.toml", "vegas", 7), "sluss simulate scenarios/s1.toml --seed 7 --against vegas");
    assert_eq!(replay("a.toml", OURS, 1), "sluss simulate a.toml --seed 1");
    assert_eq!(replay("my file.toml", "fixed 10", 1), "sluss simulate 'my file.toml' --seed 1 --against 'fixed 10'");
}

#[test]
fn a_goal_is_told_and_not_held_against_anybody() {
    let with_goal = |range, goal| Expected { goal: Some(goal), ..expected(range, None) };
    let reached = |expected: Expected, least: f64, most: f64| {
        let found = Some(Spread { least, mean: least, most });
        Verdict { expected: &expected, found, decisive: None, failing: None }.reached()
    };
    assert_eq!(reached(expected((90.0, f64::INFINITY), None), 95.0, 99.0), None);
    assert_eq!(reached(with_goal((90.0, f64::INFINITY), 97.0), 95.0, 99.0), Some(false), "not with every seed");
    assert_eq!(reached(with_goal((90.0, f64::INFINITY), 97.0), 97.0, 99.0), Some(true));
    assert_eq!(reached(with_goal((0.0, 300.0), 100.0), 90.0, 120.0), Some(false));
    assert_eq!(reached(with_goal((0.0, 300.0), 100.0), 90.0, 99.0), Some(true));
}
