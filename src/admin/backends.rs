//! Orders about backends: another weight, out of use and back, one more, one less.

mod kept;

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::control::{Control, Said};
use super::orders::{Applied, Mistake, somebody, unknown};
use crate::config::backends::{MOST_PRIORITY, MOST_WEIGHT, is_own, split_url};
use crate::journal::Record;
use crate::proxy::backend::Backend;
use crate::proxy::settings::BackendSettings;
use crate::proxy::standing::{MOST_BACKENDS, Standing};
pub(super) use kept::Words;

/// An order about a backend as it comes over the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendRequest {
    /// What to do.
    pub order: BackendOrder,
    /// `host:port`, as `sluss status` shows it; for `add` also a URL.
    pub backend: String,
    /// For `add`: a product of the pool, or the pool as the status shows it: `horse-racing/malmo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// For `weight` and `add`: its share beside others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// For `add`: its level; 0, those that serve first, when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Why; never empty.
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// What can be ordered of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendOrder {
    /// Another share beside others.
    Weight,
    /// Nobody new is sent there; what is under way goes on.
    Drain,
    /// In use again.
    Restore,
    /// One more.
    Add,
    /// One less.
    Remove,
}

impl BackendOrder {
    const fn word(self) -> &'static str {
        match self {
            BackendOrder::Weight => "backend weight",
            BackendOrder::Drain => "backend drain",
            BackendOrder::Restore => "backend restore",
            BackendOrder::Add => "backend add",
            BackendOrder::Remove => "backend remove",
        }
    }
}

impl Control {
    /// Carry out an order about a backend.
    ///
    /// # Errors
    /// As for [`order`](Control::order).
    pub async fn order_backend(&self, request: &BackendRequest) -> Result<Applied, Mistake> {
        if request.reason.trim().is_empty() {
            return Err(Mistake::Unclear("an order needs a reason: it is logged with who gave it".into()));
        }
        let (weight, priority) = (self.weight_of(request)?, priority_of(request)?);
        let newcomer = match request.order {
            BackendOrder::Add => Some(look_up(&request.backend, (weight.unwrap_or(1), priority)).await?),
            _ => None,
        };
        let applied = self.carry_out(request, weight, newcomer)?;
        let BackendRequest { order, who, reason, .. } = request;
        let (scope, state) = (applied.scope.clone(), &applied.state);
        tracing::warn!(order = order.word(), scope, state, who, reason, "order");
        let order = Record::Order { order: order.word().into(), scope, who: who.clone(), reason: reason.clone() };
        // The backend's own record went first.
        self.keep(order).await?;
        Ok(applied)
    }

    fn weight_of(&self, request: &BackendRequest) -> Result<Option<u32>, Mistake> {
        let unclear = |text: String| Err(Mistake::Unclear(text));
        match (request.order, request.weight) {
            (BackendOrder::Weight, None) => unclear(format!("say which weight, from 1 to {MOST_WEIGHT}")),
            (BackendOrder::Weight | BackendOrder::Add, Some(weight)) if !(1..=MOST_WEIGHT).contains(&weight) => {
                unclear(format!("a weight is a number from 1 to {MOST_WEIGHT}; to send nobody there, drain it"))
            }
            (BackendOrder::Weight | BackendOrder::Add, weight) => Ok(weight),
            (_, Some(_)) => unclear("a weight goes with the orders `weight` and `add` only".into()),
            (_, None) => Ok(None),
        }
    }

    /// Do it, and note what counts since. One order after the other: the journal's last word is the last state.
    fn carry_out(
        &self,
        request: &BackendRequest,
        weight: Option<u32>,
        newcomer: Option<BackendSettings>,
    ) -> Result<Applied, Mistake> {
        let mut matters = self.matters();
        let (standing, backend, changed) = match newcomer {
            Some(settings) => self.add_backend(request, settings)?,
            None => self.change_backend(request, weight, &matters.backends)?,
        };
        let member = request.order != BackendOrder::Remove;
        let name = backend.settings.name.clone();
        let state = match member {
            true => format!("{}, weight {}", standing.presence(&backend).name(), backend.weight()),
            false => "removed".to_owned(),
        };
        self.keep_word(&mut matters.backends, &name, kept::word(&standing, &backend, member));
        let BackendRequest { order, who, reason, .. } = request;
        let said =
            Said { order: order.word().into(), who: who.clone(), reason: reason.clone(), at: jiff::Timestamp::now() };
        matters.last.insert(name.clone(), said);
        Ok(Applied { scope: name, state, changed })
    }

    fn change_backend(
        &self,
        request: &BackendRequest,
        weight: Option<u32>,
        words: &Words,
    ) -> Result<(Arc<Standing>, Arc<Backend>, bool), Mistake> {
        if request.product.is_some() {
            return Err(Mistake::Unclear("only `add` needs a product: a backend belongs to one pool".into()));
        }
        let named = |standing: &Arc<Standing>| Some((standing.clone(), standing.named(&request.backend)?));
        let known = self.shared().standings.iter().find_map(named);
        let removed = words.get(&request.backend).filter(|word| !word.member).map(|word| word.address);
        let (standing, backend) = known.ok_or_else(|| self.unknown_backend(&request.backend, removed))?;
        let changed = match request.order {
            BackendOrder::Drain => standing.drain(&backend, true),
            BackendOrder::Restore => standing.drain(&backend, false),
            BackendOrder::Weight | BackendOrder::Add => standing.weigh(&backend, weight.unwrap_or(1)),
            BackendOrder::Remove if standing.backends().len() == 1 => {
                return Err(Mistake::Unclear(format!(
                    "{} is the last backend of its pool: add another first, or drain it",
                    request.backend
                )));
            }
            BackendOrder::Remove => {
                standing.remove(&backend);
                true
            }
        };
        Ok((standing, backend, changed))
    }

    fn add_backend(
        &self,
        request: &BackendRequest,
        settings: BackendSettings,
    ) -> Result<(Arc<Standing>, Arc<Backend>, bool), Mistake> {
        let unclear = |text: String| Err(Mistake::Unclear(text));
        let Some(product) = request.product.as_deref() else {
            return unclear("say to which product's pool it is added".into());
        };
        let standing = self.pool_named(product)?;
        let (name, address) = (settings.name.clone(), settings.address);
        let shared = self.shared();
        // Without a scheme it is spoken to as the others are.
        let (written, secure) = (&request.backend, standing.tls.is_some());
        if written.contains("://") && written.starts_with("https://") != secure {
            let scheme = if secure { "https" } else { "http" };
            return unclear(format!("the backends of {product} are all {scheme}://; nothing was changed"));
        }
        for other in &shared.standings {
            if other.at(address).or_else(|| other.named(&name)).is_some() {
                let pool = other.pool();
                return unclear(format!("{name} is a backend of the pool `{pool}` already; nothing was changed"));
            }
        }
        if standing.backends().len() >= MOST_BACKENDS {
            return unclear(format!("a pool takes at most {MOST_BACKENDS} backends; remove one first"));
        }
        if is_own(self.shared().settings.listen.address, address) {
            return unclear(format!("{name} is Sluss itself, where it listens for clients; nothing was changed"));
        }
        standing.add(settings);
        let backend = standing.named(&name).ok_or_else(|| self.unknown_backend(&name, None))?;
        Ok((standing, backend, true))
    }

    /// The pool of this product, of its first site where it has several; or the pool that the status shows by this name.
    fn pool_named(&self, name: &str) -> Result<Arc<Standing>, Mistake> {
        let shared = self.shared();
        let of_product = self.product_named(name).map(|index| shared.settings.products[index].pool);
        let named = of_product.or_else(|| shared.standings.iter().position(|standing| standing.pool() == name));
        let pool = named.ok_or_else(|| Mistake::Unknown(self.unknown_product(name)))?;
        Ok(shared.standings[pool].clone())
    }

    /// `removed` is where it was, when an order has removed it.
    fn unknown_backend(&self, name: &str, removed: Option<SocketAddr>) -> Mistake {
        let all: Vec<_> = self.shared().standings.iter().flat_map(|standing| standing.backends().to_vec()).collect();
        let names: Vec<&str> = all.iter().map(|backend| backend.settings.name.as_str()).collect();
        if let Some(address) = removed {
            // Of one address of several that a name has, only the address says which.
            let again = if name.contains('@') { address.to_string() } else { name.to_owned() };
            let text = format!(
                "{name} was removed by an order; nothing was changed. To have it again: sluss backend add {again} --product …"
            );
            return Mistake::Unknown(text);
        }
        Mistake::Unknown(unknown("backend", name, &names))
    }
}

fn priority_of(request: &BackendRequest) -> Result<u32, Mistake> {
    match (request.order, request.priority) {
        (BackendOrder::Add, Some(priority)) if priority > MOST_PRIORITY => Err(Mistake::Unclear(format!(
            "a priority is a number from 0, for those that serve first, to {MOST_PRIORITY}"
        ))),
        (BackendOrder::Add, priority) => Ok(priority.unwrap_or(0)),
        (_, None) => Ok(0),
        (_, Some(_)) => Err(Mistake::Unclear("a priority goes with the order `add` only".into())),
    }
}

/// A backend as it is written in an order, found.
async fn look_up(written: &str, (weight, priority): (u32, u32)) -> Result<BackendSettings, Mistake> {
    let url = if written.contains("://") { written.to_owned() } else { format!("http://{written}") };
    let (host, port) =
        split_url(&url).map_err(|(what, help)| Mistake::Unclear(format!("`{written}` {what}: {help}")))?;
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let first: Option<SocketAddr> = found.map_err(|error| nowhere(host, &error.to_string()))?.next();
    let address = first.ok_or_else(|| nowhere(host, "it has no address"))?;
    if address.ip().is_unspecified() {
        return Err(Mistake::Unclear(format!("nobody can be reached at {}; nothing was changed", address.ip())));
    }
    Ok(BackendSettings { name: format!("{host}:{port}"), address, weight, priority, host: None })
}

fn nowhere(host: &str, why: &str) -> Mistake {
    Mistake::Unclear(format!("the host `{host}` cannot be found: {why}; nothing was changed"))
}
