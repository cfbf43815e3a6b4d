//! Connections to backends, and one exchange over them.
//!
//! Each worker keeps its own idle connections, newest first: no lock, and the oldest are those that
//! expire. A request is sent again only when hyper hands it back unsent, on another connection or to
//! another backend; once a byte may have left, it is never repeated.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::admit::Admitted;
use super::balance::{self, Backend, Outstanding};
use super::body::{AnswerBody, BodyError, RequestBody};
use super::clock::Clock;
use super::fault::Fault;
use super::headers;
use super::settings::BackendTimeouts;
use super::stream::BackendStream;
use crate::admission::random::Random;
use crate::admission::{Outcome, Timestamp};
use crate::telemetry::record::UpstreamMetrics;

/// One worker's connections to the backends of one pool.
pub(crate) struct Pool {
    backends: Vec<Arc<Backend>>,
    host: HeaderValue,
    idle: Vec<RefCell<Vec<Idle>>>,
    timeouts: BackendTimeouts,
    most_idle: usize,
    random: Cell<Random>,
    clock: Clock,
    metrics: Arc<UpstreamMetrics>,
    /// Exchanges that go on although their client has hung up.
    carried: Cell<usize>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Timestamp,
}

/// A connection in use.
struct Borrowed {
    sender: SendRequest<RequestBody>,
    backend: usize,
    outstanding: Outstanding,
}

/// A request between its sending and the end of its answer: it holds the seat and the connection.
pub(crate) struct Exchange {
    pool: Rc<Pool>,
    admitted: Option<Admitted>,
    connection: Option<Borrowed>,
    outcome: Outcome,
    carried: bool,
}

/// The head of a backend's answer, and what is still under way.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) exchange: Exchange,
    /// When the whole answer must have been relayed.
    pub(crate) end: Instant,
}

/// Backends tried for one request before it is given up.
const MOST_ATTEMPTS: usize = 3;
/// Bytes of a backend's answer that a connection holds: more for a head is no head, and hyper would look
/// through six times as much before it lets others have their turn.
const MOST_BUFFERED: usize = 64 * 1024;
/// How long a connection whose request is still being sent when its answer is complete may take.
const SETTLE_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

impl Pool {
    pub(crate) fn new(
        backends: Vec<Arc<Backend>>,
        settings: &super::settings::PoolSettings,
        clock: Clock,
        seed: u64,
        metrics: Arc<UpstreamMetrics>,
    ) -> Rc<Pool> {
        let host = backends.first().and_then(|backend| HeaderValue::from_str(&backend.settings.name).ok());
        Rc::new(Pool {
            host: host.unwrap_or(HeaderValue::from_static("")),
            idle: backends.iter().map(|_| RefCell::new(Vec::new())).collect(),
            backends,
            timeouts: settings.timeouts.clone(),
            most_idle: settings.idle_connections,
            random: Cell::new(Random::new(seed)),
            clock,
            metrics,
            carried: Cell::new(0),
        })
    }

    /// Go on with what is left of an exchange whose client has hung up.
    pub(crate) fn carry(self: &Rc<Self>, rest: impl Future<Output = ()> + 'static) {
        let pool = self.clone();
        pool.carried.update(|carried| carried + 1);
        tokio::task::spawn_local(async move {
            rest.await;
            pool.carried.update(|carried| carried - 1);
        });
    }

    /// Whether an exchange goes on although its client has hung up.
    pub(crate) fn is_carrying(&self) -> bool {
        self.carried.get() > 0
    }

    /// The `Host` of those who ask for none: the first backend's, for all serve the same.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// How long a backend may be silent within an answer.
    pub(crate) fn timeouts(&self) -> &BackendTimeouts {
        &self.timeouts
    }

    /// Send `request` and wait for the head of the answer. The seat is given back when this fails, or when
    /// the [`Answered::exchange`] ends.
    pub(crate) async fn exchange(
        self: &Rc<Self>,
        mut request: Request<RequestBody>,
        admitted: Admitted,
    ) -> Result<Answered, Fault> {
        let started = admitted.since();
        let by = |after| Instant::from_std(self.clock.instant(started + after));
        let end = by(self.timeouts.total);
        let head_by = by(self.timeouts.first_byte.min(self.timeouts.total));
        let upload = request.body().fate();
        let mut exchange = Exchange {
            pool: self.clone(),
            admitted: Some(admitted),
            connection: None,
            outcome: Outcome::Failed,
            carried: is_carried(request.method()),
        };
        let mut tried = Vec::new();
        loop {
            let mut connection = match self.connect(started, &mut tried).await {
                Ok(connection) => connection,
                Err(fault) => {
                    // Nobody there says nothing about how much the others can take.
                    exchange.end(Outcome::Abandoned);
                    return Err(fault);
                }
            };
            let sent = connection.sender.try_send_request(request);
            exchange.connection = Some(connection);
            match timeout_at(head_by, sent).await {
                Ok(Ok(response)) => return exchange.answered(response, started, end),
                Ok(Err(mut error)) => match error.take_message() {
                    // Never sent: an idle connection that the backend closed while it lay here.
                    Some(unsent) => {
                        exchange.connection = None;
                        request = unsent;
                    }
                    None => return Err(exchange.broken_by(upload.error())),
                },
                Err(_) => {
                    self.metrics.timed_out.increment(1);
                    exchange.end(Outcome::Failed);
                    return Err(Fault::NoAnswer(self.timeouts.first_byte));
                }
            }
        }
    }

    /// A connection that is ready to send: an idle one, or a new one to a backend that accepts it.
    async fn connect(&self, now: Timestamp, tried: &mut Vec<usize>) -> Result<Borrowed, Fault> {
        loop {
            let index = balance::choose(&self.backends, tried, now, &self.random);
            let backend = &self.backends[index];
            let outstanding = Outstanding::at(backend);
            if let Some(sender) = self.reuse(index, now) {
                return Ok(Borrowed { sender, backend: index, outstanding });
            }
            match timeout(self.timeouts.connect, open(backend.settings.address)).await {
                Ok(Ok(sender)) => {
                    if backend.accepted() {
                        tracing::info!(backend = backend.settings.name, "a backend accepts connections again");
                    }
                    self.metrics.opened.increment(1);
                    return Ok(Borrowed { sender, backend: index, outstanding });
                }
                failed => {
                    self.metrics.connect_failed.increment(1);
                    if backend.refused(self.clock.now()) {
                        let why = failed
                            .map_or("no answer in time".into(), |e| e.err().map(|e| e.to_string()).unwrap_or_default());
                        tracing::warn!(
                            backend = backend.settings.name,
                            why,
                            "a backend does not accept connections: set aside"
                        );
                    }
                    tried.push(index);
                    if tried.len() >= MOST_ATTEMPTS.min(self.backends.len()) {
                        return Err(Fault::Unreachable);
                    }
                }
            }
        }
    }

    /// The newest idle connection that still works.
    fn reuse(&self, backend: usize, now: Timestamp) -> Option<SendRequest<RequestBody>> {
        loop {
            let idle = self.idle[backend].borrow_mut().pop()?;
            if now.since(idle.since) >= self.timeouts.keep {
                // Every other one is older.
                self.idle[backend].borrow_mut().clear();
                return None;
            }
            if idle.sender.is_ready() {
                return Some(idle.sender);
            }
        }
    }

    fn put_back(self: &Rc<Self>, backend: usize, mut sender: SendRequest<RequestBody>, now: Timestamp) {
        if sender.is_ready() {
            self.keep(backend, Idle { sender, since: now });
        } else if !sender.is_closed() {
            // The answer came before the request had been read: the connection is free when it has, if soon.
            let pool = self.clone();
            tokio::task::spawn_local(async move {
                if let Ok(Ok(())) = timeout(SETTLE_WITHIN, sender.ready()).await {
                    pool.keep(backend, Idle { sender, since: now });
                }
            });
        }
    }

    fn keep(&self, backend: usize, connection: Idle) {
        let mut idle = self.idle[backend].borrow_mut();
        if idle.len() < self.most_idle {
            idle.push(connection);
        }
    }

    /// Close connections that nobody has used for as long as they are kept.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        for idle in &self.idle {
            idle.borrow_mut().retain(|idle| now.since(idle.since) < self.timeouts.keep && !idle.sender.is_closed());
        }
    }
}

impl Exchange {
    /// Who goes on with it when the client hangs up; nobody when it may as well be broken off.
    pub(crate) fn carried_by(&self) -> Option<Rc<Pool>> {
        self.carried.then(|| self.pool.clone())
    }

    fn answered(mut self, response: Response<Incoming>, started: Timestamp, end: Instant) -> Result<Answered, Fault> {
        let status = response.status();
        if !headers::is_relayable(status, response.headers()) {
            self.broke();
            return Err(Fault::BrokenAnswer);
        }
        // A backend that says it is overloaded has not answered, as far as its limit is concerned.
        if !matches!(status.as_u16(), 502..=504) {
            self.outcome = Outcome::Answered;
        }
        self.pool.metrics.answered(status, self.pool.clock.now().since(started));
        if headers::has_two_lengths(response.headers()) {
            // Where this answer ends is anybody's guess, so the connection serves nobody else (hyper#4181).
            self.connection = None;
        }
        Ok(Answered { response, exchange: self, end })
    }

    /// The answer has ended as it should.
    pub(crate) fn completed(&mut self) {
        let now = self.pool.clock.now();
        if let Some(Borrowed { sender, backend, outstanding }) = self.connection.take() {
            drop(outstanding);
            self.pool.put_back(backend, sender, now);
        }
        if let Some(admitted) = self.admitted.take() {
            admitted.finish(self.outcome, now);
        }
    }

    /// The backend broke off before or within its answer.
    pub(crate) fn broke(&mut self) {
        self.pool.metrics.broken.increment(1);
        self.end(Outcome::Failed);
    }

    /// Broken off before an answer: by the client, when its body broke off, else by the backend.
    fn broken_by(mut self, client: Option<BodyError>) -> Fault {
        match client {
            Some(error) => {
                self.end(Outcome::Abandoned);
                error.into()
            }
            None => {
                self.broke();
                Fault::BrokenAnswer
            }
        }
    }

    /// Over, and the connection with it.
    fn end(&mut self, outcome: Outcome) {
        self.connection = None;
        if let Some(admitted) = self.admitted.take() {
            admitted.finish(outcome, self.pool.clock.now());
        }
    }
}

async fn open(address: SocketAddr) -> std::io::Result<SendRequest<RequestBody>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_BUFFERED);
    let (sender, connection) = builder.handshake(BackendStream::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::task::spawn_local(async move {
        // Its error reaches whoever waits for an answer on it; on an idle connection it is nobody's news.
        let _ = connection.await;
    });
    Ok(sender)
}

/// What may change something is carried to its end even when the client hangs up: the backend goes on with it
/// anyway, so its seat is not free, and a bet must not be cut half-way.
pub(crate) fn is_carried(method: &Method) -> bool {
    !method.is_safe()
}

/// An exchange that goes on when whoever waits for it has gone: its answer is then read to the end and
/// thrown away, and the seat given back when the backend is done.
pub(crate) struct Carried {
    pool: Rc<Pool>,
    exchange: Option<Pin<Box<dyn Future<Output = Result<Answered, Fault>>>>>,
}

impl Carried {
    pub(crate) fn new(pool: Rc<Pool>, request: Request<RequestBody>, admitted: Admitted) -> Carried {
        let by = pool.clone();
        Carried { pool, exchange: Some(Box::pin(async move { by.exchange(request, admitted).await })) }
    }
}

impl Future for Carried {
    type Output = Result<Answered, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = self.exchange.as_mut().expect("a future is not polled after it is ready");
        let result = std::task::ready!(exchange.as_mut().poll(context));
        self.exchange = None;
        Poll::Ready(result)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else { return };
        let idle = self.pool.timeouts.idle;
        self.pool.carry(async move {
            if let Ok(Answered { response, exchange, end }) = exchange.await {
                AnswerBody::relay(response.into_body(), exchange, idle, end).read_out().await;
            }
        });
    }
}
