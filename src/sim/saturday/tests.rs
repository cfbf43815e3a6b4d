//! The figures are those of the demo, and the plant has the disease: each part of it, one test.

use std::sync::LazyLock;

use super::*;
use crate::admission::Timestamp;
use crate::admission::time::at;
use crate::sim::backend::{Answer, Ask, Fault, JobId, Ledger, Plant, Settings};
use crate::sim::scenario::{Coming, Patience, Pause};

/// Stations by their places, the first three also products by theirs.
const HORSE: usize = 0;
const SPORT: usize = 1;
const CASINO: usize = 2;
const WALLET: usize = 3;

/// Steps by their places in the journey.
const ODDS: usize = 0;
const LOGIN: usize = 1;
const BET: usize = 2;

static STORY: LazyLock<Scenario> = LazyLock::new(story);

fn plant() -> Settings {
    STORY.plant.clone()
}

fn new_plant() -> Plant {
    Plant::new(plant(), 1)
}

/// The three products ask for the same, each at its own backend.
fn route(product: usize, step: usize) -> usize {
    let crowd = STORY.crowds.iter().find(|crowd| crowd.product.index() == product).expect("it has customers");
    crowd.journey[step].route
}

fn ask(product: usize, step: usize, attempt: u64) -> Ask {
    Ask { route: route(product, step), attempt, key: (step == BET).then_some(attempt) }
}

fn placed(ledger: &Ledger, product: usize) -> u64 {
    ledger.counts(route(product, BET)).placed
}

#[test]
fn the_customers_are_those_of_the_decision_record() {
    let coming: Vec<_> = STORY.crowds.iter().map(|crowd| (crowd.product.index(), crowd.coming.clone())).collect();
    let rate = |per_s| Coming::Rate { points: vec![(Duration::ZERO, per_s)], linear: false };
    let secs = Duration::from_secs;
    let back = Coming::Spread { count: 7_000, from: secs(10), mean: secs(6) };
    assert_eq!(
        coming,
        [(HORSE, rate(20.0)), (HORSE, rate(20.0)), (SPORT, rate(30.0)), (CASINO, rate(30.0)), (HORSE, back)]
    );
    let events: Vec<_> = STORY.crowds.iter().map(|crowd| crowd.journey[BET].event).collect();
    assert_eq!(events, [Some(0), Some(1), None, None, Some(0)], "who waited wants the jackpot, as half of the others");
    for crowd in &STORY.crowds {
        let shares: Vec<_> = crowd.manners.iter().map(|manner| (manner.name.as_str(), manner.share)).collect();
        assert_eq!(shares, [("person", 70), ("app", 20), ("hammerer", 10)]);
        assert_eq!(crowd.patience, Patience { least: secs(40), most: secs(80), by_step: false });
        assert_eq!((crowd.timeout, crowd.think), (secs(5), Pause::Between(Duration::from_millis(500), secs(1))));
    }
}

/// Runs everything that is due until the plant rests; how many answers that gave, and when the last came.
fn run_out(plant: &mut Plant) -> (usize, Duration) {
    let mut now = Timestamp::ZERO;
    let mut last = Timestamp::ZERO;
    let mut answers = 0;
    while let Some(next) = plant.next_wake() {
        assert!(next >= now, "time never runs backwards");
        now = next;
        plant.wake(now);
        while plant.poll_answer().is_some() {
            answers += 1;
            last = now;
        }
    }
    (answers, last.since_start())
}

/// How long the wallet takes for so many logins that all come at once.
fn time_for(logins: u64) -> Duration {
    let mut plant = new_plant();
    for attempt in 0..logins {
        plant.ask(ask(HORSE, LOGIN, attempt), at(0));
    }
    let (answers, last) = run_out(&mut plant);
    assert_eq!(answers as u64, logins);
    last
}

#[test]
fn an_idle_plant_answers_in_the_time_of_the_work() {
    let mut total = Duration::ZERO;
    for attempt in 0..500 {
        let mut plant = Plant::new(plant(), attempt);
        plant.ask(ask(SPORT, BET, attempt), at(0));
        total += run_out(&mut plant).1;
    }
    let mean = (total / 500).as_millis();
    assert!((18..22).contains(&mean), "8 ms here and 12 ms in the wallet: {mean}");
}

#[test]
fn the_plant_slows_down_as_work_piles_up() {
    let few = time_for(10) / 10;
    let many = time_for(1_000) / 1_000;
    assert!(many > few * 2, "each of a thousand at once takes {many:?}, each of ten {few:?}");
}

#[test]
fn a_surge_of_one_product_reaches_the_others_through_the_wallet() {
    let alone = {
        let mut plant = new_plant();
        plant.ask(ask(CASINO, BET, 0), at(0));
        run_out(&mut plant).1
    };
    let mut plant = new_plant();
    for attempt in 1..=2_000 {
        plant.ask(ask(HORSE, LOGIN, attempt), at(0));
    }
    plant.wake(at(3_000));
    while plant.poll_answer().is_some() {}
    let casino = plant.ask(ask(CASINO, BET, 0), at(3_000));
    let answered = loop {
        let now = plant.next_wake().expect("casino is answered in the end");
        plant.wake(now);
        if std::iter::from_fn(|| plant.poll_answer()).any(|(job, _)| job == casino) {
            break now.since(at(3_000));
        }
    };
    assert!(answered > alone * 20, "behind 400 horse threads: {answered:?}, alone: {alone:?}");
}

#[test]
fn a_thread_is_held_while_the_wallet_is_asked() {
    let mut plant = new_plant();
    for attempt in 0..500 {
        plant.ask(ask(HORSE, LOGIN, attempt), at(0));
    }
    assert_eq!((plant.held(0), plant.waiting(0)), (400, 100));
    // Odds need no wallet, but they do need a thread: they wait behind the logins.
    let odds = plant.ask(ask(HORSE, ODDS, 999), at(0));
    plant.wake(at(500));
    assert!(std::iter::from_fn(|| plant.poll_answer()).all(|(job, _)| job != odds));
    assert!(plant.in_line(WALLET) > 100, "{}", plant.in_line(WALLET));
    assert!(plant.bend_permille(WALLET) > 1_400, "{}", plant.bend_permille(WALLET));
}

#[test]
fn work_goes_on_when_the_caller_has_hung_up() {
    let mut plant = new_plant();
    for attempt in 0..300 {
        let job = plant.ask(ask(HORSE, BET, attempt), at(0));
        plant.hang_up(job, at(0));
    }
    run_out(&mut plant);
    assert_eq!(placed(plant.ledger(), HORSE), 300);
}

#[test]
fn a_second_attempt_at_a_bet_gets_the_receipt_and_no_second_bet() {
    let mut plant = new_plant();
    let bet = |attempt| Ask { key: Some(77), ..ask(HORSE, BET, attempt) };
    plant.ask(bet(1), at(0));
    plant.ask(bet(2), at(0));
    assert_eq!(run_out(&mut plant).0, 2);
    assert_eq!(plant.next_wake(), None);
    plant.ask(bet(3), at(5_000));
    assert_eq!(run_out(&mut plant).0, 1);
    let ledger = plant.ledger();
    assert_eq!((placed(ledger, HORSE), ledger.counts(route(HORSE, BET)).repeated), (1, 2));
    assert_eq!(ledger.duplicates(), 0, "three attempts, each arrived once");
}

#[test]
fn a_full_backlog_turns_away_at_once() {
    let mut narrow = plant();
    narrow.stations[SPORT].threads = 1;
    narrow.stations[SPORT].backlog = 2;
    let mut plant = Plant::new(narrow, 1);
    let jobs: Vec<JobId> = (0..4).map(|n| plant.ask(ask(SPORT, ODDS, n), at(0))).collect();
    assert_eq!(plant.poll_answer(), Some((jobs[3], Answer::Failed)));
    assert_eq!(run_out(&mut plant).0, 3);
}

#[test]
fn a_cold_product_takes_longer_for_a_while_and_only_that_product() {
    let time = |product, cooled| {
        let mut plant = new_plant();
        if cooled {
            plant.fault(HORSE, Fault::Cold(COLD), at(0));
        }
        plant.ask(ask(product, BET, 1), at(0));
        run_out(&mut plant).1
    };
    assert_eq!(time(HORSE, true), time(HORSE, false) * 2);
    assert_eq!(time(CASINO, true), time(CASINO, false));
    let mut plant = new_plant();
    plant.fault(HORSE, Fault::Cold(COLD), at(0));
    plant.ask(ask(HORSE, BET, 1), at(15_000));
    assert_eq!(run_out(&mut plant).1, Duration::from_secs(15) + time(HORSE, false));
}

#[test]
fn a_late_driver_takes_nothing_from_the_plant() {
    let placed_by = |tick: Duration| {
        let mut plant = new_plant();
        for attempt in 0..2_000 {
            plant.ask(ask(HORSE, BET, attempt), at(0));
        }
        let mut now = Timestamp::ZERO;
        while now < at(6_000) {
            now += tick;
            plant.wake(now);
        }
        placed(plant.ledger(), HORSE)
    };
    assert_eq!(placed_by(Duration::from_millis(1)), placed_by(Duration::from_millis(200)));
}

#[test]
fn the_same_seed_is_the_same_plant() {
    let rest = |seed| {
        let mut plant = Plant::new(plant(), seed);
        for attempt in 0..200 {
            plant.ask(ask(SPORT, BET, attempt), at(attempt));
        }
        run_out(&mut plant)
    };
    assert_eq!(rest(5), rest(5));
    assert_ne!(rest(5), rest(6));
}
