//! Going down: what is in flight gets its whole answer, those who wait are told, and it ends in time.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::backend::{Backend, Door, OK};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::until;

fn stop(proxy: Proxy) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || proxy.stop())
}

#[test]
fn what_is_in_flight_gets_its_whole_answer_and_those_who_wait_are_told() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().horse(&backend, "limit = 1\nqueue = { longest_wait = \"30s\" }").start();
    let (mut resting, mut betting, mut waiting) = (proxy.client(), proxy.client(), proxy.client());
    let mut admin = proxy.admin();
    let address = proxy.address();
    door.let_one();
    assert_eq!(resting.get("/horse/odds").status(), 200);
    betting.say(post("/horse/bets", "a bet"));
    proxy.until_in_flight(1);
    waiting.say(post("/horse/bets", "another"));
    proxy.until_waiting(1);

    let stopping = stop(proxy);
    let refused = waiting.answer();
    assert_eq!((refused.status(), refused.json()["refusal"].as_str()), (503, Some("shutting_down")));
    assert_eq!((refused.header("connection"), refused.json()["bet"].as_str()), (Some("close"), Some("not_placed")));
    waiting.is_closed();
    resting.is_closed();
    assert_eq!((admin.get("/readyz").status(), admin.get("/livez").status()), (503, 200));
    until("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    assert!(!stopping.is_finished());

    door.open();
    let answer = betting.answer();
    assert_eq!((answer.status(), answer.text().as_str(), answer.header("connection")), (200, "ok", Some("close")));
    betting.is_closed();
    stopping.join().unwrap();
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn during_the_notice_everybody_is_let_in_and_readiness_says_no() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("notice = \"2s\"").horse(&backend, "").start();
    let (mut resting, mut admin, address) = (proxy.client(), proxy.admin(), proxy.address());
    let stopping = stop(proxy);
    until("it is not ready", || admin.get("/readyz").status() == 503);
    let answer = resting.get("/horse/odds");
    assert_eq!((answer.status(), answer.header("connection")), (200, None));
    assert_eq!(Client::to(address).get("/horse/odds").status(), 200);
    stopping.join().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn who_stays_connected_is_told_one_after_the_other_and_served_until_then() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("spread = \"3s\"\nworkers = 1").horse(&backend, "").start();
    let mut clients: Vec<Client> = (0..6).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/horse/odds").status(), 200));
    let begun = Instant::now();
    let asks_on = |mut client: Client| {
        std::thread::spawn(move || {
            loop {
                let answer = client.get("/horse/odds");
                assert_eq!(answer.status(), 200, "{}", answer.text());
                if answer.header("connection") == Some("close") {
                    client.is_closed();
                    return begun.elapsed();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let asking: Vec<_> = clients.into_iter().map(asks_on).collect();
    let address = proxy.address();
    let stopping = stop(proxy);
    until("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    let mut told: Vec<_> = asking.into_iter().map(|one| one.join().unwrap()).collect();
    told.sort();
    assert!(told[5] - told[0] >= Duration::from_secs(1), "{told:?}");
    stopping.join().unwrap();
}

#[test]
fn a_bet_whose_client_has_gone_is_waited_for_too() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.say(post("/horse/bets", "a bet"));
    backend.until_asked(1);
    drop(client);
    proxy.until_alone();
    let mut admin = proxy.admin();
    let stopping = stop(proxy);
    until("it goes down", || admin.get("/readyz").status() == 503);
    // Much longer than a proxy takes that waits for nothing.
    std::thread::sleep(Duration::from_millis(300));
    assert!(!stopping.is_finished());
    door.open();
    stopping.join().unwrap();
}

#[test]
fn an_answer_that_takes_longer_than_the_drain_is_cut_and_nothing_hangs() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = Setup::new().listen("drain = \"1s\"").horse(&backend, "").start();
    let mut clients: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
    let asks = [get("/horse/odds"), post("/horse/bets", "a bet"), get("/horse/odds"), post("/horse/bets", "half")];
    clients.iter_mut().zip(asks).for_each(|(client, ask)| client.say(ask));
    backend.until_asked(4);
    // One of them is carried on although its client has gone.
    clients.pop();
    let begun = Instant::now();
    proxy.stop();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    clients.iter_mut().for_each(Client::is_closed);
    door.open();
}

#[test]
fn a_client_that_says_nothing_does_not_hold_the_proxy_up_for_long() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("drain = \"60s\"\nheader_timeout = \"300ms\"").horse(&backend, "").start();
    let (mut silent, mut half) = (proxy.client(), proxy.client());
    half.try_to_say("GET /horse/odds HTTP/1.1\r\n");
    let begun = Instant::now();
    proxy.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    silent.is_closed();
    half.is_closed();
}

#[test]
fn under_load_nobody_who_was_let_in_is_cut() {
    let backend = Backend::new(|connection| {
        while connection.request()?.is_some() {
            std::thread::sleep(Duration::from_millis(5));
            connection.say(OK)?;
        }
        Ok(())
    });
    let proxy = Setup::new().horse(&backend, "limit = 3\nqueue = { longest_wait = \"30s\" }").start();
    let address = proxy.address();
    let customer = move || {
        let (mut served, mut told) = (0, 0);
        // A new connection for each, so that none meets a connection that is just being closed.
        while let Ok(stream) = std::net::TcpStream::connect(address) {
            let mut wire = super::wire::Wire::new(stream);
            let said = wire.say(post("/horse/bets", "a bet").as_bytes());
            match said.and_then(|()| wire.answer(false)) {
                Ok(Some(answer)) if answer.status() == 200 => served += 1,
                Ok(Some(answer)) => {
                    assert_eq!(answer.json()["refusal"], "shutting_down");
                    told += 1;
                }
                // Whom nobody had let in when the socket was closed is reset by the kernel, before or after they ask.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                cut => panic!("{cut:?}"),
            }
        }
        (served, told)
    };
    let customers: Vec<_> = (0..8).map(|_| std::thread::spawn(customer)).collect();
    backend.until_asked(50);
    proxy.stop();
    let (served, told) =
        customers.into_iter().map(|one| one.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert_eq!(served, backend.requests().len());
    assert!(told >= 1, "{served} served, {told} told");
}
