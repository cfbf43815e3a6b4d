//! What steers the access log, as checked.

use std::num::NonZeroU32;
use std::path::PathBuf;

/// Where lines go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Where they go.
    pub target: Target,
    /// How many of which are written.
    pub one_in: OneIn,
    /// Whether a path is written with its query, in which customers' names and tokens may stand.
    pub query: bool,
    /// Bytes of lines that may wait to be written; further lines are dropped and counted.
    pub memory: usize,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the standard output.
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

/// One line is written for so many requests, drawn by lot; each says for how many it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneIn {
    /// Of requests whose answer went out whole.
    pub answered: NonZeroU32,
    /// Of requests that were refused.
    pub refused: NonZeroU32,
    /// Of all others.
    pub failed: NonZeroU32,
}
