//! Which class a request is in, and that nobody slips out of one by spelling.

use super::backend::{Backend, Door, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};

#[test]
fn what_must_always_work_works_while_its_product_is_shut() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for order in ["park", "close"] {
        proxy.order(order, "horse-racing");
        assert_eq!(client.post("/horse/logout", "now").status(), 200);
        assert_eq!(client.get("/horse/odds").status(), 503);
    }
}

#[test]
fn what_must_always_work_does_not_wait_behind_a_full_queue() {
    let door = Door::default();
    let held = door.clone();
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            if !request.start().contains("logout") {
                held.pass();
            }
            connection.say(OK)?;
        }
        Ok(())
    });
    let proxy =
        Setup::new().horse(&backend, "limit = 1\nreserve = 1\nqueue = { longest_wait = \"30s\", length = 1 }").start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.say(get("/horse/odds"));
    proxy.until_in_flight(1);
    second.say(get("/horse/odds"));
    proxy.until_waiting(1);
    let mut leaver = proxy.client();
    for _ in 0..5 {
        assert_eq!(leaver.post("/horse/logout", "now").status(), 200);
    }
    door.open();
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
}

#[test]
fn no_spelling_of_a_bet_passes_for_something_else() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    proxy.order("park", "horse-racing");
    for path in [
        "/horse/bets",
        "//horse/bets",
        "/horse//bets",
        "/horse///bets/",
        "/horse/%62ets",
        "/%68orse/%62%65%74%73",
        "/horse%2fbets",
        "/horse%2F%2fbets",
        "/horse/;/bets",
        "/horse;a=1/bets;b=2",
        "/horse/bets?logout",
        "/horse\\bets",
        "/horse/%5cbets",
        "http://bet.example//horse/bets",
    ] {
        let answer = client.post(path, "a bet");
        assert_eq!((answer.status(), answer.json()["bet"].as_str()), (503, Some("not_placed")), "{path}");
    }
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_path_that_goes_back_up_is_nobodys() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.order("park", "horse-racing");
    for path in [
        "/horse/logout/../bets",
        "/horse/logout/%2e%2e/bets",
        "/horse/logout/%2E./bets",
        "/horse/logout%2f..%2fbets",
        "/horse/logout/..;/bets",
        "/horse/logout/..;a=1/bets",
        "/horse/logout\\..\\bets",
        "/horse/bets/../logout",
        "/horse/bets/..",
        "/horse/./bets",
        "/../horse/bets",
        "http://bet.example/horse/logout/../bets",
    ] {
        let mut client = proxy.client();
        let answer = client.post(path, "a bet");
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (400, Some("bad_target")), "{path}");
    }
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn names_that_begin_with_a_dot_are_names() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for path in ["/horse/.well-known/a", "/horse/a.b/..c/d..", "/horse/...", "/horse/%2ehidden", "/horse/odds?a=/../b"]
    {
        assert_eq!(client.get(path).status(), 200, "{path}");
        let sent = backend.requests().last().map(|request| request.start().to_owned());
        assert_eq!(sent, Some(format!("GET {path} HTTP/1.1")), "a path goes on as it was written");
    }
}
