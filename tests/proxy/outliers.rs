//! Backends that answer badly: they do not draw what the others are busy with, and are left out for a while.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::backend::{Backend, Connection, OK, Refusing};
use super::proxy::{Proxy, Setup};
use super::until;

const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

fn before(backends: &[&Backend], keys: &str) -> Proxy {
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    Setup::new().product("horse-racing", "/horse/", &addresses, keys).start()
}

/// Answers after 20 ms, as one that works does.
fn working() -> Backend {
    Backend::new(|connection: &mut Connection| -> io::Result<()> {
        while connection.request()?.is_some() {
            std::thread::sleep(Duration::from_millis(20));
            connection.say(OK)?;
        }
        Ok(())
    })
}

/// Answers at once: with errors for as long as it is ill.
fn flipping(ill: &Arc<AtomicBool>) -> Backend {
    let ill = ill.clone();
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            connection.say(if ill.load(Ordering::SeqCst) { ERROR } else { OK })?;
        }
        Ok(())
    })
}

/// So many requests by each of twelve customers at once. How many were answered with an error.
fn rush(proxy: &Proxy, each: usize) -> usize {
    let one = || {
        let mut client = proxy.client();
        (0..each).filter(|_| client.get("/horse/odds").status() >= 500).count()
    };
    std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..12).map(|_| scope.spawn(one)).collect();
        crowd.into_iter().map(|one| one.join().expect("a whole answer each")).sum()
    })
}

fn state(proxy: &Proxy, backend: usize) -> String {
    proxy.status().backends[backend].state.clone()
}

#[test]
fn one_of_three_that_fails_at_once_gets_less_than_its_third_though_nobody_ejects_it() {
    for policy in ["least_requests", "peak_ewma", "round_robin"] {
        let (failing, well) = (Backend::answering(ERROR), [working(), working()]);
        let proxy = before(&[&failing, &well[0], &well[1]], &format!("limit = 40\nbalance = {policy:?}"));
        let errors = rush(&proxy, 25);
        assert_eq!(errors, failing.requests().len());
        assert!(errors <= 300 / 3, "{policy}: {errors} of 300");
        assert_eq!(state(&proxy, 0), "serving");
    }
}

#[test]
fn one_of_three_that_fails_is_ejected_and_gets_next_to_nothing_then() {
    let (failing, well) = (Backend::answering(ERROR), [working(), working()]);
    let keys = "limit = 30\n[product.outliers]\nconsecutive = 5\nfirst = \"1m\"";
    let proxy = before(&[&failing, &well[0], &well[1]], keys);
    let mut before_it = 0;
    until("it is ejected", || {
        before_it += 12;
        rush(&proxy, 1);
        state(&proxy, 0) == "ejected"
    });
    let asked = failing.requests().len();
    assert!(asked >= 5 && asked <= (before_it / 3).max(17), "{asked} of {before_it}");
    assert_eq!(rush(&proxy, 20), 0);
    assert_eq!(failing.requests().len(), asked);
    assert_eq!(proxy.status().resources[0].limit, 20, "what two of three can take");
    assert_eq!(proxy.metric("sluss_upstream_ejections_total{pool=\"horse-racing\",reason=\"consecutive\"}"), 1.0);
}

#[test]
fn an_ejected_backend_that_is_well_again_serves_again() {
    let ill = Arc::new(AtomicBool::new(true));
    let (flipping, well) = (flipping(&ill), working());
    let keys = "limit = 30\n[product.outliers]\nfirst = \"200ms\"\nlongest = \"400ms\"";
    let proxy = before(&[&flipping, &well], keys);
    until("it is ejected", || {
        rush(&proxy, 1);
        state(&proxy, 0) == "ejected"
    });
    assert_eq!(proxy.status().resources[0].limit, 15);
    ill.store(false, Ordering::SeqCst);
    until("it is back", || state(&proxy, 0) == "serving" && proxy.status().resources[0].limit == 30);
    let asked = flipping.requests().len();
    until("it serves as before", || {
        assert_eq!(rush(&proxy, 5), 0);
        flipping.requests().len() > asked + 100
    });
}

#[test]
fn who_answers_worse_than_the_others_is_ejected_though_never_so_often_in_a_row() {
    let turn = AtomicUsize::new(0);
    let every_other = Backend::new(move |connection| {
        while connection.request()?.is_some() {
            let bad = turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            connection.say(if bad { ERROR } else { OK })?;
        }
        Ok(())
    });
    let keys = "[product.outliers]\nconsecutive = 50\nanswers = 20\ninterval = \"500ms\"\nfirst = \"1m\"";
    let well = [working(), working()];
    let proxy = before(&[&every_other, &well[0], &well[1]], keys);
    until("it is ejected", || {
        rush(&proxy, 5);
        state(&proxy, 0) == "ejected"
    });
    assert_eq!(proxy.metric("sluss_upstream_ejections_total{pool=\"horse-racing\",reason=\"behind\"}"), 1.0);
}

#[test]
fn what_ails_all_of_them_takes_none_of_them_out() {
    let ill = [ERROR; 3].map(Backend::answering);
    let proxy =
        before(&[&ill[0], &ill[1], &ill[2]], "[product.outliers]\nconsecutive = 5\nanswers = 5\ninterval = \"100ms\"");
    assert_eq!(rush(&proxy, 30), 360);
    assert!((0..3).all(|backend| state(&proxy, backend) == "serving"));
}

#[test]
fn no_more_are_ejected_than_may_be() {
    let (ill, well) = ([ERROR; 2].map(Backend::answering), [working(), working(), working()]);
    let keys = "limit = 50\n[product.outliers]\nconsecutive = 5\nmost = 20\nfirst = \"1m\"";
    let proxy = before(&[&ill[0], &ill[1], &well[0], &well[1], &well[2]], keys);
    until("one more would have been", || {
        rush(&proxy, 5);
        proxy.metric("sluss_upstream_ejections_withheld_total{pool=\"horse-racing\"}") > 0.0
    });
    let out = proxy.status().backends.iter().filter(|backend| backend.state == "ejected").count();
    assert_eq!((out, proxy.status().resources[0].limit), (1, 40));
}

#[test]
fn with_too_few_there_those_that_were_ejected_are_used_all_the_same() {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let ill = Arc::new(AtomicBool::new(true));
    let flipping = flipping(&ill);
    let once = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let other = Refusing::at(anywhere).accept(move |connection| {
        connection.request()?;
        connection.say(once)
    });
    let proxy = before(&[&flipping, &other], "limit = 40\n[product.outliers]\nfirst = \"5m\"");
    until("it is ejected", || {
        rush(&proxy, 1);
        state(&proxy, 0) == "ejected"
    });
    ill.store(false, Ordering::SeqCst);
    drop(other);
    until("the one that is left is asked", || {
        rush(&proxy, 1);
        state(&proxy, 0) == "serving" && state(&proxy, 1) == "refusing"
    });
    assert_eq!(proxy.metric("sluss_upstream_panic{pool=\"horse-racing\"}"), 1.0);
    assert_eq!(proxy.product("horse-racing").state, "open");
    until("it serves", || rush(&proxy, 2) == 0);
}
