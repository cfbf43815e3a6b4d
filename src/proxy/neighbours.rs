//! How many connections come from one address, so that one stranger cannot have all of them.
//!
//! One over the bound is closed at once and without a word: a word costs a task and is said to who floods. Nobody makes way
//! for it either, as silent ones do when the whole proxy is full ([`room`](super::room)): those of one address are one
//! customer's to use, and looking for the idlest of them would cost most when somebody asks for it most often. Addresses count by
//! prefix, as where customers are known by them; trusted networks are excepted, for there many stand behind one. So are load
//! balancers that name whose each connection is (PROXY protocol): it counts for the address that they name, from when they
//! have named it.
//!
//! The table has an entry for each address that is connected and no other, so it is bounded by the connections; its room
//! is taken at the start.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::Worker;
use super::classify::Hashes;
use super::identity::settings::Prefix;
use super::settings::Settings;

/// What all workers know of who is connected.
#[derive(Debug)]
pub(crate) struct Neighbours {
    /// By a number that is made from the address: connections, never none.
    by_address: Arc<Mutex<HashMap<u64, u32>>>,
    most: NonZeroU32,
    trusted: Vec<IpNet>,
    prefix: Prefix,
    hashes: Hashes,
}

/// One connection of an address, until this is dropped.
#[derive(Debug)]
pub(crate) struct Neighbour {
    all: Arc<Neighbours>,
    address: u64,
}

/// An address has as many connections as it may.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Neighbours {
    /// Whoever was counted `before` is connected, else nobody; `None` where addresses are not counted.
    pub(crate) fn new(settings: &Settings, hashes: Hashes, before: Option<&Neighbours>) -> Option<Arc<Neighbours>> {
        let listen = &settings.listen;
        let most = listen.connections_per_address?;
        let nobody = || Arc::new(Mutex::new(HashMap::with_capacity(listen.connections.get() as usize)));
        Some(Arc::new(Neighbours {
            by_address: before.map_or_else(nobody, |before| before.by_address.clone()),
            most,
            trusted: listen.trusted.clone(),
            prefix: settings.prefix,
            hashes,
        }))
    }

    /// One more connection from this address; one that is not counted comes from a trusted network.
    pub(crate) fn one_more(self: &Arc<Self>, address: IpAddr) -> Result<Option<Neighbour>, TooMany> {
        let address = address.to_canonical();
        if self.trusted.iter().any(|network| network.contains(&address)) {
            return Ok(None);
        }
        let address = self.hashes.neighbourhood(address, self.prefix);
        let mut by_address = self.lock();
        let connections = by_address.entry(address).or_default();
        if *connections >= self.most.get() {
            return Err(TooMany);
        }
        *connections += 1;
        Ok(Some(Neighbour { all: self.clone(), address }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// One more connection from this address; nothing where those are not counted. One too many has been counted as such.
    pub(crate) fn neighbour(&self, address: IpAddr) -> Result<Option<Neighbour>, TooMany> {
        let Some(all) = &self.shared.neighbours else { return Ok(None) };
        all.one_more(address).inspect_err(|TooMany| self.metrics.too_many_from_one.increment(1))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let mut by_address = self.all.lock();
        let Entry::Occupied(mut connections) = by_address.entry(self.address) else { return };
        match connections.get() {
            0 | 1 => drop(connections.remove()),
            _ => *connections.get_mut() -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbours(most: u32) -> Arc<Neighbours> {
        Arc::new(Neighbours {
            by_address: Arc::default(),
            most: NonZeroU32::new(most).expect("some"),
            trusted: vec!["10.0.0.0/8".parse().expect("a network")],
            prefix: Prefix { v4: 32, v6: 64 },
            hashes: Hashes::default(),
        })
    }

    fn from(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_ipv6_prefix_is_one_address_and_trusted_networks_are_none() {
        let all = neighbours(2);
        let here: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|address| all.one_more(from(address))).into();
        assert!(here.iter().all(|one| matches!(one, Ok(Some(_)))));
        assert!(all.one_more(from("2001:db8::3")).is_err());
        let other = all.one_more(from("2001:db8:0:1::1"));
        assert!(other.is_ok());
        for _ in 0..3 {
            assert!(matches!(all.one_more(from("10.1.2.3")), Ok(None)));
            assert!(matches!(all.one_more(from("::ffff:10.1.2.3")), Ok(None)));
        }
    }

    #[test]
    fn who_has_gone_leaves_nothing_behind() {
        let all = neighbours(1);
        for last in 0..=255 {
            let one = all.one_more(from(&format!("203.0.113.{last}"))).expect("one may");
            assert!(all.one_more(from(&format!("203.0.113.{last}"))).is_err());
            drop(one);
            assert!(all.lock().is_empty());
        }
    }
}
