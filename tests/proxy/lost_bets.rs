//! Bets whose answer is lost: they are unknown and being checked, whoever asks and however the answer went, until somebody
//! knows.

use std::net::TcpStream;

use super::backend::{Backend, Connection, Door, Refusing, Silent};
use super::bets::bet;
use super::client::post;
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::Message;

const HURRIED: &str = "first_byte_timeout = \"1s\"\nlatency_objective = \"100ms\"\nidle_timeout = \"1s\"";
const LOOKUP: &str = "lookup = \"/horse/bets/by-key/{key}\"";

/// What a backend does that has read a bet.
type Loses = fn(&mut Connection) -> std::io::Result<()>;

/// Every way in which a backend can lose a bet before the head of its answer is there.
const LOST: [(&str, Loses); 7] = [
    ("closed before the first byte", |_| Ok(())),
    ("reset before the first byte", |connection| connection.reset()),
    ("closed within the head", |connection| connection.say("HTTP/1.1 201 Crea")),
    ("reset within the head", |connection| {
        connection.say("HTTP/1.1 201 Created\r\ncontent-le")?;
        connection.reset()
    }),
    ("silent", |connection| connection.request().map(drop)),
    ("garbage", |connection| connection.say("SSH-2.0-OpenSSH_9.2\r\n")),
    ("an answer in a coding that nobody asked for", |connection| {
        connection.say("HTTP/1.1 201 Created\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    }),
];

fn loses(how: Loses) -> Backend {
    Backend::new(move |connection| {
        connection.request()?;
        how(connection)
    })
}

#[track_caller]
fn is_unknown(answer: &Message, why: &str) {
    let problem = answer.json();
    assert!(matches!(answer.status(), 502 | 504), "{why}: {}", answer.start());
    assert_eq!(
        (problem["fault"].as_str(), problem["bet"].as_str()),
        (Some("outcome_unknown"), Some("unknown")),
        "{why}"
    );
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("It is being checked")), "{why}");
    for word in ["not placed", "not_placed", "try again", "failed", "no money"] {
        assert!(!answer.text().contains(word), "{why}: {word}");
    }
    assert!(answer.header("proxy-status").is_some_and(|status| status.contains("outcome_unknown")), "{why}");
    assert_eq!(answer.header("retry-after"), None, "{why}: nobody is asked to try again");
}

#[test]
fn a_lost_bet_is_unknown_whoever_asks_and_is_never_sent_again() {
    for (why, how) in LOST {
        let backend = loses(how);
        let proxy = Setup::new().horse(&backend, &format!("{HURRIED}\n{LOOKUP}")).start();
        let mut client = proxy.client();
        for round in 0..3 {
            let answer = client.ask(bet("\"one two\""));
            is_unknown(&answer, why);
            let address = "/horse/bets/by-key/one%20two";
            assert_eq!(answer.json()["lookup"], address, "{why}, {round}");
            assert_eq!(answer.header("link"), Some(format!("<{address}>; rel=\"status\"").as_str()), "{why}, {round}");
        }
        assert_eq!(backend.requests().len(), 1, "{why}");
        assert_eq!(proxy.metric("sluss_once_unknown_bets"), 1.0);
        // Whatever else becomes of the product, it stays unknown.
        proxy.order("close", "horse-racing");
        is_unknown(&client.ask(bet("\"one two\"")), why);
        proxy.until_in_flight(0);
    }
}

#[test]
fn those_who_wait_for_the_answer_to_a_lost_bet_hear_that_it_is_unknown() {
    let door = Door::default();
    let passed = door.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        passed.pass();
        Ok(())
    });
    let proxy = Setup::new().horse(&backend, LOOKUP).start();
    let ask = |_| {
        let mut client = proxy.client();
        client.say(bet("one"));
        client
    };
    let mut clients: Vec<_> = (0..10).map(ask).collect();
    let waiting = "sluss_once_duplicates_total{product=\"horse-racing\",verdict=\"in_flight\"}";
    until("nine wait", || proxy.metric(waiting) == 9.0);
    door.open();
    for client in &mut clients {
        let answer = client.answer();
        is_unknown(&answer, "lost");
        assert_eq!(answer.json()["lookup"], "/horse/bets/by-key/one");
    }
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn an_answer_that_breaks_off_or_stalls_in_its_body_leaves_the_bet_unknown() {
    for (raw, stalls) in [
        ("HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\nonly this", false),
        ("HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\nonly this", true),
        ("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n", false),
    ] {
        let backend = Backend::new(move |connection| {
            connection.request()?;
            connection.say(raw)?;
            // Until the proxy closes.
            if stalls { connection.request().map(drop) } else { Ok(()) }
        });
        let proxy = Setup::new().horse(&backend, HURRIED).start();
        let mut client = proxy.client();
        client.say(bet("one"));
        let said = String::from_utf8(client.rest()).unwrap();
        assert!(said.starts_with("HTTP/1.1 201 ") && !said.contains("\r\n0\r\n\r\n"), "{said}");
        is_unknown(&proxy.client().ask(bet("one")), raw);
        assert_eq!(backend.requests().len(), 1);
    }
}

#[test]
fn bets_that_meet_a_connection_that_is_just_being_closed_are_placed_once_or_unknown() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 201 Created\r\ncontent-length: 6\r\n\r\nplaced")
    });
    let proxy = Setup::new().listen("workers = 1").horse(&backend, "").start();
    let mut client = proxy.client();
    let mut placed = 0;
    for key in 0..300 {
        let answer = client.ask(bet(&key.to_string()));
        match answer.status() {
            201 => placed += 1,
            _ if answer.json()["fault"] == "backend_unreachable" => assert_eq!(answer.json()["bet"], "not_placed"),
            _ => is_unknown(&answer, "closing"),
        }
    }
    let mut keys: Vec<String> =
        backend.requests().iter().filter_map(|bet| bet.header("idempotency-key").map(str::to_owned)).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert!(placed > 100 && keys.len() == all, "{placed} placed, {all} bets of {} keys", keys.len());
}

#[test]
fn a_lost_bet_without_a_key_is_looked_up_where_no_key_is_needed() {
    for (written, told) in [("https://bet.example/bets", Some("https://bet.example/bets")), ("/bets/{key}", None)] {
        let backend = loses(|_| Ok(()));
        let proxy = Setup::new().horse(&backend, &format!("lookup = {written:?}")).start();
        let answer = proxy.client().post("/horse/bets", "a bet");
        is_unknown(&answer, written);
        assert_eq!((answer.json()["lookup"].as_str(), answer.header("link").is_some()), (told, told.is_some()));
        assert_eq!(backend.requests().len(), 1);
        let read = proxy.client().get("/horse/odds");
        assert_eq!((read.header("link"), read.json().get("lookup")), (None, None), "it was no bet");
    }
}

#[test]
fn what_a_backend_says_of_its_own_trouble_stands_and_the_bet_is_not_sent_again_unless_it_asks() {
    for (status, retry_after, again) in [
        ("500 Internal Server Error", "", false),
        ("502 Bad Gateway", "retry-after: 7\r\n", false),
        ("503 Service Unavailable", "", false),
        ("504 Gateway Timeout", "", false),
        ("503 Service Unavailable", "retry-after: 7\r\n", true),
        ("429 Too Many Requests", "", true),
        ("401 Unauthorized", "", true),
    ] {
        let backend = Backend::answering(format!("HTTP/1.1 {status}\r\n{retry_after}content-length: 4\r\n\r\nsick"));
        let proxy = Proxy::before(&backend);
        let first = proxy.client().ask(bet("one"));
        assert!(first.start().ends_with(status) && first.text() == "sick", "{}", first.start());
        let second = proxy.client().ask(bet("one"));
        if again {
            assert!(second.start().ends_with(status));
        } else {
            is_unknown(&second, status);
        }
        assert_eq!(backend.requests().len(), 1 + usize::from(again), "{status}");
    }
}

#[test]
fn what_a_backend_decides_is_told_again_and_not_asked_again() {
    for status in ["201 Created", "303 See Other", "400 Bad Request", "402 Payment Required", "409 Conflict", "422 No"]
    {
        let backend = Backend::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nsaid"));
        let proxy = Proxy::before(&backend);
        for _ in 0..3 {
            let answer = proxy.client().ask(bet("one"));
            assert_eq!((&answer.start()[9..12], answer.text().as_str()), (&status[..3], "said"));
        }
        assert_eq!(backend.requests().len(), 1, "{status}");
    }
}

/// Loses the first answers of each key, and then tells what it did the first time.
fn honours(losses: usize) -> Backend {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < losses {
                return Ok(());
            }
            connection.say("HTTP/1.1 201 Created\r\ncontent-length: 6\r\n\r\nplaced")?;
        }
        Ok(())
    })
}

#[test]
fn an_unknown_bet_goes_again_to_a_backend_that_honours_its_key() {
    let backend = honours(2);
    let proxy = Setup::new().horse(&backend, &format!("honours_idempotency_key = true\n{LOOKUP}")).start();
    for _ in 0..2 {
        is_unknown(&proxy.client().ask(bet("one")), "lost");
    }
    for _ in 0..3 {
        assert_eq!(proxy.client().ask(bet("one")).text(), "placed");
    }
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn an_unknown_bet_stays_unknown_when_its_second_try_is_refused_or_cannot_be_sent() {
    let away = Refusing::somewhere();
    let address = away.address();
    let backend = away.accept(|connection| connection.request().map(drop));
    let proxy = Setup::new().horse(&backend, &format!("honours_idempotency_key = true\n{LOOKUP}")).start();
    is_unknown(&proxy.client().ask(bet("one")), "lost");
    proxy.order("close", "horse-racing");
    let refused = proxy.client().ask(bet("one"));
    is_unknown(&refused, "refused");
    assert_eq!(refused.json()["lookup"], "/horse/bets/by-key/one");
    assert_eq!(proxy.client().ask(bet("two")).json()["bet"], "not_placed");
    drop(backend);
    proxy.order("reopen", "horse-racing");
    until("nobody is there", || TcpStream::connect(address).is_err());
    is_unknown(&proxy.client().ask(bet("one")), "never sent");
    let other = proxy.client().ask(bet("two"));
    assert!(other.json().get("bet").is_none_or(|bet| bet == "not_placed"), "{}", other.text());
}

#[test]
fn those_who_wait_for_a_bet_that_could_not_be_sent_hear_so_and_not_that_it_is_unknown() {
    let silent = Silent::somewhere();
    let proxy =
        Setup::new().product("horse-racing", "/horse/", &[silent.address()], "connect_timeout = \"1s\"").start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.say(bet("one"));
    proxy.until_in_flight(1);
    second.say(bet("one"));
    for client in [&mut first, &mut second] {
        let answer = client.answer();
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
        assert_eq!(answer.json()["bet"], "not_placed");
    }
    let waited = proxy.metric("sluss_once_duplicates_total{product=\"horse-racing\",verdict=\"in_flight\"}");
    assert_eq!(waited, 1.0, "one try for both");
}

#[test]
fn a_bet_that_was_never_sent_is_forgotten() {
    let away = Refusing::somewhere();
    let address = away.address();
    let proxy = Setup::new().product("horse-racing", "/horse/", &[address], "").start();
    let answer = proxy.client().ask(bet("one"));
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_unreachable")));
    let _back = away.accept(|connection| {
        while connection.request()?.is_some() {
            connection.say("HTTP/1.1 201 Created\r\ncontent-length: 6\r\n\r\nplaced")?;
        }
        Ok(())
    });
    assert_eq!(proxy.client().ask(bet("one")).text(), "placed");
    assert_eq!(proxy.client().ask(post("/horse/bets", "another")).text(), "placed");
}
