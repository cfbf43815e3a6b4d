//! Backends that are asked how they are: who fails is not sent customers, and only a passed check brings it back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::backend::{Backend, Connection, Door, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};
use super::until;

const ILL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const EVERY_50_MS: &str = "limit = 40\n[product.health]\npath = \"/health\"\ninterval = \"50ms\"";

fn before(backends: &[SocketAddr], keys: &str) -> Proxy {
    Setup::new().product("horse-racing", "/horse/", backends, keys).start()
}

/// Answers customers well, and checks as long as it is well.
fn backend(well: &Arc<AtomicBool>) -> Backend {
    let well = well.clone();
    Backend::new(move |connection: &mut Connection| {
        while let Some(request) = connection.request()? {
            let ill = request.start().contains("/health") && !well.load(Ordering::SeqCst);
            connection.say(if ill { ILL } else { OK })?;
        }
        Ok(())
    })
}

fn customers(backend: &Backend) -> usize {
    backend.requests().iter().filter(|request| request.start().contains("/horse/")).count()
}

fn checks(backend: &Backend) -> usize {
    backend.requests().len() - customers(backend)
}

fn state(proxy: &Proxy, backend: usize) -> String {
    proxy.status().backends[backend].state.clone()
}

#[test]
fn a_backend_that_fails_its_checks_is_sent_nobody_and_the_limit_follows_until_it_passes() {
    let well = [true, true].map(|well| Arc::new(AtomicBool::new(well)));
    let backends = [backend(&well[0]), backend(&well[1])];
    let proxy = before(&[backends[0].address, backends[1].address], EVERY_50_MS);
    until("both are checked", || backends.iter().all(|backend| checks(backend) > 1));
    well[0].store(false, Ordering::SeqCst);
    until("it is believed to be ill", || state(&proxy, 0) == "failing_checks");
    assert_eq!(proxy.status().resources[0].limit, 20);
    let (before, mut client) = (customers(&backends[0]), proxy.client());
    assert!((0..50).all(|_| client.get("/horse/odds").status() == 200));
    assert_eq!((customers(&backends[0]), customers(&backends[1])), (before, 50));
    let name = backends[0].address;
    for series in [
        format!("sluss_upstream_set_aside{{backend=\"{name}\"}}"),
        format!("sluss_upstream_backend_state{{backend=\"{name}\",state=\"failing_checks\"}}"),
    ] {
        assert_eq!(proxy.metric(&series), 1.0, "{series}");
    }
    assert!(proxy.metric("sluss_upstream_checks_total{pool=\"horse-racing\",verdict=\"failed\"}") >= 3.0);
    well[0].store(true, Ordering::SeqCst);
    until("it is back", || state(&proxy, 0) == "serving" && proxy.status().resources[0].limit == 40);
    until("customers are sent there again", || {
        client.get("/horse/odds");
        customers(&backends[0]) > before
    });
}

#[test]
fn a_product_whose_backends_all_fail_is_down_and_no_traffic_brings_it_back() {
    let well = Arc::new(AtomicBool::new(false));
    let backend = backend(&well);
    let proxy = before(&[backend.address], EVERY_50_MS);
    until("it is down", || proxy.product("horse-racing").state == "down");
    let mut client = proxy.client();
    assert_eq!(client.get("/horse/odds").json()["refusal"], "no_backend");
    // What is protected is tried, and succeeds: that is no reason to send it everybody.
    assert!((0..20).all(|_| client.get("/horse/logout").status() == 200));
    let so_far = checks(&backend);
    until("it has been checked again", || checks(&backend) > so_far + 2);
    assert_eq!(proxy.product("horse-racing").state, "down");
    well.store(true, Ordering::SeqCst);
    until("its checks have brought it back", || proxy.product("horse-racing").state != "down");
    assert_eq!(client.get("/horse/odds").status(), 200);
}

#[test]
fn a_check_asks_what_is_configured_and_believes_the_statuses_that_are() {
    let backend = Backend::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let keys = "[product.health]\npath = \"/up?deep=1\"\nmethod = \"HEAD\"\nhost = \"horse.internal\"\n\
                expect = [\"200\", \"400-404\"]\ninterval = \"20ms\"";
    let proxy = before(&[backend.address], keys);
    backend.until_asked(5);
    assert_eq!(state(&proxy, 0), "serving");
    let check = &backend.requests()[0];
    assert_eq!(check.start(), "HEAD /up?deep=1 HTTP/1.1");
    assert_eq!((check.header("host"), check.header("user-agent")), (Some("horse.internal"), Some("sluss-check")));
}

#[test]
fn a_check_that_is_not_answered_in_time_has_failed_and_waits_for_no_seat() {
    let door = Door::default();
    let held = door.clone();
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            if request.start().contains("/horse/") {
                held.pass();
            } else {
                std::thread::sleep(Duration::from_millis(300));
            }
            connection.say(OK)?;
        }
        Ok(())
    });
    let keys = "limit = 1\n[product.health]\npath = \"/health\"\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2";
    let proxy = before(&[backend.address], keys);
    let mut client = proxy.client();
    client.say(get("/horse/slow"));
    proxy.until_in_flight(1);
    until("it is believed to be ill", || state(&proxy, 0) == "failing_checks");
    door.open();
    assert_eq!(client.answer().status(), 200, "who was sent before is not cut off");
}
