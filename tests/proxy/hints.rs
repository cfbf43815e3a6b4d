//! What backends say of the budgets behind them.

use super::backend::{Backend, Door};
use super::client::{Client, post};
use super::proxy::{Proxy, Setup};
use super::until;

/// Horse racing and sport, with backends of their own; bets of both draw on a wallet.
fn before_a_wallet(keys: &str, horse: &Backend, sport: &Backend) -> Proxy {
    Setup::new()
        .with(&format!("[[budget]]\nname = \"wallet\"\nclasses = [\"commit\"]\nhint = \"X-Wallet-Seats\"\n{keys}"))
        .product("horse-racing", "/horse/", &[horse.address], "queue = { longest_wait = \"30s\" }")
        .product("sport", "/sport/", &[sport.address], "queue = { longest_wait = \"30s\" }")
        .start()
}

/// Says this hint with every answer, each of which has to be let through the door.
fn hinting(hint: &'static str, door: &Door) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            door.pass();
            connection.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{hint}\r\nok"))?;
        }
        Ok(())
    })
}

/// The limit of the wallet, and who says so.
fn wallet(proxy: &Proxy) -> (u32, String) {
    let resources = proxy.status().resources;
    let wallet = resources.into_iter().find(|resource| resource.name == "wallet").expect("it is configured");
    (wallet.limit, wallet.source)
}

fn heard(proxy: &Proxy, verdict: &str) -> f64 {
    proxy.metric(&format!("sluss_admission_hints_total{{resource=\"wallet\",verdict=\"{verdict}\"}}"))
}

fn source(proxy: &Proxy, source: &str) -> f64 {
    proxy.metric(&format!("sluss_admission_limit_source{{resource=\"wallet\",kind=\"budget\",source=\"{source}\"}}"))
}

#[test]
fn no_more_are_in_flight_on_a_budget_than_its_backend_says_of_all_products_together() {
    let door = Door::default();
    let (horse, sport) = (hinting("x-wallet-seats: 3\r\n", &door), hinting("", &door));
    let proxy = before_a_wallet("", &horse, &sport);
    assert_eq!((wallet(&proxy), source(&proxy, "found")), ((8, "found".into()), 1.0));
    door.let_one();
    let answer = proxy.client().get("/horse/odds");
    assert_eq!((answer.status(), answer.header("x-wallet-seats")), (200, None), "clients are told nothing of it");
    assert_eq!(wallet(&proxy), (3, "hint".into()));
    assert_eq!((heard(&proxy, "taken"), source(&proxy, "hint"), source(&proxy, "found")), (1.0, 1.0, 0.0));
    let mut bettors: Vec<Client> = (0..6).map(|_| proxy.client()).collect();
    for (number, bettor) in bettors.iter_mut().enumerate() {
        let product = if number % 2 == 0 { "horse" } else { "sport" };
        bettor.say(post(&format!("/{product}/bets"), "a bet"));
        if number < 3 {
            proxy.until_in_flight(number as u32 + 1);
        } else {
            proxy.until_waiting(number as u32 - 2);
        }
    }
    let asked = || horse.requests().len() + sport.requests().len();
    until("three bets are at the backends", || asked() == 1 + 3);
    let held = proxy.status().resources.iter().find(|resource| resource.name == "wallet").map(|wallet| wallet.in_use);
    assert_eq!((held, asked()), (Some(3), 1 + 3));
    door.open();
    assert!(bettors.iter_mut().all(|bettor| bettor.answer().status() == 200));
    until("all is given back", || proxy.status().resources.iter().all(|resource| resource.in_use == 0));
}

#[test]
fn a_hint_that_is_none_is_counted_and_changes_nothing() {
    let door = Door::default();
    door.open();
    for (hint, verdict, limit) in [
        ("x-wallet-seats: -3\r\n", "unreadable", 8),
        ("x-wallet-seats: many\r\n", "unreadable", 8),
        ("x-wallet-seats:\r\n", "unreadable", 8),
        ("x-wallet-seats: 3\r\nx-wallet-seats: 4\r\n", "unreadable", 8),
        ("x-wallet-seats: 0\r\n", "clamped", 4),
        ("x-wallet-seats: 18446744073709551617\r\n", "clamped", 40),
    ] {
        let (horse, sport) = (hinting(hint, &door), hinting("", &door));
        let proxy = before_a_wallet("limit = { least = 4, most = 40 }", &horse, &sport);
        let answer = proxy.client().get("/horse/odds");
        assert_eq!((answer.status(), answer.header("x-wallet-seats")), (200, None), "{hint}");
        assert_eq!((wallet(&proxy).0, heard(&proxy, verdict)), (limit, 1.0), "{hint}");
    }
}

#[test]
fn a_backend_that_says_it_is_overloaded_is_heard_and_clients_may_see_what_it_says() {
    let horse = Backend::answering("HTTP/1.1 503 Busy\r\nx-wallet-seats: 2\r\ncontent-length: 0\r\n\r\n");
    let sport = Backend::answering(super::backend::OK);
    let proxy = before_a_wallet("pass_hint = true", &horse, &sport);
    let answer = proxy.client().post("/horse/bets", "a bet");
    assert_eq!((answer.status(), answer.header("x-wallet-seats")), (503, Some("2")));
    assert_eq!(wallet(&proxy), (2, "hint".into()));
}
