//! How much is known of bets, for how long, and what goes first: as configured.

use super::backend::{Backend, Door};
use super::bets::{asked, bet, bet_of, fault_of, open, receipts, until_duplicates_wait};
use super::proxy::{Proxy, Setup};
use super::until;

#[test]
fn headers_and_classes_are_those_that_are_configured() {
    let backend = receipts(&open());
    let setup = |once: &str| Setup::new().with(once).horse(&backend, "default_class = \"continue\"").start();
    let named = |name: &str, path: &str| bet("one").replace("idempotency-key", name).replace("/bets", path);
    let receipt = |proxy: &Proxy, request: &str| proxy.client().ask(request).text();
    let proxy = setup("[once]\nheader = [\"x-bet-id\", \"x-request-id\"]\nclasses = [\"continue\"]");
    for (name, path, once) in [
        ("X-Bet-Id", "/coupon", true),
        ("x-request-id", "/deposit", true),
        ("idempotency-key", "/coupon", false),
        ("x-bet-id", "/bets", false),
    ] {
        let request = named(name, path);
        assert_eq!(receipt(&proxy, &request) == receipt(&proxy, &request), once, "{name} {path}");
    }
    let observing = Setup::new().top("observe_only = true").horse(&backend, "").start();
    assert_eq!(receipt(&observing, &bet("one")), receipt(&observing, &bet("one")), "to know a bet is no refusal");
    let off = setup("[once]\nheader = []");
    assert_ne!(receipt(&off, &bet("one")), receipt(&off, &bet("one")));
}

#[test]
fn a_bet_is_forgotten_when_its_time_is_over() {
    let backend = receipts(&open());
    let proxy = Setup::new().with("[once]\nkeep = \"1s\"").horse(&backend, "").start();
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 0");
    until("the bet is a new one", || proxy.client().ask(bet("one")).text() == "receipt 1");
    assert_eq!(proxy.metric("sluss_once_bets"), 1.0);
    assert_eq!(proxy.metric("sluss_once_forgotten_total{what=\"bet\"}"), 0.0, "its time was over");
}

#[test]
fn when_there_is_no_room_the_oldest_answered_bet_goes_and_an_operator_can_see_it() {
    let backend = receipts(&open());
    let proxy = Setup::new().with("[once]\nbets = 2").horse(&backend, "").start();
    let receipt = |key: &str| proxy.client().ask(bet(key)).text();
    assert_eq!([receipt("one"), receipt("two"), receipt("three")], ["receipt 0", "receipt 1", "receipt 2"]);
    assert_eq!((receipt("two"), receipt("three")), ("receipt 1".into(), "receipt 2".into()));
    assert_eq!(receipt("one"), "receipt 3", "the oldest made room");
    assert_eq!(proxy.metric("sluss_once_forgotten_total{what=\"bet\"}"), 2.0);
    assert_eq!(proxy.metric("sluss_once_bets"), 2.0);
}

#[test]
fn when_all_room_is_taken_by_bets_in_flight_a_new_one_is_refused_and_the_known_ones_stand() {
    let door = Door::default();
    let backend = receipts(&door);
    let proxy = Setup::new().with("[once]\nbets = 2").horse(&backend, "").start();
    let mut flying = [asked(&proxy, 1, &bet("one")), asked(&proxy, 1, &bet("two"))].map(|mut one| one.remove(0));
    backend.until_asked(2);
    let answer = proxy.client().ask(bet("three"));
    assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("proxy_overloaded")));
    assert_eq!((answer.json()["bet"].as_str(), answer.header("retry-after").is_some()), (Some("not_placed"), true));
    door.open();
    flying.iter_mut().for_each(|one| assert_eq!(one.answer().status(), 201));
    assert_eq!(proxy.client().ask(bet("three")).status(), 201);
}

#[test]
fn answers_go_before_their_bets_and_then_it_is_told_that_there_was_one() {
    let backend = receipts(&open());
    let proxy = Setup::new().with("[once]\nmemory = \"1KiB\"").horse(&backend, "lookup = \"/mine/{key}\"").start();
    for key in ["one", "two", "three", "four"] {
        assert_eq!(proxy.client().ask(bet(key)).status(), 201);
    }
    let answer = proxy.client().ask(bet("one"));
    assert_eq!(fault_of(&answer), (409, "answered_elsewhere".into()));
    assert_eq!((answer.json()["lookup"].as_str(), answer.json().get("bet")), (Some("/mine/one"), None));
    assert_eq!(proxy.client().ask(bet("four")).text(), "receipt 3");
    assert_eq!(backend.requests().len(), 4);
    assert!(proxy.metric("sluss_once_forgotten_total{what=\"answer\"}") >= 1.0);
    assert!(proxy.metric("sluss_once_answer_bytes") <= 1024.0);
}

#[test]
fn an_answer_too_large_to_keep_is_relayed_to_the_first_and_its_duplicates_hear_where_to_look() {
    let large = "x".repeat(3000);
    let door = Door::default();
    let passed = door.clone();
    let backend = Backend::new(move |connection| {
        while connection.request()?.is_some() {
            passed.pass();
            connection.say(format!("HTTP/1.1 201 Created\r\ncontent-length: 3000\r\n\r\n{large}"))?;
        }
        Ok(())
    });
    let proxy = Setup::new().with("[once]\nanswer_bytes = \"2KiB\"").horse(&backend, "lookup = \"/mine\"").start();
    let mut first = asked(&proxy, 1, &bet("one"));
    backend.until_asked(1);
    let mut second = asked(&proxy, 1, &bet("one"));
    until_duplicates_wait(&proxy, 1);
    door.open();
    assert_eq!(first[0].answer().body.len(), 3000);
    for answer in [second[0].answer(), proxy.client().ask(bet("one"))] {
        assert_eq!(fault_of(&answer), (409, "answered_elsewhere".into()));
        assert_eq!(
            (answer.json()["lookup"].as_str(), answer.header("link")),
            (Some("/mine"), Some("</mine>; rel=\"status\""))
        );
    }
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_body_too_long_to_be_read_first_is_told_apart_by_its_target_alone() {
    let backend = receipts(&open());
    let proxy = Setup::new().listen("waiting_body_bytes = \"1KiB\"").horse(&backend, "").start();
    let long = bet_of("one", &"x".repeat(100_000));
    assert_eq!(proxy.client().ask(&long).text(), "receipt 0");
    assert_eq!(proxy.client().ask(&long).text(), "receipt 0");
    assert_eq!(proxy.client().ask(long.replace("/bets", "/bets?other")).status(), 422);
    assert_eq!(backend.requests().len(), 1);
}
