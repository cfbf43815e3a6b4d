//! How fast something happens, as a smoothed rate.

use std::time::Duration;

use super::Timestamp;

/// A rate over the last second or so: counted in short windows, each folded into a moving average. After a silence, as
/// at the start, the average says nothing of what has begun, so the latest count stands for itself until it does.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    window_start: Timestamp,
    count: u32,
    per_s: f64,
}

const WINDOW: Duration = Duration::from_millis(250);
const KEEP: f64 = 0.7;
/// The shortest time in which a count is a rate.
const GLANCE: Duration = Duration::from_millis(100);
/// A rise by so much is a beginning and not noise.
const BEGINS: f64 = 4.0;

impl Rate {
    pub(crate) fn new(now: Timestamp) -> Rate {
        Rate { window_start: now, count: 0, per_s: 0.0 }
    }

    /// One more, now.
    pub(crate) fn count(&mut self, now: Timestamp) {
        self.roll(now);
        self.count += 1;
    }

    /// Events per second; 0 when there were none for some seconds.
    pub(crate) fn per_s(&mut self, now: Timestamp) -> f64 {
        self.roll(now);
        let begun = f64::from(self.count) / now.since(self.window_start).max(GLANCE).as_secs_f64();
        if begun > self.per_s * BEGINS { begun } else { self.per_s }
    }

    /// A rate that [`per_s`](Self::per_s) is not below, found without a division: the average, or none when its window
    /// has ended.
    pub(crate) fn surely_per_s(&self, now: Timestamp) -> f64 {
        if self.is_over(now) { 0.0 } else { self.per_s }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.window_start + WINDOW
    }

    fn roll(&mut self, now: Timestamp) {
        if !self.is_over(now) {
            return;
        }
        let age = now.since(self.window_start);
        let latest = f64::from(self.count) / age.as_secs_f64();
        // A long silence is many windows at once; its age says how little of the old average is left.
        let windows = (age.as_nanos() / WINDOW.as_nanos()).min(30) as i32;
        let keep = if latest > self.per_s * BEGINS { 0.0 } else { KEEP.powi(windows) };
        self.per_s = self.per_s * keep + latest * (1.0 - keep);
        self.window_start = now;
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::at;
    use super::*;

    #[test]
    fn a_steady_stream_is_read_as_its_rate_and_silence_as_none() {
        let mut rate = Rate::new(at(0));
        for ms in (0..3000).step_by(10) {
            rate.count(at(ms));
        }
        assert!((rate.per_s(at(3000)) - 100.0).abs() < 5.0);
        assert!(rate.per_s(at(20_000)) < 1.0);
    }

    #[test]
    fn what_begins_is_seen_at_once_at_the_start_and_after_a_silence() {
        let mut rate = Rate::new(at(0));
        for start in [0, 60_000, 180_137] {
            for ms in (0..1000).step_by(10) {
                let now = at(start + ms);
                rate.count(now);
                let seen = rate.per_s(now);
                // Ten milliseconds in there is one; after a tenth of a second it is known.
                assert!((9.0..=130.0).contains(&seen), "{ms} ms after {start}: {seen}");
                assert!(ms < 100 || seen >= 75.0, "{ms} ms after {start}: {seen}");
            }
        }
    }

    #[test]
    fn a_slow_trickle_is_not_exaggerated() {
        let mut rate = Rate::new(at(0));
        let mut most = 0.0f64;
        for second in 5..60 {
            rate.count(at(second * 1000));
            most = most.max(rate.per_s(at(second * 1000 + 400)));
        }
        assert!(most <= 4.0, "{most}");
    }
}
