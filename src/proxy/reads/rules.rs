//! What a backend's answer says about being kept (RFC 9111, RFC 5861), held against what the operator says.
//!
//! The operator's word that answers are anybody's lets them be kept when the backend is silent; it never overrules a
//! backend that says otherwise. When in doubt an answer is the asker's own.

use std::time::{Duration, SystemTime};

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, DATE, EXPIRES, HOST,
    ORIGIN, PRAGMA, SET_COOKIE, USER_AGENT, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::admission::reads::Life;
use crate::proxy::settings::CacheRule;

/// Whose an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Judged {
    /// Anybody's, for so long; and with which headers of the request it varies, in the order of [`VARYING`].
    Anybodys(Life, Vec<HeaderName>),
    /// An error that says nothing about who asked: for all who wait for it, and for nobody after them.
    Passing,
    /// The asker's own.
    Personal,
    /// A no to how it was asked for, in words that another need not use: it says nothing about the object.
    Theirs,
}

/// Headers that a fetch carries, and in which requests for the same object may differ where an answer varies with them.
pub(super) static VARYING: [HeaderName; 4] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, USER_AGENT];
/// Headers that a fetch carries, and that always tell one object from another.
pub(super) static TELLING: [HeaderName; 2] = [HOST, ORIGIN];

/// Whose this answer is.
pub(in crate::proxy) fn judge(status: StatusCode, headers: &HeaderMap, rule: &CacheRule) -> Judged {
    let says = Says::read(headers);
    let partial = headers.contains_key(CONTENT_RANGE) || status == StatusCode::PARTIAL_CONTENT;
    if says.forbids || partial || headers.contains_key(SET_COOKIE) {
        return Judged::Personal;
    }
    let Some(vary) = vary(headers, rule) else { return Judged::Personal };
    match status.as_u16() {
        200 | 203 | 404 | 410 => Judged::Anybodys(life(headers, &says, rule), vary),
        500 | 502..=504 if vary.is_empty() => Judged::Passing,
        // Else a stranger with an odd `Accept` could have everybody go their own way.
        400 | 402..=499 => Judged::Theirs,
        _ => Judged::Personal,
    }
}

fn life(headers: &HeaderMap, says: &Says, rule: &CacheRule) -> Life {
    let age = headers.get(AGE).and_then(|age| seconds(age.as_bytes())).unwrap_or_default();
    let lifetime = says.shared_age.or(says.most_age).or_else(|| until_expiry(headers));
    let fresh = lifetime.map_or(rule.terms.fresh, |lifetime| lifetime.saturating_sub(age).min(rule.terms.fresh));
    let stale = if says.revalidate { Duration::ZERO } else { rule.terms.stale };
    let stale = says.if_error.map_or(stale, |said| said.min(stale));
    Life { age, fresh, stale, while_fetched: says.while_revalidated }
}

/// What `Expires` leaves after `Date`; one that cannot be read has passed (RFC 9111, section 5.3).
fn until_expiry(headers: &HeaderMap) -> Option<Duration> {
    let expires = headers.get(EXPIRES)?;
    let date = headers.get(DATE).and_then(date).unwrap_or_else(SystemTime::now);
    Some(date_after(expires, date))
}

fn date_after(value: &HeaderValue, earlier: SystemTime) -> Duration {
    date(value).and_then(|date| date.duration_since(earlier).ok()).unwrap_or_default()
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// With which headers it varies; nothing when with some that a fetch does not carry.
fn vary(headers: &HeaderMap, rule: &CacheRule) -> Option<Vec<HeaderName>> {
    let mut found = [false; 4];
    for name in headers.get_all(VARY).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let name = name.trim_ascii();
        if name.is_empty() {
            continue;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        match VARYING.iter().position(|known| *known == name) {
            Some(place) => found[place] = true,
            None if TELLING.contains(&name) || rule.headers.contains(&name) => {}
            // `*` is one of these.
            None => return None,
        }
    }
    // A backend that compresses and does not say so would have others get what they cannot read.
    found[1] |= headers.contains_key(CONTENT_ENCODING);
    Some(VARYING.iter().zip(found).filter(|(_, found)| *found).map(|(name, _)| name.clone()).collect())
}

/// What `Cache-Control` says, all lines together; of a word that is said twice, the stricter.
#[derive(Debug, Default)]
struct Says {
    forbids: bool,
    revalidate: bool,
    shared_age: Option<Duration>,
    most_age: Option<Duration>,
    if_error: Option<Duration>,
    while_revalidated: Option<Duration>,
}

impl Says {
    fn read(headers: &HeaderMap) -> Says {
        let mut says = Says::default();
        for line in headers.get_all(CACHE_CONTROL) {
            words(line.as_bytes()).for_each(|word| says.hear(word));
            // What stands behind a quote that never ends may be anything.
            says.forbids |= line.as_bytes().iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        }
        // Older than Cache-Control, and no header of answers; whoever sends it means it.
        says.forbids |= headers.get(PRAGMA).is_some_and(|pragma| pragma.as_bytes().eq_ignore_ascii_case(b"no-cache"));
        says
    }

    fn hear(&mut self, word: &[u8]) {
        let split = word.iter().position(|byte| *byte == b'=');
        let (name, value) = split.map_or((word, &b""[..]), |at| (&word[..at], &word[at + 1..]));
        // What is no number of seconds is taken for none (RFC 9111, section 4.2.1).
        let mut least = |known: fn(&mut Says) -> &mut Option<Duration>| {
            let said = seconds(value.trim_ascii()).unwrap_or_default();
            let known = known(self);
            *known = Some(known.map_or(said, |before| before.min(said)));
        };
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            // With a list of headers too: those would have to be taken off, and what is left is seldom worth it.
            b"no-store" | b"no-cache" | b"private" => self.forbids = true,
            b"must-revalidate" | b"proxy-revalidate" => self.revalidate = true,
            b"s-maxage" => {
                least(|says| &mut says.shared_age);
                self.revalidate = true;
            }
            b"max-age" => least(|says| &mut says.most_age),
            b"stale-if-error" => least(|says| &mut says.if_error),
            b"stale-while-revalidate" => least(|says| &mut says.while_revalidated),
            _ => {}
        }
    }
}

/// The words of a line between commas; what stands in quotes is one.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    line.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    })
}

/// Whole seconds, with or without quotes; nobody means more than a year.
fn seconds(value: &[u8]) -> Option<Duration> {
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value).trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX);
    Some(Duration::from_secs(seconds.min(A_YEAR)))
}

const A_YEAR: u64 = 366 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::reads::Terms;

    fn rule() -> CacheRule {
        let terms = Terms { fresh: Duration::from_secs(10), stale: Duration::from_secs(60) };
        CacheRule { terms, headers: vec![HeaderName::from_static("x-app")] }
    }

    fn judged(status: u16, lines: &[(&str, &str)]) -> Judged {
        let line = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
        };
        judge(StatusCode::from_u16(status).expect("a status"), &lines.iter().map(line).collect(), &rule())
    }

    /// For how many seconds it is fresh and stale, by these words.
    fn good_for(control: &str) -> Option<(u64, u64)> {
        match judged(200, &[("cache-control", control)]) {
            Judged::Anybodys(life, _) => Some((life.fresh.as_secs(), life.stale.as_secs())),
            _ => None,
        }
    }

    #[test]
    fn a_backend_may_say_less_than_the_operator_and_never_more() {
        for (control, good) in [
            ("", Some((10, 60))),
            ("public", Some((10, 60))),
            ("max-age=3600", Some((10, 60))),
            ("max-age=2", Some((2, 60))),
            ("MAX-AGE=2 , Must-Revalidate", Some((2, 0))),
            ("max-age=2, proxy-revalidate", Some((2, 0))),
            ("max-age=3600, s-maxage=3", Some((3, 0))),
            ("max-age=2, stale-if-error=20", Some((2, 20))),
            ("max-age=2, stale-if-error=3600", Some((2, 60))),
            ("max-age=0", Some((0, 60))),
            ("no-transform, immutable, max-age=5", Some((5, 60))),
        ] {
            assert_eq!(good_for(control), good, "{control}");
        }
    }

    #[test]
    fn odd_words_make_an_answer_good_for_less_and_never_for_more() {
        for (control, good) in [
            ("max-age=\"4\"", Some((4, 60))),
            ("max-age=soon", Some((0, 60))),
            ("max-age=-1", Some((0, 60))),
            ("max-age", Some((0, 60))),
            ("max-age=99999999999999999999999", Some((10, 60))),
            ("max-age=9, max-age=3", Some((3, 60))),
            ("max-age=9, , ,max-age=3;", Some((0, 60))),
            ("x=\"max-age=1, no-store\", max-age=7", Some((7, 60))),
            ("private=\"x-balance\"", None),
            ("no-cache=\"set-cookie\"", None),
            ("PRIVATE", None),
            ("max-age=9,no-store", None),
            ("x=\", no-store", None),
        ] {
            assert_eq!(good_for(control), good, "{control}");
        }
        let two_lines = [("cache-control", "max-age=9"), ("cache-control", "private")];
        assert_eq!(judged(200, &two_lines), Judged::Personal);
    }

    #[test]
    fn an_answer_that_is_old_already_is_fresh_for_less() {
        let life = |lines: &[(&str, &str)]| match judged(200, lines) {
            Judged::Anybodys(life, _) => (life.age.as_secs(), life.fresh.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(life(&[("cache-control", "max-age=60"), ("age", "57")]), (57, 3));
        assert_eq!(life(&[("cache-control", "max-age=60"), ("age", "90")]), (90, 0));
        assert_eq!(life(&[("age", "5")]), (5, 10));
        assert_eq!(life(&[("age", "old")]), (0, 10));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(life(&[date, ("expires", "Sun, 06 Nov 1994 08:49:41 GMT")]), (0, 4));
        assert_eq!(life(&[date, ("expires", "Sun, 06 Nov 1994 08:00:00 GMT")]), (0, 0));
        assert_eq!(life(&[("expires", "0")]), (0, 0));
        assert_eq!(life(&[("expires", "0"), ("cache-control", "max-age=5")]), (0, 5));
    }

    #[test]
    fn what_may_be_one_customers_is_personal() {
        for (status, name, value) in [
            (200, "set-cookie", "session=1"),
            (200, "vary", "*"),
            (200, "vary", "Cookie"),
            (200, "vary", "accept-encoding, authorization"),
            (200, "vary", "x-forwarded-for"),
            (200, "vary", "not a name"),
            (200, "pragma", "no-cache"),
            (200, "content-range", "bytes 0-1/2"),
            (206, "etag", "\"a\""),
            (301, "location", "/elsewhere"),
            (401, "www-authenticate", "Basic"),
            (500, "cache-control", "no-store"),
            (503, "vary", "accept-language"),
        ] {
            assert_eq!(judged(status, &[(name, value)]), Judged::Personal, "{status} {name}: {value}");
        }
        assert_eq!(judged(503, &[]), Judged::Passing);
        assert_eq!([400, 403, 406, 429].map(|status| judged(status, &[])), [const { Judged::Theirs }; 4]);
    }

    #[test]
    fn an_answer_varies_with_what_it_says_and_with_how_it_is_packed() {
        let varies = |lines: &[(&str, &str)]| match judged(200, lines) {
            Judged::Anybodys(_, vary) => vary,
            other => panic!("{other:?}"),
        };
        assert_eq!(varies(&[("vary", "Origin, X-App,, Accept-Language")]), [ACCEPT_LANGUAGE]);
        assert_eq!(varies(&[("vary", "user-agent"), ("vary", "accept")]), [ACCEPT, USER_AGENT]);
        assert_eq!(varies(&[("content-encoding", "gzip")]), [ACCEPT_ENCODING]);
    }
}
