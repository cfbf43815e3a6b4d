//! Reads answered from memory: fetched once for all, given to all, and never what is one customer's.

use std::collections::BTreeSet;
use std::time::Duration;

use super::backend::{Backend, Connection, Door, OK, Refusing};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::Message;

/// Horse racing, whose odds are kept as `cache` says.
fn setup(backend: &Backend, keys: &str, cache: &str) -> Setup {
    Setup::new().horse(backend, keys).with(&format!(
        "[[product.class]]\nclass = \"read\"\ncache = {{ {cache} }}\nmatch = [{{ path = \"/horse/odds\" }}]"
    ))
}

fn keeping(backend: &Backend, cache: &str) -> Proxy {
    setup(backend, "", cache).start()
}

/// Each answer has the number of the request in its body, and these lines in its head.
fn numbered(lines: &str) -> Backend {
    let lines = lines.to_owned();
    let number = std::sync::atomic::AtomicUsize::new(1);
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string();
            connection.say(format!("HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n{number}", number.len()))?;
        }
        Ok(())
    })
}

fn asking(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: bet.example\r\n{lines}\r\n")
}

fn reads(proxy: &Proxy, answer: &str) -> f64 {
    proxy.metric(&format!("sluss_proxy_reads_total{{product=\"horse-racing\",answer=\"{answer}\"}}"))
}

/// What is in memory is past its freshness of 50 ms.
fn past_fresh() {
    std::thread::sleep(Duration::from_millis(80));
}

#[track_caller]
fn is_stale(answer: &Message, body: &str) {
    assert_eq!((answer.status(), answer.text().as_str()), (200, body));
    assert_eq!(answer.header("cache-status"), Some("sluss; hit; detail=stale"));
    assert!(answer.header("age").is_some(), "whoever gets something old is told");
}

/// Many say this at once.
fn crowd(proxy: &Proxy, many: usize, request: impl Fn(usize) -> String) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..many).map(|_| proxy.client()).collect();
    clients.iter_mut().enumerate().for_each(|(place, client)| client.say(request(place)));
    clients
}

#[test]
fn two_hundred_who_ask_at_once_cost_the_backend_one_request() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = keeping(&backend, "fresh = \"60s\"");
    let mut clients = crowd(&proxy, 200, |_| get("/horse/odds?race=5"));
    backend.until_asked(1);
    std::thread::sleep(Duration::from_millis(200));
    door.open();
    let answers: Vec<Message> = clients.iter_mut().map(Client::answer).collect();
    assert!(answers.iter().all(|answer| (answer.status(), answer.text().as_str()) == (200, "ok")));
    let said: BTreeSet<&str> = answers.iter().filter_map(|answer| answer.header("cache-status")).collect();
    assert!(said.contains("sluss; fwd=miss; collapsed"), "{said:?}");
    backend.request();
    assert_eq!(proxy.client().get("/horse/odds?race=5").header("cache-status"), Some("sluss; hit"));
    proxy.client().get("/horse/odds?race=6");
    assert_eq!(backend.requests().len(), 2, "another query is another object");
    assert_eq!((reads(&proxy, "miss"), reads(&proxy, "bypass")), (2.0, 0.0));
    assert_eq!(reads(&proxy, "coalesced") + reads(&proxy, "fresh"), 200.0);
    assert_eq!(proxy.metric("sluss_proxy_arrivals_total{product=\"horse-racing\",class=\"read\"}"), 2.0);
}

#[test]
fn an_answer_is_given_with_its_age_until_it_is_old_and_then_asked_for_again() {
    let backend = numbered("cache-control: max-age=60\r\nage: 7\r\n");
    let proxy = keeping(&backend, "fresh = \"1s\"");
    let mut client = proxy.client();
    let first = client.get("/horse/odds");
    assert_eq!((first.text().as_str(), first.header("age")), ("1", Some("7")));
    assert_eq!(first.header("cache-control"), Some("max-age=60"));
    assert_eq!(first.header("cache-status"), Some("sluss; fwd=miss"));
    assert!(first.header("date").is_some());
    until("it is old", || {
        let again = client.get("/horse/odds");
        let age: u64 = again.header("age").and_then(|age| age.parse().ok()).expect("an age");
        assert!((7..=8).contains(&age), "{age}");
        again.text() == "2"
    });
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn while_a_product_is_parked_readers_get_what_there_is_within_its_age() {
    let backend = numbered("");
    let proxy = keeping(&backend, "fresh = \"50ms\", stale = \"2s\"");
    let mut client = proxy.client();
    client.get("/horse/odds");
    proxy.order("park", "horse-racing");
    past_fresh();
    is_stale(&client.get("/horse/odds"), "1");
    assert_eq!(client.get("/horse/other").status(), 503);
    assert_eq!(client.get("/horse/odds/never-seen").json()["refusal"], "parked");
    until("it is too old", || client.get("/horse/odds").status() == 503);
    backend.request();
    proxy.order("open", "horse-racing");
    assert_eq!(client.get("/horse/odds").text(), "2");
    assert!(reads(&proxy, "stale") >= 1.0 && reads(&proxy, "refused") >= 2.0);
}

#[test]
fn while_a_product_is_down_readers_get_what_there_is() {
    let serve = |connection: &mut Connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nodds")
    };
    let backend = Refusing::at(([127, 0, 0, 1], 0).into()).accept(serve);
    let proxy = keeping(&backend, "fresh = \"50ms\", stale = \"60s\"");
    let address = backend.address;
    let mut client = proxy.client();
    client.get("/horse/odds");
    drop(backend);
    let _gone = Refusing::at(address);
    until("it is down", || {
        client.get("/horse/other");
        proxy.product("horse-racing").state == "down"
    });
    past_fresh();
    is_stale(&client.get("/horse/odds"), "odds");
    let fault = client.get("/horse/odds/never-seen");
    assert_eq!(fault.status(), 503);
}

#[test]
fn while_the_queue_is_full_or_long_readers_get_what_there_is_and_do_not_wait() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let queue = "limit = 1\nqueue = { length = 1, longest_wait = \"60s\" }";
    let proxy = setup(&backend, queue, "fresh = \"50ms\", stale = \"60s\"").start();
    let (mut first, mut second, mut reader) = (proxy.client(), proxy.client(), proxy.client());
    door.let_one();
    reader.get("/horse/odds");
    first.say(post("/horse/bets", "a bet"));
    backend.until_asked(2);
    past_fresh();
    is_stale(&reader.get("/horse/odds"), "ok");
    assert_eq!(proxy.product("horse-racing").waiting, 1, "its fetch waits, and the reader does not");
    second.say(post("/horse/bets", "a bet"));
    until("the bet takes its place", || {
        proxy.metric("sluss_admission_verdicts_total{product=\"horse-racing\",class=\"commit\",verdict=\"wait\"}")
            == 1.0
    });
    for _ in 0..3 {
        is_stale(&reader.get("/horse/odds"), "ok");
    }
    door.open();
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
}

#[test]
fn a_backend_that_fails_or_is_slow_is_not_waited_for_where_there_is_something() {
    let door = Door::default();
    let (behind, asked) = (door.clone(), std::sync::atomic::AtomicUsize::new(0));
    let backend = Backend::new(move |connection| {
        while connection.request()?.is_some() {
            match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => connection.say(OK)?,
                1 => connection.say("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy")?,
                _ => {
                    behind.pass();
                    connection.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nnewer")?;
                }
            }
        }
        Ok(())
    });
    let proxy = keeping(&backend, "fresh = \"50ms\", stale = \"60s\"");
    let mut client = proxy.client();
    client.get("/horse/odds");
    past_fresh();
    is_stale(&client.get("/horse/odds"), "ok");
    assert_eq!(backend.requests().len(), 2);
    until("it is tried again", || {
        is_stale(&client.get("/horse/odds"), "ok");
        backend.requests().len() == 3
    });
    door.open();
    until("there is a newer one", || client.get("/horse/odds").text() == "newer");
}

#[test]
fn one_who_comes_after_long_gets_a_new_answer_when_the_backend_is_well() {
    let backend = numbered("");
    let proxy = keeping(&backend, "fresh = \"50ms\", stale = \"60s\"");
    let mut client = proxy.client();
    for number in 1..=3 {
        assert_eq!(client.get("/horse/odds").text(), number.to_string());
        past_fresh();
    }
}

#[test]
fn answers_are_kept_apart_by_what_they_vary_with_and_by_host_and_origin() {
    let backend = Backend::new(|connection| {
        while let Some(request) = connection.request()? {
            let said = ["accept-language", "host", "origin", "x-app"].map(|name| request.header(name).unwrap_or("-"));
            let body = said.join(" ");
            connection.say(format!(
                "HTTP/1.1 200 OK\r\nvary: Accept-Language, Origin\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))?;
        }
        Ok(())
    });
    let proxy = keeping(&backend, "fresh = \"60s\", headers = [\"x-app\"]");
    let mut client = proxy.client();
    let lines = ["", "accept-language: sv\r\n", "accept-language: en\r\n", "origin: https://a\r\n", "x-app: ios\r\n"];
    let expected = [
        "- bet.example - -",
        "sv bet.example - -",
        "en bet.example - -",
        "- bet.example https://a -",
        "- bet.example - ios",
    ];
    for _ in 0..3 {
        for (lines, expected) in lines.iter().zip(expected) {
            assert_eq!(client.ask(asking("/horse/odds", lines)).text(), expected);
        }
        let other = client.ask("GET /horse/odds HTTP/1.1\r\nhost: other.example\r\n\r\n");
        assert_eq!(other.text(), "- other.example - -");
        client.ask("GET /horse/odds HTTP/1.1\r\nhost: BET.example\r\n\r\n");
    }
    assert_eq!(backend.requests().len(), 6, "each once");
}

#[test]
fn those_who_wait_for_an_answer_that_varies_get_their_own() {
    let door = Door::default();
    let behind = door.clone();
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            behind.pass();
            let said = request.header("accept-language").unwrap_or("-").to_owned();
            connection.say(format!("HTTP/1.1 200 OK\r\nvary: accept-language\r\ncontent-length: 2\r\n\r\n{said}"))?;
        }
        Ok(())
    });
    let proxy = keeping(&backend, "fresh = \"60s\"");
    let language = |place: usize| if place.is_multiple_of(2) { "sv" } else { "en" };
    let mut clients =
        crowd(&proxy, 20, |place| asking("/horse/odds", &format!("accept-language: {}\r\n", language(place))));
    backend.until_asked(1);
    door.open();
    for (place, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), language(place));
    }
    assert_eq!(backend.requests().len(), 2);
}

/// A backend that shows whoever asks their own balance, and says so in these words.
fn personal(lines: &'static str, door: &Door) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            door.pass();
            let who = request.header("cookie").or(request.header("authorization")).unwrap_or("nobody").to_owned();
            let body = format!("the balance of {who}");
            connection.say(format!("HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n{body}", body.len()))?;
        }
        Ok(())
    })
}

#[test]
fn what_is_one_customers_is_never_shown_to_another() {
    for lines in [
        "cache-control: private\r\n",
        "cache-control: no-store\r\n",
        "cache-control: no-cache\r\n",
        "cache-control: max-age=60, Private\r\n",
        "set-cookie: session=anna\r\n",
        "vary: cookie\r\n",
        "vary: *\r\n",
    ] {
        let door = Door::default();
        let backend = personal(lines, &door);
        let proxy = keeping(&backend, "fresh = \"60s\", stale = \"60s\"");
        let mut clients = crowd(&proxy, 20, |place| asking("/horse/odds", &format!("cookie: customer-{place}\r\n")));
        backend.until_asked(1);
        door.open();
        for (place, client) in clients.iter_mut().enumerate() {
            for _ in 0..2 {
                let answer = client.answer();
                assert_eq!(answer.text(), format!("the balance of customer-{place}"), "{lines}");
                assert_eq!(answer.header("cache-status"), Some("sluss; fwd=bypass"));
                client.say(asking("/horse/odds", &format!("cookie: customer-{place}\r\n")));
            }
            client.answer();
        }
        assert_eq!(reads(&proxy, "fresh") + reads(&proxy, "stale") + reads(&proxy, "coalesced"), 0.0);
    }
}

#[test]
fn a_backend_that_forgets_to_say_so_still_cannot_show_one_customers_to_another() {
    let door = Door::default();
    door.open();
    let backend = personal("cache-control: max-age=60\r\n", &door);
    let proxy = setup(&backend, "", "fresh = \"60s\"").listen("trusted = [\"127.0.0.1\"]").start();
    let anna = "cookie: anna\r\nx-customer: anna\r\nx-session: anna\r\nx-original-url: /anna\r\n";
    assert_eq!(proxy.client().ask(asking("/horse/odds", anna)).text(), "the balance of nobody");
    assert_eq!(proxy.client().ask(asking("/horse/odds", "cookie: bo\r\n")).text(), "the balance of nobody");
    let fetched = backend.request();
    for name in ["cookie", "x-customer", "x-session", "x-original-url"] {
        assert_eq!(fetched.header(name), None, "{name}");
    }
    assert_eq!(fetched.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(fetched.all("via"), ["1.1 sluss"]);
}

#[test]
fn who_proves_who_they_are_or_wants_a_part_is_not_answered_from_memory() {
    let door = Door::default();
    door.open();
    let backend = personal("cache-control: max-age=60, public\r\n", &door);
    let proxy = keeping(&backend, "fresh = \"60s\"");
    let mut client = proxy.client();
    client.get("/horse/odds");
    for who in ["anna", "bo", "anna"] {
        let answer = client.ask(asking("/horse/odds", &format!("authorization: {who}\r\n")));
        assert_eq!(answer.text(), format!("the balance of {who}"));
        assert_eq!(answer.header("cache-status"), Some("sluss; fwd=bypass"));
    }
    for (lines, body) in [("range: bytes=0-1\r\n", ""), ("if-match: \"a\"\r\n", ""), ("content-length: 1\r\n", "x")] {
        client.say(format!("{}{body}", asking("/horse/odds", lines)));
        assert_eq!(client.answer().header("cache-status"), Some("sluss; fwd=bypass"), "{lines}");
    }
    assert_eq!(backend.requests().len(), 7);
    assert_eq!(client.post("/horse/odds", "x").header("cache-status"), Some("sluss; fwd=bypass"));
    let reload = client.ask(asking("/horse/odds", "cache-control: no-cache\r\npragma: no-cache\r\n"));
    assert_eq!(reload.header("cache-status"), Some("sluss; hit"), "a reload costs the backend nothing");
}

#[test]
fn a_stranger_who_asks_oddly_does_not_have_others_go_their_own_way() {
    let backend = Backend::new(|connection| {
        while let Some(request) = connection.request()? {
            match request.header("accept") {
                Some("x/y") => connection.say("HTTP/1.1 406 No\r\ncontent-length: 2\r\n\r\nno")?,
                _ => connection.say(OK)?,
            }
        }
        Ok(())
    });
    let proxy = keeping(&backend, "fresh = \"60s\"");
    assert_eq!(proxy.client().ask(asking("/horse/odds", "accept: x/y\r\n")).status(), 406);
    for said in ["sluss; fwd=miss", "sluss; hit"] {
        assert_eq!(proxy.client().get("/horse/odds").header("cache-status"), Some(said));
    }
}

#[test]
fn a_head_and_a_known_answer_come_from_memory() {
    let backend = numbered("etag: W/\"v,1\"\r\ncontent-type: text/odds\r\n");
    let proxy = keeping(&backend, "fresh = \"60s\"");
    let mut client = proxy.client();
    assert_eq!(client.head("/horse/odds").header("cache-status"), Some("sluss; fwd=bypass"), "nothing to tell yet");
    let first = client.ask(asking("/horse/odds", "if-none-match: \"other\"\r\n"));
    assert_eq!((first.status(), first.text().as_str()), (200, "2"));
    assert_eq!(backend.requests()[1].header("if-none-match"), None, "what is fetched is fetched whole");
    let head = client.head("/horse/odds");
    assert_eq!(
        (head.status(), head.header("content-length"), head.header("cache-status")),
        (200, Some("1"), Some("sluss; hit"))
    );
    for tags in ["\"v,1\"", "W/\"v,1\"", "\"a\", W/\"v,1\"", "*"] {
        let known = client.ask(asking("/horse/odds", &format!("if-none-match: {tags}\r\n")));
        assert_eq!((known.status(), known.text().as_str()), (304, ""), "{tags}");
        assert_eq!((known.header("etag"), known.header("content-type")), (Some("W/\"v,1\""), None));
        assert!(known.header("age").is_some());
    }
    assert_eq!(client.ask(asking("/horse/odds", "if-none-match: \"v\"\r\n")).status(), 200);
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn the_fetch_goes_on_when_the_one_who_asked_first_hangs_up() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = keeping(&backend, "fresh = \"60s\"");
    let mut first = proxy.client();
    first.say(get("/horse/odds"));
    backend.until_asked(1);
    let mut others: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
    others.iter_mut().for_each(|other| other.say(get("/horse/odds")));
    drop(first);
    until("the first has gone", || proxy.status().connections == 4);
    door.open();
    others.iter_mut().for_each(|other| assert_eq!(other.answer().text(), "ok"));
    backend.request();
    proxy.until_in_flight(0);
}

#[test]
fn a_short_body_is_a_fault_for_all_who_wait_and_is_not_kept() {
    let door = Door::default();
    let behind = door.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        behind.pass();
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort")
    });
    let proxy = keeping(&backend, "fresh = \"60s\", stale = \"60s\"");
    let mut clients = crowd(&proxy, 10, |_| get("/horse/odds"));
    backend.until_asked(1);
    std::thread::sleep(Duration::from_millis(200));
    door.open();
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_broken_answer")));
    }
    assert_eq!(clients[0].get("/horse/odds").status(), 502, "nothing was kept");
    proxy.until_in_flight(0);
}

#[test]
fn who_waits_hears_the_refusal_of_the_one_who_asked_but_not_that_it_asked_too_much() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let keys = "limit = 1\nqueue = { longest_wait = \"300ms\" }";
    let proxy = setup(&backend, keys, "fresh = \"60s\"").start();
    let mut busy = proxy.client();
    busy.say(post("/horse/bets", "a bet"));
    backend.until_asked(1);
    let mut clients = crowd(&proxy, 10, |_| get("/horse/odds"));
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("waited_too_long")));
        assert!(answer.header("retry-after").is_some() && answer.header("cache-status").is_some());
    }
    assert_eq!(proxy.metric("sluss_proxy_arrivals_total{product=\"horse-racing\",class=\"read\"}"), 1.0);
    door.open();
    busy.answer();

    let door = Door::default();
    let backend = Backend::behind(&door);
    let keys = "limit = 1\nqueue = { longest_wait = \"60s\" }";
    let proxy = setup(&backend, keys, "fresh = \"60s\"")
        .listen("trusted = [\"127.0.0.0/8\"]")
        .with("[customer]\nfrom = [{ header = \"x-customer\" }]\nat_once = 1")
        .start();
    let mut hammer = proxy.client();
    hammer.say(asking("/horse/page", "x-customer: hammer\r\n"));
    backend.until_asked(1);
    let mut again = proxy.client();
    again.say(asking("/horse/odds", "x-customer: hammer\r\n"));
    let too_much = again.answer();
    assert_eq!((too_much.status(), too_much.header("cache-status")), (429, Some("sluss; fwd=bypass")));
    let refused =
        "sluss_admission_refusals_total{product=\"horse-racing\",class=\"read\",refusal=\"over_customer_share\"}";
    assert_eq!(proxy.metric(refused), 2.0, "for all, and for itself");
    let mut polite = proxy.client();
    polite.say(asking("/horse/odds", "x-customer: polite\r\n"));
    proxy.until_waiting(1);
    door.open();
    assert_eq!((polite.answer().status(), hammer.answer().status()), (200, 200));
}

#[test]
fn memory_has_a_bound_and_what_is_too_large_is_each_ones_own() {
    let backend = Backend::new(|connection| {
        while let Some(request) = connection.request()? {
            let length = if request.start().contains("large") { 65_537 } else { 60_000 };
            let chunked = request.start().contains("chunked");
            let body = "x".repeat(length);
            match chunked {
                true => connection.say(format!(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                ))?,
                false => connection.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"))?,
            }
        }
        Ok(())
    });
    let proxy = setup(&backend, "", "fresh = \"60s\"").with("[cache]\nmemory = \"1MiB\"").start();
    let mut client = proxy.client();
    for object in 0..60 {
        assert_eq!(client.get(&format!("/horse/odds?{object}")).text().len(), 60_000);
    }
    let (held, most) = (proxy.metric("sluss_proxy_cache_bytes"), proxy.metric("sluss_proxy_cache_limit_bytes"));
    assert_eq!(most, f64::from(1 << 20));
    assert!((300_000.0..=most).contains(&held), "{held} of {most}");
    for path in ["/horse/odds?large", "/horse/odds?large-and-chunked"] {
        for _ in 0..3 {
            let answer = client.get(path);
            assert_eq!(answer.text().len(), 65_537);
            assert_eq!(answer.header("cache-status"), Some("sluss; fwd=bypass"));
        }
    }
    let chunked = client.get("/horse/odds?chunked");
    assert_eq!((chunked.text().len(), chunked.header("transfer-encoding")), (60_000, None));
    assert_eq!(client.get("/horse/odds?chunked").header("cache-status"), Some("sluss; hit"));
}

#[test]
fn what_slow_readers_still_have_to_be_sent_counts_towards_the_bound() {
    let backend = Backend::new(|connection| {
        while connection.request()?.is_some() {
            connection.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n{}", "x".repeat(65_536)))?;
        }
        Ok(())
    });
    let proxy = setup(&backend, "", "fresh = \"1ms\"").with("[cache]\nmemory = \"1MiB\"").start();
    let mut slow: Vec<Client> = Vec::new();
    until("nothing more is kept", || {
        // Each is another copy, for the one before is old; nobody reads it.
        let mut client = proxy.client();
        (0..60).for_each(|_| client.try_to_say(get("/horse/odds")));
        slow.push(client);
        reads(&proxy, "bypass") > 0.0
    });
    drop(slow);
    proxy.until_alone();
    until("it is kept again", || {
        proxy.client().get("/horse/odds/again").header("cache-status") == Some("sluss; fwd=miss")
    });
}

#[test]
fn nothing_else_is_kept_and_nothing_is_while_all_but_plain_proxying_is_off() {
    let backend = numbered("cache-control: max-age=60\r\n");
    let proxy = keeping(&backend, "fresh = \"60s\"");
    let mut client = proxy.client();
    for number in ["1", "2"] {
        let answer = client.get("/horse/other");
        assert_eq!((answer.text().as_str(), answer.header("cache-status")), (number, None));
    }
    client.get("/horse/odds");
    let order = serde_json::json!({"order": "bypass", "on": true, "reason": "a test", "who": "anna"});
    assert_eq!(proxy.post("/api/v1/orders", &order).status(), 200);
    assert_eq!(client.get("/horse/odds").text(), "4");
    assert_eq!(client.get("/horse/odds").text(), "5");
}
