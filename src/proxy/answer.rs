//! The one place where a refusal or a fault becomes HTTP.
//!
//! A program hears a [problem], in JSON; who navigates here sees a [page]; the [reader] is known from the request's
//! headers. All are rendered with their headers when the proxy starts; an answer is a copy of them with one value
//! changed, because refusing must stay cheap when nearly everything is refused. A refusal keeps the connection.

mod reader;
mod weights;
mod telling;
mod words;
mod problem;
mod page;
mod grpc;
mod cors;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};

use self::cors::Cors;
use self::grpc::Statuses;
use self::problem::Problems;
use self::reader::Form;
use self::telling::Telling;
use super::access_log::Told;
use super::body::AnswerBody;
use super::fault::Fault;
use super::settings::{Language, Settings};
use crate::admission::{Class, Refusal, Refused};

pub(crate) use self::page::Pages;
pub(crate) use self::reader::{Reader, Wishes};

/// Every answer the proxy gives by itself. Each worker has its own: those of all would be counted references,
/// and workers would take turns at counting.
pub(crate) struct Answers {
    /// For programs, in the language of programs.
    plain: Problems,
    /// For scripts that speak with a person, by [`Language::index`].
    spoken: [Problems; Language::COUNT],
    pages: Arc<Pages>,
    /// For calls of gRPC.
    statuses: Statuses,
    cors: Option<Cors>,
    /// For people who ask for no language that we have.
    language: Language,
    /// For a connection that is not let in, whatever it is for; by the seconds to wait.
    no_room: Vec<Bytes>,
    retry_after: Vec<HeaderValue>,
}

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const MOST_SECONDS: usize = 3600;
/// The longest that somebody who is not let in is told to wait.
const MOST_WAIT: usize = 10;

impl Answers {
    pub(crate) fn new(settings: &Settings, pages: Arc<Pages>) -> Answers {
        let products = || settings.products.iter().map(|product| product.name.as_str());
        Answers {
            plain: Problems::new(products(), Language::English, false),
            spoken: Language::ALL.map(|language| Problems::new(products(), language, true)),
            pages,
            statuses: Statuses::new(),
            cors: settings.cors.as_ref().map(Cors::new),
            language: settings.pages.language,
            no_room: (0..=MOST_WAIT).map(no_room).collect(),
            retry_after: (0..=MOST_SECONDS).map(HeaderValue::from).collect(),
        }
    }

    /// Who reads the answer to this request, which wishes what was noted of its headers.
    pub(crate) fn reader(&self, wishes: &Wishes, request: &Parts) -> Reader {
        wishes.reader(&request.method, &request.headers, self.cors.as_ref(), self.language)
    }

    /// The answer to a browser that asks before its script does, where that is ours to give.
    pub(crate) fn preflight(&self, reader: Reader) -> Option<Response<AnswerBody>> {
        self.cors.as_ref()?.preflight(reader.origin)
    }

    pub(crate) fn refuse(
        &self,
        product: usize,
        class: Class,
        refused: Refused,
        reader: Reader,
    ) -> Response<AnswerBody> {
        let telling = Telling::Refusal { refusal: refused.refusal, bet: class == Class::Commit };
        let seconds = whole_seconds(refused.retry_after).min(MOST_SECONDS);
        let mut response = self.tell(telling, product, seconds, reader);
        response.body_mut().tells(Told::Refusal(refused.refusal));
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
    /// placed, and must not be called failed; one that was never sent was not.
    pub(crate) fn fault(&self, fault: Fault, class: Option<Class>, reader: Reader) -> Response<AnswerBody> {
        let telling = if class == Some(Class::Commit) { Telling::of_bet(fault) } else { Telling::Fault(fault) };
        let seconds = if matches!(fault, Fault::Unreachable | Fault::OutOfDescriptors) { 2 } else { 0 };
        let mut response = self.tell(telling, 0, seconds, reader);
        if reader.form != Form::Grpc {
            *response.status_mut() = fault.status();
        }
        response.body_mut().tells(Told::Fault(fault));
        if matches!(fault, Fault::ClientTimeout | Fault::BadRequest(_)) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    /// With no seconds there is no coming back.
    fn tell(&self, telling: Telling, product: usize, seconds: usize, reader: Reader) -> Response<AnswerBody> {
        let mut response = match reader.form {
            Form::Problem => self.plain.answer(telling, product),
            Form::ProblemIn(language) => self.spoken[language.index()].answer(telling, product),
            Form::Grpc => self.statuses.answer(telling, seconds),
            Form::Page { language, reloads } => self.pages.answer(telling, language, seconds, reloads),
        };
        let headers = response.headers_mut();
        if seconds > 0 {
            headers.insert(RETRY_AFTER, self.retry_after[seconds].clone());
        } else {
            headers.remove(RETRY_AFTER);
        }
        if let Some(cors) = &self.cors {
            cors.open(headers, reader.origin);
        }
        response
    }
}

/// Seconds as `Retry-After` has them, never sooner than asked.
fn whole_seconds(wait: Duration) -> usize {
    wait.as_nanos().div_ceil(1_000_000_000) as usize
}

fn no_room(seconds: usize) -> Bytes {
    let telling = Telling::Refusal { refusal: Refusal::ProxyOverloaded, bet: false };
    let name = telling.name();
    let body = problem::problem(telling, None, Language::English).to_string();
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         proxy-status: sluss; error=connection_limit_reached; details=\"{name}\"\r\nretry-after: {seconds}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

#[cfg(test)]
mod tests;
