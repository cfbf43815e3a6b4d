//! What a classic law remembers of each request that is alive.

use super::super::RequestId;
use crate::admission::Timestamp;

/// A request in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    /// Which.
    pub(super) request: RequestId,
    /// Its product, by its place in the pool.
    pub(super) place: usize,
    /// When it came.
    pub(super) since: Timestamp,
    ticket: u32,
}

/// A request at the plant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// Its product.
    pub(super) product: usize,
    /// When it passed.
    pub(super) at: Timestamp,
    /// How many were at the plant of its pool right after, itself among them.
    pub(super) in_flight: u32,
}

/// All that are alive, by [`RequestId`].
///
/// A client that hangs up is crossed out here and stays in its line until somebody comes to call it, as in most of the
/// laws' sources; a ticket tells it from another request that was given its number since.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: Vec<Entry>,
    last_ticket: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Timestamp,
    ticket: u32,
    in_flight: u32,
    product: u16,
}

/// The ticket of one that does not wait.
const NONE: u32 = 0;

const NOBODY: Entry = Entry { at: Timestamp::ZERO, ticket: NONE, in_flight: 0, product: 0 };

impl Book {
    /// Writes down one that waits, or is about to pass.
    pub(super) fn enter(&mut self, request: RequestId, product: usize, place: usize, now: Timestamp) -> Waiter {
        self.last_ticket = self.last_ticket.wrapping_add(1).max(NONE + 1);
        let ticket = self.last_ticket;
        if self.entries.len() <= request.index() {
            self.entries.resize(request.index() + 1, NOBODY);
        }
        let product_number = u16::try_from(product).expect("a ProductId is 16 bits wide");
        self.entries[request.index()] = Entry { at: now, ticket, in_flight: 0, product: product_number };
        Waiter { request, place, since: now, ticket }
    }

    /// Whether one in a line still waits.
    pub(super) fn still_waits(&self, waiter: &Waiter) -> bool {
        self.entries[waiter.request.index()].ticket == waiter.ticket
    }

    /// Crosses out one that waited; its product, if it did wait.
    pub(super) fn cross_out(&mut self, request: RequestId) -> Option<usize> {
        let entry = self.entries.get_mut(request.index())?;
        (std::mem::replace(&mut entry.ticket, NONE) != NONE).then_some(usize::from(entry.product))
    }

    /// One that waited has passed.
    pub(super) fn pass(&mut self, waiter: &Waiter, in_flight: u32, now: Timestamp) {
        let entry = &mut self.entries[waiter.request.index()];
        (entry.at, entry.ticket, entry.in_flight) = (now, NONE, in_flight);
    }

    /// What is known of one that has passed.
    pub(super) fn passed(&self, request: RequestId) -> Passed {
        let entry = &self.entries[request.index()];
        Passed { product: usize::from(entry.product), at: entry.at, in_flight: entry.in_flight }
    }

    /// Those of one product that wait, in the order in which they came.
    pub(super) fn waiting_for(&self, product: usize) -> Vec<RequestId> {
        let mut waiting: Vec<(Timestamp, u32, RequestId)> = (0_u32..)
            .zip(&self.entries)
            .filter(|(_, entry)| entry.ticket != NONE && usize::from(entry.product) == product)
            .map(|(number, entry)| (entry.at, entry.ticket, RequestId(number)))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, _, request)| request).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::law::classic::testing::at;

    #[test]
    fn a_number_given_again_is_not_taken_for_the_one_that_hung_up() {
        let mut book = Book::default();
        let first = book.enter(RequestId(0), 0, 0, at(0));
        assert_eq!(book.cross_out(RequestId(0)), Some(0));
        assert_eq!(book.cross_out(RequestId(0)), None, "already crossed out");
        let second = book.enter(RequestId(0), 1, 1, at(5));
        assert!(!book.still_waits(&first));
        assert!(book.still_waits(&second));
    }

    #[test]
    fn those_who_wait_are_told_in_the_order_in_which_they_came() {
        let mut book = Book::default();
        for (number, product, millis) in [(7, 0, 1), (2, 1, 2), (5, 0, 3), (3, 0, 4)] {
            let waiter = book.enter(RequestId(number), product, product, at(millis));
            if number == 5 {
                book.pass(&waiter, 1, at(millis));
            }
        }
        assert_eq!(book.waiting_for(0), [RequestId(7), RequestId(3)]);
    }
}
