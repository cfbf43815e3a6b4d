//! `sluss run` and `sluss check`.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::admin::control::Control;
use crate::config::{self, Config, LogFormat};
use crate::proxy::descriptors;
use crate::proxy::settings::ListenSettings;
use crate::run;

/// Run until told to stop.
pub(super) fn run(path: &Path) -> Result<(), String> {
    let config = config::load(path).map_err(|error| error.to_string())?;
    log_to_stderr(config.log);
    let config = fit(config)?;
    let file = path.to_owned();
    let again = move || config::load(&file).map_err(|error| error.to_string()).and_then(fit);
    let running = run::start_from(config, Arc::new(again)).map_err(|error| error.to_string())?;
    tracing::info!(address = %running.address, admin = %running.admin, "sluss takes requests");
    let told = wait_for_the_end(&running.control)?;
    tracing::info!(signal = told, "going down: finishing what is in flight");
    running.stop();
    tracing::info!("down");
    Ok(())
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

/// Wait for SIGTERM or SIGINT; a second one ends the process at once. SIGHUP has the configuration read again.
fn wait_for_the_end(control: &Control) -> Result<&'static str, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot wait for signals: {error}"))?;
    let told = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok("SIGTERM"),
                _ = interrupt.recv() => return Ok("SIGINT"),
                _ = hangup.recv() => control.ask_to_reload("SIGHUP"),
            }
        }
    });
    let told = told.map_err(|error: std::io::Error| format!("cannot wait for signals: {error}"))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut terminate), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return;
            };
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("told a second time: ending at once");
            std::process::exit(1);
        });
    });
    Ok(told)
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
