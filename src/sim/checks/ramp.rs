//! The way back: a bound on the ceiling that knows nothing but the clock, and no leaving it early.
//!
//! `docs/flow-control.md`, section 6: the ceiling starts at half of the known knee, or at what the product holds, or at
//! 4, and grows by half for every short window, the shortest of which is 50 ms. So at no time is it above what that
//! growth would have come to, had every window been the shortest and every one a success; and no step of it is larger
//! than half or follows sooner than a window. It ends when the limits bind before it does, or when it has held nobody up
//! for two seconds.
//!
//! A ceiling that has come down three times within a minute is frozen, until an operator orders otherwise or it says that
//! it goes on; while frozen it grows once a minute at most, and its ramp is not over sooner than that for want of people.

use std::time::Duration;

use super::House;
use crate::admission::{Class, State, Timestamp};

/// The most that a ceiling may have come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    since: Timestamp,
    start: f64,
    /// When it was last the ramp, and nothing else, that somebody waited for.
    held_up: Timestamp,
    /// The ceiling as last shown, and since when.
    shown: Option<(u32, Timestamp)>,
    /// When it last came down, the latest last.
    downs: [Option<Timestamp>; 3],
    /// Since when it is frozen at this level.
    frozen: Option<Timestamp>,
}

const FEWEST: f64 = 4.0;
const STEP: f64 = 1.5;
const WINDOW: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

impl Envelope {
    pub(super) fn new(start: f64, now: Timestamp) -> Envelope {
        let start = start.max(FEWEST);
        Envelope { since: now, start, held_up: now, shown: None, downs: [None; 3], frozen: None }
    }

    /// The same, from so many times the seats.
    pub(super) fn times(self, by: f64) -> Envelope {
        Envelope { start: self.start * by, ..self }
    }

    pub(super) fn holds_up(&mut self, now: Timestamp) {
        self.held_up = now;
    }

    /// Seats that the ceiling may have come to by now.
    pub(super) fn seats(&self, now: Timestamp) -> u32 {
        self.level(now).ceil() as u32
    }

    /// The law shows its ceiling. False when it has come there too soon, or too far at once.
    fn moves(&mut self, ceiling: u32, now: Timestamp) -> bool {
        let Some((before, since)) = self.shown.filter(|(before, _)| *before != ceiling) else {
            self.shown.get_or_insert((ceiling, now));
            return true;
        };
        self.shown = Some((ceiling, now));
        // What is shown is rounded down.
        let most = (f64::from(before + 1) * STEP) as u32;
        ceiling < before || (ceiling <= most && now.since(since) >= WINDOW)
    }

    /// An operator says that it may go on.
    pub(super) fn thaw(&mut self) {
        self.downs = [None; 3];
        self.frozen = None;
    }

    /// The law shows its ceiling, and whether it is frozen. Says what is wrong with that; to be called before
    /// [`moves`](Self::moves).
    fn freezes(&mut self, ceiling: u32, frozen: bool, now: Timestamp) -> Option<&'static str> {
        let before = self.shown.map_or(ceiling, |(before, _)| before);
        if !frozen {
            if self.frozen.is_some() {
                self.thaw();
            }
            if ceiling < before {
                self.downs = [self.downs[1], self.downs[2], Some(now)];
            }
            let often = self.downs[0].is_some_and(|first| now.since(first) <= MINUTE);
            return often.then_some("has come down three times within a minute and is not frozen");
        }
        let since = self.frozen.unwrap_or(now);
        if self.frozen.is_none() || ceiling != before {
            self.frozen = Some(now);
        }
        let grows = ceiling > before && now.since(since) < MINUTE;
        grows.then_some("grows though it is frozen")
    }

    fn level(&self, now: Timestamp) -> f64 {
        let windows = now.since(self.since).as_nanos() / WINDOW.as_nanos();
        self.start * STEP.powi(windows.min(100) as i32)
    }
}

impl House {
    /// The bound of a ramp that begins now. One that is under way goes on from where it may be.
    pub(super) fn envelope(&self, product: usize) -> Envelope {
        let now = self.report.now();
        let knees = self.uses(product).filter_map(|resource| self.shown.resources[resource].knee);
        let half = knees.fold(0.0, f64::max) / 2.0;
        let holds = f64::from(self.books.products[product].in_flight);
        let under_way = self.life.ramps[product].as_ref().map_or(0.0, |ramp| ramp.level(now) * STEP);
        let before = self.life.ramps[product].as_ref();
        let shown = before.and_then(|ramp| ramp.shown);
        Envelope { shown, ..Envelope::new(half.max(holds).max(under_way), now) }
    }

    pub(super) fn check_ramp(&mut self, product: usize) {
        let (now, shown) = (self.report.now(), &self.shown.products[product]);
        let (state, ceiling) = (shown.state, shown.ramp_seats);
        match (state, &mut self.life.ramps[product], ceiling) {
            (State::Ramping, Some(ramp), Some(ceiling)) => {
                let (most, before) = (ramp.seats(now), ramp.shown);
                if let Some(wrong) = ramp.freezes(ceiling, shown.ramp_frozen, now) {
                    self.report.add("frozen", format_args!("product {product}: {ceiling} seats: it {wrong}"));
                }
                if !ramp.moves(ceiling, now) {
                    self.report.add("ramp", format_args!("product {product} goes to {ceiling} seats from {before:?}"));
                }
                if ceiling > most {
                    self.report
                        .add("ramp", format_args!("product {product} may hold {ceiling}, {most} at the very most"));
                }
            }
            (State::Ramping, None, _) => {
                self.report.add("ramp", format_args!("product {product} ramps though nobody reopened it"));
            }
            (State::Ramping, Some(_), None) | (State::Open, _, Some(_)) => {
                self.report.add("ramp", format_args!("product {product} is {state:?} with a ceiling of {ceiling:?}"));
            }
            (State::Open, Some(_), None) => self.check_ramp_is_over(product),
            _ => {}
        }
    }

    /// The product counts as open again: was it time?
    fn check_ramp_is_over(&mut self, product: usize) {
        let now = self.report.now();
        let Some(ramp) = self.life.ramps[product].take() else { return };
        let most = ramp.seats(now);
        let limit = self.uses(product).map(|resource| self.shown.resources[resource].limit).min();
        let idle = now.since(ramp.held_up);
        let needed = if ramp.frozen.is_some() { MINUTE } else { IDLE };
        let most = ramp.shown.filter(|_| ramp.frozen.is_some()).map_or(most, |(shown, _)| shown + 1);
        if limit.is_some_and(|limit| limit > most) && idle < needed {
            let limit = limit.unwrap_or_default();
            self.report.add(
                "ramp",
                format_args!(
                    "product {product} left its ramp at {most} of {limit} seats, {idle:?} after it was needed"
                ),
            );
        }
    }

    /// Resources that a product needs for anything.
    fn uses(&self, product: usize) -> impl Iterator<Item = usize> + '_ {
        Class::ALL.into_iter().flat_map(move |class| self.needs[product][class.index()].iter().copied())
    }
}
