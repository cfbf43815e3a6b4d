//! What the defaults of ejection do, policy by policy: the real core in made-up time before modelled backends.
//!
//! The table is in `docs/balancing.md`, and the test fails when it is no longer what comes out; with `SLUSS_UPDATE=1` it is
//! written anew.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::super::admit::Gate;
use super::super::backend::Outstanding;
use super::super::balance::{Policy, Table};
use super::super::clock::{Clock, made_up};
use super::Standing;
use super::answers::LOOK_EVERY;
use crate::admission::random::Random;
use crate::admission::{Customer, Domain, Timestamp};
use crate::telemetry::export::Registry;
use crate::telemetry::record::UpstreamMetrics;

const BACKENDS: usize = 5;
const LASTS: Duration = Duration::from_secs(30);
const RATE_PER_S: f64 = 400.0;
const SERVICE_S: f64 = 0.02;
/// What each can do at once: half as much again as it is asked for, were all alike.
const SEATS: usize = 3;
const CUSTOMERS: u64 = 2_000;

/// What is wrong with some of the backends.
#[derive(Clone, Copy)]
struct Ill {
    name: &'static str,
    /// The first so many of them.
    many: usize,
    times_slower: f64,
    /// So many of its answers in a hundred are errors.
    errors: u64,
    /// Which take so long.
    errors_take_s: f64,
}

const WELL: Ill = Ill { name: "all are well", many: 0, times_slower: 1.0, errors: 0, errors_take_s: 0.0 };
const ILLS: [Ill; 7] = [
    WELL,
    Ill { name: "three times as slow", many: 1, times_slower: 3.0, ..WELL },
    Ill { name: "errors at once, all", many: 1, errors: 100, errors_take_s: 0.001, ..WELL },
    Ill { name: "errors at once, 20 %", many: 1, errors: 20, errors_take_s: 0.001, ..WELL },
    Ill { name: "2 % hang for a second, then fail", many: 1, errors: 2, errors_take_s: 1.0, ..WELL },
    Ill { name: "two of five: errors at once, all", many: 2, errors: 100, errors_take_s: 0.001, ..WELL },
    Ill { name: "all five: errors at once, 20 %", many: 5, errors: 20, errors_take_s: 0.001, ..WELL },
];

/// What came of it.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Of the requests, in per cent, by those that are ill.
    served_by_ill: f64,
    failed: f64,
    p99_ms: u64,
    /// When somebody was first ejected.
    ejected_after: Option<Duration>,
    most_out: usize,
}

/// A request at its backend.
struct Request {
    at: usize,
    came: Timestamp,
    outstanding: Outstanding,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Look,
    Arrival,
    Answer { request: usize, good: bool },
}

struct World {
    ill: Ill,
    standing: Arc<Standing>,
    table: Table,
    random: Cell<Random>,
    chance: Random,
    events: BinaryHeap<Reverse<(Timestamp, u64, Next)>>,
    requests: Vec<Option<Request>>,
    lines: Vec<VecDeque<usize>>,
    busy: Vec<usize>,
    served_by_ill: u64,
    failed: u64,
    took_ms: Vec<u64>,
    ejected_after: Option<Duration>,
    most_out: usize,
}

impl World {
    fn new(ill: Ill, policy: Policy, ejects: bool) -> World {
        let (name, outliers) = (Policy::NAMES[policy as usize], if ejects { "[product.outliers]" } else { "" });
        let backends: Vec<String> = (1..=BACKENDS).map(|last| format!("http://10.0.0.{last}:9101")).collect();
        let text = format!(
            "[[product]]\nname = \"a\"\nmatch = [{{ path = \"/\" }}]\nbackends = {backends:?}\nbalance = {name:?}\n{outliers}"
        );
        let config = crate::config::parse(&text, std::path::Path::new("test.toml"), &crate::config::ThisMachine);
        let settings = config.expect("a sound configuration").proxy;
        let clock = Clock::start();
        let domain = Domain::new(settings.domains[0].admission.clone(), 1, Timestamp::ZERO);
        let gate = Gate::new(domain, clock, Box::new(|_, _| {}));
        let metrics = Arc::new(UpstreamMetrics::new(&Registry::new(), "a"));
        let standing = Standing::new(&settings.pools[0], gate, clock, metrics);
        World {
            ill,
            table: Table::new(standing.backends(), policy),
            standing,
            random: Cell::new(Random::new(1)),
            chance: Random::new(2),
            events: BinaryHeap::new(),
            requests: Vec::new(),
            lines: vec![VecDeque::new(); BACKENDS],
            busy: vec![0; BACKENDS],
            served_by_ill: 0,
            failed: 0,
            took_ms: Vec::new(),
            ejected_after: None,
            most_out: 0,
        }
    }

    /// By an exponential law.
    fn drawn(&mut self, mean_s: f64) -> Duration {
        let fraction = ((self.chance.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        Duration::from_secs_f64(-fraction.ln() * mean_s)
    }

    fn plan(&mut self, at: Timestamp, next: Next) {
        let order = self.chance.next_u64();
        self.events.push(Reverse((at, order, next)));
    }

    fn run(mut self) -> Outcome {
        made_up::NOW.set(Some(Timestamp::ZERO));
        let mut compared = Timestamp::ZERO;
        self.plan(Timestamp::ZERO, Next::Arrival);
        self.plan(Timestamp::ZERO + LOOK_EVERY, Next::Look);
        while let Some(Reverse((now, _, next))) = self.events.pop() {
            if now >= Timestamp::after(LASTS) {
                break;
            }
            made_up::NOW.set(Some(now));
            match next {
                Next::Look => {
                    self.standing.look(&mut compared, now);
                    self.plan(now + LOOK_EVERY, Next::Look);
                }
                Next::Arrival => self.arrives(now),
                Next::Answer { request, good } => self.answered(request, good, now),
            }
            let out = self.table.backends.iter().filter(|backend| backend.is_left_out(now)).count();
            self.most_out = self.most_out.max(out);
            if out > 0 {
                self.ejected_after.get_or_insert(now.since_start());
            }
        }
        made_up::NOW.set(None);
        self.outcome()
    }

    fn arrives(&mut self, now: Timestamp) {
        let customer = Customer::Account(self.chance.below(CUSTOMERS));
        let at = self.table.choose(&[], customer, now, &self.random);
        self.served_by_ill += u64::from(at < self.ill.many);
        let outstanding = Outstanding::at(&self.table.backends[at]);
        self.requests.push(Some(Request { at, came: now, outstanding }));
        self.lines[at].push_back(self.requests.len() - 1);
        self.serve(at, now);
        let gap = self.drawn(1.0 / RATE_PER_S);
        self.plan(now + gap, Next::Arrival);
    }

    /// Whoever is next in line has a seat, if there is one.
    fn serve(&mut self, at: usize, now: Timestamp) {
        while self.busy[at] < SEATS
            && let Some(request) = self.lines[at].pop_front()
        {
            self.busy[at] += 1;
            let ill = if at < self.ill.many { self.ill } else { WELL };
            let good = self.chance.below(100) >= ill.errors;
            let takes = match good {
                true => self.drawn(SERVICE_S * ill.times_slower),
                false => Duration::from_secs_f64(ill.errors_take_s),
            };
            self.plan(now + takes, Next::Answer { request, good });
        }
    }

    fn answered(&mut self, request: usize, good: bool, now: Timestamp) {
        let Request { at, came, outstanding } = self.requests[request].take().expect("it is answered once");
        self.standing.heard(outstanding.backend(), good, now.since(came), now);
        drop(outstanding);
        match good {
            true => self.took_ms.push(now.since(came).as_millis() as u64),
            false => self.failed += 1,
        }
        self.busy[at] -= 1;
        self.serve(at, now);
    }

    fn outcome(mut self) -> Outcome {
        self.took_ms.sort_unstable();
        let all = self.requests.len() as f64;
        Outcome {
            served_by_ill: self.served_by_ill as f64 * 100.0 / all,
            failed: self.failed as f64 * 100.0 / all,
            p99_ms: self.took_ms[self.took_ms.len() * 99 / 100],
            ejected_after: self.ejected_after,
            most_out: self.most_out,
        }
    }
}

/// The table, and what is in it by illness and policy: without ejection and with it.
fn measured() -> (String, Vec<(Ill, Policy, Outcome, Outcome)>) {
    let mut table = String::from(
        "| what is wrong with one of five | `balance` | it gets | failed | p99 | with `outliers`: it gets | failed | p99 | ejected after |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut all = Vec::new();
    for ill in ILLS {
        for policy in Policy::ALL {
            let [without, with] = [false, true].map(|ejects| World::new(ill, policy, ejects).run());
            let figures =
                |one: &Outcome| format!("{:.1} % | {:.2} % | {} ms", one.served_by_ill, one.failed, one.p99_ms);
            let after = with.ejected_after.map_or("never".into(), |after| format!("{:.1} s", after.as_secs_f64()));
            let name = Policy::NAMES[policy as usize];
            writeln!(table, "| {} | `{name}` | {} | {} | {after} |", ill.name, figures(&without), figures(&with))
                .expect("a string takes any text");
            all.push((ill, policy, without, with));
        }
    }
    (table, all)
}

#[test]
fn the_defaults_eject_who_fails_and_nobody_else_and_the_reference_tells_what_comes_out() {
    let (table, all) = measured();
    told_in_docs(&table);
    for (ill, policy, without, with) in all {
        let told = format!("{}, {policy:?}: {without:?}, {with:?}", ill.name);
        assert!(with.most_out <= 1, "never a majority: {told}");
        if ill.errors > 0 && ill.many < BACKENDS {
            let part = ill.many as f64 * 100.0 / BACKENDS as f64;
            assert!(without.served_by_ill <= part * 1.15, "failing at once draws nobody: {told}");
        }
        match (ill.many, ill.errors) {
            (1, 100) => assert!(with.ejected_after.is_some_and(|after| after < Duration::from_secs(2)), "{told}"),
            (1, 20) => {
                assert!(with.ejected_after.is_some_and(|after| after < Duration::from_secs(11)), "{told}");
                // Also by peak EWMA, where one that comes back must not look like the fastest.
                assert!(with.failed < without.failed * 0.9, "{told}");
            }
            (2, 100) => assert!(with.ejected_after.is_some(), "{told}"),
            (BACKENDS, _) | (0, _) | (_, 0 | 2) => assert_eq!(with.ejected_after, None, "{told}"),
            _ => {}
        }
    }
}

/// The table stands in the documentation as it came out.
fn told_in_docs(table: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/balancing.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let (head, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (known, tail) = rest.split_once(END).expect("where it ends");
    if std::env::var_os("SLUSS_UPDATE").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("it can be written");
        return;
    }
    assert_eq!(known, table, "SLUSS_UPDATE=1 cargo test --lib standing::experiment writes it anew");
}

const BEGIN: &str = "<!-- measured -->\n\n";
const END: &str = "\n<!-- /measured -->";
