//! What backends say of budgets, and what the law makes of it.
//!
//! An operator's number is the limit whatever is said. A limit that is looked for is, until nothing was said for ten
//! seconds, something that was said, cut to its range, and no more than the least of what was said within the second
//! before the last word.

use std::time::Duration;

use super::House;
use crate::admission::Timestamp;
use crate::admission::settings::LimitSettings;

/// What was said of one resource, while the last of it is fresh.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Vec<(Timestamp, u32)>);

const FRESH: Duration = Duration::from_secs(10);
const LEAST_COUNTS: Duration = Duration::from_secs(1);

impl House {
    /// A backend is about to say how many requests a budget takes.
    pub(super) fn is_told(&mut self, resource: usize, seats: u32) {
        let now = self.report.now();
        let heard = &mut self.hints[resource].0;
        if heard.last().is_some_and(|(at, _)| now.since(*at) >= FRESH) {
            heard.clear();
        }
        heard.push((now, seats));
    }

    pub(super) fn check_hints(&mut self) {
        let now = self.report.now();
        for (resource, settings) in self.settings.resources.iter().enumerate().filter(|(_, settings)| settings.budget) {
            let heard = &self.hints[resource].0;
            let Some(last) = heard.last().map(|(at, _)| *at).filter(|at| now.since(*at) < FRESH) else { continue };
            let (least, most) = match &settings.limit {
                LimitSettings::Fixed(seats) => (seats.get(), seats.get()),
                LimitSettings::Found(range) | LimitSettings::Candidate(_, range) => {
                    (range.least.get().min(range.most.get()), range.most.get())
                }
            };
            let cut = |seats: u32| seats.clamp(least, most);
            let lately = heard.iter().filter(|(at, _)| last.since(*at) < LEAST_COUNTS).map(|(_, seats)| cut(*seats));
            let (limit, at_most) = (self.shown.resources[resource].limit, lately.min().unwrap_or(most));
            if limit > at_most || !heard.iter().any(|(_, seats)| cut(*seats) == limit) {
                self.report
                    .add("hint", format_args!("budget {resource} has {limit} seats, and {at_most} at most are due"));
            }
        }
    }
}
