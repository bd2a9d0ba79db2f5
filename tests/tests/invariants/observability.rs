//! Alerts and dashboards name what exists: metrics that services export, labels of those metrics, runbooks and tests.
//! The stage `test-observability` runs the rules themselves, with promtool.

mod alerts;
mod dashboards;
mod queries;

use dataflow_tests::manifests::{documents, each, text};
use serde_json::Value;

use crate::source::TREE;

/// Every rule, those that record and those that alert.
fn rules() -> Vec<Value> {
    let files = files("k8s/observability/rules/");
    let documents = files.iter().flat_map(|file| documents(file));
    let groups: Vec<Value> = documents
        .flat_map(|document| each(&document["spec"]["groups"]).cloned().collect::<Vec<_>>())
        .collect();
    groups.iter().flat_map(|group| each(&group["rules"]).cloned().collect::<Vec<_>>()).collect()
}

/// The names that rules record.
fn recorded() -> Vec<String> {
    rules().iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)).collect()
}

/// The files below a folder, which has some.
fn files(folder: &str) -> Vec<String> {
    let files = TREE.iter().filter(|entry| !entry.is_folder && entry.path.starts_with(folder));
    let files: Vec<_> = files.map(|entry| entry.path.clone()).collect();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

#[test]
fn every_built_in_provider_has_a_label() {
    let providers = dataflow_config::built_in::providers();
    let mut ids: Vec<_> = providers.iter().map(|provider| provider.provider_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(dataflow_analysis::analyses::LABELLED_PROVIDERS.as_slice(), ids);
}

#[test]
fn every_file_is_part_of_the_component() {
    let component = documents("k8s/observability/kustomization.yaml").remove(0);
    let generated = each(&component["configMapGenerator"]).flat_map(|map| each(&map["files"]));
    let listed: Vec<_> = each(&component["resources"]).chain(generated).map(text).collect();
    for folder in ["k8s/observability/rules/", "k8s/observability/dashboards/"] {
        for file in files(folder) {
            let file = file.trim_start_matches("k8s/observability/");
            assert!(listed.contains(&file), "k8s/observability/kustomization.yaml does not list {file}");
        }
    }
}
