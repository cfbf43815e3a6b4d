//! Many runs at once: stories under several laws with several seeds, on all the cores there are.
//!
//! Every run is a world of its own and results are put back in the order in which they were asked for, so nothing of
//! what comes out depends on how many cores there were or which was quicker.

#[cfg(test)]
pub(crate) mod handmade;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::judge::{Measured, Verdict, judge};
use super::law::OURS;
use super::record::Run;
use super::scenario::Scenario;
use crate::admission::Timestamp;

/// A story to rehearse.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its file, as somebody wrote it: what a command to replay a run names.
    pub file: String,
    /// What is in it.
    pub scenario: Scenario,
    /// The laws to rehearse it under, ours first.
    pub laws: Vec<String>,
    /// How many of these, from the first on, are drawn: a table takes any number of laws, a picture does not.
    pub drawn: usize,
}

/// The most laws that one picture can tell apart.
pub const MOST_DRAWN: usize = 10;

impl Story {
    /// Under ours and these, or, when there are none, those its file compares with and those it expects something of.
    /// The latter are drawn only where it compares with none.
    pub fn new(file: String, scenario: Scenario, against: &[String]) -> Self {
        let asked = !against.is_empty();
        let compared = if asked { against } else { &scenario.against };
        let expected = scenario.expected.iter().map(|expected| &expected.law).filter(|_| !asked);
        let mut laws = vec![OURS.to_owned()];
        let mut drawn = 0;
        for (nth, law) in compared.iter().chain(expected).enumerate() {
            if !laws.contains(law) {
                laws.push(law.clone());
            }
            if nth < compared.len() || compared.is_empty() {
                drawn = laws.len();
            }
        }
        Self { file, scenario, drawn: drawn.clamp(1, MOST_DRAWN), laws }
    }
}

/// A story that was rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Which.
    pub story: Story,
    /// With which seeds.
    pub seeds: Vec<u64>,
    /// Every run in few numbers: law by law in the story's order, within a law seed by seed.
    pub measured: Vec<Measured>,
    /// The whole record of the first seed's run under each law that is drawn. Empty unless they were asked for.
    pub shown: Vec<Run>,
}

impl Rehearsal {
    /// What came of each expectation.
    pub fn verdicts(&self) -> Vec<Verdict<'_>> {
        judge(&self.story.scenario, &self.measured)
    }

    /// Whether every expectation held and no check found anything.
    pub fn held(&self) -> bool {
        self.verdicts().iter().all(Verdict::held) && self.measured.iter().all(|run| run.violations.is_empty())
    }
}

/// Plays one scenario under one law with one seed, and tells now and then how far it is.
pub type Play<'a> = dyn Fn(&Scenario, &str, u64, &mut dyn FnMut(Timestamp)) -> Result<Run, String> + Sync + 'a;

/// How many runs go on at once, and what is kept of them.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Threads.
    pub threads: NonZeroUsize,
    /// Whether to keep what curves are drawn from.
    pub show: bool,
}

/// Rehearses stories with every seed. `told` hears from any thread how much simulated time has been played since it heard
/// last; it all adds up to the length of every run. An error is a sentence about a law or a file, the same whatever
/// the number of threads. A run that comes down takes nothing with it: it is one that violated a check.
pub fn rehearse(
    stories: Vec<Story>,
    seeds: &[u64],
    manner: Manner,
    play: &Play<'_>,
    told: &(dyn Fn(Duration) + Sync),
) -> Result<Vec<Rehearsal>, String> {
    let jobs = jobs(&stories, seeds);
    let results: Vec<Mutex<Option<Result<Played, String>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        // Jobs are taken in order, so the first that fails is among those taken, however many are at it.
        while !failed.load(Ordering::Relaxed) {
            let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let played = job.run(manner.show, play, told);
            failed.fetch_or(played.is_err(), Ordering::Relaxed);
            *results[job.place].lock().expect("nothing is done under this lock that could panic") = Some(played);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..manner.threads.get().min(jobs.len()) {
            scope.spawn(work);
        }
    });
    drop(jobs);
    let results = results.into_iter().filter_map(|slot| slot.into_inner().expect("as above"));
    let mut played = results.collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(stories.into_iter().map(|story| gathered(story, seeds, &mut played)).collect())
}

/// One run to make.
struct Job<'a> {
    place: usize,
    story: &'a Story,
    law: &'a str,
    seed: u64,
    drawn: bool,
}

/// One run made.
struct Played {
    measured: Measured,
    shown: Option<Run>,
}

fn jobs<'a>(stories: &'a [Story], seeds: &[u64]) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for story in stories {
        for (place, law) in story.laws.iter().enumerate() {
            for (nth, &seed) in seeds.iter().enumerate() {
                jobs.push(Job { place: jobs.len(), story, law, seed, drawn: nth == 0 && place < story.drawn });
            }
        }
    }
    jobs
}

impl Job<'_> {
    fn run(&self, show: bool, play: &Play<'_>, told: &(dyn Fn(Duration) + Sync)) -> Result<Played, String> {
        let scenario = &self.story.scenario;
        let mut heard = Duration::ZERO;
        let mut progress = |now: Timestamp| {
            let now = now.since_start().min(scenario.lasts);
            told(now.saturating_sub(heard));
            heard = heard.max(now);
        };
        let run = catch_unwind(AssertUnwindSafe(|| play(scenario, self.law, self.seed, &mut progress)));
        told(scenario.lasts.saturating_sub(heard));
        Ok(match run {
            Ok(run) => {
                let run = run.map_err(|error| format!("{}: {error}", self.story.file))?;
                Played { measured: Measured::of(scenario, &run), shown: (show && self.drawn).then_some(run) }
            }
            Err(panic) => Played { measured: self.came_down(panic.as_ref()), shown: None },
        })
    }

    fn came_down(&self, panic: &(dyn std::any::Any + Send)) -> Measured {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let scenario = &self.story.scenario;
        Measured {
            law: self.law.to_owned(),
            seed: self.seed,
            found: vec![None; scenario.expected.len()],
            rows: vec![vec![None; super::judge::ROW.len()]; scenario.products.len()],
            violations: vec![format!("the run came down: {}", text.unwrap_or("without a word"))],
            events: 0,
        }
    }
}

fn gathered(story: Story, seeds: &[u64], played: &mut impl Iterator<Item = Played>) -> Rehearsal {
    let (mut measured, mut shown) = (Vec::new(), Vec::new());
    for one in played.take(story.laws.len() * seeds.len()) {
        measured.push(one.measured);
        shown.extend(one.shown);
    }
    Rehearsal { story, seeds: seeds.to_vec(), measured, shown }
}

#[cfg(test)]
mod tests;
