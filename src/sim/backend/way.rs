//! The way of a request through the plant, in the order in which it is gone.

use std::time::Duration;

use super::jobs::Place;
use super::station::{Work, stretched};
use super::{Answer, Leg, Plant, Spread};
use crate::sim::random::Random;

/// How long it takes to fail instead of working.
const FAILS_AFTER: Duration = Duration::from_millis(1);

impl Plant {
    /// The request comes to the station of its leg: it gets a thread, or waits for one, or is turned away.
    pub(super) fn enter(&mut self, slot: u32, now: u64) {
        let (home, at) = self.jobs.stations(slot, &self.routes);
        let is_held_already = self.jobs[slot].leg > 0 && at == home;
        let station = &mut self.stations[at];
        if station.lost_percent == 100 {
            // Nobody is there to accept it.
            self.jobs[slot].place = Place::Door;
            self.conclude(slot, Answer::Failed, now);
        } else if is_held_already {
            self.start(slot, now);
        } else if station.held < station.settings.threads {
            station.held += 1;
            self.start(slot, now);
        } else if station.backlog.len() < station.settings.backlog {
            self.jobs[slot].place = Place::Door;
            station.backlog.push(slot, &mut self.jobs);
        } else {
            self.jobs[slot].place = Place::Door;
            self.conclude(slot, Answer::Failed, now);
        }
    }

    /// It has its thread: work begins, or it stands in line for a seat, or it is one of those that fail.
    fn start(&mut self, slot: u32, now: u64) {
        let (_, at) = self.jobs.stations(slot, &self.routes);
        let station = &mut self.stations[at];
        if station.fails_percent > 0 && self.random.chance(u64::from(station.fails_percent)) {
            self.jobs[slot].place = Place::Failing;
            let fails_at = station.clock.local(now) + FAILS_AFTER.as_nanos() as u64;
            station.failing.push(fails_at, slot, &self.jobs);
            return self.plan(at);
        }
        match &mut station.work {
            Work::Seats(seats) if !seats.has_room() => {
                self.jobs[slot].place = Place::Line;
                seats.line.push(slot, &mut self.jobs);
            }
            _ => self.begin(slot, now),
        }
    }

    /// Work on it begins.
    fn begin(&mut self, slot: u32, now: u64) {
        let (home, at) = self.jobs.stations(slot, &self.routes);
        self.jobs[slot].place = Place::Work;
        let job = &self.jobs[slot];
        let mut work = draw(self.routes[job.route].legs[job.leg], &mut self.random);
        if at != home {
            work = stretched(work, self.stations[home].chill.factor());
        }
        let took = self.stations[at].slowed(work);
        let station = &mut self.stations[at];
        let local = station.clock.local(now);
        match &mut station.work {
            Work::Sharing(sharing) => sharing.add(slot, work.as_nanos() as f64, local, &self.jobs),
            Work::Seats(seats) => seats.begin(slot, local.saturating_add(took.as_nanos() as u64), &self.jobs),
        }
        self.plan(at);
    }

    /// What is due at a station now happens: one thing, the rest stays due.
    pub(super) fn happen(&mut self, at: usize, now: u64) {
        let station = &mut self.stations[at];
        debug_assert_eq!(station.next(), now, "whatever changes a station plans it anew");
        if station.chill.until <= now {
            self.warm(at, now);
        } else if let Some(slot) = station.pop_failed(now, &mut self.jobs) {
            self.plan(at);
            self.conclude(slot, Answer::Failed, now);
        } else if let Some(slot) = station.pop_done(now, &mut self.jobs) {
            self.plan(at);
            self.fill(at, now);
            self.go_on(slot, at, now);
        }
    }

    /// Gives free seats to those in line.
    pub(super) fn fill(&mut self, at: usize, now: u64) {
        while let Work::Seats(seats) = &mut self.stations[at].work
            && seats.has_room()
            && let Some(slot) = seats.line.pop(&mut self.jobs)
        {
            self.begin(slot, now);
        }
    }

    /// Its work at a station is done: the next leg, or the answer.
    fn go_on(&mut self, slot: u32, at: usize, now: u64) {
        let (home, _) = self.jobs.stations(slot, &self.routes);
        let job = &self.jobs[slot];
        let is_last = job.leg + 1 == self.routes[job.route].legs.len() || self.ledger.is_placed(job.key);
        if is_last && self.stations[home].clock.stands() {
            self.jobs[slot].place = Place::Stuck;
            self.stations[home].stuck.push(slot, &mut self.jobs);
        } else if is_last {
            return self.conclude(slot, Answer::Done, now);
        }
        if at != home {
            self.release(at, now);
        }
        if !is_last {
            self.jobs[slot].leg += 1;
            self.enter(slot, now);
        }
    }

    /// The request ends: its answer lies ready, its threads go to whoever waits for them.
    pub(super) fn conclude(&mut self, slot: u32, answer: Answer, now: u64) {
        let job = &self.jobs[slot];
        if answer == Answer::Done {
            self.ledger.done(job.route, job.key);
        }
        self.answers.push_back((slot, answer));
        let threads = self.threads_of(slot);
        self.jobs[slot].place = Place::Answered;
        self.release_all(threads, now);
    }

    /// Takes the request out of the plant, wherever it is. What becomes of it is the caller's to say.
    pub(super) fn withdraw(&mut self, slot: u32, now: u64) {
        let (home, at) = self.jobs.stations(slot, &self.routes);
        let threads = self.threads_of(slot);
        let jobs = &mut self.jobs;
        let place = jobs[slot].place;
        let station = &mut self.stations[if place == Place::Stuck { home } else { at }];
        match (place, &mut station.work) {
            (Place::Door, _) => station.backlog.remove(slot, jobs),
            (Place::Failing, _) => station.failing.take_back(slot, jobs),
            (Place::Stuck, _) => station.stuck.remove(slot, jobs),
            (Place::Work, Work::Sharing(sharing)) => sharing.remove(slot, station.clock.local(now), jobs),
            (Place::Work, Work::Seats(seats)) => seats.remove(slot, jobs),
            (Place::Line, Work::Seats(seats)) => seats.line.remove(slot, jobs),
            (place, _) => unreachable!("a request that is {place:?} is in no station"),
        }
        self.plan(at);
        self.fill(at, now);
        self.release_all(threads, now);
    }

    /// The stations whose threads it has.
    fn threads_of(&self, slot: u32) -> [Option<usize>; 2] {
        let (home, at) = self.jobs.stations(slot, &self.routes);
        let job = &self.jobs[slot];
        let is_past_the_door = job.place != Place::Door;
        let has_first = job.leg > 0 || is_past_the_door;
        let has_other = at != home && is_past_the_door && job.place != Place::Stuck;
        [has_other.then_some(at), has_first.then_some(home)]
    }

    fn release_all(&mut self, threads: [Option<usize>; 2], now: u64) {
        for at in threads.into_iter().flatten() {
            self.release(at, now);
        }
    }

    /// A thread goes to the next who waits for one.
    fn release(&mut self, at: usize, now: u64) {
        let station = &mut self.stations[at];
        debug_assert!(station.held > 0, "a thread is given back once");
        match station.backlog.pop(&mut self.jobs) {
            Some(next) => self.start(next, now),
            None => station.held -= 1,
        }
    }

    /// To be called whenever what is due next at a station may have changed.
    pub(super) fn plan(&mut self, at: usize) {
        self.due[at] = self.stations[at].next();
    }
}

fn draw(leg: Leg, random: &mut Random) -> Duration {
    match leg.spread {
        Spread::Constant => leg.work,
        Spread::Exponential => random.exponential(leg.work),
        Spread::Floored => {
            let floor = leg.work / 2;
            floor + random.exponential(leg.work - floor)
        }
    }
}
