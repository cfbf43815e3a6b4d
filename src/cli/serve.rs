//! `sluss run` and `sluss check`.

mod life;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use crate::admin::wall::Wall;
use crate::config::{self, Config, LogFormat};
use crate::handover::{Inherited, Program};
use crate::notify;
use crate::proxy::descriptors;
use crate::proxy::settings::ListenSettings;
use crate::run::{self, Running};

use life::Life;

/// What is done before the command line is read: where a proxy is to run, its signals wait from then on until they are heard.
#[derive(Debug)]
pub struct Early(Option<Result<Life, String>>);

impl Early {
    /// For the first line of the program.
    pub fn of_this_process() -> Early {
        // Every other command ends at a signal, as commands do.
        let runs = std::env::args_os().nth(1).is_some_and(|command| command == "run");
        Early(runs.then(Life::new))
    }
}

/// Run until told to stop, or until another process takes requests.
pub(super) fn run(path: &Path, Early(early): Early) -> Result<(), String> {
    let life = early.unwrap_or_else(Life::new)?;
    let program = Program::of_this_process().map_err(|error| format!("cannot tell what this process is: {error}"))?;
    let mut inherited = Inherited::from_environment()?;
    let started = start(path, &mut inherited);
    let mut predecessor = inherited.into_predecessor();
    if let Some(predecessor) = &mut predecessor {
        match &started {
            Ok(Running { shares, .. }) => predecessor.ready(shares.clients, shares.admin),
            Err(why) => predecessor.failed(why),
        }
    }
    life.live(started?, predecessor, &program)
}

fn start(path: &Path, inherited: &mut Inherited) -> Result<Running, String> {
    let config = config::load(path).map_err(|error| error.to_string())?;
    log_to_stderr(config.log);
    let config = fit(config)?;
    let file = path.to_owned();
    let again = move || config::load(&file).map_err(|error| error.to_string()).and_then(fit);
    let running = run::start_with(Wall::machine(), config, Some(Arc::new(again)), inherited);
    let running = running.map_err(|error| error.to_string())?;
    notify::ready();
    tracing::info!(address = %running.address, admin = %running.admin, process = std::process::id(), "sluss takes requests");
    Ok(running)
}

/// As this machine lets it be; what is less than was asked for is told.
fn fit(mut config: Config) -> Result<Config, String> {
    fit_descriptors(&mut config.proxy.listen)?;
    warn_of_memory(&config.proxy.listen);
    Ok(config)
}

/// As many connections as the file descriptors allow.
fn fit_descriptors(listen: &mut ListenSettings) -> Result<(), String> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("cannot tell how many files may be open: {error}; check ulimit -n"))?;
    let fit = descriptors::fit(listen, descriptors)?;
    if fit < listen.connections {
        tracing::error!(
            descriptors,
            wanted = descriptors::wanted(listen),
            configured = listen.connections,
            connections = fit,
            "ALARM: too few file descriptors for [listen] connections, so there will be fewer: raise the hard limit \
             (ulimit -Hn, or LimitNOFILE= of the systemd unit), or lower the key"
        );
        listen.connections = fit;
    }
    Ok(())
}

/// Connections that are full of memory before they are all there are no reason not to start, but somebody should know.
fn warn_of_memory(listen: &ListenSettings) {
    if let Some(wanted) = listen.memory_wanted() {
        tracing::warn!(
            connections = listen.connections,
            memory_bytes = listen.memory,
            wanted_bytes = wanted,
            "[listen] memory is used up before there are as many connections as may be, and low classes are refused then: \
             raise memory, or lower connections"
        );
    }
}

/// Say whether a configuration is sound.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let config = config::load(path).map_err(|error| error.to_string())?;
    let (products, events) = (config.proxy.products.len(), config.events.len());
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    println!("{}: sound ({}, {})", path.display(), count(products, "product"), count(events, "scheduled event"));
    let now = jiff::Timestamp::now();
    let tls = config.proxy.listen.tls.iter().flat_map(|tls| tls.doubts(now));
    for doubt in config::schedule::doubts(&config.events, now).into_iter().chain(tls) {
        eprintln!("warning: {doubt}");
    }
    Ok(())
}

/// Sentences for people on a terminal, JSON for machines; `RUST_LOG` says how much.
fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let human = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if human {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    } else {
        log.json().flatten_event(true).init();
    }
}

/// h2 warns of what a stranger did, a line for each connection that attacks: that is counted, and would fill a disk.
const LOGGED: &str = "info,h2=error";
