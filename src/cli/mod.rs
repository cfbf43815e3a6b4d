//! The command line. Exit codes: 0 done, 1 it could not be done, 2 the command itself was wrong. A rehearsal ends with
//! 0 when everything held, with 1 when something did not, with 2 when the command or a file was wrong.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod serve;
mod operate;
mod event;
mod shift;
mod simulate;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A load-shedding reverse proxy: each product its own queue and state, customers back after a closure as
/// fast as the backends can serve.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy until SIGTERM or SIGINT; then finish what is in flight and end
    Run {
        /// The configuration (see docs/configuration.md and examples/)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration without running it
    Check {
        /// The configuration
        file: PathBuf,
    },
    /// Play the Saturday: modelled backends and customers, without and then with Sluss
    Demo(crate::demo::DemoArgs),
    /// Rehearse scenarios: the same admission code, modelled backends and customers, a made-up clock
    Simulate(simulate::SimulateArgs),
    /// Show products, limits, backends, events and alarms of a running proxy
    Status {
        #[command(flatten)]
        to: To,
        /// The whole document instead of tables
        #[arg(long)]
        json: bool,
    },
    /// Pause: nothing new starts, what is in flight finishes, customers hear that it will go on
    Park(Scoped),
    /// Close: as park, but customers hear that it is closed
    Close(Scoped),
    /// Let customers back in through the ramp
    Reopen(Scoped),
    /// Open at once, without the ramp
    Open(Scoped),
    /// Events and their betting stops: list, put in, move, remove
    #[command(subcommand)]
    Event(EventCommand),
    /// The schedule file
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Read the configuration again now, as SIGHUP does; what is wrong with it changes nothing
    Reload {
        /// Who asks
        #[arg(long, env = "USER", default_value = "unknown")]
        who: String,
        #[command(flatten)]
        to: To,
    },
    /// Backends: another weight, out of use and back, one more, one less
    #[command(subcommand)]
    Backend(BackendCommand),
    /// Let the binary that now lies at the proxy's path take over; nobody is turned away
    Upgrade {
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Move a product's share from one of its sites to another, by watched steps; without a product, show what is under way
    Shift(Box<shift::ShiftArgs>),
    /// Switch everything but plain proxying off, or on again
    Bypass {
        /// Whether everything but plain proxying is to be off
        #[arg(value_parser = ["on", "off"])]
        state: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Observe only: decide and measure everything, refuse nothing; or act on what is decided
    Observe {
        /// Whether nothing is to be refused
        #[arg(value_parser = ["on", "off"])]
        state: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
}

#[derive(Debug, Subcommand)]
enum EventCommand {
    /// Every event that is known, the next to stop first
    List {
        #[command(flatten)]
        to: To,
        /// The whole document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Put in an event, or say anew what counts of it; one that is shut stays shut
    Put {
        /// Its id, as bets name it
        id: String,
        /// Its product
        #[arg(long)]
        product: String,
        /// When betting on it stops: 2024-08-24T16:20:00+02:00
        #[arg(long, value_name = "TIME")]
        stop: String,
        /// How long before its stop a close signal is believed
        #[arg(long, value_name = "DURATION")]
        believed_before_stop: Option<String>,
        /// How long before its stop the last bet is let through
        #[arg(long, value_name = "DURATION")]
        margin: Option<String>,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Move a betting stop, also while people wait; one that is shut stays shut
    Move {
        /// Its id
        id: String,
        /// Where to, or by how much: 2024-08-24T16:35:00+02:00, +15m, -30s
        #[arg(long, value_name = "TIME|+15m", allow_hyphen_values = true)]
        stop: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Take an event out of the schedule: from then on its backend judges
    Remove {
        /// Its id
        id: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
}

#[derive(Debug, Subcommand)]
enum BackendCommand {
    /// Give a backend another share beside the others
    Weight {
        /// The backend, as `sluss status` shows it
        backend: String,
        /// Its share: 1 to 100
        weight: u32,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Send nobody new there; what is under way goes on to its end
    Drain {
        /// The backend, as `sluss status` shows it
        backend: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Use it again after a drain
    Restore {
        /// The backend, as `sluss status` shows it
        backend: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Add one to the pool of a product
    Add {
        /// Where it is: http://host:port
        backend: String,
        /// A product of the pool; for another site than its first, product/site
        #[arg(long)]
        product: String,
        /// Its share beside others: 1 to 100
        #[arg(long)]
        weight: Option<u32>,
        /// Its level: 0 serves first, 1 what is missing when too few of 0 are there, and so on to 9
        #[arg(long)]
        priority: Option<u32>,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
    /// Take one out of its pool; what is under way goes on to its end
    Remove {
        /// The backend, as `sluss status` shows it
        backend: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        to: To,
    },
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Read the schedule file again now; what is wrong with it changes nothing
    Reload {
        /// Who asks
        #[arg(long, env = "USER", default_value = "unknown")]
        who: String,
        #[command(flatten)]
        to: To,
    },
}

/// An order about something.
#[derive(Debug, Args)]
struct Scoped {
    /// The product
    #[arg(required_unless_present_any = ["all", "event"], conflicts_with_all = ["all", "event"])]
    product: Option<String>,
    /// Every product
    #[arg(long, conflicts_with = "event")]
    all: bool,
    /// One event instead of a product
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    to: To,
}

/// Who and why; both are logged and journalled.
#[derive(Debug, Args)]
struct Why {
    /// Why: one sentence for those who read the log tomorrow
    #[arg(long)]
    reason: String,
    /// Who gives the order
    #[arg(long, env = "USER", default_value = "unknown")]
    who: String,
}

/// The running proxy.
#[derive(Debug, Args)]
struct To {
    /// Its admin address
    #[arg(long, default_value = "127.0.0.1:9900", value_name = "HOST:PORT")]
    admin: String,
    /// Its admin token
    #[arg(long, env = "SLUSS_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub use serve::Early;

/// Do what the command line says.
pub fn run(cli: Cli, early: Early) -> ExitCode {
    use crate::admin::orders::OrderName;
    let done = match cli.command {
        Command::Run { config } => serve::run(&config, early),
        Command::Check { file } => serve::check(&file),
        Command::Demo(args) => return crate::demo::run(args),
        Command::Simulate(args) => return simulate::run(args),
        Command::Status { to, json } => operate::status(&to, json),
        Command::Park(scope) => operate::order(OrderName::Park, scope),
        Command::Close(scope) => operate::order(OrderName::Close, scope),
        Command::Reopen(scope) => operate::order(OrderName::Reopen, scope),
        Command::Open(scope) => operate::order(OrderName::Open, scope),
        Command::Event(command) => event::run(command),
        Command::Schedule(ScheduleCommand::Reload { who, to }) => event::reload(who, &to),
        Command::Reload { who, to } => operate::reload(who, &to),
        Command::Backend(command) => operate::backend(command),
        Command::Upgrade { why, to } => operate::upgrade(why, &to),
        Command::Shift(args) => shift::run(*args),
        Command::Bypass { state, why, to } => operate::switch(OrderName::Bypass, state == "on", why, &to),
        Command::Observe { state, why, to } => operate::switch(OrderName::Observe, state == "on", why, &to),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("sluss: {sentence}");
            ExitCode::FAILURE
        }
    }
}
