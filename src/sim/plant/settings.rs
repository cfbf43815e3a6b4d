//! How the plant is built: its places of work, how long work takes, how it slows.

use std::time::Duration;

use super::Bend;

/// How the plant is built. The defaults are the plant of `docs/decisions/0004-the-plant.md`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cores of each backend: how many requests it works on at once.
    pub cores: usize,
    /// Threads of each backend: how many requests it holds at once, waiting for the wallet included.
    pub threads: usize,
    /// Requests that may wait for a thread of one backend before the next is turned away.
    pub backlog: usize,
    /// Seats of the wallet that all products share. The narrowest place.
    pub wallet_seats: usize,
    /// Mean own work of a backend, by step.
    pub backend_work: [Duration; 3],
    /// Mean work of the wallet, by step; zero where it is not asked.
    pub wallet_work: [Duration; 3],
    /// How a backend slows with the threads it has out (all 400: twice as slow).
    pub backend_bend: Bend,
    /// How the wallet slows with those who wait for it.
    pub wallet_bend: Bend,
    /// What a cold product costs, and for how long.
    pub cold: Cold,
}

/// A product that was closed has lost its warm caches: everything it asks for takes longer at first, here and in the
/// wallet.
#[derive(Debug, Clone, Copy)]
pub struct Cold {
    /// Factor on service times, in thousandths.
    pub permille: u32,
    /// How long it lasts after [`Plant::cool`].
    pub lasts: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            cores: 8,
            threads: 400,
            backlog: 65_536,
            wallet_seats: 3,
            backend_work: [ms(4), ms(6), ms(8)],
            wallet_work: [ms(0), Duration::from_micros(7_500), ms(12)],
            backend_bend: Bend { easy: 100, piled: 1_000 },
            wallet_bend: Bend { easy: 15, piled: 600 },
            cold: Cold { permille: 2_000, lasts: Duration::from_secs(15) },
        }
    }
}
