//! How much of its share a backend gets that has just come (back). Told, never asking.

use std::time::Duration;

/// A whole share.
pub(crate) const WHOLE: u32 = 256;
/// It begins with a tenth: enough to learn from, too little to hurt.
const FIRST: u32 = 26;
/// A level that is called up begins with half: it has nobody beside it who would do the rest, and what was known of the
/// pool was found elsewhere, as after a closure.
const CALLED_UP: u32 = WHOLE / 2;
/// Over how long it gets the rest where no slow start is configured.
const CALLED_UP_OVER: Duration = Duration::from_secs(10);
/// So many good answers make a whole share: what has a cache to fill or a compiler to warm has met its commonest requests.
const ENOUGH: u32 = 64;

/// How one begins that comes (back).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    over: Duration,
    first: u32,
}

impl Start {
    /// Beside others of its level.
    pub(crate) fn beside_others(over: Duration) -> Start {
        Start { over, first: FIRST }
    }

    /// With a level that is called up, or within one that was.
    pub(crate) fn called_up(slow_start: Option<Duration>) -> Start {
        Start { over: slow_start.unwrap_or(CALLED_UP_OVER), first: CALLED_UP }
    }
}

/// The share of one that came `since` ago and has given so many good answers: what the clock allows, but no more than the
/// answers do. A share that grew by the clock alone would send everything to one that has not answered yet.
pub(crate) fn share(since: Duration, start: Start, good: u32) -> u32 {
    let Start { over, first } = start;
    let clock = (since.as_secs_f64() / over.as_secs_f64()).min(1.0);
    let answers = f64::from(good.min(ENOUGH)) / f64::from(ENOUGH);
    first + (f64::from(WHOLE - first) * clock.min(answers)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_by_the_clock_and_by_answers_whichever_is_less() {
        let start = Start::beside_others(Duration::from_secs(10));
        let share = |seconds, good| share(Duration::from_secs(seconds), start, good);
        assert_eq!([share(0, 0), share(10, 0), share(0, 1_000)], [FIRST; 3]);
        assert_eq!(share(5, 1_000), 141);
        assert_eq!(share(60, 32), 141);
        assert_eq!(share(10, 64), WHOLE);
    }

    #[test]
    fn a_level_that_is_called_up_begins_with_half() {
        let share = |start, seconds, good| share(Duration::from_secs(seconds), start, good);
        assert_eq!(share(Start::called_up(None), 0, 0), WHOLE / 2);
        assert_eq!(share(Start::called_up(None), 10, 64), WHOLE);
        assert_eq!(share(Start::called_up(Some(Duration::from_secs(40))), 10, 64), WHOLE / 2 + WHOLE / 8);
    }
}
