//! What happened, for telemetry, the journal and tests.

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
    /// An event was closed, parked or reopened.
    EventChanged {
        /// Which.
        event: EventKey,
        /// Its state now.
        to: super::schedule::EventState,
    },
}
