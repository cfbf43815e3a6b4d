//! Other settings, while customers are running and waiting.
//!
//! Nobody notices: who waits keeps their place and the time that they were given, who holds a seat gives back what they
//! took, passes and promised turns go on, and a limit that was found goes on from what was found. Products and resources
//! keep their numbers for as long as the domain lives; what is new stands behind them.

use super::super::limit;
use super::super::resource::{Resource, Terms};
use super::super::settings::{Needs, ProductSettings, ResourceSettings, Settings};
use super::super::{Product, ProductId, Timestamp};
use super::{Domain, NOBODYS};

impl Domain {
    /// Go on by these settings. The products and resources that there are come first in them, in the order in which they
    /// are; more may follow. Of products that are `gone` the settings count for those who run and wait still, and nothing is
    /// owed to them any more.
    ///
    /// A limit whose settings are as before goes on; one that is looked for in another range starts in it from the level
    /// that was found.
    pub fn reform(&mut self, settings: Settings, gone: &[ProductId], now: Timestamp) {
        let now = self.tick(now);
        debug_assert!(settings.products.len() >= self.products.len(), "a product has left");
        debug_assert!(settings.resources.len() >= self.resources.len(), "a resource has left");
        self.customers.reform(&settings);
        self.reform_resources(&settings, gone);
        let needs: Vec<Needs> = settings.products.iter().flat_map(|product| product.needs).collect();
        self.always_needed = Needs::in_common(&needs);
        for (index, settings) in settings.products.into_iter().enumerate() {
            let ended = match self.products.get_mut(index) {
                Some(product) => product.reform(settings, now),
                None => {
                    self.products.push(Product::new(settings, now));
                    None
                }
            };
            if let Some((shift, before)) = ended {
                self.end_shift_of(index, &shift, &before);
            }
            self.find_sites(index);
            // It may need other backends from now on, and those may be gone, or there.
            self.find(index, now);
        }
        self.wake(now);
    }

    fn reform_resources(&mut self, settings: &Settings, gone: &[ProductId]) {
        for (index, ResourceSettings { limit, budget }) in settings.resources.iter().enumerate() {
            let terms = terms(settings, index, gone);
            let stays = self.limits.get(index).is_some_and(|before| before.is_same(limit));
            match self.resources.get_mut(index) {
                Some(known) => known.reform((!stays).then(|| limit::build(limit)), &terms, self.latest),
                None => {
                    let mut resource = Resource::new(limit::build(limit), *budget, &terms);
                    resource.observe_only(self.observe_only, self.latest);
                    self.resources.push(resource);
                }
            }
        }
        self.limits = settings.resources.iter().map(|resource| resource.limit.clone()).collect();
        self.kept.resize(self.resources.len(), NOBODYS);
    }
}

/// What each product is to a resource.
pub(super) fn terms(settings: &Settings, resource: usize, gone: &[ProductId]) -> Vec<Terms> {
    let uses = |product: &ProductSettings| {
        let mut needs = product.needs.iter().flat_map(Needs::iter);
        needs.any(|need| need == resource) || product.sites.iter().any(|site| site.resource == resource)
    };
    let terms = |(index, product): (usize, &ProductSettings)| {
        let is_gone = gone.iter().any(|gone| gone.index() == index);
        Terms {
            guarantee: if uses(product) && !is_gone { product.guarantee.max(1) } else { 0 },
            longest_wait: product.queue.longest_wait,
        }
    };
    settings.products.iter().enumerate().map(terms).collect()
}
