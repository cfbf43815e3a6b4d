//! The simplest plant to judge a limit against: one line, always full, and what a limit makes of it over time.

use std::time::Duration;

use super::{Limit, Sample, Timestamp};
use crate::admission::Outcome;
use crate::admission::random::Random;

/// A backend of `knee` seats that loses a tenth of its pace for every knee's worth of work above it;
/// exponential service, always more work waiting.
pub(crate) struct Saturated {
    pub(crate) knee: f64,
    /// For how long a request keeps a seat, on average.
    pub(crate) work_ms: f64,
    /// So many in a hundred fail.
    pub(crate) failing: u64,
    pub(crate) from_ms: u64,
    pub(crate) seconds: u64,
}

impl Saturated {
    /// What `level` tells of `law` after each answer.
    pub(crate) fn run<L: Limit>(&self, law: &mut L, level: fn(&L) -> f64, random: &mut Random) -> Vec<f64> {
        let mut now = Timestamp::after(Duration::from_millis(self.from_ms));
        let end = now + Duration::from_secs(self.seconds);
        let mut in_flight = f64::from(law.seats());
        let mut levels = Vec::new();
        while now < end {
            let over = (in_flight / self.knee - 1.0).max(0.0);
            let rate = in_flight.min(self.knee) * 1000.0 / self.work_ms / (1.0 + 0.1 * over);
            let uniform = (random.below(1 << 30) as f64 + 1.0) / f64::from(1 << 30);
            now += Duration::from_secs_f64(-uniform.ln() / rate);
            let slow = in_flight / rate > 0.250;
            let outcome = if random.below(100) < self.failing { Outcome::Failed } else { Outcome::Answered };
            law.observe(&Sample { outcome, slow, saturated: true }, now);
            in_flight = (in_flight - 1.0).max(f64::from(law.seats()));
            levels.push(level(law));
        }
        levels
    }
}

/// The mean of the last `n` of `levels`.
pub(crate) fn mean_of_last(levels: &[f64], n: usize) -> f64 {
    let last = &levels[levels.len().saturating_sub(n)..];
    last.iter().sum::<f64>() / last.len() as f64
}

/// Answers `apart` from `start` on; says when the next would come.
pub(crate) fn tell(law: &mut dyn Limit, start: Timestamp, apart: Duration, answers: u32, saturated: bool) -> Timestamp {
    (0..answers).fold(start, |now, _| {
        law.observe(&Sample { outcome: Outcome::Answered, slow: false, saturated }, now);
        now + apart
    })
}
