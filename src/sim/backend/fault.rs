//! What can happen to a station while it works.

use super::jobs::Place;
use super::station::Chill;
use super::{Answer, Fault, Plant, nanos};
use crate::admission::Timestamp;

impl Plant {
    /// Something happens to a station. Faults of different kinds add up; one of the same kind replaces the last.
    ///
    /// [`Fault::Lose`] takes with the nodes that go, to the nearest whole request, their part of everything that is there,
    /// what waits for a thread included: a connection to a node that is gone is gone. Nodes that come back take nothing.
    pub fn fault(&mut self, station: usize, fault: Fault, now: Timestamp) {
        self.wake(now);
        let (at, now) = (station, nanos(now));
        let station = &mut self.stations[at];
        let lost = station.lost_percent;
        match fault {
            Fault::Slow(times) => station.slow = times,
            Fault::Capacity(times) => station.capacity = times,
            Fault::Lose(percent) => station.lost_percent = percent.min(100),
            Fault::Fail(percent) => station.fails_percent = percent,
            Fault::Cold(cold) => station.chill = Chill::new(cold, now),
            Fault::Hang(true) => station.clock.stop(now),
            Fault::Hang(false) => station.clock.go_on(now),
        }
        station.set_pace(now);
        self.plan(at);
        match fault {
            Fault::Lose(percent) => self.lose(at, goes(lost, percent.min(100)), now),
            Fault::Hang(false) => self.answer_stuck(at, now),
            _ => {}
        }
        self.fill(at, now);
    }

    /// A station that was cold is warm, all at once.
    pub(super) fn warm(&mut self, at: usize, now: u64) {
        self.stations[at].chill = Chill::NONE;
        self.stations[at].set_pace(now);
        self.plan(at);
    }

    /// So many of a thousand of those who are there fail, each with the same chance.
    fn lose(&mut self, at: usize, permille: usize, now: u64) {
        let there: Vec<u32> = self.jobs.unanswered().filter(|&slot| self.is_at(slot, at)).collect();
        let mut to_lose = (there.len() * permille + 500) / 1_000;
        for (left, slot) in (1..=there.len()).rev().zip(there) {
            // Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm S).
            if self.random.below(left as u64) < to_lose as u64 {
                to_lose -= 1;
                self.withdraw(slot, now);
                self.jobs[slot].place = Place::Answered;
                self.answers.push_back((slot, Answer::Failed));
            }
        }
    }

    /// Whether a station holds the request, or is where it waits to be held.
    fn is_at(&self, slot: u32, at: usize) -> bool {
        let (home, now_at) = self.jobs.stations(slot, &self.routes);
        at == home || (at == now_at && self.jobs[slot].place != Place::Stuck)
    }

    fn answer_stuck(&mut self, at: usize, now: u64) {
        while let Some(slot) = self.stations[at].stuck.pop(&mut self.jobs) {
            self.conclude(slot, Answer::Done, now);
        }
    }
}

/// Of a thousand nodes that were left when `lost` of a hundred had gone, how many go when `percent` have.
fn goes(lost: u32, percent: u32) -> usize {
    if percent > lost { ((percent - lost) * 1_000 / (100 - lost)) as usize } else { 0 }
}
