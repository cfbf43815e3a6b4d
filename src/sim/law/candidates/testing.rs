//! What the tests of the candidates share.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::admission::limit::{Limit, Sample};
use crate::admission::settings::Range;
use crate::admission::{Outcome, Timestamp};
use crate::sim::random::Random;

/// The ordinary range, from so many seats.
pub(super) fn from(initial: u32) -> Range {
    Range { initial: NonZeroU32::new(initial).expect("not zero"), ..Range::default() }
}

/// An answer in time, while work is held up.
pub(super) const GOOD: Sample = Sample { outcome: Outcome::Answered, slow: false, saturated: true };

/// Good answers at an even pace until the limit moves; says when the next would come.
pub(super) fn bring(law: &mut dyn Limit, mut now: Timestamp, per_s: f64) -> Timestamp {
    let before = law.seats();
    while law.seats() == before {
        law.observe(&GOOD, now);
        now += Duration::from_secs_f64(1.0 / per_s);
    }
    now
}

/// More work than seats, all the time, for a backend of `knee` seats, 20 ms each, that loses a tenth of its pace for every
/// knee's worth of work above it. Returns the mean of the limit in the second half of `seconds`.
pub(super) fn settled(law: &mut dyn Limit, knee: f64, from_s: u64, seconds: u64) -> f64 {
    let mut random = Random::new(1);
    let begin = Timestamp::after(Duration::from_secs(from_s));
    let (mut now, mut held, mut time) = (begin, 0.0, 0.0);
    while now < begin + Duration::from_secs(seconds) {
        let seats = f64::from(law.seats());
        let rate = seats.min(knee) / 0.020 / (1.0 + 0.1 * (seats / knee - 1.0).max(0.0));
        let pause = random.exponential(Duration::from_secs_f64(1.0 / rate));
        now += pause;
        law.observe(&GOOD, now);
        if now.since(begin) > Duration::from_secs(seconds / 2) {
            held += seats * pause.as_secs_f64();
            time += pause.as_secs_f64();
        }
    }
    held / time
}
