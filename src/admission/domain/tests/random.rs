//! Random operations on random domains, and after every step checks that share no line with the code they check.
//!
//! A failing seed is printed; `SLUSS_SEED=n cargo test --lib random_operations` plays it again.
//!
//! What each of these checks is worth was tried by hand: `docs/decisions/0003-admission-drill.md` lists deliberate bugs
//! and who caught them.

use super::super::super::random::Random;
use super::super::super::schedule::{Entry, EventState, Signalled};
use super::*;

mod world;
mod model;
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
    for refusal in Refusal::ALL {
        assert!(seen.refused[refusal.index()] > 0, "nobody was refused with {}", refusal.name());
    }
    for (what, times) in seen.corners() {
        assert!(times >= 20, "{what}: {times} times");
    }
}
