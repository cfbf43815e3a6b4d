//! A plant to judge a limit against: work that takes a while elsewhere, then a seat at a wallet of three.
//!
//! ```text
//!  limit ──▶ elsewhere, 8 ms, as many at once as come ──▶ wallet: 3 servers, 10 ms ──▶ answer
//! ```
//!
//! Times are exponential. The wallet slows gently with those who wait for it: by one part in 130 for each, at
//! most four times. There is always more work than seats.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Limit, Sample, Timestamp};
use crate::admission::Outcome;
use crate::admission::random::Random;

/// What is built.
#[derive(Clone, Copy)]
pub(in crate::admission::limit) struct Shape {
    pub(in crate::admission::limit) servers: u32,
    pub(in crate::admission::limit) elsewhere_s: f64,
    pub(in crate::admission::limit) wallet_s: f64,
    /// So many waiting double the wallet's time.
    pub(in crate::admission::limit) doubling: f64,
    pub(in crate::admission::limit) objective: Duration,
}

pub(in crate::admission::limit) const WALLET_OF_THREE: Shape =
    Shape { servers: 3, elsewhere_s: 0.008, wallet_s: 0.010, doubling: 130.0, objective: Duration::from_millis(250) };

/// The same a fifteenth as fast, with an objective that no answer meets.
pub(in crate::admission::limit) const SLOW_BY_NATURE: Shape =
    Shape { servers: 12, wallet_s: 0.150, elsewhere_s: 0.120, objective: Duration::from_millis(50), ..WALLET_OF_THREE };

pub(in crate::admission::limit) struct Plant {
    shape: Shape,
    random: Random,
    now: Timestamp,
    due: BinaryHeap<Reverse<(Timestamp, u64, bool)>>,
    started: Vec<Timestamp>,
    line: VecDeque<u64>,
    busy: u32,
    in_flight: u32,
}

impl Plant {
    pub(in crate::admission::limit) fn new(shape: Shape, seed: u64) -> Plant {
        Plant {
            shape,
            random: Random::new(seed),
            now: Timestamp::ZERO,
            due: BinaryHeap::new(),
            started: Vec::new(),
            line: VecDeque::new(),
            busy: 0,
            in_flight: 0,
        }
    }

    /// Answers in the next `seconds` under `limit`.
    pub(in crate::admission::limit) fn run(&mut self, limit: &mut dyn Limit, seconds: u64) -> u32 {
        let end = self.now + Duration::from_secs(seconds);
        let mut answers = 0;
        self.fill(limit);
        while let Some(Reverse((at, job, done))) = self.due.pop() {
            self.now = at;
            if done {
                answers += 1;
                let slow = at.since(self.started[job as usize]) > self.shape.objective;
                let saturated = self.in_flight == limit.seats();
                limit.observe(&Sample { outcome: Outcome::Answered, slow, saturated }, at);
                self.in_flight -= 1;
                self.busy -= 1;
                if let Some(next) = self.line.pop_front() {
                    self.serve(next);
                }
                self.fill(limit);
            } else if self.busy < self.shape.servers {
                self.serve(job);
            } else {
                self.line.push_back(job);
            }
            if at >= end {
                break;
            }
        }
        answers
    }

    fn fill(&mut self, limit: &dyn Limit) {
        while self.in_flight < limit.seats() {
            self.in_flight += 1;
            self.started.push(self.now);
            let at = self.now + self.exponential(self.shape.elsewhere_s);
            self.due.push(Reverse((at, self.started.len() as u64 - 1, false)));
        }
    }

    fn serve(&mut self, job: u64) {
        self.busy += 1;
        let slower = (1.0 + self.line.len() as f64 / self.shape.doubling).min(4.0);
        let at = self.now + self.exponential(self.shape.wallet_s * slower);
        self.due.push(Reverse((at, job, true)));
    }

    fn exponential(&mut self, mean_s: f64) -> Duration {
        let uniform = (self.random.below(1 << 30) as f64 + 1.0) / f64::from(1 << 30);
        Duration::from_secs_f64(-uniform.ln() * mean_s)
    }
}
