//! Where a product is served: by its backends, or at several sites with backends and a limit of their own.

use toml::Spanned;

use super::backends::{self, Backend};
use super::check::{Check, Span};
use super::file::{self, Limit, Opt, Product};
use super::names;
use super::products::who;

/// A place where a product is served. Where there is only one it has no name, and all of the product.
pub(super) struct Site<'f> {
    pub(super) name: String,
    pub(super) at: Span,
    /// In per cent.
    pub(super) share: u32,
    pub(super) backends: Vec<Backend>,
    pub(super) limit: &'f Opt<Limit>,
}

impl Site<'_> {
    /// What its pool is called.
    pub(super) fn pool_name(&self, product: &str) -> String {
        if self.name.is_empty() { product.to_owned() } else { format!("{product}/{}", self.name) }
    }
}

pub(super) fn check<'f>(check: &mut Check<'_>, name: &str, at: &Span, written: &'f Product) -> Vec<Site<'f>> {
    if written.site.is_empty() {
        let backends = backends::check(check, &who(name), at, "product.backends", &written.backends);
        return vec![Site { name: String::new(), at: at.clone(), share: 100, backends, limit: &written.limit }];
    }
    let twice = written.backends.as_ref().map(Spanned::span).or(written.limit.as_ref().map(Spanned::span));
    if let Some(twice) = twice {
        let what = format!("{} has sites, each with backends and a limit of its own", who(name));
        check.wrong(twice, what, "write `backends` and `limit` in [[product.site]]");
    }
    if let Some(first) = written.site.get(MOST_SITES) {
        let what = format!("{} has {} sites", who(name), written.site.len());
        check.wrong(first.span(), what, format!("a product takes at most {MOST_SITES}"));
    }
    let sites: Vec<Site<'f>> = written.site.iter().take(MOST_SITES).map(|site| one(check, site)).collect();
    for (index, second) in sites.iter().enumerate() {
        if let Some(first) = sites[..index].iter().find(|first| first.name == second.name && !first.name.is_empty()) {
            names::taken(check, &written.site[index].get_ref().name, "the site", &first.at);
        }
    }
    let sum: u32 = sites.iter().map(|site| site.share).sum();
    if sites.len() < 2 {
        let what = format!("{} has one site", who(name));
        check.wrong(sites[0].at.clone(), what, "write another, or `backends` in the product and no site");
    } else if sum != 100 {
        let what = format!("the shares of the sites of {} add up to {sum} per cent", who(name));
        check.wrong(sites[0].at.clone(), what, "write shares that add up to 100; a site may have 0");
    }
    sites
}

fn one<'f>(check: &mut Check<'_>, spanned: &'f Spanned<file::Site>) -> Site<'f> {
    let (written, at) = (spanned.get_ref(), spanned.span());
    if written.name.is_none() {
        check.missing(at.clone(), "this site", "product.site.name");
    }
    let name = written.name.as_ref().map_or(String::new(), |_| names::check(check, "site", &at, &written.name));
    let told = if name.is_empty() { "this site".to_owned() } else { who(&name) };
    let backends = backends::check(check, &told, &at, "product.site.backends", &written.backends);
    if written.share.is_none() {
        check.missing(at.clone(), &told, "product.site.share");
    }
    Site { share: share(check, &written.share), name, at, backends, limit: &written.limit }
}

fn share(check: &mut Check<'_>, written: &Opt<i64>) -> u32 {
    let Some(written) = written else { return 0 };
    let share = u32::try_from(*written.get_ref()).ok().filter(|share| *share <= 100);
    if share.is_none() {
        let what = format!("share: {} is no share in per cent", written.get_ref());
        check.wrong(written.span(), what, "write a number from 0 to 100");
    }
    share.unwrap_or(0)
}

/// Of more, nobody would know by heart which is which.
const MOST_SITES: usize = 8;
