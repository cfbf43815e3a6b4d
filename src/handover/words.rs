//! What two processes say to each other: one JSON object a line.

use std::io;

use serde::{Deserialize, Serialize};

use crate::proxy::keys::Keys;

/// A word of the new process to the running one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum News {
    /// The configuration is sound, and everything is there that can be had beside the running process.
    Sound,
    /// It will not start.
    Failed {
        /// A sentence that says what to do.
        why: String,
    },
    /// It takes requests.
    Ready {
        /// Through the clients' sockets that it was handed, or through others: its configuration names another address.
        clients: bool,
        /// The same of the operators' socket.
        admin: bool,
    },
}

/// The word of the running process to the new one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum Leave {
    /// The journal is yours, and these keys: read it, and take requests.
    Go {
        /// With which what is known here is known there.
        #[serde(default)]
        keys: Keys,
    },
}

pub(super) fn line(word: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    Ok(line)
}
