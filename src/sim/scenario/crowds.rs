//! Crowds: who comes, and what they do.

use std::time::Duration;

use toml::Spanned;

use super::file;
use super::plant::Plant;
use super::{coming, manners, plant, products, values};
use crate::admission::reads::ObjectKey;
use crate::admission::{Class, ProductId};
use crate::config;
use crate::config::check::{Check, Span};
use crate::sim::backend::Leg;
use crate::sim::scenario::{Crowd, Event, Product, Step};

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
    let coming = coming::check(check, spanned, around.lasts);
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
    let seats = config::products::seats(check, &written.seats);
    let station = product.map_or(0, |product| around.products[product.index()].station);
    let leg = plant::leg(check, station, &written.work, &written.spread);
    let sites: Vec<usize> =
        product.map_or(Vec::new(), |id| around.products[id.index()].sites.iter().map(|site| site.station).collect());
    let behind = written.behind.as_ref().map(|behind| behind_leg(check, behind, station, plant));
    let event = written.event.as_ref().map(|event| event_of(check, event, product, around));
    if let Some(stops) = written.stops.as_ref().filter(|_| written.event.is_some()) {
        let help = "leave out one of the two: an event that is named has a stop of its own";
        check.wrong(stops.span(), "stops: this step names its event already", help);
    }
    let stops = written.stops.as_ref().map(|stops| manners::pause(check, "stops", stops));
    let object = written.object.as_ref().and_then(|object| object_of(check, object, class, product, around));
    let method = written.method.as_ref().and_then(|method| check.one_of("method", method, &METHODS));
    let (class, leg) = (class?, leg?);
    let reads = matches!(class, Class::Read | Class::Background);
    let get = method.map_or(reads, |method| METHODS[method] == "GET");
    let behind = behind.map_or(Some(Vec::new()), |leg| leg.map(|leg| vec![leg]))?;
    Some(Step {
        name,
        class,
        seats,
        route: plant.route([vec![leg], behind.clone()].concat()),
        routes: sites
            .iter()
            .map(|at| plant.route([vec![Leg { station: *at, ..leg }], behind.clone()].concat()))
            .collect(),
        event: event.map_or(Some(None), |event| event.map(Some))?,
        stops,
        object,
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

/// The same name is the same object, for all crowds of a product.
fn object_of(
    check: &mut Check<'_>,
    written: &Spanned<String>,
    class: Option<Class>,
    product: Option<ProductId>,
    around: &Around<'_>,
) -> Option<ObjectKey> {
    let product = product?;
    let known = &around.products[product.index()];
    if known.cache.is_none() {
        let what = format!("`{}` keeps no answers", known.name);
        check.wrong(written.span(), what, "give it a cache = { fresh = \"1s\", stale = \"30s\" }");
    } else if class.is_some_and(|class| class != Class::Read) {
        check.wrong(written.span(), "only `read` is answered from memory", "write class = \"read\"");
    }
    // FNV-1a: the same in every run, unlike what the proxy makes of a name.
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = [&product.0.to_le_bytes(), written.get_ref().as_bytes()].concat();
    Some(ObjectKey(bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)))
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
/// As those of `docs/decisions/0004-the-plant.md`.
const TIMEOUT: Duration = Duration::from_secs(5);
const MOST_CROWDS: usize = 100;
const MOST_STEPS: usize = 100;
/// What fits in memory with their records, with room.
pub(super) const MOST_CUSTOMERS: f64 = 5_000_000.0;
