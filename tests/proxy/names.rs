//! Backends known by a name, whose addresses change while the proxy runs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::json;
use sluss::config::Resolver;

use super::backend::{Backend, OK, Refusing};
use super::proxy::{Proxy, Setup};
use super::until;

/// What a resolver knows of the name: last numbers of addresses of this machine, or nothing when it is down.
type Known = Arc<Mutex<Option<Vec<u8>>>>;

/// A backend at 127.0.0.`last`, all of them at the same port.
fn backend(last: u8, port: u16) -> Backend {
    Refusing::at(SocketAddr::from(([127, 0, 0, last], port))).accept(|connection| {
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    })
}

fn know(known: &Known, addresses: Option<&[u8]>) {
    *known.lock().expect("nobody panics here") = addresses.map(<[u8]>::to_vec);
}

/// A proxy before `horse.test`, which has these addresses at first.
fn before(port: u16, addresses: &[u8], keys: &str) -> (Proxy, Known) {
    let known = Known::default();
    know(&known, Some(addresses));
    let asked = known.clone();
    let resolver = Resolver::new(move |_| {
        let known = asked.lock().expect("nobody panics here").clone();
        let known = known.ok_or_else(|| io::Error::other("the resolver is down"))?;
        Ok(known.into_iter().map(|last| IpAddr::from([127, 0, 0, last])).collect())
    });
    let product = format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nresolve = \"20ms\"\n\
         backends = [\"http://horse.test:{port}\"]\n{keys}"
    );
    (Setup::new().names(resolver).with(&product).start(), known)
}

fn names(proxy: &Proxy) -> Vec<String> {
    proxy.status().backends.into_iter().map(|backend| backend.name).collect()
}

/// Ask until all of these have been asked.
fn until_all_are_asked(proxy: &Proxy, backends: &[&Backend]) {
    let mut client = proxy.client();
    let before: Vec<usize> = backends.iter().map(|backend| backend.requests().len()).collect();
    until("all are asked", || {
        assert_eq!(client.get("/odds").status(), 200);
        backends.iter().zip(&before).all(|(backend, before)| backend.requests().len() > *before)
    });
}

#[test]
fn each_address_of_a_name_is_a_backend_and_they_come_and_go_with_it() {
    let one = backend(1, 0);
    let port = one.address.port();
    let (two, three) = (backend(2, port), backend(3, port));
    let (proxy, known) = before(port, &[1, 2], "limit = 40");
    assert_eq!(names(&proxy), [format!("horse.test:{port}"), format!("horse.test:{port}@127.0.0.2")]);
    until_all_are_asked(&proxy, &[&one, &two]);
    assert_eq!(one.requests()[0].header("host"), Some("bet.example"), "what its customer asked for");

    know(&known, Some(&[3, 2]));
    until("the third has come", || names(&proxy).len() == 2 && names(&proxy)[1] == format!("horse.test:{port}"));
    until_all_are_asked(&proxy, &[&two, &three]);
    let so_far = one.requests().len();
    until_all_are_asked(&proxy, &[&two, &three]);
    assert_eq!(one.requests().len(), so_far);
    let lookups =
        |verdict| proxy.metric(&format!("sluss_upstream_lookups_total{{pool=\"horse-racing\",verdict={verdict:?}}}"));
    assert_eq!(lookups("changed"), 1.0);
    assert_eq!(proxy.status().resources[0].limit, 40);
}

#[test]
fn a_lookup_that_fails_or_finds_nothing_keeps_the_last_known() {
    let one = backend(1, 0);
    let two = backend(2, one.address.port());
    let (proxy, known) = before(one.address.port(), &[1, 2], "");
    let failed = || proxy.metric("sluss_upstream_lookups_total{pool=\"horse-racing\",verdict=\"failed\"}");
    for nothing in [None, Some(&[][..])] {
        let so_far = failed();
        know(&known, nothing);
        until("it has failed some times", || failed() > so_far + 3.0);
        assert_eq!(names(&proxy).len(), 2);
        until_all_are_asked(&proxy, &[&one, &two]);
    }
    know(&known, Some(&[2]));
    until("it is heard again", || names(&proxy).len() == 1);
}

#[test]
fn a_name_that_moves_as_a_whole_is_followed_without_a_break() {
    let one = backend(1, 0);
    let two = backend(2, one.address.port());
    // Nobody waits for a newcomer's first check when there is nobody else.
    let (proxy, known) = before(one.address.port(), &[1], "[product.health]\npath = \"/health\"\ninterval = \"1h\"");
    until_all_are_asked(&proxy, &[&one]);
    know(&known, Some(&[2]));
    until_all_are_asked(&proxy, &[&two]);
    assert_eq!(proxy.product("horse-racing").state, "open");
    assert_eq!(names(&proxy), [format!("horse.test:{}", one.address.port())]);
}

#[test]
fn what_a_person_has_removed_a_name_does_not_bring_back() {
    let one = backend(1, 0);
    let port = one.address.port();
    let (_two, three) = (backend(2, port), backend(3, port));
    let (proxy, known) = before(port, &[1, 2], "");
    let order = json!({"order": "remove", "backend": format!("horse.test:{port}@127.0.0.2"), "reason": "a test"});
    assert_eq!(proxy.post("/api/v1/backends", &order).status(), 200);
    know(&known, Some(&[1, 2, 3]));
    until_all_are_asked(&proxy, &[&three]);
    assert_eq!(names(&proxy), [format!("horse.test:{port}"), format!("horse.test:{port}@127.0.0.3")]);
}
