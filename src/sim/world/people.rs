//! Who is out there: devices in a slab, and which two of them belong to one customer.

use crate::admission::Timestamp;
use crate::sim::clients::Client;
use crate::sim::random::Random;
use crate::sim::scenario::Crowd;

/// Everybody who has come and not gone.
#[derive(Debug, Default)]
pub(super) struct People {
    devices: Vec<Device>,
    free: Vec<u32>,
    pairs: Vec<Pair>,
    customers: u64,
    came: u64,
}

/// In a line of the cache of its own, and not in two halves.
#[derive(Debug)]
#[repr(align(64))]
struct Device {
    client: Client,
    /// Its pair, or [`ALONE`].
    pair: u32,
}

const ALONE: u32 = u32::MAX;

/// Two devices of one customer.
#[derive(Debug)]
pub(super) struct Pair {
    finished: bool,
    walking: u8,
}

impl People {
    /// Somebody comes, with one device or two.
    pub(super) fn arrive(&mut self, crowd: &Crowd, place: u16, seed: u64, now: Timestamp) -> [Option<u32>; 2] {
        let nth = self.customers;
        self.customers += 1;
        let mut random = Random::nth(seed ^ 0x7D0_DE71CE, nth);
        // A keyed hash, as the proxy makes it of a name.
        let customer = random.next_u64();
        let two = random.chance(u64::from(crowd.two_devices));
        let pair = if two { self.pairs.len() as u32 } else { ALONE };
        self.pairs.extend(two.then_some(Pair { finished: false, walking: 2 }));
        let first = self.add(crowd, place, customer, pair, seed, now);
        [Some(first), two.then(|| self.add(crowd, place, customer, pair, seed, now))]
    }

    fn add(&mut self, crowd: &Crowd, place: u16, customer: u64, pair: u32, seed: u64, now: Timestamp) -> u32 {
        let client = Client::new(crowd, place, customer, self.came, seed, now);
        self.came += 1;
        let device = Device { client, pair };
        match self.free.pop() {
            Some(free) => {
                self.devices[free as usize] = device;
                free
            }
            None => {
                self.devices.push(device);
                self.devices.len() as u32 - 1
            }
        }
    }

    pub(super) fn client(&mut self, device: u32) -> &mut Client {
        &mut self.devices[device as usize].client
    }

    /// Whether this customer has finished on the other device.
    pub(super) fn is_done_elsewhere(&self, device: u32) -> bool {
        let pair = self.devices[device as usize].pair;
        pair != ALONE && self.pairs[pair as usize].finished
    }

    /// A device finishes the journey. True when its customer has not finished before.
    pub(super) fn finish(&mut self, device: u32) -> bool {
        self.leave(device).is_none_or(|pair| !std::mem::replace(&mut pair.finished, true))
    }

    /// A device gives up. True when its customer has nothing left to try with.
    pub(super) fn give_up(&mut self, device: u32) -> bool {
        self.leave(device).is_none_or(|pair| pair.walking == 0 && !pair.finished)
    }

    /// A device is put away. Returns its pair, where it has one.
    pub(super) fn leave(&mut self, device: u32) -> Option<&mut Pair> {
        self.free.push(device);
        let pair = self.pairs.get_mut(self.devices[device as usize].pair as usize)?;
        pair.walking -= 1;
        Some(pair)
    }
}
