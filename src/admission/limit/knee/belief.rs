//! What the answers so far say about where the knee is.
//!
//! A backend with its knee at `K` and a capacity of `C` answers a second gives, with `n` requests in flight,
//!
//! ```text
//! λ(n) = C · g(n / K),    g(r) = r below the knee,    1 / (1 + h · (r − 1)) above it
//! ```
//!
//! where `h` is the harm that piling up does. `N` good answers in `t` seconds are Poisson with mean `λ(n) · t`. The
//! capacity is a nuisance: its conjugate prior is a Gamma, and integrating it out leaves for each `(K, h)`
//!
//! ```text
//! ln p = Σ N ln g − Σ N · ln Σ g t
//! ```
//!
//! three sums, kept on a grid and forgotten at an even pace. No latency and no rate is a baseline here: what counts is
//! only how many answers came at one limit beside how many at another.

use std::sync::LazyLock;

/// Cells of the grid are this far apart, in logarithms.
const STEP: f64 = 0.05;
/// From one seat to eight thousand.
const CELLS: usize = 181;
/// What is considered: a sharp knee and a soft one, with no harm above it, a little, and a lot.
const SHAPES: [Shape; 5] = [
    Shape { soft: false, harm: 0.0 },
    Shape { soft: false, harm: 0.15 },
    Shape { soft: false, harm: 0.7 },
    Shape { soft: true, harm: 0.05 },
    Shape { soft: true, harm: 0.3 },
];
/// A belief as strong as so many answers is strong enough: the world is not as simple as the model.
const STRONGEST: f64 = 20_000.0;
/// How wide a fresh belief is on either side, in logarithms, and where something speaks against that side.
const WIDE: f64 = 0.7;
const NARROW: f64 = 0.15;
/// The least that a fresh belief gives any place, so that evidence can always overrule it.
const FAINT: f64 = 8.0;
/// The logarithm of what need not be told from nothing: adding it to one changes no digit.
const HOPELESS: f64 = -40.0;
/// What is known of the knee when only the pace has changed is worth no more than this, as a logarithm: the knee may have
/// moved with it.
const RUMOUR: f64 = -10.0;
/// How much less likely a knee above becomes by answers that are late, as a logarithm.
const LATE: f64 = 1.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Belief {
    cells: Vec<[Cell; SHAPES.len()]>,
    /// Good answers remembered.
    answers: f64,
    /// The variance of the counts, as a multiple of what Poisson would have.
    dispersion: f64,
    /// What the grid is stretched by.
    scale: f64,
}

/// What happens around the knee.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Whether the bend is round.
    soft: bool,
    /// What piling up costs.
    harm: f64,
}

/// One knee and shape.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// `Σ N ln g`, and what was believed before the first answer.
    fit: f64,
    /// `Σ g t`.
    exposure: f64,
    /// The probability.
    p: f64,
}

/// Where a fresh belief looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lean {
    Either,
    Up,
    Down,
    /// Somebody knew.
    Here,
}

impl Belief {
    /// Nothing is known but that the knee may be around `level`.
    pub(super) fn around(level: f64, lean: Lean) -> Belief {
        let cells = vec![[Cell::default(); SHAPES.len()]; CELLS];
        let mut belief = Belief { cells, answers: 0.0, dispersion: 1.0, scale: 1.0 };
        belief.forget(level, lean);
        belief
    }

    /// Forget all, and look around `level`.
    pub(super) fn forget(&mut self, level: f64, lean: Lean) {
        self.answers = 0.0;
        let below = if matches!(lean, Lean::Up | Lean::Here) { NARROW } else { WIDE };
        let above = if matches!(lean, Lean::Down | Lean::Here) { NARROW } else { WIDE };
        for (index, cells) in self.cells.iter_mut().enumerate() {
            let away = (place(index) * self.scale / level).ln();
            let doubt = (away / if away > 0.0 { above } else { -below }).min(FAINT);
            for (cell, shape) in cells.iter_mut().zip(SHAPES) {
                *cell = Cell { fit: -doubt - shape.oddity(), ..Cell::default() };
            }
        }
        self.weigh();
    }

    /// Answers come at another pace than before, at the same limit: what is known of the capacity is forgotten. That alone
    /// says nothing of the knee, so of what is believed of it `keep` stays.
    pub(super) fn forget_pace(&mut self, keep: f64) {
        self.answers = 0.0;
        for cell in self.cells.iter_mut().flatten() {
            let likely = cell.p.ln().max(RUMOUR);
            *cell = Cell { fit: likely * keep * self.dispersion, ..Cell::default() };
        }
        self.weigh();
    }

    /// With `seats` in flight, `good` answers came in `seconds`. `keep` is what is left of all before.
    pub(super) fn learn(&mut self, seats: f64, good: f64, seconds: f64, keep: f64) {
        self.answers = self.answers * keep + good;
        let scale = self.scale;
        for (index, cells) in self.cells.iter_mut().enumerate() {
            let load = seats / (place(index) * scale);
            for (cell, shape) in cells.iter_mut().zip(SHAPES) {
                let part = shape.served(load);
                cell.fit = cell.fit * keep + good * part.ln();
                cell.exposure = cell.exposure * keep + part * seconds;
            }
        }
        self.weigh();
    }

    /// With `seats` in flight most answers are late, and counting them tells nothing: the knee is likelier below.
    pub(super) fn is_late(&mut self, seats: f64) {
        let (scale, dispersion) = (self.scale, self.dispersion.max(self.answers / STRONGEST));
        let above = self.cells.iter_mut().enumerate().filter(|(index, _)| place(*index) * scale > seats);
        above.flat_map(|(_, cells)| cells).for_each(|cell| cell.fit -= LATE * dispersion);
        self.weigh();
    }

    /// There is `by` times the capacity, and as many times the knee.
    pub(super) fn rescale(&mut self, by: f64) {
        self.scale *= by;
        // The capacity is what was answered by what was exposed: what is remembered took longer, or less long, by now.
        self.cells.iter_mut().flatten().for_each(|cell| cell.exposure /= by);
    }

    /// How many standard deviations `good` answers in `seconds` are from what was expected with `seats` in flight, by
    /// whatever is believed at all. `None` while too little is known to expect anything.
    pub(super) fn surprise(&mut self, seats: f64, good: f64, seconds: f64) -> Option<f64> {
        if self.answers < 20.0 {
            return None;
        }
        let (mut likely, mut mean, mut variance) = (0.0, 0.0, 0.0);
        for (index, cells) in self.cells.iter().enumerate() {
            let load = seats / (place(index) * self.scale);
            for (cell, shape) in cells.iter().zip(SHAPES).filter(|(cell, _)| cell.p > 1e-4) {
                let expected = self.answers / cell.exposure * shape.served(load) * seconds;
                // Of counting, of what is known of the capacity, and of what no model knows.
                let spread = self.dispersion * expected + expected.powi(2) / self.answers + (0.03 * expected).powi(2);
                let away = good - expected;
                likely += cell.p * (-away.powi(2) / spread / 2.0).exp();
                mean += cell.p * away;
                variance += cell.p * expected;
            }
        }
        let counted = (mean.powi(2) / variance.max(1.0)).min(16.0);
        self.dispersion = (self.dispersion + 0.03 * (counted - self.dispersion)).clamp(1.0, 10.0);
        let away = (-2.0 * likely.max(1e-30).ln()).max(0.0).sqrt();
        Some(away.min(6.0).copysign(mean))
    }

    /// The knee is below this with probability `q`.
    pub(super) fn quantile(&self, q: f64) -> f64 {
        let mut below = 0.0;
        for (index, cells) in self.cells.iter().enumerate() {
            let here = sum(cells);
            if below + here >= q {
                let within = (q - below) / here.max(f64::MIN_POSITIVE) - 0.5;
                return place(index) * self.scale * (within * STEP).exp();
            }
            below += here;
        }
        place(CELLS - 1) * self.scale
    }

    /// How sure it is that the knee is below `level`.
    pub(super) fn below(&self, level: f64) -> f64 {
        self.places().take_while(|(knee, _)| *knee < level).map(|(_, p)| p).sum()
    }

    /// The part of the capacity that `seats` would leave idle, as far as is known.
    pub(super) fn idle(&self, seats: f64) -> f64 {
        self.places().map(|(knee, p)| p * (1.0 - (seats / knee).min(1.0))).sum()
    }

    /// Where one part more seats is worth no more than `price` parts more answers: the level that is best by what is
    /// known, as a newsvendor orders for a demand that is not known.
    pub(super) fn best(&self, price: f64) -> f64 {
        // Worth falls with the level, so halving finds it.
        let (mut low, mut high) = (0, CELLS - 1);
        while low < high {
            let middle = (low + high) / 2;
            if self.worth(middle) > price { low = middle + 1 } else { high = middle }
        }
        place(low) * self.scale
    }

    /// What one part more seats brings, in parts of the answers, at the level of cell `at`.
    fn worth(&self, at: usize) -> f64 {
        let likely = |cells: &[Cell; SHAPES.len()], load: f64| -> f64 {
            let worth = cells.iter().zip(SHAPES).filter(|(cell, _)| cell.p > 1e-5);
            worth.map(|(cell, shape)| cell.p * shape.worth(load)).sum()
        };
        self.cells.iter().enumerate().map(|(knee, cells)| likely(cells, place(at) / place(knee))).sum()
    }

    fn places(&self) -> impl Iterator<Item = (f64, f64)> {
        self.cells.iter().enumerate().map(|(index, cells)| (place(index) * self.scale, sum(cells)))
    }

    /// Probabilities from sums.
    fn weigh(&mut self) {
        let strength = 1.0 / self.dispersion.max(self.answers / STRONGEST);
        let answers = self.answers;
        let mut best = f64::NEG_INFINITY;
        for cell in self.cells.iter_mut().flatten() {
            cell.p = if answers > 0.0 { cell.fit - answers * cell.exposure.ln() } else { cell.fit };
            best = best.max(cell.p);
        }
        let mut total = 0.0;
        for cell in self.cells.iter_mut().flatten() {
            let behind = (cell.p - best) * strength;
            cell.p = if behind > HOPELESS { behind.exp() } else { 0.0 };
            total += cell.p;
        }
        self.cells.iter_mut().flatten().for_each(|cell| cell.p /= total);
    }
}

/// The knee of a cell, before it is stretched.
fn place(index: usize) -> f64 {
    static PLACES: LazyLock<[f64; CELLS]> = LazyLock::new(|| std::array::from_fn(|index| (index as f64 * STEP).exp()));
    PLACES[index]
}

impl Shape {
    /// The part of the capacity that `load` times the knee's seats bring.
    fn served(self, load: f64) -> f64 {
        let reached = if self.soft { load / (1.0 + load.powi(4)).sqrt().sqrt() } else { load.min(1.0) };
        reached / (1.0 + self.harm * (load - 1.0).max(0.0))
    }

    /// By how many parts that grows when the load does by one: the slope of its logarithm.
    fn worth(self, load: f64) -> f64 {
        let reached = match self.soft {
            true => 1.0 / (1.0 + load.powi(4)),
            false if load < 1.0 => 1.0,
            false => 0.0,
        };
        let harmed = if load > 1.0 { self.harm * load / (1.0 + self.harm * (load - 1.0)) } else { 0.0 };
        reached - harmed
    }

    /// How much less it is expected than the plainest, before anything is known; as a logarithm.
    fn oddity(self) -> f64 {
        3.0 * self.harm + if self.soft { 1.0 } else { 0.0 }
    }
}

fn sum(cells: &[Cell; SHAPES.len()]) -> f64 {
    cells.iter().map(|cell| cell.p).sum()
}
