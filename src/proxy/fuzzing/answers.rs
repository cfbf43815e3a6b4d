//! What a backend answers: whether it can be relayed, whose it is, and what must not reach a client.

use std::sync::Arc;

use http::{Method, Request, StatusCode, Version};

use super::super::headers::{self, Peer, Seen};
use super::super::hints::Hints;
use super::super::reads::rules::{Judged, judge};
use super::super::{Worker, identity};
use super::{has_no_hop, line, lines, peer, with};
use crate::telemetry::export::Registry;

thread_local! {
    /// Made once: names of metrics take longer to make than an answer to read.
    static HINTS: Arc<Hints> = with(|worker| {
        let pool = &worker.settings.pools[worker.settings.products[0].pool];
        Hints::new(pool, worker.gate(0).0.clone(), &Registry::new())
    });
}

/// The head of an answer as it is written in HTTP/1, to a login.
pub fn answer(data: &[u8]) {
    let (first, said) = line(data);
    let mut words = first.split(|byte| *byte == b' ').skip(1);
    let Some(status) = words.next().and_then(|word| StatusCode::from_bytes(word).ok()) else { return };
    let (mut headers, _) = lines(said);
    let found = Seen::in_answer(&headers);
    if !headers::is_relayable(status, &headers, &found) {
        return;
    }
    with(|worker| {
        let rule = worker.settings.products[0].classes.iter().find_map(|class| class.cache.as_ref());
        let judged = judge(status, &headers, rule.expect("there is a class with one"));
        let is_personal = headers.contains_key("set-cookie") || status == StatusCode::PARTIAL_CONTENT;
        assert!(!is_personal || judged == Judged::Personal, "{judged:?}");
        if let Judged::Anybodys(life, _) = judged {
            let terms = rule.expect("there is a class with one").terms;
            assert!(life.fresh <= terms.fresh && life.stale <= terms.stale, "kept for longer than may be: {life:?}");
        }
        hear(worker, status, &mut headers);
    });
    if headers::has_two_lengths(&headers, &found) {
        headers.remove("content-length");
    }
    headers::to_client(&mut headers, &found, Version::HTTP_11);
    has_no_hop(&headers);
    assert!(!headers.contains_key("connection"), "a connection's word was passed on");
}

fn hear(worker: &Worker, status: StatusCode, headers: &mut http::HeaderMap) {
    HINTS.with(|hints| hints.hear(headers));
    assert!(!headers.contains_key("x-wallet-seats"), "a client sees what it must not");
    let login = Request::builder().method(Method::POST).uri("/horse/login").header("cookie", "session=a");
    let login = login.body(()).expect("a plain request").into_parts().0;
    let stranger: Peer = peer(2);
    let seen = Seen::look(&login.headers);
    let reader = worker.answers().reader(&seen.wishes, &login);
    let what = worker.classify(&login, seen, reader, &stranger).expect("a product has it");
    identity::hear(worker, &what, status, headers);
    assert!(!headers.contains_key("x-account"), "a client sees what it must not");
}
