//! How long a backend takes to answer, so that what cannot be answered in time is not begun.

use std::time::Duration;

/// A smoothed time and how far answers lie from it. Its bound is kept by about forty-nine of fifty answers, and found as
/// retransmission timers are (RFC 6298): it rises at once when answers scatter and costs a few additions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerTime {
    mean_ns: f64,
    deviation_ns: f64,
}

const WEIGHT: f64 = 1.0 / 64.0;
const DEVIATIONS: f64 = 4.0;

impl AnswerTime {
    pub(crate) fn observe(&mut self, took: Duration) {
        let took = took.as_nanos() as f64;
        if self.mean_ns == 0.0 {
            (self.mean_ns, self.deviation_ns) = (took, took / 2.0);
            return;
        }
        let off = took - self.mean_ns;
        self.mean_ns += off * WEIGHT;
        self.deviation_ns += (off.abs() - self.deviation_ns) * WEIGHT;
    }

    /// A time within which nearly every answer comes; nothing before there was one.
    pub(crate) fn bound(&self) -> Duration {
        Duration::from_nanos((self.mean_ns + DEVIATIONS * self.deviation_ns) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn nearly_every_answer_comes_within_the_bound_and_the_bound_is_no_excuse() {
        let mut random = Random::new(5);
        let mut time = AnswerTime::default();
        assert_eq!(time.bound(), Duration::ZERO);
        let (mut within, mut sum) = (0, Duration::ZERO);
        for turn in 0..20_000 {
            let whole = random.between(Duration::ZERO, Duration::from_secs(1)).as_secs_f64();
            // Exponential, 20 ms in the mean.
            let took = Duration::from_secs_f64(-0.02 * (1.0 - whole).max(1e-9).ln());
            if turn >= 1_000 {
                within += u32::from(took <= time.bound());
                sum += time.bound();
            }
            time.observe(took);
        }
        assert!(within >= 18_500, "{within} of 19,000");
        assert!(sum / 19_000 < Duration::from_millis(100), "{:?}", sum / 19_000);
    }
}
