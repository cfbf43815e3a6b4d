//! What steers the names of requests, as checked.

use std::num::NonZeroU32;

use http::HeaderName;

/// Which names requests get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// Whether a request without a well-formed `traceparent` gets one.
    pub traceparent: bool,
    /// One in so many of those has its flag `sampled` set.
    pub sampled_one_in: NonZeroU32,
    /// The header in which a request's id stands; `None` leaves it alone.
    pub request_id: Option<HeaderName>,
}
