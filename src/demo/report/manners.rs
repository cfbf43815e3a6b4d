//! How those fared who come back as told, beside those who do not.

use comfy_table::{CellAlignment, Table, presets};

use super::Summary;
use crate::demo::figures::Figures;

impl Summary {
    /// The customers of the surging product by how they take a no.
    pub(in crate::demo) fn by_manner(&self) -> String {
        let runs = [("with", &self.with), ("without", &self.without)];
        let run = runs.into_iter().find_map(|(name, run)| run.as_ref().map(|run| (name, &run.products[0])));
        run.map(|(name, figures)| told(name, figures)).unwrap_or_default()
    }
}

fn told(name: &str, figures: &Figures) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([&figures.product, "after a no", "customers", "finished", "attempts/step"]);
    for row in &figures.manners {
        table.add_row([
            row.manner.clone(),
            row.after_a_no.clone(),
            row.customers.to_string(),
            format!("{:.1} %", row.finished_percent),
            row.attempts_per_step.map_or_else(|| "-".into(), |attempts| format!("{attempts:.2}")),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "Does it pay to hammer? The customers of {} {name} Sluss; polite is who comes back when `Retry-After` says:\n{table}",
        figures.product
    )
}
