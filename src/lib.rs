//! Sluss, a load-shedding reverse proxy for betting backends.
//!
//! Modules stand in the order in which a request meets them.

#![warn(missing_docs)]

pub mod sim;
pub mod demo;
