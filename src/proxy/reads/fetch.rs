//! A fetch for everybody: what is asked for, and what is made of the answer.
//!
//! It carries nothing that tells one customer from another, so that what comes back cannot be anybody's own by a backend's
//! oversight, and nothing else that a stranger may have written, so that nobody can have others shown what only an odd
//! header brings out. It is a task of its own: whoever asked first may hang up, those who follow still want it.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{AGE, CONTENT_LENGTH, DATE, TRAILER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use http_body::Body;

use super::Read;
use super::memory::{Answer, Landing, Memory, News};
use super::rules::{self, Judged, TELLING, VARYING};
use crate::admission::reads::{Kept, Life};
use crate::admission::{Refusal, Timestamp};
use crate::proxy::access_log::Trail;
use crate::proxy::ask::admitted;
use crate::proxy::body::AnswerBody;
use crate::proxy::exchange::Answered;
use crate::proxy::fault::{Fault, Unanswered};
use crate::proxy::headers::{self, FORWARDING};
use crate::proxy::patience::BodyError;
use crate::proxy::settings::CacheRule;
use crate::proxy::upload::RequestBody;
use crate::proxy::{Classified, Worker, receive};

/// Fetch what `read` asks for, in a task of its own.
pub(super) fn begin(read: &Read<'_>, landing: Landing) {
    let Read { worker, peer, what, parts, memory, .. } = *read;
    if let Some(refused) = worker.strain.refuses(what.class, false) {
        return landing.land(News::Refused(refused));
    }
    // Where it is sent is decided when it has a seat; which pool waits for its end is all the same.
    let pool = worker.pool(what.product);
    let head = head(read);
    let asked_with = head.headers.clone();
    let mut request = receive::to_backend(head, what.seen, RequestBody::none(), peer, &worker.identities, pool.host());
    // It is nobody's, so its names are its own.
    worker.name(request.headers_mut(), &Trail::none());
    let fetch = Fetch {
        worker: worker.clone(),
        memory: memory.clone(),
        rule: read.wanted.rule.clone(),
        what,
        asked_with,
        request,
    };
    debug_assert!(matches!(parts.method, Method::GET), "one who wants no body does not lead");
    pool.carry(async move { landing.land(fetch.news().await) });
}

/// The head of a request that anybody might have sent.
fn head(read: &Read<'_>) -> Parts {
    let mut request = Request::new(());
    *request.uri_mut() = read.parts.uri.clone();
    // Of HTTP/1.0 there is only that it may lack a host.
    *request.version_mut() = if read.parts.version == Version::HTTP_10 { Version::HTTP_10 } else { Version::HTTP_11 };
    let forwarding = FORWARDING.iter().filter(|_| read.wanted.forwarded);
    for name in TELLING.iter().chain(&VARYING).chain(&read.wanted.rule.headers).chain(forwarding) {
        for value in read.parts.headers.get_all(name) {
            request.headers_mut().append(name, value.clone());
        }
    }
    request.into_parts().0
}

struct Fetch {
    worker: Rc<Worker>,
    memory: Arc<Memory>,
    rule: CacheRule,
    what: Classified,
    asked_with: HeaderMap,
    request: Request<RequestBody>,
}

impl Fetch {
    async fn news(self) -> News {
        let Fetch { worker, memory, rule, what, asked_with, request } = self;
        let admitted = match admitted(&worker, &what, || 0, worker.clock.now(), request.body().trail()).await {
            Ok(admitted) => admitted,
            // That is about who leads; those who follow have not had too much.
            Err(refused) if refused.refusal == Refusal::OverCustomerShare => return News::Again,
            Err(refused) => return News::Refused(refused),
        };
        let asked = admitted.since();
        let pool = worker.pool_of(what.product, admitted.pool()).await;
        let answered = match pool.exchange(request, admitted, what.customer, None).await {
            Ok(answered) => answered,
            Err(Unanswered::Fault(fault)) => return News::Fault(fault),
            Err(Unanswered::Refused(refused)) => return News::Refused(refused),
        };
        let judged = rules::judge(answered.response.status(), answered.response.headers(), &rule);
        let (life, vary) = match judged {
            Judged::Personal => return News::Personal,
            Judged::Theirs => return News::Again,
            Judged::Passing => (None, Vec::new()),
            Judged::Anybodys(life, vary) => (Some(life), vary),
        };
        let idle = pool.timeouts().idle;
        let taken = Taken { asked, life, vary, asked_with };
        match taken.whole(answered, &memory, idle).await {
            Ok(Some(answer)) if life.is_some() => News::Kept(Arc::new(answer)),
            Ok(Some(answer)) => News::Passing(Arc::new(answer)),
            Ok(None) => News::Personal,
            Err(BodyError::Stalled) => News::Fault(Fault::NoAnswer(idle)),
            Err(BodyError::TooLarge | BodyError::Broken | BodyError::Short) => News::Fault(Fault::BrokenAnswer),
        }
    }
}

/// An answer whose head has been judged.
struct Taken {
    asked: Timestamp,
    life: Option<Life>,
    vary: Vec<HeaderName>,
    asked_with: HeaderMap,
}

impl Taken {
    /// The whole answer; nothing when it is larger than may be kept.
    async fn whole(self, answered: Answered, memory: &Memory, idle: Duration) -> Result<Option<Answer>, BodyError> {
        let Answered { response, exchange, seen, end, .. } = answered;
        let (mut parts, incoming) = response.into_parts();
        headers::to_client(&mut parts.headers, &seen, parts.version);
        complete(&mut parts.headers);
        let body = AnswerBody::relay(incoming, exchange, idle, end);
        let Some(body) = read(body, memory.most.object).await?.and_then(|body| memory.hold(body)) else {
            return Ok(None);
        };
        let mut varies = HeaderMap::new();
        for name in &self.vary {
            for value in self.asked_with.get_all(name) {
                varies.append(name, value.clone());
            }
        }
        let kept = Kept::new(self.asked, self.life.unwrap_or(NO_LIFE));
        Ok(Some(Answer { status: parts.status, headers: parts.headers, body, kept, varies, vary: self.vary.into() }))
    }
}

/// What every copy carries or gets anew.
fn complete(headers: &mut HeaderMap) {
    for name in [AGE, CONTENT_LENGTH, TRAILER] {
        headers.remove(name);
    }
    if !headers.contains_key(DATE) {
        let now = httpdate::fmt_http_date(SystemTime::now());
        headers.insert(DATE, HeaderValue::try_from(now).expect("a date is plain ASCII"));
    }
}

/// A body of at most so many bytes.
async fn read(mut body: AnswerBody, most: usize) -> Result<Option<Vec<u8>>, BodyError> {
    let expected = body.size_hint().lower();
    if expected > most as u64 {
        return Ok(None);
    }
    let mut whole = Vec::with_capacity(expected as usize);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + data.len() > most {
            return Ok(None);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(whole))
}

const NO_LIFE: Life = Life { age: Duration::ZERO, fresh: Duration::ZERO, stale: Duration::ZERO, while_fetched: None };
