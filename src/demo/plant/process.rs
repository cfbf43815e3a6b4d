//! The plant as a process of its own: a fresh one for each run, with descriptors of its own, gone with its parent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Addresses, open};
use crate::admission::ProductId;
use crate::demo::script::Script;
use crate::demo::{Failure, errand};
use crate::sim::backend::{Counts, Plant};

/// What the plant tells whoever watches.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::demo) struct Report {
    /// Threads held, by product.
    pub(in crate::demo) threads: Vec<usize>,
    /// Requests waiting for a thread, by product.
    pub(in crate::demo) backlog: Vec<usize>,
    /// Requests waiting for the wallet.
    pub(in crate::demo) wallet_line: usize,
    /// By how much the wallet is slowed.
    pub(in crate::demo) wallet_permille: u64,
    /// Bets carried out, by product, whether or not the customer heard. One without a key cannot be recognised again:
    /// each counts, as it would in money.
    pub(in crate::demo) placed: Vec<u64>,
    /// Bets that came again after they had been carried out, and got their receipt.
    pub(in crate::demo) repeated: Vec<u64>,
    /// Requests that reached a backend, by product.
    pub(in crate::demo) arrived: Vec<u64>,
    /// Attempts that arrived twice: always 0, or somebody sent a request twice.
    pub(in crate::demo) duplicates: u64,
    /// True when the plant has lost count.
    pub(in crate::demo) full: bool,
}

impl Report {
    pub(super) fn of(plant: &Plant, script: &Script) -> Self {
        let ledger = plant.ledger();
        let by_station = |count: &dyn Fn(usize) -> usize| {
            script.story.products.iter().map(|product| count(product.station)).collect()
        };
        let by_product = |only_bets, count: &dyn Fn(Counts) -> u64| {
            let counted = |product: ProductId| {
                script.routes(product, only_bets).into_iter().map(|route| count(ledger.counts(route))).sum()
            };
            script.products().map(counted).collect()
        };
        Self {
            threads: by_station(&|station| plant.held(station)),
            backlog: by_station(&|station| plant.waiting(station)),
            wallet_line: script.wallet().map_or(0, |station| plant.in_line(station)),
            wallet_permille: script.wallet().map_or(0, |station| plant.bend_permille(station)),
            placed: by_product(true, &|counts| counts.done - counts.repeated),
            repeated: by_product(true, &|counts| counts.repeated),
            arrived: by_product(false, &|counts| counts.arrived),
            duplicates: ledger.duplicates(),
            full: ledger.full(),
        }
    }
}

/// A plant that stands until it is dropped.
pub(in crate::demo) struct PlantProcess {
    child: Child,
    pub(in crate::demo) addresses: Addresses,
}

impl PlantProcess {
    /// Builds a fresh, warm, empty plant.
    pub(in crate::demo) fn build(seed: u64, first_port: Option<u16>) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("the plant could not be started: {error}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["demo", "--play-plant", "--seed", &seed.to_string()]);
        if let Some(port) = first_port {
            command.args(["--plant-port", &port.to_string()]);
        }
        // Its standard input is the rope it hangs on: when we are gone, however we went, it ends.
        // Ctrl-C is for us alone.
        command.process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        }
        match serde_json::from_str(&line) {
            Ok(addresses) => Ok(Self { child, addresses }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(Failure::new("the plant did not say where it can be reached; its own message is above"))
            }
        }
    }

    /// How it feels and what it has counted.
    pub(in crate::demo) async fn report(&self) -> Result<Report, Failure> {
        read_report(self.addresses.control).await
    }

    /// Makes the product that was closed cold from now on.
    pub(in crate::demo) async fn cool(&self) -> Result<(), Failure> {
        errand::post(self.addresses.control, "/cool", String::new()).await.map(|_| ())
    }
}

/// As [`PlantProcess::report`], for those who know only where it can be watched.
pub(in crate::demo) async fn read_report(control: SocketAddr) -> Result<Report, Failure> {
    let (_, body) = errand::get(control, "/").await?;
    serde_json::from_slice(&body).map_err(|error| Failure::new(format!("the plant's report makes no sense: {error}")))
}

impl Drop for PlantProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side of [`PlantProcess::build`]: is the plant until standard input ends.
pub(in crate::demo) fn play(seed: u64, first_port: Option<u16>) -> Result<(), Failure> {
    super::super::raise_descriptor_limit()?;
    super::super::block_on(async move {
        let addresses = open(&Script::saturday(), first_port, seed).await?;
        tell(&addresses).map_err(|error| Failure::new(format!("nobody is listening to the plant: {error}")))?;
        let (gone, parent) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = gone.send(());
        });
        let _ = parent.await;
        Ok(())
    })
}

fn tell(addresses: &Addresses) -> std::io::Result<()> {
    let line = serde_json::to_string(addresses)?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
