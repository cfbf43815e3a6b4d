//! Other ways to find a limit, put into the very same [`Domain`](crate::admission::Domain): same queue, same lending,
//! same ramp. What differs between two runs is the law that finds the limit, and nothing else.
//!
//! These are what Sluss's own limit had to be better than; `docs/limits-compared.md` keeps the comparison.

mod climb;
mod power;
mod slope;
mod window;
#[cfg(test)]
mod testing;

use climb::Climb;
use power::Power;
use slope::Slope;

use crate::admission::limit::Limit;
use crate::admission::settings::{LimitSettings, Range, Settings};

/// A candidate.
struct Candidate {
    /// As it is written behind `sluss:`.
    name: &'static str,
    /// Makes one that knows nothing yet.
    build: fn(&Range) -> Box<dyn Limit>,
}

const CANDIDATES: [Candidate; 3] = [
    Candidate { name: "climb", build: |range| Box::new(Climb::new(range)) },
    Candidate { name: "power", build: |range| Box::new(Power::new(range)) },
    Candidate { name: "slope", build: |range| Box::new(Slope::new(range)) },
];

/// Admission as in `settings`, but that limits are found as `name` does it; a sentence on what there is when there is no
/// such candidate. What an operator has fixed stays fixed.
pub(super) fn instead(settings: &Settings, name: &str) -> Result<Settings, String> {
    let candidate = CANDIDATES.iter().find(|candidate| candidate.name == name).ok_or_else(|| unknown(name))?;
    let mut settings = settings.clone();
    for resource in &mut settings.resources {
        if let LimitSettings::Found(range) = &resource.limit {
            resource.limit = LimitSettings::Candidate(candidate.build, range.clone());
        }
    }
    Ok(settings)
}

/// The fewest seats, those to begin with, and the most. Who has them upside down means the most.
fn bounds(range: &Range) -> [u32; 3] {
    let most = range.most.get();
    let least = range.least.get().min(most);
    [least, range.initial.get().clamp(least, most), most]
}

fn unknown(name: &str) -> String {
    let names: Vec<String> = CANDIDATES.iter().map(|candidate| format!("`sluss:{}`", candidate.name)).collect();
    format!("no candidate is named `{name}`; there is {}", names.join(", "))
}
