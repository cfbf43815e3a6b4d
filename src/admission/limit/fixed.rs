//! The number an operator gave.

use super::{Limit, Sample, Timestamp};

/// A limit that stays where it is.
#[derive(Debug)]
pub struct Fixed(u32);

impl Fixed {
    /// `seats`, for ever; 1 when that is 0.
    pub fn new(seats: u32) -> Fixed {
        Fixed(seats.max(1))
    }
}

impl Limit for Fixed {
    fn seats(&self) -> u32 {
        self.0
    }

    fn observe(&mut self, _: &Sample, _: Timestamp) {}

    fn knee(&self) -> Option<f64> {
        None
    }

    fn recall(&mut self, _: f64) {}
}
