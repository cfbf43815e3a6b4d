//! The products that share something, under one lock: a seat freed in sport may admit a horse bettor.

use std::collections::VecDeque;

use super::customers::Customers;
use super::limit;
use super::queue::Waiters;
use super::ramp::Ramp;
use super::random::Random;
use super::rank::Rank;
use super::resource::{Hinted, Resource};
use super::schedule::{Entry, EventState, Schedule, Signalled};
use super::settings::{LimitSettings, Needs};
use super::{
    Arrival, Class, Customer, Event, EventKey, Order, Outcome, Output, Place, Product, ProductId, Refusal, Refused,
    Seat, Settings, Shift, State, Timestamp, Verdict,
};

mod seats;
mod sites;
mod turns;
mod reserve;
mod next;
mod kept;
mod life;
mod events;
mod observe;
mod stops;
mod again;
mod reform;
mod handed;

use reform::terms;

pub use sites::{NoShift, Share, ShiftOrder};

/// See the [module](super).
#[derive(Debug)]
pub struct Domain {
    products: Vec<Product>,
    resources: Vec<Resource>,
    /// Their limits, as they were asked for.
    limits: Vec<LimitSettings>,
    /// What requests of every product need.
    always_needed: Needs,
    waiters: Waiters,
    /// Of each resource, whose turn what is free of it is kept for, while anybody wants several seats.
    kept: Vec<Turn>,
    customers: Customers,
    schedule: Schedule,
    outputs: VecDeque<Output>,
    random: Random,
    bypass: bool,
    observe_only: bool,
    /// Requests that went on although their word did not count.
    under_way: u32,
    shutting_down: bool,
    /// Work was left over by a call that had done its share.
    more: bool,
    /// The latest time that was told.
    latest: Timestamp,
}

/// What an arrival finds.
enum Door {
    Open,
    Queue,
    Shut(Refusal),
}

/// A claim and a deadline: of two, the lesser goes first.
type Turn = (u64, Timestamp);

/// Comes after everybody's.
const NOBODYS: Turn = (u64::MAX, Timestamp::NEVER);

/// The most waiters one call lets through or turns away; the rest follow at the next wake.
const BATCH: usize = 64;

impl Domain {
    /// A domain with nobody in it; every product open.
    pub fn new(settings: Settings, seed: u64, now: Timestamp) -> Domain {
        let resources = settings.resources.iter().enumerate();
        let needs: Vec<Needs> = settings.products.iter().flat_map(|product| product.needs).collect();
        let always_needed = Needs::in_common(&needs);
        let customers = Customers::new(&settings);
        Domain {
            resources: resources
                .map(|(i, r)| Resource::new(limit::build(&r.limit), r.budget, &terms(&settings, i, &[])))
                .collect(),
            limits: settings.resources.iter().map(|resource| resource.limit.clone()).collect(),
            products: settings.products.into_iter().map(|product| Product::new(product, now)).collect(),
            always_needed,
            waiters: Waiters::new(),
            kept: vec![NOBODYS; settings.resources.len()],
            customers,
            schedule: Schedule::default(),
            outputs: VecDeque::with_capacity(BATCH),
            random: Random::new(seed),
            bypass: false,
            observe_only: false,
            under_way: 0,
            shutting_down: false,
            more: false,
            latest: now,
        }
    }

    /// A request asks to pass.
    pub fn arrive(&mut self, arrival: Arrival, now: Timestamp) -> Verdict {
        let now = self.tick(now);
        let (rank, turn) = self.rank(&arrival, now);
        let verdict = match self.door(&arrival, rank, turn, now) {
            Door::Open => self.let_in(&arrival, rank, now),
            Door::Shut(refusal) => self.refuse(&arrival, rank, refusal, now),
            Door::Queue if self.make_room(arrival.product.index(), rank, turn, now) => {
                Verdict::Wait(self.join(&arrival, rank, turn, now))
            }
            Door::Queue => self.refuse(&arrival, rank, Refusal::QueueFull, now),
        };
        self.look_again(now);
        verdict
    }

    /// The no that a request would hear now, for a driver that would else wait for the rest of it. Whoever hears
    /// nothing has still to arrive.
    pub fn would_refuse(&mut self, arrival: &Arrival, now: Timestamp) -> Option<Refused> {
        let now = self.tick(now);
        if self.observe_only {
            return None;
        }
        let (rank, turn) = self.rank(arrival, now);
        let Door::Shut(refusal) = self.door(arrival, rank, turn, now) else { return None };
        Some(self.no(arrival, rank, refusal, now))
    }

    /// Somebody who was known as `from` is known as `to` from now on: a session goes on under another name, or they have
    /// logged in. What they hold and what they were promised goes with them. Who was known by their address alone has been
    /// let through to log in, to `begun` if that is one of these products: they hold a pass there from now on.
    pub fn becomes(&mut self, begun: Option<ProductId>, from: Customer, to: Customer, now: Timestamp) {
        let now = self.tick(now);
        for (index, product) in self.products.iter_mut().enumerate() {
            let Some(passes) = &mut product.passes else { continue };
            passes.becomes(from, to, now);
            let logged_in = begun.is_some_and(|begun| begun.index() == index) && matches!(from, Customer::Address(_));
            if logged_in && matches!(to, Customer::Account(_)) {
                passes.has_begun(to, now);
            }
        }
    }

    /// What stands before an arrival.
    fn door(&mut self, arrival: &Arrival, rank: Rank, turn: u64, now: Timestamp) -> Door {
        if self.bypass {
            return Door::Open;
        }
        if let Some(refusal) = self.shuts_out(arrival, now) {
            return Door::Shut(refusal);
        }
        if self.customers.is_at_bound(arrival.customer) {
            return Door::Shut(Refusal::OverCustomerShare);
        }
        let product = arrival.product.index();
        // While a call has put off those whose turn it was, a free seat is theirs.
        let newest_first = self.products[product].is_newest_first(rank, now);
        let nobody_before = self.products[product].waiting_as(rank) == 0 || newest_first;
        let first = !self.more && (nobody_before || self.is_next_at_reserve(arrival));
        if first && self.can_start(arrival) && !self.is_kept_from_newcomer(arrival, rank, now) {
            return Door::Open;
        }
        if self.lets_nobody_wait() {
            return Door::Shut(Refusal::ShuttingDown);
        }
        if self.customers.is_over_share(arrival.customer) || self.has_its_part(arrival) {
            return Door::Shut(Refusal::OverCustomerShare);
        }
        match self.is_line_full(product, rank, turn, now) {
            // There somebody else makes room.
            true if !newest_first && !self.is_before_the_last(product, rank, turn) => Door::Shut(Refusal::QueueFull),
            _ => Door::Queue,
        }
    }

    /// Whether `arrival` may have a seat that nobody else waits for, but not wait for one: it comes from an address that
    /// [has its part](Customers::has_its_part).
    fn has_its_part(&self, arrival: &Arrival) -> bool {
        let Arrival { product, class, customer, .. } = *arrival;
        !class.passes_in_every_state() && self.customers.has_its_part(customer, self.seats(product.index(), class))
    }

    /// An admitted request has ended; its seats are free for the next.
    pub fn finish(&mut self, seat: Seat, outcome: Outcome, now: Timestamp) {
        let now = self.tick(now);
        let index = seat.product.index();
        self.customers.leave(seat.customer);
        let product = &mut self.products[index];
        if seat.reserved {
            product.reserve.give_back(seat.customer, seat.seats);
        } else {
            let (outcome, took) = outcome.told(seat.started, now);
            let slow = took > product.settings.latency_objective;
            if seat.class == Class::Commit && outcome == Outcome::Answered {
                product.bet_time.observe(took);
            }
            self.release(&seat, outcome, slow, now);
        }
        self.settle_state(index, now);
        self.dispatch(now);
    }

    /// The client of a waiter has hung up. Nothing happens when the place is stale.
    pub fn leave(&mut self, place: Place, now: Timestamp) {
        let now = self.tick(now);
        let Some(waiter) = self.waiters.get(place).copied() else { return };
        let product = &mut self.products[waiter.arrival.product.index()];
        self.waiters.take(&mut product.lines[waiter.rank.index()], place);
        product.left(&waiter, now);
        self.customers.leave(waiter.arrival.customer);
        // Whoever stood behind may be of no use to what held this one up.
        self.dispatch(now);
    }

    /// An operator's order for one product. False when it changes nothing.
    pub fn order(&mut self, product: ProductId, order: Order, now: Timestamp) -> bool {
        let now = self.tick(now);
        let index = product.index();
        let state = self.products[index].state;
        match (order, state) {
            (Order::Park(reason), State::Open | State::Ramping | State::Down) => {
                self.enter(index, State::Draining(reason))
            }
            (Order::Park(reason), State::Draining(old)) if old != reason => self.enter(index, State::Draining(reason)),
            (Order::Park(reason), State::Parked(old)) if old != reason => self.enter(index, State::Parked(reason)),
            // Nobody can open what is not there: it is found when it comes back.
            (Order::Reopen | Order::Open, State::Draining(_) | State::Parked(_)) if self.is_down(index) => {
                self.enter(index, State::Down);
            }
            (Order::Reopen, State::Draining(_) | State::Parked(_)) => self.start_ramp(index, now),
            (Order::Reopen, State::Ramping) if self.thaw(index) => {}
            (Order::Open, State::Draining(_) | State::Parked(_) | State::Ramping) => self.enter(index, State::Open),
            _ => return false,
        }
        self.wake(now);
        true
    }

    /// So many of the backends of a pool are there, `of` so many that it has. To be called when that changes; before the
    /// first call all are there.
    ///
    /// The pool's limit follows in proportion. When none is there nothing passes, and the limit stays what it was. The
    /// products of the pool that nobody has shut are [`Down`](State::Down) meanwhile, and come back through the ramp.
    pub fn backends(&mut self, resource: usize, healthy: u32, of: u32, now: Timestamp) {
        let now = self.tick(now);
        let was_down = self.resources[resource].is_down();
        self.resources[resource].backends(healthy, of);
        if was_down != self.resources[resource].is_down() {
            self.site_went_or_came(resource, now);
        }
        for index in 0..self.products.len() {
            self.find(index, now);
        }
        self.wake(now);
    }

    /// A backend says how many requests a budget takes from here now.
    ///
    /// That is the budget's limit, within the range in which it would be looked for, until nothing was said for ten
    /// seconds. Of what different backends say within a second the least counts. A limit that an operator gave stays.
    pub fn hint(&mut self, resource: usize, seats: u32, now: Timestamp) -> Hinted {
        let now = self.tick(now);
        let before = self.resources[resource].limit();
        let hinted = self.resources[resource].hint(seats, now);
        if self.resources[resource].limit() != before {
            self.wake(now);
        }
        hinted
    }

    /// Put in an event, or replace what is known about it.
    pub fn schedule(&mut self, key: EventKey, entry: Entry) {
        self.schedule.put(key, entry);
        self.review(&entry);
        self.look_again(self.latest);
    }

    /// What is known about an event.
    pub fn event(&self, key: EventKey) -> Option<&Entry> {
        self.schedule.get(key)
    }

    /// An outside source says that betting on an event has stopped.
    pub fn close_signal(&mut self, key: EventKey, now: Timestamp) -> Signalled {
        let now = self.tick(now);
        let before = self.schedule.get(key).map(|entry| entry.state);
        let told = self.schedule.close_signal(key, now);
        self.look_again(now);
        // A source that repeats itself changes nothing.
        if let Some(entry) = self.schedule.get(key).copied().filter(|entry| Some(entry.state) != before) {
            self.review(&entry);
            self.outputs.push_back(Output::Note(Event::EventChanged { event: key, to: entry.state }));
        }
        told
    }

    /// A person decides about an event; `None` when nobody knows it, else whether anything changed.
    /// Reopening one brings its crowd back, so its product goes through the ramp, from what it holds now.
    pub fn order_event(&mut self, key: EventKey, to: EventState, now: Timestamp) -> Option<bool> {
        let now = self.tick(now);
        let entry = *self.schedule.get(key)?;
        if entry.state == to {
            return Some(false);
        }
        self.schedule.set(key, to);
        self.review(&entry);
        self.outputs.push_back(Output::Note(Event::EventChanged { event: key, to }));
        let index = entry.product.index();
        if to == EventState::Open && self.products[index].state == State::Open {
            self.start_ramp(index, now);
        }
        self.look_again(now);
        Some(true)
    }

    /// Everything off but plain proxying: who waits passes, who comes passes, in whatever state. Seats are still
    /// counted, so that switching back is safe.
    pub fn bypass(&mut self, on: bool, now: Timestamp) {
        self.bypass = on;
        self.wake(now);
    }

    /// The proxy is going down: those who wait are told so at once, and so is everybody who comes and would have to wait. Who
    /// finds a free seat is served: clients stay connected for a while yet.
    pub fn shut_down(&mut self, now: Timestamp) {
        self.shutting_down = true;
        self.wake(now);
    }

    /// Come up in the state a journal tells. For use before the first arrival, and after [`recall`](Self::recall): a
    /// ramp starts from what is known.
    pub fn restore(&mut self, product: ProductId, state: State, now: Timestamp) {
        let now = self.tick(now);
        let index = product.index();
        match state {
            State::Draining(reason) | State::Parked(reason) => self.enter(index, State::Parked(reason)),
            // What was down may be back. If it is not, that will be found; if it is, its crowd has waited.
            State::Ramping | State::Down => self.start_ramp(index, now),
            State::Open => {}
        }
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
        let deadlines = waiters.filter_map(|line| self.waiters.oldest(line)).map(|waiter| waiter.until);
        let stops = self.next_stop();
        let ramps = self.products.iter().filter_map(|product| product.ramp.as_ref()).map(Ramp::idle_at);
        let hints = self.resources.iter().filter_map(Resource::hint_ends);
        let shifts = self.products.iter().filter_map(|product| product.shift.as_deref().map(Shift::looks));
        deadlines.chain(stops).chain(shifts).chain(self.next_change()).chain(ramps).chain(hints).min()
    }

    /// Whether [`next_wake`](Self::next_wake) may be earlier than before the last call, were that no order and nobody has
    /// begun to wait: for a driver that would rather not ask after every end.
    pub fn may_be_due_earlier(&self) -> bool {
        self.more || self.waiters.any_wants_several()
    }

    /// Do what has become due: expire, turn away, let through.
    pub fn wake(&mut self, now: Timestamp) {
        let now = self.tick(now);
        self.more = false;
        self.resources.iter_mut().for_each(|resource| resource.forget_hint(now));
        let mut left = BATCH;
        for index in 0..self.products.len() {
            self.settle_state(index, now);
            self.look_at_shift(index, now);
            self.tell_of_events(index, &mut left, now);
            for rank in Rank::ALL {
                self.clear_line(index, rank, &mut left, now);
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

    /// Drivers read the clock before they take the lock, so a call may be told an earlier time than the one before it.
    /// Here time does not go back: lines are in the order of their deadlines, and a window has no negative length.
    ///
    /// And they may wake late: what a wake was due for may have made it somebody's turn, who goes before a newcomer.
    fn tick(&mut self, now: Timestamp) -> Timestamp {
        let overdue = || self.next_wake().is_some_and(|due| due <= now);
        let look = now > self.latest && self.waiters.any_wants_several() && overdue();
        self.latest = self.latest.max(now);
        if look {
            self.look_again(now);
        }
        self.latest
    }

    /// Pools and budgets, to look at, in the order of the settings.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Whether everything but plain proxying is off.
    pub fn is_bypassed(&self) -> bool {
        self.bypass
    }
}

#[cfg(test)]
mod tests;
