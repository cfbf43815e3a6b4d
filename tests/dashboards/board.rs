//! Boards as they lie in the folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// One file.
pub(crate) struct Board {
    pub(crate) file: String,
    pub(crate) json: Value,
}

/// One query, and where it stands.
pub(crate) struct Query {
    pub(crate) place: String,
    pub(crate) expression: String,
    pub(crate) legend: String,
}

/// Every board there is.
pub(crate) fn all() -> Vec<Board> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let files =
        fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("a readable folder").path());
    let boards = files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).map(|path| {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a readable file");
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        Board { file, json }
    });
    let boards: Vec<Board> = boards.collect();
    assert!(!boards.is_empty(), "there are no boards");
    boards
}

impl Board {
    /// Rows and panels, in order.
    pub(crate) fn panels(&self) -> &[Value] {
        items(&self.json["panels"])
    }

    /// Every query of panels and annotations.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            for target in items(&panel["targets"]) {
                let place = format!("{}: panel {} {}", self.file, panel["title"], target["refId"]);
                queries.push(query(place, target, "legendFormat"));
            }
        }
        for annotation in items(&self.json["annotations"]["list"]) {
            let place = format!("{}: annotation {}", self.file, annotation["name"]);
            queries.push(query(place, annotation, "titleFormat"));
        }
        queries
    }
}

/// The elements of an array; none of anything else.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn query(place: String, from: &Value, legend: &str) -> Query {
    let text = |key: &str| from[key].as_str().unwrap_or_default().to_owned();
    Query { place, expression: text("expr"), legend: text(legend) }
}
