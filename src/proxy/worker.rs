//! One thread's part of the proxy, under one configuration.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::access_log::{Book, Trail};
use super::admit::Gate;
use super::answer::{Answers, Reader};
use super::body::AnswerBody;
use super::classify::{self, Classified};
use super::clock::Clock;
use super::fault::Fault;
use super::headers::{Peer, Seen};
use super::ledger::Account;
use super::listener::Connections;
use super::lookup;
use super::once::{Bets, First, Keyed};
use super::room::Room;
use super::settings::{CustomerSource, ProductSettings, Settings};
use super::shared::Shared;
use super::standing::Standing;
use super::strain::Strain;
use super::trace::Tracer;
use super::upgrade::Offer;
use super::upload::RequestBody;
use super::upstream::Pool;
use crate::admission::{Class, ProductId, Timestamp};
use crate::telemetry::record::ProxyMetrics;

/// One thread's part, under one configuration. A request has that which counted when it came to its end, and a connection
/// for what belongs to the connection; [`now`](Worker::now) is that which counts.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<ProxyMetrics>,
    pub(crate) clock: Clock,
    pub(crate) connections: Rc<Connections>,
    pub(crate) strain: Rc<Strain>,
    pub(crate) room: Rc<Room>,
    pub(crate) draining: Rc<Cell<bool>>,
    /// Exchanges that go on although their clients have hung up.
    carried: Rc<Cell<usize>>,
    account: Rc<Account>,
    seed: u64,
    pub(super) latest: Rc<Latest>,
    pub(crate) identities: Vec<HeaderName>,
    pools: Vec<Rc<Pool>>,
    answers: Answers,
    book: Option<Rc<Book>>,
    tracer: Option<Tracer>,
}

/// So soon does each worker take up what a reload has told admission.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(1);

/// Headers in which a customer is named.
fn identities(settings: &Settings) -> Vec<HeaderName> {
    let identity = |source: &CustomerSource| match source {
        CustomerSource::Header(name) => Some(name.clone()),
        CustomerSource::Token(_) | CustomerSource::Session(_) | CustomerSource::Address => None,
    };
    settings.customer.iter().filter_map(identity).collect()
}

/// What counts on a thread.
pub(super) type Latest = RefCell<Option<Rc<Worker>>>;

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, seed: u64) -> Rc<Worker> {
        let account = Account::new(shared.ledger.clone(), seed as usize);
        let worker = Worker {
            metrics: shared.metrics.clone(),
            clock: shared.clock,
            connections: Rc::default(),
            strain: Rc::new(Strain::new(account.clone(), seed, shared.metrics.lag(seed as usize))),
            room: Rc::default(),
            draining: Rc::default(),
            carried: Rc::default(),
            seed,
            latest: Rc::default(),
            identities: identities(&shared.settings),
            pools: Vec::new(),
            answers: Answers::new(&shared.settings, shared.pages.clone()),
            tracer: shared.settings.trace.as_ref().map(Tracer::new),
            book: Book::open(shared.access_log.as_ref(), &shared.settings, shared.clock, seed as usize),
            settings: shared.settings.clone(),
            account,
            shared,
        };
        let pools = worker.pools(&worker.shared, None);
        Worker { pools, ..worker }.counts()
    }

    /// From now on what is shared counts on this thread. Connections to backends that there were are used on.
    pub(super) fn succeeded_by(&self, shared: Arc<Shared>) {
        let worker = Worker {
            metrics: shared.metrics.clone(),
            clock: self.clock,
            connections: self.connections.clone(),
            strain: self.strain.clone(),
            room: self.room.clone(),
            draining: self.draining.clone(),
            carried: self.carried.clone(),
            seed: self.seed,
            latest: self.latest.clone(),
            identities: identities(&shared.settings),
            pools: self.pools(&shared, Some(self)),
            answers: Answers::new(&shared.settings, shared.pages.clone()),
            tracer: shared.settings.trace.as_ref().map(Tracer::new),
            book: self.next_book(&shared),
            settings: shared.settings.clone(),
            account: self.account.clone(),
            shared,
        };
        for pool in &self.pools {
            pool.is_succeeded_by(&worker.pools);
        }
        worker.counts();
    }

    fn counts(self) -> Rc<Worker> {
        let worker = Rc::new(self);
        *worker.latest.borrow_mut() = Some(worker.clone());
        worker
    }

    /// What counts on this thread now: for whatever begins.
    pub(crate) fn now(self: &Rc<Self>) -> Rc<Worker> {
        self.latest.borrow().clone().unwrap_or_else(|| self.clone())
    }

    fn pools(&self, shared: &Shared, before: Option<&Worker>) -> Vec<Rc<Pool>> {
        let pool = |(index, standing): (usize, &Arc<Standing>)| {
            let known = before.and_then(|worker| worker.pools.iter().find(|pool| pool.is_of(standing)));
            Pool::new(
                standing.clone(),
                shared.hints[index].clone(),
                known,
                (self.carried.clone(), self.account.clone()),
                self.seed,
            )
        };
        shared.standings.iter().enumerate().map(pool).collect()
    }

    /// The book goes on where the log does.
    fn next_book(&self, shared: &Shared) -> Option<Rc<Book>> {
        let same = match (&self.shared.access_log, &shared.access_log) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            _ => false,
        };
        match &self.book {
            Some(book) if same => book.succeeded_by(&shared.settings),
            _ => Book::open(shared.access_log.as_ref(), &shared.settings, self.clock, self.seed as usize),
        }
    }

    /// The trail of a request that has come, if anybody follows it.
    pub(crate) fn trail(&self, parts: &Parts, peer: &Peer, came: Timestamp) -> Trail {
        self.book.as_ref().map_or_else(Trail::none, |book| book.begin(parts, peer, came))
    }

    /// Give the request with these headers its names, where that is ours to do. Its id comes back.
    pub(crate) fn name(&self, headers: &mut HeaderMap, trail: &Trail) -> Option<HeaderValue> {
        self.tracer.as_ref()?.name(headers, trail)
    }

    /// Who hears from us and not from a backend hears under which id to ask about it.
    pub(crate) fn tell_name(&self, answer: &mut Response<AnswerBody>, id: Option<HeaderValue>) {
        let Some(id) = id.filter(|_| answer.body().is_told()) else { return };
        if let Some(header) = self.tracer.as_ref().and_then(Tracer::header) {
            answer.headers_mut().insert(header.clone(), id);
        }
    }

    pub(crate) fn classify(&self, parts: &Parts, seen: Seen, reader: Reader, peer: &Peer) -> Result<Classified, Fault> {
        classify::classify(&self.settings, &self.shared.hashes, &self.shared.identity, parts, seen, reader, peer)
    }

    /// The answer to a browser that asks what its script may do, where that is ours to give.
    pub(crate) fn preflight(&self, parts: &Parts, seen: &Seen, reader: Reader) -> Option<Response<AnswerBody>> {
        if !seen.wishes.is_preflight(&parts.method) {
            return None;
        }
        let answer = self.answers.preflight(reader)?;
        self.metrics.preflights.increment(1);
        Some(answer)
    }

    pub(crate) fn gate(&self, product: usize) -> (&Arc<Gate>, ProductId) {
        let product = &self.settings.products[product];
        (&self.shared.gates[product.domain], product.id)
    }

    /// The pool of a product where it is served at one place, or at its first site.
    pub(crate) fn pool(&self, product: usize) -> &Rc<Pool> {
        &self.pools[self.settings.products[product].pool]
    }

    /// The pool where a request of this product is to be served, [chosen](Admitted::pool) under the settings that count now.
    /// They may know other sites than ours: who waited through a reload came under those before.
    pub(crate) async fn pool_of(self: &Rc<Self>, product: usize, chosen: Option<usize>) -> Rc<Pool> {
        match self.pool_if_known(&self.settings.products[product], chosen) {
            Some(pool) => pool.clone(),
            // Boxed, or every request would be as large.
            None => Box::pin(self.pool_elsewhere(product, chosen)).await,
        }
    }

    async fn pool_elsewhere(self: &Rc<Self>, product: usize, chosen: Option<usize>) -> Rc<Pool> {
        let ProductSettings { domain, id, .. } = self.settings.products[product];
        for _ in 0..TAKEN_UP_WITHIN.as_millis() {
            let now = self.now();
            let known = now.settings.products.iter().find(|known| (known.domain, known.id) == (domain, id));
            if let Some(pool) = known.and_then(|known| now.pool_if_known(known, chosen)) {
                return pool.clone();
            }
            // Admission goes on by other settings a moment before we do.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // It has left altogether, and who waited for it goes where it was.
        self.pool(product).clone()
    }

    fn pool_if_known(&self, product: &ProductSettings, chosen: Option<usize>) -> Option<&Rc<Pool>> {
        let Some(resource) = chosen else {
            return product.sites.is_empty().then(|| &self.pools[product.pool]);
        };
        let mut sites = product.sites.iter().map(|site| site.pool);
        let pool = sites.find(|pool| self.settings.pools[*pool].resource == resource)?;
        Some(&self.pools[pool])
    }

    /// What of another protocol is offered to the backend. What others wait for is an answer.
    pub(super) fn offer(
        &self,
        what: &Classified,
        parts: &Parts,
        body: &RequestBody,
        first: Option<&First>,
    ) -> Option<Offer> {
        if !what.seen.upgrade || first.is_some() {
            return None;
        }
        Offer::of(parts, body, &self.settings.products[what.product].upgrade)
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Our own answer where a backend's should have been.
    pub(crate) fn fault(&self, fault: Fault, class: Option<Class>, reader: Reader) -> Response<AnswerBody> {
        self.metrics.fault(fault);
        self.answers().fault(fault, class, reader)
    }

    /// The same to a request of which it is known what it is: where something may have come of it, with the address where
    /// that is looked up.
    pub(crate) fn fault_of(&self, fault: Fault, what: Classified, keyed: Option<&Keyed>) -> Response<AnswerBody> {
        let mut answer = self.fault(fault, Some(what.class), what.reader);
        let asks = fault.can_be_looked_up() && (what.class == Class::Commit || keyed.is_some());
        let lookup = self.settings.products[what.product].lookup.as_ref().filter(|_| asks);
        if let Some(address) = lookup.and_then(|lookup| lookup.address(keyed.map(|keyed| keyed.name().as_bytes()))) {
            lookup::tell(&mut answer, &address);
        }
        answer
    }

    /// What is known of requests that are carried out once.
    pub(crate) fn bets(&self) -> Option<&Arc<Bets>> {
        self.shared.bets.as_ref()
    }

    /// There is hardly any memory left: connections that nobody uses go, on both sides.
    pub(super) fn make_way(&self) {
        self.make_room();
        self.drop_idle();
    }

    /// Close every connection to a backend that nobody uses.
    pub(crate) fn drop_idle(&self) {
        for pool in &self.pools {
            pool.drop_idle();
        }
    }

    /// Close connections to backends that nobody has used for as long as they are kept.
    pub(super) fn expire_idle(&self) {
        for pool in &self.pools {
            pool.expire();
        }
    }

    /// Everybody is told to leave, and has left, and nothing is carried on for anybody.
    pub(super) async fn drained(&self, spread: Duration) {
        self.connections.part(spread).await;
        while !self.connections.is_empty() || self.carried.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn cut(&self) {
        let connections = self.connections.len();
        if let Some(book) = &self.book {
            book.cut();
        }
        tracing::error!(connections, "the drain time is over: cutting what is still under way");
    }
}
