//! What one decision costs in time: an arrival and the end of another request, at several lengths of the queue.
//!
//! The house is described in `benches/house`. `cargo bench --bench decide` tells nanoseconds and, where there are any,
//! allocations: the steady state has none. `cargo bench --bench decide -- --test` runs each once.

mod house;

use divan::{AllocProfiler, Bencher};
use house::{House, Law};
use sluss::admission::{Order, ParkReason, ProductId};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A full house with so many others in line: one arrives and waits, one finishes, and the next is let through.
#[divan::bench(args = [0, 3, 1_000, 100_000, 1_000_000], sample_count = 1_000, sample_size = 200)]
fn arrive_and_finish(bencher: Bencher<'_, '_>, others: u32) {
    let mut house = House::full(others, 2_000_000);
    (0..100_000).for_each(|_| house.decide());
    bencher.bench_local(|| house.decide());
}

/// One finds a free seat where nobody waits, and one finishes.
#[divan::bench(sample_count = 1_000, sample_size = 200)]
fn pass_and_finish(bencher: Bencher<'_, '_>) {
    let mut house = House::half_empty();
    bencher.bench_local(|| house.pass());
}

/// A limit weighs what a window of some 128 answers has shown.
#[divan::bench(sample_count = 1_000, sample_size = 1)]
fn close_a_window(bencher: Bencher<'_, '_>) {
    let mut law = Law::new();
    (0..100).for_each(|_| law.close());
    bencher.bench_local(|| law.close());
}

/// The queue is full and everybody who comes is told so.
#[divan::bench(sample_count = 1_000, sample_size = 200)]
fn refuse_when_full(bencher: Bencher<'_, '_>) {
    let mut house = House::full(3_000, 1_000);
    // Until nobody is left who ranks lower and could make room.
    while !house.is_turned_away() {}
    bencher.bench_local(|| assert!(house.is_turned_away()));
}

/// The product is parked.
#[divan::bench(sample_count = 1_000, sample_size = 200)]
fn refuse_when_parked(bencher: Bencher<'_, '_>) {
    let mut house = House::half_empty();
    house.domain.order(ProductId(0), Order::Park(ParkReason::Parked), house.now);
    bencher.bench_local(|| assert!(house.is_turned_away()));
}
