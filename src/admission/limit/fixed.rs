//! The number an operator gave.

use super::{Limit, Sample, Timestamp};

/// A limit that stays where it is, but for its part of the backends that are there.
#[derive(Debug)]
pub struct Fixed {
    seats: f64,
}

impl Fixed {
    /// `seats`, for ever; 1 when that is 0.
    pub fn new(seats: u32) -> Fixed {
        Fixed { seats: f64::from(seats.max(1)) }
    }
}

impl Limit for Fixed {
    fn seats(&self) -> u32 {
        (self.seats.round() as u32).max(1)
    }

    fn observe(&mut self, _: &Sample, _: Timestamp) {}

    /// What an operator has said is as good as found: a ramp starts from half of it.
    fn knee(&self) -> Option<f64> {
        Some(self.seats)
    }

    fn recall(&mut self, _: f64) {}

    fn rescale(&mut self, by: f64) {
        self.seats *= by;
    }
}
