//! What was never sent is tried again, as far as the budget goes; what may have left is not, whatever it is.

use super::backend::{Backend, OK, Refusing};
use super::bets::bet;
use super::client::{get, post};
use super::proxy::{Proxy, Setup};

const RETRIES: &str = "sluss_upstream_retries_total{pool=\"horse-racing\"}";
const WITHHELD: &str = "sluss_upstream_retries_withheld_total{pool=\"horse-racing\"}";

/// One worker, whose budget is all there is.
fn before(addresses: &[std::net::SocketAddr], keys: &str) -> Proxy {
    Setup::new().listen("workers = 1").product("horse-racing", "/horse/", addresses, keys).start()
}

#[test]
fn a_bet_that_was_never_sent_goes_to_another_backend() {
    let (away, backend) = (Refusing::somewhere(), Backend::answering(OK));
    let proxy = before(&[away.address(), backend.address], "");
    for round in 1..=20 {
        assert_eq!(proxy.client().ask(post("/horse/bets", "a bet")).status(), 200, "{round}");
        assert_eq!(proxy.client().ask(bet(&round.to_string())).status(), 200, "{round}");
    }
    assert_eq!(backend.requests().len(), 40);
    assert!(proxy.metric(RETRIES) >= 1.0);
    assert_eq!(proxy.metric(WITHHELD), 0.0);
}

#[test]
fn with_the_budget_used_up_the_fault_is_told_at_once() {
    // So many that they are not all given up before the budget is used up; each request may be tried at three.
    let away: Vec<Refusing> = (0..120).map(|_| Refusing::somewhere()).collect();
    let addresses: Vec<_> = away.iter().map(Refusing::address).collect();
    let proxy = before(&addresses, "");
    let mut client = proxy.client();
    let mut requests = 0.0;
    while proxy.metric(WITHHELD) < 10.0 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
        requests += 1.0;
        assert!(requests < 100.0, "it never ends");
    }
    // The floor, and a tenth; and the floor again if this took so long.
    let retries = proxy.metric(RETRIES);
    assert!(retries >= 1.0 && retries <= 2.0 * (30.0 + requests / 10.0), "{retries} for {requests}");
}

#[test]
fn without_a_budget_nothing_is_tried_again() {
    let away = [Refusing::somewhere(), Refusing::somewhere()];
    let proxy = before(&away.each_ref().map(Refusing::address), "retry_budget = 0");
    let answer = proxy.client().ask(bet("one"));
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
    assert_eq!(answer.json()["bet"], "not_placed", "it was never sent, so nothing about it is unknown");
    assert!(answer.text().contains("was not placed"), "{}", answer.text());
    assert_eq!((proxy.metric(RETRIES), proxy.metric(WITHHELD)), (0.0, 1.0));
}

#[test]
fn what_may_have_left_is_never_sent_again_whatever_it_is() {
    let backends: Vec<Backend> = (0..3).map(|_| Backend::new(|connection| connection.request().map(drop))).collect();
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let proxy = before(&addresses, "retry_budget = 100");
    for (asked, request) in
        [get("/horse/odds"), post("/horse/bets", "a bet"), bet("one"), post("/horse/coupon", "")].iter().enumerate()
    {
        assert_eq!(proxy.client().ask(request).status(), 502);
        let requests: usize = backends.iter().map(|backend| backend.requests().len()).sum();
        assert_eq!(requests, asked + 1);
    }
    assert_eq!(proxy.metric(RETRIES), 0.0);
}
