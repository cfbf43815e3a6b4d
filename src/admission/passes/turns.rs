//! Numbered turns, and how many with lower numbers are still to come.

use std::collections::VecDeque;

/// Turns that were promised and not had yet. They are counted by spans of numbers, so that how many come before one is
/// found without looking at each, to within a part of one span.
#[derive(Debug)]
pub(super) struct Turns {
    /// The number of the first span's first turn.
    first: u64,
    spans: VecDeque<u32>,
    next: u64,
    len: u32,
    /// Of those whose turn it was, the part that came, smoothed.
    came: f64,
}

const SPAN: u64 = 256;
/// More than anybody has to wait for.
const FARTHEST_BACK: u64 = 1 << 28;
/// One turn's weight in the part that came.
const WEIGHT: f64 = 1.0 / 500.0;

impl Default for Turns {
    fn default() -> Self {
        Turns { first: 0, spans: VecDeque::new(), next: 0, len: 0, came: 1.0 }
    }
}

impl Turns {
    /// Nobody yet; this number is the next, or one a little higher.
    pub(super) fn beginning_at(number: u64) -> Turns {
        let first = number.next_multiple_of(SPAN);
        Turns { first, next: first, ..Turns::default() }
    }

    /// A turn with a lower number that was promised elsewhere. False when it was not, or long ago.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if number >= self.next || self.first.saturating_sub(number) > FARTHEST_BACK {
            return false;
        }
        while number < self.first {
            self.spans.push_front(0);
            self.first -= SPAN;
        }
        while self.span(number) >= self.spans.len() {
            self.spans.push_back(0);
        }
        let span = self.span(number);
        self.spans[span] += 1;
        self.len += 1;
        true
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The number that whoever joins next will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// One more at the end.
    pub(super) fn join(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        while self.span(number) >= self.spans.len() {
            self.spans.push_back(0);
        }
        let span = self.span(number);
        self.spans[span] += 1;
        self.len += 1;
        number
    }

    /// One has had their turn.
    pub(super) fn had(&mut self, number: u64) {
        self.came += (1.0 - self.came) * WEIGHT;
        self.left(number);
    }

    /// One has not come although it was their turn.
    pub(super) fn lapsed(&mut self, number: u64) {
        self.came -= self.came * WEIGHT;
        self.left(number);
    }

    /// One is no longer in the line.
    pub(super) fn left(&mut self, number: u64) {
        let span = self.span(number);
        debug_assert!(self.spans.get(span).is_some_and(|count| *count > 0), "nobody leaves twice");
        if let Some(count) = self.spans.get_mut(span) {
            *count -= 1;
            self.len -= 1;
        }
        // The last span is still being filled.
        while self.spans.len() > 1 && self.spans.front() == Some(&0) {
            self.spans.pop_front();
            self.first += SPAN;
        }
    }

    /// How many with lower numbers there are.
    pub(super) fn ahead(&self, number: u64) -> f64 {
        let span = self.span(number);
        let before: u64 = self.spans.iter().take(span).map(|count| u64::from(*count)).sum();
        let part = (number.saturating_sub(self.first) % SPAN) as f64 / SPAN as f64;
        before as f64 + self.spans.get(span).map_or(0.0, |count| f64::from(*count) * part)
    }

    /// The part of those whose turn comes who come.
    pub(super) fn who_come(&self) -> f64 {
        self.came
    }

    fn span(&self, number: u64) -> usize {
        (number.saturating_sub(self.first) / SPAN) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_are_ahead_is_known_to_within_a_span_however_many_have_left() {
        let mut turns = Turns::default();
        let numbers: Vec<u64> = (0..10_000).map(|_| turns.join()).collect();
        assert!((turns.ahead(numbers[9_000]) - 9_000.0).abs() <= 1.0);
        // Two of three of the first half leave.
        numbers[..5_000].iter().filter(|number| **number % 3 > 0).for_each(|number| turns.left(*number));
        let left = (0..9_000u64).filter(|number| *number >= 5_000 || number % 3 == 0).count() as f64;
        assert!((turns.ahead(numbers[9_000]) - left).abs() <= SPAN as f64, "{}", turns.ahead(numbers[9_000]));
        assert_eq!(turns.len() as usize, 10_000 - 3_333);
        numbers[..5_000].iter().filter(|number| **number % 3 == 0).for_each(|number| turns.left(*number));
        assert!(turns.spans.len() <= 5_000 / SPAN as usize + 2, "what is over is forgotten");
        assert!((turns.ahead(numbers[5_500]) - 500.0).abs() <= SPAN as f64);
        assert_eq!(turns.ahead(numbers[0]), 0.0);
    }

    #[test]
    fn turns_from_elsewhere_come_before_those_of_here() {
        let mut turns = Turns::beginning_at(10_001);
        let own = turns.join();
        assert_eq!((own, turns.ahead(own)), (10_240, 0.0));
        for number in 3_000..4_000 {
            assert!(turns.insert(number));
        }
        assert!((turns.ahead(own) - 1_000.0).abs() <= 1.0, "{}", turns.ahead(own));
        assert!((turns.ahead(3_500) - 500.0).abs() <= SPAN as f64);
        assert!(!turns.insert(own + 1), "it has not been promised by anybody");
        (3_000..4_000).for_each(|number| turns.had(number));
        assert_eq!((turns.ahead(own), turns.len()), (0.0, 1));
        turns.had(own);
        assert_eq!(turns.join(), own + 1);
    }

    #[test]
    fn who_does_not_come_is_counted_on_less() {
        let mut turns = Turns::default();
        let numbers: Vec<u64> = (0..4_000).map(|_| turns.join()).collect();
        for number in numbers {
            if number % 2 == 0 { turns.had(number) } else { turns.lapsed(number) }
        }
        assert!((0.45..0.55).contains(&turns.who_come()), "{}", turns.who_come());
        assert_eq!(turns.len(), 0);
    }
}
