//! Tickets of TLS sessions, sealed with keys that the process that follows can be given: those of rustls stay where they were
//! drawn, and every client would shake hands in full after an upgrade, all at once.
//!
//! A key seals for six hours and opens for twelve, as rustls has it, so that what was recorded can be read by whoever
//! steals the key of one half of a day and no other. The next process draws the next key by itself.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};

/// Makes and opens tickets, for all workers.
pub(super) struct Tickets(Mutex<Turning>);

/// A key and the one before it.
struct Turning {
    now: Arc<Seal>,
    before: Option<Arc<Seal>>,
    since: Instant,
}

struct Seal {
    written: TicketKey,
    key: LessSafeKey,
}

/// The keys of a process, for the one that follows.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TicketKeys {
    now: TicketKey,
    before: Option<TicketKey>,
    /// How long ago the first was drawn.
    age_s: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct TicketKey {
    /// Stands in front of its tickets.
    name: [u8; NAME],
    secret: [u8; 32],
}

const NAME: usize = 16;
const SEALS_FOR: Duration = Duration::from_secs(6 * 3600);

impl Tickets {
    /// With keys of its own.
    pub(super) fn new() -> Arc<Tickets> {
        let now = Arc::new(Seal::draw().expect("the system has random numbers"));
        Arc::new(Tickets(Mutex::new(Turning { now, before: None, since: Instant::now() })))
    }

    /// With those of the process before this one.
    pub(super) fn of(keys: &TicketKeys) -> Arc<Tickets> {
        let age = Duration::from_secs(keys.age_s);
        // Too old for this machine's clock is old enough to be replaced.
        let since = Instant::now().checked_sub(age.min(SEALS_FOR)).unwrap_or_else(Instant::now);
        let seal = |key: &TicketKey| Arc::new(Seal::of(key.clone()));
        Arc::new(Tickets(Mutex::new(Turning { now: seal(&keys.now), before: keys.before.as_ref().map(seal), since })))
    }

    /// What is handed over.
    pub(super) fn keys(&self) -> TicketKeys {
        let turning = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        TicketKeys {
            now: turning.now.written.clone(),
            before: turning.before.as_ref().map(|seal| seal.written.clone()),
            age_s: turning.since.elapsed().as_secs(),
        }
    }

    /// The key that seals now, and the one before it.
    fn seals(&self) -> (Arc<Seal>, Option<Arc<Seal>>) {
        let mut turning = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turning.turn(Instant::now());
        (turning.now.clone(), turning.before.clone())
    }
}

impl Turning {
    fn turn(&mut self, now: Instant) {
        let age = now.duration_since(self.since);
        if age < SEALS_FOR {
            return;
        }
        // Without a random number the old key goes on, which is better than none.
        let Some(next) = Seal::draw() else { return };
        let last = mem::replace(&mut self.now, Arc::new(next));
        self.before = (age < 2 * SEALS_FOR).then_some(last);
        self.since = now;
    }
}

impl Seal {
    fn draw() -> Option<Seal> {
        let (mut name, mut secret, random) = ([0; NAME], [0; 32], SystemRandom::new());
        random.fill(&mut name).and_then(|()| random.fill(&mut secret)).ok()?;
        Some(Seal::of(TicketKey { name, secret }))
    }

    fn of(written: TicketKey) -> Seal {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &written.secret).expect("it has the length of this cipher's");
        Seal { written, key: LessSafeKey::new(key) }
    }

    /// Name, nonce, what is sealed.
    fn close(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        // A number that counts would tell clients how many there are.
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = message.to_vec();
        let name = Aad::from(self.written.name);
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), name, &mut sealed).ok()?;
        Some([&self.written.name[..], &nonce, &sealed].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let sealed = ticket.strip_prefix(&self.written.name)?;
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let mut sealed = sealed.to_vec();
        let name = Aad::from(self.written.name);
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), name, &mut sealed).ok()?;
        Some(opened.to_vec())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        2 * SEALS_FOR.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seals().0.close(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (now, before) = self.seals();
        now.open(cipher).or_else(|| before?.open(cipher))
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(tickets: &Tickets, by: Duration) {
        let mut turning = tickets.0.lock().expect("nobody panics");
        turning.since = turning.since.checked_sub(by).expect("the machine has run for longer than an hour");
    }

    #[test]
    fn a_ticket_is_opened_by_who_made_it_and_by_who_has_the_keys() {
        let tickets = Tickets::new();
        let ticket = tickets.encrypt(b"a session").expect("a ticket");
        let next = Tickets::of(&tickets.keys());
        for maker in [&tickets, &next] {
            assert_eq!(maker.decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
            assert!(Tickets::new().decrypt(&maker.encrypt(b"another").expect("a ticket")).is_none());
        }
        let mut forged = ticket.clone();
        *forged.last_mut().expect("not empty") ^= 1;
        assert!(tickets.decrypt(&forged).is_none() && tickets.decrypt(&ticket[..20]).is_none());
    }

    #[test]
    fn keys_turn_and_the_last_but_one_opens_nothing() {
        let mut turning = Turning { now: Arc::new(Seal::draw().expect("random")), before: None, since: Instant::now() };
        let ticket = turning.now.close(b"a session").expect("a ticket");
        let opens =
            |turning: &Turning| turning.now.open(&ticket).or_else(|| turning.before.as_ref()?.open(&ticket)).is_some();
        let begun = turning.since;
        turning.turn(begun + SEALS_FOR - Duration::from_secs(1));
        assert!(turning.before.is_none());
        turning.turn(begun + SEALS_FOR);
        assert!(turning.before.is_some() && opens(&turning));
        turning.turn(begun + 2 * SEALS_FOR);
        assert!(!opens(&turning));
        // Nobody asked for a day.
        let last = turning.now.clone();
        turning.turn(begun + 8 * SEALS_FOR);
        assert!(turning.before.is_none() && turning.now.written.name != last.written.name);
    }

    #[test]
    fn keys_that_are_handed_over_are_as_old_as_they_were() {
        let tickets = Tickets::new();
        aged(&tickets, Duration::from_secs(1000));
        assert!((1000..1100).contains(&tickets.keys().age_s));
        assert!((1000..1100).contains(&Tickets::of(&tickets.keys()).keys().age_s));
    }
}
