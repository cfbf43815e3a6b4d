//! Which reads are answered from memory, who fetches for all, and who waits for that.
//!
//! An *object* is what one request for odds or a start list is about. Of those who ask for one that memory does not
//! have, or has no more fresh, one *leads*: it goes the normal way, through admission, and fetches for everybody; the
//! others *follow* it. An answer past its freshness is good for some time still: those who would follow get it instead
//! of waiting, unless a newer one may be a moment away. So a product that is parked, down, or too busy to let the
//! leader through is told of by nothing but how leaders fare, and there is no state to be looked up.
//!
//! Promises: at most one leader an object at a time; when the last one failed and there is something to serve, none for
//! [`TRY_AGAIN`]; nothing is served beyond the age that was agreed; whatever is remembered has a bound, and what does not
//! fit goes the normal way alone, as if there were no memory.
//!
//! Bytes, and who waits where, are the driver's: it holds [`Kept`] beside each answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Timestamp;

/// What is asked for, as a number that the driver made (a keyed hash): this never sees a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(pub u64);

/// How long answers are good, as the operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Without asking again: the most, and what counts when the backend says nothing.
    pub fresh: Duration,
    /// Beyond that, while no newer one can be had: the most.
    pub stale: Duration,
}

/// How long one answer is good, under these terms and by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How old it was when it came.
    pub age: Duration,
    /// Without asking again.
    pub fresh: Duration,
    /// Beyond that, while no newer one can be had.
    pub stale: Duration,
    /// So much of that while a newer one is being fetched, however soon that may come; as long as fresh when not said.
    pub while_fetched: Option<Duration>,
}

/// How old an answer in memory is, and how long it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    asked: Timestamp,
    age: Duration,
    fresh_until: Timestamp,
    /// Until here it is only just past fresh: whoever might have a newer one need not wait for it.
    grace_until: Timestamp,
    stale_until: Timestamp,
}

/// What becomes of somebody who asks for an object.
#[derive(Debug)]
#[must_use = "a flight that is dropped never lands: its object is fetched no more"]
pub enum Verdict {
    /// Answered from memory; `stale` when what there is is past its freshness.
    Serve {
        /// It is past its freshness.
        stale: bool,
    },
    /// Fetch it for everybody: say [`Reads::land`] when that is over. Who asked then waits like a follower.
    Lead(Flight, Patience),
    /// Somebody is fetching it. Say [`Reads::leave`] when this one waits no more.
    Follow(Patience),
    /// Go the normal way, alone.
    Pass,
}

/// How long somebody waits for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Until it is over: there is nothing else.
    ToTheEnd,
    /// No longer than this: then what memory has will do.
    Or(Duration),
}

/// A leader's: it can be neither copied nor made up, so an object has one at a time.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "say Reads::land"]
pub struct Flight {
    object: ObjectKey,
}

/// What came of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// An answer for all.
    Shared,
    /// None: refused, failed, or an answer that says so.
    Failed,
    /// None, for a reason of the leader's alone: another may lead at once, or whoever has had too much could keep an object old.
    Theirs,
    /// An answer that is nobody else's. Those who ask next go the normal way.
    Personal,
}

/// What is under way, and what is known of objects that memory does not have.
#[derive(Debug, Default)]
pub struct Reads {
    known: BTreeMap<ObjectKey, Known>,
    /// When what is known may be forgotten.
    forget: VecDeque<(Timestamp, ObjectKey)>,
    following: usize,
}

#[derive(Clone, Copy, Debug)]
enum Known {
    Flying { since: Timestamp },
    Failed { until: Timestamp },
    Personal { until: Timestamp },
}

/// Who has something stale waits so long for a newer one: a healthy backend's answer comes sooner.
pub const NEWER_WITHIN: Duration = Duration::from_millis(100);
/// A leader that failed is not followed by another for so long, where there is something to serve meanwhile.
pub const TRY_AGAIN: Duration = Duration::from_secs(1);
/// An object whose answer was nobody else's is not fetched for all for so long.
pub const PERSONAL_FOR: Duration = Duration::from_secs(10);
/// Objects about which something is known; about those beyond, nothing is.
pub const MOST_OBJECTS: usize = 65_536;
/// The most that wait for leaders, of all objects together.
pub const MOST_FOLLOWING: usize = 16_384;

impl Kept {
    /// An answer that was asked for at `asked`.
    pub fn new(asked: Timestamp, life: Life) -> Kept {
        let Life { age, fresh, stale, while_fetched } = life;
        let fresh_until = asked + fresh;
        let grace_until = fresh_until + while_fetched.unwrap_or(fresh).min(stale);
        Kept { asked, age, fresh_until, grace_until, stale_until: fresh_until + stale }
    }

    /// How old it is.
    pub fn age(&self, now: Timestamp) -> Duration {
        self.age + now.since(self.asked)
    }

    /// Whether it can be served without asking anybody.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    /// Whether it can be served at all.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.stale_until
    }
}

impl Reads {
    /// Somebody asks for `object`, of which memory has `kept`. One who may not lead (it wants no body) gets what there is.
    pub fn ask(&mut self, object: ObjectKey, kept: Option<Kept>, may_lead: bool, now: Timestamp) -> Verdict {
        if kept.is_some_and(|kept| kept.is_fresh(now)) {
            return Verdict::Serve { stale: false };
        }
        self.forget_some(now);
        let stale = kept.filter(|kept| kept.is_good(now));
        match self.known.get(&object).copied() {
            Some(Known::Flying { since }) => self.beside(stale, now.since(since), now),
            Some(Known::Failed { until }) if now < until && stale.is_some() => Verdict::Serve { stale: true },
            Some(Known::Personal { until }) if now < until => Verdict::Pass,
            known if may_lead && (known.is_some() || self.known.len() < MOST_OBJECTS) => self.lead(object, stale, now),
            _ if stale.is_some() => Verdict::Serve { stale: true },
            _ => Verdict::Pass,
        }
    }

    /// A leader has been under way for `flown`.
    fn beside(&mut self, stale: Option<Kept>, flown: Duration, now: Timestamp) -> Verdict {
        let full = self.following >= MOST_FOLLOWING;
        match stale {
            Some(kept) if full || now < kept.grace_until || flown >= NEWER_WITHIN => Verdict::Serve { stale: true },
            None if full => Verdict::Pass,
            stale => {
                self.following += 1;
                Verdict::Follow(stale.map_or(Patience::ToTheEnd, |_| Patience::Or(NEWER_WITHIN - flown)))
            }
        }
    }

    fn lead(&mut self, object: ObjectKey, stale: Option<Kept>, now: Timestamp) -> Verdict {
        self.known.insert(object, Known::Flying { since: now });
        let patience = stale.map_or(Patience::ToTheEnd, |_| Patience::Or(NEWER_WITHIN));
        Verdict::Lead(Flight { object }, patience)
    }

    /// A leader is back.
    pub fn land(&mut self, flight: Flight, landed: Landed, now: Timestamp) {
        let object = flight.object;
        debug_assert!(matches!(self.known.get(&object), Some(Known::Flying { .. })), "a flight lands once");
        let (known, until) = match landed {
            Landed::Shared | Landed::Theirs => {
                self.known.remove(&object);
                return;
            }
            Landed::Failed => (Known::Failed { until: now + TRY_AGAIN }, now + TRY_AGAIN),
            Landed::Personal => (Known::Personal { until: now + PERSONAL_FOR }, now + PERSONAL_FOR),
        };
        self.known.insert(object, known);
        self.forget.push_back((until, object));
    }

    /// Somebody who followed waits no more, whatever came of it.
    pub fn leave(&mut self) {
        debug_assert!(self.following > 0, "whoever leaves has followed");
        self.following = self.following.saturating_sub(1);
    }

    /// How many wait for leaders.
    pub fn following(&self) -> usize {
        self.following
    }

    /// A few at a time, so that nobody pays for all. An object may be due more than once; it goes when it is due.
    fn forget_some(&mut self, now: Timestamp) {
        for _ in 0..4 {
            let Some((_, object)) = self.forget.pop_front_if(|(due, _)| *due <= now) else { return };
            let is_over = match self.known.get(&object) {
                Some(Known::Failed { until } | Known::Personal { until }) => *until <= now,
                Some(Known::Flying { .. }) | None => false,
            };
            if is_over {
                self.known.remove(&object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::at;
    use super::*;

    const ODDS: ObjectKey = ObjectKey(7);
    const SECOND: Duration = Duration::from_secs(1);

    /// Asked for at `ms`; fresh for a second, stale for ten more.
    fn kept(ms: u64) -> Option<Kept> {
        let life = Life { age: Duration::ZERO, fresh: SECOND, stale: 10 * SECOND, while_fetched: None };
        Some(Kept::new(at(ms), life))
    }

    #[track_caller]
    fn leads(reads: &mut Reads, kept: Option<Kept>, now: Timestamp) -> Flight {
        match reads.ask(ODDS, kept, true, now) {
            Verdict::Lead(flight, _) => flight,
            other => panic!("{other:?}"),
        }
    }

    fn serves(reads: &mut Reads, kept: Option<Kept>, now: Timestamp) -> Option<bool> {
        match reads.ask(ODDS, kept, true, now) {
            Verdict::Serve { stale } => Some(stale),
            _ => None,
        }
    }

    #[test]
    fn one_leads_and_the_others_follow() {
        let mut reads = Reads::default();
        let flight = leads(&mut reads, None, at(0));
        for _ in 0..200 {
            assert!(matches!(reads.ask(ODDS, None, true, at(5)), Verdict::Follow(Patience::ToTheEnd)));
        }
        assert!(matches!(reads.ask(ObjectKey(8), None, true, at(5)), Verdict::Lead(..)), "another object has its own");
        reads.land(flight, Landed::Shared, at(20));
        (0..200).for_each(|_| reads.leave());
        assert_eq!(reads.following(), 0);
        assert_eq!(serves(&mut reads, kept(0), at(999)), Some(false));
        assert_eq!(kept(0).map(|kept| kept.age(at(999))), Some(Duration::from_millis(999)));
    }

    #[test]
    fn a_reader_waits_for_a_newer_one_only_when_it_may_come_soon() {
        let mut reads = Reads::default();
        assert!(matches!(reads.ask(ODDS, kept(0), true, at(1_000)), Verdict::Lead(_, Patience::Or(NEWER_WITHIN))));
        assert_eq!(serves(&mut reads, kept(0), at(1_010)), Some(true), "only just past fresh");
        let said = Life { age: SECOND, fresh: SECOND, stale: 10 * SECOND, while_fetched: Some(5 * SECOND) };
        assert_eq!(serves(&mut reads, Some(Kept::new(at(0), said)), at(5_999)), Some(true), "as the backend says");
        let late = Patience::Or(Duration::from_millis(60));
        let other = ObjectKey(8);
        assert!(matches!(reads.ask(other, kept(0), true, at(5_000)), Verdict::Lead(..)));
        assert!(matches!(reads.ask(other, kept(0), true, at(5_040)), Verdict::Follow(patience) if patience == late));
        assert!(matches!(reads.ask(other, kept(0), true, at(5_100)), Verdict::Serve { stale: true }), "it takes long");
    }

    #[test]
    fn after_a_leader_failed_what_there_is_is_served_for_a_while_and_then_another_tries() {
        let mut reads = Reads::default();
        let flight = leads(&mut reads, kept(0), at(2_500));
        reads.land(flight, Landed::Failed, at(2_510));
        assert_eq!(serves(&mut reads, kept(0), at(3_509)), Some(true));
        let flight = leads(&mut reads, kept(0), at(3_510));
        reads.land(flight, Landed::Failed, at(3_511));
        let flight = leads(&mut reads, None, at(3_512));
        reads.land(flight, Landed::Shared, at(3_513));
    }

    #[test]
    fn after_a_leader_that_failed_by_its_own_fault_another_leads_at_once() {
        let mut reads = Reads::default();
        let flight = leads(&mut reads, kept(0), at(2_500));
        reads.land(flight, Landed::Theirs, at(2_500));
        let flight = leads(&mut reads, kept(0), at(2_501));
        reads.land(flight, Landed::Shared, at(2_510));
    }

    #[test]
    fn nothing_is_served_beyond_its_age() {
        let mut reads = Reads::default();
        let flight = leads(&mut reads, kept(0), at(10_000));
        reads.land(flight, Landed::Failed, at(10_500));
        assert_eq!(serves(&mut reads, kept(0), at(10_999)), Some(true));
        assert_eq!(serves(&mut reads, kept(0), at(11_000)), None);
        let never = Life { age: 9 * SECOND, fresh: Duration::ZERO, stale: Duration::ZERO, while_fetched: None };
        let none = Some(Kept::new(at(0), never));
        assert_eq!(serves(&mut Reads::default(), none, at(0)), None, "what is never fresh nor stale is never served");
    }

    #[test]
    fn what_is_nobody_elses_is_not_waited_for() {
        let mut reads = Reads::default();
        let flight = leads(&mut reads, None, at(0));
        reads.land(flight, Landed::Personal, at(20));
        assert!(matches!(reads.ask(ODDS, None, true, at(10_019)), Verdict::Pass));
        let flight = leads(&mut reads, None, at(10_020));
        reads.land(flight, Landed::Shared, at(10_030));
    }

    #[test]
    fn one_who_wants_no_body_never_leads() {
        let mut reads = Reads::default();
        assert!(matches!(reads.ask(ODDS, None, false, at(0)), Verdict::Pass));
        assert!(matches!(reads.ask(ODDS, kept(0), false, at(1_500)), Verdict::Serve { stale: true }));
        let flight = leads(&mut reads, None, at(1_500));
        assert!(matches!(reads.ask(ODDS, None, false, at(1_501)), Verdict::Follow(_)));
        reads.land(flight, Landed::Shared, at(1_502));
    }

    #[test]
    fn what_is_remembered_and_who_waits_has_a_bound() {
        let mut reads = Reads::default();
        for object in 0..2 * MOST_OBJECTS as u64 {
            match reads.ask(ObjectKey(object), None, true, at(0)) {
                Verdict::Lead(flight, _) => reads.land(flight, Landed::Personal, at(0)),
                verdict => assert!(matches!(verdict, Verdict::Pass) && object >= MOST_OBJECTS as u64),
            }
        }
        assert_eq!(reads.known.len(), MOST_OBJECTS);
        for _ in 0..MOST_OBJECTS {
            assert!(matches!(reads.ask(ODDS, kept(20_000), true, at(20_000)), Verdict::Serve { stale: false }));
            let _ = reads.ask(ODDS, None, false, at(20_000));
        }
        assert_eq!((reads.known.len(), reads.forget.len()), (0, 0), "what is over is forgotten");
        let flight = leads(&mut reads, None, at(20_000));
        for _ in 0..MOST_FOLLOWING {
            assert!(matches!(reads.ask(ODDS, None, true, at(20_001)), Verdict::Follow(_)));
        }
        assert!(matches!(reads.ask(ODDS, None, true, at(20_001)), Verdict::Pass));
        assert!(matches!(reads.ask(ODDS, kept(10_000), true, at(20_001)), Verdict::Serve { stale: true }));
        reads.land(flight, Landed::Shared, at(20_002));
    }
}
