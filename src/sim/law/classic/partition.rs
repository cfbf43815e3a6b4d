//! Whose turn it is where products share a limit and each has a part of it that is its own.

use std::collections::VecDeque;

use super::book::{Book, Waiter};
use super::line::{Line, Turn};
use super::seats::Seats;
use crate::admission::Timestamp;

/// Each product has its part and no more, whoever else sleeps; in it, who came last goes first.
#[derive(Debug)]
pub(super) struct Hard {
    lines: Lines,
}

impl Hard {
    /// For so many products.
    pub(super) fn new(products: usize) -> Hard {
        Hard { lines: Lines::new(products) }
    }
}

impl Line for Hard {
    fn enter(&mut self, waiter: Waiter, _seats: &Seats) -> bool {
        self.lines.enter(waiter)
    }

    fn next(&mut self, seats: &Seats, book: &Book, _now: Timestamp) -> Option<Turn> {
        (0..seats.products())
            .filter(|&place| seats.is_below_guarantee(place))
            .find_map(|place| self.lines.pop(place, End::Back, book))
            .map(Turn::Pass)
    }

    fn length(&self) -> usize {
        self.lines.length()
    }

    fn crossed_out(&mut self, place: usize, book: &Book) {
        self.lines.forget_first(place, book);
    }
}

/// Who is below its guarantee goes first, the emptiest part before others; what is left is lent by weight.
///
/// Weighted fair queuing by virtual time (Demers, Keshav and Shenker, SIGCOMM 1989), every request costing one; a
/// guarantee is also the weight.
#[derive(Debug)]
pub(super) struct Guaranteed {
    lines: Lines,
    end: End,
    /// How much of its weight each product has had.
    virtual_time: Vec<f64>,
}

impl Guaranteed {
    /// For so many products, each line called from that end.
    pub(super) fn new(products: usize, end: End) -> Guaranteed {
        Guaranteed { lines: Lines::new(products), end, virtual_time: vec![0.0; products] }
    }

    /// The smaller, the sooner: those below their guarantee by how much of it they use, then all others.
    fn rank(&self, place: usize, seats: &Seats) -> (bool, f64) {
        if seats.is_below_guarantee(place) {
            (false, f64::from(seats.taken_by(place)) / f64::from(seats.guaranteed(place)))
        } else {
            (true, self.virtual_time[place])
        }
    }
}

impl Line for Guaranteed {
    fn enter(&mut self, waiter: Waiter, _seats: &Seats) -> bool {
        self.lines.enter(waiter)
    }

    fn next(&mut self, seats: &Seats, book: &Book, _now: Timestamp) -> Option<Turn> {
        if !seats.has_room() {
            return None;
        }
        let mut best: Option<((bool, f64), usize)> = None;
        for place in 0..seats.products() {
            self.lines.forget(place, self.end, book);
            let rank = self.rank(place, seats);
            if !self.lines.is_empty(place) && best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, place));
            }
        }
        let (_, place) = best?;
        self.virtual_time[place] += 1.0 / f64::from(seats.guaranteed(place).max(1));
        self.lines.pop(place, self.end, book).map(Turn::Pass)
    }

    fn length(&self) -> usize {
        self.lines.length()
    }

    fn crossed_out(&mut self, place: usize, book: &Book) {
        self.lines.forget_first(place, book);
    }
}

/// An end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Who came first.
    Front,
    /// Who came last.
    Back,
}

/// A line for each product, of those who still wait and some who no longer do.
#[derive(Debug)]
pub(super) struct Lines(Vec<VecDeque<Waiter>>);

impl Lines {
    /// For so many products.
    pub(super) fn new(products: usize) -> Lines {
        Lines(vec![VecDeque::new(); products])
    }

    /// Takes one in, as it always does.
    pub(super) fn enter(&mut self, waiter: Waiter) -> bool {
        self.0[waiter.place].push_back(waiter);
        true
    }

    /// The one at that end who still waits.
    pub(super) fn pop(&mut self, place: usize, end: End, book: &Book) -> Option<Waiter> {
        self.forget(place, end, book);
        match end {
            End::Front => self.0[place].pop_front(),
            End::Back => self.0[place].pop_back(),
        }
    }

    /// Lets go of those at that end who no longer wait.
    pub(super) fn forget(&mut self, place: usize, end: End, book: &Book) {
        let line = &mut self.0[place];
        match end {
            End::Front => while line.pop_front_if(|waiter| !book.still_waits(waiter)).is_some() {},
            End::Back => while line.pop_back_if(|waiter| !book.still_waits(waiter)).is_some() {},
        }
    }

    /// Lets go of those who came first and no longer wait: where the last goes first, nobody else ever would.
    pub(super) fn forget_first(&mut self, place: usize, book: &Book) {
        self.forget(place, End::Front, book);
    }

    /// Whether nobody is in a line.
    pub(super) fn is_empty(&self, place: usize) -> bool {
        self.0[place].is_empty()
    }

    /// How many are in a line.
    pub(super) fn length_of(&self, place: usize) -> usize {
        self.0[place].len()
    }

    /// How many are in all lines.
    pub(super) fn length(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }
}
