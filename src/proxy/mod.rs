//! The way of a request.

pub mod settings;

pub use settings::Settings;
