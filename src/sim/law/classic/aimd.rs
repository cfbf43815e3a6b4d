//! Up by one, down by a tenth: `AIMDLimit` of Netflix concurrency-limits, with its defaults.
//!
//! <https://github.com/Netflix/concurrency-limits>. Its maximum, 200 there, is [`MOST`] here.

use std::time::Duration;

use super::limit::{Limiter, Sample};
use crate::admission::Outcome;

/// Grows while at least half used, shrinks with every request that came too late.
pub(super) struct Aimd {
    limit: f64,
}

impl Aimd {
    /// At its initial limit.
    pub(super) fn new() -> Aimd {
        Aimd { limit: LEAST }
    }
}

impl Limiter for Aimd {
    fn limit(&self) -> f64 {
        self.limit
    }

    /// An answer that nobody was there to receive is taken for a drop: the client's timeout is all this law goes by.
    fn finished(&mut self, sample: &Sample) {
        if sample.outcome != Outcome::Answered || sample.took > LATE {
            self.limit = (self.limit * BACK_OFF).max(LEAST);
        } else if f64::from(sample.in_flight) * 2.0 >= self.limit {
            self.limit = (self.limit + 1.0).min(MOST);
        }
    }
}

const LEAST: f64 = 20.0;
const MOST: f64 = 1_000.0;
const BACK_OFF: f64 = 0.9;
const LATE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::{millis, sample};

    #[test]
    fn it_grows_by_one_while_half_used() {
        let mut aimd = Aimd::new();
        aimd.finished(&sample(1, 20, 9));
        assert_eq!(aimd.limit(), 20.0, "less than half of it was used");
        aimd.finished(&sample(2, 20, 10));
        assert_eq!(aimd.limit(), 21.0);
    }

    #[test]
    fn it_shrinks_by_a_tenth_with_each_drop_and_each_late_answer_down_to_its_least() {
        let mut aimd = Aimd { limit: 100.0 };
        aimd.finished(&Sample { outcome: Outcome::Abandoned, ..sample(1, 20, 100) });
        assert_eq!(aimd.limit(), 90.0);
        aimd.finished(&Sample { took: millis(5_001), ..sample(2, 20, 90) });
        assert_eq!(aimd.limit(), 81.0);
        (0..20).for_each(|_| aimd.finished(&Sample { outcome: Outcome::Failed, ..sample(3, 20, 1) }));
        assert_eq!(aimd.limit(), 20.0);
    }
}
