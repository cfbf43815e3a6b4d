//! Events that nobody has named: one stops every tenth of a second, and a bet is for the one that suits it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::World;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::{EventKey, ProductId, Timestamp};
use crate::sim::clients::Client;
use crate::sim::law::Notice;
use crate::sim::random::Random;
use crate::sim::scenario::{Pause, Step};

/// The events that laws have been told of.
#[derive(Debug, Default)]
pub(super) struct Races {
    known: BTreeSet<EventKey>,
}

const EVERY: Duration = Duration::from_millis(100);
/// Named events have lower keys.
const FIRST: u64 = 1 << 48;

/// When the stop comes of the event that a customer's step is for: so long after the customer came, the same at every
/// attempt.
pub(super) fn stop(client: &Client, step: &Step) -> Option<Timestamp> {
    let mut random = Random::nth(client.customer ^ 0x57_0B, u64::from(client.step));
    let after = match step.stops? {
        Pause::Between(least, most) => random.between(least, most),
        Pause::Mean(mean) => random.exponential(mean),
    };
    let tenths = (client.came + after).since_start().as_nanos().div_ceil(EVERY.as_nanos());
    Some(Timestamp::after(EVERY * u32::try_from(tenths).unwrap_or(u32::MAX)))
}

impl World<'_> {
    /// The event of a product that stops then; the law has it on its schedule from now on.
    pub(super) fn race(&mut self, product: ProductId, stop: Timestamp) -> EventKey {
        let tenth = (stop.since_start().as_nanos() / EVERY.as_nanos()) as u64;
        let key = EventKey(FIRST | u64::from(product.0) << 32 | tenth);
        if self.races.known.insert(key) {
            let entry = Entry { product, stop, believed_before_stop: Duration::ZERO, state: EventState::Open };
            self.law.notice(Notice::Schedule(key, entry), self.now);
        }
        key
    }
}
