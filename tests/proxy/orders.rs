//! What operators order: park, close, reopen, open, bypass.

use serde_json::{Value, json};

use super::backend::{Backend, Door, OK};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};
use super::until;

const ONE_AT_A_TIME: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";

/// Horse racing and sport, each with a backend of its own.
fn two_products(horse: &Backend, sport: &Backend, keys: &str) -> Proxy {
    Setup::new()
        .product("horse-racing", "/horse/", &[horse.address], keys)
        .product("sport", "/sport/", &[sport.address], "")
        .start()
}

fn state(proxy: &Proxy) -> String {
    proxy.product("horse-racing").state
}

#[test]
fn parking_lets_what_is_in_flight_finish_and_tells_those_who_wait() {
    let door = Door::default();
    let (horse, sport) = (Backend::behind(&door), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, ONE_AT_A_TIME);
    let (mut betting, mut waiting) = (proxy.client(), proxy.client());
    betting.say(post("/horse/bets", "a bet"));
    proxy.until_in_flight(1);
    waiting.say(post("/horse/bets", "another"));
    proxy.until_waiting(1);

    let answer = proxy.order("park", "horse-racing");
    assert_eq!(answer.json(), json!({"applied": [{"scope": "horse-racing", "state": "draining", "changed": true}]}));
    let refused = waiting.answer();
    assert_eq!((refused.status(), refused.json()["refusal"].as_str()), (503, Some("parked")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["bet"], "not_placed");
    assert_eq!(waiting.get("/horse/odds").json()["refusal"], "parked");
    assert_eq!(proxy.client().get("/sport/odds").status(), 200);
    assert_eq!(state(&proxy), "draining");

    door.open();
    assert_eq!(betting.answer().status(), 200);
    until("nothing is in flight", || state(&proxy) == "parked");
    assert_eq!(horse.requests().len(), 1);
    let last = proxy.product("horse-racing").last_order.unwrap();
    assert!(last.starts_with("park by anna at ") && last.ends_with(": a test"), "{last}");
}

#[test]
fn closing_tells_customers_another_truth_than_parking() {
    let (horse, sport) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, "");
    let mut client = proxy.client();
    proxy.order("close", "horse-racing");
    assert_eq!(client.get("/horse/odds").json()["refusal"], "closed");
    assert_eq!(state(&proxy), "closed");
    proxy.order("park", "horse-racing");
    assert_eq!(client.get("/horse/odds").json()["refusal"], "parked");
    assert_eq!(client.get("/sport/odds").status(), 200);
}

#[test]
fn reopening_goes_through_the_ramp_and_opening_does_not() {
    let (horse, sport) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, "limit = 50");
    let mut client = proxy.client();
    proxy.order("park", "horse-racing");
    assert_eq!(proxy.order("reopen", "horse-racing").json()["applied"][0]["state"], "ramping");
    assert!(proxy.product("horse-racing").ramp_seats.is_some_and(|seats| seats < 50));
    assert_eq!(client.get("/horse/odds").status(), 200);
    until("the ramp is over, for nobody needs it", || state(&proxy) == "open");
    assert_eq!(proxy.product("horse-racing").ramp_seats, None);

    proxy.order("park", "horse-racing");
    assert_eq!(client.get("/horse/odds").status(), 503);
    assert_eq!(proxy.order("open", "horse-racing").json()["applied"][0]["state"], "open");
    assert_eq!(client.get("/horse/odds").status(), 200);
}

#[test]
fn a_surge_after_reopening_is_let_in_no_faster_than_the_ramp() {
    let door = Door::default();
    let (horse, sport) = (Backend::behind(&door), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, "limit = 50\nqueue = { longest_wait = \"30s\" }");
    proxy.order("park", "horse-racing");
    proxy.order("reopen", "horse-racing");
    let mut surge: Vec<_> = (0..30).map(|_| proxy.client()).collect();
    surge.iter_mut().for_each(|client| client.say(get("/horse/odds")));
    let ceiling = proxy.product("horse-racing").ramp_seats.unwrap();
    proxy.until_waiting(30 - ceiling);
    assert_eq!(proxy.product("horse-racing").in_flight, ceiling);
    horse.until_asked(ceiling as usize);
    assert_eq!(horse.requests().len(), ceiling as usize);
    door.open();
    assert!(surge.iter_mut().all(|client| client.answer().status() == 200));
}

#[test]
fn bypass_refuses_nobody_and_switching_back_forgets_nothing() {
    let door = Door::default();
    let (horse, sport) = (Backend::behind(&door), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, ONE_AT_A_TIME);
    let bypass = |on| proxy.post("/api/v1/orders", &json!({"order": "bypass", "on": on, "reason": "a test"}));
    proxy.order("park", "horse-racing");
    let answer = bypass(true);
    assert_eq!(answer.json(), json!({"applied": [{"scope": "all", "state": "bypass on", "changed": true}]}));
    assert_eq!(bypass(true).json()["applied"][0]["changed"], false);
    assert!(proxy.status().bypass);
    let mut clients: Vec<_> = (0..5).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.say(get("/horse/odds")));
    horse.until_asked(5);
    assert_eq!(proxy.product("horse-racing").in_flight, 5);
    bypass(false);
    assert_eq!(proxy.client().get("/horse/odds").json()["refusal"], "parked");
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
    proxy.until_in_flight(0);
}

#[test]
fn an_order_for_all_reaches_all_and_one_given_twice_changes_nothing() {
    let (horse, sport) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, "");
    let park_all = || proxy.post("/api/v1/orders", &json!({"order": "park", "all": true, "reason": "a test"})).json();
    let applied = |changed: bool| {
        let one = |scope| json!({"scope": scope, "state": "parked", "changed": changed});
        json!({"applied": [one("horse-racing"), one("sport")]})
    };
    assert_eq!(park_all(), applied(true));
    assert_eq!(park_all(), applied(false));
    assert_eq!(proxy.client().get("/sport/odds").json()["refusal"], "parked");
}

#[test]
fn an_order_that_is_unclear_or_about_nothing_known_changes_nothing_and_says_why() {
    let (horse, sport) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = two_products(&horse, &sport, "");
    for (order, status, said) in [
        (json!({"order": "park", "product": "horse-racin", "reason": "r"}), 404, "Did you mean `horse-racing`?"),
        (json!({"order": "park", "product": "greyhounds", "reason": "r"}), 404, "There are: horse-racing, sport."),
        (json!({"order": "park", "event": "v75-1", "reason": "r"}), 404, "There are none."),
        (json!({"order": "park", "product": "sport", "reason": " "}), 422, "needs a reason"),
        (json!({"order": "park", "product": "sport"}), 422, "missing field `reason`"),
        (json!({"order": "park", "product": "sport", "reason": "r", "why": "x"}), 422, "unknown field `why`"),
        (json!({"order": "stop", "product": "sport", "reason": "r"}), 422, "unknown variant `stop`"),
        (json!({"order": "park", "reason": "r"}), 422, "name exactly one of them"),
        (json!({"order": "park", "product": "sport", "all": true, "reason": "r"}), 422, "name exactly one of them"),
        (json!({"order": "bypass", "product": "sport", "reason": "r"}), 422, "name no product"),
        (json!([]), 422, "nothing was changed"),
    ] {
        let answer = proxy.post("/api/v1/orders", &order);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status(), status, "{order} {detail}");
        assert!(detail.contains(said), "{order}: {detail}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert!(proxy.status().products.iter().all(|product| product.state == "open"));
    assert!(!proxy.status().bypass);
}

#[test]
fn an_order_must_say_that_it_is_json_so_that_no_page_in_a_browser_can_give_it() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let order = json!({"order": "park", "product": "horse-racing", "reason": "r"}).to_string();
    for kind in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        for path in ["/api/v1/orders", "/api/v1/signals"] {
            let length = order.len();
            let request =
                format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{kind}content-length: {length}\r\n\r\n{order}");
            let answer = proxy.admin().ask(request);
            assert_eq!(answer.status(), 415, "{kind}");
            assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("application/json")));
        }
    }
    // A name that a page has pointed at this machine is no better.
    let head = "POST /api/v1/orders HTTP/1.1\r\nhost: evil.example\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{order}", order.len());
    assert_eq!(proxy.admin().ask(request).status(), 403);
    assert_eq!(state(&proxy), "open");
    assert_eq!(proxy.admin().get("/nowhere").json()["type"], Value::from("urn:sluss:error:not_found"));
}
