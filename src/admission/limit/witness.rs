//! What can be learned of a knee by looking on, while no limit is in force: an upper bound of it.
//!
//! Nobody holds the number in flight where it would tell most; the traffic moves it. So the question is turned round:
//! *at so many in flight, how fast do answers come?* Time and answers are added up by the number in flight, in steps of
//! about a fifth. Below the knee the rate grows with the number, at the knee it stops; the smallest number at which it
//! surely comes within a tenth of the best ever seen bounds the knee from above, and so far as the traffic went beyond
//! it, closely. It says nothing of what fewer seats and a queue would have done, which is why it is a bound and no more.
//!
//! While the most that was seen is also the best, the knee has not been seen at all: twice as many is then what is
//! worth trying. Nothing seen leaves what was known before.

use std::time::Duration;

use super::super::{Outcome, Timestamp};

/// See the module. One looks at one pool or budget.
#[derive(Debug)]
pub struct Witness {
    /// What was known before, and the ends of the range.
    before: u32,
    range: (u32, u32),
    in_flight: u32,
    since: Timestamp,
    levels: [Level; LEVELS],
    /// Answers until the next look.
    countdown: u32,
    /// The best rate ever seen, and the first level that came near it. A knee that falls leaves both: what was enough
    /// for more is enough for less.
    best: f64,
    first: Option<usize>,
    bound: Option<u32>,
}

/// What was seen while about so many were in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    time: Duration,
    answers: u32,
}

/// Four to each doubling, up to 65,535 in flight.
const LEVELS: usize = 64;
/// Answers after which a rate is known within five per cent.
const ENOUGH: u32 = 400;
/// Answers at which what was seen begins to be forgotten, so that a knee that rises is seen to.
const REMEMBERED: u32 = 8192;
/// As good as the best.
const GOOD: f64 = 0.9;
/// Better than the best: by more than luck.
const BETTER: f64 = 1.05;
/// So many levels on, at 1.7 times as many, the rate would have grown had the knee not been reached.
const BEYOND: usize = 3;
/// Answers between two looks.
const EVERY: u32 = 64;

impl Witness {
    /// One who has seen nothing. `before` is what is known already, and `range` where a limit may lie.
    pub fn new(before: u32, range: (u32, u32), now: Timestamp) -> Witness {
        let levels = [Level::default(); LEVELS];
        let (countdown, in_flight) = (EVERY, 0);
        Witness { before, range, in_flight, since: now, levels, countdown, best: 0.0, first: None, bound: None }
    }

    /// The bound, or what was known before while there is none.
    pub fn seats(&self) -> u32 {
        self.bound.unwrap_or(self.before)
    }

    /// The smallest number that is known to be enough; `None` while nothing is.
    pub fn bound(&self) -> Option<u32> {
        self.bound
    }

    /// A request is on its way.
    pub fn starts(&mut self, now: Timestamp) {
        self.pass_time(now);
        self.in_flight += 1;
    }

    /// It has ended.
    pub fn ends(&mut self, outcome: Outcome, now: Timestamp) {
        self.pass_time(now);
        if outcome == Outcome::Answered && self.in_flight > 0 {
            self.levels[level_of(self.in_flight)].count();
            self.countdown -= 1;
            if self.countdown == 0 {
                self.countdown = EVERY;
                self.bound = self.look().or(self.bound);
            }
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// There is another number of backends: what was seen was seen of others.
    pub fn forget(&mut self) {
        self.levels = [Level::default(); LEVELS];
        self.before = self.seats();
        (self.best, self.first, self.bound) = (0.0, None, None);
    }

    fn pass_time(&mut self, now: Timestamp) {
        if self.in_flight > 0 {
            self.levels[level_of(self.in_flight)].time += now.since(self.since);
        }
        self.since = self.since.max(now);
    }

    fn look(&mut self) -> Option<u32> {
        let known = || self.levels.iter().enumerate().filter(|(_, level)| level.answers >= ENOUGH);
        let best = known().map(|(_, level)| level.surely()).fold(0.0, f64::max);
        if best > BETTER * self.best {
            (self.best, self.first) = (best, None);
        }
        let near = known().find(|(_, level)| level.surely() >= GOOD * best).map(|(level, _)| level);
        let (top, _) = known().next_back()?;
        self.first = self.first.into_iter().chain(near).min();
        let first = self.first?;
        let (least, most) = self.range;
        let bound = if top >= first + BEYOND { most_of(first) } else { self.before.max(2 * most_of(top)) };
        Some(bound.clamp(least, most))
    }
}

impl Level {
    fn count(&mut self) {
        self.answers += 1;
        if self.answers >= REMEMBERED {
            self.answers /= 2;
            self.time /= 2;
        }
    }

    /// Answers per second.
    fn rate(&self) -> f64 {
        f64::from(self.answers) / self.time.as_secs_f64().max(1e-6)
    }

    /// The rate without what may be luck: the best of twenty that are all the same looks a tenth better than they are.
    fn surely(&self) -> f64 {
        self.rate() * (1.0 - 2.0 / f64::from(self.answers).sqrt())
    }
}

/// The level of so many in flight: its power of two, and the two bits behind the first.
fn level_of(in_flight: u32) -> usize {
    let doublings = in_flight.max(1).ilog2();
    let quarters = ((u64::from(in_flight) << 2) >> doublings) & 3;
    (doublings as usize * 4 + quarters as usize).min(LEVELS - 1)
}

/// The most in flight that belong to a level.
fn most_of(level: usize) -> u32 {
    let (doublings, quarters) = (level as u32 / 4, level as u64 % 4);
    // Of the small numbers, not every quarter is a whole one: then it is the number below.
    (((((5 + quarters) << doublings) - 1) >> 2) as u32).max(1)
}

#[cfg(test)]
mod tests;
