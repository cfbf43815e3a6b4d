//! What the process that follows must have, to know again whom and what this one knows. Nobody else gets it, and it is
//! nowhere written down.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tls::tickets::TicketKeys;

/// Keys of one process, for the next; none of a process that follows nobody.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// What names are turned into numbers with.
    pub(super) names: Option<[u8; 16]>,
    /// What tickets of TLS are sealed with.
    pub(super) tickets: Option<TicketKeys>,
    /// The number from which on it promises turns: those before are the other's.
    pub(super) turns: u64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Keys")
    }
}
