//! The head of a request as HTTP/2 wants it: what is said of one hop is gone, and the host is part of the target.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE,
    HOST, MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};

/// A head like that of `request`, which was made for HTTP/1.1.
pub(crate) fn head<B>(request: &Request<B>, secure: bool) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    let host = request.headers().get(HOST);
    let target = host.and_then(|host| target(request.uri(), host, secure));
    *head.headers_mut() = headers(request.headers(), target.is_some());
    // Without one the library takes a request that is passed on from HTTP/1.1 as it is, `Host` and all.
    *head.version_mut() = if target.is_some() { Version::HTTP_2 } else { Version::HTTP_11 };
    *head.uri_mut() = target.unwrap_or_else(|| request.uri().clone());
    head
}

/// `None` for a host that could be none of a URI.
fn target(path: &Uri, host: &HeaderValue, secure: bool) -> Option<Uri> {
    let mut parts = path.clone().into_parts();
    parts.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Authority::from_maybe_shared(Bytes::copy_from_slice(host.as_bytes())).ok();
    Uri::from_parts(parts).ok()
}

fn headers(from: &HeaderMap, without_host: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        let ends_here = [CONNECTION, TRANSFER_ENCODING, UPGRADE].contains(name) || (without_host && *name == HOST);
        if !ends_here {
            let mut value = value.clone();
            // Each customer has another one: it would drive what all share out of the table of the connection.
            value.set_sensitive(*name == COOKIE || *name == AUTHORIZATION);
            headers.append(name.clone(), value);
        }
    }
    headers
}

/// What cannot be said behind a body (RFC 9110, section 6.5.1), or a backend that joins trailers with headers would hear it
/// after it was looked through.
const NO_TRAILERS: [HeaderName; 14] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// The trailers that the head announces. Others are not passed on, as over HTTP/1.1.
pub(super) fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(TRAILER).into_iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.filter(|name| !NO_TRAILERS.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &'static str)], secure: bool) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_static("/horse/odds?race=1");
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        head(&request, secure)
    }

    #[test]
    fn the_host_becomes_part_of_the_target_and_nothing_of_one_hop_is_said() {
        let hop =
            [("connection", "te"), ("te", "trailers"), ("transfer-encoding", "chunked"), ("upgrade", "websocket")];
        let head = of(&[&[("host", "bet.example:81"), ("cookie", "a=1; b=2")], &hop[..]].concat(), true);
        assert_eq!(head.uri(), "https://bet.example:81/horse/odds?race=1");
        let names: Vec<&str> = head.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["cookie", "te"]);
        assert!(head.headers()["cookie"].is_sensitive() && !head.headers()["te"].is_sensitive());
        assert_eq!(of(&[("host", "h")], false).uri(), "http://h/horse/odds?race=1");
    }

    #[test]
    fn a_host_that_is_none_of_a_uri_stays_what_it_was() {
        for host in ["", "a|b"] {
            let head = of(&[("host", host)], true);
            assert_eq!((head.uri().to_string().as_str(), head.version()), ("/horse/odds?race=1", Version::HTTP_11));
            assert_eq!(head.headers()["host"], host);
        }
    }

    #[test]
    fn trailers_are_announced_in_any_number_of_lines_and_are_none_that_only_a_head_may_say() {
        let mut headers = HeaderMap::new();
        for line in ["x-sum, X-Other, Authorization", "x-third, host"] {
            headers.append(TRAILER, HeaderValue::from_static(line));
        }
        assert_eq!(announced(&headers), ["x-sum", "x-other", "x-third"].map(HeaderName::from_static));
    }
}
