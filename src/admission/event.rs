//! What happened, for telemetry, the journal and tests.

use super::shift::{End, Ill};
use super::{EventKey, ProductId, State};

/// Something an operator would want to know. Never one per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A product moved to another state.
    StateChanged {
        /// Which.
        product: ProductId,
        /// From where.
        from: State,
        /// To where.
        to: State,
    },
    /// The ramp's ceiling moved.
    RampMoved {
        /// Which product.
        product: ProductId,
        /// Seats before.
        from: u32,
        /// Seats now.
        to: u32,
    },
    /// The ramp has stepped back too often: it serves on where it is, and somebody should look.
    RampFroze {
        /// Which product.
        product: ProductId,
        /// Seats it serves on with.
        seats: u32,
    },
    /// A frozen ramp goes on, by order or because the backends do better.
    RampThawed {
        /// Which product.
        product: ProductId,
    },
    /// A shift has moved a share.
    ShareMoved {
        /// Which product's.
        product: ProductId,
        /// The giving site, by its place among the product's, and its share now, in per cent.
        from: (u8, u32),
        /// The receiving one, and its share now.
        to: (u8, u32),
        /// What the receiving one had before.
        before: u32,
        /// Whether its share is the most it may have as well.
        bounded: bool,
        /// What it suffered from, where the share went back.
        ill: Option<Ill>,
    },
    /// A shift is over.
    ShiftEnded {
        /// Which product's.
        product: ProductId,
        /// The receiving site, by its place among the product's.
        site: u8,
        /// Its share, in per cent.
        share: u32,
        /// Whether that is the most it may have as well.
        bounded: bool,
        /// How it ended.
        end: End,
    },
    /// An event was closed, parked or reopened.
    EventChanged {
        /// Which.
        event: EventKey,
        /// Its state now.
        to: super::schedule::EventState,
    },
}
