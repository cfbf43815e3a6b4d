//! Bets exactly once: whether a bet is asked for the first time, and what it hears otherwise.
//!
//! A bet is known by a number that the driver makes of product, customer and idempotency key, and is held against what it
//! was the first time. It is *in flight* from the first [`Verdict::First`] until its [`Token`] is settled, then *answered*,
//! or *unknown* when it was sent and its answer was lost. What was never sent is forgotten at once, as if it had never
//! been asked for.
//!
//! What it promises, for as long as a bet is kept: `First` is said once, and again only after what was never sent, or for
//! an unknown bet whose backend honours the key. Who hears `First` for such a one is told so by [`Token::is_unknown`]: of
//! that bet nobody may say that it was not placed, whatever becomes of the second try.
//!
//! There is room for so many bets, and for so many bytes of answers. When the bytes are used up the oldest answers go and
//! their bets stay, *answered*; when the bets are, the oldest goes that is answered, or unknown to a backend that honours
//! its key: sending it again does harm only if its customer asks again after all. In flight and unknown ones never make
//! room; with nothing else there, nobody new is taken ([`Verdict::Full`]). [`Once::take_forgotten`] tells what had to go.
//!
//! No call does more than a few steps of logarithmic length, but for answers that go to make room for a larger one.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use super::Timestamp;

/// What is known of bets. `W` is what duplicates of a bet in flight wait on, `A` a copy of an answer.
#[derive(Debug)]
pub struct Once<W, A> {
    bounds: Bounds,
    bets: BTreeMap<u64, Known<W, A>>,
    /// Settled bets by the serial number of their settling, so the oldest first: those that may make room for others...
    spare: BTreeMap<u64, u64>,
    /// ...those that may not, and of the former those that hold an answer.
    unknown: BTreeMap<u64, u64>,
    copies: BTreeMap<u64, u64>,
    bytes: usize,
    serial: u64,
    forgotten: Forgotten,
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bets.
    pub bets: usize,
    /// The most bytes of answers.
    pub bytes: usize,
    /// How long a bet is kept after it was settled.
    pub keep: Duration,
}

/// A bet, as numbers that the driver made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bet {
    /// Of product, customer and idempotency key.
    pub key: u64,
    /// Of what else must be equal, such as method and target.
    pub request: u64,
    /// Of the body, where it is there as a whole.
    pub body: Option<u64>,
    /// Whether its backend honours the key, so that an unknown one may be sent again.
    pub honoured: bool,
}

/// What a bet hears.
#[derive(Debug)]
#[must_use = "a token that is dropped leaves its bet in flight for ever: give it back with Once::settle"]
pub enum Verdict<W, A> {
    /// Go on, and settle this.
    First(Token),
    /// The same bet is in flight: wait on this, then ask again.
    InFlight(W),
    /// It was answered; nothing when the answer was not kept.
    Answered(Option<A>),
    /// It was sent and its answer was lost: do not send it again.
    Unknown,
    /// The key stands for another bet.
    Reused,
    /// Nothing is known of it, and there is no room to know it.
    Full,
}

/// Leave to send a bet. It can be neither copied nor made up, so each leave is settled at most once.
#[derive(Debug)]
#[must_use = "give it back with Once::settle"]
pub struct Token {
    key: u64,
    unknown: bool,
}

/// How the sending of a bet ended.
#[derive(Debug)]
pub enum Settled<A> {
    /// No byte of it has left, or the backend says that it did nothing and is to be asked again.
    Unsent,
    /// It was answered; with a copy and its bytes if it is small enough to be kept.
    Answered(Option<(A, usize)>),
    /// It was sent, or may have been, and nobody knows what came of it.
    Lost,
}

/// What made room for others before its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Bets: one that is asked for again is sent again.
    pub bets: u64,
    /// Answers: whoever asks again hears that there was one.
    pub answers: u64,
}

/// What one driver knows of a bet, for another that goes on where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed<A> {
    /// It is in flight there, which will tell what came of it.
    InFlight,
    /// It was answered, and is kept for so long still; with a copy and its bytes.
    Answered(Duration, Option<(A, usize)>),
    /// Nobody knows what came of it, for so long still.
    Unknown(Duration),
}

#[derive(Debug)]
struct Known<W, A> {
    bet: Bet,
    state: State<W, A>,
}

#[derive(Debug)]
enum State<W, A> {
    InFlight(W),
    Answered { serial: u64, until: Timestamp, copy: Option<(A, usize)> },
    Unknown { serial: u64, until: Timestamp },
}

/// Bets of each kind that are looked through at once for those whose time is over: more than one comes in between.
const EXPIRED_AT_ONCE: usize = 4;

impl Token {
    /// Whether it was sent before, with an answer that was lost.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// The bet it is for.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The same for a bet that was unknown when it was sent again, as whoever sent it says.
    pub fn of_unknown(self, unknown: bool) -> Token {
        Token { unknown: self.unknown || unknown, ..self }
    }
}

impl<W: Clone, A: Clone> Once<W, A> {
    /// Nothing is known yet.
    pub fn new(bounds: Bounds) -> Once<W, A> {
        Once {
            bounds,
            bets: BTreeMap::new(),
            spare: BTreeMap::new(),
            unknown: BTreeMap::new(),
            copies: BTreeMap::new(),
            bytes: 0,
            serial: 0,
            forgotten: Forgotten::default(),
        }
    }

    /// Other bounds, for what is settled from now on. More bets than there may be are forgotten one by one, as others come.
    pub fn reform(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.make_room_for_answers();
    }

    /// A bet is asked for. `waiting` makes what its duplicates wait on, if it is the first.
    pub fn ask(&mut self, bet: Bet, now: Timestamp, waiting: impl FnOnce() -> W) -> Verdict<W, A> {
        self.expire(now);
        self.remove_if_over(bet.key, now);
        let Some(known) = self.bets.get_mut(&bet.key) else {
            return self.first(bet, waiting);
        };
        if !known.bet.may_be(&bet) {
            return Verdict::Reused;
        }
        match &known.state {
            State::InFlight(waiting) => Verdict::InFlight(waiting.clone()),
            State::Answered { copy, .. } => Verdict::Answered(copy.as_ref().map(|(answer, _)| answer.clone())),
            State::Unknown { .. } if !bet.honoured => Verdict::Unknown,
            State::Unknown { serial, .. } => {
                let (spare, unknown) = (self.spare.remove(serial), self.unknown.remove(serial));
                debug_assert!(spare.is_some() != unknown.is_some());
                *known = Known { bet, state: State::InFlight(waiting()) };
                Verdict::First(Token { key: bet.key, unknown: true })
            }
        }
    }

    /// Whether something is known of a bet, so that nobody may say that it was not placed.
    pub fn knows(&mut self, key: u64, now: Timestamp) -> bool {
        self.expire(now);
        self.remove_if_over(key, now);
        self.bets.contains_key(&key)
    }

    /// The bet of `token` has ended. Tell those who wait on it afterwards: they may ask again at once.
    pub fn settle(&mut self, token: Token, how: Settled<A>, now: Timestamp) {
        let until = now + self.bounds.keep;
        self.settle_until(token, how, until);
    }

    fn settle_until(&mut self, token: Token, how: Settled<A>, until: Timestamp) {
        let Token { key, unknown } = token;
        let Some(known) = self.bets.get_mut(&key) else { return };
        debug_assert!(matches!(known.state, State::InFlight(_)), "only a bet in flight has a token");
        let serial = self.serial;
        self.serial += 1;
        match how {
            Settled::Unsent if !unknown => {
                self.bets.remove(&key);
            }
            Settled::Unsent | Settled::Lost => {
                known.state = State::Unknown { serial, until };
                let order = if known.bet.honoured { &mut self.spare } else { &mut self.unknown };
                order.insert(serial, key);
            }
            Settled::Answered(copy) => {
                let copy = copy.filter(|(_, bytes)| *bytes <= self.bounds.bytes);
                if let Some((_, bytes)) = &copy {
                    self.bytes += bytes;
                    self.copies.insert(serial, key);
                }
                known.state = State::Answered { serial, until, copy };
                self.spare.insert(serial, key);
                self.make_room_for_answers();
            }
        }
    }

    /// All that is known: bets in flight, then the others as they were settled.
    pub fn to_hand_over(&self, now: Timestamp) -> Vec<(Bet, Handed<A>)> {
        let mut all: Vec<_> = self.bets.values().filter(|known| !known.is_over(now)).collect();
        all.sort_unstable_by_key(|known| known.state.serial());
        let handed = |known: &Known<W, A>| match &known.state {
            State::InFlight(_) => Handed::InFlight,
            State::Answered { until, copy, .. } => Handed::Answered(until.since(now), copy.clone()),
            State::Unknown { until, .. } => Handed::Unknown(until.since(now)),
        };
        all.into_iter().map(|known| (known.bet, handed(known))).collect()
    }

    /// Another driver knew this, and tells in its order all that it [knows](Once::to_hand_over). Of a bet in flight there
    /// the token comes back, to be settled as it ends there. What was known here already stands; for what is in flight
    /// there is room whatever the bounds say.
    pub fn take_over(
        &mut self,
        bet: Bet,
        handed: Handed<A>,
        now: Timestamp,
        waiting: impl FnOnce() -> W,
    ) -> Option<Token> {
        if self.bets.contains_key(&bet.key) {
            return None;
        }
        if self.bets.len() >= self.bounds.bets {
            self.forget_oldest();
        }
        self.bets.insert(bet.key, Known { bet, state: State::InFlight(waiting()) });
        let token = Token { key: bet.key, unknown: false };
        let until = |left: Duration| now + left.min(self.bounds.keep);
        let (how, until) = match handed {
            Handed::InFlight => return Some(token),
            Handed::Answered(left, copy) => (Settled::Answered(copy), until(left)),
            Handed::Unknown(left) => (Settled::Lost, until(left)),
        };
        self.settle_until(token, how, until);
        None
    }

    /// What made room for others since this was last asked.
    pub fn take_forgotten(&mut self) -> Forgotten {
        mem::take(&mut self.forgotten)
    }

    /// How many bets are known.
    pub fn len(&self) -> usize {
        self.bets.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.bets.is_empty()
    }

    /// How many of them are unknown, and keep their room whatever comes.
    pub fn unknown(&self) -> usize {
        self.unknown.len()
    }

    /// Bytes of the answers that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn first(&mut self, bet: Bet, waiting: impl FnOnce() -> W) -> Verdict<W, A> {
        if self.bets.len() >= self.bounds.bets && !self.forget_oldest() {
            return Verdict::Full;
        }
        self.bets.insert(bet.key, Known { bet, state: State::InFlight(waiting()) });
        Verdict::First(Token { key: bet.key, unknown: false })
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key)) = self.spare.first_key_value() else { return false };
        self.forgotten.bets += 1;
        self.remove(*key);
        true
    }

    fn make_room_for_answers(&mut self) {
        while self.bytes > self.bounds.bytes {
            let Some((_, key)) = self.copies.pop_first() else { return };
            let known = self.bets.get_mut(&key).expect("an answer is kept with its bet");
            if let State::Answered { copy, .. } = &mut known.state {
                self.bytes -= copy.take().map_or(0, |(_, bytes)| bytes);
                self.forgotten.answers += 1;
            }
        }
    }

    /// All are kept for as long, so the first to be settled is the first whose time is over.
    fn expire(&mut self, now: Timestamp) {
        for _ in 0..EXPIRED_AT_ONCE {
            let oldest = [&self.spare, &self.unknown].map(|order| order.first_key_value().map(|(_, key)| *key));
            for key in oldest.into_iter().flatten() {
                self.remove_if_over(key, now);
            }
        }
    }

    fn remove_if_over(&mut self, key: u64, now: Timestamp) {
        if self.bets.get(&key).is_some_and(|known| known.is_over(now)) {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: u64) {
        let Some(Known { state, .. }) = self.bets.remove(&key) else { return };
        let (State::Answered { serial, .. } | State::Unknown { serial, .. }) = state else { return };
        self.spare.remove(&serial);
        self.unknown.remove(&serial);
        self.copies.remove(&serial);
        if let State::Answered { copy: Some((_, bytes)), .. } = state {
            self.bytes -= bytes;
        }
    }
}

impl Bet {
    /// Whether nothing tells the two apart.
    fn may_be(&self, other: &Bet) -> bool {
        let bodies_differ = self.body.zip(other.body).is_some_and(|(one, other)| one != other);
        self.request == other.request && !bodies_differ
    }
}

impl<W, A> State<W, A> {
    /// When it was settled, among others; nothing while it is in flight.
    fn serial(&self) -> Option<u64> {
        match self {
            State::InFlight(_) => None,
            State::Answered { serial, .. } | State::Unknown { serial, .. } => Some(*serial),
        }
    }
}

impl<W, A> Known<W, A> {
    fn is_over(&self, now: Timestamp) -> bool {
        match self.state {
            State::InFlight(_) => false,
            State::Answered { until, .. } | State::Unknown { until, .. } => until <= now,
        }
    }
}

#[cfg(test)]
mod tests;
