//! When checks that fail, or pass again, are believed. Told, never asking: no clock and no sockets.

use std::num::NonZeroU32;

/// What a backend's checks have come to.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    fall: NonZeroU32,
    rise: NonZeroU32,
    failing: bool,
    /// In a row against what is believed.
    against: u32,
}

impl Checks {
    /// Believed to be well until `fall` checks in a row say otherwise.
    pub(crate) fn new(fall: NonZeroU32, rise: NonZeroU32) -> Checks {
        Checks { fall, rise, failing: false, against: 0 }
    }

    /// The same for one that came while the proxy ran: nobody counts on it before its first check has passed.
    pub(crate) fn unproven(fall: NonZeroU32, rise: NonZeroU32) -> Checks {
        Checks { failing: true, against: rise.get() - 1, ..Checks::new(fall, rise) }
    }

    /// So many in a row are believed from now on; what is believed stays.
    pub(crate) fn reform(&mut self, fall: NonZeroU32, rise: NonZeroU32) {
        (self.fall, self.rise) = (fall, rise);
    }

    /// Whether it is believed to be ill.
    pub(crate) fn are_failing(&self) -> bool {
        self.failing
    }

    /// One more check. Whether that changes what is believed.
    pub(crate) fn heard(&mut self, good: bool) -> bool {
        if good != self.failing {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let enough = if self.failing { self.rise } else { self.fall };
        let changes = self.against >= enough.get();
        if changes {
            self.failing = !self.failing;
            self.against = 0;
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    #[test]
    fn only_so_many_in_a_row_change_what_is_believed() {
        let mut checks = Checks::new(THREE, TWO);
        let changes = [false, false, true, false, false, false].map(|good| checks.heard(good));
        assert_eq!(changes, [false, false, false, false, false, true]);
        assert!(checks.are_failing());
        assert_eq!([true, false, true, true].map(|good| checks.heard(good)), [false, false, false, true]);
        assert!(!checks.are_failing());
    }

    #[test]
    fn a_newcomer_is_counted_on_after_its_first_good_check() {
        let mut checks = Checks::unproven(THREE, TWO);
        assert!(checks.are_failing());
        assert!(checks.heard(true));
        assert!(!checks.are_failing());
    }
}
