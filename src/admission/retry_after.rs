//! When those who are sent away may come back.
//!
//! A crowd that is told one time comes back at one time. So a calendar hands out times one behind the
//! other at the pace at which the product drains: the first refused hears the soonest, the next a
//! little later, and what returns is as level as what can be served. Drawn around the slot, because
//! `Retry-After` has whole seconds. Each class has a calendar of its own: one that is not served at all would
//! fill it for those that are.

use std::time::Duration;

use super::Timestamp;
use super::random::Random;

/// The times already promised.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    bounds: (Duration, Duration),
    next: Timestamp,
    /// Since when everybody has been told that it is shut, and when somebody was told last.
    shut: (Timestamp, Timestamp),
}

impl Calendar {
    /// An empty calendar that says nothing sooner or later than `bounds`.
    pub(crate) fn new(bounds: (Duration, Duration)) -> Calendar {
        let mut calendar = Calendar { bounds, next: Timestamp::ZERO, shut: (Timestamp::ZERO, Timestamp::ZERO) };
        calendar.reform(bounds);
        calendar
    }

    /// Other bounds for what is said from now on; what was promised is taken.
    pub(crate) fn reform(&mut self, (soonest, latest): (Duration, Duration)) {
        self.bounds = (soonest, latest.max(soonest));
    }

    /// The next time to come back, when `drain_per_s` can be served in a second.
    pub(crate) fn promise(&mut self, drain_per_s: f64, now: Timestamp, random: &mut Random) -> Duration {
        let (soonest, latest) = self.bounds;
        let slot = self.next.max(now + soonest);
        if slot > now + latest {
            // The calendar is full: any of its later half, so that the overflow is level too.
            return random.between((latest / 2).max(soonest), latest);
        }
        // A product that has not served anybody yet drains as slowly as one a second, for all we know.
        self.next = slot + Duration::from_secs_f64(1.0 / drain_per_s.max(1.0));
        let wait = slot.since(now);
        // No farther than the bounds: what is cut off there would come back in one second.
        random.between((wait - wait / 5).max(soonest), (wait + wait / 5).min(latest))
    }

    /// As soon as may be, but not all at once.
    pub(crate) fn soon(&self, random: &mut Random) -> Duration {
        let (soonest, latest) = self.bounds;
        random.between(soonest, (soonest * 2).min(latest))
    }

    /// A time to come back that depends on no drain: the product is shut, nobody knows for how long. What has lasted
    /// long will last longer, so the longer it has been shut, the later; each no too many makes some customers quit.
    pub(crate) fn shut(&mut self, now: Timestamp, random: &mut Random) -> Duration {
        let (soonest, latest) = self.bounds;
        let (since, told) = self.shut;
        let since = if now.since(told) > latest { now } else { since };
        self.shut = (since, now);
        let late = (now.since(since) / 2).max(soonest * 10).min(latest);
        random.between((late * 2 / 5).max(soonest), late)
    }

    /// A time to come back to what was found gone. Most of what goes is back at once, and then nobody should have been
    /// sent away for long; what stays away is as good as shut.
    pub(crate) fn gone(&mut self, now: Timestamp, random: &mut Random) -> Duration {
        let shut = self.shut(now, random);
        let (since, _) = self.shut;
        if now.since(since) < BLIP { self.soon(random) } else { shut }
    }
}

/// An outage shorter than this may be over before anybody has come back.
const BLIP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::time::at;
    use super::*;

    const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

    #[test]
    fn a_crowd_is_told_to_return_as_level_as_the_drain() {
        let mut calendar = Calendar::new(BOUNDS);
        let mut random = Random::new(3);
        let mut returns = [0u32; 32];
        for _ in 0..1000 {
            let wait = calendar.promise(100.0, at(0), &mut random);
            returns[wait.as_secs() as usize] += 1;
        }
        let busiest = returns.iter().max().copied().unwrap_or_default();
        assert!(busiest <= 200, "{returns:?}");
        assert!(returns[2..9].iter().all(|n| *n >= 50), "{returns:?}");
    }

    #[test]
    fn nothing_is_promised_sooner_or_later_than_the_bounds() {
        let mut calendar = Calendar::new(BOUNDS);
        let mut random = Random::new(3);
        for _ in 0..10_000 {
            let wait = calendar.promise(10.0, at(0), &mut random);
            assert!(wait >= BOUNDS.0 && wait <= BOUNDS.1);
        }
    }

    #[test]
    fn a_full_calendar_between_bounds_that_are_close_still_keeps_to_them() {
        let bounds = (Duration::from_secs(20), Duration::from_secs(30));
        let mut calendar = Calendar::new(bounds);
        let mut random = Random::new(3);
        for _ in 0..1_000 {
            let wait = calendar.promise(1.0, at(0), &mut random);
            assert!(wait >= bounds.0 && wait <= bounds.1, "{wait:?}");
        }
    }

    #[test]
    fn bounds_that_are_upside_down_say_the_soonest() {
        let mut calendar = Calendar::new((Duration::from_secs(5), Duration::ZERO));
        let mut random = Random::new(3);
        assert_eq!(calendar.clone().promise(10.0, at(0), &mut random), Duration::from_secs(5));
        assert_eq!((calendar.soon(&mut random), calendar.shut(at(0), &mut random)), (BOUNDS.0 * 5, BOUNDS.0 * 5));
    }

    #[test]
    fn the_longer_it_is_shut_the_later_one_is_told_to_come_back_and_the_next_closure_begins_anew() {
        let mut calendar = Calendar::new(BOUNDS);
        let mut random = Random::new(3);
        let mut told = |second: u64| calendar.shut(at(second * 1_000), &mut random).as_secs();
        assert!((100..120).all(|second| (4..10).contains(&told(second))));
        let latest = (120..400).map(&mut told).max();
        assert!((27..30).contains(&latest.unwrap_or_default()), "{latest:?}");
        assert!((300..400).all(|second| (12..30).contains(&told(second))));
        assert!((4..10).contains(&told(431)), "half a minute without a word is another closure");
    }

    #[test]
    fn what_has_just_gone_may_be_back_as_soon_as_anybody_is() {
        let mut calendar = Calendar::new(BOUNDS);
        let mut random = Random::new(3);
        let mut told = |ms: u64| calendar.gone(at(ms), &mut random).as_secs_f64();
        assert!((0..100).all(|turn| (1.0..=2.0).contains(&told(100_000 + turn * 9))));
        assert!((0..100).all(|turn| (4.0..=10.0).contains(&told(101_000 + turn * 9))));
        assert!((1.0..=2.0).contains(&told(140_000)), "half a minute without a word is another outage");
    }

    #[test]
    fn an_idle_calendar_forgets() {
        let mut calendar = Calendar::new(BOUNDS);
        let mut random = Random::new(3);
        for _ in 0..100 {
            calendar.promise(10.0, at(0), &mut random);
        }
        assert!(calendar.promise(10.0, at(60_000), &mut random) < Duration::from_secs(2));
    }
}
