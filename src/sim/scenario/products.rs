//! Products with their pools and budgets: how Sluss's own admission is set.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;

use super::plant::{MOST_KNEE, Plant};
use super::{file, values};
use crate::admission::reads::Terms;
use crate::admission::settings::{
    LimitSettings, Needs, PassSettings, ProductSettings, QueueSettings, ResourceSettings, Settings as Admission,
};
use crate::admission::{Class, ProductId};
use crate::config::budgets::{self, Budget, Sharer};
use crate::config::check::{Check, Span};
use crate::config::limits::{self, Seats};
use crate::config::passes;
use crate::config::products::{self, FIRST_BYTE_TIMEOUT, Guarantee, LATENCY_OBJECTIVE, MOST_PRODUCTS, who};
use crate::config::{cache, customer, names};
use crate::sim::scenario::Product;

/// A product that is checked by itself, but not yet in a pool.
struct Draft {
    name: String,
    at: Span,
    station: usize,
    guarantee: Guarantee,
    guarantee_at: Span,
    limit: Option<(Seats, Span)>,
    carried_knee: Option<(f64, Span)>,
    latency_objective: Duration,
    first_byte_timeout: Duration,
    reserve: NonZeroU32,
    reserve_per_customer: NonZeroU32,
    cache: Option<Terms>,
    queue: QueueSettings,
    passes: Option<PassSettings>,
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
    let product = |(index, draft): (usize, &Draft)| Product {
        name: draft.name.clone(),
        station: draft.station,
        first_byte_timeout: draft.first_byte_timeout,
        cache: draft.cache,
        pool: pool_of(&pools, index),
    };
    Checked {
        products: drafts.iter().enumerate().map(product).collect(),
        admission,
        carried: carried(check, &drafts, &pools),
    }
}

/// The knee that each pool begins with, where one was carried to it.
fn carried(check: &mut Check<'_>, drafts: &[Draft], pools: &[Pool]) -> Vec<(usize, f64)> {
    let mut carried = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        let mut given = pool.members.iter().filter_map(|member| drafts[*member].carried_knee.clone());
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
    fn sharer(&self) -> Sharer<'_> {
        let (at, guarantee_at) = (self.at.clone(), self.guarantee_at.clone());
        Sharer { name: &self.name, at, guarantee: self.guarantee, guarantee_at }
    }
}

fn draft(check: &mut Check<'_>, spanned: &Spanned<file::Product>, plant: &mut Plant<'_>) -> Draft {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = names::check(check, "product", &at, &written.name);
    if written.station.is_none() {
        check.missing(at.clone(), &who(&name), "product.station");
    }
    let limit = limits::check(check, &written.limit);
    let (reserve, reserve_per_customer) = products::reserve(check, &written.reserve, &written.reserve_per_customer);
    let carried_knee = values::real(check, "carried_knee", &written.carried_knee, 1.0..=MOST_KNEE);
    Draft {
        station: written.station.as_ref().and_then(|station| plant.station(check, station)).unwrap_or(NOWHERE),
        guarantee: products::guarantee(check, &written.guarantee),
        guarantee_at: written.guarantee.as_ref().map_or(0..0, Spanned::span),
        limit: limit.zip(written.limit.as_ref().map(Spanned::span)),
        carried_knee: carried_knee.zip(written.carried_knee.as_ref().map(Spanned::span)),
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

/// One pool for each station that is some product's, in the order in which products name them.
fn pools(check: &mut Check<'_>, drafts: &[Draft]) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        match pools.iter_mut().find(|pool| pool.station == draft.station) {
            Some(pool) => pool.members.push(index),
            None => pools.push(Pool { station: draft.station, members: vec![index], limit: limits::settings(None) }),
        }
    }
    for pool in &mut pools {
        let given: Vec<_> = pool.members.iter().filter_map(|member| drafts[*member].limit.clone()).collect();
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

fn pool_of(pools: &[Pool], product: usize) -> usize {
    let place = pools.iter().position(|pool| pool.members.contains(&product));
    place.expect("every product was put into a pool by `pools`")
}

fn admitted(draft: &Draft, budgets: &[Budget], share: u32, index: usize, pools: &[Pool]) -> ProductSettings {
    let needs = |class: Class| {
        let draws = |budget: &Budget| budget.classes.contains(&class) && budget.products.contains(&index);
        let drawn = budgets.iter().enumerate().filter(|(_, budget)| draws(budget));
        let drawn = drawn.map(|(place, _)| pools.len() + place);
        let all: Vec<usize> = std::iter::once(pool_of(pools, index)).chain(drawn).collect();
        Needs::new(&all).expect("`budgets::check` counted the budgets, and there are few enough of everything")
    };
    ProductSettings {
        needs: Class::ALL.map(needs),
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
