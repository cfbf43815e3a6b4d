//! Who borrows beyond its guarantee has given back before, and in time.
//!
//! A product that holds something and would go beyond what it is owed needs the others' trust (docs/flow-control.md, section
//! 3). How much of it there is at a time is the law's word, as the ramp's ceiling is, and held against a bound of its own:
//! nobody has more out on loan than one seat and what has ever come back from them in time, and who holds nothing gets what
//! one request needs. That those who give back in time get their share is watched by [`shares`](super::shares).

use std::time::Duration;

use super::House;
use super::books::Stay;
use crate::admission::{Arrival, Class, Settings};

/// Seats that came back in time, by resource and product.
pub(super) struct Trust {
    earned: Vec<Vec<u64>>,
    /// How long the others can wait for what each product holds.
    bearable: Vec<Vec<Duration>>,
}

impl Trust {
    pub(super) fn new(settings: &Settings) -> Trust {
        let products = &settings.products;
        let uses = |product: usize, resource: usize| {
            let mut needs = products[product].needs.iter();
            needs.any(|needs| needs.iter().any(|need| need == resource))
        };
        let bearable = |product: usize, resource: usize| {
            let others = (0..products.len()).filter(|other| *other != product && uses(*other, resource));
            others.map(|other| products[other].queue.longest_wait).min().unwrap_or(Duration::MAX)
        };
        let resources = 0..settings.resources.len();
        Trust {
            earned: vec![vec![0; products.len()]; settings.resources.len()],
            bearable: resources.map(|at| (0..products.len()).map(|product| bearable(product, at)).collect()).collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn is_earned(&mut self) {
        self.earned.iter_mut().flatten().for_each(|earned| *earned = 1000);
    }

    pub(super) fn bearable(&self, resource: usize, product: usize) -> Duration {
        self.bearable[resource][product]
    }

    pub(super) fn given_back(&mut self, stay: &Stay, needs: &[usize], took: Duration) {
        let product = stay.arrival.product.index();
        for need in needs {
            if took <= self.bearable[*need][product] {
                self.earned[*need][product] += u64::from(stay.seats);
            }
        }
    }
}

impl House {
    /// What one more of `class` is not trusted with, by the law's word.
    pub(super) fn lacks_trust(&self, product: usize, class: Class, cost: u32) -> Option<usize> {
        let needs = self.needs[product][class.index()].iter().filter(|need| self.shared[**need]);
        let mut short = needs.filter(|need| {
            let held = self.books.taken[**need][product];
            held > 0 && held + cost > self.shown.resources[**need].may_hold[product]
        });
        short.next().copied()
    }

    /// One more of `class` passes: it is trusted with no more than was earned.
    pub(super) fn check_trust(&mut self, arrival: &Arrival) {
        let (product, class) = (arrival.product.index(), arrival.class);
        let cost = self.cost(product, class, arrival.seats);
        if self.reserve_for(arrival).is_some() {
            return;
        }
        for place in 0..self.needs[product][class.index()].len() {
            let need = self.needs[product][class.index()][place];
            let held = self.books.taken[need][product];
            let owed = u64::from(self.settings.products[product].guarantee)
                * u64::from(self.shown.resources[need].limit)
                / 100;
            let earned = 1 + self.trust.earned[need][product];
            if self.shared[need] && held > 0 && u64::from(held + cost) > owed + earned {
                self.report.add(
                    "trust",
                    format_args!(
                        "product {product} holds {held} of resource {need}, takes {cost}, has earned {earned}"
                    ),
                );
            }
        }
    }
}
