//! From knowing nothing, or something old, to the neighbourhood of the knee in a handful of windows.

use super::{Climb, Mode, Window};

#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Either,
    Up,
    Down,
}

/// What so many seats brought, in good answers per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    seats: f64,
    rate: f64,
}

/// In search, twice the seats must be worth this much for trying the next doubling.
pub(super) const WORTH_DOUBLING: f64 = 0.5;
/// In search, below this they brought nothing.
const WORTH_NOTHING: f64 = 0.15;

impl Climb {
    pub(super) fn search(&mut self, way: Way, before: Option<Tried>, window: &Window, rate: f64) {
        let here = Tried { seats: f64::from(self.seats), rate };
        let Some(before) = before else {
            // Where most is late or fails from the start, there are too many rather than too few.
            let down = matches!(way, Way::Down) || window.is_swamped();
            return self.try_next(here, if down { 0.5 } else { 2.0 }, way);
        };
        let (few, many) = if before.seats < here.seats { (before, here) } else { (here, before) };
        let worth = (many.rate / few.rate).ln() / (many.seats / few.seats).ln();
        match way {
            Way::Either | Way::Up if worth >= WORTH_DOUBLING => self.try_next(many, 2.0, Way::Up),
            Way::Either if worth < 0.0 => self.try_next(few, 0.5, Way::Down),
            Way::Down if worth < WORTH_NOTHING => self.try_next(few, 0.5, Way::Down),
            // Too few cost answers, too many only time: of the two that were last compared the larger.
            Way::Down => self.settle(many.seats),
            _ if worth < WORTH_NOTHING => self.settle(few.seats),
            _ => self.settle((few.seats * many.seats).sqrt()),
        }
    }

    /// Begin to search. Downwards where `level` was good once: that is asked at the cost of a window, and a backend
    /// that takes less than it did is not flooded first.
    pub(super) fn search_from(&mut self, level: f64, way: Way) {
        self.level = level.clamp(self.least, self.most);
        self.mode = Mode::Search { way, before: None };
        self.hold(self.level);
    }

    /// Go on searching with `times` the seats of `known`, to be compared with it.
    fn try_next(&mut self, known: Tried, times: f64, way: Way) {
        let next = (known.seats * times).round().clamp(self.least, self.most);
        if next == known.seats {
            return self.settle(next);
        }
        self.mode = Mode::Search { way, before: Some(known) };
        self.hold(next);
    }
}
