//! One product: its state, its lines, what it holds.
//!
//! The parts are here; what they do to each other across products is the [`Domain`](super::Domain)'s.

use std::time::Duration;

use super::floor::Floor;
use super::queue::Line;
use super::ramp::Ramp;
use super::random::Random;
use super::rate::Rate;
use super::reserve::Reserve;
use super::retry_after::Calendar;
use super::settings::{Needs, ProductSettings};
use super::{Class, Refusal, Refused, State, Timestamp};

/// A line that has been waited in for longer stands, and is kept short.
const BURST: Duration = Duration::from_millis(100);
/// It may take this part of the latency objective.
const STANDING: u32 = 4;

/// One product as admission sees it.
#[derive(Debug)]
pub struct Product {
    pub(crate) settings: ProductSettings,
    /// What requests of every class need.
    pub(crate) always_needed: Needs,
    /// What those of each class need beside that.
    pub(crate) also_needed: [Needs; Class::COUNT],
    pub(crate) state: State,
    pub(crate) lines: [Line; Class::COUNT],
    pub(crate) waiting: u32,
    pub(crate) in_flight: u32,
    pub(crate) reserve: Reserve,
    pub(crate) ramp: Option<Ramp>,
    pub(crate) floor: Floor,
    /// When each line began to be waited in; it says nothing while the line is empty.
    line_since: [Timestamp; Class::COUNT],
    /// How long a line may take to drain, and one that stands.
    longest_wait_s: f64,
    standing_wait_s: f64,
    let_through: [Rate; Class::COUNT],
    calendars: [Calendar; Class::COUNT],
}

impl Product {
    pub(crate) fn new(settings: ProductSettings, now: Timestamp) -> Product {
        let always_needed = Needs::in_common(&settings.needs);
        let longest = settings.queue.longest_wait;
        let standing = longest.min(settings.latency_objective / STANDING);
        Product {
            longest_wait_s: longest.as_secs_f64(),
            standing_wait_s: standing.as_secs_f64(),
            calendars: std::array::from_fn(|_| Calendar::new(settings.queue.retry_after)),
            reserve: Reserve::new(settings.reserve, settings.reserve_per_customer),
            always_needed,
            also_needed: settings.needs.map(|needs| needs.without(&always_needed)),
            settings,
            state: State::Open,
            lines: [Line::default(); Class::COUNT],
            waiting: 0,
            in_flight: 0,
            ramp: None,
            floor: Floor::default(),
            line_since: [now; Class::COUNT],
            let_through: std::array::from_fn(|_| Rate::new(now)),
        }
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.state
    }

    /// Seats it holds under the limits.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Seats it holds of its reserve.
    pub fn reserve_in_use(&self) -> u32 {
        self.reserve.in_use()
    }

    /// How many wait in a class.
    pub fn waiting(&self, class: Class) -> u32 {
        self.lines[class.index()].len()
    }

    /// Whether anybody waits who may be served from the reserve.
    pub(crate) fn reserve_is_waited_for(&self) -> bool {
        self.waiting(Class::Protected) + self.waiting(Class::Settle) > 0
    }

    /// The ramp's ceiling, while there is one.
    pub fn ramp_seats(&self) -> Option<u32> {
        self.ramp.as_ref().map(Ramp::seats)
    }

    /// Whether the ramp has stepped back too often and serves on without growing.
    pub fn ramp_is_frozen(&self) -> bool {
        self.ramp.as_ref().is_some_and(Ramp::is_frozen)
    }

    /// What this product is owed of what it shares, in per cent.
    pub fn guarantee(&self) -> u32 {
        self.settings.guarantee
    }

    /// How many more seats the ramp lets it take.
    pub(crate) fn free_under_ramp(&self) -> u32 {
        self.ramp.as_ref().map_or(u32::MAX, |ramp| ramp.seats().saturating_sub(self.in_flight))
    }

    /// Whether it takes new work, and its ramp lets so many more seats be taken.
    pub(crate) fn has_room(&self, cost: u32) -> bool {
        self.state.refuses().is_none() && self.free_under_ramp() >= cost
    }

    /// Whether one more of `class` is too many; never said of a line shorter than `short`, which is what keeps the seats
    /// busy.
    ///
    /// A burst may wait as long as anybody may, to go by what passes now. A line that has not been empty for a while is
    /// no burst: more are coming than can be served, and a longer line serves nobody sooner and everybody later, until
    /// their clients have hung up when it is their turn. So a standing queue is kept to a quarter of the latency
    /// objective: who is served in overload is served within it (Nichols, Jacobson: "Controlling Queue Delay", 2012;
    /// Facebook: "Fail at Scale", 2015).
    pub(crate) fn is_line_full(&mut self, class: Class, short: u32, now: Timestamp) -> bool {
        let ahead = self.lines[class.index()].len();
        ahead >= short && f64::from(ahead) >= self.let_through[class.index()].per_s(now) * self.wait_s(class, now)
    }

    /// Whether the line of `class` is not [full](Self::is_line_full), however long a short one may be. That costs next to
    /// nothing to find and is so of nearly every line; when it is not said, the line may be full or not.
    pub(crate) fn surely_drains(&self, class: Class, now: Timestamp) -> bool {
        let least_per_s = self.let_through[class.index()].surely_per_s(now);
        f64::from(self.waiting(class)) < least_per_s * self.wait_s(class, now)
    }

    /// How long the line of `class` may take to drain, in seconds.
    fn wait_s(&self, class: Class, now: Timestamp) -> f64 {
        if self.stands(class, now) { self.standing_wait_s } else { self.longest_wait_s }
    }

    /// Whether the line of `class` has not been empty for a while.
    fn stands(&self, class: Class, now: Timestamp) -> bool {
        self.waiting(class) > 0 && now >= self.line_since[class.index()] + BURST
    }

    /// Whether whoever came last has the next turn in the line of `class`: those who have waited longest in a line that
    /// stands are the ones least likely to be there still when they are served.
    pub(crate) fn is_newest_first(&self, class: Class, now: Timestamp) -> bool {
        class.newest_first_once_behind() && self.stands(class, now)
    }

    /// When the line of `class` began to be [newest first](Self::is_newest_first), or will; `None` when nobody waits in it
    /// or it never is.
    pub(crate) fn newest_first_from(&self, class: Class) -> Option<Timestamp> {
        let waits = class.newest_first_once_behind() && self.waiting(class) > 0;
        waits.then(|| self.line_since[class.index()] + BURST)
    }

    /// One more is about to wait in the line of `class`.
    pub(crate) fn joined(&mut self, class: Class, now: Timestamp) {
        if self.lines[class.index()].is_empty() {
            self.line_since[class.index()] = now;
        }
        if class.has_floor() && Class::ALL.into_iter().filter(|low| low.has_floor()).all(|low| self.waiting(low) == 0) {
            self.floor.forgiven();
        }
        self.waiting += 1;
    }

    pub(crate) fn counted(&mut self, class: Class, now: Timestamp) {
        self.let_through[class.index()].count(now);
    }

    /// `refusal`, with a time to come back.
    pub(crate) fn refuse(&mut self, refusal: Refusal, class: Class, now: Timestamp, random: &mut Random) -> Refused {
        let calendar = &mut self.calendars[class.index()];
        let retry_after = match refusal {
            Refusal::QueueFull | Refusal::WaitedTooLong => {
                let drain = self.let_through[class.index()].per_s(now);
                calendar.promise(drain, now, random)
            }
            Refusal::Closed | Refusal::Parked | Refusal::EventParked => calendar.shut(now, random),
            Refusal::NoBackend => calendar.gone(now, random),
            Refusal::OverCustomerShare | Refusal::ShuttingDown | Refusal::ProxyOverloaded => calendar.soon(random),
            // What is over does not come back.
            Refusal::EventClosed | Refusal::PastBettingStop => Duration::ZERO,
        };
        Refused { refusal, retry_after }
    }
}
