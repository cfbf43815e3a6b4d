//! Bets and betting stops: nothing is sent after one, wherever the bet says what it is for and however the stop moves.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::backend::{Backend, Door, OK};
use super::client::Client;
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::Message;

/// Sources as most sites would have them.
const FROM: &str = r#"[event]
from = [{ header = "x-event" }, { path = "/horse/bets/{event}" }, { json = "/coupon/race" }, { json = "/legs/*/race" }]"#;

/// A schedule file with these events of horse racing, each with its stop so many seconds from now.
pub fn schedule(folder: &tempfile::TempDir, events: &[(&str, i64)]) -> String {
    let path = folder.path().join("schedule.toml");
    let event = |(id, seconds): &(&str, i64)| {
        format!("[[event]]\nid = \"{id}\"\nproduct = \"horse-racing\"\nstop = \"{}\"\n", from_now(*seconds))
    };
    std::fs::write(&path, events.iter().map(event).collect::<String>()).unwrap();
    format!("[schedule]\nfile = {:?}", path.display().to_string())
}

pub fn from_now(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)
}

/// Horse racing with these events, in front of this backend, with these keys of the product.
fn proxy(folder: &tempfile::TempDir, events: &[(&str, i64)], backend: SocketAddr, keys: &str) -> Proxy {
    let setup = Setup::new().with(&schedule(folder, events)).with(FROM);
    setup.product("horse-racing", "/horse/", &[backend], keys).start()
}

fn json_bet(body: &str) -> String {
    typed_bet("application/json", body)
}

fn typed_bet(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[track_caller]
pub fn refused(answer: &Message, refusal: &str) {
    assert_eq!(answer.json()["refusal"], refusal, "{}", answer.text());
    assert_eq!(answer.json()["bet"], "not_placed");
}

#[track_caller]
pub fn move_stop(proxy: &Proxy, event: &str, stop: &str) -> Value {
    let document = json!({"stop": stop, "reason": "a test", "who": "anna"});
    let answer = proxy.post(&format!("/api/v1/events/{event}/stop"), &document);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

fn unread(reason: &str) -> String {
    format!("sluss_proxy_bodies_unread_total{{product=\"horse-racing\",wanted=\"event\",reason=\"{reason}\"}}")
}

#[test]
fn a_bet_that_names_a_stopped_race_in_its_body_is_refused_and_others_go_on_unchanged() {
    let (folder, backend) = (tempfile::tempdir().unwrap(), Backend::answering(OK));
    let proxy = proxy(&folder, &[("over", -1), ("ahead", 3600)], backend.address, "");
    let mut client = proxy.client();
    for over in [
        r#"{"coupon": {"race": "over"}}"#,
        r#"{"stake": 1e9, "coupon": {"x": [[]], "race": "over"}, "more": null}"#,
        r#"{"coupon": {"race": "ahead", "race": "over"}}"#,
        r#"{"legs": [{"race": "ahead"}, {"race": "over"}, {"race": "unknown"}]}"#,
    ] {
        refused(&client.ask(json_bet(over)), "past_betting_stop");
    }
    assert_eq!(backend.requests().len(), 0);
    let ahead = r#"{ "coupon": {"race" :"ahead"}, "legs": [{"race": "unknown"}] }"#;
    assert_eq!(client.ask(json_bet(ahead)).status(), 200);
    assert_eq!(backend.request().text(), ahead, "byte for byte");
}

#[test]
fn every_event_that_a_bet_names_must_allow_it() {
    let (folder, backend) = (tempfile::tempdir().unwrap(), Backend::answering(OK));
    let proxy = proxy(&folder, &[("over", -1), ("ahead", 3600)], backend.address, "");
    let mut client = proxy.client();
    let mut bet = |path: &str, header: &str, body: &str| {
        let length = body.len();
        client.ask(format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nx-event: {header}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
    };
    let race = |id: &str| format!("{{\"coupon\": {{\"race\": \"{id}\"}}}}");
    refused(&bet("/horse/bets/over", "ahead", &race("ahead")), "past_betting_stop");
    refused(&bet("/horse/bets/ahead", "over", &race("ahead")), "past_betting_stop");
    refused(&bet("/horse/bets/ahead", "ahead", &race("over")), "past_betting_stop");
    refused(&bet("/horse/bets", "ahead", &race("over")), "past_betting_stop");
    assert_eq!(bet("/horse/bets/ahead", "ahead", &race("ahead")).status(), 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_body_that_cannot_be_read_is_the_backends_business_and_is_counted() {
    let (folder, backend) = (tempfile::tempdir().unwrap(), Backend::answering(OK));
    let proxy = proxy(&folder, &[("over", -1)], backend.address, "");
    let mut client = proxy.client();
    let long = format!("{{\"coupon\": {{\"race\": \"over\"}}, \"text\": \"{}\"}}", "x".repeat(20 << 10));
    let deep = "[".repeat(16 << 10);
    let cases = [
        ("other_type", "text/plain", r#"{"coupon": {"race": "over"}}"#),
        ("too_large", "application/json", long.as_str()),
        ("not_json", "application/json", "race=over"),
        ("not_json", "application/json", deep.as_str()),
        ("missing", "application/json", r#"{"coupon": {}}"#),
        ("unusable", "application/json", r#"{"coupon": {"race": {"id": "over"}}}"#),
    ];
    for (index, (_, kind, body)) in cases.iter().enumerate() {
        assert_eq!(client.ask(typed_bet(kind, body)).status(), 200);
        assert_eq!(backend.requests()[index].text(), *body);
    }
    for (reason, times) in
        [("other_type", 1.0), ("too_large", 1.0), ("not_json", 2.0), ("missing", 1.0), ("unusable", 1.0)]
    {
        assert_eq!(proxy.metric(&unread(reason)), times, "{reason}");
    }
    // What is named elsewhere is known, whatever the body says.
    assert_eq!(client.post("/horse/bets/ahead", "race=over").status(), 200);
    assert_eq!(proxy.metric(&unread("other_type")), 1.0);
}

#[test]
fn a_body_in_pieces_names_its_event_too() {
    let (folder, backend) = (tempfile::tempdir().unwrap(), Backend::answering(OK));
    let proxy = proxy(&folder, &[("over", -1)], backend.address, "");
    let mut client = proxy.client();
    client.say(
        "POST /horse/bets HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for piece in [r#"{"coupon""#, r#": {"ra"#, r#"ce": "o"#, r#"ver"}}"#] {
        client.say(format!("{:x}\r\n{piece}\r\n", piece.len()));
        std::thread::sleep(Duration::from_millis(20));
    }
    client.say("0\r\n\r\n");
    refused(&client.answer(), "past_betting_stop");
}

#[test]
fn a_body_says_what_a_bet_costs() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let class = "[[product.class]]\nclass = \"commit\"\nseats = { json = \"/systems\", per = 100, most = 8 }\n\
                 match = [{ path = \"/horse/files\" }]";
    let proxy = Setup::new().horse(&backend, &format!("limit = 10\n{class}")).start();
    let mut clients = Vec::new();
    for (systems, in_flight) in [("301", 4), ("[1, 2]", 5), ("5000", 5)] {
        let body = format!("{{\"systems\": {systems}}}");
        let mut client = proxy.client();
        client.say(json_bet(&body).replace("/horse/bets", "/horse/files"));
        if systems == "5000" {
            // It costs eight seats, and five are free.
            proxy.until_waiting(1);
        }
        proxy.until_in_flight(in_flight);
        clients.push(client);
    }
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
}

/// A backend that lets nobody in: its line of connections that nobody has accepted is full.
struct Full {
    listener: TcpListener,
    filler: TcpStream,
}

impl Full {
    fn new() -> Full {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        socket.listen(0).expect("a bound socket");
        let listener = TcpListener::from(socket);
        let filler = TcpStream::connect(listener.local_addr().unwrap()).expect("there is room for one");
        Full { listener, filler }
    }

    /// Let people in from now on, and tell what the first of them sends.
    fn open(self) -> String {
        let Full { listener, filler } = self;
        drop(filler);
        drop(listener.accept());
        // The kernel of whoever was not let in tries again after one second, and after three.
        let (stream, _) = listener.accept().expect("the proxy tries again");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
        let mut wire = super::wire::Wire::new(stream);
        match wire.request() {
            Ok(Some(request)) => {
                wire.say(OK.as_bytes()).expect("the proxy reads");
                request.start().to_owned()
            }
            // It was closed, with nothing said before.
            Ok(None) | Err(_) => String::new(),
        }
    }
}

/// A bet on a race that stops in so many seconds, to a backend that does not accept connections until `meanwhile` is over.
fn slowly(stops_in: i64, meanwhile: impl FnOnce(&Proxy)) -> (Message, String, Proxy) {
    let (folder, full) = (tempfile::tempdir().unwrap(), Full::new());
    let address = full.listener.local_addr().unwrap();
    let proxy = proxy(&folder, &[("race", stops_in)], address, "connect_timeout = \"20s\"\nkeep = \"100ms\"");
    let mut client = proxy.client();
    client.say(super::client::post("/horse/bets/race", "a bet"));
    proxy.until_in_flight(1);
    meanwhile(&proxy);
    let backend = std::thread::spawn(move || full.open());
    let answer = client.answer();
    let seen = backend.join().expect("no panic");
    (answer, seen, proxy)
}

#[test]
fn a_bet_whose_stop_passes_while_a_connection_is_made_is_not_sent() {
    let (answer, seen, proxy) = slowly(2, |_| std::thread::sleep(Duration::from_millis(2200)));
    refused(&answer, "past_betting_stop");
    assert_eq!(answer.status(), 403);
    assert_eq!(seen, "", "the backend has seen nothing");
    proxy.until_in_flight(0);
    let counted =
        "sluss_admission_refusals_total{product=\"horse-racing\",class=\"commit\",refusal=\"past_betting_stop\"}";
    assert_eq!(proxy.metric(counted), 1.0);
}

#[test]
fn a_bet_whose_stop_is_moved_while_a_connection_is_made_is_not_sent() {
    let (answer, seen, proxy) = slowly(3600, |proxy| drop(move_stop(proxy, "race", "-2h")));
    refused(&answer, "past_betting_stop");
    assert_eq!(seen, "", "the backend has seen nothing");
    proxy.until_in_flight(0);
}

#[test]
fn a_bet_whose_stop_is_ahead_is_sent_however_long_the_connection_took() {
    let (answer, seen, _proxy) = slowly(3600, |_| {});
    assert_eq!(answer.status(), 200);
    assert_eq!(seen, "POST /horse/bets/race HTTP/1.1");
}

/// One bet on another race in flight, and so many that wait for theirs behind it, as long as it takes.
fn crowd(
    folder: &tempfile::TempDir,
    (backend, door): (&Backend, &Door),
    stops_in: i64,
    many: usize,
) -> (Proxy, Client, Vec<Client>) {
    let keys = "limit = 1\nlatency_objective = \"59s\"\nfirst_byte_timeout = \"60s\"\n[product.queue]\nlongest_wait = \"60s\"\nnear_stop = \"0s\"";
    let proxy = proxy(folder, &[("race", stops_in), ("other", 3600)], backend.address, keys);
    let mut first = proxy.client();
    // How many may wait goes by how many pass, and on a busy machine the crowd takes its time to come.
    for _ in 0..BEFORE {
        door.let_one();
        assert_eq!(first.post("/horse/bets/other", "a bet").status(), 200);
    }
    first.say(super::client::post("/horse/bets/other", "a bet"));
    backend.until_asked(BEFORE + 1);
    let mut crowd: Vec<Client> = (0..many).map(|_| proxy.client()).collect();
    crowd.iter_mut().for_each(|client| client.say(super::client::post("/horse/bets/race", "a bet")));
    proxy.until_waiting(many as u32);
    (proxy, first, crowd)
}

/// Bets that have passed when the crowd comes.
const BEFORE: usize = 40;

#[test]
fn when_a_stop_is_moved_into_the_past_everybody_who_waits_for_it_hears_so_at_once() {
    let (folder, door) = (tempfile::tempdir().unwrap(), Door::default());
    let backend = Backend::behind(&door);
    let (proxy, mut first, mut crowd) = crowd(&folder, (&backend, &door), 3600, 200);
    let moved = Instant::now();
    let told = move_stop(&proxy, "race", &from_now(-1).to_string());
    assert!(told["warnings"][0].as_str().unwrap().contains("has passed"), "{told}");
    for client in &mut crowd {
        refused(&client.answer(), "past_betting_stop");
    }
    assert!(moved.elapsed() < Duration::from_secs(5), "nobody waited for a turn: {:?}", moved.elapsed());
    door.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(backend.requests().len(), BEFORE + 1, "only the bets on the other race");
}

#[test]
fn when_a_stop_is_moved_away_just_before_it_passes_those_who_wait_are_served() {
    let (folder, door) = (tempfile::tempdir().unwrap(), Door::default());
    let backend = Backend::behind(&door);
    let (proxy, mut first, mut crowd) = crowd(&folder, (&backend, &door), 5, 100);
    let old = proxy.status().events[0].stop;
    move_stop(&proxy, "race", "+15m");
    until("the old stop has passed", || jiff::Timestamp::now() > old);
    door.open();
    assert_eq!(first.answer().status(), 200);
    assert!(crowd.iter_mut().all(|client| client.answer().status() == 200));
}

#[test]
fn a_margin_keeps_bets_back_before_the_stop() {
    let (folder, backend) = (tempfile::tempdir().unwrap(), Backend::answering(OK));
    let file = schedule(&folder, &[("soon", 20), ("later", 3600)]);
    let setup = Setup::new().with(&format!("{file}\nmargin = \"30s\"")).with(FROM);
    let proxy = setup.product("horse-racing", "/horse/", &[backend.address], "").start();
    let mut client = proxy.client();
    refused(&client.post("/horse/bets/soon", "a bet"), "past_betting_stop");
    assert_eq!(client.post("/horse/bets/later", "a bet").status(), 200);
    // A signal is as far from the stop as people say it is.
    assert_eq!(proxy.signal("soon").json()["state"], "closed");
    assert_eq!(proxy.signal("later").json()["state"], "parked");
    assert!(proxy.status().alarms[0].contains("59m"), "{:?}", proxy.status().alarms);
}
