//! What steers admission, as checked: nothing here can be half right.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Class;
use super::limit::Limit;
pub use super::passes::PassSettings;

/// One domain: the products that share pools or budgets, decided under one lock.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Products, in the order of their [`ProductId`](super::ProductId)s.
    pub products: Vec<ProductSettings>,
    /// Everything that has a limit: backend pools first, then budgets. A product names them by index.
    pub resources: Vec<ResourceSettings>,
    /// At most this many requests of one customer (see [`Arrival::customer`](super::Arrival)) run or
    /// wait in one domain while the product has a queue. Too low breaks apps that fetch in parallel.
    pub at_once_per_customer: NonZeroU32,
    /// The same for those known only by a network address, which many may share.
    pub at_once_per_address: NonZeroU32,
    /// The same for each machine that is named, but whether others wait or not: what a machine was given is a bound, or
    /// its retries would be the crowd that it is kept apart from.
    pub machines: Vec<NonZeroU32>,
}

/// One product's queue and share.
#[derive(Clone, Debug)]
pub struct ProductSettings {
    /// Which resources a request of each class needs, all or nothing; indexed by [`Class::index`].
    pub needs: [Needs; Class::COUNT],
    /// The pools of which it needs any one as well; none where its pool is among `needs`. Shares add up to 100.
    pub sites: Vec<SiteSettings>,
    /// Seats that this product is owed, of every resource it shares, in per cent.
    pub guarantee: u32,
    /// A request slower than this at the backend counts as harm done, whatever its answer.
    pub latency_objective: Duration,
    /// The queue.
    pub queue: QueueSettings,
    /// Seats beyond the limit for `protected` and `settle`, in every state. 0 would queue
    /// self-exclusion behind bets.
    pub reserve: NonZeroU32,
    /// The most of the reserve that one customer holds at once; no more than the reserve. As much as the reserve lets one
    /// customer have all of it. An address, which many may share, holds at most what this leaves of the reserve, and at
    /// least as much as one customer.
    pub reserve_per_customer: NonZeroU32,
    /// How long customers in the middle of a journey go before others, and for how long a turn is kept for who is sent
    /// away. `None`: nobody does, and none is.
    pub passes: Option<PassSettings>,
}

/// One of several places where a product is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteSettings {
    /// Its pool, by index.
    pub resource: usize,
    /// Of what is let through, in per cent. 0 serves only while all others are gone.
    pub share: u32,
}

/// Bounds of a product's queue.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// The longest anybody waits before they are told no. Longer than a client's own time-out means
    /// working for people who have left; a few milliseconds means refusing what the next free seat
    /// would have served.
    pub longest_wait: Duration,
    /// The most that may wait at once, whatever the drain: a bound on memory.
    pub length: NonZeroU32,
    /// What the lowest classes, `read` and `background` together, are owed while they wait of what the product lets
    /// through, in per cent of seats. 0 lets them starve while there is anything better to do.
    pub floor: u32,
    /// A bet whose betting stop is nearer than this goes before all others, earliest stop first, and one that would not
    /// be answered before its stop is refused. Too long, and under overload everybody is served at the last moment, or
    /// after it. Zero: bets are not told apart by their stops.
    pub near_stop: Duration,
    /// The earliest and latest `Retry-After` told to those who are refused.
    pub retry_after: (Duration, Duration),
}

/// Indices of at most [`Needs::MOST`] resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    ids: [u8; Needs::MOST],
    len: u8,
}

impl Needs {
    /// A backend pool and three budgets.
    pub const MOST: usize = 4;

    /// These resources; `None` when there are more than [`Needs::MOST`] or one has an index above 255.
    pub fn new(resources: &[usize]) -> Option<Needs> {
        if resources.len() > Needs::MOST {
            return None;
        }
        let mut needs = Needs::default();
        for (slot, id) in needs.ids.iter_mut().zip(resources) {
            *slot = u8::try_from(*id).ok()?;
        }
        needs.len = resources.len() as u8;
        Some(needs)
    }

    /// What all of `several` need.
    pub(crate) fn in_common(several: &[Needs]) -> Needs {
        let Some((first, others)) = several.split_first() else { return Needs::default() };
        let by_all = |need: &usize| others.iter().all(|other| other.iter().any(|id| id == *need));
        let common: Vec<usize> = first.iter().filter(by_all).collect();
        Needs::new(&common).unwrap_or_default()
    }

    /// These, but for what `others` need too.
    pub(crate) fn without(&self, others: &Needs) -> Needs {
        let own: Vec<usize> = self.iter().filter(|need| !others.iter().any(|other| other == *need)).collect();
        Needs::new(&own).unwrap_or_default()
    }

    /// These and one more, where there is room for it.
    pub(crate) fn and(&self, resource: usize) -> Needs {
        let all: Vec<usize> = self.iter().chain([resource]).collect();
        Needs::new(&all).unwrap_or(*self)
    }

    /// The indices, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.ids[..usize::from(self.len)].iter().map(|id| usize::from(*id))
    }
}

/// A pool of backends, or a budget on something behind them.
#[derive(Clone, Debug)]
pub struct ResourceSettings {
    /// Whether this is a budget: pools hold still while a budget is the bottleneck.
    pub budget: bool,
    /// How many seats there are.
    pub limit: LimitSettings,
}

/// Where a limit comes from.
#[derive(Clone, Debug)]
pub enum LimitSettings {
    /// A number the operator gave.
    Fixed(NonZeroU32),
    /// Found from goodput, within a range; see [`limit::Knee`](super::limit::Knee).
    Found(Range),
    /// Found by a law that is not ours to serve with, to be compared with ours.
    Candidate(fn(&Range) -> Box<dyn Limit>, Range),
}

impl LimitSettings {
    /// Whether it is a number that somebody wrote.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, LimitSettings::Fixed(_))
    }

    /// Whether a limit that follows these follows `other` too.
    pub(crate) fn is_same(&self, other: &LimitSettings) -> bool {
        match (self, other) {
            (LimitSettings::Fixed(seats), LimitSettings::Fixed(others)) => seats == others,
            (LimitSettings::Found(range), LimitSettings::Found(other)) => range == other,
            // What a law has learnt is its own.
            _ => false,
        }
    }
}

/// The range in which a limit is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where to start when nothing is known.
    pub initial: NonZeroU32,
    /// Never below.
    pub least: NonZeroU32,
    /// Never above.
    pub most: NonZeroU32,
}

impl Default for Range {
    fn default() -> Self {
        Range {
            initial: const { NonZeroU32::new(8).unwrap() },
            least: const { NonZeroU32::new(2).unwrap() },
            most: const { NonZeroU32::new(4096).unwrap() },
        }
    }
}
