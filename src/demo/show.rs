//! What is seen while it runs: on a terminal a bar and live counts, elsewhere a line for each phase. Always on standard
//! error, so that standard output carries the result and nothing else.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::customers::Field;
use super::plant::{Report, read_report};
use super::script::Script;
use crate::admission::ProductId;
use crate::sim::clients::Ended;

/// The progress display.
pub(super) struct Show {
    all: MultiProgress,
    phase: ProgressBar,
    products: Vec<ProgressBar>,
    plant: ProgressBar,
}

/// Live counts look back this far.
const LATELY: Duration = Duration::from_secs(2);
const REFRESH: Duration = Duration::from_millis(500);

impl Show {
    /// An empty display.
    pub(super) fn new(script: &Script) -> Self {
        let all = MultiProgress::new();
        let phase = all.add(ProgressBar::new(1));
        phase.set_style(style("{msg}\n{bar:50} {prefix}"));
        let line = || {
            let line = all.add(ProgressBar::new(1));
            line.set_style(style("  {msg}"));
            line
        };
        let products = script.products().map(|_| line()).collect();
        let plant = line();
        Self { all, phase, products, plant }
    }

    /// Says something that stays.
    #[allow(clippy::print_stderr, reason = "telling the person in front of the terminal is the job here")]
    pub(super) fn say(&self, text: &str) {
        if self.phase.is_hidden() {
            eprintln!("{text}");
        } else {
            // A terminal that cannot be written to has nobody in front of it.
            let _ = self.all.println(text);
        }
    }

    /// A new phase begins and will take this long.
    pub(super) fn phase(&self, what: &str, length: Duration) {
        if self.phase.is_hidden() {
            self.say(&format!("{what} ({} s)", length.as_secs()));
        }
        self.phase.set_message(what.to_owned());
        self.phase.set_length(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        self.phase.reset();
    }

    /// Shows how customers and plant fare, for as long as the field is not cleared. `plant` is where it can be watched.
    pub(super) fn watch(self: &Rc<Self>, field: &Rc<Field>, plant: SocketAddr) {
        let (show, watched) = (Rc::clone(self), Rc::clone(field));
        field.also(async move {
            loop {
                let asked = Instant::now();
                let report = read_report(plant).await.unwrap_or_default();
                show.refresh(&watched, &report);
                tokio::time::sleep(REFRESH.saturating_sub(asked.elapsed())).await;
            }
        });
    }

    fn refresh(&self, field: &Field, plant: &Report) {
        self.tick();
        for (line, product) in self.products.iter().zip(field.script.products()) {
            line.set_message(lately(field, product));
        }
        self.plant.set_message(feels(plant, field.open.now()));
    }

    /// Moves the bar on.
    fn tick(&self) {
        let elapsed = self.phase.elapsed();
        self.phase.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        let left = Duration::from_millis(self.phase.length().unwrap_or(0)).saturating_sub(elapsed);
        self.phase.set_prefix(format!("{} s left", left.as_secs()));
    }

    /// Takes the bars away; what was said stays.
    pub(super) fn end(&self) {
        self.phase.finish_and_clear();
        self.plant.finish_and_clear();
        self.products.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

fn lately(field: &Field, product: ProductId) -> String {
    let (mut bets, mut refused, mut answered, mut all) = (0_u32, 0_u32, 0_u32, 0_u32);
    let records = field.records.borrow();
    for attempt in records.lately(field.now().saturating_sub(LATELY)).filter(|a| a.product == product) {
        all += 1;
        refused += u32::from(matches!(attempt.how, Ended::Refused(_)));
        if attempt.how == Ended::Served {
            answered += 1;
            bets += u32::from(attempt.bet);
        }
    }
    let per_s = |count: u32| f64::from(count) / LATELY.as_secs_f64();
    let success = (100 * answered).checked_div(all).unwrap_or(100);
    format!(
        "{:<13}{:>6.1} bets/s {:>7.1} refused/s {:>4} % of attempts answered",
        field.script.name(product),
        per_s(bets),
        per_s(refused),
        success
    )
}

fn feels(plant: &Report, connections: usize) -> String {
    let threads: Vec<String> = plant.threads.iter().map(usize::to_string).collect();
    let slower = plant.wallet_permille.max(1_000) as f64 / 1_000.0;
    format!(
        "plant        threads held {}, waiting for one {}, for the wallet {} ({slower:.1}x slower); \
         {connections} customers connected",
        threads.join(" "),
        plant.backlog.iter().sum::<usize>(),
        plant.wallet_line,
    )
}
