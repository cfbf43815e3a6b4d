//! A share of a product moves from one site to another, live: by steps, back by itself, and no request is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::{Backend, Door, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};
use super::until;

/// A backend that takes a few milliseconds, and much longer for more at once than it can do.
fn model(at_once: usize) -> Backend {
    let here = Arc::new(AtomicUsize::new(0));
    Backend::new(move |connection| {
        while connection.request()?.is_some() {
            let many = here.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::sleep(Duration::from_millis(if many > at_once { 400 } else { 5 }));
            here.fetch_sub(1, Ordering::SeqCst);
            connection.say(OK)?;
        }
        Ok(())
    })
}

const FAILS: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// Answers well until the test breaks it.
fn breakable() -> (Backend, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = broken.clone();
    let backend = Backend::new(move |connection| {
        while connection.request()?.is_some() {
            std::thread::sleep(Duration::from_millis(2));
            connection.say(if breaks.load(Ordering::SeqCst) { FAILS } else { OK })?;
        }
        Ok(())
    });
    (backend, broken)
}

fn sites(old: &Backend, new: &Backend, shares: [u32; 2], keys: &str) -> String {
    format!(
        "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/horse/\" }}]\n{keys}\n\
         [[product.site]]\nname = \"old\"\nshare = {}\nbackends = [\"http://{}\"]\nlimit = 40\n\
         [[product.site]]\nname = \"new\"\nshare = {}\nbackends = [\"http://{}\"]\nlimit = 40\n",
        shares[0], old.address, shares[1], new.address
    )
}

fn setup(old: &Backend, new: &Backend) -> Setup {
    served(&sites(old, new, [100, 0], ""))
}

/// With these products; whoever comes says who they are.
fn served(products: &str) -> Setup {
    let known = "[customer]\nfrom = [{ header = \"x-account\" }, \"address\"]\n";
    Setup::new().listen("trusted = [\"127.0.0.0/8\"]").with(known).with(products)
}

/// An order about the shares, and what came of it.
fn shift(proxy: &Proxy, more: &Value) -> (u16, Value) {
    let mut document = json!({"product": "horse-racing", "reason": "a test", "who": "anna"});
    document.as_object_mut().expect("an object").extend(more.as_object().expect("further keys").clone());
    let answer = proxy.post("/api/v1/shift", &document);
    (answer.status(), answer.json())
}

fn begin(share: u32, step: u32) -> Value {
    json!({"order": "begin", "from": "old", "to": "new", "share": share, "step": step, "every_ms": 1000})
}

fn share(proxy: &Proxy) -> u32 {
    proxy.product("horse-racing").sites[1].share
}

/// Customers who ask again and again, until they are told to stop. Tells how often they heard each status.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<BTreeMap<u16, usize>>>,
}

impl Crowd {
    fn comes(proxy: &Proxy, customers: usize) -> Crowd {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let (mut client, stop) = (proxy.client(), stop.clone());
            std::thread::spawn(move || {
                let (mut heard, mut account) = (BTreeMap::new(), number);
                while !stop.load(Ordering::SeqCst) {
                    account += 1000;
                    let known = format!("host: bet.example\r\nx-account: {account}\r\n");
                    let status = client.ask(format!("GET /horse/odds HTTP/1.1\r\n{known}\r\n")).status();
                    *heard.entry(status).or_default() += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                heard
            })
        };
        Crowd { clients: (0..customers).map(client).collect(), stop }
    }

    fn goes(self) -> BTreeMap<u16, usize> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = BTreeMap::new();
        for client in self.clients {
            for (status, times) in client.join().expect("no client panics") {
                *all.entry(status).or_default() += times;
            }
        }
        all
    }
}

#[test]
fn a_share_moves_by_steps_and_no_request_is_lost() {
    let (old, new) = (model(40), model(40));
    let proxy = setup(&old, &new).start();
    let crowd = Crowd::comes(&proxy, 8);
    let (status, told) = shift(&proxy, &begin(50, 25));
    assert_eq!((status, &told["shift"]["share"], &told["shift"]["target"]), (200, &json!(25), &json!(50)), "{told}");
    assert_eq!(told["sites"][1], json!({"name": "new", "pool": "horse-racing/new", "share": 25, "bounded": true}));
    assert_eq!(shift(&proxy, &begin(50, 25)).0, 422, "one at a time");
    until("it has arrived", || proxy.product("horse-racing").shift.is_none());
    let before = (old.requests().len(), new.requests().len());
    until("both were asked for a while", || new.requests().len() > before.1 + 200);
    let after = (old.requests().len() - before.0, new.requests().len() - before.1);
    assert!(after.0 < 3 * after.1, "half of the customers are at home there: {after:?}");
    let heard = crowd.goes();
    assert_eq!(heard.keys().collect::<Vec<_>>(), [&200], "{heard:?}");
    assert_eq!(heard[&200], old.requests().len() + new.requests().len());
    let sites = proxy.product("horse-racing").sites;
    assert_eq!((sites[1].share, sites[1].bounded), (50, false));
    let series = |step: &str| {
        proxy.metric(&format!(
            "sluss_admission_shift_steps_total{{product=\"horse-racing\",site=\"new\",step=\"{step}\"}}"
        ))
    };
    assert_eq!((series("forward"), series("back"), series("arrived")), (2.0, 0.0, 1.0));
    assert_eq!(proxy.metric("sluss_admission_share_per_cent{product=\"horse-racing\",site=\"old\"}"), 50.0);
}

#[test]
fn a_share_steps_back_by_itself_where_the_receiving_side_is_slow_beyond_what_it_can_do() {
    // One at a time is what the new one can do.
    let (old, new) = (model(40), model(1));
    let proxy = setup(&old, &new).start();
    let crowd = Crowd::comes(&proxy, 12);
    assert_eq!(shift(&proxy, &begin(60, 60)).0, 200);
    until("it gave up", || proxy.product("horse-racing").shift.is_none());
    let heard = crowd.goes();
    assert_eq!(heard.keys().collect::<Vec<_>>(), [&200], "{heard:?}");
    assert!(share(&proxy) < 60, "{}", share(&proxy));
    let alarms = proxy.status().alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains("the shift of horse-racing to new gave up")), "{alarms:?}");
    // An order settles it.
    assert_eq!(shift(&proxy, &json!({"order": "back"})).0, 200);
    assert_eq!((share(&proxy), proxy.status().alarms.len()), (0, 0));
}

#[test]
fn a_receiving_side_that_breaks_gives_back_what_it_got() {
    let old = model(40);
    let (new, broken) = breakable();
    let proxy = served(&sites(&old, &new, [80, 20], "")).start();
    let crowd = Crowd::comes(&proxy, 8);
    assert_eq!(shift(&proxy, &begin(80, 20)).0, 200);
    until("it moves on", || share(&proxy) >= 60);
    broken.store(true, Ordering::SeqCst);
    until("it gave up", || proxy.product("horse-racing").shift.is_none());
    assert_eq!(share(&proxy), 20);
    broken.store(false, Ordering::SeqCst);
    let heard = crowd.goes();
    let failed = heard.get(&503).copied().unwrap_or_default();
    assert!(failed < 150, "of {heard:?} it took too many to see it");
}

#[test]
fn a_restart_keeps_the_share_and_stops_the_shift() {
    let (old, new) = (model(40), model(40));
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("sluss.journal");
    let setup = setup(&old, &new).journal(&journal);
    let proxy = setup.start();
    assert_eq!(shift(&proxy, &begin(50, 20)).0, 200);
    assert_eq!(share(&proxy), 20);
    proxy.stop();
    let proxy = setup.start();
    let product = proxy.product("horse-racing");
    assert_eq!((product.sites[1].share, product.sites[1].bounded, product.shift), (20, true, None));
    proxy.stop();
    // Who changes the configuration means it.
    let changed = served(&sites(&old, &new, [70, 30], "")).journal(&journal);
    assert_eq!(share(&changed.start()), 30);
}

#[test]
fn when_one_site_is_gone_the_other_serves_everybody() {
    let ((old, broken), new) = (breakable(), model(40));
    let health = "health = { path = \"/health\", interval = \"100ms\", fall = 1 }";
    let proxy = served(&sites(&old, &new, [100, 0], health)).start();
    let asked = |backend: &Backend| backend.requests().iter().any(|request| request.start().contains("/horse/"));
    assert_eq!(proxy.client().get("/horse/odds").status(), 200);
    assert!(asked(&old) && !asked(&new));
    broken.store(true, Ordering::SeqCst);
    until("the other is asked", || proxy.client().get("/horse/odds").status() == 200);
    assert!(asked(&new));
}

#[test]
fn a_dead_site_is_left_at_once_by_order() {
    let (old, new) = (model(40), model(40));
    let proxy = setup(&old, &new).start();
    let order = json!({"order": "begin", "from": "old", "to": "new", "now": true});
    let (status, told) = shift(&proxy, &order);
    assert_eq!((status, &told["sites"][1]["share"], &told["shift"]), (200, &json!(100), &Value::Null));
    (0..20).for_each(|_| assert_eq!(proxy.client().get("/horse/odds").status(), 200));
    assert_eq!((old.requests().len(), new.requests().len()), (0, 20));
}

#[test]
fn orders_that_cannot_be_followed_say_what_to_say_instead() {
    let (old, new) = (model(40), model(40));
    let proxy = setup(&old, &new).start();
    for (order, status, says) in [
        (json!({"order": "begin", "from": "old", "to": "nwe"}), 404, "Did you mean `new`?"),
        (json!({"order": "begin", "from": "old"}), 422, "one of old, new"),
        (json!({"order": "begin", "from": "old", "to": "old"}), 422, "cannot give to itself"),
        (json!({"order": "begin", "from": "new", "to": "old"}), 422, "has as much already"),
        (json!({"order": "begin", "from": "old", "to": "new", "share": 101}), 422, "not so much together"),
        (json!({"order": "begin", "from": "old", "to": "new", "every_ms": 10}), 422, "1s to 3600s"),
        (json!({"order": "stop"}), 422, "no shift"),
        (json!({"order": "stop", "reason": " "}), 422, "needs a reason"),
        (json!({"order": "stop", "product": "poker"}), 404, "no product called `poker`"),
    ] {
        let (heard, told) = shift(&proxy, &order);
        assert!(heard == status && told.to_string().contains(says), "{order}: {heard} {told}");
    }
    assert_eq!(share(&proxy), 0);
}

#[test]
fn a_reload_leaves_a_shift_alone_unless_it_says_something_else_of_the_sites() {
    let (old, new) = (model(40), model(40));
    let proxy = setup(&old, &new).start();
    let crowd = Crowd::comes(&proxy, 4);
    assert_eq!(shift(&proxy, &begin(50, 20)).0, 200);
    proxy.goes_on_by(served(&sites(&old, &new, [100, 0], "latency_objective = \"300ms\"")));
    let product = proxy.product("horse-racing");
    assert!(product.sites[1].share >= 20 && product.shift.is_some(), "{product:?}");
    proxy.goes_on_by(served(&sites(&old, &new, [70, 30], "")));
    let product = proxy.product("horse-racing");
    assert_eq!((product.sites[1].share, product.shift), (30, None));
    // A site that is new is another pool, and one place is enough again.
    let third = model(40);
    let three = sites(&old, &new, [50, 30], "")
        + &format!("[[product.site]]\nname = \"third\"\nshare = 20\nbackends = [\"http://{}\"]\n", third.address);
    proxy.goes_on_by(served(&three));
    until("the third is asked", || !third.requests().is_empty());
    proxy.goes_on_by(Setup::new().horse(&old, ""));
    assert!(proxy.product("horse-racing").sites.is_empty());
    let before = new.requests().len() + third.requests().len();
    (0..20).for_each(|_| assert_eq!(proxy.client().get("/horse/odds").status(), 200));
    assert!(new.requests().len() + third.requests().len() <= before + 4, "those under way, and no more");
    let heard = crowd.goes();
    assert_eq!(heard.keys().collect::<Vec<_>>(), [&200], "{heard:?}");
}

/// Sites with a seat each.
fn with_a_seat_each(sites: &[(&str, &Backend, u32)]) -> Setup {
    let site = |(name, backend, share): &(&str, &Backend, u32)| {
        let address = backend.address;
        format!("[[product.site]]\nname = \"{name}\"\nshare = {share}\nbackends = [\"http://{address}\"]\nlimit = 1\n")
    };
    let sites: String = sites.iter().map(site).collect();
    let product =
        "[[product]]\nname = \"horse-racing\"\nmatch = [{ path = \"/horse/\" }]\nqueue = { longest_wait = \"30s\" }\n";
    served(&format!("{product}{sites}"))
}

#[test]
fn who_waits_through_a_reload_is_served_at_a_site_that_counts_from_then_on() {
    let doors = [Door::default(), Door::default()];
    let (north, south) = (Backend::behind(&doors[0]), Backend::behind(&doors[1]));
    let west = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwest");
    let proxy = with_a_seat_each(&[("north", &north, 50), ("south", &south, 50)]).start();
    let mut clients: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    clients[0].say(get("/horse/"));
    clients[1].say(get("/horse/"));
    north.until_asked(1);
    south.until_asked(1);
    clients[2].say(get("/horse/"));
    proxy.until_waiting(1);
    // What was the second is the first, and the second is new.
    proxy.goes_on_by(with_a_seat_each(&[("south", &south, 50), ("west", &west, 50)]));
    assert_eq!(clients[2].answer().text(), "west");
    assert_eq!((north.requests().len(), south.requests().len()), (1, 1));
    doors.iter().for_each(Door::let_one);
    clients[..2].iter_mut().for_each(|client| assert_eq!(client.answer().text(), "ok"));
}
