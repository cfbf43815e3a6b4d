//! How fast something happens, as a smoothed rate.

use std::time::Duration;

use super::Timestamp;

/// A rate over the last second or so: counted in short windows, each folded into a moving average.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    window_start: Timestamp,
    count: u32,
    per_s: f64,
}

const WINDOW: Duration = Duration::from_millis(250);
const KEEP: f64 = 0.7;

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
        self.per_s
    }

    fn roll(&mut self, now: Timestamp) {
        let age = now.since(self.window_start);
        if age < WINDOW {
            return;
        }
        let latest = f64::from(self.count) / age.as_secs_f64();
        // A long silence is many windows at once; its age says how little of the old average is left.
        let windows = (age.as_nanos() / WINDOW.as_nanos()).min(30) as i32;
        let keep = if self.per_s == 0.0 { 0.0 } else { KEEP.powi(windows) };
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
}
