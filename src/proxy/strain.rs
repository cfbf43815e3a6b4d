//! The proxy's own overload: whom it refuses before it falls over, and how it notices.
//!
//! Two things tell of it: memory (the [ledger](super::ledger)), and a worker that comes late to its own timer, for then
//! everything else on that worker is late by as much. The way of a request reads two cells; all else is done by a timer.
//!
//! | sign | refused with `proxy_overloaded` |
//! |---|---|
//! | memory at 80 % | bodies of `background`, `read` and `start` |
//! | memory at 90 % | the same; nobody new is let in, and connections that rest are closed |
//! | memory at 100 % | all but `protected` and `settle`, whose bodies are passed on and no longer kept |
//! | late by 100 ms for one second | `background` |
//! | for two seconds | `read` too |
//! | for three seconds | `start` too |
//!
//! What is under way is never cut.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use metrics::Histogram;
use tokio::time::{Instant, sleep};

use super::ledger::{Account, Fullness, Held};
use crate::admission::random::Random;
use crate::admission::{Class, Refusal, Refused};

/// One worker's.
pub(crate) struct Strain {
    pub(crate) account: Rc<Account>,
    lateness: Cell<Lateness>,
    random: RefCell<Random>,
    lag: Histogram,
}

/// For how long a worker has come late to its timer.
#[derive(Clone, Copy, Debug, Default)]
struct Lateness {
    /// Timer ticks in a row, down again when it comes in time.
    ticks: u32,
}

/// How often the timer looks.
const EVERY: Duration = Duration::from_millis(50);
/// Later than this is late: nobody notices less.
const LATE: Duration = Duration::from_millis(100);
/// Late ticks after which one more class is refused: with the lateness, a second.
const STEP: u32 = 7;
/// The classes that are refused when a worker is late, in this order.
const SHED: [Class; 3] = [Class::Background, Class::Read, Class::Start];
/// When those who were refused may come back: drawn, so that they do not all at once.
const COME_BACK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

impl Strain {
    pub(crate) fn new(account: Rc<Account>, seed: u64, lag: Histogram) -> Strain {
        Strain { account, lateness: Cell::default(), random: RefCell::new(Random::new(seed)), lag }
    }

    /// The no for a request of `class`, if there must be one; `body` tells whether one has to be kept.
    pub(crate) fn refuses(&self, class: Class, body: bool) -> Option<Refused> {
        let fullness = if body { self.account.look() } else { self.account.last_seen() };
        (sheds(fullness, class, body) || self.lateness.get().sheds(class)).then(|| self.no())
    }

    /// Keep what `held` says, or not.
    pub(crate) fn keeps(&self, class: Class) -> Keep {
        match self.account.look() {
            Fullness::Full if class.passes_in_every_state() => Keep::PassOn,
            fullness if sheds(fullness, class, true) => Keep::Refuse(self.no()),
            _ => Keep::On,
        }
    }

    /// Whether nobody new is let in.
    pub(crate) fn shuts_the_door(&self) -> bool {
        self.account.look() >= Fullness::Crowded
    }

    pub(crate) fn hold(&self, bytes: usize) -> Held {
        self.account.hold(bytes)
    }

    /// When to come back.
    pub(crate) fn come_back(&self) -> Duration {
        self.random.borrow_mut().between(COME_BACK.0, COME_BACK.1)
    }

    /// Look at the clock and the ledger for ever; `crowded` is done whenever there is no room.
    pub(crate) async fn watch(&self, crowded: impl Fn()) {
        loop {
            let due = Instant::now() + EVERY;
            sleep(EVERY).await;
            let late = Instant::now().saturating_duration_since(due);
            self.lag.record(late.as_secs_f64());
            self.lateness.set(self.lateness.get().after(late));
            if self.shuts_the_door() {
                crowded();
            }
        }
    }

    /// The no of a proxy that has no room.
    pub(crate) fn no(&self) -> Refused {
        Refused { refusal: Refusal::ProxyOverloaded, retry_after: self.come_back() }
    }
}

/// What becomes of a body that is being kept.
pub(crate) enum Keep {
    /// Go on.
    On,
    /// Ask admission now, and pass the rest on as it comes.
    PassOn,
    /// Throw it away.
    Refuse(Refused),
}

fn sheds(fullness: Fullness, class: Class, body: bool) -> bool {
    match fullness {
        Fullness::Roomy => false,
        Fullness::Tight | Fullness::Crowded => body && SHED.contains(&class),
        Fullness::Full => !class.passes_in_every_state(),
    }
}

impl Lateness {
    fn after(self, late: Duration) -> Lateness {
        let most = STEP * SHED.len() as u32;
        let ticks = if late >= LATE { (self.ticks + 1).min(most) } else { self.ticks.saturating_sub(1) };
        Lateness { ticks }
    }

    fn sheds(self, class: Class) -> bool {
        self.ticks >= STEP && SHED[..(self.ticks / STEP) as usize].contains(&class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: [Class; 2] = [Class::Protected, Class::Settle];

    #[test]
    fn memory_sheds_in_the_order_that_is_promised() {
        for class in Class::ALL {
            let low = SHED.contains(&class);
            assert!(!sheds(Fullness::Roomy, class, true));
            assert_eq!(sheds(Fullness::Tight, class, true), low, "{class:?}");
            assert!(!sheds(Fullness::Tight, class, false) && !sheds(Fullness::Crowded, class, false));
            assert_eq!(sheds(Fullness::Full, class, false), !HIGH.contains(&class), "{class:?}");
        }
    }

    #[test]
    fn a_late_worker_sheds_the_lowest_class_first_and_takes_them_back_last_first() {
        let mut lateness = Lateness::default();
        let shed = |lateness: Lateness| Class::ALL.into_iter().filter(|class| lateness.sheds(*class)).count();
        let mut seen = vec![shed(lateness)];
        for late in [LATE; 30].into_iter().chain([Duration::ZERO; 30]) {
            lateness = lateness.after(late);
            if seen.last() != Some(&shed(lateness)) {
                seen.push(shed(lateness));
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 2, 1, 0]);
    }

    #[test]
    fn one_late_moment_is_no_overload() {
        let lateness = Lateness::default().after(Duration::from_secs(10));
        assert!(!Class::ALL.into_iter().any(|class| lateness.sheds(class)));
    }
}
