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
use super::backend::{Answer, Ask, JobId, Plant};
use super::clients::{Ended, Next};
use super::coming::Arrivals;
use super::law::{self, Knock, Law, No, Notice, RequestId, Said, Word};
use super::record::Run;
use super::scenario::Scenario;
use crate::admission::{Arrival, Customer, Outcome, Timestamp};

mod happen;
mod people;
mod recorder;
mod requests;

use people::People;
use recorder::Recorder;
use requests::{Request, Requests};

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
    record: Recorder,
    /// Attempts that reached the plant, and bets that were begun: both are numbered.
    attempts: u64,
    bets: u64,
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
            record: Recorder::new(scenario, name, seed, look_every),
            attempts: 0,
            bets: 0,
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

    /// A device makes an attempt at its step.
    fn send(&mut self, device: u32) {
        if self.people.is_done_elsewhere(device) {
            self.people.leave(device);
            return;
        }
        let now = self.now;
        let client = self.people.client(device);
        let crowd = &self.scenario.crowds[usize::from(client.crowd)];
        let step = &crowd.journey[usize::from(client.step)];
        let begins = client.sends(&mut self.bets);
        let arrival = Arrival {
            product: crowd.product,
            class: step.class,
            customer: Customer::Account(client.customer),
            event: step.event.map(happen::event_key),
        };
        let request = Request::new(device, client.crowd, client.step, now);
        let ticket = self.requests.begin(request);
        let word = self.law.arrive(Knock { request: ticket.id, arrival }, now);
        self.record.knocked(request.crowd, begins, word, now);
        match word {
            Word::Pass => self.pass(ticket.id),
            Word::Wait => self.requests.wait(),
            Word::Refuse(no) => self.refused(ticket.id, no),
        }
        if self.requests.is_awaited(ticket) {
            self.agenda.put(now + crowd.timeout, Due::HangsUp(ticket));
        }
        self.hear();
    }

    /// Act on what the law has decided about those who wait.
    fn hear(&mut self) {
        while let Some(said) = self.law.poll() {
            match said {
                Said::Pass(request) => {
                    self.requests.stop_waiting();
                    self.pass(request);
                }
                Said::Refuse(request, no) => {
                    self.requests.stop_waiting();
                    self.refused(request, no);
                }
            }
        }
        let waiting = self.requests.waiting();
        self.record.run.most_waiting = self.record.run.most_waiting.max(waiting);
    }

    fn pass(&mut self, id: RequestId) {
        let (attempt, now) = (self.attempts, self.now);
        self.attempts += 1;
        let request = self.requests.get(id);
        let step = self.scenario.step(request.crowd, request.step);
        let key = step.bet.then_some(self.people.client(request.device).bet);
        self.record.passed(request.crowd, now.since(request.sent), now);
        let product = usize::from(self.scenario.crowds[usize::from(request.crowd)].product.0);
        let job = self.plant.ask(Ask { route: step.route, attempt, key }, now);
        self.requests.work(id, job);
        let line = &mut self.give_up[product];
        line.push_back((now + self.scenario.products[product].first_byte_timeout, self.requests.ticket(id)));
        if line.len() == 1 {
            self.expect_time_out(product);
        }
    }

    /// One entry on the agenda for each product: its requests time out in the order in which they passed.
    fn expect_time_out(&mut self, product: usize) {
        let line = &mut self.give_up[product];
        while line.front().is_some_and(|(_, ticket)| self.requests.find(*ticket).is_none()) {
            line.pop_front();
        }
        if let Some((at, _)) = line.front() {
            self.agenda.put(*at, Due::TimesOut(product as u16));
        }
    }

    /// The backend has not answered in time: its client is told, its seat is free, and the plant goes on with it.
    fn time_out(&mut self, product: usize) {
        let now = self.now;
        while let Some((_, ticket)) = self.give_up[product].pop_front_if(|(at, _)| *at <= now) {
            if let Some(request) = self.requests.find(ticket).copied() {
                self.requests.end(ticket.id);
                self.record.given_back(request.crowd);
                request.job.into_iter().for_each(|job| self.plant.hang_up(job, now));
                if request.heard {
                    self.law.finish(ticket.id, Outcome::Failed, now);
                } else {
                    self.law.finish_unheard(ticket.id, Outcome::Failed, now);
                }
                self.hear();
                if request.heard {
                    self.record.count(request.crowd, now).failed += 1;
                    self.ended(request.device, Ended::Failed);
                }
            }
        }
        self.expect_time_out(product);
    }

    fn refused(&mut self, id: RequestId, no: No) {
        let request = self.requests.end(id);
        self.record.refused(request.crowd, no, self.now);
        let told = no.retry_after;
        let how = if no.at_the_gate { Ended::Gated(told.unwrap_or_default()) } else { Ended::Refused(told) };
        self.ended(request.device, how);
    }

    /// Take the plant's answers.
    fn answers(&mut self) {
        while let Some((job, answer)) = self.plant.poll_answer() {
            self.record.run.events += 1;
            self.answered(job, answer);
        }
    }

    fn answered(&mut self, job: JobId, answer: Answer) {
        let now = self.now;
        let Some(id) = self.requests.of_job(job) else {
            // A proxy that had let go of it; the plant had not.
            self.record.finished(false, now);
            return;
        };
        let request = self.requests.end(id);
        let outcome = if answer == Answer::Done { Outcome::Answered } else { Outcome::Failed };
        self.record.finished(request.heard, now);
        self.record.given_back(request.crowd);
        if !request.heard {
            self.law.finish_unheard(id, outcome, now);
            return self.hear();
        }
        self.law.finish(id, outcome, now);
        self.hear();
        let crowd = &self.scenario.crowds[usize::from(request.crowd)];
        let latency = now.since(request.sent);
        match answer {
            Answer::Done if crowd.worth.is_none_or(|worth| latency <= worth) => {
                self.record.served(request.crowd, latency, now);
                self.ended(request.device, Ended::Served);
            }
            // Too late to be worth anything, but the customer has it and goes on.
            Answer::Done => self.ended(request.device, Ended::Served),
            Answer::Failed => {
                self.record.count(request.crowd, now).failed += 1;
                self.ended(request.device, Ended::Failed);
            }
        }
    }

    /// A client loses patience with an attempt and closes the connection.
    fn hang_up(&mut self, ticket: requests::Ticket) {
        if !self.requests.is_awaited(ticket) {
            return;
        }
        let now = self.now;
        let request = *self.requests.get(ticket.id);
        self.record.count(request.crowd, now).timed_out += 1;
        match request.job {
            None => {
                self.requests.stop_waiting();
                self.requests.end(ticket.id);
                self.law.leave(ticket.id, now);
            }
            Some(_) if self.scenario.step(request.crowd, request.step).carried => self.requests.unheard(ticket.id),
            Some(job) => {
                self.requests.end(ticket.id);
                self.plant.hang_up(job, now);
                self.record.given_back(request.crowd);
                self.law.finish(ticket.id, Outcome::Abandoned, now);
            }
        }
        self.hear();
        self.ended(request.device, Ended::TimedOut(request.sent));
    }

    /// An attempt of a device has ended.
    fn ended(&mut self, device: u32, how: Ended) {
        let now = self.now;
        let client = self.people.client(device);
        let (crowd, came) = (client.crowd, client.came);
        match client.ended(&self.scenario.crowds[usize::from(crowd)], how, now) {
            Next::Send(after) => self.agenda.put(now + after, Due::Sends(device)),
            Next::Finished => {
                if self.people.finish(device) {
                    self.record.journey(crowd, now.since(came), now);
                }
            }
            Next::GaveUp => {
                if self.people.give_up(device) {
                    self.record.count(crowd, now).gave_up += 1;
                }
            }
        }
    }

    fn look(&mut self) {
        for (place, product) in self.scenario.products.iter().enumerate() {
            self.record.run.looks[place].push(self.law.look(place));
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
