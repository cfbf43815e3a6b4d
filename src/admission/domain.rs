//! The products that share something, under one lock: a seat freed in sport may admit a horse bettor.

use std::collections::VecDeque;

use super::customers::Customers;
use super::limit::{self, Sample};
use super::queue::{Waiter, Waiters};
use super::ramp::Ramp;
use super::random::Random;
use super::resource::Resource;
use super::schedule::{Entry, EventState, Schedule, Signalled};
use super::{
    Arrival, Class, Event, EventKey, Order, Outcome, Output, ParkReason, Place, Product, ProductId, Refusal, Seat,
    Settings, State, Timestamp, Verdict,
};

/// See the [module](super).
#[derive(Debug)]
pub struct Domain {
    products: Vec<Product>,
    resources: Vec<Resource>,
    waiters: Waiters,
    customers: Customers,
    schedule: Schedule,
    outputs: VecDeque<Output>,
    random: Random,
    bypass: bool,
    shutting_down: bool,
    /// Work was left over by a call that had done its share.
    more: bool,
}

/// The most waiters one call lets through or turns away; the rest follow at the next wake.
const BATCH: usize = 64;

impl Domain {
    /// A domain with nobody in it; every product open.
    pub fn new(settings: Settings, seed: u64, now: Timestamp) -> Domain {
        let guarantee = |resource: usize| -> Vec<u32> {
            let uses = |product: &super::settings::ProductSettings| {
                product.needs.iter().any(|needs| needs.iter().any(|need| need == resource))
            };
            let share = |product| if uses(product) { product.guarantee.max(1) } else { 0 };
            settings.products.iter().map(share).collect()
        };
        let resources = settings.resources.iter().enumerate();
        Domain {
            resources: resources.map(|(i, r)| Resource::new(limit::build(&r.limit), r.budget, guarantee(i))).collect(),
            products: settings.products.into_iter().map(|product| Product::new(product, now)).collect(),
            waiters: Waiters::new(),
            customers: Customers::new(settings.at_once_per_customer, settings.at_once_per_address),
            schedule: Schedule::default(),
            outputs: VecDeque::with_capacity(BATCH),
            random: Random::new(seed),
            bypass: false,
            shutting_down: false,
            more: false,
        }
    }

    /// A request asks to pass.
    pub fn arrive(&mut self, arrival: Arrival, now: Timestamp) -> Verdict {
        if self.bypass {
            return Verdict::Proceed(self.seat(&arrival, false, now));
        }
        if let Some(refusal) = self.forbids(&arrival, now) {
            return self.refuse(&arrival, refusal, now);
        }
        let (product, class) = (arrival.product.index(), arrival.class);
        if self.products[product].lines[class.index()].is_empty() && self.can_start(product, class) {
            let reserved = self.takes_reserve(product, class);
            return Verdict::Proceed(self.seat(&arrival, reserved, now));
        }
        if self.customers.is_over_share(arrival.customer) {
            return self.refuse(&arrival, Refusal::OverCustomerShare, now);
        }
        let short = self.short_line(product, class);
        if self.products[product].would_wait_too_long(class, short, now) || !self.make_room(product, class, now) {
            return self.refuse(&arrival, Refusal::QueueFull, now);
        }
        Verdict::Wait(self.join(&arrival, now))
    }

    /// An admitted request has ended; its seats are free for the next.
    pub fn finish(&mut self, seat: Seat, outcome: Outcome, now: Timestamp) {
        let index = seat.product.index();
        self.customers.leave(seat.customer);
        let product = &mut self.products[index];
        if seat.reserved {
            debug_assert!(product.reserve_in_use > 0);
            product.reserve_in_use -= 1;
        } else {
            let slow = now.since(seat.started) > product.settings.latency_objective;
            self.release(&seat, outcome, slow, now);
        }
        self.settle_state(index, now);
        self.dispatch(now);
    }

    /// The client of a waiter has hung up. Nothing happens when the place is stale.
    pub fn leave(&mut self, place: Place, now: Timestamp) {
        let Some(waiter) = self.waiters.get(place).copied() else { return };
        let product = &mut self.products[waiter.product.index()];
        self.waiters.take(&mut product.lines[waiter.class.index()], place);
        product.waiting -= 1;
        self.customers.leave(waiter.customer);
        // Whoever stood behind may be of no use to what held this one up.
        self.dispatch(now);
    }

    /// An operator's order for one product. False when it changes nothing.
    pub fn order(&mut self, product: ProductId, order: Order, now: Timestamp) -> bool {
        let index = product.index();
        let state = self.products[index].state;
        match (order, state) {
            (Order::Park(reason), State::Open | State::Ramping) => self.enter(index, State::Draining(reason)),
            (Order::Park(reason), State::Draining(old)) if old != reason => self.enter(index, State::Draining(reason)),
            (Order::Park(reason), State::Parked(old)) if old != reason => self.enter(index, State::Parked(reason)),
            (Order::Reopen, State::Draining(_) | State::Parked(_)) => self.start_ramp(index, now),
            (Order::Open, State::Draining(_) | State::Parked(_) | State::Ramping) => self.enter(index, State::Open),
            _ => return false,
        }
        self.wake(now);
        true
    }

    /// Put in an event, or replace what is known about it.
    pub fn schedule(&mut self, key: EventKey, entry: Entry) {
        self.schedule.put(key, entry);
    }

    /// What is known about an event.
    pub fn event(&self, key: EventKey) -> Option<&Entry> {
        self.schedule.get(key)
    }

    /// An outside source says that betting on an event has stopped.
    pub fn close_signal(&mut self, key: EventKey, now: Timestamp) -> Signalled {
        let told = self.schedule.close_signal(key, now);
        if let Some(entry) = self.schedule.get(key) {
            self.outputs.push_back(Output::Note(Event::EventChanged { event: key, to: entry.state }));
        }
        told
    }

    /// A person decides about an event; `None` when nobody knows it, else whether anything changed.
    /// Reopening one brings its crowd back, so its product goes through the ramp, from what it holds now.
    pub fn order_event(&mut self, key: EventKey, to: EventState, now: Timestamp) -> Option<bool> {
        let entry = *self.schedule.get(key)?;
        if entry.state == to {
            return Some(false);
        }
        self.schedule.set(key, to);
        self.outputs.push_back(Output::Note(Event::EventChanged { event: key, to }));
        let index = entry.product.index();
        if to == EventState::Open && self.products[index].state == State::Open {
            self.start_ramp(index, now);
        }
        Some(true)
    }

    /// Everything off but plain proxying; seats are still counted, so that switching back is safe.
    pub fn bypass(&mut self, on: bool, now: Timestamp) {
        self.bypass = on;
        self.wake(now);
    }

    /// The proxy is going down: those who wait are told so at once, and so is everybody who comes.
    pub fn shut_down(&mut self, now: Timestamp) {
        self.shutting_down = true;
        self.wake(now);
    }

    /// Come up in the state a journal tells. For use before the first arrival.
    pub fn restore(&mut self, product: ProductId, state: State) {
        self.products[product.index()].state = match state {
            State::Draining(reason) => State::Parked(reason),
            // A ramp needs evidence that did not survive; an operator who had reopened wants it open.
            State::Ramping => State::Open,
            state => state,
        };
    }

    /// Start a resource's limit from a level found earlier. For use before the first arrival.
    pub fn recall(&mut self, resource: usize, knee: f64) {
        self.resources[resource].recall(knee);
    }

    /// When to call [`wake`](Self::wake) at the latest; `None` when time alone changes nothing.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.more {
            return Some(Timestamp::ZERO);
        }
        let waiters = self.products.iter().filter(|product| product.waiting > 0).flat_map(|product| &product.lines);
        let deadlines = waiters.filter_map(|line| self.waiters.front(line)).map(|waiter| waiter.until);
        let ramps = self.products.iter().filter_map(|product| product.ramp.as_ref()).map(Ramp::idle_at);
        deadlines.chain(ramps).min()
    }

    /// Do what has become due: expire, turn away, let through.
    pub fn wake(&mut self, now: Timestamp) {
        self.more = false;
        let mut left = BATCH;
        for index in 0..self.products.len() {
            self.settle_state(index, now);
            for class in Class::ALL {
                self.clear_line(index, class, &mut left, now);
            }
        }
        self.dispatch(now);
    }

    /// What the driver must act on next. Take until `None` after every call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A product, to look at.
    pub fn product(&self, product: ProductId) -> &Product {
        &self.products[product.index()]
    }

    /// Pools and budgets, to look at, in the order of the settings.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Whether everything but plain proxying is off.
    pub fn is_bypassed(&self) -> bool {
        self.bypass
    }

    // --- one arrival ---------------------------------------------------------------------------------

    fn forbids(&self, arrival: &Arrival, now: Timestamp) -> Option<Refusal> {
        if self.shutting_down {
            return Some(Refusal::ShuttingDown);
        }
        let shut = self.products[arrival.product.index()].state.shut();
        match shut.filter(|_| !arrival.class.passes_in_every_state()) {
            Some(ParkReason::Parked) => Some(Refusal::Parked),
            Some(ParkReason::Closed) => Some(Refusal::Closed),
            None => arrival.event.and_then(|event| self.schedule.forbids(event, arrival.class, now)),
        }
    }

    fn takes_reserve(&self, product: usize, class: Class) -> bool {
        class.passes_in_every_state() && self.products[product].has_reserve()
    }

    /// Whether everything that a request of `class` needs is free, all or nothing.
    fn can_start(&self, index: usize, class: Class) -> bool {
        if self.takes_reserve(index, class) {
            return true;
        }
        let product = &self.products[index];
        product.state.shut().is_none()
            && product.is_under_ramp()
            && product.settings.needs[class.index()].iter().all(|need| self.resources[need].is_free())
    }

    /// Take the seats. Whether they are free has been asked before (bypass does not ask).
    fn seat(&mut self, arrival: &Arrival, reserved: bool, now: Timestamp) -> Seat {
        let Arrival { product, class, customer, .. } = *arrival;
        let held = &mut self.products[product.index()];
        held.counted(class, now);
        if reserved {
            held.reserve_in_use += 1;
        } else {
            held.in_flight += 1;
            for need in held.settings.needs[class.index()].iter() {
                self.resources[need].take(product.index());
            }
        }
        self.customers.enter(customer);
        Seat { product, class, customer, reserved, started: now }
    }

    fn release(&mut self, seat: &Seat, outcome: Outcome, slow: bool, now: Timestamp) {
        let index = seat.product.index();
        let needs = self.products[index].settings.needs[seat.class.index()];
        let full = |resource: &Resource| resource.in_use() >= resource.limit();
        // Two controllers must not fight over one signal: pools hold still while a budget is full.
        let budget_is_full = needs.iter().any(|need| self.resources[need].is_budget() && full(&self.resources[need]));
        for need in needs.iter() {
            let resource = &mut self.resources[need];
            let saturated = full(resource) && (resource.is_budget() || !budget_is_full);
            resource.observe(&Sample { outcome, slow, saturated }, now);
            resource.give_back(index);
        }
        let product = &mut self.products[index];
        let held_up = product.waiting > 0 && !product.is_under_ramp();
        product.in_flight -= 1;
        if let Some(ramp) = &mut product.ramp {
            let from = ramp.seats();
            ramp.observe(outcome, slow, held_up, now);
            let to = ramp.seats();
            if from != to {
                let moved = Event::RampMoved { product: seat.product, from, to };
                self.outputs.push_back(Output::Note(moved));
            }
        }
    }

    // --- the queue -----------------------------------------------------------------------------------

    /// The length up to which a line is needed to keep the seats busy.
    fn short_line(&self, product: usize, class: Class) -> u32 {
        let needs = self.products[product].settings.needs[class.index()];
        let seats = needs.iter().map(|need| self.resources[need].limit()).min();
        seats.unwrap_or(1).saturating_mul(2)
    }

    /// Room for one more of `class`: whoever ranks lowest and came last makes it. False when nobody does.
    fn make_room(&mut self, index: usize, class: Class, now: Timestamp) -> bool {
        let product = &mut self.products[index];
        if product.waiting < product.settings.queue.length.get() {
            return true;
        }
        let lower = (class.index() + 1..Class::COUNT).rev();
        for rank in lower {
            if let Some((place, waiter)) = self.waiters.take_back(&mut product.lines[rank]) {
                self.turn_away(place, &waiter, Refusal::QueueFull, now);
                return true;
            }
        }
        false
    }

    fn join(&mut self, arrival: &Arrival, now: Timestamp) -> Place {
        let Arrival { product, class, customer, event } = *arrival;
        let held = &mut self.products[product.index()];
        let until = now + held.settings.queue.longest_wait;
        held.waiting += 1;
        self.customers.enter(customer);
        let waiter = Waiter { product, class, customer, event, since: now, until };
        self.waiters.join(&mut held.lines[class.index()], waiter)
    }

    /// Let through whoever's turn it is, until nobody who waits can have what they need.
    fn dispatch(&mut self, now: Timestamp) {
        let mut left = BATCH;
        while self.waiters.len() > 0 {
            let Some((index, class)) = self.next_turn() else { return };
            if left == 0 {
                self.more = true;
                return;
            }
            left -= 1;
            let product = &mut self.products[index];
            let Some((place, waiter)) = self.waiters.take_front(&mut product.lines[class.index()]) else { return };
            let Waiter { product, class, customer, event, .. } = waiter;
            let arrival = Arrival { product, class, customer, event };
            let too_late = (now >= waiter.until).then_some(Refusal::WaitedTooLong);
            if let Some(refusal) = self.forbids(&arrival, now).or(too_late) {
                self.turn_away(place, &waiter, refusal, now);
                continue;
            }
            self.products[index].waiting -= 1;
            self.customers.leave(customer);
            let reserved = self.takes_reserve(index, class);
            let seat = self.seat(&arrival, reserved, now);
            self.outputs.push_back(Output::Admit(place, seat));
        }
    }

    /// Of the products that have somebody who could start, the one that holds least of what it is owed.
    /// Within a product the highest class whose needs are free: a head blocked on a budget is passed over.
    fn next_turn(&self) -> Option<(usize, Class)> {
        let mut turn = None;
        let mut least = u64::MAX;
        for (index, product) in self.products.iter().enumerate() {
            if product.waiting == 0 {
                continue;
            }
            let ready = |class: &Class| !product.lines[class.index()].is_empty() && self.can_start(index, *class);
            let Some(class) = Class::ALL.into_iter().find(ready) else { continue };
            let claim = self.claim(index, class);
            if claim < least {
                least = claim;
                turn = Some((index, class));
            }
        }
        turn
    }

    fn claim(&self, index: usize, class: Class) -> u64 {
        if self.takes_reserve(index, class) {
            return 0;
        }
        let needs = self.products[index].settings.needs[class.index()];
        needs.iter().map(|need| self.resources[need].claim(index)).max().unwrap_or(0)
    }

    /// Turn away those of a line who have waited too long, or whose product has shut.
    fn clear_line(&mut self, index: usize, class: Class, left: &mut usize, now: Timestamp) {
        loop {
            let product = &mut self.products[index];
            let Some(waiter) = self.waiters.front(&product.lines[class.index()]) else { return };
            let Waiter { product: id, customer, event, until, .. } = *waiter;
            let arrival = Arrival { product: id, class, customer, event };
            let refusal = match self.forbids(&arrival, now) {
                Some(refusal) => refusal,
                None if now >= until => Refusal::WaitedTooLong,
                None => return,
            };
            if *left == 0 {
                self.more = true;
                return;
            }
            *left -= 1;
            let line = &mut self.products[index].lines[class.index()];
            if let Some((place, waiter)) = self.waiters.take_front(line) {
                self.turn_away(place, &waiter, refusal, now);
            }
        }
    }

    /// Tell a waiter who is out of the line already.
    fn turn_away(&mut self, place: Place, waiter: &Waiter, refusal: Refusal, now: Timestamp) {
        let product = &mut self.products[waiter.product.index()];
        product.waiting -= 1;
        self.customers.leave(waiter.customer);
        let refused = product.refuse(refusal, waiter.class, now, &mut self.random);
        self.outputs.push_back(Output::Refuse(place, refused));
    }

    fn refuse(&mut self, arrival: &Arrival, refusal: Refusal, now: Timestamp) -> Verdict {
        let product = &mut self.products[arrival.product.index()];
        Verdict::Refuse(product.refuse(refusal, arrival.class, now, &mut self.random))
    }

    // --- lifecycle -----------------------------------------------------------------------------------

    fn enter(&mut self, index: usize, to: State) {
        let product = &mut self.products[index];
        let from = product.state;
        if from == to {
            return;
        }
        product.state = to;
        if to != State::Ramping {
            product.ramp = None;
        }
        let product = ProductId(index as u16);
        self.outputs.push_back(Output::Note(Event::StateChanged { product, from, to }));
    }

    /// From half of what the backends were known to take, or from what the product holds if that is more.
    fn start_ramp(&mut self, index: usize, now: Timestamp) {
        let needs = self.products[index].settings.needs[Class::Commit.index()];
        let knees = needs.iter().filter_map(|need| self.resources[need].knee());
        let half_known = knees.fold(f64::INFINITY, f64::min) / 2.0;
        let holds = f64::from(self.products[index].in_flight);
        let from = if half_known.is_finite() { half_known.max(holds) } else { holds };
        self.products[index].ramp = Some(Ramp::new(from, now));
        self.enter(index, State::Ramping);
    }

    /// Take the step in a product's life that has become due.
    fn settle_state(&mut self, index: usize, now: Timestamp) {
        let product = &self.products[index];
        match product.state {
            State::Draining(reason) if product.in_flight == 0 => self.enter(index, State::Parked(reason)),
            State::Ramping => {
                let needs = product.settings.needs[Class::Commit.index()];
                let limit = needs.iter().map(|need| self.resources[need].limit()).min().unwrap_or(0);
                if product.ramp.as_ref().is_none_or(|ramp| ramp.is_over(limit, now)) {
                    self.enter(index, State::Open);
                }
            }
            _ => {}
        }
    }
}
