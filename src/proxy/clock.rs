//! The real clock, read once a request at each end.

use std::time::Instant;

use crate::admission::Timestamp;

/// Time since the proxy started, as admission counts it.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Now.
    pub fn now(self) -> Timestamp {
        Timestamp::after(self.0.elapsed())
    }

    /// A point in time as timers count it; costs no look at the clock.
    pub fn instant(self, at: Timestamp) -> Instant {
        self.0 + at.since_start()
    }
}
