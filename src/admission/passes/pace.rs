//! How many new customers a second the product can take: its steps a second, by the steps that a customer takes.

use super::super::Timestamp;
use super::super::rate::Rate;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    steps: f64,
    passes: f64,
}

/// After so many passes, what was before counts half. Long, as a crowd that has just begun looks as if it took one step each.
const MEMORY: f64 = 10_000.0;

impl Pace {
    pub(super) fn new(now: Timestamp) -> Pace {
        Pace { rate: Rate::new(now), steps: 0.0, passes: 0.0 }
    }

    /// A step was let through.
    pub(super) fn step(&mut self, now: Timestamp) {
        self.rate.count(now);
        self.steps += 1.0;
    }

    /// It was a customer's first.
    pub(super) fn pass(&mut self) {
        self.passes += 1.0;
        if self.passes > MEMORY {
            self.passes /= 2.0;
            self.steps /= 2.0;
        }
    }

    /// New customers a second who can be let in for long; 0 while nothing passes.
    pub(super) fn customers_per_s(&mut self, now: Timestamp) -> f64 {
        let steps_each = if self.passes > 0.0 { (self.steps / self.passes).max(1.0) } else { 1.0 };
        self.rate.per_s(now) / steps_each
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::time::at;
    use super::*;

    #[test]
    fn a_customer_who_takes_five_steps_takes_the_place_of_five_who_take_one() {
        let mut pace = Pace::new(at(0));
        for ms in 0..5_000u64 {
            pace.step(at(ms));
            if ms % 5 == 0 {
                pace.pass();
            }
        }
        let pace = pace.customers_per_s(at(5_000));
        assert!((190.0..210.0).contains(&pace), "{pace}");
    }
}
