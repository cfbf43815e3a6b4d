//! Products: names, rules, classes, and what belongs to one product alone.

use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use http::HeaderValue;
use toml::Spanned;

use crate::admission::settings::{PassSettings, QueueSettings};
use crate::admission::{Class, ONE_SEAT};
use crate::proxy::settings::{CacheRule, Lookup, Seats, SeatsFrom, SeatsSource};

use super::budgets::Sharer;
use super::check::{Check, Span};
use super::file::{self, ClassRules, NumberOr, Opt, Product, Queue};
use super::rules::{self, Placed, covers, in_words, meet};
use super::sites::{self, Site};
use super::{cache, customer, names, once, passes, streams};

/// A product that is checked by itself, but not yet in a pool and a domain.
pub(super) struct Draft<'f> {
    pub(super) written: &'f Product,
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) rules: Vec<Placed>,
    pub(super) classes: Vec<PlacedClass>,
    pub(super) default_class: Class,
    /// The only place where it is served, or several.
    pub(super) sites: Vec<Site<'f>>,
    pub(super) guarantee: Guarantee,
    pub(super) latency_objective: Duration,
    pub(super) reserve: NonZeroU32,
    pub(super) reserve_per_customer: NonZeroU32,
    pub(super) queue: QueueSettings,
    pub(super) passes: Option<PassSettings>,
    pub(super) lookup: Option<Lookup>,
    pub(super) upgrade: Vec<HeaderValue>,
}

/// The rules of a class, and what it costs.
pub(super) struct PlacedClass {
    pub(super) class: Class,
    pub(super) seats: Seats,
    pub(super) cache: Option<CacheRule>,
    pub(super) rules: Vec<Placed>,
}

impl Draft<'_> {
    /// What a budget wants to know.
    pub(super) fn sharer(&self) -> Sharer<'_> {
        let guarantee_at = self.written.guarantee.as_ref().map_or(0..0, Spanned::span);
        Sharer { name: &self.name, at: self.at.clone(), guarantee: self.guarantee, guarantee_at }
    }
}

/// The share a product asks for, in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// An even part of what the others leave.
    Even,
    Given(u32),
    /// Something was written that is no share: said already, so sums with it say nothing.
    Wrong,
}

pub(super) fn check<'f>(check: &mut Check<'_>, written: &'f [Spanned<Product>]) -> Vec<Draft<'f>> {
    if let Some(first) = written.get(MOST_PRODUCTS) {
        let what = format!("there are {} products", written.len());
        check.wrong(first.span(), what, format!("one proxy takes at most {MOST_PRODUCTS}; share them out"));
    }
    let drafts: Vec<Draft<'_>> = written.iter().take(MOST_PRODUCTS).map(|written| draft(check, written)).collect();
    for (index, second) in drafts.iter().enumerate() {
        let earlier = &drafts[..index];
        if let Some(first) = earlier.iter().find(|first| first.name == second.name) {
            names::taken(check, &second.written.name, "the product", &first.at);
        }
        for placed in &second.rules {
            unclaimed(check, earlier, second, placed);
        }
    }
    drafts
}

fn draft<'f>(check: &mut Check<'_>, spanned: &'f Spanned<Product>) -> Draft<'f> {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = names::check(check, "product", &at, &written.name);
    if written.r#match.is_none() {
        check.missing(at.clone(), &who(&name), "product.match");
    }
    let rules = rules::check(check, "product.match", &written.r#match);
    let (reserve, reserve_per_customer) = reserve(check, &written.reserve, &written.reserve_per_customer);
    Draft {
        classes: classes(check, &name, &rules, &written.class),
        default_class: default_class(check, &written.default_class),
        sites: sites::check(check, &name, &at, written),
        guarantee: guarantee(check, &written.guarantee),
        latency_objective: check.duration("latency_objective", &written.latency_objective, LATENCY_OBJECTIVE),
        reserve,
        reserve_per_customer,
        queue: queue(check, &written.queue),
        passes: passes::check(check, &written.passes),
        lookup: once::lookup(check, &written.lookup),
        upgrade: streams::upgrade(check, &written.upgrade),
        written,
        name,
        at,
        rules,
    }
}

/// A rule of a product must leave it something: an earlier product must not take all of it.
fn unclaimed(check: &mut Check<'_>, earlier: &[Draft<'_>], second: &Draft<'_>, placed: &Placed) {
    let takes = |first: &Draft<'_>| first.rules.iter().find(|rule| covers(&rule.rule, &placed.rule)).cloned();
    let Some((first, by)) = earlier.iter().find_map(|first| takes(first).map(|by| (first, by))) else { return };
    let (rule, line) = (in_words(&placed.rule), check.line(&by.at));
    let (first, second) = (who(&first.name), who(&second.name));
    if by.rule == placed.rule {
        let what = format!("{first} and {second} both claim {rule} (the first on line {line})");
        check.wrong(placed.at.clone(), what, "each request belongs to one product: take the rule out of one of them");
    } else {
        let what = format!("{rule} never reaches {second}: {first} takes all of {} (line {line})", in_words(&by.rule));
        let help = format!("products are asked in the order of the file: put {second} above {first}");
        check.wrong(placed.at.clone(), what, help);
    }
}

fn classes(check: &mut Check<'_>, name: &str, product: &[Placed], written: &[Spanned<ClassRules>]) -> Vec<PlacedClass> {
    let mut classes: Vec<PlacedClass> = Vec::new();
    for spanned in written {
        let ClassRules { class, seats, cache, r#match } = spanned.get_ref();
        if class.is_none() {
            check.missing(spanned.span(), "this section", "product.class.class");
        }
        if r#match.is_none() {
            check.missing(spanned.span(), "this class", "product.class.match");
        }
        let rules = rules::check(check, "product.class.match", r#match);
        let seats = cost(check, seats);
        let Some(class) = class.as_ref().and_then(|class| check.class(class)) else { continue };
        let cache = cache.as_ref().and_then(|written| cache::rule(check, class, written));
        for placed in &rules {
            class_can_match(check, &classes, class, placed);
            reaches_product(check, name, product, class, placed);
        }
        classes.push(PlacedClass { class, seats, cache, rules });
    }
    classes
}

fn class_can_match(check: &mut Check<'_>, earlier: &[PlacedClass], class: Class, placed: &Placed) {
    let all = earlier.iter().flat_map(|class| class.rules.iter().map(|rule| (class.class, rule)));
    let Some((first, by)) = all.into_iter().find(|(_, rule)| covers(&rule.rule, &placed.rule)) else { return };
    let (rule, line) = (in_words(&placed.rule), check.line(&by.at));
    let what = match first == class {
        true => format!("{rule} is `{}` already, by the rule on line {line}", class.name()),
        false => format!("{rule} is never `{}`: the rule on line {line} makes it `{}`", class.name(), first.name()),
    };
    let help = match by.rule == placed.rule {
        true => "take one of the two out",
        false => "classes are asked in the order of the file: put the narrower rule first",
    };
    check.wrong(placed.at.clone(), what, help);
}

fn reaches_product(check: &mut Check<'_>, name: &str, product: &[Placed], class: Class, placed: &Placed) {
    if product.is_empty() {
        return;
    }
    let takes: Vec<String> = product.iter().map(|rule| in_words(&rule.rule)).collect();
    let takes = names::list(&takes.iter().map(String::as_str).collect::<Vec<_>>());
    if !product.iter().any(|rule| meet(&rule.rule, &placed.rule)) {
        let what = format!("{} never reaches {}, which takes {takes}", in_words(&placed.rule), who(name));
        check.wrong(placed.at.clone(), what, "write a rule that lies within those of the product, or take it out");
    } else if class == Class::Protected && product.iter().all(|rule| covers(&placed.rule, &rule.rule)) {
        let what = format!("this makes all of {} `protected`", who(name));
        check.wrong(placed.at.clone(), what, PROTECTED);
    }
}

fn default_class(check: &mut Check<'_>, written: &Opt<String>) -> Class {
    let Some(written) = written else { return Class::Read };
    let class = check.class(written).unwrap_or(Class::Read);
    if class == Class::Protected {
        check.wrong(written.span(), "`protected` cannot be the class of everything that no rule matches", PROTECTED);
    }
    class
}

/// What says how many seats a request costs.
fn cost(check: &mut Check<'_>, written: &Opt<NumberOr<file::SeatsFrom>>) -> Seats {
    let Some(spanned) = written else { return Seats::Always(ONE_SEAT) };
    match spanned.get_ref() {
        NumberOr::Number(number) => Seats::Always(seats(check, &Some(Spanned::new(spanned.span(), *number)))),
        NumberOr::Table(table) => seats_from(check, spanned.span(), table).map_or(Seats::Always(ONE_SEAT), Seats::From),
    }
}

fn seats_from(check: &mut Check<'_>, at: Span, written: &file::SeatsFrom) -> Option<SeatsFrom> {
    let source = match (&written.json, &written.header) {
        (Some(text), None) => customer::pointer(check, text).map(SeatsSource::Json),
        (None, Some(name)) => customer::header_name(check, name).map(SeatsSource::Header),
        _ => {
            let help = "write { json = \"/systems\", per = 100 } or { header = \"x-systems\", per = 100 }";
            check.wrong(at.clone(), "a cost stands in one place", help);
            None
        }
    };
    let per = check.given_count("per", &written.per, u32::MAX);
    if written.per.is_none() {
        let help = "say how many of what is counted cost one seat: per = 100";
        check.wrong(at, "this cost has no `per`", help);
    }
    let most = check.given_count("most", &written.most, MOST_SEATS).and_then(|most| most.try_into().ok());
    Some(SeatsFrom { source: source?, per: per?, most: most.unwrap_or(MOST_COST) })
}

/// How many seats a request costs.
pub(crate) fn seats(check: &mut Check<'_>, written: &Opt<i64>) -> NonZeroU8 {
    let seats = check.given_count("seats", written, MOST_SEATS);
    seats.and_then(|seats| seats.try_into().ok()).unwrap_or(ONE_SEAT)
}

/// A reserve, and how much of it one customer may have.
pub(crate) fn reserve(check: &mut Check<'_>, reserve: &Opt<i64>, one: &Opt<i64>) -> (NonZeroU32, NonZeroU32) {
    let seats = check.count("reserve", reserve, MOST_RESERVE, RESERVE);
    let given = check.given_count("reserve_per_customer", one, MOST_RESERVE);
    if let (Some(written), Some(_)) = (one, given.filter(|given| *given > seats)) {
        let what = format!("reserve_per_customer: {} is more than the {seats} of `reserve`", written.get_ref());
        let help = format!(
            "write a number from 1 to {seats}, or make `reserve` larger; {seats} lets one customer have it all"
        );
        check.wrong(written.span(), what, help);
    }
    (seats, given.unwrap_or(RESERVE_PER_CUSTOMER.min(seats)))
}

pub(crate) fn guarantee(check: &mut Check<'_>, written: &Opt<i64>) -> Guarantee {
    let Some(written) = written else { return Guarantee::Even };
    match u32::try_from(*written.get_ref()) {
        Ok(share @ 1..=100) => Guarantee::Given(share),
        _ => {
            let what = format!("guarantee: {} is no share in per cent", written.get_ref());
            check.wrong(written.span(), what, "write a number from 1 to 100, or leave it out for an even share");
            Guarantee::Wrong
        }
    }
}

pub(crate) fn queue(check: &mut Check<'_>, written: &Queue) -> QueueSettings {
    QueueSettings {
        longest_wait: check.duration("longest_wait", &written.longest_wait, Duration::from_secs(1)),
        length: check.count("length", &written.length, 1_000_000, LENGTH),
        floor: floor(check, &written.floor),
        near_stop: near_stop(check, &written.near_stop),
        retry_after: retry_after(check, written),
    }
}

/// The only time that may be none: then bets are not told apart by their stops.
fn near_stop(check: &mut Check<'_>, written: &Opt<String>) -> Duration {
    match written {
        Some(text) if text.get_ref() == "0s" => Duration::ZERO,
        _ => check.duration("near_stop", written, NEAR_STOP),
    }
}

fn floor(check: &mut Check<'_>, written: &Opt<i64>) -> u32 {
    let Some(written) = written else { return FLOOR };
    let floor = u32::try_from(*written.get_ref()).ok().filter(|floor| *floor <= MOST_FLOOR);
    if floor.is_none() {
        let what = format!("floor: {} is out of range", written.get_ref());
        check.wrong(written.span(), what, format!("write a number from 0 to {MOST_FLOOR}, in per cent"));
    }
    floor.unwrap_or(FLOOR)
}

fn retry_after(check: &mut Check<'_>, written: &Queue) -> (Duration, Duration) {
    let Some(list) = &written.retry_after else { return RETRY_AFTER };
    let [soonest, latest] = list.get_ref().as_slice() else {
        check.wrong(list.span(), "retry_after: two times are wanted, the soonest and the latest", RETRY_AFTER_HELP);
        return RETRY_AFTER;
    };
    let mut one = |text: &Spanned<String>| check.given_duration("retry_after", &Some(text.clone()));
    let (Some(soonest), Some(latest)) = (one(soonest), one(latest)) else { return RETRY_AFTER };
    if soonest > latest {
        check.wrong(list.span(), "retry_after: the soonest is later than the latest", RETRY_AFTER_HELP);
    } else if soonest < Duration::from_secs(1) {
        let what = "retry_after: HTTP tells whole seconds, so nobody can be told to come back sooner than in one";
        check.wrong(list.span(), what, RETRY_AFTER_HELP);
    }
    (soonest, latest)
}

/// A product in a sentence, also when it has no name.
pub(crate) fn who(name: &str) -> String {
    if name.is_empty() { "this product".to_owned() } else { format!("`{name}`") }
}

const PROTECTED: &str =
    "match only what must always work, such as self-exclusion, limits and logout, in a [[product.class]]";
const RETRY_AFTER_HELP: &str = "write it like this: retry_after = [\"1s\", \"60s\"]";
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
pub(crate) const LATENCY_OBJECTIVE: Duration = Duration::from_millis(250);
/// How long a backend may take to begin its answer.
pub(crate) const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// In per cent: enough for a page to fill, too little for bets to feel it.
const FLOOR: u32 = 2;
const NEAR_STOP: Duration = Duration::from_secs(3);
const MOST_FLOOR: u32 = 20;
const LENGTH: NonZeroU32 = NonZeroU32::new(1000).unwrap();
const RESERVE: NonZeroU32 = NonZeroU32::new(8).unwrap();
/// A payment's return beside a logout; of a small reserve all there is.
const RESERVE_PER_CUSTOMER: NonZeroU32 = NonZeroU32::new(2).unwrap();
const MOST_RESERVE: u32 = 10_000;
/// What weighs more is not one request's work; and as many seats less one may stand idle until all are there.
const MOST_SEATS: u32 = 16;
const MOST_COST: NonZeroU8 = NonZeroU8::new(MOST_SEATS as u8).unwrap();
/// Every request is held against their rules one after the other.
pub(crate) const MOST_PRODUCTS: usize = 100;
