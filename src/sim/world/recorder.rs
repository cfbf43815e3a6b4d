//! Writes down what happens in a run.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::admission::{Refusal, Timestamp};
use crate::sim::law::{No, Word};
use crate::sim::record::{Counts, CrowdRecord, Mark, Run, Times};
use crate::sim::scenario::{Crowd, Scenario};

/// The record in the making.
pub(super) struct Recorder {
    pub(super) run: Run,
    /// Requests at the plant now, as the law counts them: by product, and last of all.
    in_flight: Vec<u32>,
    measured: (Duration, Duration),
}

impl Recorder {
    pub(super) fn new(scenario: &Scenario, law: &str, seed: u64, look_every: Duration) -> Recorder {
        let seconds = scenario.lasts.as_secs() as usize + 1;
        let crowd = |crowd: &Crowd| CrowdRecord {
            product: usize::from(crowd.product.0),
            seconds: vec![Counts::default(); seconds],
            times: times(),
            stretches: stretches(scenario),
            journey: histogram(),
            refusals: [0; Refusal::COUNT + 1],
            last_journey: None,
            first_served: vec![None; seconds],
        };
        let run = Run {
            law: law.to_owned(),
            seed,
            crowds: scenario.crowds.iter().map(crowd).collect(),
            looks: vec![Vec::new(); scenario.products.len()],
            knees: vec![Vec::new(); scenario.products.len()],
            shares: vec![Vec::new(); scenario.products.len()],
            most_in_flight: vec![vec![0; seconds]; scenario.products.len() + 1],
            look_every,
            events: 0,
            most_waiting: 0,
            most_alive: 0,
            violations: Vec::new(),
            finished: vec![(0, 0); seconds],
            duplicates: 0,
            marks: Vec::new(),
        };
        let in_flight = vec![0; scenario.products.len() + 1];
        Recorder { run, in_flight, measured: scenario.measured }
    }

    /// The counts of a crowd in the second of `now`.
    pub(super) fn count(&mut self, crowd: u16, now: Timestamp) -> &mut Counts {
        &mut self.run.crowds[usize::from(crowd)].seconds[second(now)]
    }

    /// A device has made an attempt, the first at its step or another. Whoever is told at the gate to wait has not.
    pub(super) fn knocked(&mut self, crowd: u16, begins_step: bool, word: Word, now: Timestamp) {
        if !matches!(word, Word::Refuse(No { at_the_gate: true, .. })) {
            let counts = self.count(crowd, now);
            counts.attempts += 1;
            counts.steps += u32::from(begins_step);
        }
    }

    pub(super) fn refused(&mut self, crowd: u16, no: No, now: Timestamp) {
        if no.at_the_gate {
            let counts = self.count(crowd, now);
            counts.polls += 1;
            return;
        }
        self.count(crowd, now).refused += 1;
        let named = no.why.map_or(Refusal::COUNT, Refusal::index);
        self.run.crowds[usize::from(crowd)].refusals[named] += 1;
    }

    /// A request passed after it had waited so long, perhaps not at all.
    pub(super) fn passed(&mut self, crowd: u16, waited: Duration, now: Timestamp) {
        let counts = self.count(crowd, now);
        counts.reached += 1;
        counts.waited_us += waited.as_micros() as u64;
        let (product, all) = (self.run.crowds[usize::from(crowd)].product, self.in_flight.len() - 1);
        for row in [product, all] {
            self.in_flight[row] += 1;
            let most = &mut self.run.most_in_flight[row][second(now)];
            *most = (*most).max(self.in_flight[row]);
        }
        self.each_times(crowd, now, |times| record(&mut times.waited, waited.as_micros()));
    }

    /// The law was told the end of a request that had passed.
    pub(super) fn given_back(&mut self, crowd: u16) {
        let (product, all) = (self.run.crowds[usize::from(crowd)].product, self.in_flight.len() - 1);
        self.in_flight[product] -= 1;
        self.in_flight[all] -= 1;
    }

    /// The plant is done with a request; `heard` says whether somebody was still there.
    pub(super) fn finished(&mut self, heard: bool, now: Timestamp) {
        let (all, unheard) = &mut self.run.finished[second(now)];
        *all += 1;
        *unheard += u32::from(!heard);
    }

    /// An attempt was served so long after it was made, and so long after it had passed.
    pub(super) fn served(&mut self, crowd: u16, latency: Duration, at_plant: Duration, now: Timestamp) {
        self.count(crowd, now).served += 1;
        self.run.crowds[usize::from(crowd)].first_served[second(now)].get_or_insert(now);
        self.each_times(crowd, now, |times| {
            record(&mut times.latency, latency.as_micros());
            record(&mut times.at_plant, at_plant.as_micros());
        });
    }

    pub(super) fn journey(&mut self, crowd: u16, took: Duration, now: Timestamp) {
        self.count(crowd, now).finished += 1;
        let record_of = &mut self.run.crowds[usize::from(crowd)];
        record_of.last_journey = Some(now);
        record(&mut record_of.journey, took.as_millis());
    }

    pub(super) fn mark(&mut self, product: Option<usize>, what: String, now: Timestamp) {
        self.run.marks.push(Mark { at: now.since_start(), product, what });
    }

    /// Every window that `now` lies in.
    fn each_times(&mut self, crowd: u16, now: Timestamp, mut write: impl FnMut(&mut Times)) {
        let record_of = &mut self.run.crowds[usize::from(crowd)];
        if has(self.measured, now) {
            write(&mut record_of.times);
        }
        for (_, times) in record_of.stretches.iter_mut().filter(|(window, _)| has(*window, now)) {
            write(times);
        }
    }
}

/// One for each window of its own in which a quantile is expected.
fn stretches(scenario: &Scenario) -> Vec<((Duration, Duration), Times)> {
    let mut stretches: Vec<((Duration, Duration), Times)> = Vec::new();
    for window in scenario.expected.iter().filter(|one| one.figure.is_quantile()).filter_map(|one| one.window) {
        if stretches.iter().all(|(known, _)| *known != window) {
            stretches.push((window, times()));
        }
    }
    stretches
}

fn times() -> Times {
    Times { latency: histogram(), waited: histogram(), at_plant: histogram() }
}

fn has((from, to): (Duration, Duration), now: Timestamp) -> bool {
    (from..to).contains(&now.since_start())
}

fn second(now: Timestamp) -> usize {
    now.since_start().as_secs() as usize
}

/// Up to a quarter of an hour in microseconds, or eleven days in milliseconds, three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("these bounds are sound")
}

fn record(histogram: &mut Histogram<u64>, value: u128) {
    histogram.saturating_record(u64::try_from(value).unwrap_or(u64::MAX).max(1));
}
