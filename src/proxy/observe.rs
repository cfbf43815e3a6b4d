//! A request that goes on whatever admission said to it: observe-only.
//!
//! What it was given, a seat or a place, it keeps as a shadow: the seat to its end, the place until a seat or a no
//! comes of it or the request ends, whichever is first. So lines and caps are those of a proxy whose word counts.

use std::sync::Arc;

use super::admit::{Gate, Waiting};
use crate::admission::{Outcome, Refused, Seat, Timestamp, Underway};

/// See the [module](self).
pub(crate) struct Observed {
    underway: Underway,
    started: Timestamp,
    shadow: Shadow,
    count: Option<Count>,
}

/// What a request would have had.
pub(super) enum Shadow {
    Seat(Seat),
    Waiting(Waiting),
    Refused,
}

type Count = Box<dyn FnOnce(Refused) + Send>;

impl Observed {
    pub(super) fn new(underway: Underway, shadow: Shadow, now: Timestamp) -> Observed {
        Observed { underway, started: now, shadow, count: None }
    }

    /// When the request went on.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// Where it goes on.
    pub(super) fn pool(&self) -> Option<usize> {
        self.underway.pool()
    }

    /// A no that comes to the place is counted by this.
    pub(super) fn on_refusal(&mut self, count: Count) {
        self.count = Some(count);
    }

    /// The request has ended.
    pub(super) fn end(self, gate: &Arc<Gate>, outcome: Outcome, now: Timestamp) {
        let seat = match self.shadow {
            Shadow::Seat(seat) => Some(seat),
            Shadow::Refused => None,
            // A place of which nothing has come is left when it is dropped.
            Shadow::Waiting(mut waiting) => match waiting.decided() {
                Some(Ok(admitted)) => admitted.into_seat(),
                Some(Err(refused)) => {
                    if let Some(count) = self.count {
                        count(refused);
                    }
                    None
                }
                None => None,
            },
        };
        gate.with(|domain, _| {
            if let Some(seat) = seat {
                domain.finish(seat, outcome, now);
            }
            domain.is_over(self.underway, outcome, now);
        });
    }
}
