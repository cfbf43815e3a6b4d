//! What people and machines say over the API about single events: put in, moved, taken out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::control::{Control, Said};
use super::orders::{Mistake, somebody};
use super::status::EventStatus;
use crate::config::{ScheduledEvent, Wrong, schedule, units};
use crate::journal::Record;

/// An event as it is put in, or replaced, over the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRequest {
    /// Its product.
    pub product: String,
    /// When betting on it stops, as RFC 3339.
    pub stop: String,
    /// How long before its stop a close signal is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed_before_stop: Option<String>,
    /// How long before its stop the last bet is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// A betting stop is moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// Where to: a time as RFC 3339, or by how much from where it is: `+15m`, `-30s`.
    pub stop: String,
    /// Why; never empty.
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// An event is taken out of the schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Why; never empty.
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// What became of an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The event as it is now; nothing when it was taken out.
    pub event: Option<EventStatus>,
    /// When betting on it stopped before, if it was known.
    pub was: Option<Timestamp>,
    /// What may be a mistake.
    pub warnings: Vec<String>,
}

/// More would be a leak of whoever puts them in.
const MOST_EVENTS: usize = 10_000;

impl Control {
    /// Every event that is known, the next to stop first.
    pub fn events(&self) -> Vec<EventStatus> {
        let calendar = self.calendar();
        let mut events: Vec<EventStatus> =
            calendar.events.keys().filter_map(|id| self.event_in(&calendar, id)).collect();
        events.sort_by_key(|event| event.stop);
        events
    }

    /// One event.
    ///
    /// # Errors
    /// When nobody knows it.
    pub fn event(&self, id: &str) -> Result<EventStatus, Mistake> {
        let calendar = self.calendar();
        self.event_in(&calendar, id).ok_or_else(|| Mistake::Unknown(calendar.unknown(id)))
    }

    /// Put in an event, or say anew what counts of it. One that is shut stays shut.
    ///
    /// # Errors
    /// As for an order.
    pub async fn put_event(&self, id: &str, request: &PutRequest) -> Result<Told, Mistake> {
        let event = self.event_of(id, request).map_err(unclear)?;
        let mut told = {
            let mut calendar = self.calendar();
            if calendar.events.len() >= MOST_EVENTS && !calendar.events.contains_key(id) {
                let text =
                    format!("there are {MOST_EVENTS} events already: take out what is over (`sluss event remove`)");
                return Err(Mistake::Unclear(text));
            }
            self.say(&mut calendar, id, Some(event))
        };
        self.changes.put.increment(1);
        if self.shared().settings.event.is_empty() {
            told.warnings.push(NO_SOURCE.into());
        }
        self.write_event_down("put event", id, &told, (&request.who, &request.reason)).await?;
        Ok(told)
    }

    /// Move a betting stop, also while people wait for their turn. One that is shut stays shut.
    ///
    /// # Errors
    /// As for an order.
    pub async fn move_stop(&self, id: &str, request: &MoveRequest) -> Result<Told, Mistake> {
        has_reason(&request.reason)?;
        let told = {
            let mut calendar = self.calendar();
            let Some(known) = calendar.events.get(id) else { return Err(Mistake::Unknown(calendar.unknown(id))) };
            let stop = moved(known.event.stop, &request.stop).map_err(unclear)?;
            let event = ScheduledEvent { stop, ..known.event.clone() };
            self.say(&mut calendar, id, Some(event))
        };
        self.changes.moved.increment(1);
        self.write_event_down("move stop", id, &told, (&request.who, &request.reason)).await?;
        Ok(told)
    }

    /// Take an event out of the schedule: from then on its backend judges.
    ///
    /// # Errors
    /// As for an order.
    pub async fn remove_event(&self, id: &str, request: &RemoveRequest) -> Result<Told, Mistake> {
        has_reason(&request.reason)?;
        let told = {
            let mut calendar = self.calendar();
            if !calendar.events.contains_key(id) {
                return Err(Mistake::Unknown(calendar.unknown(id)));
            }
            self.say(&mut calendar, id, None)
        };
        self.changes.removed.increment(1);
        self.write_event_down("remove event", id, &told, (&request.who, &request.reason)).await?;
        Ok(told)
    }

    fn event_of(&self, id: &str, request: &PutRequest) -> Result<ScheduledEvent, Wrong> {
        schedule::id_of(id)?;
        let product = self.product_named(&request.product).ok_or_else(|| {
            let what = self.unknown_product(&request.product);
            Wrong::new(what.trim_end_matches('.'), "name one of the configuration")
        })?;
        let duration = |text: &Option<String>, default| text.as_deref().map_or(Ok(default), units::duration);
        Ok(ScheduledEvent {
            id: id.to_owned(),
            product,
            stop: schedule::stop_of(&request.stop)?,
            believed_before_stop: duration(&request.believed_before_stop, schedule::BELIEVED)?,
            margin: request.margin.as_deref().map_or(Ok(self.schedule().margin), schedule::margin_of)?,
            name: request.name.as_deref().map(schedule::name_of).transpose()?,
        })
    }

    /// What somebody says of an event counts from now on; into the journal under the lock, so that its last word is the last.
    fn say(&self, calendar: &mut Calendar, id: &str, entry: Option<ScheduledEvent>) -> Told {
        let was = calendar.events.get(id).map(|known| known.event.stop);
        self.note_word(calendar, id, entry.clone());
        let doubt = entry.as_ref().and_then(|event| schedule::doubt(id, event.stop, self.wall.now()));
        match entry {
            Some(event) => self.put(calendar, event, None),
            None => self.take_out(calendar, id),
        }
        Told { event: self.event_in(calendar, id), was, warnings: doubt.into_iter().collect() }
    }

    async fn write_event_down(
        &self,
        order: &str,
        id: &str,
        told: &Told,
        (who, reason): (&str, &str),
    ) -> Result<(), Mistake> {
        let shown = |stop: Option<Timestamp>| stop.map_or_else(|| "none".to_owned(), |stop| stop.to_string());
        let (from, to) = (shown(told.was), shown(told.event.as_ref().map(|event| event.stop)));
        tracing::warn!(order, event = id, from, to, who, reason, "order");
        told.warnings.iter().for_each(|doubt| tracing::warn!(event = id, "{doubt}"));
        let said = Said { order: order.into(), who: who.into(), reason: reason.into(), at: Timestamp::now() };
        self.matters().last.insert(id.to_owned(), said);
        let reason = format!("from {from} to {to}: {reason}");
        self.keep(Record::Order { order: order.into(), scope: id.into(), who: who.into(), reason }).await
    }
}

/// Where a stop is moved to.
fn moved(from: Timestamp, to: &str) -> Result<Timestamp, Wrong> {
    let by = |text: &str| -> Result<SignedDuration, Wrong> {
        let by: Duration = units::duration(text)?;
        Ok(SignedDuration::try_from(by).expect("at most a day"))
    };
    let moved = match (to.strip_prefix('+'), to.strip_prefix('-')) {
        (Some(later), _) => from.checked_add(by(later)?),
        (_, Some(sooner)) => from.checked_sub(by(sooner)?),
        _ => return schedule::stop_of(to),
    };
    moved.map_err(|_| Wrong::new(format!("`{to}` from {from} is beyond all calendars"), "write the time itself"))
}

fn has_reason(reason: &str) -> Result<(), Mistake> {
    if reason.trim().is_empty() {
        return Err(Mistake::Unclear("an order needs a reason: it is logged with who gave it".into()));
    }
    Ok(())
}

fn unclear(Wrong { what, help }: Wrong) -> Mistake {
    Mistake::Unclear(format!("{what}; {help}; nothing was changed"))
}

const NO_SOURCE: &str = "nothing says which event a bet is for, so this stop stops no bet: write where it stands, \
                         [event] from = [{ header = \"x-event\" }], and start anew";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_moved_to_a_time_or_by_one() {
        let at = |clock: &str| format!("2024-08-24T{clock}:00+02:00").parse::<Timestamp>().unwrap();
        assert_eq!(moved(at("16:20"), "+15m").unwrap(), at("16:35"));
        assert_eq!(moved(at("16:20"), "-20m").unwrap(), at("16:00"));
        assert_eq!(moved(at("16:20"), "2024-08-24T16:35:00+02:00").unwrap(), at("16:35"));
        let help = |to| moved(at("16:20"), to).map_err(|wrong| format!("{}; {}", wrong.what, wrong.help)).unwrap_err();
        assert_eq!(help("+15"), "`15` has no unit; write \"15ms\", \"15s\" or \"15m\"");
        assert_eq!(
            help("16:35"),
            "`16:35` is not a date and time; write date, time and offset: stop = 2024-08-24T16:20:00+02:00"
        );
        assert!(help("2024-08-24T16:35:00").contains("does not say in which time zone"));
        assert!(moved(Timestamp::MAX, "+1s").is_err());
    }
}
