//! Has the plant of the demo the disease, and is it curable? Both in made-up time, from a seed, in seconds.
//!
//! The same customers and the same plant as in `sluss demo`, with nothing or with a plain limit per product between
//! them: first come first served, bets before logins, refused after a second of waiting, what HAProxy's `maxconn`,
//! `priority-class` and `timeout queue` do. So that the demo can neither be too easy nor be rigged for one proxy.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use sluss::admission::{Class, Order, Outcome, Timestamp};
use sluss::sim::law::{self, Knock, Law, Look, No, RequestId, Said, Word};
use sluss::sim::record::{Counts, Run, Whose};
use sluss::sim::scenario::{Coming, Crowd, Figure, Pause, Scenario};
use sluss::sim::{saturday, world};

const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// Seconds from the reopening to the end.
const WINDOW: Range<u64> = 10..55;
/// Customers count who had at least this long to finish.
const ROOM: u64 = 10;
const PRODUCTS: usize = 3;

/// What stands between customers and plant.
#[derive(Clone, Copy, Debug)]
enum Front {
    Nothing,
    /// So many logins and bets of each product at a time.
    MaxConn(usize),
}

/// A plain limit per product.
struct MaxConn {
    most: usize,
    running: [usize; PRODUCTS],
    /// Bets and logins, each with the time when it is refused.
    queues: [[VecDeque<(Timestamp, RequestId)>; 2]; PRODUCTS],
    /// Whose place each request holds.
    held: HashMap<RequestId, usize>,
    said: VecDeque<Said>,
}

impl MaxConn {
    fn new(most: usize) -> MaxConn {
        MaxConn { most, running: [0; 3], queues: Default::default(), held: HashMap::new(), said: VecDeque::new() }
    }

    fn hold(&mut self, request: RequestId, product: usize) {
        self.running[product] += 1;
        self.held.insert(request, product);
    }

    fn all_queues(&mut self) -> impl Iterator<Item = &mut VecDeque<(Timestamp, RequestId)>> {
        self.queues.iter_mut().flatten()
    }
}

impl Law for MaxConn {
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word {
        let product = usize::from(knock.arrival.product.0);
        let class = match knock.arrival.class {
            Class::Commit => 0,
            Class::Start => 1,
            _ => return Word::Pass,
        };
        if self.running[product] < self.most {
            self.hold(knock.request, product);
            return Word::Pass;
        }
        self.queues[product][class].push_back((now + QUEUE_TIMEOUT, knock.request));
        Word::Wait
    }

    fn finish(&mut self, request: RequestId, _: Outcome, _: Timestamp) {
        let Some(product) = self.held.remove(&request) else { return };
        self.running[product] -= 1;
        let [bets, logins] = &mut self.queues[product];
        if let Some((_, next)) = bets.pop_front().or_else(|| logins.pop_front()) {
            self.hold(next, product);
            self.said.push_back(Said::Pass(next));
        }
    }

    fn leave(&mut self, request: RequestId, _: Timestamp) {
        self.all_queues().for_each(|queue| queue.retain(|(_, waiting)| *waiting != request));
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.queues.iter().flatten().filter_map(|queue| queue.front().map(|(until, _)| *until)).min()
    }

    fn wake(&mut self, now: Timestamp) {
        let mut late = Vec::new();
        for queue in self.all_queues() {
            while let Some((_, request)) = queue.pop_front_if(|(until, _)| *until <= now) {
                late.push(Said::Refuse(request, No::BARE));
            }
        }
        self.said.extend(late);
    }

    fn order(&mut self, product: usize, order: Order, _: Timestamp) {
        unreachable!("nothing is closed here, but product {product} was told to {order:?}");
    }

    fn look(&self, _: usize) -> Look {
        Look::default()
    }
}

fn play(story: &Scenario, front: Front) -> Run {
    let law: Box<dyn Law> = match front {
        Front::Nothing => law::build("none", story, SEED).expect("it stands for nothing at all"),
        Front::MaxConn(most) => Box::new(MaxConn::new(most)),
    };
    world::run(story, "front", law, SEED, &mut |_| {})
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Those of a crowd who come in a stretch of time.
fn stretch(crowd: &Crowd, stretch: Range<u64>) -> Crowd {
    let per_s = crowd.coming.expected(secs(1));
    let points = vec![(secs(stretch.start), per_s), (secs(stretch.end), 0.0)];
    Crowd { coming: Coming::Rate { points, linear: false }, ..crowd.clone() }
}

/// The Saturday with nobody who closes anything, and the places of those crowds that come in the window early enough to
/// be counted.
fn nothing_closed() -> (Scenario, Vec<usize>) {
    let mut story = saturday::story();
    story.happenings.clear();
    let (early, late) = (WINDOW.start, WINDOW.end - ROOM);
    let (mut crowds, mut counted) = (Vec::new(), Vec::new());
    for crowd in &story.crowds {
        if let Coming::Rate { .. } = crowd.coming {
            counted.push(crowds.len() + 1);
            crowds.extend([0..early, early..late, late..WINDOW.end].map(|part| stretch(crowd, part)));
        } else {
            counted.push(crowds.len());
            crowds.push(crowd.clone());
        }
    }
    story.crowds = crowds;
    (story, counted)
}

fn sum(run: &Run, whose: Whose, seconds: Range<u64>) -> Counts {
    let mut sum = Counts::default();
    seconds.for_each(|second| sum += run.second(whose, second as usize));
    sum
}

/// Figures of the window after the reopening: horse bets a second, journeys finished in percent by product, attempts
/// for each step that succeeded.
struct Figures {
    horse_per_s: f64,
    finished: [f64; PRODUCTS],
    attempts_per_step: f64,
}

fn figures(front: Front) -> Figures {
    let (story, counted) = nothing_closed();
    let run = play(&story, front);
    assert_eq!(run.duplicates, 0);
    let all = 0..WINDOW.end;
    let finished = |product| {
        let its = counted.iter().filter(|crowd| run.crowds[**crowd].product == product);
        let (finished, came) = its.fold((0, 0), |(finished, came), crowd| {
            let counts = sum(&run, Whose::Crowd(*crowd), all.clone());
            (finished + counts.finished, came + counts.came)
        });
        100.0 * f64::from(finished) / f64::from(came)
    };
    let bets = sum(&run, Whose::Product(0), WINDOW).finished;
    let attempts_per_step = run.figure(Figure::AttemptsPerStep, None, (Duration::ZERO, story.lasts), None);
    Figures {
        horse_per_s: f64::from(bets) / (WINDOW.end - WINDOW.start) as f64,
        finished: [0, 1, 2].map(finished),
        attempts_per_step: attempts_per_step.expect("somebody was served"),
    }
}

/// The most horse journeys a second in a closed loop without think time, sport and casino as usual.
fn yardstick() -> f64 {
    [8, 12, 16].map(closed_loop).into_iter().fold(0.0, f64::max)
}

fn closed_loop(concurrency: u32) -> f64 {
    // Sport and casino are under way after the first two seconds.
    let measured = 2..22;
    let mut story = saturday::story();
    story.happenings.clear();
    story.lasts = secs(measured.end);
    let eager = Crowd {
        coming: Coming::Count { count: concurrency, from: Duration::ZERO, within: vec![(100, secs(1))] },
        endless: true,
        think: Pause::Between(Duration::ZERO, Duration::ZERO),
        ..story.crowds[0].clone()
    };
    story.crowds.retain(|crowd| crowd.product != eager.product);
    story.crowds.push(eager);
    let run = play(&story, Front::Nothing);
    let steps = sum(&run, Whose::Product(0), measured.clone()).served;
    f64::from(steps) / 3.0 / (measured.end - measured.start) as f64
}

#[allow(clippy::print_stdout, reason = "the figures are what one reads when this fails")]
fn show(front: Front, yardstick: f64) -> (f64, Figures) {
    let figures = figures(front);
    let share = 100.0 * figures.horse_per_s / yardstick;
    println!(
        "{front:?}: horse {:.1}/s = {share:.0} % of {yardstick:.1}, finished {:.0?} %, {:.1} attempts a step",
        figures.horse_per_s, figures.finished, figures.attempts_per_step,
    );
    (share, figures)
}

const SEED: u64 = 1;

#[test]
fn the_plant_collapses_alone_and_serves_behind_a_sensible_limit() {
    let yardstick = yardstick();
    assert!((85.0..100.0).contains(&yardstick), "{yardstick}");

    let (horse, alone) = show(Front::Nothing, yardstick);
    assert!(horse < 10.0 && alone.finished[1] < 40.0 && alone.finished[2] < 40.0, "the disease");

    let (sensible, limited) = show(Front::MaxConn(12), yardstick);
    assert!(sensible > 85.0 && limited.finished[1] > 99.5 && limited.finished[2] > 99.5, "the cure");

    let (usual, guessed) = show(Front::MaxConn(100), yardstick);
    assert!(usual < sensible - 30.0 && guessed.finished[1] < 95.0, "the usual guess is no cure");
    assert!(alone.attempts_per_step > 2.0 * limited.attempts_per_step, "retries are what keeps it down");
}
