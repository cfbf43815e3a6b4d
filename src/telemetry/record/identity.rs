//! What is counted of how customers and connections show who they are.

use metrics::{Counter, Gauge};
use rustls::HandshakeKind;

use crate::proxy::identity::tokens::Flaw;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What is counted of TLS.
pub struct TlsMetrics {
    handshakes: [Counter; 3],
    end: Gauge,
}

/// What is counted of signed tokens.
#[derive(Clone)]
pub struct TokenMetrics {
    remembered: Counter,
    verified: Counter,
    flawed: [Counter; Flaw::NAMES.len()],
}

/// What is counted of sessions.
pub struct SessionMetrics {
    bound: Counter,
    sessions: Gauge,
}

impl TlsMetrics {
    /// Handles for the listening side.
    pub fn new(registry: &Registry) -> TlsMetrics {
        let outcome = |outcome| registry.counter(names::TLS_HANDSHAKES, &[outcome]);
        let end = registry.gauge(names::CERTIFICATE_END, &[]);
        TlsMetrics { handshakes: ["full", "resumed", "failed"].map(outcome), end }
    }

    /// A handshake was made.
    pub fn made(&self, kind: Option<HandshakeKind>) {
        self.handshakes[usize::from(kind == Some(HandshakeKind::Resumed))].increment(1);
    }

    /// One was not.
    pub fn failed(&self) {
        self.handshakes[2].increment(1);
    }

    /// The first certificate runs out then.
    pub fn ends(&self, end: Option<jiff::Timestamp>) {
        self.end.set(end.map_or(f64::NAN, |end| end.as_second() as f64));
    }
}

impl TokenMetrics {
    /// Handles for all tokens.
    pub fn new(registry: &Registry) -> TokenMetrics {
        let verdict = |verdict| registry.counter(names::TOKENS, &[verdict]);
        TokenMetrics {
            remembered: verdict("remembered"),
            verified: verdict("verified"),
            flawed: Flaw::NAMES.map(verdict),
        }
    }

    /// One that was verified before.
    pub fn remembered(&self) {
        self.remembered.increment(1);
    }

    /// One that counts.
    pub fn verified(&self) {
        self.verified.increment(1);
    }

    /// One that does not count.
    pub fn flawed(&self, flaw: Flaw) {
        self.flawed[flaw as usize].increment(1);
    }
}

impl SessionMetrics {
    /// Handles for all sessions.
    pub fn new(registry: &Registry) -> SessionMetrics {
        let sessions = registry.gauge(names::SESSIONS, &[]);
        sessions.set(0.0);
        SessionMetrics { bound: registry.counter(names::SESSIONS_BOUND, &[]), sessions }
    }

    /// One more was bound; so many are.
    pub fn bound(&self, sessions: usize) {
        self.bound.increment(1);
        self.known(sessions);
    }

    /// There are so many.
    pub fn known(&self, sessions: usize) {
        self.sessions.set(sessions as f64);
    }
}
