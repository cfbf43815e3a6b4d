//! What the lowest classes are owed while they wait.
//!
//! Class order alone lets odds and images starve for as long as bets keep coming, and a page without odds sells no bets.
//! So for every hundred seats that go to others while they wait, a few are owed to them. What is owed is counted and not
//! timed: nothing is owed that nobody waits for, and never more than the next of them needs, so nothing can be saved
//! up for a burst.

/// A debt in hundredths of a seat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Floor {
    owed: u32,
}

/// One seat.
const WHOLE: u32 = 100;

impl Floor {
    /// Whether a turn that costs `seats` is due.
    pub(crate) fn is_due(self, seats: u32) -> bool {
        self.owed >= WHOLE * seats
    }

    /// Somebody else was given `seats` of which `per_cent` are owed to those who wait, the next of whom needs `next`.
    pub(crate) fn passed_over(&mut self, seats: u32, per_cent: u32, next: u32) {
        self.owed = (self.owed + seats * per_cent).min(WHOLE * next);
    }

    /// One of them was given `seats`.
    pub(crate) fn paid(&mut self, seats: u32) {
        self.owed = self.owed.saturating_sub(WHOLE * seats);
    }

    /// None of them waits any more.
    pub(crate) fn forgiven(&mut self) {
        self.owed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_in_so_many_is_due_and_none_is_saved_up() {
        let mut floor = Floor::default();
        let mut turns = 0;
        for _ in 0..1000 {
            floor.passed_over(1, 5, 1);
            if floor.is_due(1) {
                floor.paid(1);
                turns += 1;
            }
        }
        assert_eq!(turns, 50);
        (0..1000).for_each(|_| floor.passed_over(1, 5, 1));
        floor.paid(1);
        assert!(!floor.is_due(1), "a thousand that could not be served leave one turn");
    }

    #[test]
    fn a_turn_that_costs_three_is_due_after_three_times_as_many() {
        let mut floor = Floor::default();
        (0..14).for_each(|_| floor.passed_over(1, 20, 3));
        assert!(floor.is_due(2) && !floor.is_due(3));
        floor.passed_over(1, 20, 3);
        assert!(floor.is_due(3));
        floor.forgiven();
        assert!(!floor.is_due(1));
    }
}
