//! One picture for a front page: what customers got done over time, under one other law and under ours.
//!
//! It stands on a card of its own colour, so it is as readable on a dark page as on a white one, and its lines are named
//! where they end, so it needs no legend.

use std::fmt::Write;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::closures::shaded;
use super::curves::{self, Curve};
use super::picture::{Band, PENS, SHUT, clock, escaped, short, unit};
use crate::sim::judge::words;
use crate::sim::record::{Counts, Run, Whose};
use crate::sim::rehearsal::Rehearsal;
use crate::sim::scenario::Scenario;

const SIZE: (u32, u32) = (1_600, 800);
const INK: RGBColor = RGBColor(0x1B, 0x1F, 0x24);
const SOFT: RGBColor = RGBColor(0x59, 0x62, 0x6D);
const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEA);
/// Few enough points, each of enough seconds, that the chance of single seconds does not hide what happens.
const POINTS: usize = 100;
const LEAST_SECONDS: usize = 2;

/// The picture of a story's first product around its first closure, from the runs that were kept: ours and the first law it was compared with.
/// `None` when there is nothing to compare.
pub fn hero(rehearsal: &Rehearsal) -> Option<String> {
    let [ours, other, ..] = &rehearsal.shown[..] else { return None };
    let hero = Hero::new(&rehearsal.story.scenario, ours, other);
    let mut drawn = String::new();
    hero.draw(&SVGBackend::with_string(&mut drawn, SIZE).into_drawing_area());
    Some(hero.on_a_card(&drawn))
}

struct Hero<'a> {
    scenario: &'a Scenario,
    product: &'a str,
    seed: u64,
    /// What is counted.
    counted: Counted,
    closed: Option<Band>,
    /// What is seen of the run, in seconds.
    seen: Range<usize>,
    ours: Told,
    other: Told,
}

/// What a line counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Journeys finished, where the last step is a bet.
    Bets,
    /// Requests served in time.
    Requests,
}

/// A line and what is said where it ends.
struct Told {
    curve: Curve,
    name: String,
    total: f64,
}

impl<'a> Hero<'a> {
    fn new(scenario: &'a Scenario, ours: &Run, other: &Run) -> Self {
        let crowds = scenario.crowds.iter().filter(|crowd| crowd.product.index() == 0);
        let ends_in_bets = crowds.filter_map(|crowd| crowd.journey.last()).any(|step| step.bet);
        let counted = if ends_in_bets { Counted::Bets } else { Counted::Requests };
        let of = |counts: &Counts| counted.of(counts);
        let closed = shaded(scenario, ours, 0).into_iter().find(|band| band.colour == SHUT);
        let (seen, each, counted_from) = around(scenario, closed);
        let told = |run: &Run, name: String| {
            let curve = curves::rate(run, Whose::Product(0), seen.clone(), each, of);
            let counts = (counted_from..seen.end).map(|second| of(&run.second(Whose::Product(0), second)));
            Told { curve, name, total: counts.map(f64::from).sum() }
        };
        Self {
            scenario,
            product: &scenario.products[0].name,
            seed: ours.seed,
            counted,
            closed,
            ours: told(ours, "with Sluss".into()),
            other: told(other, if other.law == "none" { "without".into() } else { format!("with {}", other.law) }),
            seen,
        }
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) {
        let seconds = self.scenario.lasts.as_secs_f64();
        let unit = unit(seconds);
        let (from, to) = (self.seen.start as f64 / unit, self.seen.end as f64 / unit);
        let top = 1.1 * self.highest();
        let mut chart = ChartBuilder::on(area)
            .margin_right(370)
            .margin_top(170)
            .margin_bottom(70)
            .margin_left(30)
            .x_label_area_size(60)
            .y_label_area_size(100)
            .build_cartesian_2d(from..to, 0.0..top)
            .expect(STRING);
        if let Some(closed) = self.closed {
            let (from, to) = (closed.from / unit, closed.to / unit);
            let behind = Rectangle::new([(from, 0.0), (to, top)], SHUT.mix(0.25).filled());
            chart.draw_series([behind]).expect(STRING);
            let centred = styled(32, SOFT, Pos::new(HPos::Center, VPos::Top));
            let place = EmptyElement::at(((from + to) / 2.0, top));
            chart.draw_series([place + Text::new("closed", (0, 16), centred)]).expect(STRING);
        }
        let text = |at| styled(32, SOFT, at);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(SOFT.stroke_width(2))
            .x_labels(9)
            .y_labels(6)
            .x_label_style(text(Pos::new(HPos::Center, VPos::Top)))
            .y_label_style(text(Pos::new(HPos::Right, VPos::Center)))
            .x_label_formatter(&|at| clock(at * unit, seconds))
            .y_label_formatter(&|value| short(*value))
            .draw()
            .expect(STRING);
        for (told, pen, width) in [(&self.other, PENS[1], 6), (&self.ours, PENS[0], 9)] {
            for piece in &told.curve {
                let line =
                    LineSeries::new(piece.iter().map(|(at, value)| (at / unit, *value)), pen.stroke_width(width));
                chart.draw_series(line).expect(STRING);
            }
        }
        let height = |told: &Told| chart.backend_coord(&(to, told.ends_at())).1;
        self.name(area, height(&self.ours), height(&self.other));
        self.head(area);
    }

    fn highest(&self) -> f64 {
        let points = [&self.ours, &self.other].into_iter().flat_map(|told| told.curve.iter().flatten());
        points.map(|point| point.1).fold(1.0, f64::max)
    }

    /// Names the lines at their ends, as far from each other as two names need.
    fn name(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, ours: i32, other: i32) {
        let (upper, lower) = (ours.min(other), ours.max(other));
        let apart = (NAME_HEIGHT - (lower - upper)).max(0);
        let (upper, lower) = (upper - apart / 2, lower + apart - apart / 2);
        // Not so low that the second line of a name leaves the picture.
        let lift = (lower - LOWEST_NAME).max(0);
        let (upper, lower) = (upper - lift, lower - lift);
        let (ours, other) = if ours <= other { (upper, lower) } else { (lower, upper) };
        for (told, pen, height) in [(&self.ours, PENS[0], ours), (&self.other, PENS[1], other)] {
            let left = SIZE.0 as i32 - 355;
            let name = bold(styled(44, pen, Pos::new(HPos::Left, VPos::Center)));
            area.draw(&Text::new(told.name.clone(), (left, height - 20), name)).expect(STRING);
            let total = self.counted.told(told.total);
            let plain = styled(32, INK, Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(total, (left, height + 24), plain)).expect(STRING);
        }
    }

    fn head(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) {
        let top = Pos::new(HPos::Left, VPos::Top);
        let Scenario { name, scale, .. } = self.scenario;
        let title = Text::new(name.clone(), (50, 36), bold(styled(58, INK, top)));
        area.draw(&title).expect(STRING);
        let below = format!("{}: {} per second", self.product, self.counted.name());
        area.draw(&Text::new(below, (50, 108), styled(34, SOFT, top))).expect(STRING);
        let totals = if self.closed.is_some() { "Totals are from the reopening on. " } else { "" };
        let made = format!("{totals}Simulated at a scale of {scale}, with seed {}.", self.seed);
        area.draw(&Text::new(made, (50, SIZE.1 as i32 - 50), styled(26, SOFT, top))).expect(STRING);
    }

    fn on_a_card(&self, drawn: &str) -> String {
        let body = drawn.split_once('>').map_or("", |(_, body)| body);
        let (width, height) = SIZE;
        let (ours, other) = (&self.ours, &self.other);
        let number = words::number;
        let mut svg = String::new();
        write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"title description\">\n<title id=\"title\">{}</title>\n\
             <desc id=\"description\">{}: {} {} {}, {} {}.</desc>\n<style>text {{ font-family: system-ui, -apple-system, \
             'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }} polyline {{ stroke-linejoin: round; \
             stroke-linecap: round; }}</style>\n<rect x=\"2\" y=\"2\" width=\"{}\" height=\"{}\" rx=\"24\" \
             fill=\"#FFFFFF\" stroke=\"#D0D4D9\" stroke-width=\"3\"/>{body}",
            escaped(&self.scenario.name),
            escaped(self.product),
            self.counted.name(),
            number(ours.total),
            ours.name,
            number(other.total),
            escaped(&other.name),
            width - 4,
            height - 4,
        )
        .expect(STRING);
        svg
    }
}

impl Counted {
    fn of(self, counts: &Counts) -> u32 {
        match self {
            Counted::Bets => counts.finished,
            Counted::Requests => counts.served,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Counted::Bets => "bets placed",
            Counted::Requests => "requests served",
        }
    }

    /// So many, in few words.
    fn told(self, total: f64) -> String {
        let number = words::number(total);
        match self {
            Counted::Bets if total == 1.0 => "1 bet placed".into(),
            Counted::Bets => format!("{number} bets placed"),
            Counted::Requests => format!("{number} served"),
        }
    }
}

impl Told {
    /// The height of the last fifth of the line: where it ends but for chance.
    fn ends_at(&self) -> f64 {
        let points: Vec<f64> = self.curve.iter().flatten().map(|point| point.1).collect();
        let last = &points[points.len() - points.len().div_ceil(5)..];
        last.iter().sum::<f64>() / last.len().max(1) as f64
    }
}

/// The seconds that are seen, how many of them make a point, and from which on is counted: a closure with as much before it
/// and four times as much after it, or the whole run. No point is of seconds before and after the reopening.
fn around(scenario: &Scenario, closed: Option<Band>) -> (Range<usize>, usize, usize) {
    let lasts = scenario.lasts.as_secs_f64();
    let each = |seen: &Range<usize>| seen.len().div_ceil(POINTS).max(LEAST_SECONDS);
    let Some(Band { from, to, .. }) = closed else {
        let seen = 0..lasts as usize;
        return (seen.clone(), each(&seen), 0);
    };
    let long = (to - from).max(30.0);
    let reopened = to as usize;
    let mut seen = (from - long).max(0.0) as usize..(to + 4.0 * long).min(lasts) as usize;
    let each = each(&seen);
    seen.start += (reopened - seen.start) % each;
    (seen, each, reopened)
}

const NAME_HEIGHT: i32 = 110;
const LOWEST_NAME: i32 = SIZE.1 as i32 - 160;

fn styled(size: u32, colour: RGBColor, pos: Pos) -> TextStyle<'static> {
    // Plotters writes font sizes that are 1.24 times smaller than asked for.
    let font = ("sans-serif", f64::from(size) * 1.24).into_font();
    TextStyle { font, color: colour.to_backend_color(), pos }
}

fn bold(text: TextStyle<'_>) -> TextStyle<'_> {
    TextStyle { font: text.font.style(FontStyle::Bold), ..text }
}

const STRING: &str = "a picture is drawn into a string, which takes everything";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rehearsal::handmade::story;

    #[test]
    fn a_closure_is_seen_with_what_was_before_and_after_it() {
        let scenario = story().scenario;
        let closed = |from, to| Some(Band { from, to, colour: SHUT });
        assert_eq!(around(&scenario, None), (0..180, 2, 0));
        assert_eq!(around(&scenario, closed(60.0, 91.0)), (29..180, 2, 91));
        assert_eq!(around(&scenario, closed(10.0, 31.0)), (1..151, 2, 31), "no point is of 30 and 31 s");
    }
}
