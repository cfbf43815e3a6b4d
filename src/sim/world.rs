//! The simulated world: customers on one side, the plant on the other, a law between them, a made-up clock.
//!
//! ```text
//!  agenda ─▶ customers come, send, hang up ─▶ law ─▶ plant ─▶ answers ─▶ customers think, retry, go home
//! ```
//!
//! One step takes the earliest of what is on the agenda, what the plant finishes and what the law wants to be woken
//! for, sets the clock to it and does it. The law is asked through the same calls that the proxy makes. Equal scenario,
//! law and seed give equal runs to the last digit; what a customer draws does not depend on the law.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::Agenda;
use super::backend::Plant;
use super::coming::Arrivals;
use super::law::{self, Law, Notice};
use super::record::Run;
use super::scenario::Scenario;
use crate::admission::Timestamp;

mod attempts;
mod by_hand;
mod happen;
mod races;
mod people;
mod reads;
mod recorder;
mod requests;

use people::People;
use reads::Memory;
use recorder::Recorder;
use requests::Requests;

/// Plays `scenario` once. `progress` is told the time now and then, for a bar.
pub fn run(scenario: &Scenario, name: &str, law: Box<dyn Law>, seed: u64, progress: &mut dyn FnMut(Timestamp)) -> Run {
    let mut world = World::new(scenario, name, law, seed);
    world.play(progress);
    world.end()
}

/// Plays `scenario` once under the law that `written` names; an error is a sentence about the law.
pub fn play(scenario: &Scenario, written: &str, seed: u64, progress: &mut dyn FnMut(Timestamp)) -> Result<Run, String> {
    let law = law::build(written, scenario, seed)?;
    Ok(run(scenario, written, law, seed, progress))
}

/// What is on the agenda.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// The next customer of this crowd.
    Comes(u16),
    /// This device sends its next attempt.
    Sends(u32),
    /// The client of this request hangs up, if the request is still the same.
    HangsUp(requests::Ticket),
    /// The proxy gives up on the backend of the oldest request of this product that is at the plant.
    TimesOut(u16),
    /// This reader waits no more for a newer answer.
    Settles(requests::Ticket),
    /// The scenario's next happening.
    Happens(u16),
    /// Time to look at every product.
    Look,
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Timestamp,
    end: Timestamp,
    seed: u64,
    agenda: Agenda<Due>,
    arrivals: Vec<Arrivals>,
    people: People,
    requests: Requests,
    /// When the proxy gives up on requests at the plant, by product, in the order of time.
    give_up: Vec<VecDeque<(Timestamp, requests::Ticket)>>,
    law: Box<dyn Law>,
    plant: Plant,
    /// What is answered from memory, where the law does that.
    memory: Option<Memory>,
    record: Recorder,
    /// Attempts that reached the plant, and bets that were begun: both are numbered.
    attempts: u64,
    bets: u64,
    races: races::Races,
    /// By product: shares of its sites under laws that know of none.
    hands: Vec<by_hand::Hand>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, name: &str, mut law: Box<dyn Law>, seed: u64) -> World<'a> {
        for (place, event) in scenario.events.iter().enumerate() {
            law.notice(Notice::Schedule(happen::event_key(place), happen::entry(event)), Timestamp::ZERO);
        }
        let look_every = look_every(scenario.lasts);
        let crowds = scenario.crowds.iter().enumerate();
        let arrivals =
            |(place, crowd): (usize, &super::scenario::Crowd)| Arrivals::new(&crowd.coming, place as u16, seed);
        let mut world = World {
            scenario,
            now: Timestamp::ZERO,
            end: Timestamp::after(scenario.lasts),
            seed,
            agenda: Agenda::new(),
            arrivals: crowds.map(arrivals).collect(),
            people: People::default(),
            requests: Requests::default(),
            give_up: vec![VecDeque::new(); scenario.products.len()],
            law,
            plant: Plant::new(scenario.plant.clone(), seed),
            memory: law::is_ours(name).then(Memory::default),
            record: Recorder::new(scenario, name, seed, look_every),
            attempts: 0,
            bets: 0,
            races: races::Races::default(),
            hands: scenario.products.iter().map(by_hand::Hand::new).collect(),
        };
        for (place, happening) in scenario.happenings.iter().enumerate() {
            world.agenda.put(Timestamp::after(happening.at), Due::Happens(place as u16));
        }
        world.agenda.put(Timestamp::ZERO, Due::Look);
        (0..scenario.crowds.len()).for_each(|crowd| world.expect_next(crowd as u16));
        world
    }

    fn play(&mut self, progress: &mut dyn FnMut(Timestamp)) {
        let mut told = Timestamp::ZERO;
        loop {
            let wake = self.law.next_wake().map(|at| at.max(self.now));
            let next = [self.agenda.next_at(), self.plant.next_wake(), wake].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next < self.end) else { return };
            self.now = next.max(self.now);
            self.record.run.events += 1;
            if self.plant.next_wake().is_some_and(|at| at <= self.now) {
                self.plant.wake(self.now);
                self.answers();
            } else if wake.is_some_and(|at| at <= self.now) {
                self.law.wake(self.now);
                self.hear();
            } else if let Some(due) = self.agenda.take() {
                self.act(due);
            }
            if self.now.since(told) >= Duration::from_secs(1) {
                told = self.now;
                progress(told);
            }
        }
    }

    fn end(mut self) -> Run {
        self.record.run.duplicates = self.plant.ledger().duplicates();
        self.record.run.violations.extend_from_slice(self.law.violations());
        self.record.run.most_alive = self.requests.most_alive();
        self.record.run
    }

    fn act(&mut self, due: Due) {
        match due {
            Due::Comes(crowd) => self.comes(crowd),
            Due::Sends(device) => self.send(device),
            Due::HangsUp(ticket) => self.hang_up(ticket),
            Due::TimesOut(product) => self.time_out(usize::from(product)),
            Due::Settles(ticket) => self.settle(ticket),
            Due::Happens(place) => self.happen(usize::from(place)),
            Due::Look => self.look(),
        }
    }

    fn expect_next(&mut self, crowd: u16) {
        if let Some(at) = self.arrivals[usize::from(crowd)].next(self.scenario.lasts) {
            self.agenda.put(at, Due::Comes(crowd));
        }
    }

    fn comes(&mut self, place: u16) {
        self.expect_next(place);
        self.record.count(place, self.now).came += 1;
        let crowd = &self.scenario.crowds[usize::from(place)];
        for device in self.people.arrive(crowd, place, self.seed, self.now).into_iter().flatten() {
            self.send(device);
        }
    }

    fn look(&mut self) {
        for (place, product) in self.scenario.products.iter().enumerate() {
            self.record.run.looks[place].push(self.law.look(place));
            self.record.run.shares[place].extend(self.law.share(place).or(self.hands[place].share()));
            self.record.run.knees[place].push(Some(self.plant.knee(product.station)));
        }
        let every = self.record.run.look_every;
        self.agenda.put(self.now + every, Due::Look);
    }
}

/// About a thousand looks at a run, and none closer than a tenth of a second.
fn look_every(lasts: Duration) -> Duration {
    Duration::from_millis((lasts.as_millis() / 1_000).max(100) as u64)
}

#[cfg(test)]
mod tests;
