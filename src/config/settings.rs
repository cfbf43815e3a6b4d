//! The configuration as checked.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::proxy;

use super::budgets::Sharer;
use super::check::Check;
use super::domains::Parts;
use super::error::{ConfigError, Source, Wrong};
use super::file::{File, Opt};
use super::products::Draft;
use super::surroundings::Surroundings;
use super::{
    access_log, backends, budgets, cache, cors, customer, domains, keys, listen, machines, once, pages, products,
    schedule, shape, trace,
};

/// A whole configuration: nothing in it can be half right.
#[derive(Clone, Debug)]
pub struct Config {
    /// The way of a request.
    pub proxy: proxy::Settings,
    /// Where operators come in.
    pub admin: AdminSettings,
    /// Events with betting stops, from the schedule file, in its order.
    pub events: Vec<ScheduledEvent>,
    /// Where they came from.
    pub schedule: ScheduleSettings,
    /// Where orders and states are written down; `None` keeps nothing, and a restart comes up open.
    pub journal: Option<PathBuf>,
    /// How log lines look.
    pub log: LogFormat,
}

/// Where operators come in.
#[derive(Clone)]
pub struct AdminSettings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// What a request must carry as `Authorization: Bearer ...`; always there when others than this
    /// machine can reach the address.
    pub token: Option<String>,
}

/// An event as the schedule file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledEvent {
    /// Its id, as requests and signals name it.
    pub id: String,
    /// Its product, by index into [`proxy::Settings::products`].
    pub product: usize,
    /// When betting on it stops.
    pub stop: jiff::Timestamp,
    /// How long before its stop a close signal is believed.
    pub believed_before_stop: Duration,
    /// How long before its stop the last bet is let through.
    pub margin: Duration,
    /// What people call it.
    pub name: Option<String>,
}

/// Where events come from, beside the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleSettings {
    /// The schedule file.
    pub file: Option<PathBuf>,
    /// The margin of events that do not say theirs.
    pub margin: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl fmt::Debug for AdminSettings {
    /// Settings end up in logs; the token must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "(hidden)");
        f.debug_struct("AdminSettings").field("address", &self.address).field("token", &token).finish()
    }
}

pub(super) fn check(text: &str, name: &Path, around: &dyn Surroundings) -> Result<Config, ConfigError> {
    let source = Source::new(name, text);
    let file: File = shape::read(&source, &keys::CONFIG_FILE).map_err(ConfigError::new)?;
    if file.product.is_empty() {
        let what = if text.trim().is_empty() { "the file is empty" } else { "there is no product in this file" };
        return Err(ConfigError::new(vec![source.whole(Wrong::new(what, LEAST))]));
    }
    let mut check = Check::new(&source, around, &keys::CONFIG_FILE);
    whole(&mut check, &file).ok_or_else(|| ConfigError::new(check.problems))
}

/// Everything, in the order of the file; `None` when something is wrong, which is in `check`.
fn whole(check: &mut Check<'_>, file: &File) -> Option<Config> {
    let log = log(check, &file.log);
    let journal = journal(check, &file.journal);
    let (listen, admin) = listen::check(check, file);
    let access_log = file.access_log.as_ref().and_then(|written| access_log::check(check, written, journal.as_deref()));
    let cache = cache::check(check, &file.cache);
    let (customer, prefix, at_once) = customer::customers(check, file);
    let machines = machines::check(check, file);
    let (event, json_bytes) = customer::events(check, &file.event, listen.limits.waiting_body_bytes);
    let once = once::check(check, &file.once);
    let trace = file.trace.as_ref().map(|written| trace::check(check, written, &once.headers));
    let cors = file.cors.as_ref().and_then(|written| cors::check(check, written));
    let pages = pages::check(check, &file.pages);
    let drafts = products::check(check, &file.product);
    cache::no_identities(check, &drafts, &customer);
    let pools = backends::pools(check, &drafts);
    backends::no_loops(check, &drafts, &listen, &admin);
    let sharers: Vec<Sharer<'_>> = drafts.iter().map(Draft::sharer).collect();
    let budgets = budgets::check(check, &file.budget, &sharers);
    let members: Vec<&[usize]> = pools.iter().map(|pool| pool.members.as_slice()).collect();
    let shares = budgets::guarantees(check, &sharers, &members, &budgets);
    let (events, schedule) = schedule::check(check, file, &drafts);
    if !check.problems.is_empty() {
        return None;
    }
    let bounds = machines.iter().map(|machine| machine.at_once).collect();
    let parts = Parts { drafts: &drafts, pools: &pools, budgets: &budgets, shares: &shares, at_once, machines: bounds };
    let (products, pools, domains) = domains::build(&parts);
    let observe_only = file.observe_only.as_ref().is_some_and(|on| *on.get_ref());
    let proxy = proxy::Settings {
        observe_only,
        listen,
        cors,
        pages,
        access_log,
        trace,
        cache,
        customer,
        prefix,
        machines,
        event,
        json_bytes,
        once,
        products,
        pools,
        domains,
    };
    Some(Config { proxy, admin, events, schedule, journal, log })
}

fn journal(check: &mut Check<'_>, written: &Opt<String>) -> Option<PathBuf> {
    let (path, at) = match written {
        Some(text) if text.get_ref() == "off" => return None,
        Some(text) => (check.beside(text.get_ref()), text.span()),
        None => (default_journal(check), 0..0),
    };
    if written.as_ref().is_some_and(|text| text.get_ref().is_empty()) {
        check.wrong(at, "`journal` is empty", "write a path, or \"off\" to keep nothing");
    } else if path == check.source.path {
        check.wrong(at, "the journal would overwrite this file", "write another path: journal = \"sluss.journal\"");
    }
    Some(path)
}

fn default_journal(check: &Check<'_>) -> PathBuf {
    let state = check.around.state_directory();
    state.map_or_else(|| check.source.path.with_extension("journal"), |state| state.join("sluss.journal"))
}

fn log(check: &mut Check<'_>, written: &Opt<String>) -> LogFormat {
    const FORMATS: [LogFormat; 3] = [LogFormat::Auto, LogFormat::Human, LogFormat::Json];
    let index = written.as_ref().and_then(|word| check.one_of("log format", word, &["auto", "human", "json"]));
    index.map_or_else(LogFormat::default, |index| FORMATS[index])
}

const LEAST: &str = "the least that works is
[[product]]
name = \"betting\"
match = [{ path = \"/\" }]
backends = [\"http://127.0.0.1:9101\"]";
