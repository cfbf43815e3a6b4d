//! The plant has the disease: each part of it, one test.

use super::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn plant() -> Plant {
    Plant::new(Settings::default(), 1)
}

fn ask(product: Product, step: Step, attempt: u64) -> Ask {
    let key = (step == Step::Bet).then_some(attempt);
    Ask { product, step, attempt: Some(attempt), key }
}

/// Runs everything that is due until the plant rests; how many answers that gave, and when it rested.
fn run_out(plant: &mut Plant) -> (usize, Duration) {
    let mut now = Duration::ZERO;
    let mut answers = 0;
    while let Some(at) = plant.next_wake() {
        assert!(at >= now, "time never runs backwards");
        now = at;
        plant.wake(now);
        while plant.poll_answer().is_some() {
            answers += 1;
        }
    }
    (answers, now)
}

/// How long the wallet takes for so many logins that all come at once.
fn time_for(logins: u64) -> Duration {
    let mut plant = plant();
    for attempt in 0..logins {
        plant.ask(ask(Product::HorseRacing, Step::Login, attempt), Duration::ZERO);
    }
    let (answers, rested) = run_out(&mut plant);
    assert_eq!(answers as u64, logins);
    rested
}

#[test]
fn an_idle_plant_answers_in_the_time_of_the_work() {
    let mut total = Duration::ZERO;
    for attempt in 0..500 {
        let mut plant = Plant::new(Settings::default(), attempt);
        plant.ask(ask(Product::Sport, Step::Bet, attempt), Duration::ZERO);
        total += run_out(&mut plant).1;
    }
    let mean = total / 500;
    assert!((ms(18)..ms(22)).contains(&mean), "8 ms here and 12 ms in the wallet: {mean:?}");
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
        let mut plant = plant();
        plant.ask(ask(Product::Casino, Step::Bet, 0), Duration::ZERO);
        run_out(&mut plant).1
    };
    let mut plant = plant();
    for attempt in 1..=2_000 {
        plant.ask(ask(Product::HorseRacing, Step::Login, attempt), Duration::ZERO);
    }
    plant.wake(ms(3_000));
    while plant.poll_answer().is_some() {}
    let casino = plant.ask(ask(Product::Casino, Step::Bet, 0), ms(3_000));
    let answered = loop {
        let now = plant.next_wake().expect("casino is answered in the end");
        plant.wake(now);
        if std::iter::from_fn(|| plant.poll_answer()).any(|(job, _)| job == casino) {
            break now - ms(3_000);
        }
    };
    assert!(answered > alone * 20, "behind 400 horse threads: {answered:?}, alone: {alone:?}");
}

#[test]
fn a_thread_is_held_while_the_wallet_is_asked() {
    let mut plant = plant();
    for attempt in 0..500 {
        plant.ask(ask(Product::HorseRacing, Step::Login, attempt), Duration::ZERO);
    }
    let vitals = plant.vitals();
    assert_eq!((vitals.threads[0], vitals.backlog[0]), (400, 100));
    // Odds need no wallet, but they do need a thread: they wait behind the logins.
    let odds = plant.ask(ask(Product::HorseRacing, Step::Odds, 999), Duration::ZERO);
    plant.wake(ms(500));
    assert!(std::iter::from_fn(|| plant.poll_answer()).all(|(job, _)| job != odds));
    assert!(plant.vitals().wallet_line > 100, "{:?}", plant.vitals());
}

#[test]
fn work_goes_on_when_the_caller_has_hung_up() {
    // The caller cannot tell the plant that it has gone: there is no such call. All it can do is not to listen.
    let mut plant = plant();
    for attempt in 0..300 {
        plant.ask(ask(Product::HorseRacing, Step::Bet, attempt), Duration::ZERO);
    }
    run_out(&mut plant);
    assert_eq!(plant.ledger().counts(Product::HorseRacing).placed, 300);
}

#[test]
fn a_second_attempt_at_a_bet_gets_the_receipt_and_no_second_bet() {
    let mut plant = plant();
    let bet = |attempt| Ask { key: Some(77), ..ask(Product::HorseRacing, Step::Bet, attempt) };
    plant.ask(bet(1), Duration::ZERO);
    plant.ask(bet(2), Duration::ZERO);
    assert_eq!(run_out(&mut plant).0, 2);
    let busy_before = plant.next_wake();
    plant.ask(bet(3), ms(5_000));
    assert_eq!(busy_before, None);
    assert_eq!(run_out(&mut plant).0, 1);
    let counts = plant.ledger().counts(Product::HorseRacing);
    assert_eq!((counts.placed, counts.repeated), (1, 2));
    assert_eq!(plant.ledger().duplicates(), 0, "three attempts, each arrived once");
}

#[test]
fn a_full_backlog_turns_away_at_once() {
    let mut plant = Plant::new(Settings { threads: 1, backlog: 2, ..Settings::default() }, 1);
    let jobs: Vec<JobId> = (0..4).map(|n| plant.ask(ask(Product::Sport, Step::Odds, n), Duration::ZERO)).collect();
    assert_eq!(plant.poll_answer(), Some((jobs[3], Answer::Full)));
    assert_eq!(run_out(&mut plant).0, 3);
}

#[test]
fn a_cold_product_takes_longer_for_a_while_and_only_that_product() {
    let time = |product, cooled| {
        let mut plant = plant();
        if cooled {
            plant.cool(Product::HorseRacing, Duration::ZERO);
        }
        plant.ask(ask(product, Step::Bet, 1), Duration::ZERO);
        run_out(&mut plant).1
    };
    assert_eq!(time(Product::HorseRacing, true), time(Product::HorseRacing, false) * 2);
    assert_eq!(time(Product::Casino, true), time(Product::Casino, false));
    let mut plant = plant();
    plant.cool(Product::HorseRacing, Duration::ZERO);
    plant.ask(ask(Product::HorseRacing, Step::Bet, 1), ms(15_000));
    assert_eq!(run_out(&mut plant).1, ms(15_000) + time(Product::HorseRacing, false));
}

#[test]
fn a_late_driver_takes_nothing_from_the_plant() {
    let placed_by = |tick: Duration| {
        let mut plant = plant();
        for attempt in 0..2_000 {
            plant.ask(ask(Product::HorseRacing, Step::Bet, attempt), Duration::ZERO);
        }
        let mut now = Duration::ZERO;
        while now < ms(6_000) {
            now += tick;
            plant.wake(now);
        }
        plant.ledger().counts(Product::HorseRacing).placed
    };
    assert_eq!(placed_by(ms(1)), placed_by(ms(200)));
}

#[test]
fn the_same_seed_is_the_same_plant() {
    let rest = |seed| {
        let mut plant = Plant::new(Settings::default(), seed);
        for attempt in 0..200 {
            plant.ask(ask(Product::Sport, Step::Bet, attempt), ms(attempt));
        }
        run_out(&mut plant)
    };
    assert_eq!(rest(5), rest(5));
    assert_ne!(rest(5), rest(6));
}
