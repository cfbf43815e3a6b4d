//! The `sluss` command.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
enum Sluss {
    Demo(sluss::demo::DemoArgs),
}

fn main() -> ExitCode {
    let Sluss::Demo(args) = Sluss::parse();
    sluss::demo::run(args)
}
