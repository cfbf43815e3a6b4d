//! Sluss, a load-shedding reverse proxy for betting backends.
//!
//! Modules stand in the order in which a request meets them.

pub mod proxy;
pub mod admission;
pub mod config;
