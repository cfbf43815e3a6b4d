//! What a budget's own backend says that it takes.
//!
//! A backend may know better than anybody who watches it from outside: a wallet knows its pool of database connections,
//! and how many proxies share it. What it says is the limit for as long as it is fresh; the limit that looks for itself
//! holds still meanwhile, for it moves nothing that it could learn from, and goes on from what was said last.
//!
//! Several backends need not say the same. Of what was said within a second the least counts: the one who has least to
//! give is the one who would drown, and a limit that jumps with every answer is none.

use std::time::Duration;

use super::super::Timestamp;
use super::Resource;

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hinted {
    /// It was within the range in which the limit may lie.
    Taken,
    /// It lay outside: the nearest end of the range was taken.
    Clamped,
    /// An operator has given the limit, or it is that of a pool: nobody else has a say in it.
    Ignored,
}

/// Who says how many seats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator gave a number.
    Operator,
    /// A backend said so lately.
    Hint,
    /// It was found by watching.
    Found,
}

impl Source {
    /// Every source, in the order in which they count.
    pub const ALL: [Source; 3] = [Source::Operator, Source::Hint, Source::Found];

    /// The word in metrics and on the status page.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Operator => "operator",
            Source::Hint => "hint",
            Source::Found => "found",
        }
    }
}

/// What was said, while it is fresh.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    seats: u32,
    /// When so few, or fewer, were last said.
    said: Timestamp,
    /// The least of what was said since, which was more.
    more: Option<u32>,
    until: Timestamp,
}

/// A hint is believed for so long. A backend that serves says something new with each answer, so one that is silent
/// longer than this has gone, or has stopped giving hints.
const BELIEVED: Duration = Duration::from_secs(10);
/// For so long the least that was said counts.
const LEAST_COUNTS: Duration = Duration::from_secs(1);

impl Hint {
    fn new(seats: u32, now: Timestamp) -> Hint {
        Hint { seats, said: now, more: None, until: now + BELIEVED }
    }

    pub(super) fn seats(&self) -> u32 {
        self.seats
    }

    fn hear(&mut self, seats: u32, now: Timestamp) {
        self.until = now + BELIEVED;
        let more = self.more.map_or(seats, |more| more.min(seats));
        if seats <= self.seats {
            *self = Hint::new(seats, now);
        } else if now.since(self.said) >= LEAST_COUNTS {
            *self = Hint::new(more, now);
        } else {
            self.more = Some(more);
        }
    }
}

impl Resource {
    /// A backend says how many seats this budget has now.
    pub(crate) fn hint(&mut self, seats: u32, now: Timestamp) -> Hinted {
        let Some((least, most)) = self.limit.range().filter(|_| self.budget) else { return Hinted::Ignored };
        let taken = seats.clamp(least, most);
        match &mut self.hint {
            Some(hint) => hint.hear(taken, now),
            None => self.hint = Some(Hint::new(taken, now)),
        }
        self.count_seats();
        if taken == seats { Hinted::Taken } else { Hinted::Clamped }
    }

    /// When what was said last is no longer believed.
    pub(crate) fn hint_ends(&self) -> Option<Timestamp> {
        self.hint.map(|hint| hint.until)
    }

    /// Go on by oneself when what was said is no longer believed, from there.
    pub(crate) fn forget_hint(&mut self, now: Timestamp) {
        if let Some(hint) = self.hint.take_if(|hint| hint.until <= now) {
            self.limit.recall(f64::from(hint.seats));
            self.count_seats();
        }
    }

    /// Who says how many seats there are now.
    pub fn source(&self) -> Source {
        match (self.limit.range(), &self.hint) {
            (None, _) => Source::Operator,
            (Some(_), Some(_)) => Source::Hint,
            (Some(_), None) => Source::Found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::limit::{Fixed, Knee};
    use super::super::super::settings::Range;
    use super::super::super::time::at;
    use super::*;

    fn found(budget: bool) -> Resource {
        Resource::new(Box::new(Knee::new(Range::default())), budget, &[])
    }

    #[test]
    fn a_hint_is_the_limit_within_the_range() {
        let mut wallet = found(true);
        assert_eq!((wallet.limit(), wallet.source()), (8, Source::Found));
        assert_eq!(wallet.hint(3, at(0)), Hinted::Taken);
        assert_eq!((wallet.limit(), wallet.source(), wallet.knee()), (3, Source::Hint, Some(3.0)));
        assert_eq!(wallet.hint(0, at(1)), Hinted::Clamped);
        assert_eq!(wallet.limit(), 2);
        let mut other = found(true);
        assert_eq!(other.hint(u32::MAX, at(0)), Hinted::Clamped);
        assert_eq!(other.limit(), 4096);
    }

    #[test]
    fn nobody_has_a_say_in_what_an_operator_gave_or_in_a_pool() {
        let mut given = Resource::new(Box::new(Fixed::new(12)), true, &[]);
        assert_eq!(given.hint(3, at(0)), Hinted::Ignored);
        assert_eq!((given.limit(), given.source(), given.hint_ends()), (12, Source::Operator, None));
        let mut pool = found(false);
        assert_eq!(pool.hint(3, at(0)), Hinted::Ignored);
        assert_eq!((pool.limit(), pool.source()), (8, Source::Found));
    }

    #[test]
    fn of_what_is_said_within_a_second_the_least_counts() {
        let mut wallet = found(true);
        // Two backends that never agree.
        for ms in 0..50 {
            let _ = wallet.hint(if ms % 2 == 0 { 5 } else { 40 }, at(ms * 100));
            assert_eq!(wallet.limit(), 5, "after {ms}00 ms");
        }
        // The one with less has gone: what the other says counts a second after it was last heard.
        let _ = wallet.hint(30, at(5_500));
        assert_eq!(wallet.limit(), 5);
        let _ = wallet.hint(60, at(5_800));
        assert_eq!(wallet.limit(), 30, "the least since");
    }

    #[test]
    fn a_hint_is_believed_for_ten_seconds_after_the_last() {
        let mut wallet = found(true);
        let _ = wallet.hint(30, at(0));
        let _ = wallet.hint(30, at(4_000));
        wallet.forget_hint(at(13_999));
        assert_eq!((wallet.source(), wallet.hint_ends()), (Source::Hint, Some(at(14_000))));
        wallet.forget_hint(at(14_000));
        assert_eq!((wallet.source(), wallet.hint_ends()), (Source::Found, None));
        assert_eq!(wallet.limit(), 30, "the search goes on from what was said last");
    }
}
