//! Who stands in front of the proxy: one customer as a state machine, and the crowd they arrive in.
//!
//! A customer walks odds → login → bet. It is told how each attempt ended and answers with what it does next; the
//! sending and the waiting are the driver's. Three kinds of manners:
//!
//! | kind | share | after a refusal, a failure or a time-out |
//! |---|--:|---|
//! | people | 70 % | obey `Retry-After`; told nothing, they try again after 2–5 s |
//! | apps | 20 % | three retries a second apart whatever they are told, then like people |
//! | hammerers | 10 % | every 2 s, whatever they are told |
//!
//! Patience (40–80 s from arrival) ends retrying, not progress: whoever has just got through a step goes on to the
//! next. The betting-stop is not modelled here; nobody is told that it is too late.

use std::time::Duration;

use super::random::Random;
use super::{Product, Step};

mod crowd;

pub use crowd::{Crowd, Steady, burst, steady};

/// How long an attempt may take before the customer's side gives it up and closes the connection.
pub const TIME_OUT: Duration = Duration::from_secs(5);

/// How a customer takes a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Obeys `Retry-After`, otherwise tries again after a few seconds.
    Person,
    /// Three quick retries built in by a developer, then a person.
    App,
    /// Reload, reload, reload.
    Hammerer,
}

/// What the bet is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The event the false signal is about.
    Jackpot,
    /// Any other.
    Another,
}

/// Who a customer is and what it wants; drawn once.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Its number; attempt ids and the idempotency key derive from it.
    pub id: u64,
    /// Where it wants to bet.
    pub product: Product,
    /// On what.
    pub event: Event,
    /// Its manners.
    pub kind: Kind,
    /// When it arrives.
    pub arrives: Duration,
    /// How long after arriving it still retries.
    pub patience: Duration,
    /// Shortest and longest pause between two steps.
    pub think: (Duration, Duration),
}

/// One request of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Unique among all attempts of all customers.
    pub id: u64,
    /// What is asked.
    pub step: Step,
    /// Idempotency key, on bets: the same over all attempts at the bet.
    pub key: Option<u64>,
    /// When to send it.
    pub at: Duration,
}

/// How an attempt ended, as the customer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// What was asked for came back.
    Answered,
    /// An answer that says no, perhaps with a time to come back.
    Refused {
        /// `Retry-After`, if it was sent and understood.
        retry_after: Option<Duration>,
    },
    /// The connection could not be made or broke.
    Failed,
    /// Nothing came within [`TIME_OUT`].
    TimedOut,
}

/// What a customer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Sends this, when its time has come.
    Send(Attempt),
    /// Has its receipt and goes home.
    Finished,
    /// Has lost patience.
    GaveUp,
}

/// One customer on its journey.
#[derive(Debug, Clone)]
pub struct Customer {
    traits: Traits,
    step: Step,
    attempts: u64,
    /// Quick retries of this step so far; only apps make them.
    quick: u32,
    random: Random,
}

/// Attempt ids are the customer's number with this many bits of counter behind it.
const ATTEMPT_BITS: u32 = 12;
const QUICK_RETRIES: u32 = 3;
const QUICK_PAUSE: Duration = Duration::from_secs(1);
const HAMMER_PAUSE: Duration = Duration::from_secs(2);
const UNTOLD_PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5));

impl Customer {
    /// A customer before its first step.
    pub fn new(traits: Traits, seed: u64) -> Self {
        let random = Random::nth(seed ^ 0xC057, traits.id);
        Self { traits, step: Step::Odds, attempts: 0, quick: 0, random }
    }

    /// Who this is.
    pub fn traits(&self) -> &Traits {
        &self.traits
    }

    /// The first attempt, sent on arrival.
    pub fn begin(&mut self) -> Attempt {
        self.attempt(self.traits.arrives)
    }

    /// Tells how the last attempt ended; answers with what comes next. Once for each attempt.
    pub fn ended(&mut self, how: Ended, now: Duration) -> Next {
        if how == Ended::Answered {
            return self.go_on(now);
        }
        let at = now + self.pause(how);
        if at > self.traits.arrives + self.traits.patience {
            return Next::GaveUp;
        }
        Next::Send(self.attempt(at))
    }

    fn go_on(&mut self, now: Duration) -> Next {
        let Some(step) = self.step.next() else {
            return Next::Finished;
        };
        self.step = step;
        self.quick = 0;
        let think = self.random.between(self.traits.think.0, self.traits.think.1);
        Next::Send(self.attempt(now + think))
    }

    fn pause(&mut self, how: Ended) -> Duration {
        match self.traits.kind {
            Kind::Hammerer => HAMMER_PAUSE,
            Kind::App if self.quick < QUICK_RETRIES => {
                self.quick += 1;
                QUICK_PAUSE
            }
            Kind::App | Kind::Person => match how {
                Ended::Refused { retry_after: Some(told) } => told,
                _ => self.random.between(UNTOLD_PAUSE.0, UNTOLD_PAUSE.1),
            },
        }
    }

    fn attempt(&mut self, at: Duration) -> Attempt {
        let id = (self.traits.id << ATTEMPT_BITS) | self.attempts;
        self.attempts += 1;
        debug_assert!(self.attempts < 1 << ATTEMPT_BITS, "80 s of patience hold 80 attempts, not thousands");
        Attempt { id, step: self.step, key: (self.step == Step::Bet).then_some(self.traits.id), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn customer(kind: Kind) -> Customer {
        let traits = Traits {
            id: 9,
            product: Product::HorseRacing,
            event: Event::Jackpot,
            kind,
            arrives: secs(10),
            patience: secs(60),
            think: (Duration::from_millis(500), secs(1)),
        };
        let mut customer = Customer::new(traits, 1);
        assert_eq!(customer.begin().at, secs(10));
        customer
    }

    fn sent(next: Next) -> Attempt {
        match next {
            Next::Send(attempt) => attempt,
            other => panic!("expected another attempt, got {other:?}"),
        }
    }

    const TOLD: Ended = Ended::Refused { retry_after: Some(Duration::from_secs(7)) };

    #[test]
    fn the_journey_is_odds_login_bet_with_a_pause_between() {
        let mut customer = customer(Kind::Person);
        let login = sent(customer.ended(Ended::Answered, secs(11)));
        assert_eq!((login.step, login.key), (Step::Login, None));
        assert!((Duration::from_millis(11_500)..=secs(12)).contains(&login.at));
        let bet = sent(customer.ended(Ended::Answered, secs(13)));
        assert_eq!((bet.step, bet.key), (Step::Bet, Some(9)));
        assert_eq!(customer.ended(Ended::Answered, secs(14)), Next::Finished);
    }

    #[test]
    fn people_obey_retry_after_and_otherwise_wait_two_to_five_seconds() {
        let mut customer = customer(Kind::Person);
        assert_eq!(sent(customer.ended(TOLD, secs(11))).at, secs(18));
        for how in [Ended::Refused { retry_after: None }, Ended::Failed, Ended::TimedOut] {
            let at = sent(customer.ended(how, secs(20))).at;
            assert!((secs(22)..=secs(25)).contains(&at), "{how:?}: {at:?}");
        }
    }

    #[test]
    fn apps_retry_three_times_a_second_apart_then_obey_and_begin_anew_at_each_step() {
        let mut customer = customer(Kind::App);
        for now in [11, 12, 13] {
            assert_eq!(sent(customer.ended(TOLD, secs(now))).at, secs(now + 1));
        }
        assert_eq!(sent(customer.ended(TOLD, secs(14))).at, secs(21));
        sent(customer.ended(Ended::Answered, secs(21)));
        assert_eq!(sent(customer.ended(TOLD, secs(23))).at, secs(24));
    }

    #[test]
    fn hammerers_come_every_two_seconds_whatever_they_are_told() {
        let mut customer = customer(Kind::Hammerer);
        for how in [TOLD, Ended::Failed, Ended::TimedOut, TOLD, TOLD] {
            assert_eq!(sent(customer.ended(how, secs(20))).at, secs(22));
        }
    }

    #[test]
    fn patience_ends_retrying_but_not_progress() {
        let mut customer = customer(Kind::Person);
        let login = sent(customer.ended(Ended::Answered, secs(90)));
        assert_eq!(login.step, Step::Login);
        assert_eq!(customer.ended(TOLD, secs(91)), Next::GaveUp);
    }

    #[test]
    fn every_attempt_has_its_own_id_and_the_bet_keeps_its_key() {
        let mut customer = customer(Kind::Hammerer);
        customer.ended(Ended::Answered, secs(11));
        let mut bets = vec![sent(customer.ended(Ended::Answered, secs(12)))];
        for now in [15, 18, 21] {
            bets.push(sent(customer.ended(Ended::TimedOut, secs(now))));
        }
        assert!(bets.iter().all(|bet| bet.key == Some(9) && bet.id >> ATTEMPT_BITS == 9));
        assert!(bets.windows(2).all(|two| two[0].id < two[1].id));
    }
}
