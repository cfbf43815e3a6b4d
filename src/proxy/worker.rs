//! One thread of the proxy: its runtime, its connections, its share of everything.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::access_log::{AccessLog, Book, Trail};
use super::admit::Gate;
use super::answer::{Answers, Pages, Reader};
use super::body::AnswerBody;
use super::classify::{self, Classified, Hashes};
use super::clock::Clock;
use super::fault::Fault;
use super::headers::{Peer, Seen};
use super::hints::Hints;
use super::identity::Identity;
use super::ledger::{Account, Ledger};
use super::listener::{self, Connections};
use super::lookup;
use super::neighbours::Neighbours;
use super::once::{Bets, First, Keyed};
use super::reads::Memory;
use super::room::Room;
use super::settings::{CustomerSource, PoolSettings, Settings};
use super::spread::{Desk, Handed, Spread};
use super::standing::Standing;
use super::strain::Strain;
use super::tls::Tls;
use super::trace::Tracer;
use super::upgrade::Offer;
use super::upload::RequestBody;
use super::upstream::Pool;
use crate::admission::{Class, ProductId};
use crate::telemetry::export::Registry;
use crate::telemetry::record::{OnceMetrics, ProxyMetrics, UpstreamMetrics};

/// What all workers share under one configuration. Of what others say, connections, sessions, bets and answers, what was
/// known under the one before is known.
pub struct Shared {
    /// What steers them.
    pub settings: Arc<Settings>,
    /// One per domain, in the order of the settings.
    pub gates: Vec<Arc<Gate>>,
    /// Time since the start.
    pub clock: Clock,
    /// Turns names into numbers.
    pub hashes: Hashes,
    pub(crate) identity: Identity,
    /// One per pool.
    pub(crate) standings: Vec<Arc<Standing>>,
    /// One per pool.
    hints: Vec<Arc<Hints>>,
    pub(crate) open: Arc<AtomicUsize>,
    /// Where any class is answered from memory.
    pub(crate) memory: Option<Arc<Memory>>,
    /// Where clients are spoken to in secret.
    pub tls: Option<Arc<Tls>>,
    access_log: Option<Arc<AccessLog>>,
    pub(crate) neighbours: Option<Arc<Neighbours>>,
    ledger: Arc<Ledger>,
    bets: Option<Arc<Bets>>,
    metrics: Arc<ProxyMetrics>,
    pages: Arc<Pages>,
}

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
    latest: Rc<Latest>,
    pub(crate) identities: Vec<HeaderName>,
    pools: Vec<Rc<Pool>>,
    answers: Answers,
    book: Option<Rc<Book>>,
    tracer: Option<Tracer>,
}

/// Headers in which a customer is named.
fn identities(settings: &Settings) -> Vec<HeaderName> {
    let identity = |source: &CustomerSource| match source {
        CustomerSource::Header(name) => Some(name.clone()),
        CustomerSource::Token(_) | CustomerSource::Session(_) | CustomerSource::Address => None,
    };
    settings.customer.iter().filter_map(identity).collect()
}

/// What counts on a thread.
type Latest = RefCell<Option<Rc<Worker>>>;

/// What counts from now on, for all workers.
#[derive(Clone)]
pub struct Published {
    /// This.
    pub shared: Arc<Shared>,
    /// Hears from each worker that has taken it up.
    pub taken_up: mpsc::UnboundedSender<()>,
}

/// The running workers.
pub struct Workers {
    /// Where they listen.
    pub address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
    leave: watch::Sender<Option<Leaving>>,
}

/// How workers are to end.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    /// Whether the sockets are somebody else's now, who lets people in; else those who wait in them are let in first.
    pub handed_over: bool,
    /// Over how long those who are connected are told.
    pub spread: Duration,
    /// When they are cut.
    pub deadline: Instant,
}

/// How often idle connections to backends are looked through.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

impl Shared {
    /// What the workers of a proxy with these settings share.
    pub fn new(
        mut settings: Settings,
        gates: Vec<Arc<Gate>>,
        clock: Clock,
        hashes: Hashes,
        access_log: Option<Arc<AccessLog>>,
        registry: &Registry,
    ) -> Shared {
        classify::settle_paths(&mut settings);
        let pools = settings.pools.iter();
        let standings = pools.map(|pool| standing(pool, &gates, clock, registry)).collect();
        Shared {
            hints: hints(&settings, &gates, registry),
            standings,
            gates,
            clock,
            access_log,
            identity: Identity::new(&settings, hashes.clone(), clock, None, registry),
            neighbours: Neighbours::new(&settings, hashes.clone(), None),
            hashes,
            open: Arc::new(AtomicUsize::new(0)),
            bets: Bets::new(&settings.once, clock, None, OnceMetrics::new(registry, names(&settings))),
            memory: Memory::new(&settings, clock, None),
            tls: Tls::new(&settings.listen, None, registry),
            ledger: Ledger::new(settings.listen.workers.get() as usize, settings.listen.memory),
            metrics: Arc::new(ProxyMetrics::new(registry, names(&settings), settings.listen.workers.get())),
            pages: Arc::new(Pages::new(&settings.pages)),
            settings: Arc::new(settings),
        }
    }

    /// The same under other settings, which [follow](Settings::following) these, with a gate for each of their domains. To
    /// be called on the runtime that looks after the backends: pools that have left are looked after no more, and nothing
    /// of the others is lost.
    pub(crate) fn succeeded_by(
        &self,
        mut settings: Settings,
        gates: Vec<Arc<Gate>>,
        access_log: Option<Arc<AccessLog>>,
        registry: &Registry,
    ) -> Shared {
        classify::settle_paths(&mut settings);
        let same = |pool: &PoolSettings, known: &Standing| {
            (pool.domain, pool.resource) == (known.settings.domain, known.settings.resource)
        };
        let succeed = |pool: &PoolSettings| match self.standings.iter().find(|known| same(pool, known)) {
            Some(known) => known.succeeded_by(pool),
            None => standing(pool, &gates, self.clock, registry),
        };
        let standings: Vec<_> = settings.pools.iter().map(succeed).collect();
        // Those that have no heir by now have left.
        self.standings.iter().for_each(|known| known.retire(Weak::new()));
        self.ledger.bound_by(settings.listen.memory);
        let (clock, hashes) = (self.clock, self.hashes.clone());
        Shared {
            hints: hints(&settings, &gates, registry),
            standings,
            gates,
            clock,
            access_log,
            identity: Identity::new(&settings, hashes.clone(), clock, Some(&self.identity), registry),
            neighbours: Neighbours::new(&settings, hashes.clone(), self.neighbours.as_deref()),
            hashes,
            open: self.open.clone(),
            bets: Bets::new(&settings.once, clock, self.bets.as_deref(), OnceMetrics::new(registry, names(&settings))),
            memory: Memory::new(&settings, clock, self.memory.as_ref()),
            tls: Tls::new(&settings.listen, self.tls.as_deref(), registry),
            ledger: self.ledger.clone(),
            metrics: Arc::new(ProxyMetrics::new(registry, names(&settings), settings.listen.workers.get())),
            pages: Arc::new(Pages::new(&settings.pages)),
            settings: Arc::new(settings),
        }
    }

    pub(crate) fn access_log(&self) -> Option<Arc<AccessLog>> {
        self.access_log.clone()
    }

    /// Client connections open now.
    pub fn connections(&self) -> usize {
        self.open.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Bytes held for others, as they are accounted for.
    pub fn memory_held(&self) -> usize {
        self.ledger.held()
    }

    /// Bytes of answers in memory, and the most there may be: none where no class keeps any.
    pub fn answers_held(&self) -> (u64, u64) {
        self.memory.as_ref().map_or((0, 0), |memory| (memory.bytes(), self.settings.cache.memory))
    }

    /// Look after the backends of all pools, for ever, from the runtime this is called on.
    pub fn look_after_backends(&self) {
        self.standings.iter().for_each(Standing::look_after);
    }
}

fn names(settings: &Settings) -> impl Iterator<Item = &str> {
    settings.products.iter().map(|product| product.name.as_str())
}

fn standing(pool: &PoolSettings, gates: &[Arc<Gate>], clock: Clock, registry: &Registry) -> Arc<Standing> {
    let metrics = Arc::new(UpstreamMetrics::new(registry, &pool.name));
    Standing::new(pool, gates[pool.domain].clone(), clock, metrics)
}

fn hints(settings: &Settings, gates: &[Arc<Gate>], registry: &Registry) -> Vec<Arc<Hints>> {
    settings.pools.iter().map(|pool| Hints::new(pool, gates[pool.domain].clone(), registry)).collect()
}

impl Workers {
    /// Start the workers, and divide the sockets among them. There are at least as many.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be had.
    pub fn start(published: &watch::Receiver<Published>, sockets: Vec<StdListener>) -> io::Result<Workers> {
        let address = sockets[0].local_addr()?;
        let mut shares: Vec<Vec<StdListener>> = Vec::new();
        let (workers, metrics) = {
            let shared = &published.borrow().shared;
            (shared.settings.listen.workers.get() as usize, shared.metrics.clone())
        };
        shares.resize_with(workers, Vec::new);
        sockets.into_iter().enumerate().for_each(|(index, socket)| shares[index % workers].push(socket));
        let (leave, left) = watch::channel(None);
        let desks = Spread::over((0..workers).map(|number| metrics.connections_of(number)));
        let start = |((number, sockets), desk): ((usize, Vec<StdListener>), Place)| {
            let (published, left) = (published.clone(), left.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let run = move || LocalSet::new().block_on(&runtime, run(published, sockets, desk, left, number as u64));
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)
        };
        let threads = shares.into_iter().enumerate().zip(desks).map(start).collect::<io::Result<_>>()?;
        Ok(Workers { address, threads, leave })
    }

    /// What tells them to end, and once they do, by when.
    pub fn door(&self) -> watch::Sender<Option<Leaving>> {
        self.leave.clone()
    }

    /// Wait until they have ended; they have been told.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

/// Where a worker sits among the others, and where it finds what they hand to it.
type Place = (Desk, UnboundedReceiver<Handed>);

async fn run(
    mut published: watch::Receiver<Published>,
    sockets: Vec<StdListener>,
    (desk, mut handed): Place,
    mut told: watch::Receiver<Option<Leaving>>,
    seed: u64,
) {
    let listen = |socket| TcpListener::from_std(socket).expect("a listening socket of our own making");
    let listeners: Vec<TcpListener> = sockets.into_iter().map(listen).collect();
    let first = Worker::new(published.borrow_and_update().shared.clone(), seed);
    first.connections.beside_others(desk);
    let latest = first.latest.clone();
    tokio::task::spawn_local(watch_strain(first.clone()));
    tokio::task::spawn_local(follow(latest.clone(), published));
    let leaving = tokio::select! {
        () = listener::accept(&listeners, &first) => return,
        () = listener::take_over(&mut handed, &first) => return,
        () = expire_idle(&first) => return,
        leaving = leaving(&mut told) => leaving,
    };
    first.draining.set(true);
    // Accepted already, whoever has the sockets now.
    listener::take_over_rest(handed, &first.now());
    go_down(listeners, &first, leaving, &mut told).await;
    // They know each other.
    latest.take();
}

/// Take up whatever is published.
async fn follow(latest: Rc<Latest>, mut published: watch::Receiver<Published>) {
    while published.changed().await.is_ok() {
        let Published { shared, taken_up } = published.borrow_and_update().clone();
        let before = latest.borrow().clone();
        let Some(before) = before else { return };
        before.succeeded_by(shared);
        let _ = taken_up.send(());
    }
}

async fn go_down(
    listeners: Vec<TcpListener>,
    worker: &Rc<Worker>,
    leaving: Leaving,
    told: &mut watch::Receiver<Option<Leaving>>,
) {
    worker.draining.set(true);
    for listener in listeners.into_iter().filter(|_| !leaving.handed_over) {
        listener::accept_rest(listener, &worker.now()).await;
    }
    tokio::select! {
        () = worker.drained(leaving.spread) => {}
        () = expire_idle(worker) => {}
        () = overdue(told) => worker.now().cut(),
    }
}

/// Comes back when it is time to end.
async fn leaving(told: &mut watch::Receiver<Option<Leaving>>) -> Leaving {
    match told.wait_for(Option::is_some).await.map(|leaving| *leaving) {
        Ok(Some(leaving)) => leaving,
        // Nobody is there any more who could say so.
        Ok(None) | Err(_) => Leaving { handed_over: false, spread: Duration::from_millis(1), deadline: Instant::now() },
    }
}

/// Comes back when the time to finish is over, which may be made shorter meanwhile.
async fn overdue(told: &mut watch::Receiver<Option<Leaving>>) {
    loop {
        let deadline = told.borrow_and_update().map_or_else(Instant::now, |leaving| leaving.deadline);
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return,
            Ok(()) = told.changed() => {}
        }
    }
}

/// A task like those that serve, so that it is as late as they are.
async fn watch_strain(worker: Rc<Worker>) {
    worker.strain.watch(|| worker.now().make_way()).await;
}

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
    fn succeeded_by(&self, shared: Arc<Shared>) {
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
    pub(crate) fn trail(&self, parts: &Parts, peer: &Peer) -> Trail {
        self.book.as_ref().map_or_else(Trail::none, |book| book.begin(parts, peer))
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

    /// The pool of a product, at that site of it.
    pub(crate) fn pool(&self, product: usize, site: usize) -> &Rc<Pool> {
        &self.pools[self.settings.products[product].pool_at(site)]
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
    fn make_way(&self) {
        self.make_room();
        self.drop_idle();
    }

    /// Close every connection to a backend that nobody uses.
    pub(crate) fn drop_idle(&self) {
        for pool in &self.pools {
            pool.drop_idle();
        }
    }
}

impl Worker {
    /// Everybody is told to leave, and has left, and nothing is carried on for anybody.
    async fn drained(&self, spread: Duration) {
        self.connections.part(spread).await;
        while !self.connections.is_empty() || self.carried.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn cut(&self) {
        let connections = self.connections.len();
        if let Some(book) = &self.book {
            book.cut();
        }
        tracing::error!(connections, "the drain time is over: cutting what is still under way");
    }
}

async fn expire_idle(worker: &Rc<Worker>) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        for pool in &worker.now().pools {
            pool.expire();
        }
    }
}
