//! Who may go on, whose turn is kept, and where it is in a line.

use std::collections::HashMap;

use super::super::super::super::rank::Rank;
use super::super::super::super::settings::PassSettings;
use super::model::{Model, who};
use super::*;

/// The line in which somebody belongs, and their turn in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) rank: Rank,
    pub(super) turn: u64,
}

/// A customer, as [`who`] knows them.
type Key = (u8, u64);

const ACCOUNT: u8 = 0;

/// What customers of one product have: a pass, or the turn of this number, until then. Here nobody holds a pass for too
/// long, and there is room for all.
pub(super) struct Journeys {
    settings: PassSettings,
    has: HashMap<Key, (Option<u64>, Timestamp)>,
    next: u64,
}

impl Journeys {
    pub(super) fn new(settings: PassSettings) -> Journeys {
        Journeys { settings, has: HashMap::new(), next: 0 }
    }

    fn of(&self, customer: Key, now: Timestamp) -> Option<(Option<u64>, Timestamp)> {
        self.has.get(&customer).copied().filter(|(_, until)| *until > now)
    }

    /// Somebody is let through to a step.
    pub(super) fn goes(&mut self, customer: Key, now: Timestamp) {
        self.has.remove(&customer);
        if customer.0 == ACCOUNT {
            self.has.insert(customer, (None, now + self.settings.idle));
        }
    }

    /// The turn of somebody who is told to wait, or to come back so much later; nobody's who holds a pass.
    fn keeps(&mut self, customer: Key, wait: Duration, now: Timestamp) -> Option<u64> {
        let until = now + Duration::from_secs(wait.as_nanos().div_ceil(1_000_000_000) as u64) + self.settings.hold;
        let (number, until) = match self.of(customer, now) {
            Some((None, _)) => return None,
            Some((Some(number), before)) => (number, until.max(before)),
            None => {
                self.next += 1;
                (self.next, until)
            }
        };
        self.has.insert(customer, (Some(number), until));
        Some(number)
    }
}

impl Model {
    /// Somebody asks, and shows that they are there.
    pub(super) fn asks(&mut self, arrival: &Arrival) -> Asked {
        let (now, class) = (self.now, arrival.class);
        let product = arrival.product.index();
        let customer_walks = !matches!(arrival.customer, Customer::Machine(_));
        let mut asked = Asked { rank: Rank::of(class), turn: 0 };
        if let Some(journeys) = self.journeys[product].as_mut().filter(|_| is_step(class) && customer_walks) {
            let customer = who(arrival.customer);
            match journeys.of(customer, now) {
                Some((None, _)) => _ = journeys.has.insert(customer, (None, now + journeys.settings.idle)),
                Some((Some(turn), _)) => {
                    let turn = if self.waits_with(arrival, turn) { u64::MAX } else { turn };
                    asked = Asked { rank: Rank::of_newcomer(class), turn };
                }
                None => asked = Asked { rank: Rank::of_newcomer(class), turn: u64::MAX },
            }
        }
        let stop = arrival.event.filter(|_| class == Class::Commit).and_then(|event| self.events.get(&event));
        match stop.map(|entry| entry.stop) {
            Some(stop) if stop.since(now) < self.settings.products[product].queue.near_stop => {
                Asked { rank: Rank::NearStop, turn: stop.since_start().as_nanos() as u64 }
            }
            _ => asked,
        }
    }

    /// Whether an address has two requests here at least, and as many as all who are here could each have of the seats.
    pub(super) fn has_its_part(&self, domain: &Domain, arrival: &Arrival) -> bool {
        let Arrival { product, class, customer, .. } = *arrival;
        let limit = |need: usize| domain.resources()[need].limit();
        let seats = self.needs(product.index(), class).into_iter().map(limit).min().unwrap_or(1);
        let (mine, all) = (self.count(customer), self.customers.values().filter(|count| **count > 0).count() as u32);
        let may_be_shed = !matches!(class, Class::Protected | Class::Settle);
        may_be_shed && matches!(customer, Customer::Address(_)) && all > 1 && mine >= 2.max(seats.div_ceil(all))
    }

    /// Their turn, now that they wait.
    pub(super) fn begins_to_wait(&mut self, arrival: &Arrival, asked: Asked) -> Asked {
        let turn = if asked.rank.is_newcomers() { self.keeps_turn(arrival, Duration::ZERO) } else { None };
        let turn = turn.map(|turn| if self.waits_with(arrival, turn) { u64::MAX } else { turn });
        Asked { turn: turn.unwrap_or(asked.turn), ..asked }
    }

    /// Whether another request of the same customer waits with this turn: it is that one's.
    fn waits_with(&self, arrival: &Arrival, turn: u64) -> bool {
        self.waiting.values().any(|other| {
            other.arrival.product == arrival.product && other.asked.rank.is_newcomers() && other.asked.turn == turn
        })
    }

    /// Whether a turn is kept for somebody who is told this.
    pub(super) fn is_sent_away(&mut self, arrival: &Arrival, rank: Rank, refused: &Refused) -> bool {
        let comes_back = !refused.retry_after.is_zero() && refused.refusal != Refusal::OverCustomerShare;
        rank.is_newcomers() && comes_back && self.keeps_turn(arrival, refused.retry_after).is_some()
    }

    fn keeps_turn(&mut self, arrival: &Arrival, wait: Duration) -> Option<u64> {
        let now = self.now;
        self.journeys[arrival.product.index()].as_mut()?.keeps(who(arrival.customer), wait, now)
    }
}

pub(super) fn is_step(class: Class) -> bool {
    matches!(class, Class::Commit | Class::Continue | Class::Start)
}

/// Where in a line, of which is said who has a later turn: behind all others, as far as is looked from either end.
pub(super) fn where_to_stand(later: &[bool]) -> usize {
    let after = later.iter().rposition(|later| !later).map_or(0, |last| last + 1);
    if later.len() - after < 256 {
        return after;
    }
    later.iter().take(256).position(|later| *later).unwrap_or(256.min(later.len()))
}
