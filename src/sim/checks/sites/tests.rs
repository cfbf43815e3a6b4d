//! The witness of sites is shown laws that lie.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::admission::settings::{
    LimitSettings, Needs, ProductSettings, QueueSettings, ResourceSettings, SiteSettings,
};
use crate::admission::{Class, Customer, ONE_SEAT, ProductId};
use crate::sim::checks::Kept;

/// Lets everybody through to one site, or has them wait, and shows what a test makes it show.
struct Liar {
    word: Word,
    site: usize,
    shown: Shown,
}

impl Law for Liar {
    fn arrive(&mut self, _: Knock, _: Timestamp) -> Word {
        self.word
    }

    fn finish(&mut self, _: RequestId, _: Outcome, _: Timestamp) {}

    fn leave(&mut self, _: RequestId, _: Timestamp) {}

    fn poll(&mut self) -> Option<Said> {
        None
    }

    fn order(&mut self, _: usize, _: Order, _: Timestamp) {}

    fn look(&self, _: usize) -> Look {
        Look::default()
    }

    fn site(&self, _: RequestId) -> Option<usize> {
        Some(self.site)
    }

    fn share(&self, _: usize) -> Option<u32> {
        Some(5)
    }
}

impl Transparent for Liar {
    fn show(&self, shown: &mut Shown) {
        shown.clone_from(&self.shown);
    }

    fn kept(&self, _: usize, _: Customer) -> Kept {
        Kept::Nothing
    }
}

const SEATS: u32 = 30;

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

fn settings() -> Settings {
    let product = ProductSettings {
        needs: [Needs::default(); Class::COUNT],
        sites: vec![SiteSettings { resource: 0, share: 100 }, SiteSettings { resource: 1, share: 0 }],
        guarantee: 100,
        latency_objective: Duration::from_millis(250),
        queue: QueueSettings {
            longest_wait: Duration::from_secs(1),
            length: n(10),
            floor: 0,
            near_stop: Duration::ZERO,
            retry_after: (Duration::from_secs(1), Duration::from_secs(30)),
        },
        reserve: n(2),
        reserve_per_customer: n(2),
        passes: None,
    };
    Settings {
        products: vec![product],
        resources: vec![ResourceSettings { budget: false, limit: LimitSettings::Fixed(n(SEATS)) }; 2],
        at_once_per_customer: n(3),
        at_once_per_address: n(5),
        machines: Vec::new(),
    }
}

fn watched(word: Word, site: usize) -> WatchedSites<Liar> {
    let mut shown = Shown::empty(2, 1);
    shown.resources.iter_mut().for_each(|resource| resource.limit = SEATS);
    WatchedSites::new(Liar { word, site, shown }, settings())
}

/// So many come, one after the other, and the law counts them if it is honest.
fn come(watched: &mut WatchedSites<Liar>, count: u32, honest: bool) {
    for request in 0..count {
        let arrival = Arrival {
            product: ProductId(0),
            class: Class::Commit,
            customer: Customer::Account(u64::from(request)),
            event: None,
            seats: ONE_SEAT,
        };
        let site = watched.law.site;
        let passes = u32::from(watched.law.word == Word::Pass && honest);
        watched.law.shown.resources[site].in_use += passes;
        watched.arrive(Knock { request: RequestId(request), arrival }, Timestamp::ZERO);
        assert_eq!(watched.poll(), None);
    }
}

fn shift(watched: &mut WatchedSites<Liar>) {
    let plan = Plan { from: 0, to: 1, share: 50, step: 5, every: Duration::from_secs(30), now: false };
    watched.notice(Notice::Shift(0, plan), Timestamp::ZERO);
}

fn speaks_of(watched: &WatchedSites<Liar>, promise: &str) {
    let found = watched.violations();
    assert!(found.iter().all(|found| found.starts_with(&format!("[{promise}]"))) && !found.is_empty(), "{found:?}");
}

#[test]
fn an_honest_law_is_not_spoken_of() {
    let mut honest = watched(Word::Pass, 0);
    shift(&mut honest);
    come(&mut honest, SEATS, true);
    honest.finish(RequestId(3), Outcome::Answered, Timestamp::ZERO);
    honest.law.shown.resources[0].in_use -= 1;
    assert_eq!(honest.poll(), None);
    assert_eq!(honest.violations(), [""; 0]);
}

#[test]
fn who_is_let_through_to_a_full_site_is_seen() {
    let mut liar = watched(Word::Pass, 0);
    come(&mut liar, SEATS + 1, true);
    speaks_of(&liar, "limit");
}

#[test]
fn a_seat_that_is_not_counted_is_seen() {
    let mut liar = watched(Word::Pass, 1);
    come(&mut liar, 1, false);
    speaks_of(&liar, "seats");
}

#[test]
fn a_site_that_gets_more_than_its_share_while_it_is_warmed_is_seen() {
    let mut liar = watched(Word::Pass, 1);
    shift(&mut liar);
    come(&mut liar, 17, true);
    assert_eq!(liar.violations(), [""; 0], "a burst is allowed");
    let mut liar = watched(Word::Pass, 1);
    shift(&mut liar);
    come(&mut liar, 20, true);
    speaks_of(&liar, "share");
}

#[test]
fn who_waits_while_the_giving_site_has_a_seat_is_seen() {
    let mut liar = watched(Word::Wait, 0);
    come(&mut liar, 1, true);
    assert_eq!(liar.violations(), [""; 0], "of a product that nobody shifts nothing is known");
    shift(&mut liar);
    assert_eq!(liar.poll(), None);
    speaks_of(&liar, "work conservation");
}

#[test]
fn who_ends_and_was_never_let_through_is_seen() {
    let mut liar = watched(Word::Wait, 0);
    liar.finish(RequestId(1), Outcome::Answered, Timestamp::ZERO);
    speaks_of(&liar, "once");
}
