//! What nobody uses any more goes back to the system, also when nothing is asked of the allocator.

use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Enough to be seen among all that a process has.
const MANY: usize = 4_000;
const BUFFER: usize = 8 << 10;

/// What of this process is in memory, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn free_memory_goes_back_although_nobody_asks_for_any() {
    let before = resident();
    let crowd: Vec<Vec<u8>> = (0..MANY).map(|_| vec![7; BUFFER]).collect();
    let full = resident();
    assert!(full - before > MANY * BUFFER * 9 / 10, "{before} {full}");
    drop(crowd);
    let end = Instant::now() + Duration::from_secs(20);
    while resident() > before + MANY * BUFFER / 4 {
        assert!(Instant::now() < end, "{} of {full} are still there", resident());
        thread::sleep(Duration::from_millis(100));
        sluss::memory::give_back();
    }
}
