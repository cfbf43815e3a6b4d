//! Which scripts of other origins may read what we say.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Uri};
use toml::Spanned;

use crate::proxy::settings::{CorsSettings, Origins};

use super::check::{Check, items};
use super::error::shown;
use super::file::{self, List};

pub(super) fn check(check: &mut Check<'_>, written: &Spanned<file::Cors>) -> Option<CorsSettings> {
    let file = written.get_ref();
    if file.origins.is_none() {
        check.missing(written.span(), "[cors]", "cors.origins");
    }
    let credentials = file.credentials.as_ref().is_some_and(|on| *on.get_ref());
    let methods = tokens(check, "cors.methods", &file.methods, credentials, |method| {
        Method::from_bytes(method.as_bytes()).ok().map(|method| method.as_str().to_owned())
    });
    let headers = tokens(check, "cors.headers", &file.headers, credentials, |name| {
        HeaderName::from_bytes(name.as_bytes()).ok().map(|name| name.as_str().to_owned())
    });
    let max_age = check.duration("max_age", &file.max_age, MAX_AGE).as_secs();
    Some(CorsSettings {
        origins: origins(check, &file.origins, credentials)?,
        credentials,
        methods: methods.unwrap_or(HeaderValue::from_static("GET, HEAD, POST")),
        headers: headers.unwrap_or(HeaderValue::from_static("content-type")),
        max_age: u32::try_from(max_age).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
    })
}

fn origins(check: &mut Check<'_>, written: &List<String>, credentials: bool) -> Option<Origins> {
    let list = check.list("cors.origins", written);
    if let Some(any) = list.iter().find(|origin| origin.get_ref() == "*") {
        if list.len() > 1 {
            check.wrong(any.span(), "\"*\" is every origin: the others say nothing", "keep [\"*\"], or take it out");
        } else if credentials {
            let what = "browsers give no cookies to \"*\": with `credentials` every origin must be named";
            check.wrong(any.span(), what, "write the origins: origins = [\"https://www.example.com\"]");
        }
        return Some(Origins::Any);
    }
    if let Some(over) = list.get(MOST_ORIGINS) {
        check.wrong(
            over.span(),
            format!("origins: there are more than {MOST_ORIGINS}"),
            "name fewer, or write [\"*\"]",
        );
    }
    let named: Vec<HeaderValue> = list.iter().filter_map(|text| origin(check, text)).collect();
    (!named.is_empty()).then_some(Origins::Listed(named))
}

/// An origin as browsers write it, for it is compared to the letter.
fn origin(check: &mut Check<'_>, written: &Spanned<String>) -> Option<HeaderValue> {
    let text = written.get_ref();
    let meant = as_browsers_write(text);
    if meant.as_ref() == Some(text) {
        return HeaderValue::from_str(text).ok();
    }
    let help = match meant {
        Some(meant) => format!("write \"{meant}\""),
        None => "write scheme and host, one origin for each, such as \"https://www.example.com\"".to_owned(),
    };
    check.wrong(written.span(), format!("{} is not an origin as browsers write it", shown(text)), help);
    None
}

/// Scheme, host in lower case, and the port where it is not the scheme's own.
fn as_browsers_write(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme_str().map_or_else(|| "https".to_owned(), str::to_ascii_lowercase);
    let authority = uri.authority().filter(|authority| !authority.as_str().contains(['@', '*']))?;
    let host = authority.host().to_ascii_lowercase();
    if uri.scheme().is_none() && !host.contains('.') {
        return None;
    }
    let own = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let port = authority.port_u16().filter(|port| Some(*port) != own);
    Some(port.map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}")))
}

/// Names as one header has them; `None` where nothing is written.
fn tokens(
    check: &mut Check<'_>,
    path: &str,
    written: &List<String>,
    credentials: bool,
    token: impl Fn(&str) -> Option<String>,
) -> Option<HeaderValue> {
    let key = path.rsplit('.').next().unwrap_or(path);
    let mut names = Vec::new();
    for text in items(written) {
        match token(text.get_ref()) {
            Some(name) if name == "*" && credentials => {
                let what = format!("{key}: with `credentials` browsers take \"*\" for a name");
                check.wrong(text.span(), what, check.example(path));
            }
            Some(name) => names.push(name),
            None => {
                let what = format!("{key}: {} is no name", shown(text.get_ref()));
                check.wrong(text.span(), what, check.example(path));
            }
        }
    }
    written.as_ref()?;
    HeaderValue::from_str(&names.join(", ")).ok()
}

const MAX_AGE: Duration = Duration::from_secs(600);
/// Each is compared with in turn.
const MOST_ORIGINS: usize = 100;
