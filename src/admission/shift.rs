//! How a product's share moves from one site to another: by steps, watched, and back by itself.
//!
//! A shift moves one step, lets it settle for a third of the pace, watches for the rest, and asks whether the receiving
//! site *suffers*. It is asked of what that site did with what it was given, not of the line before it, which under a
//! surge is long whatever one does:
//!
//! - more of its answers are faults than of the giving side's;
//! - its answers are late, and more of them than the giving side's;
//! - it does not take its share: it had no free seat for what was due to it, and its limit grows no more. Under a surge
//!   that is what finds the share that it can serve;
//! - it takes its share and fewer of all are served: what both have in common suffers.
//!
//! If it is well the next step follows. If there are too few answers to say, if its limit is still being found, or some
//! of its answers are late as a cold site's are, which only work can warm, the shift holds for some paces and says so.
//! If it suffers the share goes back to the last that was good and the step is halved; so the shift ends as near to its
//! target as the site can serve. After three steps back it gives up where it was good, and a person is told. Where half
//! of the answers fail it does not wait for the pace to be over; and where that is so at a share that was good before,
//! the site has broken, and all goes back to where the shift began.

use std::time::Duration;

use super::{Outcome, Timestamp};

/// What is to be moved, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The giving site, by its place among the product's.
    pub from: u8,
    /// The receiving one.
    pub to: u8,
    /// The share the receiving one is to have, in per cent.
    pub share: u32,
    /// By how many per cent at a time.
    pub step: u32,
    /// How long each step is watched.
    pub every: Duration,
    /// At once and unwatched: there is nothing to go back to.
    pub now: bool,
}

/// What the receiving side suffers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ill {
    /// More faults than at the other site.
    Faults,
    /// Answers later than the latency objective, and more of them than at the other site.
    Late,
    /// It has no seats for its share.
    Full,
    /// The same, and its limit was cut meanwhile.
    LimitCut,
    /// Fewer are served in all.
    Goodput,
    /// None of its backends is there.
    Gone,
}

impl Ill {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All of them.
    pub const ALL: [Ill; Ill::COUNT] = [Ill::Faults, Ill::Late, Ill::Full, Ill::LimitCut, Ill::Goodput, Ill::Gone];

    /// The word in the log, the status and the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Ill::Faults => "faults",
            Ill::Late => "late",
            Ill::Full => "full",
            Ill::LimitCut => "limit_cut",
            Ill::Goodput => "goodput",
            Ill::Gone => "gone",
        }
    }
}

/// How a shift ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The share is what was asked for, and was well there.
    Arrived,
    /// Where it stood, by order, or because other sites count from now on.
    Stopped,
    /// By order, to where it began.
    TakenBack,
    /// It stepped back too often, or had nowhere to go back to: somebody should look.
    GaveUp(Ill),
}

impl End {
    /// The word in the log and the status.
    pub const fn name(self) -> &'static str {
        match self {
            End::Arrived => "arrived",
            End::Stopped => "stopped",
            End::TakenBack => "taken_back",
            End::GaveUp(_) => "gave_up",
        }
    }
}

/// What a shift that does not move waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The step is being watched.
    Watching,
    /// The receiving site has answered too little to tell.
    TooFewAnswers,
    /// The limit of the receiving site is still growing, or its answers are late as those of a cold site are.
    Warming,
    /// It has stepped back, and sees whether all is well there.
    SteppedBack(Ill),
    /// None of the giving site's backends is there, so what the other does tells nothing of the step.
    GiverGone,
    /// Most answers of both sites fail, so it is not the step that does harm, nor is this the time for another.
    BothFail,
}

impl Hold {
    /// Every word there is.
    pub const NAMES: [&str; 6] = ["watching", "too_few_answers", "warming", "stepped_back", "giver_gone", "both_fail"];

    /// The word in the status and the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Hold::Watching => "watching",
            Hold::TooFewAnswers => "too_few_answers",
            Hold::Warming => "warming",
            Hold::SteppedBack(_) => "stepped_back",
            Hold::GiverGone => "giver_gone",
            Hold::BothFail => "both_fail",
        }
    }
}

/// What one site did since somebody began to watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    good: u32,
    late: u32,
    failed: u32,
    /// What its share of all came to, and what of that it had no seat for; in hundredths of a seat.
    due: i64,
    lost: i64,
    lately: Lately,
}

/// The last answers, the older ones counting less.
#[derive(Clone, Copy, Debug, Default)]
struct Lately {
    done: u32,
    failed: u32,
}

/// What the sites did while a step was watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) from: Watch,
    pub(crate) to: Watch,
    /// Seats of the receiving site, now.
    pub(crate) limit: u32,
    /// Whether somebody waits, or waited when a seat was given: more would come if more were served.
    pub(crate) surge: bool,
    pub(crate) giver_gone: bool,
}

/// What is to be done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The receiving site has this share from now on.
    Forward(u32),
    Back(u32, Ill),
    Stay,
    /// With this share it ends.
    End(u32, End),
}

/// A share on its way.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    plan: Plan,
    /// The share it began with, the last that was good, the one it has, and the least that was not good.
    start: u32,
    good: u32,
    at: u32,
    bad: Option<u32>,
    step: u32,
    backs: u32,
    hold: Hold,
    /// So many looks have found it warming at this share.
    warming: u32,
    /// When the last step was made, since when is counted, and when it is looked at next.
    stepped: Timestamp,
    since: Timestamp,
    settles: Option<Timestamp>,
    looks: Timestamp,
    /// Seats of the receiving site when the count began.
    limit: u32,
    /// Answers in time per second at the last share that was good, of both, if everybody could not be served then.
    goodput: Option<f64>,
}

/// The fewest answers that tell anything.
const FEWEST: u32 = 20;
/// So many parts of a hundred are chance.
const CHANCE: u32 = 2;
/// So many late answers in a hundred are nothing yet.
const LATE: u32 = 10;
/// Of what was due, in per cent, that a site need not have had seats for.
const UNTAKEN: i64 = 20;
/// A limit that has grown by so many per cent while it was watched is still growing, and one that is so much less was cut.
const GROWN: u32 = 10;
/// A site that is late and not yet warm after so many looks is late by nature.
const WARMED: u32 = 6;
/// Of all that was served, in per cent.
const FEWER: f64 = 10.0;
/// So many steps back are enough.
pub(crate) const STEP_BACKS: u32 = 3;

impl Watch {
    /// An answer has come, to a request that was let through since the last step or not.
    pub(crate) fn answered(&mut self, outcome: Outcome, slow: bool, since_step: bool) {
        if since_step {
            self.lately.answered(outcome);
        }
        match outcome {
            Outcome::Abandoned => {}
            Outcome::Failed => self.failed += 1,
            Outcome::Answered | Outcome::Streams(_) if slow => self.late += 1,
            Outcome::Answered | Outcome::Streams(_) => self.good += 1,
        }
    }

    pub(crate) fn counted(&mut self, due: i64, lost: i64) {
        self.due += due;
        self.lost += lost;
    }

    fn done(&self) -> u32 {
        self.good + self.late + self.failed
    }

    /// In so many of a hundred.
    fn per_cent(&self, of: u32) -> u32 {
        (u64::from(of) * 100 / u64::from(self.done().max(1))) as u32
    }

    fn mostly_fails(&self) -> bool {
        self.failed * 2 > self.done()
    }

    fn takes_too_little(&self) -> bool {
        self.lost * 100 > self.due * UNTAKEN
    }
}

impl Lately {
    fn answered(&mut self, outcome: Outcome) {
        if outcome == Outcome::Abandoned {
            return;
        }
        self.done += 1;
        self.failed += u32::from(outcome == Outcome::Failed);
        if self.done >= 2 * FEWEST {
            (self.done, self.failed) = (self.done / 2, self.failed / 2);
        }
    }

    fn mostly_fails(&self) -> bool {
        self.failed >= FEWEST / 2 && self.failed * 2 > self.done
    }
}

impl Shift {
    /// From the share that the receiving site has. The first step is made at once: see [`share`](Self::share).
    pub(crate) fn new(plan: Plan, start: u32, limit: u32, now: Timestamp) -> Shift {
        let mut shift = Shift {
            plan,
            start,
            good: start,
            at: start,
            bad: None,
            step: plan.step,
            backs: 0,
            hold: Hold::Watching,
            warming: 0,
            stepped: now,
            since: now,
            settles: None,
            looks: now,
            limit,
            goodput: None,
        };
        shift.at = shift.next();
        shift.watch_anew(now);
        shift
    }

    /// What was asked for.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The share that the receiving site has now, in per cent.
    pub fn share(&self) -> u32 {
        self.at
    }

    /// The share it began with.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// Steps back so far, since it was last better than ever.
    pub fn backs(&self) -> u32 {
        self.backs
    }

    /// What it waits for.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// When the share that it has was given.
    pub(crate) fn stepped(&self) -> Timestamp {
        self.stepped
    }

    /// When it is to be looked at.
    pub fn looks(&self) -> Timestamp {
        self.settles.unwrap_or(self.looks)
    }

    /// The share after the next step.
    fn next(&self) -> u32 {
        self.at.saturating_add(self.step).min(self.plan.share)
    }

    /// A step was made: what is on its way still says nothing of it.
    fn watch_anew(&mut self, now: Timestamp) {
        self.settles = Some(now + self.plan.every / 3);
        self.looks = now + self.plan.every;
        (self.stepped, self.since, self.warming) = (now, now, 0);
    }

    /// Whether what the receiving site did since the step was made is so bad that nobody need wait for more.
    pub(crate) fn is_plainly_ill(from: &Watch, to: &Watch) -> bool {
        to.lately.mostly_fails() && !from.lately.mostly_fails()
    }

    /// The receiving site is plainly ill, or gone.
    pub(crate) fn falls_ill(&mut self, ill: Ill, now: Timestamp) -> Step {
        // Where it was well at this share before, it is not the step that is too much.
        let broke = ill == Ill::Gone || self.at <= self.good;
        if broke { Step::End(self.start, End::GaveUp(ill)) } else { self.back(ill, now) }
    }

    /// Its time has come. `true` when what was counted is to be forgotten, for the count begins only now.
    pub(crate) fn settled(&mut self, limit: u32, now: Timestamp) -> bool {
        let settled = self.settles.take_if(|at| *at <= now).is_some();
        if settled {
            (self.since, self.limit) = (now, limit);
        }
        settled
    }

    /// The pace is over: what comes of what was seen.
    pub(crate) fn look(&mut self, seen: &Seen, now: Timestamp) -> Step {
        self.looks = now + self.plan.every;
        if seen.giver_gone {
            return self.holds(Hold::GiverGone, now);
        }
        if self.at == 0 {
            // There is nothing to be seen of it.
            return self.forward(None, now);
        }
        let full = seen.to.takes_too_little();
        if full && self.grew(seen.limit) {
            return self.holds(Hold::Warming, now);
        }
        if seen.to.done() < FEWEST && !full {
            // They are counted on.
            self.hold = Hold::TooFewAnswers;
            return Step::Stay;
        }
        if seen.to.mostly_fails() && seen.from.mostly_fails() {
            return self.holds(Hold::BothFail, now);
        }
        let per_s = f64::from(seen.from.good + seen.to.good) / now.since(self.since).as_secs_f64().max(1e-3);
        match self.illness(seen, full, per_s) {
            Some(Ill::Late) if self.warming < WARMED && seen.to.late < seen.to.good => {
                self.warming += 1;
                self.holds(Hold::Warming, now)
            }
            Some(ill) => self.back(ill, now),
            None => self.forward(seen.surge.then_some(per_s), now),
        }
    }

    /// To go on counting from now.
    fn holds(&mut self, hold: Hold, now: Timestamp) -> Step {
        self.hold = hold;
        self.settles = Some(now);
        Step::Stay
    }

    fn grew(&self, limit: u32) -> bool {
        limit * 100 >= self.limit * (100 + GROWN)
    }

    fn illness(&self, seen: &Seen, full: bool, per_s: f64) -> Option<Ill> {
        let Seen { from, to, .. } = seen;
        // The other side may do nothing any more, and so nothing wrong.
        let (failed, late) = (from.per_cent(from.failed), from.per_cent(from.late));
        if to.failed > CHANCE && to.per_cent(to.failed) > failed + CHANCE {
            Some(Ill::Faults)
        } else if to.per_cent(to.late) > LATE.max(late + CHANCE) {
            Some(Ill::Late)
        } else if full {
            let cut = seen.limit * 100 < self.limit * (100 - GROWN);
            Some(if cut { Ill::LimitCut } else { Ill::Full })
        } else if seen.surge && self.goodput.is_some_and(|before| per_s * 100.0 < before * (100.0 - FEWER)) {
            Some(Ill::Goodput)
        } else {
            None
        }
    }

    fn forward(&mut self, goodput: Option<f64>, now: Timestamp) -> Step {
        self.good = self.at;
        self.goodput = goodput;
        if self.bad.is_some_and(|bad| self.at >= bad) {
            // What was too much is so no more.
            (self.bad, self.backs, self.step) = (None, 0, self.plan.step);
        }
        if self.at >= self.plan.share {
            return Step::End(self.at, End::Arrived);
        }
        self.at = self.next();
        self.hold = Hold::Watching;
        self.watch_anew(now);
        Step::Forward(self.at)
    }

    fn back(&mut self, ill: Ill, now: Timestamp) -> Step {
        if self.at <= self.good {
            // What was good is so no more.
            self.good = self.at.saturating_sub(self.plan.step).max(self.start);
        }
        self.bad = Some(self.bad.map_or(self.at, |bad| bad.min(self.at)));
        self.backs += 1;
        if self.backs >= STEP_BACKS || self.at <= self.start {
            return Step::End(self.good, End::GaveUp(ill));
        }
        self.at = self.good;
        self.step = (self.step / 2).max(1);
        self.hold = Hold::SteppedBack(ill);
        self.goodput = None;
        self.watch_anew(now);
        Step::Back(self.at, ill)
    }
}

#[cfg(test)]
mod tests;
