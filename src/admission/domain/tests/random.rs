//! Random operations on random domains, and after every step checks that share no line with the code they check.
//!
//! A failing seed is printed; `SLUSS_SEED=n cargo test --lib random_operations` plays it again.
//!
//! **The drill.** Each bug below was put in by hand and the tests of `admission` run; who caught it. "Random" is
//! [`random_operations_keep_every_promise`], with what it said.
//!
//! | bug | stories | random |
//! |---|---|---|
//! | an abandoned request keeps its pool seat | | seats of resource 1 |
//! | a failed request frees its seats twice | | starts without all that it needs |
//! | a waiter who is displaced is told nothing | queue | the queue is longer than its bound |
//! | park is ignored for those who wait | life | woken for nothing |
//! | park is ignored for those who come | life ×3 | waits though it is forbidden |
//! | one seat more than the limit | 28 of them | starts without all that it needs |
//! | a bet starts after its stop | events, schedule | waits though it is forbidden |
//! | a waiter's race is not looked at again | events ×2 | starts though it is forbidden |
//! | lowest class first | queue ×2, limits | Continue overtakes Protected |
//! | youngest first | queue ×3, events, life | not the oldest of its class |
//! | a customer is not counted out at the end | queue, events, life ×2 | refused for a share not held |
//! | a customer is not counted out when turned away | events, life ×2 | refused for a share not held |
//! | the borrower goes first | shares ×4 | borrows while another waits for what it is owed |
//! | the ramp is ignored | life ×2, queue | starts without all that it needs |
//! | an expired waiter is let through | queue | let through too late |
//! | `next_wake` forgets one class | queue | an expiry is missed |
//! | the rest is put off without a wake | queue, life | waits for nothing |
//! | an end lets nobody in | 19 of them | waits for nothing |
//! | bets come out of the reserve | 23 of them | seats of resource 0 |
//! | parked with one still in flight | life ×2 | Draining to Parked |
//! | a signal for one race parks its product | events | state is not what orders say |
//! | no reserve while parked | life ×2 | waits for nothing |
//! | one customer has all of a reserve | reserve ×8 | not whose turn it is in the line |
//! | who has enough of a reserve holds up those behind | reserve ×3 | waits for nothing |
//! | a reserved seat comes back as another | events, life | seats differ |
//! | any of the needs will do instead of all | queue ×2, shares | overtakes |
//! | time goes back | queue | not the time that was told |
//! | a place whose slot was taken again is left | queue.rs | the wrong waiter is gone |
//! | a backend that hangs ends the ramp | life | |
//! | a free seat does not void a window of the climb | climb ×2, limits ×2 | |
//!
//! One went through all: that newcomers pass their own class when they could start. It changes nothing, for nobody
//! waits who could start; the line is asked all the same.

use super::super::super::Refused;
use super::super::super::random::Random;
use super::super::super::schedule::{Entry, EventState, Signalled};
use super::*;
use crate::admission::Underway;

mod world;
mod model;
mod journeys;
mod checks;
mod player;
mod driver;

use player::Player;

const SEEDS: u64 = 256;
const STEPS: u32 = 2000;

/// Plays `seed` to its end and returns a fingerprint of everything that the domain said.
fn play(seed: u64) -> u64 {
    let mut player = Player::new(seed);
    for _ in 0..STEPS {
        player.step();
    }
    player.end()
}

#[test]
fn random_operations_keep_every_promise() {
    if let Some(seed) = std::env::var("SLUSS_SEED").ok().and_then(|seed| seed.parse().ok()) {
        play(seed);
        return;
    }
    for seed in 0..SEEDS {
        if std::panic::catch_unwind(|| play(seed)).is_err() {
            panic!("seed {seed}; replay: SLUSS_SEED={seed} cargo test --lib random_operations");
        }
    }
}

#[test]
fn the_same_seed_tells_the_same_story_to_the_last_digit() {
    for seed in (0..SEEDS).step_by(16) {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
    assert_ne!(play(0), play(1));
}

/// The seeds must reach what is worth checking: a promise that is never put to the test is not kept.
#[test]
fn the_seeds_reach_every_corner() {
    let mut seen = model::Seen::default();
    for seed in 0..SEEDS / 4 {
        let mut player = Player::new(seed);
        for _ in 0..STEPS {
            player.step();
        }
        seen.add(&player.model.seen);
        player.end();
    }
    // The proxy's own is never said here, and nobody says what they ask: see `again`.
    let elsewhere = [Refusal::ProxyOverloaded, Refusal::TakenOver];
    for refusal in Refusal::ALL.into_iter().filter(|refusal| !elsewhere.contains(refusal)) {
        assert!(seen.refused[refusal.index()] > 0, "nobody was refused with {}", refusal.name());
    }
    for (what, times) in seen.corners() {
        assert!(times >= 20, "{what}: {times} times");
    }
}
