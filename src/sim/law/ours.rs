//! Sluss's own admission, asked as the proxy asks it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Knock, Law, Look, No, Notice, RequestId, Said, Word};
use crate::admission::domain::ShiftOrder;
use crate::admission::schedule::Entry;
use crate::admission::{
    Class, Domain, Order, Outcome, Output, Place, ProductId, Refused, Seat, Settings, Timestamp, Underway, Verdict,
};

/// The very code that serves, as a [`Law`].
#[derive(Debug)]
pub struct Ours {
    domain: Domain,
    /// The pool of each product, for [`Look`].
    pools: Vec<usize>,
    /// What each request holds, by [`RequestId`].
    held: Vec<Held>,
    /// Who waits, by the slot of their place.
    places: Vec<RequestId>,
    said: VecDeque<Said>,
    /// Requests that go on whatever they were told.
    under_way: BTreeMap<RequestId, Underway>,
}

/// What a request has.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Place(Place),
    Seat(Seat),
}

impl Ours {
    /// Admission with these settings; `pools` tells which resource is each product's pool.
    pub fn new(settings: Settings, pools: Vec<usize>, seed: u64) -> Ours {
        let domain = Domain::new(settings, seed, Timestamp::ZERO);
        let (held, places, said, under_way) = (Vec::new(), Vec::new(), VecDeque::new(), BTreeMap::new());
        Ours { domain, pools, held, places, said, under_way }
    }

    /// Start a resource's limit from a knee that was found before, as a start from the journal does. For use before the
    /// first arrival.
    pub fn recall(&mut self, resource: usize, knee: f64) {
        self.domain.recall(resource, knee);
    }

    /// What stands inside, to look at.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    fn hold(&mut self, request: RequestId, held: Held) {
        if self.held.len() <= request.index() {
            self.held.resize_with(request.index() + 1, Held::default);
        }
        self.held[request.index()] = held;
    }

    fn wait(&mut self, request: RequestId, place: Place) {
        if self.places.len() <= place.slot() {
            self.places.resize(place.slot() + 1, RequestId(u32::MAX));
        }
        self.places[place.slot()] = request;
        self.hold(request, Held::Place(place));
    }

    /// Take what the domain has to say.
    fn hear(&mut self) {
        while let Some(output) = self.domain.poll_output() {
            let said = match output {
                Output::Admit(place, seat) => {
                    let request = self.places[place.slot()];
                    self.hold(request, Held::Seat(seat));
                    Said::Pass(request)
                }
                Output::Refuse(place, refused) => {
                    let request = self.places[place.slot()];
                    self.hold(request, Held::Nothing);
                    Said::Refuse(request, as_told(refused))
                }
                Output::Note(_) => continue,
            };
            self.said.push_back(said);
        }
    }

    fn take(&mut self, request: RequestId) -> Held {
        std::mem::take(&mut self.held[request.index()])
    }
}

impl Law for Ours {
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word {
        let verdict = self.domain.arrive(knock.arrival, now);
        // Who made room for this one is told first: the slot may be the same.
        self.hear();
        match verdict {
            Verdict::Proceed(seat) => {
                self.hold(knock.request, Held::Seat(seat));
                Word::Pass
            }
            Verdict::Wait(place) => {
                self.wait(knock.request, place);
                Word::Wait
            }
            Verdict::Refuse(refused) => Word::Refuse(as_told(refused)),
        }
    }

    fn finish(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        match self.take(request) {
            Held::Seat(seat) => self.domain.finish(seat, outcome, now),
            held => unreachable!("only who has passed can end, and once: {held:?}"),
        }
    }

    fn finish_unheard(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        // The proxy reads the answer to its end and reports it as what it is.
        self.finish(request, outcome, now);
    }

    fn leave(&mut self, request: RequestId, now: Timestamp) {
        match self.take(request) {
            Held::Place(place) => self.domain.leave(place, now),
            held => unreachable!("only who waits can leave: {held:?}"),
        }
    }

    fn goes_on(&mut self, knock: Knock, now: Timestamp) {
        self.under_way.insert(knock.request, self.domain.goes_on(&knock.arrival, now));
    }

    fn is_over(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        let underway = self.under_way.remove(&request).expect("only what went on is over, and once");
        self.domain.is_over(underway, outcome, now);
    }

    fn poll(&mut self) -> Option<Said> {
        self.hear();
        self.said.pop_front()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.domain.next_wake()
    }

    fn wake(&mut self, now: Timestamp) {
        self.domain.wake(now);
    }

    fn order(&mut self, product: usize, order: Order, now: Timestamp) {
        self.domain.order(ProductId(product as u16), order, now);
    }

    fn look(&self, product: usize) -> Look {
        let state = self.domain.product(ProductId(product as u16));
        Look {
            limit: Some(f64::from(self.domain.resources()[self.pools[product]].limit())),
            in_flight: state.in_flight() + state.reserve_in_use(),
            waiting: Class::ALL.into_iter().map(|class| state.waiting(class)).sum(),
            state: state.state().name(),
            ramp: state.ramp_seats(),
        }
    }

    fn site(&self, request: RequestId) -> Option<usize> {
        let pool = match self.held.get(request.index()) {
            Some(Held::Seat(seat)) => seat.pool(),
            _ => self.under_way.get(&request)?.pool(),
        };
        // Nobody has a site's pool in common in a story.
        let mut products = (0..self.pools.len()).map(|product| ProductId(product as u16));
        let place = |pool| products.find_map(|id| self.domain.shares(id).position(|site| site.resource == pool));
        Some(pool.and_then(place).unwrap_or(0))
    }

    fn share(&self, product: usize) -> Option<u32> {
        self.domain.shares(ProductId(product as u16)).last().map(|site| site.share)
    }

    fn notice(&mut self, notice: Notice, now: Timestamp) -> bool {
        match notice {
            Notice::Shift(product, plan) => {
                let begun = self.domain.shift(ProductId(product as u16), ShiftOrder::Begin(plan), now);
                begun.expect("a scenario is checked before it is played");
            }
            Notice::Schedule(key, entry) => self.domain.schedule(key, entry),
            Notice::Signal(key) => {
                self.domain.close_signal(key, now);
            }
            Notice::EventOrder(key, to) => {
                self.domain.order_event(key, to, now);
            }
            Notice::MoveStop(key, stop) => {
                if let Some(known) = self.domain.event(key).copied() {
                    self.domain.schedule(key, Entry { stop, ..known });
                }
            }
            Notice::Bypass(on) => self.domain.bypass(on, now),
            Notice::Observe(on) => self.domain.observe_only(on, now),
            Notice::Hint { resource, seats } => {
                self.domain.hint(resource, seats, now);
            }
            Notice::Backends { pool, healthy, of } => self.domain.backends(pool, healthy, of, now),
        }
        true
    }
}

/// As HTTP tells it: whole seconds, rounded up.
fn as_told(refused: Refused) -> No {
    let whole = Duration::from_secs(refused.retry_after.as_nanos().div_ceil(1_000_000_000) as u64);
    No { why: Some(refused.refusal), retry_after: (!whole.is_zero()).then_some(whole), at_the_gate: false }
}
