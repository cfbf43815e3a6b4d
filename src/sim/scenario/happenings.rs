//! Events with betting stops, and what happens when.

use std::time::Duration;

use toml::Spanned;

use super::{file, plant, products, values};
use crate::admission::schedule::EventState;
use crate::admission::shift::Plan;
use crate::admission::{Order, ParkReason, ProductId};
use crate::config::check::Check;
use crate::config::file::Opt;
use crate::sim::backend::Fault;
use crate::sim::scenario::{Event, Happening, Product, What};

/// Events; `None` for one that is not whole, so that the others keep their places.
pub(super) fn events(
    check: &mut Check<'_>,
    written: &[Spanned<file::Event>],
    products: &[Product],
) -> Vec<Option<Event>> {
    values::unique(check, "event", written.iter().map(|event| &event.get_ref().name));
    written.iter().map(|written| event(check, written, products)).collect()
}

fn event(check: &mut Check<'_>, spanned: &Spanned<file::Event>, products: &[Product]) -> Option<Event> {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = values::name(check, "this event", &at, "event.name", &written.name);
    if written.product.is_none() {
        check.missing(at.clone(), "this event", "event.product");
    }
    if written.stop.is_none() {
        check.missing(at, "this event", "event.stop");
    }
    let product = written.product.as_ref().and_then(|product| products::named(check, product, products));
    let stop = values::moment(check, "stop", &written.stop);
    let believed = check.duration("believed_before_stop", &written.believed_before_stop, BELIEVED);
    Some(Event { name, product: product?, stop: stop?, believed_before_stop: believed })
}

/// What happenings may name, and how long they may take.
pub(super) struct Around<'a> {
    pub(super) products: &'a [Product],
    pub(super) events: &'a [&'a str],
    pub(super) stations: &'a [&'a str],
    pub(super) lasts: Duration,
}

/// What happens, in the order of time.
pub(super) fn check(
    check: &mut Check<'_>,
    written: &[Spanned<file::Happening>],
    around: &Around<'_>,
) -> Vec<Happening> {
    if let Some(first) = written.get(MOST_HAPPENINGS) {
        let what = format!("there are {} happenings", written.len());
        check.wrong(first.span(), what, format!("a scenario takes at most {MOST_HAPPENINGS}"));
    }
    let mut happenings: Vec<Happening> = Vec::new();
    for spanned in written.iter().take(MOST_HAPPENINGS) {
        happenings.extend(happening(check, spanned, around));
    }
    happenings.sort_by_key(|happening| happening.at);
    happenings
}

fn happening(check: &mut Check<'_>, spanned: &Spanned<file::Happening>, around: &Around<'_>) -> Vec<Happening> {
    let written = spanned.get_ref();
    if written.at.is_none() {
        check.missing(spanned.span(), "this happening", "happening.at");
    }
    let at = values::within_run(check, "at", &written.at, around.lasts);
    let what = what(check, spanned, around);
    let end = ends(check, written, at, what.as_ref(), around.lasts);
    match (at, what) {
        (Some(at), Some(what)) => [Happening { at, what }].into_iter().chain(end).collect(),
        _ => Vec::new(),
    }
}

/// Which of the things that may happen this one is: each has a key that the others have not.
fn what(check: &mut Check<'_>, spanned: &Spanned<file::Happening>, around: &Around<'_>) -> Option<What> {
    let written = spanned.get_ref();
    let kinds = [
        written.order.is_some(),
        written.signal.is_some(),
        written.stop.is_some(),
        written.bypass.is_some(),
        written.observe.is_some(),
        written.station.is_some(),
        written.shift.is_some(),
    ];
    if kinds.iter().filter(|kind| **kind).count() != 1 {
        let what = "a happening has one of `order`, `signal`, `stop`, `bypass`, `observe`, `station` and `shift`";
        check.wrong(at_time(spanned), what, KINDS);
        return None;
    }
    strays(check, spanned);
    let event = |check: &mut Check<'_>, name| values::index(check, "event", name, around.events);
    if let Some(name) = &written.signal {
        event(check, name).map(What::Signal)
    } else if let Some(name) = &written.stop {
        if written.to.is_none() {
            check.missing(name.span(), "a stop that is moved", "happening.to");
        }
        let (event, to) = (event(check, name), values::moment(check, "to", &written.to));
        event.zip(to).map(|(event, to)| What::MoveStop(event, to))
    } else if let Some(bypass) = &written.bypass {
        Some(What::Bypass(*bypass.get_ref()))
    } else if let Some(observe) = &written.observe {
        Some(What::Observe(*observe.get_ref()))
    } else if let Some(name) = &written.shift {
        shift(check, written, name, around)
    } else if let Some(station) = &written.station {
        let station = values::index(check, "station", station, around.stations);
        let fault = fault(check, spanned);
        station.zip(fault).map(|(station, fault)| What::Fault(station, fault))
    } else {
        order(check, spanned, around)
    }
}

/// Where it is said that something happens.
fn at_time(spanned: &Spanned<file::Happening>) -> std::ops::Range<usize> {
    spanned.get_ref().at.as_ref().map_or(spanned.span(), Spanned::span)
}

/// Keys that belong to another kind of happening.
fn strays(check: &mut Check<'_>, spanned: &Spanned<file::Happening>) {
    let written = spanned.get_ref();
    let (order, fault) = (written.order.is_some(), written.station.is_some());
    let targets = written.product.is_some() || written.event.is_some() || written.all.is_some();
    let stray = match () {
        () if targets && !order => "`product`, `event` and `all` belong to `order`",
        () if written.to.is_some() && written.stop.is_none() => "`to` belongs to `stop`",
        () if written.until.is_some() && !fault => "`until` ends what befell a `station`",
        () if shifts(written) && written.shift.is_none() => {
            "`giving`, `receiving`, `share`, `step`, `every` and `now` belong to `shift`"
        }
        () if faults(written) > 0 && !fault => "it is not said which `station` this befalls",
        () => return,
    };
    check.wrong(at_time(spanned), stray, KINDS);
}

fn faults(written: &file::Happening) -> usize {
    let given = [
        written.slow.is_some(),
        written.capacity.is_some(),
        written.lose.is_some(),
        written.hang.is_some(),
        written.fail.is_some(),
        written.cold.is_some(),
    ];
    given.iter().filter(|given| **given).count()
}

fn shifts(written: &file::Happening) -> bool {
    let words = [written.giving.is_some(), written.receiving.is_some(), written.every.is_some()];
    let numbers = [written.share.is_some(), written.step.is_some(), written.now.is_some()];
    words.iter().chain(&numbers).any(|given| *given)
}

/// A share of a product that is moved from one of its sites to another.
fn shift(
    check: &mut Check<'_>,
    written: &file::Happening,
    name: &Spanned<String>,
    around: &Around<'_>,
) -> Option<What> {
    let product = products::named(check, name, around.products)?;
    let sites = &around.products[product.index()].sites;
    let names: Vec<&str> = sites.iter().filter_map(|site| around.stations.get(site.station).copied()).collect();
    let mut site = |written: &Opt<String>| match written {
        Some(written) => values::index(check, "site", written, &names),
        None => {
            check.wrong(name.span(), "a shift has a giving and a receiving site", SHIFT);
            None
        }
    };
    let (from, to) = (site(&written.giving)?, site(&written.receiving)?);
    let both = sites[from].share + sites[to].share;
    let share = values::whole(check, "share", &written.share, 1..=100).unwrap_or(both);
    if from == to || share <= sites[to].share || share > both {
        check.wrong(name.span(), format!("{share} per cent are no share that the one can give to the other"), SHIFT);
        return None;
    }
    let step = values::whole(check, "step", &written.step, 1..=100).unwrap_or(STEP);
    let every = check.duration("every", &written.every, EVERY);
    let now = written.now.as_ref().is_some_and(|now| *now.get_ref());
    Some(What::Shift(product, Plan { from: from as u8, to: to as u8, share, step, every, now }))
}

fn order(check: &mut Check<'_>, spanned: &Spanned<file::Happening>, around: &Around<'_>) -> Option<What> {
    let written = spanned.get_ref();
    let word = written.order.as_ref()?;
    let order = check.one_of("known order", word, &ORDERS).map(|index| ORDERS[index]);
    let all = written.all.as_ref().is_some_and(|all| *all.get_ref());
    match (&written.product, &written.event, all) {
        (Some(product), None, false) => {
            let product = products::named(check, product, around.products);
            order.zip(product).map(|(order, product)| What::Order(vec![product], product_order(order)))
        }
        (None, Some(event), false) => {
            let event = values::index(check, "event", event, around.events);
            order.zip(event).map(|(order, event)| What::EventOrder(event, event_state(order)))
        }
        (None, None, true) => {
            let all = (0..around.products.len()).map(|index| ProductId(index as u16)).collect();
            order.map(|order| What::Order(all, product_order(order)))
        }
        _ => {
            let help = "write one of product = \"horse-racing\", event = \"V75-1\" and all = true";
            check.wrong(word.span(), "an order is about one product, one event or all products", help);
            None
        }
    }
}

fn product_order(word: &str) -> Order {
    match word {
        "park" => Order::Park(ParkReason::Parked),
        "close" => Order::Park(ParkReason::Closed),
        "reopen" => Order::Reopen,
        _ => Order::Open,
    }
}

fn event_state(word: &str) -> EventState {
    match word {
        "park" => EventState::Parked,
        "close" => EventState::Closed,
        _ => EventState::Open,
    }
}

fn fault(check: &mut Check<'_>, spanned: &Spanned<file::Happening>) -> Option<Fault> {
    let written = spanned.get_ref();
    let told = match faults(written) {
        1 => None,
        0 => Some("it is not said what befalls the station"),
        _ => Some("one thing befalls a station at a time"),
    };
    if let Some(what) = told {
        check.wrong(at_time(spanned), what, FAULTS);
        return None;
    }
    let slow = values::real(check, "slow", &written.slow, 0.001..=plant::MOST_FACTOR).map(Fault::Slow);
    let capacity = values::real(check, "capacity", &written.capacity, 0.001..=plant::MOST_FACTOR).map(Fault::Capacity);
    let lose = values::whole(check, "lose", &written.lose, 0..=100).map(Fault::Lose);
    let fail = values::whole(check, "fail", &written.fail, 0..=100).map(Fault::Fail);
    let hang = written.hang.as_ref().map(|hang| Fault::Hang(*hang.get_ref()));
    let cold = plant::cold(check, &written.cold).map(Fault::Cold);
    slow.or(capacity).or(lose).or(fail).or(hang).or(cold)
}

/// The happening that ends another.
fn ends(
    check: &mut Check<'_>,
    written: &file::Happening,
    from: Option<Duration>,
    what: Option<&What>,
    lasts: Duration,
) -> Option<Happening> {
    let until = written.until.as_ref()?;
    let at = values::within_run(check, "until", &written.until, lasts)?;
    if from.is_some_and(|from| at <= from) {
        check.wrong(until.span(), "until: it ends before it begins", "write a time after `at`");
    }
    let Some(What::Fault(station, fault)) = what else { return None };
    let end = match fault {
        Fault::Slow(_) => Fault::Slow(1.0),
        Fault::Capacity(_) => Fault::Capacity(1.0),
        Fault::Lose(_) => Fault::Lose(0),
        Fault::Hang(_) => Fault::Hang(false),
        Fault::Fail(_) => Fault::Fail(0),
        Fault::Cold(_) => {
            check.wrong(
                until.span(),
                "until: cold wears off by itself",
                "write cold = { factor = 2, lasts = \"15s\" }",
            );
            return None;
        }
    };
    Some(Happening { at, what: What::Fault(*station, end) })
}

const MOST_HAPPENINGS: usize = 10_000;
const ORDERS: [&str; 4] = ["park", "close", "reopen", "open"];
const KINDS: &str = "write order = \"park\" with product, event or all; signal = \"V75-1\"; stop = \"V75-1\" with to; \
                     bypass = true; observe = true; station = \"backend\" with what befalls it; or shift = \"horse-racing\" with \
                     giving and receiving";
const SHIFT: &str = "write shift = \"horse-racing\", giving = \"old\", receiving = \"new\", share = 50: stations of that \
                     product, and what the receiving one is to have of both";
/// As `sluss shift` has it.
const STEP: u32 = 5;
const EVERY: Duration = Duration::from_secs(30);
const FAULTS: &str = "write one of slow = 5, capacity = 0.4, lose = 50, hang = true, fail = 20 and \
                      cold = { factor = 3, completions = 5000 }";
/// As in the schedule file.
const BELIEVED: Duration = Duration::from_secs(120);
