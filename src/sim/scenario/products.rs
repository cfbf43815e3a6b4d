//! Products with their pools and budgets: how Sluss's own admission is set.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;

use super::plant::{MOST_KNEE, Plant};
use super::{file, values};
use crate::admission::reads::Terms;
use crate::admission::settings::{
    LimitSettings, Needs, PassSettings, ProductSettings, QueueSettings, ResourceSettings, Settings as Admission,
    SiteSettings,
};
use crate::admission::{Class, ProductId};
use crate::config;
use crate::config::budgets::{self, Budget, Sharer};
use crate::config::check::{Check, Span};
use crate::config::file::Opt;
use crate::config::limits::{self, Seats};
use crate::config::passes;
use crate::config::products::{self, FIRST_BYTE_TIMEOUT, Guarantee, LATENCY_OBJECTIVE, MOST_PRODUCTS, who};
use crate::config::{cache, customer, names};
use crate::sim::scenario::{Product, Site};

/// A product that is checked by itself, but not yet in a pool.
struct Draft {
    name: String,
    at: Span,
    /// The only place where it is served, or several.
    places: Vec<Place>,
    guarantee: Guarantee,
    guarantee_at: Span,
    latency_objective: Duration,
    first_byte_timeout: Duration,
    reserve: NonZeroU32,
    reserve_per_customer: NonZeroU32,
    cache: Option<Terms>,
    queue: QueueSettings,
    passes: Option<PassSettings>,
}

/// Where a product is served.
struct Place {
    station: usize,
    /// In per cent, where there are several.
    share: u32,
    limit: Option<(Seats, Span)>,
    carried_knee: Option<(f64, Span)>,
}

/// The backends of one station, with the products that share them.
struct Pool {
    station: usize,
    members: Vec<usize>,
    limit: LimitSettings,
}

/// Products, and the admission in front of them.
pub(super) struct Checked {
    pub(super) products: Vec<Product>,
    pub(super) admission: Admission,
    /// See [`Scenario::carried`](crate::sim::scenario::Scenario::carried).
    pub(super) carried: Vec<(usize, f64)>,
}

pub(super) fn check(check: &mut Check<'_>, file: &file::File, plant: &mut Plant<'_>) -> Checked {
    if let Some(first) = file.product.get(MOST_PRODUCTS) {
        let what = format!("there are {} products", file.product.len());
        check.wrong(first.span(), what, format!("a scenario takes at most {MOST_PRODUCTS}"));
    }
    values::unique(check, "product", file.product.iter().map(|product| &product.get_ref().name));
    let written = file.product.iter().take(MOST_PRODUCTS);
    let drafts: Vec<Draft> = written.map(|written| draft(check, written, plant)).collect();
    let pools = pools(check, &drafts);
    let sharers: Vec<Sharer<'_>> = drafts.iter().map(Draft::sharer).collect();
    let budgets = budgets::check(check, &file.budget, &sharers);
    let members: Vec<&[usize]> = pools.iter().map(|pool| pool.members.as_slice()).collect();
    let shares = budgets::guarantees(check, &sharers, &members, &budgets);
    let at_once = customer::at_once(check, &file.customer.at_once, &file.customer.at_once_per_address);
    let broken = !check.problems.is_empty();
    let admitted = |index: usize| match broken {
        // What `Needs` has no room for has been told, so this is thrown away.
        true => admitted(&drafts[index], &[], shares[index], index, &pools),
        false => admitted(&drafts[index], &budgets, shares[index], index, &pools),
    };
    let admission = Admission {
        products: (0..drafts.len()).map(admitted).collect(),
        resources: resources(&pools, &budgets),
        at_once_per_customer: at_once.customer,
        at_once_per_address: at_once.address,
        machines: Vec::new(),
    };
    let product = |draft: &Draft| {
        let sites = draft.sites(&pools);
        let (station, pool) = (draft.places[0].station, pool_of(&pools, draft.places[0].station));
        let (name, first_byte_timeout, cache) = (draft.name.clone(), draft.first_byte_timeout, draft.cache);
        Product { name, station, first_byte_timeout, cache, pool, sites }
    };
    Checked { products: drafts.iter().map(product).collect(), admission, carried: carried(check, &drafts, &pools) }
}

/// The knee that each pool begins with, where one was carried to it.
fn carried(check: &mut Check<'_>, drafts: &[Draft], pools: &[Pool]) -> Vec<(usize, f64)> {
    let mut carried = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        let places = pool.members.iter().flat_map(|member| drafts[*member].at(pool.station));
        let mut given = places.filter_map(|place| place.carried_knee.clone());
        let Some((knee, _)) = given.next() else { continue };
        if let Some((_, second)) = given.find(|(other, _)| *other != knee) {
            let what = format!("these products share a station, and another one says that {knee} was found for it");
            check.wrong(second, what, "keep one of the two: it is the knee of the station's pool");
        }
        carried.push((index, knee));
    }
    carried
}

/// Which station tells of which budget: see [`Scenario::hints`](crate::sim::scenario::Scenario::hints).
pub(super) fn hints(check: &mut Check<'_>, file: &file::File, admission: &Admission) -> Vec<(usize, usize)> {
    let names = file.budget.iter().map(|budget| budget.get_ref().name.as_ref());
    let names: Vec<&str> = names.map(|name| name.map_or("", |name| name.get_ref().as_str())).collect();
    let mut hints = Vec::new();
    for (station, written) in file.station.iter().enumerate() {
        let Some(written) = &written.get_ref().hint else { continue };
        let Some(budget) = values::index(check, "budget", written, &names) else { continue };
        // Behind the pools, unless something is wrong with them, which has been told.
        let Some(resource) = admission.resources.iter().enumerate().filter(|(_, one)| one.budget).nth(budget) else {
            continue;
        };
        if let LimitSettings::Fixed(seats) = resource.1.limit {
            let what = format!("`limit` is {seats} whatever the station says, so this hint would never count");
            check.wrong(written.span(), what, "take out `hint`, or the budget's `limit`");
        }
        hints.push((station, resource.0));
    }
    hints
}

impl Draft {
    /// What it says of this station.
    fn at(&self, station: usize) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| place.station == station)
    }

    /// Its places, where there is a choice.
    fn sites(&self, pools: &[Pool]) -> Vec<Site> {
        let site =
            |place: &Place| Site { station: place.station, pool: pool_of(pools, place.station), share: place.share };
        let several = self.places.len() > 1;
        self.places.iter().filter(|_| several).map(site).collect()
    }

    fn sharer(&self) -> Sharer<'_> {
        let (at, guarantee_at) = (self.at.clone(), self.guarantee_at.clone());
        Sharer { name: &self.name, at, guarantee: self.guarantee, guarantee_at }
    }
}

fn draft(check: &mut Check<'_>, spanned: &Spanned<file::Product>, plant: &mut Plant<'_>) -> Draft {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = names::check(check, "product", &at, &written.name);
    let (reserve, reserve_per_customer) = products::reserve(check, &written.reserve, &written.reserve_per_customer);
    Draft {
        places: places(check, &name, spanned, plant),
        guarantee: products::guarantee(check, &written.guarantee),
        guarantee_at: written.guarantee.as_ref().map_or(0..0, Spanned::span),
        latency_objective: check.duration("latency_objective", &written.latency_objective, LATENCY_OBJECTIVE),
        first_byte_timeout: check.duration("first_byte_timeout", &written.first_byte_timeout, FIRST_BYTE_TIMEOUT),
        reserve,
        reserve_per_customer,
        cache: written.cache.as_ref().and_then(|written| cache::terms(check, written)),
        queue: products::queue(check, &written.queue),
        passes: passes::check(check, &written.passes),
        name,
        at,
    }
}

/// Where a product is served: at a station, or at several sites.
fn places(check: &mut Check<'_>, name: &str, spanned: &Spanned<file::Product>, plant: &mut Plant<'_>) -> Vec<Place> {
    let (written, at) = (spanned.get_ref(), spanned.span());
    if written.site.is_empty() {
        let (limit, knee) = (&written.limit, &written.carried_knee);
        return vec![place(check, (who(name), "product.station", at), &written.station, (limit, knee), plant)];
    }
    let said = written.station.as_ref().map(Spanned::span);
    let said = said.or(written.limit.as_ref().map(Spanned::span));
    if let Some(twice) = said.or(written.carried_knee.as_ref().map(Spanned::span)) {
        let what = format!("{} has sites, each with a station and a limit of its own", who(name));
        check.wrong(twice, what, "write it in [[product.site]]");
    }
    let mut places: Vec<Place> = Vec::new();
    for site in &written.site {
        let (one, at) = (site.get_ref(), site.span());
        let told = ("this site".to_owned(), "product.site.station", at.clone());
        let mut place = place(check, told, &one.station, (&one.limit, &one.carried_knee), plant);
        place.share = values::per_cent(check, "share", &one.share);
        if place.station != NOWHERE && places.iter().any(|other| other.station == place.station) {
            check.wrong(at, "this product has a site at that station already", "a site is a station of its own");
        }
        places.push(place);
    }
    let sum: u32 = places.iter().map(|place| place.share).sum();
    if places.len() < 2 || sum != 100 {
        let what = format!("{} has {} with shares of {sum} per cent", who(name), sites_in_words(places.len()));
        check.wrong(at, what, "write two or more, whose shares add up to 100; one may have 0");
    }
    places
}

fn sites_in_words(sites: usize) -> String {
    if sites == 1 { "one site".into() } else { format!("{sites} sites") }
}

fn place(
    check: &mut Check<'_>,
    (who, key, at): (String, &str, Span),
    station: &Opt<String>,
    (limit, knee): (&Opt<config::file::Limit>, &Opt<f64>),
    plant: &mut Plant<'_>,
) -> Place {
    if station.is_none() {
        check.missing(at, &who, key);
    }
    let found = limits::check(check, limit);
    let carried = values::real(check, "carried_knee", knee, 1.0..=MOST_KNEE);
    Place {
        station: station.as_ref().and_then(|station| plant.station(check, station)).unwrap_or(NOWHERE),
        share: 100,
        limit: found.zip(limit.as_ref().map(Spanned::span)),
        carried_knee: carried.zip(knee.as_ref().map(Spanned::span)),
    }
}

/// One pool for each station that is some product's, in the order in which products name them.
fn pools(check: &mut Check<'_>, drafts: &[Draft]) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        for Place { station, .. } in &draft.places {
            match pools.iter_mut().find(|pool| pool.station == *station) {
                Some(pool) => pool.members.push(index),
                None => pools.push(Pool { station: *station, members: vec![index], limit: limits::settings(None) }),
            }
        }
    }
    for pool in &mut pools {
        let places = pool.members.iter().flat_map(|member| drafts[*member].at(pool.station));
        let given: Vec<_> = places.filter_map(|place| place.limit.clone()).collect();
        if let Some((_, second)) = given.iter().find(|(seats, _)| *seats != given[0].0) {
            let line = check.line(&given[0].1);
            let what = format!("these products share a station, whose limit is another one on line {line}");
            check.wrong(second.clone(), what, "keep one of the two: it is the limit of the station's pool");
        }
        pool.limit = limits::settings(given.first().map(|(seats, _)| *seats));
    }
    pools
}

fn resources(pools: &[Pool], budgets: &[Budget]) -> Vec<ResourceSettings> {
    let pools = pools.iter().map(|pool| ResourceSettings { budget: false, limit: pool.limit.clone() });
    let budgets = budgets.iter().map(|budget| ResourceSettings { budget: true, limit: budget.limit.clone() });
    pools.chain(budgets).collect()
}

fn pool_of(pools: &[Pool], station: usize) -> usize {
    let place = pools.iter().position(|pool| pool.station == station);
    place.expect("every place of a product was put into a pool by `pools`")
}

fn admitted(draft: &Draft, budgets: &[Budget], share: u32, index: usize, pools: &[Pool]) -> ProductSettings {
    let needs = |class: Class| {
        let draws = |budget: &Budget| budget.classes.contains(&class) && budget.products.contains(&index);
        let drawn = budgets.iter().enumerate().filter(|(_, budget)| draws(budget));
        let drawn = drawn.map(|(place, _)| pools.len() + place);
        let only = draft.places.first().filter(|_| draft.places.len() == 1);
        let only = only.map(|place| pool_of(pools, place.station));
        let all: Vec<usize> = only.into_iter().chain(drawn).collect();
        Needs::new(&all).expect("`budgets::check` counted the budgets, and there are few enough of everything")
    };
    ProductSettings {
        needs: Class::ALL.map(needs),
        sites: draft.sites(pools).iter().map(|site| SiteSettings { resource: site.pool, share: site.share }).collect(),
        guarantee: share,
        latency_objective: draft.latency_objective,
        queue: draft.queue.clone(),
        reserve: draft.reserve,
        reserve_per_customer: draft.reserve_per_customer,
        passes: draft.passes.clone(),
    }
}

/// The index of the product that is named.
pub(super) fn named(check: &mut Check<'_>, written: &Spanned<String>, products: &[Product]) -> Option<ProductId> {
    let names: Vec<&str> = products.iter().map(|product| product.name.as_str()).collect();
    values::index(check, "product", written, &names).map(|index| ProductId(index as u16))
}

/// Stands for a station that was named wrongly; the problem has been told.
const NOWHERE: usize = usize::MAX;
