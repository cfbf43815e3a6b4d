//! Manners, patience and pauses.

use super::*;
use crate::admission::{Class, ONE_SEAT, ProductId};
use crate::sim::scenario::{Coming, Patience, Step};

const PERSON: (bool, u32, Pause) = (true, 0, Pause::Between(Duration::from_secs(2), Duration::from_secs(5)));

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn at(count: u64) -> Timestamp {
    Timestamp::after(secs(count))
}

fn manner((obeys, quick, pause): (bool, u32, Pause)) -> Manner {
    Manner { name: "these".into(), share: 100, obeys, quick, quick_pause: secs(1), pause, retries: None, quits: 0 }
}

fn crowd(manner: Manner) -> Crowd {
    let step = |name: &str| Step {
        name: name.into(),
        class: Class::Start,
        seats: ONE_SEAT,
        route: 0,
        routes: Vec::new(),
        event: None,
        stops: None,
        object: None,
        carried: true,
        bet: false,
    };
    Crowd {
        name: "somebody".into(),
        product: ProductId(0),
        coming: Coming::Rate { points: vec![(Duration::ZERO, 1.0)], linear: false },
        journey: vec![step("login"), step("bet")],
        endless: false,
        think: Pause::Between(secs(1), secs(2)),
        patience: Patience { least: secs(60), most: secs(60), by_step: false },
        timeout: secs(5),
        manners: vec![manner],
        two_devices: 0,
        no_shows: 0,
        worth: None,
    }
}

fn client(crowd: &Crowd) -> Client {
    Client::new(crowd, 0, 1, 1, 1, at(10))
}

fn pause(next: Next) -> Duration {
    match next {
        Next::Send(after) => after,
        other => panic!("expected another attempt, got {other:?}"),
    }
}

/// One attempt that ends so.
fn try_once(client: &mut Client, crowd: &Crowd, how: Ended, now: Timestamp) -> Next {
    client.sends(&mut 0);
    client.ended(crowd, how, now)
}

#[test]
fn a_journey_is_its_steps_with_a_pause_between() {
    let crowd = crowd(manner(PERSON));
    let mut client = client(&crowd);
    assert!(client.sends(&mut 0));
    let think = pause(client.ended(&crowd, Ended::Served, at(11)));
    assert!((secs(1)..=secs(2)).contains(&think));
    assert!(client.step == 1 && client.sends(&mut 0));
    assert_eq!(client.ended(&crowd, Ended::Served, at(13)), Next::Finished);
}

#[test]
fn people_obey_and_otherwise_wait_a_little() {
    let crowd = crowd(manner(PERSON));
    let mut client = client(&crowd);
    assert_eq!(try_once(&mut client, &crowd, Ended::Refused(Some(secs(7))), at(11)), Next::Send(secs(7)));
    assert!(!client.sends(&mut 0));
    for how in [Ended::Refused(None), Ended::Failed, Ended::TimedOut(at(15))] {
        let after = pause(try_once(&mut client, &crowd, how, at(20)));
        assert!((secs(2)..=secs(5)).contains(&after), "{how:?}: {after:?}");
    }
}

#[test]
fn apps_first_retry_quickly_and_hammerers_never_obey() {
    let app = crowd(manner((true, 3, PERSON.2)));
    let mut client = client(&app);
    let told = Ended::Refused(Some(secs(9)));
    let pauses: Vec<_> = (0..4).map(|_| pause(try_once(&mut client, &app, told, at(11)))).collect();
    assert_eq!(pauses, [secs(1), secs(1), secs(1), secs(9)]);
    let hammerer = crowd(manner((false, 0, Pause::Between(secs(2), secs(2)))));
    let mut client = Client::new(&hammerer, 0, 1, 1, 1, at(10));
    assert_eq!(try_once(&mut client, &hammerer, told, at(11)), Next::Send(secs(2)));
}

#[test]
fn patience_runs_from_arrival_or_from_the_first_failure_of_a_step() {
    let mut crowd = crowd(manner(PERSON));
    let told = Ended::Refused(Some(secs(10)));
    assert_eq!(try_once(&mut client(&crowd), &crowd, told, at(61)), Next::GaveUp);
    assert_eq!(try_once(&mut client(&crowd), &crowd, told, at(60)), Next::Send(secs(10)));
    crowd.patience.by_step = true;
    let mut stuck = client(&crowd);
    assert_eq!(try_once(&mut stuck, &crowd, told, at(61)), Next::Send(secs(10)));
    assert_eq!(try_once(&mut stuck, &crowd, told, at(121)), Next::Send(secs(10)));
    assert_eq!(try_once(&mut stuck, &crowd, told, at(122)), Next::GaveUp);
    let mut served = client(&crowd);
    try_once(&mut served, &crowd, told, at(61));
    try_once(&mut served, &crowd, Ended::Served, at(71));
    assert_eq!(try_once(&mut served, &crowd, told, at(500)), Next::Send(secs(10)), "each step begins anew");
}

#[test]
fn patience_ends_retrying_but_not_progress() {
    let crowd = crowd(manner(PERSON));
    let mut client = client(&crowd);
    client.sends(&mut 0);
    assert!(matches!(client.ended(&crowd, Ended::Served, at(90)), Next::Send(_)), "long after the sixty seconds");
    assert_eq!(try_once(&mut client, &crowd, Ended::Refused(Some(secs(7))), at(91)), Next::GaveUp);
}

#[test]
fn a_bet_keeps_its_number_over_all_attempts_and_each_step_begins_its_quick_retries_anew() {
    let crowd = crowd(manner((true, 3, PERSON.2)));
    let (mut client, mut bets) = (client(&crowd), 7);
    let told = Ended::Refused(Some(secs(9)));
    let mut pauses = Vec::new();
    for step in 0..2 {
        for attempt in 0..4 {
            assert_eq!(client.sends(&mut bets), attempt == 0);
            assert_eq!((client.bet, bets), (7 + step, 8 + step));
            pauses.push(pause(client.ended(&crowd, told, at(11))));
        }
        client.sends(&mut bets);
        client.ended(&crowd, Ended::Served, at(12));
    }
    assert_eq!(pauses, [secs(1), secs(1), secs(1), secs(9)].repeat(2));
}

#[test]
fn a_poll_at_the_gate_is_not_an_attempt_and_patience_there_runs_from_arrival() {
    let mut crowd = crowd(manner(PERSON));
    crowd.patience.by_step = true;
    let mut client = client(&crowd);
    assert_eq!(try_once(&mut client, &crowd, Ended::Gated(secs(1)), at(70)), Next::Send(secs(1)));
    assert!(client.sends(&mut 0), "the step has not begun");
    assert_eq!(client.ended(&crowd, Ended::Gated(secs(1)), at(71)), Next::GaveUp);
}

#[test]
fn retries_end_where_the_manner_says_and_no_shows_never_come_back() {
    let mut few = crowd(manner(PERSON));
    few.manners[0].retries = Some(2);
    let mut client = client(&few);
    let noes: Vec<_> = (0..3).map(|_| try_once(&mut client, &few, Ended::Failed, at(11))).collect();
    assert!(matches!(noes[..], [Next::Send(_), Next::Send(_), Next::GaveUp]), "{noes:?}");
    let mut absent = crowd(manner(PERSON));
    absent.no_shows = 100;
    let mut client = Client::new(&absent, 0, 1, 1, 1, at(10));
    assert_eq!(try_once(&mut client, &absent, Ended::Refused(Some(secs(1))), at(11)), Next::GaveUp);
}

#[test]
fn manners_are_drawn_by_their_shares() {
    let mut mixed = crowd(manner(PERSON));
    mixed.manners = [70, 20, 10].map(|share| Manner { share, ..manner(PERSON) }).to_vec();
    let mut drawn = [0; 3];
    for nth in 0..10_000 {
        drawn[usize::from(Client::new(&mixed, 0, nth, nth, 1, at(0)).manner)] += 1;
    }
    assert!((6_800..7_200).contains(&drawn[0]) && (900..1_100).contains(&drawn[2]), "{drawn:?}");
}
