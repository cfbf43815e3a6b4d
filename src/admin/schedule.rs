//! The schedule in force: from the file and the API into admission, and along with the clock on the wall.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp as Time};
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, SAME_RACE, Scheduled, Word};
use super::control::Control;
use super::orders::{Mistake, somebody};
use crate::admission::schedule::{Entry, EventState};
use crate::admission::{Domain, Timestamp};
use crate::config::{ScheduleSettings, ScheduledEvent, ThisMachine, schedule};
use crate::journal::{Memory, Record};

/// What reading the schedule file again came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Events in force now.
    pub events: usize,
    /// How many of them are new, moved or otherwise changed, or gone.
    pub changed: usize,
    /// What may be a mistake.
    pub warnings: Vec<String>,
}

/// The schedule file is to be read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Who asks.
    #[serde(default = "somebody")]
    pub who: String,
}

impl Control {
    pub(crate) fn calendar(&self) -> MutexGuard<'_, Calendar> {
        self.calendar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Put in the events of the file, and what the journal knows of them.
    pub(super) fn start_schedule(&self, events: &[ScheduledEvent], memory: &Memory) {
        let mut calendar = self.calendar();
        for (id, told) in &memory.schedule {
            if let Some(word) = Word::recalled(id, told, |name| self.product_named(name)) {
                calendar.words.insert(id.clone(), word);
            }
        }
        let now = self.wall.now();
        let (events, over) = calendar.read(events, now);
        self.forget(over);
        for doubt in schedule::doubts(&events, now) {
            tracing::warn!("{doubt}");
        }
        for event in events {
            let state = remembered(&event, memory);
            if state == EventState::Parked {
                self.raise(&event.id, format!("betting on {} was paused before the last restart", event.id));
            }
            if state != EventState::Open {
                tracing::warn!(event = event.id, state = state.name(), "not open, as it was before the restart");
            }
            self.put(&mut calendar, event, Some(state));
        }
    }

    /// Read the schedule file again. What is wrong with it changes nothing.
    ///
    /// # Errors
    /// When there is none, or it cannot be used; the text names the line, and says what to write instead.
    pub async fn reload_schedule(&self, who: &str) -> Result<Reloaded, Mistake> {
        let reloaded = self.reread(who)?;
        if reloaded.changed > 0 {
            let reason = format!("{} of {} events changed", reloaded.changed, reloaded.events);
            self.keep(Record::Order { order: "reload".into(), scope: "schedule".into(), who: who.into(), reason })
                .await?;
        }
        Ok(reloaded)
    }

    /// Read the schedule file again if it has changed and then rested for a moment: whoever writes it may not have finished.
    pub async fn watch_schedule(&self) {
        let Some(path) = self.schedule().file else { return };
        if self.watched.lock().unwrap_or_else(PoisonError::into_inner).has_changed(&[&path]) {
            // It has said what is wrong, in the log and as an alarm.
            let _ = self.reload_schedule("the file has changed").await;
        }
    }

    fn reread(&self, who: &str) -> Result<Reloaded, Mistake> {
        let ScheduleSettings { file: Some(path), margin } = self.schedule() else {
            let text = "there is no schedule file: name one in the configuration, [schedule] file = \"schedule.toml\"";
            return Err(Mistake::Unclear(text.into()));
        };
        let shared = self.shared();
        let products: Vec<&str> = shared.settings.products.iter().map(|product| product.name.as_str()).collect();
        match schedule::reread(&path, &products, margin, &ThisMachine) {
            Ok(events) => {
                self.settle(SCHEDULE);
                Ok(self.take_over(&events, who))
            }
            Err(error) => {
                self.changes.rejected.increment(1);
                let text = format!("the schedule file cannot be used, so nothing of the schedule was changed: {error}");
                tracing::error!("ALARM: {text}");
                self.raise(SCHEDULE, text.clone());
                Err(Mistake::Unclear(text))
            }
        }
    }

    /// The file says this now.
    pub(super) fn take_over(&self, file: &[ScheduledEvent], who: &str) -> Reloaded {
        let mut calendar = self.calendar();
        let now = self.wall.now();
        let (events, over) = calendar.read(file, now);
        self.forget(over);
        let warnings = schedule::doubts(&events, now);
        let gone = self.let_go(&mut calendar, &events, now);
        let mut changed = gone.len();
        for id in gone {
            self.take_out(&mut calendar, &id);
        }
        for event in events {
            let before = calendar.events.get(&event.id).map(|known| known.event.clone());
            if before.as_ref() == Some(&event) {
                continue;
            }
            changed += 1;
            let from = before.as_ref().map(|before| before.stop.to_string()).unwrap_or_default();
            tracing::warn!(event = event.id, from, stop = %event.stop, who, "the schedule file says another betting stop");
            // An id may be used again for another day's race, and then what was said of the last one is over.
            let same = before.is_some_and(|before| before.stop.duration_since(event.stop).abs() <= SAME_RACE);
            self.put(&mut calendar, event, (!same).then_some(EventState::Open));
        }
        if changed > 0 {
            self.changes.reloaded.increment(1);
            warnings.iter().for_each(|doubt| tracing::warn!("{doubt}"));
        }
        Reloaded { events: calendar.events.len(), changed, warnings }
    }

    /// Which events have left the schedule. One that is shut, or whose stop has passed, is kept for half a day, as if
    /// somebody had said so: an event that nobody knows is open, and leaving something out must not open it.
    fn let_go(&self, calendar: &mut Calendar, events: &[ScheduledEvent], now: Time) -> Vec<String> {
        let stays = |id: &str| events.iter().any(|event| event.id == id);
        let left = calendar.events.values().filter(|known| !stays(&known.event.id));
        let (kept, gone): (Vec<_>, Vec<_>) = left.cloned().partition(|known| {
            let ahead = known.event.stop.duration_since(now);
            let open = self.state_of(known) == Some(EventState::Open);
            ahead >= -SAME_RACE && (!open || ahead <= SignedDuration::ZERO)
        });
        for Scheduled { event, .. } in kept {
            tracing::warn!(
                event = event.id,
                "has left the schedule, and stays shut for as long as bets may still come"
            );
            self.note_word(calendar, &event.id.clone(), Some(event));
        }
        gone.into_iter().map(|known| known.event.id).collect()
    }

    /// From now on this counts of an event, in the journal too.
    pub(super) fn note_word(&self, calendar: &mut Calendar, id: &str, entry: Option<ScheduledEvent>) {
        let shared = self.shared();
        let products = &shared.settings.products;
        let record = match calendar.say(id, entry) {
            Some(word) => word.record(id, |index| products[index].name.clone()),
            None => Record::FileCounts { event: id.to_owned() },
        };
        self.journal.note(record);
    }

    /// Let admission know an event, new or changed. In the `state` given, or in that which it is in. People may wait, so
    /// they are told at once what it means for them.
    pub(super) fn put(&self, calendar: &mut Calendar, event: ScheduledEvent, state: Option<EventState>) {
        let key = self.shared().hashes.event(event.id.as_bytes());
        let known = calendar.events.get(&event.id).cloned();
        let state = state.or_else(|| self.state_of(known.as_ref()?)).unwrap_or(EventState::Open);
        let moved_house = known.as_ref().is_some_and(|known| {
            let shared = self.shared();
            let products = &shared.settings.products;
            products[known.event.product].domain != products[event.product].domain
        });
        let scheduled = Scheduled { key, event };
        let (gate, _) = self.product(scheduled.event.product);
        gate.with(|domain, now| {
            self.schedule_in(domain, &scheduled, state, now);
            domain.wake(now);
            if state != EventState::Open {
                // With the stop it has now, by which it is told from another day's race.
                self.note_event(&scheduled, domain);
            }
        });
        if let Some(known) = known.filter(|_| moved_house) {
            self.product(known.event.product).0.with(|domain, _| domain.unschedule(key));
        }
        calendar.events.insert(scheduled.event.id.clone(), scheduled);
    }

    /// Forget an event.
    pub(super) fn take_out(&self, calendar: &mut Calendar, id: &str) {
        let Some(known) = calendar.events.remove(id) else { return };
        tracing::warn!(event = id, "is not in the schedule any more: its backend judges");
        self.product(known.event.product).0.with(|domain, now| {
            domain.unschedule(known.key);
            domain.wake(now);
        });
        self.settle(id);
    }

    /// Stops are times on the wall. Ours is counted from the start and stands still while a machine sleeps, and the one on
    /// the wall may be set: where the two have parted, stops are counted anew. To be called every second.
    pub fn follow_the_wall_clock(&self) {
        let mut calendar = self.calendar();
        let now = self.shared().clock.now();
        let zero = self.wall.zero(now);
        let parted = zero.duration_since(calendar.zero);
        if parted.abs() < NOTICEABLE {
            return;
        }
        calendar.zero = zero;
        if parted.abs() >= WORTH_SAYING {
            tracing::warn!(
                seconds = parted.as_secs_f64(),
                "the clock of this machine was set: betting stops follow it"
            );
        }
        for (index, gate) in self.shared().gates.iter().enumerate() {
            let of_gate = |known: &&Scheduled| self.shared().settings.products[known.event.product].domain == index;
            let events: Vec<&Scheduled> = calendar.events.values().filter(of_gate).collect();
            gate.with(|domain, now| {
                for known in &events {
                    if let Some(state) = domain.event(known.key).map(|entry| entry.state) {
                        self.schedule_in(domain, known, state, now);
                    }
                }
                domain.wake(now);
            });
        }
    }

    fn schedule_in(&self, domain: &mut Domain, scheduled: &Scheduled, state: EventState, now: Timestamp) {
        let ScheduledEvent { product, stop, believed_before_stop, margin, .. } = &scheduled.event;
        let last = SignedDuration::try_from(*margin).ok().and_then(|margin| stop.checked_sub(margin).ok());
        let stop = self.on_our_clock(last.unwrap_or(*stop), now);
        // A signal is as far from the stop that people know as before.
        let believed_before_stop = believed_before_stop.saturating_sub(*margin);
        let product = self.shared().settings.products[*product].id;
        domain.schedule(scheduled.key, Entry { product, stop, believed_before_stop, state });
    }

    pub(super) fn state_of(&self, scheduled: &Scheduled) -> Option<EventState> {
        let (gate, _) = self.product(scheduled.event.product);
        gate.with(|domain, _| domain.event(scheduled.key).map(|entry| entry.state))
    }

    /// A time on the wall as admission counts time; what has passed has passed.
    fn on_our_clock(&self, wall: Time, now: Timestamp) -> Timestamp {
        let left = wall.duration_since(self.wall.now());
        Duration::try_from(left).map_or(now, |ahead| now + ahead)
    }

    fn forget(&self, over: Vec<String>) {
        for event in over {
            self.journal.note(Record::FileCounts { event });
        }
    }
}

/// What a journal knows of an event, unless it was another day's race of the same name.
fn remembered(event: &ScheduledEvent, memory: &Memory) -> EventState {
    let Some((state, stop)) = memory.events.get(&event.id) else { return EventState::Open };
    if stop.is_some_and(|stop| stop.duration_since(event.stop).abs() > SAME_RACE) {
        return EventState::Open;
    }
    match state.as_str() {
        "parked" => EventState::Parked,
        "closed" => EventState::Closed,
        _ => EventState::Open,
    }
}

/// What an alarm about the file is filed under; no event has a space in its id.
const SCHEDULE: &str = "schedule file";
/// Less is the pace of a clock that is being led back to the right time.
const NOTICEABLE: SignedDuration = SignedDuration::from_millis(10);
const WORTH_SAYING: SignedDuration = SignedDuration::from_secs(1);
