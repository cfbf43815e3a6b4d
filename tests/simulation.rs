//! The Saturday under a made-up clock: the very admission that serves, with the plant and the customers of the demo.
//!
//! Left out are the network and what the proxy itself costs, so what is measured here is the decisions alone, a minute
//! in a fraction of a second.

use std::num::NonZeroU32;
use std::ops::Range;

use sluss::admission::settings::{self, LimitSettings};
use sluss::sim::backend::Fault;
use sluss::sim::law::Ours;
use sluss::sim::record::{Counts, Run, Whose};
use sluss::sim::scenario::{Happening, What};
use sluss::sim::{saturday, world};

#[path = "simulation/known.rs"]
mod known;
#[path = "simulation/flow.rs"]
mod flow;
#[path = "simulation/chaos.rs"]
mod chaos;

/// Seconds from the reopening to the end.
const REOPENED: Range<usize> = 10..55;
const HORSE: usize = 0;
const OTHERS: [usize; 2] = [1, 2];

/// Plays seed `seed` with this limit on the wallet, and horse racing cold at the reopening.
fn play(seed: u64, wallet: LimitSettings) -> Run {
    let mut story = saturday::story();
    let budgets = story.admission.resources.iter_mut().filter(|resource| resource.budget);
    budgets.for_each(|budget| budget.limit = wallet.clone());
    let reopening = story.happenings.iter().position(|happening| matches!(happening.what, What::EventOrder(..)));
    let reopening = reopening.expect("a person reopens");
    let at = story.happenings[reopening].at;
    assert_eq!(at.as_secs() as usize, REOPENED.start);
    let cold = What::Fault(story.products[HORSE].station, Fault::Cold(saturday::COLD));
    story.happenings.insert(reopening, Happening { at, what: cold });
    let law = Ours::new(story.admission.clone(), story.pools(), seed);
    world::run(&story, "ours", Box::new(law), seed, &mut |_| {})
}

/// What one product's customers met from the reopening on.
fn met(run: &Run, product: usize) -> Counts {
    let mut sum = Counts::default();
    REOPENED.for_each(|second| sum += run.second(Whose::Product(product), second));
    sum
}

fn found() -> LimitSettings {
    LimitSettings::Found(settings::Range::default())
}

#[test]
fn the_surge_is_served_as_well_as_with_the_best_fixed_limit_and_the_others_do_not_notice() {
    // About ten seats at the wallet serve this plant best; nobody told the proxy.
    let best = LimitSettings::Fixed(NonZeroU32::new(10).expect("not zero"));
    let (mut bets, mut most) = (0, 0);
    for seed in 1..=4 {
        let run = play(seed, found());
        bets += met(&run, HORSE).finished;
        most += met(&play(seed, best.clone()), HORSE).finished;
        for other in OTHERS.map(|other| met(&run, other)) {
            let success = 1.0 - f64::from(other.refused) / f64::from(other.attempts);
            assert!(success >= 0.985, "seed {seed}: {other:?}");
        }
    }
    assert!(f64::from(bets) >= 0.93 * f64::from(most), "{bets} bets of {most}");
}

#[test]
fn the_same_seed_is_the_same_saturday() {
    let told = |seed| format!("{:?}", play(seed, found()).crowds);
    assert_eq!(told(5), told(5));
    assert_ne!(told(5), told(6));
}
