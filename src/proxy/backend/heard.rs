//! What a backend answered, and what that makes of it: doubted, counted for those who compare, left out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Backend;
use super::load::{DOUBT, MOST_DOUBT, Seen};
use crate::admission::Timestamp;
use crate::proxy::balance::outliers::{Heard, OutlierSettings};

impl Backend {
    /// An answer that is no error. Doubt goes as it came, one at a time.
    pub(in crate::proxy) fn answered(&self) {
        let seen = self.seen();
        if seen.doubt() > 0 {
            self.streak.store(0, Ordering::Relaxed);
            let less = |load| (Seen(load).doubt() > 0).then(|| load - (1 << DOUBT));
            let _ = self.load.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// An error instead of an answer. Returns how many in a row.
    pub(in crate::proxy) fn erred(&self) -> u32 {
        let more = |load| (Seen(load).doubt() < MOST_DOUBT).then(|| load + (1 << DOUBT));
        let _ = self.load.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        self.streak.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Count an answer for those who compare.
    pub(in crate::proxy) fn count(&self, good: bool) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if good {
            self.good.fetch_add(1, Ordering::Relaxed);
        } else {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was heard of it since it was last [taken](Self::take_heard).
    pub(in crate::proxy) fn heard_so_far(&self) -> Heard {
        let errors = self.errors.load(Ordering::Relaxed);
        Heard { answers: self.answers.load(Ordering::Relaxed).max(errors), errors }
    }

    /// What was heard of it since this was last asked.
    pub(in crate::proxy) fn take_heard(&self) -> Heard {
        // Errors first: an answer that comes between the two is then never an error without an answer.
        let errors = self.errors.swap(0, Ordering::Relaxed);
        Heard { answers: self.answers.swap(0, Ordering::Relaxed).max(errors), errors }
    }

    /// Leave it out for its answers; one more time, one time longer.
    pub(in crate::proxy) fn leave_out(&self, settings: &OutlierSettings, now: Timestamp) -> Duration {
        let mut condition = self.condition();
        condition.times_left_out += 1;
        let time = settings.left_out_for(condition.times_left_out);
        condition.left_out_until = now + time;
        self.streak.store(0, Ordering::Relaxed);
        time
    }

    /// An interval has passed in which it was not left out.
    pub(in crate::proxy) fn forgive(&self, now: Timestamp) {
        let mut condition = self.condition();
        if now >= condition.left_out_until {
            condition.times_left_out = condition.times_left_out.saturating_sub(1);
        }
    }

    /// Whether it is left out for its answers now.
    pub(in crate::proxy) fn is_left_out(&self, now: Timestamp) -> bool {
        now < self.condition().left_out_until
    }

    /// Nobody is left out for answers any more.
    pub(in crate::proxy) fn is_judged_no_more(&self) {
        let mut condition = self.condition();
        (condition.left_out_until, condition.times_left_out, condition.pardoned) = (Timestamp::ZERO, 0, false);
        self.show(&condition);
    }
}
