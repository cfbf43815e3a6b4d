//! What attempts and journeys came to, written down as they end and summed up afterwards.

use std::time::Duration;

use crate::admission::{ProductId, Refusal};
use crate::sim::clients::Ended;

/// One attempt that has ended. Times are those of the run.
#[derive(Debug, Clone, Copy)]
pub(in crate::demo) struct AttemptRecord {
    /// Whose it was, by the place among the journeys.
    pub(in crate::demo) journey: usize,
    /// The step it was at, by its place in the journey.
    pub(in crate::demo) step: u8,
    pub(in crate::demo) product: ProductId,
    /// Whether it was at a bet.
    pub(in crate::demo) bet: bool,
    /// The event it was for, by its place in the story.
    pub(in crate::demo) event: Option<usize>,
    pub(in crate::demo) sent: Duration,
    pub(in crate::demo) ended: Duration,
    pub(in crate::demo) how: Ended,
    /// What a refusal called itself.
    pub(in crate::demo) refusal: Option<Refusal>,
}

/// How a journey stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Fate {
    UnderWay,
    Finished,
    GaveUp,
}

/// One journey, from arrival on.
#[derive(Debug, Clone, Copy)]
pub(in crate::demo) struct JourneyRecord {
    pub(in crate::demo) product: ProductId,
    /// Who it is: the crowd, and how they take a no, both by their places.
    pub(in crate::demo) manner: (u16, u8),
    pub(in crate::demo) arrived: Duration,
    pub(in crate::demo) left: Duration,
    pub(in crate::demo) fate: Fate,
}

/// Everything that came to an end in one run: attempts in the order in which they ended, journeys in the order in which
/// they began. A demo makes some 200,000 of them.
#[derive(Debug, Default)]
pub(in crate::demo) struct Records {
    pub(in crate::demo) attempts: Vec<AttemptRecord>,
    pub(in crate::demo) journeys: Vec<JourneyRecord>,
}

impl Records {
    /// A customer arrives; its place in the book.
    pub(in crate::demo) fn arrived(&mut self, product: ProductId, manner: (u16, u8), now: Duration) -> usize {
        self.journeys.push(JourneyRecord { product, manner, arrived: now, left: now, fate: Fate::UnderWay });
        self.journeys.len() - 1
    }

    /// The customer at this place leaves.
    pub(in crate::demo) fn left(&mut self, place: usize, now: Duration, fate: Fate) {
        self.journeys[place].left = now;
        self.journeys[place].fate = fate;
    }

    /// Attempts that ended from `from` on, latest first. For live figures; looks at no more than it returns.
    pub(in crate::demo) fn lately(&self, from: Duration) -> impl Iterator<Item = &AttemptRecord> {
        self.attempts.iter().rev().take_while(move |attempt| attempt.ended >= from)
    }
}
