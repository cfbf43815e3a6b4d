//! One thread of the proxy: its runtime, its connections, its share of everything.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;

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
use super::once::{Bets, Keyed};
use super::reads::Memory;
use super::room::Room;
use super::settings::{CustomerSource, PoolSettings, Settings};
use super::standing::Standing;
use super::strain::Strain;
use super::tls::Tls;
use super::trace::Tracer;
use super::upstream::Pool;
use crate::admission::{Class, ProductId};
use crate::telemetry::export::Registry;
use crate::telemetry::record::{OnceMetrics, ProxyMetrics, UpstreamMetrics};

/// What all workers share.
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

/// One thread's part.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<ProxyMetrics>,
    pub(crate) clock: Clock,
    pub(crate) connections: Connections,
    pub(crate) strain: Strain,
    pub(crate) room: Room,
    pub(crate) draining: Cell<bool>,
    pub(crate) identities: Vec<HeaderName>,
    pools: Vec<Rc<Pool>>,
    answers: Answers,
    book: Option<Rc<Book>>,
    tracer: Option<Tracer>,
}

/// The running workers.
pub struct Workers {
    /// Where they listen.
    pub address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
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
        let names = || settings.products.iter().map(|product| product.name.as_str());
        let standing = |pool: &PoolSettings| {
            let metrics = Arc::new(UpstreamMetrics::new(registry, &pool.name));
            Standing::new(pool, gates[pool.domain].clone(), clock, metrics)
        };
        let hints = |pool: &PoolSettings| Hints::new(pool, gates[pool.domain].clone(), registry);
        Shared {
            hints: settings.pools.iter().map(hints).collect(),
            standings: settings.pools.iter().map(standing).collect(),
            gates,
            clock,
            access_log,
            identity: Identity::new(&settings, hashes.clone(), clock, registry),
            neighbours: Neighbours::new(&settings, hashes.clone()),
            hashes,
            open: Arc::new(AtomicUsize::new(0)),
            bets: Bets::new(&settings.once, clock, OnceMetrics::new(registry, names())),
            memory: Memory::new(&settings, clock),
            tls: Tls::new(&settings.listen, registry),
            ledger: Ledger::new(settings.listen.workers.get() as usize, settings.listen.memory),
            metrics: Arc::new(ProxyMetrics::new(registry, names(), settings.listen.workers.get())),
            pages: Arc::new(Pages::new(&settings.pages)),
            settings: Arc::new(settings),
        }
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

impl Workers {
    /// Start a thread for each socket.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be had.
    pub fn start(shared: &Arc<Shared>, sockets: Vec<StdListener>) -> io::Result<Workers> {
        let address = sockets[0].local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let start = |(number, socket): (usize, StdListener)| {
            let (shared, stopped) = (shared.clone(), stopped.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let run = move || LocalSet::new().block_on(&runtime, run(shared, socket, stopped, number as u64));
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)
        };
        let threads = sockets.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Workers { address, threads, stop })
    }

    /// Stop accepting, let what is in flight finish within the configured time, and end.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

async fn run(shared: Arc<Shared>, socket: StdListener, mut stopped: watch::Receiver<bool>, seed: u64) {
    let listener = TcpListener::from_std(socket).expect("a listening socket of our own making");
    let worker = Worker::new(shared, seed);
    tokio::task::spawn_local(watch_strain(worker.clone()));
    if let Some(book) = worker.book.clone() {
        tokio::task::spawn_local(async move { book.keep_handing_over().await });
    }
    tokio::select! {
        () = listener::accept(&listener, &worker) => {}
        () = worker.expire_idle() => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    worker.draining.set(true);
    listener::accept_rest(listener, &worker).await;
    worker.connections.close();
    let drained = async {
        while !worker.connections.is_empty() || worker.pools.iter().any(|pool| pool.is_carrying()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(worker.settings.listen.drain, drained).await.is_err() {
        let connections = worker.connections.len();
        if let Some(book) = &worker.book {
            book.cut();
        }
        tracing::error!(connections, "the drain time is over: cutting what is still under way");
    }
}

/// A task like those that serve, so that it is as late as they are.
async fn watch_strain(worker: Rc<Worker>) {
    worker.strain.watch(|| worker.make_way()).await;
}

impl Worker {
    fn new(shared: Arc<Shared>, seed: u64) -> Rc<Worker> {
        let settings = shared.settings.clone();
        let account = Account::new(shared.ledger.clone(), seed as usize);
        let pool = |(index, pool): (usize, &PoolSettings)| {
            Pool::new(
                shared.standings[index].clone(),
                shared.hints[index].clone(),
                pool,
                shared.clock,
                seed,
                account.clone(),
            )
        };
        let identity = |source: &CustomerSource| match source {
            CustomerSource::Header(name) => Some(name.clone()),
            CustomerSource::Token(_) | CustomerSource::Session(_) | CustomerSource::Address => None,
        };
        Rc::new(Worker {
            metrics: shared.metrics.clone(),
            clock: shared.clock,
            connections: Connections::default(),
            strain: Strain::new(account.clone(), seed, shared.metrics.lag(seed as usize)),
            room: Room::default(),
            draining: Cell::new(false),
            identities: settings.customer.iter().filter_map(identity).collect(),
            pools: settings.pools.iter().enumerate().map(pool).collect(),
            answers: Answers::new(&settings, shared.pages.clone()),
            tracer: settings.trace.as_ref().map(Tracer::new),
            book: Book::open(shared.access_log.as_ref(), &settings, shared.clock, seed as usize),
            settings,
            shared,
        })
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

    async fn expire_idle(&self) {
        loop {
            tokio::time::sleep(EXPIRE_EVERY).await;
            for pool in &self.pools {
                pool.expire();
            }
        }
    }
}
