//! Seats beyond the limits, and that nobody has all of them.
//!
//! Horse racing is parked where nothing else is said, so that there is no other seat than those of the reserve: four of
//! them, of which one customer has two at most.

use super::*;

const ANNA: Customer = Customer::Account(1001);
const BERT: Customer = Customer::Account(1002);
const CARL: Customer = Customer::Account(1003);
const OFFICE: Customer = Customer::Address(1001);

/// One seat under the limit, and four in reserve.
fn open() -> Story {
    let mut product = product(50, &[0]);
    (product.reserve, product.reserve_per_customer) = (n(4), n(2));
    let (at_once_per_customer, at_once_per_address) = (n(50), n(100));
    let (products, resources) = (vec![product], vec![fixed(1)]);
    Story::of_strangers(Settings {
        products,
        resources,
        at_once_per_customer,
        at_once_per_address,
        machines: vec![n(3)],
    })
}

fn parked() -> Story {
    let mut story = open();
    story.orders(HORSE, Order::Park(ParkReason::Parked), 0);
    story
}

impl Story {
    fn is_asked_by(&mut self, customer: Customer, class: Class, seats: u8, ms: u64) -> Verdict {
        let seats = NonZeroU8::new(seats).expect("not zero");
        self.domain.arrive(Arrival { product: HORSE, class, customer, event: None, seats }, at(ms))
    }

    fn logs_out(&mut self, customer: Customer, ms: u64) -> Verdict {
        self.is_asked_by(customer, Class::Protected, 1, ms)
    }
}

#[test]
fn one_customer_never_has_all_of_the_reserve() {
    let mut story = parked();
    let annas = [seat(story.logs_out(ANNA, 1)), seat(story.logs_out(ANNA, 1))];
    place(story.logs_out(ANNA, 2));
    place(story.is_asked_by(ANNA, Class::Settle, 1, 2));
    let berts = seat(story.logs_out(BERT, 3));
    assert_eq!(story.domain.product(HORSE).reserve_in_use(), 3);
    assert!(annas.into_iter().chain([berts]).all(|seat| seat.reserved));
}

#[test]
fn what_a_customer_asks_beyond_their_part_is_served_under_the_limits_while_the_product_is_open() {
    let mut story = open();
    let reserved = [seat(story.logs_out(ANNA, 1)), seat(story.logs_out(ANNA, 1))];
    let ordinary = seat(story.logs_out(ANNA, 2));
    assert!(!ordinary.reserved && reserved.iter().all(|seat| seat.reserved));
    let waiter = place(story.logs_out(ANNA, 3));
    // Either will do, whichever ends first.
    assert_eq!(story.ends(ordinary, 4).admitted_places(), [waiter]);
}

#[test]
fn whoever_waits_for_an_earlier_request_of_their_own_holds_up_nobody() {
    let mut story = parked();
    let mut seats = vec![seat(story.logs_out(ANNA, 1)), seat(story.logs_out(ANNA, 1))];
    seats.extend([seat(story.logs_out(BERT, 2)), seat(story.logs_out(CARL, 2))]);
    let anna = place(story.logs_out(ANNA, 3));
    let bert = place(story.logs_out(BERT, 4));
    // One of Carl's is free: Anna has as much as she may have, and Bert has not.
    let told = story.ends(seats.pop().expect("Carl's"), 5);
    assert_eq!(told.admitted_places(), [bert]);
    // And it is her turn as soon as one of her own has ended, whoever came since.
    let carl = place(story.logs_out(CARL, 6));
    assert_eq!(story.ends(seats.remove(0), 7).admitted_places(), [anna]);
    assert_eq!(story.ends(seats.remove(0), 8).admitted_places(), [carl]);
}

#[test]
fn who_comes_passes_those_who_have_as_much_as_they_may_have_and_nobody_else() {
    let mut story = parked();
    let _annas = [seat(story.logs_out(ANNA, 1)), seat(story.logs_out(ANNA, 1))];
    place(story.logs_out(ANNA, 2));
    let _berts = seat(story.logs_out(BERT, 3));
    // Carl wants two and finds one: it is kept for him.
    let carl = place(story.is_asked_by(CARL, Class::Protected, 2, 4));
    place(story.logs_out(BERT, 5));
    story.domain.leave(carl, at(6));
    assert_eq!(story.told().admitted.len(), 1, "Bert, who had to wait behind Carl");
}

#[test]
fn nobody_passes_who_stands_further_back_than_is_looked() {
    let mut story = parked();
    let _annas = [seat(story.logs_out(ANNA, 1)), seat(story.logs_out(ANNA, 1))];
    let line: Vec<Place> = (0..16).map(|_| place(story.logs_out(ANNA, 2))).collect();
    let bert = place(story.logs_out(BERT, 3));
    assert!(story.told().admitted.is_empty());
    // Now he is the sixteenth.
    story.domain.leave(line[7], at(4));
    assert_eq!(story.told().admitted_places(), [bert]);
    let _carls = seat(story.logs_out(CARL, 5));
}

#[test]
fn a_request_for_several_seats_takes_what_its_customer_may_have() {
    let mut story = parked();
    let two = seat(story.is_asked_by(ANNA, Class::Settle, 9, 1));
    assert_eq!((two.seats, story.domain.product(HORSE).reserve_in_use()), (2, 2));
    place(story.logs_out(ANNA, 2));
    let _berts = seat(story.logs_out(BERT, 2));
}

#[test]
fn an_address_is_not_one_customer_and_still_leaves_something_to_others() {
    let mut story = open();
    story.domain.products[0].reserve = crate::admission::reserve::Reserve::new(n(5), n(2));
    story.orders(HORSE, Order::Park(ParkReason::Parked), 0);
    let _three = [(); 3].map(|()| seat(story.logs_out(OFFICE, 1)));
    place(story.logs_out(OFFICE, 2));
    let _anna = seat(story.logs_out(ANNA, 3));
}

#[test]
fn in_bypass_a_reserve_is_counted_for_each_customer_and_nothing_is_left_behind() {
    let mut story = parked();
    story.domain.bypass(true, at(1));
    let mut seats: Vec<Seat> = (0..5).map(|_| seat(story.logs_out(ANNA, 2))).collect();
    assert_eq!(seats.iter().filter(|seat| seat.reserved).count(), 2, "what she may not have counts under the limits");
    story.domain.bypass(false, at(3));
    place(story.logs_out(ANNA, 4));
    seats.push(seat(story.logs_out(BERT, 5)));
    for seat in seats {
        let told = story.ends(seat, 6);
        told.admitted.into_iter().for_each(|(_, seat)| drop(story.ends(seat, 7)));
    }
    assert!(story.is_empty());
}

#[test]
fn in_observe_only_the_shadow_of_a_reserve_is_held_to_the_same() {
    let mut story = parked();
    story.domain.observe_only(true, at(1));
    let annas = [seat(story.logs_out(ANNA, 2)), seat(story.logs_out(ANNA, 2))];
    let waiter = place(story.logs_out(ANNA, 3));
    let berts = seat(story.logs_out(BERT, 4));
    // It went on all the same, and has ended before its turn came.
    story.domain.leave(waiter, at(5));
    annas.into_iter().chain([berts]).for_each(|seat| drop(story.ends(seat, 6)));
    assert!(story.is_empty());
}
