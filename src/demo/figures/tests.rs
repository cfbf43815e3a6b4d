//! Handmade records, sums done by hand.

use super::*;
use crate::admission::Timestamp;
use crate::demo::customers::records::JourneyRecord;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const HORSE: ProductId = ProductId(0);
const SPORT: ProductId = ProductId(1);
const CASINO: ProductId = ProductId(2);
const TIMED_OUT: Ended = Ended::TimedOut(Timestamp::ZERO);

fn summed(records: &Records, product: ProductId) -> Figures {
    Figures::of(records, &Script::saturday(), product, WINDOW)
}

const WINDOW: Window = Window { from: Duration::from_secs(10), to: Duration::from_secs(60) };

fn journey(arrived: u64, left: u64, fate: Fate) -> JourneyRecord {
    JourneyRecord { product: SPORT, manner: (2, 0), arrived: secs(arrived), left: secs(left), fate }
}

fn attempt(sent: u64, ended: u64, how: Ended) -> AttemptRecord {
    AttemptRecord {
        journey: 0,
        step: 0,
        product: SPORT,
        bet: false,
        event: None,
        sent: secs(sent),
        ended: secs(ended),
        how,
        refusal: None,
    }
}

#[test]
fn finished_counts_those_who_had_room_to_finish_and_bets_those_who_heard_in_the_window() {
    let journeys = vec![
        journey(9, 11, Fate::Finished), // came before, heard in it: a bet, not counted as customer
        journey(10, 12, Fate::Finished), // counted, finished
        journey(20, 59, Fate::Finished), // counted, finished late
        journey(20, 61, Fate::Finished), // counted, finished after the end: not finished
        journey(30, 45, Fate::GaveUp),  // counted, not finished
        journey(49, 49, Fate::UnderWay), // counted, not finished
        journey(50, 52, Fate::Finished), // came too late to be counted; a bet
        journey(55, 55, Fate::UnderWay), // came too late to be counted
    ];
    let records = Records { journeys, ..Records::default() };
    let figures = summed(&records, SPORT);
    assert_eq!((figures.bets, figures.customers, figures.finished), (4, 5, 2));
    assert!((figures.finished_percent - 40.0).abs() < 1e-9);
    assert!((figures.bets_per_s - 0.08).abs() < 1e-9);
    assert!((figures.bets_per_s_first_10_s - 0.2).abs() < 1e-9);
    assert_eq!(summed(&records, CASINO).customers, 0);
}

#[test]
fn attempts_belong_to_the_window_they_ended_in_and_only_answers_have_times() {
    let refused = Ended::Refused(None);
    let attempts = vec![
        attempt(8, 9, Ended::Served), // before
        attempt(9, 11, Ended::Served),
        attempt(12, 13, refused),
        attempt(14, 19, TIMED_OUT),
        attempt(20, 20, Ended::Failed),
        attempt(58, 63, TIMED_OUT), // after
    ];
    let records = Records { attempts, journeys: vec![journey(8, 63, Fate::UnderWay)] };
    let figures = summed(&records, SPORT);
    assert_eq!((figures.attempts, figures.answered, figures.refused), (4, 1, 1));
    assert_eq!((figures.timed_out, figures.failed), (1, 1));
    assert_eq!(figures.attempts_per_step, Some(4.0));
    let p50 = figures.answer_ms.p50.expect("one answer");
    assert!((p50 - 2_000.0).abs() < 2.0, "{p50}");
}

#[test]
fn nothing_measured_is_nothing_and_not_zero() {
    let figures = summed(&Records::default(), HORSE);
    assert_eq!(figures.answer_ms, Spread { p50: None, p99: None });
    assert_eq!(figures.attempts_per_step, None);
}

#[test]
fn while_the_race_is_closed_its_bets_are_told_from_the_others() {
    let bet = |event, how| {
        let (sent, ended) = (secs(12), secs(13));
        AttemptRecord { product: HORSE, bet: true, event: Some(event), sent, ended, how, ..attempt(0, 0, how) }
    };
    let refused = Ended::Refused(Some(secs(5)));
    let records = Records {
        attempts: vec![
            bet(0, refused),
            bet(0, refused),
            bet(1, Ended::Served),
            attempt(12, 13, Ended::Served),
            attempt(12, 13, TIMED_OUT),
        ],
        ..Records::default()
    };
    let closed = Closed::of(&records, &Script::saturday(), WINDOW);
    assert_eq!((closed.bets_on_it, closed.of_these_refused, closed.of_these_answered), (2, 2, 0));
    assert_eq!(closed.bets_on_others_answered, 1);
    assert!((closed.sport_and_casino_percent - 50.0).abs() < 1e-9);
}
