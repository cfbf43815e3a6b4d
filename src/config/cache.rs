//! Answers kept in memory: how much of it, and which are anybody's.

use std::time::Duration;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION, RANGE, SET_COOKIE};
use toml::Spanned;

use crate::admission::Class;
use crate::admission::reads::Terms;
use crate::proxy::settings::{CacheRule, CacheSettings, CustomerSource};

use super::check::{Check, items};
use super::customer::header_name;
use super::file::{Cache, CacheTerms};
use super::products::Draft;

pub(super) fn check(check: &mut Check<'_>, file: &Cache) -> CacheSettings {
    let memory = check.size("memory", &file.memory, LEAST_MEMORY..=1 << 40).unwrap_or(MEMORY);
    // Memory is kept in a few parts, each of which must have room for several.
    let most = memory / PART_OF_MEMORY;
    let object = check.size("object", &file.object, 1..=most).unwrap_or(OBJECT.min(most));
    CacheSettings { memory, object: object as usize }
}

/// What is written beside a class.
pub(super) fn rule(check: &mut Check<'_>, class: Class, written: &Spanned<CacheTerms>) -> Option<CacheRule> {
    if class != Class::Read {
        let what = format!("only `read` is answered from memory, and this is `{}`", class.name());
        check.wrong(written.span(), what, "write it beside class = \"read\", or take it out");
        return None;
    }
    let names = check.list("product.class.cache.headers", &written.get_ref().headers);
    let headers = names.iter().filter_map(|name| plain_header(check, name)).collect();
    Some(CacheRule { terms: terms(check, written)?, headers })
}

/// How long answers are good.
pub(crate) fn terms(check: &mut Check<'_>, written: &Spanned<CacheTerms>) -> Option<Terms> {
    let CacheTerms { fresh, stale, .. } = written.get_ref();
    if fresh.is_none() {
        let what = "`cache` has no `fresh`";
        check.wrong(written.span(), what, "write it like this: cache = { fresh = \"1s\", stale = \"30s\" }");
    }
    let stale = check.duration("stale", stale, Duration::ZERO);
    Some(Terms { fresh: check.given_duration("fresh", fresh)?, stale })
}

/// A header that does not say who asks.
fn plain_header(check: &mut Check<'_>, written: &Spanned<String>) -> Option<HeaderName> {
    let name = header_name(check, written)?;
    if !PERSONAL.contains(&name) {
        return Some(name);
    }
    let what = format!("an answer that depends on `{name}` is not anybody's");
    check.wrong(written.span(), what, "take it out, and `cache` too if that header decides what is answered");
    None
}

/// An identity header in the list would make memory hold what is one customer's.
pub(super) fn no_identities(check: &mut Check<'_>, drafts: &[Draft<'_>], customer: &[CustomerSource]) {
    let classes = drafts.iter().flat_map(|draft| &draft.written.class);
    for written in classes.filter_map(|class| class.get_ref().cache.as_ref()) {
        for name in items(&written.get_ref().headers) {
            let is_it = |source: &CustomerSource| matches!(source, CustomerSource::Header(header) if header.as_str() == name.get_ref().to_ascii_lowercase());
            if customer.iter().any(is_it) {
                let what = format!("`{}` says who asks ([customer] from)", name.get_ref());
                check.wrong(name.span(), what, "answers in memory are anybody's: take it out");
            }
        }
    }
}

const PERSONAL: [HeaderName; 6] = [COOKIE, SET_COOKIE, AUTHORIZATION, PROXY_AUTHORIZATION, RANGE, HOST];
const MEMORY: u64 = 64 << 20;
const OBJECT: u64 = 256 << 10;
const LEAST_MEMORY: u64 = 1 << 20;
const PART_OF_MEMORY: u64 = 16;
