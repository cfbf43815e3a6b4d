//! A scenario as checked: everything that must agree with something else in the file.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::file::{self, File};
use super::keys::SCENARIO_FILE;
use super::{Scenario, crowds, expected, happenings, plant, products, values};
use crate::config::check::{Check, items};
use crate::config::error::{Source, Wrong};
use crate::config::file::Opt;
use crate::config::{ConfigError, ThisMachine, shape};
use crate::sim::backend;

pub(super) fn check(text: &str, name: &Path) -> Result<Scenario, ConfigError> {
    let source = Source::new(name, text);
    let file: File = shape::read(&source, &SCENARIO_FILE).map_err(ConfigError::new)?;
    let nobody = [
        (file.station.is_empty(), "there is no station in this file"),
        (file.product.is_empty(), "there is no product in this file"),
        (file.crowd.is_empty(), "there is no crowd in this file: nobody would come"),
    ];
    if let Some((_, missing)) = nobody.iter().find(|(missing, _)| *missing) {
        let what = if text.trim().is_empty() { "the file is empty" } else { missing };
        return Err(ConfigError::new(vec![source.whole(Wrong::new(what, LEAST))]));
    }
    let mut check = Check::new(&source, &ThisMachine, &SCENARIO_FILE);
    let scenario = whole(&mut check, &file);
    scenario.filter(|_| check.problems.is_empty()).ok_or_else(|| ConfigError::new(check.problems))
}

/// Everything, in the order of the file.
fn whole(check: &mut Check<'_>, file: &File) -> Option<Scenario> {
    let top = 0..0;
    let name = values::name(check, "this scenario", &top, "name", &file.name);
    let lasts = lasts(check, &file.lasts);
    let measured = measured(check, &file.measured, lasts);
    let capacity_per_s = values::real(check, "capacity", &file.capacity, 0.001..=MOST_PER_S);
    let mut plant = plant::check(check, &file.station);
    let products::Checked { products, admission, carried } = products::check(check, file, &mut plant);
    let hints = products::hints(check, file, &admission);
    let events = happenings::events(check, &file.event, &products);
    let event_names = names(file.event.iter().map(|event| &event.get_ref().name));
    let around = crowds::Around { products: &products, events: &events, event_names: &event_names, lasts };
    let crowds = crowds::check(check, &file.crowd, &around, &mut plant);
    let crowd_names = names(file.crowd.iter().map(|crowd| &crowd.get_ref().name));
    let stations = names(file.station.iter().map(|station| &station.get_ref().name));
    let around = happenings::Around { products: &products, events: &event_names, stations: &stations, lasts };
    let happenings = happenings::check(check, &file.happening, &around);
    let capacity = file.capacity.is_some();
    let product_names = names(file.product.iter().map(|product| &product.get_ref().name));
    let around =
        expected::Around { crowd_names: &crowd_names, product_names: &product_names, lasts, measured, capacity };
    let expected = expected::check(check, &file.expect, &around);
    if check.problems.is_empty() {
        // Before, it may be a consequence of something that has been told.
        plant.nothing_unreached(check);
    }
    let text = |written: &Opt<String>| written.as_ref().map(|text| text.get_ref().trim().to_owned());
    Some(Scenario {
        name,
        about: text(&file.about).unwrap_or_default(),
        scale: text(&file.scale).unwrap_or_else(|| "1:1".to_owned()),
        lasts,
        measured,
        capacity_per_s,
        products,
        plant: backend::Settings { stations: plant.stations, routes: plant.routes },
        admission,
        carried,
        hints,
        crowds,
        events: events.into_iter().collect::<Option<_>>()?,
        happenings,
        against: items(&file.against).iter().map(|law| law.get_ref().clone()).collect(),
        expected,
    })
}

/// Names in the order of the file; an empty one where there is none, so that places stay.
fn names<'w>(written: impl Iterator<Item = &'w Opt<String>>) -> Vec<&'w str> {
    written.map(|name| name.as_ref().map_or("", |name| name.get_ref().as_str())).collect()
}

fn lasts(check: &mut Check<'_>, written: &Opt<String>) -> Duration {
    if written.is_none() {
        check.missing(0..0, "this scenario", "lasts");
    }
    // Where it is not known how long it lasts, nothing is too late.
    check.duration("lasts", written, LONGEST)
}

fn measured(check: &mut Check<'_>, written: &Opt<file::Window>, lasts: Duration) -> (Duration, Duration) {
    let Some(spanned) = written else { return (Duration::ZERO, lasts) };
    let window = spanned.get_ref();
    let from = values::within_run(check, "from", &window.from, lasts).unwrap_or(Duration::ZERO);
    let to = values::within_run(check, "to", &window.to, lasts).unwrap_or(lasts);
    if from >= to {
        let what = format!("measured: from {} to {} is no time at all", values::told(from), values::told(to));
        check.wrong(Spanned::span(spanned), what, "write measured = { from = \"30s\", to = \"120s\" }");
    }
    (from, to)
}

const LONGEST: Duration = Duration::from_secs(24 * 3600);
const MOST_PER_S: f64 = 1e9;
const LEAST: &str = "the least that can be told is
name = \"an ordinary day\"
lasts = \"60s\"
[[station]]
name = \"backend\"
seats = 8
[[product]]
name = \"betting\"
station = \"backend\"
[[crowd]]
name = \"customers\"
product = \"betting\"
rate = 40
[[crowd.step]]
name = \"bet\"
class = \"commit\"
work = \"20ms\"";
