//! The Saturday of the demo: three backends over one wallet, with the disease.
//!
//! ```text
//!  request ──▶ thread (400) ──▶ core (8) ──▶ wallet (3 seats for all products) ──▶ answer
//!              held to the end   own work     login and bets only
//! ```
//!
//! It is told in `scenarios/saturday.toml`, and nowhere else: the simulator, the demo and the tests all play that file.
//!
//! - A thread is held while the wallet is asked, and there is no bulkhead in front of the wallet: whoever has most
//!   threads waiting there has most of it.
//! - Work goes on when the caller has hung up. The plant is told, and does not care.
//! - Service slows gently, up to four times, as work piles up ([`Bend`](super::backend::Bend)).
//! - Nothing is refused until 65,536 wait for a thread.
//!
//! These four together make the collapse metastable: retries of work that is already being done keep the pile up, the
//! pile keeps answers slower than customers wait, and so they retry. Why these numbers is in
//! `docs/decisions/0004-the-plant.md`.

use std::path::Path;
use std::time::Duration;

use super::backend::{Cold, Eases};
use super::scenario::{self, Scenario};

/// The story. Each call reads it anew.
pub fn story() -> Scenario {
    let story = scenario::parse(TOLD, Path::new("scenarios/saturday.toml"));
    story.expect("the file is part of this build, and tests tell it")
}

/// What the story leaves out and may be added at the reopening: a product that was closed has lost its warm caches, so
/// everything it asks for takes longer at first, there and in the wallet.
pub const COLD: Cold = Cold { factor: 2.0, eases: Eases::After(COLD_FOR) };
const COLD_FOR: Duration = Duration::from_secs(15);

/// The part of what the closed product's customers could do with a warm plant that is possible in so long from a reopening on
/// when it is [`COLD`].
pub fn possible_when_cold(window: Duration) -> f64 {
    let cold = COLD_FOR.min(window).as_secs_f64() / window.as_secs_f64().max(f64::MIN_POSITIVE);
    1.0 - cold * (1.0 - 1.0 / COLD.factor)
}

const TOLD: &str = include_str!("../../scenarios/saturday.toml");

#[cfg(test)]
mod tests;
