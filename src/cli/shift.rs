//! Moving a product's share from one of its sites to another.

use std::time::Duration;

use clap::Args;

use super::operate::{client, read, wait};
use super::{To, table};
use crate::admin::shift::{ShiftName, ShiftRequest, ShiftStatus, Shifted};
use crate::admin::status::Status;
use crate::config::units;

/// `sluss shift`.
#[derive(Debug, Args)]
pub(super) struct ShiftArgs {
    /// The product; without one, every product with several sites is shown
    product: Option<String>,
    /// The site that gives
    #[arg(long, value_name = "SITE", requires_all = ["product", "to", "reason"])]
    from: Option<String>,
    /// The site that receives
    #[arg(long, value_name = "SITE", requires = "from")]
    to: Option<String>,
    /// The share the receiving site is to have, in per cent; without it, all that both have
    #[arg(long, value_name = "N%", value_parser = per_cent, requires = "to")]
    share: Option<u32>,
    /// By how many per cent at a time; 5 when nothing is said
    #[arg(long, value_name = "N%", value_parser = per_cent, requires = "to")]
    step: Option<u32>,
    /// How long each step is watched; 30s when nothing is said
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "to")]
    every: Option<Duration>,
    /// At once and unwatched: for when the giving site is dead
    #[arg(long, requires = "to", conflicts_with_all = ["step", "every"])]
    now: bool,
    /// Stay where it is
    #[arg(long, requires_all = ["product", "reason"], conflicts_with_all = ["from", "back"])]
    stop: bool,
    /// Go back, at once, to where the last shift began
    #[arg(long, requires_all = ["product", "reason"], conflicts_with = "from")]
    back: bool,
    /// Why: one sentence for those who read the log tomorrow
    #[arg(long, requires = "product")]
    reason: Option<String>,
    /// Who gives the order
    #[arg(long, env = "USER", default_value = "unknown")]
    who: String,
    #[command(flatten)]
    proxy: To,
}

pub(super) fn run(args: ShiftArgs) -> Result<(), String> {
    let begins = args.from.is_some();
    let Some(product) = args.product.clone().filter(|_| begins || args.stop || args.back) else {
        return look(&args.proxy, args.product.as_deref());
    };
    let order = match (args.stop, args.back) {
        (true, _) => ShiftName::Stop,
        (_, true) => ShiftName::Back,
        _ => ShiftName::Begin,
    };
    let request = ShiftRequest {
        product,
        order,
        from: args.from,
        to: args.to,
        share: args.share,
        step: args.step,
        every_ms: args.every.map(|every| every.as_millis() as u64),
        now: args.now,
        reason: args.reason.unwrap_or_default(),
        who: args.who,
    };
    let shifted: Shifted = read(wait(client(&args.proxy).post("/api/v1/shift", &request))?)?;
    println!("{}: {}", shifted.product, table::shares(&shifted.sites));
    if let Some(shift) = shifted.shift {
        println!("{}", shift.sentence());
    }
    Ok(())
}

/// Show the sites of one product, or of all that have several.
fn look(to: &To, product: Option<&str>) -> Result<(), String> {
    let status: Status = read(wait(client(to).get("/api/v1/status"))?)?;
    let several = status.products.iter().filter(|one| !one.sites.is_empty());
    let shown: Vec<_> = several.filter(|one| product.is_none_or(|name| name == one.name)).collect();
    if shown.is_empty() {
        return Err("no such product has several sites: they are written in [[product.site]]".into());
    }
    for one in shown {
        let shift = one.shift.as_ref().map_or("nothing is under way".to_owned(), ShiftStatus::sentence);
        println!("{}: {}; {shift}", one.name, table::shares(&one.sites));
    }
    Ok(())
}

/// `50%` or `50`.
fn per_cent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let share = number.parse().ok().filter(|share| (1..=100).contains(share));
    share.ok_or_else(|| "write a whole number from 1 to 100, such as 50%".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|wrong| format!("{}: {}", wrong.what, wrong.help))
}
