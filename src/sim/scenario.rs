//! A story to rehearse, as checked: who comes, what stands behind the proxy, what happens, and what must come of it.
//!
//! Stories are told in TOML files ([`load`]), which `docs/scenarios.md` describes. They are read as the configuration
//! is, in two steps: the text is held against the table of [`keys`]; then every part checks what it must agree with.
//! Each step reports all that it finds.

mod file;
pub mod keys;
mod check;
mod values;
mod plant;
mod products;
mod crowds;
mod coming;
mod manners;
mod happenings;
mod expected;
mod figure;

use std::fmt::Debug;
use std::num::NonZeroU8;
use std::path::Path;
use std::time::Duration;

use super::backend;
use crate::admission::reads::{ObjectKey, Terms};
use crate::admission::shift::Plan;
use crate::admission::{self, Class, ProductId};
use crate::config::{ConfigError, ThisMachine, surroundings};

/// Read and check the scenario at `path`.
pub fn load(path: &Path) -> Result<Scenario, ConfigError> {
    match surroundings::read_text(&ThisMachine, path) {
        Ok(text) => parse(&text, path),
        Err(wrong) => Err(ConfigError::about_file(path, wrong)),
    }
}

/// Check `text` as if it had been read from a file called `name`.
pub fn parse(text: &str, name: &Path) -> Result<Scenario, ConfigError> {
    check::check(text, name)
}

/// One story.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, for tables.
    pub name: String,
    /// What it tells, in a few sentences.
    pub about: String,
    /// Its scale against the real thing, as text: `1:10`.
    pub scale: String,
    /// How long it runs.
    pub lasts: Duration,
    /// From when to when figures are counted, unless an expectation says otherwise.
    pub measured: (Duration, Duration),
    /// What the plant can do at best per second, where that is known: figures in per cent are of this.
    pub capacity_per_s: Option<f64>,
    /// Products, in the order of [`ProductId`].
    pub products: Vec<Product>,
    /// What stands behind the proxy.
    pub plant: backend::Settings,
    /// How Sluss's own admission is set; products in the same order.
    pub admission: admission::Settings,
    /// Knees that were found before the story begins, by resource: what a start reads from the journal.
    pub carried: Vec<(usize, f64)>,
    /// Stations that tell, with each answer of a request whose way leads there, how many requests a budget takes now: each
    /// with the budget's place among the resources of `admission`.
    pub hints: Vec<(usize, usize)>,
    /// Who comes.
    pub crowds: Vec<Crowd>,
    /// Events with betting stops, in the order in which steps name them.
    pub events: Vec<Event>,
    /// What happens and when, in the order of time.
    pub happenings: Vec<Happening>,
    /// Laws to compare with by default, as written.
    pub against: Vec<String>,
    /// What must come of it.
    pub expected: Vec<Expected>,
}

/// A line of business.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// The station its requests go to first, and which has its pool's limit: an index into the plant's stations.
    pub station: usize,
    /// How long the proxy waits for the backend's answer before it gives up on it.
    pub first_byte_timeout: Duration,
    /// How long answers to steps with an object are good, where ours keeps them.
    pub cache: Option<Terms>,
    /// Its pool: an index into [`admission::Settings::resources`].
    pub pool: usize,
    /// Where it is served, where there is a choice; then `station` and `pool` are those of the first.
    pub sites: Vec<Site>,
}

/// One of several places where a product is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its station.
    pub station: usize,
    /// Its pool.
    pub pool: usize,
    /// Of what is let through, in per cent.
    pub share: u32,
}

impl Product {
    /// Its stations with their pools.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let only = self.sites.is_empty().then_some((self.station, self.pool));
        only.into_iter().chain(self.sites.iter().map(|site| (site.station, site.pool)))
    }
}

/// An event with a betting stop.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its product.
    pub product: ProductId,
    /// When betting on it stops.
    pub stop: Duration,
    /// How long before its stop a close signal is believed.
    pub believed_before_stop: Duration,
}

/// Customers of one kind who come for one thing.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Its name, for tables.
    pub name: String,
    /// Its product.
    pub product: ProductId,
    /// When they come.
    pub coming: Coming,
    /// What they do, in order; at least one step.
    pub journey: Vec<Step>,
    /// Whether they begin anew after the last step, for ever.
    pub endless: bool,
    /// The pause before the next step.
    pub think: Pause,
    /// How long they go on trying.
    pub patience: Patience,
    /// How long an attempt may take before the client hangs up.
    pub timeout: Duration,
    /// How they take a no; shares add up to 100.
    pub manners: Vec<Manner>,
    /// How many in a hundred have two devices, both of which walk the journey.
    pub two_devices: u32,
    /// How many in a hundred never come back after the first no.
    pub no_shows: u32,
    /// Slower than this is not worth anything: an answer later than so after the attempt does not count as served.
    pub worth: Option<Duration>,
}

/// When customers come.
#[derive(Clone, Debug, PartialEq)]
pub enum Coming {
    /// By chance, at a rate that changes: customers per second from each time on, until the run ends.
    Rate {
        /// Time and rate; in the order of time.
        points: Vec<(Duration, f64)>,
        /// Whether the rate goes evenly from one point to the next, or stays until the next.
        linear: bool,
    },
    /// So many, each at an even chance within one of the parts: `(share of a hundred, over)`, counted from `from`.
    Count {
        /// How many.
        count: u32,
        /// The earliest.
        from: Duration,
        /// Shares and their lengths; the shares add up to 100.
        within: Vec<(u32, Duration)>,
    },
    /// So many, each an exponentially distributed time after `from`: most at once, a few long after. Who would come after
    /// the end does not.
    Spread {
        /// How many.
        count: u32,
        /// The earliest.
        from: Duration,
        /// The mean of that time; about two thirds come within it.
        mean: Duration,
    },
}

impl Coming {
    /// How many come within a run, on average.
    pub fn expected(&self, lasts: Duration) -> f64 {
        let (points, linear) = match self {
            Coming::Count { count, .. } => return f64::from(*count),
            Coming::Spread { count, from, mean } => {
                let means = lasts.saturating_sub(*from).div_duration_f64(*mean);
                return f64::from(*count) * (1.0 - (-means).exp());
            }
            Coming::Rate { points, linear } => (points, *linear),
        };
        let end = points.last().map(|(_, per_s)| (lasts, *per_s));
        let ends = points.iter().copied().skip(1).chain(end);
        let pieces = points.iter().zip(ends).map(|((from, before), (to, after))| {
            let per_s = if linear { (before + after) / 2.0 } else { *before };
            per_s * to.saturating_sub(*from).as_secs_f64()
        });
        pieces.sum()
    }
}

/// One step of a journey.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// How it ranks.
    pub class: Class,
    /// How many seats it costs.
    pub seats: NonZeroU8,
    /// What it asks of the plant: an index into [`backend::Settings::routes`].
    pub route: usize,
    /// The same by site, where its product has several.
    pub routes: Vec<usize>,
    /// The event it is for: an index into [`Scenario::events`].
    pub event: Option<usize>,
    /// In place of that: it is for an event whose betting stops so long after its customer came. An answer after the stop
    /// is worth nothing.
    pub stops: Option<Pause>,
    /// What it reads, where that is anybody's: the number of the name it is written with.
    pub object: Option<ObjectKey>,
    /// Whether the proxy carries it to its end when the client hangs up, as it does with everything but `GET`.
    pub carried: bool,
    /// Whether it is a bet: what a ledger counts, and what may never be sent twice.
    pub bet: bool,
}

/// A pause that customers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Evenly between the two.
    Between(Duration, Duration),
    /// Exponential, with this mean.
    Mean(Duration),
}

/// How long a customer goes on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The shortest.
    pub least: Duration,
    /// The longest; evenly between the two.
    pub most: Duration,
    /// Whether it is counted from the first failure of a step, and anew at each step, or from the arrival.
    pub by_step: bool,
}

/// How a customer takes a no.
#[derive(Clone, Debug, PartialEq)]
pub struct Manner {
    /// Its name.
    pub name: String,
    /// How many in a hundred.
    pub share: u32,
    /// Whether it comes back when told.
    pub obeys: bool,
    /// How often it first tries again after [`Manner::quick_pause`], whatever it is told; anew at each step.
    pub quick: u32,
    /// The pause before each of these.
    pub quick_pause: Duration,
    /// The pause when it is told nothing, or does not obey.
    pub pause: Pause,
    /// The most it tries a step again; `None` as long as patience lasts.
    pub retries: Option<u32>,
    /// In so many of a hundred noes it goes home at once.
    pub quits: u32,
}

/// Something happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An order about products, given to whatever law stands there.
    Order(Vec<ProductId>, admission::Order),
    /// A close signal for an event, by index.
    Signal(usize),
    /// An order about an event, by index. Laws without events take it as one about the event's product.
    EventOrder(usize, admission::schedule::EventState),
    /// A betting stop is moved to another time.
    MoveStop(usize, Duration),
    /// A share is moved from one site of a product to another. Other laws know no steps: there it is done by hand, at once.
    Shift(ProductId, Plan),
    /// Everything but plain proxying goes off, or on again. Other laws do not hear it.
    Bypass(bool),
    /// What is decided no longer counts, or counts again. Other laws do not hear it.
    Observe(bool),
    /// A backend says how many requests a budget takes: an index into the resources of the admission settings, and the
    /// number. Other laws do not hear it.
    Hint(usize, u32),
    /// Something happens to a station of the plant, by index.
    Fault(usize, backend::Fault),
}

/// A figure and the range it must fall in.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Of which law, as written; `sluss` is ours.
    pub law: String,
    /// What is measured.
    pub figure: Figure,
    /// Of which crowd, by index; of all when absent.
    pub crowd: Option<usize>,
    /// Of which product's crowds, by index; of all when absent. Never together with a crowd.
    pub product: Option<usize>,
    /// From when to when; the scenario's [`Scenario::measured`] when absent.
    pub window: Option<(Duration, Duration)>,
    /// The least and the most it may be.
    pub range: (f64, f64),
    /// Whether `range` is one for the mean over the seeds, and not for each.
    pub mean: bool,
    /// What it is to become one day, beyond the end of `range` that holds today: told, and not held against anybody.
    pub goal: Option<f64>,
    /// Where a known figure comes from: then `range` is that figure within its tolerance.
    pub known: Option<Known>,
}

impl Expected {
    /// What it is about; the rest is what is expected of that.
    pub fn subject(&self) -> impl PartialEq + Debug {
        (self.law.clone(), self.figure, self.crowd, self.product, self.window, self.mean)
    }
}

/// A figure that somebody else has measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What they measured.
    pub value: f64,
    /// Where: `overload.md EXP1`.
    pub source: String,
}

/// What can be measured of a run. Counts are of the window, and of one crowd or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// Requests served in time per second.
    GoodputPerS,
    /// The same, in per cent of [`Scenario::capacity_per_s`].
    Goodput,
    /// How long the plant would have needed, at its best, for what was not served: seconds of its capacity.
    Lost,
    /// Attempts served in time, in per cent of attempts made.
    Served,
    /// Attempts that were refused, timed out or failed, in per cent of attempts made. Unlike [`Figure::Served`] it is not
    /// blurred by those under way at either end of the window.
    Unserved,
    /// Steps served in the end, in per cent of the steps begun.
    StepsServed,
    /// Journeys finished.
    Journeys,
    /// Journeys finished, in per cent of the customers who came and have ended.
    JourneysShare,
    /// Customers who gave up.
    GaveUp,
    /// Attempts made.
    Attempts,
    /// Attempts that reached the plant.
    Reached,
    /// Attempts made for each step served.
    AttemptsPerStep,
    /// Attempts that reached the plant for each step served.
    ReachedPerStep,
    /// Of what the plant has finished, per cent that nobody was there to receive.
    Wasted,
    /// Median time from an attempt to its answer, of those served; milliseconds.
    LatencyP50,
    /// The 99th percentile of the same.
    LatencyP99,
    /// The 99th percentile of the time the plant took for those served; milliseconds.
    PlantP99,
    /// The 95th percentile of the time requests waited before they passed; milliseconds.
    WaitP95,
    /// The 99th percentile of the time requests waited before they passed; milliseconds.
    WaitP99,
    /// Median time from arrival to the end of a journey; seconds.
    JourneyP50,
    /// The 95th percentile of the same.
    JourneyP95,
    /// When the last journey was finished; seconds since the run began.
    LastJourney,
    /// The limit at the end.
    LimitAtEnd,
    /// The mean of the limit over time.
    LimitMean,
    /// The 5th percentile of the limit over time.
    LimitP5,
    /// The 95th percentile of the limit over time.
    LimitP95,
    /// By how many per cent the mean of the limit in the last sixth of the window lies off that in the first.
    LimitDrift,
    /// The most requests at the plant at once, as the law counts them.
    MostInFlight,
    /// The share of a product's last site at the end.
    ShareAtEnd,
    /// The most that it was.
    ShareMost,
    /// From the window's beginning to the first request served; milliseconds.
    FirstServed,
    /// Bets that reached the plant twice under one attempt.
    Duplicates,
}

impl Scenario {
    /// A step of a crowd's journey, both by their places.
    pub fn step(&self, crowd: u16, step: u8) -> &Step {
        &self.crowds[usize::from(crowd)].journey[usize::from(step)]
    }

    /// The pool of each product.
    pub fn pools(&self) -> Vec<usize> {
        self.products.iter().map(|product| product.pool).collect()
    }
}
