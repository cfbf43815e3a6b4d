//! Customers in the middle of a journey, those who are sent away, and those who ask again, over sockets.

use super::backend::{Backend, Door, OK};
use super::client::Client;
use super::proxy::{Proxy, Setup};

const KEYS: &str = "limit = 1\nqueue = { longest_wait = \"30s\", length = 2 }\n\
    [[product.class]]\nclass = \"start\"\nmatch = [{ path = \"/horse/login\" }]\n\
    [[product.class]]\nclass = \"continue\"\nmatch = [{ path = \"/horse/coupon\" }]";

/// One seat, room for two who wait; a request is let through the door one by one.
struct House {
    door: Door,
    backend: Backend,
    proxy: Proxy,
}

impl House {
    fn new() -> House {
        let door = Door::default();
        let backend = Backend::behind(&door);
        let setup = Setup::new().listen("trusted = [\"127.0.0.0/8\"]");
        let proxy =
            setup.with("[customer]\nfrom = [{ header = \"x-customer\" }]\nat_once = 8").horse(&backend, KEYS).start();
        House { door, backend, proxy }
    }

    fn says(&self, customer: &str, path: &str, body: &str) -> Client {
        let mut client = self.proxy.client();
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\nx-customer: {customer}\r\ncontent-length: {length}");
        client.say(format!("{head}\r\n\r\n{body}"));
        client
    }

    /// Somebody's whole step.
    fn does(&self, customer: &str, path: &str) {
        let before = self.backend.requests().len();
        let mut client = self.says(customer, path, "");
        self.backend.until_asked(before + 1);
        self.door.let_one();
        assert_eq!(client.answer().status(), 200);
    }

    fn served(&self) -> Vec<String> {
        let who = |request: super::wire::Message| {
            format!("{} {}", request.header("x-customer").unwrap_or("-"), request.start())
        };
        self.backend.requests().into_iter().map(who).collect()
    }
}

#[test]
fn a_step_of_a_journey_goes_before_everybody_who_has_yet_to_begin() {
    let house = House::new();
    house.does("anna", "/horse/login");
    let mut first = house.says("carl", "/horse/login", "");
    house.backend.until_asked(2);
    let mut bert = house.says("bert", "/horse/bets", "");
    house.proxy.until_waiting(1);
    let mut anna = house.says("anna", "/horse/coupon", "");
    house.proxy.until_waiting(2);
    for (asked, client) in [&mut first, &mut anna, &mut bert].into_iter().enumerate() {
        house.backend.until_asked(2 + asked);
        house.door.let_one();
        assert_eq!(client.answer().status(), 200);
    }
    assert!(house.served()[2].starts_with("anna POST /horse/coupon"), "{:?}", house.served());
}

#[test]
fn who_is_sent_away_is_told_that_their_turn_is_kept_and_goes_before_who_came_later() {
    let house = House::new();
    let mut running = house.says("carl", "/horse/login", "");
    house.backend.until_asked(1);
    let mut bert = house.says("bert", "/horse/login", "");
    house.proxy.until_waiting(1);
    let mut dora = house.says("dora", "/horse/login", "");
    house.proxy.until_waiting(2);
    let mut anna = house.says("anna", "/horse/login", "");
    let told = anna.answer();
    assert_eq!((told.status(), told.json()["refusal"].as_str()), (503, Some("not_your_turn")));
    assert!(told.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|s| s >= 1)));
    // One is served, and before anna is back somebody else has the place.
    house.door.let_one();
    assert_eq!(running.answer().status(), 200);
    house.backend.until_asked(2);
    let mut erik = house.says("erik", "/horse/login", "");
    house.proxy.until_waiting(2);
    let mut anna = house.says("anna", "/horse/login", "");
    let made_room = erik.answer();
    assert_eq!((made_room.status(), made_room.json()["refusal"].as_str()), (503, Some("not_your_turn")));
    for (asked, client) in [&mut bert, &mut dora, &mut anna].into_iter().enumerate() {
        house.backend.until_asked(2 + asked);
        house.door.let_one();
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn a_retry_has_the_place_of_the_request_that_still_waits_even_where_there_is_no_room() {
    let house = House::new();
    let mut running = house.says("carl", "/horse/login", "");
    house.backend.until_asked(1);
    let mut impatient = house.says("anna", "/horse/login", "{\"pin\":1}");
    house.proxy.until_waiting(1);
    let mut bert = house.says("bert", "/horse/login", "");
    house.proxy.until_waiting(2);
    // Something else of hers has no turn of its own: it finds no room, and is told so.
    let other = house.says("anna", "/horse/login", "{\"pin\":2}").answer();
    assert_eq!((other.status(), other.json()["refusal"].as_str()), (503, Some("not_your_turn")));
    let mut retry = house.says("anna", "/horse/login", "{\"pin\":1}");
    let told = impatient.answer();
    assert_eq!((told.status(), told.json()["refusal"].as_str()), (409, Some("taken_over")));
    house.proxy.until_waiting(2);
    for (asked, client) in [&mut running, &mut retry, &mut bert].into_iter().enumerate() {
        house.backend.until_asked(1 + asked);
        house.door.let_one();
        assert_eq!(client.answer().status(), 200);
    }
    let logins = house.served().iter().filter(|line| line.starts_with("anna")).count();
    assert_eq!(logins, 1, "{:?}", house.served());
}

#[test]
fn who_logs_in_has_begun_although_nobody_knew_them_when_they_asked() {
    let door = Door::default();
    let behind = door.clone();
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            if request.start().contains("/login") {
                connection.say("HTTP/1.1 200 OK\r\nx-customer: anna\r\ncontent-length: 0\r\n\r\n")?;
            } else {
                behind.pass();
                connection.say(OK)?;
            }
        }
        Ok(())
    });
    let customer = "[customer]\nfrom = [{ cookie = \"session\", bound_by = { header = \"x-customer\" } }, \"address\"]";
    let proxy = Setup::new().with(customer).horse(&backend, KEYS).start();
    let says = |path: &str, session: &str| {
        let mut client = proxy.client();
        client
            .say(format!("POST {path} HTTP/1.1\r\nhost: h\r\ncookie: session={session}\r\ncontent-length: 0\r\n\r\n"));
        client
    };
    assert_eq!(says("/horse/login", "1").answer().status(), 200);
    let mut running = says("/horse/coupon", "other");
    backend.until_asked(2);
    let mut stranger = says("/horse/coupon", "another");
    proxy.until_waiting(1);
    let mut anna = says("/horse/coupon?anna", "1");
    proxy.until_waiting(2);
    for (asked, client) in [&mut running, &mut anna, &mut stranger].into_iter().enumerate() {
        backend.until_asked(2 + asked);
        door.let_one();
        assert_eq!(client.answer().status(), 200);
    }
    assert!(backend.requests()[2].start().contains("?anna"));
}
