//! How much of its share a backend gets that has just come (back). Told, never asking.

use std::time::Duration;

/// A whole share.
pub(crate) const WHOLE: u32 = 256;
/// It begins with a tenth: enough to learn from, too little to hurt.
const FIRST: u32 = 26;
/// So many good answers make a whole share: what has a cache to fill or a compiler to warm has met its commonest requests.
const ENOUGH: u32 = 64;

/// The share of one that came `since` ago and has given so many good answers: what the clock allows, but no more than the
/// answers do. A share that grew by the clock alone would send everything to one that has not answered yet.
pub(crate) fn share(since: Duration, over: Duration, good: u32) -> u32 {
    let clock = (since.as_secs_f64() / over.as_secs_f64()).min(1.0);
    let answers = f64::from(good.min(ENOUGH)) / f64::from(ENOUGH);
    FIRST + (f64::from(WHOLE - FIRST) * clock.min(answers)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_by_the_clock_and_by_answers_whichever_is_less() {
        let over = Duration::from_secs(10);
        let share = |seconds, good| share(Duration::from_secs(seconds), over, good);
        assert_eq!([share(0, 0), share(10, 0), share(0, 1_000)], [FIRST; 3]);
        assert_eq!(share(5, 1_000), 141);
        assert_eq!(share(60, 32), 141);
        assert_eq!(share(10, 64), WHOLE);
    }
}
