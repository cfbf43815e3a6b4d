//! Which levels of a pool serve, and how much of each. Told, never asking.
//!
//! The first level serves. What is missing of it, once enough is, the next level takes, and of what is missing then the
//! next. So whoever is left of the first has what they had before, and no more; and all levels together serve no more than
//! the first when it is whole: that is what the pool's limit was found for.

use super::slow_start::WHOLE;

/// Levels being filled up, first to last. In quarters of a weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    whole: u32,
    covered: u32,
    /// What will be, when those that were called have had their start.
    able: u32,
    failover: u32,
}

impl Filling {
    /// Of the first level, which comes to `whole`, so much is there. The next is called when that is less than `failover`
    /// in a hundred, and always when it is nothing.
    pub(crate) fn new(whole: u32, there: u32, failover: u32) -> Filling {
        Filling { whole, covered: there, able: there, failover }
    }

    /// Whether another level is called.
    pub(crate) fn calls(&self) -> bool {
        self.able == 0 || u64::from(self.able) * 100 < u64::from(self.whole) * u64::from(self.failover)
    }

    /// A level takes what is missing, of what it has `there`, which is no more than it is `able` to. Which part of that, where
    /// [`WHOLE`] is all.
    pub(crate) fn take(&mut self, there: u32, able: u32) -> u32 {
        self.able += able;
        let taken = there.min(self.whole.saturating_sub(self.covered));
        self.covered += taken;
        // Rounded up: a little of something is never nothing.
        (u64::from(taken) * u64::from(WHOLE)).div_ceil(u64::from(there.max(1))) as u32
    }

    /// What all of them serve.
    pub(crate) fn covered(&self) -> u32 {
        self.covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_level_is_called_when_less_than_enough_is_there() {
        let calls = |there, failover| Filling::new(40, there, failover).calls();
        assert_eq!([40, 28, 27, 4, 0].map(|there| calls(there, 70)), [false, false, true, true, true]);
        assert_eq!([40, 39].map(|there| calls(there, 100)), [false, true], "at once");
        assert_eq!([1, 0].map(|there| calls(there, 0)), [false, true], "when none is left");
    }

    #[test]
    fn a_level_takes_what_is_missing_and_all_of_them_no_more_than_the_first() {
        let mut filling = Filling::new(12, 4, 70);
        assert_eq!((filling.take(16, 16), filling.covered()), (WHOLE / 2, 12));
        assert!(!filling.calls());
        let mut filling = Filling::new(12, 0, 70);
        assert_eq!((filling.take(4, 4), filling.covered()), (WHOLE, 4), "a smaller one all that it has");
        assert!(filling.calls());
        assert_eq!((filling.take(80, 80), filling.covered()), (26, 12), "8 of 80, rounded up");
        assert_eq!(Filling::new(12, 0, 70).take(0, 0), 0);
    }

    #[test]
    fn a_level_that_has_just_been_called_up_needs_no_other_one_while_it_starts() {
        let mut filling = Filling::new(12, 0, 70);
        assert_eq!((filling.take(6, 12), filling.covered(), filling.calls()), (WHOLE, 6, false));
    }
}
