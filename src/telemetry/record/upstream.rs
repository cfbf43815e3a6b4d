//! What is counted of backends, and of what they say of themselves.

use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram};

use crate::admission::resource::Hinted;
use crate::proxy::names::LookedUp;
use crate::proxy::tls::backends::TlsFailure;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What is counted of one pool of backends.
pub struct UpstreamMetrics {
    /// Connections opened.
    pub opened: Counter,
    /// Connections not accepted.
    pub connect_failed: Counter,
    /// Answers that broke off.
    pub broken: Counter,
    /// Answers that did not begin in time.
    pub timed_out: Counter,
    /// Further connections tried, and those that were not for want of budget.
    retries: [Counter; 2],
    seconds: Histogram,
    statuses: [Counter; 5],
    checks: [Counter; 2],
    left_out: [Counter; LeftOut::ALL.len()],
    kept_in: Counter,
    lookups: [Counter; LookedUp::ALL.len()],
    seatless: Gauge,
    kept_seats: Counter,
    tls_failed: [Counter; TlsFailure::ALL.len()],
}

/// Why a backend is left out for its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// So many errors in a row.
    Consecutive,
    /// Fewer good answers than the others give.
    Behind,
}

impl LeftOut {
    const ALL: [LeftOut; 2] = [LeftOut::Consecutive, LeftOut::Behind];

    /// In metrics and log.
    pub const fn name(self) -> &'static str {
        match self {
            LeftOut::Consecutive => "consecutive",
            LeftOut::Behind => "behind",
        }
    }
}

/// What is counted of what one pool's backends say of one budget.
pub struct HintMetrics {
    taken: Counter,
    clamped: Counter,
    ignored: Counter,
    unreadable: Counter,
}

impl UpstreamMetrics {
    /// Handles for the pool of this name.
    pub fn new(registry: &Registry, pool: &str) -> UpstreamMetrics {
        let counter = |metric| registry.counter(metric, &[pool]);
        UpstreamMetrics {
            opened: counter(names::UPSTREAM_OPENED),
            connect_failed: counter(names::UPSTREAM_CONNECT_FAILED),
            broken: counter(names::UPSTREAM_BROKEN),
            timed_out: counter(names::UPSTREAM_TIMEOUTS),
            retries: [counter(names::UPSTREAM_RETRIES), counter(names::UPSTREAM_RETRIES_WITHHELD)],
            seconds: registry.histogram(names::UPSTREAM_SECONDS, &[pool]),
            statuses: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|status| registry.counter(names::UPSTREAM_ANSWERS, &[pool, status])),
            checks: ["passed", "failed"].map(|verdict| registry.counter(names::UPSTREAM_CHECKS, &[pool, verdict])),
            left_out: LeftOut::ALL.map(|why| registry.counter(names::UPSTREAM_EJECTIONS, &[pool, why.name()])),
            kept_in: counter(names::UPSTREAM_EJECTIONS_WITHHELD),
            seatless: registry.gauge(names::UPSTREAM_SEATLESS, &[pool]),
            kept_seats: counter(names::UPSTREAM_KEPT_SEATS),
            tls_failed: TlsFailure::ALL.map(|why| registry.counter(names::UPSTREAM_TLS_FAILURES, &[pool, why.name()])),
            lookups: LookedUp::ALL.map(|what| registry.counter(names::UPSTREAM_LOOKUPS, &[pool, what.name()])),
        }
    }

    /// It is time for a stream to give its seat back: it does, or keeps it because too many have.
    pub fn stream_gives_seat_back(&self, given: bool) {
        if given { self.seatless.increment(1.0) } else { self.kept_seats.increment(1) }
    }

    /// A handshake with a backend has failed.
    pub fn tls_failed(&self, why: TlsFailure) {
        self.tls_failed[why as usize].increment(1);
    }

    /// A stream without a seat has ended.
    pub fn stream_without_seat_ends(&self) {
        self.seatless.decrement(1.0);
    }

    /// The name of backends was looked up.
    pub fn looked_up(&self, what: LookedUp) {
        self.lookups[what as usize].increment(1);
    }

    /// A backend was checked.
    pub fn checked(&self, passed: bool) {
        self.checks[usize::from(!passed)].increment(1);
    }

    /// A backend answers badly, and is left out for it or not because too many are.
    pub fn left_out(&self, why: LeftOut, out: bool) {
        let counter = if out { &self.left_out[why as usize] } else { &self.kept_in };
        counter.increment(1);
    }

    /// Another connection is tried for a request that was never sent, or is not for want of budget.
    pub fn tried_again(&self, tried: bool) {
        self.retries[usize::from(!tried)].increment(1);
    }

    /// The head of an answer has come.
    pub fn answered(&self, status: StatusCode, after: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.statuses[class].increment(1);
        self.seconds.record(after.as_secs_f64());
    }
}

impl HintMetrics {
    /// Handles for the budget of this name.
    pub fn new(registry: &Registry, budget: &str) -> HintMetrics {
        let verdict = |verdict| registry.counter(names::HINTS, &[budget, verdict]);
        HintMetrics {
            taken: verdict("taken"),
            clamped: verdict("clamped"),
            ignored: verdict("ignored"),
            unreadable: verdict("unreadable"),
        }
    }

    /// A number was given, and this became of it.
    pub fn heard(&self, hinted: Hinted) {
        let counter = match hinted {
            Hinted::Taken => &self.taken,
            Hinted::Clamped => &self.clamped,
            Hinted::Ignored => &self.ignored,
        };
        counter.increment(1);
    }

    /// What was given is no whole number.
    pub fn unreadable(&self) {
        self.unreadable.increment(1);
    }
}
