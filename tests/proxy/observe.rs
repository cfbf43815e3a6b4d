//! Observe-only: everything decided, counted and shown, nothing refused.

use std::fs;

use serde_json::json;

use super::backend::{Backend, Door, OK};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::until;

const TWO_AT_A_TIME: &str = "limit = 2\nqueue = { longest_wait = \"30s\", length = 3 }";

fn observing() -> Setup {
    Setup::new().top("observe_only = true")
}

fn observe(proxy: &Proxy, on: bool) -> bool {
    let answer = proxy.post("/api/v1/orders", &json!({"order": "observe", "on": on, "reason": "a test"}));
    answer.json()["applied"][0]["changed"].as_bool().expect("it was applied")
}

fn would_refuse(proxy: &Proxy, class: &str, refusal: &str) -> f64 {
    let labels = format!("product=\"horse-racing\",class=\"{class}\",refusal=\"{refusal}\"");
    proxy.metric(&format!("sluss_admission_would_refuse_total{{{labels}}}"))
}

fn refused(proxy: &Proxy, class: &str, refusal: &str) -> f64 {
    let labels = format!("product=\"horse-racing\",class=\"{class}\",refusal=\"{refusal}\"");
    proxy.metric(&format!("sluss_admission_refusals_total{{{labels}}}"))
}

fn ask(proxy: &Proxy, many: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..many).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.say(get("/horse/odds")));
    clients
}

#[test]
fn an_overloaded_backend_gets_everything_and_what_would_have_been_refused_is_counted() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = observing().horse(&backend, TWO_AT_A_TIME).start();
    let mut clients = ask(&proxy, 20);
    backend.until_asked(20);
    let product = proxy.product("horse-racing");
    assert_eq!((product.in_flight, product.waiting), (2, 3), "the shadow keeps the limit and the line");
    assert_eq!(would_refuse(&proxy, "read", "queue_full"), 15.0);
    assert_eq!(refused(&proxy, "read", "queue_full"), 0.0);
    assert_eq!(proxy.metric("sluss_admission_observe_only"), 1.0);
    assert!(proxy.status().observe_only);
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
    proxy.until_in_flight(0);
    proxy.until_waiting(0);
}

#[test]
fn whoever_would_have_waited_too_long_is_answered_and_counted() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = observing().horse(&backend, "limit = 1\nqueue = { longest_wait = \"20ms\" }").start();
    let mut clients = ask(&proxy, 2);
    backend.until_asked(2);
    until("nobody waits any more", || proxy.product("horse-racing").waiting == 0);
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
    until("it is counted", || would_refuse(&proxy, "read", "waited_too_long") == 1.0);
    assert_eq!(refused(&proxy, "read", "waited_too_long"), 0.0);
}

#[test]
fn what_is_parked_is_shown_and_counted_and_still_served() {
    let backend = Backend::answering(OK);
    let proxy = observing().horse(&backend, "").start();
    proxy.order("park", "horse-racing");
    assert_eq!(proxy.product("horse-racing").state, "parked");
    let mut client = proxy.client();
    assert_eq!(client.post("/horse/bets", "a bet").status(), 200);
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert_eq!(would_refuse(&proxy, "commit", "parked"), 1.0);
    assert_eq!(would_refuse(&proxy, "read", "parked"), 1.0);
}

#[test]
fn it_acts_from_the_next_request_on_when_it_is_told_to_and_what_is_under_way_goes_on() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = observing().horse(&backend, TWO_AT_A_TIME).start();
    let mut clients = ask(&proxy, 20);
    backend.until_asked(20);
    assert!(observe(&proxy, false));
    assert!(!observe(&proxy, false), "a second time it changes nothing");
    // One more than there are places: in a line that has stood for a moment a newcomer has that of the oldest.
    let mut newcomers = ask(&proxy, 4);
    until("one of them finds no place", || refused(&proxy, "read", "queue_full") > 0.0);
    assert!(!proxy.status().observe_only);
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200), "nobody who went on is cut");
    let told = newcomers.iter_mut().map(Client::answer).filter(|answer| answer.status() != 200);
    let told: Vec<String> = told.map(|answer| answer.json()["refusal"].as_str().unwrap_or("none").to_owned()).collect();
    assert!(!told.is_empty() && told.iter().all(|refusal| refusal == "queue_full"), "{told:?}");
    proxy.until_in_flight(0);
    proxy.until_waiting(0);
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
}

#[test]
fn those_who_really_wait_go_on_when_nothing_is_to_be_refused() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, TWO_AT_A_TIME).start();
    let mut clients = ask(&proxy, 5);
    proxy.until_waiting(3);
    backend.until_asked(2);
    assert_eq!(backend.requests().len(), 2);
    observe(&proxy, true);
    backend.until_asked(5);
    assert_eq!((proxy.product("horse-racing").in_flight, proxy.product("horse-racing").waiting), (2, 3));
    // And once more, with shadows of before in the line.
    observe(&proxy, false);
    observe(&proxy, true);
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
    proxy.until_in_flight(0);
    proxy.until_waiting(0);
}

#[test]
fn a_client_that_hangs_up_leaves_no_shadow_behind() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = observing().horse(&backend, TWO_AT_A_TIME).start();
    let clients = ask(&proxy, 5);
    proxy.until_waiting(3);
    drop(clients);
    proxy.until_in_flight(0);
    proxy.until_waiting(0);
    door.open();
}

#[test]
fn an_order_outlives_a_restart_and_an_edited_configuration_outlives_the_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (backend, journal) = (Backend::answering(OK), folder.path().join("sluss.journal"));
    let acting = Setup::new().journal(&journal).horse(&backend, "");
    let observing = acting.clone().top("observe_only = true");
    let starts = |setup: &Setup, order: Option<bool>| {
        let proxy = setup.start();
        let was = proxy.status().observe_only;
        if let Some(on) = order {
            observe(&proxy, on);
        }
        proxy.stop();
        was
    };
    assert!(starts(&observing, Some(false)), "as configured");
    assert!(!starts(&observing, None), "as ordered");
    assert!(!starts(&acting, None), "the configuration says the same now");
    assert!(starts(&observing, None), "written again, so it is meant");
    assert!(!starts(&acting, Some(true)));
    assert!(starts(&acting, None), "as ordered");
    assert!(fs::read_to_string(&journal).expect("a journal").contains("observe_only"));
}

#[test]
fn an_order_to_observe_is_for_the_whole_proxy_and_needs_a_reason() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().horse(&backend, "").start();
    for (order, said) in [
        (json!({"order": "observe", "product": "horse-racing", "reason": "r"}), "for the whole proxy"),
        (json!({"order": "observe", "reason": ""}), "needs a reason"),
    ] {
        let answer = proxy.post("/api/v1/orders", &order);
        assert_eq!(answer.status(), 422, "{order}");
        assert!(answer.text().contains(said), "{}", answer.text());
    }
    assert!(!proxy.status().observe_only);
    assert_eq!(proxy.client().ask(post("/horse/bets", "a bet")).status(), 200);
}
