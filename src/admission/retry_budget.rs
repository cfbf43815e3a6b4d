//! How many requests may be sent again: a part of those that came in the last ten seconds.
//!
//! A backend in trouble hands back most of what it is given, and a proxy that tries all of it again gives it twice or three
//! times the work. So tries beyond the first are a part of the requests, whatever else happens; a small floor is for those
//! that come when hardly anybody else does. The shape is that of Finagle's `RetryBudget`.

use super::Timestamp;

/// Requests and second tries of the last ten seconds.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    per_cent: u32,
    /// The last seconds, each at its number modulo their number.
    seconds: [Second; SECONDS],
    /// The number of the newest.
    newest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    requests: u32,
    retries: u32,
}

/// Seconds that are looked at.
const SECONDS: usize = 10;
/// Second tries for each of them, however few requests came.
const FLOOR: u64 = 3;

impl RetryBudget {
    /// A budget of so many in a hundred; with 0 nothing is ever tried again.
    pub fn new(per_cent: u32, now: Timestamp) -> RetryBudget {
        RetryBudget { per_cent, seconds: [Second::default(); SECONDS], newest: number(now) }
    }

    /// A request has come.
    pub fn request(&mut self, now: Timestamp) {
        self.second(now).requests += 1;
    }

    /// Whether something may be tried again now; if so, it counts as done.
    pub fn retry(&mut self, now: Timestamp) -> bool {
        self.second(now);
        let sum = |of: fn(&Second) -> u32| self.seconds.iter().map(|second| u64::from(of(second))).sum::<u64>();
        let floor = if self.per_cent == 0 { 0 } else { FLOOR * SECONDS as u64 };
        let most = sum(|second| second.requests) * u64::from(self.per_cent) / 100 + floor;
        let may = sum(|second| second.retries) < most;
        if may {
            self.second(now).retries += 1;
        }
        may
    }

    /// The second of `now`, with those forgotten that are too long ago.
    fn second(&mut self, now: Timestamp) -> &mut Second {
        // Whoever read the clock a moment earlier counts as of now.
        let number = number(now).max(self.newest);
        for passed in (self.newest + 1..=number).take(SECONDS) {
            self.seconds[place(passed)] = Second::default();
        }
        self.newest = number;
        &mut self.seconds[place(number)]
    }
}

fn number(now: Timestamp) -> u64 {
    now.since_start().as_secs()
}

fn place(number: u64) -> usize {
    (number % SECONDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::random::Random;
    use super::super::time::at;
    use super::*;

    fn tried(budget: &mut RetryBudget, now: Timestamp) -> u32 {
        (0..1_000_000).take_while(|_| budget.retry(now)).count() as u32
    }

    #[test]
    fn a_quiet_pool_has_its_floor_and_no_more() {
        let mut budget = RetryBudget::new(10, at(0));
        assert_eq!(tried(&mut budget, at(500)), 30);
        assert_eq!(tried(&mut budget, at(9_999)), 0);
        assert_eq!(tried(&mut budget, at(10_000)), 30, "what was used up ten seconds ago is there again");
        assert_eq!(tried(&mut budget, at(3_600_000)), 30, "a silence saves nothing up");
    }

    #[test]
    fn a_busy_pool_has_its_part_of_what_came() {
        let mut budget = RetryBudget::new(10, at(0));
        for ms in 0..10_000 {
            budget.request(at(ms));
        }
        assert_eq!(tried(&mut budget, at(9_999)), 1000 + 30);
        assert_eq!(tried(&mut budget, at(14_999)), 0, "half of the requests are forgotten, none of the tries");
    }

    #[test]
    fn a_budget_of_none_is_none() {
        let mut budget = RetryBudget::new(0, at(0));
        budget.request(at(0));
        assert!(!budget.retry(at(0)));
    }

    #[test]
    fn whatever_comes_the_tries_of_ten_seconds_are_a_part_of_their_requests() {
        let mut random = Random::new(7);
        for per_cent in [1, 10, 50, 100] {
            let mut budget = RetryBudget::new(per_cent, at(0));
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            let mut now = at(0);
            for _ in 0..2_000 {
                let most = [1u64, 40, 3_000][random.below(3) as usize];
                now += Duration::from_millis(if random.below(20) == 0 { random.below(most) } else { 0 });
                if random.below(3) > 0 {
                    budget.request(now);
                    requests.push(now);
                }
                // Counted by itself: the seconds before this one, and what of this one has passed.
                let within = |all: &[Timestamp]| {
                    let first = now.since_start().as_secs().saturating_sub(SECONDS as u64 - 1);
                    all.iter().rev().take_while(|then| then.since_start().as_secs() >= first).count() as u64
                };
                let most = within(&requests) * u64::from(per_cent) / 100 + 30;
                let may = within(&retries) < most;
                assert_eq!(budget.retry(now), may, "{now:?}");
                if may {
                    retries.push(now);
                }
            }
            assert!(retries.len() > 100);
        }
    }
}
