//! A refusal or a fault as gRPC has it: HTTP 200, and in its head the status that a call ends with ("Trailers-Only").
//!
//! A client of gRPC tries again by itself what is `UNAVAILABLE`. So nothing is called so of which something may have come, and where
//! there is no coming back the pushback says no.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::PROXY_STATUS;
use super::telling::Telling;
use crate::admission::Refusal;
use crate::proxy::body::AnswerBody;
use crate::proxy::fault::{BadRequest, Fault};

/// Everything that can be told, by [`Telling::index`].
pub(super) struct Statuses(Vec<HeaderMap>);

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const NEVER: HeaderValue = HeaderValue::from_static("-1");

impl Statuses {
    pub(super) fn new() -> Statuses {
        let told = |telling: Telling| {
            let status = HeaderValue::from(u16::from(code(telling)));
            let headers = [(CONTENT_TYPE, GRPC), (STATUS, status), (PROXY_STATUS, telling.proxy_status())];
            let named = (MESSAGE, HeaderValue::from_static(telling.name()));
            headers.into_iter().chain([named, (PUSHBACK, NEVER)]).collect()
        };
        Statuses(Telling::all().map(told).collect())
    }

    /// With no seconds there is no coming back.
    pub(super) fn answer(&self, telling: Telling, seconds: usize) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::empty());
        *response.headers_mut() = self.0[telling.index()].clone();
        if seconds > 0 {
            response.headers_mut().insert(PUSHBACK, HeaderValue::from(seconds * 1000));
        }
        response
    }
}

const INVALID_ARGUMENT: u8 = 3;
const UNKNOWN: u8 = 2;
const DEADLINE_EXCEEDED: u8 = 4;
const ALREADY_EXISTS: u8 = 6;
const RESOURCE_EXHAUSTED: u8 = 8;
const FAILED_PRECONDITION: u8 = 9;
const ABORTED: u8 = 10;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;

const fn code(telling: Telling) -> u8 {
    match telling {
        Telling::Refusal { refusal, .. } => code_of_refusal(refusal),
        Telling::UnknownOutcome => UNKNOWN,
        Telling::Fault(fault) | Telling::NotSent(fault) => match fault {
            Fault::BadRequest(BadRequest::LargeBody | BadRequest::LongTarget | BadRequest::ManyHeaders) => {
                RESOURCE_EXHAUSTED
            }
            Fault::BadRequest(BadRequest::Upgrade | BadRequest::Coding) | Fault::NoProduct => UNIMPLEMENTED,
            Fault::BadRequest(_) => INTERNAL,
            Fault::ClientTimeout => DEADLINE_EXCEEDED,
            Fault::Unreachable | Fault::OutOfDescriptors => UNAVAILABLE,
            Fault::KeyReused => INVALID_ARGUMENT,
            Fault::AnsweredElsewhere => ALREADY_EXISTS,
            Fault::BrokenAnswer | Fault::NoAnswer(_) | Fault::OutcomeUnknown => UNKNOWN,
        },
    }
}

/// As by their HTTP status: our load, a customer's own excess, what is over.
const fn code_of_refusal(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::OverCustomerShare => RESOURCE_EXHAUSTED,
        Refusal::TakenOver => ABORTED,
        Refusal::EventClosed | Refusal::PastBettingStop | Refusal::StopTooNear => FAILED_PRECONDITION,
        Refusal::Closed
        | Refusal::Parked
        | Refusal::NoBackend
        | Refusal::EventParked
        | Refusal::QueueFull
        | Refusal::NotYourTurn
        | Refusal::WaitedTooLong
        | Refusal::ShuttingDown
        | Refusal::ProxyOverloaded => UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn only_what_was_never_sent_may_be_tried_again_by_itself() {
        for telling in Telling::all() {
            let sent = match telling {
                Telling::Refusal { .. } => false,
                Telling::Fault(fault) | Telling::NotSent(fault) => fault.leaves_outcome_unknown(),
                Telling::UnknownOutcome => true,
            };
            assert!(!sent || code(telling) == UNKNOWN, "{telling:?}");
            let over = matches!(telling, Telling::Refusal { .. }) && telling.status() == StatusCode::FORBIDDEN;
            assert_eq!(code(telling) == FAILED_PRECONDITION, over, "{telling:?}");
        }
    }
}
