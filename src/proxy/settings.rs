//! What steers the way of a request, as checked.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU32};
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Uri};
use ipnet::IpNet;

pub use super::balance::Policy;
pub use super::balance::outliers::OutlierSettings;
use super::event::pointer::Pointer;
use super::ledger;
pub use super::lookup::Lookup;
use super::names::Resolver;
pub use super::streams::StreamSettings;
pub use super::tls::backends::BackendTlsSettings;
use crate::admission::reads::Terms;
use crate::admission::{self, Class, ProductId};

mod answers;
mod listening;
mod succession;
pub use super::access_log::settings::{AccessLogSettings, OneIn, Target};
pub use super::identity::settings::{
    BoundBy, CustomerSource, KeySettings, MachineSettings, MachineToken, Prefix, SessionSettings, TokenPlace,
    TokenSettings,
};
pub use super::trace::settings::TraceSettings;
pub use answers::{CorsSettings, Language, Link, Origins, PageSettings};
pub use listening::{CertificateFiles, ClientCertificates, Http2Settings, TlsSettings, TlsVersion};
pub use succession::CannotFollow;

/// Everything the proxy needs to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decide and measure, and refuse nothing, until an order says otherwise.
    pub observe_only: bool,
    /// Where clients come in.
    pub listen: ListenSettings,
    /// Which pages of other origins may read what we say; `None` says nothing to any of them.
    pub cors: Option<CorsSettings>,
    /// What people see who navigate to a refusal or a fault.
    pub pages: PageSettings,
    /// Where a line for each request goes; `None` keeps none.
    pub access_log: Option<AccessLogSettings>,
    /// Which names requests get; `None` leaves them as they are.
    pub trace: Option<TraceSettings>,
    /// What memory holds of answers to reads.
    pub cache: CacheSettings,
    /// Where a request's customer is looked for; the first that is present wins.
    pub customer: Vec<CustomerSource>,
    /// Where a bet's events are looked for; all that are named count.
    /// What of an address makes one customer.
    pub prefix: Prefix,
    /// Machines that ask by themselves, looked for before customers; a domain knows them by index.
    pub machines: Vec<MachineSettings>,
    /// Where a bet's event is looked for; the first that is present wins.
    pub event: Vec<EventSource>,
    /// What is carried out once, however often it is asked for.
    pub once: OnceSettings,
    /// The largest body that is looked into for an event or a cost.
    pub json_bytes: usize,
    /// Products in the order of the file: the first whose rules match has the request.
    pub products: Vec<ProductSettings>,
    /// Backend pools; products name them by index.
    pub pools: Vec<PoolSettings>,
    /// Admission domains; products name them by index.
    pub domains: Vec<DomainSettings>,
}

/// Where clients come in.
#[derive(Clone, Debug)]
pub struct ListenSettings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Networks whose identity and forwarding headers count.
    pub trusted: Vec<IpNet>,
    /// Networks whose connections begin with a PROXY header, which tells whose they are.
    pub proxy_protocol: Vec<IpNet>,
    /// Worker threads, each with its own runtime and listening socket.
    pub workers: NonZeroU32,
    /// The most client connections at once; more are told that there is no room.
    pub connections: NonZeroU32,
    /// The most of them from one address that is not trusted; more are closed at once. `None` counts none.
    pub connections_per_address: Option<NonZeroU32>,
    /// Bytes that may be held for others: connections, and bodies of those who wait.
    pub memory: usize,
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// How long a client may take.
    pub timeouts: ClientTimeouts,
    /// How long everybody is still let in after readiness is off.
    pub notice: Duration,
    /// Over how long clients that stay connected are told to leave.
    pub spread: Duration,
    /// How long requests in flight have to finish after SIGTERM.
    pub drain: Duration,
    /// How the next binary takes over.
    pub upgrade: UpgradeSettings,
    /// What clients are spoken to with in secret; `None` speaks in the clear.
    pub tls: Option<TlsSettings>,
    /// How clients may speak HTTP/2; `None` lets none.
    pub http2: Option<Http2Settings>,
}

impl ListenSettings {
    /// Whether connections from there begin with a PROXY header.
    pub fn is_balancer(&self, address: &IpAddr) -> bool {
        self.proxy_protocol.iter().any(|network| network.contains(address))
    }

    /// Bytes of memory that all connections would be accounted for, when that is more than may be held: then requests are
    /// refused for want of memory before there are as many connections as may be.
    pub fn memory_wanted(&self) -> Option<usize> {
        let wanted = (self.connections.get() as usize).saturating_mul(ledger::CLIENT);
        (wanted > self.memory).then_some(wanted)
    }
}

/// How long a change to the next binary may take.
#[derive(Clone, Copy, Debug)]
pub struct UpgradeSettings {
    /// Until the new process takes requests; else all stays as it was.
    pub ready_within: Duration,
    /// Until the old one has finished what it had.
    pub drain: Duration,
}

/// Bounds on what a client may send.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's head, request line included; at least 8192. More is answered 431.
    pub header_bytes: usize,
    /// Header lines in a request. More is answered 431.
    pub headers: usize,
    /// Bytes of a request target. More is answered 414.
    pub uri_bytes: usize,
    /// Bytes of a request body. More is answered 413.
    pub body_bytes: u64,
    /// Bytes of a waiting request's body that are read while it waits, so that a client who hangs up is seen.
    pub waiting_body_bytes: usize,
}

/// How long a client may take.
#[derive(Clone, Debug)]
pub struct ClientTimeouts {
    /// From the connection, or the end of the previous answer, to the end of the next request's head.
    pub header: Duration,
    /// A connection with no request on it is closed after this.
    pub idle: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// Between two pieces of an answer that the client reads.
    pub send: Duration,
    /// Bytes a second that it must send of a body, and read of an answer, on the whole and beyond that; never none.
    pub least_rate: u64,
}

/// One place where the event of a bet may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSource {
    /// A header.
    Header(HeaderName),
    /// The path segment right after this prefix, which ends in `/`.
    PathAfter(String),
    /// This place in a JSON body.
    Json(Pointer),
}

/// What is carried out once, however often it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceSettings {
    /// Where the key stands that says which requests are the same; the first that is present. Empty: nowhere.
    pub headers: Vec<HeaderName>,
    /// By class, whether its requests are looked at.
    pub classes: [bool; Class::COUNT],
    /// How long a request is known after its answer.
    pub keep: Duration,
    /// The most requests that are known.
    pub bets: usize,
    /// The most bytes of their answers that are kept.
    pub memory: usize,
    /// Bytes of an answer's body beyond which it is not kept.
    pub answer_bytes: usize,
}

/// One product as the proxy sees it.
#[derive(Clone, Debug)]
pub struct ProductSettings {
    /// Its name, unique.
    pub name: String,
    /// Any of these rules makes a request this product's.
    pub rules: Vec<Rule>,
    /// Its class rules in the order of the file; the first match wins.
    pub classes: Vec<ClassRules>,
    /// The class of what no rule matches; never `protected`.
    pub default_class: Class,
    /// Whether its backends carry out what has the same idempotency key once, so that it may be sent to them again.
    pub honours_idempotency_key: bool,
    /// Where its customers look up what became of a bet whose answer was lost.
    pub lookup: Option<Lookup>,
    /// Protocols that its requests may go on in, such as `websocket`.
    pub upgrade: Vec<HeaderValue>,
    /// Index of its backend pool; of its first site's where it has several.
    pub pool: usize,
    /// Where it is served, where there is a choice: in the order of admission's.
    pub sites: Vec<SiteSettings>,
    /// Index of its domain.
    pub domain: usize,
    /// Its place in its domain.
    pub id: ProductId,
}

/// One of several places where a product is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSettings {
    /// Its name, unique in its product.
    pub name: String,
    /// Index of its backend pool.
    pub pool: usize,
    /// Of what is let through, in per cent, until it is shifted.
    pub share: u32,
}

/// What ranks as one class, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRules {
    /// The class.
    pub class: Class,
    /// How many seats such a request costs.
    pub seats: Seats,
    /// Their answers are anybody's.
    pub cache: Option<CacheRule>,
    /// Any of these rules makes a request one of them.
    pub rules: Vec<Rule>,
}

/// What says how many seats a request costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seats {
    /// All cost the same.
    Always(NonZeroU8),
    /// It says so itself.
    From(SeatsFrom),
}

/// Where a request says how much it is: a number, or a list to be counted. One that does not say costs one seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatsFrom {
    /// Where it stands.
    pub source: SeatsSource,
    /// So many cost one seat.
    pub per: NonZeroU32,
    /// More than this it never costs.
    pub most: NonZeroU8,
}

/// A place where a number may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatsSource {
    /// A header.
    Header(HeaderName),
    /// This place in a JSON body.
    Json(Pointer),
}

/// What memory holds of answers to reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of all answers; the least used go first.
    pub memory: u64,
    /// Bytes of one answer's body. Larger ones are not kept.
    pub object: usize,
}

/// Answers that are anybody's: they are fetched for all who ask, and given to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    /// How long they are good.
    pub terms: Terms,
    /// Headers that a fetch carries beside the usual ones; requests that differ in them ask for different objects.
    pub headers: Vec<HeaderName>,
}

/// What a request must look like; every part that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The path begins with this.
    pub path: Option<String>,
    /// The host is this, without port, in lower case.
    pub host: Option<String>,
    /// The method is this.
    pub method: Option<Method>,
    /// This header is present, and has this value if one is given.
    pub header: Option<(HeaderName, Option<HeaderValue>)>,
}

/// Backends that serve the same.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// What it is called in metrics: the name of its first product.
    pub name: String,
    /// The backends, at least one.
    pub backends: Vec<BackendSettings>,
    /// How long a backend may take.
    pub timeouts: BackendTimeouts,
    /// The most idle connections kept to each backend by each worker.
    pub idle_connections: usize,
    /// Second tries in a hundred requests.
    pub retry_budget: u32,
    /// Index of the pool's domain, and of its resource there.
    pub domain: usize,
    /// See [`domain`](Self::domain).
    pub resource: usize,
    /// What its backends may say of budgets that its products draw on.
    pub hints: Vec<HintSettings>,
    /// How one of them is chosen.
    pub policy: Policy,
    /// With less than so much in a hundred of a level there, the next takes what is missing.
    pub failover: u32,
    /// How they are asked how they are; `None` asks nobody.
    pub health: Option<HealthSettings>,
    /// When one is left out for its answers; `None` leaves nobody out.
    pub outliers: Option<OutlierSettings>,
    /// Over how long one that comes beside others gets its share; `None` at once.
    pub slow_start: Option<Duration>,
    /// From one lookup of a backend's name to the next.
    pub resolve: Duration,
    /// What looks them up.
    pub resolver: Resolver,
    /// What they are spoken to with in secret; `None` speaks in the clear.
    pub tls: Option<BackendTlsSettings>,
    /// What they are spoken to in.
    pub protocol: Protocol,
    /// What becomes of answers without an end in sight.
    pub streams: StreamSettings,
}

/// What the backends of a pool are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: each request under way has a connection.
    #[default]
    Http1,
    /// HTTP/2: many share one. In the clear without asking first; through TLS by what is agreed there (ALPN).
    Http2,
    /// What each backend chooses when TLS is agreed on.
    Auto,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Protocol::Http1, Protocol::Http2, Protocol::Auto];
    /// Their words in the configuration.
    pub const NAMES: [&'static str; 3] = ["http1", "http2", "auto"];
}

/// How backends are asked how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// The method.
    pub method: Method,
    /// The path, with a query if there is one.
    pub path: Uri,
    /// The `Host`; else the backend's own name.
    pub host: Option<HeaderValue>,
    /// The service of gRPC that is asked after instead, `""` for all of them.
    pub grpc: Option<String>,
    /// Statuses that are good.
    pub expect: Vec<RangeInclusive<u16>>,
    /// From one check to the next, a tenth more or less.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// Failed in a row until it is believed.
    pub fall: NonZeroU32,
    /// Passed in a row until it is believed.
    pub rise: NonZeroU32,
}

/// A header in which a backend may say how many requests a budget takes from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintSettings {
    /// Its name.
    pub header: HeaderName,
    /// Whether clients may see it; else it is taken off.
    pub pass: bool,
    /// The budget: an index into the resources of the pool's domain.
    pub resource: usize,
    /// The budget's name, for metrics.
    pub budget: String,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSettings {
    /// `host:port` as written, for metrics and logs.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// Its share beside others.
    pub weight: u32,
    /// Its level: those of 0 serve, those of the next number what is missing when too few of them are there.
    pub priority: u32,
    /// The name that it was found by, if it was written as one.
    pub host: Option<String>,
}

/// How long a backend may take.
#[derive(Clone, Debug)]
pub struct BackendTimeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub idle: Duration,
    /// From the request to the end of the answer.
    pub total: Duration,
    /// How long an unused connection is kept; shorter than the backend's own, or a request may meet a
    /// connection that is just being closed.
    pub keep: Duration,
}

/// One admission domain, with the names that metrics and orders use.
#[derive(Clone, Debug)]
pub struct DomainSettings {
    /// What admission is told.
    pub admission: admission::Settings,
    /// Its products in the order of their ids.
    pub products: Vec<Member>,
    /// Its resources, in order: pools by pool name, budgets by their own.
    pub resources: Vec<Limited>,
}

/// A product of a domain. One that has left the configuration keeps its id, for those who run and wait still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its place in [`Settings::products`]; `None` when it has left.
    pub index: Option<usize>,
    /// What its sites are called, in admission's order.
    pub sites: Vec<String>,
}

/// A resource of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Its name.
    pub name: String,
    /// Whether it has left the configuration: its number stays taken.
    pub gone: bool,
}
