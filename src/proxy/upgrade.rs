//! Upgrades of HTTP/1.1 (RFC 9110, section 7.8): which are offered to the backend, and which it may take.
//!
//! A header that no product allows ends here like all that is of one hop. `h2c` can be allowed by nobody: what was let in as
//! one request would go on as many that nobody sees. A backend may take what was offered to it and nothing else.

use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Version};

use super::upload::RequestBody;

/// Protocols that a request offers to go on with, of those that its product allows.
#[derive(Clone, Debug)]
pub(super) struct Offer(HeaderValue);

const UPGRADES: HeaderValue = HeaderValue::from_static("upgrade");

impl Offer {
    /// What is passed on of what a request offers. One with a body asks for nothing but its answer: who would read that body
    /// as the beginning of the other protocol would be fooled.
    pub(super) fn of(parts: &Parts, body: &RequestBody, allowed: &[HeaderValue]) -> Option<Offer> {
        let plain = parts.method == Method::GET && parts.version == Version::HTTP_11 && body.is_empty();
        if !plain || !tokens(&parts.headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
            return None;
        }
        let is_allowed = |token: &&[u8]| allowed.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(token));
        let kept: Vec<&[u8]> = tokens(&parts.headers, &UPGRADE).filter(is_allowed).collect();
        let joined = HeaderValue::from_bytes(&kept.join(&b", "[..])).ok();
        joined.filter(|_| !kept.is_empty()).map(Offer)
    }

    /// Make it in the request that a backend gets.
    pub(super) fn put_on(self, request: &mut Request<RequestBody>) {
        let headers = request.headers_mut();
        // `TE` may stand there already.
        headers.append(CONNECTION, UPGRADES);
        headers.insert(UPGRADE, self.0.clone());
        // What the parser put there is of the client's connection.
        *request.extensions_mut() = Extensions::new();
        request.extensions_mut().insert(self);
    }

    /// Whether an answer that switches takes one of these, and one only.
    pub(super) fn is_taken(&self, headers: &HeaderMap) -> bool {
        let offered = || self.0.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let mut taken = tokens(headers, &UPGRADE);
        let first = taken.next();
        first.is_some_and(|first| offered().any(|one| one.eq_ignore_ascii_case(first))) && taken.next().is_none()
    }
}

/// The head of an answer that switches, as the client gets it: what is of one hop was taken off.
pub(super) fn switches(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    headers.insert(CONNECTION, UPGRADES);
    headers.extend(protocol.map(|protocol| (UPGRADE, protocol)));
}

fn tokens<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(method: &str, lines: &[(&'static str, &'static str)]) -> Option<String> {
        let mut request = Request::new(());
        *request.method_mut() = method.parse().expect("a method");
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let allowed = [HeaderValue::from_static("websocket"), HeaderValue::from_static("our/2")];
        let offer = Offer::of(&request.into_parts().0, &RequestBody::none(), &allowed)?;
        Some(offer.0.to_str().expect("it was text").to_owned())
    }

    #[test]
    fn only_what_is_allowed_is_offered_and_only_by_who_asks_for_it() {
        let asks = ("connection", "keep-alive, Upgrade");
        assert_eq!(offer("GET", &[asks, ("upgrade", "WebSocket")]).as_deref(), Some("WebSocket"));
        let several = [asks, ("upgrade", "h2c, websocket"), ("upgrade", "our/2")];
        assert_eq!(offer("GET", &several).as_deref(), Some("websocket, our/2"));
        assert_eq!(offer("GET", &[asks, ("upgrade", "h2c")]), None);
        assert_eq!(offer("GET", &[asks, ("upgrade", "websocket2")]), None);
        assert_eq!(offer("GET", &[("upgrade", "websocket")]), None);
        assert_eq!(offer("POST", &[asks, ("upgrade", "websocket")]), None);
    }

    #[test]
    fn a_backend_takes_one_of_what_was_offered() {
        let offer = Offer(HeaderValue::from_static("websocket, our/2"));
        let takes = |value: &'static str| {
            offer.is_taken(&[(UPGRADE, HeaderValue::from_static(value))].into_iter().collect::<HeaderMap>())
        };
        assert!(takes("WebSocket") && takes("our/2"));
        assert!(!takes("h2c") && !takes("websocket, our/2") && !takes("") && !offer.is_taken(&HeaderMap::new()));
    }
}
