//! The status as tables for a terminal.

use std::fmt::Write;

use comfy_table::presets::UTF8_NO_BORDERS;
use comfy_table::{CellAlignment, LineStyle, Table};

use crate::admin::shift::SiteStatus;
use crate::admin::status::{EventStatus, Status};

/// Everything an operator looks for first, in that order: alarms, products, limits, backends, events.
pub(super) fn status(status: &Status) -> String {
    let mut out = String::new();
    let ready = if status.ready { "ready" } else { "NOT READY" };
    let bypass = if status.bypass { ", BYPASS: nothing is refused" } else { "" };
    let observe_only = if status.observe_only { ", OBSERVE-ONLY: nothing is refused" } else { "" };
    let since = status.started.strftime("%Y-%m-%d %H:%M:%SZ");
    line(
        &mut out,
        &format!(
            "sluss {} since {since}, {ready}{bypass}{observe_only}, {} connections",
            status.version, status.connections
        ),
    );
    for alarm in &status.alarms {
        line(&mut out, &format!("ALARM  {alarm}"));
    }
    let rows = status.products.iter().map(|product| {
        let ramp =
            product.ramp_seats.map(|seats| format!("{seats}{}", if product.ramp_frozen { " frozen" } else { "" }));
        let ramp = ramp.unwrap_or_default();
        let last = product.last_order.clone().unwrap_or_default();
        let (in_flight, waiting) = (product.in_flight.to_string(), product.waiting.to_string());
        vec![
            product.name.clone(),
            product.state.clone(),
            in_flight,
            waiting,
            ramp,
            format!("{} %", product.guarantee),
            last,
        ]
    });
    table(&mut out, &["product", "state", "in flight", "waiting", "ramp", "guarantee", "last order"], 2..6, rows);
    for product in status.products.iter().filter(|product| !product.sites.is_empty()) {
        let shift = product.shift.as_ref().map(|shift| format!("; shift {}", shift.sentence())).unwrap_or_default();
        line(&mut out, &format!("{} is served at {}{shift}", product.name, shares(&product.sites)));
    }
    let rows = status.resources.iter().map(|resource| {
        let knee = resource.knee.map(|knee| format!("{knee:.1}")).unwrap_or_else(|| "not found yet".into());
        vec![
            resource.name.clone(),
            resource.kind.clone(),
            resource.limit.to_string(),
            resource.in_use.to_string(),
            knee,
            resource.source.clone(),
        ]
    });
    table(&mut out, &["limit on", "kind", "seats", "in use", "knee", "source"], 2..5, rows);
    let rows = status.backends.iter().map(|backend| {
        let state = match backend.state.as_str() {
            "refusing" => "refusing: accepts no connections",
            "failing_checks" => "failing its checks",
            "ejected" => "ejected: answers worse than the others",
            "standby" => "standby: others serve",
            "starting" => "starting: gets its share by and by",
            "removed" => "removed, though configured",
            state => state,
        };
        let [weight, priority, outstanding] =
            [backend.weight, backend.priority, backend.outstanding].map(|n| n.to_string());
        let last = backend.last_order.clone().unwrap_or_default();
        vec![backend.name.clone(), backend.pool.clone(), priority, weight, outstanding, state.to_owned(), last]
    });
    table(&mut out, &["backend", "pool", "priority", "weight", "outstanding", "state", "last order"], 2..5, rows);
    if !status.events.is_empty() {
        line(&mut out, events(&status.events).trim_end());
    }
    out
}

/// The shares of a product's sites.
pub(super) fn shares(sites: &[SiteStatus]) -> String {
    let one =
        |site: &SiteStatus| format!("{} {} %{}", site.name, site.share, if site.bounded { " at most" } else { "" });
    sites.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Events with their betting stops.
pub(super) fn events(events: &[EventStatus]) -> String {
    let mut out = String::new();
    let rows = events.iter().map(|event| {
        let stop = event.stop.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let margin = if event.margin_ms > 0 { format!(" - {} ms", event.margin_ms) } else { String::new() };
        let name = event.name.clone().unwrap_or_default();
        let last = event.last_order.clone().unwrap_or_default();
        vec![
            event.id.clone(),
            name,
            event.product.clone(),
            stop + &margin,
            event.state.clone(),
            (if event.as_in_file { "yes" } else { "no" }).to_owned(),
            last,
        ]
    });
    table(&mut out, &["event", "name", "product", "betting stop", "state", "as in file", "last order"], 0..0, rows);
    out
}

/// Adds a table; these columns are numbers.
pub(super) fn table(
    out: &mut String,
    head: &[&str],
    numbers: std::ops::Range<usize>,
    rows: impl Iterator<Item = Vec<String>>,
) {
    let mut table = Table::new();
    table.load_style(UTF8_NO_BORDERS.row_separator(LineStyle::none())).set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    line(out, &table.to_string());
}

/// Adds a line.
pub(super) fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes any text");
}
