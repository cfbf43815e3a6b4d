//! The same customers by how they take a no: does it pay to hammer?
//!
//! **Polite** is who comes back as told: when `Retry-After` says, neither sooner nor later. An app with quick retries
//! built in is not, however well it behaves after them. Whoever is told nothing, as by a time-out, has nothing to obey,
//! and tries again after a few seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Window, percent, rounded};
use crate::admission::{ProductId, Refusal};
use crate::demo::customers::records::{AttemptRecord, Fate, JourneyRecord, Records};
use crate::demo::script::Script;
use crate::sim::clients::Ended;
use crate::sim::scenario::{Crowd, Manner};

/// What customers of one product and one manner got in the window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::demo) struct ByManner {
    pub(in crate::demo) manner: String,
    /// What they do after a no, in words.
    pub(in crate::demo) after_a_no: String,
    pub(in crate::demo) polite: bool,
    /// Those who arrived early enough to be counted, and those of them who got their receipt.
    pub(in crate::demo) customers: u64,
    pub(in crate::demo) finished: u64,
    pub(in crate::demo) finished_percent: f64,
    pub(in crate::demo) attempts: u64,
    pub(in crate::demo) steps_served: u64,
    pub(in crate::demo) attempts_per_step: Option<f64>,
    /// Where the attempts beyond one a step come from.
    pub(in crate::demo) noes: Vec<Noes>,
}

/// Noes of one name at one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::demo) struct Noes {
    pub(in crate::demo) step: String,
    pub(in crate::demo) no: &'static str,
    /// The no that these customers had heard at this step just before; nothing where it was their first attempt. A polite
    /// customer with one had come back as told, and was told no again.
    pub(in crate::demo) after: Option<&'static str>,
    pub(in crate::demo) count: u64,
    /// When they were told to come back, on average.
    pub(in crate::demo) told_s: f64,
}

/// A step, its no, and the no before it.
type Kind<'a> = (&'a str, &'static str, Option<&'static str>);

/// How often that was heard, and the times told all together.
type Heard = (u64, Duration);

impl ByManner {
    /// Sums up one product's window, a manner each, in the order of the story.
    pub(super) fn all(records: &Records, script: &Script, product: ProductId, window: Window) -> Vec<Self> {
        let mut manners: Vec<&Manner> = Vec::new();
        for manner in script.crowds.iter().filter(|crowd| crowd.product == product).flat_map(|crowd| &crowd.manners) {
            if manners.iter().all(|known| known.name != manner.name) {
                manners.push(manner);
            }
        }
        manners.into_iter().map(|manner| Self::of(records, (script, product), manner, window)).collect()
    }

    fn of(records: &Records, (script, product): (&Script, ProductId), manner: &Manner, window: Window) -> Self {
        let has = |journey: &JourneyRecord| journey.product == product && who(script, journey).1.name == manner.name;
        let (mut customers, mut finished) = (0, 0);
        for journey in records.journeys.iter().filter(|journey| has(journey) && window.counts(journey.arrived)) {
            customers += 1;
            finished += u64::from(journey.fate == Fate::Finished && journey.left < window.to);
        }
        let mut noes: BTreeMap<Kind<'_>, Heard> = BTreeMap::new();
        let (mut attempts, mut steps_served) = (0, 0);
        for (attempt, before) in with_the_no_before(records) {
            let journey = &records.journeys[attempt.journey];
            if !has(journey) || !window.has(attempt.ended) {
                continue;
            }
            attempts += 1;
            let Some(no) = no(attempt) else {
                steps_served += 1;
                continue;
            };
            let step = who(script, journey).0.journey[usize::from(attempt.step)].name.as_str();
            let heard = noes.entry((step, no, before)).or_default();
            heard.0 += 1;
            heard.1 += told(attempt);
        }
        Self {
            manner: manner.name.clone(),
            after_a_no: after_a_no(manner),
            polite: is_polite(manner),
            customers,
            finished,
            finished_percent: percent(finished, customers),
            attempts,
            steps_served,
            attempts_per_step: (steps_served > 0).then(|| rounded(attempts as f64 / steps_served as f64)),
            noes: noes.into_iter().map(Noes::of).collect(),
        }
    }
}

impl Noes {
    fn of(((step, no, after), (count, told)): (Kind<'_>, Heard)) -> Self {
        Self { step: step.to_owned(), no, after, count, told_s: rounded(told.as_secs_f64() / count as f64) }
    }
}

/// The crowd and the manner of a customer.
fn who<'a>(script: &'a Script, journey: &JourneyRecord) -> (&'a Crowd, &'a Manner) {
    let (crowd, manner) = journey.manner;
    let crowd = &script.crowds[usize::from(crowd)];
    (crowd, &crowd.manners[usize::from(manner)])
}

/// Each attempt, with the no that its customer had heard just before at the same step.
fn with_the_no_before(records: &Records) -> impl Iterator<Item = (&AttemptRecord, Option<&'static str>)> {
    // A customer's attempts end in the order in which they are made.
    let mut last: Vec<Option<(u8, &'static str)>> = vec![None; records.journeys.len()];
    records.attempts.iter().map(move |attempt| {
        let heard = no(attempt).map(|no| (attempt.step, no));
        let before = std::mem::replace(&mut last[attempt.journey], heard);
        (attempt, before.filter(|(step, _)| *step == attempt.step).map(|(_, no)| no))
    })
}

/// The name of a no; nothing when what was asked for came.
fn no(attempt: &AttemptRecord) -> Option<&'static str> {
    match attempt.how {
        Ended::Served => None,
        Ended::Refused(_) => Some(attempt.refusal.map_or("refused", Refusal::name)),
        Ended::Gated(_) => Some("gated"),
        Ended::Failed => Some("failed"),
        Ended::TimedOut(_) => Some("timed_out"),
    }
}

fn told(attempt: &AttemptRecord) -> Duration {
    match attempt.how {
        Ended::Refused(Some(told)) | Ended::Gated(told) => told,
        _ => Duration::ZERO,
    }
}

fn is_polite(manner: &Manner) -> bool {
    manner.obeys && manner.quick == 0
}

fn after_a_no(manner: &Manner) -> String {
    let then = if manner.obeys { "comes back as told" } else { "tries again and again" };
    match manner.quick {
        0 if is_polite(manner) => format!("{then} (polite)"),
        0 => then.to_owned(),
        quick => format!("tries {quick} times at once, then {then}"),
    }
}

#[cfg(test)]
mod tests;
