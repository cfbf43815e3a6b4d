//! A counted number of decisions with so many waiting, for an instrument that counts instructions.
//!
//! `scripts/bench_decision.py` runs it under callgrind, which collects inside [`measured`] only. By itself, and with
//! `--test`, it just runs. Arguments: how many wait, how many decisions are measured.

mod house;

use house::House;

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse().ok());
    let (waiting, decisions) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(1_000));
    let mut house = House::new(waiting, 1_000_000);
    // Until every seat has changed hands, maps have their size and rates are known.
    for _ in 0..50_000 {
        house.decide();
    }
    measured(&mut house, decisions);
}

/// What is counted. Never inlined: it is found by its name.
#[inline(never)]
fn measured(house: &mut House, decisions: u32) {
    for _ in 0..decisions {
        house.decide();
    }
}
