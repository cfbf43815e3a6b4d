//! What can go wrong on the way, by whose fault. A refusal is our trade; a fault is not.

use std::time::Duration;

use http::StatusCode;

use crate::admission::Refused;

/// Why a request could not be answered by its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client's request breaks HTTP, or a bound it must keep.
    BadRequest(BadRequest),
    /// No product serves this path.
    NoProduct,
    /// The client stopped sending its body.
    ClientTimeout,
    /// No backend of the pool accepted a connection.
    Unreachable,
    /// The backend closed the connection, or answered nonsense, before an answer began.
    BrokenAnswer,
    /// The backend did not begin its answer in time.
    NoAnswer(Duration),
    /// We have no descriptor left for a connection to a backend.
    OutOfDescriptors,
    /// The idempotency key was that of another request.
    KeyReused,
    /// The same request was answered already, and its answer is not kept.
    AnsweredElsewhere,
    /// The same request was sent before, and its answer lost.
    OutcomeUnknown,
}

/// Why a request that was let through has no answer of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Something broke.
    Fault(Fault),
    /// It must not be sent any more; nothing was.
    Refused(Refused),
}

impl From<Fault> for Unanswered {
    fn from(fault: Fault) -> Unanswered {
        Unanswered::Fault(fault)
    }
}

/// How a request breaks HTTP, or a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadRequest {
    /// HTTP/1.1 without exactly one `Host`.
    Host,
    /// A target that is neither a path nor a URL.
    Target,
    /// A target longer than `uri_bytes`.
    LongTarget,
    /// More header lines than `headers`, over HTTP/2; over HTTP/1.1 the parser says so.
    ManyHeaders,
    /// A body larger than `body_bytes`.
    LargeBody,
    /// A tunnel to anywhere (`CONNECT`), which this proxy does not carry.
    Upgrade,
    /// A transfer coding other than chunked.
    Coding,
    /// A body that broke off, or whose chunks break HTTP.
    Body,
}

impl Fault {
    /// Labels of every fault, for metrics.
    pub const NAMES: [&'static str; 17] = [
        "bad_host",
        "bad_target",
        "uri_too_long",
        "body_too_large",
        "upgrade_not_supported",
        "transfer_coding_not_supported",
        "bad_body",
        "no_product",
        "client_timeout",
        "backend_unreachable",
        "backend_broken_answer",
        "backend_timeout",
        "out_of_descriptors",
        "key_reused",
        "answered_elsewhere",
        "outcome_unknown",
        "too_many_headers",
    ];

    /// The place in [`Fault::NAMES`].
    pub const fn index(self) -> usize {
        match self {
            Fault::BadRequest(BadRequest::Host) => 0,
            Fault::BadRequest(BadRequest::Target) => 1,
            Fault::BadRequest(BadRequest::LongTarget) => 2,
            Fault::BadRequest(BadRequest::LargeBody) => 3,
            Fault::BadRequest(BadRequest::Upgrade) => 4,
            Fault::BadRequest(BadRequest::Coding) => 5,
            Fault::BadRequest(BadRequest::Body) => 6,
            Fault::NoProduct => 7,
            Fault::ClientTimeout => 8,
            Fault::Unreachable => 9,
            Fault::BrokenAnswer => 10,
            Fault::NoAnswer(_) => 11,
            Fault::OutOfDescriptors => 12,
            Fault::KeyReused => 13,
            Fault::AnsweredElsewhere => 14,
            Fault::OutcomeUnknown => 15,
            Fault::BadRequest(BadRequest::ManyHeaders) => 16,
        }
    }

    /// The word in answers, metrics and logs.
    pub const fn name(self) -> &'static str {
        Fault::NAMES[self.index()]
    }

    /// The status the client gets.
    pub const fn status(self) -> StatusCode {
        match self {
            Fault::BadRequest(BadRequest::Host | BadRequest::Target | BadRequest::Body) => StatusCode::BAD_REQUEST,
            Fault::BadRequest(BadRequest::LongTarget) => StatusCode::URI_TOO_LONG,
            Fault::BadRequest(BadRequest::ManyHeaders) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Fault::BadRequest(BadRequest::LargeBody) => StatusCode::PAYLOAD_TOO_LARGE,
            Fault::BadRequest(BadRequest::Upgrade | BadRequest::Coding) => StatusCode::NOT_IMPLEMENTED,
            Fault::NoProduct => StatusCode::NOT_FOUND,
            Fault::ClientTimeout => StatusCode::REQUEST_TIMEOUT,
            Fault::Unreachable | Fault::BrokenAnswer | Fault::OutcomeUnknown => StatusCode::BAD_GATEWAY,
            Fault::NoAnswer(_) => StatusCode::GATEWAY_TIMEOUT,
            Fault::OutOfDescriptors => StatusCode::SERVICE_UNAVAILABLE,
            Fault::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::AnsweredElsewhere => StatusCode::CONFLICT,
        }
    }

    /// The `Proxy-Status` error type (RFC 9209, section 2.3).
    pub const fn proxy_status(self) -> &'static str {
        match self {
            Fault::BadRequest(_) | Fault::NoProduct | Fault::ClientTimeout | Fault::KeyReused => "http_request_error",
            Fault::Unreachable => "destination_unavailable",
            Fault::BrokenAnswer | Fault::OutcomeUnknown => "http_response_incomplete",
            Fault::AnsweredElsewhere => "http_response_body_size",
            Fault::NoAnswer(_) => "http_response_timeout",
            Fault::OutOfDescriptors => "proxy_internal_error",
        }
    }

    /// What a person is told.
    pub const fn detail(self) -> &'static str {
        match self {
            Fault::BadRequest(BadRequest::Host) => "The request must carry exactly one Host header.",
            Fault::BadRequest(BadRequest::Target) => "The request target must be a path or an http URL.",
            Fault::BadRequest(BadRequest::LongTarget) => "The request target is too long.",
            Fault::BadRequest(BadRequest::ManyHeaders) => "The request has too many header lines.",
            Fault::BadRequest(BadRequest::LargeBody) => "The request body is too large.",
            Fault::BadRequest(BadRequest::Upgrade) => "This proxy does not carry tunnels (CONNECT).",
            Fault::BadRequest(BadRequest::Coding) => "The only transfer coding understood here is chunked.",
            Fault::BadRequest(BadRequest::Body) => "The request body broke off, or breaks HTTP.",
            Fault::NoProduct => "Nothing is served at this address.",
            Fault::ClientTimeout => "The request body did not arrive in time.",
            Fault::Unreachable => "The service behind this proxy cannot be reached just now.",
            Fault::BrokenAnswer => "The service behind this proxy broke off before it answered.",
            Fault::NoAnswer(_) => "The service behind this proxy did not answer in time.",
            Fault::KeyReused => {
                "This idempotency key was used for another request. This one was not passed on; the other stands."
            }
            Fault::AnsweredElsewhere => "This was answered on another connection. Please look it up there.",
            Fault::OutcomeUnknown => {
                "The answer to an earlier try was lost on the way: it may have been carried out, or not. It is being checked."
            }
            Fault::OutOfDescriptors => "This server has more to do than it can.",
        }
    }

    /// Whether the backend may have acted on the request although no answer came.
    pub const fn leaves_outcome_unknown(self) -> bool {
        matches!(self, Fault::BrokenAnswer | Fault::NoAnswer(_) | Fault::OutcomeUnknown)
    }

    /// Whether something came of the request that its customer may look up.
    pub const fn can_be_looked_up(self) -> bool {
        self.leaves_outcome_unknown() || matches!(self, Fault::AnsweredElsewhere)
    }
}
