//! Customers at home at backends: each is served by one, while it is there and has room.

use std::net::SocketAddr;

use serde_json::json;

use super::backend::{Backend, Door, OK, Refusing};
use super::proxy::{Proxy, Setup};
use super::until;

fn before(backends: &[SocketAddr]) -> Proxy {
    Setup::new()
        .listen("trusted = [\"127.0.0.0/8\"]")
        .with("[customer]\nfrom = [{ header = \"x-customer\" }]")
        .product("horse-racing", "/horse/", backends, "balance = \"consistent_hash\"\nlimit = 40")
        .start()
}

fn request(customer: usize) -> String {
    format!("GET /horse/odds HTTP/1.1\r\nhost: h\r\nx-customer: {customer}\r\n\r\n")
}

/// Which of the backends each of so many customers is served by.
fn homes(proxy: &Proxy, customers: usize, backends: &[&Backend]) -> Vec<usize> {
    let counts = || -> Vec<usize> { backends.iter().map(|backend| backend.requests().len()).collect() };
    let mut client = proxy.client();
    let mut served_by = |customer| {
        let before = counts();
        assert_eq!(client.ask(request(customer)).status(), 200);
        counts().iter().zip(before).position(|(after, before)| *after > before).expect("one of them")
    };
    (0..customers).map(&mut served_by).collect()
}

#[test]
fn each_customer_is_served_by_one_and_only_those_of_one_that_goes_move() {
    let backends = [(); 3].map(|()| Backend::answering(OK));
    let all: Vec<&Backend> = backends.iter().collect();
    let proxy = before(&backends.each_ref().map(|backend| backend.address));
    let at_first = homes(&proxy, 60, &all);
    assert_eq!(homes(&proxy, 60, &all), at_first);
    assert!((0..3).all(|one| at_first.iter().filter(|home| **home == one).count() > 5), "{at_first:?}");
    let drain = |what: &str| {
        let name = backends[0].address.to_string();
        let order = json!({"order": what, "backend": name, "reason": "a test"});
        assert_eq!(proxy.post("/api/v1/backends", &order).status(), 200);
    };
    drain("drain");
    let without = homes(&proxy, 60, &all);
    assert!(at_first.iter().zip(&without).all(|(before, now)| if *before == 0 { *now != 0 } else { before == now }));
    drain("restore");
    assert_eq!(homes(&proxy, 60, &all), at_first);
}

#[test]
fn whom_home_refuses_is_served_by_the_next_of_their_own() {
    let (refusing, others) = (Refusing::somewhere(), [(); 2].map(|()| Backend::answering(OK)));
    let proxy = before(&[refusing.address(), others[0].address, others[1].address]);
    let all: Vec<&Backend> = others.iter().collect();
    let while_refused = homes(&proxy, 60, &all);
    until("it is believed", || {
        proxy.status().backends[0].state == "refusing" && proxy.client().ask(request(1)).status() == 200
    });
    assert_eq!(homes(&proxy, 60, &all), while_refused);
}

#[test]
fn a_customer_with_many_requests_at_once_is_served_by_others_too() {
    let door = Door::default();
    let backends = [(); 2].map(|()| Backend::behind(&door));
    let proxy = before(&backends.each_ref().map(|backend| backend.address));
    let mut clients: Vec<_> = (0..16)
        .map(|nth: usize| {
            let mut client = proxy.client();
            client.say(request(7));
            until("it has been sent", || backends.iter().map(|backend| backend.requests().len()).sum::<usize>() > nth);
            client
        })
        .collect();
    let mut counts = backends.each_ref().map(|backend| backend.requests().len());
    counts.sort_unstable();
    assert_eq!(counts, [4, 12], "three quarters of sixteen are half as much again as a half");
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
}
