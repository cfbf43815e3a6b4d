//! A law that lies, and what the witness says to it: no check that cannot fail.

mod liar;
mod seats;
mod reserve;
mod waiting;
mod turns;
mod closing;
mod refusals;
mod capacity;
mod over_time;
mod journeys;
mod stops;

use std::time::Duration;

use super::{Kept, Watched};
use crate::admission::rank::Rank;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::time::at;
use crate::admission::{Class, EventKey, Order, ParkReason, ProductId, Refusal, State, Timestamp};
use crate::sim::law::{No, Notice, RequestId, Said, Word};
use liar::{HORSES, POOL, SPORT, Scene, WALLET};

/// What is said in tests when somebody is told no and nothing is wrong with the time.
fn no(why: Refusal) -> No {
    No { why: Some(why), retry_after: Some(Duration::from_secs(2)), at_the_gate: false }
}

const RACE: EventKey = EventKey(75);

/// With a race that stops after a minute and whose closing is believed ten seconds before.
fn race() -> Scene {
    let mut scene = Scene::new();
    let entry = Entry {
        product: ProductId(HORSES as u16),
        stop: at(60_000),
        believed_before_stop: Duration::from_secs(10),
        state: EventState::Open,
    };
    scene.notices(Notice::Schedule(RACE, entry), 0);
    scene
}

#[test]
fn a_law_that_keeps_its_promises_hears_nothing() {
    let mut scene = Scene::new();
    let first = scene.passes(HORSES, Class::Commit, 0);
    let others: Vec<_> = (0..3).map(|_| scene.passes(HORSES, Class::Read, 1)).collect();
    let waiter = scene.waits(SPORT, Class::Commit, 2);
    scene.ends_and_lets(first, &[Said::Pass(waiter)], 3);
    others.into_iter().chain([waiter]).for_each(|request| scene.ends_and_lets(request, &[], 4));
    scene.is_silent();
}
