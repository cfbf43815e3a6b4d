//! The one place where a refusal or a fault becomes HTTP.
//!
//! Bodies are RFC 9457 problems, rendered with their headers when the proxy starts; an answer is a copy of
//! them with one value changed, because refusing must stay cheap when nearly everything is refused. A refusal
//! keeps the connection.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::body::AnswerBody;
use super::fault::Fault;
use crate::admission::{Class, Refusal, Refused};

/// Every answer the proxy gives by itself. Each worker has its own: those of all would be counted references,
/// and workers would take turns at counting.
pub(crate) struct Answers {
    /// By product, then by refusal; for bets and for everything else.
    refusals: Vec<[Canned; Refusal::COUNT]>,
    bet_refusals: Vec<[Canned; Refusal::COUNT]>,
    faults: [Canned; Fault::NAMES.len()],
    unknown_outcome: Canned,
    /// For a connection that is not let in, whatever it is for; by the seconds to wait.
    no_room: Vec<Bytes>,
    retry_after: Vec<HeaderValue>,
}

struct Canned {
    status: StatusCode,
    body: Bytes,
    headers: HeaderMap,
}

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const MOST_SECONDS: usize = 3600;
/// The longest that somebody who is not let in is told to wait.
const MOST_WAIT: usize = 10;

impl Answers {
    /// The answers for products of these names, in the order of the settings.
    pub(crate) fn new<'a>(products: impl Iterator<Item = &'a str> + Clone) -> Answers {
        let refusals = |bet: bool| products.clone().map(|name| Refusal::ALL.map(|r| refusal(r, name, bet))).collect();
        Answers {
            refusals: refusals(false),
            bet_refusals: refusals(true),
            faults: std::array::from_fn(fault),
            unknown_outcome: unknown_outcome(),
            no_room: (0..=MOST_WAIT).map(no_room).collect(),
            retry_after: (0..=MOST_SECONDS).map(HeaderValue::from).collect(),
        }
    }

    pub(crate) fn refuse(&self, product: usize, class: Class, refused: Refused) -> Response<AnswerBody> {
        let table = if class == Class::Commit { &self.bet_refusals } else { &self.refusals };
        let mut response = table[product][refused.refusal.index()].response();
        if refused.retry_after > Duration::ZERO {
            let seconds = (whole_seconds(refused.retry_after)).min(MOST_SECONDS);
            response.headers_mut().insert(RETRY_AFTER, self.retry_after[seconds].clone());
        } else {
            response.headers_mut().remove(RETRY_AFTER);
        }
        if refused.refusal == Refusal::ShuttingDown {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    /// A whole answer for somebody who has not been heard, its connection closed behind it.
    pub(crate) fn no_room(&self, wait: Duration) -> Bytes {
        self.no_room[whole_seconds(wait).min(MOST_WAIT)].clone()
    }

    /// `class` is what the request was, when that was known: a bet whose answer was lost may have been
    /// placed, and must not be called failed.
    pub(crate) fn fault(&self, fault: Fault, class: Option<Class>) -> Response<AnswerBody> {
        let lost_bet = class == Some(Class::Commit) && fault.leaves_outcome_unknown();
        let mut response =
            if lost_bet { self.unknown_outcome.response() } else { self.faults[fault.index()].response() };
        *response.status_mut() = fault.status();
        if matches!(fault, Fault::Unreachable | Fault::OutOfDescriptors) {
            response.headers_mut().insert(RETRY_AFTER, self.retry_after[2].clone());
        }
        if matches!(fault, Fault::ClientTimeout | Fault::BadRequest(_)) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }
}

impl Canned {
    fn response(&self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::full(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// Seconds as `Retry-After` has them, never sooner than asked.
fn whole_seconds(wait: Duration) -> usize {
    wait.as_nanos().div_ceil(1_000_000_000) as usize
}

/// The status of each refusal: 503 for our load, 429 for a customer's own excess, 403 for what is over.
const fn status(refusal: Refusal) -> StatusCode {
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

/// What a person is told, apart from when to come back.
const fn detail(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::Closed => ("Closed", "This product is closed."),
        Refusal::Parked => ("Paused", "Betting is paused while we check something. It will go on; please wait."),
        Refusal::NoBackend => ("Out of service", "This service is down just now. It will be back; please wait."),
        Refusal::EventClosed => ("Betting closed", "Betting on this event has closed."),
        Refusal::EventParked => {
            ("Betting paused", "Betting on this event is paused while we check a signal. It may go on; please wait.")
        }
        Refusal::PastBettingStop => ("Betting closed", "The betting stop of this event has passed."),
        Refusal::StopTooNear => {
            ("Too late", "The betting stop of this event is too near for a bet to be placed in time.")
        }
        Refusal::QueueFull => ("Very busy", "Many customers are here just now. Please come back at the time given."),
        Refusal::NotYourTurn => {
            ("Your turn is kept", "Others are before you. Your turn is kept: please come back at the time given.")
        }
        Refusal::WaitedTooLong => ("Very busy", "It was not your turn in time. Please come back at the time given."),
        Refusal::OverCustomerShare => ("Too many at once", "You have many requests under way. Let some finish first."),
        Refusal::TakenOver => {
            ("Asked again", "You have asked for the same again, and that newer request is waiting for you.")
        }
        Refusal::ShuttingDown => ("Restarting", "This server is restarting. Please try again at once."),
        Refusal::ProxyOverloaded => {
            ("Very busy", "This server has more to do than it can. Please come back at the time given.")
        }
    }
}

fn refusal(refusal: Refusal, product: &str, bet: bool) -> Canned {
    let (title, detail) = detail(refusal);
    let name = refusal.name();
    let status = status(refusal);
    let mut problem = json!({
        "type": format!("urn:sluss:refusal:{name}"), "title": title, "status": status.as_u16(), "detail": detail,
        "refusal": name, "product": product,
    });
    if bet {
        problem["detail"] = format!("{detail} Your bet was not placed and no money was taken.").into();
        problem["bet"] = "not_placed".into();
    }
    let mut canned = canned(status, &problem, &format!("sluss; error=http_request_denied; details=\"{name}\""));
    // Written over in every answer: a header that is there already costs no room.
    canned.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    canned
}

fn no_room(seconds: usize) -> Bytes {
    let name = Refusal::ProxyOverloaded.name();
    let (title, detail) = detail(Refusal::ProxyOverloaded);
    let problem = json!({
        "type": format!("urn:sluss:refusal:{name}"), "title": title, "status": 503, "detail": detail, "refusal": name,
    });
    let body = problem.to_string();
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         proxy-status: sluss; error=connection_limit_reached; details=\"{name}\"\r\nretry-after: {seconds}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

fn fault(index: usize) -> Canned {
    let every = every_fault();
    let fault = every[index];
    let name = fault.name();
    let problem = json!({
        "type": format!("urn:sluss:fault:{name}"), "title": fault.status().canonical_reason(),
        "status": fault.status().as_u16(), "detail": fault.detail(), "fault": name,
    });
    canned(fault.status(), &problem, &format!("sluss; error={}; details=\"{name}\"", fault.proxy_status()))
}

fn unknown_outcome() -> Canned {
    let detail = "The answer to your bet was lost on the way: it may have been placed, or not. It is being checked. \
                  Look at your bets before you place it again.";
    let problem = json!({
        "type": "urn:sluss:fault:outcome_unknown", "title": "Outcome unknown", "detail": detail,
        "fault": "outcome_unknown", "bet": "unknown",
    });
    canned(StatusCode::BAD_GATEWAY, &problem, "sluss; error=http_response_incomplete; details=\"outcome_unknown\"")
}

fn canned(status: StatusCode, problem: &serde_json::Value, proxy_status: &str) -> Canned {
    let proxy_status = HeaderValue::from_str(proxy_status).expect("made of names that are plain ASCII");
    let headers = [(CONTENT_TYPE, PROBLEM), (CACHE_CONTROL, NO_STORE), (PROXY_STATUS, proxy_status)];
    Canned { status, body: Bytes::from(problem.to_string()), headers: headers.into_iter().collect() }
}

fn every_fault() -> [Fault; Fault::NAMES.len()] {
    use super::fault::BadRequest as Bad;
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_stands_at_its_own_place() {
        for (index, fault) in every_fault().into_iter().enumerate() {
            assert_eq!(fault.index(), index);
        }
    }

    #[test]
    fn a_refused_bet_says_that_no_money_was_taken_and_other_refusals_do_not_speak_of_money() {
        let answers = Answers::new(["horse-racing"].into_iter());
        for refusal in Refusal::ALL {
            let text =
                |table: &[Canned; Refusal::COUNT]| String::from_utf8_lossy(&table[refusal.index()].body).into_owned();
            assert!(text(&answers.bet_refusals[0]).contains("no money was taken"), "{refusal:?}");
            assert!(!text(&answers.refusals[0]).contains("money"), "{refusal:?}");
        }
    }

    #[test]
    fn a_lost_bet_is_unknown_and_never_called_failed() {
        let answers = Answers::new(["horse-racing"].into_iter());
        let response = answers.fault(Fault::NoAnswer(Duration::from_secs(1)), Some(Class::Commit));
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let status = response.headers()[PROXY_STATUS].to_str().unwrap_or_default();
        assert!(status.contains("outcome_unknown"));
        let never_sent = answers.fault(Fault::Unreachable, Some(Class::Commit));
        assert!(never_sent.headers()[PROXY_STATUS].to_str().unwrap_or_default().contains("backend_unreachable"));
    }

    #[test]
    fn retry_after_is_never_sooner_than_drawn() {
        let answers = Answers::new(["horse-racing"].into_iter());
        let refused = Refused { refusal: Refusal::QueueFull, retry_after: Duration::from_millis(2001) };
        let response = answers.refuse(0, Class::Start, refused);
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let hardly = Refused { refusal: Refusal::QueueFull, retry_after: Duration::from_nanos(2_000_000_001) };
        assert_eq!(answers.refuse(0, Class::Start, hardly).headers()[RETRY_AFTER], "3");
        let for_good = Refused { refusal: Refusal::EventClosed, retry_after: Duration::ZERO };
        assert!(!answers.refuse(0, Class::Start, for_good).headers().contains_key(RETRY_AFTER));
    }
}
