//! Bets and the stops of their events.
//!
//! A bet whose stop is nearer than the product says goes before all others, earliest stop first. One that would not be
//! answered before its stop is told so at once, and one that is sent away is told a time that lets it be back before. How
//! long a bet takes is the law's own measure, and held against the quickest and the slowest that were answered.

use std::time::Duration;

use super::House;
use super::books::Asked;
use crate::admission::rank::Rank;
use crate::admission::{Arrival, Class, Outcome, Timestamp};

/// A measure that allows for answers that scatter may be so many times the slowest.
const SCATTER: u32 = 5;
/// Sums of fractions are not exact to the nanosecond.
const ROUNDING: Duration = Duration::from_micros(1);

impl House {
    /// The line of a bet whose stop is near.
    pub(super) fn nears_its_stop(&self, arrival: &Arrival) -> Option<Asked> {
        let stop = self.life.stop_of(arrival)?;
        let near = stop.since(self.report.now()) < self.near_stop(arrival.product.index());
        let turn = u64::try_from(stop.since_start().as_nanos()).unwrap_or(u64::MAX);
        near.then_some(Asked { rank: Rank::NearStop, turn })
    }

    /// How long whoever asks for this may stay away, so as to be back before the stop is near.
    pub(super) fn may_stay_away(&self, arrival: &Arrival) -> Duration {
        let left = self.life.stop_of(arrival).map(|stop| stop.since(self.report.now()));
        left.map_or(Duration::MAX, |left| left.saturating_sub(self.near_stop(arrival.product.index())))
    }

    /// A request was answered, or ended otherwise, after so long.
    pub(super) fn answers(&mut self, arrival: &Arrival, outcome: Outcome, took: Duration) {
        if arrival.class == Class::Commit && outcome == Outcome::Answered {
            let bets = &mut self.bets[arrival.product.index()];
            *bets = Some(bets.map_or((took, took), |(least, most)| (least.min(took), most.max(took))));
        }
    }

    /// When the next of those near their stops can no longer be answered in time.
    pub(super) fn next_hopeless(&self, product: usize) -> Option<Timestamp> {
        let (_, next) = self.head(product, Rank::NearStop)?;
        let takes = self.shown.products[product].takes_to_bet;
        Some(self.life.stop_of(&next.arrival)? - takes.saturating_sub(Duration::from_nanos(1)))
    }

    /// The law has nothing to do: nobody near a stop waits without a hope.
    pub(super) fn check_hopes(&mut self, product: usize) {
        let Some((request, next)) = self.head(product, Rank::NearStop) else { return };
        if let Some(refusal) = self.forbids(&next.arrival) {
            self.report.add("in time", format_args!("request {} waits and should hear {refusal:?}", request.0));
        }
    }

    /// How long bets are said to take is no less than the quickest took, and not much more than the slowest.
    pub(super) fn check_takes(&mut self) {
        for (product, shown) in self.shown.products.iter().enumerate() {
            let bets = self.bets[product].filter(|_| !self.near_stop(product).is_zero());
            let (least, most) = bets.unwrap_or_default();
            let takes = shown.takes_to_bet;
            if takes + ROUNDING < least || takes > most * SCATTER + ROUNDING {
                self.report.add(
                    "in time",
                    format_args!(
                        "bets of product {product} are said to take {takes:?}, and took {least:?} to {most:?}"
                    ),
                );
            }
        }
    }

    fn near_stop(&self, product: usize) -> Duration {
        self.settings.products[product].queue.near_stop
    }
}
