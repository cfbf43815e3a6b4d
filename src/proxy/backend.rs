//! One backend as all workers see it: what it has to do, and whether it may be asked.
//!
//! Whoever chooses reads two words: [`Backend::seen`] and [`Backend::may_be_asked`]. Everything that those two sum up changes
//! rarely and lies behind a lock that no choice takes.

mod heard;
mod load;
mod presence;
mod settle;
#[cfg(test)]
pub(super) mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::balance::checks::Checks;
use super::balance::peak::Peak;
use super::balance::slow_start::WHOLE;
use super::settings::{BackendSettings, HealthSettings};
use crate::admission::Timestamp;
use crate::admission::random::mix;

use load::WEIGHT;

pub(crate) use load::Outstanding;
pub(super) use load::Seen;
pub(crate) use presence::Presence;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) settings: BackendSettings,
    /// Requests sent and not yet ended; above them doubt, above that weight.
    load: AtomicU64,
    /// Nanoseconds until which it is not to be asked.
    aside_until: AtomicU64,
    /// How long its answers take, where that counts.
    pub(super) peak: Peak,
    /// What tells it from others to whoever is at home at one of them: the same wherever and whenever it runs.
    key: u64,
    /// Its level: one of a higher number serves when too few of the lower ones are there.
    priority: AtomicU32,
    /// Connections refused in a row.
    refused: AtomicU32,
    /// Errors in a row.
    streak: AtomicU32,
    answers: AtomicU32,
    errors: AtomicU32,
    /// Good answers since it came.
    good: AtomicU32,
    condition: Mutex<Condition>,
    /// It has just been set aside, or taken out.
    set_aside: Notify,
}

/// What changes rarely.
#[derive(Debug)]
struct Condition {
    weight: u32,
    /// Pauses since it was last steady.
    pauses: u32,
    paused_until: Timestamp,
    checks: Option<Checks>,
    /// How often it was left out for its answers, less with every interval in which it was not.
    times_left_out: u32,
    left_out_until: Timestamp,
    /// So few are there that what it answered does not count.
    pardoned: bool,
    drained: bool,
    removed: bool,
    /// Since when it is there, as long as it does not get its whole share.
    starting: Option<Timestamp>,
    /// Its level serves.
    called: bool,
    /// When it last had its whole share, if its level has been called and serves no more.
    stood_down: Option<Timestamp>,
    there: bool,
    /// It has had its whole share before: what was found of the pool was found with it.
    reckoned_with: bool,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// One that comes and goes is left alone for longer each time, until it has stayed for so long.
const STEADY: Duration = Duration::from_secs(10);

/// In [`Backend::aside_until`]: not before something else than time has changed.
const CLOSED: u64 = u64::MAX;
/// The same: it is well, and others serve.
const STANDBY: u64 = u64::MAX - 1;
impl Backend {
    /// With so many connections refused in a row it is gone. One may be a blip: a restart, a full accept queue.
    pub(crate) const GONE: u32 = 3;

    /// One that is there from the start.
    pub(crate) fn new(settings: BackendSettings, checks: Option<Checks>) -> Backend {
        Backend::with(settings, checks, true)
    }

    /// One that comes while others serve.
    pub(crate) fn newcomer(settings: BackendSettings, checks: Option<Checks>) -> Backend {
        Backend::with(settings, checks, false)
    }

    fn with(settings: BackendSettings, checks: Option<Checks>, there: bool) -> Backend {
        let (weight, called) = (settings.weight, settings.priority == 0);
        let condition = Condition {
            weight,
            pauses: 0,
            paused_until: Timestamp::ZERO,
            checks,
            times_left_out: 0,
            left_out_until: Timestamp::ZERO,
            pardoned: false,
            drained: false,
            removed: false,
            starting: None,
            called,
            stood_down: None,
            there,
            reckoned_with: there,
        };
        let aside = match () {
            () if condition.is_closed() => CLOSED,
            () if !called => STANDBY,
            () => 0,
        };
        Backend {
            key: key(settings.address),
            priority: AtomicU32::new(settings.priority),
            settings,
            load: AtomicU64::new(u64::from(weight * WHOLE) << WEIGHT),
            aside_until: AtomicU64::new(aside),
            peak: Peak::default(),
            refused: AtomicU32::new(0),
            streak: AtomicU32::new(0),
            answers: AtomicU32::new(0),
            errors: AtomicU32::new(0),
            good: AtomicU32::new(0),
            condition: Mutex::new(condition),
            set_aside: Notify::new(),
        }
    }

    /// Whether a request may go there.
    pub(super) fn may_be_asked(&self, now: Timestamp) -> bool {
        now.since_start().as_nanos() >= u128::from(self.aside_until.load(Ordering::Relaxed))
    }

    /// Whether only time stands against it: it refused a connection, or answered badly.
    pub(super) fn is_tried_in_need(&self) -> bool {
        self.aside_until.load(Ordering::Relaxed) < STANDBY
    }

    /// Whether it is well, and not asked because others serve.
    pub(super) fn stands_by(&self) -> bool {
        self.aside_until.load(Ordering::Relaxed) == STANDBY
    }

    /// Its level: 0 serves first.
    pub(crate) fn priority(&self) -> u32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// It belongs to another level from now on.
    pub(super) fn set_priority(&self, priority: u32) {
        self.priority.store(priority, Ordering::Relaxed);
    }

    /// See [`key`](Backend::key).
    pub(super) fn key(&self) -> u64 {
        self.key
    }

    /// What it has to do, and its share.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.load.load(Ordering::Relaxed))
    }

    /// How many requests are under way here.
    pub(crate) fn outstanding(&self) -> u32 {
        self.seen().outstanding()
    }

    /// Its weight as configured or ordered.
    pub(crate) fn weight(&self) -> u32 {
        self.condition().weight
    }

    /// Whether its last answers were errors.
    pub(super) fn is_doubted(&self) -> bool {
        self.seen().doubt() > 0
    }

    /// Until when it is to be left alone; `None` while it accepts connections.
    pub(crate) fn paused_until(&self) -> Option<Timestamp> {
        let refuses = self.refused.load(Ordering::Relaxed) > 0;
        refuses.then(|| self.condition().paused_until)
    }

    /// Wait until it is set aside; at once when that has happened since the last time.
    pub(crate) async fn until_set_aside(&self) {
        self.set_aside.notified().await;
    }

    /// It did not accept a connection. Returns how often so in a row.
    pub(crate) fn refused(&self, now: Timestamp) -> u32 {
        let mut condition = self.condition();
        let times = self.refused.load(Ordering::Relaxed) + 1;
        // Many that were sent at once and are refused at once are one reason to leave it alone for longer.
        if now >= condition.paused_until {
            if times == 1 && now.since(condition.paused_until) >= STEADY {
                condition.pauses = 0;
            }
            let pause = (FIRST_PAUSE * 2u32.pow(condition.pauses.min(8))).min(LONGEST_PAUSE);
            condition.pauses += 1;
            condition.paused_until = now + pause;
        }
        self.refused.store(times, Ordering::Relaxed);
        self.show(&condition);
        self.set_aside.notify_one();
        times
    }

    /// It accepted a connection. Returns how often in a row it had refused one before.
    pub(crate) fn accepted(&self, now: Timestamp) -> u32 {
        // Read first: the line is shared by all workers and nearly always zero.
        if self.refused.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut condition = self.condition();
        condition.paused_until = condition.paused_until.min(now);
        let refused = self.refused.swap(0, Ordering::Relaxed);
        self.show(&condition);
        refused
    }

    /// A check has passed, or not. Whether that changes what is believed, and what that is.
    pub(super) fn checked(&self, good: bool) -> Option<bool> {
        let mut condition = self.condition();
        let changed = condition.checks.as_mut().is_some_and(|checks| checks.heard(good));
        changed.then_some(good)
    }

    /// It is checked by these settings from now on, or not at all.
    pub(super) fn check_by(&self, health: Option<&HealthSettings>) {
        let mut condition = self.condition();
        match (&mut condition.checks, health) {
            (Some(checks), Some(health)) => checks.reform(health.fall, health.rise),
            (checks, health) => *checks = health.map(|health| Checks::new(health.fall, health.rise)),
        }
        self.show(&condition);
    }

    /// What was ordered of `other` is ordered of this one, which stands for it from now on. Its weight, if that is what it was
    /// `configured` with then: whoever wrote another one means it.
    pub(super) fn is_ordered_like(&self, other: &Backend, configured: Option<u32>) {
        self.drain(!other.is_in_use());
        if configured == Some(self.settings.weight) {
            self.set_weight(other.weight());
        }
    }

    /// Take it out of use, or into use again. Whether that is a change.
    pub(super) fn drain(&self, drained: bool) -> bool {
        std::mem::replace(&mut self.condition().drained, drained) != drained
    }

    /// Give it another share. Whether that is a change.
    pub(super) fn set_weight(&self, weight: u32) -> bool {
        std::mem::replace(&mut self.condition().weight, weight) != weight
    }

    /// It belongs to the pool no more.
    pub(super) fn remove(&self) {
        let mut condition = self.condition();
        condition.removed = true;
        self.show(&condition);
        self.set_aside.notify_waiters();
        self.set_aside.notify_one();
    }

    /// Whether it has left the pool.
    pub(super) fn is_removed(&self) -> bool {
        self.condition().removed
    }

    /// Why it is asked, or not.
    pub(crate) fn presence(&self, now: Timestamp) -> Presence {
        self.presence_in(&self.condition(), now)
    }

    fn presence_in(&self, condition: &Condition, now: Timestamp) -> Presence {
        let refuses = self.refused.load(Ordering::Relaxed) > 0 && now < condition.paused_until;
        match condition {
            condition if condition.drained => Presence::Drained,
            _ if self.is_gone() || refuses => Presence::Refusing,
            condition if condition.is_closed() => Presence::FailingChecks,
            condition if condition.is_left_out(now) => Presence::LeftOut,
            Condition { called: false, .. } => Presence::Standby,
            Condition { starting: Some(_), .. } => Presence::Starting,
            _ => Presence::Serving,
        }
    }

    /// Whether it would be there if answers did not count.
    pub(super) fn is_sound(&self) -> bool {
        let condition = self.condition();
        !condition.drained && !self.is_gone() && !condition.is_closed()
    }

    /// Whether no person has taken it out of use.
    pub(crate) fn is_in_use(&self) -> bool {
        !self.condition().drained
    }

    /// Whether it has its whole share, and had it before.
    pub(super) fn is_steady(&self) -> bool {
        let condition = self.condition();
        condition.serves() && condition.starting.is_none()
    }

    /// Whether time alone may change what it is.
    pub(super) fn is_in_motion(&self) -> bool {
        let condition = self.condition();
        condition.starting.is_some() || !condition.there
    }

    /// Whether it has refused so often in a row that nobody should count on it.
    pub(crate) fn is_gone(&self) -> bool {
        self.refused.load(Ordering::Relaxed) >= Backend::GONE
    }

    /// Put what those who choose go by where they look.
    fn show(&self, condition: &Condition) {
        let pause = if self.refused.load(Ordering::Relaxed) > 0 { condition.paused_until } else { Timestamp::ZERO };
        let left_out = if condition.pardoned { Timestamp::ZERO } else { condition.left_out_until };
        let until = match condition {
            condition if condition.is_closed() => CLOSED,
            Condition { called: false, there: true, .. } => STANDBY,
            _ => pause.max(left_out).since_start().as_nanos() as u64,
        };
        self.aside_until.store(until, Ordering::Relaxed);
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// Whether it is there, and its level serves.
    fn serves(&self) -> bool {
        self.there && self.called
    }

    /// Whether it is not asked until somebody or something else than time has changed that.
    fn is_closed(&self) -> bool {
        self.drained || self.removed || self.checks.as_ref().is_some_and(Checks::are_failing)
    }

    fn is_left_out(&self, now: Timestamp) -> bool {
        !self.pardoned && now < self.left_out_until
    }
}

/// A number for an address; of two that are near each other nothing shows in it.
fn key(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    mix(mix(mix((ip >> 64) as u64) ^ ip as u64) ^ u64::from(address.port()))
}
