//! Bets that are asked about again before they are sent.

use super::held::A_MOMENT;
use super::*;
use crate::admission::schedule::{Entry, EventState};
use crate::admission::{Class, Customer, ONE_SEAT, ProductId, Refusal};

const RACE: EventKey = EventKey(75);

/// A bet on a race that stops in so many milliseconds, let through.
fn bet(stops_in: u64) -> (Arc<Gate>, Admitted) {
    let text = "[[product]]\nname = \"a\"\nmatch = [{ path = \"/\" }]\nbackends = [\"http://127.0.0.1:1\"]";
    let config = crate::config::parse(text, std::path::Path::new("test.toml"), &crate::config::ThisMachine);
    let settings = config.expect("a sound configuration").proxy.domains[0].admission.clone();
    let clock = Clock::start();
    let gate = Gate::new(Domain::new(settings, 1, clock.now()), clock, Box::new(|_, _| {}));
    stop(&gate, stops_in);
    let (product, customer) = (ProductId(0), Customer::Account(1));
    let arrival = Arrival { product, class: Class::Commit, customer, event: Some(RACE), seats: ONE_SEAT };
    let Asked::Admitted(mut admitted) = gate.ask(arrival, clock.now()) else { panic!("all is free") };
    admitted.is_for(Events::One(RACE));
    (gate, admitted)
}

fn stop(gate: &Arc<Gate>, ms: u64) {
    gate.with(|domain, now| {
        let (product, believed_before_stop) = (ProductId(0), Duration::ZERO);
        let entry =
            Entry { product, stop: now + Duration::from_millis(ms), believed_before_stop, state: EventState::Open };
        domain.schedule(RACE, entry);
    });
}

#[test]
fn who_comes_late_to_hear_that_they_may_go_is_asked_about_again() {
    let (gate, admitted) = bet(3_600_000);
    assert_eq!(admitted.forbidden_by_now(true), None);
    stop(&gate, 0);
    std::thread::sleep(2 * A_MOMENT);
    assert_eq!(admitted.forbidden_by_now(false).map(|refused| refused.refusal), Some(Refusal::PastBettingStop));
    gate.with(|domain, now| domain.bypass(true, now));
    assert_eq!(admitted.forbidden_by_now(true), None, "in bypass nothing is refused");
}

#[test]
fn of_several_events_the_one_that_forbids_or_stops_first_decides() {
    let (gate, mut admitted) = bet(3_600_000);
    let others = [EventKey(1), RACE, EventKey(2)];
    assert_eq!(gate.first_to_stop(&others), Some(RACE), "the others are not known");
    assert_eq!(gate.first_to_stop(&others[..1]), Some(EventKey(1)));
    assert_eq!(gate.first_to_stop(&[]), None);
    admitted.is_for(Events::Several(others.into()));
    assert_eq!(admitted.forbidden_by_now(false), None);
    let (product, state) = (ProductId(0), EventState::Closed);
    gate.with(|domain, now| {
        let stop = now + Duration::from_secs(7_200);
        domain.schedule(EventKey(2), Entry { product, stop, believed_before_stop: Duration::ZERO, state });
    });
    assert_eq!(gate.first_to_stop(&others), Some(EventKey(2)), "closed is sooner than any stop");
    assert_eq!(admitted.forbidden_by_now(false).map(|refused| refused.refusal), Some(Refusal::EventClosed));
}
