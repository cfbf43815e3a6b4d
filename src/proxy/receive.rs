//! What a request must be to be let in, and what becomes of it on the way out.
//!
//! hyper has refused broken framing before we see a request: two different lengths, a transfer coding that is
//! not chunked, one in HTTP/1.0. A request with both lengths reaches us as chunked with the other length taken
//! off, and its connection is closed after the answer (RFC 9112, section 6.1), so nothing can be smuggled behind it.

use bytes::Bytes;
use http::header::{COOKIE, EXPECT, HOST, HeaderName, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Request, Version};
use http_body::Body;

use super::fault::BadRequest;
use super::headers::{self, Peer, Seen};
use super::settings::Limits;
use super::upload::RequestBody;

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Whether the request may be considered at all, and what was seen in its headers. From here on its target
/// is a path, and `Host` the host that it is for, however it was written.
pub(crate) fn check(parts: &mut Parts, body: &impl Body, limits: &Limits, peer: &Peer) -> Result<Seen, BadRequest> {
    if parts.method == Method::CONNECT {
        return Err(BadRequest::Upgrade);
    }
    // `*` is for OPTIONS about the server itself; what stands behind us is several.
    if !parts.uri.path().starts_with('/') {
        return Err(BadRequest::Target);
    }
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.uri_bytes {
        return Err(BadRequest::LongTarget);
    }
    // One walk for all there is to see: a look-up by hash for each costs more.
    let (mut hosts, mut cookies, mut chunked) = (0, 0, false);
    let mut seen = Seen::default();
    for (name, value) in &parts.headers {
        seen.note(name, value);
        match name.as_str() {
            "host" if !is_host(value) => return Err(BadRequest::Host),
            "host" => hosts += 1,
            "cookie" => cookies += 1,
            // hyper looks at the last coding only, and would pass the others on without their names.
            "transfer-encoding" if chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") => {
                return Err(BadRequest::Coding);
            }
            "transfer-encoding" => chunked = true,
            _ => {}
        }
    }
    if hosts > 1 || (hosts == 0 && parts.version == Version::HTTP_11) {
        return Err(BadRequest::Host);
    }
    if parts.uri.scheme().is_some() {
        take_host_from_target(parts, peer)?;
    }
    if parts.version == Version::HTTP_2 {
        if parts.headers.len() > limits.headers {
            return Err(BadRequest::ManyHeaders);
        }
        if cookies > 1 {
            join_cookies(parts);
        }
        if hosts == 0 && !parts.headers.contains_key(HOST) {
            return Err(BadRequest::Host);
        }
    }
    match body.size_hint().exact() {
        Some(length) if length > limits.body_bytes => Err(BadRequest::LargeBody),
        _ => Ok(seen),
    }
}

/// A head out of the hands of somebody who has it for as long as the request may be answered otherwise.
pub(crate) fn taken(parts: &mut Parts) -> Parts {
    std::mem::replace(parts, Request::new(()).into_parts().0)
}

/// The request as the backend gets it; `host` is for requests that name none.
pub(crate) fn to_backend(
    mut parts: Parts,
    seen: Seen,
    body: RequestBody,
    peer: &Peer,
    identities: &[HeaderName],
    host: &HeaderValue,
) -> Request<RequestBody> {
    if !body.is_end_stream() {
        // hyper says `100 Continue` to the client when the body is first read, so the backend is not asked.
        parts.headers.remove(EXPECT);
    }
    let version = std::mem::replace(&mut parts.version, Version::HTTP_11);
    headers::to_backend(&mut parts.headers, seen, version, peer, identities);
    if version == Version::HTTP_10 && !parts.headers.contains_key(HOST) {
        // HTTP/1.0 may leave it out; HTTP/1.1, which the backend is spoken to in, may not.
        parts.headers.insert(HOST, host.clone());
    }
    if body.size_hint().exact().is_none() {
        // hyper takes a GET for one without a body unless it is told.
        parts.headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    Request::from_parts(parts, body)
}

/// A host in an absolute target counts more than the header (RFC 9112, section 3.2.2), and must do so before
/// a product is looked for: what we take it for and what the backend takes it for must be the same.
///
/// In HTTP/2 each target has a scheme: that which the client used, which may be another where TLS ends in front of us.
fn take_host_from_target(parts: &mut Parts, peer: &Peer) -> Result<(), BadRequest> {
    let secure = peer.secure || parts.version == Version::HTTP_2;
    let scheme = parts.uri.scheme();
    let http = scheme == Some(&Scheme::HTTP) || (secure && scheme == Some(&Scheme::HTTPS));
    let host = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    // A name and a password in it are no host.
    let host = host.filter(|host| http && is_host(host)).ok_or(BadRequest::Target)?;
    parts.headers.insert(HOST, host);
    let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let target = Uri::from(target);
    // Of `http://host#x` the library leaves a path that is empty and says that it is `/`; a backend would get none.
    parts.uri = if target.path().is_empty() { Uri::from_static("/") } else { target };
    Ok(())
}

/// HTTP/2 may take a line of cookies apart; where it ends they belong together (RFC 9113, section 8.2.3), or a backend would
/// see one of them, and so would we.
fn join_cookies(parts: &mut Parts) {
    let crumbs: Vec<&[u8]> = parts.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(line) = HeaderValue::from_maybe_shared(Bytes::from(crumbs.join(&b"; "[..]))) {
        parts.headers.insert(COOKIE, line);
    }
}

fn is_host(host: &HeaderValue) -> bool {
    !host.as_bytes().iter().any(|byte| IN_NO_HOST[usize::from(*byte)])
}

/// Characters that no host has, and that would mean something else where we write it.
const IN_NO_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b" \t,/\\@\"?#";
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
};
