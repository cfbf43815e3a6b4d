//! The `sluss` command: flags and exit codes, then run.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // First: until somebody waits for them, SIGHUP and SIGUSR2 end a process.
    let early = sluss::cli::Early::of_this_process();
    sluss::cli::run(sluss::cli::Cli::parse(), early)
}
