//! The Saturday, live: the customers and the plant of [`sim`](crate::sim) over real sockets on the loopback interface, as
//! `scenarios/saturday.toml` tells it; [`script`] says what of it is played how.
//!
//! 1. [`yardstick`] measures what the plant can do.
//! 2. [`story`] plays the reopening straight at the backends, then with `sluss run` in front of them.
//! 3. [`figures`] sums up what customers got, by one definition for both; [`report`] judges and prints it.
//!
//! The plant and the proxy are processes of their own, so descriptors do not run out and neither outlives the demo.

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

mod script;
mod story;
mod yardstick;
mod proxy;
mod plant;
mod customers;
mod errand;
mod figures;
mod report;
mod show;

use proxy::Ports;
use report::Summary;
use script::Script;
use show::Show;
use story::{Run, Standing, Story};
use yardstick::Yardstick;

/// Sockets of one process: measured are 7,200 without and 6,000 with Sluss; a slow machine holds them longer.
const DESCRIPTORS: u64 = 12_000;

/// Play the Saturday: a reopening surge without Sluss and with it
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Print one JSON document instead of the table
    #[arg(long)]
    pub json: bool,
    /// Leave plant and proxy up afterwards, to play with; until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Everything random is drawn from this
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Horse racing is cold for the first 15 s after reopening: all it asks for takes twice as long
    #[arg(long)]
    pub cold: bool,
    /// Seconds from the reopening to the end of a run
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u64).range(15..=300))]
    pub window: u64,
    /// Where the proxy listens [default: 127.0.0.1:8080 with --keep, else any free port]
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Where its admin listens [default: 127.0.0.1:9900 with --keep, else any free port]
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// Leave out the run without Sluss
    #[arg(long, conflicts_with = "naive_only")]
    pub skip_naive: bool,
    /// Leave out the run with Sluss
    #[arg(long, conflicts_with = "keep")]
    pub naive_only: bool,
    /// In place of Sluss, something else that already listens here and passes on to the plant (see --plant-port)
    #[arg(long, hide = true, conflicts_with_all = ["keep", "naive_only"])]
    pub against: Option<SocketAddr>,
    /// The plant's ports: horse-racing here, sport, casino and its control on the next three
    #[arg(long, hide = true)]
    pub plant_port: Option<u16>,
    /// Be the plant until standard input ends
    #[arg(long, hide = true)]
    pub play_plant: bool,
}

impl DemoArgs {
    fn window(&self) -> Duration {
        Duration::from_secs(self.window)
    }
}

/// Why the demo could not be played, in one sentence.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Plays the demo to its end. Call it once, from outside any async runtime; it brings its own.
///
/// Success means that the run itself went well: everything was measured, the plant collapsed without Sluss, no attempt
/// reached it twice, and the proxy ended cleanly. What went wrong is said on standard error, a sentence each.
pub fn run(args: DemoArgs) -> ExitCode {
    let played = if args.play_plant {
        plant::play(args.seed, args.plant_port).map(|()| true)
    } else {
        raise_descriptor_limit().and_then(|()| block_on(play(args)))
    };
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            complain(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The whole story; true when it went well.
async fn play(args: DemoArgs) -> Result<bool, Failure> {
    let script = Script::saturday();
    let show = Rc::new(Show::new(&script));
    // Leaving the story early drops it, and plant and proxy go with it.
    let Played { yardstick, without, with, mut standing } = tokio::select! {
        played = all(Story::new(&args, &script, Rc::clone(&show)), &args) => played?,
        heard = interrupted() => return heard.and(Err(Failure::new("interrupted"))),
    };
    show.end();

    let mut problems = Vec::new();
    if !args.keep
        && let Some(proxy) = standing.take().and_then(|standing| standing.proxy)
    {
        problems.extend(proxy.stop().await.err().map(|failure| failure.to_string()));
    }
    let summary = Summary::new(&args, yardstick, without, with, problems);
    print(&summary, args.json)?;
    if let Some(standing) = standing {
        keep(standing, &script).await?;
    }
    Ok(summary.ok)
}

struct Played {
    yardstick: Yardstick,
    without: Option<Run>,
    with: Option<Run>,
    standing: Option<Standing>,
}

async fn all(story: Story<'_>, args: &DemoArgs) -> Result<Played, Failure> {
    // Asked for first: a port in use is better said at once than after a minute.
    let ports = Ports::choose(args.listen, args.admin, args.keep)?;
    let yardstick = story.yardstick().await?;
    let without = if args.skip_naive { None } else { Some(story.without().await?) };
    let (with, standing) = if args.naive_only { None } else { Some(story.with(ports).await?) }.unzip();
    Ok(Played { yardstick, without, with, standing })
}

#[allow(clippy::print_stdout, reason = "the result goes to standard output")]
fn print(summary: &Summary, json: bool) -> Result<(), Failure> {
    if json {
        let document = serde_json::to_string_pretty(summary);
        println!("{}", document.map_err(|error| Failure::new(format!("the figures are no JSON: {error}")))?);
    } else {
        println!("{}\n{}\n\n{}", summary.table(), summary.remarks(), summary.by_manner());
        println!("\nWhere to look next: README.md; docs/decisions/0004-the-plant.md for what was modelled and why;");
        println!("`sluss demo --keep` to play with it; `sluss run --config FILE` in front of your own backends.");
    }
    summary.problems.iter().for_each(|problem| complain(problem));
    Ok(())
}

/// Leaves plant and proxy up until Ctrl-C.
#[allow(clippy::print_stderr, reason = "telling the person in front of the terminal is the job here")]
async fn keep(standing: Standing, script: &Script) -> Result<(), Failure> {
    let Some(proxy) = standing.proxy else {
        return Ok(());
    };
    let (listen, admin, event) = (proxy.ports.listen, proxy.ports.admin, &script.closed().name);
    let sluss = std::env::args().next().unwrap_or_else(|| "sluss".into());
    eprintln!(
        "\nPlant and proxy are still up. Try, from another terminal:\n\
         \n  curl -i http://{listen}/horse/odds\
         \n  curl -i -X POST -H 'idempotency-key: 1' -H 'x-event: {event}' http://{listen}/horse/bets\
         \n  {sluss} status --admin {admin}\
         \n  {sluss} park sport --admin {admin} --reason 'to see what happens'\
         \n  curl -i -X POST http://{listen}/sport/login\
         \n  {sluss} reopen sport --admin {admin} --reason 'seen it'\
         \n  curl http://{admin}/metrics\
         \n\nThe configuration it runs with: {}\nCtrl-C ends both.",
        proxy.configuration().display()
    );
    interrupted().await?;
    // The proxy first, then what it stands in front of.
    let stopped = proxy.stop().await;
    drop(standing.plant);
    stopped
}

/// Waits for Ctrl-C, or for whoever runs us to end it.
async fn interrupted() -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn raise_descriptor_limit() -> Result<(), Failure> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| Failure::new(format!("the limit on open files cannot be read: {error}")))?;
    if limit >= DESCRIPTORS {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the demo opens up to {DESCRIPTORS} sockets in a process and may open {limit}; raise the hard limit, as root for \
         example with `prlimit --pid $$ --nofile={DESCRIPTORS}` in this shell, and start it again"
    )))
}

fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("no async runtime: {error}")))?;
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

#[allow(clippy::print_stderr, reason = "what went wrong goes to standard error")]
fn complain(sentence: &str) {
    eprintln!("sluss demo: {sentence}");
}

#[cfg(test)]
mod tests {
    /// A command line that is nothing but the demo's.
    #[derive(clap::Parser)]
    pub(super) struct Line {
        #[command(flatten)]
        pub(super) args: super::DemoArgs,
    }
}
