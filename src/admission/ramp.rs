//! How much may pass at a time after reopening.
//!
//! A ceiling on a product's seats that grows on evidence, not on the clock: by half for every short
//! window in which it was what held work up and the backends stayed healthy. It ends when the limits bind
//! before it does, or when nobody needs more; never because answers fail to come.
//!
//! Late answers and failures hold it or take it back, unless the answers followed the seats: with a third fewer seats
//! a third fewer answers, each as late as before, says that the backends are late by nature, and waiting for them to
//! become quick would leave the product at four seats for ever. Doubt is held for a few windows and then tried. A
//! backend that comes back cold is simply held longer; a warm one costs a few windows.
//!
//! A ramp that steps back three times within a minute *freezes*: it serves on at the best level that was good, and a
//! person is told. It goes on when a person says so, or when the same seats bring half as many answers again: then what
//! it stepped back for, a cold cache, half of the machines, has gone. Of health alone it takes a whole minute, longer
//! than it took to freeze, for one careful step.

use std::time::Duration;

use super::{Outcome, Timestamp};

/// A product's way back.
#[derive(Debug)]
pub(crate) struct Ramp {
    ceiling: f64,
    /// The ceiling before this one, and the answers per second that it brought.
    before: Option<(f64, f64)>,
    /// Windows since the ceiling moved.
    still: u32,
    window: Window,
    bound_at: Timestamp,
    /// The best level that was good, and has not been bad since.
    good: f64,
    /// When it stepped back, the latest last.
    backs: [Timestamp; STEP_BACKS],
    frozen: Option<Frozen>,
}

/// Where a frozen ramp stands.
#[derive(Clone, Copy, Debug)]
struct Frozen {
    /// Since when all has been well.
    well_since: Timestamp,
    /// Answers per second that the level brought at first, once that is known.
    rate: Option<f64>,
}

/// What a window says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Forward,
    Hold,
    Back,
}

#[derive(Debug)]
struct Window {
    /// Answers still to come of those let through under the ceiling before.
    skip: u32,
    since: Timestamp,
    done: u32,
    answered: u32,
    slow: u32,
    failed: u32,
    bound: bool,
}

/// The fewest seats a product is given: with less, nothing could be learned.
const FEWEST: f64 = 4.0;
const SHORTEST: Duration = Duration::from_millis(50);
const FEWEST_ANSWERS: u32 = 10;
const FORWARD: f64 = 1.5;
const BACK: f64 = 0.7;
/// Answers follow seats when twice the seats bring at least √2 times the answers.
const FOLLOWED: f64 = 0.5;
/// So many windows in doubt are enough to try the next step.
const DOUBT: u32 = 5;
/// So many steps back within so long are a ramp that gets nowhere.
const STEP_BACKS: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// All must have been well for so long before a frozen ramp takes a step.
const WELL_FOR: Duration = Duration::from_secs(60);
const CAREFUL: f64 = 1.2;
/// So many times the answers from the same seats are not chance.
const BETTER: f64 = 1.5;
/// When the ceiling has not held anybody up for so long, the ramp is over.
const IDLE: Duration = Duration::from_secs(2);

impl Ramp {
    /// A way back that starts from `seats`.
    pub(crate) fn new(seats: f64, now: Timestamp) -> Ramp {
        let ceiling = seats.max(FEWEST);
        Ramp {
            ceiling,
            before: None,
            still: 0,
            window: Window::after(0),
            bound_at: now,
            good: ceiling,
            backs: [Timestamp::ZERO; STEP_BACKS],
            frozen: None,
        }
    }

    /// Whether it has stepped back too often and waits, for a person or for better days.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// A person says that it may go on. False when it was not frozen.
    pub(crate) fn thaw(&mut self) -> bool {
        self.backs = [Timestamp::ZERO; STEP_BACKS];
        self.frozen.take().is_some()
    }

    /// Seats the product may hold now.
    pub(crate) fn seats(&self) -> u32 {
        self.ceiling as u32
    }

    /// The ceiling is reached just now: the product may need more.
    pub(crate) fn is_reached(&mut self, now: Timestamp) {
        self.bound_at = now;
    }

    /// A seat came back; `held_up` says whether the ceiling was what others waited for.
    pub(crate) fn observe(&mut self, outcome: Outcome, slow: bool, held_up: bool, now: Timestamp) {
        if held_up {
            self.is_reached(now);
        }
        if outcome == Outcome::Abandoned {
            // A client that left, or a backend that was not there, is no sign of health.
            return;
        }
        let window = &mut self.window;
        if window.skip > 0 {
            window.skip -= 1;
            return;
        }
        if window.since == Timestamp::NEVER {
            window.since = now;
            return;
        }
        window.done += 1;
        window.answered += u32::from(outcome == Outcome::Answered);
        window.slow += u32::from(slow && outcome == Outcome::Answered);
        window.failed += u32::from(outcome == Outcome::Failed);
        window.bound |= held_up;
        let enough = window.done >= FEWEST_ANSWERS.max(self.ceiling as u32);
        if enough && now.since(window.since) >= SHORTEST {
            self.close(now);
        }
    }

    /// Whether the product can do without: the limits bind at `limit`, or the ceiling holds nobody up.
    pub(crate) fn is_over(&self, limit: u32, now: Timestamp) -> bool {
        self.ceiling >= f64::from(limit) || now >= self.idle_at()
    }

    /// When [`is_over`](Self::is_over) may become true by time alone.
    pub(crate) fn idle_at(&self) -> Timestamp {
        self.bound_at + if self.is_frozen() { WELL_FOR } else { IDLE }
    }

    fn close(&mut self, now: Timestamp) {
        let from = self.seats();
        let rate = self.window.rate(now);
        match self.frozen {
            Some(frozen) => self.wait(frozen, rate, now),
            None => self.take(self.step(rate), now),
        }
        if self.seats() == from {
            self.still += 1;
            self.window = Window::after(0);
        } else {
            self.still = 0;
            self.before = Some((f64::from(from), rate));
            self.window = Window::after(from);
        }
    }

    fn take(&mut self, step: Step, now: Timestamp) {
        match step {
            Step::Hold => {}
            Step::Forward => {
                if self.window.is_healthy() {
                    self.good = self.good.max(self.ceiling);
                }
                self.ceiling *= FORWARD;
            }
            Step::Back => {
                let from = self.seats();
                self.step_back();
                if self.seats() == from {
                    // From the fewest there is no way back, and so nothing to be learned from one.
                    return;
                }
                self.backs.rotate_left(1);
                self.backs[STEP_BACKS - 1] = now;
                if self.backs[0] > Timestamp::ZERO && now.since(self.backs[0]) <= WITHIN {
                    self.ceiling = self.good;
                    self.frozen = Some(Frozen { well_since: now, rate: None });
                }
            }
        }
    }

    fn step_back(&mut self) {
        let back = (self.ceiling * BACK).max(FEWEST);
        if self.good >= self.ceiling {
            // What was good is so no more.
            self.good = back;
        }
        self.ceiling = back;
    }

    /// A window of a frozen ramp.
    fn wait(&mut self, frozen: Frozen, rate: f64, now: Timestamp) {
        let Window { done, failed, bound, .. } = self.window;
        let better = bound && frozen.rate.is_some_and(|first| rate >= first * BETTER);
        if failed * 2 > done {
            self.step_back();
            self.frozen = Some(Frozen { well_since: now, rate: None });
        } else if !self.window.is_healthy() {
            // A careful step too far is taken back.
            self.ceiling = self.ceiling.min(self.good);
            self.frozen = Some(Frozen { well_since: now, rate: frozen.rate.or(bound.then_some(rate)) });
        } else if better {
            self.thaw();
        } else if now.since(frozen.well_since) >= WELL_FOR {
            self.good = self.ceiling;
            self.ceiling *= if bound { CAREFUL } else { 1.0 };
            self.frozen = Some(Frozen { well_since: now, rate: None });
        } else if bound {
            self.frozen = Some(Frozen { rate: frozen.rate.or(Some(rate)), ..frozen });
        }
    }

    /// What the window makes of the ceiling.
    fn step(&self, rate: f64) -> Step {
        let Window { done, slow, failed, bound, .. } = self.window;
        if failed * 2 > done {
            return Step::Back;
        }
        let grew = self.before.is_some_and(|(seats, _)| seats < self.ceiling);
        if !bound {
            Step::Hold
        } else if self.window.is_healthy() || self.followed(rate) || self.still >= DOUBT {
            Step::Forward
        } else if grew || failed * 20 > done || slow * 2 > done {
            Step::Back
        } else {
            Step::Hold
        }
    }

    /// Whether more seats brought more answers, or fewer brought fewer: it is not the ceiling that does harm.
    fn followed(&self, rate: f64) -> bool {
        self.before.is_some_and(|(seats_before, rate_before)| {
            let seats = f64::from(self.seats());
            (rate / rate_before).ln() / (seats / seats_before).ln() >= FOLLOWED
        })
    }
}

impl Window {
    fn after(skip: u32) -> Window {
        Window { skip, since: Timestamp::NEVER, done: 0, answered: 0, slow: 0, failed: 0, bound: false }
    }

    /// Few failures, and few late answers.
    fn is_healthy(&self) -> bool {
        self.failed * 20 <= self.done && self.slow * 10 <= self.done
    }

    /// Good answers per second; never zero, for its logarithm is asked.
    fn rate(&self, now: Timestamp) -> f64 {
        (f64::from(self.answered) + 0.5) / now.since(self.since).as_secs_f64().max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::at;
    use super::*;

    /// A backend that always has more to do: `rate` says how many answers a second so many seats bring, `slow` whether
    /// they are late, and one in `failing` fails. Returns the ceilings after each answer.
    fn serve(
        ramp: &mut Ramp,
        from: Timestamp,
        seconds: u64,
        rate: impl Fn(f64) -> f64,
        slow: impl Fn(f64) -> bool,
        failing: u64,
    ) -> Vec<u32> {
        let mut now = from;
        let mut ceilings = Vec::new();
        while now < from + Duration::from_secs(seconds) && ramp.seats() <= 100 {
            let seats = f64::from(ramp.seats());
            now += Duration::from_secs_f64(1.0 / rate(seats));
            let nth = ceilings.len() as u64 + 1;
            let outcome = if nth.is_multiple_of(failing) { Outcome::Failed } else { Outcome::Answered };
            ramp.observe(outcome, slow(seats), true, now);
            ceilings.push(ramp.seats());
        }
        ceilings
    }

    const NEVER: u64 = u64::MAX;

    #[test]
    fn a_warm_backend_costs_a_few_windows() {
        let mut ramp = Ramp::new(15.0, at(0));
        serve(&mut ramp, at(0), 1, |seats| seats * 50.0, |_| false, NEVER);
        assert!(ramp.is_over(60, at(1000)), "{ramp:?}");
    }

    #[test]
    fn it_never_grows_by_more_than_half_in_a_window_of_50_ms() {
        let mut ramp = Ramp::new(4.0, at(0));
        let grown = serve(&mut ramp, at(0), 2, |seats| seats * 1000.0, |_| false, NEVER);
        let first_ms: u32 = grown[..(4 * 45)].iter().copied().max().unwrap_or_default();
        assert_eq!(first_ms, 4);
        assert!(grown.windows(2).all(|pair| pair[1] <= pair[0] * 3 / 2 + 1));
    }

    #[test]
    fn where_seats_make_answers_late_it_stays_below() {
        // Twenty seats are what the backends take; with more, answers are late and no more come.
        let mut ramp = Ramp::new(4.0, at(0));
        let ceilings = serve(&mut ramp, at(0), 30, |seats| seats.min(20.0) * 50.0, |seats| seats > 20.0, NEVER);
        let late = &ceilings[ceilings.len() / 2..];
        assert!(late.iter().all(|ceiling| (10..=45).contains(ceiling)), "{:?}", late.iter().max());
        let mean = late.iter().sum::<u32>() as f64 / late.len() as f64;
        assert!((14.0..28.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_backend_that_is_late_by_nature_is_not_left_at_four_seats() {
        let mut ramp = Ramp::new(4.0, at(0));
        serve(&mut ramp, at(0), 20, |seats| seats * 2.0, |_| true, NEVER);
        assert!(ramp.seats() > 20, "{}", ramp.seats());
    }

    #[test]
    fn a_backend_that_fails_now_and_then_by_nature_is_not_left_at_four_seats() {
        let mut ramp = Ramp::new(4.0, at(0));
        serve(&mut ramp, at(0), 10, |seats| seats * 50.0, |_| false, 10);
        assert!(ramp.seats() > 40, "{}", ramp.seats());
    }

    #[test]
    fn nothing_but_failures_brings_it_down_but_never_starves_the_product() {
        let mut ramp = Ramp::new(90.0, at(0));
        serve(&mut ramp, at(0), 10, |seats| seats * 50.0, |_| false, 1);
        assert_eq!(ramp.seats(), 4);
        assert!(!ramp.is_over(5, at(10_000)));
    }

    /// Good at twenty seats, bad above, until it has frozen.
    fn frozen() -> (Ramp, Timestamp) {
        let mut ramp = Ramp::new(4.0, at(0));
        let mut now = at(0);
        while !ramp.is_frozen() && now < at(30_000) {
            serve(&mut ramp, now, 1, |seats| seats.min(20.0) * 50.0, |seats| seats > 20.0, NEVER);
            now += Duration::from_secs(1);
        }
        assert!(ramp.is_frozen(), "{ramp:?}");
        (ramp, now)
    }

    #[test]
    fn after_three_steps_back_it_serves_on_at_the_best_level_that_was_good() {
        let (mut ramp, now) = frozen();
        assert!((13..=20).contains(&ramp.seats()), "{}", ramp.seats());
        let level = ramp.seats();
        let ceilings = serve(&mut ramp, now, 55, |seats| seats * 50.0, |_| false, NEVER);
        assert!(ceilings.iter().all(|ceiling| *ceiling == level));
        assert!(!ramp.is_over(100, now + Duration::from_secs(10)), "it is not over because nobody asks for a moment");
    }

    #[test]
    fn a_minute_of_health_is_worth_one_careful_step_and_one_too_far_is_taken_back() {
        let (mut ramp, now) = frozen();
        let level = ramp.seats();
        serve(&mut ramp, now, 65, |seats| seats * 50.0, |_| false, NEVER);
        let careful = ramp.seats();
        assert!(ramp.is_frozen() && careful > level && careful <= level * 5 / 4, "{level} to {careful}");
        let now = now + Duration::from_secs(65);
        serve(&mut ramp, now, 2, |seats| seats * 50.0, |_| true, NEVER);
        assert_eq!(ramp.seats(), level);
    }

    #[test]
    fn it_goes_on_when_a_person_says_so_or_the_same_seats_bring_much_more() {
        let (mut ramp, now) = frozen();
        assert!(ramp.thaw() && !ramp.thaw());
        serve(&mut ramp, now, 1, |seats| seats * 50.0, |_| false, NEVER);
        assert!(ramp.seats() > 60, "{}", ramp.seats());
        let (mut ramp, now) = frozen();
        serve(&mut ramp, now, 2, |seats| seats * 50.0, |_| false, NEVER);
        assert!(ramp.is_frozen());
        serve(&mut ramp, now + Duration::from_secs(2), 2, |seats| seats * 100.0, |_| false, NEVER);
        assert!(!ramp.is_frozen() && ramp.seats() > 60, "{ramp:?}");
    }

    #[test]
    fn it_is_over_when_the_limit_binds_first_or_nobody_needs_more() {
        let mut ramp = Ramp::new(16.0, at(0));
        assert!(ramp.is_over(16, at(0)));
        assert!(!ramp.is_over(17, at(0)));
        ramp.observe(Outcome::Answered, false, true, at(500));
        assert!(!ramp.is_over(17, at(2400)));
        assert!(ramp.is_over(17, at(2500)));
        assert_eq!(ramp.idle_at(), at(2500));
        ramp.is_reached(at(2500));
        assert!(!ramp.is_over(17, at(2500)));
    }
}
