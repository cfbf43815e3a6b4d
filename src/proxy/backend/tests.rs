//! What one backend promises to those who choose.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::admission::time::at;
use crate::proxy::balance::slow_start::Start;

pub(in crate::proxy) fn backends(weights: &[u32]) -> Vec<Arc<Backend>> {
    let address = |n: usize| SocketAddr::from(([127, 0, 0, 1], 1 + n as u16));
    let settings = |(n, weight): (usize, &u32)| BackendSettings {
        name: format!("b{n}"),
        address: address(n),
        weight: *weight,
        priority: 0,
        host: None,
    };
    weights.iter().enumerate().map(|one| Arc::new(Backend::new(settings(one), None))).collect()
}

#[test]
fn pauses_double_and_never_last_longer_than_two_seconds() {
    let backend = &backends(&[1])[0];
    let mut now = Timestamp::ZERO;
    for pause in [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000] {
        backend.refused(now);
        assert_eq!(backend.paused_until(), Some(now + Duration::from_millis(pause)));
        now += Duration::from_millis(pause);
    }
    backend.accepted(now);
    assert_eq!(backend.paused_until(), None);
}

#[test]
fn one_that_comes_and_goes_is_left_alone_for_longer_until_it_has_stayed() {
    let backend = &backends(&[1])[0];
    let mut now = Timestamp::ZERO;
    for (steady_ms, pause) in [(0, 100), (50, 200), (9_999, 400), (10_000, 100), (10, 200)] {
        now += Duration::from_millis(steady_ms);
        backend.refused(now);
        let until = now + Duration::from_millis(pause);
        assert_eq!(backend.paused_until(), Some(until));
        now = until;
        backend.accepted(now);
    }
}

#[test]
fn doubt_halves_a_share_and_goes_as_it_came() {
    let backend = &backends(&[2])[0];
    let held = [Outstanding::at(backend), Outstanding::at(backend)];
    let errors: Vec<(u32, u32)> = (0..7).map(|_| (backend.erred(), backend.seen().weight())).collect();
    assert_eq!(errors, [(1, 256), (2, 128), (3, 64), (4, 32), (5, 16), (6, 16), (7, 16)]);
    backend.answered();
    assert_eq!((backend.seen().weight(), backend.erred()), (32, 1), "an answer ends the row, not the doubt");
    (0..9).for_each(|_| backend.answered());
    assert_eq!((backend.seen().weight(), backend.outstanding()), (512, 2));
    drop(held);
    assert_eq!(backend.outstanding(), 0);
}

#[test]
fn one_that_comes_back_beside_others_starts_slowly_and_is_whole_by_time_and_answers() {
    let (backend, over) = (&backends(&[1])[0], Some(Start::beside_others(Duration::from_secs(10))));
    let at = |seconds| Timestamp::after(Duration::from_secs(seconds));
    assert_eq!(backend.settle(false, true, over, at(0)), (4, 4), "it was there from the start");
    assert!(backend.drain(true));
    assert_eq!(backend.settle(false, true, over, at(1)), (0, 4));
    assert!(!backend.may_be_asked(at(1)));
    assert!(backend.drain(false));
    assert_eq!(backend.settle(false, true, over, at(2)), (1, 4));
    assert!(backend.may_be_asked(at(2)));
    assert_eq!((backend.presence(at(60)), backend.settle(false, true, over, at(60)).0), (Presence::Starting, 1));
    (0..64).for_each(|_| backend.count(true));
    assert_eq!((backend.settle(false, true, over, at(60)).0, backend.presence(at(60))), (4, Presence::Serving));
}

#[test]
fn a_newcomer_is_missed_by_nobody_before_it_has_had_its_whole_share() {
    let settings =
        BackendSettings { name: "a".into(), address: ([127, 0, 0, 1], 1).into(), weight: 1, priority: 0, host: None };
    let backend = Backend::newcomer(settings, Some(Checks::unproven(NonZeroU32::MIN, NonZeroU32::MIN)));
    assert_eq!(backend.settle(false, true, None, at(0)), (0, 0), "it has not passed a check yet");
    backend.checked(true);
    assert_eq!(backend.settle(false, true, None, at(1)), (4, 4));
    backend.checked(false);
    assert_eq!(backend.settle(false, true, None, at(2)), (0, 4), "now it is missed");
}

#[test]
fn a_level_that_is_called_starts_from_half_and_needs_none_when_it_has_served_a_moment_ago() {
    let (backend, start) = (&backends(&[1])[0], Some(Start::called_up(None)));
    let at = |seconds| Timestamp::after(Duration::from_secs(seconds));
    assert_eq!(backend.settle(false, false, start, at(0)), (4, 4), "it is there");
    assert_eq!((backend.presence(at(0)), backend.may_be_asked(at(99))), (Presence::Standby, false));
    assert_eq!(backend.settle(false, true, start, at(101)).0, 2);
    assert_eq!((backend.presence(at(101)), backend.may_be_asked(at(101))), (Presence::Starting, true));
    backend.settle(false, false, start, at(102));
    assert_eq!(backend.settle(false, true, start, at(103)).0, 2, "it has not had its whole share");
    (0..64).for_each(|_| backend.count(true));
    assert_eq!(backend.settle(false, true, start, at(113)).0, 4);
    backend.settle(false, false, start, at(120));
    assert_eq!(backend.settle(false, true, start, at(179)).0, 4, "its caches are warm");
    backend.settle(false, false, start, at(180));
    assert_eq!(backend.settle(false, true, start, at(240)).0, 2);
}

#[test]
fn one_that_stands_by_and_is_gone_is_not_counted_on() {
    let backend = &backends(&[1])[0];
    backend.settle(false, false, None, at(0));
    assert!(backend.stands_by());
    (1..=3).for_each(|nth| assert_eq!(backend.refused(at(0)), nth));
    assert_eq!(backend.settle(false, false, None, at(0)).0, 0);
    assert!(!backend.stands_by());
    assert_eq!(backend.presence(at(0)), Presence::Refusing);
}
