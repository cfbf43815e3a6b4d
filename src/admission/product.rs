//! One product: its state, its lines, what it holds.
//!
//! The parts are here; what they do to each other across products is the [`Domain`](super::Domain)'s.

use std::time::Duration;

use super::answer_time::AnswerTime;
use super::floor::Floor;
use super::passes::{self, BEHIND_EVERYBODY, Holding, Passes, Standing};
use super::queue::{Line, Waiter};
use super::ramp::Ramp;
use super::random::Random;
use super::rank::Rank;
use super::rate::Rate;
use super::reserve::Reserve;
use super::retry_after::Calendar;
use super::settings::{Needs, ProductSettings};
use super::shift::Shift;
use super::sites::Sites;
use super::{Class, Customer, Refusal, Refused, State, Timestamp};

/// A line that has been waited in for longer stands, and is kept short.
const BURST: Duration = Duration::from_millis(100);
/// It may take this part of the latency objective.
const STANDING: u32 = 4;

/// One product as admission sees it.
#[derive(Debug)]
pub struct Product {
    pub(crate) settings: ProductSettings,
    /// What requests of every class need.
    pub(crate) always_needed: Needs,
    /// What those of each class need beside that.
    pub(crate) also_needed: [Needs; Class::COUNT],
    pub(crate) state: State,
    pub(crate) lines: [Line; Rank::COUNT],
    pub(crate) waiting: u32,
    pub(crate) in_flight: u32,
    pub(crate) reserve: Reserve,
    /// Where it is served, where there is a choice, and what moves between them.
    pub(crate) sites: Option<Box<Sites>>,
    pub(crate) shift: Option<Box<Shift>>,
    pub(crate) ramp: Option<Ramp>,
    pub(crate) floor: Floor,
    /// Who holds a pass and who has been promised a turn, where that counts.
    pub(crate) passes: Option<Passes>,
    /// How long bets take to be answered.
    pub(crate) bet_time: AnswerTime,
    /// Somebody who waits may have to be told of their event.
    pub(crate) review: bool,
    /// And once more then.
    pub(crate) review_at: Timestamp,
    /// When each line began to be waited in; it says nothing while the line is empty.
    line_since: [Timestamp; Rank::COUNT],
    /// How long a line may take to drain, and one that stands.
    longest_wait_s: f64,
    standing_wait_s: f64,
    let_through: [Rate; Rank::COUNT],
    calendars: [Calendar; Class::COUNT],
}

impl Product {
    pub(crate) fn new(settings: ProductSettings, now: Timestamp) -> Product {
        let always_needed = Needs::in_common(&settings.needs);
        let longest = settings.queue.longest_wait;
        let standing = longest.min(settings.latency_objective / STANDING);
        let passes = settings.passes.clone().map(|settings| Passes::new(settings, now));
        Product {
            longest_wait_s: longest.as_secs_f64(),
            standing_wait_s: standing.as_secs_f64(),
            calendars: std::array::from_fn(|_| Calendar::new(settings.queue.retry_after)),
            reserve: Reserve::new(settings.reserve, settings.reserve_per_customer),
            sites: Sites::of(&settings.sites).map(Box::new),
            shift: None,
            always_needed,
            also_needed: settings.needs.map(|needs| needs.without(&always_needed)),
            settings,
            state: State::Open,
            lines: [Line::default(); Rank::COUNT],
            waiting: 0,
            in_flight: 0,
            ramp: None,
            floor: Floor::default(),
            passes,
            bet_time: AnswerTime::default(),
            review: false,
            review_at: Timestamp::NEVER,
            line_since: [now; Rank::COUNT],
            let_through: std::array::from_fn(|_| Rate::new(now)),
        }
    }

    /// Go on by these settings, with whoever waits and runs. A shift that was under way comes back, with the sites it was
    /// between, when there are others now.
    pub(crate) fn reform(&mut self, settings: ProductSettings, now: Timestamp) -> Option<(Box<Shift>, Box<Sites>)> {
        let fresh = Product::new(settings, now);
        self.longest_wait_s = fresh.longest_wait_s;
        self.standing_wait_s = fresh.standing_wait_s;
        self.always_needed = fresh.always_needed;
        self.also_needed = fresh.also_needed;
        self.reserve.reform(fresh.settings.reserve, fresh.settings.reserve_per_customer);
        for calendar in &mut self.calendars {
            calendar.reform(fresh.settings.queue.retry_after);
        }
        match (&mut self.passes, &fresh.settings.passes) {
            (Some(passes), Some(settings)) => passes.reform(settings.clone()),
            _ => self.passes = fresh.passes,
        }
        // Who changes the sites, or their shares, means it; else what was shifted stays, and goes on.
        let others = self.settings.sites != fresh.settings.sites;
        self.settings = fresh.settings;
        others.then(|| self.shift.take().zip(std::mem::replace(&mut self.sites, fresh.sites))).flatten()
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.state
    }

    /// In which line somebody waits who asks for a step of `class`, and what their turn in it is. Who holds no pass and has
    /// been promised none has a turn after all who were. Machines have a lane and a bound of their own, and no journeys.
    pub(crate) fn rank(&mut self, class: Class, customer: Customer, now: Timestamp) -> (Rank, u64) {
        let on_a_journey = class.is_of_a_journey() && !matches!(customer, Customer::Machine(_));
        let Some(passes) = self.passes.as_mut().filter(|_| on_a_journey) else {
            return (Rank::of(class), 0);
        };
        match passes.standing(customer, now) {
            Standing::Holder => (Rank::of(class), 0),
            Standing::Promised(turn) => (Rank::of_newcomer(class), turn),
            Standing::Stranger => (Rank::of_newcomer(class), BEHIND_EVERYBODY),
        }
    }

    /// Seats it holds under the limits.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Seats it holds of its reserve.
    pub fn reserve_in_use(&self) -> u32 {
        self.reserve.in_use()
    }

    /// How many wait in a class.
    pub fn waiting(&self, class: Class) -> u32 {
        Rank::all_of(class).map(|rank| self.waiting_as(rank)).sum()
    }

    /// Customers who hold a pass.
    pub fn passes(&self) -> u32 {
        self.passes.as_ref().map_or(0, Passes::held)
    }

    /// What was last put down for a customer, to look at: it may be over.
    pub(crate) fn holding(&self, customer: Customer) -> Option<Holding> {
        self.passes.as_ref()?.holding(customer)
    }

    /// Customers who were told when to come back and whose turn is kept.
    pub fn promised_turns(&self) -> u32 {
        self.passes.as_ref().map_or(0, Passes::promised)
    }

    pub(crate) fn waiting_as(&self, rank: Rank) -> u32 {
        self.lines[rank.index()].len()
    }

    /// Whether anybody waits who may be served from the reserve.
    pub(crate) fn reserve_is_waited_for(&self) -> bool {
        self.waiting_as(Rank::Protected) + self.waiting_as(Rank::Settle) > 0
    }

    /// The ramp's ceiling, while there is one.
    pub fn ramp_seats(&self) -> Option<u32> {
        self.ramp.as_ref().map(Ramp::seats)
    }

    /// Whether the ramp has stepped back too often and serves on without growing.
    pub fn ramp_is_frozen(&self) -> bool {
        self.ramp.as_ref().is_some_and(Ramp::is_frozen)
    }

    /// What this product is owed of what it shares, in per cent.
    pub fn guarantee(&self) -> u32 {
        self.settings.guarantee
    }

    /// How many more seats the ramp lets it take.
    pub(crate) fn free_under_ramp(&self) -> u32 {
        self.ramp.as_ref().map_or(u32::MAX, |ramp| ramp.seats().saturating_sub(self.in_flight))
    }

    /// Whether it takes new work, and its ramp lets so many more seats be taken.
    pub(crate) fn has_room(&self, cost: u32) -> bool {
        self.state.refuses().is_none() && self.free_under_ramp() >= cost
    }

    /// Whether one more of `rank` is too many; never said while fewer than `short` wait in it (and, before newcomers, above
    /// them), which is what keeps the seats busy.
    ///
    /// A burst may wait as long as anybody may, to go by what passes now. A line that has not been empty for a while is
    /// no burst: more are coming than can be served, and a longer line serves nobody sooner and everybody later, until
    /// their clients have hung up when it is their turn. So a standing queue is kept to a quarter of the latency
    /// objective: who is served in overload is served within it (Nichols, Jacobson: "Controlling Queue Delay", 2012;
    /// Facebook: "Fail at Scale", 2015).
    ///
    /// Whoever comes for a turn that was promised is another matter: it was for them to come now, no more come than go, and
    /// who is told no on the step of the door has to be told again and again, while whoever hammers at it gets in. They
    /// wait there, `is_promised`, as long as anybody may.
    pub(crate) fn is_line_full(&mut self, rank: Rank, is_promised: bool, short: u32, now: Timestamp) -> bool {
        let ahead = self.waiting_as(rank);
        // Those on their way keep the seats busy too, and go before all newcomers.
        let before = match rank.is_newcomers() {
            true => Rank::ALL[Rank::FIRST_WITHOUT_RESERVE.index()..=rank.index()]
                .iter()
                .map(|rank| self.waiting_as(*rank))
                .sum(),
            false => ahead,
        };
        before >= short && f64::from(ahead) >= self.drains(rank, is_promised, now)
    }

    /// Whether the line of `rank` is not [full](Self::is_line_full), however long a short one may be. That costs next to
    /// nothing to find and is so of nearly every line; when it is not said, the line may be full or not.
    pub(crate) fn surely_drains(&self, rank: Rank, now: Timestamp) -> bool {
        let least_per_s = match rank {
            Rank::NearStop => self.let_through.iter().map(|rate| rate.surely_per_s(now)).sum(),
            _ => self.let_through[rank.index()].surely_per_s(now),
        };
        f64::from(self.waiting_as(rank)) < least_per_s * self.wait_s(rank, now)
    }

    /// How many of a line go while one may wait in it.
    fn drains(&mut self, rank: Rank, is_promised: bool, now: Timestamp) -> f64 {
        let ordinary = self.drains_per_s(rank, now) * self.wait_s(rank, now);
        match self.passes.as_mut().filter(|_| is_promised) {
            Some(passes) => ordinary.max(passes.customers_per_s(now) * self.longest_wait_s),
            None => ordinary,
        }
    }

    /// How many of a line go in a second, while it is waited in. Bets near their stop come seldom, and then in place of
    /// everybody else.
    fn drains_per_s(&mut self, rank: Rank, now: Timestamp) -> f64 {
        match rank {
            Rank::NearStop => self.let_through.iter_mut().map(|rate| rate.per_s(now)).sum(),
            _ => self.let_through[rank.index()].per_s(now),
        }
    }

    /// How long the line of `rank` may take to drain, in seconds.
    fn wait_s(&self, rank: Rank, now: Timestamp) -> f64 {
        // Bets near their stop are told at once when they have no hope; with hope they may wait as long as anybody.
        let short = rank != Rank::NearStop && self.stands(rank, now);
        if short { self.standing_wait_s } else { self.longest_wait_s }
    }

    /// Whether the line of `rank` has not been empty for a while.
    fn stands(&self, rank: Rank, now: Timestamp) -> bool {
        self.waiting_as(rank) > 0 && now >= self.line_since[rank.index()] + BURST
    }

    /// Whether whoever came last has the next turn in the line of `rank`: those who have waited longest in a line that
    /// stands are the ones least likely to be there still when they are served.
    pub(crate) fn is_newest_first(&self, rank: Rank, now: Timestamp) -> bool {
        rank.class().newest_first_once_behind() && self.stands(rank, now)
    }

    /// When the line of `rank` began to be [newest first](Self::is_newest_first), or will; `None` when nobody waits in it
    /// or it never is.
    pub(crate) fn newest_first_from(&self, rank: Rank) -> Option<Timestamp> {
        let waits = rank.class().newest_first_once_behind() && self.waiting_as(rank) > 0;
        waits.then(|| self.line_since[rank.index()] + BURST)
    }

    /// One more is about to wait in the line of `rank`.
    pub(crate) fn joined(&mut self, rank: Rank, now: Timestamp) {
        if self.lines[rank.index()].is_empty() {
            self.line_since[rank.index()] = now;
        }
        if rank.class().has_floor()
            && Class::ALL.into_iter().filter(|low| low.has_floor()).all(|low| self.waiting(low) == 0)
        {
            self.floor.forgiven();
        }
        self.waiting += 1;
    }

    /// The turn of somebody who joins a line. Who holds no pass has it kept from now on, whatever becomes of this request.
    pub(crate) fn turn_of_who_joins(&mut self, rank: Rank, turn: u64, customer: Customer, now: Timestamp) -> u64 {
        let Some(passes) = self.passes.as_mut().filter(|_| rank.is_newcomers()) else { return turn };
        let turn = passes.joins(customer, now);
        // Who comes at the last moment is not to lose it while they wait.
        passes.told(customer, Duration::ZERO, now);
        turn
    }

    /// Somebody is out of a line without having been let through.
    pub(crate) fn left(&mut self, waiter: &Waiter, now: Timestamp) {
        self.waiting -= 1;
        let had_turn = waiter.rank.is_newcomers() && waiter.turn != BEHIND_EVERYBODY;
        if let Some(passes) = self.passes.as_mut().filter(|_| had_turn) {
            passes.left(waiter.arrival.customer, waiter.turn, now);
        }
    }

    /// One of `rank` is let through.
    pub(crate) fn counted(&mut self, rank: Rank, customer: Customer, now: Timestamp) {
        self.let_through[rank.index()].count(now);
        let on_a_journey = rank.class().is_of_a_journey() && !matches!(customer, Customer::Machine(_));
        if let Some(passes) = self.passes.as_mut().filter(|_| on_a_journey) {
            passes.let_through(customer, now);
        }
    }

    /// `refusal`, with a time to come back, after `latest` at the latest. Who holds no pass, and may come back for their
    /// turn, has it kept for them.
    pub(crate) fn refuse(
        &mut self,
        refusal: Refusal,
        (rank, customer): (Rank, Customer),
        latest: Duration,
        now: Timestamp,
        random: &mut Random,
    ) -> Refused {
        let comes_back = !matches!(
            refusal,
            Refusal::OverCustomerShare
                | Refusal::EventClosed
                | Refusal::PastBettingStop
                | Refusal::StopTooNear
                | Refusal::TakenOver
        );
        let turn = match &mut self.passes {
            Some(passes) if rank.is_newcomers() && comes_back => passes.promise(customer, now),
            _ => None,
        };
        let waits = matches!(refusal, Refusal::QueueFull | Refusal::WaitedTooLong);
        let retry_after = match turn.filter(|_| waits) {
            Some(turn) => self.until_turn(turn, rank, now, random),
            None => self.retry_after(refusal, rank, now, random),
        };
        let refusal = if waits && turn.is_some() { Refusal::NotYourTurn } else { refusal };
        let retry_after = retry_after.min(latest);
        if let (Some(passes), Some(_)) = (&mut self.passes, turn) {
            passes.told(customer, retry_after, now);
        }
        Refused { refusal, retry_after }
    }

    /// When whoever has this turn is told to come back for it.
    fn until_turn(&mut self, turn: u64, rank: Rank, now: Timestamp, random: &mut Random) -> Duration {
        let wait = self.passes.as_mut().and_then(|passes| passes.wait(turn, now));
        let Some(wait) = wait else { return self.retry_after(Refusal::QueueFull, rank, now, random) };
        let (soonest, latest) = self.settings.queue.retry_after;
        let latest = latest.max(soonest);
        // Farther ahead nothing is told; any time in the later half, so that those return level too.
        if wait > latest {
            return random.between((latest / 2).max(soonest), latest);
        }
        passes::come_back(wait, random).clamp(soonest, latest)
    }

    fn retry_after(&mut self, refusal: Refusal, rank: Rank, now: Timestamp, random: &mut Random) -> Duration {
        let calendar = &mut self.calendars[rank.class().index()];
        match refusal {
            Refusal::QueueFull | Refusal::WaitedTooLong | Refusal::NotYourTurn => {
                let drain = self.let_through[rank.index()].per_s(now);
                calendar.promise(drain, now, random)
            }
            Refusal::Closed | Refusal::Parked | Refusal::EventParked => calendar.shut(now, random),
            Refusal::NoBackend => calendar.gone(now, random),
            Refusal::TakenOver | Refusal::OverCustomerShare | Refusal::ShuttingDown | Refusal::ProxyOverloaded => {
                calendar.soon(random)
            }
            // What is over does not come back.
            Refusal::EventClosed | Refusal::PastBettingStop | Refusal::StopTooNear => Duration::ZERO,
        }
    }
}
