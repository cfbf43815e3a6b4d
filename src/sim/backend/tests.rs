//! The plant does what its settings say: arithmetic where there is some, else one story each.

use super::*;
use crate::admission::time::at;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn sharing(knee: f64, contention: f64) -> Station {
    station(Engine::Sharing { knee, contention })
}

fn seats(seats: usize) -> Station {
    station(Engine::Seats { seats, bend: Bend::NONE })
}

fn station(engine: Engine) -> Station {
    let name = String::from("backend");
    Station { name, engine, threads: usize::MAX, backlog: 0, cold: None, outlives_caller: false }
}

fn leg(station: usize, work: u64, spread: Spread) -> Leg {
    Leg { station, work: ms(work), spread }
}

/// One station, and a route of so many milliseconds each time.
fn one(station: Station, work: u64) -> Plant {
    plant(vec![station], vec![leg(0, work, Spread::Constant)])
}

fn plant(stations: Vec<Station>, legs: Vec<Leg>) -> Plant {
    Plant::new(Settings { stations, routes: vec![Route { legs }] }, 1)
}

/// Requests of the first route, numbered through.
fn ask(plant: &mut Plant, count: u64, now: Timestamp) -> Vec<JobId> {
    let first = plant.ledger().total().arrived;
    (first..first + count).map(|attempt| plant.ask(Ask { route: 0, attempt, key: None }, now)).collect()
}

/// All answers up to then, each with the time it was given.
fn answers(plant: &mut Plant, until: Timestamp) -> Vec<(Timestamp, JobId, Answer)> {
    let mut all = Vec::new();
    let mut now = Timestamp::ZERO;
    loop {
        all.extend(std::iter::from_fn(|| plant.poll_answer()).map(|(job, answer)| (now, job, answer)));
        now = match plant.next_wake().filter(|&next| next <= until) {
            Some(next) => next,
            None => return all,
        };
        plant.wake(now);
    }
}

/// When each was done, in whole milliseconds, until the plant rests.
fn done_at(plant: &mut Plant) -> Vec<u128> {
    let never = Timestamp::NEVER;
    answers(plant, never)
        .into_iter()
        .map(|(at, ..)| (at.since_start() + Duration::from_micros(1)).as_millis())
        .collect()
}

/// Completions per second with always so many inside, of 20 ms of exponential work each.
fn capacity(station: Station, inside: u64, fault: Option<Fault>) -> f64 {
    let mut plant = plant(vec![station], vec![leg(0, 20, Spread::Exponential)]);
    if let Some(fault) = fault {
        plant.fault(0, fault, Timestamp::ZERO);
    }
    ask(&mut plant, inside, Timestamp::ZERO);
    let lasts = Timestamp::after(Duration::from_secs(20));
    while let Some(now) = plant.next_wake().filter(|&now| now <= lasts) {
        plant.wake(now);
        while plant.poll_answer().is_some() {
            ask(&mut plant, 1, now);
        }
    }
    plant.ledger().total().done as f64 / 20.0
}

fn assert_near(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.03, "{found}, expected {expected}");
}

#[test]
fn sharing_does_a_thousand_a_second_at_a_knee_of_twenty() {
    assert_near(capacity(sharing(20.0, 0.1), 20, None), 1_000.0);
    assert_near(capacity(sharing(20.0, 0.1), 10, None), 500.0);
    assert_near(capacity(sharing(20.0, 0.0), 100, None), 1_000.0);
    assert_near(capacity(seats(20), 100, None), 1_000.0);
}

#[test]
fn contention_costs_beyond_the_knee() {
    // Five knees inside: 1 / (1 + 0.1 · 4) of what the knee does.
    assert_near(capacity(sharing(20.0, 0.1), 100, None), 1_000.0 / 1.4);
    assert_near(capacity(sharing(20.0, 0.5), 100, None), 1_000.0 / 3.0);
}

#[test]
fn sharing_is_fair_to_what_comes_in_between() {
    let mut plant = one(sharing(1.0, 0.0), 100);
    ask(&mut plant, 1, at(0));
    ask(&mut plant, 1, at(50));
    // Half done when the second comes; both at half speed for 100 ms; the second alone for its other half.
    assert_eq!(done_at(&mut plant), [150, 200]);
}

#[test]
fn one_server_shared_answers_as_theory_says() {
    let mut plant = plant(vec![sharing(1.0, 0.0)], vec![leg(0, 10, Spread::Exponential)]);
    let mut random = Random::new(7);
    let (mut now, mut came, mut total, mut answered) = (Timestamp::ZERO, Vec::new(), Duration::ZERO, 0_u32);
    for attempt in 0..200_000 {
        now += random.exponential(Duration::from_micros(12_500));
        while let Some(next) = plant.next_wake().filter(|&next| next <= now) {
            plant.wake(next);
            while let Some((job, _)) = plant.poll_answer() {
                total += next.since(came[job as usize]);
                answered += 1;
            }
        }
        let job = plant.ask(Ask { route: 0, attempt, key: None }, now) as usize;
        came.resize(came.len().max(job + 1), Timestamp::ZERO);
        came[job] = now;
    }
    // M/M/1 with processor sharing at a load of 0.8: service time / (1 - 0.8).
    let mean = (total / answered).as_secs_f64();
    assert!((0.047..0.053).contains(&mean), "{mean}, of {answered}");
}

#[test]
fn the_knee_moves_with_what_happens() {
    let mut plant = one(sharing(20.0, 0.1), 20);
    assert_eq!(plant.knee(0), 20.0);
    plant.fault(0, Fault::Capacity(0.5), at(0));
    plant.fault(0, Fault::Lose(40), at(0));
    assert_eq!(plant.knee(0), 6.0);
    plant.fault(0, Fault::Capacity(1.0), at(0));
    plant.fault(0, Fault::Lose(0), at(0));
    assert_eq!(plant.knee(0), 20.0);
    let mut seated = one(seats(3), 20);
    seated.fault(0, Fault::Capacity(0.5), at(0));
    assert_eq!(seated.knee(0), 2.0);
    seated.fault(0, Fault::Capacity(0.1), at(0));
    assert_eq!(seated.knee(0), 1.0);
    seated.fault(0, Fault::Lose(100), at(0));
    assert_eq!(seated.knee(0), 0.0);
}

mod faults;
mod ways;
