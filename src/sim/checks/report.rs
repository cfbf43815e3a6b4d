//! What was found wrong, as sentences.

use std::fmt;

use crate::admission::Timestamp;

/// Found wrongs, and what was going on when they were found.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<String>,
    now: Timestamp,
    doing: Doing,
}

/// The call under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Doing {
    #[default]
    Nothing,
    /// This request came, ended or left.
    Came(u32),
    Ended(u32),
    Left(u32),
    Woke,
    /// An order for this product.
    Ordered(usize),
    /// Something about events or budgets, or bypass, or observe-only.
    Told,
}

/// After so many the books are off anyway, and the first is what matters.
const MOST: usize = 20;
/// So that one promise does not drown the others.
const MOST_OF_ONE: usize = 4;

impl Report {
    pub(super) fn begin(&mut self, doing: Doing, now: Timestamp) {
        self.doing = doing;
        self.now = now;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn found(&self) -> &[String] {
        &self.found
    }

    /// `promise` names the check; `what` says how it was broken.
    pub(super) fn add(&mut self, promise: &str, what: fmt::Arguments<'_>) {
        let name = format!("[{promise}]");
        let alike = self.found.iter().filter(|found| found.starts_with(&name)).count();
        if self.found.len() < MOST && alike < MOST_OF_ONE {
            self.found.push(format!("{name} at {:?}, {}: {what}", self.now.since_start(), self.doing));
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Nothing => write!(f, "at the beginning"),
            Doing::Came(request) => write!(f, "as request {request} came"),
            Doing::Ended(request) => write!(f, "as request {request} ended"),
            Doing::Left(request) => write!(f, "as request {request} left"),
            Doing::Woke => write!(f, "woken"),
            Doing::Ordered(product) => write!(f, "at an order for product {product}"),
            Doing::Told => write!(f, "told of an event, a hint, bypass or observe-only"),
        }
    }
}
