use super::handmade::{played, story};
use super::*;

fn manner(threads: usize) -> Manner {
    Manner { threads: NonZeroUsize::new(threads).unwrap(), show: true }
}

fn play(_: &Scenario, law: &str, seed: u64, progress: &mut dyn FnMut(Timestamp)) -> Result<Run, String> {
    progress(Timestamp::after(Duration::from_secs(100)));
    Ok(played(law, seed))
}

#[test]
fn laws_are_those_asked_for_or_else_those_the_file_names() {
    let scenario = story().scenario;
    let named = Story::new("a.toml".into(), scenario.clone(), &[]);
    assert_eq!(named.laws, ["sluss", "none", "vegas"], "ours, compared with, expected of");
    let asked = Story::new("a.toml".into(), scenario, &["codel".to_owned(), "sluss".to_owned()]);
    assert_eq!(asked.laws, ["sluss", "codel"]);
}

#[test]
fn laws_that_are_only_expected_of_are_drawn_when_there_are_no_others() {
    let mut scenario = story().scenario;
    let drawn = |scenario: &Scenario, against: &[String]| Story::new("a.toml".into(), scenario.clone(), against).drawn;
    assert_eq!(drawn(&scenario, &[]), 2, "sluss and none; not vegas");
    assert_eq!(drawn(&scenario, &["sluss".to_owned()]), 1);
    let many: Vec<String> = (0..20).map(|n| format!("fixed:{n}")).collect();
    assert_eq!(drawn(&scenario, &many), MOST_DRAWN);
    scenario.against.clear();
    assert_eq!(drawn(&scenario, &[]), 2, "sluss and vegas, of which something is expected");
    scenario.expected.clear();
    assert_eq!(drawn(&scenario, &[]), 1);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let stories = || vec![story(), story()];
    let seeds: Vec<u64> = (1..=8).collect();
    let alone = rehearse(stories(), &seeds, manner(1), &play, &|_| ()).unwrap();
    let together = rehearse(stories(), &seeds, manner(5), &play, &|_| ()).unwrap();
    assert_eq!(format!("{alone:?}"), format!("{together:?}"));
    let order: Vec<(&str, u64)> = alone[1].measured.iter().map(|run| (run.law.as_str(), run.seed)).collect();
    assert_eq!(order[6..10], [("sluss", 7), ("sluss", 8), ("none", 1), ("none", 2)]);
    assert_eq!(alone[1].shown.len(), 3, "one of each law that is drawn");
}

#[test]
fn progress_adds_up_to_the_length_of_every_run() {
    let heard = Mutex::new(Duration::ZERO);
    let told = |more| *heard.lock().unwrap() += more;
    rehearse(vec![story()], &[1, 2], manner(2), &play, &told).unwrap();
    assert_eq!(heard.into_inner().unwrap(), Duration::from_secs(180) * 3 * 2);
}

#[test]
fn of_several_errors_the_same_one_is_told_every_time() {
    let play = |_: &Scenario, law: &str, seed: u64, _: &mut dyn FnMut(Timestamp)| {
        if law == "sluss" { Ok(played(law, seed)) } else { Err(format!("no law is called {law}: {seed}")) }
    };
    for _ in 0..20 {
        let error = rehearse(vec![story()], &[1, 2, 3], manner(4), &play, &|_| ()).unwrap_err();
        assert_eq!(error, "scenarios/false signal.toml: no law is called none: 1");
    }
}

#[test]
fn a_run_that_comes_down_is_a_violation_with_a_seed() {
    let play = |_: &Scenario, law: &str, seed: u64, _: &mut dyn FnMut(Timestamp)| {
        assert!(law != "vegas" || seed != 2, "a seat was lost");
        Ok(played(law, seed))
    };
    let rehearsal = rehearse(vec![story()], &[1, 2], manner(2), &play, &|_| ()).unwrap().remove(0);
    let fallen = rehearsal.measured.last().unwrap();
    assert_eq!((fallen.law.as_str(), fallen.seed), ("vegas", 2));
    assert_eq!(fallen.violations, ["the run came down: a seat was lost"]);
    assert!(!rehearsal.held());
    assert_eq!(rehearsal.verdicts()[1].failing, Some(2));
}
