//! What the demo takes from the scenario: who comes, what they ask for under which path, what happens and when.
//!
//! Everything that the simulator plays too is in the file; here is only what sockets need besides.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::admission::ProductId;
use crate::admission::schedule::EventState;
use crate::sim::saturday;
use crate::sim::scenario::{Coming, Crowd, Event, Scenario, Step, What};

/// A story with a false signal and a reopening, to be played live.
pub(super) struct Script {
    pub(super) story: Scenario,
    /// Its crowds, in its order, to be shared among their customers.
    pub(super) crowds: Vec<Rc<Crowd>>,
    /// The event of the false signal, by its place in the story.
    pub(super) event: usize,
    /// When the signal comes.
    pub(super) signal: Duration,
    /// When a person reopens.
    pub(super) reopening: Duration,
}

impl Script {
    /// The Saturday.
    pub(super) fn saturday() -> Rc<Script> {
        Rc::new(Script::of(saturday::story()).expect("the Saturday has a signal and a reopening, and a test plays it"))
    }

    /// `None` where there is no false signal, or nobody reopens, or it is not the first product's: figures and tables
    /// begin with the one that surges.
    fn of(story: Scenario) -> Option<Script> {
        let signal = story.happenings.iter().find_map(|happening| match happening.what {
            What::Signal(event) => Some((happening.at, event)),
            _ => None,
        });
        let (signal, event) = signal.filter(|(_, event)| story.events[*event].product.index() == SURGING)?;
        let reopens = What::EventOrder(event, EventState::Open);
        let reopening = story.happenings.iter().find(|happening| happening.what == reopens)?.at;
        let crowds = story.crowds.iter().cloned().map(Rc::new).collect();
        (signal < reopening).then_some(Script { story, crowds, event, signal, reopening })
    }

    /// The event of the false signal.
    pub(super) fn closed(&self) -> &Event {
        &self.story.events[self.event]
    }

    /// All products, in the order of every table.
    pub(super) fn products(&self) -> impl Iterator<Item = ProductId> + use<> {
        (0..self.story.products.len()).map(|place| ProductId(place as u16))
    }

    /// The one that is closed by a false signal and reopened into a surge; the others stand by.
    pub(super) fn surging(&self) -> ProductId {
        self.closed().product
    }

    /// Its name in configuration, metrics and reports.
    pub(super) fn name(&self, product: ProductId) -> &str {
        &self.story.products[product.index()].name
    }

    /// First part of a product's paths: the first word of its name.
    pub(super) fn prefix(&self, product: ProductId) -> &str {
        let name = self.name(product);
        name.split_once('-').map_or(name, |(first, _)| first)
    }

    /// The path of a step.
    pub(super) fn path(&self, product: ProductId, step: &Step) -> String {
        format!("/{}/{}", self.prefix(product), step.name)
    }

    /// The steps of a product's customers; the same one perhaps several times, as several crowds walk it.
    pub(super) fn steps(&self, product: ProductId) -> impl Iterator<Item = &Step> {
        let its = move |crowd: &&Crowd| crowd.product == product;
        self.story.crowds.iter().filter(its).flat_map(|crowd| &crowd.journey)
    }

    /// What a product's steps ask of the plant; those of its bets alone, or all.
    pub(super) fn routes(&self, product: ProductId, only_bets: bool) -> BTreeSet<usize> {
        self.steps(product).filter(|step| step.bet || !only_bets).map(|step| step.route).collect()
    }

    /// The station behind the products' own: the wallet.
    pub(super) fn wallet(&self) -> Option<usize> {
        let own = |station: &usize| self.story.products.iter().any(|product| product.station == *station);
        (0..self.story.plant.stations.len()).find(|station| !own(station))
    }

    /// Crowds that wait for the reopening (`true`), or come whatever happens, with their places.
    pub(super) fn crowds(&self, waiting: bool) -> impl Iterator<Item = (u16, &Rc<Crowd>)> {
        let waits = |coming: &Coming| !matches!(coming, Coming::Rate { .. });
        (0..).zip(&self.crowds).filter(move |(_, crowd)| waits(&crowd.coming) == waiting)
    }

    /// How many wait for the reopening, as it is said aloud: `7,000`.
    pub(super) fn waiting(&self) -> String {
        let count: f64 = self.crowds(true).map(|(_, crowd)| crowd.coming.expected(FOR_EVER)).sum();
        match count as u64 {
            many if many >= 1_000 => format!("{},{:03}", many / 1_000, many % 1_000),
            few => few.to_string(),
        }
    }
}

/// Longer than any run of the demo.
pub(super) const FOR_EVER: Duration = Duration::from_secs(3_600);

/// Its place among the products.
const SURGING: usize = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_saturday_is_played_as_it_is_told() {
        let script = Script::saturday();
        assert_eq!((script.signal.as_secs(), script.reopening.as_secs()), (4, 10));
        assert_eq!((script.closed().name.as_str(), script.waiting().as_str()), ("bergsaker-v75-1", "7,000"));
        assert_eq!((script.crowds(false).count(), script.crowds(true).count()), (4, 1));
        let wallet = script.wallet().map(|station| script.story.plant.stations[station].name.as_str());
        assert_eq!(wallet, Some("wallet"));
        let default = <crate::demo::tests::Line as clap::Parser>::parse_from(["demo"]).args.window();
        assert_eq!(default, script.story.lasts - script.reopening, "a live run is as long as a simulated one");
    }

    #[test]
    fn every_step_has_a_path_that_means_one_thing() {
        let script = Script::saturday();
        let script = &*script;
        let of = |product| script.steps(product).map(move |step| (script.path(product, step), step.route));
        let paths: BTreeSet<(String, usize)> = script.products().flat_map(of).collect();
        let (names, routes): (BTreeSet<String>, BTreeSet<usize>) = paths.iter().cloned().unzip();
        assert_eq!((paths.len(), names.len(), routes.len()), (9, 9, 9), "{paths:?}");
        assert!(names.contains("/horse/bets") && names.contains("/casino/odds"));
    }

    #[test]
    fn a_story_without_a_false_signal_or_without_a_reopening_is_none_for_the_demo() {
        for missing in 0..2 {
            let mut story = saturday::story();
            story.happenings.remove(missing);
            assert!(Script::of(story).is_none());
        }
    }
}
