//! A budget's backend says what it takes.

use super::super::super::resource::{Hinted, Source};
use super::*;

const WALLET: usize = 2;

/// Horse racing and sport, each with a pool of its own and plenty of seats; bets of both draw on a wallet whose limit
/// is looked for, between two seats and a hundred.
fn wallet() -> Story {
    let range = Range { initial: n(8), least: n(2), most: n(100) };
    let wallet = ResourceSettings { budget: true, limit: LimitSettings::Found(range) };
    Story::new(vec![fixed(50), fixed(50), wallet], vec![betting(50, 0, WALLET), betting(50, 1, WALLET)])
}

impl Story {
    fn hints(&mut self, seats: u32, ms: u64) -> Told {
        assert_eq!(self.domain.hint(WALLET, seats, at(ms)), Hinted::Taken);
        self.told()
    }

    fn limit(&self) -> (u32, Source) {
        let wallet = &self.domain.resources()[WALLET];
        (wallet.limit(), wallet.source())
    }
}

#[test]
fn a_hint_binds_all_who_draw_on_the_budget_together_and_nobody_else() {
    let mut story = wallet();
    story.hints(3, 0);
    let mut seats: Vec<Seat> =
        [HORSE, SPORT, HORSE].into_iter().map(|product| story.passes(product, Class::Commit, 1)).collect();
    let waiting = [story.waits(HORSE, Class::Commit, 300), story.waits(SPORT, Class::Commit, 301)];
    let odds = story.passes(SPORT, Class::Read, 302);
    story.ends(odds, 303);
    // More is free at once when the backend says so, a second after it said less.
    assert!(story.hints(4, 500).admitted.is_empty());
    let told = story.hints(4, 1_000);
    assert_eq!((story.limit(), told.admitted.len()), ((4, Source::Hint), 1));
    seats.extend(told.admitted.into_iter().map(|(_, seat)| seat));
    // Fewer cuts nothing: what is in flight goes on, and nobody follows it until there is room.
    assert!(story.hints(2, 1_001).admitted.is_empty());
    for left in (2..4).rev() {
        assert!(story.ends(seats.remove(0), 1_002).admitted.is_empty(), "{left} left of two");
    }
    assert_eq!(story.ends(seats.remove(0), 1_003).admitted.len(), 1, "the other of {waiting:?}");
}

#[test]
fn when_hints_end_the_search_goes_on_from_what_was_said_last() {
    let mut story = wallet();
    story.hints(3, 0);
    story.hints(3, 5_000);
    assert_eq!(story.domain.next_wake(), Some(at(15_000)), "nothing else will tell that it is silent");
    story.sleeps_until(14_999);
    assert_eq!(story.limit(), (3, Source::Hint));
    story.sleeps_until(15_000);
    assert_eq!((story.limit(), story.domain.next_wake()), ((3, Source::Found), None));
}

#[test]
fn while_hints_are_given_nothing_is_learned() {
    let mut story = wallet();
    // A wallet that is quick enough for any number: whoever looks for a limit would raise it.
    let mut seats = std::collections::VecDeque::new();
    for turn in 0..2_000 {
        let now = turn * 10;
        story.hints(3, now);
        seats.extend(story.told().admitted.into_iter().map(|(_, seat)| seat));
        if let Some(seat) = seats.pop_front() {
            seats.extend(story.ends(seat, now).admitted.into_iter().map(|(_, seat)| seat));
        }
        match story.asks(if turn % 2 == 0 { HORSE } else { SPORT }, Class::Commit, now) {
            Verdict::Proceed(seat) => seats.push_back(seat),
            Verdict::Wait(_) | Verdict::Refuse(_) => {}
        }
        assert!(seats.len() <= 3 && story.limit() == (3, Source::Hint), "{} in flight", seats.len());
    }
    story.sleeps_until(40_000);
    assert_eq!(story.limit(), (3, Source::Found));
}

#[test]
fn a_hint_counts_in_observe_only_too_and_outlives_it() {
    let mut story = wallet();
    story.hints(3, 0);
    story.domain.observe_only(true, at(1));
    assert_eq!(story.limit(), (3, Source::Hint));
    story.domain.observe_only(false, at(2));
    assert_eq!(story.limit(), (3, Source::Hint));
    story.sleeps_until(10_000);
    assert_eq!(story.limit(), (3, Source::Found));
}
