//! What stands behind the proxy: stations, how they work, and the ways through them.

use toml::Spanned;

use super::{file, values};
use crate::config::check::{Check, Span};
use crate::config::file::Opt;
use crate::config::names;
use crate::sim::backend::{Bend, Cold, Eases, Engine, Leg, Route, Spread, Station};

/// The plant as far as it is read; steps add ways through it.
pub(super) struct Plant<'f> {
    pub(super) stations: Vec<Station>,
    pub(super) routes: Vec<Route>,
    /// Where each station stands in the file.
    written: &'f [Spanned<file::Station>],
    reached: Vec<bool>,
}

impl Plant<'_> {
    /// The index of the station that is named, which counts as reached.
    pub(super) fn station(&mut self, check: &mut Check<'_>, written: &Spanned<String>) -> Option<usize> {
        let names: Vec<&str> = self.stations.iter().map(|station| station.name.as_str()).collect();
        let index = values::index(check, "station", written, &names)?;
        self.reached[index] = true;
        Some(index)
    }

    /// The way with these legs.
    pub(super) fn route(&mut self, legs: Vec<Leg>) -> usize {
        let route = Route { legs };
        let known = self.routes.iter().position(|known| *known == route);
        known.unwrap_or_else(|| {
            self.routes.push(route);
            self.routes.len() - 1
        })
    }

    /// A station that nothing reaches is most likely one that something was meant to reach.
    pub(super) fn nothing_unreached(&self, check: &mut Check<'_>) {
        let unreached = self.reached.iter().zip(self.written).filter(|(reached, _)| !**reached);
        for (_, written) in unreached {
            let at = written.get_ref().name.as_ref().map_or(written.span(), Spanned::span);
            check.wrong(at, "no product and no step works at this station", "name it in one, or take it out");
        }
    }
}

pub(super) fn check<'f>(check: &mut Check<'_>, written: &'f [Spanned<file::Station>]) -> Plant<'f> {
    values::unique(check, "station", written.iter().map(|station| &station.get_ref().name));
    let stations: Vec<Station> = written.iter().map(|written| station(check, written)).collect();
    Plant { reached: vec![false; stations.len()], routes: Vec::new(), stations, written }
}

fn station(check: &mut Check<'_>, spanned: &Spanned<file::Station>) -> Station {
    let (written, at) = (spanned.get_ref(), spanned.span());
    let bound = |number: Option<u32>| number.unwrap_or(UNBOUNDED) as usize;
    Station {
        name: names::check(check, "station", &at, &written.name),
        engine: engine(check, &at, written),
        threads: bound(values::whole(check, "threads", &written.threads, 1..=MOST_HELD)),
        backlog: bound(values::whole(check, "backlog", &written.backlog, 0..=MOST_HELD)),
        cold: cold(check, &written.cold),
        outlives_caller: written.outlives_caller.as_ref().is_none_or(|written| *written.get_ref()),
    }
}

fn engine(check: &mut Check<'_>, at: &Span, written: &file::Station) -> Engine {
    let at = written.name.as_ref().map_or(at.clone(), Spanned::span);
    match (&written.knee, &written.seats) {
        (Some(_), None) => sharing(check, written),
        (None, Some(_)) => seats(check, written),
        (Some(_), Some(seats)) => {
            let what = "a station has a knee or seats: with both, nobody knows how it works";
            check.wrong(seats.span(), what, ENGINE);
            NO_ENGINE
        }
        (None, None) => {
            check.wrong(at, "this station has neither a knee nor seats", ENGINE);
            NO_ENGINE
        }
    }
}

fn sharing(check: &mut Check<'_>, written: &file::Station) -> Engine {
    if let Some(bend) = &written.bend {
        check.wrong(bend.span(), "`bend` says how seats slow; this station has a knee", "write contention = 0.1");
    }
    let knee = values::real(check, "knee", &written.knee, 1.0..=MOST_KNEE).unwrap_or(1.0);
    let contention = values::real(check, "contention", &written.contention, 0.0..=10.0).unwrap_or(0.0);
    Engine::Sharing { knee, contention }
}

fn seats(check: &mut Check<'_>, written: &file::Station) -> Engine {
    if let Some(contention) = &written.contention {
        let what = "`contention` says how a knee slows; this station has seats";
        check.wrong(contention.span(), what, "write bend = { easy = 100, piled = 1000 }");
    }
    let seats = values::whole(check, "seats", &written.seats, 1..=MOST_HELD).unwrap_or(1) as usize;
    let never = Bend { easy: UNBOUNDED as usize - 1, piled: UNBOUNDED as usize };
    Engine::Seats { seats, bend: written.bend.as_ref().map_or(never, |bend| self::bend(check, bend)) }
}

fn bend(check: &mut Check<'_>, spanned: &Spanned<file::Bend>) -> Bend {
    let written = spanned.get_ref();
    let easy = values::whole(check, "easy", &written.easy, 0..=MOST_HELD);
    let piled = values::whole(check, "piled", &written.piled, 1..=MOST_HELD);
    if written.easy.is_none() || written.piled.is_none() {
        check.wrong(spanned.span(), "a bend has both ends", BEND);
    }
    let (easy, piled) = (easy.unwrap_or(0) as usize, piled.unwrap_or(u32::MAX) as usize);
    if easy >= piled {
        check.wrong(spanned.span(), format!("it bends between {easy} and {piled}, which is nowhere"), BEND);
    }
    Bend { easy, piled }
}

pub(super) fn cold(check: &mut Check<'_>, written: &Opt<file::Cold>) -> Option<Cold> {
    let spanned = written.as_ref()?;
    let written = spanned.get_ref();
    let factor = values::real(check, "factor", &written.factor, 1.0..=MOST_FACTOR);
    if written.factor.is_none() {
        check.wrong(spanned.span(), "how many times as long things take is not said", COLD);
    }
    let eases = match (&written.completions, &written.lasts) {
        (Some(_), None) => values::real(check, "completions", &written.completions, 1.0..=1e9).map(Eases::Completions),
        (None, Some(_)) => check.given_duration("lasts", &written.lasts).map(Eases::After),
        _ => {
            check.wrong(spanned.span(), "it gets warm with its work or after a time: one of the two", COLD);
            None
        }
    };
    Some(Cold { factor: factor?, eases: eases? })
}

/// Work at a station, as a step writes it.
pub(super) fn leg(check: &mut Check<'_>, station: usize, work: &Opt<String>, spread: &Opt<String>) -> Option<Leg> {
    const SPREADS: [Spread; 3] = [Spread::Exponential, Spread::Constant, Spread::Floored];
    let words = ["exponential", "constant", "floored"];
    let spread = spread.as_ref().and_then(|word| check.one_of("spread", word, &words));
    let spread = spread.map_or_else(Spread::default, |index| SPREADS[index]);
    values::work(check, "work", work).map(|work| Leg { station, work, spread })
}

const ENGINE: &str = "write knee = 20 for a backend that works on everything at once, or seats = 8 for one that \
                      works on so many at a time";
const BEND: &str = "write bend = { easy = 100, piled = 1000 }: from so many waiting it slows, at so many it takes \
                    four times as long";
const COLD: &str = "write { factor = 3, completions = 5000 } or { factor = 2, lasts = \"15s\" }";
/// Stands where none was written; the problem has been told.
const NO_ENGINE: Engine = Engine::Sharing { knee: 1.0, contention: 0.0 };
/// More than there will ever be, and far from where sums overflow.
const UNBOUNDED: u32 = u32::MAX;
const MOST_HELD: u32 = 10_000_000;
pub(super) const MOST_KNEE: f64 = 1_000_000.0;
pub(super) const MOST_FACTOR: f64 = 1000.0;
