//! A resource whose limit is not in force: observe-only.

use super::super::limit::Witness;
use super::super::{Outcome, Timestamp};
use super::Resource;

impl Resource {
    /// While `on`, the limit shown and decided by is what a [`Witness`] has seen; afterwards the limit starts from
    /// that, downwards. A limit that does not look for itself stays what it is.
    pub(crate) fn observe_only(&mut self, on: bool, now: Timestamp) {
        match (on, self.witness.take()) {
            (true, None) => {
                let known = self.limit.knee().map_or(self.limit.seats(), |knee| knee.round() as u32);
                let range = self.limit.range();
                self.witness = range.map(|range| Box::new(Witness::new(known, range, now)));
            }
            (true, witness) => self.witness = witness,
            (false, Some(witness)) => {
                if let Some(bound) = witness.bound() {
                    self.limit.recall(f64::from(bound));
                }
            }
            (false, None) => {}
        }
        self.count_seats();
    }

    /// A request is on its way that would have needed a seat.
    pub(crate) fn starts(&mut self, now: Timestamp) {
        if let Some(witness) = &mut self.witness {
            witness.starts(now);
        }
    }

    /// It has ended.
    pub(crate) fn ends(&mut self, outcome: Outcome, now: Timestamp) {
        if let Some(witness) = &mut self.witness {
            witness.ends(outcome, now);
            self.count_seats();
        }
    }
}
