//! What an answer says of the backend that gave it.

use http::{HeaderValue, Response, StatusCode, Version};

/// The status that counts for or against the backend. A call of gRPC that ends before it has begun is a 200 of HTTP with a
/// status of its own: "unavailable" is what 503 is, and a failure of the server's own what 500 is. What a caller may bring about
/// is the caller's: a deadline of a millisecond, a quota used up.
pub(crate) fn amounts_to<B>(answer: &Response<B>) -> StatusCode {
    // gRPC is spoken over HTTP/2, and all others need not look.
    if answer.version() != Version::HTTP_2 {
        return answer.status();
    }
    match answer.headers().get("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"14") => StatusCode::SERVICE_UNAVAILABLE,
        Some(b"2" | b"13" | b"15") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => answer.status(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_failed_counts_as_what_http_would_have_said() {
        let of = |status, version| {
            let answer = Response::builder().header("grpc-status", status).version(version);
            amounts_to(&answer.body(()).expect("a sound head")).as_u16()
        };
        let told = ["0", "14", "13", "2", "15", "8", "4", "16", "99", ""].map(|status| of(status, Version::HTTP_2));
        assert_eq!(told, [200, 503, 500, 500, 500, 200, 200, 200, 200, 200]);
        assert_eq!(of("14", Version::HTTP_11), 200);
    }
}
