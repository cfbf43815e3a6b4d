//! Who is asking: a machine, a customer that is known, or else a network address.
//!
//! What anybody can write down is nobody's identity. A header counts from trusted networks, a token once it is verified,
//! a cookie once a backend has bound it; whoever has none of these is known by the network they are in, however many
//! cookies and tokens they think of. Everywhere a customer is a number only: a keyed hash, whose key is drawn at the start
//! and leaves the process for the one that follows it only. No name, cookie, token or address is kept, logged or a label of a metric.

pub(crate) mod settings;
mod signatures;
pub(crate) mod tokens;
mod sessions;
mod machines;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use ipnet::IpNet;

use super::classify::{Classified, Hashes};
use super::clock::Clock;
use super::headers::{self, Peer, Seen};
use super::settings::Settings;
use super::worker::Worker;
use crate::admission::{Class, Customer, Refusal};
use crate::telemetry::export::Registry;
use crate::telemetry::record::{MachineMetrics, SessionMetrics, TokenMetrics};
use sessions::Sessions;
use settings::{CustomerSource, MachineSettings, Prefix};
use tokens::Tokens;

pub(crate) use sessions::{Kept, SessionKey};

/// What all workers know of who asks.
pub(crate) struct Identity {
    hashes: Hashes,
    clock: Clock,
    machines: Vec<MachineSettings>,
    sources: Vec<Source>,
    sessions: Option<Sessions>,
    prefix: Prefix,
    trusted: Vec<IpNet>,
    /// In the order of the machines.
    metrics: Vec<MachineMetrics>,
}

enum Source {
    Header(HeaderName),
    Token(Box<Tokens>),
    Session,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) customer: Customer,
    /// The session that the request says it is in, looked at only when nothing better was found.
    pub(crate) session: Option<SessionKey>,
}

impl Identity {
    /// By these settings; what sessions were known `before` are.
    pub(crate) fn new(
        settings: &Settings,
        hashes: Hashes,
        clock: Clock,
        before: Option<&Identity>,
        registry: &Registry,
    ) -> Identity {
        let known = before.and_then(|before| before.sessions.as_ref());
        // Their metrics are there whether anybody uses them or not, or a board would miss them.
        let (token_metrics, session_metrics) = (TokenMetrics::new(registry), SessionMetrics::new(registry));
        let source = |source: &CustomerSource| match source {
            CustomerSource::Header(name) => Some(Source::Header(name.clone())),
            CustomerSource::Token(token) => Some(Source::Token(Box::new(Tokens::new(token, token_metrics.clone())))),
            CustomerSource::Session(_) => Some(Source::Session),
            CustomerSource::Address => None,
        };
        let sessions = settings.customer.iter().find_map(|source| match source {
            CustomerSource::Session(session) => Some(session),
            _ => None,
        });
        Identity {
            hashes,
            clock,
            machines: settings.machines.clone(),
            sources: settings.customer.iter().filter_map(source).collect(),
            sessions: sessions.map(|session| Sessions::new(session, session_metrics, known)),
            prefix: settings.prefix,
            trusted: settings.listen.trusted.clone(),
            metrics: settings.machines.iter().map(|machine| MachineMetrics::new(registry, &machine.name)).collect(),
        }
    }

    /// Who asks this.
    pub(crate) fn of(&self, request: &Parts, seen: Seen, peer: &Peer) -> Asker {
        if !self.machines.is_empty() {
            let address = || self.address(request, seen, peer);
            if let Some(index) = machines::find(&self.machines, request, peer, address) {
                self.metrics[index].arrived();
                return Asker { customer: Customer::Machine(self.machines[index].number), session: None };
            }
        }
        let mut session = None;
        let known = self.sources.iter().find_map(|source| match source {
            Source::Header(name) if peer.trusted => {
                let name = request.headers.get(name).map(|value| value.as_bytes());
                name.filter(|name| !name.is_empty()).map(|name| self.hashes.account(name))
            }
            Source::Header(_) => None,
            Source::Token(tokens) => tokens.customer(&self.hashes, request, seen, || self.clock.now()),
            Source::Session if !seen.cookie => None,
            Source::Session => {
                let sessions = self.sessions.as_ref()?;
                session = sessions.of(&self.hashes, request);
                sessions.customer(session?, self.clock.now())
            }
        });
        let customer = known.unwrap_or_else(|| self.by_address(request, seen, peer));
        Asker { customer, session }
    }

    /// A machine was told no.
    pub(crate) fn refused(&self, customer: Customer, refusal: Refusal) {
        let Customer::Machine(number) = customer else { return };
        if let Some(index) = self.machines.iter().position(|machine| machine.number == number) {
            self.metrics[index].refused(refusal);
        }
    }

    /// The cookie that sessions go by, and all that are bound.
    pub(crate) fn sessions(&self) -> Option<(String, Vec<Kept>)> {
        let sessions = self.sessions.as_ref()?;
        Some((sessions.cookie().to_owned(), sessions.all(self.clock.now())))
    }

    /// Sessions that the process before this one knew by this cookie.
    pub(crate) fn take_over(&self, cookie: &str, known: &[Kept]) {
        let Some(sessions) = self.sessions.as_ref().filter(|sessions| sessions.cookie() == cookie) else { return };
        let now = self.clock.now();
        known.iter().for_each(|(key, customer, idle_s)| sessions.take_over(*key, *customer, *idle_s, now));
    }

    fn by_address(&self, request: &Parts, seen: Seen, peer: &Peer) -> Customer {
        let named = |address| self.hashes.address(address, self.prefix);
        if seen.forwarding { named(self.address(request, seen, peer)) } else { peer.customer(self.prefix, named) }
    }

    fn address(&self, request: &Parts, seen: Seen, peer: &Peer) -> IpAddr {
        if seen.forwarding { headers::client_address(peer, &request.headers, &self.trusted) } else { peer.address }
    }
}

/// Hear from the answer to `what` whose session it is in, and take off what clients must not see.
pub(crate) fn hear(worker: &Worker, what: &Classified, status: StatusCode, headers: &mut HeaderMap) {
    let identity = &worker.shared.identity;
    let Some(sessions) = &identity.sessions else { return };
    let is_customer = !matches!(what.customer, Customer::Machine(_));
    if what.class == Class::Start && is_customer {
        let now = worker.clock.now();
        if let Some(to) = sessions.learn(&identity.hashes, what.session, status, headers, now) {
            learnt(worker, what.product, what.customer, to);
        }
    }
    sessions.tidy(headers);
}

/// Who was known as `from` when they asked is known as `to` from now on: a login has told who was anonymous, or has begun
/// another session. The one place where a customer's key changes: what they hold at every product goes with them.
fn learnt(worker: &Worker, product: usize, from: Customer, to: Customer) {
    if from != to {
        worker.metrics.products[product].learnt.increment(1);
        let (here, begun) = worker.gate(product);
        for gate in &worker.shared.gates {
            let begun = Arc::ptr_eq(gate, here).then_some(begun);
            gate.with(|domain, now| domain.becomes(begun, from, to, now));
        }
    }
}

impl Hashes {
    /// The account of this name. One namespace for all that names accounts, because an app with a token and a browser with
    /// a session are two devices of one customer.
    fn account(&self, name: &[u8]) -> Customer {
        Customer::Account(self.of(("account", name)))
    }

    fn token(&self, token: &[u8]) -> u64 {
        self.of(("token", token))
    }

    fn session(&self, cookie: &[u8]) -> SessionKey {
        SessionKey(self.of(("session", cookie)))
    }

    /// The customer of a session whose account nobody names.
    fn owner_of(&self, session: SessionKey) -> Customer {
        Customer::Account(self.of(("owner", session.0)))
    }

    /// The number of an address, as far as it is looked at.
    pub(super) fn neighbourhood(&self, address: IpAddr, prefix: Prefix) -> u64 {
        let leading = |bits: u128, of: u32, kept: u8| bits >> (of - u32::from(kept).min(of));
        let bits = match address {
            IpAddr::V4(v4) => leading(u128::from(v4.to_bits()), 32, prefix.v4),
            IpAddr::V6(v6) => leading(v6.to_bits(), 128, prefix.v6),
        };
        self.of((address.is_ipv4(), bits))
    }

    fn address(&self, address: IpAddr, prefix: Prefix) -> Customer {
        Customer::Address(self.neighbourhood(address, prefix))
    }
}

/// The value of a cookie.
fn cookie<'a>(request: &'a Parts, name: &str) -> Option<&'a [u8]> {
    let lines = request.headers.get_all(COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// What stands after `Bearer `, or all of it.
fn without_bearer(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest.trim_ascii(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(lines: &[(&str, &str)]) -> Parts {
        let request =
            lines.iter().fold(http::Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a plain request").into_parts().0
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let request = parts(&[("cookie", "xsession=1; session=abc; session2=z"), ("cookie", "last=1")]);
        assert_eq!(cookie(&request, "session"), Some(&b"abc"[..]));
        assert_eq!((cookie(&request, "sess"), cookie(&request, "last")), (None, Some(&b"1"[..])));
    }

    #[test]
    fn a_token_stands_after_its_scheme_or_alone() {
        for value in ["Bearer a.b.c", "bearer  a.b.c ", "a.b.c"] {
            assert_eq!(without_bearer(value.as_bytes()), b"a.b.c", "{value}");
        }
        assert_eq!(without_bearer(b"Bearer "), b"");
        assert_eq!(without_bearer(b"Basic YTpi"), b"Basic YTpi");
    }

    #[test]
    fn addresses_of_one_prefix_are_one_customer() {
        let hashes = Hashes::default();
        let same = |a: &str, b: &str, v4, v6| {
            let of = |text: &str| hashes.address(text.parse().expect("an address"), Prefix { v4, v6 });
            of(a) == of(b)
        };
        assert!(same("203.0.113.1", "203.0.113.254", 24, 64) && !same("203.0.113.1", "203.0.114.1", 24, 64));
        assert!(same("127.0.0.1", "1.0.0.1", 1, 1) && !same("203.0.113.1", "203.0.113.2", 32, 64));
        assert!(same("2001:db8::1", "2001:db8::ffff:1", 32, 64) && !same("2001:db8::1", "2001:db8:0:1::1", 32, 64));
        assert!(same("2001:db8::1", "2001:db8:0:ff::1", 32, 56) && !same("2001:db8::1", "2001:db8::2", 32, 128));
        // However little is looked at, the two kinds stay apart.
        assert!(!same("0.0.0.0", "::", 1, 1));
    }

    #[test]
    fn a_proxy_draws_its_own_key_and_names_of_different_kinds_share_no_number() {
        let (one, other) = (Hashes::default(), Hashes::default());
        assert_ne!(one.account(b"anna"), other.account(b"anna"));
        assert_ne!(one.token(b"anna"), one.session(b"anna").0);
        assert_ne!(one.account(b"anna"), one.owner_of(one.session(b"anna")));
    }
}
