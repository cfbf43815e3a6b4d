//! Who holds a pass, and who was promised a turn.
//!
//! An account that is let through to a step of a journey holds a pass, for as long as it goes on asking for such steps; an
//! address never does. Whoever holds none is promised a turn as soon as they wait, or are told when to come back: turns
//! are numbered, and kept until a while after the time told. A pass that is older than any may be goes with its holder's
//! next step, if turns are promised to others.
//!
//! Two things cannot be known from outside, and are the law's word where they matter: whether there was room to keep
//! something, once as much was put down as the law has room for, and how long a turn that is over counts as promised.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::House;
use super::books::{Asked, key};
use crate::admission::rank::Rank;
use crate::admission::settings::PassSettings;
use crate::admission::{Arrival, Class, Customer, Refusal, Timestamp};

/// What somebody has of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Neither a pass nor a turn.
    Nothing,
    /// A turn is kept for them.
    Turn,
    /// A pass, since then.
    Pass(Timestamp),
}

/// The passes and turns of a product.
#[derive(Debug)]
pub(super) struct Passes {
    settings: PassSettings,
    held: HashMap<Key, Held>,
    /// Until when each turn is kept.
    turns: BTreeSet<(Timestamp, Key)>,
    /// The number of the next turn.
    next: u64,
    /// What was ever put down.
    put: u64,
}

type Key = (u8, u64);

#[derive(Clone, Copy, Debug)]
struct Held {
    what: What,
    until: Timestamp,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Pass { since: Timestamp },
    Turn(u64),
}

/// How somebody stands who asks for a step of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Holder,
    Promised(u64),
    Stranger,
    /// They have held a pass, and nobody outside knows whether they do still.
    Unsure,
}

/// After all that were promised.
const LAST: u64 = u64::MAX;

impl Passes {
    pub(super) fn new(settings: PassSettings) -> Passes {
        Passes { settings, held: HashMap::new(), turns: BTreeSet::new(), next: 0, put: 0 }
    }

    /// `customer` asks for a step of a journey; the law counts so many turns that it has promised.
    fn standing(&mut self, customer: Customer, promised: u32, now: Timestamp) -> Standing {
        let others = self.turns.last().is_some_and(|(until, _)| *until > now);
        let longest = self.settings.longest;
        let Some(held) = self.held.get_mut(&key(customer)).filter(|held| held.until > now) else {
            return Standing::Stranger;
        };
        let since = match held.what {
            What::Turn(number) => return Standing::Promised(number),
            What::Pass { since } => since,
        };
        let too_long = now.since(since) >= longest;
        if too_long && others {
            self.held.remove(&key(customer));
            return Standing::Stranger;
        }
        held.until = now + self.settings.idle;
        if too_long && promised > 0 { Standing::Unsure } else { Standing::Holder }
    }

    /// `customer` is let through to a step of a journey.
    fn let_through(&mut self, customer: Customer, now: Timestamp) {
        let until = now + self.settings.idle;
        let held = self.of(customer, now);
        self.forget(customer);
        let since = match held.map(|held| held.what) {
            Some(What::Pass { since }) => since,
            _ => now,
        };
        self.put += u64::from(held.is_none());
        if matches!(customer, Customer::Account(_)) {
            self.held.insert(key(customer), Held { what: What::Pass { since }, until });
        }
    }

    /// The turn of `customer`, who has been told to come back after `wait`, or has joined a line: they have it still, or
    /// from now on. `None` when they hold a pass.
    fn promise(&mut self, customer: Customer, wait: Duration, now: Timestamp) -> Option<u64> {
        let (held, mut until) = (self.of(customer, now), now + wait + self.settings.hold);
        let number = match held.map(|held| held.what) {
            Some(What::Pass { .. }) => return None,
            Some(What::Turn(number)) => number,
            None => {
                self.next += 1;
                self.put += 1;
                self.next - 1
            }
        };
        until = held.map_or(until, |held| until.max(held.until));
        self.forget(customer);
        self.turns.insert((until, key(customer)));
        self.held.insert(key(customer), Held { what: What::Turn(number), until });
        Some(number)
    }

    /// Whether `customer` has lost the pass that they held, as far as the law keeps it no longer.
    fn lost_its_pass(&mut self, customer: Customer, kept: Kept, now: Timestamp) -> Option<()> {
        let What::Pass { since } = self.of(customer, now)?.what else { return None };
        (kept != Kept::Pass(since)).then(|| self.forget(customer))
    }

    /// Whether the law may have no room for one thing more: it need not clear away at once what is over.
    fn may_be_full(&self) -> bool {
        self.put >= u64::from(self.settings.most.get())
    }

    /// Turns that are kept for somebody.
    fn promised(&mut self, now: Timestamp) -> usize {
        while self.turns.first().is_some_and(|(until, _)| *until <= now) {
            self.turns.pop_first();
        }
        self.turns.len()
    }

    fn of(&self, customer: Customer, now: Timestamp) -> Option<Held> {
        self.held.get(&key(customer)).copied().filter(|held| held.until > now)
    }

    fn forget(&mut self, customer: Customer) {
        if let Some(held) = self.held.remove(&key(customer)) {
            self.turns.remove(&(held.until, key(customer)));
        }
    }
}

impl House {
    /// The line in which `arrival`, who comes now, belongs, and their turn in it. `None` when only the law knows.
    pub(super) fn asks(&mut self, arrival: &Arrival) -> Option<Asked> {
        let (now, product) = (self.report.now(), arrival.product.index());
        let near = self.nears_its_stop(arrival);
        let shown = self.shown.products[product].promised;
        let asked = match self.passes[product].as_mut().filter(|_| arrival.class.is_of_a_journey()) {
            None => Asked { rank: Rank::of(arrival.class), turn: 0 },
            Some(passes) => match passes.standing(arrival.customer, shown, now) {
                Standing::Holder => Asked { rank: Rank::of(arrival.class), turn: 0 },
                Standing::Promised(turn) => {
                    // One turn is one request's.
                    let taken = self.books.products[product].turns_here.contains(&turn);
                    Asked { rank: Rank::of_newcomer(arrival.class), turn: if taken { LAST } else { turn } }
                }
                Standing::Stranger => Asked { rank: Rank::of_newcomer(arrival.class), turn: LAST },
                Standing::Unsure => return None,
            },
        };
        Some(near.unwrap_or(asked))
    }

    /// Whether `arrival` comes from an address, others are here, and it has two requests here already and no fewer than
    /// the seats divided by all who are here.
    pub(super) fn has_its_part(&self, arrival: &Arrival) -> bool {
        let Arrival { product, class, customer, .. } = *arrival;
        let needs = &self.needs[product.index()][class.index()];
        let seats = needs.iter().map(|need| self.shown.resources[*need].limit).min().unwrap_or(1);
        let (mine, all) = (self.books.presence(customer).here, self.books.customers());
        let goes_last = matches!(customer, Customer::Address(_)) && !class.passes_in_every_state();
        goes_last && all > 1 && mine >= 2 && mine * all >= seats
    }

    /// The same, of whom only the law knew whether their pass was over; after it had its word, this is what it keeps.
    pub(super) fn asked_as_kept(&mut self, arrival: &Arrival, kept: Kept) -> Asked {
        let (now, near) = (self.report.now(), self.nears_its_stop(arrival));
        let passes = self.passes[arrival.product.index()].as_mut();
        let asked = match passes.and_then(|passes| passes.lost_its_pass(arrival.customer, kept, now)) {
            Some(()) => Asked { rank: Rank::of_newcomer(arrival.class), turn: LAST },
            None => Asked { rank: Rank::of(arrival.class), turn: 0 },
        };
        near.unwrap_or(asked)
    }

    /// Whether it is the law's word that tells if something is kept for somebody.
    pub(super) fn may_have_no_room(&self, product: usize) -> bool {
        self.passes[product].as_ref().is_some_and(Passes::may_be_full)
    }

    /// Somebody is let through, as one of `class`.
    pub(super) fn takes_a_step(&mut self, arrival: &Arrival, class: Class) {
        let (now, kept) = (self.report.now(), self.kept);
        let passes = self.passes[arrival.product.index()].as_mut().filter(|_| class.is_of_a_journey());
        if let Some(passes) = passes {
            passes.let_through(arrival.customer, now);
            if kept == Some(Kept::Nothing) {
                passes.forget(arrival.customer);
            }
        }
    }

    /// Somebody waits from now on: the turn they have in their line.
    pub(super) fn turn_of_who_waits(&mut self, arrival: &Arrival, asked: Asked) -> u64 {
        if !asked.rank.is_newcomers() {
            return asked.turn;
        }
        let turn = self.promises(arrival, Duration::ZERO).unwrap_or(LAST);
        let taken = self.books.products[arrival.product.index()].turns_here.contains(&turn);
        if taken { LAST } else { turn }
    }

    /// Whether a turn is kept for somebody of `rank` who is told no.
    pub(super) fn keeps_a_turn(&mut self, arrival: &Arrival, rank: Rank, refusal: Refusal, wait: Duration) -> bool {
        let comes_back = !matches!(
            refusal,
            Refusal::OverCustomerShare | Refusal::EventClosed | Refusal::PastBettingStop | Refusal::StopTooNear
        );
        rank.is_newcomers() && comes_back && self.promises(arrival, wait).is_some()
    }

    fn promises(&mut self, arrival: &Arrival, wait: Duration) -> Option<u64> {
        let (now, kept) = (self.report.now(), self.kept);
        let passes = self.passes[arrival.product.index()].as_mut()?;
        let turn = passes.promise(arrival.customer, wait, now)?;
        if kept == Some(Kept::Nothing) {
            passes.forget(arrival.customer);
            return None;
        }
        Some(turn)
    }

    /// No promised turn is forgotten.
    pub(super) fn check_turns(&mut self) {
        let now = self.report.now();
        for (product, passes) in self.passes.iter_mut().enumerate() {
            let Some(passes) = passes.as_mut().filter(|passes| !passes.may_be_full()) else { continue };
            let (shown, promised) = (self.shown.products[product].promised, passes.promised(now));
            if (shown as usize) < promised {
                self.report.add(
                    "turns",
                    format_args!("product {product} counts {shown} turns that are promised, {promised} are kept"),
                );
            }
        }
    }
}
