//! What the way of a request counts: handles fetched once, incremented without a lookup.

use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram};
use rustls::HandshakeKind;

use super::export::Registry;
use super::names;
use crate::admission::once::Forgotten;
use crate::admission::resource::Hinted;
use crate::admission::{Class, Refusal};
use crate::proxy::admit::Decided;
use crate::proxy::event::{Unread, Wanted};
use crate::proxy::fault::Fault;
use crate::proxy::identity::tokens::Flaw;
use crate::proxy::names::LookedUp;
use crate::proxy::tls::backends::TlsFailure;

/// Everything the proxy counts, apart from backends.
pub struct ProxyMetrics {
    /// By product, in the order of the settings.
    pub products: Vec<ProductMetrics>,
    faults: [Counter; Fault::NAMES.len()],
    /// Browsers that asked what a script of another origin may do.
    pub preflights: Counter,
    /// Client connections open now.
    pub connections: Gauge,
    /// Those of them that rest and hold next to no memory.
    pub dormant: Gauge,
    /// Client connections accepted.
    pub accepted: Counter,
    /// Connections closed because there were too many.
    pub too_many: Counter,
    /// Connections closed because there were too many from their address.
    pub too_many_from_one: Counter,
    /// Connections closed because the client was too slow.
    pub too_slow: Counter,
    /// Connections closed because their clients said much of which nothing came.
    pub floods: Counter,
    /// Connections closed because they did not begin with a PROXY header, where they must.
    pub proxy_header: Counter,
    /// Connections closed because nobody used them and somebody else needed the room.
    pub for_room: Counter,
    cannot_accept: [Counter; 2],
    /// By worker.
    lag: Vec<Histogram>,
    connections_of: Vec<Gauge>,
}

/// What is counted of one product.
pub struct ProductMetrics {
    /// Requests that asked to pass.
    pub arrivals: [Counter; Class::COUNT],
    /// Those that passed at once.
    pub proceeded: [Counter; Class::COUNT],
    /// Those that had to wait.
    pub waited: [Counter; Class::COUNT],
    refused_at_once: [Counter; Class::COUNT],
    /// Customers whose key has changed by a login.
    pub learnt: Counter,
    /// Those that hung up while they waited.
    pub left: [Counter; Class::COUNT],
    refusals: [[Counter; Refusal::COUNT]; Class::COUNT],
    would_refuse: [[Counter; Refusal::COUNT]; Class::COUNT],
    unread: [[Counter; Unread::ALL.len()]; Wanted::ALL.len()],
    reads: [Counter; Read::NAMES.len()],
    /// How long those who waited did so until they passed.
    pub queue_seconds: [Histogram; Class::COUNT],
}

/// What became of a read that memory may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Answered from memory.
    Fresh,
    /// Answered from memory with what is past its freshness.
    Stale,
    /// Answered with what was fetched for another.
    Coalesced,
    /// It was fetched, for all who asked.
    Miss,
    /// Told no, or of a fault, as the one who fetched for all was.
    Refused,
    /// Went its own way.
    Bypass,
}

impl Read {
    const NAMES: [&'static str; 6] = ["fresh", "stale", "coalesced", "miss", "refused", "bypass"];
}

/// What is counted of one pool of backends.
pub struct UpstreamMetrics {
    /// Connections opened.
    pub opened: Counter,
    /// Connections not accepted.
    pub connect_failed: Counter,
    /// Answers that broke off.
    pub broken: Counter,
    /// Answers that did not begin in time.
    pub timed_out: Counter,
    /// Further connections tried, and those that were not for want of budget.
    retries: [Counter; 2],
    seconds: Histogram,
    statuses: [Counter; 5],
    checks: [Counter; 2],
    left_out: [Counter; LeftOut::ALL.len()],
    kept_in: Counter,
    lookups: [Counter; LookedUp::ALL.len()],
    seatless: Gauge,
    kept_seats: Counter,
    tls_failed: [Counter; TlsFailure::ALL.len()],
}

/// Why a backend is left out for its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// So many errors in a row.
    Consecutive,
    /// Fewer good answers than the others give.
    Behind,
}

impl LeftOut {
    const ALL: [LeftOut; 2] = [LeftOut::Consecutive, LeftOut::Behind];

    /// In metrics and log.
    pub const fn name(self) -> &'static str {
        match self {
            LeftOut::Consecutive => "consecutive",
            LeftOut::Behind => "behind",
        }
    }
}

/// What is counted of requests that are carried out once.
pub struct OnceMetrics {
    /// By product, then by what became of them.
    duplicates: Vec<[Counter; 4]>,
    bets: Gauge,
    bytes: Gauge,
    unknown: Gauge,
    forgotten_bets: Counter,
    forgotten_answers: Counter,
}

/// What became of a request with the key of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// It waits for the answer to that.
    InFlight,
    /// It hears the answer to that.
    Answered,
    /// It hears that nobody knows.
    Unknown,
    /// It is another request.
    Reused,
}

/// What is counted of TLS.
pub struct TlsMetrics {
    handshakes: [Counter; 3],
    end: Gauge,
}

/// What is counted of signed tokens.
#[derive(Clone)]
pub struct TokenMetrics {
    remembered: Counter,
    verified: Counter,
    flawed: [Counter; Flaw::NAMES.len()],
}

/// What is counted of sessions.
pub struct SessionMetrics {
    bound: Counter,
    sessions: Gauge,
}

/// What is counted of the access log.
#[derive(Clone)]
pub struct AccessLogMetrics {
    /// Lines that were written.
    pub written: Counter,
    /// Lines that were dropped, because what was written before has not been taken yet.
    pub no_room: Counter,
    /// Lines that were lost for an error.
    pub failed: Counter,
}

/// What is counted of one machine.
pub struct MachineMetrics {
    arrivals: Counter,
    refusals: [Counter; Refusal::COUNT],
}

/// What is counted of what one pool's backends say of one budget.
pub struct HintMetrics {
    taken: Counter,
    clamped: Counter,
    ignored: Counter,
    unreadable: Counter,
}

impl ProxyMetrics {
    /// Handles for products of these names.
    pub fn new<'a>(registry: &Registry, products: impl Iterator<Item = &'a str>, workers: u32) -> ProxyMetrics {
        let connections_of = |worker: u32| registry.gauge(names::WORKER_CONNECTIONS, &[&worker.to_string()]);
        let lag = |worker: u32| registry.histogram(names::LAG_SECONDS, &[&worker.to_string()]);
        let closed = |reason| registry.counter(names::CONNECTIONS_CLOSED, &[reason]);
        ProxyMetrics {
            products: products.map(|name| ProductMetrics::new(registry, name)).collect(),
            faults: Fault::NAMES.map(|name| registry.counter(names::FAULTS, &[name])),
            preflights: registry.counter(names::PREFLIGHTS, &[]),
            connections: registry.gauge(names::CONNECTIONS, &[]),
            dormant: registry.gauge(names::CONNECTIONS_DORMANT, &[]),
            accepted: registry.counter(names::CONNECTIONS_ACCEPTED, &[]),
            too_many: closed("too_many"),
            too_many_from_one: closed("too_many_from_one"),
            too_slow: closed("too_slow"),
            floods: closed("flood"),
            proxy_header: closed("proxy_header"),
            for_room: closed("for_room"),
            cannot_accept: ["descriptors", "other"].map(|reason| registry.counter(names::CANNOT_ACCEPT, &[reason])),
            lag: (0..workers).map(lag).collect(),
            connections_of: (0..workers).map(connections_of).collect(),
        }
    }

    /// A connection could not be accepted, for want of descriptors or for another reason.
    pub fn cannot_accept(&self, descriptors: bool) {
        self.cannot_accept[usize::from(!descriptors)].increment(1);
    }

    /// How many connections one worker serves.
    pub fn connections_of(&self, worker: usize) -> Gauge {
        self.connections_of[worker].clone()
    }

    /// How late a worker comes to its own timer.
    pub fn lag(&self, worker: usize) -> Histogram {
        self.lag[worker].clone()
    }

    /// A request was answered with `fault`.
    pub fn fault(&self, fault: Fault) {
        self.faults[fault.index()].increment(1);
    }
}

impl ProductMetrics {
    fn new(registry: &Registry, product: &str) -> ProductMetrics {
        let verdicts =
            |verdict| Class::ALL.map(|class| registry.counter(names::VERDICTS, &[product, class.name(), verdict]));
        let by_class = |metric| Class::ALL.map(|class| registry.counter(metric, &[product, class.name()]));
        let refusals = |metric| {
            let named = |class: Class, refusal: Refusal| [product, class.name(), refusal.name()];
            Class::ALL.map(|class| Refusal::ALL.map(|refusal| registry.counter(metric, &named(class, refusal))))
        };
        ProductMetrics {
            arrivals: by_class(names::ARRIVALS),
            proceeded: verdicts("proceed"),
            waited: verdicts("wait"),
            refused_at_once: verdicts("refuse"),
            learnt: registry.counter(names::LEARNT, &[product]),
            left: by_class(names::LEFT_QUEUE),
            refusals: refusals(names::REFUSALS),
            would_refuse: refusals(names::WOULD_REFUSE),
            unread: Wanted::ALL.map(|wanted| {
                Unread::ALL.map(|why| registry.counter(names::BODIES_UNREAD, &[product, wanted.name(), why.name()]))
            }),
            reads: Read::NAMES.map(|answer| registry.counter(names::READS, &[product, answer])),
            queue_seconds: Class::ALL.map(|class| registry.histogram(names::QUEUE_SECONDS, &[product, class.name()])),
        }
    }

    /// This was decided about a request that goes on all the same.
    pub fn decided(&self, class: Class, decided: Decided) {
        match decided {
            Decided::Proceed => self.proceeded[class.index()].increment(1),
            Decided::Wait => self.waited[class.index()].increment(1),
            Decided::Refuse(refused) => {
                self.refused_at_once[class.index()].increment(1);
                self.would_refuse(class, refused.refusal);
            }
        }
    }

    /// A read that memory may answer got this.
    pub fn read(&self, read: Read) {
        self.reads[read as usize].increment(1);
    }

    /// A request would have been turned away, had a no counted.
    pub fn would_refuse(&self, class: Class, refusal: Refusal) {
        self.would_refuse[class.index()][refusal.index()].increment(1);
    }

    /// A body did not say what was wanted of it.
    pub fn unread(&self, wanted: Wanted, why: Unread) {
        self.unread[wanted as usize][why as usize].increment(1);
    }

    /// A request was turned away; `at_once` when it had not waited.
    pub fn refused(&self, class: Class, refusal: Refusal, at_once: bool) {
        if at_once {
            self.refused_at_once[class.index()].increment(1);
        }
        self.refusals[class.index()][refusal.index()].increment(1);
    }
}

impl TlsMetrics {
    /// Handles for the listening side.
    pub fn new(registry: &Registry) -> TlsMetrics {
        let outcome = |outcome| registry.counter(names::TLS_HANDSHAKES, &[outcome]);
        let end = registry.gauge(names::CERTIFICATE_END, &[]);
        TlsMetrics { handshakes: ["full", "resumed", "failed"].map(outcome), end }
    }

    /// A handshake was made.
    pub fn made(&self, kind: Option<HandshakeKind>) {
        self.handshakes[usize::from(kind == Some(HandshakeKind::Resumed))].increment(1);
    }

    /// One was not.
    pub fn failed(&self) {
        self.handshakes[2].increment(1);
    }

    /// The first certificate runs out then.
    pub fn ends(&self, end: Option<jiff::Timestamp>) {
        self.end.set(end.map_or(f64::NAN, |end| end.as_second() as f64));
    }
}

impl AccessLogMetrics {
    /// Handles for all lines.
    pub fn new(registry: &Registry) -> AccessLogMetrics {
        let lines = |fate| registry.counter(names::ACCESS_LOG_LINES, &[fate]);
        AccessLogMetrics { written: lines("written"), no_room: lines("no_room"), failed: lines("failed") }
    }
}

impl TokenMetrics {
    /// Handles for all tokens.
    pub fn new(registry: &Registry) -> TokenMetrics {
        let verdict = |verdict| registry.counter(names::TOKENS, &[verdict]);
        TokenMetrics {
            remembered: verdict("remembered"),
            verified: verdict("verified"),
            flawed: Flaw::NAMES.map(verdict),
        }
    }

    /// One that was verified before.
    pub fn remembered(&self) {
        self.remembered.increment(1);
    }

    /// One that counts.
    pub fn verified(&self) {
        self.verified.increment(1);
    }

    /// One that does not count.
    pub fn flawed(&self, flaw: Flaw) {
        self.flawed[flaw as usize].increment(1);
    }
}

impl SessionMetrics {
    /// Handles for all sessions.
    pub fn new(registry: &Registry) -> SessionMetrics {
        let sessions = registry.gauge(names::SESSIONS, &[]);
        sessions.set(0.0);
        SessionMetrics { bound: registry.counter(names::SESSIONS_BOUND, &[]), sessions }
    }

    /// One more was bound; so many are.
    pub fn bound(&self, sessions: usize) {
        self.bound.increment(1);
        self.known(sessions);
    }

    /// There are so many.
    pub fn known(&self, sessions: usize) {
        self.sessions.set(sessions as f64);
    }
}

impl MachineMetrics {
    /// Handles for the machine of this name.
    pub fn new(registry: &Registry, machine: &str) -> MachineMetrics {
        let refusal = |refusal: Refusal| registry.counter(names::MACHINE_REFUSALS, &[machine, refusal.name()]);
        MachineMetrics {
            arrivals: registry.counter(names::MACHINE_ARRIVALS, &[machine]),
            refusals: Refusal::ALL.map(refusal),
        }
    }

    /// It asks.
    pub fn arrived(&self) {
        self.arrivals.increment(1);
    }

    /// It was turned away.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals[refusal.index()].increment(1);
    }
}

impl HintMetrics {
    /// Handles for the budget of this name.
    pub fn new(registry: &Registry, budget: &str) -> HintMetrics {
        let verdict = |verdict| registry.counter(names::HINTS, &[budget, verdict]);
        HintMetrics {
            taken: verdict("taken"),
            clamped: verdict("clamped"),
            ignored: verdict("ignored"),
            unreadable: verdict("unreadable"),
        }
    }

    /// A number was given, and this became of it.
    pub fn heard(&self, hinted: Hinted) {
        let counter = match hinted {
            Hinted::Taken => &self.taken,
            Hinted::Clamped => &self.clamped,
            Hinted::Ignored => &self.ignored,
        };
        counter.increment(1);
    }

    /// What was given is no whole number.
    pub fn unreadable(&self) {
        self.unreadable.increment(1);
    }
}

impl OnceMetrics {
    /// Handles for products of these names.
    pub fn new<'a>(registry: &Registry, products: impl Iterator<Item = &'a str>) -> OnceMetrics {
        let verdicts = ["in_flight", "answered", "unknown", "reused"];
        let duplicates = |name| verdicts.map(|verdict| registry.counter(names::ONCE_DUPLICATES, &[name, verdict]));
        let forgotten = |what| registry.counter(names::ONCE_FORGOTTEN, &[what]);
        OnceMetrics {
            duplicates: products.map(duplicates).collect(),
            bets: registry.gauge(names::ONCE_BETS, &[]),
            bytes: registry.gauge(names::ONCE_BYTES, &[]),
            unknown: registry.gauge(names::ONCE_UNKNOWN, &[]),
            forgotten_bets: forgotten("bet"),
            forgotten_answers: forgotten("answer"),
        }
    }

    /// A request of this product has the key of an earlier one.
    pub fn duplicate(&self, product: usize, duplicate: Duplicate) {
        self.duplicates[product][duplicate as usize].increment(1);
    }

    /// So much is known now.
    pub fn holds(&self, bets: usize, bytes: usize, unknown: usize) {
        self.bets.set(bets as f64);
        self.bytes.set(bytes as f64);
        self.unknown.set(unknown as f64);
    }

    /// This made room for others.
    pub fn forgotten(&self, forgotten: Forgotten) {
        self.forgotten_bets.increment(forgotten.bets);
        self.forgotten_answers.increment(forgotten.answers);
    }
}

impl UpstreamMetrics {
    /// Handles for the pool of this name.
    pub fn new(registry: &Registry, pool: &str) -> UpstreamMetrics {
        let counter = |metric| registry.counter(metric, &[pool]);
        UpstreamMetrics {
            opened: counter(names::UPSTREAM_OPENED),
            connect_failed: counter(names::UPSTREAM_CONNECT_FAILED),
            broken: counter(names::UPSTREAM_BROKEN),
            timed_out: counter(names::UPSTREAM_TIMEOUTS),
            retries: [counter(names::UPSTREAM_RETRIES), counter(names::UPSTREAM_RETRIES_WITHHELD)],
            seconds: registry.histogram(names::UPSTREAM_SECONDS, &[pool]),
            statuses: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|status| registry.counter(names::UPSTREAM_ANSWERS, &[pool, status])),
            checks: ["passed", "failed"].map(|verdict| registry.counter(names::UPSTREAM_CHECKS, &[pool, verdict])),
            left_out: LeftOut::ALL.map(|why| registry.counter(names::UPSTREAM_EJECTIONS, &[pool, why.name()])),
            kept_in: counter(names::UPSTREAM_EJECTIONS_WITHHELD),
            seatless: registry.gauge(names::UPSTREAM_SEATLESS, &[pool]),
            kept_seats: counter(names::UPSTREAM_KEPT_SEATS),
            tls_failed: TlsFailure::ALL.map(|why| registry.counter(names::UPSTREAM_TLS_FAILURES, &[pool, why.name()])),
            lookups: LookedUp::ALL.map(|what| registry.counter(names::UPSTREAM_LOOKUPS, &[pool, what.name()])),
        }
    }

    /// It is time for a stream to give its seat back: it does, or keeps it because too many have.
    pub fn stream_gives_seat_back(&self, given: bool) {
        if given { self.seatless.increment(1.0) } else { self.kept_seats.increment(1) }
    }

    /// A handshake with a backend has failed.
    pub fn tls_failed(&self, why: TlsFailure) {
        self.tls_failed[why as usize].increment(1);
    }

    /// A stream without a seat has ended.
    pub fn stream_without_seat_ends(&self) {
        self.seatless.decrement(1.0);
    }

    /// The name of backends was looked up.
    pub fn looked_up(&self, what: LookedUp) {
        self.lookups[what as usize].increment(1);
    }

    /// A backend was checked.
    pub fn checked(&self, passed: bool) {
        self.checks[usize::from(!passed)].increment(1);
    }

    /// A backend answers badly, and is left out for it or not because too many are.
    pub fn left_out(&self, why: LeftOut, out: bool) {
        let counter = if out { &self.left_out[why as usize] } else { &self.kept_in };
        counter.increment(1);
    }

    /// Another connection is tried for a request that was never sent, or is not for want of budget.
    pub fn tried_again(&self, tried: bool) {
        self.retries[usize::from(!tried)].increment(1);
    }

    /// The head of an answer has come.
    pub fn answered(&self, status: StatusCode, after: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.statuses[class].increment(1);
        self.seconds.record(after.as_secs_f64());
    }
}
