//! What backends say of budgets: a header of their answers that tells how many requests a wallet takes from here.
//!
//! Looked for only where a product of the pool draws on a budget that takes hints. It is read with the head of an answer,
//! whatever that answer is: one that says "overloaded" is the very one whose hint counts.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::admit::Gate;
use super::settings::{HintSettings, PoolSettings};
use crate::telemetry::export::Registry;
use crate::telemetry::record::HintMetrics;

/// The hints that the backends of one pool may give.
pub(crate) struct Hints {
    gate: Arc<Gate>,
    each: Vec<Hint>,
}

struct Hint {
    header: HeaderName,
    pass: bool,
    resource: usize,
    metrics: HintMetrics,
}

impl Hints {
    pub(crate) fn new(pool: &PoolSettings, gate: Arc<Gate>, registry: &Registry) -> Arc<Hints> {
        let hint = |settings: &HintSettings| Hint {
            header: settings.header.clone(),
            pass: settings.pass,
            resource: settings.resource,
            metrics: HintMetrics::new(registry, &settings.budget),
        };
        Arc::new(Hints { gate, each: pool.hints.iter().map(hint).collect() })
    }

    /// Act on what an answer says, and take it off unless clients may see it.
    pub(crate) fn hear(&self, headers: &mut HeaderMap) {
        for hint in &self.each {
            let mut lines = headers.get_all(&hint.header).iter();
            let Some(first) = lines.next() else { continue };
            // Of two, nobody knows which is meant.
            match seats(first).filter(|_| lines.next().is_none()) {
                Some(seats) => {
                    let hinted = self.gate.with(|domain, now| domain.hint(hint.resource, seats, now));
                    hint.metrics.heard(hinted);
                }
                None => hint.metrics.unreadable(),
            }
            if !hint.pass {
                headers.remove(&hint.header);
            }
        }
    }
}

/// A whole number. One that is too large to be held is as good as the largest that can be.
fn seats(value: &HeaderValue) -> Option<u32> {
    let digits = value.as_bytes().trim_ascii();
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    let add = |number: u32, digit: u32| number.saturating_mul(10).saturating_add(digit);
    (!digits.is_empty()).then_some(())?;
    digits.iter().try_fold(0, |number, byte| digit(byte).map(|digit| add(number, digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_are_hints() {
        let read = |text: &'static str| seats(&HeaderValue::from_static(text));
        assert_eq!(["3", " 12 ", "007", "0"].map(read), [Some(3), Some(12), Some(7), Some(0)]);
        assert_eq!(read("99999999999999999999999"), Some(u32::MAX));
        for bad in ["", " ", "-3", "+3", "3.5", "3, 4", "0x10", "1e3", "many", "3\t4"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(seats(&HeaderValue::from_bytes(b"\xff").expect("opaque bytes are allowed")), None);
    }
}
