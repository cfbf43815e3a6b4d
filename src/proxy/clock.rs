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
        #[cfg(test)]
        if let Some(now) = made_up::NOW.get() {
            return now;
        }
        Timestamp::after(self.0.elapsed())
    }

    /// A point in time as timers count it; costs no look at the clock.
    pub fn instant(self, at: Timestamp) -> Instant {
        self.0 + at.since_start()
    }
}

/// Time as an experiment says it is, on its own thread.
#[cfg(test)]
pub(crate) mod made_up {
    use std::cell::Cell;

    use crate::admission::Timestamp;

    thread_local! {
        /// What all clocks of this thread show; `None` for the real time.
        pub(crate) static NOW: Cell<Option<Timestamp>> = const { Cell::new(None) };
    }
}
