//! One picture for a front page: what customers got done over time, under one other law and under ours.
//!
//! It stands on a card of its own colour, so it is as readable on a dark page as on a white one, and its lines are named
//! where they end, so it needs no legend.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::curves::{self, Curve};
use super::panels::bands;
use super::picture::{Band, PENS, SHUT, escaped};
use crate::sim::judge::words;
use crate::sim::record::{Run, Whose};
use crate::sim::rehearsal::Rehearsal;
use crate::sim::scenario::Scenario;

const SIZE: (u32, u32) = (1_600, 800);
const INK: RGBColor = RGBColor(0x1B, 0x1F, 0x24);
const SOFT: RGBColor = RGBColor(0x59, 0x62, 0x6D);
const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEA);
/// Few enough that the chance of single seconds does not hide what happens.
const POINTS: usize = 120;

/// The picture of a story's first product, from the runs that were kept: ours and the first law it was compared with.
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
    /// What is counted, in full and where there is little room.
    counted: (&'static str, &'static str),
    closed: Vec<Band>,
    ours: Told,
    other: Told,
}

/// A line and what is said where it ends.
struct Told {
    curve: Curve,
    name: String,
    total: f64,
}

impl<'a> Hero<'a> {
    fn new(scenario: &'a Scenario, ours: &Run, other: &Run) -> Self {
        let whose = Whose::Product(0);
        let crowds = scenario.crowds.iter().filter(|crowd| crowd.product.index() == 0);
        let ends_in_bets = crowds.filter_map(|crowd| crowd.journey.last()).any(|step| step.bet);
        let told = |run: &Run, name: String| {
            let curve = if ends_in_bets { curves::finished } else { curves::served };
            let seconds = scenario.measured.0.as_secs() as usize..scenario.measured.1.as_secs() as usize;
            let counts = seconds.map(|second| run.second(whose, second));
            let total =
                counts.map(|counts| f64::from(if ends_in_bets { counts.finished } else { counts.served })).sum();
            Told { curve: curve(run, whose, scenario.lasts, POINTS), name, total }
        };
        Self {
            scenario,
            product: &scenario.products[0].name,
            seed: ours.seed,
            counted: if ends_in_bets { ("bets placed", "bets placed") } else { ("requests served", "served") },
            closed: bands(ours, 0).into_iter().filter(|band| band.colour == SHUT).collect(),
            ours: told(ours, "with Sluss".into()),
            other: told(other, if other.law == "none" { "without".into() } else { format!("with {}", other.law) }),
        }
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) {
        let seconds = self.scenario.lasts.as_secs_f64();
        // A board does not count in seconds once there are minutes.
        let (unit, called) = if seconds >= 300.0 { (60.0, "min") } else { (1.0, "s") };
        let (end, top) = (seconds / unit, 1.1 * self.highest());
        let mut chart = ChartBuilder::on(area)
            .margin_right(370)
            .margin_top(170)
            .margin_bottom(70)
            .margin_left(30)
            .x_label_area_size(60)
            .y_label_area_size(100)
            .build_cartesian_2d(0.0..end, 0.0..top)
            .expect(STRING);
        let bands = self
            .closed
            .iter()
            .map(|band| Rectangle::new([(band.from / unit, 0.0), (band.to / unit, top)], SHUT.mix(0.25).filled()));
        chart.draw_series(bands).expect(STRING);
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
            .x_label_formatter(&|at| format!("{} {called}", words::number(*at)))
            .y_label_formatter(&|value| words::number(*value))
            .draw()
            .expect(STRING);
        for (told, pen, width) in [(&self.other, PENS[1], 6), (&self.ours, PENS[0], 9)] {
            for piece in &told.curve {
                let line =
                    LineSeries::new(piece.iter().map(|(at, value)| (at / unit, *value)), pen.stroke_width(width));
                chart.draw_series(line).expect(STRING);
            }
        }
        for band in &self.closed {
            let centred = styled(32, SOFT, Pos::new(HPos::Center, VPos::Top));
            let place = EmptyElement::at(((band.from + band.to) / 2.0 / unit, top));
            chart.draw_series([place + Text::new("closed", (0, 16), centred)]).expect(STRING);
        }
        let height = |told: &Told| chart.backend_coord(&(end, told.ends_at())).1;
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
            let total = format!("{} {}", words::number(told.total), self.counted.1);
            let plain = styled(32, INK, Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(total, (left, height + 24), plain)).expect(STRING);
        }
    }

    fn head(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) {
        let top = Pos::new(HPos::Left, VPos::Top);
        let Scenario { name, scale, measured: (from, to), .. } = self.scenario;
        let title = Text::new(name.clone(), (50, 36), bold(styled(58, INK, top)));
        area.draw(&title).expect(STRING);
        let below = format!("{}: {} per second", self.product, self.counted.0);
        area.draw(&Text::new(below, (50, 108), styled(34, SOFT, top))).expect(STRING);
        let [from, to] = [from, to].map(|time| words::number(time.as_secs_f64()));
        let made = format!("Simulated at a scale of {scale}, seed {}. Totals are from {from} to {to} s.", self.seed);
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
            self.counted.0,
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

impl Told {
    /// The height of the last fifth of the line: where it ends but for chance.
    fn ends_at(&self) -> f64 {
        let points: Vec<f64> = self.curve.iter().flatten().map(|point| point.1).collect();
        let last = &points[points.len() - points.len().div_ceil(5)..];
        last.iter().sum::<f64>() / last.len().max(1) as f64
    }
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
