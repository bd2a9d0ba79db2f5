//! Dashboards: queries of metrics that exist, and panels that say what they show.

use std::collections::BTreeSet;

use dataflow_tests::manifests::{each, text};
use serde_json::Value;

use super::files;
use super::queries::{known, unknown};
use crate::expect_none;
use crate::reference::read;

/// The dashboards of the founding documents, and that of the mesh.
const DASHBOARDS: [&str; 4] = ["application", "business", "mesh", "system"];

fn dashboards() -> Vec<(String, Value)> {
    let dashboards = files("k8s/observability/dashboards/").into_iter().map(|file| {
        let dashboard = serde_json::from_str(&read(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        (file, dashboard)
    });
    dashboards.collect()
}

#[test]
fn dashboards_name_only_metrics_that_are_exported_or_recorded() {
    let known = known();
    let mut violations = Vec::new();
    let mut queries = 0;
    for (file, dashboard) in dashboards() {
        for panel in each(&dashboard["panels"]) {
            for target in each(&panel["targets"]) {
                let query = text(&target["expr"]);
                assert!(query.contains("$namespace"), "{file}: {query} is not limited to the namespace");
                let unknown = unknown(query, &known);
                violations
                    .extend(unknown.into_iter().map(|what| format!("{file}: {}: {what}", panel["title"])));
                queries += 1;
            }
        }
    }
    assert!(queries > 50, "{queries}");
    expect_none(
        &violations,
        "name a metric and its labels as docs/metrics.md lists them, or a name that k8s/observability/rules record.",
    );
}

#[test]
fn panels_are_described_and_laid_out() {
    let mut names = Vec::new();
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let name = file.rsplit('/').next().unwrap().trim_end_matches(".json").to_owned();
        assert_eq!(dashboard["uid"], format!("dataflow-{name}"), "{file}");
        assert!(uids.insert(text(&dashboard["uid"]).to_owned()), "{file}");
        let mut ids = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for panel in each(&dashboard["panels"]) {
            let title = text(&panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {title}: its id is taken");
            if panel["type"] != "row" {
                assert!(
                    text(&panel["description"]).ends_with('.'),
                    "{file}: {title}: what it shows, as a sentence"
                );
            }
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{file}: {title}: wider than the page");
            let own = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
            assert!(own.into_iter().all(|cell| cells.insert(cell)), "{file}: {title}: covers another panel");
        }
        names.push(name);
    }
    names.sort();
    assert_eq!(names, DASHBOARDS);
}
