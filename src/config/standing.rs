//! How backends are chosen, checked, and left out.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderValue, Method, Uri};
use toml::Spanned;

use super::backends::MOST_PRIORITY;
use super::check::Check;
use super::error::shown;
use super::file::{Health, Opt, Product};
use crate::proxy::health::MOST_NAME;
use crate::proxy::settings::{HealthSettings, OutlierSettings, Policy};

pub(super) fn policy(check: &mut Check<'_>, product: &Product) -> Option<Policy> {
    let word = product.balance.as_ref()?;
    check.one_of("way to balance", word, &Policy::NAMES).map(|index| Policy::ALL[index])
}

pub(super) fn health(check: &mut Check<'_>, product: &Product) -> Option<HealthSettings> {
    let (written, at) = product.health.as_ref().map(|spanned| (spanned.get_ref(), spanned.span()))?;
    let grpc = written.grpc.as_ref().and_then(|service| service_name(check, written, service));
    if written.path.is_none() && written.grpc.is_none() {
        check.missing(at, "this check", "product.health.path");
    }
    let interval = check.duration("interval", &written.interval, Duration::from_secs(2));
    let timeout = check.duration("timeout", &written.timeout, Duration::from_secs(1).min(interval));
    if let Some(text) = written.timeout.as_ref().filter(|_| timeout > interval) {
        let what = format!("timeout: {} is longer than the interval of {interval:?}", text.get_ref());
        check.wrong(text.span(), what, "write a time that is at most as long as `interval`");
    }
    Some(HealthSettings {
        path: written.path.as_ref().and_then(|path| target(check, path)).unwrap_or_default(),
        method: method(check, written),
        grpc,
        host: written.host.as_ref().and_then(|host| host_header(check, host)),
        expect: expected(check, written),
        interval,
        timeout,
        fall: check.count("fall", &written.fall, MOST_IN_A_ROW, FALL),
        rise: check.count("rise", &written.rise, MOST_IN_A_ROW, RISE),
    })
}

fn target(check: &mut Check<'_>, written: &Spanned<String>) -> Option<Uri> {
    let target = written.get_ref().parse::<Uri>().ok();
    let target = target.filter(|uri| uri.authority().is_none() && written.get_ref().starts_with('/'));
    if target.is_none() {
        let what = format!("path: {} is no path", shown(written.get_ref()));
        check.wrong(written.span(), what, "write a path from the root, such as \"/health\"");
    }
    target
}

/// A call has its own path and method, and no status of HTTP.
fn service_name(check: &mut Check<'_>, written: &Health, service: &Spanned<String>) -> Option<String> {
    let text = |key, value: &Opt<String>| value.as_ref().map(|value| (key, value.span()));
    let expect = written.expect.as_ref().map(|list| ("expect", list.span()));
    for (key, at) in [text("path", &written.path), text("method", &written.method), expect].into_iter().flatten() {
        let what = format!("`{key}` and `grpc` exclude each other: a call of gRPC has its own");
        check.wrong(at, what, "write one of them");
    }
    let name = service.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    if name.len() <= MOST_NAME && name.chars().all(plain) {
        return Some(name.clone());
    }
    let what = format!("grpc: {} is no name of a service", shown(name));
    check.wrong(
        service.span(),
        what,
        "write it as its clients know it, such as \"horse.Bets\", or \"\" for the server as a whole",
    );
    None
}

/// Only what changes nothing: it is asked for all day.
fn method(check: &mut Check<'_>, written: &Health) -> Method {
    const METHODS: [Method; 3] = [Method::GET, Method::HEAD, Method::OPTIONS];
    let names = METHODS.each_ref().map(Method::as_str);
    let index = written.method.as_ref().and_then(|word| check.one_of("method for a check", word, &names));
    index.map_or(Method::GET, |index| METHODS[index].clone())
}

fn host_header(check: &mut Check<'_>, written: &Spanned<String>) -> Option<HeaderValue> {
    let authority = written.get_ref().parse::<http::uri::Authority>().ok().filter(|name| !name.as_str().contains('@'));
    if authority.is_none() {
        let what = format!("host: {} is no host", shown(written.get_ref()));
        check.wrong(written.span(), what, "write a name as it stands in a URL, such as \"horse.internal\"");
    }
    HeaderValue::from_str(authority?.as_str()).ok()
}

fn expected(check: &mut Check<'_>, written: &Health) -> Vec<RangeInclusive<u16>> {
    let list = check.list("product.health.expect", &written.expect);
    let ranges: Vec<_> = list.iter().filter_map(|text| statuses(check, text)).collect();
    if written.expect.is_none() { vec![200..=299] } else { ranges }
}

fn statuses(check: &mut Check<'_>, written: &Spanned<String>) -> Option<RangeInclusive<u16>> {
    let text = written.get_ref();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.trim().parse().ok().filter(|status| (200..=599).contains(status));
    let range = status(first).zip(status(last)).filter(|(first, last)| first <= last);
    if range.is_none() {
        let what = format!("expect: {} is no status from 200 to 599, and no range of them", shown(text));
        check.wrong(written.span(), what, "write them like this: expect = [\"200\", \"300-399\"]");
    }
    range.map(|(first, last)| first..=last)
}

pub(super) fn outliers(check: &mut Check<'_>, product: &Product) -> Option<OutlierSettings> {
    let written = product.outliers.as_ref()?.get_ref();
    let first = check.duration("first", &written.first, Duration::from_secs(10));
    let longest = check.duration("longest", &written.longest, Duration::from_secs(300).max(first));
    if let Some(text) = written.longest.as_ref().filter(|_| longest < first) {
        let what = format!("longest: {} is shorter than `first`, {first:?}", text.get_ref());
        check.wrong(text.span(), what, "write a time that is at least as long as `first`");
    }
    Some(OutlierSettings {
        consecutive: check.count("consecutive", &written.consecutive, MOST_IN_A_ROW, CONSECUTIVE),
        behind: check.count("behind", &written.behind, 100, BEHIND),
        answers: check.count("answers", &written.answers, 1_000_000, ANSWERS),
        interval: check.duration("interval", &written.interval, Duration::from_secs(10)),
        first,
        longest,
        most: share(check, "most", &written.most, 30),
        panic: share(check, "panic", &written.panic, 50),
    })
}

pub(super) fn failover(check: &mut Check<'_>, product: &Product) -> Option<u32> {
    product.failover.as_ref()?;
    Some(share(check, "failover", &product.failover, FAILOVER))
}

/// The level of a backend: 0 where none is written.
pub(super) fn priority(check: &mut Check<'_>, written: &Opt<i64>) -> u32 {
    let Some(number) = written else { return 0 };
    let priority = u32::try_from(*number.get_ref()).ok().filter(|priority| *priority <= MOST_PRIORITY);
    if priority.is_none() {
        let what = format!("priority: {} is out of range", number.get_ref());
        let help = format!("write a number from 0, for those that serve first, to {MOST_PRIORITY}");
        check.wrong(number.span(), what, help);
    }
    priority.unwrap_or(0)
}

fn share(check: &mut Check<'_>, key: &str, written: &Opt<i64>, usual: u32) -> u32 {
    let Some(number) = written else { return usual };
    let share = u32::try_from(*number.get_ref()).ok().filter(|share| *share <= 100);
    if share.is_none() {
        let what = format!("{key}: {} is out of range", number.get_ref());
        check.wrong(number.span(), what, "write a number from 0 to 100, in per cent of the pool");
    }
    share.unwrap_or(usual)
}

/// In per cent: of three backends one that is missed is replaced, of four the others go on alone.
pub(super) const FAILOVER: u32 = 70;
const FALL: NonZeroU32 = NonZeroU32::new(3).unwrap();
const RISE: NonZeroU32 = NonZeroU32::new(2).unwrap();
const CONSECUTIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// In points of a hundred: a backend that is only a little worse than the others still does work that they would have to do.
const BEHIND: NonZeroU32 = NonZeroU32::new(15).unwrap();
const ANSWERS: NonZeroU32 = NonZeroU32::new(50).unwrap();
const MOST_IN_A_ROW: u32 = 1_000;
