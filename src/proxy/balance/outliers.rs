//! Who answers worse than the others of its pool, and how long it is left out for it. Told, never asking.
//!
//! An *outlier* lies outside: a backend is judged beside the others, so what ails all of them (the wallet behind them, a
//! bad release, a customer's poisonous request) takes none of them out.

use std::num::NonZeroU32;
use std::time::Duration;

/// When a backend is left out for its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierSettings {
    /// So many errors in a row.
    pub consecutive: NonZeroU32,
    /// Or a share of good answers so many points in a hundred below that of the others.
    pub behind: NonZeroU32,
    /// Judged by so many answers at least, of its own and of the others.
    pub answers: NonZeroU32,
    /// How often shares are compared.
    pub interval: Duration,
    /// How long it is left out the first time.
    pub first: Duration,
    /// And at the longest: it doubles each time.
    pub longest: Duration,
    /// The most that may be left out at once, in per cent of the pool; one always may.
    pub most: u32,
    /// With less than so many in a hundred there, nobody is left out for their answers.
    pub panic: u32,
}

/// What was heard of one backend within an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) answers: u32,
    pub(crate) errors: u32,
}

impl OutlierSettings {
    /// Whether one more may be left out when `out` of `of` are. One always may, but never the last.
    pub(crate) fn may_leave_out(&self, out: u32, of: u32) -> bool {
        out + 1 < of && out < (of * self.most / 100).max(1)
    }

    /// How many errors in a row are more than chance, where the others answered like this: as unlikely as `consecutive` of
    /// them where one answer in twenty is an error. Where all fail now and then somebody always has five in a row.
    pub(crate) fn enough_in_a_row(&self, others: Heard) -> u32 {
        let failed = f64::from(others.errors) / f64::from(others.answers.max(1));
        let times = if failed > USUAL { USUAL.ln() / failed.min(WORST).ln() } else { 1.0 };
        (f64::from(self.consecutive.get()) * times).ceil() as u32
    }

    /// Whether so few are there that all are used, whatever they answered.
    pub(crate) fn panics(&self, there: u32, of: u32) -> bool {
        there * 100 < of * self.panic
    }

    /// How long it is left out the `times`th time, counted from one.
    pub(crate) fn left_out_for(&self, times: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(times.saturating_sub(1))).min(self.longest)
    }

    /// Whether the backend of `own` falls behind the others, of which `all` is the sum with it.
    pub(crate) fn falls_behind(&self, own: Heard, all: Heard) -> bool {
        let others = Heard { answers: all.answers - own.answers, errors: all.errors - own.errors };
        let least = self.answers.get();
        let behind = others.good() - own.good();
        own.answers >= least
            && others.answers >= least
            && behind >= f64::from(self.behind.get()).max(others.chance(own.answers))
    }
}

/// A share of errors that is nothing unusual.
const USUAL: f64 = 0.05;
/// Where more of the others' answers are errors, nothing follows from any row that ever comes.
const WORST: f64 = 0.99;

impl Heard {
    /// In per cent.
    fn good(self) -> f64 {
        100.0 * f64::from(self.answers - self.errors.min(self.answers)) / f64::from(self.answers)
    }

    /// By how much, in points, one that is no worse falls short in so many answers by chance: three standard deviations.
    fn chance(self, answers: u32) -> f64 {
        let good = self.good();
        3.0 * (good * (100.0 - good) / f64::from(answers)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> OutlierSettings {
        OutlierSettings {
            consecutive: NonZeroU32::new(5).unwrap(),
            behind: NonZeroU32::new(30).unwrap(),
            answers: NonZeroU32::new(20).unwrap(),
            interval: Duration::from_secs(10),
            first: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            most: 30,
            panic: 50,
        }
    }

    #[test]
    fn one_may_always_be_left_out_and_the_last_never() {
        let most_out = |of| (0..of).take_while(|out| settings().may_leave_out(*out, of)).count();
        assert_eq!([1, 2, 3, 6, 7, 10, 100].map(most_out), [0, 1, 1, 1, 2, 3, 30]);
        let all = OutlierSettings { most: 100, ..settings() };
        assert_eq!((0..3).filter(|out| all.may_leave_out(*out, 3)).count(), 2);
    }

    #[test]
    fn of_few_answers_chance_is_not_taken_for_an_illness() {
        let settings = OutlierSettings { behind: NonZeroU32::new(15).unwrap(), ..settings() };
        let heard = |answers, errors| Heard { answers, errors };
        // Eighty in a hundred of the others' are good: of fifty, seventeen points fewer are chance, of five hundred they are not.
        assert!(!settings.falls_behind(heard(50, 18), heard(550, 118)));
        assert!(settings.falls_behind(heard(500, 180), heard(1_000, 280)));
        assert!(settings.falls_behind(heard(50, 10), heard(550, 15)), "80 % beside 99 %");
    }

    #[test]
    fn where_others_fail_too_more_errors_in_a_row_are_needed_to_be_more_than_chance() {
        let enough = |errors, answers| settings().enough_in_a_row(Heard { answers, errors });
        assert_eq!([enough(0, 0), enough(0, 100), enough(5, 100)], [5, 5, 5]);
        assert_eq!([enough(10, 100), enough(20, 100), enough(50, 100)], [7, 10, 22]);
        assert!(enough(100, 100) > 1_000);
    }

    #[test]
    fn with_less_than_half_there_nobody_is_left_out() {
        assert_eq!([0, 1, 2, 3, 4].map(|there| settings().panics(there, 4)), [true, true, false, false, false]);
        assert!(!OutlierSettings { panic: 0, ..settings() }.panics(0, 4));
    }

    #[test]
    fn each_time_lasts_twice_as_long_up_to_the_longest() {
        let seconds = |times| settings().left_out_for(times).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 40].map(seconds), [10, 20, 40, 300, 300, 300]);
    }

    #[test]
    fn who_answers_worse_than_the_others_falls_behind_and_nobody_does_when_all_do() {
        let heard = |answers, errors| Heard { answers, errors };
        let behind = |own, all| settings().falls_behind(own, all);
        assert!(behind(heard(20, 8), heard(120, 10)), "60 % beside 98 %");
        assert!(!behind(heard(20, 4), heard(120, 6)), "80 % beside 98 %");
        assert!(!behind(heard(20, 10), heard(120, 60)), "as bad as all");
        assert!(!behind(heard(19, 19), heard(120, 19)), "too few of its own");
        assert!(!behind(heard(100, 100), heard(119, 100)), "too few of the others'");
    }
}
