//! Names of requests.

use std::num::NonZeroU32;

use http::HeaderName;
use toml::Spanned;

use crate::proxy::settings::TraceSettings;

use super::check::Check;
use super::customer::header_name;
use super::error::shown;
use super::file::Trace;

/// `keys` are the headers by which requests are known as the same.
pub(super) fn check(check: &mut Check<'_>, written: &Trace, keys: &[HeaderName]) -> TraceSettings {
    TraceSettings {
        traceparent: written.traceparent.as_ref().is_none_or(|on| *on.get_ref()),
        sampled_one_in: check.count("sampled_one_in", &written.sampled_one_in, MOST, NonZeroU32::MIN),
        request_id: match &written.request_id {
            Some(name) if name.get_ref() == "off" => None,
            Some(name) => request_id(check, name, keys),
            None => Some(REQUEST_ID),
        },
    }
}

fn request_id(check: &mut Check<'_>, written: &Spanned<String>, keys: &[HeaderName]) -> Option<HeaderName> {
    let name = header_name(check, written)?;
    // An id is put where there is none, and in place of what is none.
    let ours = name.as_str().starts_with("x-") && !name.as_str().starts_with("x-forwarded");
    let what = if keys.contains(&name) {
        "is one of `header` under [once]: with an id made for each request, no two would be the same"
    } else if !ours && !name.as_str().ends_with("-id") {
        "is a header that means something else"
    } else {
        return Some(name);
    };
    let help = "write a header for ids alone, or \"off\": request_id = \"x-request-id\"";
    check.wrong(written.span(), format!("request_id: {} {what}", shown(name.as_str())), help);
    None
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MOST: u32 = 1_000_000;
