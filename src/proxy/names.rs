//! Backends that are known by name: the name is looked up again and again, off the workers' threads.
//!
//! Each address of a name is a backend. A lookup that fails, or finds nothing, keeps the last known ones: a resolver that
//! is down must not take the backends with it.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::settings::BackendSettings;
use super::standing::Standing;
use crate::admission::random::Random;

/// Finds the addresses of a host. It may take its time: it is never asked on a thread that serves.
#[derive(Clone)]
pub struct Resolver(Arc<LookUp>);

type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// What a lookup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedUp {
    /// The addresses that were known.
    Same,
    /// Others.
    Changed,
    /// Nothing, so those that were known stay.
    Failed,
}

impl Resolver {
    /// One that finds what `look_up` does.
    pub fn new(look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Resolver {
        Resolver(Arc::new(look_up))
    }

    /// That of this machine: `/etc/hosts`, DNS, whatever it is set up to ask.
    pub fn of_this_machine() -> Resolver {
        Resolver::new(|host| Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    /// Every address of `host` that counts, at least one: those of the family that comes first, for one that has both kinds
    /// is the same machine twice.
    ///
    /// # Errors
    /// When it has none, or that cannot be found out.
    pub fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut found = (self.0)(host)?;
        let first = *found.first().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "it has no address"))?;
        let mut seen = BTreeSet::new();
        found.retain(|address| address.is_ipv4() == first.is_ipv4() && seen.insert(*address));
        Ok(found)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl LookedUp {
    /// All of them.
    pub const ALL: [LookedUp; 3] = [LookedUp::Same, LookedUp::Changed, LookedUp::Failed];

    /// In metrics.
    pub const fn name(self) -> &'static str {
        match self {
            LookedUp::Same => "same",
            LookedUp::Changed => "changed",
            LookedUp::Failed => "failed",
        }
    }
}

/// Look one name up for ever.
pub(super) async fn keep_looking_up(standing: Arc<Standing>, named: BackendSettings) {
    let Some(host) = named.host.clone() else { return };
    let every = standing.settings.resolve;
    let mut random = Random::new(standing.clock.now().since_start().as_nanos() as u64);
    let mut failing = false;
    loop {
        sleep(random.between(every * 9 / 10, every * 11 / 10)).await;
        let (resolver, asked) = (standing.settings.resolver.clone(), host.clone());
        let found = tokio::task::spawn_blocking(move || resolver.look_up(&asked)).await;
        let looked_up = match found.unwrap_or_else(|_| Err(io::Error::other("the lookup panicked"))) {
            Ok(addresses) => {
                let port = named.address.port();
                let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
                let changed = standing.is_at(&named, addresses);
                if changed { LookedUp::Changed } else { LookedUp::Same }
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(host, %error, "a name cannot be looked up: its last known backends stay");
                }
                LookedUp::Failed
            }
        };
        if failing && looked_up != LookedUp::Failed {
            tracing::info!(host, "a name can be looked up again");
        }
        failing = looked_up == LookedUp::Failed;
        standing.metrics.looked_up(looked_up);
    }
}

/// What a backend is called: as its name was written, and with its address where others of that name are there.
pub(crate) fn called(host: &str, address: SocketAddr, taken: impl Fn(&str) -> bool) -> String {
    let plain = format!("{host}:{}", address.port());
    if taken(&plain) { format!("{plain}@{}", address.ip()) } else { plain }
}

/// From one lookup to the next, unless it is said: the TTL of most names that move.
pub(crate) const USUAL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_with_addresses_of_both_kinds_those_of_the_first_count_once() {
        let addresses = ["10.0.0.2", "::1", "10.0.0.1", "10.0.0.2"].map(|text| text.parse().expect("an address"));
        let resolver = Resolver::new(move |_| Ok(addresses.to_vec()));
        let found: Vec<String> = resolver.look_up("a").expect("three").iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["10.0.0.2", "10.0.0.1"]);
        assert!(Resolver::new(|_| Ok(Vec::new())).look_up("a").is_err());
    }
}
