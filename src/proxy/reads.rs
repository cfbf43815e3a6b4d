//! Reads that memory answers: the way of a request for odds that anybody may see.
//!
//! A fresh answer is given at once: no admission, no lock of ours, no backend. Where there is none, one request fetches
//! for all who ask ([`fetch`]) and goes through admission as any other; the rest wait for it, or get what is past its
//! freshness. What decides is [`admission::reads`](crate::admission::reads), and why it is like this stands in
//! `docs/decisions/0011-reads-from-memory.md`.

pub(super) mod rules;
mod memory;
mod fetch;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    AGE, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    RANGE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use tokio::time::timeout;

use super::body::AnswerBody;
use super::fault::Fault;
use super::headers::Peer;
use super::{Classified, Worker};
use crate::admission::reads::Patience;
use crate::admission::{Refused, Timestamp};
use crate::telemetry::record::Read as Counted;

pub(crate) use memory::Memory;
use memory::{Answer, News, Told, Wait, Wanted};

/// Somebody asks for what is anybody's.
struct Read<'a> {
    worker: &'a Rc<Worker>,
    peer: &'a Peer,
    what: Classified,
    parts: &'a Parts,
    memory: &'a Arc<Memory>,
    wanted: Wanted<'a>,
}

/// The answer, when it takes no request of its own; nothing when the request goes the normal way. `bare` says that it
/// has no body.
pub(super) async fn answer(
    worker: &Rc<Worker>,
    peer: &Peer,
    what: &Classified,
    parts: &Parts,
    bare: bool,
) -> Option<Response<AnswerBody>> {
    let read = Read::of(worker, peer, what, parts)?;
    if !bare || !read.is_plain() {
        return read.bypass();
    }
    let now = worker.clock.now();
    match read.memory.find(&read.wanted).filter(|found| found.kept.is_fresh(now)) {
        Some(found) => Some(read.give(&found, now, Counted::Fresh)),
        // Boxed: most reads are done by now, and the others wait for more than this.
        None => Box::pin(read.in_turn()).await,
    }
}

/// Says of an answer that it was not looked for in memory, or in vain.
pub(super) fn note_bypass(answer: &mut Response<AnswerBody>) {
    answer.headers_mut().append(CACHE_STATUS, BYPASS);
}

impl<'a> Read<'a> {
    fn of(worker: &'a Rc<Worker>, peer: &'a Peer, what: &Classified, parts: &'a Parts) -> Option<Read<'a>> {
        let class = usize::from(what.cache?);
        let rule = worker.settings.products[what.product].classes[class].cache.as_ref()?;
        let memory = worker.shared.memory.as_ref()?;
        // Everything but plain proxying is off.
        if worker.gate(what.product).0.is_bypassed() {
            return None;
        }
        let forwarded = what.seen.forwarding && peer.trusted;
        let product = &worker.settings.products[what.product];
        let wanted = Wanted { product: (product.domain, product.id), parts, rule, forwarded };
        Some(Read { worker, peer, what: *what, parts, memory, wanted })
    }

    /// Whether anybody's answer would be an answer to it.
    fn is_plain(&self) -> bool {
        let asks_for_more = [AUTHORIZATION, RANGE, IF_MATCH, IF_UNMODIFIED_SINCE];
        matches!(self.parts.method, Method::GET | Method::HEAD)
            && !asks_for_more.iter().any(|name| self.parts.headers.contains_key(name))
    }

    fn bypass(&self) -> Option<Response<AnswerBody>> {
        self.count(Counted::Bypass);
        None
    }

    /// Lead, follow, or be served what there is.
    async fn in_turn(&self) -> Option<Response<AnswerBody>> {
        let may_lead = self.parts.method == Method::GET;
        for _ in 0..MOST_TURNS {
            let (wait, leads) = match self.memory.ask(&self.wanted, may_lead) {
                Told::Pass => break,
                Told::Serve(found) => {
                    let now = self.worker.clock.now();
                    let counted = if found.kept.is_fresh(now) { Counted::Fresh } else { Counted::Stale };
                    return Some(self.give(&found, now, counted));
                }
                Told::Follow(wait) => (wait, false),
                Told::Lead(landing, wait) => {
                    fetch::begin(self, landing);
                    (wait, true)
                }
            };
            match self.wait(wait, leads).await {
                Heard::Answer(answer) => return Some(answer),
                Heard::Again => {}
                Heard::Alone => break,
            }
        }
        self.bypass()
    }

    async fn wait(&self, mut wait: Wait, leads: bool) -> Heard {
        let patience = match wait.patience {
            Patience::Or(patience) => patience,
            // As long as one of its own might take.
            Patience::ToTheEnd => self.worker.pool(self.what.product).timeouts().total,
        };
        let news = timeout(patience, wait.hear()).await;
        let now = self.worker.clock.now();
        let counted = if leads { Counted::Miss } else { Counted::Coalesced };
        let stale = wait.stale.take().filter(|stale| stale.kept.is_good(now));
        match (news, stale) {
            (Ok(News::Kept(answer)), _) if answer.suits(self.parts) => Heard::Answer(self.give(&answer, now, counted)),
            // What was wrong was its own doing, which it shall hear of.
            (Ok(News::Again), None) if leads => Heard::Alone,
            (Ok(News::Kept(_) | News::Again), None) => Heard::Again,
            (Ok(News::Personal), _) => Heard::Alone,
            (_, Some(stale)) => Heard::Answer(self.give(&stale, now, Counted::Stale)),
            (Ok(News::Passing(answer)), None) => Heard::Answer(self.give(&answer, now, counted)),
            (Ok(News::Refused(refused)), None) => Heard::Answer(self.refused(refused, leads)),
            (Ok(News::Fault(fault)), None) => Heard::Answer(self.fault(fault)),
            (Err(_), None) => Heard::Answer(self.fault(Fault::NoAnswer(patience))),
        }
    }

    /// The no that was said to who led. Those who followed must not all come back when that one does.
    fn refused(&self, refused: Refused, leads: bool) -> Response<AnswerBody> {
        self.count(Counted::Refused);
        let later = if leads { Duration::ZERO } else { self.worker.strain.come_back() };
        let refused = Refused { retry_after: refused.retry_after + later, ..refused };
        self.looked_up(self.worker.answers().refuse(self.what.product, self.what.class, refused, self.what.reader))
    }

    fn fault(&self, fault: Fault) -> Response<AnswerBody> {
        self.count(Counted::Refused);
        self.looked_up(self.worker.fault(fault, Some(self.what.class), self.what.reader))
    }

    fn looked_up(&self, mut answer: Response<AnswerBody>) -> Response<AnswerBody> {
        answer.headers_mut().append(CACHE_STATUS, MISS);
        answer
    }

    /// A copy.
    fn give(&self, answer: &Answer, now: Timestamp, counted: Counted) -> Response<AnswerBody> {
        self.count(counted);
        let known = self.has_it(answer);
        let body = if known { AnswerBody::empty() } else { AnswerBody::full(answer.body.clone()) };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        headers.clone_from(&answer.headers);
        headers.insert(AGE, HeaderValue::from(answer.kept.age(now).as_secs()));
        headers.append(CACHE_STATUS, status(counted));
        if known {
            headers.remove(CONTENT_TYPE);
            headers.remove(CONTENT_ENCODING);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    }

    /// Whether the client has this very answer (RFC 9110, section 13.1.2).
    fn has_it(&self, answer: &Answer) -> bool {
        let Some(tag) = answer.headers.get(ETAG).filter(|_| answer.status == StatusCode::OK) else { return false };
        let mut known = self.parts.headers.get_all(IF_NONE_MATCH).iter();
        known.any(|line| names(line.as_bytes(), tag.as_bytes()))
    }

    fn count(&self, counted: Counted) {
        self.worker.metrics.products[self.what.product].read(counted);
    }
}

/// What somebody who waited for a leader does next.
enum Heard {
    Answer(Response<AnswerBody>),
    Again,
    Alone,
}

/// Whether one of the tags in a line is this one; weak or strong is the same here.
fn names(line: &[u8], tag: &[u8]) -> bool {
    let opaque = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let tag = opaque(tag);
    let mut quoted = false;
    let mut tags = line.split(|byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    tags.any(|known| known.trim_ascii() == b"*" || opaque(known.trim_ascii()) == tag)
}

const fn status(counted: Counted) -> HeaderValue {
    HeaderValue::from_static(match counted {
        Counted::Fresh => "sluss; hit",
        Counted::Stale => "sluss; hit; detail=stale",
        Counted::Coalesced => "sluss; fwd=miss; collapsed",
        Counted::Miss => "sluss; fwd=miss",
        Counted::Refused | Counted::Bypass => "sluss; fwd=bypass",
    })
}

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const MISS: HeaderValue = HeaderValue::from_static("sluss; fwd=miss");
const BYPASS: HeaderValue = HeaderValue::from_static("sluss; fwd=bypass");
/// So often somebody asks again because what came was no answer to them; then they go their own way.
const MOST_TURNS: usize = 3;
