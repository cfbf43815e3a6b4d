//! Observe-only in the simulated world: the proxy's part of it, between the world and the law that decides.
//!
//! The world is told that every request may pass, whatever the law said. What it was given, it keeps as a shadow: a seat
//! to its end, a place until a seat or a no comes of it or the request ends. Whoever watches the law sees what it
//! decides and nothing of this: what is promised of decisions is promised of those that count for nothing too.

use std::collections::VecDeque;

use super::{Knock, Law, Look, Notice, RequestId, Said, Word};
use crate::admission::{Order, Outcome, Timestamp};

/// See the [module](self).
#[derive(Debug)]
pub struct Observing<L> {
    law: L,
    on: bool,
    /// By [`RequestId`].
    stands: Vec<Stand>,
    said: VecDeque<Said>,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, Default)]
enum Stand {
    /// It is not there, or does what it was told.
    #[default]
    Plain,
    /// It waits, and what it will be told counts.
    Waits(Knock),
    /// It goes on, whatever it was told.
    Goes(Shadow),
}

/// What a request would have had.
#[derive(Clone, Copy, Debug)]
enum Shadow {
    Seat,
    Place,
    Refused,
}

impl<L: Law> Observing<L> {
    /// The world asks `law` through this.
    pub fn new(law: L) -> Observing<L> {
        Observing { law, on: false, stands: Vec::new(), said: VecDeque::new() }
    }

    /// The request goes on, whatever it was told.
    fn goes_on(&mut self, knock: Knock, shadow: Shadow, now: Timestamp) {
        *self.stand(knock.request) = Stand::Goes(shadow);
        self.law.goes_on(knock, now);
    }

    fn stand(&mut self, request: RequestId) -> &mut Stand {
        if self.stands.len() <= request.index() {
            self.stands.resize(request.index() + 1, Stand::Plain);
        }
        &mut self.stands[request.index()]
    }

    /// Take what the law has to say; what concerns shadows is no news to the world.
    fn hear(&mut self) {
        while let Some(said) = self.law.poll() {
            let (Said::Pass(request) | Said::Refuse(request, _)) = said;
            let decided = if matches!(said, Said::Pass(_)) { Shadow::Seat } else { Shadow::Refused };
            match self.stand(request) {
                Stand::Goes(shadow) => *shadow = decided,
                stand => {
                    *stand = Stand::Plain;
                    self.said.push_back(said);
                }
            }
        }
    }

    fn switch(&mut self, on: bool, now: Timestamp) {
        self.on = on;
        self.law.notice(Notice::Observe(on), now);
        self.hear();
        for request in (0..self.stands.len()).filter(|_| on) {
            if let Stand::Waits(knock) = self.stands[request] {
                self.goes_on(knock, Shadow::Place, now);
                self.said.push_back(Said::Pass(knock.request));
            }
        }
    }

    fn end(&mut self, request: RequestId, outcome: Outcome, now: Timestamp, finish: impl FnOnce(&mut L)) {
        // What the law said meanwhile may be about this one.
        self.hear();
        match std::mem::take(self.stand(request)) {
            Stand::Plain | Stand::Waits(_) => finish(&mut self.law),
            Stand::Goes(shadow) => {
                match shadow {
                    Shadow::Seat => finish(&mut self.law),
                    Shadow::Place => self.law.leave(request, now),
                    Shadow::Refused => {}
                }
                self.hear();
                self.law.is_over(request, outcome, now);
            }
        }
    }
}

impl<L: Law> Law for Observing<L> {
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word {
        let word = self.law.arrive(knock, now);
        // Who made room for this one has been told before it has a place.
        self.hear();
        let shadow = match word {
            Word::Pass => Shadow::Seat,
            Word::Wait => Shadow::Place,
            Word::Refuse(_) => Shadow::Refused,
        };
        if self.on {
            self.goes_on(knock, shadow, now);
            return Word::Pass;
        }
        if word == Word::Wait {
            *self.stand(knock.request) = Stand::Waits(knock);
        }
        word
    }

    fn finish(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.end(request, outcome, now, |law| law.finish(request, outcome, now));
    }

    fn finish_unheard(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.end(request, outcome, now, |law| law.finish_unheard(request, outcome, now));
    }

    fn leave(&mut self, request: RequestId, now: Timestamp) {
        *self.stand(request) = Stand::Plain;
        self.law.leave(request, now);
    }

    fn poll(&mut self) -> Option<Said> {
        self.hear();
        self.said.pop_front()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.law.next_wake()
    }

    fn wake(&mut self, now: Timestamp) {
        self.law.wake(now);
    }

    fn order(&mut self, product: usize, order: Order, now: Timestamp) {
        self.law.order(product, order, now);
    }

    fn look(&self, product: usize) -> Look {
        self.law.look(product)
    }

    fn site(&self, request: RequestId) -> Option<usize> {
        self.law.site(request)
    }

    fn share(&self, product: usize) -> Option<u32> {
        self.law.share(product)
    }

    fn violations(&self) -> &[String] {
        self.law.violations()
    }

    fn notice(&mut self, notice: Notice, now: Timestamp) -> bool {
        match notice {
            Notice::Observe(on) => {
                self.switch(on, now);
                true
            }
            other => self.law.notice(other, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::time::at;
    use crate::admission::{Arrival, Class, Customer, ONE_SEAT, ProductId};
    use crate::sim::law::No;

    /// Says what it is told to say, and puts down what it is told.
    #[derive(Debug)]
    struct Scripted {
        word: Word,
        said: VecDeque<Said>,
        told: Vec<&'static str>,
    }

    impl Law for Scripted {
        fn arrive(&mut self, _: Knock, _: Timestamp) -> Word {
            self.told.push("arrive");
            self.word
        }

        fn finish(&mut self, _: RequestId, _: Outcome, _: Timestamp) {
            self.told.push("finish");
        }

        fn leave(&mut self, _: RequestId, _: Timestamp) {
            self.told.push("leave");
        }

        fn goes_on(&mut self, _: Knock, _: Timestamp) {
            self.told.push("goes on");
        }

        fn is_over(&mut self, _: RequestId, _: Outcome, _: Timestamp) {
            self.told.push("is over");
        }

        fn poll(&mut self) -> Option<Said> {
            self.said.pop_front()
        }

        fn order(&mut self, _: usize, _: Order, _: Timestamp) {}

        fn look(&self, _: usize) -> Look {
            Look::default()
        }
    }

    const ANNA: RequestId = RequestId(3);

    fn observing(on: bool) -> Observing<Scripted> {
        let mut law = Observing::new(Scripted { word: Word::Pass, said: VecDeque::new(), told: Vec::new() });
        assert!(law.notice(Notice::Observe(on), at(0)));
        law
    }

    fn comes(law: &mut Observing<Scripted>, word: Word) -> Word {
        law.law.word = word;
        let customer = Customer::Account(1);
        let arrival = Arrival { product: ProductId(0), class: Class::Commit, customer, event: None, seats: ONE_SEAT };
        law.arrive(Knock { request: ANNA, arrival }, at(1))
    }

    #[test]
    fn everybody_passes_and_gives_back_what_they_would_have_had() {
        for (word, later, gives_back) in [
            (Word::Pass, None, &["finish", "is over"][..]),
            (Word::Wait, None, &["leave", "is over"]),
            (Word::Wait, Some(Said::Pass(ANNA)), &["finish", "is over"]),
            (Word::Wait, Some(Said::Refuse(ANNA, No::BARE)), &["is over"]),
            (Word::Refuse(No::BARE), None, &["is over"]),
        ] {
            let mut law = observing(true);
            assert_eq!(comes(&mut law, word), Word::Pass, "{word:?}");
            law.law.said.extend(later);
            assert_eq!(law.poll(), None, "what becomes of a shadow is no news");
            law.finish(ANNA, Outcome::Answered, at(2));
            assert_eq!(law.law.told, [&["arrive", "goes on"], gives_back].concat(), "{word:?}, then {later:?}");
        }
    }

    #[test]
    fn who_waits_goes_on_when_it_is_switched_on_and_words_count_when_it_is_off() {
        let mut law = observing(false);
        assert_eq!(comes(&mut law, Word::Wait), Word::Wait);
        law.notice(Notice::Observe(true), at(2));
        assert_eq!((law.poll(), law.poll()), (Some(Said::Pass(ANNA)), None));
        law.notice(Notice::Observe(false), at(3));
        law.finish(ANNA, Outcome::Answered, at(4));
        assert_eq!(law.law.told, ["arrive", "goes on", "leave", "is over"], "begun in observe-only, ended so");
        law.law.told.clear();
        assert_eq!(comes(&mut law, Word::Wait), Word::Wait);
        law.law.said.push_back(Said::Pass(ANNA));
        assert_eq!(law.poll(), Some(Said::Pass(ANNA)));
        law.finish(ANNA, Outcome::Answered, at(5));
        assert_eq!(law.law.told, ["arrive", "finish"]);
    }
}
