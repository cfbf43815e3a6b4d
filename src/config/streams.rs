//! Upgrades, and answers without an end in sight.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderValue;
use toml::Spanned;

use super::check::{Check, items};
use super::error::shown;
use super::file::{List, Product};
use crate::proxy::settings::StreamSettings;

/// Protocols that the requests of a product may go on in.
pub(super) fn upgrade(check: &mut Check<'_>, written: &List<String>) -> Vec<HeaderValue> {
    if written.is_none() {
        return vec![HeaderValue::from_static("websocket")];
    }
    items(written).iter().filter_map(|name| protocol(check, name)).collect()
}

fn protocol(check: &mut Check<'_>, written: &Spanned<String>) -> Option<HeaderValue> {
    let name = written.get_ref().to_ascii_lowercase();
    if ["h2c", "h2", "http", "tls"].contains(&name.split('/').next().unwrap_or_default()) {
        let what = format!("upgrade: {} would pass by everything here", shown(written.get_ref()));
        check.wrong(
            written.span(),
            what,
            "take it out: what was let in as one request would go on as many that nobody sees",
        );
        return None;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) || name.matches('/').count() > 1 {
        let what = format!("upgrade: {} is no protocol", shown(written.get_ref()));
        check.wrong(
            written.span(),
            what,
            "write it as it stands in `Upgrade`, such as \"websocket\"; [] lets none pass",
        );
        return None;
    }
    HeaderValue::try_from(name).ok()
}

pub(super) fn streams(check: &mut Check<'_>, product: &Product) -> Option<StreamSettings> {
    let written = product.streams.as_ref()?.get_ref();
    let usual = usual();
    let types = check.list("product.streams.types", &written.types);
    let types: Vec<String> = types.iter().filter_map(|text| media_type(check, text)).collect();
    let longest = check.given_duration("longest", &written.longest);
    let seat = check.duration("seat", &written.seat, usual.seat);
    if let (Some(text), Some(_)) = (&written.longest, longest.filter(|longest| *longest < seat)) {
        let what = format!("longest: {} is shorter than `seat`, {seat:?}", text.get_ref());
        check.wrong(text.span(), what, "write a time that is at least as long as `seat`");
    }
    Some(StreamSettings {
        seat,
        most: check.count("most", &written.most, MOST, NonZeroU32::new(usual.most)?).get(),
        idle: check.duration("idle_timeout", &written.idle_timeout, usual.idle),
        longest,
        types: if written.types.is_none() { usual.types } else { types },
    })
}

fn media_type(check: &mut Check<'_>, written: &Spanned<String>) -> Option<String> {
    let text = written.get_ref().to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(plain);
    let is = text.split_once('/').is_some_and(|(first, second)| part(first) && part(second));
    if !is {
        let what = format!("types: {} is no media type", shown(written.get_ref()));
        check.wrong(written.span(), what, "write it as it stands in `Content-Type`, such as \"text/event-stream\"");
    }
    is.then_some(text)
}

/// Where nothing is written.
pub(super) fn usual() -> StreamSettings {
    StreamSettings {
        seat: Duration::from_secs(5),
        most: 10_000,
        idle: Duration::from_secs(300),
        longest: None,
        types: vec!["text/event-stream".to_owned()],
    }
}

/// As many as there can be connections.
const MOST: u32 = 1_000_000;
