//! What a domain has promised, for another driver that goes on where this one ends.

use super::super::passes::Held;
use super::super::{ProductId, Timestamp};
use super::Domain;

impl Domain {
    /// The passes and promised turns of `product`.
    pub fn promises(&self, product: ProductId, now: Timestamp) -> Vec<Held> {
        self.product(product).passes.as_ref().map_or_else(Vec::new, |passes| passes.to_hand_over(now))
    }

    /// Another driver has promised this at `product`: it is kept here. Who holds more here already keeps that.
    pub fn keep_promises(&mut self, product: ProductId, held: &[Held], now: Timestamp) {
        let now = self.tick(now);
        if let Some(passes) = &mut self.products[product.index()].passes {
            held.iter().for_each(|held| passes.take_over(*held, now));
        }
    }

    /// The lowest number that no turn of any product has had.
    pub fn next_number(&self) -> u64 {
        self.products
            .iter()
            .filter_map(|product| product.passes.as_ref())
            .map(|passes| passes.next_turn())
            .max()
            .unwrap_or(0)
    }

    /// Nobody has come yet, and turns have numbers from here on: lower ones are promised elsewhere.
    pub fn turns_begin_at(&mut self, number: u64) {
        for passes in self.products.iter_mut().filter_map(|product| product.passes.as_mut()) {
            passes.turns_begin_at(number);
        }
    }
}
