//! Who may go on, and who has been promised a turn.
//!
//! Refusing half of all requests lets one in thirty of five-step journeys through; admitting half of all customers lets
//! half of them through. So whoever has been let through to a step of a journey holds a *pass* from then on, and their
//! next steps go before those who hold none. A pass is renewed by the steps of a journey only, ends when its customer has
//! been idle, and lasts no longer than a bound while others wait, or whoever plays on for ever would hold the door for
//! ever. Passes are kept while all is well too, so that at the moment of a closure it is known who is mid-journey.
//!
//! New passes are handed out on free seats: to whom a seat is free for that nobody with a pass asks for. No number of
//! passes is aimed at, so a wrong guess of what a pass uses cannot leave seats empty
//! (`docs/decisions/0014-passes-on-free-seats.md`).
//!
//! Whoever has to be sent away without a pass is told when to come back, and their turn is kept meanwhile: turns are
//! [numbered](turns), those who wait at the door go in the order of their numbers, and the time told is how long those
//! with lower numbers will take, at the pace at which new customers are let in. So who comes back as told loses nothing
//! to who tries again every half second, and who stays away holds nobody up.

mod book;
mod pace;
mod turns;

use std::num::NonZeroU32;
use std::time::Duration;

use super::random::Random;
use super::{Customer, Timestamp};
pub(crate) use book::Holding;
use book::{Book, Entry, Swept};
use pace::Pace;
use turns::Turns;

/// How long passes and promised turns are kept.
#[derive(Clone, Debug)]
pub struct PassSettings {
    /// A pass ends when its customer has taken no step of a journey for so long. Shorter than people think about a bet,
    /// they lose their place in the middle of it.
    pub idle: Duration,
    /// The longest life of a pass while others wait; then its customer has to wait like everybody.
    pub longest: Duration,
    /// How long after the time told a promised turn is kept for who does not come.
    pub hold: Duration,
    /// The most customers whose passes and turns are kept; who comes on top of them has neither. 100 bytes each.
    pub most: NonZeroU32,
}

impl Default for PassSettings {
    fn default() -> Self {
        PassSettings {
            idle: Duration::from_secs(600),
            longest: Duration::from_secs(1800),
            hold: Duration::from_secs(120),
            most: const { NonZeroU32::new(100_000).unwrap() },
        }
    }
}

/// The passes and promised turns of a product.
#[derive(Debug)]
pub(crate) struct Passes {
    settings: PassSettings,
    book: Book,
    turns: Turns,
    pace: Pace,
    held: u32,
}

/// What somebody holds at one driver, for another that goes on where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who, as a number that both drivers make of them.
    pub who: u64,
    /// The number of their turn; none where they hold a pass.
    pub turn: Option<u64>,
    /// For how long they have held their pass; nothing where it is a turn.
    pub for_so_long: Duration,
    /// For how long they hold it still, unless they renew it.
    pub left: Duration,
}

/// How somebody stands who asks for a step of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They hold a pass.
    Holder,
    /// They hold none, but have been promised a turn: the lower the number, the earlier.
    Promised(u64),
    /// Nobody knows them.
    Stranger,
}

/// The turn of who has none.
pub(crate) const BEHIND_EVERYBODY: u64 = u64::MAX;
/// The most of what has ended that one call clears away.
const SWEEP: usize = 32;

impl Passes {
    pub(crate) fn new(settings: PassSettings, now: Timestamp) -> Passes {
        let book = Book::new(settings.most.get() as usize, now);
        Passes { settings, book, turns: Turns::default(), pace: Pace::new(now), held: 0 }
    }

    /// Other terms, for passes and turns that are held already as soon as they are renewed.
    pub(crate) fn reform(&mut self, settings: PassSettings) {
        self.book.has_room_for(settings.most.get() as usize);
        self.settings = settings;
    }

    /// Passes held now.
    pub(crate) fn held(&self) -> u32 {
        self.held
    }

    /// Customers who were promised a turn and have not had it yet.
    pub(crate) fn promised(&self) -> u32 {
        self.turns.len()
    }

    /// What was last put down for `customer`, to look at: it may be over.
    pub(crate) fn holding(&self, customer: Customer) -> Option<Holding> {
        self.book.get(key(customer)).map(|entry| entry.holding)
    }

    /// How `customer` stands. Who asks for a step of a journey shows that they are there still.
    pub(crate) fn standing(&mut self, customer: Customer, now: Timestamp) -> Standing {
        self.sweep(now);
        let Some(entry) = self.book.get_mut(key(customer), now) else { return Standing::Stranger };
        match entry.holding {
            Holding::Turn { number, here } => {
                // One turn is one request's: what else they ask comes behind everybody.
                if here { Standing::Stranger } else { Standing::Promised(number) }
            }
            Holding::Pass { since } if self.turns.len() > 0 && now.since(since) >= self.settings.longest => {
                self.book.remove(key(customer));
                self.held -= 1;
                Standing::Stranger
            }
            Holding::Pass { .. } => {
                entry.until = now + self.settings.idle;
                Standing::Holder
            }
        }
    }

    /// `customer` has been let through to a step of a journey: they hold a pass from now on, or still. An address, which
    /// many may share, gets none, but its turn is over.
    pub(crate) fn let_through(&mut self, customer: Customer, now: Timestamp) {
        self.pace.step(now);
        self.has_begun(customer, now);
    }

    /// `customer` holds a pass from now on, or still; where many may be behind a name, its turn is over.
    pub(crate) fn has_begun(&mut self, customer: Customer, now: Timestamp) {
        let until = now + self.settings.idle;
        let pass = Holding::Pass { since: now };
        if let Some(entry) = self.book.get_mut(key(customer), now) {
            match entry.holding {
                Holding::Pass { .. } => return entry.until = until,
                Holding::Turn { number, .. } => {
                    (entry.holding, entry.until) = (pass, until);
                    self.turns.had(number);
                }
            }
            if !may_hold(customer) {
                self.book.remove(key(customer));
            }
        } else if may_hold(customer) && !self.book.put(key(customer), pass, until) {
            return;
        }
        self.held += u32::from(may_hold(customer));
        self.pace.pass();
    }

    /// The turn that is kept for `customer` from now on, or was before; `None` when no more are kept.
    pub(crate) fn promise(&mut self, customer: Customer, now: Timestamp) -> Option<u64> {
        if let Some(entry) = self.book.get_mut(key(customer), now) {
            return match entry.holding {
                Holding::Turn { number, .. } => Some(number),
                Holding::Pass { .. } => None,
            };
        }
        let turn = Holding::Turn { number: self.turns.next(), here: false };
        let kept = self.book.put(key(customer), turn, now + self.settings.hold);
        kept.then(|| self.turns.join())
    }

    /// A request of `customer` joins a line. Its turn there is the one that is kept for them, unless another request of
    /// theirs has it; then, and where no more are kept, it comes behind everybody.
    pub(crate) fn joins(&mut self, customer: Customer, now: Timestamp) -> u64 {
        let promised = self.promise(customer, now);
        let Some(Holding::Turn { here, .. }) = self.book.get_mut(key(customer), now).map(|entry| &mut entry.holding)
        else {
            return BEHIND_EVERYBODY;
        };
        let others = std::mem::replace(here, true);
        promised.filter(|_| !others).unwrap_or(BEHIND_EVERYBODY)
    }

    /// The request of `customer` that had this turn is out of the line, without having been let through.
    pub(crate) fn left(&mut self, customer: Customer, turn: u64, now: Timestamp) {
        if let Some(entry) = self.book.get_mut(key(customer), now)
            && let Holding::Turn { number, here } = &mut entry.holding
            && *number == turn
        {
            *here = false;
        }
    }

    /// `customer` has been told to come back after `wait`, which is told in whole seconds, or to wait here: their turn is
    /// kept until then, and a while longer.
    pub(crate) fn told(&mut self, customer: Customer, wait: Duration, now: Timestamp) {
        let whole = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let until = now + whole + self.settings.hold;
        if let Some(entry) = self.book.get_mut(key(customer), now) {
            entry.until = entry.until.max(until);
        }
    }

    /// New customers a second who can be let in for long; 0 while nothing passes.
    pub(crate) fn customers_per_s(&mut self, now: Timestamp) -> f64 {
        self.pace.customers_per_s(now)
    }

    /// How long it takes until the turn of `number` has come, as far as can be told; `None` while nothing passes.
    pub(crate) fn wait(&mut self, number: u64, now: Timestamp) -> Option<Duration> {
        let per_s = self.customers_per_s(now);
        let ahead = self.turns.ahead(number) * self.turns.who_come();
        (per_s > 0.0).then(|| Duration::from_secs_f64((ahead / per_s).min(LONGEST_WAIT_S)))
    }

    /// Whoever was known as `from` is known as `to` from now on: of two passes the elder counts, of two turns the earlier,
    /// and a pass more than a turn. What an address was promised stays its own, for whoever else is behind it.
    pub(crate) fn becomes(&mut self, from: Customer, to: Customer, now: Timestamp) {
        let Some((holding, until)) = self.book.get_mut(key(from), now).map(|entry| (entry.holding, entry.until)) else {
            return;
        };
        if key(from) == key(to) || !may_hold(from) {
            return;
        }
        self.book.remove(key(from));
        // A request that waits under the old name is not found under the new.
        let holding = match holding {
            Holding::Turn { number, .. } => Holding::Turn { number, here: false },
            pass @ Holding::Pass { .. } => pass,
        };
        self.keep(key(to), holding, until, now);
    }

    /// The number of the next turn that will be promised.
    pub(crate) fn next_turn(&self) -> u64 {
        self.turns.next()
    }

    /// Nobody has been promised anything, and turns are numbered from here on: those before are promised elsewhere.
    pub(crate) fn turns_begin_at(&mut self, number: u64) {
        self.turns = Turns::beginning_at(number);
    }

    /// All that is held.
    pub(crate) fn to_hand_over(&self, now: Timestamp) -> Vec<Held> {
        let held = |entry: &Entry| {
            let (turn, for_so_long) = match entry.holding {
                Holding::Pass { since } => (None, now.since(since)),
                Holding::Turn { number, .. } => (Some(number), Duration::ZERO),
            };
            Held { who: entry.key(), turn, for_so_long, left: entry.until.since(now) }
        };
        self.book.all(now).map(held).collect()
    }

    /// Another driver has promised this, and here it is kept: beside what is held here, what counts more.
    pub(crate) fn take_over(&mut self, held: Held, now: Timestamp) {
        let holding = match held.turn {
            None => Holding::Pass { since: now - held.for_so_long },
            Some(number) if self.turns.insert(number) => Holding::Turn { number, here: false },
            Some(_) => return,
        };
        self.held += u32::from(held.turn.is_none());
        self.keep(held.who, holding, now + held.left, now);
    }

    /// Of what `key` holds and this, keep what counts more.
    fn keep(&mut self, key: u64, holding: Holding, until: Timestamp, now: Timestamp) {
        let lost = if let Some(entry) = self.book.get_mut(key, now) {
            entry.until = entry.until.max(until);
            let keep = holding.counts_more_than(entry.holding);
            if keep { std::mem::replace(&mut entry.holding, holding) } else { holding }
        } else if self.book.put(key, holding, until) {
            return;
        } else {
            holding
        };
        self.ended(lost);
    }

    fn ended(&mut self, holding: Holding) {
        match holding {
            Holding::Pass { .. } => self.held -= 1,
            Holding::Turn { number, .. } => self.turns.left(number),
        }
    }

    /// Clear away some of what has ended.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.book.sweep(now) {
                Swept::Nothing => return,
                Swept::Kept => {}
                Swept::Ended(Holding::Pass { .. }) => self.held -= 1,
                Swept::Ended(Holding::Turn { number, .. }) => self.turns.lapsed(number),
            }
        }
    }
}

/// Longer than anybody is told to wait.
const LONGEST_WAIT_S: f64 = 86_400.0;

/// When somebody who has so long to wait is told to come back: not all at the same moment. Who comes a little early waits
/// at the door, and in the place of who comes a little late another goes.
pub(crate) fn come_back(wait: Duration, random: &mut Random) -> Duration {
    random.between(wait - wait / 20, wait + wait / 20)
}

/// Whether one customer, and no more, is behind this.
fn may_hold(customer: Customer) -> bool {
    matches!(customer, Customer::Account(_))
}

/// Customers as the book knows them: of an account and an address that are the same number it keeps both.
fn key(customer: Customer) -> u64 {
    match customer {
        Customer::Account(key) => key,
        Customer::Address(key) => key.rotate_left(32) ^ 0x9E37_79B9_7F4A_7C15,
        Customer::Machine(number) => u64::from(number) ^ 0xD1B5_4A32_D192_ED03,
    }
}

#[cfg(test)]
mod tests;
