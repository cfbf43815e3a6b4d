//! Clients that hang up: what they held is free for others, and what may have changed something is carried to
//! its end all the same.

use super::backend::{Backend, Connection, Door, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};
use super::until;

const ONE_AT_A_TIME: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";

fn one_at_a_time(backend: &Backend) -> Proxy {
    // One worker, so that whoever comes next finds the connection that was used before.
    Setup::new().listen("workers = 1").horse(backend, ONE_AT_A_TIME).start()
}

#[test]
fn who_hangs_up_while_waiting_leaves_the_queue_and_never_reaches_the_backend() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = one_at_a_time(&backend);
    let mut first = proxy.client();
    first.say(get("/horse/odds"));
    proxy.until_in_flight(1);
    for request in [
        get("/horse/left"),
        "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nleft".into(),
        "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nhalf".into(),
        "POST /horse/bets HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".into(),
        "POST /horse/bets HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n".into(),
    ] {
        let mut second = proxy.client();
        second.say(&request);
        proxy.until_waiting(1);
        drop(second);
        proxy.until_waiting(0);
    }
    door.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    assert_eq!(backend.requests().len(), 2);
    let left = |class: &str| {
        proxy.metric(&format!("sluss_admission_left_queue_total{{product=\"horse-racing\",class=\"{class}\"}}"))
    };
    assert_eq!((left("read"), left("commit")), (1.0, 4.0));
}

/// Waits at the door with every request, and tells the other door when the proxy has closed on it meanwhile.
fn until_closed(connection: &mut Connection, closed: &Door) -> std::io::Result<()> {
    connection.head()?;
    if connection.wire().rest().is_ok() {
        closed.let_one();
    }
    Ok(())
}

#[test]
fn who_hangs_up_on_a_get_frees_the_seat_and_the_backend_at_once() {
    let closed = Door::default();
    let seen = closed.clone();
    let backend = Backend::new(move |connection| until_closed(connection, &seen));
    let proxy = one_at_a_time(&backend);
    for round in 1..=20 {
        let mut client = proxy.client();
        client.say(get("/horse/odds"));
        backend.until_asked(round);
        drop(client);
        closed.pass();
        proxy.until_in_flight(0);
    }
}

#[test]
fn half_a_bet_that_breaks_off_in_flight_frees_the_seat_and_never_ends_at_the_backend() {
    let closed = Door::default();
    let seen = closed.clone();
    let backend = Backend::new(move |connection| until_closed(connection, &seen));
    let proxy = one_at_a_time(&backend);
    let mut client = proxy.client();
    client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nhalf");
    backend.until_asked(1);
    drop(client);
    closed.pass();
    proxy.until_in_flight(0);
    assert_eq!(proxy.metric("sluss_upstream_broken_total{pool=\"horse-racing\"}"), 0.0);
}

#[test]
fn a_bet_whose_client_hangs_up_is_carried_to_its_end_and_holds_its_seat_till_then() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = one_at_a_time(&backend);
    let mut client = proxy.client();
    client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\na bet");
    backend.until_asked(1);
    drop(client);
    proxy.until_alone();
    let mut next = proxy.client();
    next.say(get("/horse/odds"));
    proxy.until_waiting(1);
    assert_eq!(proxy.product("horse-racing").in_flight, 1);
    door.let_one();
    backend.until_asked(2);
    door.let_one();
    assert_eq!(next.answer().status(), 200);
    assert_eq!(backend.connections(), 1, "nobody has closed on the backend");
    proxy.until_in_flight(0);
}

/// Answers with half of what it promised, and the rest when it is let through.
fn in_halves(door: &Door) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            connection.say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")?;
            door.pass();
            connection.say("rest")?;
        }
        Ok(())
    })
}

#[test]
fn who_hangs_up_within_the_answer_to_a_get_frees_the_seat_at_once() {
    let door = Door::default();
    let backend = in_halves(&door);
    let proxy = one_at_a_time(&backend);
    let mut client = proxy.client();
    client.say(get("/horse/odds"));
    client.wire().head().unwrap();
    drop(client);
    proxy.until_in_flight(0);
    door.open();
    assert_eq!(proxy.client().get("/horse/odds").text(), "halfrest");
}

#[test]
fn who_hangs_up_within_the_answer_to_a_bet_leaves_it_to_be_read_to_its_end() {
    let door = Door::default();
    let backend = in_halves(&door);
    let proxy = one_at_a_time(&backend);
    let mut client = proxy.client();
    client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\na bet");
    client.wire().head().unwrap();
    drop(client);
    proxy.until_alone();
    assert_eq!(proxy.product("horse-racing").in_flight, 1);
    door.open();
    proxy.until_in_flight(0);
    assert_eq!(proxy.client().get("/horse/odds").text(), "halfrest");
    assert_eq!(backend.connections(), 1, "nobody has closed on the backend");
}

#[test]
fn hundreds_who_come_and_go_as_they_like_leave_nothing_behind() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().horse(&backend, "limit = 2\nqueue = { longest_wait = \"30s\", length = 20 }").start();
    let hasty = |seed: usize| {
        let address = proxy.address();
        move || {
            for round in 0..100 {
                let mut client = super::client::Client::to(address);
                let whole = "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\na bet";
                client.try_to_say(&whole[..(seed * 31 + round * 17) % (whole.len() + 1)]);
                if round % 3 == 0 {
                    client.try_to_say(get("/horse/odds"));
                }
            }
        }
    };
    let crowd: Vec<_> = (0..4).map(|seed| std::thread::spawn(hasty(seed))).collect();
    crowd.into_iter().for_each(|one| one.join().unwrap());
    proxy.until_alone();
    proxy.until_waiting(0);
    proxy.until_in_flight(0);
    until("the backends know it too", || proxy.status().backends[0].outstanding == 0);
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
}
