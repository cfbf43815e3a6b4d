//! What all workers have in memory: answers, and who is fetching which.
//!
//! A fresh answer is found without a lock of ours. Whoever finds none comes to one short lock, under which
//! [`Reads`] decides; what memory has is looked up again there, for it may have come in between.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use tokio::sync::watch;

use super::rules::TELLING;
use crate::admission::reads::{Flight, Kept, Landed, ObjectKey, Patience, Reads, Verdict};
use crate::admission::{ProductId, Refused};
use crate::proxy::clock::Clock;
use crate::proxy::fault::Fault;
use crate::proxy::headers::FORWARDING;
use crate::proxy::settings::{CacheRule, CacheSettings, Settings};

/// See the [module](self).
pub(crate) struct Memory {
    entries: Cache<u64, Entry, Weigh, BuildHasherDefault<AsItIs>>,
    flights: Mutex<Flights>,
    hasher: RandomState,
    pub(super) most: CacheSettings,
    /// Bytes of all bodies that somebody holds, those still being sent included.
    held: Arc<AtomicUsize>,
    pub(super) clock: Clock,
}

#[derive(Default)]
struct Flights {
    reads: Reads,
    landing: HashMap<ObjectKey, watch::Receiver<Option<News>>, BuildHasherDefault<AsItIs>>,
}

#[derive(Clone)]
enum Entry {
    Answer(Arc<Answer>),
    /// Answers vary with these headers: each stands under a number of its own.
    Varies(Arc<[HeaderName]>),
}

/// An answer for anybody.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) kept: Kept,
    /// What the fetch said in the headers with which the answer varies.
    pub(super) varies: HeaderMap,
    pub(super) vary: Arc<[HeaderName]>,
}

/// What came of a fetch, for all who wait for it.
#[derive(Clone)]
pub(super) enum News {
    /// This, and memory has it.
    Kept(Arc<Answer>),
    /// This, for those who wait and nobody else.
    Passing(Arc<Answer>),
    Refused(Refused),
    Fault(Fault),
    /// The answer was not anybody's: each asks for itself.
    Personal,
    /// Nothing, for a reason of the leader's own: ask again.
    Again,
}

/// What somebody who found nothing fresh is told.
pub(super) enum Told {
    Serve(Arc<Answer>),
    Lead(Landing, Wait),
    Follow(Wait),
    Pass,
}

/// A leader's duty to say what came of it; dropped, those who wait ask again.
pub(super) struct Landing {
    memory: Arc<Memory>,
    flight: Option<Flight>,
    object: ObjectKey,
    base: u64,
    tell: watch::Sender<Option<News>>,
}

/// Somebody's wait for a leader. Dropped, it is over.
pub(super) struct Wait {
    news: watch::Receiver<Option<News>>,
    pub(super) patience: Patience,
    /// What memory has meanwhile.
    pub(super) stale: Option<Arc<Answer>>,
    /// Whose bound it counts towards, unless it is the leader's own.
    follows: Option<Arc<Memory>>,
}

/// What an object is known by before it is known with what it varies.
pub(super) struct Wanted<'a> {
    /// By domain, and by number there: that stays as long as the proxy runs.
    pub(super) product: (usize, ProductId),
    pub(super) parts: &'a Parts,
    pub(super) rule: &'a CacheRule,
    /// A trusted proxy's word about scheme and host counts, for a backend's answer may depend on it.
    pub(super) forwarded: bool,
}

impl Memory {
    /// For a proxy with these settings, with what there was `before` if it has room for as much; nothing where no class is
    /// answered from memory.
    pub(crate) fn new(settings: &Settings, clock: Clock, before: Option<&Arc<Memory>>) -> Option<Arc<Memory>> {
        let mut classes = settings.products.iter().flat_map(|product| &product.classes);
        let known = before.filter(|before| before.most == settings.cache).cloned();
        classes
            .any(|class| class.cache.is_some())
            .then(|| known.unwrap_or_else(|| Arc::new(Memory::of(settings.cache, clock))))
    }

    fn of(most: CacheSettings, clock: Clock) -> Memory {
        let options = OptionsBuilder::new()
            .weight_capacity(most.memory)
            .estimated_items_capacity((most.memory / AN_ANSWER) as usize)
            .shards(SHARDS)
            .build()
            .expect("both capacities are given");
        let hasher = BuildHasherDefault::default();
        Memory {
            entries: Cache::with_options(options, Weigh, hasher, DefaultLifecycle::default()),
            flights: Mutex::default(),
            hasher: RandomState::new(),
            most,
            held: Arc::default(),
            clock,
        }
    }

    /// Bytes of the answers it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// What there is of `wanted`, however old.
    pub(super) fn find(&self, wanted: &Wanted<'_>) -> Option<Arc<Answer>> {
        self.look(self.base(wanted), wanted.parts).1
    }

    /// Under which number `parts` asks for the object, and what there is.
    fn look(&self, base: u64, parts: &Parts) -> (ObjectKey, Option<Arc<Answer>>) {
        let answer = |entry| match entry {
            Some(Entry::Answer(answer)) => Some(answer),
            Some(Entry::Varies(_)) | None => None,
        };
        match self.entries.get(&base) {
            Some(Entry::Varies(vary)) => {
                let object = self.varied(base, &vary, &parts.headers);
                (ObjectKey(object), answer(self.entries.get(&object)))
            }
            entry => (ObjectKey(base), answer(entry)),
        }
    }

    /// Somebody found nothing fresh. One who wants no body does not lead.
    pub(super) fn ask(self: &Arc<Self>, wanted: &Wanted<'_>, may_lead: bool) -> Told {
        let base = self.base(wanted);
        let mut flights = self.lock();
        let (object, answer) = self.look(base, wanted.parts);
        let now = self.clock.now();
        let kept = answer.as_ref().map(|answer| answer.kept);
        match (flights.reads.ask(object, kept, may_lead, now), answer) {
            (Verdict::Serve { .. }, Some(answer)) => Told::Serve(answer),
            // Nothing is served of what memory does not have.
            (Verdict::Pass | Verdict::Serve { .. }, _) => Told::Pass,
            (Verdict::Lead(flight, patience), stale) => {
                let (tell, news) = watch::channel(None);
                flights.landing.insert(object, news.clone());
                let landing = Landing { memory: self.clone(), flight: Some(flight), object, base, tell };
                Told::Lead(landing, Wait { news, patience, stale, follows: None })
            }
            (Verdict::Follow(patience), stale) => {
                let news = flights.landing.get(&object).expect("who leads put it there under this lock").clone();
                Told::Follow(Wait { news, patience, stale, follows: Some(self.clone()) })
            }
        }
    }

    /// Memory for a body of so many bytes, if there is any.
    pub(super) fn hold(&self, body: Vec<u8>) -> Option<Bytes> {
        let room = self.most.memory.saturating_mul(2) as usize;
        if self.held.load(Ordering::Relaxed).saturating_add(body.len()) > room {
            return None;
        }
        self.held.fetch_add(body.len(), Ordering::Relaxed);
        Some(Bytes::from_owner(Held { body: body.into_boxed_slice(), all: self.held.clone() }))
    }

    fn keep(&self, base: u64, answer: &Arc<Answer>) {
        let object = self.varied(base, &answer.vary, &answer.varies);
        if object != base {
            self.entries.insert(base, Entry::Varies(answer.vary.clone()));
        }
        self.entries.insert(object, Entry::Answer(answer.clone()));
    }

    fn base(&self, wanted: &Wanted<'_>) -> u64 {
        let Wanted { product, parts, rule, forwarded } = wanted;
        let mut hasher = self.hasher.build_hasher();
        product.hash(&mut hasher);
        parts.uri.path_and_query().map(|target| target.as_str()).hash(&mut hasher);
        for name in TELLING.iter().chain(&rule.headers) {
            say(&parts.headers, name, &mut hasher);
        }
        for name in FORWARDING.iter().skip(2).filter(|_| *forwarded) {
            say(&parts.headers, name, &mut hasher);
        }
        hasher.finish()
    }

    fn varied(&self, base: u64, vary: &[HeaderName], headers: &HeaderMap) -> u64 {
        if vary.is_empty() {
            return base;
        }
        let mut hasher = self.hasher.build_hasher();
        base.hash(&mut hasher);
        for name in vary {
            say(headers, name, &mut hasher);
        }
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A header's values, so that no two sets of them look alike. A host is the same in any case.
fn say(headers: &HeaderMap, name: &HeaderName, hasher: &mut impl Hasher) {
    let mut many = 0_u32;
    for value in headers.get_all(name) {
        many += 1;
        match value.as_bytes() {
            host if *name == HOST && host.iter().any(u8::is_ascii_uppercase) => host.to_ascii_lowercase().hash(hasher),
            plain => plain.hash(hasher),
        }
    }
    many.hash(hasher);
}

impl Answer {
    /// Whether it is one for `parts` too, as far as it varies.
    pub(super) fn suits(&self, parts: &Parts) -> bool {
        self.vary.iter().all(|name| parts.headers.get_all(name).iter().eq(self.varies.get_all(name).iter()))
    }
}

impl Landing {
    /// Say what came of it.
    pub(super) fn land(mut self, news: News) {
        self.end(news);
    }

    fn end(&mut self, news: News) {
        let Some(flight) = self.flight.take() else { return };
        let memory = &self.memory;
        let landed = match &news {
            News::Kept(answer) => {
                memory.keep(self.base, answer);
                Landed::Shared
            }
            News::Passing(_) | News::Refused(_) | News::Fault(_) => Landed::Failed,
            News::Again => Landed::Theirs,
            News::Personal => {
                // It was anybody's once, and is no longer.
                memory.entries.remove(&self.object.0);
                Landed::Personal
            }
        };
        let mut flights = memory.lock();
        flights.landing.remove(&self.object);
        flights.reads.land(flight, landed, memory.clock.now());
        drop(flights);
        let _ = self.tell.send(Some(news));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.end(News::Again);
    }
}

impl Wait {
    /// What came of it.
    pub(super) async fn hear(&mut self) -> News {
        match self.news.wait_for(Option::is_some).await {
            Ok(news) => news.clone().unwrap_or(News::Again),
            Err(_) => News::Again,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(memory) = &self.follows {
            memory.lock().reads.leave();
        }
    }
}

/// A body, counted while anybody has it.
struct Held {
    body: Box<[u8]>,
    all: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

/// What an entry weighs: its bytes, and about what holds them together.
#[derive(Clone)]
struct Weigh;

impl Weighter<u64, Entry> for Weigh {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        match entry {
            Entry::Varies(_) => AROUND,
            Entry::Answer(answer) => {
                let lines = |headers: &HeaderMap| -> usize {
                    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + A_LINE).sum()
                };
                AROUND + (answer.body.len() + lines(&answer.headers) + lines(&answer.varies)) as u64
            }
        }
    }
}

/// The keys are hashes already.
#[derive(Clone, Copy, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are one number");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Parts of the memory, each behind its own lock.
const SHARDS: usize = 4;
/// Bytes of an answer, for a guess at how many there will be.
const AN_ANSWER: u64 = 8 << 10;
/// Bytes around an answer: its entry, its head, what it is counted by.
const AROUND: u64 = 512;
/// Bytes around each line of a head.
const A_LINE: usize = 64;
