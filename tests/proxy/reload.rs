//! Another configuration while customers run and wait: nobody is refused, forgotten or cut for it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::access_log::{Log, lines};
use super::backend::{Backend, Connection, Door, OK, Refusing};
use super::bets::{bet, open, receipts};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::{Message, Wire};

const ONE: &str = "limit = 1\nqueue = { longest_wait = \"30s\" }";

fn in_front_of(backends: &[&Backend], keys: &str) -> Setup {
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    Setup::new().product("horse-racing", "/horse/", &addresses, keys)
}

/// A backend that says who it is.
fn named(name: &str) -> Backend {
    Backend::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()))
}

#[track_caller]
fn is_rejected(answer: &Message, because: &str) {
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.status(), 422, "{detail}");
    assert!(detail.starts_with("the configuration cannot be taken up, so nothing was changed: "), "{detail}");
    assert!(detail.contains(because), "{detail}");
}

#[test]
fn who_runs_is_answered_and_who_waits_keeps_their_place() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let proxy = in_front_of(&[&backend], ONE).start();
    let mut running = proxy.client();
    running.say(post("/horse/bets", "0"));
    backend.until_asked(1);
    let mut waiting: Vec<_> = (1..=3)
        .map(|place| {
            let mut client = proxy.client();
            client.say(post("/horse/bets", &place.to_string()));
            proxy.until_waiting(place);
            client
        })
        .collect();
    // Another product stands before it now, and what it is called in the file has moved.
    let other = named("casino");
    let next = Setup::new().product("casino", "/casino/", &[other.address], "").horse(&backend, ONE);
    proxy.goes_on_by(next);
    assert_eq!(proxy.product("horse-racing").waiting, 3);
    assert_eq!(proxy.client().get("/casino/").text(), "casino");
    for place in 1..=4 {
        backend.until_asked(place);
        door.let_one();
        let client = if place == 1 { &mut running } else { &mut waiting[place - 2] };
        assert_eq!(client.answer().text(), "ok");
    }
    let bets: Vec<String> = backend.requests().iter().map(Message::text).collect();
    assert_eq!(bets, ["0", "1", "2", "3"]);
    assert_eq!(proxy.product("horse-racing").in_flight, 0);
    assert_eq!(running.get("/casino/").text(), "casino", "a connection that was there has what counts now");
}

#[test]
fn what_is_wrong_changes_nothing_and_is_told_until_it_is_mended() {
    let backend = named("one");
    let setup = || in_front_of(&[&backend], "");
    let proxy = setup().start();
    is_rejected(&proxy.reload(setup().top("qeue = 3")), "unknown key `qeue`");
    assert_eq!(proxy.client().get("/horse/").text(), "one");
    assert_eq!(proxy.status().alarms.len(), 1, "{:?}", proxy.status().alarms);
    assert_eq!(proxy.metric("sluss_config_reloads_total{result=\"rejected\"}"), 1.0);
    proxy.goes_on_by(setup());
    assert_eq!(proxy.status().alarms, Vec::<String>::new());
    assert_eq!(proxy.metric("sluss_config_reloads_total{result=\"taken_up\"}"), 1.0);
}

#[test]
fn what_takes_a_new_process_is_refused_as_a_whole() {
    let backend = named("one");
    let setup = || in_front_of(&[&backend], "");
    let proxy = setup().listen("workers = 2").start();
    let next = setup().listen("workers = 3").top("log = \"json\"");
    is_rejected(
        &proxy.reload(next),
        "another [listen] workers, log takes a new process (`sluss upgrade`, or a restart)",
    );
    let two = |budget: &str| {
        let casino = Setup::new().product("casino", "/casino/", &[named("other").address], "");
        casino.horse(&backend, "").with(budget).listen("workers = 2")
    };
    proxy.goes_on_by(two(""));
    let wallet =
        "[[budget]]\nname = \"wallet\"\nlimit = 4\nproducts = [\"casino\", \"horse-racing\"]\nclasses = [\"commit\"]";
    is_rejected(&proxy.reload(two(wallet)), "the products casino, horse-racing come to share backends or a budget");
    assert_eq!(proxy.client().get("/horse/").text(), "one");
}

#[test]
fn those_that_share_may_part_and_come_together_again() {
    let backend = named("one");
    let other = named("other");
    let two =
        |budget: &str| in_front_of(&[&backend], "").product("casino", "/casino/", &[other.address], "").with(budget);
    let wallet =
        "[[budget]]\nname = \"wallet\"\nlimit = 4\nproducts = [\"casino\", \"horse-racing\"]\nclasses = [\"commit\"]";
    let proxy = two(wallet).start();
    for budget in ["", wallet, ""] {
        proxy.goes_on_by(two(budget));
        assert_eq!(proxy.client().post("/horse/bets", "").text(), "one");
        assert_eq!(proxy.client().post("/casino/bets", "").text(), "other");
        let budgets = proxy.status().resources.iter().filter(|resource| resource.kind == "budget").count();
        assert_eq!(budgets, usize::from(!budget.is_empty()));
    }
}

#[test]
fn who_waits_is_served_by_the_backends_that_there_are_then() {
    let door = Door::default();
    let old = Backend::behind(&door);
    let new = named("new");
    let proxy = in_front_of(&[&old], ONE).start();
    let mut running = proxy.client();
    running.say(post("/horse/bets", "a bet"));
    old.until_asked(1);
    let mut waiting = proxy.client();
    waiting.say(post("/horse/bets", "another"));
    proxy.until_waiting(1);
    proxy.goes_on_by(in_front_of(&[&new], ONE));
    door.let_one();
    assert_eq!(running.answer().text(), "ok", "what was under way there is finished there");
    assert_eq!(waiting.answer().text(), "new");
    assert_eq!(old.requests().len(), 1);
    let backends: Vec<String> = proxy.status().backends.into_iter().map(|backend| backend.name).collect();
    assert_eq!(backends, [new.address.to_string()]);
}

#[test]
fn connections_to_backends_are_used_on() {
    let backend = named("one");
    let proxy = in_front_of(&[&backend], "").listen("workers = 1").start();
    for _ in 0..3 {
        assert_eq!(proxy.client().get("/horse/").text(), "one");
        proxy.goes_on_by(in_front_of(&[&backend], "guarantee = 50").listen("workers = 1"));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn orders_stand_until_the_configuration_says_something_else() {
    let (one, two, three) = (named("one"), named("two"), named("three"));
    let proxy = in_front_of(&[&one, &two], "").start();
    let order = |order: &str, backend: &Backend| {
        let name = backend.address.to_string();
        let request = json!({"order": order, "backend": name, "reason": "a test", "who": "anna"});
        assert_eq!(proxy.post("/api/v1/backends", &request).status(), 200);
    };
    let members = || -> Vec<(String, String)> {
        proxy.status().backends.into_iter().map(|backend| (backend.name, backend.state)).collect()
    };
    let called = |backend: &Backend, state: &str| (backend.address.to_string(), state.to_owned());
    assert_eq!(proxy.order("close", "horse-racing").status(), 200);
    order("drain", &two);
    proxy.goes_on_by(in_front_of(&[&one, &two, &three], ""));
    assert_eq!(members(), [called(&one, "serving"), called(&two, "drained"), called(&three, "serving")]);
    order("remove", &one);
    proxy.goes_on_by(in_front_of(&[&one, &two, &three], "retry_budget = 20"));
    let removed = [called(&two, "drained"), called(&three, "serving"), called(&one, "removed")];
    assert_eq!(members(), removed, "nothing was said of it since");
    proxy.goes_on_by(in_front_of(&[&three], ""));
    proxy.goes_on_by(in_front_of(&[&one, &three], ""));
    assert_eq!(members(), [called(&three, "serving"), called(&one, "serving")], "it has been named anew");
    assert_eq!(proxy.product("horse-racing").state, "closed");
}

#[test]
fn what_was_ordered_of_backends_is_after_a_restart_what_it_was_after_the_last_reload() {
    let [drained, removed, added, plain] = [(); 4].map(|()| Backend::answering(OK));
    let folder = tempfile::tempdir().expect("a folder");
    let written = |backends: &[(&Backend, u32)]| {
        let one = |(backend, weight): &(&Backend, u32)| {
            format!("{{ url = \"http://{}\", weight = {weight} }}", backend.address)
        };
        let all: Vec<String> = backends.iter().map(one).collect();
        let product = format!(
            "[[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nbackends = [{}]",
            all.join(", ")
        );
        Setup::new().with(&product).journal(&folder.path().join("sluss.journal"))
    };
    let states = |proxy: &Proxy| -> BTreeMap<SocketAddr, (String, u32)> {
        let all = proxy.status().backends.into_iter();
        all.map(|one| (one.name.parse().expect("an address"), (one.state, one.weight))).collect()
    };
    let are = |expected: [(&Backend, &str, u32); 4]| {
        BTreeMap::from(expected.map(|(backend, state, weight)| (backend.address, (state.to_owned(), weight))))
    };
    let proxy = written(&[(&drained, 1), (&removed, 1), (&plain, 1)]).start();
    for (order, backend, more) in [
        ("drain", &drained, json!({})),
        ("remove", &removed, json!({})),
        ("add", &added, json!({"product": "horse-racing", "weight": 3})),
    ] {
        let mut request = json!({"order": order, "backend": backend.address.to_string(), "reason": "a test"});
        request.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        assert_eq!(proxy.post("/api/v1/backends", &request).status(), 200, "{order}");
    }
    // Other weights for all of whom something was ordered.
    let others = || written(&[(&drained, 2), (&removed, 2), (&added, 2), (&plain, 1)]);
    proxy.goes_on_by(others());
    let expected =
        are([(&drained, "drained", 2), (&removed, "removed", 2), (&added, "serving", 3), (&plain, "serving", 1)]);
    assert_eq!(states(&proxy), expected);
    proxy.stop();
    let proxy = others().start();
    assert_eq!(states(&proxy), expected);
    // Who leaves the file and comes back is somebody new.
    proxy.goes_on_by(written(&[(&added, 2), (&plain, 1)]));
    proxy.goes_on_by(others());
    let expected =
        are([(&drained, "serving", 2), (&removed, "serving", 2), (&added, "serving", 3), (&plain, "serving", 1)]);
    assert_eq!(states(&proxy), expected);
    proxy.stop();
    assert_eq!(states(&others().start()), expected);
}

#[test]
fn a_product_that_leaves_serves_those_it_has_and_is_known_when_it_comes_back() {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let other = named("casino");
    let both = || in_front_of(&[&backend], ONE).product("casino", "/casino/", &[other.address], "");
    let alone = || Setup::new().product("casino", "/casino/", &[other.address], "");
    let proxy = both().start();
    let mut clients = [proxy.client(), proxy.client()];
    clients[0].say(get("/horse/1"));
    backend.until_asked(1);
    clients[1].say(get("/horse/2"));
    proxy.until_waiting(1);
    proxy.goes_on_by(alone());
    assert_eq!(proxy.client().get("/horse/3").status(), 404);
    assert_eq!(proxy.order("close", "horse-racing").status(), 404);
    let left: Vec<String> = proxy.status().products.into_iter().map(|product| product.name).collect();
    assert_eq!(left, ["casino"]);
    door.open();
    for client in &mut clients {
        assert_eq!(client.answer().text(), "ok");
    }
    proxy.goes_on_by(both());
    assert_eq!(proxy.client().get("/horse/4").text(), "ok");
    assert_eq!(proxy.product("horse-racing").in_flight, 0);
}

#[test]
fn a_bet_that_is_known_is_known_under_the_next_configuration_too() {
    let backend = receipts(&open());
    let proxy = Setup::new().horse(&backend, "").start();
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 0");
    let other = named("casino");
    let next = Setup::new().with("[once]\nkeep = \"2h\"").product("casino", "/casino/", &[other.address], "");
    proxy.goes_on_by(next.horse(&backend, ""));
    assert_eq!(proxy.client().ask(bet("one")).text(), "receipt 0", "the same bet, and not another");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_backend_that_goes_is_missed_whichever_settings_they_run_by_who_find_it_gone() {
    let serve = |connection: &mut Connection| {
        while connection.request()?.is_some() {
            connection.say(OK)?;
        }
        Ok(())
    };
    // Where no other test takes its port meanwhile.
    let backend = Refusing::at(([127, 0, 0, 88], 0).into()).accept(serve);
    let address = backend.address;
    let proxy = in_front_of(&[&backend], "").start();
    proxy.goes_on_by(in_front_of(&[&backend], "retry_budget = 20"));
    drop(backend);
    let mut client = proxy.client();
    until("it is down", || {
        client.get("/horse/");
        proxy.product("horse-racing").state == "down"
    });
    let again = Refusing::at(address).accept(serve);
    until("it is back", || client.get("/horse/").text() == "ok");
    drop(again);
}

#[test]
fn limits_of_connections_count_those_who_are_there() {
    let backend = named("one");
    let most = |most: u32| in_front_of(&[&backend], "").listen(&format!("connections_per_address = {most}"));
    let proxy = most(3).start();
    let mut there = [proxy.client(), proxy.client()];
    there.iter_mut().for_each(|client| assert_eq!(client.get("/horse/").text(), "one"));
    proxy.goes_on_by(most(2));
    proxy.client().is_closed();
    there.iter_mut().for_each(|client| assert_eq!(client.get("/horse/").text(), "one"));
    drop(there);
    proxy.until_alone();
    assert_eq!(proxy.client().get("/horse/").text(), "one");
}

#[test]
fn checks_begin_and_end_and_newcomers_prove_themselves() {
    let (good, bad) = (named("good"), Backend::answering("HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n"));
    let health = "health = { path = \"/health\", interval = \"100ms\", fall = 1, rise = 1 }";
    let proxy = in_front_of(&[&good, &bad], "").start();
    let state = |backend: &Backend| {
        let name = backend.address.to_string();
        proxy.status().backends.into_iter().find(|known| known.name == name).expect("it belongs to the pool").state
    };
    proxy.goes_on_by(in_front_of(&[&good, &bad], health));
    until("it fails its checks", || state(&bad) == "failing_checks");
    assert_eq!(state(&good), "serving");
    let third = named("third");
    proxy.goes_on_by(in_front_of(&[&good, &bad, &third], health));
    until("it has passed", || state(&third) == "serving");
    proxy.goes_on_by(in_front_of(&[&good, &bad], ""));
    assert_eq!(state(&bad), "serving", "nobody asks it any more");
    let asked = bad.requests().len();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(bad.requests().len(), asked);
}

#[test]
fn lines_go_where_the_log_is_from_then_on_and_none_is_lost() {
    let backend = named("one");
    let (first, second) = (Log::new(), Log::new());
    let horse = |setup: Setup| setup.horse(&backend, "");
    let proxy = horse(first.setup("")).start();
    assert_eq!(proxy.client().get("/horse/1").text(), "one");
    let casino = named("casino");
    let next = || first.setup("").product("casino", "/casino/", &[casino.address], "").horse(&backend, "");
    proxy.goes_on_by(next());
    assert_eq!(proxy.client().get("/horse/2").text(), "one");
    proxy.goes_on_by(horse(second.setup("")));
    assert_eq!(proxy.client().get("/horse/3").text(), "one");
    let later = second.after(proxy);
    let paths = |lines: Vec<serde_json::Value>| -> Vec<(String, String)> {
        let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        lines.iter().map(|line| (text(line, "path"), text(line, "product"))).collect()
    };
    let horse = |path: &str| (path.to_owned(), "horse-racing".to_owned());
    assert_eq!(paths(lines(&first.path())), [horse("/horse/1"), horse("/horse/2")]);
    assert_eq!(paths(later), [horse("/horse/3")]);
}

#[test]
fn ten_times_under_load_and_nobody_notices() {
    let backends = [named("ok"), named("ok"), named("ok")];
    let casino = named("casino");
    let setup = |round: usize| {
        let some: Vec<&Backend> = backends.iter().cycle().skip(round).take(2).collect();
        let keys = format!("retry_budget = {}\nqueue = {{ longest_wait = \"{}s\" }}", round + 1, 5 + round);
        match round % 2 {
            0 => in_front_of(&some, &keys),
            _ => Setup::new().product("casino", "/casino/", &[casino.address], "").product(
                "horse-racing",
                "/horse/",
                &some.iter().map(|backend| backend.address).collect::<Vec<_>>(),
                &keys,
            ),
        }
    };
    let proxy = setup(0).listen("workers = 2").start();
    let (address, over) = (proxy.address(), AtomicBool::new(false));
    let ask = |wire: &mut Wire, kind: &str| {
        wire.say(post("/horse/bets", kind).as_bytes()).expect("the proxy reads");
        let answer = wire.answer(false).expect("a whole answer").expect("an answer");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "{kind}");
        1
    };
    let connect = || Wire::new(TcpStream::connect(address).expect("it accepts"));
    let served: usize = thread::scope(|scope| {
        let staying = (0..4).map(|_| {
            scope.spawn(|| {
                let mut wire = connect();
                let mut served = 0;
                while !over.load(Ordering::SeqCst) {
                    served += ask(&mut wire, "staying");
                }
                served
            })
        });
        let coming = (0..2).map(|_| {
            scope.spawn(|| {
                let mut served = 0;
                while !over.load(Ordering::SeqCst) {
                    served += ask(&mut connect(), "coming");
                }
                served
            })
        });
        let clients: Vec<_> = staying.chain(coming).collect::<Vec<_>>();
        for round in 1..=10 {
            thread::sleep(Duration::from_millis(50));
            proxy.goes_on_by(setup(round).listen("workers = 2"));
        }
        over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().expect("nobody is refused or cut")).sum()
    });
    let asked: usize = backends.iter().map(|backend| backend.requests().len()).sum();
    assert_eq!(served, asked, "each was sent once");
    assert!(served > 100, "{served} served");
    until("all seats are back", || proxy.product("horse-racing").in_flight == 0);
}

#[test]
fn an_answer_for_anybody_is_answered_from_memory_under_the_next_configuration_too() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok");
    let read = "[[product.class]]\nclass = \"read\"\nmatch = [{ path = \"/horse/odds\" }]\ncache = { fresh = \"60s\" }";
    let horse = |setup: Setup| setup.horse(&backend, "").with(read);
    let proxy = horse(Setup::new()).start();
    assert_eq!(proxy.client().get("/horse/odds").text(), "ok");
    let casino = named("casino");
    proxy.goes_on_by(horse(Setup::new().product("casino", "/casino/", &[casino.address], "")));
    assert_eq!(proxy.client().get("/horse/odds").text(), "ok");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn connections_to_a_backend_that_has_left_are_closed_although_clients_stay() {
    let left = Door::default();
    let at_door = left.clone();
    let (old, kept) = (
        Backend::new(move |connection| {
            while connection.request()?.is_some() {
                connection.say(OK)?;
            }
            at_door.let_one();
            Ok(())
        }),
        named("kept"),
    );
    let setup = |backends: &[&Backend]| in_front_of(backends, "").listen("workers = 1");
    let proxy = setup(&[&old, &kept]).start();
    let mut client = proxy.client();
    until("both were asked", || {
        assert_eq!(client.get("/horse/odds").status(), 200);
        !old.requests().is_empty() && !kept.requests().is_empty()
    });
    let connections = kept.connections();
    proxy.goes_on_by(setup(&[&kept]));
    let begun = std::time::Instant::now();
    left.pass();
    assert!(begun.elapsed() < Duration::from_secs(15), "the backend that has left is still held on to");
    assert_eq!(client.get("/horse/odds").text(), "kept");
    assert_eq!(kept.connections(), connections, "and who stays keeps theirs");
}

#[test]
fn another_token_of_operators_counts_from_then_on() {
    let backend = named("one");
    let setup = || in_front_of(&[&backend], "");
    let proxy = setup().start();
    let asks = |token: &str| {
        let lines = format!("GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        proxy.admin().ask(lines).status()
    };
    let (first, second) = ("0123456789abcdef", "fedcba9876543210");
    assert_eq!(asks("any"), 200);
    proxy.goes_on_by(setup().admin(&format!("token = \"{first}\"")));
    assert_eq!((asks(first), asks(second)), (200, 401));
    let reload = |token: &str| {
        let head =
            "POST /api/v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2";
        proxy.admin().ask(format!("{head}\r\nauthorization: Bearer {token}\r\n\r\n{{}}")).status()
    };
    proxy.writes(setup().admin(&format!("token = \"{second}\"")));
    assert_eq!((reload(second), reload(first)), (401, 200));
    assert_eq!((asks(first), asks(second)), (401, 200));
}
