//! How quick the rehearsal is, and what it takes: simulated events per second on one core, and memory against the
//! number of customers who wait. `make bench-simulate`; with `--test` a small run that shows that it still works.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::{Duration, Instant};

use sluss::sim::scenario::{Coming, Scenario};
use sluss::sim::{scenario, world};

fn main() {
    let brief = std::env::args().any(|arg| arg == "--test");
    let path = std::env::var("STORY").unwrap_or_else(|_| "scenarios/million-reopening.toml".into());
    let story = scenario::load(path.as_ref()).expect("the story is sound");
    let sizes: &[u32] = if brief { &[2_000] } else { &[10_000, 100_000, 1_000_000] };
    println!("{:>10} {:>14} {:>10} {:>16} {:>12}", "customers", "events", "seconds", "events a second", "peak memory");
    for size in sizes {
        measure(&resized(&story, *size));
    }
}

/// The same story with another number of customers, as long as they take.
fn resized(story: &Scenario, size: u32) -> Scenario {
    let mut story = story.clone();
    let was = story.crowds.iter().map(|crowd| count(&crowd.coming)).sum::<u32>().max(1);
    for crowd in &mut story.crowds {
        if let Coming::Count { count, .. } | Coming::Spread { count, .. } = &mut crowd.coming {
            *count = (u64::from(*count) * u64::from(size) / u64::from(was)) as u32;
        }
    }
    story
}

fn count(coming: &Coming) -> u32 {
    match coming {
        Coming::Count { count, .. } | Coming::Spread { count, .. } => *count,
        Coming::Rate { .. } => 0,
    }
}

fn measure(story: &Scenario) {
    let began = Instant::now();
    let run = world::play(story, "sluss", 1, &mut |_| {}).expect("ours is a law");
    let took = began.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
    let customers: u64 = story.crowds.iter().map(|crowd| u64::from(count(&crowd.coming))).sum();
    let (rate, memory) = (run.events as f64 / took, peak_memory_mib());
    println!("{customers:>10} {:>14} {took:>10.2} {rate:>16.0} {memory:>8} MiB", run.events);
}

/// The most this process has had in memory so far, as Linux tells it; 0 elsewhere.
fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
