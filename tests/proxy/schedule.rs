//! The schedule while a proxy runs: said over the API, read again from its file, along with the clock on the wall.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use sluss::admin::status::EventStatus;
use sluss::admin::wall::Wall;

use super::backend::{Backend, OK};
use super::events::{from_now, move_stop, refused, schedule};
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::Message;

/// Horse racing, with a schedule in a folder of its own.
struct House {
    folder: tempfile::TempDir,
    backend: Backend,
}

impl House {
    fn new() -> House {
        House { folder: tempfile::tempdir().unwrap(), backend: Backend::answering(OK) }
    }

    fn setup(&self) -> Setup {
        let file = format!("[schedule]\nfile = {:?}", self.file().display().to_string());
        let from = "[event]\nfrom = [{ path = \"/horse/bets/{event}\" }]";
        let journal = self.folder.path().join("sluss.journal");
        Setup::new().journal(&journal).with(&file).with(from).horse(&self.backend, "")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("schedule.toml")
    }

    fn write(&self, events: &[(&str, i64)]) {
        schedule(&self.folder, events);
    }
}

#[track_caller]
fn bet(proxy: &Proxy, event: &str) -> String {
    let answer = proxy.client().post(&format!("/horse/bets/{event}"), "a bet");
    match answer.status() {
        200 => "placed".to_owned(),
        _ => answer.json()["refusal"].as_str().unwrap_or("no refusal").to_owned(),
    }
}

fn put(proxy: &Proxy, event: &str, stop: &str) -> Message {
    let document = json!({"product": "horse-racing", "stop": stop, "name": "Solvalla, race 5", "reason": "late entry"});
    proxy.send("PUT", &format!("/api/v1/events/{event}"), &document)
}

fn events(proxy: &Proxy) -> Vec<EventStatus> {
    serde_json::from_value(proxy.admin().get("/api/v1/events").json()).unwrap()
}

fn stop_of(proxy: &Proxy, event: &str) -> Option<jiff::Timestamp> {
    events(proxy).into_iter().find(|known| known.id == event).map(|known| known.stop)
}

fn reload(proxy: &Proxy) -> Message {
    proxy.post("/api/v1/schedule/reload", &json!({"who": "anna"}))
}

#[test]
fn an_event_is_put_in_moved_and_taken_out_over_the_api() {
    let house = House::new();
    house.write(&[("race", 3600)]);
    let proxy = house.setup().start();
    assert_eq!(put(&proxy, "extra", &from_now(-5).to_string()).status(), 200);
    assert_eq!(bet(&proxy, "extra"), "past_betting_stop");
    move_stop(&proxy, "extra", "+15m");
    assert_eq!(bet(&proxy, "extra"), "placed");
    let known = events(&proxy);
    assert_eq!(
        known.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(),
        ["extra", "race"],
        "the next to stop first"
    );
    assert_eq!((known[0].name.as_deref(), known[0].as_in_file), (Some("Solvalla, race 5"), false));
    assert!(known[0].last_order.as_deref().unwrap().starts_with("move stop by anna at "));
    assert_eq!(proxy.admin().get("/api/v1/events/extra").json()["id"], "extra");
    move_stop(&proxy, "extra", "-15m");
    assert_eq!(bet(&proxy, "extra"), "past_betting_stop");
    assert_eq!(proxy.send("DELETE", "/api/v1/events/extra", &json!({"reason": "called off"})).status(), 200);
    assert_eq!(bet(&proxy, "extra"), "placed", "the backend judges");
    assert_eq!(proxy.admin().get("/api/v1/events/extra").status(), 404);
    for (change, times) in [("put", 1.0), ("moved", 2.0), ("removed", 1.0)] {
        let series = format!("sluss_schedule_changes_total{{change=\"{change}\"}}");
        assert_eq!(proxy.metric(&series), times, "{change}");
    }
    let next = proxy.metric("sluss_schedule_next_stop_seconds{product=\"horse-racing\"}");
    assert!((3500.0..=3600.0).contains(&next), "{next}");
}

#[test]
fn an_event_that_is_put_to_another_product_leaves_the_first() {
    let house = House::new();
    house.write(&[]);
    fs::write(house.file(), "event = []").unwrap();
    let proxy = house.setup().product("sport", "/sport/", &[Backend::answering(OK).address], "").start();
    let put = |product: &str, stop: i64| {
        let document = json!({"product": product, "stop": from_now(stop).to_string()});
        assert_eq!(proxy.send("PUT", "/api/v1/events/race", &document).status(), 200);
    };
    put("horse-racing", -5);
    assert_eq!(bet(&proxy, "race"), "past_betting_stop");
    put("sport", -5);
    assert_eq!(
        bet(&proxy, "race"),
        "placed",
        "horse racing shares nothing with sport, and knows nothing of its events"
    );
    put("horse-racing", 3600);
    proxy.order_event("close", "race");
    assert_eq!(bet(&proxy, "race"), "event_closed");
    put("sport", 3600);
    assert_eq!(events(&proxy)[0].state, "closed", "what is shut stays shut");
}

#[test]
fn moving_the_stop_of_a_closed_race_does_not_open_it() {
    let house = House::new();
    house.write(&[("race", 3600)]);
    let proxy = house.setup().start();
    proxy.order_event("close", "race");
    for stop in ["+15m", "+24h"] {
        assert_eq!(move_stop(&proxy, "race", stop)["event"]["state"], "closed");
        assert_eq!(bet(&proxy, "race"), "event_closed");
    }
    put(&proxy, "race", &from_now(7200).to_string());
    assert_eq!(bet(&proxy, "race"), "event_closed");
    proxy.stop();
    let proxy = house.setup().start();
    assert_eq!(bet(&proxy, "race"), "event_closed", "and so it is after a restart");
}

#[test]
fn what_makes_no_sense_changes_nothing_and_is_told_what_to_write() {
    let house = House::new();
    house.write(&[("race", 3600)]);
    let proxy = house.setup().start();
    let before = events(&proxy);
    let says = |answer: Message, status: u16, detail: &str| {
        let said = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status() == status && said.contains(detail), "{} {said}", answer.status());
    };
    says(put(&proxy, "extra", "2024-08-24T16:20:00"), 422, "add the offset from UTC: 2024-08-24T16:20:00+02:00");
    says(put(&proxy, "extra", "soon"), 422, "write date, time and offset");
    says(put(&proxy, "two%20words", &from_now(60).to_string()), 422, "no spaces and no slashes");
    let wrong = json!({"product": "horse-raceing", "stop": from_now(60).to_string()});
    says(proxy.send("PUT", "/api/v1/events/extra", &wrong), 422, "Did you mean `horse-racing`?");
    let missing = json!({"product": "horse-racing"});
    says(proxy.send("PUT", "/api/v1/events/extra", &missing), 422, "missing field `stop`");
    let long = json!({"product": "horse-racing", "stop": from_now(60).to_string(), "margin": "11m"});
    says(proxy.send("PUT", "/api/v1/events/extra", &long), 422, "longer than ten minutes");
    let move_to = |event: &str, document| proxy.post(&format!("/api/v1/events/{event}/stop"), &document);
    says(move_to("race", json!({"stop": "+15", "reason": "r"})), 422, "`15` has no unit");
    says(move_to("race", json!({"stop": "+15m", "reason": " "})), 422, "needs a reason");
    says(move_to("rase", json!({"stop": "+15m", "reason": "r"})), 404, "Did you mean `race`?");
    says(proxy.send("DELETE", "/api/v1/events/rase", &json!({"reason": "r"})), 404, "Did you mean `race`?");
    assert_eq!(events(&proxy).len(), before.len());
    assert_eq!(stop_of(&proxy, "race"), Some(before[0].stop));
}

#[test]
fn a_stop_that_may_be_a_mistake_is_kept_and_questioned() {
    let house = House::new();
    house.write(&[("race", 3600)]);
    let proxy = house.setup().start();
    let warning = |answer: Message| answer.json()["warnings"][0].as_str().unwrap_or_default().to_owned();
    assert!(warning(put(&proxy, "old", &from_now(-60).to_string())).contains("has passed"));
    assert!(warning(put(&proxy, "far", &from_now(400 * 86_400).to_string())).contains("is that the year you mean?"));
    assert_eq!(warning(put(&proxy, "fine", &from_now(60).to_string())), "");
    assert_eq!(events(&proxy).len(), 4);
}

#[test]
fn a_moved_stop_survives_a_restart_until_the_file_says_another() {
    let house = House::new();
    house.write(&[("race", 3600), ("other", 3600)]);
    let proxy = house.setup().start();
    let moved = move_stop(&proxy, "race", "+15m")["event"]["stop"].as_str().unwrap().parse().unwrap();
    put(&proxy, "extra", &from_now(1800).to_string());
    proxy.stop();
    let proxy = house.setup().start();
    assert_eq!(stop_of(&proxy, "race"), Some(moved));
    assert!(stop_of(&proxy, "extra").is_some());
    assert_eq!(reload(&proxy).json()["changed"], 0, "the file has said nothing new");
    assert_eq!(stop_of(&proxy, "race"), Some(moved));
    house.write(&[("race", 1200), ("other", 3600)]);
    assert_eq!(reload(&proxy).status(), 200);
    assert!(stop_of(&proxy, "race").unwrap() < moved);
    assert!(stop_of(&proxy, "extra").is_some(), "of this the file has never spoken");
    proxy.stop();
    let proxy = house.setup().start();
    assert!(stop_of(&proxy, "race").unwrap() < moved, "the file had the last word");
    let journal = fs::read_to_string(house.folder.path().join("sluss.journal.old")).unwrap();
    assert!(journal.contains("\"kind\":\"file_counts\",\"event\":\"race\""), "{journal}");
}

#[test]
fn a_schedule_file_that_is_changed_is_read_again_by_itself() {
    let house = House::new();
    house.write(&[("race", 3600)]);
    let proxy = house.setup().start();
    house.write(&[("race", -1), ("new", -1)]);
    until("the file is read", || stop_of(&proxy, "new").is_some());
    assert_eq!((bet(&proxy, "race").as_str(), bet(&proxy, "new").as_str()), ("past_betting_stop", "past_betting_stop"));
}

#[test]
fn a_bad_schedule_file_changes_nothing_and_names_the_line() {
    let house = House::new();
    house.write(&[("race", -1)]);
    let proxy = house.setup().start();
    let good = fs::read_to_string(house.file()).unwrap();
    fs::write(
        house.file(),
        format!("{good}[[event]]\nid = \"next\"\nproduct = \"horse-racing\"\nstop = 2024-08-24T16:20:00\n"),
    )
    .unwrap();
    let answer = reload(&proxy);
    let said = answer.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(answer.status(), 422);
    for part in ["schedule.toml:8:8: ", "does not say in which time zone", "add the offset from UTC"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!((events(&proxy).len(), bet(&proxy, "race").as_str()), (1, "past_betting_stop"));
    assert!(proxy.status().alarms[0].contains("does not say in which time zone"));
    fs::remove_file(house.file()).unwrap();
    assert!(reload(&proxy).json()["detail"].as_str().unwrap().contains("there is no such file"));
    assert_eq!(bet(&proxy, "race"), "past_betting_stop");
    fs::write(house.file(), good).unwrap();
    assert_eq!(reload(&proxy).status(), 200);
    assert_eq!(proxy.status().alarms.len(), 0);
}

#[test]
fn leaving_a_race_out_of_the_file_does_not_open_it() {
    let house = House::new();
    house.write(&[("over", -1), ("closed", 3600), ("open", 3600), ("yesterday", -86_400)]);
    let proxy = house.setup().start();
    proxy.order_event("close", "closed");
    fs::write(house.file(), "event = []\n").unwrap();
    assert_eq!(reload(&proxy).json()["changed"], 2);
    assert_eq!(bet(&proxy, "over"), "past_betting_stop");
    assert_eq!(bet(&proxy, "closed"), "event_closed");
    assert_eq!((stop_of(&proxy, "open"), stop_of(&proxy, "yesterday")), (None, None));
    proxy.stop();
    let proxy = house.setup().start();
    assert_eq!(bet(&proxy, "over"), "past_betting_stop", "nor does a restart");
    assert_eq!(bet(&proxy, "closed"), "event_closed");
    house.write(&[("over", 600)]);
    reload(&proxy);
    assert_eq!(bet(&proxy, "over"), "placed", "the file speaks of it again");
}

#[test]
fn an_id_that_is_used_again_another_day_is_another_race() {
    let house = House::new();
    house.write(&[("race", 600)]);
    let proxy = house.setup().start();
    proxy.order_event("close", "race");
    house.write(&[("race", 3600)]);
    reload(&proxy);
    assert_eq!(bet(&proxy, "race"), "event_closed", "the same race, moved");
    house.write(&[("race", 86_400)]);
    reload(&proxy);
    assert_eq!(bet(&proxy, "race"), "placed");
}

#[test]
fn betting_stops_follow_the_clock_on_the_wall_when_it_is_set() {
    let house = House::new();
    house.write(&[("race", 600)]);
    let ahead = Arc::new(AtomicI64::new(0));
    let shown = ahead.clone();
    let read = move || jiff::Timestamp::now() + jiff::SignedDuration::from_secs(shown.load(Ordering::Relaxed));
    let proxy = house.setup().start_by(Wall::showing(read));
    assert_eq!(bet(&proxy, "race"), "placed");
    ahead.store(900, Ordering::Relaxed);
    until("the stop has passed", || bet(&proxy, "race") == "past_betting_stop");
    ahead.store(-900, Ordering::Relaxed);
    until("the stop lies ahead again", || bet(&proxy, "race") == "placed");
}

#[test]
fn a_stop_in_the_file_may_pass_while_nobody_looks() {
    let house = House::new();
    house.write(&[("race", 2)]);
    let proxy = house.setup().start();
    assert_eq!(bet(&proxy, "race"), "placed");
    // Just before, it is too near for a bet to be answered in time.
    until("the stop has passed", || bet(&proxy, "race") == "past_betting_stop");
    refused(&proxy.client().post("/horse/bets/race", "a bet"), "past_betting_stop");
}
