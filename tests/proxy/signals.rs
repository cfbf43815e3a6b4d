//! Close signals of machines: each reaches its own event, and one that cannot be true pauses it and calls for a
//! person.

use serde_json::json;

use super::backend::{Backend, OK};
use super::client::Client;
use super::proxy::{Proxy, Setup};
use super::wire::Message;

/// Horse racing with two races, and sport with a match; each stops so many seconds from now.
struct Saturday {
    proxy: Proxy,
    horse: Backend,
    _sport: Backend,
    _folder: tempfile::TempDir,
}

const RACE: &str = "bergsaker-1";
const OTHER: &str = "bergsaker-2";
const MATCH: &str = "match-1";

fn saturday(race_stops_in: i64) -> Saturday {
    let (horse, sport) = (Backend::answering(OK), Backend::answering(OK));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schedule.toml");
    let stop = |seconds: i64| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let event = |id, product, seconds| {
        format!("[[event]]\nid = \"{id}\"\nproduct = \"{product}\"\nstop = \"{}\"\n", stop(seconds))
    };
    let events =
        [event(RACE, "horse-racing", race_stops_in), event(OTHER, "horse-racing", 3600), event(MATCH, "sport", 3600)];
    std::fs::write(&path, events.concat()).unwrap();
    let proxy = Setup::new()
        .with(&format!("[schedule]\nfile = {:?}", path.display().to_string()))
        .with("[event]\nfrom = [{ header = \"x-event\" }, { path = \"/horse/bets/{event}\" }]")
        .product("horse-racing", "/horse/", &[horse.address], "")
        .product("sport", "/sport/", &[sport.address], "")
        .start();
    Saturday { proxy, horse, _sport: sport, _folder: folder }
}

fn bet(client: &mut Client, path: &str, event: &str) -> Message {
    client.ask(format!("POST {path} HTTP/1.1\r\nhost: h\r\nx-event: {event}\r\ncontent-length: 5\r\n\r\na bet"))
}

#[track_caller]
fn refused(answer: &Message, status: u16, refusal: &str) {
    assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (status, Some(refusal)), "{}", answer.text());
    assert_eq!(answer.json()["bet"], "not_placed");
}

/// Everything that the race's signal is no business of.
#[track_caller]
fn nothing_else_is_affected(client: &mut Client) {
    assert_eq!(bet(client, "/horse/bets", OTHER).status(), 200);
    assert_eq!(bet(client, "/sport/bets", MATCH).status(), 200);
    assert_eq!(bet(client, "/horse/bets", "not in the schedule").status(), 200);
    assert_eq!(client.post("/horse/bets", "a bet").status(), 200);
    assert_eq!(client.get("/horse/odds").status(), 200);
}

#[test]
fn the_false_close_of_24_august_2024_pauses_its_own_race_and_calls_for_a_person() {
    // Bergsåker, 16:06: a close signal for the race that stops at 16:20.
    let Saturday { proxy, horse, .. } = &saturday(14 * 60);
    let mut client = proxy.client();
    assert_eq!(bet(&mut client, "/horse/bets", RACE).status(), 200);

    let heard = proxy.signal(RACE);
    assert_eq!(heard.status(), 200);
    assert_eq!((&heard.json()["plausible"], &heard.json()["state"]), (&json!(false), &json!("parked")));
    let paused = bet(&mut client, "/horse/bets", RACE);
    refused(&paused, 503, "event_parked");
    assert!(paused.header("retry-after").is_some());
    nothing_else_is_affected(&mut client);
    for spelling in ["/horse/bets/bergsaker-1", "/horse/bets/bergsaker%2d1", "/horse//bets/bergsaker-1/quick"] {
        refused(&client.post(spelling, "a bet"), 503, "event_parked");
    }

    let status = proxy.status();
    assert!(status.products.iter().all(|product| product.state == "open"));
    assert_eq!(status.alarms.len(), 1);
    for said in [RACE, "the tote", "13m", "sluss close --event", "sluss reopen --event"] {
        assert!(status.alarms[0].contains(said), "{said} is not in {}", status.alarms[0]);
    }
    assert_eq!((status.events[0].id.as_str(), status.events[0].state.as_str()), (RACE, "parked"));
    assert_eq!(proxy.metric("sluss_admission_alarms"), 1.0);
    assert_eq!(proxy.metric("sluss_admission_signals_total{verdict=\"implausible\"}"), 1.0);
    let counted = "sluss_admission_refusals_total{product=\"horse-racing\",class=\"commit\",refusal=\"event_parked\"}";
    assert_eq!(proxy.metric(counted), 4.0);
    assert!(!horse.requests().iter().skip(1).any(|request| request.header("x-event") == Some(RACE)));
}

#[test]
fn a_person_reopens_a_paused_race_or_confirms_that_it_is_closed() {
    let Saturday { proxy, .. } = &saturday(14 * 60);
    let mut client = proxy.client();
    proxy.signal(RACE);
    let answer = proxy.order_event("reopen", RACE);
    assert_eq!(answer.json(), json!({"applied": [{"scope": RACE, "state": "open", "changed": true}]}));
    assert_eq!(bet(&mut client, "/horse/bets", RACE).status(), 200);
    assert_eq!((proxy.status().alarms.len(), proxy.metric("sluss_admission_alarms")), (0, 0.0));

    proxy.signal(RACE);
    assert_eq!(proxy.status().alarms.len(), 1);
    proxy.order_event("close", RACE);
    let closed = bet(&mut client, "/horse/bets", RACE);
    refused(&closed, 403, "event_closed");
    assert_eq!(closed.header("retry-after"), None, "what is over does not come back");
    assert_eq!(proxy.status().alarms.len(), 0);
    let last = proxy.status().events[0].last_order.clone().unwrap();
    assert!(last.starts_with("close by anna at "), "{last}");
    nothing_else_is_affected(&mut client);
}

#[test]
fn a_close_signal_near_the_stop_is_believed() {
    let Saturday { proxy, .. } = &saturday(60);
    let heard = proxy.signal(RACE);
    assert_eq!((&heard.json()["plausible"], &heard.json()["state"]), (&json!(true), &json!("closed")));
    let mut client = proxy.client();
    refused(&bet(&mut client, "/horse/bets", RACE), 403, "event_closed");
    nothing_else_is_affected(&mut client);
    assert_eq!(proxy.status().alarms.len(), 0);
    assert_eq!(proxy.metric("sluss_admission_signals_total{verdict=\"believed\"}"), 1.0);
}

#[test]
fn past_its_betting_stop_no_bet_passes_and_no_signal_is_needed() {
    let Saturday { proxy, .. } = &saturday(-1);
    let mut client = proxy.client();
    let past = bet(&mut client, "/horse/bets", RACE);
    refused(&past, 403, "past_betting_stop");
    assert_eq!(past.header("retry-after"), None);
    nothing_else_is_affected(&mut client);
}

#[test]
fn a_signal_for_an_unknown_race_or_without_sense_changes_nothing() {
    let Saturday { proxy, .. } = &saturday(14 * 60);
    let signal = |document| proxy.post("/api/v1/signals", &document);
    let unknown = signal(json!({"signal": "close", "event": "bergsaker-11", "source": "the tote"}));
    assert_eq!(unknown.status(), 404);
    assert!(unknown.json()["detail"].as_str().unwrap().contains("Did you mean `bergsaker-1`?"));
    assert_eq!(signal(json!({"signal": "open", "event": RACE, "source": "the tote"})).status(), 422);
    assert_eq!(signal(json!({"signal": "close", "product": "horse-racing", "source": "the tote"})).status(), 422);
    assert_eq!(signal(json!({"signal": "close", "event": RACE})).status(), 422);
    let mut client = proxy.client();
    assert_eq!(bet(&mut client, "/horse/bets", RACE).status(), 200);
    nothing_else_is_affected(&mut client);
    assert_eq!(proxy.metric("sluss_admission_signals_total{verdict=\"unknown\"}"), 1.0);
    assert!(proxy.status().events.iter().all(|event| event.state == "open"));
}
