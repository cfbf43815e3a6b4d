//! Orders to a running proxy, and a look at it.

use serde_json::Value;

use super::{BackendCommand, Scoped, To, Why, table};
use crate::admin::backends::{BackendOrder, BackendRequest};
use crate::admin::client::AdminClient;
use crate::admin::orders::{Applied, OrderName, OrderRequest};
use crate::admin::reload::{ConfigRequest, TakenUp};
use crate::admin::status::Status;
use crate::admin::upgrade::{UpgradeRequest, Upgraded};

/// Show what is going on.
pub(super) fn status(to: &To, json: bool) -> Result<(), String> {
    let document = wait(client(to).get("/api/v1/status"))?;
    if json {
        println!("{document:#}");
        return Ok(());
    }
    let status: Status = read(document)?;
    print!("{}", table::status(&status));
    Ok(())
}

/// Give an order about products or an event.
pub(super) fn order(order: OrderName, scope: Scoped) -> Result<(), String> {
    let Scoped { product, all, event, why, to } = scope;
    give(OrderRequest { order, product, event, all, on: true, reason: why.reason, who: why.who }, &to)
}

/// Switch something of the whole proxy on or off.
pub(super) fn switch(order: OrderName, on: bool, why: Why, to: &To) -> Result<(), String> {
    give(OrderRequest { order, product: None, event: None, all: false, on, reason: why.reason, who: why.who }, to)
}

/// Give an order about a backend.
pub(super) fn backend(command: BackendCommand) -> Result<(), String> {
    let mut level = None;
    let (order, backend, product, weight, why, to) = match command {
        BackendCommand::Weight { backend, weight, why, to } => {
            (BackendOrder::Weight, backend, None, Some(weight), why, to)
        }
        BackendCommand::Drain { backend, why, to } => (BackendOrder::Drain, backend, None, None, why, to),
        BackendCommand::Restore { backend, why, to } => (BackendOrder::Restore, backend, None, None, why, to),
        BackendCommand::Add { backend, product, weight, priority, why, to } => {
            level = priority;
            (BackendOrder::Add, backend, Some(product), weight, why, to)
        }
        BackendCommand::Remove { backend, why, to } => (BackendOrder::Remove, backend, None, None, why, to),
    };
    let Why { reason, who } = why;
    let order = BackendRequest { order, backend, product, weight, priority: level, reason, who };
    say(vec![read(wait(client(&to).post("/api/v1/backends", &order))?)?]);
    Ok(())
}

/// Have the next binary take over.
pub(super) fn upgrade(why: Why, to: &To) -> Result<(), String> {
    let Why { reason, who } = why;
    let request = UpgradeRequest { reason, who };
    let Upgraded { process } = read(wait(client(to).post_and_wait("/api/v1/upgrade", &request))?)?;
    println!("process {process} takes requests now; the one before it finishes what it had");
    Ok(())
}

/// Have the configuration read again.
pub(super) fn reload(who: String, to: &To) -> Result<(), String> {
    let TakenUp { products, new, gone } = read(wait(client(to).post("/api/v1/reload", &ConfigRequest { who }))?)?;
    let list = |what: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!(", {what}: {}", names.join(", ")),
    };
    let products = if products == 1 { "1 product".to_owned() } else { format!("{products} products") };
    println!("the configuration was read again, and counts: {products}{}{}", list("new", &new), list("gone", &gone));
    Ok(())
}

fn give(order: OrderRequest, to: &To) -> Result<(), String> {
    let mut document = wait(client(to).post("/api/v1/orders", &order))?;
    say(read(document["applied"].take())?);
    Ok(())
}

fn say(applied: Vec<Applied>) {
    for Applied { scope, state, changed } in applied {
        let already = if changed { "" } else { " (already)" };
        println!("{scope}: {state}{already}");
    }
}

pub(super) fn client(to: &To) -> AdminClient {
    AdminClient { address: to.admin.clone(), token: to.token.clone() }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(document: Value) -> Result<T, String> {
    serde_json::from_value(document)
        .map_err(|error| format!("the proxy answered something else than expected ({error}); is it of this version?"))
}

pub(super) fn wait<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(future)
}
