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

#[derive(Debug)]
struct Device {
    client: Client,
    pair: Option<u32>,
}

/// Two devices of one customer.
#[derive(Debug)]
struct Pair {
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
        let pair = two.then(|| {
            self.pairs.push(Pair { finished: false, walking: 2 });
            self.pairs.len() as u32 - 1
        });
        let first = self.add(crowd, place, customer, pair, seed, now);
        [Some(first), two.then(|| self.add(crowd, place, customer, pair, seed, now))]
    }

    fn add(&mut self, crowd: &Crowd, place: u16, customer: u64, pair: Option<u32>, seed: u64, now: Timestamp) -> u32 {
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
        self.devices[device as usize].pair.is_some_and(|pair| self.pairs[pair as usize].finished)
    }

    /// A device finishes the journey. True when its customer has not finished before.
    pub(super) fn finish(&mut self, device: u32) -> bool {
        let pair = self.devices[device as usize].pair;
        self.leave(device);
        match pair {
            Some(pair) => !std::mem::replace(&mut self.pairs[pair as usize].finished, true),
            None => true,
        }
    }

    /// A device gives up. True when its customer has nothing left to try with.
    pub(super) fn give_up(&mut self, device: u32) -> bool {
        let pair = self.devices[device as usize].pair;
        self.leave(device);
        pair.map(|pair| &self.pairs[pair as usize]).is_none_or(|pair| pair.walking == 0 && !pair.finished)
    }

    /// A device is put away.
    pub(super) fn leave(&mut self, device: u32) {
        if let Some(pair) = self.devices[device as usize].pair {
            self.pairs[pair as usize].walking -= 1;
        }
        self.free.push(device);
    }
}
