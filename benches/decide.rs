//! What one decision costs: an arrival and the end of another request, at several lengths of the queue.
//!
//! Three products with a pool each over one wallet, all limits climbing. `cargo bench --bench decide` tells nanoseconds
//! and, where there are any, allocations: the steady state has none. `cargo bench --bench decide -- --test` runs
//! each once.

mod house;

use divan::{AllocProfiler, Bencher};
use house::House;
use sluss::admission::{Order, ParkReason, ProductId};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// One more request comes and the oldest in flight ends, with so many waiting. Each end lets the next waiter through,
/// who is replaced by one of the same product and class.
#[divan::bench(args = [0, 1_000, 100_000, 1_000_000], sample_count = 1_000, sample_size = 200)]
fn arrive_and_finish(bencher: Bencher<'_, '_>, waiting: u32) {
    let mut house = House::new(waiting, 1_000_000);
    for _ in 0..100_000 {
        house.decide();
    }
    bencher.bench_local(|| house.decide());
}

/// The queue is full and everybody who comes is told so.
#[divan::bench(sample_count = 1_000, sample_size = 200)]
fn refuse_when_full(bencher: Bencher<'_, '_>) {
    let mut house = House::new(3_000, 1_000);
    bencher.bench_local(|| house.turn_away());
}

/// The product is parked.
#[divan::bench(sample_count = 1_000, sample_size = 200)]
fn refuse_when_parked(bencher: Bencher<'_, '_>) {
    let mut house = House::new(0, 1_000);
    house.domain.order(ProductId(0), Order::Park(ParkReason::Parked), house.now);
    bencher.bench_local(|| house.turn_away());
}
