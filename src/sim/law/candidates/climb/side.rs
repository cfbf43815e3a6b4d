//! What the windows on one side of the level showed together.

use super::Window;

/// Sums over the windows below the level, or over those above it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side {
    pub(super) ln_rate: f64,
    pub(super) done: u32,
    slow: u32,
    failed: u32,
}

impl Side {
    pub(super) fn add(&mut self, window: &Window, rate: f64) {
        self.ln_rate += rate.ln();
        self.done += window.done;
        self.slow += window.slow;
        self.failed += window.failed;
    }

    /// The part of the answers that missed the latency objective.
    pub(super) fn slow(&self) -> f64 {
        f64::from(self.slow) / f64::from(self.done.max(1))
    }

    /// The part of the answers that were failures.
    pub(super) fn failed(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.done.max(1))
    }
}
