//! One place of work as it is just now: what it holds, its own clock, and what has happened to it.

use std::time::Duration;

use super::agenda::Agenda;
use super::jobs::{Jobs, Line};
use super::seats::Seats;
use super::settings::{Cold, Eases, Engine, Station as Settings};
use super::sharing::{Pace, Sharing};

/// Never, in nanoseconds.
pub(super) const NEVER: u64 = u64::MAX;

/// How it works.
#[derive(Debug)]
pub(super) enum Work {
    Sharing(Sharing),
    Seats(Seats),
}

/// One place of work.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) settings: Settings,
    /// Threads given out.
    pub(super) held: usize,
    /// Who waits for a thread.
    pub(super) backlog: Line,
    pub(super) work: Work,
    /// Who fails instead of being worked on, by the clock of this station.
    pub(super) failing: Agenda,
    /// Who is held here and was done elsewhere while this station hangs.
    pub(super) stuck: Line,
    pub(super) clock: Clock,
    pub(super) chill: Chill,
    pub(super) slow: f64,
    pub(super) capacity: f64,
    pub(super) lost_percent: u32,
    pub(super) fails_percent: u32,
}

impl Station {
    pub(super) fn new(settings: Settings) -> Station {
        let work = match settings.engine {
            Engine::Sharing { knee, contention } => {
                Work::Sharing(Sharing::new(Pace { knee, contention, stretch: 1.0 }))
            }
            Engine::Seats { seats, .. } => Work::Seats(Seats::new(seats)),
        };
        let mut station = Station {
            chill: settings.cold.map_or(Chill::NONE, |cold| Chill::new(cold, 0)),
            settings,
            held: 0,
            backlog: Line::new(),
            work,
            failing: Agenda::default(),
            stuck: Line::new(),
            clock: Clock::default(),
            slow: 1.0,
            capacity: 1.0,
            lost_percent: 0,
            fails_percent: 0,
        };
        station.set_pace(0);
        station
    }

    /// Requests at once beyond which more bring nothing.
    pub(super) fn knee(&self) -> f64 {
        let built = match self.settings.engine {
            Engine::Sharing { knee, .. } => knee,
            Engine::Seats { seats, .. } => seats as f64,
        };
        let scaled = built * self.capacity * f64::from(100 - self.lost_percent) / 100.0;
        match self.work {
            Work::Sharing(_) => scaled,
            // Half a seat is one: only what is all gone does nothing at all.
            Work::Seats(_) if scaled > 0.0 => scaled.round().max(1.0),
            Work::Seats(_) => 0.0,
        }
    }

    /// How many times as long everything takes here, but for what piles up.
    pub(super) fn stretch(&self) -> f64 {
        self.chill.factor() * self.slow
    }

    /// To be called after whatever changes knee or stretch.
    pub(super) fn set_pace(&mut self, now: u64) {
        let (knee, stretch) = (self.knee(), self.stretch());
        match &mut self.work {
            Work::Sharing(sharing) => sharing.set_pace(Pace { knee, stretch, ..sharing.pace() }, self.clock.local(now)),
            Work::Seats(seats) => seats.seats = knee as usize,
        }
    }

    /// How much is piled up, as a [`Bend`](super::Bend) counts it: threads where there is a limit to them, since they
    /// are what costs there; those who wait for a seat where there is none.
    pub(super) fn pile(&self) -> usize {
        if self.settings.threads == usize::MAX { self.in_line() } else { self.held }
    }

    /// How many have a thread and wait for a seat.
    pub(super) fn in_line(&self) -> usize {
        match &self.work {
            Work::Sharing(_) => 0,
            Work::Seats(seats) => seats.line.len(),
        }
    }

    /// A service time as it turns out when it begins now.
    pub(super) fn slowed(&self, work: Duration) -> Duration {
        let work = stretched(work, self.stretch());
        match self.settings.engine {
            Engine::Seats { bend, .. } => bend.stretch(work, self.pile()),
            Engine::Sharing { .. } => work,
        }
    }

    /// When something happens here next, if nothing comes between.
    pub(super) fn next(&self) -> u64 {
        let work = match &self.work {
            Work::Sharing(sharing) => sharing.next(),
            Work::Seats(seats) => seats.next(),
        };
        let local = work.unwrap_or(NEVER).min(self.failing.first().unwrap_or(NEVER));
        self.clock.real(local).min(self.chill.until)
    }

    /// Takes out the request that is done now.
    pub(super) fn pop_done(&mut self, now: u64, jobs: &mut Jobs) -> Option<u32> {
        let done = match &mut self.work {
            Work::Sharing(sharing) => sharing.pop(self.clock.local(now), jobs),
            Work::Seats(seats) => seats.pop(jobs),
        };
        if self.chill.ease() {
            self.set_pace(now);
        }
        done
    }

    /// Takes out the request that fails now, if one does.
    pub(super) fn pop_failed(&mut self, now: u64, jobs: &mut Jobs) -> Option<u32> {
        let is_due = self.failing.first().is_some_and(|at| at <= self.clock.local(now));
        if is_due { self.failing.pop(jobs) } else { None }
    }
}

/// So many times as long.
pub(super) fn stretched(work: Duration, factor: f64) -> Duration {
    if factor == 1.0 { work } else { Duration::from_nanos((work.as_nanos() as f64 * factor) as u64) }
}

/// A station's own clock, which stands while the station hangs.
#[derive(Debug, Default)]
pub(super) struct Clock {
    behind: u64,
    stands_since: Option<u64>,
}

impl Clock {
    pub(super) fn stands(&self) -> bool {
        self.stands_since.is_some()
    }

    pub(super) fn local(&self, now: u64) -> u64 {
        self.stands_since.unwrap_or(now) - self.behind
    }

    fn real(&self, local: u64) -> u64 {
        if self.stands() { NEVER } else { local.saturating_add(self.behind) }
    }

    pub(super) fn stop(&mut self, now: u64) {
        self.stands_since.get_or_insert(now);
    }

    pub(super) fn go_on(&mut self, now: u64) {
        if let Some(since) = self.stands_since.take() {
            self.behind += now - since;
        }
    }
}

/// How cold a station is.
#[derive(Debug)]
pub(super) struct Chill {
    /// How much longer everything takes: 1 for twice as long.
    excess: f64,
    /// What each completion leaves of that.
    left_by_each: f64,
    /// When it is warm all at once.
    pub(super) until: u64,
}

impl Chill {
    pub(super) const NONE: Chill = Chill { excess: 0.0, left_by_each: 1.0, until: NEVER };

    pub(super) fn new(cold: Cold, now: u64) -> Chill {
        let excess = cold.factor - 1.0;
        match cold.eases {
            Eases::Completions(count) => Chill { excess, left_by_each: 1.0 / exp(1.0 / count), until: NEVER },
            Eases::After(time) => {
                let lasts = u64::try_from(time.as_nanos()).unwrap_or(NEVER);
                Chill { excess, left_by_each: 1.0, until: now.saturating_add(lasts) }
            }
        }
    }

    pub(super) fn factor(&self) -> f64 {
        1.0 + self.excess
    }

    /// One completion. Whether it made a difference.
    fn ease(&mut self) -> bool {
        let makes_difference = self.excess != 0.0 && self.left_by_each < 1.0;
        if makes_difference {
            self.excess *= self.left_by_each;
            if self.excess.abs() < IMPERCEPTIBLE {
                self.excess = 0.0;
            }
        }
        makes_difference
    }
}

/// So little coldness is none.
const IMPERCEPTIBLE: f64 = 1e-9;

/// The exponential of something up to 30, from sums and products alone: the last digit of a maths library's may differ
/// between machines.
fn exp(power: f64) -> f64 {
    let power = power.clamp(0.0, 30.0);
    (1..=120_u32).rev().fold(1.0, |sum, nth| 1.0 + sum * power / f64::from(nth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coldness_falls_to_one_in_e_with_so_many_completions() {
        let mut chill = Chill::new(Cold { factor: 3.0, eases: Eases::Completions(5_000.0) }, 0);
        for _ in 0..5_000 {
            chill.ease();
        }
        assert!((chill.factor() - 1.0 - 2.0 / std::f64::consts::E).abs() < 1e-9);
        assert!((exp(30.0) / 30.0_f64.exp() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_clock_that_stood_goes_on_where_it_was() {
        let mut clock = Clock::default();
        clock.stop(100);
        assert_eq!((clock.local(250), clock.real(120)), (100, NEVER));
        clock.go_on(300);
        assert_eq!((clock.local(300), clock.real(120)), (100, 320));
    }
}
