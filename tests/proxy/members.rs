//! Who belongs to a pool changes while it runs: weights, drains, newcomers, and how slowly they start.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::{Backend, Door, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};
use super::until;

fn setup(backends: &[&Backend], keys: &str) -> Setup {
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    Setup::new().product("horse-racing", "/horse/", &addresses, keys)
}

/// An order about a backend, and what came of it.
fn order(proxy: &Proxy, order: &str, backend: &Backend, more: &Value) -> (u16, Value) {
    let mut document =
        json!({"order": order, "backend": backend.address.to_string(), "reason": "a test", "who": "anna"});
    let more = more.as_object().expect("further keys").clone();
    document.as_object_mut().expect("an object").extend(more);
    let answer = proxy.post("/api/v1/backends", &document);
    (answer.status(), answer.json())
}

fn state(proxy: &Proxy, backend: &Backend) -> Option<String> {
    let name = backend.address.to_string();
    proxy.status().backends.into_iter().find(|known| known.name == name).map(|known| known.state)
}

fn asked(backends: &[&Backend]) -> Vec<usize> {
    backends.iter().map(|backend| backend.requests().len()).collect()
}

/// Requests one after the other.
fn ask(proxy: &Proxy, times: usize) {
    let mut client = proxy.client();
    (0..times).for_each(|_| assert_eq!(client.get("/horse/odds").status(), 200));
}

#[test]
fn weights_share_out_requests_and_change_while_it_runs() {
    for policy in ["least_requests", "round_robin"] {
        let (light, heavy) = (Backend::answering(OK), Backend::answering(OK));
        let written = format!(
            "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nbalance = {policy:?}\n\
             backends = [\"http://{}\", {{ url = \"http://{}\", weight = 4 }}]",
            light.address, heavy.address
        );
        let proxy = Setup::new().with(&written).start();
        ask(&proxy, 400);
        let before = asked(&[&light, &heavy]);
        assert!(before[1] > 2 * before[0] && before[0] > 10, "{policy}: {before:?}");
        assert_eq!(order(&proxy, "weight", &light, &json!({"weight": 16})).0, 200);
        ask(&proxy, 400);
        let after = asked(&[&light, &heavy]);
        assert!(after[0] - before[0] > 2 * (after[1] - before[1]), "{policy}: {before:?}, then {after:?}");
        assert_eq!(proxy.status().backends[0].weight, 16);
    }
}

#[test]
fn who_takes_longer_to_answer_is_asked_less_by_peak_ewma() {
    let fast = Backend::answering(OK);
    let slow = Backend::new(move |connection| {
        while connection.request()?.is_some() {
            std::thread::sleep(Duration::from_millis(100));
            connection.say(OK)?;
        }
        Ok(())
    });
    let proxy = setup(&[&fast, &slow], "balance = \"peak_ewma\"").start();
    ask(&proxy, 100);
    assert!((1..10).contains(&slow.requests().len()), "{}", slow.requests().len());
}

#[test]
fn a_drained_backend_is_sent_nobody_new_and_finishes_what_it_has() {
    let door = Door::default();
    let (leaving, staying) = (Backend::behind(&door), Backend::answering(OK));
    let proxy = setup(&[&leaving, &staying], "limit = 40").start();
    let mut clients = Vec::new();
    while leaving.requests().is_empty() {
        let mut client = proxy.client();
        client.say(get("/horse/slow"));
        until("it has been sent", || asked(&[&leaving, &staying]).iter().sum::<usize>() > clients.len());
        clients.push(client);
    }
    let had = leaving.requests().len();
    let (status, told) = order(&proxy, "drain", &leaving, &json!({}));
    assert_eq!((status, &told["state"], &told["changed"]), (200, &json!("drained, weight 1"), &json!(true)));
    ask(&proxy, 50);
    assert_eq!((had, leaving.requests().len()), (1, 1));
    assert_eq!(proxy.status().resources[0].limit, 20);
    let shown = &proxy.status().backends[0];
    assert!(shown.last_order.as_ref().is_some_and(|order| order.contains("backend drain by anna")));
    door.open();
    assert!(clients.iter_mut().all(|client| client.answer().status() == 200));
    assert_eq!(order(&proxy, "restore", &leaving, &json!({})).1["state"], "serving, weight 1");
    assert_eq!(proxy.status().resources[0].limit, 40);
    assert_eq!(order(&proxy, "restore", &leaving, &json!({})).1["changed"], false);
}

#[test]
fn backends_are_added_and_removed_while_it_runs() {
    let (old, new) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = setup(&[&old], "").start();
    ask(&proxy, 5);
    let (status, told) = order(&proxy, "add", &new, &json!({"product": "horse-racing", "weight": 2}));
    assert_eq!((status, &told["state"]), (200, &json!("serving, weight 2")));
    until("it is asked", || {
        ask(&proxy, 10);
        !new.requests().is_empty()
    });
    assert_eq!(order(&proxy, "remove", &old, &json!({})).1["state"], "removed");
    let before = asked(&[&old, &new]);
    ask(&proxy, 20);
    assert_eq!(asked(&[&old, &new]), [before[0], before[1] + 20]);
    assert_eq!(state(&proxy, &old).as_deref(), Some("removed"), "it is configured");
    let (status, why) = order(&proxy, "restore", &old, &json!({}));
    assert_eq!(status, 404);
    assert!(why["detail"].as_str().is_some_and(|why| why.contains("was removed by an order")), "{why}");
    let gone = format!("sluss_upstream_backend_state{{backend=\"{}\",state=\"serving\"}}", old.address);
    assert_eq!(proxy.metric(&gone), 0.0);
    let (status, why) = order(&proxy, "remove", &new, &json!({}));
    assert_eq!(status, 422);
    assert!(why["detail"].as_str().is_some_and(|why| why.contains("the last backend of its pool")), "{why}");
}

#[test]
fn a_backend_is_added_to_the_site_that_is_named() {
    let [old, new, more] = [(); 3].map(|()| Backend::answering(OK));
    let text = format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\n\
         [[product.site]]\nname = \"old\"\nshare = 100\nbackends = [\"http://{}\"]\n\
         [[product.site]]\nname = \"new\"\nshare = 0\nbackends = [\"http://{}\"]\n",
        old.address, new.address
    );
    let proxy = Setup::new().with(&text).start();
    let (status, why) = order(&proxy, "add", &more, &json!({"product": "horse-racing/other"}));
    assert_eq!(status, 404, "{why}");
    assert_eq!(order(&proxy, "add", &more, &json!({"product": "horse-racing/new"})).0, 200);
    let pools: Vec<_> = proxy.status().backends.into_iter().map(|one| (one.name, one.pool)).collect();
    let of = |backend: &Backend, pool: &str| (backend.address.to_string(), format!("horse-racing/{pool}"));
    assert_eq!(pools, [of(&old, "old"), of(&new, "new"), of(&more, "new")]);
}

#[test]
fn a_newcomer_is_sent_nobody_before_its_first_check_has_passed() {
    let (old, door) = (Backend::answering(OK), Door::default());
    let new = Backend::behind(&door);
    let keys = "[product.health]\npath = \"/health\"\ninterval = \"5s\"";
    let proxy = setup(&[&old], keys).start();
    assert_eq!(order(&proxy, "add", &new, &json!({"product": "horse-racing"})).1["state"], "failing_checks, weight 1");
    ask(&proxy, 50);
    assert!(new.requests().iter().all(|request| request.start().contains("/health")));
    door.open();
    until("its first check has passed", || state(&proxy, &new).as_deref() == Some("serving"));
}

#[test]
fn orders_that_make_no_sense_are_told_why_and_change_nothing() {
    let (one, other, stranger) = (Backend::answering(OK), Backend::answering(OK), Backend::answering(OK));
    let proxy = setup(&[&one], "").product("sport", "/sport/", &[other.address], "").start();
    let cases = [
        ("drain", &stranger, json!({}), 404, "there is no backend called"),
        ("weight", &one, json!({}), 422, "say which weight, from 1 to 100"),
        ("weight", &one, json!({"weight": 0}), 422, "to send nobody there, drain it"),
        ("drain", &one, json!({"weight": 2}), 422, "a weight goes with"),
        ("drain", &one, json!({"product": "sport"}), 422, "only `add` needs a product"),
        ("drain", &one, json!({"reason": " "}), 422, "an order needs a reason"),
        ("add", &stranger, json!({}), 422, "say to which product's pool"),
        ("add", &stranger, json!({"product": "casino"}), 404, "there is no product called `casino`"),
        ("add", &other, json!({"product": "horse-racing"}), 422, "is a backend of the pool `sport` already"),
        ("add", &one, json!({"product": "horse-racing", "backend": "https://127.0.0.1:1"}), 422, "are all http://"),
        (
            "add",
            &one,
            json!({"product": "horse-racing", "backend": "0.0.0.0:1"}),
            422,
            "nobody can be reached at 0.0.0.0",
        ),
    ];
    for (what, backend, more, status, says) in cases {
        let (told, why) = order(&proxy, what, backend, &more);
        assert_eq!(told, status, "{what} {more}: {why}");
        assert!(why["detail"].as_str().is_some_and(|why| why.contains(says)), "{what} {more}: {why}");
    }
    let all: Vec<_> = proxy.status().backends.into_iter().map(|one| (one.state, one.weight)).collect();
    assert_eq!(all, [("serving".to_owned(), 1), ("serving".to_owned(), 1)]);
}

#[test]
fn orders_about_backends_outlive_a_restart_until_the_configuration_says_otherwise() {
    let [old, drained, heavy, added] = [(); 4].map(|()| Backend::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("sluss.journal");
    let all = [&old, &drained, &heavy];
    let setup = setup(&all, "").journal(&journal);
    let proxy = setup.start();
    for (what, backend, more) in [
        ("add", &added, json!({"product": "horse-racing", "weight": 3})),
        ("remove", &old, json!({})),
        ("drain", &drained, json!({})),
        ("weight", &heavy, json!({"weight": 7})),
    ] {
        assert_eq!(order(&proxy, what, backend, &more).0, 200, "{what}");
    }
    proxy.stop();
    let shown = |proxy: &Proxy| -> Vec<(String, String, u32)> {
        let all = proxy.status().backends.into_iter();
        all.map(|backend| (backend.name, backend.state, backend.weight)).collect()
    };
    let expected = [(&drained, "drained", 1), (&heavy, "serving", 7), (&added, "serving", 3), (&old, "removed", 1)];
    let expected: Vec<_> =
        expected.map(|(backend, state, weight)| (backend.address.to_string(), state.to_owned(), weight)).into();
    for _ in 0..2 {
        let proxy = setup.start();
        assert_eq!(shown(&proxy), expected);
        ask(&proxy, 40);
        assert_eq!((old.requests().len(), drained.requests().len()), (0, 0));
        proxy.stop();
    }
    assert!(fs::read_to_string(&journal).unwrap().contains("\"kind\":\"backend\""));
    // Whoever writes another weight for it means what is written.
    let addresses = [old.address, drained.address, heavy.address].map(|address| format!("http://{address}"));
    let written = format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\n\
         backends = [{:?}, {:?}, {{ url = {:?}, weight = 2 }}]",
        addresses[0], addresses[1], addresses[2]
    );
    let proxy = Setup::new().with(&written).journal(&journal).start();
    assert_eq!(proxy.status().backends.iter().find(|one| one.name == heavy.address.to_string()).unwrap().weight, 2);
}

#[test]
fn one_that_comes_back_beside_others_starts_slowly_and_the_limit_with_it() {
    let (back, there) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = setup(&[&back, &there], "limit = 40\nslow_start = \"10m\"").start();
    order(&proxy, "drain", &back, &json!({}));
    assert_eq!(order(&proxy, "restore", &back, &json!({})).1["state"], "starting, weight 1");
    ask(&proxy, 200);
    let got = back.requests().len();
    assert!(got <= 200 / 4, "{got} of 200 within a moment");
    assert_eq!((proxy.status().resources[0].limit, state(&proxy, &back).unwrap()), (25, "starting".into()));
}

#[test]
fn a_slow_start_ends_by_answers_and_not_by_the_clock_alone() {
    let (back, there) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = setup(&[&back, &there], "limit = 40\nslow_start = \"100ms\"").start();
    order(&proxy, "drain", &back, &json!({}));
    order(&proxy, "restore", &back, &json!({}));
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(state(&proxy, &back).unwrap(), "starting", "it has answered nobody yet");
    until("it has its whole share", || {
        ask(&proxy, 50);
        state(&proxy, &back).unwrap() == "serving"
    });
    assert!(back.requests().len() >= 64);
    assert_eq!(proxy.status().resources[0].limit, 40);
}

#[test]
fn the_first_of_a_pool_to_come_back_serves_at_once() {
    let (one, other) = (Backend::answering(OK), Backend::answering(OK));
    let proxy = setup(&[&one, &other], "limit = 40\nslow_start = \"10m\"").start();
    order(&proxy, "drain", &one, &json!({}));
    order(&proxy, "drain", &other, &json!({}));
    assert_eq!(proxy.product("horse-racing").state, "down");
    assert_eq!(order(&proxy, "restore", &one, &json!({})).1["state"], "serving, weight 1");
    assert_eq!(proxy.product("horse-racing").state, "ramping");
}
