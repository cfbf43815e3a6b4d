//! The `sluss` command: flags and exit codes, then run.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sluss::cli::run(sluss::cli::Cli::parse())
}
