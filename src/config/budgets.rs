//! Budgets on what several products share behind us, and the shares that products are guaranteed.

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, SET_COOKIE, TRANSFER_ENCODING};
use toml::Spanned;

use crate::admission::Class;
use crate::admission::settings::{LimitSettings, Needs};

use super::check::{Check, Span, items};
use super::customer::header_name;
use super::error::shown;
use super::file::{self, Opt};
use super::products::{Guarantee, who};
use super::{limits, names};

/// A product, as those see it who share something with it.
#[derive(Debug)]
pub(crate) struct Sharer<'a> {
    pub(crate) name: &'a str,
    pub(crate) at: Span,
    pub(crate) guarantee: Guarantee,
    pub(crate) guarantee_at: Span,
}

/// A budget on something behind the backends.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) name: String,
    pub(crate) at: Span,
    pub(crate) classes: Vec<Class>,
    /// Who draws on it, by index.
    pub(crate) products: Vec<usize>,
    pub(crate) limit: LimitSettings,
    /// The header in which backends say how much it takes, and whether clients may see it.
    pub(crate) hint: Option<(HeaderName, bool)>,
}

pub(crate) fn check(check: &mut Check<'_>, written: &[Spanned<file::Budget>], sharers: &[Sharer<'_>]) -> Vec<Budget> {
    if let Some(first) = written.get(MOST_BUDGETS) {
        let what = format!("there are {} budgets", written.len());
        check.wrong(first.span(), what, format!("one proxy takes at most {MOST_BUDGETS}"));
    }
    let mut budgets: Vec<Budget> = Vec::new();
    for spanned in written.iter().take(MOST_BUDGETS) {
        let budget = budget(check, spanned, sharers);
        let name = &spanned.get_ref().name;
        if let Some(first) = sharers.iter().find(|sharer| sharer.name == budget.name) {
            names::taken(check, name, "the product", &first.at);
        } else if let Some(first) = budgets.iter().find(|first| first.name == budget.name) {
            names::taken(check, name, "the budget", &first.at);
        }
        hint_once(check, &spanned.get_ref().hint, &budget, &budgets);
        budgets.push(budget);
    }
    for (index, sharer) in sharers.iter().enumerate() {
        not_too_many(check, &budgets, index, sharer);
    }
    budgets
}

fn budget(check: &mut Check<'_>, spanned: &Spanned<file::Budget>, sharers: &[Sharer<'_>]) -> Budget {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = names::check(check, "budget", &at, &written.name);
    if written.classes.is_none() {
        check.missing(at.clone(), "this budget", "budget.classes");
    }
    let known: Vec<&str> = sharers.iter().map(|sharer| sharer.name).collect();
    check.list("budget.classes", &written.classes);
    check.list("budget.products", &written.products);
    let classes = once(check, items(&written.classes), |check, class| check.class(class));
    let named = once(check, items(&written.products), |check, name| names::product(check, name, &known));
    let mut products = if written.products.is_some() { named } else { (0..sharers.len()).collect() };
    products.sort_unstable();
    let limit = limits::settings(limits::check(check, &written.limit));
    let hint = hint(check, written, &limit);
    Budget { name, at, classes, products, limit, hint }
}

fn hint(check: &mut Check<'_>, written: &file::Budget, limit: &LimitSettings) -> Option<(HeaderName, bool)> {
    let pass = written.pass_hint.as_ref().map(|pass| (pass.span(), *pass.get_ref()));
    let Some(name) = &written.hint else {
        if let Some((at, _)) = pass {
            check.wrong(at, "`pass_hint` without `hint`: there is none to pass", check.example("budget.hint"));
        }
        return None;
    };
    if let LimitSettings::Fixed(seats) = limit {
        let what = format!("`limit` is {seats} whatever the backends say, so this hint would never count");
        let help = format!("take out `hint`, or let the hint move it up to there: limit = {{ most = {seats} }}");
        check.wrong(name.span(), what, help);
    }
    let header = header_name(check, name)?;
    if [CONNECTION, CONTENT_LENGTH, DATE, SET_COOKIE, TRANSFER_ENCODING].contains(&header) {
        let what = format!("{} has a meaning of its own in every answer", shown(name.get_ref()));
        check.wrong(name.span(), what, check.example("budget.hint"));
    }
    Some((header, pass.is_some_and(|(_, pass)| pass)))
}

/// One header tells of one budget: of two, one would be taken off before the other is read.
fn hint_once(check: &mut Check<'_>, written: &Opt<String>, budget: &Budget, before: &[Budget]) {
    let (Some(written), Some((header, _))) = (written, &budget.hint) else { return };
    let same = |other: &&Budget| other.hint.as_ref().is_some_and(|(name, _)| name == header);
    if let Some(first) = before.iter().find(same) {
        let what = format!("{} tells of `{}` already", shown(written.get_ref()), first.name);
        check.wrong(written.span(), what, "give each budget a header of its own");
    }
}

/// What is listed, in order and each once.
fn once<T: Copy + PartialEq>(
    check: &mut Check<'_>,
    written: &[Spanned<String>],
    mut one: impl FnMut(&mut Check<'_>, &Spanned<String>) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    for text in written {
        let Some(value) = one(check, text) else { continue };
        if all.contains(&value) {
            check.wrong(text.span(), format!("`{}` is in this list twice", text.get_ref()), "take one of them out");
        } else {
            all.push(value);
        }
    }
    all
}

/// A request takes all it needs at once, and room for that is fixed.
fn not_too_many(check: &mut Check<'_>, budgets: &[Budget], product: usize, sharer: &Sharer<'_>) {
    for class in Class::ALL {
        let mut drawn =
            budgets.iter().filter(|budget| budget.classes.contains(&class) && budget.products.contains(&product));
        if let Some(budget) = drawn.nth(Needs::MOST - 1) {
            let what = format!("`{}` of {} draws on {} budgets or more", class.name(), who(sharer.name), Needs::MOST);
            let help =
                format!("a request draws on at most {}: give budgets fewer classes or products", Needs::MOST - 1);
            check.wrong(budget.at.clone(), what, help);
            return;
        }
    }
}

/// Something with a limit that several products share.
struct Shared<'a> {
    what: String,
    products: &'a [usize],
}

/// The share of each product in per cent. Those who ask for none get even parts of what is left.
pub(crate) fn guarantees(
    check: &mut Check<'_>,
    sharers: &[Sharer<'_>],
    pools: &[&[usize]],
    budgets: &[Budget],
) -> Vec<u32> {
    let pools = pools.iter().map(|members| Shared { what: "their backends".to_owned(), products: members });
    let budgets =
        budgets.iter().map(|budget| Shared { what: format!("`{}`", budget.name), products: &budget.products });
    let several = |shared: &Shared<'_>| shared.products.len() > 1;
    let mut shares: Vec<u32> = sharers.iter().map(|sharer| given(sharer).unwrap_or(100)).collect();
    let mut told: Vec<&[usize]> = Vec::new();
    for shared in pools.chain(budgets).filter(several) {
        // What two budgets of the same products have to say is said once.
        if told.contains(&shared.products) {
            continue;
        }
        told.push(shared.products);
        if let Some(even) = even_share(check, sharers, &shared) {
            let asking = shared.products.iter().filter(|product| sharers[**product].guarantee == Guarantee::Even);
            asking.for_each(|product| shares[*product] = shares[*product].min(even));
        }
    }
    shares
}

/// The part of each who asks for none; `None` when nobody does, or when the sum is wrong.
fn even_share(check: &mut Check<'_>, sharers: &[Sharer<'_>], shared: &Shared<'_>) -> Option<u32> {
    let sharers: Vec<&Sharer<'_>> = shared.products.iter().map(|product| &sharers[*product]).collect();
    if sharers.iter().any(|sharer| sharer.guarantee == Guarantee::Wrong) {
        return None;
    }
    let asked: Vec<&Sharer<'_>> = sharers.iter().copied().filter(|sharer| given(sharer).is_some()).collect();
    let sum: u32 = asked.iter().filter_map(|sharer| given(sharer)).sum();
    let last = asked.last().map_or(0..0, |sharer| sharer.guarantee_at.clone());
    let names: Vec<String> =
        asked.iter().map(|sharer| format!("{} ({})", who(sharer.name), given(sharer).unwrap_or(0))).collect();
    let names = names::list(&names.iter().map(String::as_str).collect::<Vec<_>>());
    if sum > 100 {
        let what = format!("{names} are guaranteed {sum} per cent of {} together", shared.what);
        check.wrong(last, what, "lower them to 100 or less, or leave some out for even shares of the rest");
        return None;
    }
    let others: Vec<String> =
        sharers.iter().filter(|sharer| given(sharer).is_none()).map(|sharer| who(sharer.name)).collect();
    let even = (100 - sum).checked_div(others.len() as u32)?;
    if even == 0 {
        let others = names::list(&others.iter().map(String::as_str).collect::<Vec<_>>());
        let what = format!("of {}, nothing is left for {others} beside {names}", shared.what);
        check.wrong(last, what, "lower a guarantee, so that at least 1 per cent is left for each");
    }
    Some(even)
}

fn given(sharer: &Sharer<'_>) -> Option<u32> {
    match sharer.guarantee {
        Guarantee::Given(share) => Some(share),
        Guarantee::Even | Guarantee::Wrong => None,
    }
}

const MOST_BUDGETS: usize = 100;
