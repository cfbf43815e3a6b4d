//! Small readers, each by itself, some of them held against another that reads the same.

use std::collections::HashSet;

use serde_json::Value;

use super::super::access_log::line::Line;
use super::super::classify::Hashes;
use super::super::event::{self, pointer::Found, pointer::Pointer};
use super::super::proxy_header as header;
use super::super::settings::EventSource;
use super::{line, with};

/// What a load balancer says first.
pub fn proxy_header(data: &[u8]) {
    let Some(Ok((bytes, address))) = header::parse(data) else { return };
    assert!(bytes <= data.len() && bytes <= 4096, "{bytes} of {}", data.len());
    // What follows it changes nothing, and it is there when its last byte is, not before.
    assert_eq!(header::parse(&data[..bytes]).and_then(Result::ok), Some((bytes, address)));
    assert!(header::parse(&data[..bytes - 1]).is_none(), "it was taken for whole too early");
}

/// A place in a document: the first line says which, the rest is the document.
pub fn pointer(data: &[u8]) {
    let (place, document) = line(data);
    let Ok(place) = str::from_utf8(place) else { return };
    let Ok(pointer) = Pointer::parse(place) else { return };
    let mut found: Vec<Value> = Vec::new();
    let whole = pointer.find(document, &mut |one| match one {
        Found::Text(text) => found.push(text.into()),
        Found::Number(number) => found.push(number.into()),
        Found::TextInList(_) | Found::NumberInList(_) | Found::List(_) | Found::Other => {}
    });
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return };
    assert!(whole, "it is JSON");
    // Of a name that is there twice it keeps one, and we tell both.
    if let Some(one @ (Value::String(_) | Value::Number(_))) = document.pointer(place)
        && (one.is_string() || one.is_u64())
    {
        assert!(found.contains(one), "{one} is missing in {found:?}");
    }
}

/// A bet's body, for the events that it names and what it costs.
pub fn body(data: &[u8]) {
    with(|worker| {
        let pointers = worker.settings.event.iter().filter_map(|source| match source {
            EventSource::Json(pointer) => Some(pointer),
            EventSource::Header(_) | EventSource::PathAfter(_) => None,
        });
        let mut events = Vec::new();
        let told = event::named(pointers, &Hashes::default(), data, &mut events);
        assert!(
            events.len() <= 32 && events.iter().map(|event| event.0).collect::<HashSet<u64>>().len() == events.len()
        );
        assert!(told.is_err() || !events.is_empty(), "it told of nothing and nothing was wrong");
        for class in &worker.settings.products[0].classes {
            let Some(from) = class.seats.pointer() else { continue };
            let cost = event::seats(from, data);
            assert!(
                cost.is_err()
                    || serde_json::from_slice::<Value>(data).is_err()
                    || cost.is_ok_and(|seats| seats.get() <= 8)
            );
        }
    });
}

/// A stranger's text in a line of the access log.
pub fn log_line(data: &[u8]) {
    let mut written = Vec::new();
    Line(&mut written).string("{\"path\":\"", data);
    written.push(b'}');
    assert!(written.is_ascii() && !written.contains(&b'\n'), "{}", String::from_utf8_lossy(&written));
    let read: Value = serde_json::from_slice(&written).expect("a line is JSON");
    let text: String = data.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(read["path"], text);
}
