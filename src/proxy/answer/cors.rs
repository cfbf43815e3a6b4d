//! What scripts of other origins may read, and what their browsers ask before (Fetch standard, section 3.3).
//!
//! Without these headers a browser keeps our answers from the script that asked: it sees a network error, cannot tell
//! a queue from an outage, and tries again at once. What backends answer is theirs, headers and all.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::proxy::body::AnswerBody;
use crate::proxy::settings::{CorsSettings, Origins};

/// See the [module](self).
pub(super) struct Cors {
    settings: CorsSettings,
    max_age: HeaderValue,
}

/// Whether an answer may be read where the request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// It came from nowhere, or nothing is configured: nothing is said.
    Silent,
    /// Not there, although elsewhere.
    Foreign,
    /// It may be read anywhere.
    Anywhere,
    /// At this origin of those listed.
    Listed(u16),
}

impl Cors {
    pub(super) fn new(settings: &CorsSettings) -> Cors {
        Cors { settings: settings.clone(), max_age: HeaderValue::from(settings.max_age.get()) }
    }

    /// Whether scripts of this origin may read our answers.
    pub(super) fn allows(&self, origin: Option<&HeaderValue>) -> Allowed {
        match &self.settings.origins {
            Origins::Any => Allowed::Anywhere,
            Origins::Listed(listed) => {
                let place = listed.iter().position(|known| Some(known) == origin);
                place.map_or(Allowed::Foreign, |place| Allowed::Listed(place as u16))
            }
        }
    }

    /// Let an answer be read at the origin that asked for it.
    pub(super) fn open(&self, headers: &mut HeaderMap, allowed: Allowed) {
        if self.name_origin(headers, allowed) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// The answer to a browser that asks before its script does; `None` when that is not ours to give.
    pub(super) fn preflight(&self, allowed: Allowed) -> Option<Response<AnswerBody>> {
        if matches!(allowed, Allowed::Silent | Allowed::Foreign) {
            return None;
        }
        let mut response = Response::new(AnswerBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.name_origin(headers, allowed);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.settings.methods.clone());
        if !self.settings.headers.is_empty() {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.settings.headers.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Some(response)
    }

    /// Say which origin may read this, if it may; whether it may.
    fn name_origin(&self, headers: &mut HeaderMap, allowed: Allowed) -> bool {
        let origin = match (allowed, &self.settings.origins) {
            (Allowed::Anywhere, _) => HeaderValue::from_static("*"),
            (Allowed::Listed(place), Origins::Listed(listed)) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                listed[usize::from(place)].clone()
            }
            (Allowed::Foreign, _) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                return false;
            }
            (Allowed::Silent | Allowed::Listed(_), _) => return false,
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.settings.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }
}

/// What a script may read beyond what every script may.
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After, Server-Timing, Proxy-Status, Cache-Status");
