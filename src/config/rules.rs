//! What a request must look like, and which rules get in each other's way.

use http::{HeaderName, HeaderValue, Method};
use toml::Spanned;

use crate::proxy::settings::Rule;

use super::check::{Check, Span};
use super::customer::header_name;
use super::error::shown;
use super::file::{self, HeaderRule, List, TextOr};
use super::keys::nearest;

/// A rule and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) rule: Rule,
    pub(super) at: Span,
}

/// The rules of a product or a class that can be used. `path` is the key of the list.
pub(super) fn check(check: &mut Check<'_>, path: &str, written: &List<file::Rule>) -> Vec<Placed> {
    let written = check.list(path, written);
    if let Some(first) = written.get(MOST_RULES) {
        let what = format!("there are {} rules in this list", written.len());
        check.wrong(first.span(), what, format!("every request is held against all of them; use at most {MOST_RULES}"));
        return Vec::new();
    }
    written.iter().filter_map(|written| rule(check, written)).collect()
}

fn rule(check: &mut Check<'_>, written: &Spanned<file::Rule>) -> Option<Placed> {
    let file::Rule { path, host, method, header } = written.get_ref();
    if path.is_none() && host.is_none() && method.is_none() && header.is_none() {
        check.wrong(written.span(), "this rule says nothing", "to match everything, write { path = \"/\" }");
        return None;
    }
    // All parts are looked at before the rule is given up, so that each says what is wrong with it.
    let path = part(path, |text| self::path(check, text));
    let host = part(host, |text| self::host(check, text));
    let method = part(method, |text| self::method(check, text));
    let header = part(header, |written| self::header(check, written));
    let rule = Rule { path: path?, host: host?, method: method?, header: header? };
    Some(Placed { rule, at: written.span() })
}

/// `None` when the part is there and wrong.
fn part<T, U>(written: &Option<T>, check: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    written.as_ref().map_or(Some(None), |written| check(written).map(Some))
}

fn path(check: &mut Check<'_>, written: &Spanned<String>) -> Option<String> {
    let path = written.get_ref();
    let wrong = if !path.starts_with('/') {
        ("it does not begin with a slash", format!("write \"/{path}\""))
    } else if let Some(prefix) = path.strip_suffix('*') {
        ("it has a star, but every path is a prefix already", format!("write \"{prefix}\""))
    } else if path.contains(['?', '#', '*', '{', ' ']) {
        ("it has characters that mean nothing here", "write how paths begin, such as \"/horse/\"".to_owned())
    } else if path.chars().any(|c| !c.is_ascii_graphic()) {
        ("it has characters that are encoded in paths", format!("write \"{}\"", encoded(path)))
    } else {
        return Some(path.clone());
    };
    check.wrong(written.span(), format!("{} is no path for a rule: {}", shown(path), wrong.0), wrong.1);
    None
}

/// As browsers send it.
fn encoded(path: &str) -> String {
    let encode = |byte: u8| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(encode).collect()
}

fn host(check: &mut Check<'_>, written: &Spanned<String>) -> Option<String> {
    let host = written.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !host.is_empty() && host.chars().all(plain) {
        return Some(host.to_ascii_lowercase());
    }
    let rest = host.split_once("://").map_or(host.as_str(), |(_, rest)| rest);
    let name: String = rest.chars().take_while(|c| plain(*c)).collect();
    let help = match name.as_str() {
        "" => "write one host a rule: { host = \"horse.example.com\" }".to_owned(),
        name => format!("write the name alone, without scheme, port or path: \"{name}\""),
    };
    check.wrong(written.span(), format!("{} is not the name of a host", shown(host)), help);
    None
}

fn method(check: &mut Check<'_>, written: &Spanned<String>) -> Option<Method> {
    let method = written.get_ref();
    let upper = method.to_ascii_uppercase();
    let near = nearest(&upper, METHODS).filter(|near| near != method);
    let token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if near.is_none() && token {
        return Method::from_bytes(method.as_bytes()).ok();
    }
    let help = match near {
        Some(near) => format!("write \"{near}\""),
        None => format!("write one of {}", METHODS.join(", ")),
    };
    check.wrong(written.span(), format!("{} is not a method", shown(method)), help);
    None
}

type Header = (HeaderName, Option<HeaderValue>);

fn header(check: &mut Check<'_>, written: &Spanned<TextOr<HeaderRule>>) -> Option<Header> {
    let table = match written.get_ref() {
        TextOr::Text(name) => {
            return header_name(check, &Spanned::new(written.span(), name.clone())).map(|name| (name, None));
        }
        TextOr::Table(table) => table,
    };
    let Some(name) = &table.name else {
        check.missing(written.span(), "this header", "product.match.header.name");
        return None;
    };
    let name = header_name(check, name)?;
    let Some(text) = &table.value else { return Some((name, None)) };
    let value = HeaderValue::from_str(text.get_ref()).ok().filter(|_| text.get_ref().trim() == text.get_ref());
    if value.is_none() {
        check.wrong(
            text.span(),
            "no header has this value",
            "write it without line breaks, and without spaces around it",
        );
    }
    Some((name, Some(value?)))
}

/// Whether every request that `second` matches is matched by `first` as well.
pub(super) fn covers(first: &Rule, second: &Rule) -> bool {
    begins(second, first)
        && first.host.as_ref().is_none_or(|host| second.host.as_ref() == Some(host))
        && first.method.as_ref().is_none_or(|method| second.method.as_ref() == Some(method))
        && first.header.as_ref().is_none_or(|(name, value)| {
            second.header.as_ref().is_some_and(|(other, its)| other == name && (value.is_none() || its == value))
        })
}

/// Whether some request could match both. Headers never keep rules apart: a request may carry several.
pub(super) fn meet(a: &Rule, b: &Rule) -> bool {
    let apart = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| a != b);
    let methods = (a.method.as_ref().map(Method::as_str), b.method.as_ref().map(Method::as_str));
    (begins(a, b) || begins(b, a)) && !apart(a.host.as_deref(), b.host.as_deref()) && !apart(methods.0, methods.1)
}

/// Whether every path of `longer` is one of `shorter`.
fn begins(longer: &Rule, shorter: &Rule) -> bool {
    let path = |rule: &Rule| rule.path.clone().unwrap_or_else(|| "/".to_owned());
    path(longer).starts_with(&path(shorter))
}

/// A rule as one would say it: `POST /horse/bets`.
pub(super) fn in_words(rule: &Rule) -> String {
    let method = rule.method.as_ref().map(|method| format!("{method} "));
    let place = rule.host.iter().chain(&rule.path).map(String::as_str).collect::<String>();
    let place = if place.is_empty() { "everything".to_owned() } else { place };
    let header = rule.header.as_ref().map(|(name, _)| format!(" with {name}"));
    format!("{}{place}{}", method.unwrap_or_default(), header.unwrap_or_default())
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Rules are tried one after the other.
const MOST_RULES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(method: &str, host: &str, path: &str, header: &str) -> Rule {
        let header = header.split_once('=').map_or((header, None), |(name, value)| (name, Some(value)));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Rule {
            path: given(path),
            host: given(host),
            method: given(method).map(|method| method.parse().unwrap()),
            header: given(header.0).map(|name| (name.parse().unwrap(), header.1.map(|value| value.parse().unwrap()))),
        }
    }

    #[test]
    fn a_rule_covers_what_asks_for_more() {
        let wide = rule("", "", "/horse/", "");
        for narrow in [
            rule("", "", "/horse/", ""),
            rule("", "", "/horse/bets", ""),
            rule("POST", "", "/horse/", ""),
            rule("", "a.se", "/horse/", "x-app=ios"),
        ] {
            assert!(covers(&wide, &narrow), "{narrow:?}");
            assert_eq!(covers(&narrow, &wide), narrow == wide, "{narrow:?}");
        }
        assert!(covers(&rule("", "", "", "x-app"), &rule("", "", "/a", "x-app=ios")));
        assert!(!covers(&rule("", "", "", "x-app=ios"), &rule("", "", "/a", "x-app")));
        assert!(!covers(&wide, &rule("POST", "", "", "")));
        assert!(covers(&rule("", "", "/", ""), &rule("POST", "", "", "")));
    }

    #[test]
    fn rules_meet_where_one_request_could_match_both() {
        assert!(meet(&rule("", "", "/horse/", ""), &rule("POST", "", "/", "")));
        assert!(meet(&rule("", "a.se", "", "x-a=1"), &rule("POST", "", "/b", "x-a=2")));
        assert!(!meet(&rule("", "", "/horse/", ""), &rule("", "", "/sport/", "")));
        assert!(!meet(&rule("", "a.se", "", ""), &rule("", "b.se", "", "")));
        assert!(!meet(&rule("GET", "", "", ""), &rule("POST", "", "", "")));
    }
}
