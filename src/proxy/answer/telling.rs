//! What an answer tells: a refusal, of a bet or of anything else, or a fault. One place for its name, status and words.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::words::{self, Words};
use crate::admission::Refusal;
use crate::proxy::fault::{BadRequest, Fault};
use crate::proxy::settings::Language;

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    Refusal {
        refusal: Refusal,
        /// What was refused is a bet.
        bet: bool,
    },
    Fault(Fault),
    /// A bet was sent and its answer was lost.
    UnknownOutcome,
    /// A bet was never sent, for this fault.
    NotSent(Fault),
}

/// Faults after which it is certain that nothing was sent.
const NOT_SENT: [Fault; 2] = [Fault::Unreachable, Fault::OutOfDescriptors];

const FAULTS: usize = 2 * Refusal::COUNT;
const UNKNOWN_OUTCOME: usize = FAULTS + Fault::NAMES.len();

impl Telling {
    /// Every telling, each at its index.
    pub(super) fn all() -> impl Iterator<Item = Telling> {
        let refusals = |bet| Refusal::ALL.into_iter().map(move |refusal| Telling::Refusal { refusal, bet });
        let faults = every_fault().into_iter().map(Telling::Fault);
        let not_sent = NOT_SENT.into_iter().map(Telling::NotSent);
        refusals(false).chain(refusals(true)).chain(faults).chain([Telling::UnknownOutcome]).chain(not_sent)
    }

    /// What is told of a fault that a bet met: it may have been placed, or is known not to have been.
    pub(super) const fn of_bet(fault: Fault) -> Telling {
        match fault {
            fault if fault.leaves_outcome_unknown() => Telling::UnknownOutcome,
            Fault::Unreachable | Fault::OutOfDescriptors => Telling::NotSent(fault),
            fault => Telling::Fault(fault),
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Telling::Refusal { refusal, bet: false } => refusal.index(),
            Telling::Refusal { refusal, bet: true } => Refusal::COUNT + refusal.index(),
            Telling::Fault(fault) => FAULTS + fault.index(),
            Telling::UnknownOutcome => UNKNOWN_OUTCOME,
            Telling::NotSent(Fault::OutOfDescriptors) => UNKNOWN_OUTCOME + 2,
            Telling::NotSent(_) => UNKNOWN_OUTCOME + 1,
        }
    }

    /// The word in bodies, metrics and logs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Telling::Refusal { refusal, .. } => refusal.name(),
            Telling::Fault(fault) | Telling::NotSent(fault) => fault.name(),
            Telling::UnknownOutcome => "outcome_unknown",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Telling::Refusal { refusal, .. } => status_of(refusal),
            Telling::Fault(fault) | Telling::NotSent(fault) => fault.status(),
            Telling::UnknownOutcome => StatusCode::BAD_GATEWAY,
        }
    }

    /// What `Proxy-Status` says (RFC 9209).
    pub(super) fn proxy_status(self) -> HeaderValue {
        let error = match self {
            Telling::Refusal { .. } => "http_request_denied",
            Telling::Fault(fault) | Telling::NotSent(fault) => fault.proxy_status(),
            Telling::UnknownOutcome => "http_response_incomplete",
        };
        let said = format!("sluss; error={error}; details=\"{}\"", self.name());
        HeaderValue::try_from(said).expect("made of names that are plain ASCII")
    }

    pub(super) const fn words(self, language: Language) -> Words {
        match self {
            Telling::Refusal { refusal, .. } => words::of_refusal(refusal, language),
            Telling::Fault(fault) | Telling::NotSent(fault) => words::of_fault(fault, language),
            Telling::UnknownOutcome => words::of_unknown_outcome(language),
        }
    }

    /// It was a bet, and nothing came of it.
    pub(super) const fn is_bet_not_placed(self) -> bool {
        matches!(self, Telling::Refusal { bet: true, .. } | Telling::NotSent(_))
    }
}

/// The status of each refusal: 503 for our load, 429 for a customer's own excess, 403 for what is over.
const fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::OverCustomerShare => StatusCode::TOO_MANY_REQUESTS,
        Refusal::TakenOver => StatusCode::CONFLICT,
        Refusal::EventClosed | Refusal::PastBettingStop | Refusal::StopTooNear => StatusCode::FORBIDDEN,
        Refusal::Closed
        | Refusal::Parked
        | Refusal::NoBackend
        | Refusal::EventParked
        | Refusal::QueueFull
        | Refusal::NotYourTurn
        | Refusal::WaitedTooLong
        | Refusal::ShuttingDown
        | Refusal::ProxyOverloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn every_fault() -> [Fault; Fault::NAMES.len()] {
    use BadRequest as Bad;
    [
        Fault::BadRequest(Bad::Host),
        Fault::BadRequest(Bad::Target),
        Fault::BadRequest(Bad::LongTarget),
        Fault::BadRequest(Bad::LargeBody),
        Fault::BadRequest(Bad::Upgrade),
        Fault::BadRequest(Bad::Coding),
        Fault::BadRequest(Bad::Body),
        Fault::NoProduct,
        Fault::ClientTimeout,
        Fault::Unreachable,
        Fault::BrokenAnswer,
        Fault::NoAnswer(Duration::ZERO),
        Fault::OutOfDescriptors,
        Fault::KeyReused,
        Fault::AnsweredElsewhere,
        Fault::OutcomeUnknown,
        Fault::BadRequest(Bad::ManyHeaders),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_told_stands_at_its_own_place() {
        assert_eq!(Telling::all().count(), UNKNOWN_OUTCOME + 1 + NOT_SENT.len());
        for (index, telling) in Telling::all().enumerate() {
            assert_eq!(telling.index(), index, "{telling:?}");
        }
    }
}
