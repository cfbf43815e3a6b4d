//! Plays a seed: what the world does.

use super::model::Model;
use super::*;

pub(super) struct Player {
    random: Random,
    pub(super) domain: Domain,
    pub(super) model: Model,
    /// How many of ten steps are arrivals, for now.
    rush: u64,
    /// Places nobody waits at any more.
    pub(super) stale: Vec<Place>,
    /// By how much the clock of the next call is behind.
    behind: Duration,
    trace: u64,
}

impl Player {
    pub(super) fn new(seed: u64) -> Player {
        let mut random = Random::new(seed);
        let settings = world::settings(&mut random);
        let mut domain = Domain::new(settings.clone(), seed, at(0));
        // What is lent to whom is played by the chaos of the simulator; here who shares shares all.
        domain.resources.iter_mut().for_each(crate::admission::resource::Resource::trust_everybody);
        let mut model = Model::new(settings);
        if random.below(4) == 0 {
            let state = State::Draining(ParkReason::Closed);
            domain.restore(ProductId(0), state, at(0));
            while domain.poll_output().is_some() {}
            model.states[0] = State::Parked(ParkReason::Closed);
            model.shut[0] = Some(ParkReason::Closed);
        }
        let stale = Vec::new();
        Player { random, domain, model, rush: 5, stale, behind: Duration::ZERO, trace: 0 }
    }

    pub(super) fn step(&mut self) {
        self.model.now += world::pause(&mut self.random);
        self.behind = Duration::ZERO;
        if self.random.below(8) == 0 {
            // Another call came first, about a race nobody knows; this one has read the clock before it.
            self.domain.close_signal(EventKey(99), self.model.now);
            self.behind = Duration::from_micros(self.random.below(3000));
        }
        match self.random.below(1000) {
            0..=9 => self.rush = 1 + self.random.below(9),
            10..=49 => self.leave(),
            50..=89 => self.wake(),
            90..=109 => self.order(),
            125..=127 => self.observe_only(),
            110..=124 => self.signal(),
            128..=129 => self.bypass(),
            130..=139 => (0..self.random.below(150)).for_each(|_| self.arrive()),
            140..=141 if self.random.below(20) == 0 => self.shut_down(),
            142..=149 => self.backends(),
            step if step % 10 < self.rush => self.arrive(),
            step if step % 2 == 0 && !self.model.under_way.is_empty() => self.is_over(),
            _ => self.finish(),
        }
        // A driver may be late, but not for ever.
        if self.random.below(10) > 0 {
            self.rest();
        }
    }

    /// Everybody leaves the house, and it is as empty as before.
    pub(super) fn end(mut self) -> u64 {
        self.model.bypass = false;
        self.domain.bypass(false, self.model.now);
        self.hear(None);
        while !self.model.under_way.is_empty() {
            self.is_over();
        }
        self.model.observe_only = false;
        self.domain.observe_only(false, self.model.now);
        self.hear(None);
        self.rest();
        while !self.model.held.is_empty() {
            self.finish();
        }
        self.model.now += Duration::from_secs(3600);
        self.rest();
        assert!(self.model.waiting.is_empty() && self.domain.waiters.len() == 0);
        assert_eq!(self.domain.customers.len(), 0, "customers who are gone are remembered");
        assert!(self.domain.products.iter().all(|product| product.reserve.holders() == 0));
        assert!(self.domain.resources().iter().all(|resource| resource.in_use() == 0));
        assert_eq!(self.domain.next_wake(), None);
        self.trace
    }

    fn clock(&self) -> Timestamp {
        self.model.now - self.behind
    }

    fn product(&mut self) -> ProductId {
        ProductId(self.random.below(self.model.settings.products.len() as u64) as u16)
    }

    fn arrive(&mut self) {
        let product = self.product();
        let (classes, customer) = match self.random.below(6) {
            0 => (Class::COUNT, Customer::Address(self.random.below(4))),
            2 if self.random.below(4) == 0 => (Class::COUNT, Customer::Machine(0)),
            // A few who ask for what has a reserve, again and again.
            1 => (2, Customer::Account(self.random.below(4))),
            _ => (Class::COUNT, Customer::Account(self.random.below(400))),
        };
        let class = Class::ALL[self.random.below(classes as u64) as usize];
        let event = (self.random.below(2) == 0).then(|| EventKey(self.random.below(6)));
        let arrival = Arrival { product, class, customer, event, seats: ONE_SEAT };
        let put_off = self.domain.next_wake() == Some(Timestamp::ZERO);
        let asked = self.model.asks(&arrival);
        let too_much = self.model.has_its_part(&self.domain, &arrival);
        let verdict = self.domain.arrive(arrival, self.clock());
        if self.model.observe_only {
            self.model.seen.observed += u64::from(!matches!(verdict, Verdict::Proceed(_)));
            self.model.under_way.push(self.domain.goes_on(&arrival, self.model.now));
        }
        match verdict {
            Verdict::Proceed(seat) => {
                self.note(1, 0);
                self.model.may_start(&self.domain, &arrival, asked.rank, false);
                self.model.sits(arrival, seat);
            }
            Verdict::Wait(place) => {
                self.note(2, place.slot() as u64);
                // Whoever had to make room is out before the newcomer is in.
                self.hear(Some((&arrival, asked)));
                assert_eq!(self.model.forbidden(&arrival), None, "{arrival:?} waits though it is forbidden");
                assert!(!too_much, "{arrival:?} waits beyond its part");
                let asked = self.model.begins_to_wait(&arrival, asked);
                self.model.stands(place, arrival, asked);
            }
            Verdict::Refuse(refused) => {
                self.note(3, refused.retry_after.as_nanos() as u64);
                self.check_retry(&refused);
                self.model.may_refuse(&self.domain, &arrival, asked, (&refused, put_off));
            }
        }
        self.hear(None);
    }

    fn finish(&mut self) {
        if self.model.held.is_empty() {
            return;
        }
        let index = self.random.below(self.model.held.len() as u64) as usize;
        let seat = self.model.stands_up(index);
        let outcome = match self.random.below(20) {
            0 => Outcome::Failed,
            1 => Outcome::Abandoned,
            _ => Outcome::Answered,
        };
        self.domain.finish(seat, outcome, self.clock());
        self.hear(None);
    }

    fn is_over(&mut self) {
        let index = self.random.below(self.model.under_way.len() as u64) as usize;
        let underway = self.model.under_way.swap_remove(index);
        self.domain.is_over(underway, Outcome::Answered, self.clock());
        self.hear(None);
    }

    fn leave(&mut self) {
        let mut places: Vec<Place> = self.model.waiting.keys().copied().collect();
        places.sort_by_key(|place| place.slot());
        if let Some(place) = places.get(self.random.below(places.len() as u64) as usize) {
            self.model.stops_waiting(*place);
            self.model.seen.left += 1;
            self.domain.leave(*place, self.clock());
            self.stale.push(*place);
        }
        if let Some(place) = self.stale.get(self.random.below(self.stale.len() as u64) as usize) {
            // Told twice, or too late: nothing happens.
            self.domain.leave(*place, self.clock());
        }
        self.hear(None);
    }

    fn wake(&mut self) {
        self.domain.wake(self.clock());
        self.hear(None);
    }

    fn order(&mut self) {
        let product = self.product();
        let index = product.index();
        let (order, shut) = match self.random.below(6) {
            0 => (Order::Park(ParkReason::Parked), Some(ParkReason::Parked)),
            1 => (Order::Park(ParkReason::Closed), Some(ParkReason::Closed)),
            2 => (Order::Open, None),
            _ => (Order::Reopen, None),
        };
        let before = self.model.shut[index];
        self.model.shut[index] = shut;
        let changed = self.domain.order(product, order, self.clock());
        assert!(changed || before == shut);
        self.hear(None);
    }

    fn signal(&mut self) {
        let (key, now) = (EventKey(self.random.below(6)), self.model.now);
        match self.random.below(4) {
            0 => {
                let far = if self.random.below(2) == 0 { self.random.below(100_000) } else { 0 };
                let stop = now + world::pause(&mut self.random) * 20 + Duration::from_millis(far);
                let believed_before_stop = world::pause(&mut self.random);
                let entry = Entry { product: self.product(), stop, believed_before_stop, state: EventState::Open };
                self.model.events.insert(key, entry);
                self.domain.schedule(key, entry);
            }
            1 => {
                let told = self.domain.close_signal(key, self.clock());
                assert_eq!(told == Signalled::Unknown, !self.model.events.contains_key(&key));
                if let Some(entry) = self.model.events.get_mut(&key) {
                    let early = now + entry.believed_before_stop < entry.stop;
                    let keeps = entry.state == EventState::Closed || !early;
                    entry.state = if keeps { EventState::Closed } else { EventState::Parked };
                }
            }
            _ => {
                let to = [EventState::Open, EventState::Parked, EventState::Closed][self.random.below(3) as usize];
                let told = self.domain.order_event(key, to, self.clock());
                let entry = self.model.events.get_mut(&key);
                assert_eq!(told, entry.as_ref().map(|entry| entry.state != to));
                if let Some(entry) = entry {
                    entry.state = to;
                }
            }
        }
        self.hear(None);
    }

    /// Backends of a pool go, or come back; all of them often, so that they are not gone for most of the time.
    fn backends(&mut self) {
        let resource = self.random.below(self.model.gone.len() as u64) as usize;
        let healthy = [0, 1, 2, 3, 4, 4, 4, 4][self.random.below(8) as usize];
        self.model.gone[resource] = healthy == 0;
        self.domain.backends(resource, healthy, 4, self.clock());
        self.hear(None);
    }

    fn bypass(&mut self) {
        self.model.bypass = !self.model.bypass;
        self.domain.bypass(self.model.bypass, self.clock());
        self.hear(None);
    }

    fn observe_only(&mut self) {
        self.model.observe_only = !self.model.observe_only;
        self.domain.observe_only(self.model.observe_only, self.clock());
        self.hear(None);
    }

    fn shut_down(&mut self) {
        self.model.shutting_down = true;
        self.domain.shut_down(self.clock());
        self.hear(None);
    }

    /// One more word for the fingerprint.
    pub(super) fn note(&mut self, what: u64, with: u64) {
        self.trace = (self.trace ^ (what << 56) ^ with).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    }
}
