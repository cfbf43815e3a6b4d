//! Crowds: who comes, when, and what they do.

use std::time::Duration;

use toml::Spanned;

use super::file::{self, RealOr};
use super::plant::Plant;
use super::{manners, plant, products, values};
use crate::admission::{Class, ProductId};
use crate::config::check::{Check, Span, items};
use crate::config::file::Opt;
use crate::sim::scenario::{Coming, Crowd, Event, Product, Step};

/// What crowds may name, and how long they may come.
pub(super) struct Around<'a> {
    pub(super) products: &'a [Product],
    pub(super) events: &'a [Option<Event>],
    pub(super) event_names: &'a [&'a str],
    pub(super) lasts: Duration,
}

pub(super) fn check(
    check: &mut Check<'_>,
    written: &[Spanned<file::Crowd>],
    around: &Around<'_>,
    plant: &mut Plant<'_>,
) -> Vec<Crowd> {
    if let Some(first) = written.get(MOST_CROWDS) {
        let what = format!("there are {} crowds", written.len());
        check.wrong(first.span(), what, format!("a scenario takes at most {MOST_CROWDS}"));
    }
    values::unique(check, "crowd", written.iter().map(|crowd| &crowd.get_ref().name));
    let mut customers = 0.0;
    let mut crowds = Vec::new();
    for spanned in written.iter().take(MOST_CROWDS) {
        let Some(crowd) = crowd(check, spanned, around, plant) else { continue };
        let before = customers;
        customers += crowd.coming.expected(around.lasts);
        if before <= MOST_CUSTOMERS && customers > MOST_CUSTOMERS {
            let at = place(spanned);
            let what = format!("with these, {customers:.0} customers come");
            check.wrong(at, what, format!("at most {MOST_CUSTOMERS} may: tell the story at a smaller scale"));
        }
        crowds.push(crowd);
    }
    crowds
}

/// Where it is said how many come.
fn place(spanned: &Spanned<file::Crowd>) -> Span {
    let written = spanned.get_ref();
    let rate = written.rate.as_ref().map(Spanned::span);
    rate.or(written.count.as_ref().map(Spanned::span)).unwrap_or(spanned.span())
}

fn crowd(
    check: &mut Check<'_>,
    spanned: &Spanned<file::Crowd>,
    around: &Around<'_>,
    plant: &mut Plant<'_>,
) -> Option<Crowd> {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = values::name(check, "this crowd", &at, "crowd.name", &written.name);
    if written.product.is_none() {
        check.missing(at.clone(), "this crowd", "crowd.product");
    }
    let product = written.product.as_ref().and_then(|product| products::named(check, product, around.products));
    let coming = coming(check, spanned, around.lasts);
    if written.step.is_empty() {
        let help = "give it at least one: [[crowd.step]] name = \"bet\", class = \"commit\", work = \"8ms\"";
        check.wrong(at, "this crowd has no step: its customers would come for nothing", help);
    } else if let Some(first) = written.step.get(MOST_STEPS) {
        check.wrong(first.span(), "this is one step too many", format!("a journey has at most {MOST_STEPS}"));
    }
    let steps: Vec<Option<Step>> =
        written.step.iter().take(MOST_STEPS).map(|written| step(check, written, product, around, plant)).collect();
    let think = written.think.as_ref().map(|think| manners::pause(check, "think", think));
    let crowd = Crowd {
        name,
        endless: written.endless.as_ref().is_some_and(|written| *written.get_ref()),
        think: think.unwrap_or(manners::THINK),
        patience: manners::patience(check, &written.patience),
        timeout: check.duration("timeout", &written.timeout, TIMEOUT),
        manners: manners::check(check, &written.manners),
        two_devices: values::per_cent(check, "two_devices", &written.two_devices),
        no_shows: values::per_cent(check, "no_shows", &written.no_shows),
        worth: check.given_duration("worth", &written.worth),
        product: product?,
        coming: coming?,
        journey: steps.into_iter().collect::<Option<_>>()?,
    };
    Some(crowd)
}

fn coming(check: &mut Check<'_>, spanned: &Spanned<file::Crowd>, lasts: Duration) -> Option<Coming> {
    let written = spanned.get_ref();
    match (&written.rate, &written.count) {
        (Some(rate), None) => {
            for (key, at) in [("from", span_of(&written.from)), ("within", written.within.as_ref().map(Spanned::span))]
            {
                if let Some(at) = at {
                    let what = format!("`{key}` belongs to `count`; this crowd comes at a rate");
                    check.wrong(at, what, "write when the rate changes: rate = [{ at = \"30s\", per_s = 40 }]");
                }
            }
            self::rate(check, rate, &written.linear, lasts)
        }
        (None, Some(count)) => {
            if let Some(linear) = &written.linear {
                check.wrong(linear.span(), "`linear` belongs to `rate`; this crowd is counted", "take it out");
            }
            self::count(check, spanned, count.span(), lasts)
        }
        (Some(_), Some(count)) => {
            check.wrong(count.span(), "a crowd has a rate or a count: with both, nobody knows how many come", COMING);
            None
        }
        (None, None) => {
            let at = written.name.as_ref().map_or(spanned.span(), Spanned::span);
            check.wrong(at, "it is not said how many come and when", COMING);
            None
        }
    }
}

fn span_of<T>(written: &Opt<T>) -> Option<Span> {
    written.as_ref().map(Spanned::span)
}

fn rate(
    check: &mut Check<'_>,
    written: &Spanned<RealOr<file::RatePoint>>,
    linear: &Opt<bool>,
    lasts: Duration,
) -> Option<Coming> {
    let points = match written.get_ref() {
        RealOr::Real(per_s) => {
            let per_s = Some(Spanned::new(written.span(), *per_s));
            vec![(Duration::ZERO, values::real(check, "rate", &per_s, 0.0..=MOST_PER_S)?)]
        }
        RealOr::List(points) => self::points(check, points, lasts)?,
    };
    if points.iter().all(|(_, per_s)| *per_s == 0.0) {
        check.wrong(written.span(), "rate: nobody comes", "write a rate above 0, or take the crowd out");
        return None;
    }
    Some(Coming::Rate { points, linear: linear.as_ref().is_some_and(|linear| *linear.get_ref()) })
}

fn points(
    check: &mut Check<'_>,
    written: &[Spanned<file::RatePoint>],
    lasts: Duration,
) -> Option<Vec<(Duration, f64)>> {
    let mut points: Vec<Option<(Duration, f64)>> = Vec::new();
    let mut before = None;
    for spanned in written {
        let point = spanned.get_ref();
        if point.at.is_none() || point.per_s.is_none() {
            check.wrong(spanned.span(), "a point has a time and a rate", POINTS);
        }
        let at = values::within_run(check, "at", &point.at, lasts);
        let per_s = values::real(check, "per_s", &point.per_s, 0.0..=MOST_PER_S);
        if at.is_some() && at <= before {
            check.wrong(spanned.span(), "rate: this point is not later than the one before", "put them in order");
        }
        before = at.or(before);
        points.push(at.zip(per_s));
    }
    points.into_iter().collect()
}

fn count(check: &mut Check<'_>, spanned: &Spanned<file::Crowd>, at: Span, lasts: Duration) -> Option<Coming> {
    let written = spanned.get_ref();
    let count = check.given_count("count", &written.count, MOST_CUSTOMERS as u32);
    let from = match &written.from {
        Some(_) => values::within_run(check, "from", &written.from, lasts),
        None => Some(Duration::ZERO),
    };
    let Some(within) = &written.within else {
        let help = "write within = [{ over = \"60s\" }]";
        check.wrong(at, "it is not said over which time they come", help);
        return None;
    };
    let parts = check.list("crowd.within", &written.within);
    let shares: Vec<&Opt<i64>> = parts.iter().map(|part| &part.get_ref().share).collect();
    let shares = values::shares(check, "within", within.span(), &shares);
    let mut over = Vec::new();
    for part in items(&written.within) {
        if part.get_ref().over.is_none() {
            check.missing(part.span(), "this part", "crowd.within.over");
        }
        over.push(check.given_duration("over", &part.get_ref().over));
    }
    let over: Vec<Duration> = over.into_iter().collect::<Option<_>>()?;
    let (count, from) = (count?, from?);
    if over.iter().any(|over| from + *over > lasts) {
        let what = format!("within: some come after the end: the run lasts {}", values::told(lasts));
        check.wrong(within.span(), what, "let them come earlier, or let the run last longer");
    }
    Some(Coming::Count { count: count.get(), from, within: shares?.into_iter().zip(over).collect() })
}

fn step(
    check: &mut Check<'_>,
    spanned: &Spanned<file::Step>,
    product: Option<ProductId>,
    around: &Around<'_>,
    plant: &mut Plant<'_>,
) -> Option<Step> {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let name = values::name(check, "this step", &at, "crowd.step.name", &written.name);
    if written.class.is_none() {
        check.missing(at.clone(), "this step", "crowd.step.class");
    }
    if written.work.is_none() {
        check.missing(at, "this step", "crowd.step.work");
    }
    let class = written.class.as_ref().and_then(|class| check.class(class));
    let station = product.map_or(0, |product| around.products[product.index()].station);
    let leg = plant::leg(check, station, &written.work, &written.spread);
    let behind = written.behind.as_ref().map(|behind| behind_leg(check, behind, station, plant));
    let event = written.event.as_ref().map(|event| event_of(check, event, product, around));
    let method = written.method.as_ref().and_then(|method| check.one_of("method", method, &METHODS));
    let (class, leg) = (class?, leg?);
    let reads = matches!(class, Class::Read | Class::Background);
    let get = method.map_or(reads, |method| METHODS[method] == "GET");
    let behind = behind.map_or(Some(Vec::new()), |leg| leg.map(|leg| vec![leg]))?;
    Some(Step {
        name,
        class,
        route: plant.route([vec![leg], behind].concat()),
        event: event.map_or(Some(None), |event| event.map(Some))?,
        carried: !get,
        bet: written.bet.as_ref().map_or(class == Class::Commit, |bet| *bet.get_ref()),
    })
}

fn behind_leg(
    check: &mut Check<'_>,
    spanned: &Spanned<file::Behind>,
    first: usize,
    plant: &mut Plant<'_>,
) -> Option<crate::sim::backend::Leg> {
    let written = spanned.get_ref();
    let Some(station) = &written.station else {
        check.missing(spanned.span(), "what is behind", "crowd.step.behind.station");
        return None;
    };
    if written.work.is_none() {
        check.missing(spanned.span(), "what is behind", "crowd.step.behind.work");
    }
    let behind = plant.station(check, station)?;
    if behind == first {
        let what = format!("{} is where the product's requests are already", station.get_ref());
        check.wrong(station.span(), what, "name the station behind it");
    }
    plant::leg(check, behind, &written.work, &written.spread)
}

fn event_of(
    check: &mut Check<'_>,
    written: &Spanned<String>,
    product: Option<ProductId>,
    around: &Around<'_>,
) -> Option<usize> {
    let index = values::index(check, "event", written, around.event_names)?;
    let other = around.events[index].as_ref().filter(|event| product.is_some_and(|product| event.product != product));
    if let Some(event) = other {
        let theirs = &around.products[event.product.index()].name;
        let what = format!("`{}` is an event of `{theirs}`, not of this crowd's product", event.name);
        check.wrong(written.span(), what, "name an event of the product that the crowd comes for");
    }
    Some(index)
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const COMING: &str = "write rate = 40 for customers per second, or count = 20000 and within = [{ over = \"60s\" }]";
const POINTS: &str = "write rate = [{ at = \"0s\", per_s = 600 }, { at = \"30s\", per_s = 2000 }]";
/// As those of `docs/decisions/0004-the-plant.md`.
const TIMEOUT: Duration = Duration::from_secs(5);
const MOST_CROWDS: usize = 100;
const MOST_STEPS: usize = 100;
const MOST_PER_S: f64 = 1_000_000.0;
/// What fits in memory with their records, with room.
const MOST_CUSTOMERS: f64 = 5_000_000.0;
