//! From records to figures. The same definitions for every run, with Sluss and without:
//!
//! - The **window** begins with the reopening and is as long in every run. Attempts and bets belong to it when they
//!   *ended* in it.
//! - A **bet** counts when the customer got the receipt, not when the plant carried it out: a bet nobody heard of is
//!   no bet to whoever waits for it.
//! - **Finished** is the share of customers who got their receipt before the window's end, among all who arrived in it
//!   early enough to get it: up to [`ROOM_TO_FINISH`] before its end. Those who gave up and those still trying count
//!   as not finished. An undisturbed journey takes two seconds.
//! - **Times of answers** are of attempts that were answered with what was asked for; refusals are no answers, and a
//!   time-out is no time.
//! - **Attempts per step** are all attempts by all steps that succeeded: 1 is what undisturbed customers need.

mod manners;

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::customers::records::{AttemptRecord, Fate, Records};
use super::script::Script;
use crate::admission::ProductId;
use crate::sim::clients::Ended;

pub(super) use manners::ByManner;

/// A customer who arrived later than this before the window's end is not counted as unfinished: twice the time-out of
/// an attempt, five undisturbed journeys.
pub(super) const ROOM_TO_FINISH: Duration = Duration::from_secs(10);

/// The first seconds, in which a surge does its harm.
pub(super) const FIRST: Duration = Duration::from_secs(10);

/// What customers of one product got in the window.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) product: String,
    /// Receipts in the window.
    pub(super) bets: u64,
    pub(super) bets_per_s: f64,
    pub(super) bets_per_s_first_10_s: f64,
    /// Customers who arrived early enough to be counted, and those of them who got their receipt.
    pub(super) customers: u64,
    pub(super) finished: u64,
    pub(super) finished_percent: f64,
    pub(super) answer_ms: Spread,
    pub(super) journey_ms: Spread,
    pub(super) attempts: u64,
    pub(super) attempts_per_step: Option<f64>,
    pub(super) answered: u64,
    pub(super) refused: u64,
    pub(super) timed_out: u64,
    pub(super) failed: u64,
    pub(super) manners: Vec<ByManner>,
}

/// Median and the slowest hundredth, in milliseconds; nothing when there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

/// The stretch of a run that is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Window {
    pub(super) fn has(self, at: Duration) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// Whether somebody who arrived then had room to finish.
    fn counts(self, arrived: Duration) -> bool {
        (self.from..self.to.saturating_sub(ROOM_TO_FINISH)).contains(&arrived)
    }

    pub(super) fn secs(self) -> f64 {
        (self.to - self.from).as_secs_f64()
    }
}

impl Figures {
    /// Sums up one product's window.
    pub(super) fn of(records: &Records, script: &Script, product: ProductId, window: Window) -> Self {
        let mut figures = Self::empty(script.name(product).to_owned());
        figures.journeys(records, product, window);
        figures.attempts(records, product, window);
        figures.manners = ByManner::all(records, script, product, window);
        figures
    }

    fn empty(product: String) -> Self {
        let nothing = Spread { p50: None, p99: None };
        Self {
            product,
            bets: 0,
            bets_per_s: 0.0,
            bets_per_s_first_10_s: 0.0,
            customers: 0,
            finished: 0,
            finished_percent: 0.0,
            answer_ms: nothing,
            journey_ms: nothing,
            attempts: 0,
            attempts_per_step: None,
            answered: 0,
            refused: 0,
            timed_out: 0,
            failed: 0,
            manners: Vec::new(),
        }
    }

    fn journeys(&mut self, records: &Records, product: ProductId, window: Window) {
        let mut times = Times::default();
        let mut first = 0;
        for journey in records.journeys.iter().filter(|journey| journey.product == product) {
            let finished = journey.fate == Fate::Finished && journey.left < window.to;
            if finished && window.has(journey.left) {
                self.bets += 1;
                first += u64::from(journey.left < window.from + FIRST);
                times.add(journey.left - journey.arrived);
            }
            if window.counts(journey.arrived) {
                self.customers += 1;
                self.finished += u64::from(finished);
            }
        }
        self.bets_per_s = rounded(self.bets as f64 / window.secs());
        self.bets_per_s_first_10_s = rounded(first as f64 / FIRST.as_secs_f64());
        self.finished_percent = percent(self.finished, self.customers);
        self.journey_ms = times.spread();
    }

    fn attempts(&mut self, records: &Records, product: ProductId, window: Window) {
        let mut times = Times::default();
        for attempt in records.attempts.iter().filter(|a| a.product == product && window.has(a.ended)) {
            self.attempts += 1;
            match attempt.how {
                Ended::Served => {
                    self.answered += 1;
                    times.add(attempt.ended - attempt.sent);
                }
                Ended::Refused(_) | Ended::Gated(_) => self.refused += 1,
                Ended::Failed => self.failed += 1,
                Ended::TimedOut(_) => self.timed_out += 1,
            }
        }
        self.attempts_per_step = (self.answered > 0).then(|| rounded(self.attempts as f64 / self.answered as f64));
        self.answer_ms = times.spread();
    }
}

/// What happened to bets and bystanders while the race was closed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Closed {
    /// Bets on the closed event that were sent and ended in that time.
    pub(super) bets_on_it: u64,
    pub(super) of_these_refused: u64,
    pub(super) of_these_answered: u64,
    /// Horse bets on other events.
    pub(super) bets_on_others_answered: u64,
    /// Share of attempts in sport and casino that were answered.
    pub(super) sport_and_casino_percent: f64,
}

impl Closed {
    /// Sums up the time between signal and reopening.
    pub(super) fn of(records: &Records, script: &Script, window: Window) -> Self {
        let ended = || records.attempts.iter().filter(|a| window.has(a.sent) && window.has(a.ended));
        let bets = |on_it| {
            let bets = ended().filter(|a| a.product == script.surging() && a.bet);
            bets.filter(move |a| (a.event == Some(script.event)) == on_it)
        };
        let answered = |a: &&AttemptRecord| a.how == Ended::Served;
        let on_it = bets(true);
        let others = ended().filter(|a| a.product != script.surging());
        Self {
            bets_on_it: on_it.clone().count() as u64,
            of_these_refused: on_it.clone().filter(|a| matches!(a.how, Ended::Refused(_))).count() as u64,
            of_these_answered: on_it.filter(answered).count() as u64,
            bets_on_others_answered: bets(false).filter(answered).count() as u64,
            sport_and_casino_percent: percent(others.clone().filter(answered).count() as u64, others.count() as u64),
        }
    }
}

/// Times, from which a spread is taken.
struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // Microseconds up to five minutes, the longest window; three digits.
        Self(Histogram::new_with_bounds(1, 300_000_000, 3).expect("these bounds are in range"))
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn spread(&self) -> Spread {
        let at = |quantile| (!self.0.is_empty()).then(|| rounded(self.0.value_at_quantile(quantile) as f64 / 1_000.0));
        Spread { p50: at(0.5), p99: at(0.99) }
    }
}

/// `part` of `whole` in percent; 0 of nothing.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(100.0 * part as f64 / whole as f64) }
}

/// Two decimals: more would claim more than a run of 45 s knows.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
