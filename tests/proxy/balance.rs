//! Several backends, and the connections to each: which is used, which is kept, and that nothing is sent twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::backend::{Backend, Door, OK, Refusing};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::until;

fn before(backends: &[SocketAddr], keys: &str) -> Proxy {
    Setup::new().listen("workers = 1").product("horse-racing", "/horse/", backends, keys).start()
}

#[test]
fn with_one_of_two_backends_down_nobody_notices() {
    let (down, up) = (Refusing::somewhere(), Backend::answering(OK));
    let proxy = before(&[down.address(), up.address], "");
    let mut client = proxy.client();
    for _ in 0..50 {
        assert_eq!(client.get("/horse/odds").status(), 200);
        assert_eq!(client.post("/horse/bets", "a bet").status(), 200);
    }
    assert_eq!(up.requests().len(), 100);
    let back = down.accept(|connection| {
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    });
    until("the other is used again", || {
        assert_eq!(client.get("/horse/odds").status(), 200);
        !back.requests().is_empty()
    });
    assert!(proxy.status().backends.iter().all(|backend| !backend.set_aside));
}

#[test]
fn the_less_busy_of_two_backends_is_asked() {
    let door = Door::default();
    let (one, other) = (Backend::behind(&door), Backend::behind(&door));
    let proxy = before(&[one.address, other.address], "");
    let mut held = proxy.client();
    held.say(get("/horse/slow"));
    until("one of them is busy", || one.requests().len() + other.requests().len() == 1);
    let (busy, idle) = if one.requests().len() == 1 { (one, other) } else { (other, one) };
    // Everybody who comes next passes the busy one by.
    let mut clients: Vec<Client> = (0..5).map(|_| proxy.client()).collect();
    for (round, client) in clients.iter_mut().enumerate() {
        client.say(get("/horse/odds"));
        if round == 0 {
            idle.until_asked(1);
        }
    }
    until("all are asked", || busy.requests().len() + idle.requests().len() == 6);
    assert!((2..=4).contains(&idle.requests().len()), "{} and {}", busy.requests().len(), idle.requests().len());
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
}

#[test]
fn a_connection_that_the_backend_has_closed_meanwhile_costs_nobody_a_request() {
    let closed = Door::default();
    let seen = closed.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        connection.say(OK)?;
        connection.wire().finish()?;
        // The proxy has noticed when it closes its end.
        connection.wire().rest()?;
        seen.let_one();
        Ok(())
    });
    let proxy = before(&[backend.address], "");
    let mut client = proxy.client();
    for _ in 0..20 {
        for request in [get("/horse/odds"), post("/horse/bets", "a bet")] {
            assert_eq!(client.ask(request).status(), 200);
            closed.pass();
        }
    }
    assert_eq!(backend.requests().len(), 40);
}

#[test]
fn no_bet_reaches_a_backend_twice_however_connections_are_closed() {
    // Closes without a word: at once after an answer, after reading a bet, before reading one.
    let turn = AtomicUsize::new(0);
    let backend = Backend::new(move |connection| {
        let patience = turn.fetch_add(1, Ordering::SeqCst) % 4;
        for _ in 0..patience {
            if connection.request()?.is_none() {
                return Ok(());
            }
            connection.say(OK)?;
        }
        if patience == 2 {
            connection.request()?;
        }
        Ok(())
    });
    let proxy = Arc::new(before(&[backend.address], ""));
    let bettor = |who: usize| {
        let proxy = proxy.clone();
        move || {
            let mut client = proxy.client();
            (0..200)
                .map(|n| format!("bet {who}/{n}"))
                .map(|bet| (client.post("/horse/bets", &bet).status(), bet))
                .collect()
        }
    };
    let bettors: Vec<_> = (0..4).map(|who| std::thread::spawn(bettor(who))).collect();
    let heard: Vec<(u16, String)> = bettors.into_iter().flat_map(|one| -> Vec<_> { one.join().unwrap() }).collect();
    let mut arrived = HashMap::<String, usize>::new();
    backend.requests().iter().for_each(|request| *arrived.entry(request.text()).or_default() += 1);
    for (status, bet) in heard {
        let times = arrived.get(&bet).copied().unwrap_or_default();
        assert!(times <= 1, "{bet} arrived {times} times");
        assert!(status == 502 || (status == 200 && times == 1), "{bet}: {status}, arrived {times} times");
    }
    proxy.until_in_flight(0);
}

#[test]
fn a_connection_that_nobody_uses_is_closed_before_the_backend_does() {
    let closed = Door::default();
    let seen = closed.clone();
    let backend = Backend::new(move |connection| {
        connection.request()?;
        connection.say(OK)?;
        assert!(connection.request()?.is_none());
        seen.let_one();
        Ok(())
    });
    let proxy = before(&[backend.address], "keep = \"100ms\"");
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    closed.pass();
}

#[test]
fn no_more_idle_connections_are_kept_than_allowed() {
    let (door, closed) = (Door::default(), Door::default());
    let (held, seen) = (door.clone(), closed.clone());
    let backend = Backend::new(move |connection| {
        while connection.request()?.is_some() {
            held.pass();
            connection.say(OK)?;
        }
        seen.let_one();
        Ok(())
    });
    let proxy = before(&[backend.address], "idle_connections = 1\nkeep = \"60s\"");
    let mut clients: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.say(get("/horse/odds")));
    backend.until_asked(3);
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
    closed.pass();
    closed.pass();
    assert!((0..5).all(|_| clients[0].get("/horse/odds").status() == 200));
    assert_eq!(backend.connections(), 3);
}
