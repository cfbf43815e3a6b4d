//! A counted number of decisions, for an instrument that counts instructions.
//!
//! `scripts/bench_decision.py` runs it under callgrind, which collects inside [`measured`] only. By itself, and with
//! `--test`, it just runs. Arguments: what is done, `waits`, `passes` or `closes` (see [`main`]); how often; and how many
//! others are in line.

mod house;

use house::House;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse().ok());
    let (times, others) = (number(1).unwrap_or(1_000), number(2).unwrap_or(1_000));
    match args.first().map(String::as_str) {
        // A free seat, and nobody waits.
        Some("passes") => {
            let mut house = House::half_empty();
            measured(times, || house.pass());
        }
        // A limit weighs what a window has shown.
        Some("closes") => {
            let mut law = house::Law::new();
            measured(times, || law.close());
        }
        // A full house.
        _ => {
            let mut house = House::full(others, 2_000_000);
            // Until maps have their size, rates are known and every seat has changed hands.
            (0..50_000).for_each(|_| house.decide());
            measured(times, || house.decide());
        }
    }
}

/// What is counted. Never inlined: it is found by its name.
#[inline(never)]
fn measured(times: u32, mut what: impl FnMut()) {
    (0..times).for_each(|_| what());
}
