//! Every [`Figure`] of a run, over any window.
//!
//! Counts are kept by second: a second belongs to a window when it begins within it. What happens after the last second
//! that was recorded counts as nothing, so a run in which everybody went home early still has a rate.

use std::ops::Range;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Counts, CrowdRecord, Run, Times, Whose};
use crate::admission::Timestamp;
use crate::sim::judge::Spread;
use crate::sim::law::Look;
use crate::sim::scenario::Figure;

/// From when to when.
type Window = (Duration, Duration);

impl Run {
    /// A figure of one crowd, or of all of them, in a window; `None` when there is nothing to measure it by.
    /// See [`figure_of`](Self::figure_of).
    pub fn figure(
        &self,
        figure: Figure,
        crowd: Option<usize>,
        window: (Duration, Duration),
        capacity_per_s: Option<f64>,
    ) -> Option<f64> {
        self.figure_of(figure, crowd.map_or(Whose::All, Whose::Crowd), window, capacity_per_s)
    }

    /// A figure in a window; `None` when there is nothing to measure it by: nobody came, nothing was served, the law has
    /// no limit, the capacity is unknown. What only the plant knows ([`Figure::Wasted`], [`Figure::Duplicates`]) is
    /// known for everybody together and for nobody alone.
    ///
    /// A limit is that of the product meant, and of the first product when everybody is. Latencies and waits are kept of
    /// the measured window and of those that an expectation names; in any other they are those of the measured one.
    pub fn figure_of(
        &self,
        figure: Figure,
        whose: Whose,
        window: (Duration, Duration),
        capacity_per_s: Option<f64>,
    ) -> Option<f64> {
        let total = || self.total(whose, window);
        let merged = |of: fn(&CrowdRecord) -> &Histogram<u64>, quantile| self.quantile(whose, of, quantile);
        let times = |of: fn(&Times) -> &Histogram<u64>, quantile| {
            self.quantile(whose, |crowd| of(crowd.times_in(window)), quantile)
        };
        let goodput = || {
            let seconds = seconds(window).len();
            (seconds > 0).then(|| f64::from(total().served) / seconds as f64)
        };
        match figure {
            Figure::GoodputPerS => goodput(),
            Figure::Goodput => per_cent(goodput()?, capacity_per_s?),
            Figure::Lost => {
                let of_use = f64::from(total().served) / capacity_per_s?;
                Some((seconds(window).len() as f64 - of_use).max(0.0))
            }
            Figure::Served => per_cent(total().served.into(), total().attempts.into()),
            Figure::Unserved => {
                let Counts { attempts, refused, timed_out, failed, .. } = total();
                per_cent(f64::from(refused) + f64::from(timed_out) + f64::from(failed), attempts.into())
            }
            Figure::StepsServed => per_cent(total().served.into(), total().steps.into()),
            Figure::Journeys => Some(total().finished.into()),
            Figure::JourneysShare => {
                let Counts { finished, gave_up, .. } = total();
                per_cent(finished.into(), f64::from(finished) + f64::from(gave_up))
            }
            Figure::GaveUp => Some(total().gave_up.into()),
            Figure::Attempts => Some(total().attempts.into()),
            Figure::Reached => Some(total().reached.into()),
            Figure::AttemptsPerStep => ratio(total().attempts.into(), total().served.into()),
            Figure::ReachedPerStep => ratio(total().reached.into(), total().served.into()),
            Figure::Wasted => self.wasted(whose, window),
            Figure::LatencyP50 => times(|times| &times.latency, 0.50),
            Figure::LatencyP99 => times(|times| &times.latency, 0.99),
            Figure::PlantP99 => times(|times| &times.at_plant, 0.99),
            Figure::WaitP95 => times(|times| &times.waited, 0.95),
            Figure::WaitP99 => times(|times| &times.waited, 0.99),
            Figure::JourneyP50 => merged(|crowd| &crowd.journey, 0.50),
            Figure::JourneyP95 => merged(|crowd| &crowd.journey, 0.95),
            Figure::LastJourney => {
                let last = self.crowds_of(whose).filter_map(|crowd| crowd.last_journey).max();
                last.map(|at| at.since_start().as_secs_f64())
            }
            Figure::LimitAtEnd => self.looks_within(self.product_of(whose)?, window).last()?.limit,
            Figure::LimitMean => self.limit_mean(whose, window),
            Figure::LimitDrift => {
                let sixth = window.1.saturating_sub(window.0) / 6;
                let first = self.limit_mean(whose, (window.0, window.0 + sixth))?;
                let last = self.limit_mean(whose, (window.1.saturating_sub(sixth), window.1))?;
                per_cent((last - first).abs(), first)
            }
            Figure::LimitP5 => self.limit(whose, window, 0.05),
            Figure::LimitP95 => self.limit(whose, window, 0.95),
            Figure::MostInFlight => self.most_in_flight(whose, window),
            Figure::ShareAtEnd => self.shares_within(whose, window)?.last().map(|share| f64::from(*share)),
            Figure::ShareMost => self.shares_within(whose, window)?.iter().max().map(|share| f64::from(*share)),
            Figure::FirstServed => self.first_served(whose, window),
            Figure::Duplicates => (whose == Whose::All).then_some(self.duplicates as f64),
        }
    }

    /// The counts of a second, over everybody meant.
    pub fn second(&self, whose: Whose, second: usize) -> Counts {
        let mut sum = Counts::default();
        for counts in self.crowds_of(whose).filter_map(|crowd| crowd.seconds.get(second)) {
            sum += *counts;
        }
        sum
    }

    fn total(&self, whose: Whose, window: Window) -> Counts {
        let mut sum = Counts::default();
        for crowd in self.crowds_of(whose) {
            for counts in within(&crowd.seconds, seconds(window)) {
                sum += *counts;
            }
        }
        sum
    }

    fn crowds_of(&self, whose: Whose) -> impl Iterator<Item = &CrowdRecord> {
        self.crowds.iter().enumerate().filter_map(move |(index, crowd)| {
            let meant = match whose {
                Whose::All => true,
                Whose::Crowd(only) => index == only,
                Whose::Product(only) => crowd.product == only,
            };
            meant.then_some(crowd)
        })
    }

    fn product_of(&self, whose: Whose) -> Option<usize> {
        match whose {
            Whose::All => Some(0),
            Whose::Crowd(crowd) => self.crowds.get(crowd).map(|crowd| crowd.product),
            Whose::Product(product) => Some(product),
        }
    }

    /// In the unit of the figure, which is a thousand times that of the histogram: milliseconds, or seconds.
    fn quantile(&self, whose: Whose, of: impl Fn(&CrowdRecord) -> &Histogram<u64>, quantile: f64) -> Option<f64> {
        let mut crowds = self.crowds_of(whose).map(of);
        let mut all = crowds.next()?.clone();
        for one in crowds {
            all.add(one).ok()?;
        }
        (!all.is_empty()).then(|| all.value_at_quantile(quantile) as f64 / 1_000.0)
    }

    fn wasted(&self, whose: Whose, window: Window) -> Option<f64> {
        if whose != Whose::All {
            return None;
        }
        let (mut done, mut unheard) = (0_u64, 0_u64);
        for (finished, nobody) in within(&self.finished, seconds(window)) {
            done += u64::from(*finished);
            unheard += u64::from(*nobody);
        }
        per_cent(unheard as f64, done as f64)
    }

    fn shares_within(&self, whose: Whose, window: Window) -> Option<&[u32]> {
        let shares = self.shares.get(self.product_of(whose)?)?;
        Some(within(shares, self.places_of_looks(window)))
    }

    /// The looks at a product in a window, both ends included.
    fn looks_within(&self, product: usize, window: Window) -> &[Look] {
        self.looks.get(product).map_or(&[], |looks| within(looks, self.places_of_looks(window)))
    }

    fn places_of_looks(&self, window: Window) -> std::ops::Range<usize> {
        let every = self.look_every.as_nanos().max(1);
        let from = window.0.as_nanos().div_ceil(every) as usize;
        let to = (window.1.as_nanos() / every) as usize;
        from..to.saturating_add(1)
    }

    fn limits(&self, whose: Whose, window: Window) -> Option<Vec<f64>> {
        let looks = self.looks_within(self.product_of(whose)?, window);
        Some(looks.iter().filter_map(|look| look.limit).collect())
    }

    fn limit_mean(&self, whose: Whose, window: Window) -> Option<f64> {
        Spread::over(self.limits(whose, window)?.into_iter()).map(|spread| spread.mean)
    }

    fn limit(&self, whose: Whose, window: Window, quantile: f64) -> Option<f64> {
        let mut limits = self.limits(whose, window)?;
        limits.sort_by(f64::total_cmp);
        let rank = (quantile * limits.len() as f64).ceil() as usize;
        limits.get(rank.saturating_sub(1)).copied()
    }

    fn most_in_flight(&self, whose: Whose, (from, to): Window) -> Option<f64> {
        let row = match whose {
            Whose::All => self.most_in_flight.len().checked_sub(1)?,
            _ => self.product_of(whose)?,
        };
        let seconds = self.most_in_flight.get(row)?.iter().enumerate();
        let within = seconds.filter(|(second, _)| (from.as_secs()..to.as_secs()).contains(&(*second as u64)));
        within.map(|(_, most)| f64::from(*most)).reduce(f64::max)
    }

    fn first_served(&self, whose: Whose, (from, to): Window) -> Option<f64> {
        let (from, to) = (Timestamp::after(from), Timestamp::after(to));
        let firsts = self.crowds_of(whose).flat_map(|crowd| crowd.first_served.iter().flatten());
        let first = firsts.filter(|at| (from..to).contains(*at)).min()?;
        Some(first.since(from).as_secs_f64() * 1_000.0)
    }
}

impl CrowdRecord {
    /// The times within a window; of one that nobody asked for before the run, those of the measured one.
    fn times_in(&self, window: Window) -> &Times {
        let asked = self.stretches.iter().find(|(asked, _)| *asked == window);
        asked.map_or(&self.times, |(_, times)| times)
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.came += other.came;
        self.steps += other.steps;
        self.attempts += other.attempts;
        self.reached += other.reached;
        self.waited_us += other.waited_us;
        self.served += other.served;
        self.refused += other.refused;
        self.timed_out += other.timed_out;
        self.failed += other.failed;
        self.polls += other.polls;
        self.finished += other.finished;
        self.gave_up += other.gave_up;
    }
}

/// The seconds that begin within a window.
fn seconds((from, to): Window) -> Range<usize> {
    let whole = |time: Duration| (time.as_nanos().div_ceil(1_000_000_000)) as usize;
    whole(from)..whole(to).max(whole(from))
}

/// The part of a range that is there.
fn within<T>(all: &[T], range: Range<usize>) -> &[T] {
    let end = range.end.min(all.len());
    &all[range.start.min(end)..end]
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn per_cent(part: f64, whole: f64) -> Option<f64> {
    ratio(100.0 * part, whole)
}

#[cfg(test)]
mod tests;
