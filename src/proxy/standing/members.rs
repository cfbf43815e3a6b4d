//! Who belongs to a pool: those that were configured, those that orders add and take out, and the addresses of names.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::super::backend::Backend;
use super::super::balance::checks::Checks;
use super::super::names;
use super::super::settings::{BackendSettings, HealthSettings};
use super::{Standing, checks};

impl Standing {
    /// The backend of this name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Backend>> {
        self.backends().iter().find(|backend| backend.settings.name == name).cloned()
    }

    /// The backend at this address.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<Arc<Backend>> {
        self.backends().iter().find(|backend| backend.settings.address == address).cloned()
    }

    /// Those that the configuration names and an order has taken out.
    pub(crate) fn ordered_out(&self) -> Vec<&BackendSettings> {
        let (backends, dismissed) = (self.backends(), self.dismissed());
        let is_there = |named: &BackendSettings| backends.iter().any(|one| one.settings.is_at_or_of(named));
        let named = self.settings.backends.iter();
        named.filter(|named| dismissed.contains(&named.address) && !is_there(named)).collect()
    }

    /// One more belongs to the pool, whole from the start: for a proxy that comes up.
    pub(crate) fn enrol(&self, settings: BackendSettings) {
        let checks = self.settings.health.as_ref().map(checks);
        self.change(|backends| backends.push(Arc::new(Backend::new(settings, checks))));
    }

    /// Nobody is to come from this address, whichever name has it: for a proxy that comes up.
    pub(crate) fn dismiss(&self, address: SocketAddr) {
        self.dismissed().insert(address);
    }

    /// Whether nobody is to come from this address.
    pub(crate) fn is_dismissed(&self, address: SocketAddr) -> bool {
        self.dismissed().contains(&address)
    }

    /// One more belongs to the pool from now on, and is looked after from the runtime this is called on.
    pub(crate) fn add(self: &Arc<Self>, settings: BackendSettings) {
        self.dismissed().remove(&settings.address);
        let health = self.settings.health.as_ref();
        let backend = self.newcomer(settings, health.map(unproven));
        self.change(|backends| backends.push(backend));
    }

    /// This one belongs to the pool no more. What is under way there goes on to its end.
    pub(crate) fn remove(&self, backend: &Arc<Backend>) {
        self.dismissed().insert(backend.settings.address);
        self.take_leave(backend);
        self.change(|backends| backends.retain(|one| !Arc::ptr_eq(one, backend)));
    }

    /// The name by which `named` was found has these addresses now. Whether that is a change.
    pub(in crate::proxy) fn is_at(self: &Arc<Self>, named: &BackendSettings, mut addresses: Vec<SocketAddr>) -> bool {
        let known = self.backends();
        let (of_name, others): (Vec<_>, Vec<_>) = known.iter().cloned().partition(|one| one.settings.is_of(named));
        addresses.retain(|address| {
            !self.dismissed().contains(address) && !others.iter().any(|other| other.settings.address == *address)
        });
        let stays = |one: &Arc<Backend>| addresses.contains(&one.settings.address);
        let (mut staying, leaving): (Vec<_>, Vec<_>) = of_name.into_iter().partition(stays);
        addresses.retain(|address| !staying.iter().any(|one| one.settings.address == *address));
        addresses.truncate(MOST_BACKENDS.saturating_sub(staying.len() + others.len()));
        if (addresses.is_empty() && leaving.is_empty()) || staying.len() + others.len() + addresses.len() == 0 {
            return false;
        }
        // Where all are new, nobody is there to serve until their first checks have passed.
        let begin = if staying.is_empty() && others.is_empty() { checks } else { unproven };
        leaving.iter().for_each(|one| self.take_leave(one));
        for address in addresses {
            let taken = |name: &str| staying.iter().chain(&others).any(|one| one.settings.name == name);
            let name = names::called(named.host.as_deref().unwrap_or_default(), address, taken);
            tracing::info!(backend = name, %address, "a name has one more address");
            let health = self.settings.health.as_ref();
            staying.push(self.newcomer(BackendSettings { name, address, ..named.clone() }, health.map(begin)));
        }
        self.change(|backends| {
            backends.retain(|one| !leaving.iter().any(|gone| Arc::ptr_eq(gone, one)));
            backends.extend(staying.into_iter().filter(|one| !known.iter().any(|old| Arc::ptr_eq(old, one))));
        });
        true
    }

    fn newcomer(self: &Arc<Self>, settings: BackendSettings, checks: Option<Checks>) -> Arc<Backend> {
        let backend = Arc::new(Backend::newcomer(settings, checks));
        self.look_after_one(&backend);
        self.departed().retain(|name| *name != backend.settings.name);
        backend
    }

    pub(super) fn take_leave(&self, backend: &Backend) {
        backend.remove();
        tracing::info!(backend = backend.settings.name, "a backend has left its pool");
        self.departed().push(backend.settings.name.clone());
    }

    pub(super) fn dismissed(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.members.dismissed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, act: impl FnOnce(&mut Vec<Arc<Backend>>)) {
        let mut roll = self.members.roll.lock().unwrap_or_else(PoisonError::into_inner);
        let mut backends = roll.to_vec();
        act(&mut backends);
        *roll = backends.into();
        self.members.generation.fetch_add(1, Ordering::Release);
        drop(roll);
        self.tell();
    }
}

/// More than this a pool does not take, wherever they come from.
pub(crate) const MOST_BACKENDS: usize = 256;

pub(super) fn unproven(health: &HealthSettings) -> Checks {
    Checks::unproven(health.fall, health.rise)
}
