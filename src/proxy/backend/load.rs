//! What a backend has to do, its share, and how far it is doubted: one word, so that whoever chooses looks once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Backend;

/// What a look at a backend shows.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Seen(pub(super) u64);

/// A request under way at a backend.
#[derive(Debug)]
pub(crate) struct Outstanding {
    backend: Arc<Backend>,
    counts: bool,
}

pub(super) const DOUBT: u32 = 32;
pub(super) const WEIGHT: u32 = 40;

/// With so much doubt it gets a 32nd of its share: enough to find out, little enough to hurt few.
pub(super) const MOST_DOUBT: u32 = 5;

impl Seen {
    /// How many requests are under way there.
    pub(in crate::proxy) fn outstanding(self) -> u32 {
        self.0 as u32
    }

    /// Its share beside others: half for each doubt.
    pub(in crate::proxy) fn weight(self) -> u32 {
        (((self.0 >> WEIGHT) as u32) >> self.doubt()).max(1)
    }

    pub(super) fn doubt(self) -> u32 {
        (self.0 >> DOUBT) as u32 & 0xff
    }
}

impl Outstanding {
    pub(crate) fn at(backend: &Arc<Backend>) -> Outstanding {
        backend.load.fetch_add(1, Ordering::Relaxed);
        Outstanding { backend: backend.clone(), counts: true }
    }

    /// It goes on, and is no work for the backend any more.
    pub(crate) fn counts_no_more(&mut self) {
        if std::mem::replace(&mut self.counts, false) {
            self.backend.load.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Where.
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.counts_no_more();
    }
}
