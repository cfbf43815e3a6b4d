//! A limit that keeps a belief about where the knee is, and works where one more seat is worth its price.
//!
//! Up to the knee every seat brings answers; beyond it seats only wait, and often do harm. The limit is held for a window
//! at a time, the good answers in it are counted, and [`Belief`] weighs what all recent windows say together. A law
//! that compares only neighbours throws away most of what it has paid for: with twenty answers a second it is blind for
//! minutes.
//!
//! - **Base**: most windows are held where, as far as is known, one part more seats is worth [`PRICE`] parts more answers.
//!   Idle capacity costs more than a little piling up, so that is a little above the likeliest knee, the more so the less
//!   is known. While more than a tenth of the answers miss the latency objective the price is higher: the objective is
//!   absolute, nothing is compared with a latency that was learned, so nothing can drift (every limiter that does has a
//!   ratchet: Netflix concurrency-limits #137, Envoy #11579).
//! - **Above** and **below**: now and then a window asks whether more seats would bring more, and another at once when they did; others ask whether fewer would
//!   do, as often as what that may cost stays under a third of a per cent of the answers, or more often while there is doubt.
//! - **Alarm**: what a belief cannot explain adds up, for each of the three apart (cumulative sums: Page 1954). When it is
//!   too much the world has changed: all is forgotten, and the search begins anew around where it is. Where that happens
//!   again and again it is the work that changes its kind, and not the knee: then only the pace is forgotten, and what
//!   cannot be told by counting is told by answers that are late.
//!
//! Only time in which this limit held work up counts: else the demand would be measured, or the silence of a closure, and
//! not the backend.

use super::super::settings::Range;
use super::{Limit, Sample, Timestamp};

mod belief;
mod drift;
mod window;

use belief::{Belief, Lean};
use drift::{Alarm, Change};
use window::Window;

/// See the module.
#[derive(Debug)]
pub struct Knee {
    least: f64,
    most: f64,
    /// The level that is best by what is known.
    base: f64,
    belief: Belief,
    probe: Probe,
    alarm: Alarm,
    turn: u32,
    /// Answers in a window, lately.
    counted: f64,
    /// The part of the answers that may yet be given up to look below.
    allowance: f64,
    /// The part of the answers that missed the objective lately.
    slow: f64,
    /// Nearly nothing is answered: that tells of an outage and not of a knee.
    lost: Option<Lost>,
    seats: u32,
    window: Window,
}

/// What was there before nearly everything failed.
#[derive(Clone, Copy, Debug)]
struct Lost {
    level: f64,
    /// Windows since, one after another, in which most was answered.
    windows: u32,
}

/// What a window asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Base,
    Below,
    Above,
}

/// What one part more seats must bring, in parts more answers: latency is not for nothing.
const PRICE: f64 = 0.25;
/// The same while the latency objective is missed.
const PRICE_SLOW: f64 = 0.3;
/// The same while most answers miss it.
const PRICE_LATE: f64 = 0.6;
/// The same while the pace changes all the time: little is known then, and idle capacity must not outweigh that.
const PRICE_RESTLESS: f64 = 0.5;
/// The fewest answers in a window; twice the seats if that is more.
const FEWEST: u32 = 20;
/// So many answers are remembered, for no shorter and no longer than this many seconds.
const MEMORY: f64 = 20_000.0;
const MEMORY_S: (f64, f64) = (20.0, 120.0);
/// What a surprise of three standard deviations takes off what is remembered.
const DOUBTED: f64 = 0.2;
/// A window's part of the answers that may be given up to look below, the most of it that is saved up, and what is
/// added when the knee may be far below.
const ALLOWANCE: f64 = 0.003;
const SAVED: f64 = 0.4;
const DOUBT: f64 = 0.1;
/// The same saved up when somebody knew the knee.
const RECALLED: f64 = 0.25;
/// A level moves up and down by at most this at a time.
const LEAP: (f64, f64) = (0.6, 2.0);
/// Whether more would be better is asked once in so many windows.
const ABOVE_EVERY: u32 = 8;
/// The same while it is as likely as this that more is better.
const ABOVE_SOON: u32 = 2;
const HOPE: f64 = 0.02;
/// A level is told from another by so many standard deviations of what a window counts.
const TELLING: f64 = 1.5;
/// More answers than expected by so many standard deviations are worth a second look.
const SURPRISING: f64 = 0.5;
/// Soon after a change, a window that surprises by more standard deviations than the first counts less, and by the second not
/// at all: half of it may lie before another.
const DOUBTFUL: (f64, f64) = (3.0, 5.0);
/// What stays of what is believed of the knee when the pace has changed.
const KEPT: f64 = 0.9;
/// After an outage, a backend of which no more fails is well again; so is one that answers most for so many windows.
const WELL: f64 = 0.05;
const WELL_ENOUGH: u32 = 8;
/// Of a knee that somebody knew this is known when the belief is as narrow.
const FOUND: f64 = 2.0;

impl Knee {
    /// A limit that knows nothing yet.
    pub fn new(settings: Range) -> Knee {
        let most = settings.most.get();
        let least = settings.least.get().min(most);
        let seats = settings.initial.get().clamp(least, most);
        Knee {
            least: f64::from(least),
            most: f64::from(most),
            base: f64::from(seats),
            belief: Belief::around(f64::from(seats), Lean::Either),
            probe: Probe::Base,
            alarm: Alarm::new(),
            turn: 0,
            counted: f64::from(FEWEST),
            allowance: SAVED,
            slow: 0.0,
            lost: None,
            seats,
            // The first answers come while the backends still fill.
            window: Window::after(seats, fewest(seats)),
        }
    }

    fn close(&mut self, window: &Window, now: Timestamp) {
        self.slow += (window.slow() - self.slow) * 0.3;
        self.counted = f64::from(window.done());
        if window.failed() > 0.5 {
            return self.lose();
        }
        if let Some(before) = self.is_well_again(window) {
            // As after a closure: from half of what was known. Should that be too much still, it is half of that.
            return self.begin_anew(self.base.max(before / 2.0), Lean::Up);
        }
        if self.alarm.is_restless() && self.tells_nothing(window) {
            return self.change_pace(1.0);
        }
        let seats = f64::from(self.seats);
        let surprise = self.belief.surprise(seats, window.good(), window.seconds()).unwrap_or_default();
        // The window that gave an alarm may lie half before the change: it is not learned from.
        match self.alarm.add(self.probe, surprise, now) {
            Some(Change::World(lean)) => self.begin_anew(self.base.min(seats * 1.1).max(seats * 0.9), lean),
            Some(Change::Pace) => self.change_pace(KEPT),
            None => self.go_on(window, surprise),
        }
    }

    /// Whether counting a window tells nothing of the knee, as the pace has changed within it. Answers that are late tell
    /// something even so.
    fn tells_nothing(&mut self, window: &Window) -> bool {
        if window.slow() > 0.5 {
            self.belief.is_late(f64::from(self.seats));
        }
        window.is_uneven()
    }

    /// All is as it was: one more window is known, and what to ask next.
    fn go_on(&mut self, window: &Window, surprise: f64) {
        self.learn(window, surprise);
        let leapt = self.move_base();
        let probe = match self.probe {
            _ if leapt => Probe::Base,
            // More than was thought: that is asked again at once, unless that is so of any window in a good moment.
            Probe::Above if surprise > SURPRISING && self.alarm.is_calm() => Probe::Above,
            _ => self.next_probe(),
        };
        self.ask(probe);
    }

    fn learn(&mut self, window: &Window, surprise: f64) {
        let (good, seconds) = (window.good(), window.seconds());
        let memory = (MEMORY * seconds / good.max(1.0)).clamp(MEMORY_S.0, MEMORY_S.1);
        let keep = (-seconds / memory).exp() * (1.0 - DOUBTED * (surprise.abs() - 2.0).clamp(0.0, 2.0));
        let part = match self.alarm.is_calm() {
            true => 1.0,
            false => ((DOUBTFUL.1 - surprise.abs()) / (DOUBTFUL.1 - DOUBTFUL.0)).clamp(0.0, 1.0),
        };
        self.belief.learn(f64::from(self.seats), good * part, seconds * part, keep);
    }

    /// Go to the level that is best by what is known, or as far as may be at a time. Whether that was far.
    fn move_base(&mut self) -> bool {
        let price = match self.slow {
            slow if slow > 0.5 => PRICE_LATE,
            _ if self.alarm.is_restless() => PRICE_RESTLESS,
            slow if slow > 0.1 => PRICE_SLOW,
            _ => PRICE,
        };
        let before = self.base;
        self.base = self.belief.best(price).clamp(before * LEAP.0, before * LEAP.1).clamp(self.least, self.most);
        (self.base / before).ln().abs() > 0.2
    }

    fn begin_anew(&mut self, level: f64, lean: Lean) {
        self.base = level.clamp(self.least, self.most);
        self.belief.forget(self.base, lean);
        self.alarm.forget();
        self.allowance = SAVED;
        self.turn = 0;
        self.ask(if lean == Lean::Up { Probe::Above } else { Probe::Base });
    }

    /// The same knee at another pace, as far as `keep` of what is believed says.
    fn change_pace(&mut self, keep: f64) {
        self.belief.forget_pace(keep);
        let probe = self.next_probe();
        self.ask(probe);
    }

    /// While nearly everything fails, fewer and fewer are sent; nothing is learned about the knee.
    fn lose(&mut self) {
        let level = self.lost.map_or(self.base, |lost| lost.level);
        self.lost = Some(Lost { level, windows: 0 });
        self.base = (self.base * 0.75).max(self.least);
        self.ask(Probe::Base);
    }

    /// The level before an outage that is over. A backend that always fails now and then will never be quite well.
    fn is_well_again(&mut self, window: &Window) -> Option<f64> {
        self.lost.as_mut()?.windows += 1;
        let well = |lost: &mut Lost| window.failed() < WELL || lost.windows >= WELL_ENOUGH;
        self.lost.take_if(well).map(|lost| lost.level)
    }

    fn next_probe(&mut self) -> Probe {
        let doubt = self.belief.below(self.base * LEAP.0);
        self.allowance = (self.allowance + ALLOWANCE + DOUBT * doubt).min(SAVED);
        self.turn += 1;
        // While the knee may well be there, it is asked for more often.
        let hopes = 1.0 - self.belief.below(self.seats_for(Probe::Above) * 0.97);
        let every = if hopes > HOPE { ABOVE_SOON } else { ABOVE_EVERY };
        if self.turn >= every {
            self.turn = 0;
            return Probe::Above;
        }
        let below = self.turn % 2 == 1 && self.may_look_below();
        if below { Probe::Below } else { Probe::Base }
    }

    /// Whether looking below is worth what it may cost; if so, that is paid.
    fn may_look_below(&mut self) -> bool {
        let cost = self.belief.idle(self.seats_for(Probe::Below)) - self.belief.idle(self.seats_for(Probe::Base));
        let may = cost <= self.allowance;
        self.allowance -= if may { cost.max(0.0) } else { 0.0 };
        may
    }

    fn seats_for(&self, probe: Probe) -> f64 {
        // Of two levels the larger, unless the smaller is much nearer: too few cost answers, too many only time.
        let base = (self.base + 0.2).round().clamp(self.least, self.most);
        let seats = match probe {
            Probe::Base => base,
            Probe::Below => {
                let level = self.belief.quantile(0.1).clamp(self.base * 0.6, self.base * 0.93);
                level.round().min(base - 1.0)
            }
            Probe::Above => {
                // So far above that what a window counts can tell the two apart.
                let apart = (TELLING / self.counted.sqrt()).clamp(0.08, 0.5);
                let level = self.belief.quantile(0.97).clamp(self.base * (1.0 + apart), self.base * 1.5);
                level.round().max(base + 1.0)
            }
        };
        seats.clamp(self.least, self.most)
    }

    /// Hold the limit that `probe` asks for, and measure from where its effect is seen.
    fn ask(&mut self, probe: Probe) {
        let before = self.seats;
        self.probe = probe;
        self.seats = self.seats_for(probe) as u32;
        let skip = if self.seats == before { 0 } else { self.seats.max(before) };
        self.window = Window::after(skip, fewest(self.seats));
    }
}

/// Answers that a window of so many seats needs.
fn fewest(seats: u32) -> u32 {
    FEWEST.max(seats.saturating_mul(2))
}

impl Limit for Knee {
    fn seats(&self) -> u32 {
        self.seats
    }

    fn observe(&mut self, sample: &Sample, now: Timestamp) {
        self.window.count(sample, now);
        if self.window.is_full() {
            let window = self.window;
            self.close(&window, now);
        }
    }

    fn knee(&self) -> Option<f64> {
        let narrow = self.belief.quantile(0.9) <= self.belief.quantile(0.1) * FOUND;
        (narrow && self.lost.is_none()).then_some(self.base)
    }

    fn recall(&mut self, knee: f64) {
        // A journal may hold anything.
        if knee.is_finite() {
            self.lost = None;
            self.begin_anew(knee, Lean::Here);
            // It was looked for once; that is not paid for again in full.
            self.allowance = RECALLED;
        }
    }

    fn rescale(&mut self, by: f64) {
        self.belief.rescale(by);
        self.base = (self.base * by).clamp(self.least, self.most);
        self.ask(Probe::Base);
    }

    fn range(&self) -> Option<(u32, u32)> {
        Some((self.least as u32, self.most as u32))
    }
}

#[cfg(test)]
mod tests;
