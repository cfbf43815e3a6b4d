//! The file as written: names and types, nothing checked. Every value knows its place.
//!
//! A field that is added needs a row in [`keys`](super::keys) and one in `docs/scenarios.md`; tests ask for both.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use toml::Spanned;

use crate::config::file::{Budget, CacheTerms, Limit, List, Opt, Passes, Queue, TextOr};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Opt<String>,
    pub(super) about: Opt<String>,
    pub(super) scale: Opt<String>,
    pub(super) lasts: Opt<String>,
    pub(super) measured: Opt<Window>,
    pub(super) capacity: Opt<f64>,
    pub(super) against: List<String>,
    #[serde(default)]
    pub(super) customer: Customer,
    #[serde(default)]
    pub(super) station: Vec<Spanned<Station>>,
    #[serde(default)]
    pub(super) product: Vec<Spanned<Product>>,
    #[serde(default)]
    pub(super) budget: Vec<Spanned<Budget>>,
    #[serde(default)]
    pub(super) event: Vec<Spanned<Event>>,
    #[serde(default)]
    pub(super) crowd: Vec<Spanned<Crowd>>,
    #[serde(default)]
    pub(super) happening: Vec<Spanned<Happening>>,
    #[serde(default)]
    pub(super) expect: Vec<Spanned<Expect>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    pub(super) from: Opt<String>,
    pub(super) to: Opt<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customer {
    pub(super) at_once: Opt<i64>,
    pub(super) at_once_per_address: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Station {
    pub(super) name: Opt<String>,
    pub(super) knee: Opt<f64>,
    pub(super) contention: Opt<f64>,
    pub(super) seats: Opt<i64>,
    pub(super) bend: Opt<Bend>,
    pub(super) threads: Opt<i64>,
    pub(super) backlog: Opt<i64>,
    pub(super) cold: Opt<Cold>,
    pub(super) outlives_caller: Opt<bool>,
    pub(super) hint: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bend {
    pub(super) easy: Opt<i64>,
    pub(super) piled: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cold {
    pub(super) factor: Opt<f64>,
    pub(super) completions: Opt<f64>,
    pub(super) lasts: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Product {
    pub(super) name: Opt<String>,
    pub(super) station: Opt<String>,
    #[serde(default)]
    pub(super) site: Vec<Spanned<Site>>,
    pub(super) latency_objective: Opt<String>,
    pub(super) first_byte_timeout: Opt<String>,
    pub(super) guarantee: Opt<i64>,
    pub(super) limit: Opt<Limit>,
    pub(super) carried_knee: Opt<f64>,
    pub(super) reserve: Opt<i64>,
    pub(super) reserve_per_customer: Opt<i64>,
    pub(super) cache: Opt<CacheTerms>,
    #[serde(default)]
    pub(super) queue: Queue,
    #[serde(default)]
    pub(super) passes: Passes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    pub(super) station: Opt<String>,
    pub(super) share: Opt<i64>,
    pub(super) limit: Opt<Limit>,
    pub(super) carried_knee: Opt<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) name: Opt<String>,
    pub(super) product: Opt<String>,
    pub(super) stop: Opt<String>,
    pub(super) believed_before_stop: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crowd {
    pub(super) name: Opt<String>,
    pub(super) product: Opt<String>,
    pub(super) rate: Opt<RealOr<RatePoint>>,
    pub(super) linear: Opt<bool>,
    pub(super) count: Opt<i64>,
    pub(super) from: Opt<String>,
    pub(super) within: List<Part>,
    pub(super) spread: Opt<Spread>,
    pub(super) endless: Opt<bool>,
    pub(super) think: Opt<TextOr<Pause>>,
    pub(super) patience: Opt<TextOr<Patience>>,
    pub(super) timeout: Opt<String>,
    pub(super) worth: Opt<String>,
    pub(super) two_devices: Opt<i64>,
    pub(super) no_shows: Opt<i64>,
    pub(super) manners: List<Manner>,
    #[serde(default)]
    pub(super) step: Vec<Spanned<Step>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RatePoint {
    pub(super) at: Opt<String>,
    pub(super) per_s: Opt<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) share: Opt<i64>,
    pub(super) over: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spread {
    pub(super) mean: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    pub(super) between: List<String>,
    pub(super) mean: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    pub(super) between: List<String>,
    pub(super) by_step: Opt<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manner {
    pub(super) like: Opt<String>,
    pub(super) name: Opt<String>,
    pub(super) share: Opt<i64>,
    pub(super) obeys: Opt<bool>,
    pub(super) quick: Opt<i64>,
    pub(super) quick_pause: Opt<String>,
    pub(super) pause: Opt<TextOr<Pause>>,
    pub(super) retries: Opt<i64>,
    pub(super) quits: Opt<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: Opt<String>,
    pub(super) class: Opt<String>,
    pub(super) seats: Opt<i64>,
    pub(super) work: Opt<String>,
    pub(super) spread: Opt<String>,
    pub(super) behind: Opt<Behind>,
    pub(super) event: Opt<String>,
    pub(super) stops: Opt<TextOr<Pause>>,
    pub(super) object: Opt<String>,
    pub(super) method: Opt<String>,
    pub(super) bet: Opt<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Behind {
    pub(super) station: Opt<String>,
    pub(super) work: Opt<String>,
    pub(super) spread: Opt<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Happening {
    pub(super) at: Opt<String>,
    pub(super) order: Opt<String>,
    pub(super) product: Opt<String>,
    pub(super) event: Opt<String>,
    pub(super) all: Opt<bool>,
    pub(super) signal: Opt<String>,
    pub(super) stop: Opt<String>,
    pub(super) to: Opt<String>,
    pub(super) bypass: Opt<bool>,
    pub(super) observe: Opt<bool>,
    pub(super) station: Opt<String>,
    pub(super) slow: Opt<f64>,
    pub(super) capacity: Opt<f64>,
    pub(super) lose: Opt<i64>,
    pub(super) hang: Opt<bool>,
    pub(super) fail: Opt<i64>,
    pub(super) cold: Opt<Cold>,
    pub(super) until: Opt<String>,
    pub(super) shift: Opt<String>,
    pub(super) giving: Opt<String>,
    pub(super) receiving: Opt<String>,
    pub(super) share: Opt<i64>,
    pub(super) step: Opt<i64>,
    pub(super) every: Opt<String>,
    pub(super) now: Opt<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) law: Opt<String>,
    pub(super) figure: Opt<String>,
    pub(super) crowd: Opt<String>,
    pub(super) product: Opt<String>,
    pub(super) from: Opt<String>,
    pub(super) to: Opt<String>,
    pub(super) at_least: Opt<f64>,
    pub(super) at_most: Opt<f64>,
    pub(super) mean: Opt<bool>,
    pub(super) goal: Opt<f64>,
    pub(super) known: Opt<f64>,
    pub(super) within: Opt<f64>,
    pub(super) source: Opt<String>,
}

/// A number, or a list of something with keys.
#[derive(Debug)]
pub(super) enum RealOr<T> {
    Real(f64),
    List(Vec<Spanned<T>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for RealOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RealOrList(PhantomData))
    }
}

struct RealOrList<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for RealOrList<T> {
    type Value = RealOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a list of tables")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(RealOr::Real(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(RealOr::Real(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RealOr::List)
    }
}
