//! Where a customer is at home: consistent hashing with bounded loads.
//!
//! Each customer has an order of their own of all backends, by a draw for each pair of them (rendezvous hashing, Thaler and
//! Ravishankar 1998; with weights, Schindelhauer and Schomaker 2005). The first that may be asked is home. Who comes, goes,
//! or has another weight moves its own customers and nobody else's: they go to the next in their own order, and come back.
//! Doubt and a slow start are weights too, so they send some of its customers away, and bring them back by and by.
//!
//! A home that has half as much again to do as its part is passed over (Mirrokni, Thorup, Zadimoghaddam 2016, with 1.5): one
//! hot set of customers drowns no backend while others idle.
//!
//! One look at each backend and a logarithm for each that has room: made for tens of backends, not for thousands.

use std::sync::Arc;

use super::super::backend::Backend;
use crate::admission::Customer;
use crate::admission::random::mix;

/// What a backend may have under way of its part of all, in halves.
const BOUND_HALVES: u64 = 3;
/// Fewer than so many at once are no load, whatever their part is: else two requests at a time would be two homes.
const FEW: u64 = 4;

/// Whether there is any: a machine asks for many customers, and has none.
pub(crate) fn has(customer: Customer) -> bool {
    !matches!(customer, Customer::Machine(_))
}

/// The first of `customer`'s own order that is `usable` and has room. `None` when none is usable.
pub(in crate::proxy) fn of(
    customer: Customer,
    backends: &[Arc<Backend>],
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let number = customer.spread();
    let (mut under_way, mut weights) = (0, 0);
    for backend in (0..backends.len()).filter(|index| usable(*index)).map(|index| &backends[index]) {
        let seen = backend.seen();
        under_way += u64::from(seen.outstanding());
        weights += u64::from(seen.weight());
    }
    let has_room = |backend: &Backend| {
        let seen = backend.seen();
        let (own, weight) = (u64::from(seen.outstanding()), u64::from(seen.weight()));
        // Less than its part of all with this one, half as much again, rounded up.
        own < FEW || 2 * own * weights < BOUND_HALVES * (under_way + 1) * weight
    };
    let best = |fits: &dyn Fn(usize) -> bool| {
        let fitting = (0..backends.len()).filter(|index| fits(*index));
        let drawn = fitting.map(|index| (index, draw(number, &backends[index])));
        drawn.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index)
    };
    // What is under way may have changed between the two looks.
    best(&|index| usable(index) && has_room(&backends[index])).or_else(|| best(&usable))
}

/// How near a backend is to a customer. Of several each is the nearest as often as its weight says.
fn draw(number: u64, backend: &Backend) -> f64 {
    // Between nothing and one, neither of them.
    let fraction = ((mix(number ^ backend.key()) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(backend.seen().weight()) / fraction.ln()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::super::slow_start::Start;
    use super::super::{Policy, Table};
    use super::*;
    use crate::admission::random::Random;
    use crate::admission::time::at;
    use crate::proxy::backend::Outstanding;
    use crate::proxy::settings::BackendSettings;

    const CUSTOMERS: u64 = 10_000;

    fn table(weights: &[u32]) -> Table {
        let backend = |(n, weight): (usize, &u32)| {
            let address = SocketAddr::from(([10, 0, 0, 1 + n as u8], 9101));
            let settings =
                BackendSettings { name: address.to_string(), address, weight: *weight, priority: 0, host: None };
            Arc::new(Backend::new(settings, None))
        };
        let backends: Vec<Arc<Backend>> = weights.iter().enumerate().map(backend).collect();
        Table::new(backends.into(), Policy::ConsistentHash)
    }

    fn home(table: &Table, customer: u64, tried: &[usize]) -> usize {
        let tried: Vec<Arc<Backend>> = tried.iter().map(|index| table.backends[*index].clone()).collect();
        table.choose(&tried, Customer::Account(customer), at(0), &Cell::new(Random::new(customer)))
    }

    fn homes(table: &Table) -> Vec<usize> {
        (0..CUSTOMERS).map(|customer| home(table, customer, &[])).collect()
    }

    fn settle(table: &Table, index: usize) {
        table.backends[index].settle(false, true, None, at(0));
    }

    /// How many are at home at each.
    fn counts(table: &Table) -> Vec<usize> {
        let homes = homes(table);
        (0..table.backends.len()).map(|index| homes.iter().filter(|home| **home == index).count()).collect()
    }

    #[test]
    fn everybody_has_one_home_and_each_backend_as_many_as_its_weight_says() {
        let (one, other) = (table(&[1, 3, 6]), table(&[1, 3, 6]));
        assert_eq!(homes(&one), homes(&other), "whoever asks, and after a restart");
        let counts = counts(&one);
        let near = |(count, expected): (&usize, usize)| count.abs_diff(expected) < 150;
        assert!(counts.iter().zip([1_000, 3_000, 6_000]).all(near), "{counts:?}");
    }

    #[test]
    fn only_the_customers_of_one_that_goes_move_each_to_the_next_of_their_own_and_they_come_back() {
        let table = table(&[2, 1, 1, 3]);
        let before = homes(&table);
        table.backends[1].drain(true);
        settle(&table, 1);
        let without = homes(&table);
        for (customer, (before, without)) in before.iter().zip(&without).enumerate() {
            match before {
                1 => assert_eq!(*without, home(&table, customer as u64, &[1]), "as one that is tried again"),
                before => assert_eq!(before, without),
            }
        }
        assert!([0, 2, 3].iter().all(|one| (0..before.len()).any(|n| before[n] == 1 && without[n] == *one)));
        table.backends[1].drain(false);
        settle(&table, 1);
        assert_eq!(homes(&table), before);
    }

    #[test]
    fn one_more_takes_its_part_from_all_and_nobody_else_moves() {
        let (three, four) = (table(&[1; 3]), table(&[1; 4]));
        let (before, after) = (homes(&three), homes(&four));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        assert!(moved.clone().all(|(_, after)| *after == 3));
        assert!((2_350..2_650).contains(&moved.count()));
    }

    #[test]
    fn who_starts_slowly_or_is_doubted_gets_its_own_customers_back_by_and_by() {
        let (table, start) = (table(&[1; 3]), Some(Start::beside_others(Duration::from_secs(10))));
        let whole: Vec<u64> = (0..CUSTOMERS).filter(|customer| home(&table, *customer, &[]) == 0).collect();
        let at_home = || whole.iter().filter(|customer| home(&table, **customer, &[]) == 0).count();
        table.backends[0].drain(true);
        settle(&table, 0);
        table.backends[0].drain(false);
        table.backends[0].settle(false, true, start, at(0));
        let beginning = at_home();
        assert!((300..600).contains(&beginning), "a tenth of its share: {beginning} of {}", whole.len());
        assert_eq!(beginning, counts(&table)[0], "all of them its own");
        (0..64).for_each(|_| table.backends[0].count(true));
        table.backends[0].settle(false, true, start, at(60_000));
        assert_eq!(at_home(), whole.len());
        (0..5).for_each(|nth| assert_eq!(table.backends[0].erred(), nth + 1));
        assert!((50..300).contains(&at_home()), "{}", at_home());
    }

    #[test]
    fn a_hot_customer_drowns_no_backend_and_the_rest_stay_at_home() {
        let table = table(&[1; 4]);
        let random = Cell::new(Random::new(1));
        // Half of what is asked for is one customer's; each request is held for as long as forty come.
        let mut held = std::collections::VecDeque::new();
        let (mut at_home, mut others) = (0, 0);
        let alone = homes(&table);
        for nth in 0..2_000 {
            let customer = if nth % 2 == 0 { 7 } else { nth };
            let chosen = table.choose(&[], Customer::Account(customer), at(0), &random);
            held.push_back(Outstanding::at(&table.backends[chosen]));
            if held.len() > 40 {
                held.pop_front();
            }
            let most = table.backends.iter().map(|backend| backend.outstanding()).max().unwrap_or(0);
            assert!(most <= 16, "a part of forty-one is ten and a quarter; {most}");
            if nth % 2 == 1 && alone[nth as usize] != alone[7] {
                others += 1;
                at_home += usize::from(chosen == alone[nth as usize]);
            }
        }
        assert!(at_home * 10 > others * 7, "{at_home} of {others}");
    }

    #[test]
    fn a_quiet_customer_stays_at_home_with_a_few_requests_at_once() {
        let table = table(&[1; 4]);
        let held: Vec<Outstanding> = (0..4).map(|_| Outstanding::at(&table.backends[home(&table, 7, &[])])).collect();
        assert!(held.iter().all(|one| Arc::ptr_eq(one.backend(), held[0].backend())));
        assert!(!Arc::ptr_eq(&table.backends[home(&table, 7, &[])], held[0].backend()));
    }

    #[test]
    fn a_machine_has_no_home() {
        let (table, random) = (table(&[1; 4]), Cell::new(Random::new(1)));
        let held: Vec<Outstanding> = (0..40)
            .map(|_| Outstanding::at(&table.backends[table.choose(&[], Customer::Machine(0), at(0), &random)]))
            .collect();
        assert!(table.backends.iter().all(|backend| (7..=13).contains(&backend.outstanding())), "{held:?}");
    }
}
