//! Backends that go and come back: the limit follows, a product without any is down, and a return is a reopening.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::backend::{Backend, Connection, OK, Refusing};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};
use super::until;

/// Horse racing before these, 40 seats in all.
fn before(backends: &[SocketAddr]) -> Proxy {
    Setup::new().product("horse-racing", "/horse/", backends, "limit = 40").start()
}

/// Answers as long as the proxy asks.
fn serve(connection: &mut Connection) -> std::io::Result<()> {
    while connection.request()?.is_some() {
        connection.say(OK)?;
    }
    Ok(())
}

/// One answer a connection, so that a backend that is gone leaves none behind that still works.
fn serve_once(connection: &mut Connection) -> std::io::Result<()> {
    connection.request()?;
    connection.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}

fn state(proxy: &Proxy) -> String {
    proxy.product("horse-racing").state
}

fn limit(proxy: &Proxy) -> u32 {
    proxy.status().resources[0].limit
}

fn metrics(proxy: &Proxy) -> String {
    proxy.admin().get("/metrics").text()
}

#[test]
fn a_product_without_a_backend_is_down_and_the_return_is_found_while_nobody_asks() {
    let gone = Refusing::somewhere();
    let proxy = before(&[gone.address()]);
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").status(), 502, "one refusal may be a blip");
    until("it counts as down", || {
        client.get("/horse/odds");
        state(&proxy) == "down"
    });
    let refused = client.ask(post("/horse/bets", "a bet"));
    assert_eq!((refused.status(), refused.json()["refusal"].as_str()), (503, Some("no_backend")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["bet"], "not_placed");
    assert_eq!(client.get("/horse/logout").status(), 502, "what is protected is still tried");
    until("somebody is told", || proxy.status().alarms.len() == 1);
    let seen = metrics(&proxy);
    for line in [
        "sluss_admission_state{product=\"horse-racing\",state=\"down\"} 1",
        "sluss_admission_transitions_total{product=\"horse-racing\",to=\"down\"} 1",
        "sluss_admission_refusals_total{product=\"horse-racing\",class=\"commit\",refusal=\"no_backend\"} 1",
        "sluss_admission_alarms 1",
    ] {
        assert!(seen.contains(line), "{line} is not in\n{seen}");
    }

    let back = gone.accept(serve);
    until("the return is found", || state(&proxy) == "ramping");
    assert!(back.requests().is_empty(), "no customer was sent to find out");
    assert_eq!(proxy.product("horse-racing").ramp_seats, Some(20));
    assert_eq!(client.get("/horse/odds").status(), 200);
    assert!(metrics(&proxy).contains("sluss_admission_transitions_total{product=\"horse-racing\",to=\"ramping\"} 1"));
    until("the ramp is over, for nobody needs it", || state(&proxy) == "open");
    assert!(proxy.status().alarms.is_empty());
}

#[test]
fn backends_that_die_under_load_and_return_are_a_reopening() {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let backends = [0; 2].map(|_| Refusing::at(anywhere).accept(serve_once));
    let addresses = [backends[0].address, backends[1].address];
    let proxy = Arc::new(before(&addresses));
    let over = Arc::new(AtomicBool::new(false));
    let load = |_| {
        let (proxy, over) = (proxy.clone(), over.clone());
        std::thread::spawn(move || {
            let mut client = proxy.client();
            while !over.load(Ordering::SeqCst) {
                let status = client.ask(get("/horse/odds")).status();
                assert!([200, 502, 503].contains(&status), "{status}");
            }
        })
    };
    let crowd: Vec<_> = (0..4).map(load).collect();
    until("it runs", || backends.iter().all(|backend| backend.requests().len() > 10));
    drop(backends);
    until("both are gone", || state(&proxy) == "down");
    let back = addresses.map(|address| Refusing::at(address).accept(serve_once));
    until("it is on its way back", || state(&proxy) == "ramping");
    until("both serve again", || back.iter().all(|backend| !backend.requests().is_empty()));
    over.store(true, Ordering::SeqCst);
    crowd.into_iter().for_each(|one| one.join().expect("every answer is one of ours or a backend's"));
}

#[test]
fn with_one_of_two_backends_gone_the_limit_halves_until_it_returns() {
    let (gone, there) = (Refusing::somewhere(), Backend::answering(OK));
    let proxy = before(&[gone.address(), there.address]);
    let mut client = proxy.client();
    assert_eq!(limit(&proxy), 40);
    // Whoever is sent to the one that is gone is sent to the other; after that it is tried again without customers.
    until("the limit has halved", || {
        assert_eq!(client.get("/horse/odds").status(), 200);
        limit(&proxy) == 20
    });
    assert_eq!(state(&proxy), "open");
    let _back = gone.accept(serve);
    until("the limit is whole", || limit(&proxy) == 40);
}

#[test]
fn what_a_person_has_parked_stays_parked_when_backends_return() {
    let gone = Refusing::somewhere();
    let proxy = before(&[gone.address()]);
    let mut client = proxy.client();
    until("it counts as down", || {
        client.get("/horse/odds");
        state(&proxy) == "down"
    });
    assert_eq!(proxy.order("reopen", "horse-racing").json()["applied"][0]["changed"], false);
    assert_eq!(proxy.order("park", "horse-racing").json()["applied"][0]["state"], "parked");
    let _back = gone.accept(serve);
    until("the return is found", || proxy.status().backends.iter().all(|backend| !backend.set_aside));
    assert_eq!(client.get("/horse/odds").json()["refusal"], "parked");
    assert_eq!(proxy.order("reopen", "horse-racing").json()["applied"][0]["state"], "ramping");
}

#[test]
fn a_ramp_that_keeps_stepping_back_freezes_until_a_person_lets_it_go_on() {
    let ill = Backend::answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let proxy = Setup::new().product("horse-racing", "/horse/", &[ill.address], "limit = 80").start();
    proxy.order("park", "horse-racing");
    proxy.order("reopen", "horse-racing");
    let mut client = proxy.client();
    until("it has frozen", || {
        (0..20).for_each(|_| drop(client.get("/horse/odds")));
        proxy.product("horse-racing").ramp_frozen
    });
    assert_eq!(state(&proxy), "ramping");
    until("somebody is told", || proxy.status().alarms.first().is_some_and(|text| text.contains("sluss reopen")));
    assert_eq!(proxy.order("reopen", "horse-racing").json()["applied"][0]["changed"], true);
    assert!(!proxy.product("horse-racing").ramp_frozen);
    until("the matter is settled", || proxy.status().alarms.is_empty());
}
