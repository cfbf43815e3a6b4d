//! One picture: axes, bands, marks and lines, as SVG.
//!
//! Colours here are names more than colours: the page's stylesheet finds lines by them and gives each its own for light,
//! for dark and for paper, and its dashes, so that nobody has to tell colours apart. What is drawn is right without a
//! stylesheet too.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::curves::Curve;
use crate::sim::judge::words;
use crate::sim::rehearsal::MOST_DRAWN;

/// Lines of laws: ours first. After Okabe and Ito, whose eight colours all can tell apart; two more for long comparisons.
pub(super) const PENS: [RGBColor; MOST_DRAWN] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x80, 0x80, 0x80),
    RGBColor(0x8B, 0x5A, 0x2B),
    RGBColor(0x6A, 0x3D, 0x9A),
    RGBColor(0xF0, 0xE4, 0x42),
];
/// Where the knee truly is.
pub(super) const KNEE: RGBColor = RGBColor(0x11, 0x11, 0x11);
/// A ramp's ceiling.
pub(super) const RAMP: RGBColor = RGBColor(0x00, 0x9E, 0x74);
/// A limit.
pub(super) const LIMIT: RGBColor = RGBColor(0x00, 0x72, 0xB3);
/// Behind the lines while a product is shut.
pub(super) const SHUT: RGBColor = RGBColor(0x99, 0x99, 0x98);
/// Behind the lines while it ramps.
pub(super) const RAMPING: RGBColor = RGBColor(0x56, 0xB4, 0xE8);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
const PAPER: RGBColor = RGBColor(0xFE, 0xFE, 0xFE);

const SIZE: (u32, u32) = (1_200, 460);
const TEXT: u32 = 32;

/// A picture.
pub(super) struct Picture<'a> {
    /// Unlike every other's on the page.
    pub(super) id: String,
    /// What it shows.
    pub(super) title: String,
    /// The same for those who do not see it.
    pub(super) description: String,
    /// How long the run was.
    pub(super) seconds: f64,
    /// Its lines, the most important first.
    pub(super) lines: Vec<Line>,
    /// What lies behind them.
    pub(super) bands: &'a [Band],
    /// What happened.
    pub(super) marks: &'a [f64],
}

/// A line.
pub(super) struct Line {
    /// Its colour, or rather its name.
    pub(super) pen: RGBColor,
    /// How thick.
    pub(super) width: u32,
    /// Whether what lies below it is shaded.
    pub(super) filled: bool,
    /// Where it goes.
    pub(super) curve: Curve,
}

/// Some time during which something was so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    /// From when, in seconds.
    pub(super) from: f64,
    /// To when.
    pub(super) to: f64,
    /// Its colour, or rather its name.
    pub(super) colour: RGBColor,
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Picture<'_> {
    /// As an element to put into a page.
    pub(super) fn svg(&self) -> String {
        let mut drawn = String::new();
        self.draw(&SVGBackend::with_string(&mut drawn, SIZE).into_drawing_area());
        self.with_words(&drawn)
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) {
        let points = self.lines.iter().flat_map(|line| line.curve.iter().flatten());
        let top = ceiling(points.map(|point| point.1).fold(0.0, f64::max));
        let unit = unit(self.seconds);
        let mut chart = ChartBuilder::on(area)
            .margin_right(30)
            .margin_top(60)
            .x_label_area_size(56)
            .y_label_area_size(120)
            .build_cartesian_2d(0.0..self.seconds / unit, 0.0..top)
            .expect(STRING);
        let bands = self.bands.iter().map(|band| {
            Rectangle::new([(band.from / unit, 0.0), (band.to / unit, top)], band.colour.mix(0.22).filled())
        });
        chart.draw_series(bands).expect(STRING);
        axes(&mut chart, self.seconds);
        for line in self.lines.iter().rev() {
            line.draw(&mut chart, unit);
        }
        for (nth, at) in self.marks.iter().enumerate() {
            mark(&mut chart, nth + 1, at / unit, top);
        }
    }

    /// Plotters writes a size in pixels and no words about what is seen.
    fn with_words(&self, drawn: &str) -> String {
        let body = drawn.split_once('>').map_or("", |(_, body)| body);
        let Self { id, title, description, .. } = self;
        let (width, height) = SIZE;
        let mut svg = String::new();
        write!(
            svg,
            "<svg viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-description\">\n<title id=\"{id}-title\">{}</title>\n\
             <desc id=\"{id}-description\">{}</desc>{body}",
            escaped(title),
            escaped(description),
        )
        .expect(STRING);
        svg
    }
}

impl Line {
    fn draw(&self, chart: &mut Chart<'_, '_>, unit: f64) {
        for piece in &self.curve {
            let points = piece.iter().map(|(at, value)| (at / unit, *value));
            if self.filled {
                let below = self.pen.mix(0.25);
                chart.draw_series(AreaSeries::new(points.clone(), 0.0, below)).expect(STRING);
            }
            chart.draw_series(LineSeries::new(points, self.pen.stroke_width(self.width))).expect(STRING);
        }
    }
}

fn axes(chart: &mut Chart<'_, '_>, seconds: f64) {
    let text = |at| TextStyle::from(("sans-serif", TEXT).into_font()).color(&INK).pos(at);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(2))
        .x_labels(9)
        .y_labels(5)
        .x_label_style(text(Pos::new(HPos::Center, VPos::Top)))
        .y_label_style(text(Pos::new(HPos::Right, VPos::Center)))
        .x_label_formatter(&|at| clock(at * unit(seconds), seconds))
        .y_label_formatter(&|value| short(*value))
        .draw()
        .expect(STRING);
}

/// A line down and a number over it; what happened is told below the picture, where there is room.
fn mark(chart: &mut Chart<'_, '_>, number: usize, at: f64, top: f64) {
    let down = LineSeries::new([(at, 0.0), (at, top)], INK.mix(0.55).stroke_width(2));
    chart.draw_series(down).expect(STRING);
    let centred = Pos::new(HPos::Center, VPos::Center);
    let text = TextStyle::from(("sans-serif", TEXT).into_font()).color(&PAPER).pos(centred);
    let flag = EmptyElement::at((at, top))
        + Circle::new((0, -30), 21, INK.filled())
        + Text::new(number.to_string(), (0, -30), text);
    chart.draw_series([flag]).expect(STRING);
}

/// A little above the highest value, so that its line does not lie on the edge.
fn ceiling(highest: f64) -> f64 {
    if highest > 0.0 { highest * 1.06 } else { 1.0 }
}

/// A time in a run of so many seconds: `90 s` in a short one, `1:30` in a long one.
pub(super) fn clock(at: f64, seconds: f64) -> String {
    if unit(seconds) == 1.0 {
        return format!("{} s", words::number(at));
    }
    let at = at.round() as u64;
    format!("{}:{:02}", at / 60, at % 60)
}

/// What an axis of so many seconds counts in, so that its labels are round: seconds or minutes.
pub(super) fn unit(seconds: f64) -> f64 {
    if seconds < 300.0 { 1.0 } else { 60.0 }
}

/// A number beside an axis, where there is little room: thousands of thousands are short ones.
pub(super) fn short(value: f64) -> String {
    if value < 10_000.0 { words::number(value) } else { format!("{} k", words::number(value / 1_000.0)) }
}

/// For text between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STRING: &str = "a picture is drawn into a string, which takes everything";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_in_the_unit_of_their_run() {
        assert_eq!([0.5, 9_000.0, 400_000.0].map(short), ["0.50", "9 000", "400 k"]);
        assert_eq!([clock(90.0, 299.0), clock(90.0, 300.0), clock(3_960.0, 4_000.0)], ["90 s", "1:30", "66:00"]);
    }
}
