//! What a driver does: wakes the domain in time, and takes what it has to say.

use super::journeys::Asked;
use super::player::Player;
use super::*;

impl Player {
    /// Wakes the domain until it asks for no more. Each time it asked to be woken at once it must get on.
    pub(super) fn rest(&mut self) {
        while let Some(due) = self.domain.next_wake().filter(|due| *due <= self.model.now) {
            self.model.seen.put_off += u64::from(due == Timestamp::ZERO);
            self.domain.wake(self.model.now);
            let heard = self.hear(None);
            let still = self.domain.next_wake().is_some_and(|due| due <= self.model.now);
            assert!(heard > 0 || !still, "woken for nothing");
        }
        self.model.check_at_rest(&self.domain);
    }

    /// Takes what the domain has to say, each word checked at the moment it was said.
    pub(super) fn hear(&mut self, arriving: Option<(&Arrival, Asked)>) -> u32 {
        for (takes, product) in self.model.takes.iter_mut().zip(&self.domain.products) {
            *takes = product.takes_to_bet();
        }
        let mut heard = 0;
        while let Some(output) = self.domain.poll_output() {
            heard += 1;
            match output {
                Output::Admit(place, seat) => {
                    self.note(4, place.slot() as u64);
                    let waiting = *self.model.waiting.get(&place).expect("somebody waits at this place");
                    let (product, rank) = (waiting.arrival.product, waiting.asked.rank);
                    assert_eq!(
                        self.model.ends(product.index(), rank).0,
                        Some(place),
                        "not whose turn it is in the line"
                    );
                    assert!(self.model.now < waiting.until, "let through too late");
                    self.model.may_start(&self.domain, &waiting.arrival, rank, true);
                    self.model.stops_waiting(place);
                    self.stale.push(place);
                    assert_eq!(seat.started(), self.model.now);
                    self.model.sits(waiting.arrival, seat);
                    self.model.seen.admitted += 1;
                }
                Output::Refuse(place, refused) => {
                    self.note(5, refused.retry_after.as_nanos() as u64);
                    self.check_retry(&refused);
                    self.model.may_turn_away(place, &refused, arriving);
                    self.model.stops_waiting(place);
                    self.stale.push(place);
                }
                Output::Note(event) => self.moved(event),
            }
        }
        if arriving.is_none() {
            self.model.check(&self.domain);
        }
        heard
    }

    fn moved(&mut self, event: Event) {
        match event {
            Event::StateChanged { product, from, to } => {
                let index = product.index();
                self.note(6, to.index() as u64);
                assert_eq!(self.model.states[index], from);
                let legal = match (from, to) {
                    (State::Open | State::Ramping | State::Down, State::Draining(_)) => true,
                    (State::Open | State::Ramping | State::Draining(_) | State::Parked(_), State::Down) => {
                        self.model.is_down(index)
                    }
                    (State::Down, State::Ramping) => !self.model.is_down(index),
                    (State::Draining(old), State::Parked(new)) => old == new && self.model.in_flight[index] == 0,
                    (State::Draining(old), State::Draining(new)) => old != new,
                    (State::Parked(old), State::Parked(new)) => old != new,
                    (State::Draining(_) | State::Parked(_) | State::Open, State::Ramping) => true,
                    (State::Draining(_) | State::Parked(_) | State::Ramping, State::Open) => true,
                    _ => false,
                };
                assert!(legal, "{from:?} to {to:?}");
                self.model.states[index] = to;
                self.model.seen.ramps += u64::from(to == State::Ramping);
            }
            Event::RampMoved { from, to, .. } => {
                self.note(7, u64::from(to));
                assert!(to >= 4 && to <= from * 3 / 2 + 1, "{from} to {to}");
            }
            Event::RampFroze { product, .. } | Event::RampThawed { product } => {
                assert_eq!(self.model.states[product.index()], State::Ramping);
            }
            Event::ShareMoved { .. } | Event::ShiftEnded { .. } => {
                panic!("nobody has several sites here: {event:?}");
            }
            Event::EventChanged { event, to } => {
                self.note(8, event.0);
                assert_eq!(self.model.events.get(&event).map(|entry| entry.state), Some(to));
            }
        }
    }

    pub(super) fn check_retry(&self, refused: &Refused) {
        let over = matches!(refused.refusal, Refusal::EventClosed | Refusal::PastBettingStop | Refusal::StopTooNear);
        let bounds = Duration::from_secs(1)..=Duration::from_secs(30);
        assert!(over && refused.retry_after.is_zero() || !over && bounds.contains(&refused.retry_after), "{refused:?}");
    }
}
