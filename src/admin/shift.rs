//! Moving a product's share from one of its sites to another: orders, what is told of it, and what a restart knows.
//!
//! What moves when is decided in [`admission`](crate::admission::shift); here is who asked for it and why, and each
//! step is written down, so that a restart begins with the shares as they stood. A shift itself does not survive one:
//! whoever watched it may be gone, and what it had learned is. The share stays where it was, and a sentence says so.

use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;
use serde::{Deserialize, Serialize};

use super::control::{Control, Said};
use super::orders::{Mistake, somebody, unknown};
use crate::admission::domain::{NoShift, Share, ShiftOrder};
use crate::admission::shift::{End, Hold, Plan};
use crate::admission::{self, Domain, Event};
use crate::journal::{Journal, Memory, Record, ShareWord};
use crate::proxy::admit::Gate;
use crate::proxy::settings::{DomainSettings, ProductSettings, SiteSettings};
use crate::proxy::shared::Shared;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// An order about a product's shares as it comes over the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftRequest {
    /// Whose.
    pub product: String,
    /// What to do.
    pub order: ShiftName,
    /// To begin: the site that gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To begin: the site that receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The share the receiving site is to have, in per cent; without it, all that both have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u32>,
    /// By how many per cent at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// How long each step is watched, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// At once and unwatched.
    #[serde(default)]
    pub now: bool,
    /// Why; never empty.
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// What can be ordered of a product's shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShiftName {
    /// Begin to move.
    Begin,
    /// Stay where it is.
    Stop,
    /// Go back to where the last shift began.
    Back,
}

/// What an order about shares came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shifted {
    /// Whose.
    pub product: String,
    /// The shares now.
    pub sites: Vec<SiteStatus>,
    /// What is under way.
    pub shift: Option<ShiftStatus>,
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteStatus {
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// Of what is let through, in per cent.
    pub share: u32,
    /// Whether that is the most it may have as well.
    pub bounded: bool,
}

/// A share on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftStatus {
    /// The site that gives.
    pub from: String,
    /// The site that receives.
    pub to: String,
    /// The share it has now, in per cent.
    pub share: u32,
    /// The share it is to have.
    pub target: u32,
    /// What it waits for: `watching`, `too_few_answers`, `warming`, `stepped_back`, `giver_gone` or `both_fail`.
    pub state: String,
    /// What the receiving site suffered from, where it has stepped back.
    pub ill: Option<String>,
    /// Steps back so far.
    pub backs: u32,
}

impl ShiftStatus {
    /// What is under way, as people read it.
    pub fn sentence(&self) -> String {
        let why = match (self.state.as_str(), self.ill.as_deref()) {
            ("watching", _) => "the step is being watched".to_owned(),
            ("too_few_answers", _) => "it waits: too few answers to tell".to_owned(),
            ("warming", _) => "it waits: the limit there is still being found".to_owned(),
            ("stepped_back", Some(ill)) => format!("it stepped back: {}", ill_in_words(ill)),
            ("giver_gone", _) => format!("it waits: no backend of {} is there", self.from),
            ("both_fail", _) => "it waits: most answers of both fail".to_owned(),
            (other, _) => other.to_owned(),
        };
        let ShiftStatus { from, to, share, target, .. } = self;
        format!("{from} to {to}: {share} % of {target} %, {why}")
    }
}

fn ill_in_words(ill: &str) -> &str {
    match ill {
        "faults" => "more faults there",
        "late" => "late answers there",
        "full" => "no seats there for its share",
        "limit_cut" => "the limit there was cut",
        "goodput" => "fewer were served in all",
        "gone" => "no backend is there",
        other => other,
    }
}

/// What a step is where nothing else is said.
const STEP: u32 = 5;
/// How long it is watched.
const EVERY: Duration = Duration::from_secs(30);
/// In less, an answer or two would decide; in more, nobody would stay to see.
const PACES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

impl Control {
    /// Carry out an order about a product's shares.
    ///
    /// # Errors
    /// When it names nothing known or is unclear, nothing was changed; when only the journal failed, it says so.
    pub async fn order_shift(&self, request: &ShiftRequest) -> Result<Shifted, Mistake> {
        if request.reason.trim().is_empty() {
            return Err(Mistake::Unclear("an order needs a reason: it is logged with who gave it".into()));
        }
        let shared = self.shared();
        let settings = shared.settings.products.iter().find(|product| product.name == request.product);
        let settings = settings.ok_or_else(|| Mistake::Unknown(self.unknown_product(&request.product)))?;
        if settings.sites.is_empty() {
            return Err(Mistake::Unclear(format!(
                "`{}` is served at one site: write [[product.site]] in the configuration to have more",
                settings.name
            )));
        }
        let gate = &shared.gates[settings.domain];
        let order = shift_order(gate, settings, request)?;
        gate.with(|domain, now| domain.shift(settings.id, order, now)).map_err(|no| wrong(settings, request, no))?;
        // Somebody has looked at it, whatever they decided.
        self.settle(&matter(&settings.name));
        let shifted = gate.with(|domain, _| Shifted {
            product: settings.name.clone(),
            sites: site_statuses(&shared, settings, domain),
            shift: shift_status(settings, domain),
        });
        self.write_down_shift(request, &shifted).await?;
        Ok(shifted)
    }

    async fn write_down_shift(&self, request: &ShiftRequest, shifted: &Shifted) -> Result<(), Mistake> {
        let ShiftRequest { product, who, reason, .. } = request;
        let order = match request.order {
            ShiftName::Begin if request.now => "shift now",
            ShiftName::Begin => "shift",
            ShiftName::Stop => "stop shift",
            ShiftName::Back => "shift back",
        };
        let shares = in_words(&shifted.sites);
        tracing::warn!(order, product, shares, who, reason, "order");
        let said = Said { order: order.into(), who: who.clone(), reason: reason.clone(), at: jiff::Timestamp::now() };
        self.matters().last.insert(product.clone(), said);
        let (scope, who, reason) = (product.clone(), who.clone(), reason.clone());
        self.keep(Record::Order { order: order.into(), scope, who, reason }).await
    }

    /// The gauges of a product's sites.
    pub(super) fn sample_shares(&self, settings: &ProductSettings, domain: &Domain) {
        let shift = domain.shift_of(settings.id);
        for (place, (site, share)) in settings.sites.iter().zip(domain.shares(settings.id)).enumerate() {
            let labels = [settings.name.as_str(), site.name.as_str()];
            self.registry.gauge(names::SHARE, &labels).set(f64::from(share.share));
            let here = shift.filter(|shift| usize::from(shift.plan().to) == place);
            let is = here.map_or(NOTHING, |shift| shift.hold().name());
            for state in Hold::NAMES.into_iter().chain([NOTHING]) {
                let gauge = self.registry.gauge(names::SHIFT, &[labels[0], labels[1], state]);
                gauge.set(f64::from(u8::from(state == is)));
            }
        }
    }

    /// Say in the log what became of a shift, and raise an alarm where a person should look.
    pub(crate) fn tell_shift(&self, product: &str, event: Event) {
        let shared = self.shared();
        let Some(settings) = shared.settings.products.iter().find(|known| known.name == product) else { return };
        let sites = &settings.sites;
        let name = |site: u8| sites.get(usize::from(site)).map_or("", |site| site.name.as_str());
        match event {
            Event::ShareMoved { to: (site, to), before, ill: Some(ill), .. } => {
                let (site, why) = (name(site), ill_in_words(ill.name()));
                tracing::warn!(product, site, from = before, to, why, "the share stepped back");
            }
            Event::ShareMoved { to: (site, to), before, .. } => {
                tracing::info!(product, site = name(site), from = before, to, "the share moved");
            }
            Event::ShiftEnded { site, share, end: End::GaveUp(ill), .. } => {
                let (site, why) = (name(site), ill_in_words(ill.name()));
                let text = format!(
                    "the shift of {product} to {site} gave up and stays at {share} %: {why}. Look at {site}, then shift \
                     again, or go back to where it began (`sluss shift {product} --back`)"
                );
                tracing::error!("ALARM: {text}");
                self.raise(&matter(product), text);
            }
            Event::ShiftEnded { site, share, end, .. } => {
                tracing::info!(product, site = name(site), share, end = end.name(), "the shift is over");
            }
            _ => {}
        }
    }

    /// The shares as they stood before the restart, as far as the configuration has said nothing else since.
    pub(super) fn restore_shares(&self, memory: &Memory) {
        let shared = self.shared();
        for (product, sites) in &memory.shares {
            let Some(settings) = shared.settings.products.iter().find(|known| known.name == *product) else { continue };
            let word = |site: &SiteSettings| {
                // One that nobody has shifted is as it is configured.
                let usual = ShareWord { share: site.share, bounded: false, configured: site.share };
                let word = sites.get(&site.name).copied().unwrap_or(usual);
                (word.configured == site.share).then_some((word.share, word.bounded))
            };
            let words: Option<Vec<(u32, bool)>> = settings.sites.iter().map(word).collect();
            let (gate, id) = (&shared.gates[settings.domain], settings.id);
            let restored = words.is_some_and(|words| gate.with(|domain, _| domain.restore_shares(id, &words)));
            if !restored {
                tracing::info!(product, "the configuration of its sites has changed since a shift: that is forgotten");
                continue;
            }
            let shares = in_words(&gate.with(|domain, _| site_statuses(&shared, settings, domain)));
            tracing::warn!(product, shares, "shares as they stood before the restart");
            if memory.shifts.contains(product) {
                self.journal.note(Record::Shift { product: product.clone(), under_way: false });
                tracing::warn!(product, "a shift was under way before the restart: it is stopped, begin it again");
            }
        }
    }
}

/// What becomes of the events of one product's shifts under the domain's lock: lines in the journal and counts.
#[derive(Clone)]
pub(crate) struct ShiftNotes {
    sites: Arc<[Noted]>,
}

struct Noted {
    name: String,
    configured: u32,
    steps: [Counter; STEPS.len()],
}

const STEPS: [&str; 6] = ["forward", "back", "arrived", "stopped", "taken_back", "gave_up"];

impl ShiftNotes {
    /// Of a product by its place in its domain.
    pub(crate) fn new(domain: &DomainSettings, index: usize, registry: &Registry) -> ShiftNotes {
        let product = &domain.products[index];
        let noted = |(site, name): (&admission::settings::SiteSettings, &String)| Noted {
            name: name.clone(),
            configured: site.share,
            steps: STEPS.map(|step| registry.counter(names::SHIFT_STEPS, &[&product.name, name, step])),
        };
        ShiftNotes { sites: domain.admission.products[index].sites.iter().zip(&product.sites).map(noted).collect() }
    }

    pub(crate) fn note(&self, product: &str, event: Event, journal: &Journal) {
        let sites = &self.sites;
        let share = |(site, share): (u8, u32), bounded: bool| {
            let Some(noted) = sites.get(usize::from(site)) else { return };
            let word = ShareWord { share, bounded, configured: noted.configured };
            journal.note(Record::Share { product: product.to_owned(), site: noted.name.clone(), word });
        };
        let count = |site: u8, step: &str| {
            let counter = STEPS.iter().position(|name| *name == step).zip(sites.get(usize::from(site)));
            if let Some((step, noted)) = counter {
                noted.steps[step].increment(1);
            }
        };
        match event {
            Event::ShareMoved { from, to, before, bounded, .. } => {
                share(from, false);
                share(to, bounded);
                count(to.0, if to.1 < before { "back" } else { "forward" });
                journal.note(Record::Shift { product: product.to_owned(), under_way: true });
            }
            Event::ShiftEnded { site, share: now, bounded, end, .. } => {
                share((site, now), bounded);
                count(site, end.name());
                journal.note(Record::Shift { product: product.to_owned(), under_way: false });
            }
            _ => {}
        }
    }
}

fn shift_order(gate: &Arc<Gate>, settings: &ProductSettings, request: &ShiftRequest) -> Result<ShiftOrder, Mistake> {
    match request.order {
        ShiftName::Stop => return Ok(ShiftOrder::Stop),
        ShiftName::Back => return Ok(ShiftOrder::Back),
        ShiftName::Begin => {}
    }
    let (from, to) = (site(settings, &request.from, "from")?, site(settings, &request.to, "to")?);
    let every = request.every_ms.map_or(EVERY, Duration::from_millis);
    if !PACES.contains(&every) {
        return Err(Mistake::Unclear("each step is watched for 1s to 3600s; nothing was changed".into()));
    }
    let both = gate.with(|domain, _| {
        let shares: Vec<u32> = domain.shares(settings.id).map(|site| site.share).collect();
        shares[from] + shares[to]
    });
    Ok(ShiftOrder::Begin(Plan {
        from: from as u8,
        to: to as u8,
        share: request.share.unwrap_or(both),
        step: request.step.unwrap_or(STEP),
        every,
        now: request.now,
    }))
}

pub(super) fn site_statuses(shared: &Shared, settings: &ProductSettings, domain: &Domain) -> Vec<SiteStatus> {
    let sites = settings.sites.iter().zip(domain.shares(settings.id));
    let site = |(site, share): (&SiteSettings, Share)| SiteStatus {
        name: site.name.clone(),
        pool: shared.settings.pools[site.pool].name.clone(),
        share: share.share,
        bounded: share.bounded,
    };
    sites.map(site).collect()
}

pub(super) fn shift_status(settings: &ProductSettings, domain: &Domain) -> Option<ShiftStatus> {
    let shift = domain.shift_of(settings.id)?;
    let name = |site: u8| settings.sites[usize::from(site)].name.clone();
    let ill = if let Hold::SteppedBack(ill) = shift.hold() { Some(ill.name().to_owned()) } else { None };
    Some(ShiftStatus {
        from: name(shift.plan().from),
        to: name(shift.plan().to),
        share: shift.share(),
        target: shift.plan().share,
        state: shift.hold().name().into(),
        ill,
        backs: shift.backs(),
    })
}

fn site(settings: &ProductSettings, name: &Option<String>, key: &str) -> Result<usize, Mistake> {
    let names: Vec<&str> = settings.sites.iter().map(|site| site.name.as_str()).collect();
    let Some(name) = name else {
        let known = names.join(", ");
        return Err(Mistake::Unclear(format!("say with `{key}` which site, one of {known}; nothing was changed")));
    };
    names.iter().position(|known| known == name).ok_or_else(|| Mistake::Unknown(unknown("site", name, &names)))
}

/// Why it was not done, and what to say instead.
fn wrong(settings: &ProductSettings, request: &ShiftRequest, no: NoShift) -> Mistake {
    let product = &settings.name;
    let to = request.to.as_deref().unwrap_or_default();
    Mistake::Unclear(match no {
        NoShift::NoSuchSite => format!("`{product}` has no such site; nothing was changed"),
        NoShift::SameSite => format!("`{to}` cannot give to itself; nothing was changed"),
        NoShift::NothingToMove => {
            format!("`{to}` has as much already: to take from it, name it with `from`; nothing was changed")
        }
        NoShift::TooMuch => "the two sites have not so much together; nothing was changed".into(),
        NoShift::NoStep => "a step is 1 to 100 per cent; nothing was changed".into(),
        NoShift::UnderWay => format!(
            "a shift of `{product}` is under way: stop it first (`sluss shift {product} --stop`); nothing was changed"
        ),
        NoShift::NotUnderWay if request.order == ShiftName::Back => format!(
            "where a shift of `{product}` began is not known, as there was none since this process started: begin one the \
             other way (`sluss shift {product} --from … --to … --now`); nothing was changed"
        ),
        NoShift::NotUnderWay => format!("no shift of `{product}` is there to be ended; nothing was changed"),
    })
}

fn in_words(sites: &[SiteStatus]) -> String {
    let one = |site: &SiteStatus| format!("{} {} %", site.name, site.share);
    sites.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What an alarm about a product's shift is filed under.
fn matter(product: &str) -> String {
    format!("shift of {product}")
}

/// The state of a site that nothing moves to.
const NOTHING: &str = "none";
