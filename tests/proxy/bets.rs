//! Bets with an idempotency key: however often one is asked for, its backend is asked once, and all hear the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::backend::{Backend, Door};
use super::client::{Client, get};
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::Message;

/// A bet with a key.
pub fn bet(key: &str) -> String {
    bet_of(key, "10 kr on number 4")
}

/// The same with this body.
pub fn bet_of(key: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\nidempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Answers every request with a receipt of its own, each only when it is let through the door.
pub fn receipts(door: &Door) -> Backend {
    let (door, number) = (door.clone(), AtomicUsize::new(0));
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            door.pass();
            let receipt = format!("receipt {}", number.fetch_add(1, Ordering::SeqCst));
            connection.say(format!(
                "HTTP/1.1 201 Created\r\ndate: Sat, 24 Aug 2024 14:06:00 GMT\r\nlocation: /receipts/1\r\nx-hop: 1\r\nconnection: x-hop\r\n\
                 content-length: {}\r\n\r\n{receipt}",
                receipt.len()
            ))?;
        }
        Ok(())
    })
}

/// A door that stands open.
pub fn open() -> Door {
    let door = Door::default();
    door.open();
    door
}

fn duplicates(proxy: &Proxy, verdict: &str) -> f64 {
    proxy.metric(&format!("sluss_once_duplicates_total{{product=\"horse-racing\",verdict=\"{verdict}\"}}"))
}

/// Wait until so many have found that theirs is not the first.
#[track_caller]
pub fn until_duplicates_wait(proxy: &Proxy, many: usize) {
    until("duplicates wait", || duplicates(proxy, "in_flight") >= many as f64);
}

/// Status and name of a fault.
#[track_caller]
pub fn fault_of(answer: &Message) -> (u16, String) {
    (answer.status(), answer.json()["fault"].as_str().unwrap_or_default().to_owned())
}

/// Clients who have asked for the same.
pub fn asked(proxy: &Proxy, requests: usize, what: &str) -> Vec<Client> {
    let ask = |_| {
        let mut client = proxy.client();
        client.say(what);
        client
    };
    (0..requests).map(ask).collect()
}

#[test]
fn twenty_who_ask_for_one_bet_at_once_hear_one_answer_of_one_execution() {
    let door = Door::default();
    let backend = receipts(&door);
    let proxy = Setup::new().listen("workers = 2").horse(&backend, "limit = 4").start();
    let mut clients = asked(&proxy, 20, &bet("one"));
    until_duplicates_wait(&proxy, 19);
    door.open();
    let answers: Vec<Message> = clients.iter_mut().map(Client::answer).collect();
    assert_eq!(backend.request().header("idempotency-key"), Some("one"), "the backend sees the key too");
    for answer in &answers {
        assert_eq!((answer.status(), answer.text().as_str()), (201, "receipt 0"));
        assert_eq!((answer.header("location"), answer.header("x-hop")), (Some("/receipts/1"), None));
        assert_eq!(answer.head, answers[0].head);
    }
    proxy.until_in_flight(0);
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 0", "who asks later hears it too");
    assert_eq!(proxy.client().ask(bet("two")).text(), "receipt 1", "another key is another bet");
    assert_eq!((duplicates(&proxy, "answered"), proxy.metric("sluss_once_bets")), (1.0, 2.0));
}

#[test]
fn the_answer_is_there_for_a_duplicate_when_the_first_has_hung_up() {
    for duplicate_comes_first in [true, false] {
        let door = Door::default();
        let backend = receipts(&door);
        let proxy = Proxy::before(&backend);
        let first = asked(&proxy, 1, &bet("one"));
        backend.until_asked(1);
        let mut second = proxy.client();
        if duplicate_comes_first {
            second.say(bet("one"));
            until_duplicates_wait(&proxy, 1);
            drop(first);
        } else {
            drop(first);
            proxy.until_in_flight(1);
            door.open();
            proxy.until_in_flight(0);
            second.say(bet("one"));
        }
        door.open();
        assert_eq!(second.answer().text(), "receipt 0");
        assert_eq!(backend.requests().len(), 1);
    }
}

#[test]
fn what_has_a_key_is_carried_to_its_end_for_its_duplicates_whatever_its_method() {
    let door = Door::default();
    let backend = receipts(&door);
    let proxy = Setup::new().with("[once]\nclasses = [\"read\"]").horse(&backend, "").start();
    let request = "GET /horse/buy?horse=4 HTTP/1.1\r\nhost: h\r\nidempotency-key: one\r\n\r\n";
    let first = asked(&proxy, 1, request);
    backend.until_asked(1);
    let mut second = asked(&proxy, 1, request);
    until_duplicates_wait(&proxy, 1);
    drop(first);
    until("the first has gone", || proxy.status().connections == 1);
    door.open();
    assert_eq!(second[0].answer().text(), "receipt 0");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn when_the_first_leaves_the_queue_one_of_the_others_is_the_first() {
    let door = Door::default();
    let backend = receipts(&door);
    let proxy = Setup::new().horse(&backend, "limit = 1\nqueue = { longest_wait = \"30s\" }").start();
    let mut before = asked(&proxy, 1, &get("/horse/odds"));
    proxy.until_in_flight(1);
    let first = asked(&proxy, 1, &bet("one"));
    proxy.until_waiting(1);
    let mut others = asked(&proxy, 5, &bet("one"));
    until_duplicates_wait(&proxy, 5);
    assert_eq!(proxy.product("horse-racing").waiting, 1, "duplicates take no place in the queue");
    drop(first);
    until_duplicates_wait(&proxy, 5 + 4);
    door.open();
    before[0].answer();
    for other in &mut others {
        assert_eq!(other.answer().text(), "receipt 1");
    }
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn duplicates_of_a_refused_bet_hear_the_same_refusal_and_the_next_try_is_a_first() {
    let door = Door::default();
    let backend = receipts(&door);
    let proxy = Setup::new().horse(&backend, "limit = 1\nqueue = { longest_wait = \"1s\" }").start();
    let mut before = asked(&proxy, 1, &get("/horse/odds"));
    proxy.until_in_flight(1);
    let mut clients = asked(&proxy, 5, &bet("one"));
    until_duplicates_wait(&proxy, 4);
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!(answer.json()["refusal"], "not_your_turn");
        assert_eq!(answer.json()["bet"], "not_placed");
    }
    door.open();
    before[0].answer();
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 1");
}

#[test]
fn an_answered_bet_is_never_called_not_placed_whatever_has_come_since() {
    let backend = receipts(&open());
    let proxy = Setup::new().with("[event]\nfrom = [{ header = \"x-event\" }]").horse(&backend, "").start();
    let bet = bet("one").replace("host: h", "host: h\r\nx-event: solvalla-5");
    let other = bet.replace("one", "two");
    assert_eq!(proxy.client().ask(&bet).status(), 201);
    proxy.order_event("close", "solvalla-5");
    assert_eq!(proxy.client().ask(&bet).text(), "receipt 0", "its event is closed");
    proxy.order("close", "horse-racing");
    assert_eq!(proxy.client().ask(&bet).text(), "receipt 0", "its product is closed");
    assert_eq!(proxy.client().ask(&other).json()["bet"], "not_placed");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_key_that_was_used_for_another_request_is_refused_and_nothing_is_sent() {
    let backend = receipts(&open());
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    assert_eq!(client.ask(bet("one")).status(), 201);
    for other in [
        bet_of("one", "10 kr on number 5"),
        bet_of("one", ""),
        bet("one").replace("/horse/bets", "/horse/bets?stake=20"),
    ] {
        let answer = client.ask(other);
        assert_eq!(fault_of(&answer), (422, "key_reused".into()));
        assert!(!answer.text().contains("not placed"), "the first was");
    }
    assert_eq!(client.ask(bet("one")).text(), "receipt 0", "and it still stands");
    assert_eq!((backend.requests().len(), duplicates(&proxy, "reused")), (1, 3.0));
}

#[test]
fn the_same_bet_in_other_pieces_is_the_same_bet() {
    let backend = receipts(&open());
    let proxy = Proxy::before(&backend);
    let chunks = |chunks: &str| {
        format!(
            "POST /horse/bets HTTP/1.1\r\nhost: h\r\nidempotency-key: one\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        )
    };
    assert_eq!(proxy.client().ask(bet_of("one", "a bet")).text(), "receipt 0");
    for pieces in ["5\r\na bet\r\n", "1\r\na\r\n1\r\n \r\n3\r\nbet\r\n"] {
        assert_eq!(proxy.client().ask(chunks(pieces)).text(), "receipt 0");
    }
    assert_eq!(proxy.client().ask(chunks("5\r\na bat\r\n")).status(), 422);
}

#[test]
fn a_key_is_its_customers_and_its_products_and_means_nothing_to_others() {
    let backend = receipts(&open());
    let proxy = Setup::new()
        .listen("trusted = [\"127.0.0.1\"]")
        .with("[customer]\nfrom = [{ header = \"x-customer\" }]")
        .horse(&backend, "")
        .product("casino", "/casino/", &[backend.address], "")
        .start();
    let by = |customer: &str, path: &str| {
        bet("one").replace("host: h", &format!("host: h\r\nx-customer: {customer}")).replace("/horse/", path)
    };
    let receipts = [by("anna", "/horse/"), by("bo", "/horse/"), by("anna", "/casino/"), by("anna", "/horse/")]
        .map(|request| proxy.client().ask(request).text());
    assert_eq!(receipts, ["receipt 0", "receipt 1", "receipt 2", "receipt 0"]);
}

#[test]
fn those_behind_one_address_are_told_apart_by_their_tokens() {
    let backend = receipts(&open());
    let proxy = Proxy::before(&backend);
    let by = |token: &str| bet("1").replace("host: h", &format!("host: h\r\nauthorization: Bearer {token}"));
    let receipts = ["anna", "bo", "anna"].map(|token| proxy.client().ask(by(token)).text());
    assert_eq!(receipts, ["receipt 0", "receipt 1", "receipt 0"]);
}

#[test]
fn what_has_no_key_or_is_no_bet_is_none_of_this() {
    let backend = receipts(&open());
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let coupon = bet("one").replace("/bets", "/coupon");
    let unkeyed = bet("").replace("idempotency-key: \r\n", "");
    for (index, request) in [&bet(""), &bet(""), &unkeyed, &unkeyed, &coupon, &coupon].into_iter().enumerate() {
        assert_eq!(client.ask(request).text(), format!("receipt {index}"));
    }
    assert_eq!(proxy.metric("sluss_once_bets"), 0.0);
}

#[test]
fn who_breaks_off_within_a_long_bet_may_send_it_again() {
    let backend = receipts(&open());
    let proxy = Setup::new().listen("waiting_body_bytes = \"1KiB\"").horse(&backend, "").start();
    let long = bet_of("one", &"x".repeat(1_000_000));
    for _ in 0..3 {
        let mut client = proxy.client();
        client.try_to_say(&long[..500_000]);
        proxy.until_in_flight(1);
        drop(client);
        proxy.until_in_flight(0);
    }
    assert_eq!(proxy.client().ask(&long).status(), 201);
    assert_eq!(backend.request().body.len(), 1_000_000, "half a bet is none");
}

#[test]
fn hundreds_who_hurry_and_hang_up_never_have_a_bet_carried_out_twice() {
    let carried_out: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = carried_out.clone();
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            let key = request.header("idempotency-key").unwrap_or_default().to_owned();
            seen.lock().unwrap().push(key.clone());
            std::thread::sleep(Duration::from_millis(key.len() as u64 % 7));
            match key.len() % 3 {
                0 => return Ok(()),
                _ => connection.say(format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{key}", key.len()))?,
            }
        }
        Ok(())
    });
    let proxy =
        Setup::new().listen("workers = 2").horse(&backend, "limit = 3\nqueue = { longest_wait = \"2s\" }").start();
    let hasty = |seed: usize| {
        let address = proxy.address();
        move || {
            for round in 0..60 {
                let key = "k".repeat(1 + (round * 7 + seed) % 40);
                let request = bet(&key);
                let mut client = Client::to(address);
                match (round + seed) % 3 {
                    0 => client.try_to_say(&request),
                    _ => {
                        let answer = client.ask(&request);
                        match answer.status() {
                            201 => assert_eq!(answer.text(), key),
                            _ => assert!(answer.json().get("bet").is_some(), "{}", answer.text()),
                        }
                    }
                }
            }
        }
    };
    let crowd: Vec<_> = (0..6).map(|seed| std::thread::spawn(hasty(seed))).collect();
    crowd.into_iter().for_each(|one| one.join().unwrap());
    proxy.until_in_flight(0);
    let mut keys = carried_out.lock().unwrap().clone();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert!(all > 20 && keys.len() == all, "{all} bets with {} keys", keys.len());
}
