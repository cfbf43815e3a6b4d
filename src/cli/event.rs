//! Events of a running proxy, and its schedule file.

use super::operate::{client, read, wait};
use super::{EventCommand, To, Why, table};
use crate::admin::events::{MoveRequest, PutRequest, RemoveRequest, Told};
use crate::admin::schedule::{ReloadRequest, Reloaded};
use crate::admin::status::EventStatus;

/// Look at events, or say something about one.
pub(super) fn run(command: EventCommand) -> Result<(), String> {
    match command {
        EventCommand::List { to, json } => list(&to, json),
        EventCommand::Put { id, product, stop, believed_before_stop, margin, name, why, to } => {
            let Why { reason, who } = why;
            let request = PutRequest { product, stop, believed_before_stop, margin, name, reason, who };
            show(&id, read(wait(client(&to).put(&place(&id), &request))?)?)
        }
        EventCommand::Move { id, stop, why, to } => {
            let request = MoveRequest { stop, reason: why.reason, who: why.who };
            show(&id, read(wait(client(&to).post(&format!("{}/stop", place(&id)), &request))?)?)
        }
        EventCommand::Remove { id, why, to } => {
            let request = RemoveRequest { reason: why.reason, who: why.who };
            show(&id, read(wait(client(&to).delete(&place(&id), &request))?)?)
        }
    }
}

/// Have the schedule file read again.
pub(super) fn reload(who: String, to: &To) -> Result<(), String> {
    let reloaded: Reloaded = read(wait(client(to).post("/api/v1/schedule/reload", &ReloadRequest { who }))?)?;
    let Reloaded { events, changed, warnings } = reloaded;
    println!("{events} event{}, {changed} changed", if events == 1 { "" } else { "s" });
    warn(&warnings);
    Ok(())
}

fn list(to: &To, json: bool) -> Result<(), String> {
    let document = wait(client(to).get("/api/v1/events"))?;
    if json {
        println!("{document:#}");
        return Ok(());
    }
    let events: Vec<EventStatus> = read(document)?;
    print!("{}", table::events(&events));
    Ok(())
}

fn show(id: &str, told: Told) -> Result<(), String> {
    match (told.event, told.was) {
        (Some(event), Some(was)) => println!("{id}: {}, betting stop {} (was {was})", event.state, event.stop),
        (Some(event), None) => println!("{id}: {}, betting stop {}", event.state, event.stop),
        (None, _) => println!("{id}: not in the schedule any more"),
    }
    warn(&told.warnings);
    Ok(())
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("sluss: warning: {warning}");
    }
}

/// Where an event stands in the API; its id may have characters that mean something in a path.
fn place(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("/api/v1/events/{}", id.bytes().map(encode).collect::<String>())
}
