//! A product that is served at several sites.

use super::super::super::settings::SiteSettings;
use super::super::super::shift::{End, Ill, Plan};
use super::*;
use crate::admission::domain::{NoShift, ShiftOrder};

/// Horse racing at two sites with so many seats each.
fn two_sites(seats: [u32; 2], shares: [u32; 2]) -> Story {
    let mut horses = product(50, &[]);
    horses.sites = (0..2).map(|site| SiteSettings { resource: site, share: shares[site] }).collect();
    Story::new(seats.map(fixed).to_vec(), vec![horses])
}

fn plan(share: u32) -> Plan {
    Plan { from: 0, to: 1, share, step: 5, every: Duration::from_secs(30), now: false }
}

/// The place of its site: the pools are numbered alike.
fn site(seat: &Seat) -> usize {
    seat.pool().expect("there are several")
}

fn in_use(story: &Story) -> [u32; 2] {
    [0, 1].map(|site| story.domain.resources()[site].in_use())
}

fn shares(story: &Story) -> Vec<(u32, bool)> {
    story.domain.shares(HORSE).map(|site| (site.share, site.bounded)).collect()
}

/// Requests come and are answered after as many others as are under way, for so long; in each millisecond one. Those at
/// the second site fail where that is said. Returns how many were served where.
fn serve(story: &mut Story, from_ms: u64, for_ms: u64, fails: bool) -> [u32; 2] {
    let mut under_way = std::collections::VecDeque::new();
    let mut served = [0; 2];
    for ms in from_ms..from_ms + for_ms {
        if under_way.len() >= 6 {
            let seat: Seat = under_way.pop_front().expect("there are some");
            let outcome = if fails && site(&seat) == 1 { Outcome::Failed } else { Outcome::Answered };
            served[site(&seat)] += u32::from(outcome == Outcome::Answered);
            story.domain.finish(seat, outcome, at(ms));
        }
        under_way.push_back(story.passes(HORSE, Class::Commit, ms));
        while story.domain.next_wake().is_some_and(|due| due <= at(ms)) {
            story.domain.wake(at(ms));
        }
    }
    for seat in under_way {
        story.domain.finish(seat, Outcome::Answered, at(from_ms + for_ms));
    }
    served
}

#[test]
fn one_line_is_served_at_both_sites_and_no_full_site_holds_up_its_head() {
    let mut story = two_sites([1, 1], [50, 50]);
    let first = story.passes(HORSE, Class::Commit, 0);
    let second = story.passes(HORSE, Class::Commit, 0);
    assert_ne!(site(&first), site(&second), "whoever finds their home full goes to the other");
    assert_eq!(in_use(&story), [1, 1]);
    let waits = [story.waits(HORSE, Class::Commit, 1), story.waits(HORSE, Class::Commit, 1)];
    let freed = site(&second);
    let told = story.ends(second, 10);
    assert_eq!(told.admitted_places(), [waits[0]], "the oldest, whatever their home");
    assert_eq!(site(&told.admitted[0].1), freed);
    let last = story.ends(first, 20);
    assert_eq!(last.admitted_places(), [waits[1]]);
    for (_, seat) in told.admitted.into_iter().chain(last.admitted) {
        story.ends(seat, 30);
    }
    assert!(story.is_empty());
}

#[test]
fn at_rest_a_customer_stays_where_they_are() {
    let mut story = two_sites([100, 100], [50, 50]);
    let mut sites = [0; 2];
    for key in 0..200 {
        let arrival = Arrival {
            product: HORSE,
            class: Class::Commit,
            customer: Customer::Account(key),
            event: None,
            seats: ONE_SEAT,
        };
        let first = seat(story.domain.arrive(arrival, at(key)));
        let home = site(&first);
        story.ends(first, key);
        let again = seat(story.domain.arrive(arrival, at(key)));
        assert_eq!(site(&again), home);
        sites[home] += 1;
        story.ends(again, key);
    }
    assert!(sites.iter().all(|site| (70..130).contains(site)), "{sites:?}");
}

#[test]
fn a_site_that_is_gone_leaves_its_share_to_the_others_and_the_product_is_down_without_all() {
    let mut story = two_sites([2, 1], [90, 10]);
    story.domain.backends(0, 0, 3, at(0));
    assert_eq!(story.state(HORSE), State::Open);
    let held = story.passes(HORSE, Class::Commit, 1);
    assert_eq!(site(&held), 1);
    let waits = story.waits(HORSE, Class::Commit, 2);
    story.domain.backends(0, 3, 3, at(3));
    assert_eq!(story.told().admitted_places(), [waits], "who waited goes to the one that is back");
    story.domain.backends(0, 0, 3, at(4));
    story.domain.backends(1, 0, 3, at(5));
    assert_eq!(story.state(HORSE), State::Down);
    assert_eq!(story.is_refused(HORSE, Class::Commit, 6), Refusal::NoBackend);
    story.domain.backends(1, 3, 3, at(7));
    assert_ne!(story.state(HORSE), State::Down);
}

#[test]
fn what_must_always_work_is_served_at_home_beyond_the_limits() {
    let mut story = two_sites([1, 1], [0, 100]);
    let bet = story.passes(HORSE, Class::Commit, 0);
    let logout = story.passes(HORSE, Class::Protected, 1);
    assert_eq!((site(&bet), site(&logout)), (1, 1));
    assert_eq!(in_use(&story), [0, 1]);
    story.ends(bet, 2);
    story.ends(logout, 2);
    assert!(story.is_empty());
}

#[test]
fn several_seats_are_taken_at_one_site_and_kept_for_whoever_needs_them() {
    let mut story = two_sites([3, 3], [50, 50]);
    let held: Vec<Seat> = (0..4).map(|_| story.passes(HORSE, Class::Commit, 0)).collect();
    let free = in_use(&story).map(|used| 3 - used);
    assert!(free.iter().sum::<u32>() == 2);
    let big = place(story.asks_for(3, HORSE, Class::Commit, 1));
    let small = story.waits(HORSE, Class::Commit, 2);
    let mut admitted = Vec::new();
    let mut seats = Vec::new();
    for (nth, one) in held.into_iter().enumerate() {
        for (place, seat) in story.ends(one, 10 + nth as u64).admitted {
            admitted.push(place);
            seats.push(seat);
        }
    }
    let mut last = story.sleeps_until(500);
    seats.extend(last.admitted.drain(..).map(|(place, seat)| {
        admitted.push(place);
        seat
    }));
    assert_eq!(admitted, [big, small], "who needs three goes first, at a site that has three");
    for seat in seats {
        story.ends(seat, 600);
    }
    assert!(story.is_empty());
}

#[test]
fn a_site_that_is_warmed_gets_its_share_and_no_more_whoever_comes() {
    let mut story = two_sites([100, 100], [100, 0]);
    assert_eq!(serve(&mut story, 0, 500, false)[1], 0);
    story.domain.shift(HORSE, ShiftOrder::Begin(plan(50)), at(500)).expect("it can be");
    assert_eq!(shares(&story), [(95, false), (5, true)]);
    let served = serve(&mut story, 500, 4000, false);
    assert!((150..=217).contains(&served[1]), "5 in a hundred of 4000, and a burst: {served:?}");
}

#[test]
fn while_one_is_warmed_the_other_serves_all_that_it_can() {
    let mut story = two_sites([1, 1], [100, 0]);
    story.domain.shift(HORSE, ShiftOrder::Begin(plan(100)), at(0)).expect("it can be");
    story.domain.shift(HORSE, ShiftOrder::Stop, at(0)).expect("it can be");
    assert!(story.domain.restore_shares(HORSE, &[(0, false), (100, true)]));
    let held = story.passes(HORSE, Class::Commit, 1);
    assert_eq!(site(&held), 1);
    let waits = story.waits(HORSE, Class::Commit, 2);
    assert_eq!(in_use(&story)[0], 0, "a site without a share is left alone");
    let now = Plan { from: 1, to: 0, share: 100, now: true, ..plan(100) };
    story.domain.shift(HORSE, ShiftOrder::Begin(now), at(3)).expect("it can be");
    assert_eq!(story.told().admitted_places(), [waits]);
    assert_eq!(shares(&story), [(100, false), (0, false)]);
}

#[test]
fn a_shift_moves_by_itself_and_arrives() {
    let mut story = two_sites([100, 100], [100, 0]);
    let every = Duration::from_secs(2);
    story.domain.shift(HORSE, ShiftOrder::Begin(Plan { every, step: 25, ..plan(50) }), at(0)).expect("it can be");
    serve(&mut story, 0, 6000, false);
    assert_eq!(shares(&story), [(50, false), (50, false)]);
    assert!(story.domain.shift_of(HORSE).is_none());
    let notes = story.told().notes;
    let moved: Vec<u32> = notes.iter().filter_map(share_of).collect();
    assert_eq!(moved, [25, 50]);
    assert!(matches!(notes.last(), Some(Event::ShiftEnded { end: End::Arrived, share: 50, bounded: false, .. })));
}

fn share_of(note: &Event) -> Option<u32> {
    if let Event::ShareMoved { to: (1, share), .. } = note { Some(*share) } else { None }
}

#[test]
fn a_receiving_site_that_breaks_is_given_back_to_at_once_and_a_person_is_told() {
    let mut story = two_sites([100, 100], [80, 20]);
    let every = Duration::from_secs(2);
    story.domain.shift(HORSE, ShiftOrder::Begin(Plan { every, step: 20, ..plan(80) }), at(0)).expect("it can be");
    serve(&mut story, 0, 2100, false);
    assert_eq!(shares(&story)[1], (60, true));
    serve(&mut story, 2100, 3000, true);
    let notes = story.told().notes;
    let end = Event::ShiftEnded { product: HORSE, site: 1, share: 20, bounded: true, end: End::GaveUp(Ill::Faults) };
    assert_eq!(notes.last(), Some(&end), "{notes:?}");
    assert_eq!(shares(&story), [(80, false), (20, true)]);
}

#[test]
fn what_was_shifted_is_shifted_back_by_steps_and_everybody_is_served_meanwhile() {
    let mut story = two_sites([100, 100], [50, 50]);
    let every = Duration::from_secs(2);
    story.domain.shift(HORSE, ShiftOrder::Begin(Plan { every, step: 15, ..plan(80) }), at(0)).expect("it can be");
    story.domain.shift(HORSE, ShiftOrder::Stop, at(10)).expect("it can be");
    assert_eq!(shares(&story), [(35, false), (65, true)], "not known to be well with more");
    let back = Plan { from: 1, to: 0, share: 50, every, ..plan(50) };
    story.domain.shift(HORSE, ShiftOrder::Begin(back), at(20)).expect("it can be");
    assert_eq!(shares(&story), [(40, true), (60, false)]);
    let served = serve(&mut story, 20, 9000, false);
    assert!(served.iter().all(|served| *served > 3000), "{served:?}");
    assert_eq!(shares(&story), [(50, false), (50, false)]);
}

#[test]
fn a_receiving_site_that_goes_ends_the_shift_where_it_began() {
    let mut story = two_sites([100, 100], [100, 0]);
    story.domain.shift(HORSE, ShiftOrder::Begin(plan(50)), at(0)).expect("it can be");
    story.domain.backends(1, 0, 2, at(10));
    assert_eq!(shares(&story), [(100, false), (0, true)]);
    assert!(story.domain.shift_of(HORSE).is_none());
}

#[test]
fn orders_that_cannot_be_followed_change_nothing() {
    let mut story = two_sites([1, 1], [60, 40]);
    let mut begin = |plan| story.domain.shift(HORSE, ShiftOrder::Begin(plan), at(0));
    assert_eq!(begin(Plan { to: 7, ..plan(50) }), Err(NoShift::NoSuchSite));
    assert_eq!(begin(Plan { to: 0, ..plan(50) }), Err(NoShift::SameSite));
    assert_eq!(begin(plan(40)), Err(NoShift::NothingToMove));
    assert_eq!(begin(plan(101)), Err(NoShift::TooMuch));
    assert_eq!(begin(Plan { step: 0, ..plan(50) }), Err(NoShift::NoStep));
    assert_eq!(begin(plan(50)), Ok(()));
    assert_eq!(begin(plan(60)), Err(NoShift::UnderWay));
    let mut orders = |order| story.domain.shift(HORSE, order, at(1));
    assert_eq!(orders(ShiftOrder::Stop), Ok(()));
    assert_eq!(orders(ShiftOrder::Stop), Err(NoShift::NotUnderWay));
    assert_eq!(orders(ShiftOrder::Back), Ok(()));
    assert_eq!(orders(ShiftOrder::Back), Err(NoShift::NotUnderWay));
    assert_eq!(shares(&story), [(60, false), (40, false)]);
    let mut story = Story::horses_on(1);
    assert_eq!(story.domain.shift(HORSE, ShiftOrder::Begin(plan(50)), at(0)), Err(NoShift::NoSuchSite));
}

#[test]
fn shares_of_a_journal_count_only_where_they_are_shares_of_these_sites() {
    let mut story = two_sites([1, 1], [60, 40]);
    assert!(!story.domain.restore_shares(HORSE, &[(60, false)]));
    assert!(!story.domain.restore_shares(HORSE, &[(60, false), (60, false)]));
    assert!(story.domain.restore_shares(HORSE, &[(30, false), (70, true)]));
    assert_eq!(shares(&story), [(30, false), (70, true)]);
}

#[test]
fn a_cold_site_finds_its_limit_although_nobody_waits_for_it() {
    let mut horses = product(50, &[]);
    horses.sites = (0..2).map(|resource| SiteSettings { resource, share: 50 }).collect();
    let mut story = Story::new(vec![fixed(100), climbing(4)], vec![horses]);
    let mut under_way = std::collections::VecDeque::new();
    for ms in 0..20_000 {
        if under_way.len() >= 40 {
            story.domain.finish(under_way.pop_front().expect("some"), Outcome::Answered, at(ms));
        }
        under_way.push_back(story.passes(HORSE, Class::Commit, ms));
    }
    assert!(story.domain.resources()[1].limit() >= 15, "{}", story.domain.resources()[1].limit());
}

#[test]
fn a_request_for_several_seats_costs_no_more_than_a_site_has_that_it_may_go_to() {
    // The second site is larger, and has no share: nobody may go there.
    let mut story = two_sites([4, 8], [100, 0]);
    let coupon = seat(story.asks_for(8, HORSE, Class::Commit, 0));
    assert_eq!((site(&coupon), in_use(&story)), (0, [4, 0]));
    story.ends(coupon, 1);
    assert!(story.is_empty());
}

#[test]
fn what_was_asked_before_a_step_back_says_nothing_of_where_it_stepped_back_to() {
    let mut story = two_sites([1000, 1000], [60, 40]);
    let plan = Plan { every: Duration::from_secs(60), ..plan(80) };
    story.domain.shift(HORSE, ShiftOrder::Begin(plan), at(0)).expect("it can be");
    let seats: Vec<Seat> = (0..400).map(|ms| story.passes(HORSE, Class::Commit, 1 + ms)).collect();
    let (there, here): (Vec<_>, Vec<_>) = seats.into_iter().partition(|seat| site(seat) == 1);
    assert!(there.len() > 100, "{}", there.len());
    for (seats, outcome) in [(here, Outcome::Answered), (there, Outcome::Failed)] {
        seats.into_iter().for_each(|seat| story.domain.finish(seat, outcome, at(1000)));
    }
    assert_eq!(shares(&story)[1].0, 40, "back to what it had");
    let notes = story.told().notes;
    let backs = notes.iter().filter(|note| matches!(note, Event::ShareMoved { ill: Some(_), .. }));
    let ends: Vec<_> = notes.iter().filter(|note| matches!(note, Event::ShiftEnded { .. })).collect();
    assert_eq!((backs.count(), ends.len(), story.domain.shift_of(HORSE).is_some()), (1, 0, true), "{notes:?}");
}

#[test]
fn a_site_that_comes_and_goes_does_not_begin_with_half_of_half() {
    let mut horses = product(50, &[]);
    horses.sites = (0..2).map(|resource| SiteSettings { resource, share: 50 }).collect();
    let mut story = Story::new(vec![fixed(100), climbing(4)], vec![horses]);
    story.domain.recall(1, 40.0);
    let begins: Vec<u32> = (0..4)
        .map(|round| {
            story.domain.backends(1, 0, 3, at(1000 * round));
            story.domain.backends(1, 3, 3, at(1000 * round + 500));
            story.domain.resources()[1].limit()
        })
        .collect();
    assert!(begins.iter().all(|limit| *limit == begins[0] && *limit >= 15), "{begins:?}");
}

#[test]
fn other_sites_end_a_shift_and_who_waits_goes_to_one_that_is_there() {
    let mut story = two_sites([1, 1], [100, 0]);
    story.domain.shift(HORSE, ShiftOrder::Begin(plan(50)), at(0)).expect("it can be");
    let running = [story.passes(HORSE, Class::Commit, 1), story.passes(HORSE, Class::Commit, 1)];
    let waits = story.waits(HORSE, Class::Commit, 2);
    story.told();
    // The first has left, and a third has come: what was the second is the first now.
    let mut horses = product(50, &[]);
    horses.sites = [1, 2].map(|resource| SiteSettings { resource, share: 50 }).to_vec();
    story.domain.reform(super::reform::settings(vec![fixed(1), fixed(1), fixed(1)], vec![horses]), &[], at(3));
    let told = story.told();
    let ended = Event::ShiftEnded { product: HORSE, site: 0, share: 50, bounded: false, end: End::Stopped };
    assert!(told.notes.contains(&ended), "{:?}", told.notes);
    assert!(story.domain.shift_of(HORSE).is_none());
    assert_eq!(told.admitted_places(), [waits]);
    assert_eq!(site(&told.admitted[0].1), 2, "by its pool, whatever its place");
    for seat in running.into_iter().chain(told.admitted.into_iter().map(|(_, seat)| seat)) {
        story.domain.finish(seat, Outcome::Answered, at(4));
    }
    assert!(story.domain.resources().iter().all(|pool| pool.in_use() == 0));
}
