//! The rehearsal: a modelled Saturday, told the time.
//!
//! Here live the models that the demo, the tests and the load tool share: what stands behind the proxy ([`backend`];
//! that of the demo is [`saturday`]) and who stands in front of it ([`customers`]). Both are sans-IO. They have no clock, no sockets and no threads; they
//! are told the time (as a [`Duration`](std::time::Duration) since their start) and answer with what happens next, and
//! everything they draw comes from one seed. A driver with sockets and the real clock (`demo`) and one with an event
//! heap and a made-up clock thus rehearse the very same afternoon.

pub mod random;
pub mod customers;
pub mod backend;
pub mod clients;
pub mod coming;
pub mod agenda;
pub mod saturday;
pub mod law;
pub mod scenario;
pub mod record;
pub mod world;
pub mod checks;
pub mod chaos;
pub mod judge;
pub mod rehearsal;
pub mod shuffle_sharding;
pub mod report;

/// A line of business of the modelled betting company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    /// The one that is closed by a false signal and reopened into a surge.
    HorseRacing,
    /// A bystander that shares the wallet.
    Sport,
    /// Another bystander that shares the wallet.
    Casino,
}

impl Product {
    /// All of them, in the order of every table.
    pub const ALL: [Self; 3] = [Self::HorseRacing, Self::Sport, Self::Casino];

    /// Its name in configuration, metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::HorseRacing => "horse-racing",
            Self::Sport => "sport",
            Self::Casino => "casino",
        }
    }

    /// Its place in [`Product::ALL`], for arrays with one entry a product.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A step of the journey. Only together are they worth something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Looking at the odds: the backend alone.
    Odds,
    /// Logging in: the backend asks the wallet.
    Login,
    /// Placing the bet: the backend asks the wallet.
    Bet,
}

impl Step {
    /// All of them, in the order of the journey.
    pub const ALL: [Self; 3] = [Self::Odds, Self::Login, Self::Bet];

    /// Its place in the journey.
    pub fn index(self) -> usize {
        self as usize
    }

    /// What comes after it; nothing after the bet.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Odds => Some(Self::Login),
            Self::Login => Some(Self::Bet),
            Self::Bet => None,
        }
    }
}
