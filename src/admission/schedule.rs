//! Events and their betting stops, and how plausible a signal about one is.
//!
//! On 24 August 2024 a close signal for one race, 14 minutes before its stop, stopped everything. Here a
//! signal reaches its own event and nothing else. Closing takes effect at once, for closing late breaks
//! the integrity of the pool; but a signal long before the known stop *parks* the event, which tells
//! customers that betting is paused rather than over, and waits for a person to confirm or reopen.

use std::collections::HashMap;
use std::time::Duration;

use super::{Class, EventKey, ProductId, Refusal, Timestamp};

/// The events a domain knows.
#[derive(Debug, Default)]
pub struct Schedule {
    events: HashMap<EventKey, Entry>,
}

/// One event as scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose event it is.
    pub product: ProductId,
    /// When betting stops.
    pub stop: Timestamp,
    /// How long before its stop a close signal is believed.
    pub believed_before_stop: Duration,
    /// Whether betting on it is on.
    pub state: EventState,
}

/// Whether betting on an event is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventState {
    /// Bets pass, until the stop.
    Open,
    /// Paused: somebody is finding out.
    Parked,
    /// Closed.
    Closed,
}

impl EventState {
    /// The word in the API, the journal and logs.
    pub const fn name(self) -> &'static str {
        match self {
            EventState::Open => "open",
            EventState::Parked => "parked",
            EventState::Closed => "closed",
        }
    }
}

/// What a close signal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// Nobody knows this event; nothing was changed.
    Unknown,
    /// It is near enough to its stop: closed.
    Closed,
    /// It lies this long before its stop: parked until a person decides.
    Implausible {
        /// Time left to the stop.
        before_stop: Duration,
    },
}

impl Schedule {
    /// Put in an event, or replace what is known about it.
    pub fn put(&mut self, key: EventKey, entry: Entry) {
        self.events.insert(key, entry);
    }

    /// Forget an event.
    pub(crate) fn remove(&mut self, key: EventKey) {
        self.events.remove(&key);
    }

    /// What is known about an event.
    pub fn get(&self, key: EventKey) -> Option<&Entry> {
        self.events.get(&key)
    }

    /// An outside source says that betting on `key` has stopped.
    pub fn close_signal(&mut self, key: EventKey, now: Timestamp) -> Signalled {
        let Some(entry) = self.events.get_mut(&key) else { return Signalled::Unknown };
        let before_stop = entry.stop.since(now);
        if entry.state == EventState::Closed || before_stop <= entry.believed_before_stop {
            entry.state = EventState::Closed;
            Signalled::Closed
        } else {
            entry.state = EventState::Parked;
            Signalled::Implausible { before_stop }
        }
    }

    /// A person decides. False when nobody knows the event.
    pub fn set(&mut self, key: EventKey, state: EventState) -> bool {
        self.events.get_mut(&key).map(|entry| entry.state = state).is_some()
    }

    /// Why a request that names `key` must not reach a backend now, if so. Only bets are refused: the
    /// receipt of an earlier one, or the odds of a closed race, are nobody's loss.
    /// A bet `takes` so long to be answered.
    pub(crate) fn forbids(&self, key: EventKey, class: Class, now: Timestamp, takes: Duration) -> Option<Refusal> {
        if class != Class::Commit {
            return None;
        }
        let entry = self.events.get(&key)?;
        match entry.state {
            EventState::Closed => Some(Refusal::EventClosed),
            _ if now >= entry.stop => Some(Refusal::PastBettingStop),
            EventState::Parked => Some(Refusal::EventParked),
            EventState::Open => (now + takes > entry.stop).then_some(Refusal::StopTooNear),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RACE: EventKey = EventKey(75);
    const OTHER: EventKey = EventKey(86);
    const AT_ONCE: Duration = Duration::ZERO;

    fn clock(hh: u64, mm: u64) -> Timestamp {
        Timestamp::after(Duration::from_secs((hh * 60 + mm) * 60))
    }

    /// Bergsåker, 24 August 2024: first race at 16:20, and another meeting's race at 16:40.
    fn bergsaker() -> Schedule {
        let mut schedule = Schedule::default();
        for (key, stop) in [(RACE, clock(16, 20)), (OTHER, clock(16, 40))] {
            let believed_before_stop = Duration::from_secs(120);
            let (product, state) = (ProductId(0), EventState::Open);
            schedule.put(key, Entry { product, stop, believed_before_stop, state });
        }
        schedule
    }

    #[test]
    fn the_false_close_of_24_august_2024_parks_its_own_race_and_nothing_else() {
        let mut schedule = bergsaker();
        let told = schedule.close_signal(RACE, clock(16, 6));
        assert_eq!(told, Signalled::Implausible { before_stop: Duration::from_secs(14 * 60) });
        let bet = |schedule: &Schedule, event| schedule.forbids(event, Class::Commit, clock(16, 7), AT_ONCE);
        assert_eq!(bet(&schedule, RACE), Some(Refusal::EventParked));
        assert_eq!(bet(&schedule, OTHER), None);
        assert_eq!(schedule.forbids(RACE, Class::Read, clock(16, 7), AT_ONCE), None);
        assert!(schedule.set(RACE, EventState::Open));
        assert_eq!(bet(&schedule, RACE), None);
    }

    #[test]
    fn a_close_near_the_stop_is_believed_and_one_for_an_unknown_race_changes_nothing() {
        let mut schedule = bergsaker();
        assert_eq!(schedule.close_signal(RACE, clock(16, 19)), Signalled::Closed);
        assert_eq!(schedule.forbids(RACE, Class::Commit, clock(16, 19), AT_ONCE), Some(Refusal::EventClosed));
        assert_eq!(schedule.close_signal(EventKey(1), clock(16, 19)), Signalled::Unknown);
        assert!(!schedule.set(EventKey(1), EventState::Closed));
        assert_eq!(schedule.forbids(OTHER, Class::Commit, clock(16, 19), AT_ONCE), None);
    }

    #[test]
    fn a_closed_race_is_not_opened_by_a_later_early_looking_signal() {
        let mut schedule = bergsaker();
        schedule.set(RACE, EventState::Closed);
        assert_eq!(schedule.close_signal(RACE, clock(16, 0)), Signalled::Closed);
    }

    #[test]
    fn a_bet_that_would_be_answered_after_its_stop_is_too_late_already() {
        let schedule = bergsaker();
        let asks = |takes| schedule.forbids(RACE, Class::Commit, clock(16, 19), Duration::from_secs(takes));
        assert_eq!(asks(60), None);
        assert_eq!(asks(61), Some(Refusal::StopTooNear));
        assert_eq!(schedule.forbids(RACE, Class::Read, clock(16, 19), Duration::from_secs(61)), None);
    }

    #[test]
    fn nothing_passes_after_its_stop_and_unknown_events_are_the_backends_business() {
        let schedule = bergsaker();
        assert_eq!(schedule.forbids(RACE, Class::Commit, clock(16, 20), AT_ONCE), Some(Refusal::PastBettingStop));
        assert_eq!(schedule.forbids(EventKey(1), Class::Commit, clock(23, 0), AT_ONCE), None);
    }
}
