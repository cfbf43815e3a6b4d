//! When betting was shut: what is shaded, and where a picture of a reopening begins and ends.

use crate::sim::record::Run;
use crate::sim::scenario::{Scenario, What};

use super::picture::{Band, RAMPING, SHUT};
use crate::admission::Order;
use crate::admission::schedule::EventState;

/// When a product was shut and when it ramped, as its law had it, and when one of its events was shut, as the story has
/// it: an event that is shut leaves its product open.
pub(super) fn shaded(scenario: &Scenario, run: &Run, product: usize) -> Vec<Band> {
    let mut bands = told(scenario, product);
    let looked = states(run, product);
    bands.retain(|band| !looked.iter().any(|state| state.from < band.to && band.from < state.to));
    bands.extend(looked);
    bands
}

/// From each order or signal that shuts a product, or an event of it, to the next that opens one again.
pub(super) fn told(scenario: &Scenario, product: usize) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    let mut since = None;
    for happening in &scenario.happenings {
        let at = happening.at.as_secs_f64();
        match (shuts(scenario, &happening.what, product), since) {
            (Some(true), None) => since = Some(at),
            (Some(false), Some(from)) => {
                bands.push(Band { from, to: at, colour: SHUT });
                since = None;
            }
            _ => {}
        }
    }
    bands.extend(since.map(|from| Band { from, to: scenario.lasts.as_secs_f64(), colour: SHUT }));
    bands
}

/// Whether this shuts or opens a product or an event of it, if it does either.
fn shuts(scenario: &Scenario, what: &What, product: usize) -> Option<bool> {
    let of_ours = |event: usize| scenario.events[event].product.index() == product;
    match what {
        What::Order(products, order) if products.iter().any(|one| one.index() == product) => {
            Some(matches!(order, Order::Park(_)))
        }
        What::Signal(event) if of_ours(*event) => Some(true),
        What::EventOrder(event, state) if of_ours(*event) => Some(*state != EventState::Open),
        _ => None,
    }
}

fn states(run: &Run, product: usize) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    let every = run.look_every.as_secs_f64();
    let looks = run.looks.get(product).map_or(&[][..], Vec::as_slice);
    let end = looks.len().saturating_sub(1) as f64 * every;
    for (nth, look) in looks.iter().enumerate() {
        let colour = match look.state {
            "draining" | "parked" => SHUT,
            "ramping" => RAMPING,
            _ => continue,
        };
        let (from, to) = (nth as f64 * every, ((nth + 1) as f64 * every).min(end));
        match bands.last_mut() {
            Some(last) if last.colour == colour && last.to >= from => last.to = to,
            _ => bands.push(Band { from, to, colour }),
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::{ParkReason, ProductId};
    use crate::sim::rehearsal::handmade::{played, story};
    use crate::sim::scenario::{Event, Happening};

    fn bands(bands: &[Band]) -> Vec<(f64, f64, bool)> {
        bands.iter().map(|band| (band.from, band.to, band.colour == SHUT)).collect()
    }

    fn scenario(happenings: Vec<(u64, What)>) -> Scenario {
        let at = |(at, what)| Happening { at: Duration::from_secs(at), what };
        let event = Event {
            name: "V75-1".into(),
            product: ProductId(0),
            stop: Duration::from_secs(170),
            believed_before_stop: Duration::from_secs(10),
        };
        let happenings = happenings.into_iter().map(at).collect();
        Scenario { events: vec![event], happenings, ..story().scenario }
    }

    #[test]
    fn states_are_shaded_as_long_as_they_lasted() {
        let scenario = scenario(vec![]);
        let shaded = |product| bands(&shaded(&scenario, &played("sluss", 1), product));
        assert_eq!(shaded(0), [(30.0, 90.0, true), (90.0, 110.0, false)]);
        assert_eq!(shaded(1), []);
    }

    #[test]
    fn an_event_that_is_shut_is_shaded_until_it_is_opened() {
        let open = What::EventOrder(0, EventState::Open);
        let scenario = scenario(vec![(130, What::Signal(0)), (131, What::Signal(0)), (150, open)]);
        assert_eq!(bands(&told(&scenario, 0)), [(130.0, 150.0, true)]);
        assert_eq!(bands(&told(&scenario, 1)), []);
        let shaded = bands(&shaded(&scenario, &played("sluss", 1), 0));
        assert_eq!(shaded, [(130.0, 150.0, true), (30.0, 90.0, true), (90.0, 110.0, false)]);
    }

    #[test]
    fn what_is_never_opened_stays_shut_and_what_the_law_says_comes_first() {
        let park = What::Order(vec![ProductId(0)], Order::Park(ParkReason::Parked));
        let scenario = scenario(vec![(29, park)]);
        assert_eq!(bands(&told(&scenario, 0)), [(29.0, 180.0, true)]);
        let shaded = bands(&shaded(&scenario, &played("sluss", 1), 0));
        assert_eq!(shaded, [(30.0, 90.0, true), (90.0, 110.0, false)]);
    }
}
