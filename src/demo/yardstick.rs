//! The yardstick: the most horse journeys a second this plant can do while sport and casino run as usual.
//!
//! Measured, not computed, straight at the backends, just before the runs that are held against it. Horse customers
//! without think time go round in a closed loop, more of them level by level. The highest of a row of short
//! looks is most likely a lucky one, so a level is only found there and then measured afresh, for longer; that
//! figure is used.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::customers::records::Fate;
use super::customers::{Field, Sources};
use super::figures::{Window, percent, rounded};
use super::plant::PlantProcess;
use super::show::Show;
use super::{Failure, doors};
use crate::sim::Product;
use crate::sim::customers::{Crowd, Ended, Event, Kind, Steady, Traits, steady};

/// So many horse customers at a time.
const LEVELS: [usize; 5] = [4, 8, 12, 16, 24];
/// Before sport and casino are under way.
const WARM: Duration = Duration::from_millis(1_500);
/// Until a level has settled.
const SETTLE: Duration = Duration::from_millis(250);
/// A short look, to find the best level.
const LOOK: Duration = Duration::from_millis(1_200);
/// The measurement itself.
const MEASURE: Duration = Duration::from_secs(6);
/// Sport and casino are "as usual" while so many of their attempts are answered.
const AS_USUAL_PERCENT: f64 = 99.0;
/// Two looks this near each other look the same: a second tells no more.
const AS_GOOD: f64 = 0.95;
/// The eager ones' numbers begin where no crowd's do.
const EAGER: u64 = 9 << 32;

/// What the plant can do.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Yardstick {
    /// Horse journeys a second, sport and casino as usual.
    pub(super) journeys_per_s: f64,
    /// With so many horse customers at a time.
    pub(super) concurrency: usize,
    pub(super) looks: Vec<Look>,
}

/// One level of the sweep.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Look {
    pub(super) concurrency: usize,
    pub(super) journeys_per_s: f64,
    /// Share of attempts in sport and casino that were answered.
    pub(super) others_percent: f64,
}

/// Measures the plant. It must be fresh, and is of no use for anything else afterwards.
pub(super) async fn measure(
    plant: &PlantProcess,
    sources: Sources,
    seed: u64,
    show: &Show,
) -> Result<Yardstick, Failure> {
    let field = Field::new(doors(&plant.addresses), sources, seed);
    let length = WARM + (SETTLE + LOOK) * 5 + SETTLE + MEASURE;
    show.phase("Yardstick: what can this plant do, sport and casino as usual?", length);
    for product in [Product::Sport, Product::Casino] {
        let base = steady(&Crowd::saturday(seed), product, length, Steady::Even);
        field.arrive(base, Duration::ZERO);
    }
    tokio::time::sleep(WARM).await;

    let mut loops = Loops::new(&field);
    let mut looks = Vec::new();
    for concurrency in LEVELS {
        looks.push(loops.look(concurrency, LOOK).await);
    }
    let Some(best) = best(&looks) else {
        return Err(Failure::new("no yardstick: sport and casino were disturbed at every level of the sweep"));
    };
    let measured = loops.look(best, MEASURE).await;
    field.clear().await;
    if measured.others_percent < AS_USUAL_PERCENT {
        return Err(Failure::new("no yardstick: sport and casino were disturbed at the level that had looked best"));
    }
    Ok(Yardstick { journeys_per_s: measured.journeys_per_s, concurrency: best, looks })
}

/// The lowest level that looked as good as any, sport and casino as usual.
fn best(looks: &[Look]) -> Option<usize> {
    let usual = || looks.iter().filter(|look| look.others_percent >= AS_USUAL_PERCENT);
    let highest = usual().map(|look| look.journeys_per_s).fold(0.0, f64::max);
    usual().find(|look| look.journeys_per_s >= highest * AS_GOOD).map(|look| look.concurrency)
}

/// Horse customers who go round and round.
struct Loops<'a> {
    field: &'a Rc<Field>,
    /// Loops numbered below this go on; the others end with their journey.
    wanted: Rc<Cell<usize>>,
    running: usize,
    next_customer: Rc<Cell<u64>>,
}

impl<'a> Loops<'a> {
    fn new(field: &'a Rc<Field>) -> Self {
        Self { field, wanted: Rc::default(), running: 0, next_customer: Rc::new(Cell::new(EAGER)) }
    }

    async fn look(&mut self, concurrency: usize, length: Duration) -> Look {
        self.wanted.set(concurrency);
        for nth in self.running..concurrency {
            let (field, wanted, next) =
                (Rc::clone(self.field), Rc::clone(&self.wanted), Rc::clone(&self.next_customer));
            self.field.also(async move { go_round(field, nth, wanted, next).await });
        }
        self.running = concurrency;
        tokio::time::sleep(SETTLE).await;
        let from = self.field.now();
        tokio::time::sleep(length).await;
        self.seen(concurrency, Window { from, to: self.field.now() })
    }

    fn seen(&self, concurrency: usize, window: Window) -> Look {
        let records = self.field.records.borrow();
        let journeys = records.journeys.iter().filter(|journey| {
            journey.product == Product::HorseRacing && journey.fate == Fate::Finished && window.has(journey.left)
        });
        let others = || records.lately(window.from).filter(|attempt| attempt.product != Product::HorseRacing);
        let answered = others().filter(|attempt| attempt.how == Ended::Answered).count();
        Look {
            concurrency,
            journeys_per_s: rounded(journeys.count() as f64 / window.secs()),
            others_percent: percent(answered as u64, others().count() as u64),
        }
    }
}

async fn go_round(field: Rc<Field>, nth: usize, wanted: Rc<Cell<usize>>, next: Rc<Cell<u64>>) {
    while nth < wanted.get() {
        let id = next.replace(next.get() + 1);
        let traits = Traits {
            id,
            product: Product::HorseRacing,
            event: Event::Another,
            kind: Kind::Person,
            arrives: field.now(),
            patience: Duration::from_secs(60),
            think: (Duration::ZERO, Duration::ZERO),
        };
        field.journey(traits).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(concurrency: usize, journeys_per_s: f64, others_percent: f64) -> Look {
        Look { concurrency, journeys_per_s, others_percent }
    }

    #[test]
    fn the_lowest_level_among_the_best_is_taken_and_none_that_disturbs_the_others() {
        let looks = [look(4, 80.0, 100.0), look(8, 92.0, 100.0), look(12, 95.0, 99.9), look(16, 99.0, 98.0)];
        assert_eq!(best(&looks), Some(8));
        assert_eq!(best(&looks[..1]), Some(4));
        assert_eq!(best(&looks[3..]), None);
    }
}
