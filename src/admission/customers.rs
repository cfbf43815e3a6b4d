//! How much each customer has running and waiting, so that nobody can fill the queue alone.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;

use super::Customer;

/// Requests running or waiting, by customer. As large as what runs and waits, no larger.
#[derive(Debug)]
pub(crate) struct Customers {
    here: Tally,
    most: NonZeroU32,
    most_per_address: NonZeroU32,
}

impl Customers {
    pub(crate) fn new(most: NonZeroU32, most_per_address: NonZeroU32) -> Customers {
        Customers { here: Tally::default(), most, most_per_address }
    }

    /// Whether `customer` has as many as one may have while others wait.
    pub(crate) fn is_over_share(&self, customer: Customer) -> bool {
        let most = match customer {
            Customer::Account(_) => self.most,
            Customer::Address(_) => self.most_per_address,
        };
        self.here.of(customer) >= most.get()
    }

    pub(crate) fn enter(&mut self, customer: Customer) {
        self.here.add(customer, 1);
    }

    pub(crate) fn leave(&mut self, customer: Customer) {
        self.here.subtract(customer, 1);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.here.len()
    }
}

type Counts = HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>;

/// A number for each customer who has any. It grows to the most who ever had any at once, and is then reused.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accounts: Counts,
    addresses: Counts,
}

impl Tally {
    pub(crate) fn of(&self, customer: Customer) -> u32 {
        let (counts, key) = match customer {
            Customer::Account(key) => (&self.accounts, key),
            Customer::Address(key) => (&self.addresses, key),
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

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.accounts.len() + self.addresses.len()
    }

    fn counts(&mut self, customer: Customer) -> (&mut Counts, u64) {
        match customer {
            Customer::Account(key) => (&mut self.accounts, key),
            Customer::Address(key) => (&mut self.addresses, key),
        }
    }
}

/// Keys are keyed hashes already; hashing them again would only cost time on the way of a request.
#[derive(Default)]
struct AlreadyHashed(u64);

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
    fn accounts_and_addresses_have_caps_of_their_own_and_leave_nothing_behind() {
        let mut customers = Customers::new(n(2), n(3));
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
}
