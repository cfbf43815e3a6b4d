//! A pool under other settings: who is there stays there, and what is known of each goes on.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::super::backend::Backend;
use super::super::settings::{BackendSettings, PoolSettings};
use super::super::tls::backends::BackendTls;
use super::{Standing, checks, of_first};
use crate::telemetry::record::UpstreamMetrics;

impl Standing {
    /// The same pool under these settings. Backends that it has stay as they are, with what was ordered about them; one of which
    /// the configuration says something else than before follows it. What is missing is missing of as many as there have
    /// been, for the limit was found with those; of as many as there are if that is `anew`, or a number that somebody wrote.
    ///
    /// Nothing of this one counts any more, and what looked after its backends has ended: whoever calls has the other one
    /// [look after](Standing::look_after) them.
    pub(crate) fn succeeded_by(
        self: &Arc<Self>,
        settings: &PoolSettings,
        anew: bool,
        metrics: Arc<UpstreamMetrics>,
    ) -> Arc<Standing> {
        let own = of_first(&settings.backends);
        let heir = Arc::new(Standing {
            members: self.members.clone(),
            told: Mutex::new(*self.told()),
            tls: settings.tls.as_ref().map(|tls| BackendTls::new(tls, settings.protocol)),
            tasks: Mutex::default(),
            heir: OnceLock::new(),
            // With fewer the limit is less; with more it is found out.
            configured: if anew { own } else { self.configured.max(own) },
            compares: AtomicBool::new(false),
            settings: settings.clone(),
            gate: self.gate.clone(),
            clock: self.clock,
            metrics,
        });
        self.retire(Arc::downgrade(&heir));
        for backend in heir.backends().iter() {
            backend.check_by(settings.health.as_ref());
            if settings.outliers.is_none() {
                backend.is_judged_no_more();
            }
        }
        heir.expects_of_fewer(self.configured);
        heir.call_up(&self.settings);
        heir
    }

    /// What was found with so many is found with fewer in proportion.
    fn expects_of_fewer(&self, before: u32) {
        let (own, resource) = (self.configured, self.settings.resource);
        if own < before {
            self.gate.with(|domain, _| {
                if let Some(knee) = domain.resources()[resource].knee() {
                    domain.recall(resource, knee * f64::from(own) / f64::from(before));
                }
            });
        }
    }

    /// Admission is told who is there, whatever it was told before: by a pool that had left, and comes back under the number
    /// that it had.
    pub(crate) fn introduce(&self) {
        self.told().part = (0, 0);
        self.tell();
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
        let (staying, others): (Vec<_>, Vec<_>) = known.iter().cloned().partition(|backend| stays(had, has, backend));
        let is_there = |settings: &BackendSettings| staying.iter().any(|one| one.settings.address == settings.address);
        let ordered_out =
            |settings: &BackendSettings| said(had, settings.address) && self.is_dismissed(settings.address);
        let mut arriving: Vec<&BackendSettings> =
            has.iter().filter(|settings| !is_there(settings) && !ordered_out(settings)).collect();
        if staying.is_empty() && arriving.is_empty() {
            tracing::warn!(pool = self.settings.name, "all that are left were removed by orders: they are back");
            arriving = has.iter().collect();
        }
        others.iter().for_each(|backend| self.take_leave(backend));
        for backend in &staying {
            follow(backend, named(had, backend), named(has, backend));
        }
        let arrives = |settings: &BackendSettings| {
            let backend = self.arrives(settings.clone(), staying.is_empty());
            if let Some(was) = others.iter().find(|other| other.settings.address == settings.address) {
                backend.is_ordered_like(was, named(had, was).map(|old| old.weight));
            }
            backend
        };
        let newcomers: Vec<Arc<Backend>> = arriving.into_iter().map(arrives).collect();
        self.change(|backends| {
            backends.retain(|one| !others.iter().any(|gone| Arc::ptr_eq(gone, one)));
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
}

/// Whether a backend stays as it is. One for whose address another name is written leaves, and comes by that name: by it
/// its certificate is checked, orders are given, and addresses are looked up.
fn stays(had: &[BackendSettings], has: &[BackendSettings], backend: &Backend) -> bool {
    let own = &backend.settings;
    match has.iter().find(|one| one.address == own.address) {
        Some(one) => one.host == own.host && (one.host.is_some() || one.name == own.name),
        // Whether a name still has that address, the next lookup tells; what nobody ever wrote came by an order.
        None => has.iter().any(|one| one.is_of(own)) || named(had, backend).is_none(),
    }
}

/// What the configuration says anew of a backend that stays; what it says again is no news.
fn follow(backend: &Backend, before: Option<&BackendSettings>, now: Option<&BackendSettings>) {
    let Some(now) = now else { return };
    if before.is_some_and(|before| before.weight != now.weight) {
        backend.set_weight(now.weight);
    }
    backend.set_priority(now.priority);
}

/// What `settings` say of a backend: under its address, or under the name that it was found by.
fn named<'a>(settings: &'a [BackendSettings], backend: &Backend) -> Option<&'a BackendSettings> {
    let own = &backend.settings;
    settings.iter().find(|one| one.is_at_or_of(own))
}

fn said(settings: &[BackendSettings], address: SocketAddr) -> bool {
    settings.iter().any(|one| one.address == address)
}
