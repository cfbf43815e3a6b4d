//! The rehearsal: a modelled Saturday, told the time.
//!
//! Here live the models that the simulator, the demo and the tests share: what stands behind the proxy ([`backend`]) and
//! who stands in front of it ([`clients`], who come as [`coming`] says), both as a [`scenario`] tells; that of the demo
//! is [`saturday`]. They are sans-IO. They have no clock, no sockets and no threads; they are told the time and answer
//! with what happens next, and everything they draw comes from one seed. A driver with sockets and the real clock
//! (`demo`) and one with an event heap and a made-up clock ([`world`]) thus rehearse the very same afternoon.

pub mod random;
pub mod backend;
pub mod clients;
pub mod coming;
pub mod agenda;
pub mod law;
pub mod scenario;
pub mod saturday;
pub mod record;
pub mod world;
pub mod checks;
pub mod chaos;
pub mod judge;
pub mod rehearsal;
pub mod shuffle_sharding;
pub mod report;
