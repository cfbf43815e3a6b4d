//! What leaves by one configuration and comes back by another, or is called otherwise, is what it was.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::json;
use sluss::admin::status::EventStatus;
use sluss::config::Resolver;

use super::backend::{Backend, OK, Refusing};
use super::bets::{bet, open, receipts};
use super::certificates::Authority;
use super::events::{from_now, move_stop};
use super::proxy::{Proxy, Setup};
use super::until;

fn horse(setup: Setup, backends: &[&Backend], keys: &str) -> Setup {
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    setup.product("horse-racing", "/horse/", &addresses, keys)
}

fn casino(setup: Setup, backend: &Backend) -> Setup {
    setup.product("casino", "/casino/", &[backend.address], "")
}

fn order(proxy: &Proxy, order: &str, backend: &str) {
    let request = json!({"order": order, "backend": backend, "reason": "a test", "who": "anna"});
    assert_eq!(proxy.post("/api/v1/backends", &request).status(), 200);
}

fn members(proxy: &Proxy) -> Vec<(String, String)> {
    proxy.status().backends.into_iter().map(|backend| (backend.name, backend.state)).collect()
}

fn is(backend: &Backend, state: &str) -> (String, String) {
    (backend.address.to_string(), state.to_owned())
}

fn limits(proxy: &Proxy) -> Vec<(String, u32)> {
    proxy.status().resources.into_iter().map(|resource| (resource.name, resource.limit)).collect()
}

#[test]
fn a_product_that_was_closed_when_it_left_is_closed_when_it_comes_back() {
    let [one, other] = [(); 2].map(|()| Backend::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let new = || Setup::new().journal(&folder.path().join("sluss.journal"));
    let both = || horse(casino(new(), &other), &[&one], "");
    let wallet =
        "[[budget]]\nname = \"wallet\"\nlimit = 4\nproducts = [\"casino\", \"horse-racing\"]\nclasses = [\"commit\"]";
    let proxy = both().start();
    assert_eq!(proxy.order("close", "horse-racing").status(), 200);
    // It comes back alone, and to share something with another.
    for back in [both(), both().with(wallet), both()] {
        proxy.goes_on_by(casino(new(), &other));
        assert_eq!(proxy.client().get("/horse/").status(), 404);
        proxy.goes_on_by(back);
        assert_eq!(proxy.product("horse-racing").state, "closed");
        assert_eq!(proxy.product("casino").state, "open");
    }
    proxy.stop();
    assert_eq!(both().start().product("horse-racing").state, "closed");
}

#[test]
fn what_was_said_of_races_counts_again_when_their_product_comes_back() {
    let [one, other] = [(); 2].map(|()| Backend::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let from = "[event]\nfrom = [{ path = \"/horse/bets/{event}\" }]";
    let new = || Setup::new().journal(&folder.path().join("sluss.journal")).with(from);
    let both = || horse(casino(new(), &other), &[&one], "");
    let known = |proxy: &Proxy| -> Vec<(String, String, jiff::Timestamp)> {
        let events: Vec<EventStatus> = serde_json::from_value(proxy.admin().get("/api/v1/events").json()).unwrap();
        events.into_iter().map(|event| (event.id, event.state, event.stop)).collect()
    };
    let proxy = both().start();
    for (id, stop) in [("closed", 600), ("paused", 1200), ("moved", 1800)] {
        let document = json!({"product": "horse-racing", "stop": from_now(stop).to_string(), "reason": "a test"});
        assert_eq!(proxy.send("PUT", &format!("/api/v1/events/{id}"), &document).status(), 200);
    }
    assert_eq!(proxy.order_event("close", "closed").status(), 200);
    assert_eq!(proxy.order_event("park", "paused").status(), 200);
    move_stop(&proxy, "moved", "+15m");
    let before = known(&proxy);
    assert_eq!(before.iter().map(|event| event.1.as_str()).collect::<Vec<_>>(), ["closed", "parked", "open"]);
    proxy.goes_on_by(casino(new(), &other));
    assert_eq!(known(&proxy), []);
    proxy.goes_on_by(both());
    assert_eq!(known(&proxy), before);
    assert_eq!(proxy.client().post("/horse/bets/closed", "").json()["refusal"], "event_closed");
    proxy.stop();
    assert_eq!(known(&both().start()), before);
}

#[test]
fn a_bet_is_known_when_its_product_comes_back() {
    let (one, other) = (receipts(&open()), Backend::answering(OK));
    let both = || horse(casino(Setup::new(), &other), &[&one], "");
    let proxy = both().start();
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 0");
    proxy.goes_on_by(casino(Setup::new(), &other));
    proxy.goes_on_by(both());
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 0");
    assert_eq!(one.requests().len(), 1);
}

#[test]
fn a_pool_that_was_down_when_it_left_serves_when_it_comes_back_and_its_backends_do() {
    let (gone, other) = (Refusing::somewhere(), Backend::answering(OK));
    let both = || casino(Setup::new(), &other).product("horse-racing", "/horse/", &[gone.address()], "");
    let (first, address) = (both(), gone.address());
    let proxy = first.start();
    let mut client = proxy.client();
    until("it is down", || {
        client.get("/horse/");
        proxy.product("horse-racing").state == "down"
    });
    proxy.goes_on_by(casino(Setup::new(), &other));
    assert_eq!(proxy.status().alarms, Vec::<String>::new(), "nobody can do anything about it");
    assert_eq!(proxy.metric("sluss_admission_state{product=\"horse-racing\",state=\"down\"}"), 0.0);
    assert_eq!(proxy.metric("sluss_admission_limit_seats{resource=\"horse-racing\",kind=\"pool\"}"), 0.0);
    let refusing = format!("sluss_upstream_backend_state{{backend=\"{address}\",state=\"refusing\"}}");
    assert_eq!(proxy.metric(&refusing), 0.0);
    drop(first);
    let back = both();
    let _backend = gone.accept(|connection| {
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    });
    proxy.goes_on_by(back);
    until("it serves", || client.get("/horse/").status() == 200);
}

#[test]
fn a_pool_is_the_same_when_another_of_its_products_comes_first() {
    let [one, two, three] = [(); 3].map(|()| Backend::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let new = || Setup::new().journal(&folder.path().join("sluss.journal"));
    let sport = |setup: Setup| setup.product("sport", "/sport/", &[one.address, two.address], "limit = 40");
    let proxy = sport(horse(new(), &[&one, &two], "")).start();
    order(&proxy, "drain", &two.address.to_string());
    let add = json!({"order": "add", "backend": three.address.to_string(), "product": "sport", "reason": "a test"});
    assert_eq!(proxy.post("/api/v1/backends", &add).status(), 200);
    let expected = [is(&one, "serving"), is(&two, "drained"), is(&three, "serving")];
    for next in [horse(sport(new()), &[&one, &two], ""), sport(new())] {
        proxy.goes_on_by(next);
        assert_eq!(members(&proxy), expected);
        assert_eq!(limits(&proxy).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["sport"]);
        assert_eq!(proxy.metric("sluss_admission_limit_seats{resource=\"horse-racing\",kind=\"pool\"}"), 0.0);
    }
    proxy.stop();
    assert_eq!(members(&sport(new()).start()), expected);
}

#[test]
fn a_pool_is_never_left_without_backends() {
    let [one, two] = [(); 2].map(|()| Backend::answering(OK));
    let proxy = horse(Setup::new(), &[&one, &two], "").start();
    order(&proxy, "remove", &two.address.to_string());
    proxy.goes_on_by(horse(Setup::new(), &[&two], ""));
    assert_eq!(members(&proxy), [is(&two, "serving")]);
    assert_eq!(proxy.client().get("/horse/").status(), 200);
}

/// Backends by URL, by a resolver that knows the last numbers of this machine's addresses that every name has.
fn by_names(known: &Arc<Mutex<Vec<u8>>>, setup: Setup, urls: &[String]) -> Setup {
    let known = known.clone();
    let resolver = Resolver::new(move |_| {
        let known = known.lock().expect("nobody panics here").clone();
        Ok(known.into_iter().map(|last| IpAddr::from([127, 0, 0, last])).collect())
    });
    setup.names(resolver).with(&format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nresolve = \"20ms\"\nbackends = {urls:?}"
    ))
}

#[test]
fn an_order_about_what_a_name_was_found_to_have_later_outlives_a_restart_for_as_long_as_the_name_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let known = Arc::new(Mutex::new(vec![1, 2]));
    let new = || Setup::new().journal(&folder.path().join("sluss.journal"));
    let setup = || by_names(&known, new(), &["http://horse.test:9".to_owned()]);
    let proxy = setup().start();
    *known.lock().unwrap() = vec![1, 2, 3];
    until("it is found", || members(&proxy).len() == 3);
    order(&proxy, "drain", "horse.test:9@127.0.0.3");
    proxy.stop();
    let proxy = setup().start();
    assert_eq!(members(&proxy)[2], ("horse.test:9@127.0.0.3".into(), "drained".into()));
    proxy.stop();
    *known.lock().unwrap() = vec![1, 2];
    let names: Vec<String> = members(&setup().start()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["horse.test:9", "horse.test:9@127.0.0.2"], "it is the name's to say");
}

#[test]
fn a_backend_goes_by_the_name_that_is_written_for_it_and_its_orders_go_along() {
    let folder = tempfile::tempdir().unwrap();
    let known = Arc::new(Mutex::new(vec![1]));
    let new = || Setup::new().journal(&folder.path().join("sluss.journal"));
    let setup = |host: &str| by_names(&known, new(), &[format!("http://{host}:9"), "http://127.0.0.9:9".to_owned()]);
    let proxy = setup("127.0.0.1").start();
    let state =
        |proxy: &Proxy, name: &str| members(proxy).into_iter().find(|(known, _)| known == name).map(|(_, state)| state);
    order(&proxy, "drain", "127.0.0.1:9");
    for host in ["horse.test", "another.test", "127.0.0.1", "horse.test"] {
        proxy.goes_on_by(setup(host));
        let name = format!("{host}:9");
        assert_eq!((members(&proxy).len(), state(&proxy, &name).as_deref()), (2, Some("drained")), "{name}");
    }
    proxy.stop();
    let proxy = setup("horse.test").start();
    assert_eq!(state(&proxy, "horse.test:9").as_deref(), Some("drained"));
    order(&proxy, "restore", "horse.test:9");
    proxy.goes_on_by(setup("127.0.0.1"));
    proxy.goes_on_by(setup("horse.test"));
    *known.lock().unwrap() = vec![2];
    until("it follows its name", || {
        let backends = proxy.status().backends;
        backends.len() == 2
            && backends.iter().all(|backend| backend.name != "127.0.0.1:9")
            && proxy.metric("sluss_upstream_lookups_total{pool=\"horse-racing\",verdict=\"changed\"}") > 0.0
    });
}

#[test]
fn a_limit_that_is_written_is_for_the_backends_that_are_written_with_it() {
    let [one, two, three, four] = [(); 4].map(|()| Backend::answering(OK));
    let proxy = horse(Setup::new(), &[&one, &two, &three, &four], "limit = 100").start();
    proxy.goes_on_by(horse(Setup::new(), &[&one, &two], "limit = 60"));
    assert_eq!(limits(&proxy), [("horse-racing".to_owned(), 60)]);
    proxy.goes_on_by(horse(Setup::new(), &[&one], "limit = 60"));
    assert_eq!(limits(&proxy), [("horse-racing".to_owned(), 60)]);
    order(&proxy, "drain", &one.address.to_string());
    assert_eq!(proxy.product("horse-racing").state, "down");
}

#[test]
fn a_limit_that_was_found_with_more_starts_in_another_range_in_proportion() {
    let [one, two, three, four] = [(); 4].map(|()| Backend::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("sluss.journal");
    let found = "{\"at\":\"2024-08-24T14:00:00Z\",\"kind\":\"knee\",\"resource\":\"horse-racing\",\"seats\":80.0}\n";
    std::fs::write(&journal, found).unwrap();
    let up_to = |most: u32, backends: &[&Backend]| {
        let limit = format!("limit = {{ initial = 10, least = 4, most = {most} }}");
        horse(Setup::new().journal(&journal), backends, &limit)
    };
    let proxy = up_to(200, &[&one, &two, &three, &four]).start();
    assert!((70..=90).contains(&limits(&proxy)[0].1), "{:?}", limits(&proxy));
    proxy.goes_on_by(up_to(100, &[&one, &two]));
    assert!((35..=45).contains(&limits(&proxy)[0].1), "{:?}", limits(&proxy));
}

const ERROR: &str = "HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n";

#[test]
fn nobody_is_left_out_where_nobody_is_judged_any_more() {
    let (failing, well) = (Backend::answering(ERROR), Backend::answering(OK));
    let outliers = "limit = 30\n[product.outliers]\nconsecutive = 2\nfirst = \"5m\"";
    let proxy = horse(Setup::new(), &[&failing, &well], outliers).start();
    let mut client = proxy.client();
    until("it is left out", || {
        client.get("/horse/");
        members(&proxy)[0] == is(&failing, "ejected")
    });
    assert_eq!(limits(&proxy)[0].1, 15);
    proxy.goes_on_by(horse(Setup::new(), &[&failing, &well], "limit = 30"));
    assert_eq!((members(&proxy)[0].clone(), limits(&proxy)[0].1), (is(&failing, "serving"), 30));
}

#[test]
fn the_last_that_is_in_use_is_not_left_out_even_where_nothing_is_panic() {
    let (failing, drained) = (Backend::answering(ERROR), Backend::answering(OK));
    let outliers = "[product.outliers]\nconsecutive = 2\npanic = 0\nmost = 100";
    let proxy = horse(Setup::new(), &[&failing, &drained], outliers).start();
    order(&proxy, "drain", &drained.address.to_string());
    let mut client = proxy.client();
    (0..20).for_each(|_| assert_eq!(client.get("/horse/").status(), 500));
    assert_eq!(members(&proxy)[0], is(&failing, "serving"));
}

#[test]
fn an_alarm_about_certificates_is_over_when_a_reload_reads_good_ones() {
    let (authority, clear) = (Authority::new(), Backend::answering(OK));
    let listen = authority.listen(&["bet.example"]);
    let tls = format!(
        "[[product]]\nname = \"casino\"\nmatch = [{{ path = \"/casino/\" }}]\nbackends = [\"https://127.0.0.1:9\"]\n\
         [product.tls]\nca = {:?}",
        authority.ca()
    );
    let setup = || horse(Setup::new(), &[&clear], "").with(&tls).listen(&listen);
    let alarms = |proxy: &Proxy| proxy.status().alarms.iter().filter(|alarm| alarm.contains("certificate")).count();
    let proxy = setup().start();
    // The office has looked at the files once when they change.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let good = std::fs::read(authority.path("authority.pem")).unwrap();
    std::fs::write(authority.path("authority.pem"), "nonsense").unwrap();
    std::fs::write(authority.path("bet.example.key"), "no key").unwrap();
    until("somebody is told of both", || alarms(&proxy) == 2);
    std::fs::write(authority.path("authority.pem"), good).unwrap();
    authority.pair("bet.example", &["bet.example"]);
    proxy.goes_on_by(setup());
    assert_eq!(alarms(&proxy), 0, "{:?}", proxy.status().alarms);
}
