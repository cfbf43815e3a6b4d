//! A pool under other settings: who is there stays there, and what is known of each goes on.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::super::backend::Backend;
use super::super::settings::{BackendSettings, PoolSettings};
use super::super::tls::backends::BackendTls;
use super::members::is_of;
use super::{Standing, checks, of_first};

impl Standing {
    /// The same pool under these settings. Backends that it has stay as they are, with what was ordered about them; one of which
    /// the configuration says something else than before follows it. Nothing of this one counts any more, and what looked
    /// after its backends has ended: whoever calls has the other one [look after](Standing::look_after) them.
    pub(crate) fn succeeded_by(self: &Arc<Self>, settings: &PoolSettings) -> Arc<Standing> {
        let heir = Arc::new(Standing {
            members: self.members.clone(),
            told: Mutex::new(*self.told()),
            tls: settings.tls.as_ref().map(|tls| BackendTls::new(tls, settings.protocol)),
            tasks: Mutex::default(),
            heir: OnceLock::new(),
            // With fewer the limit is less; with more it is found out.
            configured: self.configured.max(of_first(&settings.backends)),
            compares: AtomicBool::new(false),
            settings: settings.clone(),
            gate: self.gate.clone(),
            clock: self.clock,
            metrics: self.metrics.clone(),
        });
        self.retire(Arc::downgrade(&heir));
        for backend in heir.backends().iter() {
            backend.check_by(settings.health.as_ref());
        }
        heir.call_up(&self.settings);
        heir
    }

    /// Nothing of it counts any more: another one speaks for the pool, or nobody.
    pub(crate) fn retire(&self, heir: Weak<Standing>) {
        // Whoever has an heir already keeps it.
        let _ = self.heir.set(heir);
        self.tasks().drain(..).for_each(|task| task.abort());
    }

    /// Whether both are the same pool, under whichever settings.
    pub(crate) fn is_kin(&self, other: &Standing) -> bool {
        Arc::ptr_eq(&self.members, &other.members)
    }

    /// Those that the settings name and did not `before` come, and those that they do not name any more leave.
    fn call_up(&self, before: &PoolSettings) {
        let (had, has) = (&before.backends, &self.settings.backends);
        let known = self.backends();
        let leaves = |backend: &Arc<Backend>| named(had, backend).is_some() && named(has, backend).is_none();
        let leaving: Vec<Arc<Backend>> = known.iter().filter(|backend| leaves(backend)).cloned().collect();
        let is_new = |settings: &&BackendSettings| {
            let is_there = known.iter().any(|backend| backend.settings.address == settings.address);
            let ordered_out = said(had, settings.address) && self.is_dismissed(settings.address);
            !is_there && !ordered_out
        };
        let arriving: Vec<&BackendSettings> = has.iter().filter(is_new).collect();
        let all_are_new = leaving.len() == known.len();
        leaving.iter().for_each(|backend| self.take_leave(backend));
        for backend in known.iter() {
            let (old, new) = (named(had, backend), named(has, backend));
            if let (Some(old), Some(new)) = (old, new)
                && old.weight != new.weight
            {
                backend.set_weight(new.weight);
            }
            if let Some(new) = new {
                backend.set_priority(new.priority);
            }
        }
        let newcomers: Vec<Arc<Backend>> =
            arriving.into_iter().map(|settings| self.arrives(settings.clone(), all_are_new)).collect();
        self.change(|backends| {
            backends.retain(|one| !leaving.iter().any(|gone| Arc::ptr_eq(gone, one)));
            backends.extend(newcomers);
        });
    }

    /// Where all are new, nobody is there to serve until their first checks have passed.
    fn arrives(&self, settings: BackendSettings, all_are_new: bool) -> Arc<Backend> {
        self.dismissed().remove(&settings.address);
        self.departed().retain(|name| *name != settings.name);
        tracing::info!(backend = settings.name, "a backend belongs to its pool from now on");
        let health = self.settings.health.as_ref();
        Arc::new(match all_are_new {
            true => Backend::new(settings, health.map(checks)),
            false => Backend::newcomer(settings, health.map(super::members::unproven)),
        })
    }

    fn is_dismissed(&self, address: SocketAddr) -> bool {
        self.dismissed().contains(&address)
    }
}

/// What `settings` say of a backend: under its address, or under the name that it was found by.
fn named<'a>(settings: &'a [BackendSettings], backend: &Backend) -> Option<&'a BackendSettings> {
    let own = &backend.settings;
    settings.iter().find(|one| one.address == own.address || is_of(one, own))
}

fn said(settings: &[BackendSettings], address: SocketAddr) -> bool {
    settings.iter().any(|one| one.address == address)
}
