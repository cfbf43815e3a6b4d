//! Bets exactly once: who asks for the same bet again hears what the first heard, and the backend hears nothing.
//!
//! What is known of bets and what they hear is decided in [`admission::once`](crate::admission::once); here the same
//! decision is asked with a lock and a clock, and those who wait do so. All workers share it, for a duplicate may come in
//! anywhere, but only requests with a key ever take its lock.
//!
//! | the first | hears | its duplicates in flight | who asks later |
//! |---|---|---|---|
//! | refused, or never sent | so | the same | is the first |
//! | left while it waited | nobody | one of them is the first | is the first |
//! | broke off within its body | nobody | one of them is the first | is the first |
//! | answered | the answer | a copy of it | a copy of it |
//! | answered at length | the answer | that it was answered | that it was answered |
//! | answered 401, 407, 408, 425, 429, or 503 with `Retry-After` | the answer | a copy of it | is the first |
//! | answered 5xx, or 409 by who honours keys | the answer | a copy of it | unknown, or the first if keys are honoured |
//! | sent, its answer lost | unknown | unknown | unknown, or the first if keys are honoured |

mod elsewhere;
mod first;
mod words;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::watch;

use super::body::AnswerBody;
use super::classify::{Classified, Hashes};
use super::clock::Clock;
use super::fault::Fault;
use super::settings::{OnceSettings, ProductSettings};
use super::upload::RequestBody;
use super::{Worker, refuse, refused_at_once};
use crate::admission::once::{Bet, Bounds, Once, Settled, Token, Verdict};
use crate::admission::{Customer, Refused, Timestamp};
use crate::telemetry::record::{Duplicate, OnceMetrics};

pub(crate) use elsewhere::{Elsewhere, Expecting, Lent, Said};
pub(crate) use first::First;
pub(crate) use words::BetWord;

/// What all workers know of bets.
pub(crate) struct Bets {
    known: Arc<Mutex<Known>>,
    hashes: Hashes,
    settings: OnceSettings,
    clock: Clock,
    metrics: OnceMetrics,
}

struct Known {
    once: Once<Waiting, Arc<Copied>>,
    /// When an operator was last told that there is too little room.
    told: Option<Timestamp>,
    /// Where bets are decided, when that is another process.
    elsewhere: Option<Arc<Elsewhere>>,
    /// What the process before this one knew is on its way.
    expected: Option<watch::Receiver<()>>,
}

/// Who is to be asked about a bet.
enum Asked {
    Here(Verdict<Waiting, Arc<Copied>>),
    Elsewhere(Arc<Elsewhere>),
    /// Nobody yet.
    Later(watch::Receiver<()>),
}

/// Whose turn it is.
enum Word {
    /// It goes on, for all that are the same.
    First(Box<First>),
    /// It hears this.
    Heard(Heard, Duplicate),
    /// There is no room to know it.
    Full,
}

/// A request that is to be carried out once.
pub(crate) struct Keyed {
    key: u64,
    request: u64,
    /// The key as its client has it.
    name: HeaderValue,
}

/// Where a duplicate hears what the first heard; closed without a word when it is to ask again.
type Waiting = watch::Receiver<Option<Heard>>;

/// What the duplicates of a request in flight hear.
#[derive(Clone, Debug)]
enum Heard {
    Answer(Arc<Copied>),
    Refused(Refused),
    Fault(Fault),
}

/// An answer that is told again.
#[derive(Debug)]
struct Copied {
    status: StatusCode,
    headers: HeaderMap,
    body: bytes::Bytes,
}

/// What becomes of a request.
pub(crate) enum Turn {
    /// It goes on, and its duplicates hear what it hears; nobody does of one without a key.
    Go(Option<Box<First>>),
    /// It hears this.
    Told(Response<AnswerBody>),
}

/// How often an operator is told of the same trouble.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Bets {
    /// What was known `before` is known, else nothing; `None` when nothing is to be known.
    pub(crate) fn new(
        settings: &OnceSettings,
        clock: Clock,
        hashes: &Hashes,
        before: Option<&Bets>,
        metrics: OnceMetrics,
    ) -> Option<Arc<Bets>> {
        if settings.headers.is_empty() {
            return None;
        }
        let OnceSettings { bets, memory, keep, .. } = *settings;
        let bounds = Bounds { bets, bytes: memory, keep };
        let known = match before {
            Some(Bets { known, .. }) => {
                known.lock().unwrap_or_else(PoisonError::into_inner).once.reform(bounds);
                known.clone()
            }
            None => {
                Arc::new(Mutex::new(Known { once: Once::new(bounds), told: None, elsewhere: None, expected: None }))
            }
        };
        Some(Arc::new(Bets { known, hashes: hashes.clone(), settings: settings.clone(), clock, metrics }))
    }

    /// The request, if it is one to be carried out once.
    pub(crate) fn keyed(&self, what: &Classified, product: &ProductSettings, parts: &Parts) -> Option<Keyed> {
        if !self.settings.classes[what.class.index()] {
            return None;
        }
        let header = self.settings.headers.iter().find(|name| parts.headers.contains_key(*name))?;
        let name = parts.headers.get(header).filter(|name| !name.is_empty())?;
        // Behind an address may be many, whose keys need not differ; their tokens do.
        let who = match what.customer {
            Customer::Account(number) => (number, None),
            Customer::Machine(number) => (u64::from(number), None),
            Customer::Address(number) => (number, Some(parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes))),
        };
        // Several lines of it are one key, whichever of them its backend believes.
        let lines: Vec<&[u8]> = parts.headers.get_all(header).iter().map(HeaderValue::as_bytes).collect();
        let target = parts.uri.path_and_query().map(|target| target.as_str());
        Some(Keyed {
            key: self.hashes.of(("bet", product.name.as_str(), who, lines)),
            request: self.hashes.of((parts.method.as_str(), target)),
            name: name.clone(),
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Once<Waiting, Arc<Copied>>, Timestamp) -> T) -> T {
        self.with_known(|known, now| act(&mut known.once, now))
    }

    fn with_known<T>(&self, act: impl FnOnce(&mut Known, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut known, now);
        // Under the lock, so that what is told last is what was so last.
        self.metrics.holds(known.once.len(), known.once.bytes(), known.once.unknown());
        let forgotten = known.once.take_forgotten();
        let tell = forgotten.bets > 0 && known.is_time_to_tell(now);
        drop(known);
        if forgotten != Default::default() {
            self.metrics.forgotten(forgotten);
        }
        if tell {
            tracing::warn!(
                bets = self.settings.bets,
                keep = ?self.settings.keep,
                "ALARM: bets are forgotten before their time, and would be sent again if they are asked for again: raise `bets` under [once], or lower `keep`"
            );
        }
        result
    }

    /// It has ended so, which whoever decides hears, too.
    fn settle(&self, token: Token, how: Settled<Arc<Copied>>, heard: Option<&Heard>) {
        self.with_known(|known, now| {
            if let Some(elsewhere) = &known.elsewhere {
                elsewhere.settled(token.key(), token.is_unknown(), &how, heard);
            }
            known.once.settle(token, how, now);
        });
    }

    fn ask(&self, bet: Bet, waiting: impl FnOnce() -> Waiting) -> Asked {
        self.with_known(|known, now| match (&known.expected, &known.elsewhere) {
            (Some(expected), _) => Asked::Later(expected.clone()),
            (None, Some(elsewhere)) => Asked::Elsewhere(elsewhere.clone()),
            (None, None) => Asked::Here(known.once.ask(bet, now, waiting)),
        })
    }

    /// Whose turn it is, when that is known. Each duplicate that is found on the way is `counted`.
    async fn word(self: &Arc<Self>, bet: Bet, mut count: impl FnMut(Duplicate)) -> Word {
        loop {
            let (tell, waiting) = watch::channel(None);
            let verdict = match self.ask(bet, || waiting) {
                Asked::Here(verdict) => verdict,
                Asked::Elsewhere(elsewhere) => return self.word_from(&elsewhere, bet, count).await,
                Asked::Later(mut expected) => {
                    // Ends with an error, when it has come or will not come.
                    let _ = expected.changed().await;
                    continue;
                }
            };
            let (heard, duplicate) = match verdict {
                Verdict::First(token) => {
                    return Word::First(Box::new(First::new(self.clone(), token, tell, bet.honoured)));
                }
                Verdict::InFlight(mut waiting) => {
                    count(Duplicate::InFlight);
                    let heard = waiting.wait_for(Option::is_some).await.ok().and_then(|heard| heard.clone());
                    match heard {
                        Some(heard) => return Word::Heard(heard, Duplicate::InFlight),
                        None => continue,
                    }
                }
                Verdict::Answered(copy) => {
                    (copy.map_or(Heard::Fault(Fault::AnsweredElsewhere), Heard::Answer), Duplicate::Answered)
                }
                Verdict::Unknown => (Heard::Fault(Fault::OutcomeUnknown), Duplicate::Unknown),
                Verdict::Reused => (Heard::Fault(Fault::KeyReused), Duplicate::Reused),
                Verdict::Full => {
                    self.full();
                    return Word::Full;
                }
            };
            count(duplicate);
            return Word::Heard(heard, duplicate);
        }
    }

    async fn word_from(self: &Arc<Self>, elsewhere: &Elsewhere, bet: Bet, mut count: impl FnMut(Duplicate)) -> Word {
        let word = elsewhere.word(self, bet).await;
        let word = word.unwrap_or(Word::Heard(Heard::Fault(Fault::OutcomeUnknown), Duplicate::Unknown));
        if let Word::Heard(_, duplicate) = &word {
            count(*duplicate);
        }
        word
    }

    /// Nobody new can be known, so nobody new is taken.
    fn full(&self) {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (tell, unknown) = (known.is_time_to_tell(now), known.once.unknown());
        drop(known);
        if tell {
            tracing::error!(
                bets = self.settings.bets,
                unknown,
                "ALARM: bets with a key are refused: there is no room to know them beside those in flight or unknown: raise `bets` under [once], and see why answers are lost"
            );
        }
    }
}

impl Known {
    fn is_time_to_tell(&mut self, now: Timestamp) -> bool {
        let due = self.told.is_none_or(|told| now >= told + TELL_EVERY);
        if due {
            self.told = Some(now);
        }
        due
    }
}

impl Keyed {
    /// The key as its client has it, for the address where its bet is looked up.
    pub(crate) fn name(&self) -> &HeaderValue {
        &self.name
    }

    fn bet(&self, bets: &Bets, body: Option<&RequestBody>, honoured: bool) -> Bet {
        let body = body.and_then(|body| body.whole(|bytes| bets.hashes.of(bytes)));
        Bet { key: self.key, request: self.request, body, honoured }
    }
}

/// Whether something is known of the request already, or may be by another process, so that no refusal may say that it was
/// not carried out.
pub(crate) fn is_known(worker: &Worker, keyed: Option<&Keyed>) -> bool {
    let Some((bets, keyed)) = worker.bets().zip(keyed) else { return false };
    bets.with_known(|known, now| {
        known.expected.is_some() || known.elsewhere.is_some() || known.once.knows(keyed.key, now)
    })
}

/// Whose turn it is: a request without a key goes on, one that nothing is known of is the first, and every other waits
/// for what the first hears. `body` has been read, if it can be kept.
pub(crate) async fn turn(worker: &Worker, what: &Classified, keyed: Option<&Keyed>, body: &RequestBody) -> Turn {
    let Some((bets, keyed)) = worker.bets().zip(keyed) else { return Turn::Go(None) };
    let honoured = worker.settings.products[what.product].honours_idempotency_key;
    let bet = keyed.bet(bets, Some(body), honoured);
    match bets.word(bet, |duplicate| bets.metrics.duplicate(what.product, duplicate)).await {
        Word::First(first) => Turn::Go(Some(first)),
        Word::Heard(heard, _) => Turn::Told(told(worker, *what, keyed, heard)),
        Word::Full => Turn::Told(told(worker, *what, keyed, Heard::Refused(worker.strain.no()))),
    }
}

/// What the first hears whom admission refuses: a no, unless the same bet was sent before.
pub(crate) fn refused(
    worker: &Worker,
    what: Classified,
    keyed: Option<&Keyed>,
    first: Option<Box<First>>,
    refused: Refused,
) -> Response<AnswerBody> {
    match first.map_or(Ok(refused), |mut first| first.refused(refused)) {
        Ok(refused) => refuse(worker, what, refused),
        Err(fault) => worker.fault_of(fault, what, keyed),
    }
}

fn told(worker: &Worker, what: Classified, keyed: &Keyed, heard: Heard) -> Response<AnswerBody> {
    match heard {
        Heard::Answer(copied) => copied.response(),
        Heard::Fault(fault) => worker.fault_of(fault, what, Some(keyed)),
        Heard::Refused(refused) => {
            refused_at_once(worker, what, refused);
            refuse(worker, what, refused)
        }
    }
}

impl Copied {
    fn response(&self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::full(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// Bytes that it takes, about.
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER);
        size_of::<Copied>() + headers.sum::<usize>() + self.body.len()
    }
}

/// Bytes that a map of headers takes for each beside its name and value.
const HEADER: usize = 104;
