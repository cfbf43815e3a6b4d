//! The schedule file: events and their betting stops.

use std::time::Duration;

use jiff::Timestamp;
use toml::Spanned;

use super::check::{Check, Span, items};
use super::error::{Source, Wrong, shown};
use super::file::{self, Opt, ScheduleFile, TextOr};
use super::products::Draft;
use super::settings::ScheduledEvent;
use super::{keys, names, shape};

/// The events of the file that `[schedule]` names.
pub(super) fn check(check: &mut Check<'_>, config: &file::File, drafts: &[Draft<'_>]) -> Vec<ScheduledEvent> {
    let Some(section) = &config.schedule else { return Vec::new() };
    let Some(named) = &section.get_ref().file else {
        check.missing(section.span(), "this section", "schedule.file");
        return Vec::new();
    };
    let Some((path, text)) = check.text_of(named) else { return Vec::new() };
    if text.trim().is_empty() {
        // Whoever writes it may have stopped halfway: no events must be said, not left out.
        let what = format!("{} is empty", path.display());
        check.wrong(named.span(), what, "to have no events, write in it: event = []");
        return Vec::new();
    }
    let source = Source::new(&path, &text);
    let (events, problems) = match shape::read(&source, &keys::SCHEDULE_FILE) {
        Ok(file) => read(&mut Check::new(&source, check.around, &keys::SCHEDULE_FILE), &file, drafts),
        Err(problems) => (Vec::new(), problems),
    };
    check.problems.extend(problems);
    if !events.is_empty() && items(&config.event.from).is_empty() {
        let what = "these betting stops would never stop a bet: nothing says which event a bet is for";
        let help =
            "write where it stands: [event] from = [{ header = \"x-event\" }, { path = \"/horse/bets/{event}\" }]";
        check.wrong(named.span(), what, help);
    }
    events
}

fn read(
    check: &mut Check<'_>,
    file: &ScheduleFile,
    drafts: &[Draft<'_>],
) -> (Vec<ScheduledEvent>, Vec<super::Problem>) {
    let products: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    let mut seen = std::collections::HashMap::new();
    let mut events = Vec::new();
    for spanned in &file.event {
        let id = id(check, spanned);
        if let Some((id, at)) = &id
            && let Some(first) = seen.insert(id.clone(), at.clone())
        {
            let what = format!("the event `{id}` is here twice (first on line {})", check.line(&first));
            check.wrong(at.clone(), what, "keep the one with the right stop");
        }
        let event = event(check, spanned, &products);
        if let (Some((id, _)), Some((product, stop, believed_before_stop))) = (id, event) {
            events.push(ScheduledEvent { id, product, stop, believed_before_stop });
        }
    }
    (events, std::mem::take(&mut check.problems))
}

fn id(check: &mut Check<'_>, spanned: &Spanned<file::ScheduledEvent>) -> Option<(String, Span)> {
    let Some(id) = &spanned.get_ref().id else {
        check.missing(spanned.span(), "this event", "event.id");
        return None;
    };
    let text = id.get_ref();
    if text.is_empty() || text.len() > LONGEST_ID || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        let what = format!("{} cannot be the id of an event", shown(text));
        let help = format!("write it as it stands in requests: 1 to {LONGEST_ID} characters, no spaces and no slashes");
        check.wrong(id.span(), what, help);
    }
    Some((text.clone(), id.span()))
}

type Event = (usize, Timestamp, Duration);

fn event(check: &mut Check<'_>, spanned: &Spanned<file::ScheduledEvent>, products: &[&str]) -> Option<Event> {
    let written = spanned.get_ref();
    let product = match &written.product {
        Some(name) => names::product(check, name, products),
        None => {
            check.missing(spanned.span(), "this event", "event.product");
            None
        }
    };
    let stop = stop(check, &spanned.span(), &written.stop);
    let believed = check.duration("believed_before_stop", &written.believed_before_stop, BELIEVED);
    Some((product?, stop?, believed))
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
    let Wrong { what, help } = match text.parse::<Timestamp>() {
        Ok(stop) => return Some(stop),
        Err(_) => no_stop(&text),
    };
    check.wrong(written.span(), what, help);
    None
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
const BELIEVED: Duration = Duration::from_secs(120);
const LONGEST_ID: usize = 128;
