//! Sluss, a load-shedding reverse proxy for betting backends.
//!
//! The way of a request is [`proxy`]; what is decided on it is [`admission`], which knows nothing of
//! sockets and clocks.

pub mod cli;
pub mod config;
pub mod run;
pub mod handover;
mod notify;
pub mod memory;
pub mod proxy;
pub mod admission;
pub mod journal;
pub mod telemetry;
pub mod admin;
pub mod sim;
pub mod demo;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
