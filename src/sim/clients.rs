//! Who stands in front of the proxy: one customer's device, walking its crowd's journey.
//!
//! It is told how each attempt ended and answers with what it does next; the sending and the waiting are the driver's.
//! What all of a crowd have in common stays in the [`Crowd`], so that a million of them fit into sixty-four megabytes and
//! each into one line of the cache: in a big crowd, fetching somebody from memory is most of what a retry costs.

use std::time::Duration;

use super::random::Random;
use super::scenario::{Crowd, Manner, Pause};
use crate::admission::Timestamp;

/// A device with somebody behind it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whose device: the same for both devices of one customer.
    pub customer: u64,
    /// The number of the bet it is at: the same over all attempts at it.
    pub bet: u64,
    /// When it came, or began its journey anew.
    pub came: Timestamp,
    /// When this step first went wrong; [`Timestamp::NEVER`] while it has not.
    failing_since: Timestamp,
    random: Random,
    patience_ms: u32,
    /// The customer's crowd, by its place in the scenario.
    pub crowd: u16,
    /// Attempts at this step so far.
    attempts: u16,
    /// Quick retries of this step so far.
    quick: u8,
    /// The step it is at.
    pub step: u8,
    /// How it takes a no, by the place among its crowd's manners.
    pub manner: u8,
    no_show: bool,
    /// Has been told no, or has got nothing, at least once.
    disappointed: bool,
}

/// How an attempt ended, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was asked for came back.
    Served,
    /// An answer that says no, perhaps with a time to come back.
    Refused(Option<Duration>),
    /// Told at a gate to wait and poll again after so long.
    Gated(Duration),
    /// An error came back.
    Failed,
    /// Nothing came in time; the attempt was sent then.
    TimedOut(Timestamp),
}

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Sends an attempt at its step, after so long.
    Send(Duration),
    /// Has done what it came for.
    Finished,
    /// Goes home without.
    GaveUp,
}

impl Client {
    /// Somebody of a crowd arrives with the `nth` device of all.
    pub fn new(crowd: &Crowd, place: u16, customer: u64, nth: u64, seed: u64, now: Timestamp) -> Client {
        let mut random = Random::nth(seed ^ 0xC11E_4775, nth);
        Client {
            customer,
            bet: 0,
            came: now,
            failing_since: Timestamp::NEVER,
            patience_ms: {
                let patience = random.between(crowd.patience.least, crowd.patience.most);
                u32::try_from(patience.as_millis()).unwrap_or(u32::MAX)
            },
            crowd: place,
            attempts: 0,
            quick: 0,
            step: 0,
            manner: draw_manner(&crowd.manners, &mut random),
            no_show: random.chance(u64::from(crowd.no_shows)),
            disappointed: false,
            random,
        }
    }

    /// An attempt goes out now. True when it is the first at its step; then it takes the next of the numbers in `bets`,
    /// in case it is a bet.
    pub fn sends(&mut self, bets: &mut u64) -> bool {
        let first = self.attempts == 0;
        if first {
            self.bet = *bets;
            *bets += 1;
        }
        self.attempts = self.attempts.saturating_add(1);
        first
    }

    /// How the attempt ended. Once for each attempt, and for each poll at a gate.
    pub fn ended(&mut self, crowd: &Crowd, how: Ended, now: Timestamp) -> Next {
        match how {
            Ended::Served => self.go_on(crowd, now),
            Ended::Gated(_) if now.since(self.came) > self.patience() => Next::GaveUp,
            Ended::Gated(poll_after) => {
                // A poll is not an attempt: the step has not begun.
                self.attempts = self.attempts.saturating_sub(1);
                Next::Send(poll_after)
            }
            Ended::Refused(told) => self.try_again(crowd, told, now, now),
            Ended::Failed => self.try_again(crowd, None, now, now),
            Ended::TimedOut(sent) => self.try_again(crowd, None, sent, now),
        }
    }

    fn go_on(&mut self, crowd: &Crowd, now: Timestamp) -> Next {
        self.step += 1;
        self.quick = 0;
        self.attempts = 0;
        self.failing_since = Timestamp::NEVER;
        let think = self.pause(crowd.think);
        if usize::from(self.step) < crowd.journey.len() {
            return Next::Send(think);
        }
        self.step = 0;
        self.came = now + think;
        if crowd.endless { Next::Send(think) } else { Next::Finished }
    }

    fn try_again(&mut self, crowd: &Crowd, told: Option<Duration>, failed: Timestamp, now: Timestamp) -> Next {
        let manner = &crowd.manners[usize::from(self.manner)];
        let first = !std::mem::replace(&mut self.disappointed, true);
        self.failing_since = self.failing_since.min(failed);
        let no_more = manner.retries.is_some_and(|most| u32::from(self.attempts) > most);
        if no_more || (first && self.no_show) || self.random.chance(u64::from(manner.quits)) {
            return Next::GaveUp;
        }
        let pause = self.pause_before_retry(manner, told);
        let out_of_patience = match crowd.patience.by_step {
            true => now.since(self.failing_since) > self.patience(),
            false => now + pause > self.came + self.patience(),
        };
        match (out_of_patience, crowd.endless) {
            (false, _) => Next::Send(pause),
            (true, false) => Next::GaveUp,
            // Whoever polls for ever is disappointed, and polls on.
            (true, true) => {
                self.came = now + pause;
                self.failing_since = Timestamp::NEVER;
                Next::Send(pause)
            }
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.patience_ms))
    }

    fn pause_before_retry(&mut self, manner: &Manner, told: Option<Duration>) -> Duration {
        if u32::from(self.quick) < manner.quick {
            self.quick += 1;
            return manner.quick_pause;
        }
        match told.filter(|_| manner.obeys) {
            Some(told) => told,
            None => self.pause(manner.pause),
        }
    }

    fn pause(&mut self, pause: Pause) -> Duration {
        match pause {
            Pause::Between(least, most) => self.random.between(least, most),
            Pause::Mean(mean) => self.random.exponential(mean),
        }
    }
}

fn draw_manner(manners: &[Manner], random: &mut Random) -> u8 {
    let mut drawn = random.below(100) as u32;
    for (place, manner) in manners.iter().enumerate() {
        match drawn.checked_sub(manner.share) {
            Some(left) => drawn = left,
            None => return place as u8,
        }
    }
    0
}

#[cfg(test)]
mod tests;
