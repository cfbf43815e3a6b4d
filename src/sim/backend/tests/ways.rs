//! The way of a request: threads, legs, bets, and callers who go.

use super::*;

const WALLET: usize = 1;

fn backend_and_wallet() -> Plant {
    let backend = Station { threads: 3, backlog: 2, ..seats(3) };
    plant(vec![backend, seats(1)], vec![leg(0, 10, Spread::Constant), leg(WALLET, 20, Spread::Constant)])
}

fn all_at_rest(plant: &Plant) -> bool {
    (0..plant.stations.len()).all(|at| plant.held(at) + plant.waiting(at) + plant.in_line(at) == 0)
        && plant.jobs.unanswered().next().is_none()
}

#[test]
fn a_thread_of_the_first_station_is_held_to_the_end() {
    let mut plant = backend_and_wallet();
    let asked = ask(&mut plant, 6, at(0));
    assert_eq!(plant.poll_answer(), Some((asked[5], Answer::Failed)), "the backlog is full");
    assert_eq!((plant.held(0), plant.waiting(0)), (3, 2));
    plant.wake(at(15));
    assert_eq!((plant.held(0), plant.waiting(0)), (3, 2), "all at the wallet, and none has room here");
    assert_eq!((plant.held(WALLET), plant.in_line(WALLET)), (3, 2));
    assert_eq!(done_at(&mut plant), [30, 50, 70, 90, 110]);
    assert!(all_at_rest(&plant));
}

#[test]
fn a_second_station_that_is_full_turns_away_too() {
    let wallet = Station { threads: 1, backlog: 1, ..seats(1) };
    let legs = vec![leg(0, 10, Spread::Constant), leg(WALLET, 20, Spread::Constant)];
    let mut plant = plant(vec![seats(9), wallet], legs);
    ask(&mut plant, 5, at(0));
    let failed: Vec<_> = answers(&mut plant, at(10)).into_iter().map(|(_, _, answer)| answer).collect();
    assert_eq!(failed, [Answer::Failed; 3]);
    assert_eq!(done_at(&mut plant), [30, 50]);
    assert!(all_at_rest(&plant));
}

#[test]
fn a_route_may_come_back_to_its_first_station() {
    let back = [0, WALLET, 0].map(|station| leg(station, 10, Spread::Constant));
    let mut plant = plant(vec![Station { threads: 1, backlog: 9, ..seats(1) }, seats(1)], back.to_vec());
    ask(&mut plant, 2, at(0));
    assert_eq!(done_at(&mut plant), [30, 60]);
    assert!(all_at_rest(&plant));
}

#[test]
fn coldness_of_the_first_station_goes_all_the_way_and_to_its_own_only() {
    let stations = vec![sharing(9.0, 0.0), seats(9), sharing(9.0, 0.0)];
    let way = |first| Route { legs: vec![leg(first, 10, Spread::Constant), leg(WALLET, 20, Spread::Constant)] };
    let mut plant = Plant::new(Settings { stations, routes: vec![way(0), way(2)] }, 1);
    plant.fault(0, Fault::Cold(Cold { factor: 2.0, eases: Eases::Completions(1e12) }), at(0));
    plant.ask(Ask { route: 0, attempt: 0, key: None }, at(0));
    plant.ask(Ask { route: 1, attempt: 1, key: None }, at(0));
    assert_eq!(done_at(&mut plant), [30, 60]);
}

#[test]
fn a_second_attempt_at_a_bet_gets_the_receipt_and_no_second_bet() {
    let mut plant = backend_and_wallet();
    let bet = |attempt| Ask { route: 0, attempt, key: Some(77) };
    plant.ask(bet(1), at(0));
    assert_eq!(done_at(&mut plant), [30]);
    plant.ask(bet(2), at(100));
    assert_eq!(done_at(&mut plant), [110], "the wallet is not asked again");
    let counts = plant.ledger().counts(0);
    assert_eq!((counts.placed, counts.repeated, plant.ledger().duplicates()), (1, 1, 0));
}

#[test]
fn who_hangs_up_makes_room_wherever_it_was() {
    let mut plant = backend_and_wallet();
    let asked = ask(&mut plant, 5, at(0));
    plant.hang_up(asked[3], at(5));
    plant.hang_up(asked[1], at(5));
    assert_eq!((plant.held(0), plant.waiting(0)), (3, 0), "one left the backlog, one left a thread to the last");
    plant.hang_up(asked[0], at(20));
    let done: Vec<JobId> = answers(&mut plant, Timestamp::NEVER).into_iter().map(|(_, job, _)| job).collect();
    assert_eq!(done, [asked[2], asked[4]]);
    assert!(all_at_rest(&plant));
}

#[test]
fn who_hangs_up_leaves_the_rest_of_a_shared_station_more() {
    let mut plant = one(sharing(1.0, 0.0), 100);
    let asked = ask(&mut plant, 2, at(0));
    plant.hang_up(asked[0], at(100));
    assert_eq!(done_at(&mut plant), [150]);
}

#[test]
fn an_answer_that_lies_ready_is_not_given_to_one_who_has_hung_up() {
    let mut plant = one(seats(2), 10);
    let asked = ask(&mut plant, 2, at(0));
    plant.wake(at(10));
    plant.hang_up(asked[0], at(10));
    plant.hang_up(asked[0], at(10));
    let next = ask(&mut plant, 1, at(10));
    assert!(!asked.contains(&next[0]), "its number is not free yet");
    let heard: Vec<JobId> = answers(&mut plant, Timestamp::NEVER).into_iter().map(|(_, job, _)| job).collect();
    assert_eq!(heard, [asked[1], next[0]]);
}

#[test]
fn work_that_outlives_its_caller_goes_on() {
    let mut plant = one(Station { outlives_caller: true, ..seats(1) }, 10);
    for job in ask(&mut plant, 5, at(0)) {
        plant.hang_up(job, at(1));
    }
    assert_eq!(done_at(&mut plant), [10, 20, 30, 40, 50]);
}

#[test]
fn numbers_are_dense() {
    let mut plant = one(sharing(4.0, 0.1), 10);
    let mut largest = 0;
    for round in 0..200 {
        let asked = ask(&mut plant, 10, at(round * 100));
        plant.hang_up(asked[3], at(round * 100 + 1));
        answers(&mut plant, at(round * 100 + 99));
        largest = asked.into_iter().fold(largest, JobId::max);
    }
    assert_eq!(largest, 9);
}

/// Everything at once, by chance: what was answered, when, and what it left behind.
/// Between two requests the driver looks every `tick`.
fn storm(seed: u64, tick: Duration) -> Vec<(JobId, Answer)> {
    let stations = vec![
        Station { threads: 60, backlog: 40, ..sharing(8.0, 0.1) },
        Station { threads: 30, backlog: 500, ..seats(6) },
        Station { outlives_caller: true, ..sharing(6.0, 0.2) },
        Station { engine: Engine::Seats { seats: 3, bend: Bend { easy: 5, piled: 50 } }, ..seats(3) },
    ];
    let route = |first| Route { legs: vec![leg(first, 4, Spread::Exponential), leg(3, 3, Spread::Floored)] };
    let routes = vec![route(0), route(1), route(2), Route { legs: vec![leg(3, 2, Spread::Constant)] }];
    let mut plant = Plant::new(Settings { stations, routes }, seed);
    let mut random = Random::new(seed);
    let mut alive: Vec<(JobId, bool)> = Vec::new();
    let (mut now, mut seen, mut heard) = (Timestamp::ZERO, Timestamp::ZERO, Vec::new());
    for attempt in 0..4_000 {
        now += random.exponential(Duration::from_micros(1_500));
        while seen + tick < now {
            seen += tick;
            plant.wake(seen);
        }
        plant.wake(now);
        while let Some((job, answer)) = plant.poll_answer() {
            let known = alive.iter().position(|(known, _)| *known == job).expect("answered once, and only when asked");
            alive.swap_remove(known);
            heard.push((job, answer));
        }
        if random.chance(20) && !alive.is_empty() {
            let who = random.below(alive.len() as u64) as usize;
            plant.hang_up(alive[who].0, now);
            if !alive[who].1 {
                alive.swap_remove(who);
            }
        }
        if random.chance(1) {
            plant.fault(random.below(4) as usize, any_fault(&mut random), now);
        }
        let route = random.below(4) as usize;
        let job = plant.ask(Ask { route, attempt, key: random.chance(30).then_some(attempt / 2) }, now);
        assert!(alive.iter().all(|(known, _)| *known != job), "no two have one number");
        alive.push((job, route == 2));
    }
    for station in 0..4 {
        for end in [Fault::Hang(false), Fault::Lose(0), Fault::Capacity(1.0)] {
            plant.fault(station, end, now);
        }
    }
    let rest = answers(&mut plant, Timestamp::NEVER);
    assert_eq!(rest.len(), alive.len(), "everybody who stays is answered");
    assert!(all_at_rest(&plant));
    assert_eq!(plant.ledger().duplicates(), 0);
    heard.extend(rest.into_iter().map(|(_, job, answer)| (job, answer)));
    heard
}

fn any_fault(random: &mut Random) -> Fault {
    match random.below(8) {
        0 => Fault::Slow(1.0 + random.below(4) as f64),
        1 => Fault::Capacity(0.5 + random.below(3) as f64 / 4.0),
        2 => Fault::Lose(random.below(101) as u32),
        3 => Fault::Lose(0),
        4 => Fault::Hang(true),
        5 => Fault::Hang(false),
        6 => Fault::Fail(random.below(50) as u32),
        _ => Fault::Cold(Cold { factor: 3.0, eases: Eases::Completions(50.0) }),
    }
}

#[test]
fn everybody_is_answered_once_whatever_happens() {
    for seed in 0..20 {
        storm(seed, ms(1));
    }
}

#[test]
fn the_same_seed_is_the_same_plant() {
    assert!(storm(5, ms(1)) == storm(5, ms(1)));
    assert!(storm(5, ms(1)) != storm(6, ms(1)));
}

#[test]
fn a_late_driver_takes_nothing_from_the_plant() {
    assert!(storm(3, Duration::from_micros(37)) == storm(3, ms(50)));
}
