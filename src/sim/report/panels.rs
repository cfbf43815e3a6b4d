//! Which pictures a product gets, and what is said with them.

use plotters::style::RGBColor;
use serde::Serialize;

use super::closures::shaded;
use super::curves::{self, Curve};
use super::picture::{Band, KNEE, LIMIT, Line, PENS, Picture, RAMP, RAMPING, SHUT, clock};
use crate::sim::judge::words;
use crate::sim::record::{Counts, Run, Whose};
use crate::sim::rehearsal::Rehearsal;

/// A product's part of the page.
#[derive(Debug, Serialize)]
pub(super) struct Panels {
    name: String,
    pictures: Vec<Panel>,
    /// What happened, by the numbers in the pictures.
    marks: Vec<Vec<String>>,
    shut: bool,
    ramping: bool,
}

#[derive(Debug, Serialize)]
struct Panel {
    title: &'static str,
    unit: &'static str,
    keys: Vec<Key>,
    svg: String,
}

/// A sample of a line and what it stands for.
#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) colour: String,
    pub(super) ours: bool,
}

impl Key {
    pub(super) fn new(name: &str, pen: RGBColor, ours: bool) -> Self {
        let RGBColor(red, green, blue) = pen;
        Self { name: name.to_owned(), colour: format!("#{red:02X}{green:02X}{blue:02X}"), ours }
    }
}

/// Everything about one product, by its place; `None` when no run was kept to show.
pub(super) fn panels(rehearsal: &Rehearsal, story: usize, product: usize) -> Option<Panels> {
    let first = rehearsal.shown.first()?;
    let scenario = &rehearsal.story.scenario;
    let bands = shaded(scenario, first, product);
    let (times, marks) = marks(first, product, scenario.lasts.as_secs_f64());
    let has = |colour| bands.iter().any(|band| band.colour == colour);
    let board = Board { rehearsal, id: format!("s{story}-p{product}"), product, bands: &bands, marks: &times };
    Some(Panels {
        name: scenario.products[product].name.clone(),
        pictures: board.pictures(first),
        marks,
        shut: has(SHUT),
        ramping: has(RAMPING),
    })
}

/// What all pictures of a product share.
struct Board<'a> {
    rehearsal: &'a Rehearsal,
    id: String,
    product: usize,
    bands: &'a [Band],
    marks: &'a [f64],
}

impl Board<'_> {
    fn pictures(&self, first: &Run) -> Vec<Panel> {
        let (product, whose) = (self.product, Whose::Product(self.product));
        let seconds = self.rehearsal.story.scenario.lasts.as_secs() as usize;
        let rate = |run: &Run, of: fn(&Counts) -> u32| curves::rate(run, whose, 0..seconds, curves::each(seconds), of);
        let mut pictures = vec![
            self.compared("Arrivals", "attempts per second", |run| rate(run, |counts| counts.attempts)),
            self.compared("Goodput", "served in time, per second", |run| rate(run, |counts| counts.served)),
            self.seats(first),
            self.compared("In flight", "requests at the plant", |run| {
                curves::looked(run, product, |look| Some(look.in_flight.into()))
            }),
            self.compared("Time in the queue", "milliseconds, mean of those who passed", |run| {
                curves::waited(run, whose, 0..seconds)
            }),
            self.compared("Queue", "requests waiting", |run| {
                curves::looked(run, product, |look| Some(look.waiting.into()))
            }),
        ];
        pictures.retain(|panel| !panel.svg.is_empty());
        pictures
    }

    /// The same of every law.
    fn compared(&self, title: &'static str, unit: &'static str, of: impl Fn(&Run) -> Curve) -> Panel {
        let laws = self.rehearsal.shown.iter().map(|run| {
            // By its name: a run that came down left nothing to draw, and those after it keep their pens.
            let place = self.rehearsal.story.laws.iter().position(|law| *law == run.law).unwrap_or(0);
            let width = if place == 0 { 6 } else { 3 };
            (run.law.as_str(), Line { pen: PENS[place], width, filled: false, curve: of(run) })
        });
        self.panel(title, unit, laws.collect(), Vec::new())
    }

    /// How one law uses its seats: what is in flight against its limit, its ramp and the knee that it cannot see.
    fn seats(&self, run: &Run) -> Panel {
        let product = self.product;
        let line = |pen, width, filled, curve| Line { pen, width, filled, curve };
        let lines = [
            ("limit", line(LIMIT, 4, false, curves::looked(run, product, |look| look.limit))),
            ("ramp", line(RAMP, 4, false, curves::looked(run, product, |look| look.ramp.map(f64::from)))),
            ("true knee", line(KNEE, 3, false, curves::knee(run, product))),
            ("in flight", line(PENS[0], 3, true, curves::looked(run, product, |look| Some(look.in_flight.into())))),
        ];
        let lines: Vec<_> = lines.into_iter().filter(|(_, line)| !line.curve.is_empty()).collect();
        let keys = lines.iter().map(|(name, line)| Key::new(name, line.pen, line.filled)).collect();
        self.panel("Limit and knee", "seats, ours", lines, keys)
    }

    fn panel(&self, title: &'static str, unit: &'static str, lines: Vec<(&str, Line)>, keys: Vec<Key>) -> Panel {
        let scenario = &self.rehearsal.story.scenario;
        let description = self.description(&lines);
        let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).filter(|line| !line.curve.is_empty()).collect();
        if lines.is_empty() {
            return Panel { title, unit, keys, svg: String::new() };
        }
        let picture = Picture {
            id: format!("{}-{}", self.id, title.to_lowercase().replace(' ', "-")),
            title: format!("{title} of {}: {unit}", scenario.products[self.product].name),
            description,
            seconds: scenario.lasts.as_secs_f64(),
            lines,
            bands: self.bands,
            marks: self.marks,
        };
        Panel { title, unit, keys, svg: picture.svg() }
    }

    fn description(&self, lines: &[(&str, Line)]) -> String {
        let (from, to) = self.rehearsal.story.scenario.measured;
        let window = (from.as_secs_f64(), to.as_secs_f64());
        let number = words::number;
        let told = lines.iter().filter_map(|(name, line)| {
            let (most, mean) = curves::summary(&line.curve, window)?;
            Some(format!("{name} {} on average, {} at most", number(mean), number(most)))
        });
        let told: Vec<String> = told.collect();
        format!("From {} to {} s: {}.", number(window.0), number(window.1), told.join("; "))
    }
}

/// What happened to a product, and where to put its numbers: what happens at nearly the same time shares one.
fn marks(run: &Run, product: usize, seconds: f64) -> (Vec<f64>, Vec<Vec<String>>) {
    let (mut times, mut texts): (Vec<f64>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    for mark in run.marks.iter().filter(|mark| mark.product.is_none_or(|of| of == product)) {
        let at = mark.at.as_secs_f64();
        if times.last().is_none_or(|last| at - last > seconds * CLOSE) {
            times.push(at);
            texts.push(Vec::new());
        }
        texts.last_mut().expect("a place was made above").push(format!("{}: {}", clock(at, seconds), mark.what));
    }
    (times, texts)
}

/// Marks nearer to each other than this part of the width would lie on each other.
const CLOSE: f64 = 0.035;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::record::Mark;
    use crate::sim::rehearsal::handmade::{played, rehearsal};

    #[test]
    fn what_happens_at_nearly_the_same_time_shares_a_number() {
        let mut run = played("sluss", 1);
        let mark = |at, product| Mark { at: Duration::from_secs(at), product, what: "a node is lost".into() };
        run.marks.extend([mark(92, None), mark(120, Some(1)), mark(140, Some(0))]);
        let (times, texts) = marks(&run, 0, 180.0);
        assert_eq!(times, [30.0, 90.0, 140.0]);
        assert_eq!(texts[1], ["90 s: reopen", "92 s: a node is lost"]);
    }

    #[test]
    fn a_picture_tells_those_who_do_not_see_it() {
        let panels = panels(&rehearsal(), 0, 0).unwrap();
        let goodput = &panels.pictures[1].svg;
        let told = "sluss 44 on average, 44 at most; none 3 on average, 3 at most; vegas 25 on average";
        assert!(goodput.contains("<title id=\"s0-p0-goodput-title\">Goodput of horse-racing"), "{goodput}");
        assert!(goodput.contains(told), "{goodput}");
        assert!(panels.pictures.iter().all(|picture| picture.svg.contains("role=\"img\"")));
    }
}
