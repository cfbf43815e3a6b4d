//! One line: a JSON object in a fixed order, what is not known left out.
//!
//! Written by hand into a buffer that is there: no allocation, no look-up, and the integers by `itoa`. Times are whole
//! microseconds.

use std::io::Write;

use http::Version;

use super::trail::{Ended, Steps};
use crate::admission::{Customer, Timestamp};
use crate::proxy::settings::Settings;

/// No line is longer: a path is cut at 1,024 bytes, each of which takes six at worst, and a method at 64; names are short.
pub(super) const MOST_LINE: usize = 16 << 10;
/// Bytes of a method that are written; those that anybody uses have a dozen.
const MOST_METHOD: usize = 64;

/// What a line says that its request does not know.
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    pub(super) ended: Ended,
    /// For how many such requests it stands.
    pub(super) weight: u32,
    pub(super) now: Timestamp,
}

/// The end of an object that was begun with its time.
pub(super) fn write(line: &mut Line<'_>, steps: &Steps, around: &Around<'_>) {
    for (key, name) in [(r#","id":""#, steps.id()), (r#","trace":""#, steps.trace())] {
        if !name.is_empty() {
            line.string(key, name);
        }
    }
    line.text(r#","protocol":""#, protocol(steps.version));
    line.switch(r#","tls":"#, steps.secure);
    let method = steps.method.as_str();
    line.text(r#","method":""#, &method[..method.len().min(MOST_METHOD)]);
    line.string(r#","path":""#, steps.path());
    if let Some(what) = &steps.what {
        line.text(r#","product":""#, &around.settings.products[what.product].name);
        line.text(r#","class":""#, what.class.name());
        line.customer(what.customer, around.settings);
        if let Some(event) = what.event {
            line.hex(r#","event":""#, event.0);
        }
    }
    if let Some(verdict) = steps.verdict {
        line.text(r#","verdict":""#, verdict.name());
    }
    line.text(r#","ended":""#, around.ended.name());
    if let Some(refusal) = steps.refusal {
        line.text(r#","refusal":""#, refusal.name());
    }
    if let Some(fault) = steps.fault {
        line.text(r#","fault":""#, fault);
    }
    match (steps.status, steps.backend_status) {
        (Some(status), _) => line.number(r#","status":"#, status.as_u16().into()),
        (None, Some(status)) => line.number(r#","backend_status":"#, status.as_u16().into()),
        (None, None) => {}
    }
    if !steps.backend().is_empty() {
        line.string(r#","backend":""#, steps.backend());
        line.number(r#","attempts":"#, steps.attempts.into());
    }
    line.number(r#","bytes_in":"#, steps.bytes_in);
    line.number(r#","bytes_out":"#, steps.bytes_out);
    line.times(steps, around.now);
    if around.weight > 1 {
        line.number(r#","weight":"#, around.weight.into());
    }
    line.0.extend_from_slice(b"}\n");
}

/// A line on its way into a buffer.
pub(in crate::proxy) struct Line<'a>(pub(in crate::proxy) &'a mut Vec<u8>);

impl Line<'_> {
    /// Begin with the time, as it is written.
    pub(super) fn begin(&mut self, second: &[u8], micros: u32) {
        self.0.extend_from_slice(b"{\"time\":\"");
        self.0.extend_from_slice(second);
        self.0.push(b'.');
        let mut digits = [b'0'; 6];
        let mut left = micros;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.0.extend_from_slice(&digits);
        self.0.extend_from_slice(b"Z\"");
    }

    /// A key with all that stands around it, up to its value: in one piece, for there are twenty a line. Inlined like those
    /// that begin with it, for its length is then known, and it is no copy but a few moves.
    #[inline]
    fn key(&mut self, key: &'static str) {
        self.0.extend_from_slice(key.as_bytes());
    }

    /// Text that needs no escapes: ours, a name of the configuration, a method. The key has the first quote.
    #[inline]
    fn text(&mut self, key: &'static str, text: &str) {
        self.key(key);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    #[inline]
    fn switch(&mut self, key: &'static str, on: bool) {
        self.key(key);
        self.0.extend_from_slice(if on { b"true" } else { b"false" });
    }

    #[inline]
    fn number(&mut self, key: &'static str, number: u64) {
        self.key(key);
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Somebody else's text. What is no ASCII is written by its bytes, so that a line is always sound.
    pub(in crate::proxy) fn string(&mut self, key: &'static str, text: &[u8]) {
        self.key(key);
        let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
        // To the end in any case: so it is done many bytes at a time.
        if text.iter().fold(true, |all, byte| all & plain(byte)) {
            self.0.extend_from_slice(text);
        } else {
            for byte in text {
                match byte {
                    byte if plain(byte) => self.0.push(*byte),
                    b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', *byte]),
                    byte => {
                        self.0.extend_from_slice(b"\\u00");
                        self.0.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                    }
                }
            }
        }
        self.0.push(b'"');
    }

    /// A machine by its name, everybody else by the number that nobody can turn back.
    fn customer(&mut self, customer: Customer, settings: &Settings) {
        match customer {
            Customer::Machine(index) => {
                let machine = settings.machines.iter().find(|machine| machine.number == index);
                self.string(r#","machine":""#, machine.map_or("", |machine| &machine.name).as_bytes())
            }
            Customer::Account(number) => self.hex(r#","customer":"account-"#, number),
            Customer::Address(number) => self.hex(r#","customer":"address-"#, number),
        }
    }

    #[inline]
    fn hex(&mut self, key: &'static str, number: u64) {
        self.key(key);
        let mut digits = [b'"'; 17];
        for (at, digit) in digits[..16].iter_mut().enumerate() {
            *digit = HEX[(number >> (60 - 4 * at)) as usize & 15];
        }
        self.0.extend_from_slice(&digits);
    }

    fn times(&mut self, steps: &Steps, now: Timestamp) {
        if let Some(arrived) = steps.arrived {
            // Who left the queue, or was refused in it, waited until now.
            let until = steps.admitted.unwrap_or(now);
            self.micros(r#","queue_us":"#, arrived, until);
        }
        if let (Some(admitted), true) = (steps.admitted, steps.attempts > 0) {
            if let Some(first) = steps.first_byte {
                self.micros(r#","first_byte_us":"#, admitted, first);
            }
            self.micros(r#","upstream_us":"#, admitted, steps.backend_done.unwrap_or(now));
        }
        self.micros(r#","total_us":"#, steps.begun, now);
    }

    #[inline]
    fn micros(&mut self, key: &'static str, from: Timestamp, to: Timestamp) {
        self.number(key, to.since(from).as_micros() as u64);
    }
}

/// A second as RFC 3339 writes it, without its zone.
pub(super) fn second(unix: i64) -> [u8; 19] {
    let mut text = [b' '; 20];
    let second = jiff::Timestamp::from_second(unix).unwrap_or_default();
    // Fails only in years of five digits.
    let _ = write!(&mut text[..], "{second}");
    std::array::from_fn(|at| text[at])
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(act: impl FnOnce(&mut Line<'_>)) -> String {
        let mut bytes = Vec::new();
        act(&mut Line(&mut bytes));
        String::from_utf8(bytes).expect("a line is ASCII")
    }

    #[test]
    fn a_stranger_cannot_break_a_line() {
        let written = written(|line| line.string(r#","path":""#, b"/a\"b\\c\n\x7f\xc3\xa4"));
        assert_eq!(written, r#","path":"/a\"b\\c\u000a\u007f\u00c3\u00a4""#);
        let whole = format!("{{{}}}", &written[1..]);
        assert!(serde_json::from_str::<serde_json::Value>(&whole).is_ok(), "{whole}");
    }

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        assert_eq!(written(|line| line.begin(&second(1_724_509_200), 7)), r#"{"time":"2024-08-24T14:20:00.000007Z""#);
        assert_eq!(second(0), *b"1970-01-01T00:00:00");
    }

    #[test]
    fn a_number_nobody_can_turn_back_has_sixteen_digits() {
        assert_eq!(written(|line| line.hex(r#","event":""#, 0x1f)), ",\"event\":\"000000000000001f\"");
    }
}
