//! Handmade journeys of people, apps and hammerers.

use super::*;

const SPORT: ProductId = ProductId(1);
const SPORT_BETTORS: u16 = 2;
const WINDOW: Window = Window { from: Duration::from_secs(10), to: Duration::from_secs(60) };

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn journey(manner: u8, fate: Fate) -> JourneyRecord {
    let manner = (SPORT_BETTORS, manner);
    JourneyRecord { product: SPORT, manner, arrived: secs(10), left: secs(30), fate }
}

/// An attempt at the `step`th step of the `journey`th customer: refused with a time, or served.
fn attempt(journey: usize, step: u8, ended: u64, no: Option<(Refusal, u64)>) -> AttemptRecord {
    let how = no.map_or(Ended::Served, |(_, told)| Ended::Refused(Some(secs(told))));
    let refusal = no.map(|(refusal, _)| refusal);
    let (sent, ended) = (secs(ended), secs(ended));
    AttemptRecord { journey, step, product: SPORT, bet: false, event: None, sent, ended, how, refusal }
}

fn all(journeys: Vec<JourneyRecord>, attempts: Vec<AttemptRecord>) -> Vec<ByManner> {
    ByManner::all(&Records { journeys, attempts }, &Script::saturday(), SPORT, WINDOW)
}

#[test]
fn who_comes_back_as_told_is_polite_and_nobody_else_is() {
    let manners = all(Vec::new(), Vec::new());
    let told: Vec<_> = manners.iter().map(|row| (row.manner.as_str(), row.polite, row.after_a_no.as_str())).collect();
    let app = ("app", false, "tries 3 times at once, then comes back as told");
    let hammerer = ("hammerer", false, "tries again and again");
    assert_eq!(told, [("person", true, "comes back as told (polite)"), app, hammerer]);
}

#[test]
fn each_manner_has_its_own_customers_and_attempts() {
    let journeys = vec![journey(0, Fate::Finished), journey(0, Fate::GaveUp), journey(2, Fate::UnderWay)];
    let full = Some((Refusal::QueueFull, 2));
    let attempts = vec![
        attempt(0, 0, 11, None),
        attempt(2, 0, 12, full),
        attempt(2, 0, 14, full),
        attempt(1, 0, 15, full),
        attempt(0, 1, 16, None),
        attempt(0, 2, 61, None), // after the window
    ];
    let [person, app, hammerer]: [ByManner; 3] = all(journeys, attempts).try_into().expect("three manners");
    assert_eq!((person.customers, person.finished, person.finished_percent), (2, 1, 50.0));
    assert_eq!((person.attempts, person.steps_served, person.attempts_per_step), (3, 2, Some(1.5)));
    assert_eq!((app.customers, app.attempts, app.attempts_per_step), (0, 0, None));
    assert_eq!((hammerer.customers, hammerer.finished), (1, 0));
    assert_eq!((hammerer.attempts, hammerer.attempts_per_step), (2, None));
}

#[test]
fn a_no_is_counted_with_the_one_that_was_heard_before_it_at_the_same_step() {
    let (turn, waited) = (Refusal::NotYourTurn, Refusal::WaitedTooLong);
    let attempts = vec![
        attempt(0, 0, 8, Some((waited, 3))), // before the window: not counted, but heard
        attempt(0, 0, 11, Some((waited, 3))),
        attempt(0, 0, 14, None),
        attempt(0, 1, 15, Some((turn, 6))), // another step: nothing was heard at it
        attempt(0, 1, 21, Some((turn, 2))),
        attempt(0, 1, 23, Some((turn, 4))),
    ];
    let [person, _, _]: [ByManner; 3] =
        all(vec![journey(0, Fate::UnderWay)], attempts).try_into().expect("three manners");
    let seen: Vec<_> = person.noes.iter().map(|noes| (noes.step.as_str(), noes.no, noes.after, noes.count)).collect();
    let (turn, waited) = (turn.name(), waited.name());
    let again = ("odds", waited, Some(waited), 1);
    assert_eq!(seen, [("login", turn, None, 1), ("login", turn, Some(turn), 2), again]);
    assert!((person.noes[1].told_s - 3.0).abs() < 1e-9, "{:?}", person.noes[1]);
}
