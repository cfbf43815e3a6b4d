//! A story and its runs made by hand, for tests of tables and pages: a closure of a minute, and a surge after it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Manner, Rehearsal, Story, rehearse};
use crate::admission::{ProductId, Settings};
use crate::sim::backend;
use crate::sim::record::handmade::{crowd, look, run, second};
use crate::sim::record::{Mark, Run};
use crate::sim::scenario::{Coming, Crowd, Expected, Figure, Known, Patience, Pause, Product, Scenario};

/// A story of two products, of which only the first is closed.
pub(crate) fn story() -> Story {
    let product = |name: &str| Product {
        name: name.into(),
        station: 0,
        first_byte_timeout: Duration::from_secs(10),
        cache: None,
        pool: 0,
        sites: Vec::new(),
    };
    let scenario = Scenario {
        name: "The <false> signal".into(),
        about: "Racing closes & reopens.".into(),
        scale: "1:10".into(),
        lasts: Duration::from_secs(180),
        measured: (Duration::from_secs(90), Duration::from_secs(180)),
        capacity_per_s: Some(50.0),
        products: vec![product("horse-racing"), product("sport")],
        plant: backend::Settings::default(),
        admission: Settings {
            products: Vec::new(),
            resources: Vec::new(),
            at_once_per_customer: NonZeroU32::MIN,
            at_once_per_address: NonZeroU32::MIN,
            machines: Vec::new(),
        },
        carried: Vec::new(),
        hints: Vec::new(),
        crowds: vec![crowd_of("bettors", 0), crowd_of("fans", 1)],
        events: Vec::new(),
        happenings: Vec::new(),
        against: vec!["none".into()],
        expected: vec![
            expected("sluss", Figure::GoodputPerS, (30.0, f64::INFINITY), None),
            expected("vegas", Figure::Served, (24.0, 26.0), Some(25.0)),
            Expected { crowd: Some(1), ..expected("sluss", Figure::AttemptsPerStep, (0.0, 1.05), None) },
        ],
    };
    Story::new("scenarios/false signal.toml".into(), scenario, &["none".into(), "vegas".into()])
}

/// It was rehearsed with seeds 1 and 2.
pub(crate) fn rehearsal() -> Rehearsal {
    let manner = Manner { threads: std::num::NonZeroUsize::MIN, show: true };
    let play = |_: &Scenario, law: &str, seed: u64, _: &mut dyn FnMut(_)| Ok(played(law, seed));
    rehearse(vec![story()], &[1, 2], manner, &play, &|_| ()).expect("nothing fails here").remove(0)
}

/// Closed from 30 to 90 s; then `sluss` serves 45 a second, `vegas` 25 and the others next to nothing.
pub(crate) fn played(law: &str, seed: u64) -> Run {
    let bends = seed as u32;
    let after = match law {
        "sluss" => second(60, 45 - bends),
        "vegas" => second(100, 24 + bends),
        _ => second(400, 3),
    };
    let horse = (0..180).map(|at| match at {
        0..30 => second(30, 30),
        30..90 => second(10, 0),
        _ => after,
    });
    let horse_looks = (0..=360).map(|half: u32| match (law, half) {
        (_, 0..60) => look(48.0, 30),
        ("sluss", 60..180) => crate::sim::law::Look { state: "parked", ..look(48.0, 0) },
        ("sluss", 180..220) => crate::sim::law::Look {
            state: "ramping",
            ramp: Some(4 + half - 180),
            waiting: 40,
            ..look(48.0, 4 + half - 180)
        },
        ("sluss", _) => crate::sim::law::Look { waiting: 20, ..look(48.0, 47) },
        ("vegas", _) => look(100.0, 100),
        (_, 60..180) => crate::sim::law::Look { limit: None, state: "parked", ..look(0.0, 0) },
        _ => crate::sim::law::Look { limit: None, ..look(0.0, 200) },
    });
    let mut fans = crowd(1, vec![second(10, 10); 180]);
    fans.times.latency.record(20_000).expect("within bounds");
    let looks = vec![horse_looks.collect(), vec![look(10.0, 5); 361]];
    let mark = |at, what: &str| Mark { at: Duration::from_secs(at), product: Some(0), what: what.into() };
    Run {
        crowds: vec![crowd(0, horse.collect()), fans],
        most_in_flight: Vec::new(),
        shares: Vec::new(),
        knees: looks.iter().map(|looks: &Vec<_>| vec![Some(50.0); looks.len()]).collect(),
        looks,
        marks: vec![mark(30, "park"), mark(90, "reopen")],
        events: 1_000,
        violations: (law == "none").then(|| format!("none with {seed}: 3 above the limit")).into_iter().collect(),
        ..run(law, seed)
    }
}

fn crowd_of(name: &str, product: u8) -> Crowd {
    let second = Duration::from_secs(1);
    Crowd {
        name: name.into(),
        product: ProductId(product.into()),
        coming: Coming::Rate { points: vec![(Duration::ZERO, 10.0)], linear: false },
        journey: Vec::new(),
        endless: false,
        think: Pause::Between(second, second),
        patience: Patience { least: second, most: second, by_step: false },
        timeout: second,
        manners: Vec::new(),
        two_devices: 0,
        no_shows: 0,
        worth: None,
    }
}

fn expected(law: &str, figure: Figure, range: (f64, f64), known: Option<f64>) -> Expected {
    let known = known.map(|value| Known { value, source: "overload.md EXP1".into() });
    Expected {
        law: law.into(),
        figure,
        crowd: None,
        product: None,
        window: None,
        range,
        mean: false,
        goal: None,
        known,
    }
}
