//! How much may pass at a time after reopening.
//!
//! A ceiling on a product's seats that grows on evidence, not on the clock: by half for every short
//! window in which it was what held work up and the backends stayed healthy, not at all while answers are
//! late, down at once on failures. It ends when the limits bind before it does, or when nobody
//! needs more. A backend that comes back cold is simply held longer; a warm one costs a few windows.

use std::time::Duration;

use super::{Outcome, Timestamp};

/// A product's way back.
#[derive(Debug)]
pub(crate) struct Ramp {
    ceiling: f64,
    window: Window,
    bound_at: Timestamp,
}

#[derive(Debug)]
struct Window {
    since: Timestamp,
    done: u32,
    slow: u32,
    failed: u32,
    bound: bool,
}

/// The fewest seats a product is given: with less, nothing could be learned.
const FEWEST: f64 = 4.0;
const SHORTEST: Duration = Duration::from_millis(50);
const FEWEST_ANSWERS: u32 = 10;
const FORWARD: f64 = 1.5;
const BACK: f64 = 0.7;
/// When the ceiling has not held anybody up for so long, the ramp is over.
const IDLE: Duration = Duration::from_secs(2);

impl Ramp {
    /// A way back that starts from `seats`.
    pub(crate) fn new(seats: f64, now: Timestamp) -> Ramp {
        Ramp { ceiling: seats.max(FEWEST), window: Window::new(now), bound_at: now }
    }

    /// Seats the product may hold now.
    pub(crate) fn seats(&self) -> u32 {
        self.ceiling as u32
    }

    /// A seat came back; `held_up` says whether the ceiling was what others waited for.
    pub(crate) fn observe(&mut self, outcome: Outcome, slow: bool, held_up: bool, now: Timestamp) {
        let window = &mut self.window;
        window.done += 1;
        window.slow += u32::from(slow && outcome == Outcome::Answered);
        window.failed += u32::from(outcome == Outcome::Failed);
        window.bound |= held_up;
        if held_up {
            self.bound_at = now;
        }
        let enough = window.done >= FEWEST_ANSWERS.max(self.ceiling as u32);
        if enough && now.since(window.since) >= SHORTEST {
            self.ceiling = window.next(self.ceiling).max(FEWEST);
            self.window = Window::new(now);
        }
    }

    /// Whether the product can do without: the limits bind at `limit`, or the ceiling holds nobody up.
    pub(crate) fn is_over(&self, limit: u32, now: Timestamp) -> bool {
        self.ceiling >= f64::from(limit) || now.since(self.bound_at) >= IDLE
    }

    /// When [`is_over`](Self::is_over) may become true by time alone.
    pub(crate) fn idle_at(&self) -> Timestamp {
        self.bound_at + IDLE
    }
}

impl Window {
    fn new(since: Timestamp) -> Window {
        Window { since, done: 0, slow: 0, failed: 0, bound: false }
    }

    fn next(&self, ceiling: f64) -> f64 {
        if self.failed * 20 > self.done || self.slow * 2 > self.done {
            ceiling * BACK
        } else if self.slow * 10 > self.done || !self.bound {
            ceiling
        } else {
            ceiling * FORWARD
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::at;
    use super::*;

    /// Windows of ten answers, 10 ms apart: the ceiling after each.
    fn climb(ramp: &mut Ramp, from_ms: u64, answers: u64, outcome: Outcome, slow: bool) -> Vec<u32> {
        (0..answers)
            .map(|n| {
                ramp.observe(outcome, slow, true, at(from_ms + n * 10));
                ramp.seats()
            })
            .collect()
    }

    #[test]
    fn it_grows_while_healthy_holds_while_slow_and_steps_back_on_failures() {
        let mut ramp = Ramp::new(4.0, at(0));
        let healthy = climb(&mut ramp, 0, 60, Outcome::Answered, false);
        assert!(healthy.windows(2).all(|pair| pair[1] >= pair[0]));
        let reached = ramp.seats();
        assert!(reached >= 13, "{reached}");
        let failing = climb(&mut ramp, 600, 40, Outcome::Failed, false);
        assert!(failing.last() < Some(&reached));
        let mut late = Ramp::new(8.0, at(0));
        for n in 0..200u64 {
            late.observe(Outcome::Answered, n % 5 == 0, true, at(n * 10));
        }
        assert_eq!(late.seats(), 8);
    }

    #[test]
    fn it_never_starves_a_product() {
        let mut ramp = Ramp::new(1.0, at(0));
        climb(&mut ramp, 0, 500, Outcome::Failed, true);
        assert_eq!(ramp.seats(), 4);
    }

    #[test]
    fn it_is_over_when_the_limit_binds_first_or_nobody_needs_more() {
        let mut ramp = Ramp::new(16.0, at(0));
        assert!(ramp.is_over(16, at(0)));
        assert!(!ramp.is_over(17, at(0)));
        ramp.observe(Outcome::Answered, false, true, at(500));
        assert!(!ramp.is_over(17, at(2400)));
        assert!(ramp.is_over(17, at(2500)));
        assert_eq!(ramp.idle_at(), at(2500));
    }
}
