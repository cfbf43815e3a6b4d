use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::admission::time::at;
use crate::sim::random::Random;

/// So many servers, each taking `service` on average, and nothing in front of them.
struct Plant {
    servers: u32,
    service: Duration,
    random: Random,
    due: BinaryHeap<Reverse<Timestamp>>,
    waiting: u32,
    next: Timestamp,
}

impl Plant {
    fn new(servers: u32, service: Duration, seed: u64) -> Plant {
        let (random, due) = (Random::new(seed), BinaryHeap::new());
        Plant { servers, service, random, due, waiting: 0, next: Timestamp::ZERO }
    }

    /// Play until `end`, with so many per cent of what the servers can do offered.
    fn offer(&mut self, per_cent: u64, end: Timestamp, witness: &mut Witness) {
        let between = self.service * 100 / (self.servers * per_cent as u32);
        while self.next < end {
            let ends = self.due.peek().map(|Reverse(at)| *at).filter(|at| *at <= self.next);
            match ends {
                Some(now) => self.end(now, witness),
                None => self.start(between, witness),
            }
        }
    }

    fn start(&mut self, between: Duration, witness: &mut Witness) {
        let now = self.next;
        witness.starts(now);
        if (self.due.len() as u32) < self.servers {
            self.serve(now)
        } else {
            self.waiting += 1
        }
        self.next = now + self.random.exponential(between);
    }

    fn end(&mut self, now: Timestamp, witness: &mut Witness) {
        self.due.pop();
        witness.ends(Outcome::Answered, now);
        if self.waiting > 0 {
            self.waiting -= 1;
            self.serve(now);
        }
    }

    fn serve(&mut self, now: Timestamp) {
        self.due.push(Reverse(now + self.random.exponential(self.service)));
    }
}

const ANY: (u32, u32) = (2, 4096);

/// An afternoon of so many seconds at each of these loads, in turn.
fn afternoon(servers: u32, service_ms: u64, loads: &[u64], seed: u64) -> Witness {
    let mut plant = Plant::new(servers, Duration::from_millis(service_ms), seed);
    let mut witness = Witness::new(8, ANY, at(0));
    for (turn, load) in loads.iter().cycle().take(loads.len() * 3).enumerate() {
        plant.offer(*load, at((turn as u64 + 1) * 10_000), &mut witness);
    }
    witness
}

#[test]
fn natural_traffic_bounds_the_knee_from_above_and_closely() {
    for (servers, service_ms) in [(4, 5), (8, 30), (20, 10), (32, 30), (200, 30), (200, 200)] {
        for seed in 0..3 {
            let witness = afternoon(servers, service_ms, &[30, 60, 90, 120, 150, 80, 40], seed);
            let bound = f64::from(witness.bound().expect("the knee was passed")) / f64::from(servers);
            assert!((0.8..=2.0).contains(&bound), "{servers} × {service_ms} ms, seed {seed}: {bound} of the knee");
        }
    }
}

#[test]
fn where_the_knee_was_never_seen_more_than_was_seen_is_worth_trying() {
    for seed in 0..10 {
        let seats = afternoon(100, 30, &[20, 40, 30], seed).seats();
        assert!((50..=200).contains(&seats), "seed {seed}: {seats}");
    }
}

#[test]
fn nothing_seen_leaves_what_was_known_before() {
    let mut witness = Witness::new(23, ANY, at(0));
    for ms in 0..ENOUGH as u64 - 1 {
        witness.starts(at(ms));
        witness.ends(Outcome::Answered, at(ms + 1));
    }
    assert_eq!((witness.seats(), witness.bound()), (23, None));
}

#[test]
fn failures_are_no_answers() {
    let mut witness = Witness::new(23, ANY, at(0));
    for ms in 0..10 * u64::from(ENOUGH) {
        witness.starts(at(ms));
        witness.ends(Outcome::Failed, at(ms + 1));
    }
    assert_eq!(witness.bound(), None);
}

#[test]
fn a_knee_that_falls_leaves_the_bound_and_one_that_rises_takes_it_along() {
    let mut plant = Plant::new(40, Duration::from_millis(10), 3);
    let mut witness = Witness::new(8, ANY, at(0));
    for (turn, load) in [80, 95, 105, 60, 95].into_iter().enumerate() {
        plant.offer(load, at((turn as u64 + 1) * 12_000), &mut witness);
    }
    plant.servers = 10;
    for turn in 0..6 {
        plant.offer(if turn % 2 == 0 { 150 } else { 40 }, at(100_000 + turn * 40_000), &mut witness);
    }
    assert!((36..=80).contains(&witness.seats()), "{}: what was enough for more", witness.seats());
    plant.servers = 100;
    for turn in 6..12 {
        plant.offer(if turn % 2 == 0 { 99 } else { 85 }, at(100_000 + turn * 40_000), &mut witness);
    }
    assert!((80..=200).contains(&witness.seats()), "{}: of a hundred", witness.seats());
}

#[test]
fn the_range_holds() {
    let mut plant = Plant::new(40, Duration::from_millis(10), 3);
    let mut witness = Witness::new(8, (2, 12), at(0));
    plant.offer(130, at(20_000), &mut witness);
    assert_eq!(witness.bound(), Some(12));
}

#[test]
fn other_backends_make_it_begin_anew_from_what_it_knew() {
    let mut witness = afternoon(20, 10, &[50, 140], 1);
    let known = witness.seats();
    witness.forget();
    assert_eq!((witness.seats(), witness.bound()), (known, None));
}

#[test]
fn every_number_in_flight_has_its_level_and_every_level_its_most() {
    for in_flight in 1..70_000 {
        let level = level_of(in_flight);
        assert!(in_flight <= most_of(level) || level == LEVELS - 1, "{in_flight} in {level}");
        assert!(level == 0 || level_of(in_flight) >= level_of(in_flight.max(2) - 1));
    }
    assert_eq!(level_of(65_535), LEVELS - 1);
    for n in 1..8 {
        assert_eq!(most_of(level_of(n)), n, "the small ones have a level each");
    }
}
