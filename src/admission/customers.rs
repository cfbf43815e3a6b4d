//! How much each customer has running and waiting, so that nobody can fill the queue alone.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;

use super::Customer;
use super::settings::{LimitSettings, Settings};

/// Requests running or waiting, by customer: no more entries than what runs and waits.
#[derive(Debug)]
pub(crate) struct Customers {
    here: Tally,
    most: NonZeroU32,
    most_per_address: NonZeroU32,
    most_per_machine: Vec<NonZeroU32>,
}

impl Customers {
    /// Nobody yet, with [room](Tally::with_room) for as many as may wait and run.
    pub(crate) fn new(settings: &Settings) -> Customers {
        Customers {
            here: Tally::with_room(most_at_once(settings)),
            most: settings.at_once_per_customer,
            most_per_address: settings.at_once_per_address,
            most_per_machine: settings.machines.clone(),
        }
    }

    /// Other bounds, for those who are here too.
    pub(crate) fn reform(&mut self, settings: &Settings) {
        self.most = settings.at_once_per_customer;
        self.most_per_address = settings.at_once_per_address;
        self.most_per_machine.clone_from(&settings.machines);
        self.here.make_room(most_at_once(settings));
    }

    /// Whether `customer` has as many as one may have while others wait.
    pub(crate) fn is_over_share(&self, customer: Customer) -> bool {
        let most = match customer {
            Customer::Account(_) => self.most,
            Customer::Address(_) => self.most_per_address,
            Customer::Machine(index) => self.most_per_machine[usize::from(index)],
        };
        self.here.of(customer) >= most.get()
    }

    /// Whether nothing is known of `customer` but an address that has its part of so many seats, shared out among all who
    /// are here, already: beyond it comes what others can spare. One machine behind an address can open a thousand
    /// connections and show a new face on each, and so can an office, which is served by what is left.
    pub(crate) fn has_its_part(&self, customer: Customer, seats: u32) -> bool {
        if !matches!(customer, Customer::Address(_)) {
            return false;
        }
        let (here, of_it) = (self.here.customers(), self.here.of(customer));
        here > 1 && of_it >= LEAST_PART && of_it as usize * here >= seats as usize
    }

    /// How many `customer` has running and waiting.
    pub(crate) fn requests_of(&self, customer: Customer) -> u32 {
        self.here.of(customer)
    }

    /// Whether `customer` has as many as one may ever have.
    pub(crate) fn is_at_bound(&self, customer: Customer) -> bool {
        matches!(customer, Customer::Machine(_)) && self.is_over_share(customer)
    }

    pub(crate) fn enter(&mut self, customer: Customer) {
        self.here.add(customer, 1);
    }

    pub(crate) fn leave(&mut self, customer: Customer) {
        self.here.subtract(customer, 1);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.here.customers()
    }
}

/// So many at once nobody is made to wait for others with, however few the seats are: a browser asks for several things.
const LEAST_PART: u32 = 2;

/// The most that may wait, and run under the limits and on the reserves.
fn most_at_once(settings: &Settings) -> usize {
    let products = settings.products.iter().map(|product| [product.queue.length, product.reserve]);
    let limits = settings.resources.iter().map(|resource| match &resource.limit {
        LimitSettings::Fixed(seats) => *seats,
        LimitSettings::Found(range) | LimitSettings::Candidate(_, range) => range.most,
    });
    products.flatten().chain(limits).map(|most| most.get() as usize).sum()
}

type Counts = HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>;

/// The most entries that there is room for from the start.
const MOST_ROOM: usize = 7 << 15;

/// A number for each customer who has any. Beyond the room it was given it grows to the most who ever had any at once, and
/// is then reused.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accounts: Counts,
    addresses: Counts,
    machines: Counts,
}

impl Tally {
    /// One in which `most` customers can come and go and it never grows: when it does, one decision moves every entry,
    /// under the lock, which is millions of instructions where 100,000 wait.
    ///
    /// That takes room for twice as many, as who goes leaves a mark behind where it is tight, and marks take room too.
    /// There is room for 229,376 at most, so above 114,688 customers it grows as it must, each time to twice the size. A
    /// start takes 19 to 39 bytes for each that there is room for, for accounts and for addresses: 9 MB at most, of
    /// which half a megabyte is written to at the start and the rest when it is needed.
    pub(crate) fn with_room(most: usize) -> Tally {
        let room =
            || Counts::with_capacity_and_hasher(most.saturating_mul(2).min(MOST_ROOM), BuildHasherDefault::default());
        Tally { accounts: room(), addresses: room(), machines: Counts::default() }
    }

    /// As much room as [one with room](Self::with_room) for so many has.
    pub(crate) fn make_room(&mut self, most: usize) {
        let room = most.saturating_mul(2).min(MOST_ROOM);
        for counts in [&mut self.accounts, &mut self.addresses] {
            counts.reserve(room.saturating_sub(counts.len()));
        }
    }

    pub(crate) fn of(&self, customer: Customer) -> u32 {
        let (counts, key) = match customer {
            Customer::Account(key) => (&self.accounts, key),
            Customer::Address(key) => (&self.addresses, key),
            Customer::Machine(index) => (&self.machines, u64::from(index)),
        };
        counts.get(&key).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, customer: Customer, number: u32) {
        let (counts, key) = self.counts(customer);
        *counts.entry(key).or_insert(0) += number;
    }

    pub(crate) fn subtract(&mut self, customer: Customer, number: u32) {
        let (counts, key) = self.counts(customer);
        if let Some(count) = counts.get_mut(&key) {
            debug_assert!(*count >= number);
            *count -= number;
            if *count == 0 {
                counts.remove(&key);
            }
        } else {
            debug_assert!(false, "a customer left who had not entered");
        }
    }

    /// How many customers have any.
    pub(crate) fn customers(&self) -> usize {
        self.accounts.len() + self.addresses.len() + self.machines.len()
    }

    fn counts(&mut self, customer: Customer) -> (&mut Counts, u64) {
        match customer {
            Customer::Account(key) => (&mut self.accounts, key),
            Customer::Address(key) => (&mut self.addresses, key),
            Customer::Machine(index) => (&mut self.machines, u64::from(index)),
        }
    }
}

/// Keys are keyed hashes already; hashing them again would only cost time on the way of a request.
#[derive(Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    #[test]
    fn as_many_as_there_is_room_for_come_and_go_and_nothing_grows() {
        for most in [7, 1_000, 7 << 13] {
            let mut tally = Tally::with_room(most);
            let room = tally.accounts.capacity();
            // Keys are keyed hashes: spread over all 64 bits.
            let customer = |n: usize| Customer::Account((n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).swap_bytes());
            (0..most).for_each(|n| tally.add(customer(n), 1));
            for n in 0..10 * most {
                tally.subtract(customer(n), 1);
                tally.add(customer(n + most), 1);
            }
            assert_eq!(tally.accounts.capacity(), room, "{most}");
        }
        let bytes = Tally::with_room(usize::MAX).accounts.capacity() * 8 / 7 * 17;
        assert!(bytes < 4_500_000, "{bytes} for as many as anybody may write");
    }

    #[test]
    fn accounts_and_addresses_have_caps_of_their_own_and_leave_nothing_behind() {
        let mut customers =
            Customers { here: Tally::default(), most: n(2), most_per_address: n(3), most_per_machine: vec![n(1)] };
        let (account, address) = (Customer::Account(5), Customer::Address(5));
        customers.enter(account);
        customers.enter(address);
        customers.enter(account);
        customers.enter(address);
        assert!(customers.is_over_share(account));
        assert!(!customers.is_over_share(address));
        for _ in 0..2 {
            customers.leave(account);
            customers.leave(address);
        }
        assert!(!customers.is_over_share(account));
        assert_eq!(customers.len(), 0);
    }

    #[test]
    fn only_a_machine_has_a_bound_that_holds_when_nobody_waits() {
        let most = n(1);
        let mut customers =
            Customers { here: Tally::default(), most, most_per_address: most, most_per_machine: vec![n(2), most] };
        for customer in [Customer::Account(1), Customer::Address(1), Customer::Machine(1), Customer::Machine(0)] {
            customers.enter(customer);
        }
        assert!(!customers.is_at_bound(Customer::Account(1)) && !customers.is_at_bound(Customer::Address(1)));
        assert!(customers.is_at_bound(Customer::Machine(1)) && !customers.is_at_bound(Customer::Machine(0)));
        customers.leave(Customer::Machine(1));
        assert!(!customers.is_at_bound(Customer::Machine(1)));
    }
}
