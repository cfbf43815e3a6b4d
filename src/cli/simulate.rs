//! `sluss simulate`: rehearse scenarios and say what came of it. Standard output carries the result and nothing else, so
//! two runs of one command print the same to the last byte.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::table;
use crate::sim::rehearsal::{Manner, Rehearsal, Story, rehearse};
use crate::sim::report::{self, tables};
use crate::sim::{law, scenario, world};

/// What to rehearse, and what to write.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Scenarios
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The seed everything is drawn from; the first, when there are several
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many seeds: each runs every scenario under every law
    #[arg(long, value_name = "N", default_value = "1")]
    seeds: NonZeroU32,
    /// Laws to compare with, in place of those the scenario names
    #[arg(long, value_name = "LAW", num_args = 1..)]
    against: Vec<String>,
    /// Write a report with curves, one HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write every expected figure as JSON, of all laws
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one picture for a front page, SVG: the first scenario, ours and the first law it is compared with
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// Do it.
pub(super) fn run(args: SimulateArgs) -> ExitCode {
    match simulate(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentences) => {
            sentences.iter().for_each(|sentence| eprintln!("sluss: {sentence}"));
            ExitCode::from(2)
        }
    }
}

/// Whether everything held; else what was wrong with the command or a file, before anything was run if it can be known.
fn simulate(args: &SimulateArgs) -> Result<bool, Vec<String>> {
    let seeds = seeds(args).map_err(alone)?;
    let stories = stories(args)?;
    if args.picture.is_some() && stories[0].laws.len() < 2 {
        return Err(alone("a picture compares: name a law with --against, such as --against none".into()));
    }
    for path in [&args.report, &args.markdown, &args.json, &args.picture].into_iter().flatten() {
        writable(path).map_err(alone)?;
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let manner = Manner { threads, show: args.report.is_some() || args.picture.is_some() };
    let bar = Bar::new(&stories, seeds.len());
    let rehearsals = rehearse(stories, &seeds, manner, &world::play, &|played| bar.advance(played)).map_err(alone)?;
    bar.end();
    print!("{}", rehearsals.iter().map(printed).collect::<Vec<_>>().join("\n"));
    write_all(args, &rehearsals).map_err(alone)?;
    Ok(rehearsals.iter().all(Rehearsal::held))
}

fn alone(sentence: String) -> Vec<String> {
    vec![sentence]
}

fn seeds(args: &SimulateArgs) -> Result<Vec<u64>, String> {
    let last = args.seed.checked_add(u64::from(args.seeds.get()) - 1);
    let last = last.ok_or("there are no more seeds after --seed: take a smaller one")?;
    Ok((args.seed..=last).collect())
}

/// Reads every file and asks for every law, so that all that is wrong is told at once and nothing is found out late.
fn stories(args: &SimulateArgs) -> Result<Vec<Story>, Vec<String>> {
    let (mut stories, mut wrong) = (Vec::new(), Vec::new());
    for path in &args.files {
        match scenario::load(path) {
            Err(error) => wrong.push(error.to_string()),
            Ok(scenario) => {
                let story = Story::new(path.display().to_string(), scenario, &args.against);
                let unknown = story.laws.iter().filter_map(|law| law::build(law, &story.scenario, args.seed).err());
                wrong.extend(unknown.map(|error| format!("{}: {error}", path.display())));
                stories.push(story);
            }
        }
    }
    if wrong.is_empty() { Ok(stories) } else { Err(wrong) }
}

/// Whether a file can be written, found out before an hour of rehearsal and without touching what is in it.
fn writable(path: &Path) -> Result<(), String> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map(drop).map_err(|error| cannot_write(path, &error))
}

fn write_all(args: &SimulateArgs, rehearsals: &[Rehearsal]) -> Result<(), String> {
    let write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => std::fs::write(path, text()).map_err(|error| cannot_write(path, &error)),
        None => Ok(()),
    };
    write(&args.report, &|| report::page(rehearsals))?;
    write(&args.markdown, &|| report::markdown(rehearsals))?;
    write(&args.json, &|| report::numbers(rehearsals))?;
    // A run that came down leaves nothing to draw; why it did is printed.
    write(&args.picture, &|| report::hero(&rehearsals[0]).unwrap_or_default())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}; name a file in a folder that exists and is yours", path.display())
}

/// What is printed of a story.
fn printed(rehearsal: &Rehearsal) -> String {
    let mut out = String::new();
    let scenario = &rehearsal.story.scenario;
    table::line(&mut out, &format!("{} ({}; scale {})", scenario.name, rehearsal.story.file, scenario.scale));
    table::line(&mut out, "");
    add(&mut out, tables::laws(rehearsal));
    table::line(&mut out, &format!("  {}", tables::basis(rehearsal)));
    table::line(&mut out, "");
    let verdicts = rehearsal.verdicts();
    if verdicts.is_empty() {
        table::line(&mut out, "Nothing is expected of these laws.");
    } else {
        add(&mut out, tables::expectations(rehearsal));
        let held = verdicts.iter().filter(|verdict| verdict.held()).count();
        table::line(&mut out, &format!("  {held} of {} expectations held", verdicts.len()));
    }
    for (what, command) in tables::failures(rehearsal) {
        table::line(&mut out, &format!("\n{what}\n  look at it: {command}"));
    }
    out
}

fn add(out: &mut String, table: tables::Table) {
    let head: Vec<&str> = table.head.iter().map(String::as_str).collect();
    let numbers = table.numbers_from..table.head.len();
    super::table::table(out, &head, numbers, table.rows.into_iter());
}

/// A bar for those who wait at a terminal.
struct Bar {
    bar: ProgressBar,
    began: Instant,
}

impl Bar {
    fn new(stories: &[Story], seeds: usize) -> Self {
        let length = |story: &Story| story.scenario.lasts * (story.laws.len() * seeds) as u32;
        let all: Duration = stories.iter().map(length).sum();
        let bar = ProgressBar::with_draw_target(Some(all.as_millis() as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:50} {percent:>3} %  {eta} left");
        bar.set_style(style.expect("the template is well formed"));
        Self { bar, began: Instant::now() }
    }

    fn advance(&self, played: Duration) {
        // What is over in a moment needs no bar.
        if self.bar.is_hidden() && self.began.elapsed() > PATIENCE && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(played.as_millis() as u64);
    }

    fn end(&self) {
        self.bar.finish_and_clear();
        // Nothing may be left of the bar in front of the tables.
        let _ = std::io::stderr().flush();
    }
}

const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
