//! Clients that take too long over something are closed, and hold nothing from others.

use std::time::Duration;

use super::backend::{Backend, OK};
use super::certificates::Authority;
use super::client::{Client, get};
use super::http2_client::{self as raw, Http2};
use super::proxy::{Proxy, Setup};
use super::until;

fn impatient(backend: &Backend, listen: &str, keys: &str) -> Proxy {
    Setup::new().listen(listen).horse(backend, keys).start()
}

const ONE_AT_A_TIME: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";
const CLIENT_FAULTS: &str = "sluss_proxy_faults_total{fault=\"client_timeout\"}";
const TOO_SLOW: &str = "sluss_proxy_connections_closed_total{reason=\"too_slow\"}";

#[test]
fn a_client_that_connects_and_says_nothing_is_closed() {
    let backend = Backend::answering(OK);
    let proxy = impatient(&backend, "header_timeout = \"200ms\"", "");
    proxy.client().is_closed();
    assert_eq!(proxy.metric(TOO_SLOW), 1.0);
    proxy.until_alone();
}

#[test]
fn a_head_that_comes_byte_by_byte_is_given_up() {
    let backend = Backend::answering(OK);
    let proxy = impatient(&backend, "header_timeout = \"1s\"", "");
    let mut fresh = proxy.client();
    let mut used = proxy.client();
    assert_eq!(used.get("/horse/odds").status(), 200);
    for client in [&mut fresh, &mut used] {
        let mut twin = client.wire().twin();
        let drip = std::thread::spawn(move || {
            for byte in get("/horse/odds").bytes().take(40).cycle() {
                if twin.say(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        client.is_closed();
        drip.join().unwrap();
    }
    assert_eq!(proxy.metric(TOO_SLOW), 2.0);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_connection_that_rests_too_long_is_closed_and_one_that_is_used_is_not() {
    let backend = Backend::answering(OK);
    let proxy = impatient(&backend, "idle_timeout = \"300ms\"", "");
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 200);
    client.is_closed();
}

#[test]
fn half_a_body_and_silence_is_told_so_and_frees_the_seat() {
    let backend = Backend::answering(OK);
    let proxy = impatient(&backend, "body_timeout = \"300ms\"", ONE_AT_A_TIME);
    for framing in ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = proxy.client();
        let answer = client.ask(format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\n{framing}"));
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (408, Some("client_timeout")));
        client.is_closed();
        proxy.until_in_flight(0);
    }
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    assert_eq!(proxy.metric("sluss_upstream_broken_total{pool=\"horse-racing\"}"), 0.0);
}

#[test]
fn half_a_body_and_silence_frees_the_place_of_who_waits() {
    let door = super::backend::Door::default();
    let backend = Backend::behind(&door);
    let proxy = impatient(&backend, "body_timeout = \"300ms\"", ONE_AT_A_TIME);
    let mut first = proxy.client();
    first.say(get("/horse/odds"));
    proxy.until_in_flight(1);
    let mut second = proxy.client();
    let answer = second.ask("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (408, Some("client_timeout")));
    second.is_closed();
    proxy.until_waiting(0);
    door.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_client_that_does_not_read_its_answer_is_closed() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")?;
        connection.say(vec![7; 100_000_000])
    });
    let proxy = impatient(&backend, "send_timeout = \"500ms\"", ONE_AT_A_TIME);
    for (asked, method) in [(1, "GET"), (2, "POST")] {
        let mut client = proxy.client();
        client.say(format!("{method} /horse/film HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"));
        backend.until_asked(asked);
        proxy.until_alone();
        proxy.until_in_flight(0);
    }
    assert_eq!(proxy.metric(TOO_SLOW), 2.0);
}

#[test]
fn a_client_that_reads_slowly_gets_all_of_it() {
    let backend = Backend::new(|connection| {
        while connection.request()?.is_some() {
            connection.say("HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n")?;
            connection.say(vec![7; 30_000_000])?;
        }
        Ok(())
    });
    let proxy = impatient(&backend, "send_timeout = \"2s\"", "");
    let mut client = proxy.client();
    client.say(get("/horse/film"));
    let wire = client.wire();
    wire.head().unwrap().unwrap();
    // Longer in all than may pass between two pieces.
    for _ in 0..30 {
        assert_eq!(wire.exactly(1_000_000).unwrap().len(), 1_000_000);
        std::thread::sleep(Duration::from_millis(80));
    }
    until("the seat is free", || proxy.product("horse-racing").in_flight == 0);
}

#[test]
fn clients_that_drip_their_bodies_hold_no_seat_and_starve_nobody() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().horse(&backend, "limit = 2").start();
    let mut slow: Vec<_> = (0..10).map(|_| proxy.client()).collect();
    for client in &mut slow {
        client.say("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\na");
    }
    for client in &mut slow {
        client.say("b");
        assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    }
    assert_eq!(proxy.product("horse-racing").in_flight, 0);
    assert!(backend.requests().iter().all(|request| request.body.is_empty()));
}

/// Sends `body` with pauses, a piece each; what the proxy says in the end.
fn drips(proxy: &Proxy, pieces: usize, piece: &[u8], pause: Duration) -> super::wire::Message {
    let mut client = proxy.client();
    let length = pieces * piece.len();
    client.say(format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n"));
    let (mut twin, piece) = (client.wire().twin(), piece.to_vec());
    let drip = std::thread::spawn(move || {
        for _ in 0..pieces {
            if twin.say(&piece).is_err() {
                return;
            }
            std::thread::sleep(pause);
        }
    });
    let answer = client.answer();
    drop(client);
    drip.join().unwrap();
    answer
}

#[test]
fn a_body_that_drips_is_given_up_although_something_comes_all_the_time() {
    let backend = Backend::answering(OK);
    let proxy = impatient(&backend, "body_timeout = \"1s\"\nleast_rate = \"1KiB\"", ONE_AT_A_TIME);
    let began = std::time::Instant::now();
    let answer = drips(&proxy, 3000, b"a", Duration::from_millis(20));
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (408, Some("client_timeout")));
    // And not when it has had a seat for all of `first_byte_timeout`.
    assert!(began.elapsed() < Duration::from_secs(15), "after {:?}", began.elapsed());
    // Three seconds for what may take seven.
    let answer = drips(&proxy, 30, &[b'a'; 200], Duration::from_millis(100));
    assert_eq!(answer.status(), 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_client_does_not_answer_for_a_backend_that_is_slow_to_read() {
    let backend = Backend::new(|connection| {
        connection.head()?;
        std::thread::sleep(Duration::from_secs(3));
        for _ in 0..20_000_000 / 1000 {
            connection.wire().exactly(1000)?;
        }
        connection.say(OK)
    });
    let listen = "body_timeout = \"1s\"\nleast_rate = \"64MiB\"\nbody_bytes = \"64MiB\"";
    let proxy = impatient(&backend, listen, "");
    let mut client = proxy.client();
    client.say("POST /horse/film HTTP/1.1\r\nhost: h\r\ncontent-length: 20000000\r\n\r\n");
    let mut twin = client.wire().twin();
    let sending = std::thread::spawn(move || twin.say(&vec![7; 20_000_000]));
    assert_eq!(client.answer().status(), 200);
    sending.join().unwrap().expect("all of it is read");
}

/// Says a film of 200 MB.
fn cinema() -> Backend {
    Backend::new(|connection| {
        connection.request()?;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")?;
        connection.say(vec![7; 200_000_000])
    })
}

const SIPPING: &str = "send_timeout = \"2s\"\nleast_rate = \"1024MiB\"";

/// How much of a film a client gets that takes some 20 MB a second: ten seconds for all of it, and hardly a tenth of one
/// without a byte.
fn sip(client: &mut Client) -> usize {
    client.say(get("/horse/film"));
    let mut taken = 0;
    while client.wire().exactly(200_000).is_ok() {
        taken += 200_000;
        std::thread::sleep(Duration::from_millis(10));
    }
    taken
}

#[test]
fn a_client_that_sips_its_answer_is_closed_although_it_is_never_silent_for_long() {
    let (backend, authority) = (cinema(), Authority::new());
    for secret in [false, true] {
        let tls = if secret { authority.listen(&["bet.example"]) } else { String::new() };
        let proxy = impatient(&backend, &format!("{SIPPING}\n{tls}"), ONE_AT_A_TIME);
        let mut client = match secret {
            false => proxy.client(),
            true => authority.client(&[]).connect(proxy.address(), "bet.example").expect("a handshake"),
        };
        let taken = sip(&mut client);
        assert!(taken < 199_000_000, "{taken} bytes were taken");
        proxy.until_in_flight(0);
        assert_eq!(proxy.metric(TOO_SLOW), 1.0);
    }
}

/// How much of an answer a client of HTTP/2 gets that takes so much of it at once, so often.
fn sip_http2(proxy: &Proxy, sip: usize, pause: Duration) -> usize {
    let mut client = Http2::with_window(proxy.address(), 65_535);
    let (_, mut film, handle) = client.get("/horse/film").head();
    handle.block_on(async {
        let (mut taken, mut owed) = (0, 0);
        while let Some(Ok(piece)) = film.data().await {
            (taken, owed) = (taken + piece.len(), owed + piece.len());
            while owed >= sip {
                tokio::time::sleep(pause).await;
                film.flow_control().release_capacity(sip).expect("so much was taken");
                owed -= sip;
            }
        }
        taken
    })
}

#[test]
fn an_answer_that_is_sipped_over_http_2_is_given_up_and_one_that_is_taken_slowly_comes_whole() {
    let backend = cinema();
    let proxy = impatient(&backend, SIPPING, ONE_AT_A_TIME);
    // At most 16 KiB in 50 ms: a film would take ten minutes.
    let taken = sip_http2(&proxy, 16 << 10, Duration::from_millis(50));
    assert!(taken < 100_000_000, "{taken} bytes were taken");
    proxy.until_in_flight(0);
    assert_eq!(proxy.metric(TOO_SLOW), 1.0);

    // Twice as fast as it must be; `send_timeout` is over long before it has taken what a backend says at once.
    let length = 160_000;
    let film = [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes(), vec![7; length]].concat();
    let backend = Backend::answering(film);
    let proxy = impatient(&backend, "send_timeout = \"300ms\"\nleast_rate = \"8KiB\"", ONE_AT_A_TIME);
    assert_eq!(sip_http2(&proxy, 4 << 10, Duration::from_millis(250)), length);
    assert_eq!(proxy.metric(TOO_SLOW), 0.0);
}

#[test]
fn a_body_that_drips_over_http_2_is_given_up_and_those_beside_it_go_on() {
    let backend = Backend::answering(OK);
    let proxy = impatient(&backend, "body_timeout = \"1s\"\nleast_rate = \"1KiB\"", ONE_AT_A_TIME);
    let mut client = Http2::to(proxy.address());
    let request = http::Request::post("http://bet.example/horse/bets").body(()).expect("a request");
    let mut bet = client.send(request, true);
    let began = std::time::Instant::now();
    while proxy.metric(CLIENT_FAULTS) == 0.0 {
        assert!(began.elapsed() < Duration::from_secs(15), "after {:?}", began.elapsed());
        bet.say("a", false);
        assert_eq!(client.get("/horse/odds").answer().status(), 200);
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = bet.answer();
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (408, Some("client_timeout")));
}

#[test]
fn a_backend_that_stops_reading_is_at_fault_and_not_its_client() {
    let backend = Backend::new(|connection| {
        connection.head()?;
        std::thread::sleep(Duration::from_secs(5));
        Ok(())
    });
    let proxy = impatient(&backend, "body_bytes = \"64MiB\"", "first_byte_timeout = \"1s\"");
    let mut client = proxy.client();
    client.say("POST /horse/film HTTP/1.1\r\nhost: h\r\ncontent-length: 30000000\r\n\r\n");
    let mut twin = client.wire().twin();
    let sending = std::thread::spawn(move || twin.say(&vec![7; 30_000_000]));
    let answer = client.answer();
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (504, Some("backend_timeout")));
    drop(client);
    let _ = sending.join().unwrap();
    assert_eq!(proxy.metric(CLIENT_FAULTS), 0.0);
}

#[test]
fn a_slow_client_may_take_many_answers_side_by_side_over_http_2() {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 16384\r\n\r\n{}", "a".repeat(16_384));
    let backend = Backend::answering(answer);
    let proxy = impatient(&backend, "send_timeout = \"1s\"\nleast_rate = \"8KiB\"", "");
    let mut client = proxy.client();
    client.say(raw::hello());
    let streams = 20;
    for stream in (1..2 * streams).step_by(2) {
        let lines = raw::lines("/horse/odds");
        client.say(raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, stream, &lines));
    }
    // Four times as much as it must take, and to each of them a fifth of that.
    let mut twin = client.wire().twin();
    let takes = std::thread::spawn(move || {
        for _ in 0..80 {
            std::thread::sleep(Duration::from_millis(250));
            if twin.say(&raw::frame(raw::WINDOW_UPDATE, 0, 0, &8192_u32.to_be_bytes())).is_err() {
                return;
            }
        }
    });
    let mut whole = 0;
    while whole < streams {
        let head = client.wire().exactly(9).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        client.wire().exactly(length).expect("all of it");
        assert_ne!(head[3], raw::RST_STREAM, "{whole} came whole");
        whole += u32::from(head[3] == raw::DATA && head[4] & raw::END_STREAM != 0);
    }
    drop(client);
    takes.join().unwrap();
    assert_eq!(proxy.metric(TOO_SLOW), 0.0);
}
