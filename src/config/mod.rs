//! The configuration file: what an operator wrote becomes what the proxy is told.
//!
//! Two steps, each of which reports all it finds before the next is tried:
//!
//! 1. `shape`: the text is TOML, has no unknown keys, and every value has the type its key wants
//!    (`file`: as written; [`keys`]: every key, with an example);
//! 2. `settings` and the modules it calls: units, ranges, names, and everything that must agree with
//!    something else in the file (as checked). A [`Config`] that comes out is whole.
//!
//! What is not in the text (files beside it, names to resolve, the number of cores) comes from
//! [`Surroundings`], so that tests need neither files nor a resolver.

pub(crate) mod shape;
pub(crate) mod file;
pub mod keys;
pub(crate) mod check;
pub(crate) mod units;
mod settings;
mod listen;
pub(crate) mod tls;
pub(crate) mod cache;
pub(crate) mod customer;
mod once;
mod tokens;
mod machines;
mod rules;
pub(crate) mod products;
pub(crate) mod names;
pub(crate) mod limits;
pub(crate) mod backends;
pub(crate) mod backend_tls;
mod sites;
mod standing;
mod streams;
pub(crate) mod budgets;
pub(crate) mod passes;
mod domains;
mod cors;
mod access_log;
mod trace;
mod pages;
pub(crate) mod schedule;
pub(crate) mod surroundings;
pub(crate) mod error;

use std::path::Path;

pub use crate::proxy::names::Resolver;
pub(crate) use error::Wrong;
pub use error::{ConfigError, Problem};
pub(crate) use keys::nearest;
pub use settings::{AdminSettings, Config, LogFormat, ScheduleSettings, ScheduledEvent};
pub use surroundings::{Surroundings, ThisMachine};

/// Read and check the file at `path`, and the files it names. Resolves the names of backends, so it may
/// take as long as the resolver does.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    match surroundings::read_text(&ThisMachine, path) {
        Ok(text) => parse(&text, path, &ThisMachine),
        Err(wrong) => Err(ConfigError::about_file(path, wrong)),
    }
}

/// Check `text` as if it had been read from a file called `name`; other files are looked for beside it.
pub fn parse(text: &str, name: &Path, around: &dyn Surroundings) -> Result<Config, ConfigError> {
    settings::check(text, name, around)
}
