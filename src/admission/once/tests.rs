//! Exactly once, by hand and by chance: a backend that counts what it carries out, and clients that ask again and again.

use std::collections::HashMap;
use std::time::Duration;

use super::super::Timestamp;
use super::super::random::Random;
use super::super::time::at;
use super::*;

const KEEP: Duration = Duration::from_secs(60);

type Bets = Once<u32, &'static str>;

fn bets(most: usize, bytes: usize) -> Bets {
    Once::new(Bounds { bets: most, bytes, keep: KEEP })
}

fn bet(key: u64) -> Bet {
    Bet { key, request: 1, body: Some(1), honoured: false }
}

fn honoured(key: u64) -> Bet {
    Bet { honoured: true, ..bet(key) }
}

#[track_caller]
fn first<W: Clone + std::fmt::Debug, A: Clone + std::fmt::Debug>(verdict: Verdict<W, A>) -> Token {
    match verdict {
        Verdict::First(token) => token,
        other => panic!("not the first: {other:?}"),
    }
}

/// Ask for a bet that nothing is known of, and settle it.
#[track_caller]
fn settled(bets: &mut Bets, bet: Bet, how: Settled<&'static str>, now: Timestamp) {
    let token = first(bets.ask(bet, now, || 0));
    bets.settle(token, how, now);
}

fn answer(bytes: usize) -> Settled<&'static str> {
    Settled::Answered(Some(("placed", bytes)))
}

#[test]
fn a_duplicate_waits_for_the_first_and_then_hears_its_answer() {
    let mut bets = bets(10, 100);
    let token = first(bets.ask(bet(1), at(0), || 7));
    assert!(matches!(bets.ask(bet(1), at(1), || 8), Verdict::InFlight(7)));
    bets.settle(token, answer(10), at(2));
    assert!(matches!(bets.ask(bet(1), at(3), || 9), Verdict::Answered(Some("placed"))));
    assert!(!first(bets.ask(bet(2), at(3), || 0)).is_unknown(), "another bet is another bet");
}

#[test]
fn what_was_never_sent_is_forgotten_at_once() {
    let mut bets = bets(10, 100);
    settled(&mut bets, bet(1), Settled::Unsent, at(0));
    assert!(bets.is_empty() && !bets.knows(1, at(0)));
    assert!(!first(bets.ask(bet(1), at(1), || 0)).is_unknown());
}

#[test]
fn a_lost_answer_is_unknown_for_as_long_as_it_is_kept_and_is_not_sent_again() {
    let mut bets = bets(10, 100);
    settled(&mut bets, bet(1), Settled::Lost, at(0));
    for ms in [1, 1_000, 59_999] {
        assert!(matches!(bets.ask(bet(1), at(ms), || 0), Verdict::Unknown), "{ms}");
    }
    assert!(!first(bets.ask(bet(1), at(60_000), || 0)).is_unknown());
}

#[test]
fn an_unknown_bet_goes_again_to_a_backend_that_honours_its_key_and_stays_unknown_till_it_is_answered() {
    let mut bets = bets(10, 100);
    settled(&mut bets, honoured(1), Settled::Lost, at(0));
    for round in 1..=3 {
        let token = first(bets.ask(honoured(1), at(round), || 7));
        assert!(token.is_unknown());
        assert!(matches!(bets.ask(honoured(1), at(round), || 0), Verdict::InFlight(7)));
        bets.settle(token, Settled::Unsent, at(round));
        assert!(bets.knows(1, at(round)), "the earlier try may have been placed");
    }
    let token = first(bets.ask(honoured(1), at(4), || 0));
    bets.settle(token, answer(1), at(5));
    assert!(matches!(bets.ask(honoured(1), at(6), || 0), Verdict::Answered(Some("placed"))));
}

#[test]
fn a_key_is_for_one_request_and_a_body_that_is_not_there_is_no_other() {
    let mut bets = bets(10, 100);
    settled(&mut bets, bet(1), answer(1), at(0));
    assert!(matches!(bets.ask(Bet { body: Some(2), ..bet(1) }, at(1), || 0), Verdict::Reused));
    assert!(matches!(bets.ask(Bet { request: 2, ..bet(1) }, at(1), || 0), Verdict::Reused));
    assert!(matches!(bets.ask(Bet { body: None, ..bet(1) }, at(1), || 0), Verdict::Answered(Some(_))));
}

#[test]
fn an_answer_is_kept_for_its_time_and_not_longer() {
    let mut bets = bets(1000, 1000);
    for key in 0..500 {
        settled(&mut bets, bet(key), answer(1), at(key));
    }
    // More are over than one call looks through: each is over all the same.
    assert!(matches!(bets.ask(bet(400), at(60_400), || 0), Verdict::First(_)));
    assert!(matches!(bets.ask(bet(401), at(60_400), || 0), Verdict::Answered(_)));
    for _ in 0..500 {
        assert!(!bets.knows(9_999, at(120_000)));
    }
    assert_eq!((bets.len(), bets.bytes()), (1, 0), "the one in flight is left");
    assert_eq!(bets.take_forgotten(), Forgotten::default(), "what was kept for its time was not forgotten early");
}

#[test]
fn answers_go_before_their_bets_and_the_oldest_go_first() {
    let mut bets = bets(10, 100);
    for key in 1..=3 {
        settled(&mut bets, bet(key), answer(40), at(key));
    }
    assert_eq!(bets.take_forgotten(), Forgotten { bets: 0, answers: 1 });
    assert!(matches!(bets.ask(bet(1), at(4), || 0), Verdict::Answered(None)));
    assert!(matches!(bets.ask(bet(2), at(4), || 0), Verdict::Answered(Some(_))));
    settled(&mut bets, bet(4), answer(101), at(5));
    assert!(matches!(bets.ask(bet(4), at(6), || 0), Verdict::Answered(None)), "larger than all there is room for");
    assert_eq!((bets.bytes(), bets.take_forgotten()), (80, Forgotten::default()));
}

#[test]
fn the_oldest_answered_bet_makes_room_and_one_in_flight_or_unknown_never() {
    let mut bets = bets(4, 100);
    settled(&mut bets, bet(1), Settled::Lost, at(1));
    settled(&mut bets, bet(2), answer(1), at(2));
    settled(&mut bets, honoured(3), Settled::Lost, at(3));
    let _flying = first(bets.ask(bet(4), at(4), || 0));
    let _fifth = first(bets.ask(bet(5), at(5), || 0));
    assert!(!bets.knows(2, at(5)), "the oldest that may go");
    let _sixth = first(bets.ask(bet(6), at(6), || 0));
    assert!(!bets.knows(3, at(6)), "its backend knows it again");
    assert_eq!(bets.take_forgotten(), Forgotten { bets: 2, answers: 0 });
    assert!(matches!(bets.ask(bet(7), at(7), || 0), Verdict::Full));
    assert!(matches!(bets.ask(bet(1), at(8), || 0), Verdict::Unknown));
    assert_eq!((bets.len(), bets.unknown()), (4, 1));
}

/// What the backend has done about one key, and what its customer was told.
#[derive(Default)]
struct Done {
    times: u32,
    answered: Option<u64>,
}

/// Bets under way by chance: sent, carried out, answered or lost, in any order, with customers who ask again all the time.
struct World {
    once: Once<(), u64>,
    random: Random,
    now: Timestamp,
    /// Those in flight, and whether they have been sent.
    flying: Vec<(Token, Bet, bool)>,
    backend: HashMap<u64, Done>,
    firsts: u32,
    replays: u32,
    again: u32,
}

impl World {
    fn new(seed: u64, bounds: Bounds) -> World {
        World {
            once: Once::new(bounds),
            random: Random::new(seed),
            now: at(0),
            flying: Vec::new(),
            backend: HashMap::new(),
            firsts: 0,
            replays: 0,
            again: 0,
        }
    }

    fn step(&mut self, keys: u64, honours: bool) {
        if self.flying.is_empty() || self.random.below(2) == 0 {
            let key = self.random.below(keys);
            self.ask(Bet { honoured: honours, ..bet(key) });
        } else {
            let index = self.random.below(self.flying.len() as u64) as usize;
            self.go_on(index);
        }
    }

    fn ask(&mut self, bet: Bet) {
        let done = self.backend.entry(bet.key).or_default();
        match self.once.ask(bet, self.now, || ()) {
            Verdict::First(token) => {
                let again = token.is_unknown();
                assert!(bet.honoured || done.times == 0, "{} is sent again", bet.key);
                assert_eq!(done.answered, None, "it was answered, and is asked for anew");
                assert!(again || done.times == 0, "nobody says that this one may have been placed");
                self.firsts += 1;
                self.again += u32::from(again);
                self.flying.push((token, bet, false));
            }
            Verdict::InFlight(()) => assert!(self.flying.iter().any(|(_, flying, _)| flying.key == bet.key)),
            Verdict::Answered(copy) => {
                assert_eq!((copy, done.times > 0), (done.answered, true));
                self.replays += 1;
            }
            Verdict::Unknown => assert!(!bet.honoured && done.answered.is_none()),
            Verdict::Reused | Verdict::Full => panic!("all are alike, and there is room"),
        }
    }

    fn go_on(&mut self, index: usize) {
        let (token, bet, sent) = self.flying.swap_remove(index);
        let done = self.backend.get_mut(&bet.key).expect("it was asked for");
        if !sent {
            match self.random.below(3) {
                0 => return self.once.settle(token, Settled::Unsent, self.now),
                _ => return self.flying.push((token, bet, true)),
            }
        }
        // Sent: it reaches the backend or not, and the answer reaches us or not.
        if self.random.below(4) > 0 {
            done.times += 1;
            if self.random.below(2) == 0 {
                let answer = *done.answered.get_or_insert(self.random.next_u64());
                return self.once.settle(token, Settled::Answered(Some((answer, 8))), self.now);
            }
        }
        self.once.settle(token, Settled::Lost, self.now);
    }
}

const ROOMY: Bounds = Bounds { bets: 1_000, bytes: 100_000, keep: KEEP };

#[test]
fn whatever_happens_a_bet_is_carried_out_once_and_never_called_not_placed() {
    for seed in 0..200 {
        let mut world = World::new(seed, ROOMY);
        for _ in 0..500 {
            world.step(20, false);
        }
        assert!(world.backend.values().all(|done| done.times <= 1));
        assert!(world.firsts > 20 && world.replays > 0 && world.again == 0);
    }
}

#[test]
fn with_a_backend_that_honours_keys_every_bet_is_answered_in_the_end() {
    for seed in 0..200 {
        let mut world = World::new(seed, ROOMY);
        for _ in 0..2_000 {
            world.step(20, true);
        }
        assert!(world.backend.values().all(|done| done.answered.is_some()));
        assert!(world.again > 0);
    }
}

#[test]
fn whatever_happens_the_bounds_are_kept_and_unknown_bets_too() {
    for seed in 0..100 {
        let bounds = Bounds { bets: 30, bytes: 50, keep: KEEP };
        let mut once: Once<(), u64> = Once::new(bounds);
        let mut random = Random::new(seed);
        let mut now = at(0);
        let (mut flying, mut lost) = (Vec::new(), HashMap::new());
        let (mut full, mut forgotten) = (0, 0);
        for _ in 0..3_000 {
            now += Duration::from_millis(random.below(200));
            let asked = bet(random.below(200));
            lost.retain(|_, since| now < *since + KEEP);
            match once.ask(asked, now, || ()) {
                Verdict::First(token) => {
                    assert!(!lost.contains_key(&asked.key), "an unknown bet was forgotten");
                    flying.push((token, asked.key));
                }
                Verdict::Full => full += 1,
                _ => {}
            }
            if random.below(2) == 0 && !flying.is_empty() {
                let (token, key) = flying.swap_remove(random.below(flying.len() as u64) as usize);
                let how = match random.below(8) {
                    0 => Settled::Lost,
                    1 => Settled::Unsent,
                    _ => Settled::Answered(Some((0, random.below(20) as usize))),
                };
                if matches!(how, Settled::Lost) {
                    lost.insert(key, now);
                }
                once.settle(token, how, now);
            }
            forgotten += once.take_forgotten().bets;
            assert!(once.len() <= bounds.bets && once.bytes() <= bounds.bytes);
            assert_eq!(once.len(), flying.len() + once.spare.len() + once.unknown.len());
            let held: usize = once
                .bets
                .values()
                .filter_map(|known| match &known.state {
                    State::Answered { copy: Some((_, bytes)), .. } => Some(bytes),
                    _ => None,
                })
                .sum();
            assert_eq!(once.bytes(), held);
        }
        assert!(full > 0 && forgotten > 0, "seed {seed}: {full} {forgotten}");
    }
}

#[test]
fn what_is_handed_over_stands_there_as_it_stood_here() {
    let mut here = bets(10, 100);
    settled(&mut here, bet(1), answer(10), at(0));
    settled(&mut here, bet(2), Settled::Lost, at(1_000));
    settled(&mut here, honoured(3), Settled::Lost, at(2_000));
    let flying = first(here.ask(bet(4), at(3_000), || 7));
    settled(&mut here, bet(5), Settled::Unsent, at(3_000));
    let mut there = bets(10, 100);
    let mut tokens = Vec::new();
    for (bet, handed) in here.to_hand_over(at(10_000)) {
        // The clock there has begun later.
        tokens.extend(there.take_over(bet, handed, at(500), || 9));
    }
    assert_eq!((there.len(), there.bytes(), there.unknown(), tokens.len()), (4, 10, 1, 1));
    assert!(matches!(there.ask(bet(1), at(501), || 0), Verdict::Answered(Some("placed"))));
    assert!(matches!(there.ask(bet(2), at(501), || 0), Verdict::Unknown));
    assert!(first(there.ask(honoured(3), at(501), || 0)).is_unknown());
    assert!(matches!(there.ask(bet(4), at(501), || 0), Verdict::InFlight(9)));
    there.settle(tokens.remove(0), answer(1), at(502));
    assert!(matches!(there.ask(bet(4), at(503), || 0), Verdict::Answered(Some("placed"))));
    // Of a minute ten seconds were over, of the other nine.
    assert!(matches!(there.ask(bet(1), at(50_499), || 0), Verdict::Answered(_)));
    assert!(!there.knows(1, at(50_500)) && there.knows(2, at(50_500)) && !there.knows(2, at(51_500)));
    here.settle(flying, answer(1), at(11_000));
}

#[test]
fn what_is_handed_over_keeps_the_bounds_there_and_what_is_in_flight_or_unknown_comes_in() {
    let mut here = bets(10, 100);
    for key in 1..=3 {
        settled(&mut here, bet(key), answer(30), at(key));
    }
    settled(&mut here, bet(4), Settled::Lost, at(4));
    let _flying = first(here.ask(bet(5), at(5), || 0));
    let mut there = bets(3, 40);
    let tokens: Vec<_> = here
        .to_hand_over(at(6))
        .into_iter()
        .filter_map(|(bet, handed)| there.take_over(bet, handed, at(6), || 0))
        .collect();
    assert_eq!(tokens.iter().map(Token::key).collect::<Vec<_>>(), [5]);
    assert_eq!((there.len(), there.bytes()), (3, 30));
    assert!(there.knows(3, at(7)) && there.knows(4, at(7)) && there.knows(5, at(7)));
    assert!(there.take_over(bet(3), Handed::InFlight, at(7), || 0).is_none(), "it is known here");
    let again = tokens.into_iter().next().expect("one is in flight").of_unknown(true);
    there.settle(again, Settled::Unsent, at(8));
    assert!(matches!(there.ask(bet(5), at(9), || 0), Verdict::Unknown), "an earlier try of it may have been placed");
}
