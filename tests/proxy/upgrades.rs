//! WebSockets and other upgrades: who may, what passes, and how a tunnel ends.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::access_log::Log;
use super::backend::{Backend, Connection, Door, OK};
use super::certificates::Authority;
use super::client::{Client, get};
use super::proxy::{Proxy, Setup};
use super::until;

pub const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A request for a WebSocket, with more header lines.
pub fn websocket(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: bet.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// Switches, and gives back whatever it hears.
fn echo(connection: &mut Connection) -> io::Result<()> {
    while let Some(request) = connection.head()? {
        if request.header("upgrade").is_none() {
            connection.say(OK)?;
            continue;
        }
        connection.say(SWITCHES)?;
        loop {
            let heard = connection.wire().exactly(1)?;
            connection.say(heard)?;
        }
    }
    Ok(())
}

/// Switches, and then does this.
pub fn then(script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Backend {
    Backend::new(move |connection| {
        if connection.head()?.is_none() {
            return Ok(());
        }
        connection.say(SWITCHES)?;
        script(connection)
    })
}

/// The switch has been made.
#[track_caller]
pub fn switch(client: &mut Client) {
    let answer = client.ask(websocket("/horse/live", ""));
    assert_eq!(answer.status(), 101, "{}", answer.head);
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for never in ["content-length", "transfer-encoding"] {
        assert_eq!(answer.header(never), None, "{}", answer.head);
    }
}

#[test]
fn bytes_go_both_ways_and_the_line_says_how_many_and_who_ended_it() {
    let (log, backend) = (Log::new(), Backend::new(echo));
    let proxy = log.setup("").horse(&backend, "").start();
    let mut client = proxy.client();
    switch(&mut client);
    for word in ["hello", "\0\u{1}\u{2}", &"x".repeat(100_000)] {
        client.say(word);
        assert_eq!(client.wire().exactly(word.len()).unwrap(), word.as_bytes());
    }
    let request = backend.request();
    assert_eq!((request.header("upgrade"), request.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(request.header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    client.wire().finish().unwrap();
    client.is_closed();
    proxy.until_alone();
    proxy.until_in_flight(0);
    let line = log.only(proxy);
    assert_eq!((line["ended"].as_str(), line["status"].as_u64()), (Some("client_closed"), Some(101)));
    assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(100_008), Some(100_008)));
}

#[test]
fn what_either_side_says_before_the_switch_is_complete_is_not_lost() {
    let backend = Backend::new(|connection| {
        connection.head()?;
        connection.say(format!("{SWITCHES}behind the head"))?;
        let early = connection.wire().exactly(17)?;
        connection.say(early)
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say(websocket("/horse/live", "") + "ahead of the head");
    assert_eq!(client.wire().answer(false).unwrap().unwrap().status(), 101);
    assert_eq!(client.rest(), b"behind the headahead of the head");
}

#[test]
fn much_at_once_both_ways_comes_whole() {
    let many = 3_000_000;
    let backend = then(move |connection| {
        let mut twin = connection.wire().twin();
        let says = std::thread::spawn(move || twin.say(&vec![b'd'; many]));
        let heard = connection.wire().exactly(many)?;
        assert!(heard.iter().all(|byte| *byte == b'u'));
        says.join().expect("it says it all")?;
        connection.say("all of it")
    });
    let authority = Authority::new();
    for secure in [false, true] {
        let listen = if secure { authority.listen(&["bet.example"]) } else { String::new() };
        let proxy = Setup::new().listen(&listen).horse(&backend, "").start();
        let mut client = match secure {
            true => authority.client(&[]).connect(proxy.address(), "bet.example").unwrap(),
            false => proxy.client(),
        };
        switch(&mut client);
        if secure {
            // One end of TLS does one thing at a time.
            assert_eq!(client.wire().exactly(many).unwrap(), vec![b'd'; many]);
            client.say(vec![b'u'; many]);
        } else {
            let mut twin = client.wire().twin();
            let says = std::thread::spawn(move || twin.say(&vec![b'u'; many]));
            assert_eq!(client.wire().exactly(many).unwrap(), vec![b'd'; many]);
            says.join().unwrap().unwrap();
        }
        assert_eq!(client.rest(), b"all of it");
    }
}

#[test]
fn a_backend_that_takes_no_upgrade_answers_like_any_other() {
    let backend = Backend::answering("HTTP/1.1 426 Upgrade Required\r\nupgrade: our/1\r\ncontent-length: 3\r\n\r\nno!");
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..3 {
        let answer = client.ask(websocket("/horse/live", ""));
        assert_eq!((answer.status(), answer.text().as_str(), answer.header("upgrade")), (426, "no!", None));
    }
    assert_eq!(client.get("/horse/odds").status(), 426);
    assert_eq!(backend.connections(), 3, "one for each that may never come back, which serve others when they do");
}

#[test]
fn a_request_that_may_not_upgrade_is_passed_on_as_one_that_does_not_ask_to() {
    let backend = Backend::answering(OK);
    let setup = || Setup::new();
    let none = setup().horse(&backend, "upgrade = []").start();
    let other = setup().horse(&backend, "upgrade = [\"our/1\"]").start();
    let usual = setup().horse(&backend, "").start();
    let asks = websocket("/horse/live", "");
    let h2c = asks.replace("websocket\r\n", "h2c\r\n");
    let no_wish = asks.replace("Connection: keep-alive, Upgrade\r\n", "");
    let old = asks.replace("HTTP/1.1", "HTTP/1.0");
    let body = asks.replace("GET", "POST").replace("\r\n\r\n", "\r\ncontent-length: 3\r\n\r\nbet");
    for (proxy, ask) in
        [(&none, &asks), (&other, &asks), (&usual, &h2c), (&usual, &no_wish), (&usual, &old), (&usual, &body)]
    {
        assert_eq!(proxy.client().ask(ask).status(), 200, "{ask}");
        let request = backend.requests().pop().unwrap();
        assert_eq!((request.header("upgrade"), request.header("connection")), (None, None), "{ask}");
    }
    // Of several only what may.
    assert_eq!(usual.client().ask(asks.replace("websocket\r\n", "h2c, websocket\r\n")).status(), 200);
    assert_eq!(backend.requests().pop().unwrap().header("upgrade"), Some("websocket"));
}

#[test]
fn who_offers_an_upgrade_and_still_sends_hears_the_refusal_all_the_same() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let proxy = Setup::new().listen(&authority.listen(&["bet.example"])).horse(&backend, "").start();
    proxy.order("park", "horse-racing");
    let head =
        "POST /horse/bets HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 900000\r\n\r\n";
    for _ in 0..5 {
        let mut client = authority.client(&[]).connect(proxy.address(), "bet.example").unwrap();
        client.say(head);
        client.try_to_say(vec![b'x'; 200_000]);
        let answer = client.answer();
        assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("parked")));
        // Through TLS the end is told, too.
        assert!(client.wire().rest().is_ok_and(|rest| rest.is_empty()));
    }
}

#[test]
fn a_backend_that_switches_unasked_or_to_something_else_is_at_fault() {
    let other = SWITCHES.replace("Upgrade: websocket", "Upgrade: h2c");
    let none = SWITCHES.replace("Upgrade: websocket\r\n", "");
    let lengths = SWITCHES.replace("\r\n\r\n", "\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n");
    for (switches, ask) in [
        (SWITCHES, get("/horse/odds")),
        (other.as_str(), websocket("/horse/live", "")),
        (none.as_str(), websocket("/horse/live", "")),
        (lengths.as_str(), websocket("/horse/live", "")),
    ] {
        let backend = Backend::answering(switches);
        let proxy = Proxy::before(&backend);
        let answer = proxy.client().ask(ask);
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_broken_answer")));
        proxy.until_in_flight(0);
    }
}

#[test]
fn who_has_said_their_last_still_hears_the_other_side() {
    let backend = then(|connection| {
        let heard = connection.wire().rest()?;
        connection.say(format!("heard {} bytes", heard.len()))
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    switch(&mut client);
    client.say("the last");
    client.wire().finish().unwrap();
    assert_eq!(client.rest(), b"heard 8 bytes");
    proxy.until_alone();
}

#[test]
fn whichever_end_breaks_ends_both() {
    let (log, door) = (Log::new(), Door::default());
    let at_door = door.clone();
    let backend = then(move |connection| {
        if connection.wire().exactly(1)? == b"r" {
            return connection.reset();
        }
        // The client has gone.
        let heard = connection.wire().all()?;
        assert!(heard.is_empty());
        at_door.let_one();
        Ok(())
    });
    let proxy = log.setup("").horse(&backend, "").start();
    let mut client = proxy.client();
    switch(&mut client);
    client.say("r");
    assert!(client.wire().all().unwrap().is_empty());
    proxy.until_alone();
    let mut client = proxy.client();
    switch(&mut client);
    client.say("x");
    client.wire().reset().unwrap();
    drop(client);
    door.pass();
    proxy.until_alone();
    proxy.until_in_flight(0);
    let ended: Vec<_> = log.after(proxy).iter().map(|line| line["ended"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ended, ["backend_reset", "client_gone"]);
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed_in_its_own_time() {
    let (log, backend) = (Log::new(), Backend::new(echo));
    let keys = "idle_timeout = \"100ms\"\ntotal_timeout = \"300ms\"\nlatency_objective = \"50ms\"\n\
        streams = { idle_timeout = \"1s\" }";
    let proxy = log.setup("").horse(&backend, keys).start();
    let mut client = proxy.client();
    switch(&mut client);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        client.say("x");
        assert_eq!(client.wire().exactly(1).unwrap(), b"x");
        std::thread::sleep(Duration::from_millis(100));
    }
    let quiet = Instant::now();
    client.is_closed();
    assert!(quiet.elapsed() > Duration::from_millis(500), "{:?}", quiet.elapsed());
    proxy.until_alone();
    assert_eq!(log.only(proxy)["ended"], "tunnel_idle");
}

#[test]
fn a_tunnel_lasts_no_longer_than_it_may() {
    let backend = then(|connection| {
        loop {
            connection.say("tick")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let proxy = Setup::new().horse(&backend, "streams = { seat = \"100ms\", longest = \"500ms\" }").start();
    let mut client = proxy.client();
    switch(&mut client);
    let begun = Instant::now();
    while client.wire().exactly(4).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it goes on and on");
    }
    proxy.until_alone();
}

#[test]
fn another_configuration_cuts_no_tunnel() {
    let backend = Backend::new(echo);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    switch(&mut client);
    proxy.goes_on_by(Setup::new().horse(&backend, "upgrade = []"));
    client.say("still there");
    assert_eq!(client.wire().exactly(11).unwrap(), b"still there");
    assert_eq!(proxy.client().ask(websocket("/horse/live", "")).status(), 200, "who comes now may not");
    client.wire().finish().unwrap();
    client.is_closed();
    proxy.until_in_flight(0);
}

#[test]
fn going_down_waits_for_tunnels_as_long_as_it_may() {
    let (log, backend) = (Log::new(), Backend::new(echo));
    let proxy = log.setup("").listen("drain = \"3s\"").horse(&backend, "").start();
    let (mut ends, mut stays) = (proxy.client(), proxy.client());
    switch(&mut ends);
    switch(&mut stays);
    let mut admin = proxy.admin();
    let begun = Instant::now();
    let stopping = std::thread::spawn(move || log.after(proxy));
    until("it goes down", || admin.get("/readyz").status() == 503);
    std::thread::sleep(Duration::from_millis(300));
    for client in [&mut ends, &mut stays] {
        client.say("still there");
        assert_eq!(client.wire().exactly(11).unwrap(), b"still there");
    }
    ends.wire().finish().unwrap();
    ends.is_closed();
    stays.is_closed();
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    let ended: Vec<_> =
        stopping.join().unwrap().iter().map(|line| line["ended"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ended, ["client_closed", "cut_on_drain"]);
}

#[test]
fn a_client_that_does_not_read_its_tunnel_is_closed() {
    let backend = then(|connection| {
        let much = vec![b'x'; 1 << 20];
        loop {
            connection.say(&much)?;
        }
    });
    let (log, listen) = (Log::new(), "send_timeout = \"500ms\"");
    let proxy = log.setup("").listen(listen).horse(&backend, "").start();
    let mut client = proxy.client();
    switch(&mut client);
    proxy.until_alone();
    assert_eq!(client.wire().peek().map_err(|kind| kind == ErrorKind::WouldBlock), Ok(1));
    assert_eq!(log.only(proxy)["ended"], "client_slow");
}

#[test]
fn who_is_gone_before_the_switch_leaves_nothing_behind() {
    let door = Door::default();
    let at_door = door.clone();
    let backend = then_at(&at_door);
    let proxy = Proxy::before(&backend);
    for gone in 1..=3 {
        let mut client = proxy.client();
        // Who has said more than their request is not listened to any more, and so not seen to go.
        client.say(websocket("/horse/live", "") + "x");
        backend.until_asked(gone);
        client.wire().reset().unwrap();
        drop(client);
        door.let_one();
        proxy.until_in_flight(0);
        proxy.until_alone();
    }
}

/// Switches when it is let through the door, and then hears what it is told.
fn then_at(door: &Door) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        connection.head()?;
        door.pass();
        std::thread::sleep(Duration::from_millis(100));
        connection.say(SWITCHES)?;
        connection.wire().all().map(|_| ())
    })
}
