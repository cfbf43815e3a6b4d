//! The schedule as it stands: what the file says, and what was said over the API since.
//!
//! The last word counts. A file that says of an event what it said when somebody else spoke has said nothing since; one that
//! says something else has, and its word replaces theirs. So a stop that was moved at 16:05 stays moved when the file is
//! read again, and when the proxy starts again, until somebody writes another stop into the file.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::orders::unknown;
use crate::admission::EventKey;
use crate::admission::schedule::EventState;
use crate::config::ScheduledEvent;
use crate::journal;

/// Events by id.
pub(crate) struct Calendar {
    /// Every event that is known, as it counts.
    pub(super) events: BTreeMap<String, Scheduled>,
    /// What was said over the API and still counts.
    pub(super) words: BTreeMap<String, Word>,
    /// What the file has, by id.
    pub(super) file: BTreeMap<String, ScheduledEvent>,
    /// Events of products that have left, by id: what was said of them counts again when those come back.
    pub(super) absent: BTreeMap<String, Absent>,
    /// What the clock on the wall showed when admission's stood at zero, as it was when stops were last counted.
    pub(super) zero: Timestamp,
}

/// An event that is known.
#[derive(Clone)]
pub(crate) struct Scheduled {
    pub(super) key: EventKey,
    pub(super) event: ScheduledEvent,
}

/// An event whose product has left the configuration.
pub(super) struct Absent {
    pub(super) product: String,
    pub(super) event: ScheduledEvent,
    pub(super) state: EventState,
    /// What was said of it.
    pub(super) word: Option<Word>,
}

/// What was said of an event over the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// What counts; nothing when it was taken out.
    pub(super) entry: Option<ScheduledEvent>,
    /// The stop that the file had for it then.
    pub(super) instead_of: Option<Timestamp>,
}

/// An id whose stop has moved by more than this stands for another day's race.
pub(super) const SAME_RACE: SignedDuration = SignedDuration::from_hours(12);

impl Calendar {
    /// Without events.
    pub(super) fn new(zero: Timestamp) -> Calendar {
        Calendar {
            events: BTreeMap::new(),
            words: BTreeMap::new(),
            file: BTreeMap::new(),
            absent: BTreeMap::new(),
            zero,
        }
    }

    /// The sentence that nobody knows this event.
    pub(super) fn unknown(&self, id: &str) -> String {
        let names: Vec<&str> = self.events.keys().map(String::as_str).collect();
        unknown("event in the schedule", id, &names)
    }

    /// Read the file into it: what counts from now on, and whose words do not any more.
    pub(super) fn read(&mut self, file: &[ScheduledEvent], now: Timestamp) -> (Vec<ScheduledEvent>, Vec<String>) {
        self.file = file.iter().map(|event| (event.id.clone(), event.clone())).collect();
        let over: Vec<String> =
            self.words.iter().filter(|(id, word)| self.is_over(id, word, now)).map(|(id, _)| id.clone()).collect();
        for id in &over {
            self.words.remove(id);
        }
        let of_file = file.iter().filter(|event| !self.words.contains_key(&event.id));
        let of_words = self.words.values().filter_map(|word| word.entry.as_ref());
        (of_file.chain(of_words).cloned().collect(), over)
    }

    fn is_over(&self, id: &str, word: &Word, now: Timestamp) -> bool {
        let stands = self.file.get(id).map(|event| event.stop);
        let is_old = word.entry.as_ref().is_none_or(|entry| now.duration_since(entry.stop) > SAME_RACE);
        stands != word.instead_of || (stands.is_none() && is_old)
    }

    /// Somebody says over the API what counts of an event. Nothing to remember where the file says the same: nothing.
    pub(super) fn say(&mut self, id: &str, entry: Option<ScheduledEvent>) -> Option<&Word> {
        let instead_of = self.file.get(id).map(|event| event.stop);
        if entry.is_none() && instead_of.is_none() {
            self.words.remove(id);
            return None;
        }
        self.words.insert(id.to_owned(), Word { entry, instead_of });
        self.words.get(id)
    }

    /// Products have other places now: `place` tells which an event's has, if it is still there. Events of others are gone,
    /// with what was said of them.
    pub(super) fn renumber(
        &mut self,
        place: impl Fn(&ScheduledEvent) -> Option<usize>,
    ) -> Vec<(Scheduled, Option<Word>)> {
        let place = |event: &mut ScheduledEvent| match place(event) {
            Some(place) => {
                event.product = place;
                true
            }
            None => false,
        };
        self.file.retain(|_, event| place(event));
        let mut gone = Vec::new();
        for (id, mut known) in std::mem::take(&mut self.events) {
            if place(&mut known.event) {
                self.events.insert(id, known);
            } else {
                gone.push((known, self.words.remove(&id)));
            }
        }
        self.words.retain(|_, word| word.entry.as_mut().is_none_or(place));
        gone
    }

    /// An event whose product has left is kept for half a day after its stop, as one is that has left the file.
    pub(super) fn keep(&mut self, absent: Absent, now: Timestamp) {
        self.absent.retain(|_, known| now.duration_since(known.event.stop) <= SAME_RACE);
        self.absent.insert(absent.event.id.clone(), absent);
    }

    /// Those whose product is back, at the place that `place` tells: what was said of them counts again. What there is of the
    /// same id by now is another's.
    pub(super) fn come_back(&mut self, place: impl Fn(&str) -> Option<usize>) -> Vec<(ScheduledEvent, EventState)> {
        let mut back = Vec::new();
        for (id, absent) in std::mem::take(&mut self.absent) {
            let Some(product) = place(&absent.product) else {
                self.absent.insert(id, absent);
                continue;
            };
            if self.events.contains_key(&id) {
                continue;
            }
            if let Some(mut word) = absent.word {
                word.entry.iter_mut().for_each(|entry| entry.product = product);
                self.words.insert(id, word);
            }
            back.push((ScheduledEvent { product, ..absent.event }, absent.state));
        }
        back
    }

    /// Whether what counts of this event is what the file says.
    pub(super) fn is_as_in_file(&self, id: &str) -> bool {
        !self.words.contains_key(id)
    }
}

impl Word {
    /// As the journal has it.
    pub(super) fn record(&self, id: &str, product: impl Fn(usize) -> String) -> journal::Record {
        let entry = self.entry.as_ref().map(|event| journal::Entry {
            product: product(event.product),
            stop: event.stop,
            believed_before_stop: event.believed_before_stop,
            margin: event.margin,
            name: event.name.clone(),
        });
        journal::Record::Scheduled { event: id.to_owned(), entry, instead_of: self.instead_of }
    }

    /// As the journal has it; nothing when it is about a product that left the configuration since.
    pub(super) fn recalled(
        id: &str,
        (entry, instead_of): &(Option<journal::Entry>, Option<Timestamp>),
        product: impl Fn(&str) -> Option<usize>,
    ) -> Option<Word> {
        let entry = match entry {
            None => None,
            Some(entry) => Some(ScheduledEvent {
                id: id.to_owned(),
                product: product(&entry.product)?,
                stop: entry.stop,
                believed_before_stop: entry.believed_before_stop,
                margin: entry.margin,
                name: entry.name.clone(),
            }),
        };
        Some(Word { entry, instead_of: *instead_of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn race(id: &str, stop: &str) -> ScheduledEvent {
        ScheduledEvent {
            id: id.into(),
            product: 0,
            stop: at(stop),
            believed_before_stop: Duration::from_secs(120),
            margin: Duration::ZERO,
            name: None,
        }
    }

    fn at(clock: &str) -> Timestamp {
        format!("2024-08-24T{clock}:00+02:00").parse().unwrap()
    }

    fn stops(events: &[ScheduledEvent]) -> Vec<(&str, Timestamp)> {
        events.iter().map(|event| (event.id.as_str(), event.stop)).collect()
    }

    #[test]
    fn a_moved_stop_stays_moved_until_the_file_says_something_else() {
        let mut calendar = Calendar::new(Timestamp::UNIX_EPOCH);
        calendar.read(&[race("v75-1", "16:20"), race("v75-2", "16:40")], at("16:00"));
        calendar.say("v75-1", Some(race("v75-1", "16:35")));
        let (events, over) = calendar.read(&[race("v75-1", "16:20"), race("v75-2", "16:45")], at("16:06"));
        assert_eq!(stops(&events), [("v75-2", at("16:45")), ("v75-1", at("16:35"))]);
        assert!(over.is_empty());
        let (events, over) = calendar.read(&[race("v75-1", "16:30")], at("16:07"));
        assert_eq!((stops(&events), over), (vec![("v75-1", at("16:30"))], vec!["v75-1".to_owned()]));
        let (events, _) = calendar.read(&[race("v75-1", "16:20")], at("16:08"));
        assert_eq!(stops(&events), [("v75-1", at("16:20"))], "what is over stays over");
    }

    #[test]
    fn what_was_put_or_taken_out_over_the_api_counts_until_the_file_speaks_of_it() {
        let mut calendar = Calendar::new(Timestamp::UNIX_EPOCH);
        calendar.read(&[race("v75-1", "16:20")], at("16:00"));
        calendar.say("v75-1", None);
        calendar.say("extra", Some(race("extra", "17:00")));
        let (events, over) = calendar.read(&[race("v75-1", "16:20")], at("16:06"));
        assert_eq!((stops(&events), over), (vec![("extra", at("17:00"))], vec![]));
        let (events, mut over) = calendar.read(&[race("v75-1", "16:25"), race("extra", "17:05")], at("16:06"));
        over.sort();
        assert_eq!(stops(&events), [("v75-1", at("16:25")), ("extra", at("17:05"))]);
        assert_eq!(over, ["extra", "v75-1"]);
    }

    #[test]
    fn an_event_that_leaves_the_file_takes_what_was_said_of_it_along() {
        let mut calendar = Calendar::new(Timestamp::UNIX_EPOCH);
        calendar.read(&[race("v75-1", "16:20")], at("16:00"));
        calendar.say("v75-1", Some(race("v75-1", "16:35")));
        let (events, over) = calendar.read(&[], at("16:01"));
        assert_eq!((stops(&events), over), (vec![], vec!["v75-1".to_owned()]));
    }

    #[test]
    fn yesterdays_words_do_not_pile_up() {
        let mut calendar = Calendar::new(Timestamp::UNIX_EPOCH);
        calendar.say("extra", Some(race("extra", "01:00")));
        assert_eq!(calendar.read(&[], at("12:00")).0.len(), 1);
        assert_eq!(calendar.read(&[], at("13:30")).0.len(), 0);
        assert!(calendar.words.is_empty());
        calendar.say("extra", Some(race("extra", "14:00")));
        calendar.say("extra", None);
        assert!(calendar.words.is_empty(), "the file has never spoken of it");
    }
}
