//! Backends, and which products share them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;

use crate::admission::settings::LimitSettings;
use crate::proxy::names::{self, called};
use crate::proxy::settings::{BackendSettings, BackendTimeouts, ListenSettings, PoolSettings, Protocol};
use crate::proxy::standing::MOST_BACKENDS;

use super::check::{Check, Span};
use super::error::shown;
use super::file::{self, List, Opt, Product, TextOr};
use super::products::{Draft, FIRST_BYTE_TIMEOUT, who};
use super::settings::AdminSettings;
use super::sites::Site;
use super::{backend_tls, limits, standing, streams};

/// A backend and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) settings: BackendSettings,
    /// Its URL asks for TLS.
    pub(super) secure: bool,
    pub(super) at: Span,
}

/// Backends with the products that share them.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: PoolSettings,
    pub(super) limit: LimitSettings,
    pub(super) members: Vec<usize>,
    /// The same, with which of its places each is served at here.
    pub(super) places: Places,
}

/// Products, each with a place of its own.
type Places = Vec<(usize, usize)>;

impl Pool {
    /// Whether this is where a product is served at that place of it.
    pub(super) fn is_of(&self, product: usize, place: usize) -> bool {
        self.places.contains(&(product, place))
    }
}

/// The backends of one product, or of one of its sites, as `key` says.
pub(super) fn check(
    check: &mut Check<'_>,
    who: &str,
    at: &Span,
    key: &str,
    written: &List<TextOr<file::Backend>>,
) -> Vec<Backend> {
    if written.is_none() {
        check.missing(at.clone(), who, key);
    }
    let mut backends: Vec<Backend> = Vec::new();
    for one in check.list(key, written).iter().take(MOST_BACKENDS) {
        let Some((found, at)) = weighted(check, one) else { continue };
        if let Some(twice) = found.iter().find(|one| backends.iter().any(|other| other.settings.address == one.address))
        {
            check.wrong(at.clone(), format!("{} is in this list twice", twice.name), "take one of them out");
        }
        let secure = is_secure(one);
        backends.extend(found.into_iter().map(|settings| Backend { settings, secure, at: at.clone() }));
    }
    if let Some(one) = backends.iter().min_by_key(|one| one.settings.priority).filter(|one| one.settings.priority > 0) {
        let what = format!("no backend of {who} has priority 0");
        check.wrong(one.at.clone(), what, "leave out `priority` for those that serve first");
    }
    if let Some(first) = check.list(key, written).get(MOST_BACKENDS) {
        check.wrong(first.span(), "this is one backend too many", format!("a pool takes at most {MOST_BACKENDS}"));
    }
    backends
}

fn is_secure(written: &Spanned<TextOr<file::Backend>>) -> bool {
    let url = match written.get_ref() {
        TextOr::Text(text) => Some(text),
        TextOr::Table(table) => table.url.as_ref().map(Spanned::get_ref),
    };
    url.is_some_and(|url| url.starts_with(HTTPS))
}

/// A backend, with its weight if one is written, and where its address stands.
fn weighted(check: &mut Check<'_>, written: &Spanned<TextOr<file::Backend>>) -> Option<(Vec<BackendSettings>, Span)> {
    match written.get_ref() {
        TextOr::Text(text) => {
            let text = Spanned::new(written.span(), text.clone());
            Some((backend(check, &text, (1, 0))?, text.span()))
        }
        TextOr::Table(table) => {
            let weight = check.given_count("weight", &table.weight, MOST_WEIGHT).map_or(1, NonZeroU32::get);
            let Some(url) = &table.url else {
                check.missing(written.span(), "this backend", "product.backends.url");
                return None;
            };
            let priority = standing::priority(check, &table.priority);
            Some((backend(check, url, (weight, priority))?, url.span()))
        }
    }
}

/// The backends at what is written: one, or as many as a name has addresses.
fn backend(
    check: &mut Check<'_>,
    written: &Spanned<String>,
    (weight, priority): (u32, u32),
) -> Option<Vec<BackendSettings>> {
    let (host, port) = match split_url(written.get_ref()) {
        Ok(parts) => parts,
        Err((what, help)) => {
            check.wrong(written.span(), format!("{} {what}", shown(written.get_ref())), help);
            return None;
        }
    };
    let (addresses, named) = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => (vec![ip], None),
        Err(_) => (resolve(check, written, host)?, Some(host.to_owned())),
    };
    if let Some(nowhere) = addresses.iter().find(|ip| ip.is_unspecified()) {
        let what = format!("nobody can be reached at {nowhere}");
        check.wrong(written.span(), what, format!("on this machine, write \"http://127.0.0.1:{port}\""));
    }
    let mut backends: Vec<BackendSettings> = Vec::new();
    for ip in addresses.into_iter().take(MOST_BACKENDS) {
        let address = SocketAddr::new(ip, port);
        let name = called(host, address, |name| backends.iter().any(|backend| backend.name == name));
        backends.push(BackendSettings { name, address, weight, priority, host: named.clone() });
    }
    Some(backends)
}

fn resolve(check: &mut Check<'_>, written: &Spanned<String>, host: &str) -> Option<Vec<IpAddr>> {
    if let Some(found) = check.found.get(host) {
        return Some(found.clone());
    }
    match check.around.resolver().look_up(host) {
        Ok(addresses) => {
            check.found.insert(host.to_owned(), addresses.clone());
            Some(addresses)
        }
        Err(error) => {
            let what = format!("the host `{host}` cannot be found: {error}");
            check.wrong(written.span(), what, format!("try `getent hosts {host}`, or write its IP address"));
            None
        }
    }
}

/// Host and port of `http://host:port` or `https://host:port`, or what is wrong with it.
pub(crate) fn split_url(url: &str) -> Result<(&str, u16), (&'static str, String)> {
    let (scheme, usual) = if url.starts_with(HTTPS) { (HTTPS, 443) } else { ("http://", 80) };
    let Some(rest) = url.strip_prefix(scheme) else {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = if rest.is_empty() { "127.0.0.1:9101" } else { rest };
        return Err(("is not a URL of a backend", format!("write \"http://{rest}\"")));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
        return Err(("has a path", format!("write \"{scheme}{authority}\"; backends get paths as clients send them")));
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port != 0)),
        _ => (rest, Some(usual)),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = !host.is_empty() && host.chars().all(plain);
    match port {
        Some(port) if named || literal.is_some_and(|ip| ip.parse::<IpAddr>().is_ok()) => Ok((host, port)),
        None if named => Err(("has no port from 1 to 65535", format!("write \"{scheme}{host}:{usual}\""))),
        _ => Err(("has no host that could be reached", format!("write \"{scheme}127.0.0.1:9101\""))),
    }
}

/// One pool for all products with the same backends.
pub(super) fn pools(check: &mut Check<'_>, drafts: &[Draft<'_>]) -> Vec<Pool> {
    let mut groups: Vec<(BTreeSet<SocketAddr>, Places)> = Vec::new();
    let places = drafts.iter().enumerate().flat_map(|(index, draft)| (0..draft.sites.len()).map(move |at| (index, at)));
    for (index, place) in places {
        let (draft, site) = (&drafts[index], &drafts[index].sites[place]);
        let set: BTreeSet<SocketAddr> = site.backends.iter().map(|backend| backend.settings.address).collect();
        let twice = |members: &[(usize, usize)]| members.iter().any(|(other, _)| *other == index);
        match groups.iter_mut().find(|(other, _)| *other == set && !set.is_empty()) {
            Some((_, members)) if twice(members) => {
                let what = format!("two sites of {} have the same backends", who(&draft.name));
                check.wrong(site.at.clone(), what, SITES_APART);
            }
            Some((_, members)) => members.push((index, place)),
            None => {
                for (other, members) in &groups {
                    overlap(check, (draft, site), &drafts[members[0].0], other);
                }
                groups.push((set, vec![(index, place)]));
            }
        }
    }
    groups.into_iter().map(|(_, members)| pool(check, drafts, members)).collect()
}

/// Half a pool in common could be found neither one limit nor two.
fn overlap(
    check: &mut Check<'_>,
    (draft, site): (&Draft<'_>, &Site<'_>),
    first: &Draft<'_>,
    other: &BTreeSet<SocketAddr>,
) {
    let Some(shared) = site.backends.iter().find(|backend| other.contains(&backend.settings.address)) else { return };
    let (first, second) = (who(&first.name), who(&draft.name));
    let what = match first == second {
        true => format!("two sites of {first} share {}", shared.settings.name),
        false => format!("{second} and {first} share {}, but not all their backends", shared.settings.name),
    };
    let help = match first == second {
        true => SITES_APART,
        false => "give both the same list, and they share one limit; or nothing in common",
    };
    check.wrong(shared.at.clone(), what, help);
}

fn pool(check: &mut Check<'_>, drafts: &[Draft<'_>], places: Vec<(usize, usize)>) -> Pool {
    let members: Vec<usize> = places.iter().map(|(member, _)| *member).collect();
    let products: Vec<&Draft<'_>> = members.iter().map(|member| &drafts[*member]).collect();
    let sites: Vec<(&Draft<'_>, &Site<'_>)> =
        places.iter().map(|(member, place)| (&drafts[*member], &drafts[*member].sites[*place])).collect();
    let mut timeout = |key, field: fn(&Product) -> &Opt<String>, default| {
        let written = |check: &mut Check<'_>, product: &Product| check.given_duration(key, field(product));
        let place = |product: &Product| field(product).as_ref().map(Spanned::span);
        agreed(check, key, &products, place, written).unwrap_or(default)
    };
    let timeouts = BackendTimeouts {
        connect: timeout("connect_timeout", |product| &product.connect_timeout, Duration::from_secs(1)),
        first_byte: timeout("first_byte_timeout", |product| &product.first_byte_timeout, FIRST_BYTE_TIMEOUT),
        idle: timeout("idle_timeout", |product| &product.idle_timeout, Duration::from_secs(10)),
        total: timeout("total_timeout", |product| &product.total_timeout, Duration::from_secs(60)),
        keep: timeout("keep", |product| &product.keep, Duration::from_secs(4)),
    };
    objectives_can_be_missed(check, &products, timeouts.total);
    heads_can_be_late(check, &products, &timeouts);
    let limit = agreed_limit(check, &sites);
    let idle_at = |product: &Product| product.idle_connections.as_ref().map(Spanned::span);
    let idle = agreed(check, "idle_connections", &products, idle_at, |check, product| {
        check.given_count("idle_connections", &product.idle_connections, 10_000)
    });
    let retry_at = |product: &Product| product.retry_budget.as_ref().map(Spanned::span);
    let retry_budget = agreed(check, "retry_budget", &products, retry_at, retry_budget);
    let policy_at = |product: &Product| product.balance.as_ref().map(Spanned::span);
    let policy = agreed(check, "balance", &products, policy_at, standing::policy);
    let slow_start_at = |product: &Product| product.slow_start.as_ref().map(Spanned::span);
    let slow_start = agreed(check, "slow_start", &products, slow_start_at, |check, product| {
        check.given_duration("slow_start", &product.slow_start)
    });
    let failover_at = |product: &Product| product.failover.as_ref().map(Spanned::span);
    let failover = agreed(check, "failover", &products, failover_at, standing::failover);
    let resolve_at = |product: &Product| product.resolve.as_ref().map(Spanned::span);
    let resolve = agreed(check, "resolve", &products, resolve_at, |check, product| {
        check.given_duration("resolve", &product.resolve)
    });
    let health_at = |product: &Product| product.health.as_ref().map(Spanned::span);
    let health = agreed(check, "health", &products, health_at, standing::health);
    let outliers_at = |product: &Product| product.outliers.as_ref().map(Spanned::span);
    let outliers = agreed(check, "outliers", &products, outliers_at, standing::outliers);
    let streams_at = |product: &Product| product.streams.as_ref().map(Spanned::span);
    let streams = agreed(check, "streams", &products, streams_at, streams::streams);
    let tls_at = |product: &Product| product.tls.as_ref().map(Spanned::span);
    let tls = agreed(check, "tls", &products, tls_at, backend_tls::written);
    let tls = backend_tls::of_pool(check, &sites, tls);
    let protocol_at = |product: &Product| product.protocol.as_ref().map(Spanned::span);
    let protocol = agreed(check, "protocol", &products, protocol_at, protocol);
    if let (Some(Protocol::Auto), None) = (protocol, &tls) {
        let at = products.iter().find_map(|product| protocol_at(product.written));
        nothing_to_agree_on(check, at);
    }
    if health.as_ref().is_some_and(|health| health.grpc.is_some()) && protocol.unwrap_or_default() == Protocol::Http1 {
        let at = products.iter().find_map(|product| product.written.health.as_ref()?.get_ref().grpc.as_ref());
        let what = "grpc: these backends are spoken to in HTTP/1.1, which carries no gRPC";
        check.wrong(at.map(Spanned::span).unwrap_or_default(), what, "write protocol = \"http2\" in the product");
    }
    same_weights(check, &sites);
    let (first, site) = sites[0];
    let settings = PoolSettings {
        name: site.pool_name(&first.name),
        backends: site.backends.iter().map(|backend| backend.settings.clone()).collect(),
        timeouts,
        idle_connections: idle.map_or(IDLE_CONNECTIONS, |idle| idle.get() as usize),
        retry_budget: retry_budget.unwrap_or(RETRY_BUDGET),
        domain: 0,
        resource: 0,
        hints: Vec::new(),
        policy: policy.unwrap_or_default(),
        health,
        outliers,
        slow_start,
        failover: failover.unwrap_or(standing::FAILOVER),
        resolve: resolve.unwrap_or(names::USUAL),
        resolver: check.around.resolver(),
        streams: streams.unwrap_or_else(streams::usual),
        tls,
        protocol: protocol.unwrap_or_default(),
    };
    Pool { settings, limit: limits::settings(limit), members, places }
}

/// As [`agreed`], of what is written for each place.
fn agreed_limit(check: &mut Check<'_>, sites: &[(&Draft<'_>, &Site<'_>)]) -> Option<limits::Seats> {
    let mut first: Option<(limits::Seats, Span, &str)> = None;
    for (draft, site) in sites {
        let (Some(limit), Some(at)) = (limits::check(check, site.limit), site.limit.as_ref().map(Spanned::span)) else {
            continue;
        };
        match &first {
            None => first = Some((limit, at, &draft.name)),
            Some((other, ..)) if *other == limit => {}
            Some((_, other, name)) => differs(check, "limit", at, other, name),
        }
    }
    first.map(|(limit, ..)| limit)
}

fn differs(check: &mut Check<'_>, key: &str, at: Span, first: &Span, name: &str) {
    let line = check.line(first);
    let what = format!("`{key}` differs from that of {}, which has the same backends (line {line})", who(name));
    check.wrong(at, what, "they share one pool: write it in one of them, or the same in both");
}

/// A backend of a pool has one weight and one priority, whichever product sends something there.
fn same_weights(check: &mut Check<'_>, sites: &[(&Draft<'_>, &Site<'_>)]) {
    let [(first, of_first), others @ ..] = sites else { return };
    let others = others.iter().flat_map(|(other, site)| site.backends.iter().map(move |backend| (other, backend)));
    for (other, backend) in others {
        let same = |known: &&Backend| known.settings.address == backend.settings.address;
        let Some(known) = of_first.backends.iter().find(same) else { continue };
        let (one, two) = (&known.settings, &backend.settings);
        let differing = [("weight", one.weight != two.weight), ("priority", one.priority != two.priority)];
        for (which, _) in differing.into_iter().filter(|(_, differs)| *differs) {
            let (name, line) = (&backend.settings.name, check.line(&known.at));
            let what = format!("the {which} of {name} differs from that in {} (line {line})", who(&first.name));
            check.wrong(
                backend.at.clone(),
                what,
                format!("{} shares that pool: write the same in both", who(&other.name)),
            );
        }
    }
}

fn protocol(check: &mut Check<'_>, product: &Product) -> Option<Protocol> {
    let word = product.protocol.as_ref()?;
    check.one_of("protocol", word, &Protocol::NAMES).map(|index| Protocol::ALL[index])
}

fn nothing_to_agree_on(check: &mut Check<'_>, at: Option<Span>) {
    let what = "protocol: in the clear there is nothing by which a backend could choose";
    let help = "write \"http2\" if all of them speak HTTP/2 at once, else \"http1\"; or their URLs with https://";
    check.wrong(at.unwrap_or_default(), what.to_owned(), help);
}

fn retry_budget(check: &mut Check<'_>, product: &Product) -> Option<u32> {
    let written = product.retry_budget.as_ref()?;
    let per_cent = u32::try_from(*written.get_ref()).ok().filter(|per_cent| *per_cent <= 100);
    if per_cent.is_none() {
        let what = format!("retry_budget: {} is out of range", written.get_ref());
        check.wrong(
            written.span(),
            what,
            "write a number from 0 to 100, in per cent of the requests; 0 tries nothing again",
        );
    }
    per_cent
}

/// What products say about the pool they share; any of them may say it, but not differently.
fn agreed<T: PartialEq>(
    check: &mut Check<'_>,
    key: &str,
    products: &[&Draft<'_>],
    place: impl Fn(&Product) -> Option<Span>,
    value: impl Fn(&mut Check<'_>, &Product) -> Option<T>,
) -> Option<T> {
    let mut first: Option<(T, Span, &str)> = None;
    for draft in products {
        let (Some(value), Some(at)) = (value(check, draft.written), place(draft.written)) else { continue };
        match &first {
            None => first = Some((value, at, &draft.name)),
            Some((other, _, _)) if *other == value => {}
            Some((_, other, name)) => differs(check, key, at, other, name),
        }
    }
    first.map(|(value, _, _)| value)
}

/// A request that is cut off before it can be slow never tells the limit that it went too far.
fn objectives_can_be_missed(check: &mut Check<'_>, products: &[&Draft<'_>], total: Duration) {
    for draft in products.iter().filter(|draft| draft.latency_objective >= total) {
        let written = draft.written.latency_objective.as_ref().or(draft.written.total_timeout.as_ref());
        let at = written.map_or(draft.at.clone(), Spanned::span);
        let what = format!(
            "{} gives up after {total:?}, before its latency objective of {:?} could be missed",
            who(&draft.name),
            draft.latency_objective
        );
        check.wrong(at, what, "write a `latency_objective` well below `total_timeout`");
    }
}

/// The whole has an end before its head is late: then `first_byte_timeout` says nothing.
fn heads_can_be_late(check: &mut Check<'_>, products: &[&Draft<'_>], timeouts: &BackendTimeouts) {
    let (first_byte, total) = (timeouts.first_byte, timeouts.total);
    let written = products.iter().find_map(|draft| draft.written.first_byte_timeout.as_ref().map(Spanned::span));
    if let Some(at) = written.filter(|_| first_byte > total) {
        let what = format!("the head of an answer may take {first_byte:?}, and all of it `total_timeout`, {total:?}");
        check.wrong(at, what, "write a `first_byte_timeout` within `total_timeout`, or a longer `total_timeout`");
    }
}

/// A backend that is Sluss itself would send each request round until all connections are used up.
pub(super) fn no_loops(check: &mut Check<'_>, drafts: &[Draft<'_>], listen: &ListenSettings, admin: &AdminSettings) {
    for backend in drafts.iter().flat_map(|draft| &draft.sites).flat_map(|site| &site.backends) {
        for (own, whom) in [(listen.address, "clients"), (admin.address, "operators")] {
            let address = backend.settings.address;
            if is_own(own, address) {
                let what = format!("{} is Sluss itself, where it listens for {whom}", backend.settings.name);
                check.wrong(backend.at.clone(), what, "write the address of the backend behind it");
            }
        }
    }
}

/// Whether whoever connects to `address` reaches who listens at `own`, as far as can be seen from here.
pub(crate) fn is_own(own: SocketAddr, address: SocketAddr) -> bool {
    let same_host = own.ip() == address.ip() || (own.ip().is_unspecified() && address.ip().is_loopback());
    own.port() == address.port() && same_host
}

const HTTPS: &str = "https://";
const SITES_APART: &str = "a site is a place of its own: give it others, or take it out";
/// No fewer than are used at once, or each that ends is closed and the next opened: with 64 of them and 256 in use a request
/// cost 8.5 calls of the system and not 4.2. There are never more than a limit has let through, and they go when nobody uses
/// them.
const IDLE_CONNECTIONS: usize = 1024;
/// In per cent.
const RETRY_BUDGET: u32 = 10;
/// A share beside others; more than a hundred to one is a drain.
pub(crate) const MOST_WEIGHT: u32 = 100;
/// More levels than anybody can tell apart at night.
pub(crate) const MOST_PRIORITY: u32 = 9;
