//! How much each customer has running and waiting, so that nobody can fill the queue alone.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;

use super::Customer;

/// Requests running or waiting, by customer. As large as what runs and waits, no larger.
#[derive(Debug)]
pub(crate) struct Customers {
    accounts: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    addresses: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    most: NonZeroU32,
    most_per_address: NonZeroU32,
}

impl Customers {
    pub(crate) fn new(most: NonZeroU32, most_per_address: NonZeroU32) -> Customers {
        Customers { accounts: HashMap::default(), addresses: HashMap::default(), most, most_per_address }
    }

    /// Whether `customer` has as many as one may have while others wait.
    pub(crate) fn is_over_share(&self, customer: Customer) -> bool {
        match customer {
            Customer::Account(key) => held(&self.accounts, key) >= self.most.get(),
            Customer::Address(key) => held(&self.addresses, key) >= self.most_per_address.get(),
        }
    }

    pub(crate) fn enter(&mut self, customer: Customer) {
        let (held, key) = self.of(customer);
        *held.entry(key).or_insert(0) += 1;
    }

    pub(crate) fn leave(&mut self, customer: Customer) {
        let (held, key) = self.of(customer);
        if let Some(count) = held.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&key);
            }
        } else {
            debug_assert!(false, "a customer left who had not entered");
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.accounts.len() + self.addresses.len()
    }

    fn of(&mut self, customer: Customer) -> (&mut HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>, u64) {
        match customer {
            Customer::Account(key) => (&mut self.accounts, key),
            Customer::Address(key) => (&mut self.addresses, key),
        }
    }
}

fn held(map: &HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>, key: u64) -> u32 {
    map.get(&key).copied().unwrap_or(0)
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
