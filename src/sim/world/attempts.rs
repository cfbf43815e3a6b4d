//! One attempt from its sending to its end: at the law, in the plant, and back at its client.

use super::reads::Fetched;
use super::requests::{Part, Request, Ticket};
use super::{Due, World, happen, races};
use crate::admission::{Arrival, Customer, Outcome};
use crate::sim::backend::{Answer, Ask, JobId};
use crate::sim::clients::{Ended, Next};
use crate::sim::law::{Knock, No, Notice, RequestId, Said, Word};

impl World<'_> {
    /// A device makes an attempt at its step.
    pub(super) fn send(&mut self, device: u32) {
        if self.people.is_done_elsewhere(device) {
            self.people.leave(device);
            return;
        }
        let now = self.now;
        let client = self.people.client(device);
        let (place, at) = (client.crowd, client.step);
        let crowd = &self.scenario.crowds[usize::from(place)];
        let step = &crowd.journey[usize::from(client.step)];
        let begins = client.sends(&mut self.bets);
        let customer = Customer::Account(client.customer);
        let stop = races::stop(client, step);
        let event = step.event.map(happen::event_key).or_else(|| Some(self.race(crowd.product, stop?)));
        let arrival = Arrival { product: crowd.product, class: step.class, customer, event, seats: step.seats };
        let request = Request::new(device, place, at, now);
        if let Some(object) = step.object.filter(|_| self.memory.is_some()) {
            self.record.knocked(request.crowd, begins, Word::Pass, now);
            return self.read(request, object, arrival);
        }
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
    pub(super) fn hear(&mut self) {
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

    pub(super) fn pass(&mut self, id: RequestId) {
        let (attempt, now) = (self.attempts, self.now);
        self.attempts += 1;
        let request = self.requests.get(id);
        let step = self.scenario.step(request.crowd, request.step);
        let key = step.bet.then_some(self.people.client(request.device).bet);
        self.record.passed(request.crowd, now.since(request.sent), now);
        let product = usize::from(self.scenario.crowds[usize::from(request.crowd)].product.0);
        let route = if step.routes.is_empty() { step.route } else { step.routes[self.site(id, product)] };
        let job = self.plant.ask(Ask { route, attempt, key }, now);
        self.requests.work(id, job, now);
        let line = &mut self.give_up[product];
        line.push_back((now + self.scenario.products[product].first_byte_timeout, self.requests.ticket(id)));
        if line.len() == 1 {
            self.expect_time_out(product);
        }
    }

    /// Where a request is served: as the law says, or as the shares stand that somebody has set by hand.
    fn site(&mut self, id: RequestId, product: usize) -> usize {
        let by_hand = || {
            let customer = self.people.client(self.requests.get(id).device).customer;
            self.hands[product].site(customer)
        };
        self.law.site(id).unwrap_or_else(by_hand)
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
    pub(super) fn time_out(&mut self, product: usize) {
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
                if let Part::Fetches(object) = request.part {
                    self.lands(object, Fetched::Failed);
                } else if request.heard {
                    self.record.count(request.crowd, now).failed += 1;
                    self.ended(request.device, Ended::Failed);
                }
            }
        }
        self.expect_time_out(product);
    }

    pub(super) fn refused(&mut self, id: RequestId, no: No) {
        let request = self.requests.end(id);
        if let Part::Fetches(object) = request.part {
            return self.lands(object, Fetched::Refused(no));
        }
        self.record.refused(request.crowd, no, self.now);
        let told = no.retry_after;
        let how = if no.at_the_gate { Ended::Gated(told.unwrap_or_default()) } else { Ended::Refused(told) };
        self.ended(request.device, how);
    }

    /// Take the plant's answers.
    pub(super) fn answers(&mut self) {
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
        self.hint(&request);
        if !request.heard {
            self.law.finish_unheard(id, outcome, now);
            return self.hear();
        }
        self.law.finish(id, outcome, now);
        self.hear();
        if let Part::Fetches(object) = request.part {
            let fetched = if answer == Answer::Done { Fetched::Done(request) } else { Fetched::Failed };
            return self.lands(object, fetched);
        }
        let crowd = &self.scenario.crowds[usize::from(request.crowd)];
        let latency = now.since(request.sent);
        match answer {
            Answer::Done if crowd.worth.is_none_or(|worth| latency <= worth) && !self.is_past_stop(&request) => {
                self.record.served(request.crowd, latency, now.since(request.passed), now);
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

    /// Whether betting on what a request is for has stopped.
    fn is_past_stop(&mut self, request: &Request) -> bool {
        let step = self.scenario.step(request.crowd, request.step);
        races::stop(self.people.client(request.device), step).is_some_and(|stop| self.now > stop)
    }

    /// What stations on the way of a request say, with its answer, of the budgets that stand for them. It is heard before
    /// the seat is free: a proxy reads the head of an answer before its end.
    fn hint(&mut self, request: &Request) {
        let scenario = self.scenario;
        let legs = &scenario.plant.routes[scenario.step(request.crowd, request.step).route].legs;
        for (station, resource) in &scenario.hints {
            if legs.iter().any(|leg| leg.station == *station) {
                let seats = self.plant.knee(*station).round() as u32;
                self.law.notice(Notice::Hint { resource: *resource, seats }, self.now);
            }
        }
    }

    /// A client loses patience with an attempt and closes the connection.
    pub(super) fn hang_up(&mut self, ticket: Ticket) {
        if !self.requests.is_awaited(ticket) {
            return;
        }
        let now = self.now;
        let request = *self.requests.get(ticket.id);
        self.record.count(request.crowd, now).timed_out += 1;
        if let Part::Waits(_, waits) = request.part {
            self.requests.end(ticket.id);
            self.waits_no_more(waits);
            return self.ended(request.device, Ended::TimedOut(request.sent));
        }
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
    pub(super) fn ended(&mut self, device: u32, how: Ended) {
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
}
