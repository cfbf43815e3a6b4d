//! What lines of the journal come to, and how to say it in as few.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{BackendWord, Entry, Line, Record, ShareWord};

/// What the journal knew when the proxy started: the last word on each thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// State and reason by product.
    pub states: BTreeMap<String, (String, Option<String>)>,
    /// State by event, and the betting stop it had.
    pub events: BTreeMap<String, (String, Option<jiff::Timestamp>)>,
    /// What was said over the API, by event, and the stop that the schedule file had for it then.
    pub schedule: BTreeMap<String, (Option<Entry>, Option<jiff::Timestamp>)>,
    /// Seats by pool or budget.
    pub knees: BTreeMap<String, f64>,
    /// What was ordered, by backend.
    pub backends: BTreeMap<String, BackendWord>,
    /// What was shifted, by product and site.
    pub shares: BTreeMap<String, BTreeMap<String, ShareWord>>,
    /// Products of which a share was on its way.
    pub shifts: BTreeSet<String>,
    /// Whether everything but plain proxying was off.
    pub bypass: bool,
    /// Whether nothing was refused, and what the configuration said then; `None` when nobody gave an order.
    pub observe_only: Option<(bool, bool)>,
    /// Lines that could not be read.
    pub unreadable: usize,
}

impl Memory {
    pub(super) fn read(bytes: &[u8]) -> Memory {
        let mut memory = Memory::default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => memory.learn(line.record),
                Err(_) => memory.unreadable += 1,
            }
        }
        memory
    }

    fn learn(&mut self, record: Record) {
        match record {
            Record::State { product, state, reason } => drop(self.states.insert(product, (state, reason))),
            Record::Event { event, state, stop } => drop(self.events.insert(event, (state, stop))),
            Record::Scheduled { event, entry, instead_of } => drop(self.schedule.insert(event, (entry, instead_of))),
            Record::FileCounts { event } => drop(self.schedule.remove(&event)),
            Record::Knee { resource, seats } if seats.is_finite() => drop(self.knees.insert(resource, seats)),
            Record::Backend { backend, word } if !word.member && word.configured.is_none() => {
                drop(self.backends.remove(&backend));
            }
            Record::Backend { backend, word } => drop(self.backends.insert(backend, word)),
            Record::Share { product, site, word } => {
                self.shares.entry(product).or_default().insert(site, word);
            }
            Record::Shift { product, under_way: true } => drop(self.shifts.insert(product)),
            Record::Shift { product, under_way: false } => drop(self.shifts.remove(&product)),
            Record::Bypass { on } => self.bypass = on,
            Record::ObserveOnly { on, configured } => self.observe_only = Some((on, configured)),
            Record::Knee { .. } | Record::Order { .. } => {}
        }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let states = self.states.iter().map(|(product, (state, reason))| Record::State {
            product: product.clone(),
            state: state.clone(),
            reason: reason.clone(),
        });
        let events = self.events.iter().map(|(event, (state, stop))| Record::Event {
            event: event.clone(),
            state: state.clone(),
            stop: *stop,
        });
        let schedule = self.schedule.iter().map(|(event, (entry, instead_of))| Record::Scheduled {
            event: event.clone(),
            entry: entry.clone(),
            instead_of: *instead_of,
        });
        let knees =
            self.knees.iter().map(|(resource, seats)| Record::Knee { resource: resource.clone(), seats: *seats });
        let backends = self.backends.iter();
        let backends = backends.map(|(backend, word)| Record::Backend { backend: backend.clone(), word: word.clone() });
        let of_product = |(product, sites): (&String, &BTreeMap<String, ShareWord>)| -> Vec<Record> {
            let one = |(site, word): (&String, &ShareWord)| Record::Share {
                product: product.clone(),
                site: site.clone(),
                word: *word,
            };
            sites.iter().map(one).collect()
        };
        let shares = self.shares.iter().flat_map(of_product);
        let shifts = self.shifts.iter().map(|product| Record::Shift { product: product.clone(), under_way: true });
        let observe_only = self.observe_only.map(|(on, configured)| Record::ObserveOnly { on, configured });
        states
            .chain(events)
            .chain(schedule)
            .chain(knees)
            .chain(backends)
            .chain(shares)
            .chain(shifts)
            .chain([Record::Bypass { on: self.bypass }])
            .chain(observe_only)
            .collect()
    }
}
