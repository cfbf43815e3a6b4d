//! Waiting one's turn, and being told no.

use super::backend::{Backend, Door, OK};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::wire::Message;

/// One seat, held by a first client until the door lets it through.
struct Busy {
    door: Door,
    backend: Backend,
    proxy: Proxy,
    first: Client,
}

fn busy(queue: &str) -> Busy {
    busy_with(Setup::new(), queue)
}

fn busy_with(setup: Setup, queue: &str) -> Busy {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = setup.horse(&backend, &format!("limit = 1\nqueue = {{ {queue} }}")).start();
    let mut first = proxy.client();
    first.say("GET /horse/first HTTP/1.1\r\nhost: h\r\nx-customer: anna\r\n\r\n");
    backend.until_asked(1);
    Busy { door, backend, proxy, first }
}

#[track_caller]
fn refused(answer: &Message, status: u16, refusal: &str) {
    assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (status, Some(refusal)), "{}", answer.text());
    assert_eq!(answer.json()["product"], "horse-racing");
    assert_eq!(answer.json()["status"], status);
    assert_eq!(answer.json()["type"], format!("urn:sluss:refusal:{refusal}"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let said = format!("sluss; error=http_request_denied; details=\"{refusal}\"");
    assert_eq!(answer.header("proxy-status"), Some(said.as_str()));
    assert_eq!(answer.header("connection"), None, "a refusal keeps the connection");
}

#[test]
fn those_who_wait_are_served_in_their_order_and_told_how_long_it_took() {
    let Busy { door, backend, proxy, mut first } = busy("longest_wait = \"30s\"");
    let mut waiting: Vec<Client> = (1..=3)
        .map(|place| {
            let mut client = proxy.client();
            client.say(get(&format!("/horse/{place}")));
            proxy.until_waiting(place);
            client
        })
        .collect();
    door.let_one();
    assert_eq!(first.answer().header("server-timing"), None, "who did not wait is told nothing of it");
    for (place, client) in waiting.iter_mut().enumerate() {
        backend.until_asked(place + 2);
        assert_eq!(backend.requests()[place + 1].start(), format!("GET /horse/{} HTTP/1.1", place + 1));
        door.let_one();
        let answer = client.answer();
        let timing = answer.header("server-timing").expect("how long it took");
        assert!(timing.strip_prefix("queue;dur=").is_some_and(|ms| ms.parse::<u64>().is_ok()), "{timing}");
    }
    let waited = "sluss_admission_queue_seconds_count{product=\"horse-racing\",class=\"read\"}";
    assert_eq!(proxy.metric(waited), 3.0);
}

#[test]
fn a_full_queue_says_no_at_once_politely_and_on_a_connection_that_stays() {
    let Busy { door, backend, proxy, mut first } = busy("longest_wait = \"30s\", length = 1");
    let mut second = proxy.client();
    second.say(get("/horse/second"));
    proxy.until_waiting(1);
    let mut third = proxy.client();
    for _ in 0..3 {
        let answer = third.get("/horse/third");
        refused(&answer, 503, "queue_full");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
        assert_eq!(answer.json().get("bet"), None);
        assert!(!answer.text().contains("money"));
    }
    door.open();
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
    assert_eq!(third.get("/horse/third").status(), 200);
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn a_refused_bet_is_told_that_no_money_was_taken() {
    let Busy { door, proxy, backend: _backend, first: _first } = busy("longest_wait = \"30s\", length = 1");
    let mut second = proxy.client();
    second.say(post("/horse/bets", "a bet"));
    proxy.until_waiting(1);
    let answer = proxy.client().post("/horse/bets", "a bet");
    refused(&answer, 503, "not_your_turn");
    assert_eq!(answer.json()["bet"], "not_placed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("no money was taken"));
    door.open();
}

#[test]
fn a_bet_takes_the_place_of_who_came_last_for_less() {
    let Busy { door, backend, proxy, mut first } = busy("longest_wait = \"30s\", length = 1");
    let (mut reader, mut bettor) = (proxy.client(), proxy.client());
    reader.say(get("/horse/odds"));
    proxy.until_waiting(1);
    bettor.say(post("/horse/bets", "a bet"));
    refused(&reader.answer(), 503, "queue_full");
    door.open();
    assert_eq!((first.answer().status(), bettor.answer().status()), (200, 200));
    assert_eq!(backend.requests()[1].start(), "POST /horse/bets HTTP/1.1");
}

#[test]
fn nobody_waits_longer_than_anybody_may() {
    let Busy { door, backend, proxy, mut first } = busy("longest_wait = \"150ms\"");
    let mut second = proxy.client();
    refused(&second.get("/horse/second"), 503, "waited_too_long");
    let answer = second.post("/horse/bets", "a bet");
    refused(&answer, 503, "not_your_turn");
    assert_eq!(answer.json()["bet"], "not_placed");
    door.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(second.get("/horse/second").status(), 200);
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn one_customer_cannot_fill_the_queue() {
    let setup = Setup::new()
        .listen("trusted = [\"127.0.0.0/8\"]")
        .with("[customer]\nfrom = [{ header = \"x-customer\" }, \"address\"]\nat_once = 2");
    let Busy { door, proxy, mut first, backend: _backend } = busy_with(setup, "longest_wait = \"30s\"");
    let asks = |who: &str| {
        let mut client = proxy.client();
        client.say(format!("GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-customer: {who}\r\n\r\n"));
        client
    };
    let mut second = asks("anna");
    proxy.until_waiting(1);
    let mut third = asks("anna");
    let answer = third.answer();
    refused(&answer, 429, "over_customer_share");
    assert!(answer.header("retry-after").is_some());
    let mut other = asks("beata");
    proxy.until_waiting(2);
    door.open();
    assert!([&mut first, &mut second, &mut other].into_iter().all(|client| client.answer().status() == 200));
    assert_eq!(third.get("/horse/odds").status(), 200);
}

#[test]
fn with_nobody_waiting_a_customer_may_have_as_many_at_once_as_there_are_seats() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().with("[customer]\nat_once_per_address = 1").horse(&backend, "").start();
    let mut clients: Vec<Client> = (0..6).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.say(get("/horse/odds")));
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
}
