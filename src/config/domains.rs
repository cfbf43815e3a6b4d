//! Domains: products that share a pool or a budget, directly or through others, are decided together.

use std::num::NonZeroU32;

use crate::admission::settings::{Needs, ProductSettings as Admitted, ResourceSettings, SiteSettings as Place};
use crate::admission::{self, Class, ProductId};
use crate::proxy::settings::{
    ClassRules, DomainSettings, HintSettings, Limited, Member, PoolSettings, ProductSettings, Rule, SiteSettings,
};

use super::backends::Pool;
use super::budgets::Budget;
use super::customer::AtOnce;
use super::products::{Draft, PlacedClass};
use super::rules::Placed;
use super::sites::Site;

/// A domain's parts, by index, each in the order of the file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Members {
    products: Vec<usize>,
    pools: Vec<usize>,
    budgets: Vec<usize>,
}

/// What all domains are made from; `shares` are the products' guarantees.
pub(super) struct Parts<'a> {
    pub(super) drafts: &'a [Draft<'a>],
    pub(super) pools: &'a [Pool],
    pub(super) budgets: &'a [Budget],
    pub(super) shares: &'a [u32],
    pub(super) at_once: AtOnce,
    pub(super) machines: Vec<NonZeroU32>,
}

/// Give every product and pool its domain.
pub(super) fn build(parts: &Parts<'_>) -> (Vec<ProductSettings>, Vec<PoolSettings>, Vec<DomainSettings>) {
    let pools: Vec<&[usize]> = parts.pools.iter().map(|pool| pool.members.as_slice()).collect();
    let budgets: Vec<&[usize]> = parts.budgets.iter().map(|budget| budget.products.as_slice()).collect();
    let domains = divide(parts.drafts.len(), &pools, &budgets);
    let products = (0..parts.drafts.len()).map(|index| product(parts, &domains, index)).collect();
    let pools = parts.pools.iter().enumerate().map(|(index, pool)| {
        // Pools come first among the resources of a domain, so a pool's place is its resource's.
        let (domain, resource) = place(&domains, |members| &members.pools, index);
        let hints = hints(parts, &domains[domain], &pool.members);
        PoolSettings { domain, resource, hints, ..pool.settings.clone() }
    });
    (products, pools.collect(), domains.iter().map(|members| domain(parts, members)).collect())
}

/// What the backends of these products may say of budgets that the products draw on.
fn hints(parts: &Parts<'_>, members: &Members, products: &[usize]) -> Vec<HintSettings> {
    let hint = |(place, index): (usize, &usize)| {
        let budget = &parts.budgets[*index];
        let (header, pass) = budget.hint.clone()?;
        let draws = budget.products.iter().any(|product| products.contains(product));
        let resource = members.pools.len() + place;
        draws.then(|| HintSettings { header, pass, resource, budget: budget.name.clone() })
    };
    members.budgets.iter().enumerate().filter_map(hint).collect()
}

/// Who belongs together, in the order of the first product of each.
fn divide(products: usize, pools: &[&[usize]], budgets: &[&[usize]]) -> Vec<Members> {
    // `root[i]` is the first product of the domain of `i`. There are at most a hundred: repainting a
    // whole domain at each joint is quick enough.
    let mut root: Vec<usize> = (0..products).collect();
    for sharers in pools.iter().chain(budgets) {
        for pair in sharers.windows(2) {
            let (a, b) = (root[pair[0]], root[pair[1]]);
            root.iter_mut().filter(|root| **root == a.max(b)).for_each(|root| *root = a.min(b));
        }
    }
    let of = |sharers: &[&[usize]], first: usize| -> Vec<usize> {
        let here = |sharers: &[usize]| sharers.first().is_some_and(|product| root[*product] == first);
        (0..sharers.len()).filter(|index| here(sharers[*index])).collect()
    };
    let firsts = (0..products).filter(|product| root[*product] == *product);
    let members = firsts.map(|first| Members {
        products: (0..products).filter(|product| root[*product] == first).collect(),
        pools: of(pools, first),
        budgets: of(budgets, first),
    });
    members.collect()
}

/// The domain of a thing, and its place there.
fn place(domains: &[Members], kind: impl Fn(&Members) -> &Vec<usize>, index: usize) -> (usize, usize) {
    let find = |(domain, members)| kind(members).iter().position(|own| *own == index).map(|place| (domain, place));
    domains.iter().enumerate().find_map(find).expect("every product and pool was put into a domain by `divide`")
}

fn product(parts: &Parts<'_>, domains: &[Members], index: usize) -> ProductSettings {
    let draft = &parts.drafts[index];
    let rules = |placed: &[Placed]| -> Vec<Rule> { placed.iter().map(|placed| placed.rule.clone()).collect() };
    let class = |placed: &PlacedClass| ClassRules {
        class: placed.class,
        seats: placed.seats.clone(),
        cache: placed.cache.clone(),
        rules: rules(&placed.rules),
    };
    let pool = |place: usize| {
        let pool = parts.pools.iter().position(|pool| pool.is_of(index, place));
        pool.expect("every place of a product was put into a pool by `backends::pools`")
    };
    let site = |(place, site): (usize, &Site<'_>)| SiteSettings {
        name: site.name.clone(),
        pool: pool(place),
        share: site.share,
    };
    let several = draft.sites.len() > 1;
    let (domain, id) = place(domains, |members| &members.products, index);
    ProductSettings {
        name: draft.name.clone(),
        rules: rules(&draft.rules),
        classes: draft.classes.iter().map(class).collect(),
        default_class: draft.default_class,
        upgrade: draft.upgrade.clone(),
        honours_idempotency_key: draft.written.honours_idempotency_key.as_ref().is_some_and(|on| *on.get_ref()),
        lookup: draft.lookup.clone(),
        pool: pool(0),
        sites: draft.sites.iter().enumerate().filter(|_| several).map(site).collect(),
        domain,
        id: ProductId(id as u16),
    }
}

fn domain(parts: &Parts<'_>, members: &Members) -> DomainSettings {
    let pools = members.pools.iter().map(|pool| &parts.pools[*pool]);
    let budgets = members.budgets.iter().map(|budget| &parts.budgets[*budget]);
    let names = pools.clone().map(|pool| &pool.settings.name).chain(budgets.clone().map(|budget| &budget.name));
    let pools = pools.map(|pool| ResourceSettings { budget: false, limit: pool.limit.clone() });
    let budgets = budgets.map(|budget| ResourceSettings { budget: true, limit: budget.limit.clone() });
    let admission = admission::Settings {
        products: members.products.iter().map(|product| admitted(parts, members, *product)).collect(),
        resources: pools.chain(budgets).collect(),
        at_once_per_customer: parts.at_once.customer,
        at_once_per_address: parts.at_once.address,
        machines: parts.machines.clone(),
    };
    let product = |index: &usize| {
        let draft = &parts.drafts[*index];
        let sites = draft.sites.iter().map(|site| site.name.clone()).collect();
        Member { name: draft.name.clone(), index: Some(*index), sites }
    };
    let products = members.products.iter().map(product).collect();
    DomainSettings {
        admission,
        products,
        resources: names.map(|name| Limited { name: name.clone(), gone: false }).collect(),
    }
}

fn admitted(parts: &Parts<'_>, members: &Members, product: usize) -> Admitted {
    let draft = &parts.drafts[product];
    Admitted {
        needs: Class::ALL.map(|class| needs(parts, members, product, class)),
        sites: sites(parts, members, product),
        guarantee: parts.shares[product],
        latency_objective: draft.latency_objective,
        queue: draft.queue.clone(),
        reserve: draft.reserve,
        reserve_per_customer: draft.reserve_per_customer,
        passes: draft.passes.clone(),
    }
}

/// The pools of which it needs any one, where there are several.
fn sites(parts: &Parts<'_>, members: &Members, product: usize) -> Vec<Place> {
    let sites = &parts.drafts[product].sites;
    let place = |(place, site): (usize, &Site<'_>)| {
        let resource = members.pools.iter().position(|pool| parts.pools[*pool].is_of(product, place))?;
        Some(Place { resource, share: site.share })
    };
    let several = sites.len() > 1;
    sites.iter().enumerate().filter(|_| several).filter_map(place).collect()
}

/// The pool, where there is only one, and every budget that this class of this product draws on.
fn needs(parts: &Parts<'_>, members: &Members, product: usize, class: Class) -> Needs {
    let several = parts.drafts[product].sites.len() > 1;
    let pool = members.pools.iter().position(|pool| parts.pools[*pool].is_of(product, 0)).filter(|_| !several);
    let draws = |budget: &Budget| budget.classes.contains(&class) && budget.products.contains(&product);
    let budgets = members.budgets.iter().enumerate().filter(|(_, budget)| draws(&parts.budgets[**budget]));
    let budgets = budgets.map(|(place, _)| members.pools.len() + place);
    let resources: Vec<usize> = pool.into_iter().chain(budgets).collect();
    Needs::new(&resources).expect("`budgets::check` counted the budgets, and there are few enough of everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(products: &[usize], pools: &[usize], budgets: &[usize]) -> Members {
        Members { products: products.to_vec(), pools: pools.to_vec(), budgets: budgets.to_vec() }
    }

    #[test]
    fn products_that_share_nothing_are_decided_apart() {
        let domains = divide(2, &[&[0], &[1]], &[&[1]]);
        assert_eq!(domains, [members(&[0], &[0], &[]), members(&[1], &[1], &[0])]);
    }

    #[test]
    fn products_that_share_through_others_are_decided_together() {
        // 0 and 3 share a pool, 3 and 1 a budget; 2 is alone.
        let domains = divide(4, &[&[0, 3], &[1], &[2]], &[&[1, 3]]);
        assert_eq!(domains, [members(&[0, 1, 3], &[0, 1], &[0]), members(&[2], &[2], &[])]);
    }
}
