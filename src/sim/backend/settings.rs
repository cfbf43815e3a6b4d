//! How a plant is built, and what can happen to it.

use std::time::Duration;

/// A plant: places of work, and the ways of requests through them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Places of work.
    pub stations: Vec<Station>,
    /// What a request may ask of them.
    pub routes: Vec<Route>,
}

/// One place of work: a backend, or something behind several.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its name.
    pub name: String,
    /// How it works.
    pub engine: Engine,
    /// Requests it holds at once, those that wait for another station included; the next waits in the backlog.
    pub threads: usize,
    /// Requests that may wait for a thread before the next is turned away.
    pub backlog: usize,
    /// How much longer everything takes at the beginning, and how that wears off.
    pub cold: Option<Cold>,
    /// Whether work goes on when the caller has hung up. Most backends never hear of it.
    pub outlives_caller: bool,
}

/// How a station works on what it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Engine {
    /// Everything at once. Up to `knee` requests each goes at full speed; with `n` more than that all of them together
    /// do the work of `knee / (1 + contention · (n / knee − 1))` requests at full speed.
    Sharing {
        /// Requests that do not slow each other.
        knee: f64,
        /// What sharing costs beyond the knee: 0 for nothing.
        contention: f64,
    },
    /// So many at a time, the rest first come first served, and slower as work piles up.
    Seats {
        /// How many at a time.
        seats: usize,
        /// How work slows.
        bend: Bend,
    },
}

/// How work slows as it piles up: not at all up to `easy`, then evenly, up to four times at `piled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bend {
    /// So many may be here and not worked on at no cost.
    pub easy: usize,
    /// From so many on everything takes four times as long.
    pub piled: usize,
}

/// Everything takes longer at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cold {
    /// How many times as long.
    pub factor: f64,
    /// How it wears off.
    pub eases: Eases,
}

/// How a cold station gets warm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Eases {
    /// With the work it does: what is left falls to 1/e with each so many completions.
    Completions(f64),
    /// All at once, after so long.
    After(Duration),
}

/// What a request asks of the plant: stations one after the other, the first of which holds it to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where, and how much work there; at least one.
    pub legs: Vec<Leg>,
}

/// Work at one station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Where: an index into [`Settings::stations`].
    pub station: usize,
    /// How long it takes alone, on average.
    pub work: Duration,
    /// How that varies.
    pub spread: Spread,
}

/// How service times vary around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Not at all.
    Constant,
    /// Exponentially.
    #[default]
    Exponential,
    /// Half of the mean is a floor, the rest exponential.
    Floored,
}

/// What can happen to a station.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Everything takes so many times as long from now on; 1 ends it.
    Slow(f64),
    /// It has so many times the seats, or the knee, it was built with; less than 1 is nodes lost. What is being done
    /// is done.
    Capacity(f64),
    /// A part of its nodes, in per cent, goes away with all that they hold: those requests fail. The rest goes on
    /// with what is left. 0 ends it.
    Lose(u32),
    /// Nothing moves any more, or moves again.
    Hang(bool),
    /// In so many cases of a hundred it fails at once instead of working; 0 ends it.
    Fail(u32),
    /// It is cold from now on.
    Cold(Cold),
}
