//! The plant of the demo: three backends over one wallet, with the disease.
//!
//! ```text
//!  request ──▶ thread (400) ──▶ core (8) ──▶ wallet (3 seats for all products) ──▶ answer
//!              held to the end   own work     login and bets only
//! ```
//!
//! - A thread is held while the wallet is asked, and there is no bulkhead in front of the wallet: whoever has most
//!   threads waiting there has most of it.
//! - Work goes on when the caller has hung up. The plant is told, and does not care.
//! - Service slows gently, up to four times, as work piles up ([`Bend`]).
//! - Nothing is refused until 65,536 wait for a thread.
//!
//! These four together make the collapse metastable: retries of work that is already being done keep the pile up, the
//! pile keeps answers slower than customers wait, and so they retry. Why these numbers is in
//! `docs/decisions/0004-the-plant.md`.

use std::time::Duration;

use super::backend::{Bend, Cold, Eases, Engine, Ledger, Leg, Route, Settings, Spread, Station};
use super::{Product, Step};

/// The wallet's place among the stations; a backend's is its product's [`Product::index`].
pub const WALLET: usize = 3;

/// A product that was closed has lost its warm caches: everything it asks for takes longer at first, here and in the
/// wallet.
pub const COLD: Cold = Cold { factor: 2.0, eases: Eases::After(Duration::from_secs(15)) };

/// How the plant is built.
pub fn plant() -> Settings {
    let mut stations: Vec<Station> = Product::ALL.into_iter().map(backend).collect();
    stations.push(wallet());
    let routes = Product::ALL.into_iter().flat_map(|product| Step::ALL.map(|step| way(product, step))).collect();
    Settings { stations, routes }
}

/// What a step of a product's journey asks of the plant.
pub fn route(product: Product, step: Step) -> usize {
    product.index() * Step::ALL.len() + step.index()
}

/// Requests that reached the backend of one product.
pub fn arrived(ledger: &Ledger, product: Product) -> u64 {
    Step::ALL.into_iter().map(|step| ledger.counts(route(product, step)).arrived).sum()
}

/// Bets of one product carried out, whether or not anybody heard. One without a key cannot be recognised again: each
/// counts, as it would in money.
pub fn placed(ledger: &Ledger, product: Product) -> u64 {
    let counts = ledger.counts(route(product, Step::Bet));
    counts.done - counts.repeated
}

/// Bets of one product that came again after they had been carried out, and got their receipt.
pub fn repeated(ledger: &Ledger, product: Product) -> u64 {
    ledger.counts(route(product, Step::Bet)).repeated
}

/// All 400 threads out: twice as slow.
fn backend(product: Product) -> Station {
    Station {
        name: product.name().into(),
        engine: Engine::Seats { seats: 8, bend: Bend { easy: 100, piled: 1_000 } },
        threads: 400,
        backlog: 65_536,
        cold: None,
        outlives_caller: true,
    }
}

/// The narrowest place. Its callers' threads are the only bound on who waits there.
fn wallet() -> Station {
    Station {
        name: "wallet".into(),
        engine: Engine::Seats { seats: 3, bend: Bend { easy: 15, piled: 600 } },
        threads: usize::MAX,
        backlog: 0,
        cold: None,
        outlives_caller: true,
    }
}

fn way(product: Product, step: Step) -> Route {
    let leg = |station, micros| Leg { station, work: Duration::from_micros(micros), spread: Spread::Floored };
    let own = product.index();
    let legs = match step {
        Step::Odds => vec![leg(own, 4_000)],
        Step::Login => vec![leg(own, 6_000), leg(WALLET, 7_500)],
        Step::Bet => vec![leg(own, 8_000), leg(WALLET, 12_000)],
    };
    Route { legs }
}

#[cfg(test)]
mod tests;
