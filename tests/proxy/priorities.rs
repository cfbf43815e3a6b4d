//! Backends of several priorities: the first serve, and the next take what is missing of them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use sluss::config::Resolver;

use super::backend::{Backend, Connection, OK, Refusing};
use super::proxy::{Proxy, Setup};
use super::until;

const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// A product before backends of these priorities.
fn setup(backends: &[(SocketAddr, u32)], keys: &str) -> Setup {
    let one =
        |(address, priority): &(SocketAddr, u32)| format!("{{ url = \"http://{address}\", priority = {priority} }}");
    let backends: Vec<String> = backends.iter().map(one).collect();
    Setup::new().with(&format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nbackends = [{}]\n{keys}",
        backends.join(", ")
    ))
}

fn answering<const N: usize>() -> [Backend; N] {
    [(); N].map(|()| Backend::answering(OK))
}

/// Answers with errors for as long as it is ill.
fn flipping(ill: &Arc<AtomicBool>) -> Backend {
    let ill = ill.clone();
    Backend::new(move |connection: &mut Connection| -> io::Result<()> {
        while connection.request()?.is_some() {
            connection.say(if ill.load(Ordering::SeqCst) { ERROR } else { OK })?;
        }
        Ok(())
    })
}

fn order(proxy: &Proxy, order: &str, backend: &Backend, more: &Value) -> (u16, Value) {
    let mut document = json!({"order": order, "backend": backend.address.to_string(), "reason": "a test"});
    document.as_object_mut().expect("an object").extend(more.as_object().expect("further keys").clone());
    let answer = proxy.post("/api/v1/backends", &document);
    (answer.status(), answer.json())
}

/// Requests one after the other, all of which are answered.
fn ask(proxy: &Proxy, times: usize) {
    let mut client = proxy.client();
    (0..times).for_each(|_| assert_eq!(client.get("/odds").status(), 200));
}

/// How many of so many requests each of them got.
fn shares(proxy: &Proxy, times: usize, backends: &[&Backend]) -> Vec<usize> {
    let counts = || -> Vec<usize> { backends.iter().map(|backend| backend.requests().len()).collect() };
    let before = counts();
    ask(proxy, times);
    counts().iter().zip(before).map(|(after, before)| after - before).collect()
}

fn states(proxy: &Proxy) -> Vec<String> {
    proxy.status().backends.into_iter().map(|backend| backend.state).collect()
}

fn limit(proxy: &Proxy) -> u32 {
    proxy.status().resources[0].limit
}

#[test]
fn whoever_stands_by_is_asked_nothing_while_enough_of_the_first_are_there() {
    let ([a, b, c, d], [spare]) = (answering(), answering());
    let all = [(a.address, 0), (b.address, 0), (c.address, 0), (d.address, 0), (spare.address, 1)];
    let proxy = setup(&all, "limit = 40").start();
    ask(&proxy, 100);
    assert_eq!(states(&proxy), ["serving", "serving", "serving", "serving", "standby"]);
    assert_eq!(proxy.status().backends[4].priority, 1);
    assert_eq!(proxy.metric(&format!("sluss_upstream_backend_priority{{backend=\"{}\"}}", spare.address)), 1.0);
    assert_eq!(proxy.metric(&format!("sluss_upstream_set_aside{{backend=\"{}\"}}", spare.address)), 0.0);
    order(&proxy, "drain", &a, &json!({}));
    ask(&proxy, 100);
    // Three of four are enough, and the limit is theirs.
    assert_eq!((spare.requests().len(), limit(&proxy)), (0, 30));
    order(&proxy, "drain", &b, &json!({}));
    assert!(shares(&proxy, 100, &[&spare])[0] > 10);
}

#[test]
fn the_next_level_takes_what_is_missing_and_gives_it_back() {
    let ([a, b, c], [d, e, f]) = (answering(), answering());
    let all = [&a, &b, &c, &d, &e, &f].map(|one| one.address);
    let all: Vec<_> = all.into_iter().zip([0, 0, 0, 1, 1, 1]).collect();
    let proxy = setup(&all, "limit = 60\nslow_start = \"50ms\"\nbalance = \"round_robin\"").start();
    for gone in [&a, &b] {
        order(&proxy, "drain", gone, &json!({}));
    }
    assert_eq!(states(&proxy)[3..], ["starting", "starting", "starting"]);
    until("they have had their start", || {
        ask(&proxy, 50);
        states(&proxy)[3] == "serving"
    });
    // The one that is left has what it had; three take what two had.
    let shares_then = shares(&proxy, 300, &[&a, &b, &c, &d, &e, &f]);
    let expected = [0, 0, 100, 67, 67, 67];
    assert!(shares_then.iter().zip(expected).all(|(got, due)| got.abs_diff(due) <= 12), "{shares_then:?}");
    assert_eq!(limit(&proxy), 60);
    assert!((60.0..70.0).contains(&proxy.metric("sluss_upstream_failover_per_cent{pool=\"horse-racing\"}")));
    for back in [&a, &b] {
        order(&proxy, "restore", back, &json!({}));
    }
    until("those who came back have had their start", || {
        ask(&proxy, 50);
        states(&proxy) == ["serving", "serving", "serving", "standby", "standby", "standby"]
    });
    assert_eq!(shares(&proxy, 60, &[&d, &e, &f]), [0, 0, 0]);
    assert_eq!((limit(&proxy), proxy.metric("sluss_upstream_failover_per_cent{pool=\"horse-racing\"}")), (60, 0.0));
}

#[test]
fn a_smaller_level_gets_the_limit_that_is_its_part_and_half_of_that_at_first() {
    let ([a, b, c, d], [spare]) = (answering(), answering());
    let all = [(a.address, 0), (b.address, 0), (c.address, 0), (d.address, 0), (spare.address, 3)];
    let proxy = setup(&all, "limit = 80\nslow_start = \"50ms\"").start();
    for gone in [&a, &b, &c, &d] {
        order(&proxy, "drain", gone, &json!({}));
    }
    assert_eq!((states(&proxy)[4].as_str(), limit(&proxy)), ("starting", 10));
    assert_eq!(proxy.product("horse-racing").state, "open");
    until("it has had its start", || {
        ask(&proxy, 50);
        limit(&proxy) == 20
    });
    assert_eq!(states(&proxy)[4], "serving");
    order(&proxy, "drain", &spare, &json!({}));
    assert_eq!(proxy.product("horse-racing").state, "down");
}

#[test]
fn nobody_suffers_between_a_fault_and_its_being_believed() {
    let (refusing, [spare]) = (Refusing::somewhere(), answering());
    let proxy = setup(&[(refusing.address(), 0), (spare.address, 1)], "limit = 40\nretry_budget = 1").start();
    ask(&proxy, 200);
    until("it is believed", || states(&proxy) == ["refusing", "starting"]);
}

#[test]
fn when_it_fails_over_is_for_the_operator_to_say() {
    let ([a, b], [spare]) = (answering(), answering());
    let all = [(a.address, 0), (b.address, 0), (spare.address, 1)];
    let proxy = setup(&all, "limit = 40\nfailover = 0").start();
    order(&proxy, "drain", &a, &json!({}));
    ask(&proxy, 50);
    assert_eq!((states(&proxy)[2].as_str(), spare.requests().len()), ("standby", 0));
    order(&proxy, "drain", &b, &json!({}));
    ask(&proxy, 50);
    assert_eq!(spare.requests().len(), 50);
}

#[test]
fn what_ails_all_of_a_level_ejects_nobody_for_the_sake_of_those_who_have_not_been_asked() {
    let ill = Arc::new(AtomicBool::new(true));
    let (first, [spare]) = ([flipping(&ill), flipping(&ill)], answering());
    let all = [(first[0].address, 0), (first[1].address, 0), (spare.address, 1)];
    let keys = "limit = 40\n[product.outliers]\nconsecutive = 3\ninterval = \"100ms\"\nanswers = 1";
    let proxy = setup(&all, keys).start();
    let mut client = proxy.client();
    (0..100).for_each(|_| drop(client.get("/odds")));
    std::thread::sleep(std::time::Duration::from_millis(300));
    (0..20).for_each(|_| drop(client.get("/odds")));
    assert_eq!(states(&proxy), ["serving", "serving", "standby"]);
    assert_eq!(spare.requests().len(), 0);
}

#[test]
fn one_that_is_ejected_is_replaced_rather_than_pardoned() {
    let (ill, well) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (failing, good, [drained], [one, other]) = (flipping(&ill), flipping(&well), answering(), answering());
    let all = [(failing.address, 0), (good.address, 0), (drained.address, 0), (one.address, 1), (other.address, 1)];
    let keys = "limit = 60\n[product.outliers]\nconsecutive = 3\nfirst = \"1m\"\npanic = 80";
    let proxy = setup(&all, keys).start();
    order(&proxy, "drain", &drained, &json!({}));
    let mut client = proxy.client();
    until("it is ejected", || {
        client.get("/odds");
        states(&proxy)[0] == "ejected"
    });
    let before = failing.requests().len();
    // One of two that are in use is less than 80 in a hundred: without another level it would be asked all the same.
    ask(&proxy, 60);
    assert_eq!(failing.requests().len(), before);
    assert_eq!(proxy.metric("sluss_upstream_panic{pool=\"horse-racing\"}"), 0.0);
    // Without anybody who could serve in its place it is.
    for spare in [&one, &other] {
        order(&proxy, "drain", spare, &json!({}));
    }
    assert_eq!(proxy.metric("sluss_upstream_panic{pool=\"horse-racing\"}"), 1.0);
}

#[test]
fn a_backend_is_added_with_a_priority_which_a_restart_keeps_and_the_configuration_changes() {
    let ([first], [spare]) = (answering(), answering());
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("sluss.journal");
    let start = |all: &[(SocketAddr, u32)]| setup(all, "").journal(&journal);
    let proxy = start(&[(first.address, 0)]).start();
    let added = |proxy: &Proxy| proxy.status().backends.into_iter().find(|one| one.name == spare.address.to_string());
    let (status, told) = order(&proxy, "add", &spare, &json!({"product": "horse-racing", "priority": 2}));
    assert_eq!((status, &told["state"]), (200, &json!("standby, weight 1")));
    for (what, more, says) in [
        ("drain", json!({"priority": 1}), "a priority goes with the order `add` only"),
        ("add", json!({"product": "horse-racing", "priority": 10}), "a priority is a number from 0"),
    ] {
        let (status, told) = order(&proxy, what, &spare, &more);
        assert!(status == 422 && told["detail"].as_str().is_some_and(|why| why.contains(says)), "{told}");
    }
    ask(&proxy, 20);
    assert_eq!(spare.requests().len(), 0);
    proxy.stop();
    let proxy = start(&[(first.address, 0)]).start();
    assert_eq!(added(&proxy).map(|one| (one.priority, one.state)), Some((2, "standby".to_owned())));
    ask(&proxy, 20);
    assert_eq!(spare.requests().len(), 0);
    // Who writes it into the configuration means what is written, now and after a restart.
    proxy.goes_on_by(start(&[(first.address, 1), (spare.address, 0)]));
    assert_eq!(added(&proxy).map(|one| (one.priority, one.state)), Some((0, "serving".to_owned())));
    assert_eq!(shares(&proxy, 20, &[&first, &spare]), [0, 20]);
    proxy.stop();
    let proxy = start(&[(first.address, 0), (spare.address, 1)]).start();
    assert_eq!(shares(&proxy, 20, &[&first, &spare]), [20, 0]);
}

#[test]
fn all_addresses_of_a_name_have_its_priority() {
    let first = Backend::answering(OK);
    let resolver = Resolver::new(|_| Ok([1, 2].map(|last| IpAddr::from([127, 0, 0, last])).to_vec()));
    let written = format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\n\
         backends = [\"http://{}\", {{ url = \"http://spare.test:{}\", priority = 1 }}]",
        first.address,
        Refusing::somewhere().address().port()
    );
    let proxy = Setup::new().names(resolver).with(&written).start();
    let all: Vec<_> = proxy.status().backends.into_iter().map(|one| (one.priority, one.state)).collect();
    assert_eq!(all.iter().map(|(priority, _)| *priority).collect::<Vec<_>>(), [0, 1, 1]);
    assert!(all[1..].iter().all(|(_, state)| state == "standby"));
    ask(&proxy, 20);
}
