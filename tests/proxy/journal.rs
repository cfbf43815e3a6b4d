//! What survives a restart.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use super::backend::{Backend, Door, OK};
use super::client::post;
use super::proxy::{Proxy, Setup};

/// A proxy that can be started again with the journal it had.
struct Restartable {
    setup: Setup,
    journal: PathBuf,
    folder: TempDir,
    _backend: Backend,
}

fn restartable() -> Restartable {
    restartable_before(Backend::answering(OK))
}

fn restartable_before(backend: Backend) -> Restartable {
    let folder = tempfile::tempdir().unwrap();
    let (journal, schedule) = (folder.path().join("sluss.journal"), folder.path().join("schedule.toml"));
    let stop = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(14);
    fs::write(&schedule, format!("[[event]]\nid = \"race\"\nproduct = \"horse-racing\"\nstop = \"{stop}\"\n")).unwrap();
    let setup = Setup::new()
        .journal(&journal)
        .with(&format!("[schedule]\nfile = {:?}", schedule.display().to_string()))
        .with("[event]\nfrom = [{ path = \"/horse/bets/{event}\" }]")
        .horse(&backend, "")
        .product("sport", "/sport/", &[backend.address], "");
    Restartable { setup, journal, folder, _backend: backend }
}

fn refusal(proxy: &Proxy, path: &str) -> String {
    let answer = proxy.client().post(path, "a bet");
    if answer.status() == 200 { "none".into() } else { answer.json()["refusal"].as_str().unwrap().to_owned() }
}

#[test]
fn what_was_parked_comes_up_parked_and_what_was_closed_closed() {
    let Restartable { setup, .. } = &restartable();
    let proxy = setup.start();
    proxy.order("park", "horse-racing");
    proxy.stop();
    for _ in 0..2 {
        let proxy = setup.start();
        assert_eq!(refusal(&proxy, "/horse/bets"), "parked", "the first request of all");
        assert_eq!(refusal(&proxy, "/sport/bets"), "none");
        assert_eq!(proxy.product("horse-racing").state, "parked");
        proxy.stop();
    }
    let proxy = setup.start();
    proxy.order("close", "horse-racing");
    proxy.stop();
    assert_eq!(refusal(&setup.start(), "/horse/bets"), "closed");
}

#[test]
fn what_was_ramping_comes_up_ramping_and_what_was_opened_open() {
    let Restartable { setup, .. } = &restartable();
    let proxy = setup.start();
    proxy.order("park", "horse-racing");
    proxy.order("reopen", "horse-racing");
    proxy.stop();
    let proxy = setup.start();
    assert_eq!(proxy.product("horse-racing").state, "ramping");
    proxy.order("open", "horse-racing");
    proxy.stop();
    assert_eq!(setup.start().product("horse-racing").state, "open");
}

#[test]
fn what_was_draining_comes_up_parked() {
    let door = Door::default();
    let Restartable { setup, .. } = &restartable_before(Backend::behind(&door));
    let setup = setup.clone().listen("drain = \"1s\"");
    let proxy = setup.start();
    let mut client = proxy.client();
    client.say(post("/horse/bets", "a bet"));
    proxy.until_in_flight(1);
    proxy.order("park", "horse-racing");
    assert_eq!(proxy.product("horse-racing").state, "draining");
    proxy.stop();
    door.open();
    assert_eq!(refusal(&setup.start(), "/horse/bets"), "parked");
}

#[test]
fn a_paused_race_comes_up_paused_with_its_alarm_and_a_closed_one_closed() {
    let Restartable { setup, .. } = &restartable();
    let proxy = setup.start();
    proxy.signal("race");
    assert_eq!(refusal(&proxy, "/horse/bets/race"), "event_parked");
    proxy.stop();
    let proxy = setup.start();
    assert_eq!(refusal(&proxy, "/horse/bets/race"), "event_parked");
    assert_eq!(refusal(&proxy, "/horse/bets/other"), "none");
    assert!(proxy.status().alarms[0].contains("race"));
    proxy.order_event("close", "race");
    proxy.stop();
    let proxy = setup.start();
    assert_eq!(refusal(&proxy, "/horse/bets/race"), "event_closed");
    assert_eq!(proxy.status().alarms.len(), 0);
    proxy.order_event("reopen", "race");
    proxy.stop();
    assert_eq!(refusal(&setup.start(), "/horse/bets/race"), "none");
}

#[test]
fn bypass_survives_and_so_does_what_it_covers() {
    let Restartable { setup, .. } = &restartable();
    let proxy = setup.start();
    let bypass = |proxy: &Proxy, on| proxy.post("/api/v1/orders", &json!({"order": "bypass", "on": on, "reason": "r"}));
    proxy.order("park", "horse-racing");
    bypass(&proxy, true);
    proxy.stop();
    let proxy = setup.start();
    assert!(proxy.status().bypass);
    assert_eq!(refusal(&proxy, "/horse/bets"), "none");
    bypass(&proxy, false);
    proxy.stop();
    assert_eq!(refusal(&setup.start(), "/horse/bets"), "parked");
}

#[test]
fn an_order_is_on_the_disk_with_who_and_why_when_it_is_answered() {
    let Restartable { setup, journal, .. } = &restartable();
    let proxy = setup.start();
    proxy.order("park", "horse-racing");
    let text = fs::read_to_string(journal).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let order = lines.iter().find(|line| line["kind"] == "order").expect("the order");
    for (key, value) in [("order", "park"), ("scope", "horse-racing"), ("who", "anna"), ("reason", "a test")] {
        assert_eq!(order[key], value);
    }
    assert!(order["at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    assert!(lines.iter().any(|line| line["kind"] == "state" && line["state"] == "parked"));
}

#[test]
fn lines_that_cannot_be_read_cost_nothing_but_themselves() {
    let Restartable { setup, journal, .. } = &restartable();
    let proxy = setup.start();
    proxy.order("park", "horse-racing");
    proxy.order("close", "sport");
    proxy.stop();
    let text = fs::read_to_string(journal).unwrap();
    let torn = text.replacen('\n', "\n\u{0}\u{0}not a line\n{\"at\": 5}\n", 1)
        + "{\"at\":\"2024-08-24T14:06:00Z\",\"kind\":\"sta";
    fs::write(journal, torn).unwrap();
    let proxy = setup.start();
    assert_eq!((refusal(&proxy, "/horse/bets"), refusal(&proxy, "/sport/bets")), ("parked".into(), "closed".into()));
}

#[test]
fn a_journal_that_cannot_be_written_is_told_with_what_to_do() {
    let Restartable { setup, folder, .. } = &restartable();
    let file = folder.path().join("schedule.toml");
    for journal in [folder.path().join("nowhere/sluss.journal"), file.join("sluss.journal"), folder.path().into()] {
        let error = setup.clone().journal(&journal).try_to_start().err().expect("no journal, no start").to_string();
        for said in [journal.display().to_string().as_str(), "make its folder writable", "journal = \"off\""] {
            assert!(error.contains(said), "{said} is not in {error}");
        }
    }
}

#[test]
fn a_second_proxy_does_not_take_the_journal_from_the_first() {
    let Restartable { setup, .. } = &restartable();
    let first = setup.start();
    let error = setup.try_to_start().err().expect("the first has it").to_string();
    assert!(error.contains("another Sluss") && error.contains("journal = "), "{error}");
    first.order("park", "horse-racing");
    first.stop();
    assert_eq!(refusal(&setup.start(), "/horse/bets"), "parked");
}
