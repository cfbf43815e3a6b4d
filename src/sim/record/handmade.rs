//! Runs made by hand, for tests of what is made from runs.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Counts, CrowdRecord, Run, Times};
use crate::admission::{Refusal, Timestamp};
use crate::sim::law::Look;

/// A run of nobody.
pub(crate) fn run(law: &str, seed: u64) -> Run {
    Run {
        law: law.to_owned(),
        seed,
        crowds: Vec::new(),
        looks: Vec::new(),
        shares: Vec::new(),
        most_in_flight: Vec::new(),
        knees: Vec::new(),
        look_every: Duration::from_millis(500),
        events: 0,
        most_waiting: 0,
        most_alive: 0,
        violations: Vec::new(),
        finished: Vec::new(),
        duplicates: 0,
        marks: Vec::new(),
    }
}

/// A crowd with these counts, second by second; what was served was so at the beginning of its second.
pub(crate) fn crowd(product: usize, seconds: Vec<Counts>) -> CrowdRecord {
    let served =
        |(at, counts): (usize, &Counts)| (counts.served > 0).then(|| Timestamp::after(Duration::from_secs(at as u64)));
    CrowdRecord {
        product,
        times: Times { latency: histogram(), waited: histogram(), at_plant: histogram() },
        stretches: Vec::new(),
        journey: histogram(),
        refusals: [0; Refusal::COUNT + 1],
        last_journey: None,
        first_served: seconds.iter().enumerate().map(served).collect(),
        seconds,
    }
}

/// A second in which so many attempts were made and served.
pub(crate) fn second(attempts: u32, served: u32) -> Counts {
    Counts { attempts, served, steps: attempts, reached: attempts, ..Counts::default() }
}

/// An open product with a limit.
pub(crate) fn look(limit: f64, in_flight: u32) -> Look {
    Look { limit: Some(limit), in_flight, waiting: 0, state: "open", ramp: None }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are within what a histogram can do")
}
