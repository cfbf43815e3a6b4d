//! The check that servers of gRPC answer: a call of `grpc.health.v1.Health/Check`, which names a service or all of them.
//!
//! Both messages have one field, so they are written and read by hand.

use std::future::poll_fn;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

/// The longest name of a service: its length is one byte.
pub(crate) const MOST_NAME: usize = 127;
/// Bytes of an answer that are looked at.
const MOST_ANSWER: usize = 1024;
const METHOD: &str = "/grpc.health.v1.Health/Check";
const SERVING: [u8; 2] = [0x08, 1];

/// The head of the call.
pub(super) fn head(mut request: Request<()>) -> Request<()> {
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(METHOD);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    request
}

/// Make the call, and hear whether the service serves.
pub(super) async fn call(mut requests: SendRequest<Bytes>, head: Request<()>, service: &str) -> Result<(), String> {
    let said = |error: h2::Error| error.to_string();
    let (answer, mut stream) = requests.send_request(head, false).map_err(said)?;
    stream.send_data(message(service), true).map_err(said)?;
    let (head, mut body) = answer.await.map_err(said)?.into_parts();
    let mut told = BytesMut::new();
    while let Some(piece) = body.data().await {
        told.put(piece.map_err(said)?);
        if told.len() > MOST_ANSWER {
            return Err("it answered more than a status".to_owned());
        }
    }
    let trailers = poll_fn(|context| body.poll_trailers(context)).await.map_err(said)?;
    verdict(&head.headers, trailers.as_ref(), &told)
}

/// A flag, four bytes of length, and the message: field 1, a text.
fn message(service: &str) -> Bytes {
    let mut field = BytesMut::new();
    if !service.is_empty() {
        field.put_slice(&[0x0a, service.len() as u8]);
        field.put_slice(service.as_bytes());
    }
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(field.len() as u32);
    message.put(field);
    message.freeze()
}

fn verdict(head: &HeaderMap, trailers: Option<&HeaderMap>, told: &[u8]) -> Result<(), String> {
    let status = |headers: &HeaderMap| headers.get("grpc-status").map(|status| status.as_bytes().to_vec());
    match trailers.and_then(status).or_else(|| status(head)).as_deref() {
        Some(b"0") => {}
        Some(status) => return Err(format!("it answered grpc-status {}", String::from_utf8_lossy(status))),
        None => return Err("it answered without a grpc-status".to_owned()),
    }
    match told.get(5..) {
        Some(message) if message == SERVING => Ok(()),
        _ => Err("it does not serve".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_and_all_of_them_by_no_name() {
        assert_eq!(message(""), [0; 5][..]);
        assert_eq!(message("bets"), b"\0\0\0\0\x06\x0a\x04bets"[..]);
    }

    #[test]
    fn only_one_that_serves_serves() {
        let headers =
            |status| HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
        let (none, good) = (HeaderMap::new(), headers("0"));
        let serving = [0, 0, 0, 0, 2, 8, 1];
        assert_eq!(verdict(&none, Some(&good), &serving), Ok(()));
        assert_eq!(verdict(&none, Some(&good), &[0, 0, 0, 0, 2, 8, 2]), Err("it does not serve".to_owned()));
        assert_eq!(verdict(&none, Some(&good), &[0; 5]), Err("it does not serve".to_owned()), "it does not know");
        assert_eq!(verdict(&headers("5"), None, &[]), Err("it answered grpc-status 5".to_owned()));
        assert_eq!(verdict(&none, Some(&headers("14")), &serving), Err("it answered grpc-status 14".to_owned()));
        assert_eq!(verdict(&none, None, &serving), Err("it answered without a grpc-status".to_owned()));
    }
}
