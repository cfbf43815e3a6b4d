//! What a law shows of its inside: the figures that the checks compare with their own.

use std::time::Duration;

use super::passes::Kept;
use crate::admission::passes::Holding;
use crate::admission::rank::Rank;
use crate::admission::{Customer, Domain, ProductId, State};
use crate::sim::law::{Law, Ours};

/// A law that lets itself be looked into.
pub trait Transparent: Law {
    /// Put down how things stand after the last call.
    fn show(&self, shown: &mut Shown);

    /// What is kept for somebody of a product.
    fn kept(&self, product: usize, customer: Customer) -> Kept;
}

/// How things stand, as the law says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// In the order of the settings.
    pub resources: Vec<ShownResource>,
    /// In the order of the settings.
    pub products: Vec<ShownProduct>,
}

/// A pool or budget, as the law shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShownResource {
    /// Seats there are.
    pub limit: u32,
    /// Seats taken.
    pub in_use: u32,
    /// Seats taken, by product.
    pub in_use_by: Vec<u32>,
    /// Seats that each product may hold, what it may borrow included.
    pub may_hold: Vec<u32>,
    /// The best level known.
    pub knee: Option<f64>,
}

/// A product, as the law shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownProduct {
    /// Where it is in its life.
    pub state: State,
    /// Seats it holds under the limits.
    pub in_flight: u32,
    /// Seats it holds of its reserve.
    pub reserve_in_use: u32,
    /// Who waits, by rank.
    pub waiting: [u32; Rank::COUNT],
    /// The ramp's ceiling.
    pub ramp_seats: Option<u32>,
    /// Whether the ramp says that it has frozen.
    pub ramp_frozen: bool,
    /// Turns that are promised.
    pub promised: u32,
    /// How long a bet takes to be answered, where that counts.
    pub takes_to_bet: Duration,
}

impl Shown {
    /// Nothing held and nobody there, in a domain of so many resources and products.
    pub fn empty(resources: usize, products: usize) -> Shown {
        let may_hold = vec![u32::MAX; products];
        let resource = ShownResource { in_use_by: vec![0; products], may_hold, ..ShownResource::default() };
        let product = ShownProduct {
            state: State::Open,
            in_flight: 0,
            reserve_in_use: 0,
            waiting: [0; Rank::COUNT],
            ramp_seats: None,
            ramp_frozen: false,
            promised: 0,
            takes_to_bet: Duration::ZERO,
        };
        Shown { resources: vec![resource; resources], products: vec![product; products] }
    }

    fn read(&mut self, domain: &Domain) {
        for (shown, resource) in self.resources.iter_mut().zip(domain.resources()) {
            shown.limit = resource.limit();
            shown.in_use = resource.in_use();
            shown.knee = resource.knee();
            for (product, held) in shown.in_use_by.iter_mut().enumerate() {
                *held = resource.in_use_by(product);
            }
            for (product, may_hold) in shown.may_hold.iter_mut().enumerate() {
                *may_hold = resource.may_hold(product);
            }
        }
        for (place, shown) in self.products.iter_mut().enumerate() {
            let product = domain.product(ProductId(place as u16));
            shown.state = product.state();
            shown.in_flight = product.in_flight();
            shown.reserve_in_use = product.reserve_in_use();
            shown.waiting = Rank::ALL.map(|rank| product.waiting_as(rank));
            shown.ramp_seats = product.ramp_seats();
            shown.ramp_frozen = product.ramp_is_frozen();
            shown.promised = product.promised_turns();
            shown.takes_to_bet = product.takes_to_bet();
        }
    }
}

impl Transparent for Ours {
    fn show(&self, shown: &mut Shown) {
        shown.read(self.domain());
    }

    fn kept(&self, product: usize, customer: Customer) -> Kept {
        match self.domain().product(ProductId(product as u16)).holding(customer) {
            None => Kept::Nothing,
            Some(Holding::Turn { .. }) => Kept::Turn,
            Some(Holding::Pass { since }) => Kept::Pass(since),
        }
    }
}
