//! What good files mean.

use std::time::Duration;

use sluss::admission::settings::LimitSettings;
use sluss::admission::{Class, Order, ParkReason, ProductId};
use sluss::sim::backend::{Engine, Fault, Leg, Spread};
use sluss::sim::scenario::{Coming, Figure, Patience, Pause, What};

use super::{STORY, good, text_of};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_least_has_every_default() {
    let story = good(STORY);
    assert_eq!((story.scale.as_str(), story.measured), ("1:1", (Duration::ZERO, secs(120))));
    let [station] = story.plant.stations.as_slice() else { panic!("one station") };
    assert_eq!(station.engine, Engine::Sharing { knee: 20.0, contention: 0.0 });
    assert!(station.outlives_caller && station.cold.is_none() && station.threads > 1_000_000_000);
    let [crowd] = story.crowds.as_slice() else { panic!("one crowd") };
    assert_eq!(crowd.coming, Coming::Rate { points: vec![(Duration::ZERO, 40.0)], linear: false });
    assert_eq!(crowd.patience, Patience { least: secs(40), most: secs(80), by_step: false });
    assert_eq!((crowd.timeout, crowd.worth, crowd.endless), (secs(5), None, false));
    let [manner] = crowd.manners.as_slice() else { panic!("one manner") };
    assert_eq!((manner.name.as_str(), manner.share, manner.obeys), ("person", 100, true));
    let [step] = crowd.journey.as_slice() else { panic!("one step") };
    assert!(step.carried && step.bet && step.event.is_none());
    assert!(matches!(story.admission.resources[0].limit, LimitSettings::Found(_)));
    assert_eq!(story.admission.products[0].guarantee, 100);
    assert_eq!(story.admission.products[0].reserve_per_customer.get(), 2);
}

#[test]
fn reading_is_not_carried_on_and_is_no_bet_unless_it_is_said() {
    let reads = good(&STORY.replace("\"commit\"", "\"read\""));
    let step = &reads.crowds[0].journey[0];
    assert!(!step.carried && !step.bet);
    let posts = good(&STORY.replace("\"commit\"", "\"read\"\nmethod = \"POST\"\nbet = true"));
    let step = &posts.crowds[0].journey[0];
    assert!(step.carried && step.bet);
}

#[test]
fn a_step_works_at_its_products_station_and_at_what_is_behind() {
    let story = good(&text_of("tests/scenarios/full.toml"));
    let step = &story.crowds[0].journey[1];
    let ms = Duration::from_millis;
    let legs = [
        Leg { station: 0, work: ms(8), spread: Spread::Exponential },
        Leg { station: 1, work: ms(12), spread: Spread::Constant },
    ];
    assert_eq!(story.plant.routes[step.route].legs, legs);
    assert_eq!(story.plant.routes[story.crowds[0].journey[0].route].legs[0].work, Duration::from_micros(500));
    assert_eq!(step.event, Some(0));
}

#[test]
fn products_on_one_station_share_its_pool_and_budgets_come_behind_the_pools() {
    let story = good(&text_of("tests/scenarios/full.toml"));
    assert_eq!((story.products[0].pool, story.products[1].pool), (0, 0));
    let budgets: Vec<bool> = story.admission.resources.iter().map(|resource| resource.budget).collect();
    assert_eq!(budgets, [false, false, false, true]);
    assert_eq!(story.hints, [(1, 3)], "what the wallet says is of the account");
    let needs = |product: usize, class: Class| -> Vec<usize> {
        story.admission.products[product].needs[class.index()].iter().collect()
    };
    assert_eq!(needs(0, Class::Commit), [0, 3]);
    assert_eq!(needs(0, Class::Read), [0]);
    assert_eq!(needs(1, Class::Commit), [0]);
    assert_eq!(needs(2, Class::Commit), [0; 0], "it needs any one of its sites");
    let sites = &story.admission.products[2].sites;
    assert_eq!(sites.iter().map(|site| (site.resource, site.share)).collect::<Vec<_>>(), [(1, 90), (2, 10)]);
    let shares: Vec<u32> = story.admission.products.iter().map(|product| product.guarantee).collect();
    assert_eq!(shares, [50, 50, 100]);
    let parts = story.admission.products.iter().map(|product| product.reserve_per_customer.get());
    assert_eq!(parts.collect::<Vec<_>>(), [3, 2, 2]);
}

#[test]
fn manners_are_like_one_that_is_known_but_for_what_is_said() {
    let story = good(&text_of("tests/scenarios/full.toml"));
    let [person, app, hammerer] = story.crowds[0].manners.as_slice() else { panic!("three manners") };
    assert_eq!((person.pause, person.quits, person.quick), (Pause::Between(secs(3), secs(8)), 3, 0));
    assert_eq!((app.name.as_str(), app.quick, app.quick_pause, app.retries), ("telephone", 2, secs(2), Some(9)));
    assert_eq!((hammerer.obeys, hammerer.share, hammerer.pause), (false, 10, Pause::Mean(secs(2))));
}

#[test]
fn what_happens_is_in_the_order_of_time_and_ends_when_it_should() {
    let late = "[[happening]]\nat = \"50s\"\nuntil = \"90s\"\nstation = \"backend\"\nslow = 5\n";
    let early = "[[happening]]\nat = \"60s\"\norder = \"close\"\nall = true\n";
    let story = good(&format!("{STORY}{late}{early}"));
    let what: Vec<_> =
        story.happenings.iter().map(|happening| (happening.at.as_secs(), happening.what.clone())).collect();
    let close = What::Order(vec![ProductId(0)], Order::Park(ParkReason::Closed));
    let (slow, well) = (What::Fault(0, Fault::Slow(5.0)), What::Fault(0, Fault::Slow(1.0)));
    assert_eq!(what, [(50, slow), (60, close), (90, well)]);
}

#[test]
fn an_expectation_is_of_us_within_two_points_and_over_the_measured_window_unless_it_is_said() {
    let known = "[[expect]]\nfigure = \"goodput\"\nknown = 95\nsource = \"a book\"\n";
    let bound = "[[expect]]\nlaw = \"none\"\nfigure = \"journeys\"\nat_most = 5\nfrom = \"30s\"\n";
    let story = good(&format!("{STORY}{known}{bound}"));
    let [known, bound] = story.expected.as_slice() else { panic!("two expectations") };
    assert_eq!((known.law.as_str(), known.range, known.window), ("sluss", (93.0, 97.0), None));
    assert_eq!(known.known.as_ref().map(|known| known.source.as_str()), Some("a book"));
    assert_eq!((bound.figure, bound.range), (Figure::Journeys, (0.0, 5.0)));
    assert_eq!(bound.window, Some((secs(30), secs(120))));
}

#[test]
fn an_expectation_may_be_of_a_product_and_of_the_mean() {
    let expects = "[[expect]]\nfigure = \"served\"\nproduct = \"betting\"\nmean = true\nat_least = 90\n";
    let story = good(&format!("{STORY}{expects}"));
    let [expected] = story.expected.as_slice() else { panic!("one expectation") };
    assert_eq!((expected.product, expected.crowd, expected.mean), (Some(0), None, true));
}

#[test]
fn a_carried_knee_is_that_of_the_stations_pool() {
    let story = good(&text_of("tests/scenarios/full.toml"));
    assert_eq!(story.carried, [(story.products[0].pool, 20.0), (story.products[2].sites[1].pool, 8.0)]);
    assert_eq!(good(STORY).carried, []);
}

#[test]
fn how_many_come_is_the_area_below_the_rate() {
    let points = vec![(secs(10), 0.0), (secs(20), 100.0), (secs(30), 50.0)];
    let steps = Coming::Rate { points: points.clone(), linear: false };
    assert_eq!(steps.expected(secs(40)), 1000.0 + 500.0);
    let linear = Coming::Rate { points, linear: true };
    assert_eq!(linear.expected(secs(40)), 500.0 + 750.0 + 500.0);
}

#[test]
fn a_count_comes_within_its_parts_or_tails_off_and_who_is_too_late_does_not_come() {
    let story = good(&text_of("tests/scenarios/full.toml"));
    let within = vec![(50, secs(6)), (50, secs(60))];
    assert_eq!(story.crowds[1].coming, Coming::Count { count: 20_000, from: secs(10), within });
    let spread = Coming::Spread { count: 7_000, from: secs(11), mean: secs(6) };
    assert_eq!(story.crowds[2].coming, spread);
    let within_the_mean = spread.expected(secs(17));
    assert!((4_424.0..4_426.0).contains(&within_the_mean), "7000 * (1 - 1/e): {within_the_mean}");
}
