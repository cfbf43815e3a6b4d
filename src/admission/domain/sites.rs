//! Products that are served at several sites: which has a seat, which is taken, and how a share moves between them.
//!
//! Whether there is a seat does not depend on who asks for it, so a line is served from its head as everywhere; where they
//! go is decided when they have their turn.

use super::super::settings::Needs;
use super::super::shift::{End, Ill, Plan, Seen, Step};
use super::super::sites::{Site, Sites};
use super::super::{Arrival, Event, Outcome, Output, Product, ProductId, Seat, Shift, Timestamp};
use super::Domain;

/// What an operator wants of a product's shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftOrder {
    /// Begin to move.
    Begin(Plan),
    /// Stay where it is.
    Stop,
    /// Go back, at once, to where the last shift began.
    Back,
}

/// Why an order about shares cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoShift {
    /// The product is served at one site, or has no such site.
    NoSuchSite,
    /// One site cannot give to itself.
    SameSite,
    /// The receiving site has that share already, or more.
    NothingToMove,
    /// The two have not so much together.
    TooMuch,
    /// Nothing is left of the share in a step, or no time to watch it.
    NoStep,
    /// One is under way already.
    UnderWay,
    /// None is under way, or none ever was.
    NotUnderWay,
}

/// One site, to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its pool, among the domain's resources.
    pub resource: usize,
    /// Its share, in per cent.
    pub share: u32,
    /// Whether that is the most it may have as well: it was being warmed, and is not known to be well with more.
    pub bounded: bool,
}

impl Domain {
    /// The sites of a product and what share each has; nothing where there is nothing to choose.
    pub fn shares(&self, product: ProductId) -> impl Iterator<Item = Share> + '_ {
        let sites = self.products[product.index()].sites.iter();
        sites.flat_map(|sites| &sites.all).map(|site| Share {
            resource: site.resource,
            share: site.share,
            bounded: site.bounded,
        })
    }

    /// Come up with the shares that a journal tells, each with whether it is a bound, in the order of the sites. False, and
    /// nothing has changed, when these are not the shares of these sites. No shift is under way then.
    pub fn restore_shares(&mut self, product: ProductId, shares: &[(u32, bool)]) -> bool {
        self.products[product.index()].sites.as_mut().is_some_and(|sites| sites.restore(shares))
    }

    /// The shift of a product that is under way.
    pub fn shift_of(&self, product: ProductId) -> Option<&Shift> {
        self.products[product.index()].shift.as_deref()
    }

    /// An operator moves a share.
    pub fn shift(&mut self, product: ProductId, order: ShiftOrder, now: Timestamp) -> Result<(), NoShift> {
        let now = self.tick(now);
        let index = product.index();
        match order {
            ShiftOrder::Begin(plan) => self.begin_shift(index, plan, now)?,
            ShiftOrder::Stop => {
                let shift = self.products[index].shift.as_ref().ok_or(NoShift::NotUnderWay)?;
                self.end_shift(index, shift.share(), End::Stopped);
            }
            ShiftOrder::Back => self.take_back(index)?,
        }
        self.wake(now);
        Ok(())
    }

    fn begin_shift(&mut self, index: usize, plan: Plan, now: Timestamp) -> Result<(), NoShift> {
        let product = &mut self.products[index];
        let sites = product.sites.as_mut().ok_or(NoShift::NoSuchSite)?;
        let (from, to) = (usize::from(plan.from), usize::from(plan.to));
        if from.max(to) >= sites.all.len() {
            return Err(NoShift::NoSuchSite);
        }
        let has = sites.all[to].share;
        match () {
            () if from == to => return Err(NoShift::SameSite),
            () if product.shift.is_some() && !plan.now => return Err(NoShift::UnderWay),
            () if plan.share <= has => return Err(NoShift::NothingToMove),
            () if plan.share > has + sites.all[from].share => return Err(NoShift::TooMuch),
            () if plan.step == 0 || plan.every.is_zero() => return Err(NoShift::NoStep),
            () => {}
        }
        sites.remember(from, to);
        // It serves what the other is not to have yet, though it may have been warmed itself before.
        sites.all[from].bounded = false;
        if plan.now {
            // Nobody to warm it up for, and nothing to go back to: what it can take its own limit finds.
            (product.shift, sites.giving) = (None, None);
            sites.all[to].bounded = false;
            self.give(index, (from, to), plan.share, None);
            self.tell_end(index, to, End::Arrived);
            return Ok(());
        }
        let limit = self.resources[sites.all[to].resource].limit();
        let shift = Shift::new(plan, has, limit, now);
        sites.all[to].bounded = true;
        sites.giving = Some(from);
        product.shift = Some(Box::new(shift));
        self.give(index, (from, to), shift.share(), None);
        Ok(())
    }

    fn take_back(&mut self, index: usize) -> Result<(), NoShift> {
        let product = &mut self.products[index];
        let sites = product.sites.as_mut().ok_or(NoShift::NoSuchSite)?;
        let (pair, before) = sites.go_back().ok_or(NoShift::NotUnderWay)?;
        product.shift = None;
        self.tell_moved(index, pair, before, None);
        self.tell_end(index, pair.1, End::TakenBack);
        Ok(())
    }

    /// The site `to` has this share from now on.
    fn give(&mut self, index: usize, (from, to): (usize, usize), share: u32, ill: Option<Ill>) {
        let Some(sites) = &mut self.products[index].sites else { return };
        let before = sites.all[to].share;
        sites.give(from, to, share);
        sites.watch_anew();
        if before != share {
            self.tell_moved(index, (from, to), before, ill);
        }
    }

    fn tell_moved(&mut self, index: usize, (from, to): (usize, usize), before: u32, ill: Option<Ill>) {
        let Some(sites) = &self.products[index].sites else { return };
        let [from, to] = [from, to].map(|site| (site as u8, sites.all[site].share));
        let bounded = sites.all[usize::from(to.0)].bounded;
        let moved = Event::ShareMoved { product: ProductId(index as u16), from, to, before, bounded, ill };
        self.outputs.push_back(Output::Note(moved));
    }

    fn end_shift(&mut self, index: usize, share: u32, end: End) {
        let Some(shift) = self.products[index].shift.take() else { return };
        let (from, to) = (usize::from(shift.plan().from), usize::from(shift.plan().to));
        let ill = if let End::GaveUp(ill) = end { Some(ill) } else { None };
        self.give(index, (from, to), share, ill);
        if let Some(sites) = &mut self.products[index].sites {
            sites.giving = None;
            sites.all[to].bounded = end != End::Arrived;
        }
        self.tell_end(index, to, end);
    }

    fn tell_end(&mut self, index: usize, to: usize, end: End) {
        let Some(sites) = &self.products[index].sites else { return };
        let (product, Site { share, bounded, .. }) = (ProductId(index as u16), sites.all[to]);
        self.outputs.push_back(Output::Note(Event::ShiftEnded { product, site: to as u8, share, bounded, end }));
    }

    /// What has become due of a product's shift.
    pub(super) fn look_at_shift(&mut self, index: usize, now: Timestamp) {
        let Some((seen, due)) = self.seen(index, now) else { return };
        if !due {
            return;
        }
        let product = &mut self.products[index];
        let (Some(shift), Some(sites)) = (&mut product.shift, &mut product.sites) else { return };
        if shift.settled(seen.limit, now) {
            sites.watch_anew();
            return;
        }
        let step = shift.look(&seen, now);
        self.follow(index, step);
    }

    /// What both sites of a shift did, and whether it is time to look.
    fn seen(&self, index: usize, now: Timestamp) -> Option<(Seen, bool)> {
        let product = &self.products[index];
        let (shift, sites) = (product.shift.as_ref()?, product.sites.as_ref()?);
        let [from, to] = [shift.plan().from, shift.plan().to].map(|site| &sites.all[usize::from(site)]);
        let seen = Seen {
            from: from.watch,
            to: to.watch,
            limit: self.resources[to.resource].limit(),
            surge: product.waiting > 0,
            giver_gone: from.gone,
        };
        Some((seen, shift.looks() <= now))
    }

    fn follow(&mut self, index: usize, step: Step) {
        let Some(shift) = &self.products[index].shift else { return };
        let pair = (usize::from(shift.plan().from), usize::from(shift.plan().to));
        match step {
            Step::Forward(share) => self.give(index, pair, share, None),
            Step::Back(share, ill) => self.give(index, pair, share, Some(ill)),
            Step::End(share, end) => self.end_shift(index, share, end),
            Step::Stay => {}
        }
    }

    /// A seat of a site came back.
    pub(super) fn site_answered(&mut self, seat: &Seat, outcome: Outcome, slow: bool, now: Timestamp) {
        let index = seat.product.index();
        let product = &mut self.products[index];
        let Some(sites) = &mut product.sites else { return };
        // It may have been let through to a site of earlier settings.
        let Some(place) = seat.pool().and_then(|pool| sites.with_pool(pool)) else { return };
        let site = &mut sites.all[place];
        site.passed_over = false;
        let Some(shift) = &mut product.shift else { return };
        site.watch.answered(outcome, slow, seat.started >= shift.stepped());
        let (from, to) = (usize::from(shift.plan().from), usize::from(shift.plan().to));
        if place == to && Shift::is_plainly_ill(&sites.all[from].watch, &sites.all[to].watch) {
            let step = shift.falls_ill(Ill::Faults, now);
            self.follow(index, step);
        }
    }

    /// Whether somebody was sent elsewhere for want of a seat like this one.
    pub(super) fn was_passed_over(&self, seat: &Seat) -> bool {
        let sites = self.products[seat.product.index()].sites.as_ref().zip(seat.pool());
        sites.is_some_and(|(sites, pool)| sites.with_pool(pool).is_some_and(|site| sites.all[site].passed_over))
    }

    /// The last backend of a pool went, or the first came back.
    pub(super) fn site_went_or_came(&mut self, resource: usize, now: Timestamp) {
        let gone = self.resources[resource].is_down();
        for index in 0..self.products.len() {
            let product = &mut self.products[index];
            let Some(sites) = &mut product.sites else { continue };
            let Some(site) = sites.with_pool(resource) else { continue };
            sites.all[site].gone = gone;
            let shift = product.shift.as_mut().filter(|shift| gone && usize::from(shift.plan().to) == site);
            if let Some(step) = shift.map(|shift| shift.falls_ill(Ill::Gone, now)) {
                self.follow(index, step);
            }
        }
        let mut sites = self.products.iter().filter_map(|product| product.sites.as_ref());
        if sites.any(|sites| sites.with_pool(resource).is_some()) {
            // As after a closure: its crowd comes back at once, and it may be cold.
            self.resources[resource].begins_below_what_it_was(gone, now);
        }
    }

    /// The pool of the site that a request is given a seat at, which is there unless nobody asked.
    pub(super) fn take_site(&mut self, arrival: &Arrival, seats: u32, reserved: bool, now: Timestamp) -> Option<u8> {
        let index = arrival.product.index();
        let sites = self.products[index].sites.as_ref()?;
        let home = sites.home(arrival.customer);
        let free = |site: &Site| self.resources[site.resource].distance_if_free(index, seats, now).is_some();
        // A reserve lies beyond the limits, and bypass does not ask for any.
        let found = if reserved || self.bypass { home } else { sites.choose(home, free) };
        let site = found.or(home).unwrap_or(0);
        let pool = sites.all[site].resource as u8;
        if !reserved {
            self.count_site(index, (site, home), seats, now);
        }
        Some(pool)
    }

    fn count_site(&mut self, index: usize, (site, home): (usize, Option<usize>), seats: u32, now: Timestamp) {
        let Domain { products, resources, .. } = self;
        let Some(sites) = &mut products[index].sites else { return };
        let full = |site: &Site| resources[site.resource].distance_if_free(index, seats, now).is_none();
        sites.count(site, home, seats, full);
        resources[sites.all[site].resource].take(index, seats, now);
    }

    /// Other settings count: the sites that a product has now may be gone, or there.
    pub(super) fn find_sites(&mut self, index: usize) {
        let Domain { products, resources, .. } = self;
        for site in products[index].sites.iter_mut().flat_map(|sites| &mut sites.all) {
            site.gone = resources[site.resource].is_down();
        }
    }

    /// How far a product would be from its due, with so many more seats, at the site where that is least. `None` when
    /// there is no seat for it at any; 0 where there are no sites.
    #[inline(always)]
    pub(super) fn nearest_site(&self, product: &Product, index: usize, seats: u32, now: Timestamp) -> Option<f64> {
        match &product.sites {
            None => Some(0.0),
            Some(sites) => self.nearest_of(sites, index, seats, now),
        }
    }

    fn nearest_of(&self, sites: &Sites, index: usize, seats: u32, now: Timestamp) -> Option<f64> {
        let usable =
            sites.usable().filter_map(|site| self.resources[site.resource].distance_if_free(index, seats, now));
        usable.min_by(f64::total_cmp)
    }

    pub(super) fn has_site(&self, index: usize, cost: u32) -> bool {
        self.nearest_site(&self.products[index], index, cost, self.latest).is_some()
    }

    pub(super) fn least_claimed_site(&self, index: usize, cost: u32, now: Timestamp) -> Option<u64> {
        self.usable_sites(&self.products[index]).map(|resource| self.resources[resource].claim(index, cost, now)).min()
    }

    /// The pools of the sites that may be used just now.
    pub(super) fn usable_sites(&self, product: &Product) -> impl Iterator<Item = usize> {
        product.sites.iter().flat_map(|sites| sites.usable()).map(|site| site.resource)
    }

    /// Of those, the ones with fewer free seats than `cost`.
    pub(super) fn sites_short_of(&self, index: usize, cost: u32) -> Vec<usize> {
        let short = |resource: &usize| self.resources[*resource].free() < cost;
        self.usable_sites(&self.products[index]).filter(short).collect()
    }

    pub(super) fn most_free_site(&self, product: &Product) -> Option<u32> {
        product.sites.as_ref()?;
        Some(self.usable_sites(product).map(|resource| self.resources[resource].free()).max().unwrap_or(0))
    }

    /// The most seats that one site has, of those that a request may go to just now: what no such site has would be waited
    /// for in vain.
    pub(super) fn largest_site(&self, product: &Product) -> Option<u32> {
        let sites = product.sites.as_ref()?;
        let limit = |site: &Site| self.resources[site.resource].limit();
        sites.usable().map(limit).max().or_else(|| sites.in_play().map(limit).max())
    }

    /// A shift whose sites are not those that count from now on is over where it stands.
    pub(super) fn end_shift_of(&mut self, index: usize, shift: &Shift, before: &Sites) {
        let Some(sites) = &self.products[index].sites else { return };
        let to = before.all[usize::from(shift.plan().to)].resource;
        self.tell_end(index, sites.with_pool(to).unwrap_or(0), End::Stopped);
    }

    /// What all sites have together, those that may be used at all.
    pub(super) fn seats_of_sites(&self, product: &Product) -> Option<u32> {
        let sites = product.sites.as_ref()?;
        Some(sites.in_play().map(|site| self.resources[site.resource].limit()).sum())
    }

    /// What is known of all of them together, and whether anything is; without end where there are no sites.
    pub(super) fn known_of_sites(&self, product: &Product) -> (f64, bool) {
        let Some(sites) = &product.sites else { return (f64::INFINITY, false) };
        let all = sites.in_play().map(|site| self.knee_or_limit(site.resource)).sum();
        (all, sites.in_play().any(|site| self.resources[site.resource].knee().is_some()))
    }

    /// The knee that was found, or what is taken for it.
    pub(super) fn knee_or_limit(&self, resource: usize) -> f64 {
        self.resources[resource].knee().unwrap_or(f64::from(self.resources[resource].limit()))
    }

    /// What a request needs that goes on without a seat, and where it is served.
    pub(super) fn needs_at_home(&self, arrival: &Arrival, needs: Needs) -> (Needs, Option<u8>) {
        let Some(sites) = &self.products[arrival.product.index()].sites else { return (needs, None) };
        let pool = sites.all[sites.home(arrival.customer).unwrap_or(0)].resource;
        let counted = !arrival.class.passes_in_every_state();
        (if counted { needs.and(pool) } else { needs }, Some(pool as u8))
    }
}
