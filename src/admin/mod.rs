//! The operator's side: orders, signals, what is going on, and the metrics.

pub mod control;
pub mod wall;
mod calendar;
pub mod schedule;
pub mod upgrade;
mod watched;
mod certificates;
pub mod events;
pub mod orders;
pub mod backends;
pub mod shift;
mod succession;
pub mod status;
pub mod sample;
pub mod server;
pub mod door;
pub mod client;
pub mod reload;
