//! A whole world in small: what goes in comes out, once.

use super::*;
use crate::admission::settings::{
    LimitSettings, Needs, ProductSettings, QueueSettings, Range, ResourceSettings, Settings,
};
use crate::admission::{Class, ONE_SEAT, Order, Outcome, ParkReason, ProductId};
use crate::sim::backend::{Engine, Fault, Leg, Route, Spread, Station};
use crate::sim::law::{Knock, Look, OURS, RequestId, Said, Word, build};
use crate::sim::record::Counts;
use crate::sim::scenario::{Coming, Crowd, Expected, Figure, Happening, Manner, Patience, Pause, Product, Step, What};
use std::num::NonZeroU32;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

/// The plant of every experiment: twenty at once at full speed, 20 ms each, so a thousand a second.
fn scenario(rate: Vec<(Duration, f64)>, lasts: Duration) -> Scenario {
    let engine = Engine::Sharing { knee: 20.0, contention: 0.1 };
    let station = Station {
        name: "backend".into(),
        engine,
        threads: usize::MAX,
        backlog: usize::MAX,
        cold: None,
        outlives_caller: true,
    };
    let route = Route { legs: vec![Leg { station: 0, work: ms(20), spread: Spread::Exponential }] };
    let queue = QueueSettings {
        longest_wait: ms(500),
        length: n(10_000),
        floor: 2,
        near_stop: Duration::ZERO,
        retry_after: (secs(1), secs(30)),
    };
    let product = ProductSettings {
        needs: [Needs::new(&[0]).expect("one"); Class::COUNT],
        sites: Vec::new(),
        guarantee: 100,
        latency_objective: ms(200),
        queue,
        reserve: n(8),
        reserve_per_customer: n(2),
        passes: None,
    };
    let found = ResourceSettings { budget: false, limit: LimitSettings::Found(Range::default()) };
    let step = Step {
        name: "ask".into(),
        class: Class::Commit,
        seats: ONE_SEAT,
        route: 0,
        routes: Vec::new(),
        event: None,
        stops: None,
        object: None,
        carried: true,
        bet: true,
    };
    let pause = Pause::Between(ms(50), ms(150));
    let manner = Manner {
        name: "all".into(),
        share: 100,
        obeys: false,
        quick: 0,
        quick_pause: secs(1),
        pause,
        retries: Some(0),
        quits: 0,
    };
    let crowd = Crowd {
        name: "everybody".into(),
        product: ProductId(0),
        coming: Coming::Rate { points: rate, linear: false },
        journey: vec![step],
        endless: false,
        think: pause,
        patience: Patience { least: secs(60), most: secs(60), by_step: true },
        timeout: secs(1),
        manners: vec![manner],
        two_devices: 0,
        no_shows: 0,
        worth: None,
    };
    Scenario {
        name: "in small".into(),
        about: String::new(),
        scale: "1:1".into(),
        lasts,
        measured: (Duration::ZERO, lasts),
        capacity_per_s: Some(1000.0),
        products: vec![Product {
            name: "all".into(),
            station: 0,
            first_byte_timeout: Duration::from_secs(10),
            cache: None,
            pool: 0,
            sites: Vec::new(),
        }],
        plant: crate::sim::backend::Settings { stations: vec![station], routes: vec![route] },
        admission: Settings {
            products: vec![product],
            resources: vec![found],
            at_once_per_customer: n(8),
            at_once_per_address: n(256),
            machines: Vec::new(),
        },
        carried: Vec::new(),
        hints: Vec::new(),
        crowds: vec![crowd],
        events: Vec::new(),
        happenings: Vec::new(),
        against: Vec::new(),
        expected: Vec::new(),
    }
}

/// Lets everybody through: what a proxy without any control does.
#[derive(Default)]
struct Open;

impl Law for Open {
    fn arrive(&mut self, _: Knock, _: Timestamp) -> Word {
        Word::Pass
    }
    fn finish(&mut self, _: RequestId, _: Outcome, _: Timestamp) {}
    fn leave(&mut self, request: RequestId, _: Timestamp) {
        panic!("{request:?} waited where nobody waits");
    }
    fn poll(&mut self) -> Option<Said> {
        None
    }
    fn order(&mut self, _: usize, _: Order, _: Timestamp) {}
    fn look(&self, _: usize) -> Look {
        Look::default()
    }
}

fn play(scenario: &Scenario, law: Box<dyn Law>, seed: u64) -> Run {
    run(scenario, "law", law, seed, &mut |_| {})
}

fn ours(scenario: &Scenario, seed: u64) -> Run {
    play(scenario, build(OURS, scenario, seed).expect("ours"), seed)
}

fn sum(run: &Run, of: impl Fn(&Counts) -> u32) -> u32 {
    run.crowds.iter().flat_map(|crowd| &crowd.seconds).map(of).sum()
}

#[test]
fn every_attempt_has_one_end() {
    let mut scenario = scenario(vec![(secs(0), 3_000.0), (secs(8), 0.0)], secs(20));
    scenario.crowds[0].two_devices = 10;
    scenario.crowds[0].manners[0].retries = Some(2);
    for (name, run) in [("ours", ours(&scenario, 3)), ("none", play(&scenario, Box::new(Open), 3))] {
        let ended = |counts: &Counts| counts.served + counts.refused + counts.timed_out + counts.failed;
        assert_eq!(sum(&run, |counts| counts.attempts), sum(&run, ended), "{name}: the plant has run dry");
        let customers = sum(&run, |counts| counts.came);
        assert_eq!(customers, sum(&run, |counts| counts.finished + counts.gave_up), "{name}: and everybody went home");
        assert_eq!(run.duplicates, 0);
        assert!(sum(&run, |counts| counts.steps) >= customers);
    }
}

#[test]
fn without_control_an_overloaded_plant_works_for_nobody_and_with_ours_it_does_not() {
    let scenario = scenario(vec![(secs(0), 2_000.0)], secs(20));
    let (none, ours) = (play(&scenario, Box::new(Open), 1), ours(&scenario, 1));
    assert!(sum(&none, |counts| counts.served) < 2_500, "{}", sum(&none, |counts| counts.served));
    assert!(sum(&ours, |counts| counts.served) > 17_000, "{}", sum(&ours, |counts| counts.served));
}

#[test]
fn a_parked_product_serves_nobody_and_a_reopened_one_does() {
    let mut scenario = scenario(vec![(secs(0), 500.0)], secs(12));
    let order = |at, order| Happening { at: secs(at), what: What::Order(vec![ProductId(0)], order) };
    scenario.happenings = vec![order(4, Order::Park(ParkReason::Parked)), order(8, Order::Reopen)];
    let run = ours(&scenario, 1);
    let reached: Vec<u32> = run.crowds[0].seconds.iter().map(|counts| counts.reached).collect();
    assert_eq!(reached[4..8], [0, 0, 0, 0]);
    assert!(reached[3] > 400 && reached[10] > 400, "{reached:?}");
    assert_eq!(run.looks[0][60].state, "parked");
}

#[test]
fn what_is_seen_in_observe_only_is_for_those_who_wait_at_once() {
    // Fourteen are under way where eight seats are known of: lines fill until it was seen that more is worth it.
    let mut scenario = scenario(vec![(secs(0), 700.0)], secs(6));
    scenario.happenings = vec![Happening { at: Duration::ZERO, what: What::Observe(true) }];
    let run = ours(&scenario, 1);
    let limits: Vec<f64> = run.looks[0].iter().filter_map(|look| look.limit).collect();
    assert!(limits[0] == 8.0 && limits.last().is_some_and(|seen| *seen > 14.0), "{limits:?}");
    assert!(run.violations.is_empty(), "{:#?}", run.violations);
}

#[test]
fn a_budget_that_is_hinted_follows_the_station_that_it_stands_for() {
    let mut scenario = scenario(vec![(secs(0), 1_500.0)], secs(12));
    scenario.admission.resources.push(ResourceSettings { budget: true, ..scenario.admission.resources[0].clone() });
    scenario.admission.resources[0].limit = LimitSettings::Fixed(n(100));
    scenario.admission.products[0].needs = [Needs::new(&[0, 1]).expect("two"); Class::COUNT];
    scenario.hints = vec![(0, 1)];
    let capacity = |at, part| Happening { at: secs(at), what: What::Fault(0, Fault::Capacity(part)) };
    scenario.happenings = vec![capacity(4, 0.5), capacity(8, 1.0)];
    let run = ours(&scenario, 1);
    for (from, to, knee) in [(2, 4, 20), (5, 8, 10), (10, 12, 20)] {
        let most = run.most_in_flight[0][from..to].iter().max();
        assert_eq!(most, Some(&knee), "from {from} to {to} s");
    }
    assert!(run.violations.is_empty(), "{:#?}", run.violations);
}

#[test]
fn a_hung_plant_lets_clients_go_and_their_requests_end_when_it_moves_again() {
    let mut scenario = scenario(vec![(secs(0), 100.0), (secs(10), 0.0)], secs(14));
    let hang = |at, on| Happening { at: secs(at), what: What::Fault(0, Fault::Hang(on)) };
    scenario.happenings = vec![hang(3, true), hang(6, false)];
    let run = play(&scenario, Box::new(Open), 1);
    let timed_out = sum(&run, |counts| counts.timed_out);
    assert!((170..=330).contains(&timed_out), "two seconds' worth of customers hung up: {timed_out}");
    let unheard: u32 = run.finished.iter().map(|(_, unheard)| *unheard).sum();
    assert_eq!(unheard, timed_out, "what was sent was done all the same");
}

#[test]
fn latencies_are_kept_of_every_window_that_is_asked_for_and_are_waiting_and_work() {
    let mut scenario = scenario(vec![(secs(0), 400.0), (secs(5), 2_000.0)], secs(10));
    let at = |figure, from, to| Expected {
        law: OURS.into(),
        figure,
        crowd: None,
        product: None,
        window: Some((secs(from), secs(to))),
        range: (0.0, 1.0),
        mean: false,
        goal: None,
        known: None,
    };
    let (calm, busy) = ((0, 5), (5, 10));
    scenario.expected = [calm, busy].map(|(from, to)| at(Figure::LatencyP99, from, to)).to_vec();
    let run = ours(&scenario, 1);
    let p99 = |figure, (from, to)| run.figure(figure, None, (secs(from), secs(to)), None).expect("served");
    assert!(p99(Figure::LatencyP99, calm) < 130.0, "{}", p99(Figure::LatencyP99, calm));
    assert!(p99(Figure::LatencyP99, busy) > 150.0, "{}", p99(Figure::LatencyP99, busy));
    assert!(p99(Figure::PlantP99, busy) < p99(Figure::LatencyP99, busy) - 20.0, "the queue is not the plant's");
}

#[test]
fn a_carried_knee_is_where_the_limit_begins() {
    let mut scenario = scenario(vec![(secs(0), 100.0)], secs(1));
    let limit = |scenario: &Scenario| {
        let law = build(OURS, scenario, 1).expect("ours is always there");
        law.look(0).limit.expect("ours has one")
    };
    let unknown = limit(&scenario);
    scenario.carried = vec![(0, 40.0)];
    assert!(limit(&scenario) > 2.0 * unknown, "{} after {unknown}", limit(&scenario));
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let scenario = scenario(vec![(secs(0), 1_500.0)], secs(5));
    let told = |seed| format!("{:?}", ours(&scenario, seed));
    assert_eq!(told(5), told(5));
    assert_ne!(told(5), told(6));
}

#[test]
fn a_proxy_gives_up_on_a_backend_that_does_not_answer_and_its_seat_is_free_again() {
    let mut scenario = scenario(vec![(secs(0), 100.0)], secs(12));
    scenario.products[0].first_byte_timeout = secs(2);
    scenario.crowds[0].timeout = secs(60);
    scenario.happenings = vec![Happening { at: secs(3), what: What::Fault(0, Fault::Hang(true)) }];
    let run = play(&scenario, Box::new(Open), 1);
    let failed: Vec<u32> = run.crowds[0].seconds.iter().map(|counts| counts.failed).collect();
    assert_eq!(failed[..4], [0; 4], "nobody is given up on before two seconds");
    assert!(failed[5..11].iter().all(|failed| (60..=140).contains(failed)), "{failed:?}");
    assert!(run.most_in_flight[0][11] < 300, "two seconds' worth and no more: {:?}", run.most_in_flight[0]);
}
