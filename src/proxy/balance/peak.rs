//! The decayed peak of a backend's response time: up at once, down slowly (the idea is Finagle's peak EWMA).
//!
//! One word holds the value and when it was last heard of, so that all workers read and write it without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::admission::Timestamp;

/// A tenth of it is left after 23 seconds.
const DECAY: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Peak(AtomicU64);

impl Peak {
    /// An answer took so long.
    pub(crate) fn heard(&self, took: Duration, now: Timestamp) {
        let took = took.as_secs_f32();
        // Two at once: either of them may be forgotten.
        let (value, left) = self.at(now);
        let value = if took >= value { took } else { value * left + took * (1.0 - left) };
        self.0.store(u64::from(value.to_bits()) << 32 | u64::from(millis(now)), Ordering::Relaxed);
    }

    /// It is asked again, after a time in which it was not: what is known of it is as old as it was when that began. Else it
    /// would come back as the fastest of all.
    pub(crate) fn is_back(&self, now: Timestamp) {
        let value = self.0.load(Ordering::Relaxed) >> 32;
        self.0.store(value << 32 | u64::from(millis(now)), Ordering::Relaxed);
    }

    /// What an answer takes, in seconds; nothing as long as nothing was heard. One that is not asked becomes faster by
    /// and by, or nobody would find out that it is.
    pub(crate) fn seconds(&self, now: Timestamp) -> f32 {
        let (value, left) = self.at(now);
        value * left
    }

    /// The value, and how much of it is left since.
    fn at(&self, now: Timestamp) -> (f32, f32) {
        let word = self.0.load(Ordering::Relaxed);
        let value = f32::from_bits((word >> 32) as u32);
        // Another worker's clock may be read a moment earlier than it wrote.
        let since = millis(now).wrapping_sub(word as u32);
        let since = if since > u32::MAX / 2 { 0 } else { since };
        (value, (-(since as f32) / DECAY.as_millis() as f32).exp())
    }
}

/// Milliseconds in 32 bits: what is fifty days old counts as new once, and has decayed long before.
fn millis(now: Timestamp) -> u32 {
    now.since_start().as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::time::at;

    #[test]
    fn one_that_was_not_asked_for_a_while_is_no_faster_for_that() {
        let peak = Peak::default();
        peak.heard(Duration::from_millis(500), at(0));
        peak.is_back(at(60_000));
        assert_eq!(peak.seconds(at(60_000)), 0.5);
    }

    #[test]
    fn it_is_up_at_once_and_down_slowly() {
        let (peak, ms) = (Peak::default(), Duration::from_millis);
        assert_eq!(peak.seconds(at(0)), 0.0);
        peak.heard(ms(10), at(0));
        peak.heard(ms(500), at(1));
        assert_eq!(peak.seconds(at(1)), 0.5);
        peak.heard(ms(10), at(1_001));
        assert!((0.44..0.47).contains(&peak.seconds(at(1_001))), "{}", peak.seconds(at(1_001)));
        assert!((0.15..0.18).contains(&peak.seconds(at(11_001))), "{}", peak.seconds(at(11_001)));
        assert_eq!(peak.seconds(at(1_000)), peak.seconds(at(1_001)), "a clock read a moment earlier");
    }
}
