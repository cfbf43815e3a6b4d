//! The file as written: names and types, nothing checked. Every value knows its place.
//!
//! Everything is optional here, so that what is missing is said by `settings` in our own words. A field
//! that is added needs a row in [`keys`](super::keys) and one in `docs/configuration.md`; tests ask for both.

mod either;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

pub(crate) use either::{NumberOr, TextOr};

pub(crate) type Opt<T> = Option<Spanned<T>>;
pub(crate) type List<T> = Option<Spanned<Vec<Spanned<T>>>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) log: Opt<String>,
    pub(super) journal: Opt<String>,
    pub(super) observe_only: Opt<bool>,
    #[serde(default)]
    pub(super) listen: Listen,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) upgrade: Upgrade,
    pub(super) access_log: Opt<AccessLog>,
    pub(super) trace: Option<Trace>,
    #[serde(default)]
    pub(super) cache: Cache,
    #[serde(default)]
    pub(super) customer: Customer,
    #[serde(default)]
    pub(super) machine: Vec<Spanned<Machine>>,
    #[serde(default)]
    pub(super) event: Event,
    pub(super) schedule: Opt<Schedule>,
    pub(super) cors: Opt<Cors>,
    #[serde(default)]
    pub(super) pages: Pages,
    #[serde(default)]
    pub(super) once: Once,
    #[serde(default)]
    pub(super) budget: Vec<Spanned<Budget>>,
    #[serde(default)]
    pub(super) product: Vec<Spanned<Product>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) address: Opt<String>,
    pub(super) trusted: List<String>,
    pub(super) proxy_protocol: List<String>,
    pub(super) workers: Opt<i64>,
    pub(super) connections: Opt<i64>,
    pub(super) connections_per_address: Opt<i64>,
    pub(super) memory: Opt<String>,
    pub(super) notice: Opt<String>,
    pub(super) spread: Opt<String>,
    pub(super) drain: Opt<String>,
    pub(super) header_bytes: Opt<String>,
    pub(super) headers: Opt<i64>,
    pub(super) uri_bytes: Opt<String>,
    pub(super) body_bytes: Opt<String>,
    pub(super) waiting_body_bytes: Opt<String>,
    pub(super) header_timeout: Opt<String>,
    pub(super) idle_timeout: Opt<String>,
    pub(super) body_timeout: Opt<String>,
    pub(super) send_timeout: Opt<String>,
    pub(super) least_rate: Opt<String>,
    pub(super) http2: Opt<bool>,
    pub(super) http2_streams: Opt<i64>,
    pub(super) tls: Opt<Tls>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificates: List<Certificate>,
    pub(super) minimum: Opt<String>,
    pub(super) client_ca: Opt<String>,
    pub(super) client_certificates: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) chain: Opt<String>,
    pub(super) key: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) address: Opt<String>,
    pub(super) token: Opt<String>,
    pub(super) token_file: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upgrade {
    pub(super) ready_within: Opt<String>,
    pub(super) drain: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessLog {
    pub(super) to: Opt<String>,
    pub(super) one_in: Opt<OneIn>,
    pub(super) query: Opt<bool>,
    pub(super) memory: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneIn {
    pub(super) answered: Opt<i64>,
    pub(super) refused: Opt<i64>,
    pub(super) failed: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    pub(super) traceparent: Opt<bool>,
    pub(super) sampled_one_in: Opt<i64>,
    pub(super) request_id: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cache {
    pub(super) memory: Opt<String>,
    pub(super) object: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    pub(crate) from: List<TextOr<CustomerSource>>,
    pub(crate) at_once: Opt<i64>,
    pub(crate) at_once_per_address: Opt<i64>,
    pub(crate) ipv4_prefix: Opt<i64>,
    pub(crate) ipv6_prefix: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerSource {
    pub(super) header: Opt<String>,
    pub(super) jwt: Opt<Jwt>,
    pub(super) cookie: Opt<String>,
    pub(super) bound_by: Opt<TextOr<BoundBy>>,
    pub(super) most: Opt<i64>,
    pub(super) idle: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoundBy {
    pub(super) header: Opt<String>,
    pub(super) pass: Opt<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwt {
    pub(super) header: Opt<String>,
    pub(super) cookie: Opt<String>,
    pub(super) claim: Opt<String>,
    pub(super) keys: List<TokenKey>,
    pub(super) issuer: Opt<String>,
    pub(super) audience: Opt<String>,
    pub(super) leeway: Opt<String>,
    pub(super) most: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenKey {
    pub(super) file: Opt<String>,
    pub(super) algorithm: Opt<String>,
    pub(super) id: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    pub(super) name: Opt<String>,
    pub(super) from: List<String>,
    pub(super) header: Opt<HeaderRule>,
    pub(super) token_header: Opt<String>,
    pub(super) token_file: Opt<String>,
    pub(super) at_once: Opt<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) from: List<EventSource>,
    pub(super) json_bytes: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventSource {
    pub(super) header: Opt<String>,
    pub(super) path: Opt<String>,
    pub(super) json: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    pub(super) file: Opt<String>,
    pub(super) margin: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Once {
    pub(super) header: List<String>,
    pub(super) classes: List<String>,
    pub(super) keep: Opt<String>,
    pub(super) bets: Opt<i64>,
    pub(super) memory: Opt<String>,
    pub(super) answer_bytes: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cors {
    pub(super) origins: List<String>,
    pub(super) credentials: Opt<bool>,
    pub(super) methods: List<String>,
    pub(super) headers: List<String>,
    pub(super) max_age: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pages {
    pub(super) language: Opt<String>,
    pub(super) time_zone: Opt<String>,
    pub(super) links: List<Link>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) href: Opt<String>,
    pub(super) sv: Opt<String>,
    pub(super) en: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    pub(crate) name: Opt<String>,
    pub(crate) classes: List<String>,
    pub(crate) products: List<String>,
    pub(crate) limit: Opt<Limit>,
    pub(crate) hint: Opt<String>,
    pub(crate) pass_hint: Opt<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Product {
    pub(super) name: Opt<String>,
    pub(super) r#match: List<Rule>,
    pub(super) backends: List<TextOr<Backend>>,
    #[serde(default)]
    pub(super) site: Vec<Spanned<Site>>,
    pub(super) protocol: Opt<String>,
    pub(super) balance: Opt<String>,
    pub(super) slow_start: Opt<String>,
    pub(super) failover: Opt<i64>,
    pub(super) resolve: Opt<String>,
    pub(super) health: Opt<Health>,
    pub(super) outliers: Opt<Outliers>,
    pub(super) latency_objective: Opt<String>,
    pub(super) guarantee: Opt<i64>,
    pub(super) default_class: Opt<String>,
    #[serde(default)]
    pub(super) class: Vec<Spanned<ClassRules>>,
    pub(super) limit: Opt<Limit>,
    pub(super) reserve: Opt<i64>,
    pub(super) reserve_per_customer: Opt<i64>,
    pub(super) connect_timeout: Opt<String>,
    pub(super) first_byte_timeout: Opt<String>,
    pub(super) idle_timeout: Opt<String>,
    pub(super) total_timeout: Opt<String>,
    pub(super) keep: Opt<String>,
    pub(super) idle_connections: Opt<i64>,
    pub(super) retry_budget: Opt<i64>,
    pub(super) honours_idempotency_key: Opt<bool>,
    pub(super) lookup: Opt<String>,
    pub(super) upgrade: List<String>,
    pub(super) tls: Opt<BackendTls>,
    pub(super) streams: Opt<Streams>,
    #[serde(default)]
    pub(super) queue: Queue,
    #[serde(default)]
    pub(super) passes: Passes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    pub(super) name: Opt<String>,
    pub(super) share: Opt<i64>,
    pub(super) backends: List<TextOr<Backend>>,
    pub(super) limit: Opt<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    pub(super) url: Opt<String>,
    pub(super) weight: Opt<i64>,
    pub(super) priority: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    pub(super) path: Opt<String>,
    pub(super) method: Opt<String>,
    pub(super) grpc: Opt<String>,
    pub(super) host: Opt<String>,
    pub(super) expect: List<String>,
    pub(super) interval: Opt<String>,
    pub(super) timeout: Opt<String>,
    pub(super) fall: Opt<i64>,
    pub(super) rise: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendTls {
    pub(super) ca: Opt<String>,
    pub(super) server_name: Opt<String>,
    pub(super) certificate: Opt<Certificate>,
    pub(super) minimum: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Streams {
    pub(super) seat: Opt<String>,
    pub(super) most: Opt<i64>,
    pub(super) idle_timeout: Opt<String>,
    pub(super) longest: Opt<String>,
    pub(super) types: List<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outliers {
    pub(super) consecutive: Opt<i64>,
    pub(super) behind: Opt<i64>,
    pub(super) answers: Opt<i64>,
    pub(super) interval: Opt<String>,
    pub(super) first: Opt<String>,
    pub(super) longest: Opt<String>,
    pub(super) most: Opt<i64>,
    pub(super) panic: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassRules {
    pub(super) class: Opt<String>,
    pub(super) seats: Opt<NumberOr<SeatsFrom>>,
    pub(super) cache: Opt<CacheTerms>,
    pub(super) r#match: List<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeatsFrom {
    pub(super) json: Opt<String>,
    pub(super) header: Opt<String>,
    pub(super) per: Opt<i64>,
    pub(super) most: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheTerms {
    pub(crate) fresh: Opt<String>,
    pub(crate) stale: Opt<String>,
    pub(crate) headers: List<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) path: Opt<String>,
    pub(super) host: Opt<String>,
    pub(super) method: Opt<String>,
    pub(super) header: Opt<TextOr<HeaderRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderRule {
    pub(super) name: Opt<String>,
    pub(super) value: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) longest_wait: Opt<String>,
    pub(crate) length: Opt<i64>,
    pub(crate) floor: Opt<i64>,
    pub(crate) near_stop: Opt<String>,
    pub(crate) retry_after: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Passes {
    pub(crate) keep: Opt<bool>,
    pub(crate) idle: Opt<String>,
    pub(crate) longest: Opt<String>,
    pub(crate) hold: Opt<String>,
    pub(crate) customers: Opt<i64>,
}

pub(crate) type Limit = NumberOr<LimitRange>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitRange {
    pub(crate) initial: Opt<i64>,
    pub(crate) least: Opt<i64>,
    pub(crate) most: Opt<i64>,
}

/// The schedule file beside the configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleFile {
    #[serde(default)]
    pub(super) event: Vec<Spanned<ScheduledEvent>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduledEvent {
    pub(super) id: Opt<String>,
    pub(super) product: Opt<String>,
    pub(super) stop: Opt<TextOr<Datetime>>,
    pub(super) believed_before_stop: Opt<String>,
    pub(super) margin: Opt<String>,
    pub(super) name: Opt<String>,
}
