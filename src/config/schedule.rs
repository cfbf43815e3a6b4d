//! The schedule file: events and their betting stops.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use toml::Spanned;

use super::check::{Check, Span, items};
use super::error::{ConfigError, Source, Wrong, shown};
use super::file::{self, Opt, ScheduleFile, TextOr};
use super::products::Draft;
use super::settings::{ScheduleSettings, ScheduledEvent};
use super::surroundings::{self, Surroundings};
use super::{keys, names, shape, units};

/// The events of the file that `[schedule]` names, and how to read it again.
pub(super) fn check(
    check: &mut Check<'_>,
    config: &file::File,
    drafts: &[Draft<'_>],
) -> (Vec<ScheduledEvent>, ScheduleSettings) {
    let mut settings = ScheduleSettings { file: None, margin: Duration::ZERO };
    let Some(section) = &config.schedule else { return (Vec::new(), settings) };
    settings.margin = margin(check, &section.get_ref().margin, Duration::ZERO);
    let Some(named) = &section.get_ref().file else {
        // Events may come over the API alone.
        if section.get_ref().margin.is_none() {
            check.missing(section.span(), "this section", "schedule.file");
        }
        return (Vec::new(), settings);
    };
    settings.file = Some(check.beside(named.get_ref()));
    let Some((path, text)) = check.text_of(named) else { return (Vec::new(), settings) };
    if text.trim().is_empty() {
        let Wrong { what, help } = is_empty();
        check.wrong(named.span(), format!("{} {what}", path.display()), help);
        return (Vec::new(), settings);
    }
    let products: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    let (events, problems) = read(&Source::new(&path, &text), check.around, &products, settings.margin);
    check.problems.extend(problems);
    if !events.is_empty() && items(&config.event.from).is_empty() {
        let what = "these betting stops would never stop a bet: nothing says which event a bet is for";
        let help =
            "write where it stands: [event] from = [{ header = \"x-event\" }, { path = \"/horse/bets/{event}\" }]";
        check.wrong(named.span(), what, help);
    }
    (events, settings)
}

/// Read a schedule file once more, while a proxy runs, whose products have these names.
pub(crate) fn reread(
    path: &Path,
    products: &[&str],
    margin: Duration,
    around: &dyn Surroundings,
) -> Result<Vec<ScheduledEvent>, ConfigError> {
    let text = surroundings::read_text(around, path).map_err(|wrong| ConfigError::about_file(path, wrong))?;
    if text.trim().is_empty() {
        return Err(ConfigError::about_file(path, is_empty()));
    }
    match read(&Source::new(path, &text), around, products, margin) {
        (events, problems) if problems.is_empty() => Ok(events),
        (_, problems) => Err(ConfigError::new(problems)),
    }
}

/// Whoever writes it may have stopped halfway: no events must be said, not left out.
fn is_empty() -> Wrong {
    Wrong::new("is empty", "to have no events, write in it: event = []")
}

/// What is allowed and may yet be a mistake, as sentences for the log.
pub(crate) fn doubts(events: &[ScheduledEvent], now: Timestamp) -> Vec<String> {
    let mut spelt: HashMap<String, &str> = HashMap::new();
    let mut doubts = Vec::new();
    for ScheduledEvent { id, stop, .. } in events {
        doubts.extend(doubt(id, *stop, now));
        if let Some(other) = spelt.insert(id.to_ascii_lowercase(), id) {
            doubts.push(format!(
                "the events `{other}` and `{id}` differ in nothing but case: a bet must spell its own as it stands here"
            ));
        }
    }
    doubts
}

/// What may be a mistake about one betting stop.
pub(crate) fn doubt(id: &str, stop: Timestamp, now: Timestamp) -> Option<String> {
    let ahead = stop.duration_since(now);
    if ahead <= SignedDuration::ZERO {
        return Some(format!("the betting stop of `{id}`, {stop}, has passed: no bet on it is let through"));
    }
    (ahead > A_YEAR)
        .then(|| format!("the betting stop of `{id}`, {stop}, is more than a year away: is that the year you mean?"))
}

fn read(
    source: &Source,
    around: &dyn Surroundings,
    products: &[&str],
    margin: Duration,
) -> (Vec<ScheduledEvent>, Vec<super::Problem>) {
    let file: ScheduleFile = match shape::read(source, &keys::SCHEDULE_FILE) {
        Ok(file) => file,
        Err(problems) => return (Vec::new(), problems),
    };
    let mut check = Check::new(source, around, &keys::SCHEDULE_FILE);
    let mut seen = HashMap::new();
    let mut events = Vec::new();
    for spanned in &file.event {
        let id = id(&mut check, spanned);
        if let Some((id, at)) = &id
            && let Some(first) = seen.insert(id.clone(), at.clone())
        {
            let what = format!("the event `{id}` is here twice (first on line {})", check.line(&first));
            check.wrong(at.clone(), what, "keep the one with the right stop");
        }
        events.extend(event(&mut check, spanned, id, products, margin));
    }
    (events, check.problems)
}

fn id(check: &mut Check<'_>, spanned: &Spanned<file::ScheduledEvent>) -> Option<(String, Span)> {
    let Some(id) = &spanned.get_ref().id else {
        check.missing(spanned.span(), "this event", "event.id");
        return None;
    };
    let text = id.get_ref();
    if let Err(Wrong { what, help }) = id_of(text) {
        check.wrong(id.span(), what, help);
    }
    Some((text.clone(), id.span()))
}

/// Whether this can be the id of an event.
pub(crate) fn id_of(text: &str) -> Result<(), Wrong> {
    if !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
    {
        return Ok(());
    }
    let what = format!("{} cannot be the id of an event", shown(text));
    let help = format!("write it as it stands in requests: 1 to {LONGEST_ID} characters, no spaces and no slashes");
    Err(Wrong::new(what, help))
}

fn event(
    check: &mut Check<'_>,
    spanned: &Spanned<file::ScheduledEvent>,
    id: Option<(String, Span)>,
    products: &[&str],
    margin: Duration,
) -> Option<ScheduledEvent> {
    let written = spanned.get_ref();
    let product = match &written.product {
        Some(name) => names::product(check, name, products),
        None => {
            check.missing(spanned.span(), "this event", "event.product");
            None
        }
    };
    let stop = stop(check, &spanned.span(), &written.stop);
    let believed_before_stop = check.duration("believed_before_stop", &written.believed_before_stop, BELIEVED);
    let margin = self::margin(check, &written.margin, margin);
    let name = written.name.as_ref().and_then(|name| check.told("name", name.span(), name_of(name.get_ref())));
    Some(ScheduledEvent { id: id?.0, product: product?, stop: stop?, believed_before_stop, margin, name })
}

fn margin(check: &mut Check<'_>, written: &Opt<String>, default: Duration) -> Duration {
    let Some(text) = written else { return default };
    check.told("margin", text.span(), margin_of(text.get_ref())).unwrap_or(default)
}

/// How long before its stop the last bet is sent; none at all may be said.
pub(crate) fn margin_of(text: &str) -> Result<Duration, Wrong> {
    if matches!(text, "0s" | "0ms") {
        return Ok(Duration::ZERO);
    }
    match units::duration(text)? {
        margin if margin <= MOST_MARGIN => Ok(margin),
        _ => Err(Wrong::new(
            format!("{} is longer than ten minutes", shown(text)),
            "write the time a bet takes, such as \"2s\"",
        )),
    }
}

/// What people call an event.
pub(crate) fn name_of(text: &str) -> Result<String, Wrong> {
    if !text.trim().is_empty() && text.chars().count() <= LONGEST_ID && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let help = format!("write what people call it, in 1 to {LONGEST_ID} characters: name = \"Solvalla, race 5\"");
    Err(Wrong::new(format!("{} cannot be the name of an event", shown(text)), help))
}

fn stop(check: &mut Check<'_>, event: &Span, written: &Opt<TextOr<toml::value::Datetime>>) -> Option<Timestamp> {
    let Some(written) = written else {
        check.missing(event.clone(), "this event", "event.stop");
        return None;
    };
    let text = match written.get_ref() {
        TextOr::Text(text) => text.clone(),
        TextOr::Table(datetime) => datetime.to_string(),
    };
    match stop_of(&text) {
        Ok(stop) => Some(stop),
        Err(Wrong { what, help }) => {
            check.wrong(written.span(), what, help);
            None
        }
    }
}

/// A point in time as people write it.
pub(crate) fn stop_of(text: &str) -> Result<Timestamp, Wrong> {
    text.parse().map_err(|_| no_stop(text))
}

fn no_stop(text: &str) -> Wrong {
    if text.parse::<jiff::civil::DateTime>().is_ok() && text.contains(':') {
        return Wrong::new(
            format!("`{text}` does not say in which time zone"),
            format!("add the offset from UTC: {text}+02:00 in a Swedish summer, {text}+01:00 in winter"),
        );
    }
    Wrong::new(
        format!("{} is not a date and time", shown(text)),
        "write date, time and offset: stop = 2024-08-24T16:20:00+02:00",
    )
}

/// Close signals come when betting stops, give or take; two minutes early is early.
pub(crate) const BELIEVED: Duration = Duration::from_secs(120);
const LONGEST_ID: usize = 128;
/// Who keeps bets back for longer means something else.
const MOST_MARGIN: Duration = Duration::from_secs(600);
const A_YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_mistake_is_said_and_taken_as_it_stands() {
        let stop = |text: &str| text.parse::<Timestamp>().unwrap();
        let event = |id: &str, text: &str| ScheduledEvent {
            id: id.into(),
            product: 0,
            stop: stop(text),
            believed_before_stop: BELIEVED,
            margin: Duration::ZERO,
            name: None,
        };
        let said = |events: &[ScheduledEvent]| doubts(events, stop("2024-08-24T16:00:00+02:00")).join("\n");
        assert_eq!(
            said(&[event("v75-1", "2024-08-24T16:20:00+02:00"), event("v75-2", "2025-08-24T16:20:00+02:00")]),
            ""
        );
        assert!(said(&[event("v75-1", "2024-08-24T16:00:00+02:00")]).contains("has passed"));
        assert!(said(&[event("v75-1", "2026-08-24T16:20:00+02:00")]).contains("is that the year you mean?"));
        let cases = [event("V75-1", "2024-08-24T16:20:00+02:00"), event("v75-1", "2024-08-24T16:20:00+02:00")];
        assert!(said(&cases).contains("`V75-1` and `v75-1` differ in nothing but case"));
    }

    #[test]
    fn no_margin_is_a_margin_and_a_quarter_of_an_hour_is_none() {
        assert_eq!(margin_of("0s").unwrap(), Duration::ZERO);
        assert_eq!(margin_of("10m").unwrap(), MOST_MARGIN);
        assert!(margin_of("15m").is_err() && margin_of("0m").is_err() && margin_of("").is_err());
    }
}
