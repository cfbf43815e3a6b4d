//! Sessions: a cookie says nothing until a backend has said whose it is.
//!
//! Anybody can send a thousand cookies, so a cookie alone is nobody's. The answer to a login (class `start`, 2xx or 3xx)
//! binds it: by a header that names the account, or by the backend setting that very cookie itself. What is kept is a
//! keyed hash of the cookie and the customer's number; neither the cookie nor the account.

use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

use super::cookie;
use super::settings::{BoundBy, SessionSettings};
use crate::admission::customers::AlreadyHashed;
use crate::admission::{Customer, Timestamp};
use crate::proxy::classify::Hashes;
use crate::telemetry::record::SessionMetrics;

/// A session's cookie, as a number nobody can turn back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionKey(pub(super) u64);

/// A session, whose it is, and for how many seconds nobody has used it: for another process.
pub(crate) type Kept = (u64, u64, u32);

/// The sessions that are bound.
pub(super) struct Sessions {
    cookie: String,
    bound_by: BoundBy,
    idle_s: u32,
    most: u32,
    bound: Arc<Bound>,
    pub(super) metrics: SessionMetrics,
}

type Bound = Cache<u64, Arc<Session>, UnitWeighter, BuildHasherDefault<AlreadyHashed>>;

struct Session {
    customer: Customer,
    /// When it was used last, in seconds since the start.
    used_s: AtomicU32,
}

fn nobody(most: u32) -> Bound {
    Cache::with(most as usize, u64::from(most), UnitWeighter, BuildHasherDefault::default(), Default::default())
}

impl Sessions {
    /// Those that were bound `before` are, where their cookie is the same, and as many may be.
    pub(super) fn new(settings: &SessionSettings, metrics: SessionMetrics, before: Option<&Sessions>) -> Sessions {
        let most = settings.most.get();
        let before = before.filter(|before| (&before.cookie, before.most) == (&settings.cookie, most));
        Sessions {
            cookie: settings.cookie.clone(),
            bound_by: settings.bound_by.clone(),
            idle_s: settings.idle.as_secs().max(1) as u32,
            most,
            bound: before.map_or_else(|| Arc::new(nobody(most)), |before| before.bound.clone()),
            metrics,
        }
    }

    /// The session that a request says it is in.
    pub(super) fn of(&self, hashes: &Hashes, request: &Parts) -> Option<SessionKey> {
        cookie(request, &self.cookie).filter(|value| !value.is_empty()).map(|value| hashes.session(value))
    }

    /// Whose session this is, if that is known.
    pub(super) fn customer(&self, key: SessionKey, now: Timestamp) -> Option<Customer> {
        let (session, now_s) = (self.bound.get(&key.0)?, seconds(now));
        let used_s = session.used_s.load(Ordering::Relaxed);
        if now_s.saturating_sub(used_s) > self.idle_s {
            self.bound.remove_if(&key.0, |kept| Arc::ptr_eq(kept, &session));
            return None;
        }
        // Written once a second at most, for all workers read it.
        if now_s > used_s {
            session.used_s.store(now_s, Ordering::Relaxed);
        }
        Some(session.customer)
    }

    /// Learn from the answer to a login whose session it is in from now on. `asked_in` is the session of the request;
    /// of that and one that the answer begins, it is the new one that is bound, so that nobody is known by a cookie that
    /// somebody else made them use.
    pub(super) fn learn(
        &self,
        hashes: &Hashes,
        asked_in: Option<SessionKey>,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<Customer> {
        if !(status.is_success() || status.is_redirection()) {
            return None;
        }
        let set = self.set_by(headers);
        let begun = set.map(|value| hashes.session(value));
        let (key, customer) = match &self.bound_by {
            BoundBy::SetCookie => (begun?, hashes.owner_of(begun?)),
            BoundBy::Header { name, .. } => {
                let account = headers.get(name).map(|value| value.as_bytes()).filter(|name| !name.is_empty())?;
                (begun.or(asked_in)?, hashes.account(account))
            }
        };
        let session = Session { customer, used_s: AtomicU32::new(seconds(now)) };
        self.bound.insert(key.0, Arc::new(session));
        self.metrics.bound(self.bound.len());
        Some(customer)
    }

    /// All that are bound to somebody.
    pub(super) fn all(&self, now: Timestamp) -> Vec<Kept> {
        let now_s = seconds(now);
        let one = |(key, session): (u64, Arc<Session>)| {
            let Customer::Account(customer) = session.customer else { return None };
            let idle_s = now_s.saturating_sub(session.used_s.load(Ordering::Relaxed));
            (idle_s <= self.idle_s).then_some((key, customer, idle_s))
        };
        self.bound.iter().filter_map(one).collect()
    }

    /// The process before this one knew whose session this is. What was learnt here since stands.
    pub(super) fn take_over(&self, key: u64, customer: u64, idle_s: u32, now: Timestamp) {
        if self.bound.get(&key).is_none() {
            let used_s = AtomicU32::new(seconds(now).saturating_sub(idle_s));
            self.bound.insert(key, Arc::new(Session { customer: Customer::Account(customer), used_s }));
            self.metrics.known(self.bound.len());
        }
    }

    /// The cookie that they go by.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Take off what clients must not see.
    pub(super) fn tidy(&self, headers: &mut HeaderMap) {
        if let BoundBy::Header { name, pass: false } = &self.bound_by {
            headers.remove(name);
        }
    }

    /// The value that an answer gives the cookie; of several the last, as browsers have it.
    fn set_by<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        let ours = |line: &'a [u8]| {
            let mut parts = line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let value = parts.next()?.strip_prefix(self.cookie.as_bytes())?.strip_prefix(b"=")?;
            Some(if parts.any(deletes) { &b""[..] } else { value })
        };
        let set = headers.get_all(SET_COOKIE).iter().rev().find_map(|line| ours(line.as_bytes()));
        set.filter(|value| !value.is_empty())
    }
}

/// Whether an attribute of a cookie says that it is no more.
fn deletes(attribute: &[u8]) -> bool {
    let Some(at) = attribute.iter().position(|byte| *byte == b'=') else { return false };
    let (name, value) = (attribute[..at].trim_ascii(), attribute[at + 1..].trim_ascii());
    // A cookie that is deleted by its date has expired at the epoch, whatever wrote it.
    name.eq_ignore_ascii_case(b"max-age") && (value == b"0" || value.starts_with(b"-"))
        || name.eq_ignore_ascii_case(b"expires") && value.windows(4).any(|year| year == b"1970")
}

fn seconds(now: Timestamp) -> u32 {
    u32::try_from(now.since_start().as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::admission::time::at;
    use crate::telemetry::export::Registry;

    fn sessions(most: u32) -> Sessions {
        let settings = SessionSettings {
            cookie: "session".into(),
            bound_by: BoundBy::SetCookie,
            most: most.try_into().expect("not zero"),
            idle: std::time::Duration::from_secs(10),
        };
        Sessions::new(&settings, SessionMetrics::new(&Registry::new()), None)
    }

    fn setting(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn of_several_cookies_that_an_answer_sets_the_last_of_this_name_counts() {
        let sessions = sessions(9);
        let set = |lines: &[&'static str]| sessions.set_by(&setting(lines)).map(<[u8]>::to_vec);
        assert_eq!(set(&["session=a", "other=x", "session=b; Path=/; HttpOnly"]), Some(b"b".to_vec()));
        assert_eq!(set(&["xsession=a", "session2=b", "SESSION=c"]), None);
        let gone = [
            "session=",
            "session=a; Max-Age=0",
            "session=a; max-age = -1",
            "session=deleted; expires=Thu, 01 Jan 1970 00:00:01 GMT",
        ];
        for line in gone {
            assert_eq!(set(&[line]), None, "{line}");
            assert_eq!(set(&["session=a", line]), None, "{line}");
        }
        assert!(set(&["session=a; Max-Age=10; Expires=Wed, 21 Oct 2099 07:28:00 GMT"]).is_some());
    }

    #[test]
    fn a_session_lives_while_it_is_used() {
        let (sessions, hashes) = (sessions(9), Hashes::default());
        let key = hashes.session(b"hers");
        assert_eq!(sessions.customer(key, at(0)), None);
        let anna = sessions.learn(&hashes, None, StatusCode::OK, &setting(&["session=hers"]), at(0));
        assert!(anna.is_some());
        for second in [9, 18, 27] {
            assert_eq!(sessions.customer(key, at(second * 1000)), anna);
        }
        assert_eq!(sessions.customer(key, at(38_000)), None);
        assert_eq!(sessions.customer(key, at(27_000)), None, "what is forgotten stays forgotten");
    }

    #[test]
    fn a_rush_of_logins_is_bounded_and_leaves_who_is_in_use() {
        let (sessions, hashes) = (sessions(100), Hashes::default());
        let login = |n: u32| {
            let line = HeaderValue::try_from(format!("session=s{n}")).expect("plain ASCII");
            let headers: HeaderMap = [(SET_COOKIE, line)].into_iter().collect();
            sessions.learn(&hashes, None, StatusCode::OK, &headers, at(0))
        };
        let key = hashes.session(b"s0");
        assert!(login(0).is_some());
        for n in 1..5_000 {
            login(n);
            assert!(sessions.customer(key, at(0)).is_some(), "after {n}");
        }
        assert!(sessions.bound.len() <= 100, "{}", sessions.bound.len());
    }
}
