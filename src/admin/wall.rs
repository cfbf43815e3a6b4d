//! The clock on the wall, which betting stops are told in.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp as Time};

use crate::admission::Timestamp;

/// The time of day. Unlike the clock that admission is told, it may be set, forward and back.
#[derive(Clone)]
pub struct Wall(Arc<dyn Fn() -> Time + Send + Sync>);

impl Wall {
    /// The machine's.
    pub fn machine() -> Wall {
        Wall(Arc::new(Time::now))
    }

    /// One that shows whatever `read` says, for rehearsing what happens when it is set.
    pub fn showing(read: impl Fn() -> Time + Send + Sync + 'static) -> Wall {
        Wall(Arc::new(read))
    }

    /// What it shows.
    pub fn now(&self) -> Time {
        (self.0)()
    }

    /// What it showed when admission's clock stood at zero: the same as long as nobody sets it.
    pub(crate) fn zero(&self, now: Timestamp) -> Time {
        let since = SignedDuration::try_from(now.since_start()).unwrap_or(SignedDuration::MAX);
        self.now().saturating_sub(since).unwrap_or(Time::MIN)
    }
}
