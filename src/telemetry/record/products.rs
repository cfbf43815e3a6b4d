//! What is counted of the requests of one product.

use metrics::{Counter, Histogram};

use crate::admission::{Class, Refusal};
use crate::proxy::admit::Decided;
use crate::proxy::event::{Unread, Wanted};
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What is counted of one product.
pub struct ProductMetrics {
    /// Requests that asked to pass.
    pub arrivals: [Counter; Class::COUNT],
    /// Those that passed at once.
    pub proceeded: [Counter; Class::COUNT],
    /// Those that had to wait.
    pub waited: [Counter; Class::COUNT],
    refused_at_once: [Counter; Class::COUNT],
    /// Customers whose key has changed by a login.
    pub learnt: Counter,
    /// Those that hung up while they waited.
    pub left: [Counter; Class::COUNT],
    refusals: [[Counter; Refusal::COUNT]; Class::COUNT],
    would_refuse: [[Counter; Refusal::COUNT]; Class::COUNT],
    unread: [[Counter; Unread::ALL.len()]; Wanted::ALL.len()],
    reads: [Counter; Read::NAMES.len()],
    /// How long those who waited did so until they passed.
    pub queue_seconds: [Histogram; Class::COUNT],
}

/// What became of a read that memory may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Answered from memory.
    Fresh,
    /// Answered from memory with what is past its freshness.
    Stale,
    /// Answered with what was fetched for another.
    Coalesced,
    /// It was fetched, for all who asked.
    Miss,
    /// Told no, or of a fault, as the one who fetched for all was.
    Refused,
    /// Went its own way.
    Bypass,
}

impl Read {
    const NAMES: [&'static str; 6] = ["fresh", "stale", "coalesced", "miss", "refused", "bypass"];
}

impl ProductMetrics {
    pub(super) fn new(registry: &Registry, product: &str) -> ProductMetrics {
        let verdicts =
            |verdict| Class::ALL.map(|class| registry.counter(names::VERDICTS, &[product, class.name(), verdict]));
        let by_class = |metric| Class::ALL.map(|class| registry.counter(metric, &[product, class.name()]));
        let refusals = |metric| {
            let named = |class: Class, refusal: Refusal| [product, class.name(), refusal.name()];
            Class::ALL.map(|class| Refusal::ALL.map(|refusal| registry.counter(metric, &named(class, refusal))))
        };
        ProductMetrics {
            arrivals: by_class(names::ARRIVALS),
            proceeded: verdicts("proceed"),
            waited: verdicts("wait"),
            refused_at_once: verdicts("refuse"),
            learnt: registry.counter(names::LEARNT, &[product]),
            left: by_class(names::LEFT_QUEUE),
            refusals: refusals(names::REFUSALS),
            would_refuse: refusals(names::WOULD_REFUSE),
            unread: Wanted::ALL.map(|wanted| {
                Unread::ALL.map(|why| registry.counter(names::BODIES_UNREAD, &[product, wanted.name(), why.name()]))
            }),
            reads: Read::NAMES.map(|answer| registry.counter(names::READS, &[product, answer])),
            queue_seconds: Class::ALL.map(|class| registry.histogram(names::QUEUE_SECONDS, &[product, class.name()])),
        }
    }

    /// This was decided about a request that goes on all the same.
    pub fn decided(&self, class: Class, decided: Decided) {
        match decided {
            Decided::Proceed => self.proceeded[class.index()].increment(1),
            Decided::Wait => self.waited[class.index()].increment(1),
            Decided::Refuse(refused) => {
                self.refused_at_once[class.index()].increment(1);
                self.would_refuse(class, refused.refusal);
            }
        }
    }

    /// A read that memory may answer got this.
    pub fn read(&self, read: Read) {
        self.reads[read as usize].increment(1);
    }

    /// A request would have been turned away, had a no counted.
    pub fn would_refuse(&self, class: Class, refusal: Refusal) {
        self.would_refuse[class.index()][refusal.index()].increment(1);
    }

    /// A body did not say what was wanted of it.
    pub fn unread(&self, wanted: Wanted, why: Unread) {
        self.unread[wanted as usize][why as usize].increment(1);
    }

    /// A request was turned away; `at_once` when it had not waited.
    pub fn refused(&self, class: Class, refusal: Refusal, at_once: bool) {
        if at_once {
            self.refused_at_once[class.index()].increment(1);
        }
        self.refusals[class.index()][refusal.index()].increment(1);
    }
}
